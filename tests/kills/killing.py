"""Jobs that write files, killed at random moments, in a process of their own.

    python -m tests.kills.killing JOB KILLS SEED FOLDER

Each kill is of a fork that has everything imported, at a moment drawn from the length of an undisturbed run; forks that
come to their end before are begun anew and do not count. After each kill,
what the job wrote before has to be whole; after the last, the job runs to its end and has to leave what an undisturbed
run leaves, and nothing else. Prints one JSON object, or fails with what was lost.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch
from safetensors.torch import load_file

from raxel_core.camera_io import read_cameras, write_cameras
from raxel_core.cli import main as command
from raxel_core.cli import options
from raxel_core.model.config import RaxelConfig
from raxel_core.paths.camera_path import path_from_json
from raxel_core.paths.plan import make_move
from raxel_core.training.config import TrainConfig
from raxel_core.training.raxel_objective import WEIGHTS_FILE, RaxelObjective
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from raxel_core.video_io import read_video, write_video
from raxel_core.weights import load_checkpoint, save_checkpoint
from raxel_core.weights.conversion import convert_wan
from tests.oracle import moving_clip, oracle_model
from tests.random_raxel import random_raxel
from tests.wan_files import random_wan, save_shards

SMALL = RaxelConfig(dim=48, ffn_dim=96, layers=2, heads=2, in_channels=32, patch=(1, 1, 1), text_dim=None, freq_dim=32)
RUN = TrainConfig(
    name="kills", steps=6, frames=5, model=SMALL, hw=(32, 32), clips=8, shard_clips=8, batch=4, precision="no",
    log_every=1, validate_every=3, validation_clips=4, save_every=2,
)  # fmt: skip
HIDDEN = "."
# Of so many forks for one kill the others end before it: then the moments are no longer drawn well.
_MOST_TRIES = 5


@dataclass(frozen=True)
class Job:
    """`run(folder)` writes; `whole(folder)` raises where something it wrote before is lost or half there."""

    run: Callable[[Path], None]
    whole: Callable[[Path], None]


def save_job() -> Job:
    """A checkpoint in shards, a camera model of three files and a path, each written over what was there."""
    models = [random_raxel(seed) for seed in (0, 1)]
    path = make_move("orbit", 9, hw=(48, 64), amount=1.0)

    def run(folder: Path) -> None:
        for model in models:
            save_checkpoint(folder / "model.safetensors", model, model.config)
            write_cameras(path, folder / "colmap", format="colmap")
            write_cameras(path, folder / "path.json")

    def whole(folder: Path) -> None:
        if (folder / "model.safetensors").exists():
            state = load_checkpoint(folder / "model.safetensors").model.state_dict()
            assert any(all(torch.equal(state[k], v) for k, v in m.state_dict().items()) for m in models)
        if (folder / "path.json").exists():
            assert len(read_cameras(folder / "path.json").trajectory) == 9

    return Job(run, whole)


def convert_job() -> Job:
    """Wan's weights made a raxel checkpoint of several files."""
    weights = random_wan()

    def run(folder: Path) -> None:
        if not (folder / "wan").exists():
            save_shards(folder / "half", weights)  # a kill in here is none of the job's
            (folder / "half").rename(folder / "wan")
        convert_wan(folder / "wan", folder / "raxel.safetensors", shard_bytes=2_000_000)

    def whole(folder: Path) -> None:
        index = folder / "raxel.safetensors.index.json"
        if index.exists():
            load_checkpoint(index)

    return Job(run, whole)


def train_job() -> Job:
    """A training run that is carried on after each kill."""
    vae = fit_patch_code(raxel_and_video_clips(RUN, range(16)), channels=32)

    def run(folder: Path) -> None:
        objective = RaxelObjective(RUN, vae, cache=folder / "clips")
        Trainer(objective, folder / "run").train()

    def whole(folder: Path) -> None:
        if (folder / "run" / WEIGHTS_FILE).exists():
            load_checkpoint(folder / "run" / WEIGHTS_FILE)

    return Job(run, whole)


