"""After Effects keyframe data, the text that copied keys are: a camera's position, rotation and zoom.

A line such as "Transform, Position" (parted by a tab) opens a block of rows, the frame first; After Effects' axes are
OpenCV's, lengths are pixels from the composition's corner, angles degrees. R = Orientation (Rx Ry Rz), then X, Y and Z
Rotation. Zoom is the focal length in pixels; a camera without it is taken to stand as far before the composition as its
zoom, as a new one does. A camera with a Point of Interest looks at it. Between keys all is linear but the Orientation,
which turns the shortest way. Source: Adobe, "Copy and paste keyframes", "Adjusting 3D rotation and orientation"; After
Effects scripting guide.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import K_from_focal
from .axes import rotation_from_euler
from .clip import Frames, reading_of
from .content import Content
from .format import CameraFormat, assumed_K
from .parsing import check_frames, is_number, parse_number, read_text
from .pinhole import lenses_of
from .quaternions import slerp
from .reading import Assumed, CameraFormatError, Reading

_HEADER = "Adobe After Effects"
_PIXELS_PER_UNIT = 100.0
_WIDTHS = {"position": 3, "anchor point": 3, "point of interest": 3, "orientation": 3, "zoom": 1}
# A position whose dimensions are separated.
_PLACES = ("x position", "y position", "z position")
_TURNS = ("x rotation", "y rotation", "z rotation", "rotation")


def _recognise(content: Content) -> bool:
    return content.beginning.startswith(_HEADER) and "Keyframe Data" in content.beginning.partition("\n")[0]


def _read(path: Path, assumed: Assumed) -> Reading:
    head, blocks = _blocks(read_text(path).splitlines(), path.name)
    width, height = (
        round(head.get(f"source {side}", float(size)))
        for side, size in (("width", assumed.hw[1]), ("height", assumed.hw[0]))
    )
    if min(width, height) < 1 or max(width, height) > 1_000_000:
        raise CameraFormatError(f"{path.name}: expected a source size in pixels, found {width}x{height}")
    if "position" not in blocks and not set(_PLACES) <= set(blocks):
        found = ", ".join(blocks) or "none"
        raise CameraFormatError(f"{path.name}: expected the keys of a camera's Position, found those of {found}")
    first, last = min(int(keys[0, 0]) for keys in blocks.values()), max(int(keys[-1, 0]) for keys in blocks.values())
    check_frames(last - first + 1, path.name)
    frames = torch.arange(first, last + 1, dtype=torch.float64)
    values = {name: (_turned if name == "orientation" else _between)(keys, frames) for name, keys in blocks.items()}
    if "position" not in values:
        values["position"] = torch.cat([values[name] for name in _PLACES], dim=-1)
    middle = frames.new_tensor((0.5 * width, 0.5 * height, 0.0))
    motions = se3.from_rotation_translation(
        _rotation(values, len(frames)), (values["position"] - middle) / _PIXELS_PER_UNIT
    )
    hw, warnings = (height, width), _aspect_warning(head)
    if "zoom" in values:
        K = K_from_focal(values["zoom"].expand(-1, 2), middle[:2].expand(len(frames), 2))
    else:
        K, told = _assumed_zoom(float(values["position"][0, 2]), hw, assumed)
        K = K.expand(len(frames), 3, 3)
        warnings.append(f"the keys hold no Zoom: {told}")
    return reading_of(
        Frames(motions, lenses_of(K, hw, path.name), fps=head.get("units per second") or None),
        FORMAT.name,
        path.name,
        assumed,
        convention="Positions and angles are camera-to-world (c2w); After Effects' axes are OpenCV's.",
        lens_from="Zoom",
        notes=(f"Lengths: {_PIXELS_PER_UNIT:g} pixels are 1, the middle of the composition is the origin.",),
        warnings=warnings,
    )


def _aspect_warning(head: dict[str, float]) -> list[str]:
    """That the head's pixels are not square, which is left out of account."""
    aspect = head.get("comp pixel aspect ratio", 1.0)
    return (
        [f"the composition's pixels have an aspect of {aspect:g}: they were taken as square"] if aspect != 1.0 else []
    )


