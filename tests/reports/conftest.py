"""Hand-made diagnoses: what each renderer is shown, as fixtures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gradscope.diagnosis.verdict import Cause, Diagnosis, Finding, Measurement, Outcome, Remedy, Severity, Verdict

CODE = (
    "keras.layers.Dense(16, activation='relu', kernel_initializer='he_normal', "
    "bias_initializer=keras.initializers.Constant(0.1), name='hidden_1')\n"
    "if True:\n"
    "    print('indented')"
)
HE = Remedy("Initialise hidden_1 with He normal", "its weights are 1,400 times too small for 784 inputs", CODE)
RATE = Remedy("Raise the learning rate to 0.01", "the updates are 1e-6 of the weights")

ROOT = Finding(
    rule="gain-mismatch",
    variant="too-small",
    title="initial weights far too small",
    sentence="hidden_1, hidden_2 and output have a gain of 0.0007 to 0.004",
    severity=Severity.WARNING,
    layers=("hidden_1", "hidden_2", "output"),
    first_step=0,
    last_step=0,
    measurements=(Measurement("gain", 0.00071234, 0.1, "1", "hidden_1", "about 1"),),
    remedies=(HE,),
)
VANISHING = Finding(
    rule="vanishing-gradient",
    title="vanishing gradient",
    sentence="the gradient at hidden_1 is 3.1e-06 of the output's",
    severity=Severity.ERROR,
    layers=("hidden_1",),
    first_step=0,
    last_step=9990,
    measurements=(Measurement("gradient decay", 3.1e-6, 1e-4, "", "hidden_1", "about 1"),),
    remedies=(RATE,),
    confidence="medium",
)
NOTE = Finding(
    rule="dead-units",
    title="some dead units",
    sentence="7 % of the units of hidden_2 are zero on every example",
    severity=Severity.NOTE,
    layers=("hidden_2",),
    first_step=20,
    last_step=40,
    measurements=(Measurement("dead unit fraction", 0.07, 0.5),),
)

HEALTHY = Diagnosis(
    run="logs/fixed",
    sentence="The gradient flows: no finding in 100 sampled steps (0 to 9,990).",
    causes=(),
    verdicts=(Verdict("dead-units", Outcome.CLEAR), Verdict("vanishing-gradient", Outcome.CLEAR)),
    first_step=0,
    last_step=9990,
    sampled_steps=100,
)
SICK = replace(
    HEALTHY,
    run="logs/three_layer",
    sentence="The network does not learn: the initial weights are far too small",
    causes=(Cause(ROOT, (VANISHING,), (HE, RATE)), Cause(NOTE)),
    verdicts=(
        Verdict("gain-mismatch", Outcome.FINDINGS, (ROOT,)),
        Verdict("vanishing-gradient", Outcome.FINDINGS, (VANISHING,)),
        Verdict("dead-units", Outcome.FINDINGS, (NOTE,)),
        Verdict("exploding-gradient", Outcome.CLEAR),
        Verdict("saturated-activation", Outcome.NOT_JUDGED, reason="no bounded activation; record activations"),
    ),
    missing=("events.out.tfevents.1: 96 bytes at 1,024 are damaged, steps 30 to 40 may be missing",),
)
WARNINGS = replace(
    HEALTHY,
    run="logs/warm",
    sentence="The network learns, with one warning.",
    causes=(Cause(ROOT),),
    verdicts=(Verdict("gain-mismatch", Outcome.FINDINGS, (ROOT,)),),
)
NOTED = replace(HEALTHY, run="logs/noted", causes=(Cause(NOTE),))
NOT_JUDGED = replace(
    HEALTHY,
    run="logs/empty",
    sentence="No rule could judge this run.",
    verdicts=(Verdict("dead-units", Outcome.NOT_JUDGED, reason="needs one sampled step; record one"),),
    first_step=0,
    last_step=0,
    sampled_steps=0,
)

WEIRD_NAMES = (
    "[bold red]dense[/bold red]",
    "[/]",
    "dense\x1b[31m\x07\r\nsecond line",
    "a|b | `c` *d* _e_ <script>alert(1)</script> & [x](http://y) # ~~z~~",
    "<h5>big</h5> &amp; <img src=x>",
    "日本語の層 👩\u200d🔬 é",
    "right\u202eleft",
    "\udc80surrogate",
    "x" * 300,
    "",
)


def weird(name: str) -> Diagnosis:
    """A sick diagnosis that has ``name`` wherever a user's text can stand."""
    finding = replace(
        VANISHING,
        title=f"vanishing at {name}",
        sentence=f"the gradient at {name} is small",
        layers=(name,),
        measurements=(Measurement(f"decay at {name}", 0.5, 1.0, name, name, name),),
    )
    remedy = Remedy(f"Change {name}", f"because of {name}", f"layer = {name!r}")
    return replace(
        SICK,
        run=f"logs/{name}",
        sentence=f"The layer {name} does not learn.",
        causes=(Cause(finding, (finding,), (remedy,)), Cause(replace(NOTE, sentence=f"note on {name}"))),
        verdicts=(Verdict("saturated-activation", Outcome.NOT_JUDGED, reason=f"no gradient of {name}"),),
        missing=(f"{name} is damaged",),
    )


NONFINITE = replace(
    SICK,
    causes=(
        Cause(
            replace(
                VANISHING,
                measurements=(
                    Measurement("loss", math.nan, math.inf),
                    Measurement("least entry", -math.inf, 0.0, "", "hidden_1"),
                ),
            )
        ),
    ),
)

ALL = {
    "healthy": HEALTHY,
    "sick": SICK,
    "warnings": WARNINGS,
    "noted": NOTED,
    "not judged": NOT_JUDGED,
    "nonfinite": NONFINITE,
    **{f"weird {i}": weird(name) for i, name in enumerate(WEIRD_NAMES)},
}


@pytest.fixture(params=ALL.values(), ids=ALL)
def diagnosis(request):
    """Each of the hand-made diagnoses in turn."""
    return request.param


@pytest.fixture(params=WEIRD_NAMES, ids=range(len(WEIRD_NAMES)))
def weird_name(request):
    return request.param


@pytest.fixture
def weird_diagnosis(weird_name):
    return weird(weird_name)


@pytest.fixture
def healthy():
    return HEALTHY


@pytest.fixture
def sick():
    return SICK


@pytest.fixture
def warnings():
    return WARNINGS


@pytest.fixture
def noted():
    return NOTED


@pytest.fixture
def not_judged():
    return NOT_JUDGED


@pytest.fixture
def nonfinite():
    return NONFINITE
