"""The pack's table of contents: the ordered list of its nodes, and the extension that hands them to ComfyUI."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("comfy.nested_tensor") is None:
    raise RuntimeError("Raxel needs ComfyUI 0.8 or newer (this one has no nested latents): please update ComfyUI.")

from comfy_api.latest import ComfyExtension, io

from .bridge.detection import register_raxel_architecture
from .encode import RaxelEncode
from .latent import JoinRaxelLatent, SplitRaxelLatent
from .loop import SelfConsistencyLoop
from .model import LoadRaxelModel
from .poses import RaxelsToPoses
from .sampling import JointSampler, RaxelSampler, RaxelSchedule
from .sources import RaxelSources
from .trajectory import CameraTrajectoryBuilder, RaxelTrajectoryPreview
from .video import RaxelExampleScene, RaxelFitVideo

NODES: tuple[type[io.ComfyNode], ...] = (
    LoadRaxelModel,
    RaxelFitVideo,
    RaxelSources,
    CameraTrajectoryBuilder,
    RaxelEncode,
    JointSampler,
    RaxelsToPoses,
    SelfConsistencyLoop,
    RaxelTrajectoryPreview,
    RaxelSampler,
    RaxelSchedule,
    JoinRaxelLatent,
    SplitRaxelLatent,
    RaxelExampleScene,
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
