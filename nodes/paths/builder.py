"""The nodes that make a camera path and show one."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.trajectory import UNITS, Trajectory
from ...raxel_core.warp.depth_map import DEPTH_KINDS
from ..catalogue import schema
from ..comfy_io.images import image_of_picture
from ..comfy_model.loading import model_clips
from ..sockets import TRAJECTORY_CATEGORY, CameraPathWidget, TrajectorySocket
from .camera_path_state import START_CLIP, START_PATH, read_path
from .editor_notes import depth_of, editor_notes


class CameraTrajectoryBuilder(io.ComfyNode):
    """A planned camera path -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        clip = START_CLIP
        return schema(
            node_id="CameraTrajectoryBuilder",
            display_name="Camera Trajectory Builder",
            category=TRAJECTORY_CATEGORY,
            description="A camera path of film moves in layers and of keys, edited live in 3D. Amounts are in degrees "
            "and in unit, and stay the same whatever the number of frames.",
            inputs=[
                io.Image.Input(
                    "image", optional=True, tooltip="Shown in the editor as what the first camera sees; nothing else."
                ),
                io.MultiType.Input(
                    "depth",
                    types=[io.Image, io.Custom("MOGE_GEOMETRY"), io.Custom("DA3_GEOMETRY")],
                    optional=True,
                    tooltip="The depth of image, a grey depth picture or the geometry of MoGe or Depth Anything 3: "
                    "after a run the editor shows the picture as points in space, with near_depth in its own unit.",
                ),
                io.Int.Input(
                    "frames",
                    default=clip.frames,
                    min=1,
                    max=4096,
                    step=4,
                    optional=True,
                    tooltip="Frames of the clip. Wan and Raxel take 4n + 1.",
                ),
                io.Int.Input(
                    "width",
                    default=clip.hw[1],
                    min=8,
                    max=8192,
                    step=8,
                    optional=True,
                    tooltip="Width of the video in pixels.",
                ),
                io.Int.Input(
                    "height",
                    default=clip.hw[0],
                    min=8,
                    max=8192,
                    step=8,
                    optional=True,
                    tooltip="Height of the video in pixels.",
                ),
                io.Float.Input(
                    "fps",
                    default=clip.fps,
                    min=0.01,
                    max=1000.0,
                    step=0.01,
                    optional=True,
                    tooltip="Frames a second.",
                ),
                io.Combo.Input(
                    "unit",
                    options=list(UNITS),
                    default=clip.unit,
                    optional=True,
                    tooltip="What a length of 1 is. near_depth: the depth of the near part of the scene in the first "
                    "frame. metre. arbitrary: unknown.",
                ),
                io.Combo.Input(
                    "depth_kind",
                    options=list(DEPTH_KINDS),
                    default="disparity",
                    optional=True,
                    tooltip="What grey means in a depth picture. "
                    + "; ".join(f"{name}: {text}" for name, text in DEPTH_KINDS.items())
                    + ".",
                ),
                CameraPathWidget.Input(
                    "path",
                    default=dict(START_PATH),
                    clips=model_clips(),
                    tooltip="The moves and keys: camera path v1, an object or its JSON text. What frames, width, "
                    "height, fps and unit say goes before what it says of them.",
                ),
            ],
            outputs=[TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame.")],
        )

    @classmethod
    def execute(
        cls,
        path: dict[str, Any] | str,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        unit: str | None = None,
        image: Tensor | None = None,
        depth: Any = None,
        depth_kind: str = "disparity",
    ) -> io.NodeOutput:
        given = {"frame_count": frames, "width": width, "height": height, "fps": fps, "unit": unit}
        trajectory = read_path(path, given)
        seen = None if depth is None else depth_of(depth, depth_kind)
        return io.NodeOutput(trajectory, ui=editor_notes(cls, trajectory, image, seen))


class RaxelTrajectoryPreview(io.ComfyNode):
    """One trajectory or two -> a picture of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelTrajectoryPreview",
            display_name="Raxel Trajectory Preview",
            category=TRAJECTORY_CATEGORY,
            description="Draws a camera path, and a second one over it to compare with.",
            inputs=[
                TrajectorySocket.Input("trajectory", tooltip="The path to draw."),
                TrajectorySocket.Input("compare", optional=True, tooltip="Another path, drawn over it."),
                io.Int.Input("width", default=768, min=64, max=4096, optional=True, tooltip="Pixels."),
                io.Int.Input("height", default=512, min=64, max=4096, optional=True, tooltip="Pixels."),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="The drawing.")],
        )

    @classmethod
    def execute(
        cls, trajectory: Trajectory, compare: Trajectory | None = None, width: int = 768, height: int = 512
    ) -> io.NodeOutput:
        from ...raxel_core.drawing.plot import draw_trajectories

        paths = {"trajectory": trajectory} if compare is None else {"trajectory": trajectory, "compare": compare}
        return io.NodeOutput(image_of_picture(draw_trajectories(paths, hw=(height, width))))
