"""Reading and writing of video files and pictures with PyAV, within a memory budget that is checked before decoding."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from .atomic_file import replacing
from .framing import Framing, fit_video, framing_for
from .runtime.memory import free_memory

DECODED_BYTES_CAP = 4 * 2**30
"""The most memory that decoded frames may take, however much is free."""
FRAME_RATES = (1e-3, 1e4)
"""The lowest and the highest rate of a video in frames a second: what its file format can state."""
VIDEO_SUFFIX, IMAGE_SUFFIX = ".mp4", ".png"
_LATEST_START = 1e7
_BYTES_PER_PIXEL = 3 * 4 * 2  # three channels of float32, held twice while the frames are joined into one tensor
# What FFmpeg calls the pixels of files of floating point.
_LINEAR = ("gbrpf", "gbrapf", "grayf", "rgbf", "rgbaf", "yaf")
_BT709 = 1  # AVCOL_SPC_BT709
_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames read from a file: video [3, F, h, w] float32 in [-1, 1], their rate, and how they were framed."""

    video: Tensor
    fps: float
    framing: Framing


@dataclass(frozen=True)
class Selection:
    """Which frames to read: from `start` seconds on, at most `frames`, `fps` a second, fitted into `hw`.

    None means every frame to the end, at the file's own rate, at its own size. Raises ValueError on numbers that
    select nothing.
    """

    frames: int | None = None
    fps: float | None = None
    start: float = 0.0
    hw: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"at least 1 frame must be read, got {self.frames}")
        if self.fps is not None:
            check_frame_rate(self.fps)
        if not 0 <= self.start <= _LATEST_START:
            raise ValueError(f"the time to start reading at is 0 to {_LATEST_START:g} s, got {self.start}")


@dataclass(frozen=True, eq=False)
class FrameStream:
    """A video read frame by frame: `pictures` yields (number in the footage, what makes its picture), each number once;
    `rate` of the footage, `fps` of what is read of it, and `count`, how many there are about, 0 where the file does not
    say."""

    pictures: Iterator[tuple[int, Callable[[], Tensor]]]
    rate: float
    fps: float
    count: int

    @property
    def frames(self) -> Iterator[tuple[int, Tensor]]:
        """(number in the footage, picture uint8 [H, W, 3])."""
        return ((number, picture()) for number, picture in self.pictures)


class _OpenFile(io.BufferedReader):
    """A file that hides its name from FFmpeg, which would take `shot%d.png` for a series and `http:/x` for a page."""

    name = "file"


def read_video(path: str | Path, selection: Selection | None = None, *, bytes_cap: int = DECODED_BYTES_CAP) -> Clip:
    """Read the selected frames of a video file; with a rate, the frame nearest to each moment is taken.

    Each frame is fitted into the selection's size as it is decoded; rotation marks and non-square pixels are applied.
    Raises ValueError in one sentence when the file is no video, is damaged or holds no selected frame, and before
    decoding when frames x height x width x bytes exceed the budget: half of the free memory, at most `bytes_cap`.
    Raises OSError when the file cannot be opened.
    """
    budget = decoded_bytes_budget(bytes_cap)
    with _opened(path, budget) as container:
        return _read_clip(container, str(path), selection or Selection(), budget)


def stream_video(path: str | Path, selection: Selection | None = None) -> FrameStream:
    """The selected frames of a video file, decoded one at a time at their own size; the selection's is not looked at.

    Rotation marks and non-square pixels are applied; a rate above the file's gives each frame once. Errors as those of
    `read_video`, here for what the header tells, from the iterator for the rest.
    """
    selection = selection or Selection()
    with _opened(path) as container:
        stream = _video_stream(container, str(path))
        rate, count = _rate(stream), _announced_frames(container, selection)
    return FrameStream(_streamed(path, selection), rate, selection.fps or rate, count)


def picture_float(picture: Tensor) -> Tensor:
    """A picture uint8 [H, W, 3] as [3, H, W] float32 in [-1, 1]."""
    return picture.permute(2, 0, 1).float() / 127.5 - 1.0


