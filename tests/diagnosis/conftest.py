from __future__ import annotations

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


def _load(name: str):
    if name not in sys.modules:
        spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_load("simulation")
_networks = _load("networks")


@pytest.fixture(scope="session")
def trained():
    """``trained(name)``: the run of a network of `networks.NETWORKS`, trained once per session."""
    return cache(lambda name: _networks.NETWORKS[name]())
