"""Judging by the settings of the working folder, where a mistake in their file must not end what is going on."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache

from gradscope.configuration import Configuration, find_configuration
from gradscope.diagnosis.engine import diagnose
from gradscope.diagnosis.verdict import Diagnosis
from gradscope.errors import ConfigurationError
from gradscope.run import Run

__all__ = ["diagnose_here"]


def diagnose_here(run: Run) -> Diagnosis:
    """Judge a run, in the midst of a training, of TensorBoard or of a notebook.

    Where the file with the settings cannot be used, the defaults count; `Diagnosis.missing` says so, and so does the
    logger ``gradscope``, once.
    """
    try:
        return diagnose(run, configuration=find_configuration())
    except (ConfigurationError, OSError) as error:
        complaint = f"judged by the default limits: {error}"
        _warn_once(complaint)
        diagnosis = diagnose(run, configuration=Configuration())
        return replace(diagnosis, missing=(*diagnosis.missing, complaint))


@cache
def _warn_once(text: str) -> None:
    logging.getLogger("gradscope").warning("gradscope: %s", text)
