"""USD's text .usda: a UsdGeomCamera with time samples, its frame given by apertures; in and out.

Written with y up, metersPerUnit 1, the frames' numbers, from 1 on, as time codes, an aperture of 36 mm: focal length
and apertures are tenths of a unit in USD, so that 36 mm is 0.36 here, as in files of Blender. Pixels that are not
square are the ratio of the apertures (which Blender's importer does not take), a principal point off the middle is
their offsets. The size, the unit and the name stand in customLayerData.
References, payloads, sublayers and variants are not followed.
Source: openusd.org, UsdGeomCamera and GfCamera (positive aperture offsets move the window right and up).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil, floor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic_file import write_text
from ..geometry import se3
from ..geometry.trajectory import UNITS, Trajectory
from .axes import from_opengl, to_opengl
from .content import Content
from .format import CameraFormat, assumed_unit, trajectory_of
from .parsing import check_frames, mapping, number, whole
from .pinhole import K_of_lens, without_skew
from .reading import Assumed, CameraFormatError, Reading
from .tracks import chosen_track
from .usda_stage import attribute, sample_times, world_from_prim
from .usda_syntax import Layer, Prim, parse_usda, quoted
from .usda_text import read_usda_text

_APERTURE = 0.36
# Frames whose transforms are multiplied at a time: a file of two keys may stand for 100,000 frames.
_BLOCK = 4096
# USD's own values where a file has none.
_RATE = 24.0
_FALLBACKS = {
    "focalLength": 50.0,
    "horizontalAperture": 20.955,
    "verticalAperture": 15.2908,
    "horizontalApertureOffset": 0.0,
    "verticalApertureOffset": 0.0,
}
_WANTED = re.compile(rf"(?:{'|'.join(_FALLBACKS)}|xformOp:[\w:]+)(?:\.timeSamples|\.spline)?|xformOpOrder|projection")
# How far the apertures' ratio may be from that of an assumed size before it is worth a warning.
_ASPECT_TOLERANCE = 1e-3


def _recognise(content: Content) -> bool:
    return content.beginning.startswith("#usda 1.") or content.suffix in (".usda", ".usdz") and not content.is_folder


def _read(path: Path, assumed: Assumed) -> Reading:
    layer = parse_usda(read_usda_text(path), path.name, _WANTED)
    chain, camera_warnings = _camera(layer, assumed.track, path.name)
    times, fps, first, time_notes, time_warnings = _times(layer.metadata, chain, path.name)
    up = _up(layer.metadata, path.name)
    ours = mapping(_ours(layer.metadata), f"{path.name} customLayerData.raxel")
    length, unit, unit_note, unit_warnings = _lengths(layer.metadata, ours, path.name, assumed)
    motion, scale_notes = _motion(chain, times, up, length, path.name)
    K, hw, K_note, K_warnings = _K(chain[-1], times, ours, path.name, assumed)
    name = str(ours.get("name", ""))
    trajectory, mended = trajectory_of(motion, K, hw, path.name, fps=fps, unit=unit, name=name)
    notes = (
        f"The camera {'/'.join(prim.name[:60] for prim in chain)!r}, with the transforms of all it stands in.",
        f"Transforms are camera-to-world (c2w) with {up} up, looking along -z; both were turned to OpenCV axes.",
        *scale_notes,
        K_note,
        *time_notes,
        unit_note,
        *mended,
    )
    warnings = (*camera_warnings, *time_warnings, *unit_warnings, *K_warnings)
    return Reading(trajectory, FORMAT.name, notes, warnings, first=first)


def _camera(layer: Layer, track: str, file_name: str) -> tuple[list[Prim], tuple[str, ...]]:
    """The camera called `track`, or the first that moves, with all prims around it, outermost first; warnings."""
    chains = [chain for prim in layer.prims for chain in _chains(prim, []) if chain[-1].type == "Camera"]
    if not chains:
        raise CameraFormatError(
            f'{file_name}: expected a prim `def Camera "..."`, found none; references and sublayers are not followed'
        )
    paths = ["/".join(prim.name[:60] for prim in chain) for chain in chains]
    named = [path for path in paths if path.rpartition("/")[2] == track]
    moves = [len(sample_times(chain)) > 1 for chain in chains]
    index, warnings = chosen_track(paths, named[0] if len(named) == 1 else track.strip("/"), file_name, moves)
    chain = chains[index]
    projection = chain[-1].attributes.get("projection", "perspective")
    if projection != "perspective":
        found = repr(projection)[:40]
        raise CameraFormatError(f"{file_name} {chain[-1].name[:60]}.projection: expected 'perspective', found {found}")
    return chain, warnings


def _chains(prim: Prim, around: list[Prim]) -> Iterator[list[Prim]]:
    """Each defined and active prim within `prim`, as the path that leads to it."""
    if prim.specifier != "def" or not prim.active:
        return
    chain = [*around, prim]
    yield chain
    for child in prim.children:
        yield from _chains(child, chain)


def _times(
    metadata: dict[str, Any], chain: list[Prim], file_name: str
) -> tuple[Tensor, float, int | None, tuple[str, ...], tuple[str, ...]]:
    """The time codes [F] of the frames, frames a second, the first code where codes are whole frames, and what there is
    to say of them."""
    rate = _positive(metadata, "timeCodesPerSecond", file_name)
    frame_rate = _positive(metadata, "framesPerSecond", file_name)
    codes = rate or frame_rate or _RATE
    fps = frame_rate or codes
    samples = sample_times(chain) or [0.0]
    named = {"startTimeCode", "endTimeCode"} <= metadata.keys()
    first, last = (
        (number(metadata[key], f"{file_name} {key}") for key in ("startTimeCode", "endTimeCode"))
        if named
        else _whole_frames(samples)
    )
    count = (last - first) * fps / codes
    check_frames(int(min(max(count, -1.0), 1e9) + 1.0 + 1e-6), file_name)
    times = first + torch.arange(int(count + 1e-6) + 1, dtype=torch.float64) * (codes / fps)
    given = "from the file" if rate or frame_rate else "USD's own where a file has none"
    notes = (
        f"Frames: time codes {first:g} to {last:g}, {'as the head says' if named else 'the whole ones with samples'}.",
        f"Time: {fps:g} frames a second, {given}.",
    )
    outside = named and len(samples) > 1 and (samples[0] != first or samples[-1] != last)
    warning = f"time samples go from {samples[0]:g} to {samples[-1]:g}; outside them the camera stands still"
    number_of_first = int(first) if fps == codes and first == int(first) and (named or len(samples) > 1) else None
    return times, fps, number_of_first, notes, (warning,) if outside else ()


def _whole_frames(samples: list[float]) -> tuple[float, float]:
    """The first and last whole frame within the samples' time codes; the samples' own where none is within them."""
    first, last = float(ceil(samples[0] - 1e-6)), float(floor(samples[-1] + 1e-6))
    return (first, last) if first <= last else (samples[0], samples[-1])


def _positive(metadata: dict[str, Any], key: str, file_name: str) -> float | None:
    if key not in metadata:
        return None
    value = number(metadata[key], f"{file_name} {key}")
    if not 1e-6 < value < 1e6:
        raise CameraFormatError(f"{file_name} {key}: expected a rate between 0 and 1e6, found {value:g}")
    return value


def _motion(chain: list[Prim], times: Tensor, up: str, length: float, file_name: str) -> tuple[Tensor, tuple[str, ...]]:
    """world_from_cam [F, 4, 4] with places times `length`, and notes where the camera's axes were not of length 1, or
    not square to each other between two samples, where USD takes a matrix's numbers one by one."""
    motions, scaled, bent = [], False, False
    samples = torch.tensor(sample_times(chain), dtype=torch.float64)
    for block in times.split(_BLOCK):
        matrix = world_from_prim(chain, block, file_name)
        lengths = torch.linalg.vector_norm(matrix[:, :3, :3], dim=1, keepdim=True)
        rotation = matrix[:, :3, :3] / lengths
        off = (matrix[:, :3, :3].mT @ matrix[:, :3, :3] - torch.eye(3, dtype=torch.float64)).abs().amax((-1, -2))
        between = (off > 1e-6) & rotation.isfinite().all(-1).all(-1) & ~torch.isin(block, samples)
        u, _, vh = torch.linalg.svd(rotation[between])
        rotation[between] = u @ vh
        bent |= bool(between.any())
        scaled |= bool(((lengths[~between] - 1.0).abs() > 1e-6).any())
        c2w = se3.from_rotation_translation(rotation, matrix[:, :3, 3] * length)
        motions.append(from_opengl(c2w, up=up))
    told = ("The scale on the camera's own axes was left out.",) if scaled else ()
    mended = ("Between samples of a matrix the nearest rotations to it were taken.",) if bent else ()
    return torch.cat(motions), (*told, *mended)


