"""Real clips in the layouts that data sets have: read exactly, sampled exactly, and every known defect named."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from raxel_core.cli import main
from raxel_core.evaluation.image_metrics import psnr
from raxel_core.films import torch_chunks
from raxel_core.films.listing import check, list_scenes
from raxel_core.films.realestate10k import matched
from raxel_core.films.scene import Scene
from raxel_core.films.torch_chunks import unpack_chunk
from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.video_io import write_video
from tests.data_sets import RATE, as_video, write_dl3dv, write_realestate10k


def same_path(found, truth) -> None:
    """Two paths are the same motion; their worlds may differ."""
    for camera in (found, truth):
        camera.validate()
    found, truth = (camera.to(dtype=torch.float64) for camera in (found, truth))
    a, b = (camera.relative_to(camera[0]).world_from_cam for camera in (found, truth))
    assert torch.allclose(a, b, atol=2e-6)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A RealEstate10K and a DL3DV of one scene each, and what they were made of."""
    root = tmp_path_factory.mktemp("data")
    return root, write_realestate10k(root / "re10k", "0a1b2c", 5), write_dl3dv(root / "dl3dv", "f00d", 6)


def test_realestate10k_is_read_as_it_was_filmed(made):
    root, (pictures, camera), _ = made
    listing = list_scenes(root / "re10k")
    assert listing.names == ("train/0a1b2c.txt",)
    scene = listing.open(listing.names[0])
    assert len(scene) == 24 and scene.timed and not scene.notes
    assert torch.allclose(scene.position, torch.arange(24, dtype=torch.float64) / RATE, atol=1e-6)
    assert torch.allclose(scene.camera.world_from_cam, camera.world_from_cam.double(), atol=1e-6)
    assert torch.allclose(scene.camera.K, camera.K.double(), rtol=1e-6)
    video, framing = scene.pictures.read([0, 7], (48, 80))
    assert torch.equal(video, as_video(pictures[[0, 7]])) and framing.hw == (48, 80)


def test_dl3dv_is_undistorted_and_its_applied_transform_taken_back(made):
    """The picture read is the pinhole picture that was bent, seen by the K that is read with it."""
    root, _, (pictures, camera) = made
    listing = list_scenes(root / "dl3dv")
    assert listing.names == ("1K/f00d",)
    scene = listing.open(listing.names[0])
    assert not scene.timed and not scene.notes and scene.camera.hw == (48, 80)
    assert torch.allclose(scene.camera.world_from_cam, camera.world_from_cam.double(), atol=1e-6)
    video, _ = scene.pictures.read([0, 11], (48, 80))
    K, true = scene.camera.K[0].numpy(), camera.K[0].double().numpy()
    assert K[0, 0] > true[0, 0] and abs(K[0, 2] - 40) < 1e-9  # a narrower pinhole, its middle in the middle
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])
    straight = (shift @ K @ np.linalg.inv(true) @ np.linalg.inv(shift))[:2]
    expected = np.stack([cv2.warpAffine(pictures[i], straight, (80, 48), flags=cv2.INTER_CUBIC) for i in (0, 11)])
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    figures = psnr(video[inside], as_video(expected)[inside])
    assert float(figures.min()) > 30
    wrong = np.stack([pictures[i] for i in (0, 11)])  # the lens left alone
    assert float(psnr(video[inside], as_video(wrong)[inside]).max()) < float(figures.min()) - 4


def test_a_crop_keeps_k_exact_and_the_focal_of_each_frame(made):
    """A point of the world falls on the same content in the fitted picture as in the original."""
    root, (_, camera), _ = made
    scene = list_scenes(root / "re10k").open("train/0a1b2c.txt")
    _, framing = scene.pictures.read([0], (32, 32))
    fitted = framing.to_fitted(scene.camera)
    # 48x80 shrinks by 2/3 and loses as much at the left as at the right: the middle stays the middle
    assert torch.allclose(fitted.focal, scene.camera.focal * 2 / 3)
    assert torch.allclose(fitted.principal_point, torch.full((24, 2), 16.0, dtype=torch.float64))
    zoomed = Camera(camera.world_from_cam, camera.K * torch.linspace(1, 2, 24)[:, None, None], camera.hw)
    assert torch.allclose(framing.to_fitted(zoomed).focal[:, 0], zoomed.focal[:, 0] * 2 / 3)  # of each frame


def timed_scene(position, timed=True):
    count = len(position)
    return Scene("s", None, Camera(torch.eye(4).expand(count, 4, 4), torch.eye(3), (8, 8)),
                 torch.tensor(position, dtype=torch.float64), timed)  # fmt: skip