def video_hw(path: str | Path) -> tuple[int, int]:
    """The (height, width) of a video's first frame as it is read: upright, pixels square. Errors as `read_video`."""
    _, picture = next(stream_video(path, Selection(frames=1)).frames)
    return picture.shape[0], picture.shape[1]


def frame_times(path: str | Path) -> list[float]:
    """The seconds of each frame since the video's start, in order, without decoding. Errors as `read_video`."""
    with _opened(path) as container:
        stream = _video_stream(container, str(path))
        start, time_base, rate = stream.start_time or 0, float(stream.time_base or 0), _rate(stream)
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
    if any(stamp is None for stamp in stamps):
        return [index / rate for index in range(len(stamps))]
    return sorted((stamp - start) * time_base for stamp in stamps if stamp is not None)


def read_frames(path: str | Path, numbers: Sequence[int], hw: tuple[int, int]) -> Tensor:
    """The frames `numbers` of a video, counted from 0 in order of time, as [3, N, h, w] in [-1, 1] fitted into `hw`.

    Decoding begins at the key frame before the first of them. Raises ValueError where one is not there.
    """
    times = frame_times(path)
    wanted = set(numbers)
    if not wanted or min(wanted) < 0 or max(wanted) >= len(times):
        raise ValueError(f"{path} has frames 0 to {len(times) - 1}, got {sorted(wanted)[:5]}")
    found: dict[int, Tensor] = {}
    half = 0.5 * min((b - a for a, b in pairwise(times) if b > a), default=1.0)
    with _opened(path) as container:
        stream = _video_stream(container, str(path))
        aspect, known = stream.codec_context.sample_aspect_ratio, torch.tensor(times, dtype=torch.float64)
        for time, frame in _timed_frames(container, _rate(stream), times[min(wanted)]):
            number = int(torch.searchsorted(known, time - half))
            if number in wanted and number not in found:
                found[number] = fit_video(_image_from_frame(frame, aspect), hw)[0]
            if len(found) == len(wanted):
                break
    if len(found) < len(wanted):
        raise ValueError(f"{path}: frame {min(wanted - found.keys())} cannot be decoded")
    return torch.stack([found[number] for number in numbers], 1)


def read_image(path: str | Path, *, hw: tuple[int, int] | None = None) -> tuple[Tensor, Framing]:
    """Read a picture file as [3, h, w] float32 in [-1, 1]; `hw` and errors as in `read_video`."""
    clip = read_video(path, Selection(frames=1, hw=hw))
    return clip.video[:, 0], clip.framing


def read_float_picture(path: str | Path) -> Tensor:
    """The first channel [H, W] of a picture of floating point (EXR), its values as they stand.

    ValueError where the file holds no such picture.
    """
    with _opened(path) as container:
        frame = next(container.decode(_video_stream(container, str(path))))
        if not frame.format.name.startswith(_LINEAR):
            raise ValueError(f"{path} is no picture of floating point")
        pixels = frame.reformat(format="gbrpf32le").to_ndarray()
    return torch.from_numpy(np.ascontiguousarray(pixels[..., 0]))


def write_video(path: str | Path, video: Tensor, *, fps: float, crf: int = 16) -> None:
    """Write video [3, F, H, W] in [-1, 1] (values outside are clipped) as H.264 yuv420p mp4, BT.709.

    The file appears when it is complete, and is the same for the same video. Raises ValueError when the name does not
    end in .mp4 or the shape, an odd height or width, the rate or a non-finite value cannot be written; OSError when the
    place cannot.
    """
    _check_suffix(path, VIDEO_SUFFIX)
    images = _rgb_bytes(video)
    height, width = images.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"H.264 with yuv420p needs an even height and width, got {height}x{width}")
    rate = Fraction(check_frame_rate(fps)).limit_denominator(65535)
    with replacing(path) as partial:
        try:
            _encode(partial, images, rate, crf)
        except av.FFmpegError as error:
            raise OSError(error.strerror or str(error)) from error


