"""The small VAE: its bars on held-out scenes, causality, linearity, and that it passes what lies outside [-1, 1]."""

from __future__ import annotations

import pytest
import torch

from raxel_core.evaluation.image_metrics import psnr
from raxel_core.evaluation.visibility import seams
from raxel_core.geometry import se3
from raxel_core.latents.patch_vae import PatchVAE, across_borders, lapped_filter, load_patch_vae
from raxel_core.latents.vae import VideoVAE, encode_images
from raxel_core.raxel_model import CHECKPOINTS
from raxel_core.raxels import decode_raxels
from raxel_core.training.loss import canonical_cameras
from raxel_core.training.ray_codes import raxels_of
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.training.vae import fit_patch_code


@pytest.fixture(scope="module")
def vae() -> PatchVAE:
    return load_patch_vae(CHECKPOINTS / "raxel-tiny-vae.safetensors")


@pytest.fixture(scope="module")
def scenes():
    first = SPLITS["test"].start
    return render_scenes(range(first, first + 32), frames=17)


def test_frames_of_held_out_scenes_come_back_at_27_db(vae, scenes):
    decoded = vae.decode(vae.encode(scenes.video)).clamp(-1, 1)
    assert psnr(decoded, scenes.video).mean() >= 27.0


def test_cameras_of_held_out_scenes_come_back_from_their_raxels(vae, scenes):
    camera = canonical_cameras(scenes.camera, scenes.near_depth, torch.zeros(32, dtype=torch.long))
    decoded = vae.decode(vae.encode(raxels_of(camera, (64, 64))))
    found = decode_raxels(decoded, (64, 64), scale=0.5, method="robust", focal="per_frame").camera
    rotation = torch.rad2deg(se3.geodesic(found.rotation.float(), camera.rotation))
    focal = (found.focal / camera.focal - 1).abs()
    assert rotation.mean() <= 0.06
    assert focal.mean() <= 0.001


def test_it_is_a_video_vae(vae):
    assert isinstance(vae, VideoVAE)
    assert (vae.latent_channels, vae.spatial_stride, vae.temporal_stride) == (64, 8, 4)
    assert vae.encode(torch.zeros(2, 3, 9, 32, 48)).shape == (2, 64, 3, 4, 6)
    assert vae.decode(torch.zeros(2, 64, 3, 4, 6)).shape == (2, 3, 9, 32, 48)


def test_a_latent_frame_depends_on_no_later_pixel_frame(vae, scenes):
    changed = scenes.video[:2].clone()
    changed[:, :, 9:] = torch.rand(changed[:, :, 9:].shape) * 2 - 1
    before, after = vae.encode(scenes.video[:2]), vae.encode(changed)
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.allclose(before[:, :, 3], after[:, :, 3], atol=0.01)


def test_an_image_is_coded_as_the_first_frame_of_a_clip(vae, scenes):
    images = encode_images(vae, scenes.video[:2, :, [0, 5]])
    assert torch.allclose(images[:, :, :1], vae.encode(scenes.video[:2])[:, :, :1], atol=1e-6)


def test_encoding_is_affine_so_nothing_is_clamped(vae):
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 3, 5, 16, 16)
    origin = vae.encode(torch.zeros_like(a))
    left = vae.encode(3 * a - 2 * b) - origin
    right = 3 * (vae.encode(a) - origin) - 2 * (vae.encode(b) - origin)
    assert torch.allclose(left, right, atol=1e-4)


def test_a_still_has_nearly_the_same_code_as_an_image_and_as_a_group(vae, scenes):
    still = scenes.video[:16, :, :1].expand(-1, -1, 5, -1, -1)
    latents = vae.encode(still)
    image, group = latents[:, :, 0], latents[:, :, 1]
    unaligned = fit_free_distance(image, group)
    assert (image - group).square().mean() < 0.35 * unaligned


def fit_free_distance(image, group):
    """What the distance would be with the channels of one of the two out of order."""
    return (image - group.roll(1, dims=1)).square().mean()


