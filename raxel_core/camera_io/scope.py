"""SCoPE's npy of poses [F, 3, 4] or [F, 4, 4], with its horizontal angle of view beside it.

Poses are camera-to-world in OpenCV axes, relative to the first frame, lengths in near depths. The angle of view is no
part of the file: SCoPE takes it as --x_fov in radians. Here it stands in a JSON of the same name,
{"x_fov": radians, "xi": 0}, or, for the example paths as they are published (poses/CASE/NAME.npy), under the same keys
in the manifest.json beside the folder poses. Source: README, examples and scope/data/_pose.py of
github.com/TencentARC/SCoPE, which wants 81 frames. Not held: times, the picture's size. Refused: a focal length that
changes, a principal point off the middle, pixels that are not square.
"""

from __future__ import annotations

import json
from math import degrees, pi
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..geometry import se3
from ..geometry.camera import K_from_fov
from ..geometry.trajectory import Trajectory
from .content import Content
from .direction import inversion_warning
from .format import CameraFormat, assumed_K, motions_of, npy_bytes, trajectory_of, write_together
from .parsing import mapping, number, read_json, read_npy
from .pinhole import centred_square
from .reading import Assumed, CameraFormatError, Reading

# A focal length that changes by less than this share is one.
_CONSTANT = 1e-3
_MANIFEST, _POSES = "manifest.json", "poses"
# Half of the published example paths start turned, by up to 25 degrees; below this it is rounding.
_TURNED_DEGREES = 0.1


def _recognise(content: Content) -> bool:
    """Poses with an angle of view beside them; bare ones are no format's own."""
    if len(content.shape) != 3 or content.shape[1:] not in ((3, 4), (4, 4)):
        return False
    beside, manifest = _places(content.path)
    return "x_fov" in Content(beside).keys or (content.path.parent.parent.name == _POSES and manifest.is_file())


def _read(path: Path, assumed: Assumed) -> Reading:
    values = read_npy(path)
    if values.ndim != 3 or tuple(values.shape[1:]) not in ((3, 4), (4, 4)):
        raise CameraFormatError(f"{path.name}: expected shape [F, 3, 4] or [F, 4, 4], found {list(values.shape)}")
    world_from_cam = motions_of(values) if values.shape[1] == 3 else values
    K, K_note = assumed_K(assumed)
    warnings = []
    lens = _lens(path)
    if lens is None:
        warnings.append(f"no {path.stem}.json with x_fov lies beside it: the assumed angle of view was taken")
    else:
        K = K_from_fov(torch.tensor(lens.fov_x, dtype=torch.float64), assumed.hw)
        K_note = f"K: x_fov {degrees(lens.fov_x):.4f} degrees, from {lens.file_name}."
        if lens.xi:
            warnings.append(f"the lens is distorted (xi = {lens.xi:g}), which was left out")
    trajectory, mended = trajectory_of(
        world_from_cam, K, assumed.hw, path.name, fps=assumed.rate, unit="near_depth", name=path.stem
    )
    notes = (
        "Poses are camera-to-world (c2w) in OpenCV axes; nothing was inverted.",
        K_note,
        "Lengths: near depths, which the format stands for.",
        f"Time: {assumed.rate:g} frames a second, assumed; the format has none.",
        *_turned_note(trajectory),
        *mended,
    )
    return Reading(trajectory, FORMAT.name, notes, (*warnings, *inversion_warning(world_from_cam)))


class _Lens(NamedTuple):
    """`fov_x` in radians, the distortion `xi`, and the file they are from."""

    fov_x: float
    xi: float
    file_name: str


def _lens(path: Path) -> _Lens | None:
    """The lens in the JSON beside the poses, or else in the manifest of the published examples; None without either."""
    beside, manifest = _places(path)
    if beside.is_file():
        values, file_name = mapping(read_json(beside), beside.name), beside.name
    elif path.parent.parent.name == _POSES and manifest.is_file():
        values, file_name = _case_of(path, manifest), f"{path.parent.name} in {_MANIFEST}"
    else:
        return None
    if "x_fov" not in values:
        return None
    fov_x = number(values["x_fov"], f"{file_name} x_fov")
    if not 0.0 < fov_x < pi:
        raise CameraFormatError(f"{file_name} x_fov: expected an angle between 0 and pi radians, found {fov_x:g}")
    return _Lens(fov_x, number(values.get("xi", 0.0), f"{file_name} xi"), file_name)


def _places(path: Path) -> tuple[Path, Path]:
    """The JSON beside poses, and the manifest of published ones."""
    return path.with_suffix(".json"), path.parent.parent.parent / _MANIFEST


def _case_of(path: Path, manifest: Path) -> dict[str, Any]:
    """What a manifest says of the case whose folder the poses lie in; empty when it says nothing."""
    cases = mapping(read_json(manifest), manifest.name).get("cases")
    found = [case for case in (cases if isinstance(cases, list) else []) if isinstance(case, dict)]
    return next((case for case in found if case.get("id") == path.parent.name), {})


def _turned_note(trajectory: Trajectory) -> tuple[str, ...]:
    """That the first camera is not the identity, which the weights were trained with."""
    first = trajectory.camera.rotation[0]
    turned = degrees(float(se3.geodesic(first, torch.eye(3, dtype=first.dtype))))
    if turned < _TURNED_DEGREES:
        return ()
    return (
        f"The first camera is turned by {turned:.1f} degrees. SCoPE's own inference takes it so; its training, and "
        "Apply RayPE, see a path from its first camera.",
    )


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
    leaves_out=("size", "rate", "unit", "gaps"),
)
