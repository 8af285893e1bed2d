"""Solvers: straight flows exact, curved flows at their order, given streams untouched, noise by seed."""

from __future__ import annotations

import math

import pytest
import torch

from raxel_core.sampling import (
    NonFiniteLatentsError,
    PairSchedule,
    Sigmas,
    Streams,
    camera_schedule,
    draw_noise,
    joint_schedule,
    pose_schedule,
    sample_euler,
    sample_multistep,
    shifted_sigmas,
    solver_for,
)

SAMPLERS = [sample_euler, sample_multistep]
VIDEO_SHAPE, RAY_SHAPE = (2, 4, 3, 4, 6), (2, 4, 3, 2, 3)


def _data() -> Streams:
    generator = torch.Generator().manual_seed(11)
    return Streams(torch.randn(VIDEO_SHAPE, generator=generator), torch.randn(RAY_SHAPE, generator=generator))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_a_straight_flow_is_solved_exactly_in_any_number_of_steps(sampler, steps: int) -> None:
    """Where every noise leads to one data point the velocity is constant: 1 step and N steps agree to 1e-6."""
    data = _data()
    noise = draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=0)
    schedule = joint_schedule(steps, min(2, steps), shift=3.0)
    result = sampler(lambda x, sigmas: data, noise, schedule)
    torch.testing.assert_close(result.video, data.video, rtol=0, atol=1e-6)
    torch.testing.assert_close(result.rays, data.rays, rtol=0, atol=1e-6)


def _gaussian_error(sampler, steps: int) -> float:
    """Relative error on Gaussian data of standard deviation s, whose exact flow is x(sigma) = x(1) c(sigma) / c(1)
    with c(sigma) = sqrt((1 - sigma)^2 s^2 + sigma^2): the posterior mean of the data is x (1 - sigma) s^2 / c^2.
    """
    spread = 0.5

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        def posterior_mean(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
            variance = ((1 - sigma) * spread) ** 2 + sigma**2
            return noisy * (1 - sigma) * spread**2 / variance

        return Streams(posterior_mean(x.video, sigmas.video), posterior_mean(x.rays, sigmas.rays))

    start = Streams(torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    schedule = PairSchedule(shifted_sigmas(steps), shifted_sigmas(steps, shift=2.0))
    result = sampler(denoise, start, schedule)
    return abs(float(result.video) - spread) / spread + abs(float(result.rays) - spread) / spread


@pytest.mark.parametrize(("sampler", "order"), [(sample_euler, 1.0), (sample_multistep, 2.0)])
def test_convergence_order_on_a_curved_flow(sampler, order: float) -> None:
    coarse, fine = _gaussian_error(sampler, 256), _gaussian_error(sampler, 512)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)


def test_the_second_order_earns_its_place_at_equal_cost() -> None:
    assert _gaussian_error(sample_multistep, 10) < 0.2 * _gaussian_error(sample_euler, 10)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", [pose_schedule(3), camera_schedule(3)])
def test_a_given_stream_comes_back_bit_identical(sampler, schedule: PairSchedule) -> None:
    given = _data()
    rounding = Streams(given.video * (1 + 1e-6), given.rays * (1 + 1e-6))  # a denoiser that rounds the given stream
    result = sampler(lambda x, sigmas: rounding, given, schedule)
    assert torch.equal(result.video, given.video) == (schedule.start.video == 0.0)
    assert torch.equal(result.rays, given.rays) == (schedule.start.rays == 0.0)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_stream_follows_its_own_noise_levels(sampler) -> None:
    """Once the rays are done, they stay as they are while the video goes on."""
    seen: list[Sigmas] = []

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        seen.append(sigmas)
        return Streams(x.video * 0.5, x.rays * 0.5)

    schedule = joint_schedule(5, 2)
    sampler(denoise, draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=1), schedule)
    assert [sigma.rays for sigma in seen] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert [sigma.video for sigma in seen] == schedule.video[:-1].tolist()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_arguments_are_not_changed(sampler) -> None:
    noise = draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=2)
    before = Streams(noise.video.clone(), noise.rays.clone())
    sampler(lambda x, sigmas: Streams(x.video * 0.9, x.rays * 0.9), noise, joint_schedule(3))
    assert torch.equal(noise.video, before.video)
    assert torch.equal(noise.rays, before.rays)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("stream", "value"), [("video", float("nan")), ("rays", float("inf"))])
