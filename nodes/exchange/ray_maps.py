"""The nodes between ray maps, as networks emit them, and cameras."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.camera_sockets.ray_maps import AUTO, ray_map_numbers, read_ray_map
from ...raxel_core.drawing.ray_picture import ray_map_image
from ...raxel_core.evaluation.ray_report import ray_report
from ...raxel_core.geometry.ray_cameras import LENSES, METHODS, assessed_cameras
from ...raxel_core.geometry.ray_map import AXES, LAYOUTS, ray_map_from_cameras
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.raxels import RAXEL_SCALE
from .. import inputs
from ..catalogue import schema
from ..comfy_io.notice import preview
from ..sockets import EXCHANGE_CATEGORY, RayMapSocket, TrajectorySocket

_LAYOUT_TOOLTIP = "What the channels hold, in the order of the name; the help page has the table."


def _axes() -> io.Input:
    tooltip = "The map's axes: opencv is x right, y down, z forward; pytorch3d is x left, y up."
    return io.Combo.Input("axes", options=list(AXES), default=AXES[0], optional=True, tooltip=tooltip)


class RaxelCamerasFromRayMap(io.ComfyNode):
    """A network's ray map -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelCamerasFromRayMap",
            display_name="Cameras from Ray Map",
            category=EXCHANGE_CATEGORY,
            description="Fits a camera to each frame of a ray map of any network: Pluecker, origin and direction, "
            "endpoints, directions alone, raxels. Says which layout it found and how well the rays fit.",
            inputs=[
                io.AnyType.Input(
                    "ray_map",
                    tooltip="RAXEL_RAY_MAP, IMAGE (colours are (x + 1) / 2), LATENT, a tensor of 3 or 6 channels, or a "
                    "dictionary with rays and their confidence, as Depth Anything 3's.",
                ),
                io.Combo.Input(
                    "layout",
                    options=[AUTO, *LAYOUTS],
                    default=AUTO,
                    optional=True,
                    tooltip=f"{_LAYOUT_TOOLTIP} {AUTO} tells the layout by what its numbers have to fulfil, and "
                    "refuses a map that fits none.",
                ),
                _axes(),
                io.Combo.Input(
                    "lens",
                    options=list(LENSES),
                    default="shared",
                    optional=True,
                    tooltip="shared: one focal length. per_frame: one for each frame. free: focal lengths and "
                    "principal point of each frame. known: the lens of the path connected to known.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=METHODS[0],
                    optional=True,
                    tooltip="robust: gives outliers less weight. closed: counts every ray alike, in one pass.",
                ),
                *inputs.size("of the picture in pixels; 0: the map's."),
                inputs.trajectory("A path whose lens is used when lens is known.", id="known", optional=True),
                io.Mask.Input("confidence", optional=True, tooltip="How much each ray counts, one number per ray."),
                io.Float.Input(
                    "raxel_scale",
                    default=RAXEL_SCALE,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="The factor that raxels were multiplied by; used for raxels only.",
                ),
                inputs.fps("Frames per second.", default=24.0),
                inputs.unit("arbitrary"),
            ],
            outputs=[
                TrajectorySocket.Output(display_name="trajectory", tooltip="The camera of each frame."),
                io.String.Output(display_name="report", tooltip="Layout, fit and error bars, as JSON."),
            ],
        )

    @classmethod
    def execute(
        cls,
        ray_map: Any,
        layout: str = AUTO,
        axes: str = AXES[0],
        lens: str = "shared",
        method: str = METHODS[0],
        width: int = 0,
        height: int = 0,
        known: Trajectory | None = None,
        confidence: Tensor | None = None,
        raxel_scale: float = RAXEL_SCALE,
        fps: float = 24.0,
        unit: str = "arbitrary",
    ) -> io.NodeOutput:
        read = read_ray_map(ray_map, layout=layout, axes=axes, scale=raxel_scale, confidence=confidence)
        hw = (height or read.ray_map.hw[0], width or read.ray_map.hw[1])
        K = None if known is None or lens != "known" else known.resized(hw).camera.K
        found = assessed_cameras(read.ray_map, hw, method=method, lens=lens, K=K)
        text = ray_report(found, read.text)
        path = Trajectory(found.camera, fps=fps, unit=unit, name="ray map")
        return io.NodeOutput(path, text, ui=preview(text))


class RaxelRayMapFromCameras(io.ComfyNode):
    """Trajectory -> a ray map in a network's layout."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelRayMapFromCameras",
            display_name="Ray Map from Cameras",
            category=EXCHANGE_CATEGORY,
            description="The rays of a camera path in the layout that a network reads or emits.",
            inputs=[
                inputs.trajectory(),
                io.Combo.Input("layout", options=list(LAYOUTS), tooltip=_LAYOUT_TOOLTIP),
                inputs.pixels("width", "Number of rays across.", default=16, least=4, most=4096, optional=False),
                inputs.pixels("height", "Number of rays down.", default=16, least=4, most=4096, optional=False),
                _axes(),
                io.Float.Input(
                    "depth",
                    default=1.0,
                    min=1e-6,
                    max=1e6,
                    optional=True,
                    tooltip="Depth at which endpoints lie, in the path's unit.",
                ),
            ],
            outputs=[
                RayMapSocket.Output(display_name="ray_map", tooltip="For Cameras from Ray Map."),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="The numbers as samples [frames, channels, h, w]; raxels are 0.5 (o + d).",
                ),
                io.Image.Output(
                    display_name="image",
                    tooltip="(x + 1) / 2 of three channels, which reads back; six are drawn one above the other, each "
                    "three divided by its largest number where that is above 1, to look at.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        trajectory: Trajectory,
        layout: str,
        width: int = 16,
        height: int = 16,
        axes: str = AXES[0],
        depth: float = 1.0,
    ) -> io.NodeOutput:
        made = ray_map_from_cameras(trajectory.camera, (height, width), layout, depth=depth, axes=axes)
        numbers = ray_map_numbers(made, scale=RAXEL_SCALE).float()
        return io.NodeOutput(made, {"samples": numbers}, ray_map_image(numbers))
