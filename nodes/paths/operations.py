"""The algebra of camera paths: one small node for each operation of the core."""

from __future__ import annotations

from math import radians

from comfy_api.latest import io

from ...raxel_core.geometry.align import MODES, align
from ...raxel_core.geometry.trajectory import UNITS, Trajectory
from ...raxel_core.paths import operations
from ...raxel_core.paths.lens import FITS, change_intrinsics
from ...raxel_core.paths.smoothing import smooth
from .. import inputs
from ..catalogue import schema
from ..comfy_io.interruption import stop_when_interrupted
from ..sockets import TRAJECTORY_CATEGORY, TrajectorySocket

_KEPT = "as it is"


def _schema(node_id: str, display_name: str, description: str, *inputs: io.Input) -> io.Schema:
    """What all operations share: one path comes out, in their inputs' unit."""
    return schema(
        node_id=node_id,
        display_name=f"Raxel {display_name}",
        category=TRAJECTORY_CATEGORY,
        description=description,
        inputs=list(inputs),
        outputs=[TrajectorySocket.Output(display_name="trajectory", tooltip="The changed path.")],
    )


class RaxelConcatenateTrajectories(io.ComfyNode):
    """Two paths -> one after the other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelConcatenateTrajectories",
            "Concatenate Trajectories",
            "Plays one path after the other. The second continues where the first ends, whatever world it was made in.",
            inputs.trajectory("The path that comes first.", id="first"),
            inputs.trajectory("The path that follows; same unit, fps and picture size.", id="second"),
            io.Int.Input(
                "overlap",
                default=1,
                min=0,
                max=4096,
                optional=True,
                tooltip="Frames in which the first path fades into the second. 1: a plain join, the frame they share "
                "is shown once, so that 4n + 1 frames stay 4n + 1. More rounds the corner. 0 shows that frame twice.",
            ),
            io.Boolean.Input(
                "keep_world",
                default=False,
                optional=True,
                tooltip="On: the second path stays where it is instead of being moved to the end of the first.",
            ),
        )

    @classmethod
    def execute(
        cls, first: Trajectory, second: Trajectory, overlap: int = 1, keep_world: bool = False
    ) -> io.NodeOutput:
        return io.NodeOutput(operations.concatenate(first, second, overlap=overlap, keep_world=keep_world))


class RaxelBlendTrajectories(io.ComfyNode):
    """Two paths -> one between them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelBlendTrajectories",
            "Blend Trajectories",
            "Mixes two paths of the same number of frames: position, rotation and lens together, frame by frame.",
            inputs.trajectory("The path you get with a share of 0.", id="first"),
            inputs.trajectory(
                "The path you get with a share of 1; same unit, picture size and number of frames.", id="second"
            ),
            io.Float.Input(
                "start",
                default=0.5,
                min=0.0,
                max=1.0,
                step=0.01,
                tooltip="Share of the second path at the first frame, 0 to 1.",
            ),
            io.Float.Input(
                "end",
                default=0.5,
                min=0.0,
                max=1.0,
                step=0.01,
                tooltip="Share of the second path at the last frame, 0 to 1, reached smoothly. A start of 0 and an "
                "end of 1 fade from one path to the other.",
            ),
        )

    @classmethod
    def execute(cls, first: Trajectory, second: Trajectory, start: float, end: float) -> io.NodeOutput:
        return io.NodeOutput(operations.blend(first, second, start=start, end=end))


class RaxelReverseTrajectory(io.ComfyNode):
    """Path -> the same path backwards."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelReverseTrajectory",
            "Reverse Trajectory",
            "Plays the path backward. To begin at the origin again, re-anchor it to frame 0.",
            inputs.trajectory(),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory) -> io.NodeOutput:
        return io.NodeOutput(operations.reverse(trajectory))


class RaxelPingPongTrajectory(io.ComfyNode):
    """Path -> there and back."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelPingPongTrajectory",
            "Ping-Pong Trajectory",
            "Plays the path forward and then backward, for loops: F frames become 2F - 1, and the last camera "
            "equals the first.",
            inputs.trajectory(),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory) -> io.NodeOutput:
        return io.NodeOutput(operations.ping_pong(trajectory))


