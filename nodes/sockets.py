"""The pack's own sockets and the menus its nodes stand in. A socket carries one core dataclass."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

CATEGORY = "raxel"
TRAJECTORY_CATEGORY = "raxel/trajectory"
EXCHANGE_CATEGORY = "raxel/exchange"  # files and sockets of other programs
SOLVING_CATEGORY = "raxel/solving"
RAYPE_CATEGORY = "raxel/RayPE"
RAY_DIFFUSION_CATEGORY = "raxel/Ray Diffusion"

# A raxel_core.geometry.trajectory.Trajectory.
TrajectorySocket = io.Custom("RAXEL_TRAJECTORY")
# A raxel_core.geometry.estimate.Estimate.
EstimateSocket = io.Custom("RAXEL_ESTIMATE")
# A raxel_core.model.raype_file.LoadedRayPE.
RayPESocket = io.Custom("RAXEL_RAYPE")
# A raxel_core.geometry.ray_map.RayMap.
RayMapSocket = io.Custom("RAXEL_RAY_MAP")
# A nodes.ray_diffusion.loading.RayDiffusionModel: the core's network and what moves it.
RayDiffusionSocket = io.Custom("RAXEL_RAY_DIFFUSION")

# What ComfyUI's own nodes know of a picture's depth: Run MoGe Inference and Run Depth Anything 3.
GEOMETRY_SOCKETS = (io.Custom("MOGE_GEOMETRY"), io.Custom("DA3_GEOMETRY"))


@io.comfytype(io_type="RAXEL_CAMERA_PATH")
class CameraPathWidget(io.ComfyTypeIO):
    """A camera path v1 as a JSON object, edited by the widget in web/raxel.js; it has no socket."""

    Type = dict[str, Any]

    class Input(io.WidgetInput):
        def __init__(self, id: str, *, default: dict[str, Any], clips: dict[str, Any], tooltip: str) -> None:
            """`clips`: those of checkpoints by file name, which the editor offers as sizes."""
            super().__init__(id, default=default, socketless=True, tooltip=tooltip, extra_dict={"clips": clips})
