"""Photographs to cameras: crops, the scene's frame, the bundle, samples and their spread, files, bad input."""

from __future__ import annotations

from math import degrees

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.rays import Rays, plucker_from_rays
from raxel_core.ray_diffusion.bundle import bundle_from_plucker, plucker_from_bundle
from raxel_core.ray_diffusion.checkpoint import LoadedRayDiffusion, load_ray_diffusion, save_ray_diffusion
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.crops import box_of_mask, cropped, ndc_of_crop, square_crop
from raxel_core.ray_diffusion.network import RayDiffuser
from raxel_core.ray_diffusion.photographs import estimate_cameras, photographs
from raxel_core.ray_diffusion.released import convert_released, released_config
from raxel_core.ray_diffusion.report import photograph_estimate, sample_figures
from raxel_core.ray_diffusion.sampler import SamplerSettings
from raxel_core.ray_diffusion.scene import scene_frame
from tests.geometry.ray_rigs import pytorch3d_from_camera

F64 = torch.float64
CONFIG = RayDiffusionConfig(hidden=16, depth=1, heads=2, grid=8, patch=2, image_px=32, features="convolution", feature_channels=16)  # fmt: skip
HW = (60, 80)


def ring(count=5, *, radius=3.0, hw=HW):
    """Cameras around a point that they look at, out of level and at different distances."""
    generator = torch.Generator().manual_seed(count)
    motions = []
    for i in range(count):
        angle = torch.tensor(0.4 * i)
        place = (radius + 0.3 * i) * torch.tensor([torch.sin(angle), -0.2 * i, -torch.cos(angle)])
        place = place + torch.tensor([1.0, 2.0, 5.0])
        forward = torch.nn.functional.normalize(torch.tensor([1.0, 2.0, 5.0]) - place, dim=0)
        right = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), forward), dim=0)
        rotation = torch.stack((right, torch.linalg.cross(forward, right), forward), -1)
        motions.append(se3.from_rotation_translation(rotation, place))
    turn = se3.exp(torch.randn(6, generator=generator))
    return Camera((turn @ torch.stack(motions)).double(), K_from_fov(torch.tensor(0.9, dtype=F64), hw), hw)


def test_the_scenes_frame_is_the_papers():
    camera = ring()
    frame = scene_frame(camera)
    scene = frame.camera
    torch.testing.assert_close(scene.rotation[0], torch.eye(3, dtype=F64), rtol=0, atol=1e-6)
    assert float(scene.center[0].norm()) == pytest.approx(1.0, abs=1e-6)
    # All axes of the ring pass through the point that became the origin.
    axis, center = scene.rotation[..., 2], scene.center
    assert float(torch.linalg.cross(axis, center, dim=-1).norm(dim=-1).max()) < 1e-5
    back = frame.world_from_scene @ scene.scaled(frame.unit).world_from_cam
    torch.testing.assert_close(back, camera.world_from_cam, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="look in parallel"):
        scene_frame(Camera(torch.eye(4).repeat(3, 1, 1), K_from_fov(0.9, HW), HW))
    with pytest.raises(ValueError, match="two cameras or more"):
        scene_frame(camera[:1])


