"""The nodes that make a camera path and show one."""

from __future__ import annotations

from math import radians

from comfy_api.latest import io

from ..raxel_core.geometry.moves import EASINGS, MOVES, make_move
from ..raxel_core.geometry.trajectory import UNITS, Trajectory
from ..raxel_core.latents.frames import check_frame_count
from .bridge.images import image_of_picture
from .bridge.loading import clip_defaults
from .sockets import CATEGORY, TrajectorySocket

_MOVE_TOOLTIP = "; ".join(f"{name}: {move.meaning}" for name, move in MOVES.items())


class CameraTrajectoryBuilder(io.ComfyNode):
    """A move with its numbers -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        clip = clip_defaults()
        return io.Schema(
            node_id="CameraTrajectoryBuilder",
            display_name="Camera Trajectory Builder",
            category=CATEGORY,
            description="A camera path from one of the moves of film. The first frame stands at the origin.",
            inputs=[
                io.Combo.Input("move", options=list(MOVES), default="orbit", tooltip=_MOVE_TOOLTIP),
                io.Int.Input(
                    "frames", default=clip.frames, min=1, max=4096, step=4, tooltip="Frames of the clip, 4n + 1."
                ),
                io.Int.Input(
                    "width", default=clip.hw[1], min=8, max=8192, step=8, tooltip="Width of the video in pixels."
                ),
                io.Int.Input(
                    "height", default=clip.hw[0], min=8, max=8192, step=8, tooltip="Height of the video in pixels."
                ),
                io.Float.Input(
                    "fov_degrees",
                    default=60.0,
                    min=5.0,
                    max=170.0,
                    step=0.1,
                    tooltip="Horizontal angle of view in degrees: 40 is a long lens, 60 normal, 90 wide.",
                ),
                io.Float.Input(
                    "angle_degrees",
                    default=20.0,
                    min=-3600.0,
                    max=3600.0,
                    step=0.1,
                    tooltip="How far pan, tilt, roll, orbit and arc turn, in degrees from the first frame to the last; "
                    "negative goes the other way.",
                ),
                io.Float.Input(
                    "distance",
                    default=0.3,
                    min=-1000.0,
                    max=1000.0,
                    step=0.01,
                    tooltip="How far dolly, truck and pedestal drive, in unit; negative goes the other way.",
                ),
                io.Float.Input(
                    "depth",
                    default=1.0,
                    min=0.001,
                    max=1000.0,
                    step=0.01,
                    optional=True,
                    tooltip="How far away the point is that orbit and arc circle, in unit.",
                ),
                io.Combo.Input(
                    "easing",
                    options=list(EASINGS),
                    default="smooth",
                    optional=True,
                    tooltip="linear: even speed. smooth: starts and stops gently.",
                ),
                io.Combo.Input(
                    "unit",
                    options=list(UNITS),
                    default=clip.unit,
                    optional=True,
                    tooltip="What a length of 1 is. near_depth: the depth of the near part of the scene in the first "
                    "frame. metre. arbitrary: unknown.",
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
            ],
            outputs=[TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame.")],
        )

    @classmethod
    def execute(
        cls,
        move: str,
        frames: int,
        width: int,
        height: int,
        fov_degrees: float,
        angle_degrees: float,
        distance: float,
        depth: float = 1.0,
        easing: str = "smooth",
        unit: str = "near_depth",
        fps: float = 24.0,
    ) -> io.NodeOutput:
        check_frame_count(frames)
        amount = radians(angle_degrees) if MOVES[move].angular else distance
        lens = {"hw": (height, width), "fov_degrees": fov_degrees}
        return io.NodeOutput(
            make_move(move, frames, **lens, amount=amount, depth=depth, easing=easing, fps=fps, unit=unit)
        )


class RaxelTrajectoryPreview(io.ComfyNode):
    """One trajectory or two -> a picture of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RaxelTrajectoryPreview",
            display_name="Raxel Trajectory Preview",
            category=CATEGORY,
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
        from ..raxel_core.plot import draw_trajectories

        paths = {"trajectory": trajectory} if compare is None else {"trajectory": trajectory, "compare": compare}
        return io.NodeOutput(image_of_picture(draw_trajectories(paths, hw=(height, width))))
