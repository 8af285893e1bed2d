"""The nodes that read and write the camera files of other programs."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from comfy_api.latest import io

from ...raxel_core.camera_io import (
    FORMATS,
    WRITTEN,
    format_named,
    lost_in,
    lost_of,
    read_cameras,
    write_cameras,
    write_estimate,
)
from ...raxel_core.camera_io.reading import DIRECTIONS, GAPS, MOST_FIRST, QUATERNIONS, Assumed, sensor_named
from ...raxel_core.geometry.estimate import Estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ..catalogue import schema
from ..comfy_io.input_files import readable_path
from ..comfy_io.notice import preview
from ..comfy_io.output_files import next_output_path
from ..sockets import EXCHANGE_CATEGORY, EstimateSocket, TrajectorySocket
from .assumed import assumed_inputs, rate_given

_AUTO = "auto"
_TITLES = "; ".join(f"{known.name}: {known.title}" for known in FORMATS)
_WRITTEN_TITLES = "; ".join(f"{known.name}: {known.title}" for known in WRITTEN)


class RaxelLoadCamera(io.ComfyNode):
    """Camera file -> trajectory, and in words how it was read."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelLoadCamera",
            display_name="Raxel Load Camera",
            category=EXCHANGE_CATEGORY,
            description="Reads a camera path from a file or folder of another program, and reports how it was read: "
            "convention, units, where the intrinsics came from, and where another reading is plausible.",
            inputs=[
                io.String.Input(
                    "path",
                    default="",
                    tooltip="A file or folder in ComfyUI's input folder, such as shots/transforms.json; add "
                    "[output] or [temp] after it for those folders. The button below lists the camera files "
                    "there and uploads others. Absolute paths work inside ComfyUI's input, output, temp and "
                    "model folders.",
                ),
                io.Combo.Input(
                    "format",
                    options=[_AUTO, *(known.name for known in FORMATS)],
                    default=_AUTO,
                    tooltip=f"auto recognises the format from the content. {_TITLES}.",
                ),
                *assumed_inputs("formats"),
                io.String.Input(
                    "track",
                    default="",
                    optional=True,
                    tooltip="Which camera, folder or size to read when a file holds several, such as cam05, cam1 or "
                    "1280x720; the report names them. Empty takes the first, or the one with the most "
                    "frames; all takes every frame.",
                ),
                io.Combo.Input(
                    "gaps",
                    options=list(GAPS),
                    default=GAPS[0],
                    optional=True,
                    tooltip="Frames without a camera, such as pictures that COLMAP did not register. keep: they "
                    "stay as gaps in time. fill: their cameras are interpolated. close: they are dropped "
                    "and the others become neighbours. Nodes that change the number of frames accept no "
                    "gaps.",
                ),
                io.Combo.Input(
                    "direction",
                    options=list(DIRECTIONS),
                    default=DIRECTIONS[0],
                    optional=True,
                    tooltip="How plain matrices are read (npy, npz, rows of 12 or 16 numbers): c2w is "
                    "camera-to-world, w2c is world-to-camera. auto goes by the names in the file and by "
                    "which reading moves more smoothly; the report says why.",
                ),
                io.Combo.Input(
                    "quaternions",
                    options=list(QUATERNIONS),
                    default=QUATERNIONS[0],
                    optional=True,
                    tooltip="The order of quaternions in a table of numbers; auto takes the format's own.",
                ),
                io.Boolean.Input(
                    "undistort",
                    default=False,
                    optional=True,
                    tooltip="For lenses with distortion: take the largest distortion-free picture inside theirs. "
                    "The pictures themselves need the same: python -m raxel_core trajectory undistort.",
                ),
                io.String.Input(
                    "sensor",
                    default="",
                    optional=True,
                    tooltip="For .chan files from Blender: width and height of the camera's sensor in mm, such as "
                    "36x24, since the angle of view in them belongs to the sensor's height. Empty: the "
                    "angle belongs to the picture's height.",
                ),
            ],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame."),
                io.String.Output(display_name="report", tooltip="How the file was read, one sentence per line."),
            ],
        )

    @classmethod
    def fingerprint_inputs(
        cls, path: str | None = None, format: str | None = _AUTO, track: str | None = "", **inputs: Any
    ) -> object:
        """A digest of what is read: it changes with each file that the reading looks at, and with no other. Never the
        same where a link tells what to read, which is not known yet."""
        if path is None or format is None or track is None:
            return float("nan")  # a new one each time: math.nan is one object, which ComfyUI takes for equal to itself
        known = {name: value for name, value in inputs.items() if value is not None}
        return _digest(*cls.execute(path, format, track=track, **known).args)

    @classmethod
    def execute(
        cls,
        path: str,
        format: str = _AUTO,
        width: int = 832,
        height: int = 480,
        fov_degrees: float = 60.0,
        fps: float = 0.0,
        unit: str = "arbitrary",
        track: str = "",
        gaps: str = GAPS[0],
        direction: str = DIRECTIONS[0],
        quaternions: str = QUATERNIONS[0],
        undistort: bool = False,
        sensor: str = "",
    ) -> io.NodeOutput:
        hw, rate, mm = (height, width), rate_given(fps), sensor_named(sensor)
        assumed = Assumed(hw, fov_degrees, rate, unit, track.strip(), gaps, direction, quaternions, undistort, mm)
        reading = read_cameras(readable_path(path), format=None if format == _AUTO else format, assumed=assumed)
        return io.NodeOutput(reading.trajectory, reading.text, ui=preview(reading.text))


