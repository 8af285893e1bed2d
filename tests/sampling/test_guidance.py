"""Guidance: the formula, the identities of its scales, and that nothing is evaluated in vain."""

from __future__ import annotations

import pytest
import torch

from raxel_core.sampling import Denoise, Sigmas, Streams, guided

X = Streams(torch.zeros(2, 3), torch.zeros(2, 1))
SIGMAS = Sigmas(0.5, 0.5)


class Counted:
    """A denoiser that returns one value in both streams and counts its evaluations."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.calls = 0

    def __call__(self, x: Streams, sigmas: Sigmas) -> Streams:
        self.calls += 1
        return Streams(torch.full_like(x.video, self.value), torch.full_like(x.rays, self.value))


def _value(denoise: Denoise) -> float:
    result = denoise(X, SIGMAS)
    assert result.video.shape == X.video.shape
    assert result.rays.shape == X.rays.shape
    assert float(result.video[0, 0]) == pytest.approx(float(result.rays[0, 0]))
    return float(result.video[0, 0])


def test_two_conditions_by_hand() -> None:
    # D0 + s1 (D1 - D0) + s2 (D2 - D1) = 1 + 2 (3 - 1) + 5 (10 - 3) = 40.
    assert _value(guided([Counted(1.0), Counted(3.0), Counted(10.0)], [2.0, 5.0])) == pytest.approx(40.0)


def test_one_condition_by_hand() -> None:
    # 2 + 3 (5 - 2) = 11.
    assert _value(guided([Counted(2.0), Counted(5.0)], [3.0])) == pytest.approx(11.0)


@pytest.mark.parametrize(
    ("scales", "calls"),
    [
        ([1.0, 1.0], [0, 0, 1]),
        ([1.0, 4.0], [0, 1, 1]),
        ([3.0, 3.0], [1, 0, 1]),
        ([3.0, 1.0], [1, 1, 1]),
        ([0.0, 0.0], [1, 0, 0]),
    ],
)
def test_only_denoisers_with_a_weight_are_evaluated(scales: list[float], calls: list[int]) -> None:
    chain = [Counted(1.0), Counted(2.0), Counted(4.0)]
    guided(chain, scales)(X, SIGMAS)
    assert [denoise.calls for denoise in chain] == calls


def test_guidance_that_is_off_is_the_denoiser_itself() -> None:
    conditioned = Counted(2.0)
    assert guided([Counted(1.0), conditioned], [1.0]) is conditioned
    assert guided([conditioned], []) is conditioned


def test_equal_denoisers_are_not_moved_by_any_scale() -> None:
    assert _value(guided([Counted(0.7)] * 3, [6.0, 4.0])) == pytest.approx(0.7)


def test_scales_and_denoisers_must_fit() -> None:
    with pytest.raises(ValueError, match="2 denoisers need 1 guidance scales, got 2"):
        guided([Counted(1.0), Counted(2.0)], [1.0, 2.0])