def _up(metadata: dict[str, Any], file_name: str) -> str:
    up = metadata.get("upAxis", "Y")
    if up not in ("Y", "Z"):
        raise CameraFormatError(f"{file_name} upAxis: expected 'Y' or 'Z', found {repr(up)[:40]}")
    return str(up).lower()


def _ours(metadata: dict[str, Any]) -> Any:
    """What this module wrote into customLayerData, {} in files of others."""
    custom = metadata.get("customLayerData", {})
    return custom.get("raxel", {}) if isinstance(custom, dict) else {}


def _lengths(
    metadata: dict[str, Any], ours: dict[str, Any], file_name: str, assumed: Assumed
) -> tuple[float, str, str, tuple[str, ...]]:
    """What a length of the file is in the trajectory's unit, that unit, and what there is to say of it."""
    metres = _positive(metadata, "metersPerUnit", file_name)
    if "unit" in ours:
        if ours["unit"] not in UNITS:
            found = repr(ours["unit"])[:40]
            raise CameraFormatError(f"{file_name} raxel.unit: expected one of {', '.join(UNITS)}, found {found}")
        return metres or 1.0, ours["unit"], f"Lengths: {ours['unit']}, from the file.", ()
    if metres is not None:
        return metres, "metre", f"Lengths: metres, {metres:g} for each of the file's (metersPerUnit).", ()
    warning = "the file has no metersPerUnit: lengths were taken as they stand, USD's own default would be centimetres"
    return 1.0, assumed.unit, assumed_unit(assumed), (warning,)