@pytest.mark.parametrize("hw", [(16, 16), (8, 24), (8, 8)])
def test_a_code_with_every_component_is_exact(hw):
    torch.manual_seed(0)
    clips = [(torch.randn(4, 3, 5, *hw), torch.randn(4, 3, 5, *hw)) for _ in range(200)]
    vae = fit_patch_code(clips, channels=192)
    image = clips[0][0][:, :, :1]
    assert torch.allclose(vae.decode(vae.encode(image)), image, atol=1e-4)


def test_clips_and_channels_that_no_code_has_are_refused():
    with pytest.raises(ValueError, match="multiples of 8, got 12x16"):
        fit_patch_code([(torch.zeros(1, 3, 5, 12, 16), torch.zeros(1, 3, 5, 12, 16))], channels=4)
    for channels in (0, 193):
        with pytest.raises(ValueError, match=f"1 to 192 channels, got {channels}"):
            fit_patch_code([], channels=channels)


def test_the_filter_makes_the_lapped_orthogonal_transform_of_block_cosines():
    lap = lapped_filter()
    assert torch.allclose(lap @ lap.T, torch.eye(8, dtype=torch.float64), atol=1e-12)
    flat = torch.ones(1, 24, 8, dtype=torch.float64)
    assert torch.allclose(across_borders(flat, lap), flat, atol=1e-12)  # a constant stays one: one coefficient a patch
    window = torch.zeros(40, 40, dtype=torch.float64)
    window[16:24, 16:24] = 1 / 8  # the lowest cosine of the patch in the middle
    column = across_borders(window, lap.T)[20]
    assert column.abs().gt(1e-12).nonzero().flatten().tolist() == list(range(12, 28))
    assert column[12].abs() < 0.2 * column[19]  # and fades out


def test_what_is_wrong_in_a_code_makes_no_edges_at_the_borders_of_patches(vae, scenes):
    latents = vae.encode(scenes.video[:8])
    wrong = latents + 0.3 * latents.std((0, 2, 3, 4), keepdim=True) * torch.randn(
        latents.shape, generator=torch.Generator().manual_seed(0)
    )
    assert seams(vae.decode(latents), 8).mean() <= 1.2
    assert seams(vae.decode(wrong), 8).mean() <= 1.3


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 4, 16, 16), "5"),
        ((1, 3, 5, 20, 16), "multiples of 8, got 20x16"),
        ((1, 4, 5, 16, 16), r"\[B, 3, F, H, W\]"),
        ((3, 5, 16, 16), r"\[B, 3, F, H, W\]"),
    ],
)
def test_what_it_can_not_code_is_named(vae, shape, message):
    with pytest.raises(ValueError, match=message):
        vae.encode(torch.zeros(shape))


def test_other_latents_and_other_files_are_refused(vae, tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(ValueError, match=r"\[B, 64, T, h, w\]"):
        vae.decode(torch.zeros(1, 16, 3, 4, 4))
    save_file({"decoder.conv_in.weight": torch.zeros(2)}, tmp_path / "sd-vae.safetensors")
    with pytest.raises(ValueError, match="not a raxel patch VAE"):
        load_patch_vae(tmp_path / "sd-vae.safetensors")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"group_code": None}, "lacks the tensor"),
        ({"group_code": torch.zeros(())}, "lacks the tensor"),
        ({"image_mean": None}, 'Missing key.*"image_mean"'),
        ({"image_code": torch.zeros(2, 192)}, "size mismatch for image_code"),
        ({"surplus": torch.zeros(1)}, 'Unexpected key.*"surplus"'),
        ({"group_code": torch.zeros(1 << 40, 0)}, "size"),
        ({"lap": None}, 'Missing key.*"lap"'),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path, change, reason):
    from safetensors.torch import save_file

    path = tmp_path / "vae.safetensors"
    state = PatchVAE(4).state_dict() | change
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path)
    with pytest.raises(ValueError, match=f"^vae.safetensors is not a raxel patch VAE: .*{reason}") as error:
        load_patch_vae(path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="^vae.safetensors cannot be read as safetensors"):
        load_patch_vae(path)


def test_a_file_in_half_precision_is_a_vae_in_float32(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "vae.safetensors"
    save_file({name: tensor.half() for name, tensor in PatchVAE(4).state_dict().items()}, path)
    assert {tensor.dtype for tensor in load_patch_vae(path).state_dict().values()} == {torch.float32}
