"""Cameras found in clips whose true cameras are known: a row a clip, medians, and whether error bars are right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch
from torch import Tensor

from ..geometry import se3
from ..geometry.camera import Camera
from ..geometry.estimate import Estimate
from ..geometry.trajectory import Trajectory
from .pose_metrics import pair_errors, pose_metrics
from .report import text_table

# Below this share of its path a camera is too near the first one for a direction between them to mean much.
_NEAR = 0.1
_COLUMNS = {
    "registered": "frames with a camera",
    "answer": "answer",
    "rotation": "rotation",
    "direction": "direction",
    "focal": "focal",
    "still": "a still camera",
    "rotation_ratio": "rotation / bar",
    "centre_ratio": "centre / bar",
    "focal_ratio": "focal / bar",
    "seconds": "processor, s",
}
_MEDIANS = ("rotation", "direction", "focal", "still", "seconds")
_RATIOS = ("rotation_ratio", "centre_ratio", "focal_ratio")
Row = Mapping[str, float | str | int | None]


def clip_figures(estimate: Estimate, truth: Trajectory | None) -> dict[str, float | str | int | None]:
    """The figures of an estimate whose frame n was filmed by camera n of `truth`; without it only the answer.

    Degrees: `rotation`, the mean over the frames after the best alignment; `direction`, the median over frames well
    away from the first; `still`, the rotation error of a camera that stands still. `focal` is relative. A ratio is the
    root mean square of error over stated standard deviation, over the frames and against the first: 1 is right, above 1
    too sure. None where a figure does not exist. ValueError when the truth has fewer cameras than the footage frames.
    """
    count = len(estimate.footage.frames)
    row: dict[str, float | str | int | None] = {
        "answer": estimate.motion,
        "registered": count,
        "frames": count + len(estimate.missing),
        "verdict": estimate.verdict,
    }
    if truth is None:
        return row
    if estimate.footage.frames[-1] >= len(truth):
        raise ValueError(
            f"the true path has {len(truth)} cameras, and the footage a frame {estimate.footage.frames[-1]}"
        )
    found = estimate.trajectory.camera.to("cpu", torch.float64)
    true = truth.camera[list(estimate.footage.frames)].to("cpu", torch.float64).resized(found.hw)
    metrics = pose_metrics(found, true)
    standing = se3.geodesic(true.rotation, true.rotation[:1]).mean()
    row |= {
        "rotation": math.degrees(float(metrics.rotation_error)),
        "direction": _direction(found, true) if estimate.motion == "moving" else None,
        "focal": None if estimate.motion == "still" else float(metrics.focal_error),
        "still": math.degrees(float(standing)),
    }
    return row | _ratios(estimate, found, true)


def clips_table(rows: Sequence[Row]) -> str:
    """A row a clip, then the medians of the clips that moved and the root mean square of their ratios."""
    cells = [(str(row["clip"]), *(_cell(row, name) for name in _COLUMNS)) for row in rows]
    moving = [row for row in rows if row["answer"] == "moving" and row.get("rotation") is not None]
    if moving:
        summary: dict[str, float | str | int | None] = {"answer": "moving"}
        summary |= {name: sum(int(row[name] or 0) for row in moving) for name in ("registered", "frames")}
        summary |= {name: _over(moving, name, median) for name in _MEDIANS}
        summary |= {name: _over(moving, name, _root_mean_square) for name in _RATIOS}
        cells.append((f"{len(moving)} that moved", *(_cell(summary, name) for name in _COLUMNS)))
    return text_table(("clip", *_COLUMNS.values()), cells)


def _direction(found: Camera, true: Camera) -> float | None:
    away = torch.linalg.vector_norm(true.center - true.center[0], dim=-1)
    far = away > _NEAR * away.max()
    if not bool(far.any()):
        return None
    errors = pair_errors(found, true, pairs="reference", direction="signed").direction
    return math.degrees(float(errors[far[1:]].median()))


def _ratios(estimate: Estimate, found: Camera, true: Camera) -> dict[str, float | None]:
    """Errors against the first camera over what the estimate says of them; lengths as long as the farthest is right."""
    turn, centre, focal = estimate.rotation_sigma, estimate.centre_sigma, estimate.focal_sigma
    if turn is None or centre is None or estimate.motion == "still":
        return {name: None for name in _RATIOS}
    own, theirs = (se3.relative(c.world_from_cam[0], c.world_from_cam) for c in (found, true))
    angle = se3.geodesic(own[:, :3, :3], theirs[:, :3, :3])
    size = torch.linalg.vector_norm(own[:, :3, 3], dim=-1)
    far = int(size.argmax())
    scale = float(torch.linalg.vector_norm(theirs[far, :3, 3]) / size[far]) if float(size[far]) > 0.0 else 1.0
    place = torch.linalg.vector_norm(scale * own[:, :3, 3] - theirs[:, :3, 3], dim=-1)
    off = abs(math.log(float(found.focal[0, 0] / true.focal[0, 0])))
    return {
        "rotation_ratio": _ratio(angle, turn),
        "centre_ratio": _ratio(place, scale * centre) if estimate.motion == "moving" else None,
        "focal_ratio": off / focal if focal else None,
    }


def _ratio(error: Tensor, sigma: Tensor) -> float | None:
    known = sigma > 0.0
    return float((error[known] / sigma[known]).square().mean().sqrt()) if bool(known.any()) else None


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def _over(rows: Sequence[Row], name: str, average: Callable[[Sequence[float]], float]) -> float | None:
    values = [value for row in rows if isinstance(value := row.get(name), float)]
    return average(values) if values else None


def _cell(row: Row, name: str) -> str:
    value = row.get(name)
    if name == "registered":
        return f"{value} of {row['frames']}"
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2%}" if name == "focal" else f"{value:.0f}" if name == "seconds" else f"{value:.3f}"
