"""Damaged camera files against one reader, in a process of its own that measures its time and memory.

    python -m tests.fuzz.camera_readers FORMAT COUNT [SEED]

Prints one JSON object. Exits with 1, after the input and the traceback, when anything but CameraFormatError comes out,
an input takes more than a second of CPU time, or the process grows by more than 64 MB over what it had before.
"""

from __future__ import annotations

import faulthandler
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import torch

from raxel_core.camera_io import FORMATS, format_named, read_cameras, write_cameras
from raxel_core.camera_io.reading import Assumed, CameraFormatError
from raxel_core.geometry.camera import Camera
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move
from tests.fuzz.mutation import mutate

MOST_SECONDS = 1.0
# So many inputs that do not end in so many seconds hang: the process ends with a traceback.
HANG_INPUTS, HANG_SECONDS = 200, 300
MOST_GROWTH_MB = 64.0
WARM_UP = 20

PLANNED = b"""{"format": "raxel.camera_path", "version": 1, "fps": 16, "unit": "metre", "name": "a", "width": 64, "height": 48,
"frame_count": 9, "plan": {"fov_degrees": 60, "depth": 2.0, "moves": [{"move": "orbit", "amount_degrees": 30, "start": 0.1,
"end": 0.9, "easing": "smooth"}, {"move": "handheld", "amount_degrees": 0.6, "seed": 1}], "keys": [{"time": 0, "position":
[0, 0, 0], "rotation_degrees": [1, 2, 3], "fov_degrees": 60}, {"time": 1, "position": [1, 0, 0], "look_at": [0, 0, 1]}]}}"""


def main() -> int:
    """Run one reader; the exit status."""
    name, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    torch.set_num_threads(1)
    names = [known.name for known in FORMATS] if name == "all" else [name]
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for each in names:
            print(json.dumps(fuzz(each, count, seed, Path(folder))), flush=True)
    return 0


def fuzz(name: str, count: int, seed: int, folder: Path) -> dict[str, object]:
    """Give `count` damaged inputs to the reader called `name`; what was measured."""
    samples, suffix = sample_sets(name, folder), format_named(name).suffix
    random = Random(f"{name} {seed}")
    accepted, slowest, used = 0, 0.0, 0.0
    before = resident_mb()
    for number in range(count + WARM_UP):
        if number == WARM_UP:
            before = reset_peak()
        if number % HANG_INPUTS == 0:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        target = damaged(random.choice(samples), samples, random, folder / f"target_{name}", suffix)
        started = time.process_time()
        try:
            accepted += read(name, target, random)
        except BaseException:
            print(f"input {number} of {name}, seed {seed}: {keep(target)}", file=sys.stderr)
            raise
        seconds = time.process_time() - started
        used, slowest = used + seconds, max(slowest, seconds)
        if seconds > MOST_SECONDS:
            raise SystemExit(f"input {number} of {name}, seed {seed} took {seconds:.2f} s: {keep(target)}")
        if peak_mb() - before > MOST_GROWTH_MB:
            raise SystemExit(f"input {number} of {name}, seed {seed} took {peak_mb() - before:.0f} MB: {keep(target)}")
    faulthandler.cancel_dump_traceback_later()
    return {
        "format": name,
        "inputs": count,
        "accepted": accepted,
        "slowest_ms": round(1e3 * slowest, 2),
        "mean_ms": round(1e3 * used / (count + WARM_UP), 3),
        "growth_mb": round(peak_mb() - before, 1),
    }


def read(name: str, target: Path, random: Random) -> bool:
    """Whether a damaged input is still cameras; then they are valid ones. Now and then the format is left open."""
    try:
        reading = read_cameras(target, format=None if random.random() < 0.1 else name, assumed=Assumed())
    except CameraFormatError as error:
        text = str(error)
        assert "\n" not in text.strip(), text
        assert 0 < len(text) < 2000, text
        return False
    reading.trajectory.camera.validate()
    assert len(reading.text) < 20_000
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


def resident_mb() -> float:
    """The process's resident memory now."""
    return _status("VmRSS")


def peak_mb() -> float:
    """The most resident memory since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> float:
    """Let the peak begin anew (Linux); the resident memory now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb()


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"/proc/self/status has no {key}")


if __name__ == "__main__":
    sys.exit(main())
