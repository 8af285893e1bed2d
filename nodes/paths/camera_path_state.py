"""The builder's one state, a camera path v1 as an object or as text, and what it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from typing import Any

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.camera_path import FORMAT, VERSION, path_from_json
from ...raxel_core.strict_json import check_object, parse_object
from ..comfy_model.loading import ClipDefaults

_NOUN = "the camera path"
_START_MOVE = {"move": "orbit", "amount_degrees": 20.0, "start": 0.0, "end": 1.0, "easing": "smooth"}
START_PATH: Mapping[str, Any] = {"format": FORMAT, "version": VERSION, "name": "", "plan": {"moves": [_START_MOVE]}}

# What most video models are run at; the sizes of others are chosen in the editor.
START_CLIP = ClipDefaults(81, (480, 832), 16.0, "near_depth")


def read_path(path: Mapping[str, Any] | str, given: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a planned or baked camera path, of which everything but `plan` or `frames` may be missing.

    `given` (frame_count, width, height, fps, unit; None: not given) goes before what the path says itself; a baked
    path is resampled and resized to it. Raises ValueError with one sentence on anything that is not a camera path.
    """
    values = parse_object(_NOUN, path) if isinstance(path, str) else check_object(_NOUN, path)
    given = {name: value for name, value in given.items() if value is not None}
    if "frames" not in values:
        return path_from_json(dumps({**_defaults(), **values, **given}))
    kept = {name: value for name, value in given.items() if name in ("fps", "unit")}
    baked = path_from_json(dumps({"format": FORMAT, "version": VERSION, "name": "", **values, **kept}))
    height, width = baked.camera.hw
    resized = baked.resized((given.get("height", height), given.get("width", width)))
    return resized.resampled(given.get("frame_count", len(baked)))


def _defaults() -> dict[str, Any]:
    """What a planned path says that says nothing but its plan."""
    clip = START_CLIP
    named = {"format": FORMAT, "version": VERSION, "name": "", "fps": clip.fps, "unit": clip.unit}
    return {**named, "frame_count": clip.frames, "height": clip.hw[0], "width": clip.hw[1]}
