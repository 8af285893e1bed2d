"""The pack's table of contents: the ordered list of its nodes, and the extension that hands them to ComfyUI."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("comfy.nested_tensor") is None:
    raise RuntimeError("Raxel needs ComfyUI 0.8 or newer (this one has no nested latents): please update ComfyUI.")

from comfy_api.latest import ComfyExtension, io

from .bridge.detection import register_raxel_architecture
from .camera_files import RaxelLoadCamera, RaxelSaveCamera
from .camera_sockets import (
    RaxelFromCamera,
    RaxelToCameraCtrl,
    RaxelToLoad3DCamera,
    RaxelToMatrices,
    RaxelToReCamMaster,
    RaxelToWanCamera,
)
from .diagnostics import RaxelCheckTrajectory
from .encode import RaxelEncode
from .latent import JoinRaxelLatent, SplitRaxelLatent
from .loop import SelfConsistencyLoop
from .model import LoadRaxelModel
from .poses import RaxelsToPoses
from .raype import ApplyRayPE, LoadRayPE, LoadRayPEExpert
from .sampling import JointSampler, RaxelSampler, RaxelSchedule
from .sources import RaxelSources
from .trajectory import CameraTrajectoryBuilder, RaxelTrajectoryPreview
from .trajectory_operations import (
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
from .trajectory_previews import RaxelOverlayAxes, RaxelTrajectoryGLB, RaxelTrajectoryInfo
from .video import RaxelExampleScene, RaxelFitVideo
from .warp import RaxelNearDepth, RaxelWarp

NODES: tuple[type[io.ComfyNode], ...] = (
    # the joint model
    LoadRaxelModel,
    RaxelFitVideo,
    RaxelSources,
    RaxelEncode,
    JointSampler,
    RaxelsToPoses,
    SelfConsistencyLoop,
    RaxelSampler,
    RaxelSchedule,
    JoinRaxelLatent,
    SplitRaxelLatent,
    RaxelExampleScene,
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
    # files and sockets of other programs
    RaxelLoadCamera,
    RaxelSaveCamera,
    RaxelFromCamera,
    RaxelToWanCamera,
    RaxelToCameraCtrl,
    RaxelToReCamMaster,
    RaxelToMatrices,
    RaxelToLoad3DCamera,
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
    """The pack's one extension, with the architecture registered beside ComfyUI's own for the stock loaders."""
    register_raxel_architecture()
    return RaxelExtension()