def write_image(path: str | Path, image: Tensor) -> None:
    """Write a picture [3, H, W] in [-1, 1] (values outside are clipped) as PNG, whole or not at all.

    Raises ValueError when the name does not end in .png or the picture cannot be written; OSError when the place
    cannot.
    """
    _check_suffix(path, IMAGE_SUFFIX)
    (pixels,) = _rgb_bytes(image[:, None])
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = pixels.shape[1], pixels.shape[0], "rgb24"
    encoder.time_base = Fraction(1, 1)
    packets = encoder.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
    with replacing(path) as partial:
        partial.write_bytes(b"".join(bytes(packet) for packet in packets))


def check_frame_rate(fps: float) -> float:
    """`fps` when a video file can have that rate; ValueError otherwise."""
    lowest, highest = FRAME_RATES
    if not lowest <= fps <= highest:
        raise ValueError(f"the frame rate of a video is {lowest:g} to {highest:g} a second, got {fps}")
    return fps


def decoded_bytes_budget(bytes_cap: int = DECODED_BYTES_CAP) -> int:
    """Return how many bytes decoded frames may take now: half of the available memory, at most `bytes_cap`."""
    return min(bytes_cap, free_memory() // 2)


@contextmanager
def _opened(path: str | Path, budget: int | None = None) -> Iterator[av.container.InputContainer]:
    """The video file `path`, open; what FFmpeg has against it is one sentence."""
    most = decoded_bytes_budget() if budget is None else budget
    try:
        file, size = Path(path).is_file(), os.stat(path).st_size
        if file and not size:
            raise ValueError(f"{path} is empty")
        if not file and not Path(path).is_dir():  # opening a pipe would wait for who writes to it
            raise ValueError(f"{path} is a pipe or a device, not a file")
        # Without protocols a playlist in the file opens nothing else.
        options = {"max_pixels": str(most // _BYTES_PER_PIXEL), "protocol_whitelist": "none"}
        with _OpenFile(io.FileIO(path)) as opened, av.open(opened, options=options) as container:
            yield container
    except (av.FFmpegError, OSError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"cannot read {path}: {error.strerror or error}") from error


def _video_stream(container: av.container.InputContainer, path: str) -> av.video.stream.VideoStream:
    """The first video stream; ValueError where there is none."""
    if not container.streams.video:
        raise ValueError(f"{path} has no video stream")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def _rate(stream: av.video.stream.VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or 24)


def _streamed(path: str | Path, selection: Selection) -> Iterator[tuple[int, Callable[[], Tensor]]]:
    """The numbers and pictures of the selected frames; ValueError where there is none or their size changes."""
    last, size, shown = -1, None, None
    with _opened(path) as container:
        stream = _video_stream(container, str(path))
        rate, time_base = _rate(stream), float(stream.time_base or 0)
        for frame in _selected_frames(_timed_frames(container, rate, selection.start), rate, selection):
            number = last + 1 if frame.pts is None else round((frame.pts - (stream.start_time or 0)) * time_base * rate)
            if frame is shown:
                continue
            # Old files state the times of B-frames out of order, while decoders give them in the order they are shown.
            number, shown = max(number, last + 1), frame
            if size not in (None, (frame.height, frame.width)):
                raise ValueError(f"the frames of {path} change their size from one to the next")
            last, size = number, (frame.height, frame.width)
            yield number, partial(_bytes_from_frame, frame, stream.codec_context.sample_aspect_ratio)
    if last < 0:
        raise ValueError(f"{path} holds no frame from {selection.start:g} s on")


def _encode(path: Path, images: np.ndarray, rate: Fraction, crf: int) -> None:
    """Write 8-bit RGB images [F, H, W, 3] as an mp4, whatever the name of the file is."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = images.shape[1], images.shape[2], "yuv420p"
        # x264's own code for each CPU gives other bytes from run to run where the width is no multiple of 16.
        stream.options = {"crf": str(crf), "preset": "medium", "x264-params": "cpu-independent=1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT709, _LIMITED_RANGE
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode(None))


def _check_suffix(path: str | Path, suffix: str) -> None:
    """ValueError unless `path` is named as the kind of file that is written."""
    if Path(path).suffix.lower() != suffix:
        raise ValueError(f"{path} has to end in {suffix}, which is what is written there")


def _read_clip(container: av.container.InputContainer, path: str, selection: Selection, budget: int) -> Clip:
    """Read the selection from the first video stream of an open file."""
    stream = _video_stream(container, path)
    rate = _rate(stream)
    pixel_aspect = stream.codec_context.sample_aspect_ratio
    announced_hw = stream.codec_context.height, stream.codec_context.width
    most_frames = _frames_within_budget(container, path, selection, budget)
    images: list[Tensor] = []
    framings: set[Framing] = set()
    for frame in _selected_frames(_timed_frames(container, rate, selection.start), rate, selection):
        if len(images) == most_frames:
            raise ValueError(f"{path} holds more frames than it announces and than fit into {_mebibytes(budget)}")
        if (frame.height, frame.width) != announced_hw:
            raise ValueError(f"the frames of {path} change their size from one to the next")
        image = _image_from_frame(frame, pixel_aspect)
        fitted, framing = fit_video(image, selection.hw or (image.shape[-2], image.shape[-1]))
        images.append(fitted)
        framings.add(framing)
        if len(framings) > 1:
            raise ValueError(f"the frames of {path} change their size from one to the next")
    if not images:
        raise ValueError(f"{path} holds no frame from {selection.start:g} s on")
    return Clip(torch.stack(images, dim=1), selection.fps or rate, framings.pop())


def _frames_within_budget(container: av.container.InputContainer, path: str, selection: Selection, budget: int) -> int:
    """Return how many frames may be decoded; raise ValueError when the file announces more of the selection."""
    stream = container.streams.video[0]
    height, width = stream.codec_context.height, stream.codec_context.width
    if not (height and width):
        raise ValueError(f"{path} has no frame size, or one beyond the {_mebibytes(budget)} that frames may take")
    upright = height, _square_width(width, stream.codec_context.sample_aspect_ratio)
    out_height, out_width = selection.hw or upright
    work = max(_fitting_pixels(hw, selection.hw or hw) for hw in (upright, upright[::-1])) * _BYTES_PER_PIXEL
    most_frames = (budget - work) // (out_height * out_width * _BYTES_PER_PIXEL)
    announced = _announced_frames(container, selection)
    if most_frames < max(1, announced):
        raise ValueError(
            f"{path} is too large to decode: {max(1, announced)} frames of {out_width}x{out_height} pixels "
            f"from {width}x{height} need more than the {_mebibytes(budget)} that frames may take"
        )
    return most_frames


def _fitting_pixels(original_hw: tuple[int, int], hw: tuple[int, int]) -> int:
    """Return how many pixels are held to fit one picture of `original_hw` into `hw`: as it is, and cropped."""
    return math.prod(original_hw) + (math.prod(framing_for(original_hw, hw).crop_hw) if original_hw != hw else 0)


def _announced_frames(container: av.container.InputContainer, selection: Selection) -> int:
    """Return how many frames the file's header says the selection holds, 0 when it does not say."""
    stream = container.streams.video[0]
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return 0
    rate = selection.fps or float(stream.average_rate or stream.guessed_rate or 24)
    announced = math.ceil(max(0.0, seconds - selection.start) * rate)
    return announced if selection.frames is None else min(announced, selection.frames)


def _timed_frames(
    container: av.container.InputContainer, rate: float, start: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Decode frames with their seconds since the start of the stream, from a key frame before `start` on."""
    stream = container.streams.video[0]
    time_base = float(stream.time_base or 0)
    first_pts = stream.start_time or 0
    if start > 0 and time_base > 0:
        container.seek(first_pts + int(start / time_base), stream=stream)
    for index, frame in enumerate(container.decode(stream)):
        yield (index / rate if frame.pts is None else (frame.pts - first_pts) * time_base), frame


def _selected_frames(
    timed: Iterable[tuple[float, av.VideoFrame]], rate: float, selection: Selection
) -> Iterator[av.VideoFrame]:
    """Pick from frames in order of time those that the selection asks for.

    The k-th frame at a given rate is the one nearest to start + k / fps; the last frame of the file stands for the
    half frame after it.
    """
    limit = math.inf if selection.frames is None else selection.frames
    half_frame = 0.5 / rate
    taken = 0
    previous: tuple[float, av.VideoFrame] | None = None
    for time, frame in timed:
        if selection.fps is None:
            if time > selection.start - half_frame:
                yield frame
                taken += 1
        elif previous is not None:
            while taken < limit and selection.start + taken / selection.fps <= (previous[0] + time) / 2:
                yield previous[1]
                taken += 1
        if taken >= limit:
            return
        previous = (time, frame)
    while selection.fps and previous and taken < limit:
        if selection.start + taken / selection.fps >= previous[0] + half_frame:
            return
        yield previous[1]
        taken += 1


def _square_width(width: int, pixel_aspect: Fraction | None) -> int:
    """Return how many square pixels are as wide as `width` pixels of that aspect, which None or 0 leaves unsaid."""
    return max(1, round(width * float(pixel_aspect or 1)))


def _bytes_from_frame(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Tensor:
    """Return one decoded frame as uint8 [H, W, 3], upright; pixels `pixel_aspect` wide made square."""
    pixels = _upright(frame, pixel_aspect)
    return pixels if pixels.dtype == torch.uint8 else (pixels * 255.0).round().to(torch.uint8)


def _image_from_frame(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Tensor:
    """Return one decoded frame as [3, H, W] float32 in [-1, 1], upright; pixels `pixel_aspect` wide made square."""
    pixels = _upright(frame, pixel_aspect)
    return picture_float(pixels) if pixels.dtype == torch.uint8 else pixels.permute(2, 0, 1) * 2.0 - 1.0


def _upright(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Tensor:
    """The pixels [H, W, 3] of a frame, upright and square: uint8, or float32 in [0, 1] of files with more levels.

    Files of floating point (EXR) hold linear light, which is brought to sRGB; what is brighter than 1 is cut off.
    """
    linear = frame.format.name.startswith(_LINEAR)
    deep = linear or frame.format.components[0].bits > 8
    layout = "gbrpf32le" if linear else "rgb48le" if deep else "rgb24"
    width = _square_width(frame.width, pixel_aspect)
    pixels = frame.reformat(width=width, height=frame.height, format=layout).to_ndarray()
    if linear:
        pixels = _srgb(pixels)
    elif deep:
        pixels = pixels.astype(np.float32) / 65535.0
    return torch.rot90(torch.from_numpy(np.ascontiguousarray(pixels)), round(frame.rotation / 90), dims=(0, 1))


def _srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light as sRGB in [0, 1] (IEC 61966-2-1); what is no number is black."""
    light = np.clip(np.nan_to_num(linear, nan=0.0), 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1.0 / 2.4) - 0.055).astype(np.float32)


def _rgb_bytes(video: Tensor) -> np.ndarray:
    """Return video [3, F, H, W] in [-1, 1] as 8-bit RGB images [F, H, W, 3], values outside clipped."""
    if video.ndim != 4 or video.shape[0] != 3 or video.shape[1] < 1:
        raise ValueError(f"a video to write must be [3, F, H, W] with at least one frame, got {tuple(video.shape)}")
    if not bool(torch.isfinite(video).all()):
        raise ValueError("a video to write must be finite, and this one contains NaN or infinity")
    levels = ((video.detach().float().clamp(-1.0, 1.0) + 1.0) * 127.5).round()
    return levels.to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()


def _mebibytes(count: int) -> str:
    """Return a byte count as a number a person reads."""
    return f"{count / 2**20:.0f} MiB"
