"""The objective's conventions: what the network is shown, what it is asked for, and what a wrong answer costs.

Clips of noise in a lossless code, a network that answers what it is told, and the equations again in float64. Each sign,
mask, time and pose that is turned round fails a test here: `mutants.py` turns them round.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model.config import RaxelConfig
from raxel_core.training.config import TASKS, TrainConfig
from raxel_core.training.data import clips_of_frames, render_clips
from raxel_core.training.loss import canonical_cameras, draw_sigmas, flow_loss, make_example
from raxel_core.training.scene_sets import SCENE_SETS
from raxel_core.training.synthetic import SPLITS
from tests.oracle import CHANNELS, FRAMES, HW, LosslessVAE, lossless_recipe

BATCH, VAE = 3, LosslessVAE()
SPREAD = tuple(np.linspace(0.2, 1.4, CHANNELS))
RECIPE = replace(lossless_recipe(), video_statistics=LatentStatistics((0.1,) * CHANNELS, SPREAD))
CONFIG = TrainConfig(
    name="objective", steps=10, frames=FRAMES, hw=HW, batch=BATCH, clips=BATCH, shard_clips=BATCH, scenes=(("room", 1.0),),
    model=RaxelConfig(24, 48, 2, 2, in_channels=CHANNELS, patch=(1, 1, 1), text_dim=None), cosine_weight=0.7,
    bundle_weight=0.6, video_shift=3.0, far_source_share=0.5, pure_noise_share=0.25,
)  # fmt: skip


class Told:
    """A network that answers with the given velocities and keeps what it was shown."""

    def __init__(self, video, rays):
        self.answer, self.shown = (video, rays), {}

    def __call__(self, video, rays, video_sigma, ray_sigma, **times):
        self.shown = {"video": video, "rays": rays, "video_sigma": video_sigma, "ray_sigma": ray_sigma, **times}
        given = [x[:, :, answer.shape[2] :] for x, answer in zip((video, rays), self.answer, strict=True)]
        return tuple(
            torch.cat([answer, torch.full_like(extra, 1e3)], 2)  # what it says of given frames must not count
            for answer, extra in zip(self.answer, given, strict=True)
        )


@pytest.fixture(scope="module")
def clips():
    """Three clips of noise, cameras that turn, move and zoom, a near depth for each frame, images of three frames."""
    generator = torch.Generator().manual_seed(5)
    video = torch.rand(BATCH, 3, FRAMES, *HW, generator=generator) * 2 - 1
    twist = 0.3 * torch.randn(BATCH, FRAMES, 6, generator=generator) + torch.tensor([0.0, 0.4, 0.0, 1.0, -0.5, 0.2])
    K = K_from_fov(torch.linspace(0.8, 1.3, BATCH * FRAMES).view(BATCH, FRAMES), HW)
    near = torch.linspace(0.8, 3.0, BATCH * FRAMES).view(BATCH, FRAMES)
    frames = torch.tensor([[0, 2, 4], [0, 3, 1], [0, 4, 2]])
    images = torch.stack([video[b][:, frames[b]] for b in range(BATCH)])
    coded = torch.cat([VAE.encode(image) for image in images.split(1, 2)], 2)
    return clips_of_frames(VAE.encode(video), coded, frames, Camera(se3.exp(twist), K, HW), near)


def example_of(clips, task, seed=0, **change):
    """The first example of a task, with sources, from `seed` on."""
    shares = tuple(float(name == task) for name in TASKS)
    config = replace(CONFIG, task_shares=shares, **change)
    for number in range(seed, seed + 200):
        found = make_example(clips, config, RECIPE, VAE, torch.Generator().manual_seed(number))
        if found.sources.shape[2]:
            return found
    raise AssertionError("no example with sources in 200")


def answered(example, seed=0, config=CONFIG):
    """The loss of random velocities under random noise: parts, network, noise."""
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(2, *x.shape, generator=generator) for x in (example.video, example.rays)]
    noise = (draws[0][0], draws[1][0])
    network = Told(draws[0][1], draws[1][1])
    return flow_loss(network, example, noise, config, RECIPE, VAE), network, noise


def flow_equation(velocity, clean, noise, weight, lam):
    """Mean of the squared error over all numbers plus lambda (1 - cosine) over tokens, in float64."""
    u = weight * (np.asarray(noise, np.float64) - np.asarray(clean, np.float64))
    v = weight * np.asarray(velocity, np.float64)
    cosine = (u * v).sum(1) / (np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1))
    return ((v - u) ** 2).mean() + lam * (1 - cosine).mean()


def column(values):
    return np.asarray(values, np.float64)[None, :, None, None, None]


@pytest.mark.parametrize("task", TASKS)
def test_the_network_is_shown_noise_at_its_levels_and_clean_sources_at_their_times(clips, task):
    example = example_of(clips, task, seed=7)
    _, network, noise = answered(example)
    shown, frames, sources = network.shown, example.video.shape[2], example.sources.shape[2]
    for name, clean, drawn, level in (
        ("video", example.video, noise[0], example.video_sigma), ("rays", example.rays, noise[1], example.ray_sigma),
    ):  # fmt: skip
        s = level[:, None, None, None, None]
        assert torch.allclose(shown[name][:, :, :frames], (1 - s) * clean + s * drawn, atol=1e-6)
    assert torch.equal(shown["video_sigma"][:, :frames], example.video_sigma[:, None].expand(-1, frames))
    assert torch.equal(shown["ray_sigma"][:, :frames], example.ray_sigma[:, None].expand(-1, frames))
    assert torch.equal(shown["video"][:, :, frames:], example.sources)
    assert shown["video_sigma"][:, frames:].eq(0).all() and shown["video_sigma"].shape[1] == frames + sources
    assert torch.equal(shown["video_time"], torch.cat([torch.arange(frames).expand(BATCH, -1), example.source_time], 1))
    assert torch.equal(shown["rays"][:, :, frames:], example.source_rays)
    assert shown["ray_sigma"][:, frames:].eq(0).all()
    known = example.source_rays.shape[2]
    assert torch.equal(shown["ray_time"][:, frames:], example.source_time[:, :known])


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_is_the_equation_of_the_noised_streams_alone(clips, task):
    example = example_of(clips, task, seed=3)
    parts, network, noise = answered(example)
    assert ("video" in parts) == (task != "pose") and ("rays" in parts) == (task != "camera")
    visible = column(np.array(SPREAD) / np.mean(SPREAD))
    total = 0.0
    if task != "pose":
        equation = flow_equation(network.answer[0], example.video, noise[0], visible, CONFIG.cosine_weight)
        assert float(parts["video"]) == pytest.approx(equation, rel=2e-3)
        total += equation
    if task != "camera":
        equation = flow_equation(network.answer[1], example.rays, noise[1], 1.0, CONFIG.cosine_weight)
        assert float(parts["rays"]) == pytest.approx(equation, rel=2e-3)
        total += equation + 0.2 * sum(float(parts[name]) for name in ("rotation", "translation", "focal"))
    assert float(parts["loss"]) == pytest.approx(total, rel=2e-3)


def test_the_cosine_alone_falls_as_the_answer_turns_to_the_truth(clips):
    """From the opposite over a right angle to the truth, at one length: 2, 1 and 0 times lambda."""
    example = example_of(clips, "camera")
    noise = (torch.randn(example.video.shape, generator=torch.Generator().manual_seed(1)), example.rays)
    truth = noise[0] - example.video
    found = {}
    for name, answer in {"opposite": -truth, "truth": truth}.items():
        for weight in (0.0, 1.0):
            network = Told(answer, example.rays)
            config = replace(CONFIG, cosine_weight=weight)
            found[name, weight] = float(flow_loss(network, example, noise, config, RECIPE, VAE)["video"])
    assert found["opposite", 1.0] - found["opposite", 0.0] == pytest.approx(2.0, rel=2e-2)
    assert found["truth", 1.0] == pytest.approx(0.0, abs=2e-2) and found["truth", 0.0] == pytest.approx(0.0, abs=1e-9)


def test_the_denoised_error_is_that_of_the_picture(clips):
    example = example_of(clips, "camera")
    config = replace(CONFIG, video_error="denoised", cosine_weight=0.0)
    parts, network, noise = answered(example, config=config)
    sigma = np.asarray(example.video_sigma, np.float64)[:, None, None, None, None]
    weight = sigma * column(np.array(SPREAD) / np.mean(SPREAD))
    equation = flow_equation(network.answer[0], example.video, noise[0], weight, 0.0)
    assert float(parts["video"]) == pytest.approx(equation, rel=1e-4)


@pytest.mark.parametrize(("task", "silent"), [("pose", 0), ("camera", 1)])
def test_a_given_stream_is_asked_for_nothing(clips, task, silent):
    example = example_of(clips, task)
    answers = [torch.randn(x.shape, requires_grad=True) for x in (example.video, example.rays)]
    noise = (torch.randn_like(example.video), torch.randn_like(example.rays))
    flow_loss(Told(*answers), example, noise, CONFIG, RECIPE, VAE)["loss"].backward()
    assert answers[silent].grad is None or not answers[silent].grad.any()
    asked = answers[1 - silent].grad
    assert asked.abs().flatten(3).sum(-1).gt(0).all()  # of every frame and channel


def test_cameras_are_read_off_the_denoised_rays_and_an_error_costs_what_it_measures(clips):
    """Rays that denoise to cameras turned by omega and moved by a shift: pseudo-Huber of those over their units, at
    whatever noise level the answer is given."""
    example = example_of(clips, "pose")
    omega, shift = torch.tensor([0.02, -0.01, 0.03]), torch.tensor([-0.02, 0.05, 0.01])
    bundle = 2.0 * example.raxels  # o + d
    middle = bundle - example.camera.center.mT[..., None, None]
    turned = torch.einsum("ij,bjfhw->bifhw", se3.so3_exp(omega) - torch.eye(3), middle)
    wrong = 0.5 * (bundle + turned + shift[:, None, None, None])
    target = RECIPE.ray_statistics.normalize(VAE.encode(wrong))
    noise = (torch.randn_like(example.video), torch.randn_like(example.rays))
    level = example.ray_sigma[:, None, None, None, None]
    noisy = (1 - level) * example.rays + level * noise[1]
    parts = flow_loss(Told(example.video, (noisy - target) / level), example, noise, CONFIG, RECIPE, VAE)
    for name, size, unit in (("rotation", omega.norm(), 0.1), ("translation", shift.norm(), 0.1)):
        assert float(parts[name]) == pytest.approx(float(torch.sqrt(1 + (size / unit) ** 2) - 1), rel=0.06), name
    assert float(parts["focal"]) < 1e-3
    exact = flow_loss(
        Told(example.video, (noisy - example.rays) / level), example, noise, CONFIG, RECIPE, VAE
    )  # fmt: skip
    assert float(exact["loss"]) < 1e-3


def test_sources_are_pictures_of_their_frames_at_their_times(clips):
    video = VAE.decode(clips.video)
    seen = set()
    for seed in range(12):
        example = example_of(clips, "joint", seed=seed * 7)
        raw = RECIPE.video_statistics.denormalize(example.sources)
        for b in range(BATCH):
            for n, time in enumerate(example.source_time[b].tolist()):
                frame = 0 if time == 0 else round(4 * time - 1.5)
                seen.add(frame)
                picture = VAE.decode(raw[b : b + 1, :, n : n + 1])[0, :, 0]
                assert torch.allclose(picture, video[b, :, frame], atol=1e-4)
    assert seen == set(range(FRAMES))


def test_clips_are_normalised_and_their_rays_are_those_of_their_cameras(clips):
    example = example_of(clips, "joint")
    video = (np.asarray(clips.video, np.float64) - 0.1) / column(SPREAD)
    assert np.allclose(example.video, video, atol=1e-4)
    raxels = VAE.decode(RECIPE.ray_statistics.denormalize(example.rays))
    assert torch.allclose(raxels, example.raxels, atol=1e-5)
    grid = example.raxels.shape[-2:]
    for b, f, row, col in ((0, 0, 0, 0), (1, 3, 5, 20), (2, 4, 15, 23)):
        camera = example.camera[b, f]
        K = np.asarray(camera.K, np.float64)
        # pixel centres at + 0.5, corners of the grid and of the video alike
        pixel = np.array([(col + 0.5) * HW[1] / grid[1], (row + 0.5) * HW[0] / grid[0], 1.0])
        direction = np.linalg.solve(K, pixel)
        direction = np.asarray(camera.rotation, np.float64) @ (direction / np.linalg.norm(direction))
        expected = 0.5 * (np.asarray(camera.center, np.float64) + direction)
        assert np.allclose(example.raxels[b, :, f, row, col], expected, atol=1e-5)


def test_known_cameras_of_sources_are_the_rays_of_those_frames(clips):
    known = next(
        found for seed in range(60) if (found := example_of(clips, "joint", seed=seed)).source_rays.shape[2]
    )  # fmt: skip
    raw = RECIPE.ray_statistics.denormalize(known.source_rays)
    for b in range(BATCH):
        for n in range(known.source_rays.shape[2]):
            time = float(known.source_time[b, n])
            frame = 0 if time == 0 else round(4 * time - 1.5)
            raxel = VAE.decode(raw[b : b + 1, :, n : n + 1])[0, :, 0]
            assert torch.allclose(raxel, known.raxels[b, :, frame], atol=1e-5)


def test_cameras_are_seen_from_the_reference_in_units_of_its_near_depth(clips):
    reference = torch.tensor([0, 3, 4])
    found = canonical_cameras(clips.camera, clips.near_depth, reference)
    for b in range(BATCH):
        world = np.asarray(clips.camera.world_from_cam[b], np.float64)
        relative = np.linalg.inv(world[reference[b]]) @ world
        relative[:, :3, 3] /= float(clips.near_depth[b, reference[b]])
        assert np.allclose(found.world_from_cam[b], relative, atol=1e-5)
    assert torch.equal(found.K, clips.camera.K)
    near = canonical_cameras(clips.camera, torch.full_like(clips.near_depth, 0.01), reference)
    assert torch.allclose(
        near.center * 0.3, found.center * clips.near_depth[range(BATCH), reference][:, None, None], atol=1e-5
    )


def test_noise_levels_have_the_shift_and_the_shares_they_are_told():
    generator = torch.Generator().manual_seed(0)
    video, rays = draw_sigmas("joint", 20_000, CONFIG, generator)
    # sigma = 3 u / (1 + 2 u): quartiles of u at 1/2, 3/4 and 9/10
    quartiles = torch.quantile(video, torch.tensor([0.25, 0.5, 0.75]))
    assert torch.allclose(quartiles, torch.tensor([0.5, 0.75, 0.9]), atol=0.012)
    pure = rays.eq(1)
    assert float(pure.float().mean()) == pytest.approx(CONFIG.pure_noise_share, abs=0.012)
    assert float(rays[~pure].mean()) == pytest.approx(0.51, abs=0.01) and float(video.min()) == pytest.approx(0.02)
    assert float(torch.corrcoef(torch.stack([video[~pure], rays[~pure]]))[0, 1]) == pytest.approx(0.0, abs=0.03)
    shared = draw_sigmas("joint", 100, replace(CONFIG, shared_sigma=True), generator)
    assert torch.equal(*shared) and len(shared[0].unique()) > 50
    assert draw_sigmas("pose", 4, CONFIG, generator)[0].eq(0).all()
    assert draw_sigmas("camera", 4, CONFIG, generator)[1].eq(0).all()


def test_a_clip_run_backwards_is_seen_by_its_cameras_run_backwards():
    """Every second clip of a pool is reversed: pictures, cameras, near depths and the numbers of its images alike."""
    first = SPLITS["train"].start
    config = replace(CONFIG, scenes=(("easy", 1.0),))
    made = render_clips(config, VAE, range(first, first + 2), scenes={"easy": 1.0}, batch=2)
    plain = SCENE_SETS["easy"](range(first, first + 2), frames=FRAMES, hw=HW)
    assert not torch.allclose(plain.camera.world_from_cam[1], plain.camera.world_from_cam[1].flip(0), atol=1e-3)
    for b, order in ((0, [0, 1, 2, 3, 4]), (1, [4, 3, 2, 1, 0])):
        assert torch.allclose(VAE.decode(made.video)[b], plain.video[b][:, order], atol=1e-5)
        assert torch.allclose(made.camera.world_from_cam[b], plain.camera.world_from_cam[b][order])
        assert torch.allclose(made.camera.K[b], plain.camera.K[b][order])
        assert torch.allclose(made.near_depth[b], plain.near_depth[b][order])
        for n, frame in enumerate(made.image_frame[b].long().tolist()):
            picture = VAE.decode(made.images[b : b + 1, :, n : n + 1])[0, :, 0]
            assert torch.allclose(picture, VAE.decode(made.video)[b, :, frame], atol=1e-5)
    assert made.image_frame[:, 0].eq(0).all() and made.image_frame[:, 1:].gt(0).all()
