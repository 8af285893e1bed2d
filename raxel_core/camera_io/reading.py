"""What a reader returns: the trajectory, and in words how the file or payload was understood."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry.trajectory import Trajectory
from ..paths.motion_words import motion_in_words


class CameraFormatError(ValueError):
    """Cameras that cannot be read or written, in one sentence: where (file, line or key), what was found, what was
    expected."""


@dataclass(frozen=True)
class Assumed:
    """What to take where a format does not say it; a format that does say it wins.

    `hw` is the picture's (height, width); `fov_degrees` its horizontal angle of view; `fps` frames a second; `unit`
    one of geometry.trajectory.UNITS, for formats without units of their own; `track` names the path to take of a file
    that holds several, the first one when it is empty.
    """

    hw: tuple[int, int] = (480, 832)
    fov_degrees: float = 60.0
    fps: float = 24.0
    unit: str = "arbitrary"
    track: str = ""


@dataclass(frozen=True, eq=False)
class Reading:
    """A trajectory and how it was read.

    `notes` say what was done (convention, units, where K came from, flips and inverses applied), one sentence each;
    `warnings` where another reading is plausible.
    """

    trajectory: Trajectory
    format: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The report, one sentence a line; the first after the format says what the camera does."""
        lines = [f"Read as {self.format}.", motion_in_words(self.trajectory), *self.notes]
        return "\n".join((*lines, *(f"Warning: {warning}" for warning in self.warnings)))