def test_clips_are_sampled_at_a_rate_or_a_stride_and_never_over_a_gap():
    clips = timed_scene([i / 30 for i in range(40)]).clips(3, fps=7.5, stride=1)
    assert clips[0].tolist() == [0, 4, 8] and len(clips) == 32
    gapped = timed_scene([i / 30 for i in range(40) if i not in (19, 20, 21)]).clips(3, fps=7.5, stride=1)
    assert all(abs(p - 20 / 30) > 0.01 for p in gapped.flatten().tolist()) and 0 < len(gapped) < 30
    assert not len(timed_scene([0.0, 0.1, 0.2]).clips(5, fps=10, stride=1))
    untimed = timed_scene([1, 2, 3, 5, 6, 7, 9], timed=False)
    assert untimed.clips(3, fps=8, stride=2).tolist() == [
        [0, 2, 3],
        [2, 3, 5],
        [3, 5, 6],
    ]  # numbers 1 3 5, 3 5 7, 5 7 9
    slow = timed_scene([0.0, 1.0, 2.0]).clips(3, fps=8, stride=1)
    assert not len(slow)  # a frame is never given twice


def test_time_stamps_match_within_eight_milliseconds():
    stamps, times = torch.tensor([0.0, 0.1, 0.2, 0.3]), torch.tensor([0.3001, 0.0, 0.1079, 0.2081])
    rows, frames = matched(stamps.double(), times.double())
    assert rows.tolist() == [0, 1, 3] and frames.tolist() == [1, 2, 0]


def broken(root, name, edit):
    """A copy of the DL3DV scene with its transforms.json edited."""
    folder = root / "1K" / name
    shutil.copytree(root / "1K" / "f00d", folder)
    values = json.loads((folder / "transforms.json").read_text())
    edit(values, folder)
    (folder / "transforms.json").write_text(json.dumps(values))
    return folder


def mirror(values, folder):
    values["frames"][3]["transform_matrix"][0] = [-x for x in values["frames"][3]["transform_matrix"][0]]


def not_a_number(values, folder):
    values["frames"][2]["transform_matrix"][0][3] = float("nan")


def absent(values, folder):
    (folder / "images_4" / "frame_00005.png").unlink()


def part(values, folder):
    values["frames"] = values["frames"][:20]


def small(values, folder):
    cv2.imwrite(str(folder / "images_4" / "frame_00004.png"), np.zeros((40, 80, 3), np.uint8))


def oblong(values, folder):
    values["w"], values["cx"] = 200, 100


def single(values, folder):
    values["frames"] = values["frames"][:1]


FAULTS = {
    "mirrored": (mirror, "bad poses", "mirrors"),
    "nan": (not_a_number, "bad poses", "NaN"),
    "wrong-size": (small, "wrong size", "2 sizes: 80x48 (frame_00001.png) and 80x40 (frame_00004.png)"),
    "wrong-lens": (oblong, "wrong size", "pictures are 80x48 and its lens is for 200x192"),
    "one-frame": (single, "one frame", "one frame"),
}
NOTES = {
    "absent": (absent, "listed pictures are absent", "1 of 24 listed pictures are absent"),
    "part": (part, "poses for a part of the pictures", "24 pictures, 20 of them with a camera"),
}


