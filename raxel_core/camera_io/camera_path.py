"""Our own camera path v1, a JSON that the browser writes too, baked or planned; its numbers keep every bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..atomic_file import write_text
from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from ..paths.camera_path import FIRST_KEY, path_from_json, path_to_json
from ..paths.camera_path import FORMAT as FORMAT_NAME
from ..paths.estimate_path import estimate_from_json, estimate_to_json
from ..strict_json import check_whole, parse_object
from .content import Content
from .format import CameraFormat, exact_cameras
from .gaps import placed
from .parsing import MOST_JSON_BYTES, read_text
from .reading import MOST_FIRST, Assumed, CameraFormatError, Reading

# A sentence that quotes the file is cut here.
_SENTENCE = 300


def _recognise(content: Content) -> bool:
    return content.is_json and f'"{FORMAT_NAME}"' in content.text


def _read(path: Path, assumed: Assumed) -> Reading:
    text = read_text(path, most=MOST_JSON_BYTES)
    try:
        trajectory = path_from_json(text, dtype=torch.float64)
        # A plan whose keys all but coincide may overflow.
        exact, mended = exact_cameras(trajectory.camera.validate())
        estimate = estimate_from_json(text, dtype=torch.float64)
        first = _first(text)
    except ValueError as error:
        raise CameraFormatError(f"{path.name}: {str(error)[:_SENTENCE]}") from error
    trajectory = replace(trajectory, camera=exact) if mended else trajectory
    warnings, numbers = list[str](), None
    if estimate is not None:
        trajectory, own, warnings = placed(replace(estimate, trajectory=trajectory), assumed.gaps, path.name)
        first = own if first is None else first
        numbers = estimate.footage.frames if len(trajectory) == len(estimate.footage.frames) else None
    planned = (f"Its plan of moves and keys was sampled at {len(trajectory)} frames.",) if '"plan"' in text else ()
    untouched = "" if mended else "; nothing was changed or assumed"
    notes = (
        f"Cameras are world_from_cam (c2w) in OpenCV axes, K in pixels{untouched}.",
        *mended,
        f"Lengths: {trajectory.unit}, from the file.",
        *planned,
        *(() if estimate is None else (_verdict(estimate),)),
    )
    return Reading(trajectory, FORMAT.name, notes, tuple(warnings), numbers, first=first)


def _verdict(estimate: Estimate) -> str:
    """What the estimator that found the path said of it."""
    return f"Estimated by {estimate.estimator} from {estimate.footage.name or 'footage'}: {estimate.verdict}"


def _first(text: str) -> int | None:
    """The number of the path's first frame; None where the file does not say. ValueError."""
    value = parse_object("the camera path", text).get(FIRST_KEY)
    return None if value is None else check_whole(f"the camera path's {FIRST_KEY}", value, -MOST_FIRST, MOST_FIRST)


def _write(
    to_json: Callable[[Any], str], value: Trajectory | Estimate, path: Path, first: int | None = None
) -> tuple[Path, ...]:
    try:
        text = to_json(value)
    except ValueError as error:
        raise CameraFormatError(f"{path.name}: {error}") from error
    write_text(path, text if first is None else json.dumps(json.loads(text) | {FIRST_KEY: first}))
    return (path,)


FORMAT = CameraFormat(
    name="camera_path",
    title="Raxel camera path v1 .json",
    suffix=".json",
    patterns=("*.json",),
    recognise=_recognise,
    read=_read,
    write=partial(_write, path_to_json),
    write_numbered=partial(_write, path_to_json),
    write_estimate=partial(_write, estimate_to_json),
)
