"""What a reader returns: the trajectory, and in words how the file or payload was understood."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..geometry.trajectory import Trajectory
from ..paths.motion_words import motion_in_words
from ..strict_json import printable

_LONGEST_NAME = 80


class CameraFormatError(ValueError):
    """Cameras that cannot be read or written, in one sentence: where (file, line or key), what was found, what was
    expected. What it quotes of a file is made printable."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


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

    def __post_init__(self) -> None:
        name = printable(self.trajectory.name, _LONGEST_NAME)
        object.__setattr__(self, "trajectory", replace(self.trajectory, name=name))

    @property
    def text(self) -> str:
        """The report, one sentence a line; the first after the format says what the camera does."""
        lines = [f"Read as {self.format}.", motion_in_words(self.trajectory), *self.notes]
        return "\n".join(map(printable, (*lines, *(f"Warning: {warning}" for warning in self.warnings))))
