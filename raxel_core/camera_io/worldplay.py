"""HY-WorldPlay's pose JSON: {"0": {"extrinsic": 4 x 4, "K": 3 x 3}, "1": ...}, a pose a latent frame.

`extrinsic` is camera-to-world in OpenCV axes, whatever its name says; K is in pixels of a picture that is twice its
principal point large, which the authors' loader divides it by. A latent frame stands for four frames of the video but
for the first. Source: generate.py (pose_to_input) of github.com/Tencent-Hunyuan/HY-WorldPlay. Not held: times, units;
refused: a principal point off the middle.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..atomic_file import write_text
from ..geometry.camera import K_from_focal
from ..geometry.trajectory import Trajectory
from .clip import Frames, reading_of
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat
from .matrix_rows import full_motions
from .parsing import check_frames, mapping, matrix, read_json, whole
from .pinhole import centred, lens_of
from .reading import Assumed, Reading

_KEYS = ("extrinsic", "K")


def _recognise(content: Content) -> bool:
    return set(_KEYS) <= content.keys and any(key.isdigit() for key in content.keys)


def _read(path: Path, assumed: Assumed) -> Reading:
    values = mapping(read_json(path), path.name)
    check_frames(len(values), path.name)
    given = [
        (mapping(frame, f"{path.name} {key[:20]!r}", needs=_KEYS), f"{path.name} {key[:20]!r}")
        for key, frame in values.items()
    ]
    rows = [matrix(frame["extrinsic"], 4, 4, f"{where} extrinsic") for frame, where in given]
    motions = full_motions(torch.tensor(rows, dtype=torch.float64).flatten(1), path.name)
    lenses = []
    for frame, where in given:
        K = matrix(frame["K"], 3, 3, f"{where} K")
        height, width = (
            whole(round(2.0 * K[axis][2]), f"{where} K, twice the principal point", least=1) for axis in (1, 0)
        )
        lenses.append(lens_of((height, width), (K[0][0], K[1][1], K[0][2], K[1][2]), where))
    digits = [int(key) for key in values if key.isdigit() and len(key) < 9]
    return reading_of(
        Frames(motions, lenses, numbers=digits if len(digits) == len(values) else ()), FORMAT.name, path.name, assumed,
        convention="extrinsic is camera-to-world (c2w) in OpenCV axes, as HY-WorldPlay reads it; nothing was inverted.",
        lens_from="K", notes=("A pose is one latent frame: four frames of the video but for the first.",),
        warnings=inversion_warning(motions),
    )  # fmt: skip


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    focal = centred(trajectory, path.name)
    height, width = trajectory.camera.hw
    K = K_from_focal(focal, focal.new_tensor((0.5 * width, 0.5 * height)).expand(len(focal), 2)).tolist()
    motions = trajectory.camera.world_from_cam.tolist()
    frames = zip(trajectory.frame_numbers, motions, K, strict=True)
    write_text(path, json.dumps({str(number): {"extrinsic": motion, "K": lens} for number, motion, lens in frames}))
    return (path,)


FORMAT = CameraFormat(
    name="worldplay",
    title="HY-WorldPlay pose JSON (a pose a latent frame; centred)",
    suffix=".json",
    patterns=("*.worldplay.json",),
    recognise=_recognise,
    read=_read,
    write=_write,
    leaves_out=("rate", "unit"),
)
