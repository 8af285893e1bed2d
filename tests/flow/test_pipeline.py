"""The three tasks and the loop.

An oracle in the network's place knows the true latents and answers with the exact velocity, and a lossless code takes
the VAE's, so that every other step of the flow must return the true cameras and the true video. What the oracle was
asked is checked against the layout of sources, noise levels and times. A small random network shows the rest.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from torch import nn

from raxel_core.denoising import Run, SourceBatch, denoise_rays, denoise_video
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.latents.statistics import LatentStatistics
from raxel_core.model.config import RaxelConfig
from raxel_core.model.transformer import RaxelTransformer, initialize
from raxel_core.pipeline import (
    Reading,
    Settings,
    Source,
    UnreadCamerasError,
    estimate_cameras,
    generate_joint,
    generate_video,
    self_consistency,
    trajectory_warnings,
)
from raxel_core.raxel_model import RaxelModel
from raxel_core.sampling import NonFiniteLatentsError, camera_schedule, pose_schedule
from tests.oracle import CHANNELS, FRAMES, HW, LosslessVAE, lossless_recipe, moving_clip, oracle_model


def _random_model(text_dim: int | None = 8) -> RaxelModel:
    config = RaxelConfig(24, 48, 2, 2, in_channels=CHANNELS, patch=(1, 1, 1), text_dim=text_dim)
    network = RaxelTransformer(config)
    generator = torch.Generator().manual_seed(5)
    initialize(network, gate=0.5, generator=generator)
    for head in (network.video_head, network.ray_head):
        nn.init.normal_(head.head.weight, std=0.05, generator=generator)
    return RaxelModel(network.eval().requires_grad_(False), LosslessVAE(), lossless_recipe())


def _angle(estimate: Camera, truth: Camera) -> float:
    return float(se3.geodesic(estimate.rotation, truth.rotation).max())


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("method", ["robust", "procrustes"])
def test_an_oracle_finds_the_true_cameras(steps: int, method: str) -> None:
    video, camera = moving_clip()
    estimate = estimate_cameras(oracle_model(video, camera), video, Settings(ray_steps=steps), reading=Reading(method))
    found = estimate.trajectory.camera
    assert _angle(found, camera) < 1e-4
    torch.testing.assert_close(found.center, camera.center, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.K, camera.K, rtol=1e-3, atol=1e-3)
    assert found.hw == HW
    assert (estimate.trajectory.fps, estimate.trajectory.unit) == (8.0, "near_depth")
    assert estimate.raxels.shape == (3, FRAMES, 16, 32)
    assert estimate.recovered.inlier_fraction.shape == (FRAMES,)


def test_an_oracle_generates_the_true_video() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    generated = generate_video(model, [Source(video[:, 0])], Trajectory(camera), Settings(steps=3))
    torch.testing.assert_close(generated, video, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["first", "together"])
@pytest.mark.parametrize("solver", ["euler", "multistep"])
def test_an_oracle_generates_both(mode: str, solver: str) -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    result = generate_joint(model, [Source(video[:, 0])], Settings(steps=5, mode=mode, solver=solver))
    torch.testing.assert_close(result.video, video, rtol=0, atol=1e-4)
    assert _angle(result.cameras.trajectory.camera, camera) < 1e-3


def test_an_oracle_closes_the_loop() -> None:
    video, camera = moving_clip()
    counted: list[tuple[int, int]] = []
    result = self_consistency(
        oracle_model(video, camera),
        video,
        Settings(steps=3, progress=lambda done, total: counted.append((done, total))),
    )
    torch.testing.assert_close(result.video, video, rtol=0, atol=1e-5)
    assert _angle(result.first.trajectory.camera, result.second.trajectory.camera) < 1e-5
    assert counted == [(done, 7) for done in range(1, 8)]


def test_the_reference_is_the_earliest_source() -> None:
    """With frame 2 as the source, cameras come back in the frame of camera 2, whatever the clip's own world is."""
    video, camera = moving_clip()
    model = oracle_model(video, camera, reference=2)
    estimate = estimate_cameras(model, video, sources=[Source(video[:, 4], 4), Source(video[:, 2], 2)])
    found, expected = estimate.trajectory.camera, camera.relative_to(camera[2])
    assert _angle(found, expected) < 1e-4
    torch.testing.assert_close(found.center, expected.center, rtol=0, atol=1e-4)