class RaxelTrimTrajectory(io.ComfyNode):
    """Path -> some of its frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelTrimTrajectory",
            "Trim Trajectory",
            "Keeps the frames from first to last, both included.",
            inputs.trajectory(),
            inputs.frame("The first frame kept, counted from 0; negative counts from the end.", id="first"),
            inputs.frame(
                "The last frame kept; negative counts from the end, -1 is the last there is.", id="last", default=-1
            ),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, first: int, last: int) -> io.NodeOutput:
        return io.NodeOutput(operations.trim(trajectory, first, last))


class RaxelRetimeTrajectory(io.ComfyNode):
    """Path -> the same path in another number of frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelRetimeTrajectory",
            "Retime Trajectory",
            "Plays the same path in another number of frames, at constant speed or with its own changes of speed.",
            inputs.trajectory(),
            inputs.frames("Frames of the new path; video models take 4n + 1.", default=81, optional=False),
            io.Combo.Input(
                "speed",
                options=list(operations.SPEEDS),
                default="constant",
                tooltip="constant: the same speed all along the path. kept: fast and slow where it is now.",
            ),
            inputs.depth(
                "Distance of the subject in the path's unit, for constant speed: a turn by one radian counts as a "
                "drive by this much, since it moves the picture as much."
            ),
            inputs.fps("Frames per second of the new path; 0 keeps the present rate."),
        )

    @classmethod
    def execute(
        cls, trajectory: Trajectory, frames: int, speed: str, depth: float = 1.0, fps: float = 0.0
    ) -> io.NodeOutput:
        return io.NodeOutput(operations.retime(trajectory, frames, speed=speed, depth=depth, fps=fps or None))


class RaxelSmoothTrajectory(io.ComfyNode):
    """Path -> a steadier one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelSmoothTrajectory",
            "Smooth Trajectory",
            "Takes the shake out of a path: positions, rotations and lens are averaged together over time. The "
            "first and the last camera stay where they are, and an even motion is not changed.",
            inputs.trajectory(),
            io.Float.Input(
                "seconds",
                default=0.25,
                min=0.0,
                max=60.0,
                step=0.01,
                tooltip="How much time to average over, in seconds (the standard deviation of a Gaussian): 0.1 "
                "takes out jitter, 0.5 the steps of a walk, 0 does nothing.",
            ),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, seconds: float) -> io.NodeOutput:
        return io.NodeOutput(smooth(trajectory, seconds, progress=stop_when_interrupted))


class RaxelScaleTrajectory(io.ComfyNode):
    """Path -> the same path in a larger or smaller world."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelScaleTrajectory",
            "Scale Trajectory",
            "Multiplies all distances of a path by a factor; rotations and lens stay. To convert metres to near "
            "depths, the factor is 1 / (near depth in metres).",
            inputs.trajectory(),
            io.Float.Input(
                "factor",
                default=1.0,
                min=1e-6,
                max=1e6,
                step=0.01,
                tooltip="What distances are multiplied by, above 0.",
            ),
            io.Combo.Input(
                "unit",
                options=[_KEPT, *UNITS],
                default=_KEPT,
                optional=True,
                tooltip="What a length of 1 is afterwards. This only names it; the factor converts.",
            ),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, factor: float, unit: str = _KEPT) -> io.NodeOutput:
        return io.NodeOutput(trajectory.scaled(factor, unit=None if unit == _KEPT else unit))


