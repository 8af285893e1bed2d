"""Series of pictures are read as a video is: by number, by time, with what is missing said."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from raxel_core.footage.reel import open_reel
from raxel_core.footage.series import find_series, names_series
from raxel_core.footage.windows import plan_for
from raxel_core.video_io import Selection, write_image, write_video
from tests.oracle import lossless_recipe

HW = (8, 12)


def _series(folder: Path, numbers: list[int], name: str = "f_{:d}.png") -> Path:
    """Pictures whose grey is their number, in levels of 255."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        write_image(folder / name.format(number), torch.full((3, *HW), number / 127.5 - 1.0))
    return folder


def _read(path: Path, selection: Selection | None = None, fps: float | None = None) -> list[int]:
    video = open_reel(path, fps=fps).read(selection).video
    return [round((float(level) + 1.0) * 127.5) for level in video.mean(dim=(0, 2, 3))]


@pytest.mark.parametrize("pattern", ["", "f_%d.png", "f_#.png", "f_*.png", "*.png"])
def test_a_series_follows_its_numbers_however_it_is_named(tmp_path: Path, pattern: str) -> None:
    folder = _series(tmp_path / "seq", [9, 10, 11, 12])
    assert _read(folder / pattern if pattern else folder) == [9, 10, 11, 12]
    assert open_reel(folder).rate == 24.0
    assert any("24 frames a second are assumed" in note for note in open_reel(folder).notes)
    assert not any("assumed" in note for note in open_reel(folder, fps=30.0).notes)


def test_padded_numbers_are_held_to_their_width(tmp_path: Path) -> None:
    folder = _series(tmp_path, [1, 2], "f_{:04d}.png")
    _series(folder, [3], "f_{:d}.png")
    assert [file.name for file in find_series(folder / "f_%04d.png").files] == ["f_0001.png", "f_0002.png"]


def test_frames_are_picked_by_time_as_a_videos_are(tmp_path: Path) -> None:
    """The same selections of the same frames, from a video and from a series."""
    folder = _series(tmp_path / "seq", list(range(17)))
    levels = (torch.arange(17) / 127.5 - 1.0).reshape(1, 17, 1, 1).expand(3, 17, *HW)
    write_video(tmp_path / "v.mp4", levels, fps=8.0, crf=0)
    video = open_reel(tmp_path / "v.mp4")
    for selection in (
        Selection(),
        Selection(5, 4.0),
        Selection(3, 2.0, 0.5),
        Selection(start=1.5),
        Selection(fps=3.0),
        Selection(7, 5.0, 0.2),
    ):
        numbers = [number for number, _ in open_reel(folder, fps=8.0).stream(selection).frames]
        assert numbers == [number for number, _ in video.stream(selection).frames], selection
    assert _read(folder, Selection(frames=5, fps=4.0), 8.0) == [0, 2, 4, 6, 8]


def test_gaps_are_named_and_keep_their_time(tmp_path: Path) -> None:
    reel = open_reel(_series(tmp_path, [101, 102, 105, 106, 109]), fps=10.0)
    assert [number for number, _ in reel.stream().frames] == [0, 1, 4, 5, 8]
    assert any("4 pictures are missing, 103 to 104, 107 to 108" in note for note in reel.notes)
    assert _read(tmp_path, Selection(fps=5.0), 10.0) == [101, 102, 105, 106, 109]  # 2 is nearest to 1


def test_numbers_in_steps_are_neighbours(tmp_path: Path) -> None:
    reel = open_reel(_series(tmp_path, [0, 5, 10, 20]))
    assert [number for number, _ in reel.stream().frames] == [0, 1, 2, 4]
    assert any("steps of 5" in note for note in reel.notes)
    assert any("1 pictures are missing, 15" in note for note in reel.notes)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("p.1001", "p.1002", "p.1004"), range(1001, 1005)),
        (("p.1001", "p.1003", "p.1007"), range(1001, 1009, 2)),
        (("p.0007",), range(7, 8)),
        (("a", "b"), None),
    ],
)
def test_places_in_time_have_the_numbers_of_the_pictures(tmp_path: Path, names, numbers) -> None:
    for name in names:
        write_image(tmp_path / f"{name}.png", torch.zeros(3, 4, 4))
    assert open_reel(tmp_path, fps=8.0).numbers == numbers


def test_what_names_no_series_is_one_sentence(tmp_path: Path) -> None:
    folder = _series(tmp_path / "seq", [1, 2])
    with pytest.raises(ValueError, match=r"g_%d.png names no pictures that are there; there is f_1.png"):
        open_reel(folder / "g_%d.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"g_%d\\x1b\[2J.png names no pictures"):
        open_reel(tmp_path / "g_%d\x1b[2J.png")
    with pytest.raises(ValueError, match="empty names no pictures that are there"):
        open_reel(tmp_path / "empty")
    with pytest.raises(OSError, match="No such file"):
        open_reel(tmp_path / "missing" / "f_%d.png")
    _series(folder, [3, 4], "left_{:d}.png")
    with pytest.raises(ValueError, match=r"several series of pictures, f_\*.png \(2\), left_\*.png \(2\): name one"):
        open_reel(folder)
    assert _read(folder / "left_*.png") == [3, 4]


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    folder = _series(tmp_path, [1, 2])
    write_image(folder / "f_3.png", torch.zeros(3, 8, 10))
    with pytest.raises(ValueError, match="f_3.png is 10x8 and the pictures before it 12x8"):
        open_reel(folder).read()


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "shot%d[1].mp4"
    write_video(path, torch.zeros(3, 2, 32, 32), fps=8.0)
    assert not names_series(path)
    assert open_reel(path).hw == (32, 32)


def _filmed(path: Path, times: tuple[int, ...]) -> Path:
    """A video with a frame at each of the `times` in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 32, 32, "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), time % 255, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "times",
    [tuple(range(0, 800, 40)), (0, 33, 67, 100, 133), (0, 40, 80, 200, 320), (0, 5, 10, 15, 500), (0, 400, 405, 410)],
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_a_reel_has_a_place_for_every_frame_of_a_video(tmp_path: Path, suffix: str, times: tuple[int, ...]) -> None:
    reel = open_reel(_filmed(tmp_path / f"v.{suffix}", times))
    numbers = [number for number, _ in reel.stream().pictures]
    assert len(numbers) == len(times) and reel.count == numbers[-1] + 1


def test_what_a_header_says_of_its_length_is_not_believed(tmp_path: Path) -> None:
    path = _filmed(tmp_path / "v.mkv", tuple(range(0, 2000, 40)))
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration, eight bytes of floating point
    assert struct.unpack(">d", data[place : place + 8]) == (2000.0,)
    data[place : place + 8] = struct.pack(">d", 40.0)
    path.write_bytes(data)
    reel = open_reel(path)
    assert reel.count == 50
    assert plan_for(reel, lossless_recipe(), start=0.5).windows(reel) > 1


@pytest.mark.parametrize(
    ("times", "said"),
    [((0, 40, 80, 120, 160), None), ((0, 33, 67, 100, 133), None), ((0, 40, 80, 200, 320), "5 frames, 40 to 120 ms")],
)
def test_a_file_whose_rate_varies_says_so(tmp_path: Path, times: tuple[int, ...], said: str | None) -> None:
    path = _filmed(tmp_path / "phone.mp4", times)
    notes = open_reel(path).notes
    assert len(notes) == (said is not None) and (said or "") in "".join(notes)
