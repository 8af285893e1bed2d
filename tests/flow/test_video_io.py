"""Video files: what is written is read back, frames are picked by time, and nothing is decoded beyond the budget."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import torch

from raxel_core import video_io
from raxel_core.video_io import Selection, read_image, read_video, write_image, write_video


def _ramp(frames: int, hw: tuple[int, int] = (32, 48)) -> torch.Tensor:
    """A video [3, F, H, W] whose frame k is one grey of level -0.8 + 1.6 k / (F - 1)."""
    levels = torch.linspace(-0.8, 0.8, frames)
    return levels.reshape(1, frames, 1, 1).expand(3, frames, *hw).contiguous()


def _levels(video: torch.Tensor) -> list[float]:
    return video.mean(dim=(0, 2, 3)).tolist()


@pytest.fixture
def ramp_file(tmp_path: Path) -> Path:
    path = tmp_path / "ramp.mp4"
    write_video(path, _ramp(17), fps=8.0)
    return path


def test_a_written_video_is_read_back(tmp_path: Path) -> None:
    rows, columns = torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 96)
    picture = torch.stack([rows[:, None].expand(64, 96), columns.expand(64, 96), (rows[:, None] * columns)])
    video = torch.stack([picture, picture * 0.5, -picture, picture * 0.2, picture], dim=1)
    path = tmp_path / "video.mp4"
    write_video(path, video, fps=24.0)
    clip = read_video(path)
    assert clip.fps == 24.0
    assert clip.framing.original_hw == clip.framing.hw == (64, 96)
    assert clip.video.shape == video.shape
    assert float((clip.video - video).abs().mean()) < 0.02


def test_saturated_colours_survive_within_the_colour_matrix(tmp_path: Path) -> None:
    """Red, green and blue come back as themselves: writing and reading agree on BT.709 (BT.601 would miss by 0.1)."""
    path = tmp_path / "colours.mp4"
    colours = (torch.eye(3) * 2 - 1).reshape(3, 3, 1, 1).expand(3, 3, 32, 32)
    write_video(path, colours, fps=5.0)
    means = read_video(path).video.mean(dim=(2, 3))
    torch.testing.assert_close(means, torch.eye(3) * 2 - 1, rtol=0, atol=0.04)


def test_the_same_video_gives_the_same_bytes(tmp_path: Path) -> None:
    """x264 left to itself gives several files for this one, whose width is no multiple of 16."""
    waves = torch.linspace(0, 5, 132)[:, None] + torch.linspace(0, 9, 328)
    video = torch.stack([torch.stack([torch.sin(waves + t * speed) for t in range(17)]) for speed in (0.2, 0.4, 0.3)])
    for index in range(4):
        write_video(tmp_path / f"{index}.mp4", 0.9 * video, fps=8.0)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_the_file_is_h264_yuv420p_mp4(ramp_file: Path) -> None:
    with av.open(str(ramp_file)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert "mp4" in container.format.name
        assert container.streams.video[0].average_rate == Fraction(8)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), list(range(17))),
        (Selection(frames=5), [0, 1, 2, 3, 4]),
        (Selection(frames=5, fps=4.0), [0, 2, 4, 6, 8]),
        (Selection(frames=3, fps=2.0, start=0.5), [4, 8, 12]),
        (Selection(start=1.5), [12, 13, 14, 15, 16]),
        (Selection(frames=4, fps=16.0), [0, 0, 1, 1]),
        (Selection(fps=2.0), [0, 4, 8, 12, 16]),
    ],
)
def test_frames_are_picked_by_time(ramp_file: Path, selection: Selection, expected: list[int]) -> None:
    video = _ramp(17)
    clip = read_video(ramp_file, selection)
    assert clip.fps == (selection.fps or 8.0)
    picked = [int((torch.tensor(_levels(video)) - level).abs().argmin()) for level in _levels(clip.video)]
    if selection.fps == 16.0:  # a moment between two frames may take either
        assert picked[0] == 0
        assert picked == sorted(picked)
        assert len(picked) == 4
    else:
        assert picked == expected


def test_times_out_of_order_lose_no_frame(ramp_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FFmpeg tells those of B-frames in an AVI: the numbers rise, one a frame, and stay near what the times say."""
    timed = video_io._timed_frames

    def disordered(*arguments):
        frames = [frame for _, frame in timed(*arguments)]
        times = [frame.pts for frame in frames]
        for index in range(4, len(frames) - 1, 3):
            times[index], times[index + 1] = times[index + 1], times[index]
        for frame, time in zip(frames, times, strict=True):
            frame.pts = time
            yield float(time * frame.time_base), frame

    monkeypatch.setattr(video_io, "_timed_frames", disordered)
    numbers = [number for number, _ in video_io.stream_video(ramp_file).frames]
    assert len(numbers) == 17 and numbers == sorted(set(numbers))
    assert all(abs(number - index) <= 1 for index, number in enumerate(numbers))


