"""How numbers and names are written in the sentences of findings."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["among", "number", "of_layers", "shares", "span"]


def number(value: float) -> str:
    """Two significant digits: ``0.0031``, ``3.1e-06``, ``12``, ``1.2e+05``.

    Example:
        >>> number(0.00312), number(3.12e-6), number(1234.0)
        ('0.0031', '3.1e-06', '1200')
    """
    if 100 <= abs(value) < 1e4:
        return f"{float(f'{value:.2g}'):.0f}"
    return f"{value:.2g}"


def span(values: Sequence[float]) -> str:
    """``0.1 to 0.4``, or one number where both ends read alike."""
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def among(names: Sequence[str], most: int = 4) -> str:
    """``a``, ``a and b``, ``a, b, c and 7 more``."""
    shown, rest = list(names[:most]), len(names) - most
    if rest > 0:
        shown.append(f"{rest} more")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "no layer"


def of_layers(names: Sequence[str]) -> str:
    """`` of a and b``, to stand behind a noun; empty where no layer is named, which means all."""
    return f" of {among(names)}" if names else ""


def shares(fractions: Sequence[float]) -> str:
    """Fractions in per cent: ``62 %``, ``62 % to 75 %``."""
    low, high = f"{100 * min(fractions):.0f} %", f"{100 * max(fractions):.0f} %"
    return low if low == high else f"{low} to {high}"