def test_the_bundle_is_what_pytorch3d_would_unproject():
    # Directions by PyTorch3D's definition: x_view = (ndc - p) / f at depth 1, x_world = (x_view - T) R^T for rows.
    scene = scene_frame(ring()).camera
    bundle = bundle_from_plucker(plucker_from_rays(Rays.from_camera(scene, (8, 8))))
    # In a world whose first camera is the identity for them too: half a turn about z of ours.
    turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=F64))
    theirs = pytorch3d_from_camera(Camera(turn @ scene.world_from_cam, scene.K, scene.hw))
    np.testing.assert_allclose(theirs.rotation[0].numpy(), np.eye(3), atol=1e-6)
    s = max(HW) / min(HW)
    for n in range(len(scene)):
        R, T = theirs.rotation[n].numpy(), theirs.translation[n].numpy()
        for i in range(8):
            for j in range(8):
                ndc = np.array([s - (j + 0.5) * 2 * s / 8, 1 - (i + 0.5) * 2 / 8])
                view = np.r_[(ndc - theirs.principal_point[n].numpy()) / theirs.focal[n].numpy(), 1.0]
                center = -T @ R.T
                d = (view - T) @ R.T - center
                d /= np.linalg.norm(d)
                np.testing.assert_allclose(bundle[n, :, i, j].numpy(), np.r_[d, np.cross(center, d)], atol=1e-6)
    lines = plucker_from_bundle(bundle)
    torch.testing.assert_close(lines.direction, Rays.from_camera(scene, (8, 8)).direction, rtol=0, atol=1e-12)


def test_crops_lie_where_the_training_code_says():
    # cc = s - 2 s c / length with the centre moved into the square, crop_width = 2 s side / length; then
    # x' = x w / 2 + cc over half-pixel centres: the formula of the training data set, for both orientations.
    for hw in ((60, 80), (80, 60)):
        box = (10.0, 20.0, 40.0, 45.0)
        left, top, side = square_crop(box)
        assert side == round(30 * 1.15)
        height, width = hw
        length, s = max(hw), max(hw) / min(hw)
        center = np.array([left + side / 2, top + side / 2]) + (length - np.array([width, height])) / 2
        cc, crop_width = s - 2 * s * center / length, 2 * s * side / length
        steps = np.linspace(1 - 1 / 8, -1 + 1 / 8, 8)
        x = steps * crop_width / 2 + cc[0]
        y = steps * crop_width / 2 + cc[1]
        ndc = ndc_of_crop((left, top, side), hw, 8).numpy()
        np.testing.assert_allclose(ndc[0], np.tile(x, (8, 1)), atol=1e-6)
        np.testing.assert_allclose(ndc[1], np.tile(y[:, None], (1, 8)), atol=1e-6)


def test_a_crop_shows_what_lies_in_it_and_black_outside():
    image = torch.zeros(3, 20, 20)
    image[:, 5:10, 10:15] = 1.0
    inside = cropped(image, (10, 5, 5), 10)
    assert torch.equal(inside, torch.ones(3, 10, 10))
    beyond = cropped(image, (-10, -10, 20), 20)
    assert torch.equal(beyond[:, :10], torch.full((3, 10, 20), -1.0))
    assert box_of_mask(image[0]) == (10, 5, 15, 10)


class Oracle(RayDiffuser):
    """A network that knows the rays of the photographs, and errs by a turn about the vertical in each sample."""

    def __init__(self, rays, turns):
        super().__init__(CONFIG)
        self.rays, self.turns, self.calls = rays, turns, 0

    def denoised(self, seen, rays, t):
        self.calls += 1
        out = []
        for turn in self.turns:
            R = se3.rotation_y(torch.tensor(turn))
            parts = [(R @ part.flatten(2)).unflatten(-1, (8, 8)) for part in (self.rays[:, :3], self.rays[:, 3:])]
            # The first photograph keeps its rays: what differs is the others' place relative to it.
            parts = torch.cat(parts, 1)
            out.append(torch.cat((self.rays[:1], parts[1:])))
        return torch.stack(out)