def test_each_known_defect_is_told_by_its_scene_and_the_rest_is_a_list(made, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(made[0] / "dl3dv", root)
    shutil.copytree(made[0] / "re10k" / "train", root / "train")
    for name, (edit, _, _) in {**FAULTS, **NOTES}.items():
        broken(root, name, edit)
    (broken(root, "bare", lambda values, folder: None) / "transforms.json").unlink()
    rows = (root / "train" / "0a1b2c.txt").read_text().splitlines()
    off = [f"{int(row.split()[0]) + 9000} {row.split(maxsplit=1)[1]}" for row in rows[1:]]
    for name, lines in (("late", [rows[0], *off]), ("partly", [rows[0], *rows[1:20], *off[19:]])):
        (root / "train" / f"{name}.txt").write_text("\n".join(lines))
        shutil.copytree(root / "train" / "0a1b2c", root / "train" / name)
    (root / "train" / "lost.txt").write_text("\n".join(rows))
    (root / "broken.tar").write_bytes(b"no tar at all" * 100)
    report = check(list_scenes(root))
    told = {name: found[0] for name, found in report.defects.items()}
    for name, (_, kind, words) in {**FAULTS, **NOTES}.items():
        assert told[f"1K/{name}"].kind == kind and words in told[f"1K/{name}"].told, told[f"1K/{name}"]
    assert told["1K/bare"].kind == "no cameras" and "transforms.json" in told["1K/bare"].told
    assert told["train/late.txt"].kind == told["train/partly.txt"].kind == "time stamps match no frame"
    assert told["train/lost.txt"].kind == "no pictures" and told["broken.tar"].kind == "cannot be read"
    usable = {"1K/f00d": 24, "1K/absent": 23, "1K/part": 20, "train/0a1b2c.txt": 24, "train/partly.txt": 19}
    assert report.frames == usable and len(report.left_out) == len(told) - 3
    assert report.counts()["bad poses"] == 2
    assert main(["dataset", "check", str(root), "--list", str(root / "list.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usable"] == usable
    assert list_scenes(root / "list.txt").names == tuple(report.frames)
    assert main(["dataset", "check", str(root), "--list", str(tmp_path / "list.txt")]) == 2
    (root / "evil.txt").write_text("../../etc\n")
    with pytest.raises(ValueError, match="is not in its folder"):
        list_scenes(root / "evil.txt")


def test_videos_with_cameras_beside_them_and_colmap_models(made, tmp_path):
    from raxel_core.camera_io import write_cameras, write_estimate
    from raxel_core.geometry.estimate import Footage, estimate_of
    from raxel_core.geometry.trajectory import Trajectory

    _, (pictures, camera), _ = made
    (tmp_path / "pairs").mkdir()
    write_video(tmp_path / "pairs" / "a.mp4", as_video(pictures), fps=RATE, crf=4)
    write_video(tmp_path / "pairs" / "b.mp4", as_video(pictures), fps=RATE, crf=4)
    write_cameras(Trajectory(camera, fps=RATE), tmp_path / "pairs" / "a.json")
    (tmp_path / "pairs" / "a.caption.txt").write_text("a room\n")
    report = check(list_scenes(tmp_path / "pairs"))
    assert report.frames == {"a.mp4": 24} and report.defects["b.mp4"][0].kind == "no cameras"
    scene = list_scenes(tmp_path / "pairs").open("a.mp4")
    assert scene.caption == "a room" and torch.allclose(scene.position, torch.arange(24.0).double() / RATE)
    same_path(scene.camera, camera)
    video, _ = scene.pictures.read([3, 17], (48, 80))
    assert float(psnr(video, as_video(pictures[[3, 17]])).min()) > 30
    assert (
        float(psnr(video, as_video(pictures[[4, 18]])).max())
        < float(psnr(video, as_video(pictures[[3, 17]])).min()) - 3
    )
    # What was solved of every third frame from the sixth on belongs to those frames.
    there = tuple(range(6, 24, 3))
    solved = estimate_of(Trajectory(camera[list(there)], fps=RATE / 3), "test")
    write_estimate(replace(solved, footage=Footage("b.mp4", 0.0, RATE, there)), tmp_path / "pairs" / "b.json")
    scene = list_scenes(tmp_path / "pairs").open("b.mp4")
    assert torch.allclose(scene.position, torch.tensor(there).double() / RATE)
    assert float(psnr(scene.pictures.read([1], (48, 80))[0], as_video(pictures[[9]])).min()) > 30
    # So does what counts the video's frames from 1.
    (tmp_path / "pairs" / "b.json").unlink()
    some = Trajectory(camera[5:20], fps=RATE)
    write_estimate(replace(estimate_of(some, "test"), footage=Footage("b", 0.0, RATE, tuple(range(5, 20)))),
                   tmp_path / "pairs" / "b.chan")  # fmt: skip
    scene = list_scenes(tmp_path / "pairs").open("b.mp4")
    assert torch.allclose(scene.position, torch.arange(5.0, 20.0).double() / RATE)
    write_cameras(some, tmp_path / "pairs" / "b.chan", first=1001)
    assert float(list_scenes(tmp_path / "pairs").open("b.mp4").position[0]) == 0.0
    folder = tmp_path / "colmap" / "house"
    shutil.copytree(made[0] / "re10k" / "train" / "0a1b2c", folder / "images")
    for number, path in enumerate(sorted((folder / "images").iterdir(), key=lambda file: int(file.stem))):
        path.rename(folder / "images" / f"frame_{number:05d}.png")
    write_cameras(Trajectory(camera, fps=RATE), folder / "sparse" / "0", format="colmap")
    scene = list_scenes(tmp_path / "colmap").open("house")
    same_path(scene.camera, camera)
    assert torch.equal(scene.pictures.read([5], (48, 80))[0], as_video(pictures[[5]]))


def test_tar_shards_are_read_by_sample(made, tmp_path):
    """webdataset's layout: one sample of a video and cameras, one of RealEstate10K's rows and stamped pictures."""
    from raxel_core.camera_io import write_cameras
    from raxel_core.geometry.trajectory import Trajectory

    root, (pictures, camera), _ = made
    write_video(tmp_path / "a.mp4", as_video(pictures), fps=RATE)
    write_cameras(Trajectory(camera, fps=RATE), tmp_path / "a.json")
    with tarfile.open(tmp_path / "shard-0.tar", "w") as archive:
        archive.add(tmp_path / "a.mp4", "clips/a.mp4")
        archive.add(tmp_path / "a.json", "clips/a.json")
        archive.add(root / "re10k" / "train" / "0a1b2c.txt", "b.txt")
        for path in (root / "re10k" / "train" / "0a1b2c").iterdir():
            archive.add(path, f"b.{path.name}")
        hostile = tarfile.TarInfo("../../c.json")
        hostile.size = 2
        archive.addfile(hostile, io.BytesIO(b"{}"))
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "a.json").unlink()
    report = check(list_scenes(tmp_path))
    assert report.frames == {"shard-0.tar/a": 24, "shard-0.tar/b": 24}
    assert report.defects["shard-0.tar/c"][0].kind == "no cameras"
    for name in report.frames:
        scene = list_scenes(tmp_path / "shard-0.tar").open(name)
        same_path(scene.camera, camera)
        assert float(psnr(scene.pictures.read([9], (48, 80))[0], as_video(pictures[[9]])).min()) > 25


def test_torch_chunks_become_the_published_layout_and_a_hostile_one_runs_nothing(made, tmp_path, capsys):
    root, (pictures, camera), _ = made
    rows = [line.split() for line in (root / "re10k" / "train" / "0a1b2c.txt").read_text().splitlines()[1:]]
    images = [torch.from_numpy(cv2.imencode(".jpg", picture[..., ::-1])[1].ravel()) for picture in pictures]
    good = {
        "key": "77ff", "url": "https://youtu.be/abcdefghijk", "timestamps": torch.tensor([int(row[0]) for row in rows]),
        "cameras": torch.tensor([[float(x) for x in row[1:]] for row in rows], dtype=torch.float64), "images": images,
    }  # fmt: skip
    torch.save([good, {**good, "key": "../x"}, {**good, "images": images[:3]}], tmp_path / "000000.torch")
    assert main(["dataset", "unpack", str(tmp_path / "000000.torch"), "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == ["77ff"] and len(told["faults"]) == 2 and "'../x'" in told["faults"][0]
    scene = list_scenes(tmp_path / "out").open("77ff.txt")
    assert torch.allclose(scene.camera.world_from_cam, camera.world_from_cam.double(), atol=1e-6)
    assert float(psnr(scene.pictures.read([2], (48, 80))[0], as_video(pictures[[2]])).min()) > 25

    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "made by the pickle"), "w"))

    torch.save([Hostile()], tmp_path / "evil.torch")
    with pytest.raises(ValueError, match="not a chunk that can be read safely"):
        unpack_chunk(tmp_path / "evil.torch", tmp_path / "out")
    assert not (tmp_path / "made by the pickle").exists()
    assert torch_chunks._fault({"key": "a"}) == "a: its cameras are no [N, 18] table"


def test_the_stamps_of_a_local_video_count_from_its_start(made, tmp_path):
    """A whole video named by its id, of which the .txt is a part, and a clip named as the .txt."""
    root, (pictures, camera), _ = made
    lines = (root / "re10k" / "train" / "0a1b2c.txt").read_text().splitlines()
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "part.txt").write_text("\n".join([lines[0], *lines[9:]]))
    (tmp_path / "train" / "clip.txt").write_text("\n".join(["clip", *lines[9:]]))
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "abcdefghijk.mp4", as_video(pictures), fps=RATE, crf=4)
    write_video(tmp_path / "train" / "clip.mp4", as_video(pictures[8:]), fps=RATE, crf=4)
    for name in ("train/part.txt", "train/clip.txt"):
        scene = list_scenes(tmp_path).open(name)
        assert len(scene) == 16
        same_path(scene.camera, camera[8:])
        found = scene.pictures.read([4], (48, 80))[0]
        near, off = (float(psnr(found, as_video(pictures[[i]])).min()) for i in (12, 13))
        assert near > off + 3
    assert se3.geodesic(camera.rotation[8], camera.rotation[9]) > 0