def test_a_known_source_camera_places_the_path_in_its_world() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera, reference=2)
    world_from_ours = se3.exp(torch.tensor([0.3, -0.2, 0.5, 2.0, -1.0, 3.0]))
    placed = replace(camera, world_from_cam=world_from_ours @ camera.world_from_cam)
    sources = [Source(video[:, 2], 2, placed[2].resized((64, 96))), Source(video[:, 4], 4)]
    estimate = estimate_cameras(model, video, sources=sources, reading=Reading(focal="known"))
    torch.testing.assert_close(estimate.trajectory.camera.center, placed.center, rtol=0, atol=1e-4)
    torch.testing.assert_close(estimate.trajectory.camera.K, placed.K, rtol=1e-5, atol=1e-4)


def test_pose_asks_with_a_clean_video_and_noisy_rays() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    estimate_cameras(model, video)
    first, second = model.transformer.questions
    assert torch.equal(first["video"], model.transformer.video)
    assert torch.equal(second["video"], model.transformer.video)
    assert first["video_sigma"].tolist() == [[0.0, 0.0]]
    assert first["ray_sigma"].tolist() == [[1.0, 1.0]]
    assert second["ray_sigma"].tolist() == [[0.5, 0.5]]
    assert first["video_time"].tolist() == first["ray_time"].tolist() == [0.0, 1.0]


def test_sources_are_clean_frames_at_the_end_at_their_own_time() -> None:
    """Frame 3 lies at latent time (3 + 1.5) / 4; the known camera of frame 0 is an extra clean ray frame at time 0."""
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    sources = [Source(video[:, 3], 3), Source(video[:, 0], 0, camera[0])]
    generate_joint(model, sources, Settings(steps=1))
    (question,) = model.transformer.questions
    assert question["video_sigma"].tolist() == [[1.0, 1.0, 0.0, 0.0]]
    assert question["video_time"].tolist() == [0.0, 1.0, 0.0, 1.125]
    assert question["ray_sigma"].tolist() == [[1.0, 1.0, 0.0]]
    assert question["ray_time"].tolist() == [0.0, 1.0, 0.0]
    alone = model.encode_video(video[None, :, 3:4])
    torch.testing.assert_close(question["video"][:, :, 3:], alone, rtol=0, atol=0)
    still = model.encode_rays(model.raxels(camera[None, :1], HW, reference=0))
    torch.testing.assert_close(question["rays"][:, :, 2:], still, rtol=0, atol=0)


def test_camera_conditioned_rays_are_clean_and_complete() -> None:
    """The trajectory holds the sources' cameras already, so that no extra ray frame is added."""
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    generate_video(model, [Source(video[:, 0], 0, camera[0])], Trajectory(camera), Settings(steps=2))
    for question in model.transformer.questions:
        assert torch.equal(question["rays"], model.transformer.rays)
        assert question["ray_sigma"].tolist() == [[0.0, 0.0]]


BESIDE = se3.exp(torch.tensor([0.1, 0.3, -0.05, 0.4, -0.2, 0.3]))


def test_a_view_beside_the_path_is_the_reference_and_brings_all_sources_cameras() -> None:
    """Taken 8 frames before the clip, at latent time -2: rays are relative to it, its own and that of frame 3, which
    the path has, stand clean behind them; without it the path's suffice."""
    video, camera = moving_clip()
    view = replace(camera[0], world_from_cam=camera[0].world_from_cam @ BESIDE)
    model = oracle_model(video, camera, reference=view[None])
    sources = [Source(video[:, 3], 3), Source(video[:, 1], -8, view)]
    made = generate_video(model, sources, Trajectory(camera), Settings(steps=2))
    torch.testing.assert_close(made, video, rtol=0, atol=1e-5)
    question = model.transformer.questions[0]
    assert torch.equal(question["rays"][:, :, :2], model.transformer.rays)
    assert question["ray_time"].tolist() == [0.0, 1.0, -2.0, 1.125] == question["video_time"].tolist()
    assert question["ray_sigma"].tolist() == [[0.0] * 4] and question["video_sigma"].tolist() == [[1.0, 1.0, 0.0, 0.0]]
    pair = replace(camera, world_from_cam=torch.stack((view.world_from_cam, camera.world_from_cam[3])), K=camera.K[:2])
    torch.testing.assert_close(question["rays"][:, :, 2:], model.encode_single_cameras(pair[None], HW), rtol=0, atol=0)
    torch.testing.assert_close(question["video"][:, :, 2:3], model.encode_video(video[None, :, 1:2]), rtol=0, atol=0)


