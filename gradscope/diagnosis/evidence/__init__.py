"""What a rule may ask for: one documented function per name.

A rule names its evidence as parameters of ``check``; an evidence function names what it builds on as its own
parameters. Each is computed at most once per run. ``run`` is the run itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradscope.diagnosis.evidence.batch_norms import BatchNorm, batch_norms
from gradscope.diagnosis.evidence.branches import Branch, branches
from gradscope.diagnosis.evidence.called_loss import CalledLoss, called_loss
from gradscope.diagnosis.evidence.clipping import Clipping, clipping
from gradscope.diagnosis.evidence.constant_answer import ConstantAnswer, constant_answer
from gradscope.diagnosis.evidence.disconnections import Disconnection, disconnections
from gradscope.diagnosis.evidence.effective_step import EffectiveStep, effective_step
from gradscope.diagnosis.evidence.elasticity import elasticity
from gradscope.diagnosis.evidence.example_spread import ExampleSpread, example_spread
from gradscope.diagnosis.evidence.flow import Flow, flow
from gradscope.diagnosis.evidence.fresh_start import fresh_start
from gradscope.diagnosis.evidence.gains import LayerGain, gains
from gradscope.diagnosis.evidence.global_gradient import GlobalGradient, global_gradient
from gradscope.diagnosis.evidence.input_scale import InputScale, input_scale
from gradscope.diagnosis.evidence.kernels import Kernel, kernels
from gradscope.diagnosis.evidence.layers import Layer, layers
from gradscope.diagnosis.evidence.learning_rate import LearningRate, learning_rate
from gradscope.diagnosis.evidence.loss_levels import LossLevel, loss_levels
from gradscope.diagnosis.evidence.loss_terms import LossTerm, loss_terms
from gradscope.diagnosis.evidence.loss_trend import LossTrend, loss_trend
from gradscope.diagnosis.evidence.memories import Memory, memories
from gradscope.diagnosis.evidence.nonfinite import Nonfinite, Occurrence, nonfinite
from gradscope.diagnosis.evidence.optimizer_groups import OptimizerGroup, optimizer_groups
from gradscope.diagnosis.evidence.output_spread import OutputSpread, output_spread, output_spreads
from gradscope.diagnosis.evidence.penalty import Penalty, penalty
from gradscope.diagnosis.evidence.reduction_ratio import reduction_ratio
from gradscope.diagnosis.evidence.shut_out import ShutOut, shut_out
from gradscope.diagnosis.evidence.siblings import Sibling, siblings
from gradscope.diagnosis.evidence.standstill import Standstill, standstill
from gradscope.diagnosis.evidence.travel import Travel, travel
from gradscope.diagnosis.evidence.window import Window, window
from gradscope.diagnosis.rule import NotJudged
from gradscope.run import Run

__all__ = [
    "EVIDENCE",
    "BatchNorm",
    "Branch",
    "CalledLoss",
    "Clipping",
    "ConstantAnswer",
    "Disconnection",
    "EffectiveStep",
    "Evidence",
    "ExampleSpread",
    "Flow",
    "GlobalGradient",
    "InputScale",
    "Kernel",
    "Layer",
    "LayerGain",
    "LearningRate",
    "LossLevel",
    "LossTerm",
    "LossTrend",
    "Memory",
    "Nonfinite",
    "Occurrence",
    "OptimizerGroup",
    "OutputSpread",
    "Penalty",
    "ShutOut",
    "Sibling",
    "Standstill",
    "Travel",
    "Window",
]


def _run(run: Run) -> Run:
    """The run itself."""
    return run


_FUNCTIONS = (
    layers,
    nonfinite,
    window,
    called_loss,
    constant_answer,
    kernels,
    gains,
    penalty,
    memories,
    siblings,
    flow,
    branches,
    loss_trend,
    global_gradient,
    output_spread,
    output_spreads,
    loss_terms,
    loss_levels,
    disconnections,
    example_spread,
    shut_out,
    input_scale,
    batch_norms,
    clipping,
    effective_step,
    elasticity,
    fresh_start,
    learning_rate,
    reduction_ratio,
    standstill,
    travel,
    optimizer_groups,
)
EVIDENCE: dict[str, Callable[..., Any]] = {"run": _run, **{function.__name__: function for function in _FUNCTIONS}}
"""``{name: function}``: everything a rule may name as a parameter of ``check``."""


class Evidence:
    """The evidence of one run, each piece computed when first asked for.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> evidence = Evidence(toy_run())
        >>> [layer.name for layer in evidence["layers"]]
        ['hidden_1', 'hidden_2', 'output']
    """

    def __init__(self, run: Run) -> None:
        """Hold the run; nothing is computed yet."""
        self._known: dict[str, Any] = {"run": run}

    def __getitem__(self, name: str) -> Any:
        """The evidence of that name.

        Raises:
            KeyError: there is no such evidence.
            NotJudged: the run does not hold what it takes; the text says what is missing.
        """
        if name not in self._known:
            function = EVIDENCE[name]
            try:
                self._known[name] = function(**{need: self[need] for need in inspect.signature(function).parameters})
            except NotJudged as reason:
                self._known[name] = reason
        if isinstance(self._known[name], NotJudged):
            raise self._known[name]
        return self._known[name]
