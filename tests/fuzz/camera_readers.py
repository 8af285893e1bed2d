"""Damaged camera files against one reader."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random

import torch

from raxel_core.camera_io import FORMATS, format_named, read_cameras, write_cameras
from raxel_core.camera_io.reading import Assumed, CameraFormatError
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
            random.choice(samples), samples, random, folder / f"target_{name}", format_named(name).suffix
        ),
        read=lambda target, random: read(name, target, random),
        refusals=(CameraFormatError,),
        keep=keep,
    )


def read(name: str, target: Path, random: Random) -> bool:
    """Whether a damaged input is still cameras; then they are valid ones. Now and then the format is left open."""
    reading = read_cameras(target, format=None if random.random() < 0.1 else name, assumed=Assumed())
    reading.trajectory.camera.validate()
    assert len(reading.text) < 20_000
    assert all(line.isprintable() for line in reading.text.split("\n")), repr(reading.text)
    assert reading.trajectory.name.isprintable()
    return True


def sample_sets(name: str, folder: Path) -> list[dict[str, bytes]]:
    """Good inputs: each the files of one, by their path below the target folder."""
    found = []
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


def damaged(
    files: dict[str, bytes], samples: list[dict[str, bytes]], random: Random, target: Path, suffix: str
) -> Path:
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
    return target / f"cameras{suffix}"


def keep(target: Path) -> str:
    """Copy an input out of the temporary folder; where it is now."""
    kept = Path(tempfile.mkdtemp(prefix="raxel-fuzz-"))
    copied = kept / target.name
    shutil.copytree(target, copied) if target.is_dir() else shutil.copy(target, copied)
    return str(copied)
