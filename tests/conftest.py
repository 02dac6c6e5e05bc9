"""The small recorded runs that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

LOGS = Path(__file__).parent.parent / "logs" / "autoencoder"


@pytest.fixture(scope="session")
def autoencoder_logs():
    """The folder of the three committed runs."""
    return LOGS


@pytest.fixture(scope="session")
def three_layer(autoencoder_logs):
    """The run that does not learn."""
    return autoencoder_logs / "three_layer"
