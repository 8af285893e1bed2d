"""The node that holds a generated video against the camera path that was asked for."""

from __future__ import annotations

from math import radians

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.evaluation.verification import VerifyBounds, verify
from ...raxel_core.geometry.estimate import Estimate, as_estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.solving.settings import SolveSettings
from ...raxel_core.solving.solve import Clip
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import image_from_video, image_of_picture, video_from_image
from ..comfy_io.notice import show_on_node
from ..sockets import SOLVING_CATEGORY, EstimateSocket, TrajectorySocket
from .footage import solve_images


class RaxelVerifyCamera(io.ComfyNode):
    """Video and path -> did it follow?"""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelVerifyCamera",
            display_name="Raxel Verify Camera",
            category=SOLVING_CATEGORY,
            description="Did a generated video, from any model, follow the camera path you asked for? Answers "
            "followed, still, mirrored, slow, fast, lens or off_path, with every figure and its bound.",
            inputs=[
                io.Image.Input("images", tooltip="The generated video, all of its frames."),
                inputs.trajectory("The path that was asked for, one camera per frame.", id="path"),
                io.MultiType.Input(
                    "cameras",
                    types=[TrajectorySocket, EstimateSocket],
                    optional=True,
                    tooltip="Cameras of the video, one per frame, from any estimator. Leave it open to have them "
                    "solved here (needs pip install pycolmap).",
                ),
                io.Float.Input(
                    "max_rotation_degrees",
                    default=2.0,
                    min=0.01,
                    max=180.0,
                    step=0.1,
                    optional=True,
                    tooltip="Largest mean rotation error allowed, in degrees.",
                ),
                io.Float.Input(
                    "max_direction_degrees",
                    default=10.0,
                    min=0.01,
                    max=180.0,
                    step=0.1,
                    optional=True,
                    tooltip="Largest angle allowed between the direction it moves in and the one asked for, in "
                    "degrees.",
                ),
                io.Float.Input(
                    "max_position",
                    default=0.1,
                    min=0.001,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Largest distance from the path allowed, as a fraction of the path's length.",
                ),
                io.Float.Input(
                    "min_speed",
                    default=0.8,
                    min=0.01,
                    max=0.99,
                    step=0.01,
                    optional=True,
                    tooltip="Lowest speed allowed, as a fraction of the one asked for.",
                ),
                io.Float.Input(
                    "max_speed",
                    default=1.25,
                    min=1.01,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Highest speed allowed, as a multiple of the one asked for.",
                ),
                io.Float.Input(
                    "max_focal",
                    default=0.1,
                    min=0.001,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Largest relative error of the focal length allowed, beyond two of its own error bars.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Boolean.Output(display_name="passed", tooltip="Whether the video is within all bounds."),
                io.String.Output(
                    display_name="word", tooltip="followed, still, mirrored, slow, fast, lens or off_path."
                ),
                io.String.Output(
                    display_name="report", tooltip="The verdict in a sentence, and every figure with its bound."
                ),
                io.String.Output(display_name="json", tooltip="The same as JSON: angles in radians, errors relative."),
                io.Image.Output(
                    display_name="overlay", tooltip="The video with axes and the path you asked for drawn into it."
                ),
                io.Image.Output(display_name="paths", tooltip="A drawing of both paths."),
                io.Image.Output(display_name="errors", tooltip="The errors over the frames, as a plot."),
            ],
        )

    @classmethod
    def execute(
        cls,
        images: Tensor,
        path: Trajectory,
        cameras: Trajectory | Estimate | None = None,
        max_rotation_degrees: float = 2.0,
        max_direction_degrees: float = 10.0,
        max_position: float = 0.1,
        min_speed: float = 0.8,
        max_speed: float = 1.25,
        max_focal: float = 0.1,
    ) -> io.NodeOutput:
        from ...raxel_core.drawing.verification import verification_pictures

        turn, way = radians(max_rotation_degrees), radians(max_direction_degrees)
        bounds = VerifyBounds(turn, way, max_position, (min_speed, max_speed), max_focal)
        checked = verify(_cameras_of(images, cameras, path.fps), path, bounds, count=len(images))
        show_on_node(cls, checked.sentence)
        overlay, paths, errors = verification_pictures(video_from_image(images), checked)
        pictures = (image_from_video(overlay), image_of_picture(paths), image_of_picture(errors))
        return io.NodeOutput(checked.passed, checked.word, checked.table(), checked.to_json(), *pictures)


def _cameras_of(images: Tensor, given: Trajectory | Estimate | None, fps: float) -> Estimate:
    """The cameras of the video, solved where none are given; ValueError for those of another number of frames."""
    if given is None:
        return solve_images(images, None, Clip("", 0.0, fps, fps, len(images)), SolveSettings()).estimate
    estimate = as_estimate(given)
    spanned = max(*estimate.footage.frames, *estimate.missing) + 1
    if spanned > len(images) or (isinstance(given, Trajectory) and spanned < len(images)):
        raise ValueError(
            f"cameras are those of the images, one for each: they span {spanned} frames, and there are {len(images)} "
            "images. Raxel Solve Camera and Raxel Pose Footage tell in their estimate which frames have a camera"
        )
    return estimate
