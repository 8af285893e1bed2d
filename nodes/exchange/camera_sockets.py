"""The nodes that carry camera paths to the sockets of other packs, and from them."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...raxel_core.camera_io.reading import Assumed
from ...raxel_core.camera_sockets.cameractrl import camera_pose, cameractrl_poses, cameractrl_text
from ...raxel_core.camera_sockets.load3d import load3d_camera, load3d_cameras
from ...raxel_core.camera_sockets.matrices import camera_matrices
from ...raxel_core.camera_sockets.recammaster import recammaster_poses
from ...raxel_core.camera_sockets.recognition import AUTO, PAYLOADS, read_camera
from ...raxel_core.camera_sockets.wan_embedding import wan_camera_embedding
from ...raxel_core.geometry.trajectory import Trajectory
from .. import inputs
from ..catalogue import schema
from ..comfy_io.notice import preview
from ..sockets import EXCHANGE_CATEGORY, TrajectorySocket
from .assumed import assumed_inputs, rate_given

_WAN_PATH = "The camera path. It has 4n + 1 frames."
_LENGTH_TOOLTIP = "Frames of the path."


class RaxelToWanCamera(io.ComfyNode):
    """Trajectory -> the rays that Wan Fun-Camera takes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelToWanCamera",
            display_name="Raxel to Wan Camera",
            category=EXCHANGE_CATEGORY,
            description="A camera path for WanCameraImageToVideo: Pluecker rays from the path's own intrinsics in "
            "pixels, frame by frame. 81 frames at 832x480 are 805 MB.",
            inputs=[
                inputs.trajectory(_WAN_PATH),
                *inputs.size("of the video in pixels; 0 takes the path's. The aspect has to be the path's."),
            ],
            outputs=[
                io.WanCameraEmbedding.Output(
                    display_name="camera_embedding", tooltip="For camera_conditions of WanCameraImageToVideo."
                ),
                io.Int.Output(display_name="width", tooltip="Width of the video in pixels."),
                io.Int.Output(display_name="height", tooltip="Height of the video in pixels."),
                io.Int.Output(display_name="length", tooltip=_LENGTH_TOOLTIP),
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, width: int = 0, height: int = 0) -> io.NodeOutput:
        own = trajectory.camera.hw
        hw = (height or own[0], width or own[1])
        return io.NodeOutput(wan_camera_embedding(trajectory, hw), hw[1], hw[0], len(trajectory))


class RaxelToCameraCtrl(io.ComfyNode):
    """Trajectory -> CameraCtrl's poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelToCameraCtrl",
            display_name="Raxel to CameraCtrl",
            category=EXCHANGE_CATEGORY,
            description="A camera path for AnimateDiff-Evolved's CameraCtrl, WanVideoWrapper's Fun-Camera, KJNodes' "
            "pose plot, and VideoX-Fun, which takes the rows as text.",
            inputs=[
                inputs.trajectory(),
                io.Int.Input(
                    "original_width",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    tooltip="Width in pixels of the picture that the next node crops to the video; 0 takes the path's, "
                    "which AnimateDiff-Evolved finds in the rows. 1280 for nodes that take every picture for 1280x720, "
                    "as WanVideoWrapper's.",
                ),
                io.Int.Input(
                    "original_height",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    tooltip="Height in pixels of that picture; 0 takes the path's. 720 for nodes that take every "
                    "picture for 1280x720.",
                ),
            ],
            outputs=[
                io.Custom("CAMERACTRL_POSES").Output(
                    display_name="cameractrl_poses",
                    tooltip="Rows of 19 numbers: time, intrinsics, size, world-to-camera.",
                ),
                io.Custom("CameraPose").Output(
                    display_name="camera_pose", tooltip="World-to-camera matrices (N, 3, 4), without intrinsics."
                ),
                io.String.Output(display_name="rows", tooltip="The rows as JSON text, 18 numbers each, without time."),
                io.Int.Output(display_name="length", tooltip=_LENGTH_TOOLTIP),
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, original_width: int = 0, original_height: int = 0) -> io.NodeOutput:
        height, width = trajectory.camera.hw
        original_hw = (original_height or height, original_width or width)
        rows, text = cameractrl_poses(trajectory, original_hw), cameractrl_text(trajectory, original_hw)
        return io.NodeOutput(rows, camera_pose(trajectory), text, len(trajectory))


class RaxelToReCamMaster(io.ComfyNode):
    """Trajectory -> ReCamMaster's poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelToReCamMaster",
            display_name="Raxel to ReCamMaster",
            category=EXCHANGE_CATEGORY,
            description="A camera path for WanVideoWrapper's ReCamMaster nodes: every fourth frame, in Unreal's axes "
            "and centimetres.",
            inputs=[
                inputs.trajectory(_WAN_PATH),
                io.Float.Input(
                    "metres_per_unit",
                    default=1.0,
                    min=0.0001,
                    max=10000.0,
                    step=0.01,
                    optional=True,
                    tooltip="How many metres a length of 1 in the path stands for; for a path in near_depth, how far "
                    "away the near part of the scene is.",
                ),
            ],
            outputs=[
                io.Custom("CAMERAPOSES").Output(
                    display_name="camera_poses", tooltip="Camera-to-world matrices ((F + 3) / 4, 4, 4)."
                )
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, metres_per_unit: float = 1.0) -> io.NodeOutput:
        return io.NodeOutput(recammaster_poses(trajectory, metres_per_unit))