def _K(
    camera: Prim, times: Tensor, ours: dict[str, Any], file_name: str, assumed: Assumed
) -> tuple[Tensor, tuple[int, int], str, tuple[str, ...]]:
    """K [F, 3, 3], the image's size, where both come from, and warnings."""
    named = {"width", "height"} <= ours.keys()
    size = (ours["height"], ours["width"]) if named else assumed.hw
    height, width = (whole(pixels, f"{file_name} size", least=1) for pixels in size)
    focal, across, down, right, above = (
        attribute(camera, key, times, (), _FALLBACKS[key], file_name) for key in _FALLBACKS
    )
    if not bool(((focal > 0.0) & (across > 0.0) & (down > 0.0)).all()):
        raise CameraFormatError(f"{file_name} {camera.name[:60]}: expected a focalLength and apertures above 0")
    aspect = (across / down) / (width / height)
    oblong = not named and bool(((aspect - 1.0).abs() > _ASPECT_TOLERANCE).any())
    down = down if named else across * (height / width)
    fx, fy = focal / across * width, focal / down * height
    cx, cy = width * (0.5 - right / across), height * (0.5 + above / down)
    note = f"K: from focal length and apertures, pixels of {width}x{height}" + ("." if named else ", an assumed size.")
    warning = (
        f"the apertures' aspect is {float(aspect[0]):.4g} times that of the assumed size: pixels were taken as square, "
        "the horizontal aperture was kept"
    )
    return K_of_lens(fx, fy, cx, cy), (height, width), note, (warning,) if oblong else ()


def _write(trajectory: Trajectory, path: Path, first: int = 1) -> tuple[Path, ...]:
    fx, fy, cx, cy = without_skew(trajectory, path.name).unbind(-1)
    height, width = trajectory.camera.hw
    vertical = _APERTURE * (height / width) * (fx / fy)
    values = {
        "focalLength": fx * (_APERTURE / width),
        "horizontalAperture": torch.full_like(fx, _APERTURE),
        "horizontalApertureOffset": _APERTURE * (0.5 - cx / width),
        "verticalAperture": vertical,
        "verticalApertureOffset": vertical * (cy / height - 0.5),
    }
    codes = [number + first for number in trajectory.frame_numbers]
    lens = "".join(_property(f"float {key}", _texts(column), codes) for key, column in values.items())
    c2w = to_opengl(trajectory.camera.world_from_cam, up="y")
    matrices = [_tuple([_tuple(map(repr, row)) for row in matrix]) for matrix in c2w.mT.tolist()]
    motion = _property("matrix4d xformOp:transform", matrices, codes)
    fixed = "        float2 clippingRange = (0.01, 1000000)\n"
    order = '        uniform token[] xformOpOrder = ["xformOp:transform"]\n'
    body = f'    def Camera "camera"\n    {{\n{fixed}{lens}{motion}{order}    }}\n'
    write_text(path, f'{_head(trajectory, codes)}def Xform "raxel"\n{{\n{body}}}\n')
    return (path,)


def _head(trajectory: Trajectory, codes: list[int]) -> str:
    height, width = trajectory.camera.hw
    return f"""#usda 1.0
(
    customLayerData = {{
        dictionary raxel = {{
            int height = {height}
            string name = {quoted(trajectory.name)}
            string unit = "{trajectory.unit}"
            int width = {width}
        }}
    }}
    defaultPrim = "raxel"
    endTimeCode = {codes[-1]}
    framesPerSecond = {trajectory.fps!r}
    metersPerUnit = 1
    startTimeCode = {codes[0]}
    timeCodesPerSecond = {trajectory.fps!r}
    upAxis = "Y"
)

"""


def _property(declaration: str, values: list[str], codes: list[int]) -> str:
    """A property with one value, or with time samples at the `codes` where the values differ."""
    if len(set(values)) == 1:
        return f"        {declaration} = {values[0]}\n"
    samples = "".join(f"            {time}: {value},\n" for time, value in zip(codes, values, strict=True))
    return f"        {declaration}.timeSamples = {{\n{samples}        }}\n"


def _texts(column: Tensor) -> list[str]:
    """The numbers [F] as text, one where they differ by no more than rounding."""
    still = bool(((column - column[0]).abs() <= 1e-12 * column[0].abs()).all())
    return [repr(value) for value in (column[:1] if still else column).tolist()]


def _tuple(values: Any) -> str:
    return f"({', '.join(values)})"


FORMAT = CameraFormat(
    name="usda",
    title="USD text .usda",
    suffix=".usda",
    patterns=("*.usda",),
    recognise=_recognise,
    read=_read,
    write=_write,
    write_numbered=_write,
    leaves_out=("bridged gaps",),
)