def test_frames_are_fitted_as_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    write_video(path, _ramp(3, (32, 96)), fps=8.0)
    clip = read_video(path, Selection(hw=(16, 16)))
    assert clip.video.shape == (3, 3, 16, 16)
    assert clip.framing.original_hw == (32, 96)
    assert clip.framing.crop_hw == (32, 32)
    assert _levels(clip.video) == pytest.approx([-0.8, 0.0, 0.8], abs=0.02)


def test_a_picture_survives_exactly(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    levels = torch.randint(0, 256, (3, 21, 35), generator=torch.Generator().manual_seed(0))
    image = levels.float() / 127.5 - 1.0
    write_image(path, image)
    read, framing = read_image(path)
    assert framing.original_hw == (21, 35)
    torch.testing.assert_close(read, image, rtol=0, atol=1e-6)


def test_a_turned_picture_is_read_upright(tmp_path: Path) -> None:
    """A file marked as turned by 90 degrees comes back turned, as players show it."""
    upright, turned = tmp_path / "upright.mp4", tmp_path / "turned.mp4"
    picture = torch.full((3, 1, 32, 64), -0.5)
    picture[:, :, :, :32] = 0.5  # the left half is bright
    write_video(upright, picture, fps=8.0)
    payload = bytearray(upright.read_bytes())
    identity = b"".join(value.to_bytes(4, "big") for value in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    clockwise = b"".join((value % (1 << 32)).to_bytes(4, "big") for value in (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    at = payload.rindex(identity)  # the matrix of the track header
    payload[at : at + len(identity)] = clockwise
    turned.write_bytes(bytes(payload))
    image = read_video(turned).video[:, 0]
    assert image.shape == (3, 64, 32)
    assert float(image[:, :28].mean()) == pytest.approx(0.5, abs=0.05)  # left has become top
    assert float(image[:, 36:].mean()) == pytest.approx(-0.5, abs=0.05)


def test_what_is_no_video_is_refused_in_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_bytes(b"this is no video " * 200)
    with pytest.raises(ValueError, match=r"^cannot read .*notes.mp4: Invalid data found"):
        read_video(text)
    with pytest.raises(OSError, match="No such file"):
        read_video(tmp_path / "missing.mp4")


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="has no video stream"):
        read_video(path)


def test_a_truncated_file_is_refused(tmp_path: Path, ramp_file: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(ramp_file.read_bytes()[: ramp_file.stat().st_size // 3])
    with pytest.raises(ValueError, match=r"cut\.mp4"):
        read_video(cut)


def test_a_start_behind_the_end_is_refused(ramp_file: Path) -> None:
    with pytest.raises(ValueError, match="holds no frame from 60 s on"):
        read_video(ramp_file, Selection(start=60.0))


def test_the_budget_is_checked_before_anything_is_decoded(ramp_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_io, "_image_from_frame", lambda *arguments: pytest.fail("a frame was decoded"))
    with pytest.raises(ValueError, match="too large to decode: 17 frames of 48x32 pixels from 48x32"):
        read_video(ramp_file, bytes_cap=10 * 32 * 48 * 24)


def test_the_budget_counts_what_is_kept(ramp_file: Path) -> None:
    cap = 4 * 32 * 48 * 24
    assert read_video(ramp_file, Selection(hw=(8, 8)), bytes_cap=cap).video.shape == (3, 17, 8, 8)
    assert read_video(ramp_file, Selection(frames=3), bytes_cap=cap).video.shape == (3, 3, 32, 48)


def test_a_file_that_understates_its_length_is_stopped(ramp_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_io, "_announced_frames", lambda container, selection: 0)
    with pytest.raises(ValueError, match="more frames than it announces"):
        read_video(ramp_file, bytes_cap=10 * 32 * 48 * 24)


def test_a_picture_beyond_the_budget_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    write_image(path, torch.zeros(3, 200, 300))
    with pytest.raises(ValueError, match=r"large\.png has no frame size, or one beyond"):
        video_io.read_video(path, bytes_cap=100 * 100 * 24)


def test_the_budget_follows_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1000

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    assert video_io.decoded_bytes_budget() == 500
    assert video_io.decoded_bytes_budget(100) == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "at least 1 frame"),
        ({"fps": 0.0}, "the frame rate of a video is 0.001 to 10000 a second, got 0.0"),
        ({"fps": float("inf")}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
        ({"start": -1.0}, "0 to 1e\\+07 s, got -1.0"),
        ({"start": 1e18}, "0 to 1e\\+07 s"),
    ],
)
def test_selections_of_nothing_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection(**arguments)


@pytest.mark.parametrize(
    ("video", "fps", "message"),
    [
        (torch.zeros(3, 2, 31, 32), 8.0, "even height and width, got 31x32"),
        (torch.zeros(2, 3, 32, 32), 8.0, r"must be \[3, F, H, W\]"),
        (torch.zeros(3, 2, 32, 32), 0.0, "frame rate"),
        (torch.full((3, 2, 32, 32), float("nan")), 8.0, "finite"),
    ],
)
def test_videos_that_cannot_be_written_are_refused(
    tmp_path: Path, video: torch.Tensor, fps: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "out.mp4", video, fps=fps)
    assert not list(tmp_path.iterdir())


def test_a_video_is_complete_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "out.mp4"
    path.write_bytes(b"what was there before")
    monkeypatch.setattr(video_io.av, "VideoFrame", type("Frame", (), {"from_ndarray": staticmethod(interrupt)}))
    with pytest.raises(KeyboardInterrupt):
        write_video(path, torch.zeros(3, 2, 32, 32), fps=8.0)
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_place_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write"):
        write_video(tmp_path / "missing" / "out.mp4", torch.zeros(3, 1, 32, 32), fps=8.0)


def test_what_was_cropped_off_is_not_kept(tmp_path: Path) -> None:
    """Of a strip of 2 x 320 pixels a square is kept: nothing else may stay in memory."""
    path = tmp_path / "strip.mp4"
    write_video(path, torch.zeros(3, 1, 2, 320), fps=8.0)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    image, _ = video_io.fit_video(video_io._image_from_frame(frame, None), (32, 32))
    assert image.shape == (3, 32, 32)
    assert image.untyped_storage().nbytes() == 3 * 32 * 32 * 4


def test_a_picture_with_wide_pixels_is_read_wide(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.options = {"x264-params": "sar=2/1"}
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert read_video(path).video.shape == (3, 1, 32, 128)
    with pytest.raises(ValueError, match="1 frames of 128x32 pixels from 64x32"):
        read_video(path, bytes_cap=2 * 32 * 64 * 24)


def test_a_name_is_never_a_pattern_or_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("shot%d.png", torch.zeros(3, 8, 8))
    assert read_image("shot%d.png")[0].shape == (3, 8, 8)
    for name in ("http://127.0.0.1:9/a.mp4", "concat:shot%d.png"):
        with pytest.raises(OSError, match="No such file or directory"):
            read_video(name)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile ramp.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nramp.mp4\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_opens_no_other_file(ramp_file: Path, text: str) -> None:
    path = ramp_file.with_name("list.m3u8")
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^cannot read .*list\.m3u8"):
        read_video(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(ValueError, match=r"empty\.mp4 is empty$"):
        read_video(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are made on POSIX systems alone")
@pytest.mark.parametrize("read", [read_video, read_image])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, read) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a pipe or a device, not a file"):
        read(path)


def test_a_result_is_named_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"out\.avi has to end in \.mp4"):
        write_video(tmp_path / "out.avi", torch.zeros(3, 1, 32, 32), fps=8.0)
    with pytest.raises(ValueError, match=r"out\.jpg has to end in \.png"):
        write_image(tmp_path / "out.jpg", torch.zeros(3, 8, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", [1e-9, 1e299, float("nan")])
def test_rates_that_no_file_can_state_are_refused(tmp_path: Path, fps: float) -> None:
    with pytest.raises(ValueError, match=r"the frame rate of a video is 0\.001 to 10000 a second"):
        write_video(tmp_path / "out.mp4", torch.zeros(3, 1, 32, 32), fps=fps)


def _written(codec: str, pixels: np.ndarray, layout: str, path: Path) -> Path:
    """A picture file by FFmpeg's own encoder."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width, encoder.pix_fmt = pixels.shape[0], pixels.shape[1], layout
    encoder.time_base = Fraction(1, 1)
    packets = encoder.encode(av.VideoFrame.from_ndarray(pixels, format=layout))
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
    return path


def test_linear_exr_becomes_srgb(tmp_path: Path) -> None:
    """0.18, middle grey, is 0.4614 in sRGB by IEC 61966-2-1; light above 1 is white, and no number is black."""
    light = np.full((4, 6, 3), 0.18, dtype=np.float32)
    light[0, 0], light[0, 1], light[0, 2] = (np.nan, -1.0, 0.001), (1.0, 2.0, np.inf), (0.5, 0.0, 0.0031308)
    image, _ = read_image(_written("exr", light, "gbrpf32le", tmp_path / "a.exr"))
    shown = (image + 1) / 2
    assert shown[:, 2, 3].tolist() == pytest.approx([0.4614] * 3, abs=1e-4)
    assert shown[:, 0, 0].tolist() == pytest.approx([0.0, 0.0, 0.01292], abs=1e-5)
    assert shown[:, 0, 1].tolist() == pytest.approx([1.0, 1.0, 1.0], abs=1e-6)
    assert float(shown[0, 0, 2]) == pytest.approx(0.7354, abs=1e-4)


@pytest.mark.parametrize(("codec", "layout"), [("png", "rgb48be"), ("tiff", "rgb48le")])
def test_sixteen_bits_keep_their_levels(tmp_path: Path, codec: str, layout: str) -> None:
    levels = (np.arange(72, dtype=np.uint16) * 17 + 30000).reshape(4, 6, 3)
    image, _ = read_image(_written(codec, levels, layout, tmp_path / f"a.{codec}"))
    torch.testing.assert_close((image + 1) / 2 * 65535, torch.from_numpy(levels.astype(np.float32)).permute(2, 0, 1))