class RaxelReanchorTrajectory(io.ComfyNode):
    """Path -> the same path seen from one of its cameras."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelReanchorTrajectory",
            "Re-anchor Trajectory",
            "Moves the whole path so that one of its cameras stands at the origin and looks straight ahead.",
            inputs.trajectory(),
            inputs.frame("The frame whose camera becomes the origin; negative counts from the end."),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, frame: int) -> io.NodeOutput:
        return io.NodeOutput(operations.reanchor(trajectory, frame))


class RaxelAlignTrajectory(io.ComfyNode):
    """Path and target -> the path moved onto the target."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelAlignTrajectory",
            "Align Trajectory",
            "Moves, turns and scales a path as a whole, so that its positions come as close as possible to those of "
            "another path, frame by frame (Umeyama's closed form).",
            inputs.trajectory("The path to move."),
            inputs.trajectory(
                "The path to align it with; the same number of frames, not all on one line.", id="target"
            ),
            io.Combo.Input(
                "mode",
                options=list(MODES),
                default="sim3",
                tooltip="sim3: also scaled, for paths of different units. se3: moved and turned only.",
            ),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, target: Trajectory, mode: str) -> io.NodeOutput:
        return io.NodeOutput(align(trajectory, target, mode))


class RaxelComposeTrajectories(io.ComfyNode):
    """Path and layer -> the path with the layer's motion on top."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelComposeTrajectories",
            "Compose Trajectories",
            "Adds the motion of one path on top of another, such as a real hand's shake on a clean move. The motion "
            "is applied as each camera sees it, and the layer's zoom multiplies the focal length.",
            inputs.trajectory("The path below."),
            inputs.trajectory(
                "The motion on top, relative to its own first camera; same unit, at least as long.", id="layer"
            ),
            io.Float.Input(
                "amount",
                default=1.0,
                min=-100.0,
                max=100.0,
                step=0.01,
                optional=True,
                tooltip="How much of the layer's motion: 0.5 is half of it, 0 none, -1 the other way.",
            ),
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, layer: Trajectory, amount: float = 1.0) -> io.NodeOutput:
        return io.NodeOutput(operations.compose(trajectory, layer, amount=amount))


class RaxelChangeIntrinsics(io.ComfyNode):
    """Path -> the same path for another picture size and lens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema(
            "RaxelChangeIntrinsics",
            "Change Intrinsics",
            "The same path for pictures of another size, or through another lens. Positions and rotations stay.",
            inputs.trajectory(),
            inputs.pixels("width", "Width of the new pictures in pixels; 0 with height 0 keeps the size.", step=8),
            inputs.pixels("height", "Height of the new pictures in pixels; 0 with width 0 keeps the size.", step=8),
            io.Combo.Input(
                "fit",
                options=list(FITS),
                default="crop",
                optional=True,
                tooltip="How the old picture is fitted to another aspect ratio. crop: fills the new one, sides are "
                "cut off. pad: fits inside, with borders. stretch: width and height separately, pixels "
                "change shape.",
            ),
            inputs.fov_degrees(
                "Horizontal angle of view at the first frame in degrees; 0 keeps it. A zoom stays a zoom."
            ),
            io.Float.Input(
                "focal_mm",
                default=0.0,
                min=0.0,
                max=10_000.0,
                step=0.1,
                optional=True,
                tooltip="Instead of fov_degrees: focal length at the first frame in mm, for a sensor 36 mm wide; 0: "
                "not used.",
            ),
        )

    @classmethod
    def execute(
        cls,
        trajectory: Trajectory,
        width: int = 0,
        height: int = 0,
        fit: str = "crop",
        fov_degrees: float = 0.0,
        focal_mm: float = 0.0,
    ) -> io.NodeOutput:
        if bool(width) != bool(height):
            own = "{1}x{0}".format(*trajectory.camera.hw)
            raise ValueError(f"width and height go together, or are both 0 to keep {own}: got {width} and {height}")
        hw = (height, width) if height else None
        fov = radians(fov_degrees) if fov_degrees else None
        return io.NodeOutput(change_intrinsics(trajectory, hw, fit, fov=fov, focal_mm=focal_mm or None))
