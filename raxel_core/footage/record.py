"""The windows of a clip that are done, kept in a file beside the result, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .chain import WindowCameras
from .windows import Window

_FORMAT = "raxel.windows.2"


class WindowRecord:
    """The file `path` of windows under the same `facts` (footage, model, settings): what it holds, and what is added.

    `done` are the windows in it, without their pictures, each with its cameras or None; a line that was cut off and
    all after it count as never written, and windows made under other facts as none. With `writing` False nothing is
    written: of several processes at one clip the first keeps the record.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], *, writing: bool = True) -> None:
        self.path, self.writing = path, writing
        self.head = json.dumps({"format": _FORMAT, **facts}, sort_keys=True)
        self.done: list[tuple[Window, WindowCameras | None]] = []
        self._size = 0
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        if lines and lines[0].decode(errors="replace").rstrip("\n") == self.head:
            self._size = len(lines[0])
            for line in lines[1:]:
                entry = _entry(line)
                if entry is None:
                    break
                self.done.append(entry)
                self._size += len(line)

    def add(self, window: Window, cameras: WindowCameras | None) -> None:
        """Write one more window."""
        if not self.writing:
            return
        line = json.dumps(_values(window, cameras), allow_nan=False) + "\n"
        with self.path.open("r+b" if self._size else "wb") as file:
            if not self._size:
                self._size = file.write(f"{self.head}\n".encode())
            file.seek(self._size)
            file.truncate()
            self._size += file.write(line.encode())

    def remove(self) -> None:
        """Take the file away, once there is a result."""
        if self.writing:
            self.path.unlink(missing_ok=True)


def _values(window: Window, cameras: WindowCameras | None) -> dict[str, Any]:
    moved = {math.inf: "lost"}.get(window.moved_px, None if math.isnan(window.moved_px) else window.moved_px)
    body = {"numbers": window.numbers, "passed": window.passed, "cuts": window.cuts, "moved_px": moved}
    body |= {"last": window.last, "cameras": None}
    if cameras is None:
        return body
    found = (cameras.world_from_cam[:, :3], cameras.K[:, :2], cameras.covariance)
    return {**body, "cameras": [part.double().flatten(1).tolist() for part in found]}


def _entry(line: bytes) -> tuple[Window, WindowCameras | None] | None:
    """The window of one line; None where it was cut off or is no window."""
    try:
        body = json.loads(line) if line.endswith(b"\n") else {}
        numbers = tuple(map(int, body["numbers"]))
        moved = {"lost": math.inf, None: math.nan}.get(body["moved_px"], body["moved_px"])
        passed, cuts = (tuple(map(int, body[key])) for key in ("passed", "cuts"))
        window = Window(numbers, torch.empty(0), float(moved), passed, cuts, bool(body["last"]))
        return window, None if body["cameras"] is None else _cameras(numbers, body["cameras"])
    except (ValueError, KeyError, TypeError, RuntimeError):
        return None


def _cameras(numbers: tuple[int, ...], parts: list[list[list[float]]]) -> WindowCameras:
    motion, K, covariance = (torch.tensor(part, dtype=torch.float64) for part in parts)
    count = len(numbers)
    motion, K = _with_last_row(motion.reshape(count, 3, 4)), _with_last_row(K.reshape(count, 2, 3))
    return WindowCameras(numbers, motion, K, covariance.reshape(count, 7, 7))


def _with_last_row(upper: Tensor) -> Tensor:
    """Matrices [F, n, n] of all rows [F, n - 1, n] but the last, which is 0 ... 0 1."""
    last = torch.eye(upper.shape[2], dtype=upper.dtype)[-1]
    return torch.cat((upper, last.expand(len(upper), 1, -1)), dim=1)
