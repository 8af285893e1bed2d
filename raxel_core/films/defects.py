"""What is wrong with a scene of a data set: a kind that is counted, and a sentence that says what was found."""

from __future__ import annotations

from dataclasses import dataclass

NO_CAMERAS = "no cameras"
NO_PICTURES = "no pictures"
ABSENT = "listed pictures are absent"
PART = "poses for a part of the pictures"
SIZE = "wrong size"
TIMES = "time stamps match no frame"
POSES = "bad poses"
SINGLE = "one frame"
UNREADABLE = "cannot be read"
DISTORTION = "distortion left out"


@dataclass(frozen=True)
class Defect:
    """One fault: `kind` is one of the names above, `told` a sentence without the scene's name."""

    kind: str
    told: str


class SceneError(ValueError):
    """A scene that cannot be used, in one sentence that names it, with its `defect`."""

    def __init__(self, name: str, kind: str, told: str) -> None:
        super().__init__(f"{name}: {told}")
        self.name, self.defect = name, Defect(kind, told)