def pictures_of(camera, box=(20.0, 10.0, 60.0, 50.0)):
    images = torch.rand(len(camera), 3, *camera.hw, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return photographs(images, boxes=[box] * len(camera))


def true_rays(camera, pictures):
    scene = scene_frame(camera).camera
    left, top, side = pictures.crops[0]
    return bundle_from_plucker(
        plucker_from_rays(Rays.from_camera(scene.cropped(top, left, (side, side)), (8, 8)))
    ).float()


def test_true_rays_give_the_true_cameras_and_their_lens():
    camera = ring()
    pictures = pictures_of(camera)
    for K in (None, camera.K[0]):
        network = Oracle(true_rays(camera, pictures), [0.0])
        found = estimate_cameras(LoadedRayDiffusion(network, "both", "oracle"), pictures, SamplerSettings(steps=4), K=K)
        assert network.calls == 4
        relative = camera.relative_to(camera[:1])
        torch.testing.assert_close(found.camera.rotation.double(), relative.rotation, rtol=0, atol=1e-4)
        unit = scene_frame(camera).unit
        torch.testing.assert_close(found.camera.center.double() * unit, relative.center, rtol=0, atol=1e-3)
        torch.testing.assert_close(found.camera.K.double(), camera.K, rtol=1e-4, atol=1e-2)
        assert float(found.rotation_spread.max()) == 0.0 and float(found.inlier_fraction.min()) == 1.0


def test_several_samples_choose_the_middle_one_and_tell_their_spread():
    camera = ring()
    pictures = pictures_of(camera)
    network = Oracle(true_rays(camera, pictures), [0.3, 0.0, -0.3])
    loaded = LoadedRayDiffusion(network, "both", "oracle")
    found = estimate_cameras(loaded, pictures, SamplerSettings(steps=1, samples=3), K=camera.K[0])
    relative = camera.relative_to(camera[:1])
    torch.testing.assert_close(found.camera.rotation.double(), relative.rotation, rtol=0, atol=1e-4)
    # Two samples 0.3 radians to either side: sqrt((0.3^2 + 0.3^2) / 2).
    assert found.rotation_spread[1:].tolist() == pytest.approx([0.3] * 4, abs=1e-3)
    assert float(found.covariance[2, 1, 1].sqrt()) == pytest.approx(0.3, abs=2e-3)
    report = sample_figures(found)
    assert report["samples"] == 3 and report["rotation_spread_degrees"][1] == pytest.approx(degrees(0.3), abs=0.1)
    estimate = photograph_estimate(found, loaded, name="chair", notes=("A note.",))
    assert "3 samples differ by 17 degrees" in estimate.verdict and estimate.notes == ("A note.",)
    assert estimate.footage.name == "chair" and estimate.footage.frames == tuple(range(5))
    assert (
        float(estimate.rotation_sigma[2]) == pytest.approx(0.3, abs=2e-3) and float(estimate.rotation_sigma[0]) == 0.0
    )


def test_a_file_holds_the_network_and_is_loaded_strictly(tmp_path):
    network = RayDiffuser(CONFIG)
    path = tmp_path / "net.safetensors"
    save_ray_diffusion(path, network.state_dict(), CONFIG, method="both", dtype=torch.float32)
    loaded = load_ray_diffusion(path)
    assert loaded.network.config == CONFIG and loaded.trained_for == "both" and loaded.name == "net"
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.network.state_dict()[name]), name
    state = dict(network.state_dict())
    lost = state.pop("ray_predictor.final_layer.linear.bias")
    save_ray_diffusion(path, state, CONFIG, method="both")
    with pytest.raises(ValueError, match=r"1 missing \(ray_predictor.final_layer.linear.bias\)"):
        load_ray_diffusion(path)
    save_ray_diffusion(path, state | {"ray_predictor.final_layer.linear.bias": lost[:3]}, CONFIG, method="both")
    with pytest.raises(ValueError, match="its configuration says"):
        load_ray_diffusion(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a Ray Diffusion checkpoint"):
        load_ray_diffusion(path)
    with pytest.raises(ValueError, match="convert --to ray_diffusion"):
        load_ray_diffusion(tmp_path / "a.pth")


def release(folder, regression=None):
    """A file as the authors' training writes it, of a network of the smallest released shape."""
    config = RayDiffusionConfig(hidden=16, depth=1, heads=16)
    network = RayDiffuser(config)
    path = folder / "run" / "checkpoints" / "ckpt_00000001.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.Adam(network.ray_predictor.parameters())
    held = {"epoch": 1, "elapsed": 2.0, "gradscaler": {}, "iteration": 1, "state_dict": network.state_dict(),
            "optimizer": optimizer.state_dict(), "wandb_id": "x"}  # fmt: skip
    torch.save(held, path)
    if regression is not None:
        (folder / "run" / "hydra").mkdir(exist_ok=True)
        (folder / "run" / "hydra" / "config.yaml").write_text(f"training:\n  regression: {regression}\n")
    return path, network, config


def test_released_weights_become_a_safetensors_file(tmp_path):
    path, network, config = release(tmp_path, regression=True)
    done = convert_released(path, tmp_path / "out.safetensors")
    assert done.config == config and done.trained_for == "regression"
    loaded = load_ray_diffusion(done.path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.network.state_dict()[name]), name
    with pytest.raises(ValueError, match="trained for regression, not for diffusion"):
        estimate_cameras(loaded, pictures_of(ring()))
    (path.parents[1] / "hydra" / "config.yaml").unlink()
    with pytest.raises(ValueError, match="nothing beside ckpt_00000001.pth says whether"):
        convert_released(path, tmp_path / "out.safetensors")


class Harm:
    def __reduce__(self):
        return (open, ("/tmp/raxel-harm", "w"))


def test_pickles_that_run_code_or_hold_something_else_are_refused(tmp_path):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Harm()}, path)
    with pytest.raises(ValueError, match="evil.pth is not a checkpoint that can be read safely"):
        convert_released(path, tmp_path / "out.safetensors", trained_for="diffusion")
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="read safely"):
        convert_released(path, tmp_path / "out.safetensors", trained_for="diffusion")
    torch.save({"state_dict": {"a": torch.zeros(2)}}, path)
    with pytest.raises(ValueError, match="it has no ray_predictor.x_embedder"):
        convert_released(path, tmp_path / "out.safetensors", trained_for="diffusion")
    assert not (tmp_path / "out.safetensors").exists()
    with pytest.raises(FileNotFoundError):
        convert_released(tmp_path / "none.pth", tmp_path / "out.safetensors")
    with pytest.raises(ValueError, match="no ray_predictor"):
        released_config({}, "x")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: photographs(p[:1]), "two or more, got 1"),
        (lambda p: photographs(torch.cat((p, p[1:2]))), "photographs 1 and 3 are the same picture"),
        (lambda p: photographs(p, boxes=[(0, 0, 5, 5)]), "3 photographs and 1 boxes"),
        (
            lambda p: photographs(p, boxes=[(0, 0, 5, 5), (90, 0, 99, 5), (0, 0, 5, 5)]),
            "photograph 1: the box .* outside",
        ),
        (
            lambda p: photographs(p, boxes=[(0, 0, 5, 5), (5, 0, 2, 5), (0, 0, 5, 5)]),
            "photograph 1: a box has its left",
        ),
        (lambda p: photographs(p, boxes=[(0, 0, 5), (5, 0, 2, 5), (0, 0, 5, 5)]), "photograph 0: a box is left, top"),
        (lambda p: photographs(p, masks=torch.zeros(3, *HW)), "photograph 0: a mask is empty"),
        (lambda p: photographs(p, masks=torch.zeros(3, 5, 5)), "masks have the photographs' size 80x60"),
        (lambda p: photographs(p, boxes=[], masks=p[:, 0]), "by boxes or by masks"),
        (lambda p: photographs(p * float("nan")), "NaN"),
        (lambda p: photographs(p[:, :2]), r"\[N, 3, height, width\]"),
        (lambda p: SamplerSettings("ddim"), "method is one of diffusion, regression"),
        (lambda p: SamplerSettings(steps=0), "at least 1"),
    ],
)
def test_bad_input_is_one_sentence(make, message):
    pictures = torch.rand(3, 3, *HW, generator=torch.Generator().manual_seed(4))
    with pytest.raises(ValueError, match=message):
        make(pictures)
