"""OpenSfM's reconstruction.json: world-to-camera rotation vectors and translations, OpenCV axes.

Focal lengths and principal points are shares of the larger side; the file holds a list of reconstructions, each a track
of its own. Source: opensfm.org, "Reconstruction File Format" and "Camera models". Units are metres where GPS was used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..geometry import se3
from ..geometry.distortion import Lens
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat
from .parsing import check_frames, mapping, number, numbers, read_json, sequence, whole
from .pinhole import lens_of
from .reading import Assumed, CameraFormatError, Reading
from .tracks import chosen_track

# OpenSfM's name of a lens: ours, and its keys in the order of ours.
_LENSES = {
    "perspective": ("RADIAL", ("k1", "k2")),
    "brown": ("BROWN", ("k1", "k2", "p1", "p2", "k3", "k4")),
    "simple_radial": ("SIMPLE_RADIAL", ("k1",)),
    "radial": ("RADIAL", ("k1", "k2")),
    "fisheye": ("RADIAL_FISHEYE", ("k1", "k2")),
    "fisheye_opencv": ("OPENCV_FISHEYE", ("k1", "k2", "k3", "k4")),
}

_NEEDED = ("camera", "rotation", "translation")


def _recognise(content: Content) -> bool:
    return {"cameras", "shots", "projection_type"} <= content.keys


def _read(path: Path, assumed: Assumed) -> Reading:
    parts = sequence(read_json(path), path.name)
    if not parts:
        raise CameraFormatError(f"{path.name}: expected a reconstruction, found none")
    names = [f"reconstruction {index}" for index in range(len(parts))]
    # A track is a reconstruction of the file, or a camera within the one that is taken.
    known = assumed.track in names
    index, warnings = chosen_track(names, assumed.track if known else "", path.name, sizes=[_shots(p) for p in parts])
    part = mapping(parts[index], f"{path.name} {names[index]}", needs=("cameras", "shots"))
    lenses = {
        key: _lens(value, f"{path.name} camera {key[:40]!r}")
        for key, value in mapping(part["cameras"], path.name).items()
    }
    given = [
        (name, f"{path.name} shot {name[:40]!r}", shot) for name, shot in mapping(part["shots"], path.name).items()
    ]
    check_frames(len(given), f"{path.name} shots")
    shots = [(name, mapping(shot, where, needs=_NEEDED)) for name, where, shot in given]
    missing = next((shot["camera"] for _, shot in shots if str(shot["camera"]) not in lenses), None)
    if missing is not None:
        raise CameraFormatError(f"{path.name}: expected a camera of the file, found {str(missing)[:40]!r}")
    twists = [
        [number for key in _NEEDED[1:] for number in numbers(shot[key], 3, f"{path.name} {key}")] for _, shot in shots
    ]
    rows = torch.tensor(twists, dtype=torch.float64)
    motions = se3.inverse(se3.from_rotation_translation(se3.so3_exp(rows[:, :3]), rows[:, 3:]))
    frames = Frames(
        motions, [lenses[str(shot["camera"])] for _, shot in shots], names=[name for name, _ in shots],
        cameras=[str(shot["camera"]) for _, shot in shots],
    )  # fmt: skip
    return reading_of(
        frames, FORMAT.name, path.name, replace(assumed, track="") if known else assumed,
        convention="Rotation vectors and translations are world-to-camera in OpenCV axes and were inverted.",
        lens_from="cameras", warnings=warnings,
    )  # fmt: skip


def _shots(part: Any) -> int:
    """How many shots a reconstruction has; 0 for what is none."""
    shots = part.get("shots") if isinstance(part, dict) else None
    return len(shots) if isinstance(shots, dict) else 0


def _lens(given: Any, where: str) -> Lens:
    value = mapping(given, where, needs=("projection_type", "width", "height"))
    kind = value["projection_type"]
    if not isinstance(kind, str) or kind not in _LENSES:
        raise CameraFormatError(f"{where}: expected one of the lenses {', '.join(_LENSES)}, found {repr(kind)[:40]}")
    height, width = (whole(value[side], f"{where} {side}", least=1) for side in ("height", "width"))
    fx = number(value.get("focal_x", value.get("focal")), f"{where} focal")
    fy = number(value.get("focal_y", fx), f"{where} focal_y")
    cx, cy = (number(value.get(key, 0.0), f"{where} {key}") for key in ("c_x", "c_y"))
    side = float(max(height, width))
    model, keys = _LENSES[kind]
    coefficients = [number(value.get(key, 0.0), f"{where} {key}") for key in keys]
    intrinsics = (fx * side, fy * side, 0.5 * width + cx * side, 0.5 * height + cy * side)
    return lens_of((height, width), intrinsics, where, model=model, coefficients=coefficients)


FORMAT = CameraFormat(
    name="opensfm", title="OpenSfM reconstruction.json", suffix=".json", patterns=(), recognise=_recognise, read=_read
)
