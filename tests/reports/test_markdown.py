import html
import re
from dataclasses import replace

import markdown
import pytest
from tensorboard import plugin_util

from gradscope.diagnosis.verdict import Cause, Measurement
from gradscope.reports.markdown import to_markdown
from gradscope.reports.wording import plain


def shown(text):
    """The words a reader sees of Markdown as TensorBoard renders it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plugin_util.markdown_to_safe_html(text))).split())


def tags(text):
    return set(re.findall(r"<([a-z0-9]+)", plugin_util.markdown_to_safe_html(text)))


def test_tensorboard_shows_the_whole_sick_report(sick):
    text = shown(to_markdown(sick))
    for part in (
        "SICK: logs/three_layer",
        "The network does not learn: the initial weights are far too small.",
        "1. ERROR: initial weights far too small",
        "vanishing gradient (medium confidence) (error): the gradient at hidden_1 is 3.1e-06 of the output's.",
        "gradient decay 3.1e-06 0.0001 about 1 hidden_1 0 to 9,990",
        "1. Initialise hidden_1 with He normal",
        "bias_initializer=keras.initializers.Constant(0.1)",
        "saturated-activation : no bounded activation",
        "96 bytes at 1,024 are damaged",
        "7 % of the units of hidden_2 are zero on every example. Steps 20 to 40.",
    ):
        assert part in text
    assert "\\" not in text


def test_nothing_is_lost_to_tensorboards_allow_list(diagnosis):
    text = to_markdown(diagnosis)
    rendered = markdown.markdown(text, extensions=["tables", "fenced_code"])
    allowed = set(plugin_util._ALLOWED_TAGS)
    assert set(re.findall(r"<([a-z0-9]+)", rendered)) <= allowed


def test_evidence_is_a_table_and_code_a_block(sick):
    assert {"table", "th", "td", "pre", "code", "h2", "h3", "h4", "strong", "li"} <= tags(to_markdown(sick))


def test_code_is_kept_to_the_letter(sick):
    rendered = plugin_util.markdown_to_safe_html(to_markdown(sick))
    block = re.search(r"<pre><code[^>]*>(.*?)</code></pre>", rendered, re.DOTALL).group(1)
    assert html.unescape(block).strip("\n") == sick.causes[0].remedies[0].code


def test_a_healthy_report_has_no_table(healthy, noted, not_judged):
    for diagnosis in (healthy, noted, not_judged):
        assert "table" not in tags(to_markdown(diagnosis))
    assert "No rule could judge this run." in shown(to_markdown(not_judged))


def test_names_are_never_markup(weird_diagnosis, weird_name):
    text = to_markdown(weird_diagnosis)
    assert " ".join(f"The layer {plain(weird_name)} does not learn.".split()) in shown(text)
    assert not tags(text) & {"a", "img", "em", "script", "blockquote"}


@pytest.mark.parametrize("name", ["a|b", "|", "x | y | z", "a\\|b"])
def test_a_pipe_in_a_name_adds_no_column(sick, name):
    root = replace(sick.causes[0].root, measurements=(Measurement("gain", 0.5, 0.1, "", name, "about 1"),))
    rendered = plugin_util.markdown_to_safe_html(to_markdown(replace(sick, causes=(Cause(root),))))
    cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", rendered)]
    assert cells == ["gain", "0.5", "0.1", "about 1", name, "0"]


def test_nan_and_infinity_are_shown(nonfinite):
    assert "loss NaN inf" in shown(to_markdown(nonfinite))
