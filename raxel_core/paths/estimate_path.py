"""An estimate as camera path v1: a baked path with one more key, `estimate`, which readers of plain paths pass over."""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from torch import Tensor

from ..geometry.estimate import MOTIONS, Estimate, Footage
from ..geometry.trajectory import Trajectory
from ..strict_json import check_choice, check_keys, check_list, check_object, check_whole, finite_numbers, parse_object
from .camera_path import ESTIMATE_KEY, path_from_json, path_to_json

_KEYS = ("estimator", "source", "start", "rate", "source_frames", "motion", "verdict")
_OPTIONAL_KEYS = ("covariance", "residual_px", "interpolated", "missing", "notes", "source_pictures")
_PARAMETERS = 7
_TRIANGLE = _PARAMETERS * (_PARAMETERS + 1) // 2
_MOST_FRAMES = 10_000_000
_MOST_NOTES = 1000


def estimate_to_json(estimate: Estimate) -> str:
    """The estimate's path with everything but its points under the key `estimate`.

    `covariance` holds the 28 numbers of each frame's upper triangle, row by row; `residual_px` is null where there is
    none.
    """
    footage = estimate.footage
    body: dict[str, Any] = {
        "estimator": estimate.estimator,
        "source": footage.name,
        "start": footage.start,
        "rate": footage.rate,
        "source_frames": list(footage.frames),
        "motion": estimate.motion,
        "verdict": estimate.verdict,
        "notes": list(estimate.notes),
        "interpolated": list(estimate.interpolated),
        "missing": list(estimate.missing),
    }
    if footage.pictures:
        body["source_pictures"] = list(footage.pictures)
    if estimate.covariance is not None:
        rows, columns = torch.triu_indices(_PARAMETERS, _PARAMETERS)
        body["covariance"] = estimate.covariance.double()[:, rows, columns].tolist()
    if estimate.residual_px is not None:
        body["residual_px"] = [value if math.isfinite(value) else None for value in estimate.residual_px.tolist()]
    return json.dumps(json.loads(path_to_json(estimate.trajectory)) | {ESTIMATE_KEY: body}, allow_nan=False)


def estimate_from_json(text: str, *, dtype: torch.dtype = torch.float32) -> Estimate | None:
    """The estimate in a camera path v1 `text`, without points; None where the path is nobody's estimate.

    ValueError with one sentence on anything that is not a camera path v1.
    """
    trajectory = path_from_json(text, dtype=dtype)
    values = parse_object("the camera path", text)
    return _from_values(trajectory, values[ESTIMATE_KEY]) if ESTIMATE_KEY in values else None


def _from_values(trajectory: Trajectory, given: Any) -> Estimate:
    """The estimate that the values of a path's `estimate` describe; ValueError otherwise."""
    noun, frames = "the camera path's estimate", len(trajectory)
    values = check_object(noun, given)
    check_keys(noun, values, _KEYS, _OPTIONAL_KEYS)
    for key in ("estimator", "source", "verdict"):
        if not isinstance(values[key], str):
            raise ValueError(f"{noun} has text as its {key}")
    start, rate = finite_numbers(f"{noun}'s start and rate", [values["start"], values["rate"]], 2)
    pictures = tuple(check_list(f"{noun}'s source_pictures", values.get("source_pictures", []), _MOST_FRAMES))
    if not all(isinstance(name, str) for name in pictures):
        raise ValueError(f"{noun} has file names as its source_pictures")
    taken = _whole_numbers(f"{noun}'s source_frames", values["source_frames"])
    return Estimate(
        trajectory,
        values["estimator"],
        Footage(values["source"], start, rate, taken, pictures),
        check_choice(f"{noun}'s motion", values["motion"], MOTIONS),
        values["verdict"],
        covariance=_covariance(noun, values["covariance"], frames) if "covariance" in values else None,
        residual_px=_residuals(noun, values["residual_px"], frames) if "residual_px" in values else None,
        interpolated=_whole_numbers(f"{noun}'s interpolated", values.get("interpolated", [])),
        missing=_whole_numbers(f"{noun}'s missing", values.get("missing", [])),
        notes=tuple(str(note) for note in check_list(f"{noun}'s notes", values.get("notes", []), 1000)),
    )


def _whole_numbers(noun: str, values: Any) -> tuple[int, ...]:
    return tuple(check_whole(noun, value, 0, _MOST_FRAMES) for value in check_list(noun, values, _MOST_FRAMES))


def _covariance(noun: str, values: Any, frames: int) -> Tensor:
    """[F, 7, 7] of upper triangles; ValueError unless there is one of 28 finite numbers for each frame."""
    if not isinstance(values, list) or len(values) != frames:
        raise ValueError(f"{noun} has one covariance for each of the {frames} frames")
    table = torch.tensor(
        [finite_numbers(f"{noun}'s covariance", row, _TRIANGLE) for row in values], dtype=torch.float64
    )
    rows, columns = torch.triu_indices(_PARAMETERS, _PARAMETERS)
    covariance = table.new_zeros(frames, _PARAMETERS, _PARAMETERS)
    covariance[:, rows, columns] = table
    covariance[:, columns, rows] = table
    return covariance


def _residuals(noun: str, values: Any, frames: int) -> Tensor:
    """[F] in pixels, null as NaN."""
    given = check_list(f"{noun}'s residual_px", values, _MOST_FRAMES)
    if len(given) != frames:
        raise ValueError(f"{noun} has one residual_px for each of the {frames} frames, got {len(given)}")
    known = [value for value in given if value is not None]
    finite_numbers(f"{noun}'s residual_px", known, len(known))
    return torch.tensor([math.nan if value is None else float(value) for value in given], dtype=torch.float64)
