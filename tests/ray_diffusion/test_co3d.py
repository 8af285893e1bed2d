"""CO3D in both its layouts, made here with exact cameras: crops, cameras, defects, training on it."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import torch

from raxel_core.cli import main
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.ray_diffusion.co3d import Co3dViews, check_co3d, frame_camera, list_co3d
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.objective import scene_rays
from raxel_core.ray_diffusion.scene import scene_frame
from raxel_core.video_io import write_image
from tests.geometry.ray_rigs import pytorch3d_from_camera
from tests.ray_diffusion.test_photographs import ring

HW = (40, 60)
CONFIG = RayDiffusionConfig(hidden=16, depth=1, heads=2, grid=8, patch=2, image_px=32, features="convolution", feature_channels=16)  # fmt: skip


def cameras():
    return Camera(ring(4).world_from_cam, K_from_fov(torch.tensor(0.9), HW).double(), HW)


def zipped(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb") as file:
        file.write(json.dumps(value).encode())


def frames(folder, name, camera):
    """Photographs with a bright box about their subject, with masks, and PyTorch3D's numbers of their cameras."""
    theirs, made = pytorch3d_from_camera(camera), []
    for i in range(len(camera)):
        image = torch.full((3, *HW), -1.0)
        image[:, 10:30, 15:40] = 0.5 + 0.1 * i
        paths = [f"apple/{name}/{kind}/frame{i:06d}.{end}" for kind, end in (("images", "jpg"), ("masks", "png"))]
        for path, picture in zip(paths, (image, torch.where(image > 0, 1.0, -1.0)), strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_image((folder / path).with_suffix(".png"), picture)
            (folder / path).with_suffix(".png").rename(folder / path)
        numbers = {"R": theirs.rotation[i].tolist(), "T": theirs.translation[i].tolist(),
                   "focal_length": theirs.focal[i].tolist(), "principal_point": theirs.principal_point[i].tolist()}  # fmt: skip
        made.append((paths[0], paths[1], numbers))
    return made


@pytest.fixture
def prepared(tmp_path):
    entries = [{"filepath": i, "bbox": [15, 10, 40, 30], **n} for i, _, n in frames(tmp_path, "seq", cameras())]
    far = [{**entries[0], "T": [2e5, 0.0, 0.0]}]
    bent = [{**entries[0], "R": (2 * np.eye(3)).tolist()}]
    zipped(tmp_path / "apple_train.jgz", {"seq": entries, "far": far, "bent": bent, "empty": []})
    return tmp_path


@pytest.fixture
def original(tmp_path):
    made = frames(tmp_path, "seq", cameras())
    annotations = [
        {"sequence_name": name, "frame_number": i, "image": {"path": image, "size": list(HW)}, "mask": {"path": mask},
         "viewpoint": {**numbers, "intrinsics_format": "ndc_isotropic"}}
        for name in ("seq", "poor") for i, (image, mask, numbers) in enumerate(made)
    ]  # fmt: skip
    zipped(tmp_path / "apple" / "frame_annotations.jgz", annotations)
    quality = [{"sequence_name": "seq", "viewpoint_quality_score": 0.9}, {"sequence_name": "poor", "viewpoint_quality_score": 0.3}]  # fmt: skip
    zipped(tmp_path / "apple" / "sequence_annotations.jgz", quality)
    lists = {"train": [[name, i, ""] for name in ("seq", "poor") for i in range(3)], "test": [["seq", 3, ""]]}
    (tmp_path / "apple" / "set_lists").mkdir()
    (tmp_path / "apple" / "set_lists" / "set_lists_fewview_dev.json").write_text(json.dumps(lists))
    return tmp_path


def test_prepared_annotations_and_their_defects(prepared):
    listing = check_co3d(prepared)
    assert list(listing.sequences) == ["seq"] and len(listing.sequences["seq"]) == 4
    assert "farther off" in listing.defects["far"] and "determinant 8" in listing.defects["bent"]
    assert "no frame" in listing.defects["empty"]
    (prepared / listing.sequences["seq"][2].image).unlink()
    assert "1 of its files are missing" in check_co3d(prepared).defects["seq"]


def test_the_data_sets_own_annotations_and_masks(original):
    listing = check_co3d(original)
    assert [len(f) for f in listing.sequences.values()] == [3] and "quality of 0.30" in listing.defects["poor"]
    assert [len(f) for f in list_co3d(original, split="test").sequences.values()] == [1]
    views = Co3dViews(CONFIG, original, listing).scenes(0, 2, 3)
    assert views.images.shape == (2, 3, 3, 32, 32)
    # The box of the mask, 25 px wide, fills most of each crop's width.
    bright = (views.images > 0).float().mean((-3, -1)) > 0.3
    assert 0.5 < float(bright.float().mean()) < 0.95


def test_crops_have_their_own_cameras_and_keep_the_scene(prepared):
    views = Co3dViews(CONFIG, prepared, list_co3d(prepared)).scenes(3, 2, 4)
    again = Co3dViews(CONFIG, prepared, list_co3d(prepared)).scenes(3, 2, 4)
    assert torch.equal(views.images, again.images) and torch.equal(views.ndc, again.ndc)
    # The subject's box, seen by the crop's camera, is where the picture is bright.
    true = cameras()
    for n in range(4):
        at = (true.center.float() - views.camera.center[0, n]).norm(dim=-1).argmin()
        corner = true.K[at].inverse().float() @ torch.tensor([15.0, 10.0, 1.0])
        u, v, w = (views.camera.K[0, n] @ corner).tolist()
        edge = (views.images[0, n] > 0).any(0).nonzero().amin(0).tolist()
        assert abs(edge[0] - v / w) < 1.5 and abs(edge[1] - u / w) < 1.5
    # Rays of the objective: those of the full pictures' cameras in the scene's frame, cut out by the crop.
    rays = scene_rays(views.camera, 8)
    scene = scene_frame(views.camera[0]).camera
    moment = torch.linalg.cross(
        scene.center[:, None].expand(4, 64, 3), rays[0, :, :3].flatten(2).mT * torch.tensor([-1.0, -1.0, 1.0])
    )
    torch.testing.assert_close(
        moment, rays[0, :, 3:].flatten(2).mT * torch.tensor([-1.0, -1.0, 1.0]), rtol=0, atol=1e-5
    )


def test_the_first_versions_intrinsics_count_each_axis():
    camera = cameras()
    theirs = pytorch3d_from_camera(camera)
    from raxel_core.ray_diffusion.co3d import Frame

    bounds = torch.tensor([HW[1], HW[0]]) / min(HW)
    frame = Frame("a", "b", None, tuple(theirs.rotation[0].flatten().tolist()), tuple(theirs.translation[0].tolist()),
                  tuple((theirs.focal[0] / bounds).tolist()), tuple((theirs.principal_point[0] / bounds).tolist()),
                  "ndc_norm_image_bounds")  # fmt: skip
    torch.testing.assert_close(frame_camera(frame, HW).K.double(), camera.K[0], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: zipped(f / "apple_train.jgz", {"a": [{"filepath": "/etc/passwd"}]}), "inside the data set"),
        (lambda f: zipped(f / "apple_train.jgz", {"a": [{"filepath": "x.jpg", "R": [[1]]}]}), "R of x.jpg"),
        (lambda f: zipped(f / "apple_train.jgz", []), "sequences by name"),
        (lambda f: (f / "apple_train.jgz").write_bytes(b"x"), "not a gzip file"),
        (lambda f: (f / "apple_train.jgz").unlink(), "holds no CO3D"),
    ],
)
def test_damaged_annotations_are_one_sentence(prepared, spoil, message):
    spoil(prepared)
    with pytest.raises(ValueError, match=message):
        list_co3d(prepared)


def test_training_reads_it_and_dataset_check_reports_it(prepared, capsys):
    model = json.loads(CONFIG.to_json())
    config = {"name": "t", "steps": 1, "frames": 9, "batch": 8, "clips": 8, "shard_clips": 8, "views": [2, 4], "model": model,
              "validation_clips": 8, "validate_every": 9, "precision": "no"}  # fmt: skip
    (prepared / "c.json").write_text(json.dumps(config))
    run = [
        "train",
        str(prepared / "c.json"),
        str(prepared / "run"),
        "--method",
        "ray_diffusion",
        "--co3d",
        str(prepared),
    ]
    assert main(run) == 0
    capsys.readouterr()
    assert (prepared / "run" / "ray_diffusion.safetensors").exists()
    assert main(["dataset", "check", str(prepared), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["usable"] == 1 and report["photographs"] == 4 and set(report["defects"]) == {"far", "bent", "empty"}
