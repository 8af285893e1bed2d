"""JSON within scripts for other programs: written so that no text in it ends a literal, read without running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..geometry.trajectory import UNITS, Trajectory
from .gaps import in_places
from .parsing import MOST_JSON_BYTES, mapping, number, parse_json, read_text, sequence, whole
from .reading import Assumed, CameraFormatError

NUMBERS_KEY = "frame_numbers"
"""Which frames the cameras are, from 0 and rising; all of them where a script of an earlier version has no such key."""


def embedded_json(values: dict[str, Any]) -> str:
    """`values` as JSON, a line for each of its keys and each of its "frames".

    It is plain ASCII without ' and, but for its own line ends, without control characters, so that it may stand as it
    is in JavaScript and between the quotes of a raw Python string; the JSON escape \\u0027 stands for '.
    """
    frames = ",\n".join(json.dumps(frame, allow_nan=False) for frame in values["frames"])
    head = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in values.items() if key != "frames"
    ]
    text = "{\n" + ",\n".join([*head, f'"frames": [\n{frames}\n]']) + "\n}"
    return text.replace("'", "\\u0027")


def read_embedded(path: Path, opening: str, closing: str, tag: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object between `opening` and `closing` (which begins with its last line, a brace) in the script `path`,
    with "format": `tag` and all `keys`. The script is never run: one that is not ours is refused."""
    text = read_text(path, most=MOST_JSON_BYTES).replace("\r\n", "\n")
    start = text.find(opening)
    end = text.find(closing, start + len(opening))
    if start < 0 or end < 0:
        raise CameraFormatError(
            f"{path.name}: expected a script written by Raxel, with its numbers after {opening.strip()!r}; other "
            "scripts would have to be run, and none is"
        )
    file_name = f"{path.name} after {opening.strip()!r}"
    values = mapping(parse_json(text[start + len(opening) : end + 2], file_name), file_name)
    if values.get("format") != tag:
        raise CameraFormatError(f"{file_name}: expected the format {tag!r}, found {repr(values.get('format'))[:40]}")
    return mapping(values, file_name, needs=keys)


def fps_and_unit(values: dict[str, Any], file_name: str) -> tuple[float, str]:
    """The frames a second and the unit that a file of ours names; CameraFormatError when they are none."""
    fps = number(values["fps"], f"{file_name} fps")
    if fps <= 0.0:
        raise CameraFormatError(f"{file_name} fps: expected a number above 0, found {fps:g}")
    unit = values["unit"]
    if unit not in UNITS:
        raise CameraFormatError(f"{file_name} unit: expected one of {', '.join(UNITS)}, found {repr(unit)[:40]}")
    return fps, unit


def in_their_frames(
    trajectory: Trajectory, values: dict[str, Any], assumed: Assumed, file_name: str, *, first: int | None = None
) -> tuple[Trajectory, list[str]]:
    """`trajectory` with the gaps that a file of ours leaves between its frames, and warnings (`in_places`)."""
    where = f"{file_name} {NUMBERS_KEY}"
    given = sequence(values.get(NUMBERS_KEY, list(range(len(trajectory)))), where)
    places = [whole(number, where) for number in given]
    rising = all(after > before for before, after in zip(places, places[1:], strict=False))
    if len(places) != len(trajectory) or places[0] != 0 or not rising:
        expected = f"{len(trajectory)} whole numbers from 0 that rise"
        raise CameraFormatError(f"{where}: expected {expected}, found {repr(given)[:40]}")
    return in_places(trajectory, places, assumed.gaps, file_name, first=first)
