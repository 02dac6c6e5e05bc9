"""Singular values of a large matrix that is known only by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "golub_kahan_lanczos"]

FloatArray = npt.NDArray[np.floating]
Product = Callable[[FloatArray], FloatArray]

_VANISHED = 1e-6  # of the largest coefficient so far: float32 products carry no more than rounding beyond it


@dataclass(frozen=True)
class Estimate:
    """What one start vector each says of ``[m]`` matrices; all arrays float64 ``[m]``.

    ``mean`` and ``mean_square`` are unbiased over random start vectors. ``largest`` is a lower bound that lies within
    ``largest_error`` of a true singular value, ``smallest`` an upper bound of the smallest one.
    """

    mean: FloatArray
    mean_square: FloatArray
    largest: FloatArray
    largest_error: FloatArray
    smallest: FloatArray


def golub_kahan_lanczos(forth: Product, back: Product, start: FloatArray, steps: int) -> Estimate:
    """Stochastic Lanczos quadrature on the Golub-Kahan bidiagonalisation of ``m`` matrices at once.

    Each matrix A is taken to U B Vᵀ with B of size ``steps``. The singular values of B are the nodes of a Gauss
    quadrature whose weights are the squared first components of its right singular vectors; the mean of g(σ) over all
    singular values σ of A is the expectation of that quadrature over start vectors on the unit sphere.

    Args:
        forth: ``[m, n] -> [m, k]``, the products A v.
        back: ``[m, k] -> [m, n]``, the products Aᵀ u.
        start: ``[m, n]``, random, not zero; n should be the shorter side, so that no singular value is counted that is
            zero for want of rows.
        steps: size of B, at most n.

    References:
        Golub & Kahan 1965; Ubaru, Chen & Saad 2017, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature.
    """
    v: FloatArray = start / np.linalg.norm(start, axis=1, keepdims=True)
    rights: list[FloatArray] = [v]
    lefts: list[FloatArray] = []
    diagonal: list[FloatArray] = []
    beside: list[FloatArray] = []
    for step in range(steps):
        product = forth(v)
        u = product - beside[-1][:, None] * lefts[-1] if step else product
        u, alpha = _unit(_orthogonal(u, lefts), diagonal)
        lefts.append(u)
        diagonal.append(alpha)
        v, beta = _unit(_orthogonal(back(u) - alpha[:, None] * v, rights), diagonal)
        rights.append(v)
        beside.append(beta)
    bidiagonal = np.zeros((len(v), steps, steps))
    places = np.arange(steps)
    bidiagonal[:, places, places] = np.stack(diagonal, axis=1)
    bidiagonal[:, places[:-1], places[1:]] = np.stack(beside, axis=1)[:, :-1]
    left, values, right = np.linalg.svd(bidiagonal)
    weights = right[:, :, 0] ** 2
    return Estimate(
        mean=(weights * values).sum(axis=1),
        mean_square=(weights * values**2).sum(axis=1),
        largest=values[:, 0],
        largest_error=beside[-1] * np.abs(left[:, -1, 0]),
        smallest=values[:, -1],
    )


def _orthogonal(vectors: FloatArray, others: list[FloatArray]) -> FloatArray:
    """Twice is enough (Parlett): rounding would bring converged directions back in."""
    if not others:
        return vectors
    basis = np.stack(others, axis=1)
    for _ in range(2):
        shadow = np.einsum("mn,mkn->mk", vectors, basis)
        vectors = vectors - np.einsum("mk,mkn->mn", shadow, basis)
    return vectors


def _unit(vectors: FloatArray, diagonal: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Unit vectors and their lengths; of a length that is only rounding, zeros."""
    length = np.linalg.norm(vectors, axis=1)
    scale = np.max(diagonal, axis=0) if diagonal else length
    length = np.where(length > _VANISHED * scale, length, 0.0)
    return vectors / np.where(length > 0, length, np.inf)[:, None], length
