"""The command as a process: exit codes, streams, signals, and what it imports."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "gradscope.cli"]
# Buffered as with users: what is left in a buffer fails once more when the process ends.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def run(*arguments, **extra):
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, timeout=60, check=False, **{"text": True, **extra}
    )


@pytest.mark.parametrize(("name", "code"), [("healthy", 0), ("sick", 1), ("broken", 2)])
def test_exit_codes(request, name, code):
    result = run("check", request.getfixturevalue(name))
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert bool(result.stderr) == (code == 2)


def test_the_entry_point_is_the_command():
    result = subprocess.run(
        [sys.executable, "-c", "from gradscope.cli import main; main(['--version'])"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("module", ["gradscope", "gradscope.cli"])
def test_the_package_runs_as_the_command(module):
    result = subprocess.run(
        [sys.executable, "-m", module, "rules"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "vanishing-gradient" in result.stdout


@pytest.mark.parametrize(("name", "code"), [("healthy", 0), ("sick", 1)])
def test_a_reader_that_has_gone_changes_nothing(request, name, code):
    reading, writing = os.pipe()
    os.close(reading)
    path = request.getfixturevalue(name)
    result = subprocess.run(
        [*COMMAND, "check", path],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env=BUFFERED,
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (code, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(healthy):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*COMMAND, "check", healthy],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env=BUFFERED,
        )
    assert result.returncode == 2
    assert result.stderr.startswith("gradscope: cannot write standard output: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_of_few_letters_still_gets_the_report(sick, encoding):
    path = Path(sick).rename(Path(sick).with_name("日本"))
    result = run("check", str(path), env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith("SICK")


def test_columns_set_the_width(sick):
    narrow = run("check", sick, "--rules", "nonfinite-values", env={**os.environ, "COLUMNS": "50"}).stdout
    _, *prose = narrow.partition("What to change")[0].splitlines()
    assert max(map(len, prose)) <= 50


BLOCKED = """
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if any(name == banned or name.startswith(banned + ".") for banned in {banned!r}):
                raise AssertionError(f"{{name}} was imported")

    sys.meta_path.insert(0, Blocker())
    from gradscope.cli import main
    main({arguments!r})
"""
HEAVY = ["tensorflow", "keras", "tensorboard.backend", "tensorboard.compat.tensorflow_stub", "pandas", "matplotlib"]


@pytest.mark.parametrize(
    ("arguments", "banned"),
    [
        (["--help"], [*HEAVY, "numpy", "rich", "google", "tensorboard", "importlib.metadata", "dataclasses"]),
        (["--version"], [*HEAVY, "numpy", "rich", "google", "tensorboard", "importlib.metadata"]),
        (["rules"], [*HEAVY, "rich", "tensorboard"]),
        (["explain", "dead-units"], [*HEAVY, "rich", "tensorboard"]),
        (["check", "HEALTHY"], HEAVY),
        (["check", "HEALTHY", "HEALTHY"], HEAVY),
        (["check", "HEALTHY", "--format", "json"], [*HEAVY, "rich"]),
    ],
    ids=" ".join,
)
def test_a_command_imports_no_more_than_it_needs(healthy, arguments, banned):
    arguments = [healthy if argument == "HEALTHY" else argument for argument in arguments]
    code = textwrap.dedent(BLOCKED).format(banned=banned, arguments=arguments)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_blas_gets_one_thread_unless_told_otherwise():
    show = (
        "import os, sys, atexit; atexit.register(lambda: print(os.environ['OPENBLAS_NUM_THREADS'], file=sys.stderr));"
    )
    code = f"{show} from gradscope.cli import main; main(['rules'])"
    for given, expected in ((None, "1"), ("3", "3")):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
        if given:
            environment["OPENBLAS_NUM_THREADS"] = given
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert result.stderr.strip() == expected
