"""The nodes that show a camera path: in numbers, in the frames of a video, and as a 3D file."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.geometry.estimate import Estimate, as_estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.motion_words import motion_in_words
from ...raxel_core.paths.path_figures import path_figures
from ...raxel_core.runtime.memory import ask_memory
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video, image_of_picture, video_from_image
from ..comfy_io.notice import show_on_node
from ..comfy_io.output_files import save_output_file
from ..sockets import TRAJECTORY_CATEGORY, EstimateSocket, TrajectorySocket

# Copies of the frames that are held at once while they are drawn on.
_FLOATS_DRAWN = 5


class RaxelTrajectoryInfo(io.ComfyNode):
    """Trajectory -> its figures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelTrajectoryInfo",
            display_name="Raxel Trajectory Info",
            category=TRAJECTORY_CATEGORY,
            description="How far a camera path travels and turns, how fast and how smoothly, and through which lens.",
            inputs=[inputs.trajectory()],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.String.Output(
                    display_name="report",
                    tooltip="What the camera does in a sentence, then all figures as text, angles in degrees.",
                ),
                io.Image.Output(display_name="graph", tooltip="Speed and turn rate over the frames."),
                io.Int.Output(display_name="frames", tooltip="How many cameras there are."),
                io.Float.Output(display_name="fps", tooltip="Frames per second."),
                io.Float.Output(display_name="path_length", tooltip="How far the camera travels, in the path's unit."),
                io.Float.Output(display_name="rotation_degrees", tooltip="How far it turns in all, in degrees."),
                io.Float.Output(display_name="max_speed", tooltip="Its highest speed, in the path's unit per second."),
                io.Float.Output(display_name="fov_degrees", tooltip="Horizontal angle of view, first frame, degrees."),
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory) -> io.NodeOutput:
        from ...raxel_core.drawing.plot import draw_speeds

        found = path_figures(trajectory)
        report = f"{motion_in_words(trajectory)}\n{found.text}"
        show_on_node(cls, report)
        return io.NodeOutput(
            report,
            image_of_picture(draw_speeds(trajectory, hw=(512, 768))),
            found.frames,
            found.fps,
            found.path_length,
            found.total_rotation_degrees,
            found.max_speed,
            found.first_fov_degrees,
        )


class RaxelOverlayAxes(io.ComfyNode):
    """Frames and their cameras -> the frames with the world drawn into them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelOverlayAxes",
            display_name="Raxel Overlay Axes",
            category=TRAJECTORY_CATEGORY,
            description="Draws a ground grid, the world's axes and another camera's path into the frames of a "
            "video, through each frame's camera. If the path fits the video, the drawing stays with the "
            "scene.",
            inputs=[
                io.Image.Input("images", tooltip="The frames of the video."),
                inputs.trajectory("Their cameras, one for each frame."),
                inputs.trajectory(
                    "Another camera's path in the same world, drawn as a line with frusta.", id="other", optional=True
                ),
                io.Boolean.Input(
                    "axes",
                    default=True,
                    optional=True,
                    tooltip="Draws axes at a point depth ahead of the first camera: x right, y down, z forward.",
                ),
                inputs.depth(
                    "How far ahead of the first camera the axes stand, in the path's unit; the drawing is sized by it."
                ),
                io.Float.Input(
                    "ground",
                    default=0.4,
                    min=0.0,
                    max=100_000.0,
                    step=0.01,
                    optional=True,
                    tooltip="How far below the first camera the grid lies, in the path's unit; 0 draws none.",
                ),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The frames with the drawing on them.")],
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        trajectory: Trajectory,
        other: Trajectory | None = None,
        axes: bool = True,
        depth: float = 1.0,
        ground: float = 0.4,
    ) -> io.NodeOutput:
        from ...raxel_core.drawing.overlay import draw_overlay

        ask_memory(f"{len(images)} frames to draw on", _FLOATS_DRAWN * 4.0 * images.numel())
        video = video_from_image(images)
        return io.NodeOutput(
            image_from_video(draw_overlay(video, trajectory, other=other, axes=axes, ground=ground, depth=depth))
        )


class RaxelTrajectoryGLB(io.ComfyNode):
    """One trajectory or two -> a 3D file of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelTrajectoryGLB",
            display_name="Raxel Trajectory GLB",
            category=TRAJECTORY_CATEGORY,
            description="Saves a camera path, with its frusta, axes, a ground grid and the scene's points where an "
            "estimate has some, as a coloured mesh that every 3D viewer opens. Connect model_file to Preview3D to look "
            "at it from all sides.",
            inputs=[
                io.MultiType.Input(
                    "trajectory",
                    types=[TrajectorySocket, EstimateSocket],
                    tooltip="The path to save, or an estimate, whose points are drawn as well.",
                ),
                inputs.trajectory("Another path of the same world and unit.", id="compare", optional=True),
                io.String.Input(
                    "filename_prefix",
                    default="3d/raxel_path",
                    optional=True,
                    tooltip="Subfolder and start of the file name in ComfyUI's output folder.",
                ),
            ],
            is_output_node=True,
            outputs=[
                io.String.Output(
                    display_name="model_file", tooltip="The file, as Preview3D takes it: 3d/name_00001_.glb."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        trajectory: Trajectory | Estimate,
        compare: Trajectory | None = None,
        filename_prefix: str = "3d/raxel_path",
    ) -> io.NodeOutput:
        from ...raxel_core.drawing.path_mesh import mesh_glb, path_mesh

        estimate = as_estimate(trajectory)
        paths = {"trajectory": estimate.trajectory} | ({} if compare is None else {"compare": compare})
        saved = save_output_file(filename_prefix, ".glb", mesh_glb(path_mesh(paths, estimate.points)))
        return io.NodeOutput(saved.path_in_output, ui={"3d": [saved.entry]})