class RaxelToMatrices(io.ComfyNode):
    """Trajectory -> world-to-camera matrices and K."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelToMatrices",
            display_name="Raxel to Matrices",
            category=EXCHANGE_CATEGORY,
            description="A camera path as tensors, for the packs around Depth Anything 3 and Gaussian splats.",
            inputs=[inputs.trajectory()],
            outputs=[
                io.Custom("EXTRINSICS").Output(
                    display_name="extrinsics", tooltip="World-to-camera matrices [N, 4, 4], OpenCV axes, path's unit."
                ),
                io.Custom("INTRINSICS").Output(
                    display_name="intrinsics", tooltip="K [N, 3, 3] in pixels of the path's size."
                ),
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory) -> io.NodeOutput:
        return io.NodeOutput(*camera_matrices(trajectory))


class RaxelToLoad3DCamera(io.ComfyNode):
    """A trajectory -> the camera of one frame, and of every frame, for ComfyUI's 3D nodes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelToLoad3DCamera",
            display_name="Raxel to Load3D Camera",
            category=EXCHANGE_CATEGORY,
            description="The camera of one frame for Preview 3D and Render Splat, and the list of all of them for the "
            "nodes that render a picture each. A camera looks through the middle of its picture; Render Splat takes "
            "the angle of view across the smaller side.",
            inputs=[
                inputs.trajectory(),
                inputs.frame("Which frame, counted from 0; negative counts from the end."),
                io.Float.Input(
                    "target_distance",
                    default=1.0,
                    min=0.001,
                    max=10000.0,
                    step=0.01,
                    optional=True,
                    tooltip="How far ahead of the camera the viewer's orbit has its middle, in the path's unit.",
                ),
            ],
            outputs=[
                io.Load3DCamera.Output(display_name="camera_info", tooltip="Axes as in three.js: y up."),
                io.Load3DCamera.Output(
                    display_name="camera_list",
                    tooltip="The camera of every frame, as Batch Cameras lists them, for Render Mesh and Render Splat: "
                    "a picture each. Nodes before ComfyUI 0.46 take one camera, not a list.",
                ),
            ],
        )

    @classmethod
    def execute(cls, trajectory: Trajectory, frame: int, target_distance: float = 1.0) -> io.NodeOutput:
        one = load3d_camera(trajectory, frame, target_distance=target_distance)
        return io.NodeOutput(one, load3d_cameras(trajectory, target_distance=target_distance))


class RaxelFromCamera(io.ComfyNode):
    """Whatever another pack calls a camera -> trajectory, and in words how it was read."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelFromCamera",
            display_name="Raxel from Camera",
            category=EXCHANGE_CATEGORY,
            description="Takes the cameras of other packs, recognised by their keys and shapes, and reports how they "
            "were read: convention, units, where the intrinsics came from, and where another reading is plausible.",
            inputs=[
                io.AnyType.Input("camera", tooltip=f"Cameras from any of these sockets: {', '.join(PAYLOADS)}."),
                io.AnyType.Input(
                    "intrinsics",
                    optional=True,
                    tooltip="K, the intrinsic matrix, for cameras that come without a lens, such as EXTRINSICS: in "
                    "pixels or as fractions of the picture's size.",
                ),
                io.Combo.Input(
                    "read_as",
                    options=[AUTO, *PAYLOADS],
                    default=AUTO,
                    optional=True,
                    tooltip="auto recognises the type. Choose a name where two types look the same.",
                ),
                *assumed_inputs("cameras"),
            ],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame."),
                io.String.Output(display_name="report", tooltip="How they were read, one sentence per line."),
            ],
        )

    @classmethod
    def execute(
        cls,
        camera: Any,
        intrinsics: Any = None,
        read_as: str = AUTO,
        width: int = 832,
        height: int = 480,
        fov_degrees: float = 60.0,
        fps: float = 0.0,
        unit: str = "arbitrary",
    ) -> io.NodeOutput:
        assumed = Assumed(hw=(height, width), fov_degrees=fov_degrees, fps=rate_given(fps), unit=unit)
        reading = read_camera(camera, assumed, read_as=read_as, given=intrinsics)
        return io.NodeOutput(reading.trajectory, reading.text, ui=preview(reading.text))
