"""`keras` and `tf`, imported when first used: reading labels must not cost the seconds that TensorFlow takes."""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["keras", "tf"]


class _Lazy:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
        return getattr(importlib.import_module(self._name), attribute)


keras: Any = _Lazy("keras")
tf: Any = _Lazy("tensorflow")
