"""What other tools' tags mean: a table of regular expressions, which users put their own lines in front of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from gradscope.errors import ConfigurationError
from gradscope.vocabulary import KINDS, STATISTIC_NAMES, STEP_STATISTIC_NAMES

__all__ = ["IGNORE", "Meaning", "TagRule", "default_tags", "meaning"]

IGNORE = "ignore"
"""The meaning of tags that are to be left out."""


@dataclass(frozen=True)
class TagRule:
    """One line of the table.

    Raises:
        ConfigurationError: the pattern is no regular expression, or the meaning is none there is.
    """

    pattern: str
    """Regular expression for the whole tag, case ignored; its group ``name`` is the tensor's name, else the tag is."""
    means: str
    """A kind of tensor (histograms), ``<kind>_<statistic>`` or a step statistic (scalars), or ``ignore``."""
    layer: str = ""
    r"""The layer, with groups as ``\g<name>``; empty: the name without its last part."""

    def __post_init__(self) -> None:
        """Hold pattern and meaning against what there is."""
        _ = self.expression, self.target

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern."""
        try:
            return re.compile(self.pattern, re.IGNORECASE | re.DOTALL)
        except re.error as error:
            raise ConfigurationError(
                f"the tag pattern {self.pattern!r} is no regular expression ({error}); write it as Python's re wants it"
            ) from None

    @cached_property
    def target(self) -> tuple[str, str]:
        """(kind, statistic): the statistic is empty for histograms, the kind for statistics of the step."""
        if self.means in KINDS or self.means == IGNORE:
            return self.means, ""
        if self.means in STEP_STATISTIC_NAMES:
            return "", self.means
        for kind in sorted(KINDS, key=len, reverse=True):
            if self.means.startswith(f"{kind}_") and self.means.removeprefix(f"{kind}_") in STATISTIC_NAMES:
                return kind, self.means.removeprefix(f"{kind}_")
        raise ConfigurationError(
            f"tags cannot mean {self.means!r}; give a kind of tensor ({', '.join(KINDS)}), <kind>_<statistic> such as "
            f"gradient_norm, a step statistic ({', '.join(STEP_STATISTIC_NAMES)}) or {IGNORE}"
        )


@dataclass(frozen=True)
class Meaning:
    """What one tag means."""

    kind: str
    """Kind of tensor; empty for a statistic of the step."""
    name: str
    """The tensor's name, in the tool's own spelling; empty for a statistic of the step."""
    statistic: str
    """Empty for a histogram."""
    layer: str
    """Empty: to be told from the name."""


_GRADIENT = r"(?:grads?|gradients?)"
_ROLE = (
    r"(?:\w*kernel|weights?|w\d*|bias(?:es)?|b\d*|embeddings?|gamma|beta|scale|alpha|"
    r"moving_mean|moving_variance|running_mean|running_var)"
)
_TRAIN = r"(?:train(?:ing)?/)?"


@cache
def default_tags() -> tuple[TagRule, ...]:
    """The common styles: TensorFlow 1 helpers, Keras, ``tf.summary``, PyTorch, Lightning; the first that fits counts.

    Made when first asked for: gradscope's own logs need none, and compiling the patterns takes longer than a small one.
    """
    return (
        # Lightning's grad_norm, and its kin
        TagRule(r"(?:.*/)?grad_2(?:\.0)?_norm_total", "global_gradient_norm"),
        TagRule(r"(?:.*/)?(?:total_|global_)?grad(?:ient)?s?_?norm(?:[/_]total)?", "global_gradient_norm"),
        TagRule(r"(?:.*/)?grad_2(?:\.0)?_norm[/_](?P<name>.+)", "gradient_norm"),
        TagRule(r"(?:.*/)?grad(?:ient)?_?norms?/(?P<name>.+)|(?P<name2>.+)[/._]grad(?:ient)?_?norm", "gradient_norm"),
        TagRule(r"(?:.*/)?(?:weight|param(?:eter)?)_?norms?/(?P<name>.+)", "weight_norm"),
        # scalars of the step
        TagRule(
            r"(?!.*(?:val|eval|test|dev))(?:.*/)?(?:train(?:ing)?[/_.])?(?:epoch_|batch_|step_|total_)?"
            r"loss(?:[/_](?:train(?:ing)?|step|epoch|total|1))?",
            "loss",
        ),
        TagRule(r"(?:.*/)?(?:epoch_|batch_)?(?:learning_rate|lr|lr-\w+)(?:/\w+)?", "learning_rate"),
        # histograms, what is the more special first
        TagRule(rf"{_TRAIN}activation_{_GRADIENT}/(?P<name>.+)", "activation_gradient"),
        TagRule(rf"(?P<name>.+)[/._](?:activations?|outputs?)[/._]{_GRADIENT}", "activation_gradient"),
        TagRule(rf"{_TRAIN}{_GRADIENT}[/._-](?P<name>.+)|(?P<name2>.+?)[/._\s-]{_GRADIENT}", "gradient"),
        TagRule(rf"{_TRAIN}updates?/(?P<name>.+)|(?P<name2>.+)[/._]updates?", "update"),
        TagRule(rf"{_TRAIN}pre_?activations?/(?P<name>.+)|(?P<name2>.+)[/._]pre_?activations?", "preactivation"),
        TagRule(rf"{_TRAIN}(?:activations?|outputs?)/(?P<name>.+)", "activation"),
        TagRule(r"(?P<name>.+)[/._](?:activations?|outputs?)", "activation"),
        TagRule(rf"{_TRAIN}(?:weights?|params?|parameters?|variables?|vars?)/(?P<name>.+)", "weight"),
        TagRule(rf"(?P<name>(?:.*[/.])?{_ROLE}(?:[:_]\d+)?)", "weight"),
    )  # fmt: skip


def meaning(tag: str, *, histogram: bool, rules: Sequence[TagRule] = ()) -> Meaning | None:
    """What a tag means: by ``rules``, then by `default_tags`; None if nothing fits, or it is to be ignored.

    Example:
        >>> meaning("dense/kernel_0_grad", histogram=True)
        Meaning(kind='gradient', name='dense/kernel', statistic='', layer='')
    """
    bare = re.sub(r"/histogram(_\d+)?$", "", tag) if histogram else tag
    for rule in (*rules, *default_tags()):
        kind, statistic = rule.target
        if kind != IGNORE and histogram == bool(statistic):
            continue
        found = rule.expression.fullmatch(tag) or rule.expression.fullmatch(bare)
        if found is None:
            continue
        if kind == IGNORE:
            return None
        name = next((text for key, text in found.groupdict().items() if key in {"name", "name2"} and text), bare)
        layer = found.expand(rule.layer) if rule.layer else ""
        return Meaning(kind, variable_name(name) if kind else "", statistic, layer)
    return None


def variable_name(name: str) -> str:
    """The name without what TensorFlow adds to a variable's: ``dense/kernel:0`` becomes ``dense/kernel``."""
    bare = name.removesuffix(":0").removesuffix("_0")
    return (
        bare if bare != name and re.fullmatch(rf"(?:.*[/.])?{_ROLE}", bare, re.IGNORECASE) else name.removesuffix(":0")
    )
