"""The pack's table of contents: the ordered list of its nodes, and the extension that hands them to ComfyUI."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("comfy.nested_tensor") is None:
    raise RuntimeError("Raxel needs ComfyUI 0.8 or newer (this one has no nested latents): please update ComfyUI.")

from comfy_api.latest import ComfyExtension, io

from .comfy_io.samples import put_samples
from .comfy_model.detection import register_raxel_architecture
from .exchange.camera_files import RaxelLoadCamera, RaxelSaveCamera
from .exchange.camera_list import serve_camera_files
from .exchange.camera_sockets import (
    RaxelFromCamera,
    RaxelToCameraCtrl,
    RaxelToLoad3DCamera,
    RaxelToMatrices,
    RaxelToReCamMaster,
    RaxelToWanCamera,
)
from .exchange.points import RaxelDepthPoints, RaxelPointTracks
from .exchange.ray_maps import RaxelCamerasFromRayMap, RaxelRayMapFromCameras
from .exchange.warp import RaxelNearDepth, RaxelWarp
from .joint.encode import RaxelEncode
from .joint.footage import RaxelPoseFootage
from .joint.join_split import JoinRaxelLatent, SplitRaxelLatent
from .joint.loop import SelfConsistencyLoop
from .joint.model import LoadRaxelModel
from .joint.poses import RaxelsToPoses
from .joint.sampling import JointSampler, RaxelSampler, RaxelSchedule
from .joint.sources import RaxelSources
from .joint.video import RaxelExampleScene, RaxelFitVideo
from .paths.builder import CameraTrajectoryBuilder, RaxelTrajectoryPreview
from .paths.check import RaxelCheckTrajectory
from .paths.operations import (
    RaxelAlignTrajectory,
    RaxelBlendTrajectories,
    RaxelChangeIntrinsics,
    RaxelComposeTrajectories,
    RaxelConcatenateTrajectories,
    RaxelPingPongTrajectory,
    RaxelReanchorTrajectory,
    RaxelRetimeTrajectory,
    RaxelReverseTrajectory,
    RaxelScaleTrajectory,
    RaxelSmoothTrajectory,
    RaxelTrimTrajectory,
)
from .paths.previews import RaxelOverlayAxes, RaxelTrajectoryGLB, RaxelTrajectoryInfo
from .ray_diffusion.poses import LoadRayDiffusion, RayDiffusionPoses
from .raype.apply import ApplyRayPE, LoadRayPE, LoadRayPEExpert
from .solving.solve import RaxelSolveCamera
from .solving.verify import RaxelVerifyCamera

NODES: tuple[type[io.ComfyNode], ...] = (
    # the joint model
    LoadRaxelModel,
    RaxelFitVideo,
    RaxelSources,
    RaxelEncode,
    JointSampler,
    RaxelsToPoses,
    RaxelPoseFootage,
    SelfConsistencyLoop,
    RaxelSampler,
    RaxelSchedule,
    JoinRaxelLatent,
    SplitRaxelLatent,
    RaxelExampleScene,
    # the cameras of footage
    RaxelSolveCamera,
    RaxelVerifyCamera,
    # trajectories
    CameraTrajectoryBuilder,
    RaxelTrajectoryPreview,
    RaxelTrajectoryInfo,
    RaxelCheckTrajectory,
    RaxelOverlayAxes,
    RaxelTrajectoryGLB,
    RaxelConcatenateTrajectories,
    RaxelBlendTrajectories,
    RaxelComposeTrajectories,
    RaxelReverseTrajectory,
    RaxelPingPongTrajectory,
    RaxelTrimTrajectory,
    RaxelRetimeTrajectory,
    RaxelSmoothTrajectory,
    RaxelScaleTrajectory,
    RaxelReanchorTrajectory,
    RaxelAlignTrajectory,
    RaxelChangeIntrinsics,
    RaxelNearDepth,
    RaxelWarp,
    RaxelPointTracks,
    RaxelDepthPoints,
    # files and sockets of other programs
    RaxelLoadCamera,
    RaxelSaveCamera,
    RaxelFromCamera,
    RaxelToWanCamera,
    RaxelToCameraCtrl,
    RaxelToReCamMaster,
    RaxelToMatrices,
    RaxelToLoad3DCamera,
    RaxelCamerasFromRayMap,
    RaxelRayMapFromCameras,
    # cameras of a few photographs
    LoadRayDiffusion,
    RayDiffusionPoses,
    # RayPE on stock Wan
    LoadRayPE,
    LoadRayPEExpert,
    ApplyRayPE,
)


class RaxelExtension(ComfyExtension):
    """What ComfyUI loads."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The nodes in the order of the table of contents."""
        return list(NODES)


def raxel_extension() -> ComfyExtension:
    """The pack's one extension, with the architecture registered beside ComfyUI's own for the stock loaders, the
    samples in ComfyUI's input folder and the list of camera files served."""
    register_raxel_architecture()
    serve_camera_files()
    put_samples()
    return RaxelExtension()
