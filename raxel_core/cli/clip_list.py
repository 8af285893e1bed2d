"""Lists of videos: what each is called, where its result goes, and which are done already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import options as shared

RESULT_SUFFIX = ".cameras.json"


@dataclass(frozen=True)
class ListedClip:
    """A video of a list, and the file that its camera path is written to."""

    video: Path
    result: Path

    def is_done(self) -> bool:
        """Whether a whole camera path is there already."""
        try:
            shared.read_trajectory(self.result)
        except (ValueError, FileNotFoundError):
            return False
        return True


def read_clip_list(path: Path, out: Path | None) -> list[ListedClip]:
    """The clips of a text file with one video a line; empty lines and those that begin with # say nothing.

    Names are relative to the folder of the list. A result lies beside its video, or in the folder `out`: there it has
    the place that its video has in the folder of the list, and videos from elsewhere go by their names. Raises
    ValueError for a file without clips, no text, or two clips with one result; OSError.
    """
    try:
        lines = [line.strip() for line in shared.read_path_text(path).splitlines()]
    except ValueError as error:
        raise ValueError(f"{path} is not a list of videos: {error}") from error
    clips: dict[Path, ListedClip] = {}
    for line in lines:
        if line and not line.startswith("#"):
            clip = _listed(path.parent, line, out)
            first = clips.setdefault(clip.result, clip)
            if first is not clip:
                raise ValueError(f"{first.video} and {clip.video} would both be written to {clip.result}")
    if not clips:
        raise ValueError(f"{path} lists no videos")
    return list(clips.values())


def _listed(folder: Path, line: str, out: Path | None) -> ListedClip:
    """The clip of one line of a list in `folder`."""
    video = folder / line
    if out is None:
        return ListedClip(video, shared.result_beside(video, RESULT_SUFFIX))
    try:
        place = Path(os.path.abspath(video)).relative_to(os.path.abspath(folder))
    except ValueError:
        place = Path(video.name)
    return ListedClip(video, out / place.with_suffix(RESULT_SUFFIX))
