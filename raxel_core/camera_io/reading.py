"""What a reader returns: the trajectory, and in words how the file or payload was understood."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..geometry.distortion import Lens
from ..geometry.trajectory import Trajectory
from ..paths.motion_words import motion_in_words
from ..strict_json import printable

_LONGEST_NAME = 80

MOST_FIRST = 1_048_574
"""The largest number of a frame: Blender counts no further, and larger ones are dates."""
GAPS = ("keep", "fill", "close")
DIRECTIONS = ("auto", "c2w", "w2c")
QUATERNIONS = ("auto", "xyzw", "wxyz")
_RATE = 24.0


class CameraFormatError(ValueError):
    """Cameras that cannot be read or written, in one sentence: where (file, line or key), what was found, what was
    expected. What it quotes of a file is made printable."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


@dataclass(frozen=True)
class Assumed:
    """What to take where a format does not say it, and what to choose where a file leaves a choice.

    Where a format does not say it: `hw` is the picture's (height, width); `fov_degrees` its horizontal angle of view;
    `unit` one of geometry.trajectory.UNITS; `direction` one of DIRECTIONS, for bare matrices; `quaternions` one of
    QUATERNIONS. `fps`, frames a second, wins over the file's; None takes the file's, or 24 where it has none.
    Choices: `track` names the camera, folder or size to take of a file that holds several, "" the first or largest;
    `gaps` says what becomes of frames that miss: they are kept as gaps, filled by interpolation, or closed; `undistort`
    takes the largest pinhole inside a distorted lens's picture instead of leaving the distortion out. `sensor` is the
    (width, height) in mm whose height an angle of view is of, where a file means that and not the picture's.
    """

    hw: tuple[int, int] = (480, 832)
    fov_degrees: float = 60.0
    fps: float | None = None
    unit: str = "arbitrary"
    track: str = ""
    gaps: str = "keep"
    direction: str = "auto"
    quaternions: str = "auto"
    undistort: bool = False
    sensor: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        choices = {"gaps": GAPS, "direction": DIRECTIONS, "quaternions": QUATERNIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {getattr(self, name)!r}")

    @property
    def rate(self) -> float:
        """Frames a second where the file has none."""
        return _RATE if self.fps is None else self.fps


def sensor_named(text: str | None) -> tuple[float, float] | None:
    """The (width, height) in mm of a text such as "36x24", None for none; ValueError for any other."""
    if not text:
        return None
    width, _, height = text.strip().lower().partition("x")
    try:
        sides = float(width), float(height)
    except ValueError as error:
        raise ValueError(f"a sensor is a width and a height in mm such as 36x24, got {text[:40]!r}") from error
    if not (0.0 < sides[0] < 1e6 and 0.0 < sides[1] < 1e6):
        raise ValueError(f"a sensor has a width and a height above 0 mm, got {text[:40]!r}")
    return sides


@dataclass(frozen=True, eq=False)
class Reading:
    """A trajectory and how it was read.

    `notes` say what was done (convention, units, where K came from, flips and inverses applied), one sentence each;
    `warnings` where another reading is plausible, or something was left out. `numbers` [F] are those that the file
    gives its frames (in an estimate of ours, from 0 in the footage), `times` [F] their seconds; None where it gives
    none. `lenses` and `names` are those of the frames' pictures as they stand in the file, empty where it has none.
    `first` is the number of the path's first frame in the footage (1001); None where the file does not say, or only
    counts from the path's beginning.
    """

    trajectory: Trajectory
    format: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    numbers: tuple[int, ...] | None = None
    times: Tensor | None = None
    lenses: tuple[Lens, ...] = ()
    names: tuple[str, ...] = ()
    first: int | None = None

    def __post_init__(self) -> None:
        name = printable(self.trajectory.name, _LONGEST_NAME)
        object.__setattr__(self, "trajectory", replace(self.trajectory, name=name))

    @property
    def estimated(self) -> bool:
        """Whether `numbers` are those of an estimate of ours, from 0 in its footage."""
        return self.format == "camera_path" and self.numbers is not None

    @property
    def stated(self) -> tuple[int, ...]:
        """The numbers that the file gives its frames in their footage; none where it gives none."""
        if self.numbers is not None or self.first is None:
            return self.numbers or ()
        return tuple(self.first + number for number in self.trajectory.frame_numbers)

    @property
    def states_rate(self) -> bool:
        """Whether the trajectory's rate is the file's, and none that was assumed."""
        return not any(note.startswith("Time:") and "assumed" in note for note in self.notes)

    @property
    def text(self) -> str:
        """The report, one sentence a line; the first after the format says what the camera does."""
        lines = [f"Read as {self.format}.", motion_in_words(self.trajectory), *self.notes]
        return "\n".join(map(printable, (*lines, *(f"Warning: {warning}" for warning in self.warnings))))
