"""For tests: a training that must be healthy.

Example of a pytest test::

    from gradscope.testing import assert_healthy

    def test_the_network_learns(tmp_path):
        train(log_dir=tmp_path)
        assert_healthy(tmp_path)
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from gradscope.configuration import Configuration, find_configuration
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.rules import all_rules
from gradscope.diagnosis.verdict import Diagnosis, Severity
from gradscope.errors import RuleError
from gradscope.events.reader import read_run
from gradscope.run import Run

__all__ = ["assert_healthy"]


def assert_healthy(
    run: Run | str | os.PathLike[str],
    *,
    fail_on: Severity = Severity.ERROR,
    ignore: Iterable[str] = (),
    configuration: Configuration | None = None,
) -> Diagnosis:
    """Fail unless the run is free of findings of the severity ``fail_on`` or above.

    Args:
        run: a run, or the path of one.
        fail_on: the least severity that fails.
        ignore: names of rules to leave out.
        configuration: the project's settings; None: those of the nearest ``gradscope.toml`` or ``pyproject.toml`` at or
            above the working folder.

    Returns:
        The diagnosis, for further questions.

    Raises:
        AssertionError: there is such a finding, or no rule could judge; the message is the report.
        ConfigurationError: the file with the settings cannot be used.
        RuleError: no rule has a name that is to be ignored.
        RunError: the path holds no readable run.
    """
    rules = {rule.name: rule for rule in all_rules()}
    unwanted = set(ignore)
    if unknown := sorted(unwanted - set(rules)):
        raise RuleError(f"no rule is called {unknown[0]!r}; there is {', '.join(rules)}")
    settings = configuration or find_configuration()
    judged = run if isinstance(run, Run) else read_run(run, tags=settings.tags)
    chosen = [rule for name, rule in rules.items() if name not in unwanted]
    diagnosis = diagnose(judged, chosen, configuration=settings)
    ill = diagnosis.severity is not None and diagnosis.severity >= fail_on
    if ill or len(diagnosis.not_judged) == len(diagnosis.verdicts):
        from gradscope.reports.terminal import to_terminal

        raise AssertionError(f"the run is not healthy\n\n{to_terminal(diagnosis, color=False)}")
    return diagnosis
