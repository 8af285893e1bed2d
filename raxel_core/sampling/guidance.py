"""Classifier-free guidance over an ordered chain of conditions (text, sources, or both)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

from .sampler import Denoise, Streams
from .schedule import Sigmas


def guided(chain: Sequence[Denoise], scales: Sequence[float]) -> Denoise:
    """Combine denoisers ordered from the least to the most conditioned; `scales` has one entry per added condition.

    With denoisers D0 (no condition), D1 (sources), D2 (sources and text) and scales (s1, s2):
    D = D0 + s1 (D1 - D0) + s2 (D2 - D1), the two-condition form of classifier-free guidance (Ho and Salimans 2022;
    Brooks et al. 2023, eq. 3). Written as one weighted sum, a denoiser whose weight is 0 is never evaluated: with every
    scale at 1 the result is the last denoiser itself, at one evaluation a step.
    Raises ValueError when the lengths do not fit.
    """
    if len(scales) != len(chain) - 1:
        raise ValueError(f"{len(chain)} denoisers need {len(chain) - 1} guidance scales, got {len(scales)}")
    bounds = (1.0, *scales, 0.0)
    weights = [here - after for here, after in pairwise(bounds)]
    terms = [(weight, denoise) for weight, denoise in zip(weights, chain, strict=True) if weight != 0.0]
    if len(terms) == 1:
        return terms[0][1]

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        weighted = [Streams(*(weight * stream for stream in conditioned(x, sigmas))) for weight, conditioned in terms]
        return reduce(_sum, weighted)

    return denoise


def _sum(a: Streams, b: Streams) -> Streams:
    """Add two pairs of streams."""
    return Streams(a.video + b.video, a.rays + b.rays)
