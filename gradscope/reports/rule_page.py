"""A rule as a page of the documentation, in Markdown, and the index of all rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradscope.reports.wording import number, quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradscope.diagnosis.rule import Rule

__all__ = ["rule_pages", "to_rule_index", "to_rule_page"]

_GENERATED = "<!-- Written by `make docs` from the rule's own file; changes made here are lost. -->"
_INTRODUCTION = """\
Each rule judges one pathology. It gives findings, or is clear, or says why it could not judge and what to record.
`gradscope explain RULE` shows a page in the terminal; `gradscope check LOGDIR --why RULE` shows what a rule saw in one
run. Limits and severities are set [in the project](../configuration.md)."""
_SYMBOLS = (
    ("a, z", "a layer's output a = f(z) and the argument z of its activation function f"),
    ("y", "the network's output"),
    ("∂loss/∂a", "the gradient that flows back through a layer, from the step that trains"),
    ("‖x‖", "the L2 norm √(Σ x²) over all entries; rms(x) = ‖x‖ / √n"),
    ("‖update‖ / ‖weight‖", "how far one step moves a variable, both measured; about 1e-3 is healthy"),
    ("fan_in, fan_out", "inputs that feed one unit of a layer, and outputs that one input feeds"),
)


def rule_pages(rules: Sequence[Rule]) -> Mapping[str, str]:
    """``{file name: text}``: ``README.md``, the index, and ``<name>.md`` for each rule.

    Raises:
        RuleError: a rule's docstring breaks the contract of headings.
    """
    return {"README.md": to_rule_index(rules), **{f"{rule.name}.md": to_rule_page(rule) for rule in rules}}


def to_rule_page(rule: Rule) -> str:
    """Title, then the sections of the rule's docstring; the limits stand behind the evidence.

    Raises:
        RuleError: the docstring breaks the contract of headings.
    """
    blocks = [_GENERATED, f"# {rule.name}", f"{rule.title()}. ([All rules](README.md))"]
    for heading, text in rule.sections().items():
        blocks += [f"## {heading}", f"```pycon\n{text}\n```" if heading == "Example" else text]
        if heading == "Evidence":
            blocks += ["## Limits", _limits(rule), _how_to_set(rule)]
    return "\n\n".join(blocks) + "\n"


def to_rule_index(rules: Sequence[Rule]) -> str:
    """A table of the rules, and what the symbols in them mean."""
    lines = ["| rule | what it is |", "| --- | --- |"]
    lines += [f"| [{rule.name}]({rule.name}.md) | {_cell(rule.title())} |" for rule in rules]
    symbols = ["| symbol | meaning |", "| --- | --- |", *(f"| {sign} | {meaning} |" for sign, meaning in _SYMBOLS)]
    blocks = [
        _GENERATED,
        "# The rules",
        _INTRODUCTION,
        "\n".join(lines),
        "## Symbols",
        "\n".join(symbols),
    ]
    return "\n\n".join(blocks) + "\n"


def _limits(rule: Rule) -> str:
    rows = (
        f"| `{limit.name}` | {_cell(quantity(limit.value, limit.unit))} | {_cell(limit.source)} |"
        for limit in rule.limits()
    )
    return "\n".join(["| limit | value | where it comes from |", "| --- | --- | --- |", *rows])


def _how_to_set(rule: Rule) -> str:
    first = rule.limits()[0]
    return (
        "In `gradscope.toml`, or under `[tool.gradscope]` in `pyproject.toml`:\n\n"
        f"```toml\n[rules.{rule.name}]\n{first.name} = {number(first.value).replace(',', '_')}\n```"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