def test_a_view_beside_the_path_places_what_is_read_in_its_world() -> None:
    video, camera = moving_clip()
    view = replace(camera[0], world_from_cam=camera[0].world_from_cam @ BESIDE)
    model = oracle_model(video, camera, reference=view[None])
    for read in (
        lambda source: estimate_cameras(model, video, sources=[source]),
        lambda source: generate_joint(model, [source], Settings(steps=3)).cameras,
    ):
        for frame in (-8, FRAMES + 4):
            found = read(Source(video[:, 1], frame, view)).trajectory.camera
            assert _angle(found, camera) < 1e-4
            torch.testing.assert_close(found.center, camera.center, rtol=0, atol=1e-4)


def test_a_clip_gets_the_same_answer_alone_and_in_a_batch() -> None:
    model = _random_model()
    videos = torch.rand(3, 3, FRAMES, *HW, generator=torch.Generator().manual_seed(8)) * 2 - 1
    together = denoise_rays(model, videos, run=Run(pose_schedule(2), seeds=(4, 5, 6)))
    alone = denoise_rays(model, videos[1:2], run=Run(pose_schedule(2), seeds=(5,)))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)
    _, camera = moving_clip()
    sources = SourceBatch(videos[:, :, :1], (0,))
    batch = Camera(camera.world_from_cam.expand(3, -1, -1, -1), camera.K.expand(3, -1, -1, -1), HW)
    made = denoise_video(model, sources, batch, HW, run=Run(camera_schedule(2), seeds=(4, 5, 6)))
    one = generate_video(model, [Source(videos[1, :, 0])], Trajectory(camera), Settings(steps=2, seed=5))
    torch.testing.assert_close(made[1], one, rtol=1e-4, atol=1e-5)


def test_a_checkpoints_own_shift_is_taken_unless_another_is_given() -> None:
    video, camera = moving_clip()
    plain, sources = _random_model(), [Source(video[:, 0])]
    shifted = RaxelModel(plain.transformer, plain.vae, replace(plain.recipe, sampling_shift=0.3))

    def both(model: RaxelModel, **given: float) -> torch.Tensor:
        with pytest.raises(UnreadCamerasError) as error:
            generate_joint(model, sources, Settings(steps=3, **given), frames=FRAMES)
        return error.value.video

    def along(model: RaxelModel, **given: float) -> torch.Tensor:
        return generate_video(model, sources, Trajectory(camera), Settings(steps=3, **given))

    for make in (along, both):
        assert torch.equal(make(shifted), make(plain, shift=0.3))
        assert torch.equal(make(shifted, shift=1.0), make(plain))
        assert not torch.allclose(make(shifted), make(plain), atol=1e-3)


