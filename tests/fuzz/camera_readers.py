"""Damaged camera files against one reader."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from random import Random

import torch

from raxel_core.camera_io import FORMATS, format_named, read_cameras, write_cameras
from raxel_core.camera_io.reading import DIRECTIONS, GAPS, QUATERNIONS, Assumed, CameraFormatError
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move
from tests.fuzz.frame import Target
from tests.fuzz.mutation import mutate

PLANNED = b"""{"format": "raxel.camera_path", "version": 1, "fps": 16, "unit": "metre", "name": "a", "width": 64, "height": 48,
"frame_count": 9, "plan": {"fov_degrees": 60, "depth": 2.0, "moves": [{"move": "orbit", "amount_degrees": 30, "start": 0.1,
"end": 0.9, "easing": "smooth"}, {"move": "handheld", "amount_degrees": 0.6, "seed": 1}], "keys": [{"time": 0, "position":
[0, 0, 0], "rotation_degrees": [1, 2, 3], "fov_degrees": 60}, {"time": 1, "position": [1, 0, 0], "look_at": [0, 0, 1]}]}}"""


def camera_targets() -> list[Target]:
    """One target a format."""
    return [_target(known.name) for known in FORMATS]


def _target(name: str) -> Target:
    return Target(
        name=name,
        prepare=lambda folder: sample_sets(name, folder),
        damage=lambda samples, random, folder: damaged(
            random.choice(samples), samples, random, folder / f"target_{name}"
        ),
        read=lambda target, random: read(name, target, random),
        refusals=(CameraFormatError,),
        keep=keep,
    )


def assumed_by(random: Random) -> Assumed:
    """Now and then another choice than the usual one."""
    if random.random() < 0.7:
        return Assumed()
    choices = {
        "gaps": GAPS,
        "direction": DIRECTIONS,
        "quaternions": QUATERNIONS,
        "track": ("", "", "all", "cam1", "camera 2"),
    }
    picked = {field: random.choice(of) for field, of in choices.items()}
    return Assumed(**picked, undistort=random.random() < 0.5)


def read(name: str, target: Path, random: Random) -> bool:
    """Whether a damaged input is still cameras; then they are valid ones. Now and then the format is left open."""
    reading = read_cameras(target, format=None if random.random() < 0.1 else name, assumed=assumed_by(random))
    reading.trajectory.camera.validate()
    assert len(reading.text) < 20_000
    assert all(line.isprintable() for line in reading.text.split("\n")), repr(reading.text)
    assert reading.trajectory.name.isprintable()
    return True


# Files of people, for the formats that are only read and for other forms of those that are written.
REPORTED = {
    "openmvg": ["99-openmvg/sfm_data.json"],
    "meshroom": ["100-meshroom/cameras.sfm"],
    "opensfm": ["98-opensfm/reconstruction.json"],
    "earth_studio": ["106-earth-studio/shot.json"],
    "metashape": ["101-metashape/cameras.xml"],
    "bundler": ["103-bundler/bundle.out"],
    "reality_capture": ["102-realitycapture-csv/cams.csv"],
    "after_effects_keys": ["105-ae-keyframe-data/ae.txt"],
    "matrix_files": ["66-scannet-pose", "67-open3d-log/trajectory.log"],
    "matrix_rows": ["63-kitti360/poses.txt", "65-kitti360-cam0/cam0_to_world.txt"],
    "arrays": ["80-npz/results.npz", "80-npz/megasam.npz", "80-npz/poses7.npy", "80-npz/b.npy", "192-cut3r"],
    "nerfstudio": [
        "24-ns-export-cameras/transforms_train.json",
        "27-ingp-fisheye/transforms.json",
        "39-stereo/transforms.json",
    ],
    "colmap": ["03-colmap-two-sizes", "06-colmap-gaps"],
    "usda": ["121-usd-houdini-subframes/shot.usda", "133-usd-inactive/shot.usda"],
    "tum": ["53-tum-ns/f_dataset.txt", "160-tum-utf16/traj.txt"],
    "nuke_chan": ["95-chan-variants/step2.chan"],
}
REPORTS = Path(__file__).parents[1] / "golden" / "cameras" / "reports"
POLYCAM = {f"t_{row}{column}": float(row == column) for row in range(3) for column in range(4)} | {
    "fx": 400.0, "fy": 400.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480
}  # fmt: skip
RECORD3D = {"poses": [[0, 0, 0, 1, 0, 0, number] for number in range(4)], "w": 640, "h": 480, "fps": 30} | {
    "K": [400, 0, 0, 0, 400, 0, 320, 240, 1]
}


TABLE = "".join(f"{number / 30:.4f} {number * 0.1:.3f} 0 1 0 0 0 1\n" for number in range(6))
STACK = "".join(f"1 0 0 {number * 0.1:.3f}\n0 1 0 0\n0 0 1 2\n0 0 0 1\n" for number in range(4))
LENS = "700 0 416\n0 700 240\n0 0 1\n"
# Forms that no reported file has: headings, a clock, lost frames, comments, stacks, JSON, K in a file beside.
WRITTEN_BY_HAND = {
    "headed": [
        {"cameras.csv": "time,frame,qw,qx,qy,qz,x,y,z\n" + "0.1,1,1,0,0,0,1,2,3\n0.2,2,1,0,0,0,1,2,4\n" * 2},
        {"odometry.csv": "timestamp;tx;ty;tz;qx;qy;qz;qw;n\n2024-05-01T12:00:00.5Z;0;0;0;0;0;0;1;a\n"
         "2024-05-01T12:00:01Z;nan;0;0;0;0;0;1;a\n2024-05-01T12:00:02.5Z;1,5;0;0;0;0;0;1;a\n",
         "camera_matrix.csv": LENS},
    ],
    "tum": [{"traj.txt": TABLE.replace("0.0667", "0.0667 nan #") + TABLE[:40], "intrinsics.txt": LENS},
            {"pose_left.txt": "1 2 3 0 0 0 1\n0 0 0 0 0 0 0\n2 2 3 0 0 0 1\n"}],
    "matrix_files": [{"poses.txt": STACK.replace("0.200", "nan"), "intrinsic.txt": "700 700 416 240\n" * 4}],
    "arrays": [{"poses.json": '{"w2c": [' + ", ".join(["[[1,0,0,0.5],[0,1,0,0],[0,0,1,2],[0,0,0,1]]"] * 3)
                + '], "K": [700, 700, 416, 240], "inds": [0, 1, 4]}'}],
}  # fmt: skip


def zipped(name: str, content: bytes) -> bytes:
    """A zip archive with one stored file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def reported(name: str) -> list[dict[str, bytes]]:
    """Good inputs that are not our own, by their path below the target folder."""
    found = []
    for path in (REPORTS / entry for entry in REPORTED.get(name, [])):
        files = sorted(path.iterdir())[:4] if path.is_dir() else [path]
        found.append({f"cameras/{f.name}" if path.is_dir() else f"cameras{f.suffix}": f.read_bytes() for f in files})
    if name == "polycam":
        found.append({f"cameras/{number}.json": json.dumps(POLYCAM).encode() for number in range(3)})
    if name == "record3d":
        metadata = json.dumps(RECORD3D).encode()
        found += [{"cameras.json": metadata}, {"cameras.r3d": zipped("metadata", metadata)}]
    found += [{path: text.encode() for path, text in files.items()} for files in WRITTEN_BY_HAND.get(name, [])]
    if name == "usda":
        layer = (REPORTS / "133-usd-inactive" / "shot.usda").read_bytes()
        found.append({"cameras.usdz": zipped("shot.usda", layer)})
    return found


