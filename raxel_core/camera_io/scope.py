"""SCoPE's npy of poses [F, 3, 4] or [F, 4, 4], with its horizontal angle of view beside it.

Poses are camera-to-world in OpenCV axes, relative to the first frame, lengths in near depths. The angle of view is no
part of the file: SCoPE takes it as --x_fov in radians. Here it stands in a JSON of the same name,
{"x_fov": radians, "xi": 0}, under the keys of SCoPE's examples/manifest.json. Source: README and scope/data/_pose.py of
github.com/TencentARC/SCoPE, which wants 81 frames. Not held: times, the picture's size. Refused: a focal length that
changes, a principal point off the middle, pixels that are not square.
"""

from __future__ import annotations

import json
from math import degrees, pi
from pathlib import Path

import torch

from ..geometry.camera import K_from_fov
from ..geometry.trajectory import Trajectory
from .format import CameraFormat, assumed_K, motions_of, npy_bytes, trajectory_of, write_together
from .inversion import inversion_warning
from .pinhole import centred_square
from .reading import Assumed, CameraFormatError, Reading
from .source import mapping, npy_shape, number, read_json, read_npy

# A focal length that changes by less than this share is one.
_CONSTANT = 1e-3


def _recognise(path: Path) -> bool:
    shape = npy_shape(path)
    return len(shape) == 3 and shape[1:] in ((3, 4), (4, 4))


def _read(path: Path, assumed: Assumed) -> Reading:
    values = read_npy(path)
    if values.ndim != 3 or tuple(values.shape[1:]) not in ((3, 4), (4, 4)):
        raise CameraFormatError(f"{path.name}: expected shape [F, 3, 4] or [F, 4, 4], found {list(values.shape)}")
    world_from_cam = motions_of(values) if values.shape[1] == 3 else values
    fov_x, xi = _lens(path.with_suffix(".json"))
    K, K_note = assumed_K(assumed)
    warnings = []
    if fov_x is None:
        warnings.append(f"no {path.stem}.json with x_fov stands beside it: the assumed angle of view was taken")
    else:
        K = K_from_fov(torch.tensor(fov_x, dtype=torch.float64), assumed.hw)
        K_note = f"K: x_fov {degrees(fov_x):.4f} degrees, from {path.stem}.json."
    if xi:
        warnings.append(f"the lens is distorted (xi = {xi:g}), which was left out")
    trajectory, mended = trajectory_of(
        world_from_cam, K, assumed.hw, path.name, fps=assumed.fps, unit="near_depth", name=path.stem
    )
    notes = (
        "Poses are camera-to-world (c2w) in OpenCV axes; nothing was inverted.",
        K_note,
        "Lengths: near depths, which the format stands for.",
        f"Time: {assumed.fps:g} frames a second, assumed; the format has none.",
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*warnings, *inversion_warning(world_from_cam)))


def _lens(path: Path) -> tuple[float | None, float]:
    """x_fov in radians and xi of the JSON beside the poses; (None, 0) when there is none."""
    if not path.is_file():
        return None, 0.0
    values = mapping(read_json(path), path.name)
    if "x_fov" not in values:
        return None, 0.0
    fov_x = number(values["x_fov"], f"{path.name} x_fov")
    if not 0.0 < fov_x < pi:
        raise CameraFormatError(f"{path.name} x_fov: expected an angle between 0 and pi radians, found {fov_x:g}")
    return fov_x, number(values.get("xi", 0.0), f"{path.name} xi")


def _write(trajectory: Trajectory, path: Path) -> tuple[Path, ...]:
    if trajectory.unit == "metre":
        raise CameraFormatError(f"{path.name}: expected lengths in near depths, found metres; scale the path first")
    focal = centred_square(trajectory, path.name)
    if float(focal.max() / focal.min()) - 1.0 > _CONSTANT:
        raise CameraFormatError(
            f"{path.name}: expected one focal length, found {float(focal.min()):.6g} to {float(focal.max()):.6g} pixels"
        )
    fov_x = 2.0 * torch.atan(0.5 * trajectory.camera.hw[1] / focal.mean())
    poses = npy_bytes(trajectory.relative_to(0).camera.world_from_cam[:, :3])
    lens = json.dumps({"x_fov": float(fov_x), "xi": 0.0})
    return write_together({path: poses, path.with_suffix(".json"): lens.encode()})


FORMAT = CameraFormat(
    name="scope",
    title="SCoPE .npy with its angle of view in a .json beside it",
    suffix=".npy",
    patterns=("*.npy",),
    recognise=_recognise,
    read=_read,
    write=_write,
)
