"""The nodes that bring RayPE, camera control with public weights, to ComfyUI's own Wan models."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.raype.checkpoint import LoadedRayPE, load_raype
from ...raxel_core.raype.ray_tokens import check_path, in_near_depth, range_warnings
from .. import inputs
from ..catalogue import schema
from ..comfy_io.notice import show_on_node
from ..comfy_model.loading import WEIGHT_DTYPES
from ..sockets import RAYPE_CATEGORY, RayPESocket
from .patching import RaySampling, load_expert, raype_names, raype_path, with_raype


def _weights() -> io.Input:
    tooltip = (
        "A .safetensors file or the .index.json of a set of shards in models/raype (the release's folder "
        "high_noise_model as it is downloaded), or a whole expert with RayPE weights in models/diffusion_models."
    )
    return io.Combo.Input("weights", options=raype_names(), tooltip=tooltip)


class LoadRayPE(io.ComfyNode):
    """File name -> RayPE weights."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LoadRayPE",
            display_name="Load RayPE",
            category=RAYPE_CATEGORY,
            description="Reads the RayPE (SCoPE) weights from a file, even from one of a whole expert. They belong "
            "to the expert they were trained in, which Load RayPE Expert opens.",
            inputs=[
                _weights(),
                io.Float.Input(
                    "moment_eps",
                    default=1e-6,
                    min=1e-9,
                    max=0.1,
                    step=1e-9,
                    round=False,
                    optional=True,
                    tooltip="The least length of a ray's moment, in near depths, 1e-9 to 0.1. The released weights "
                    "were trained with 1e-6.",
                ),
            ],
            outputs=[RayPESocket.Output(display_name="raype", tooltip="For Apply RayPE.")],
        )

    @classmethod
    def execute(cls, weights: str, moment_eps: float = 1e-6) -> io.NodeOutput:
        return io.NodeOutput(load_raype(raype_path(weights), moment_eps=moment_eps))


class LoadRayPEExpert(io.ComfyNode):
    """File name -> the Wan expert that RayPE was trained in."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LoadRayPEExpert",
            display_name="Load RayPE Expert",
            category=RAYPE_CATEGORY,
            description="Opens the Wan expert that RayPE was trained in (for Wan 2.2 A14B the high-noise one), in "
            "one file or in shards. The low-noise expert is your stock file, from Load Diffusion Model.",
            inputs=[
                _weights(),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default="default",
                    optional=True,
                    tooltip="Precision of the weights. default: as in the file, which is 2 bytes each in the "
                    "release; fp8_e4m3fn halves that.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="For Apply RayPE, LoRA loaders and samplers.")],
        )

    @classmethod
    def execute(cls, weights: str, weight_dtype: str = "default") -> io.NodeOutput:
        return io.NodeOutput(load_expert(str(raype_path(weights)), weight_dtype))


class ApplyRayPE(io.ComfyNode):
    """MODEL, RayPE weights and trajectory -> MODEL that films along the trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="ApplyRayPE",
            display_name="Apply RayPE",
            category=RAYPE_CATEGORY,
            description="Lets a Wan model follow a camera path: each token's ray goes into the queries and keys of "
            "self-attention. Applied again, the new path replaces the old one.",
            inputs=[
                io.Model.Input("model", tooltip="The expert RayPE was trained in, from Load RayPE Expert."),
                RayPESocket.Input("raype", tooltip="From Load RayPE."),
                inputs.trajectory("The camera path, with the number of frames and the aspect ratio of the video."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    optional=True,
                    tooltip="Strength of the camera control: 1 as trained, 0 switches it off.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    optional=True,
                    tooltip="Where in the sampling schedule it starts, 0 to 1.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    optional=True,
                    tooltip="Where in the sampling schedule it ends, 0 to 1.",
                ),
                io.Float.Input(
                    "near_depth",
                    default=0.0,
                    min=0.0,
                    max=1e6,
                    step=0.01,
                    optional=True,
                    tooltip="Distance of the near part of the first frame (25th percentile of its depth), in the "
                    "path's unit, from Raxel Near Depth. Not needed for a path in near_depth.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[io.Model.Output(display_name="model", tooltip="For samplers, LoRA loaders and other patches.")],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        raype: LoadedRayPE,
        trajectory: Trajectory,
        strength: float = 1.0,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        near_depth: float = 0.0,
    ) -> io.NodeOutput:
        path = in_near_depth(check_path(trajectory), near_depth)
        sampling = RaySampling(raype, path, strength=strength, start=start_percent, end=end_percent)
        patched = with_raype(model, raype, sampling)
        show_on_node(cls, " ".join(range_warnings(path)))
        return io.NodeOutput(patched)
