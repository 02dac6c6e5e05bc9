"""The version, in one place: reading it from installed metadata would cost each command 28 ms."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