def sample_sets(name: str, folder: Path) -> list[dict[str, bytes]]:
    """Good inputs: each the files of one, by their path below the target folder, the one to read first."""
    found = reported(name)
    if format_named(name).write is None:
        return found
    for number, trajectory in enumerate(sample_paths()):
        path = folder / f"sample_{name}_{number}" / f"cameras{format_named(name).suffix}"
        path.parent.mkdir()
        files = write_cameras(trajectory, path, format=name)
        found.append({file.relative_to(path.parent).as_posix(): file.read_bytes() for file in files})
    return [*found, {"cameras.json": PLANNED}] if name == "camera_path" else found


def sample_paths() -> list[Trajectory]:
    """A short path, one frame, and one that is not at the origin; all that every format can hold."""
    orbit = make_move("orbit", 5, hw=(480, 832), amount=1.0)
    moved = Camera(orbit.camera.world_from_cam.clone(), orbit.camera.K.clone(), orbit.camera.hw)
    moved.world_from_cam[:, :3, 3] += torch.tensor((12.5, -3.0, 1e3))
    return [orbit, orbit[:1], Trajectory(moved, fps=30.0, unit="near_depth", name='a "shot"')]


def damaged(files: dict[str, bytes], samples: list[dict[str, bytes]], random: Random, target: Path) -> Path:
    """Write the files with one of them damaged, now and then two, or one missing; the path to read."""
    for old in target.rglob("*"):
        if old.is_file():
            old.unlink()
    hit = set(random.choices(sorted(files), k=2 if random.random() < 0.1 else 1))
    for name, data in files.items():
        if len(files) > 1 and name in hit and random.random() < 0.02:
            continue
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        other = random.choice(list(random.choice(samples).values()))
        path.write_bytes(mutate(data, other, random) if name in hit else data)
    return target / Path(next(iter(files))).parts[0]


def keep(target: Path) -> str:
    """Copy an input out of the temporary folder; where it is now."""
    kept = Path(tempfile.mkdtemp(prefix="raxel-fuzz-"))
    copied = kept / target.name
    shutil.copytree(target, copied) if target.is_dir() else shutil.copy(target, copied)
    return str(copied)