def two_job() -> Job:
    """A run that two processes share, a part of the network in each, carried on after each kill of both."""
    vae = fit_patch_code(raxel_and_video_clips(RUN, range(16)), channels=32)

    def rank(folder: Path, number: int, port: int) -> None:
        os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        objective = RaxelObjective(replace(RUN, batches=2), vae, cache=folder / "clips")
        Trainer(objective, folder / "run", sharded=True).train()

    def run(folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = []
        for number in (0, 1):
            children.append(os.fork())
            if not children[-1]:
                rank(folder, number, port)
                os._exit(0)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0], codes

    def whole(folder: Path) -> None:
        if (folder / "run" / WEIGHTS_FILE).exists():
            load_checkpoint(folder / "run" / WEIGHTS_FILE)

    return Job(run, whole)


def list_job() -> Job:
    """The camera paths of a list of videos."""
    video, camera = moving_clip()
    model = oracle_model(video * 0.5, camera)

    def run(folder: Path) -> None:
        options.load = lambda arguments, processes: model
        for name in ("a", "b"):
            if not (folder / f"{name}.mp4").exists():
                write_video(folder / f"{name}.mp4", torch.linspace(-0.8, 0.8, 48).expand(3, 9, 32, 48), fps=8.0)
        (folder / "clips.txt").write_text("a.mp4\nb.mp4\n")
        assert command(["pose", "--list", str(folder / "clips.txt"), "--out", str(folder / "out")]) == 0

    def whole(folder: Path) -> None:
        for path in (folder / "out").glob("*.json"):
            path_from_json(path.read_text())

    return Job(run, whole)


def video_job() -> Job:
    """A video written over itself."""
    videos = [torch.linspace(-0.8, 0.8, 64).expand(3, 17, 64, 64) * sign for sign in (1, -1)]

    def run(folder: Path) -> None:
        for video in videos:
            write_video(folder / "clip.mp4", video, fps=8.0)

    def whole(folder: Path) -> None:
        if (folder / "clip.mp4").exists():
            assert read_video(folder / "clip.mp4").video.shape[1] == 17

    return Job(run, whole)


JOBS: dict[str, Callable[[], Job]] = {
    "save": save_job, "convert": convert_job, "train": train_job, "two": two_job, "list": list_job, "video": video_job,
}  # fmt: skip


def main() -> int:
    """Kill one job so many times; the exit status."""
    name, kills, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    torch.set_num_threads(1)
    job, random = JOBS[name](), Random(f"{name} {seed}")
    right, place = folder / "right", folder / "killed"
    right.mkdir()
    place.mkdir()
    started = time.monotonic()
    assert fork(lambda: job.run(right)) == 0
    length, struck, tried = time.monotonic() - started, 0, 0
    while struck < kills:
        tried += 1
        begun, anew = time.monotonic(), not any(place.iterdir())
        hit = fork(lambda: job.run(place), after=random.uniform(0.0, 0.9 * length)) == -signal.SIGKILL
        struck += hit
        job.whole(place)
        if not hit:  # Nothing is left to do there, and a kill of that would show nothing.
            length = min(length, time.monotonic() - begun) if anew else length  # the first run was the slowest
            shutil.rmtree(place)
            place.mkdir()
        assert tried < _MOST_TRIES * kills, f"{struck} of {tried} kills met the job at work"
    assert fork(lambda: job.run(place)) == 0
    job.whole(place)
    _check_equal(right, place)
    litter = [str(path.relative_to(place)) for path in place.rglob("*") if path.name.startswith(HIDDEN)]
    assert not litter, f"left behind: {litter[:5]}"
    print(json.dumps({"job": name, "kills": struck, "tried": tried, "seconds_undisturbed": round(length, 2)}))
    return 0


def fork(run: Callable[[], None], *, after: float | None = None) -> int:
    """Run in a fork that is killed `after` so many seconds; its exit status, negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        os.setsid()  # what it starts dies with it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        run()  # an error goes up to the end of this process, with its traceback
        os._exit(0)
    if after is not None:
        time.sleep(after)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the job ended with {code}"
    return code


def _check_equal(right: Path, found: Path) -> None:
    """AssertionError unless both folders hold the same files, tensors being what counts in weights; logs are longer."""
    names = {path.relative_to(right) for path in right.rglob("*") if path.is_file()}
    assert names == {path.relative_to(found) for path in found.rglob("*") if path.is_file()}
    for name in names:
        if name.suffix == ".safetensors":
            a, b = load_file(right / name), load_file(found / name)
            assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), name
        elif name.suffix not in (".jsonl",):
            assert (right / name).read_bytes() == (found / name).read_bytes(), name


if __name__ == "__main__":
    sys.exit(main())