def _digest(path: Trajectory, report: str) -> str:
    """The same for the same cameras read in the same way."""
    words = repr((path.camera.hw, path.fps, path.unit, path.name, path.numbers, report)).encode()
    return sha256(path.camera.world_from_cam.numpy().tobytes() + path.camera.K.numpy().tobytes() + words).hexdigest()


class RaxelSaveCamera(io.ComfyNode):
    """Trajectory -> camera file of another program."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelSaveCamera",
            display_name="Raxel Save Camera",
            category=EXCHANGE_CATEGORY,
            description="Writes a camera path into ComfyUI's output folder for another program.",
            inputs=[
                io.MultiType.Input(
                    "trajectory",
                    types=[TrajectorySocket, EstimateSocket],
                    tooltip="The path to write. From an estimate, camera_path also keeps the error bars and the "
                    "footage, and COLMAP models keep the scene's points.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="cameras/camera",
                    tooltip="Subfolder and start of the file name in ComfyUI's output folder; a number is added.",
                ),
                io.Combo.Input(
                    "format",
                    options=[known.name for known in WRITTEN],
                    default=WRITTEN[0].name,
                    tooltip=f"{_WRITTEN_TITLES}.",
                ),
                io.Int.Input(
                    "first_frame",
                    default=1,
                    min=-MOST_FIRST,
                    max=MOST_FIRST,
                    optional=True,
                    tooltip="The number of the path's first frame, such as 1001 for a plate that begins there, in "
                    "camera_path, .chan, USD and Blender scripts. 1: as an estimate's pictures are numbered, if known.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="path", tooltip="The file, or the folder for formats that are folders."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, trajectory: Trajectory | Estimate, filename_prefix: str, format: str, first_frame: int = 1
    ) -> io.NodeOutput:
        path, _ = next_output_path(filename_prefix, format_named(format).suffix)
        first = None if first_frame == 1 else first_frame
        if isinstance(trajectory, Estimate):
            lost = lost_of(trajectory, path, format=format, first=first)
            write_estimate(trajectory, path, format=format, first=first)
        else:
            lost = lost_in(trajectory, path, format=format, first=first)
            write_cameras(trajectory, path, format=format, first=first)
        return io.NodeOutput(str(path), ui=preview("\n".join(filter(None, (str(path), lost)))))