def test_latents_that_are_not_finite_name_their_stream_and_step(sampler, stream: str, value: float) -> None:
    calls = 0

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        nonlocal calls
        calls += 1
        return x._replace(**{stream: torch.full_like(getattr(x, stream), value)}) if calls == 2 else x

    with pytest.raises(NonFiniteLatentsError, match=f"the {stream} latents contain NaN or infinity after step 2 of 4"):
        sampler(denoise, _data(), joint_schedule(4))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_start_that_is_not_finite_is_named_before_any_evaluation(sampler) -> None:
    start = _data()._replace(rays=torch.full(RAY_SHAPE, float("nan")))
    with pytest.raises(NonFiniteLatentsError, match="the rays latents contain NaN or infinity before step 1 of 2"):
        sampler(lambda x, sigmas: pytest.fail("evaluated"), start, pose_schedule())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_progress_counts_the_steps_and_can_end_the_run(sampler) -> None:
    counted: list[tuple[int, int]] = []
    sampler(
        lambda x, sigmas: x, _data(), camera_schedule(3), progress=lambda done, total: counted.append((done, total))
    )
    assert counted == [(1, 3), (2, 3), (3, 3)]

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler(lambda x, sigmas: x, _data(), camera_schedule(3), progress=interrupt)


def test_noise_is_fixed_by_the_seed_and_video_comes_first() -> None:
    first, again = draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=7), draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=7)
    assert torch.equal(first.video, again.video)
    assert torch.equal(first.rays, again.rays)
    other_grid = draw_noise(VIDEO_SHAPE, (2, 4, 3, 8, 8), seed=7)
    assert torch.equal(first.video, other_grid.video)
    assert not torch.equal(first.video, draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=8).video)
    # The bytes themselves are a promise: a saved seed must give the same result next year.
    assert first.video.flatten()[:3].tolist() == pytest.approx([-0.82013, 0.39563, 0.89891], abs=1e-4)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_beyond_64_bits_is_refused(seed: int) -> None:
    draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=2**64 - 1)
    with pytest.raises(ValueError, match=rf"a seed is a whole number from 0 to 2\^64 - 1, got {seed}"):
        draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=seed)


@pytest.mark.parametrize("name", ["euler", "multistep"])
def test_an_antithetic_pair_cancels_what_the_rays_owe_to_their_noise(name: str) -> None:
    """Of the answer 2 + 0.3 x^2 + 5 x to noise x the odd part goes and the even one stays; a step is still a step."""
    noise = draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=3)
    video, seen = torch.ones(VIDEO_SHAPE), []

    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        seen.append(x.video is video)
        return Streams(x.video * 7, 2.0 + 0.3 * x.rays**2 + 5.0 * x.rays)

    steps = []
    solve = solver_for(name, pose_schedule(1), antithetic=True)
    made = solve(
        denoise, Streams(video, noise.rays), pose_schedule(1), progress=lambda done, all: steps.append((done, all))
    )
    torch.testing.assert_close(made.rays, 2.0 + 0.3 * noise.rays**2, rtol=0, atol=1e-5)
    assert made.video is video and seen == [True, True] and steps == [(1, 1)]


@pytest.mark.parametrize("name", ["euler", "multistep"])
def test_an_antithetic_pair_is_the_mean_of_two_runs_of_each_clip(name: str) -> None:
    def denoise(x: Streams, sigmas: Sigmas) -> Streams:
        return Streams(x.video, torch.tanh(x.rays + x.video.mean((1, 2, 3, 4), keepdim=True)) * (2.0 - sigmas.rays))

    noise, schedule = draw_noise(VIDEO_SHAPE, RAY_SHAPE, seed=4), pose_schedule(3)
    single, pair = (solver_for(name, schedule, antithetic=flag) for flag in (False, True))
    plus, minus = (single(denoise, Streams(noise.video, rays), schedule).rays for rays in (noise.rays, -noise.rays))
    made = pair(denoise, noise, schedule).rays
    torch.testing.assert_close(made, (plus + minus) / 2, rtol=0, atol=1e-6)
    assert not torch.allclose(made, plus, atol=1e-3)


@pytest.mark.parametrize(
    "schedule",
    [
        camera_schedule(2),
        joint_schedule(2),
        PairSchedule(torch.zeros(3, dtype=torch.float64), 0.5 * pose_schedule(2).rays),
    ],
    ids=["camera", "joint", "rays that are half known"],
)
def test_only_rays_of_a_given_video_that_start_as_noise_are_antithetic(schedule: PairSchedule) -> None:
    assert solver_for("euler", schedule, antithetic=True) is sample_euler
    assert solver_for("euler", pose_schedule(2), antithetic=False) is sample_euler
    assert solver_for("euler", pose_schedule(2), antithetic=True) is not sample_euler
