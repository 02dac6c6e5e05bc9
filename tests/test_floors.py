"""The house keeps its floors: each imports only lower ones, and only recording may import TensorFlow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradscope"

# Low to high; a module may import its own floor and those before it.
FLOORS = [
    ["_version", "errors", "vocabulary", "histograms", "model_card"],
    ["run"],
    ["events", "diagnosis.verdict", "diagnosis.wording"],
    ["diagnosis.rule", "diagnosis.evidence"],
    ["diagnosis.enclosing", "diagnosis.layer_code", "diagnosis.policy"],
    ["diagnosis.remedies"],
    ["diagnosis.long_steps", "diagnosis.mismatch", "diagnosis.partly_vanishing", "diagnosis.short_steps"],
    ["diagnosis.rules"],
    ["diagnosis.telling_apart", "diagnosis.causes", "diagnosis.summary", "diagnosis.example"],
    ["diagnosis.watched", "diagnosis.exhibits"],
    ["diagnosis.engine", "diagnosis.inquiry", "configuration"],
    ["comparison"],
    ["reports", "plots"],
    ["fleet", "testing"],
    ["recording"],
    ["cli", "__main__", "tensorboard", ""],
]

# A notebook asks an object for its own `_repr_html_`, so these two look up, when they are shown and not before.
SHOWN_BY = {("run", "reports.html.notebook"), ("diagnosis.verdict", "reports.html.notebook")}


def floor_of(module):
    """Height of a module, named relative to the package."""
    heights = [
        (len(name), height)
        for height, floor in enumerate(FLOORS)
        for name in floor
        if module == name or (module.startswith(f"{name}.") and name)
    ]
    assert heights, f"gradscope.{module} stands on no floor: give it one in this test"
    return max(heights)[1]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield path, ".".join(part for part in parts if part != "__init__")


def imports(path):
    """Names of gradscope modules that a file imports, wherever it does; those for type checkers do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gradscope":
            name = (node.module or "").partition(".")[2]
            for alias in node.names:
                child = f"{name}.{alias.name}".lstrip(".")
                is_module = (PACKAGE / child.replace(".", "/")).is_dir() or (
                    PACKAGE / f"{child.replace('.', '/')}.py"
                ).exists()
                yield child if is_module else name
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.split(".")[0] == "gradscope")


@pytest.mark.parametrize(("path", "module"), [pytest.param(*item, id=item[1] or "gradscope") for item in modules()])
def test_a_module_imports_only_its_own_floor_and_lower_ones(path, module):
    for imported in imports(path):
        if (module, imported) in SHOWN_BY:
            continue
        assert floor_of(imported) <= floor_of(module), f"gradscope.{module} imports gradscope.{imported}"
        if module.startswith("diagnosis.rules."):
            assert not imported.startswith("diagnosis.rules."), "rules do not import each other"
        if imported.startswith("recording"):
            assert module.startswith("recording"), "only recording imports recording"


BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"tensorflow", "keras"} or name.startswith("tensorboard.backend"):
            raise ImportError(f"{name} may not be imported here")

sys.meta_path.insert(0, Blocker())
"""


def run_without_tensorflow(code):
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + code], capture_output=True, text=True, check=False, timeout=60
    )


def test_reading_judging_and_rendering_never_import_tensorflow(three_layer):
    done = run_without_tensorflow(f"""
import gradscope
from gradscope.reports.html.notebook import run_as_html
from gradscope.reports.json_document import to_json
from gradscope.reports.markdown import to_markdown
from gradscope.reports.terminal import to_terminal

run = gradscope.read_run({str(three_layer)!r})
diagnosis = gradscope.diagnose(run)
assert not diagnosis.healthy
for render in (to_json, to_markdown, to_terminal):
    assert "hidden_1" in render(diagnosis)
assert "hidden_1" in run_as_html(run)
assert len(run.statistics) and len(run.layers) and len(run.histograms.steps)
""")
    assert done.returncode == 0, done.stderr


def test_recording_without_tensorflow_says_what_to_install():
    done = run_without_tensorflow("""
import gradscope
try:
    gradscope.Recorder
except gradscope.errors.MissingDependencyError as error:
    assert 'pip install "gradscope[tensorflow]"' in str(error), error
    assert len(str(error).splitlines()) == 1
else:
    raise AssertionError("no error")
""")
    assert done.returncode == 0, done.stderr


def test_importing_gradscope_imports_nothing_heavy():
    heavy = "numpy pandas tensorboard rich click"
    code = f"import gradscope, sys; print(sorted(set({heavy!r}.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_answered_with_the_known_ones():
    import gradscope

    with pytest.raises(AttributeError, match="Recorder, Run, find_runs, read_run, diagnose"):
        _ = gradscope.Recoder
    assert {"Recorder", "diagnose", "read_run"} <= set(dir(gradscope))


def test_a_check_does_without_what_is_slow_to_import():
    logs = Path(__file__).parents[1] / "logs" / "autoencoder" / "three_layer"
    slow = "numpy.ma pandas tensorboard rich"
    code = (
        f"import gradscope, sys; gradscope.diagnose(gradscope.read_run({str(logs)!r})); "
        f"print(sorted(set({slow!r}.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