def _assumed_zoom(z: float, hw: tuple[int, int], assumed: Assumed) -> tuple[Tensor, str]:
    """K [3, 3] of a camera whose keys do not say its zoom, and how it was found."""
    if z >= 0.0:
        angle = f"an angle of view of {assumed.fov_degrees:g} degrees was assumed"
        return assumed_K(Assumed(hw, assumed.fov_degrees))[0], angle
    rows = torch.tensor(((-z, -z), (0.5 * hw[1], 0.5 * hw[0])), dtype=torch.float64)
    return K_from_focal(rows[0], rows[1]), f"{-z:g} pixels were taken, which a new camera stands before the composition"


def _blocks(lines: list[str], file_name: str) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The head's numbers, and the rows (frame, values) of each block by its name in small letters."""
    head: dict[str, float] = {}
    rows: dict[str, list[list[float]]] = {}
    block = ""
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        filled = [cell for cell in cells if cell]
        where = f"{file_name} line {number}"
        if not filled:
            continue
        if cells[0] and len(filled) > 1:
            block = filled[1].lower()
        elif is_number(filled[0]) and block:
            rows.setdefault(block, []).append([parse_number(cell, where) for cell in filled])
        elif not block and len(filled) == 2 and is_number(filled[1]):
            head[filled[0].lower()] = parse_number(filled[1], where)
    return head, {
        name: _keys(found, name, file_name) for name, found in rows.items() if name in (*_WIDTHS, *_PLACES, *_TURNS)
    }


def _keys(rows: list[list[float]], name: str, file_name: str) -> Tensor:
    """[S, 1 + width] with rising frames."""
    width = 1 + _WIDTHS.get(name, 1)
    wrong = next((row for row in rows if len(row) < width), None)
    if wrong is not None:
        raise CameraFormatError(f"{file_name} {name}: expected {width} columns, found {len(wrong)}")
    keys = torch.tensor([row[:width] for row in rows], dtype=torch.float64)
    frames = keys[:, 0]
    if (
        not bool((frames == frames.round()).all())
        or bool((frames.diff() <= 0.0).any())
        or float(frames.abs().max()) > 1e9
    ):
        raise CameraFormatError(f"{file_name} {name}: expected whole frames that rise")
    return keys


def _between(keys: Tensor, frames: Tensor) -> Tensor:
    """Values [F, width] at `frames`: linear between keys, held outside."""
    before, after, share = _around(keys[:, 0].contiguous(), frames)
    return torch.lerp(keys[before, 1:], keys[after, 1:], share[:, None])


def _turned(keys: Tensor, frames: Tensor) -> Tensor:
    """Rotations [F, 3, 3] of an Orientation at `frames`: the shortest way between keys, held outside."""
    before, after, share = _around(keys[:, 0].contiguous(), frames)
    quaternions = se3.quaternion_from_rotation(rotation_from_euler(torch.deg2rad(keys[:, 1:]), "zyx"))
    return se3.rotation_from_quaternion(slerp(quaternions[before], quaternions[after], share))


def _around(keys: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `frames` the index of the key before and after it, and the share [F] of the way between them."""
    after = torch.searchsorted(keys, frames).clamp(max=len(keys) - 1)
    before = (after - 1).clamp(min=0)
    span = (keys[after] - keys[before]).clamp(min=1.0)
    share = ((frames - keys[before]) / span).clamp(0.0, 1.0)
    return before, after, torch.where(after == before, 1.0, share)


def _rotation(values: dict[str, Tensor], count: int) -> Tensor:
    """[F, 3, 3]: towards the point of interest where there is one, then orientation and the three rotations."""
    turn = torch.eye(3, dtype=torch.float64).expand(count, 3, 3)
    if "point of interest" in values:
        towards = values["point of interest"] - values["position"]
        if bool((torch.linalg.vector_norm(towards, dim=-1) < 1e-9).any()):
            raise CameraFormatError("the point of interest lies in the camera: expected a direction to look in")
        turn = se3.look_rotation(towards)
    if "orientation" in values:
        turn = turn @ values["orientation"]
    zero = torch.zeros(count, dtype=torch.float64)
    x, y, z = (values[name][:, 0] if name in values else zero for name in _TURNS[:3])
    z = values["rotation"][:, 0] if "rotation" in values else z
    return turn @ rotation_from_euler(torch.deg2rad(torch.stack((x, y, z), dim=-1)), "zyx")


FORMAT = CameraFormat(
    name="after_effects_keys",
    title="After Effects keyframe data (text)",
    suffix=".txt",
    patterns=(),
    recognise=_recognise,
    read=_read,
)