def test_a_checkpoint_may_ask_for_an_antithetic_pair_of_ray_runs() -> None:
    video, _ = moving_clip()
    plain = _random_model()
    asking = RaxelModel(plain.transformer, plain.vae, replace(plain.recipe, antithetic_pose=True))

    def rays(model: RaxelModel, antithetic: bool | None = None) -> torch.Tensor:
        return denoise_rays(model, video[None], run=Run(pose_schedule(2), (3,), antithetic=antithetic))

    assert torch.equal(rays(asking), rays(plain, antithetic=True))
    assert torch.equal(rays(asking, antithetic=False), rays(plain))
    assert not torch.allclose(rays(asking), rays(plain), atol=1e-3)
    assert Settings(antithetic=True).pose_run().antithetic is True and Settings().pose_run().antithetic is None


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    video, camera = moving_clip()
    model, source = _random_model(), [Source(video[:, 0])]
    first, again, other = (
        generate_video(model, source, Trajectory(camera), Settings(steps=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sources_and_text_reach_the_network() -> None:
    video, camera = moving_clip()
    model, path = _random_model(), Trajectory(camera)
    text = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    plain = generate_video(model, [Source(video[:, 0])], path, Settings(steps=1))
    assert not torch.allclose(plain, generate_video(model, [Source(video[:, 3])], path, Settings(steps=1)))
    assert not torch.allclose(plain, generate_video(model, [Source(video[:, 0], 3)], path, Settings(steps=1)))
    assert not torch.allclose(plain, generate_video(model, [Source(video[:, 0])], path, Settings(steps=1, text=text)))


@pytest.mark.parametrize(
    ("guidance", "evaluations"),
    [
        ({}, 1),
        ({"source_guidance": 2.0}, 2),
        ({"text_guidance": 3.0}, 2),
        ({"source_guidance": 2.0, "text_guidance": 3.0}, 3),
    ],
)
def test_guidance_costs_only_what_it_uses(guidance: dict[str, float], evaluations: int) -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    generate_video(
        model, [Source(video[:, 0])], Trajectory(camera), Settings(steps=1, text=torch.zeros(4, 8), **guidance)
    )
    questions = model.transformer.questions
    assert len(questions) == evaluations
    assert questions[-1]["text"].shape == (1, 4, 8)
    assert questions[-1]["video"].shape[2] == 3
    assert (questions[0]["video"].shape[2] == 2) == ("source_guidance" in guidance)
    assert (questions[0]["text"] is None) == ("text_guidance" in guidance)


def test_interruption_between_blocks_leaves_the_model_usable() -> None:
    video, camera = moving_clip()
    model = _random_model()

    class Interrupted(Exception):
        pass

    def stop(block: int) -> None:
        if block == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        estimate_cameras(model, video, Settings(on_block=stop))
    source, path = [Source(video[:, 0])], Trajectory(camera)
    assert torch.equal(
        generate_video(model, source, path, Settings(steps=1)),
        generate_video(_random_model(), source, path, Settings(steps=1)),
    )


def test_arguments_are_not_changed() -> None:
    video, camera = moving_clip()
    before, matrices = video.clone(), camera.world_from_cam.clone()
    generate_joint(oracle_model(video, camera), [Source(video[:, 0], 0, camera[0])], Settings(steps=2))
    assert torch.equal(video, before)
    assert torch.equal(camera.world_from_cam, matrices)


def test_latents_that_are_not_finite_are_named() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    model.transformer.rays = model.transformer.rays * float("nan")
    with pytest.raises(NonFiniteLatentsError, match="the rays latents contain NaN or infinity after step 1 of 2"):
        estimate_cameras(model, video)


def test_a_path_of_another_unit_or_reach_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    assert trajectory_warnings(model, Trajectory(camera), HW) == ()
    far = Trajectory(camera.scaled(12.0), unit="metre")
    unit, reach = trajectory_warnings(model, far, HW)
    assert "lengths are in metre and the model was trained on near_depth" in unit
    assert "leave the range [-1, 1]" in reach
    assert "scale the scene by 0." in reach
    with caplog.at_level(logging.WARNING):
        generate_video(model, [Source(video[:, 0])], far, Settings(steps=1))
    assert [record.message for record in caplog.records] == [unit, reach]


VIDEO, CAMERA = moving_clip()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: estimate_cameras(m, VIDEO[:, :4]), "nearest such count is 5"),
        (lambda m: estimate_cameras(m, VIDEO[:, :, :30]), "got 30x48: resize it to 32x48"),
        (lambda m: estimate_cameras(m, VIDEO[:2]), r"must be \[3, F, H, W\]"),
        (lambda m: estimate_cameras(m, VIDEO * float("nan")), "the clip contains NaN"),
        (lambda m: estimate_cameras(m, VIDEO, reading=Reading(focal="known")), "needs the known camera"),
        (lambda m: estimate_cameras(m, VIDEO, sources=[Source(VIDEO[:, 0], 5)]), "frame 5 of a clip of 5 frames"),
        (
            lambda m: estimate_cameras(m, VIDEO, sources=[Source(VIDEO[:, 0, :16], 0)]),
            "48x16 pixels and the clip 48x32",
        ),
        (
            lambda m: estimate_cameras(m, VIDEO, sources=[Source(VIDEO[:, 0]), Source(VIDEO[:, 1], 1, CAMERA[1])]),
            "that of the earliest must be",
        ),
        (lambda m: generate_joint(m, [Source(VIDEO[:, 0]), Source(VIDEO[:, 1])]), "each once and in order"),
        (
            lambda m: generate_video(m, [Source(VIDEO[:, 0], -4)], Trajectory(CAMERA)),
            "frame -4 of a clip of 5 frames .* beside its path and needs a camera",
        ),
        (
            lambda m: generate_joint(m, [Source(VIDEO[:, 0]), Source(VIDEO[:, 1, :16], 1)]),
            "differ in size: 48x16, 48x32",
        ),
        (lambda m: generate_joint(m, [Source(VIDEO[0])]), r"must be \[3, H, W\]"),
        (lambda m: generate_video(m, [Source(VIDEO[:, 0])], Trajectory(CAMERA[:4])), "nearest such count is 5"),
        (
            lambda m: generate_video(m, [Source(VIDEO[:, 0])], Trajectory(replace(CAMERA, hw=(48, 32)))),
            "the aspects differ",
        ),
        (
            lambda m: generate_video(
                m, [Source(VIDEO[:, 0])], Trajectory(replace(CAMERA, world_from_cam=CAMERA.world_from_cam * 2))
            ),
            "not orthonormal",
        ),
        (
            lambda m: generate_video(m, [Source(VIDEO[:, 0])], Trajectory(CAMERA), Settings(solver="heun")),
            "euler, multistep",
        ),
        (
            lambda m: generate_video(m, [], Trajectory(CAMERA), Settings(text=torch.zeros(1, 4, 8))),
            "one prompt's embedding",
        ),
        (lambda m: self_consistency(m, VIDEO, source_frames=[0, 7]), "not all frames of a clip of 5"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(oracle_model(VIDEO, CAMERA))


def test_a_model_whose_parts_do_not_fit_is_refused() -> None:
    model = _random_model()
    wrong = replace(lossless_recipe(), ray_statistics=LatentStatistics((0.0,) * 4, (1.0,) * 4))
    with pytest.raises(ValueError, match="network and recipe differ in channels of the rays"):
        replace(model, recipe=wrong)


def test_sources_and_clips_that_are_no_pictures_are_named() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    broken = video[:, 4].clone()
    broken[0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="the source image of frame 4 contains NaN or infinity"):
        generate_joint(model, [Source(video[:, 0]), Source(broken, 4)])
    levels = video.mul(127).to(torch.uint8)
    with pytest.raises(
        ValueError, match=r"the source image of frame 0 must be floating point in \[-1, 1\], got torch.uint8"
    ):
        generate_joint(model, [Source(levels[:, 0])])
    with pytest.raises(ValueError, match=r"the clip must be floating point in \[-1, 1\], got torch.uint8"):
        estimate_cameras(model, levels)
    mirrored = replace(camera[0], world_from_cam=camera[0].world_from_cam * torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="the camera has a rotation that mirrors"):
        generate_joint(model, [Source(video[:, 0], camera=mirrored)])


@pytest.mark.parametrize("name", ["source_guidance", "text_guidance"])
def test_guidance_that_is_no_number_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"the {name.split('_')[0]} guidance must be a finite number, got nan"):
        Run(pose_schedule(1), **{name: float("nan")})


def test_zero_frames_and_zero_fps_are_not_the_defaults() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    with pytest.raises(ValueError, match=r"4k \+ 1 frames, got 0"):
        generate_joint(model, [], frames=0)
    with pytest.raises(ValueError, match="fps is a positive number, got 0"):
        estimate_cameras(model, video, reading=Reading(fps=0.0))


def test_a_clip_whose_cameras_cannot_be_read_is_not_lost() -> None:
    video, camera = moving_clip()
    model = oracle_model(video, camera)
    model.transformer.rays = torch.zeros_like(model.transformer.rays)
    with pytest.raises(UnreadCamerasError, match="no camera can be recovered from frame 0") as raised:
        generate_joint(model, [Source(video[:, 0])], Settings(steps=4))
    torch.testing.assert_close(raised.value.video, video, rtol=0, atol=1e-4)
