"""Program: one training program with its label. `pair` registers a sick one and its healthy twin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from zoo.task import Task

__all__ = ["Family", "Program", "registered"]

_PROGRAMS: dict[str, Program] = {}


@dataclass(frozen=True)
class Program:
    """One training program: what it trains, and what is wrong with it."""

    name: str
    """``family/pair/healthy`` or ``family/pair/sickness``."""
    family: str
    sick: bool
    sickness: str
    """What is wrong, in a word or two; that of the twin for a healthy one."""
    twin: str
    """Name of the other program of the pair."""
    causes: frozenset[str]
    """Acceptable root causes, as ``rule`` or ``rule:variant``; empty for a healthy one."""
    layers: frozenset[str]
    """Acceptable layers; empty where the sickness is of the whole network."""
    half: str
    """``think`` or ``test``."""
    level: float
    """Skill that the healthy one must reach, 0 chance to 1 perfect."""
    every: int | None
    """Sampling interval of the recorder; None for the default schedule."""
    make: Callable[[int], Task]
    """Builds the model and its data from a seed; `zoo.task.Task.train` then trains it."""


def registered() -> tuple[Program, ...]:
    """All programs of the families imported so far."""
    return tuple(_PROGRAMS.values())


class Family:
    """A family of networks, all of one half: whoever thinks out a rule has seen none of the families to test on.

    Args:
        name: the family.
        half: ``think``, or ``test`` until a verdict on one of its programs has been looked at.
    """

    def __init__(self, name: str, half: str) -> None:
        self.name = name
        self.half = half

    def pair(
        self,
        name: str,
        build: Callable[..., Task],
        *,
        sickness: str,
        sick: dict[str, Any],
        causes: Iterable[str],
        layers: Iterable[str] = (),
        healthy: dict[str, Any] | None = None,
        level: float = 0.5,
        every: int | None = None,
    ) -> None:
        """Register ``build(seed, **healthy)`` and its sick twin ``build(seed, **healthy, **sick)``."""
        well = dict(healthy or {})
        names = {False: f"{self.name}/{name}/healthy", True: f"{self.name}/{name}/{sickness}"}
        for ill in (False, True):
            arguments = {**well, **sick} if ill else well
            if names[ill] in _PROGRAMS:
                raise ValueError(f"two programs are named {names[ill]}")
            _PROGRAMS[names[ill]] = Program(
                name=names[ill],
                family=self.name,
                sick=ill,
                sickness=sickness,
                twin=names[not ill],
                causes=frozenset(causes) if ill else frozenset(),
                layers=frozenset(layers) if ill else frozenset(),
                half=self.half,
                level=level,
                every=every,
                make=lambda seed, arguments=arguments: build(seed, **arguments),
            )
