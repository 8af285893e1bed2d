"""The node that opens a raxel checkpoint."""

from __future__ import annotations

import folder_paths
from comfy_api.latest import io

from ..catalogue import schema
from ..comfy_model.latent_format import format_of
from ..comfy_model.loading import WEIGHT_DTYPES, checkpoint_names, checkpoint_path, load_raxel_patcher, load_vae_of
from ..comfy_model.vae import VAE_FOLDER
from ..sockets import CATEGORY

_OWN_VAE = "of the checkpoint"


class LoadRaxelModel(io.ComfyNode):
    """Checkpoint name -> MODEL and the VAE its latents come from."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LoadRaxelModel",
            display_name="Load Raxel Model",
            category=CATEGORY,
            description="Opens a joint video-and-camera model. The embedded one runs on any computer; others are "
            "read from models/diffusion_models.",
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=checkpoint_names(),
                    tooltip="The embedded checkpoint, or a raxel .safetensors file in models/diffusion_models.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default="default",
                    optional=True,
                    tooltip="Precision of the weights. default: ComfyUI chooses for your device; the embedded "
                    "checkpoint always runs in fp32, and on a CPU a large one keeps the precision of its "
                    "file.",
                ),
                io.Combo.Input(
                    "vae_name",
                    options=[_OWN_VAE, *folder_paths.get_filename_list(VAE_FOLDER)],
                    default=_OWN_VAE,
                    optional=True,
                    tooltip="The VAE of the checkpoint's latents. Embedded checkpoints bring their own; for one made "
                    "from Wan 2.1 choose the Wan 2.1 VAE in models/vae. It is loaded in fp32, as raxels need.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The network, for this pack's nodes and stock samplers."),
                io.Vae.Output(display_name="vae", tooltip="For VAE Encode, VAE Decode and this pack's nodes."),
            ],
        )

    @classmethod
    def execute(cls, model_name: str, weight_dtype: str = "default", vae_name: str = _OWN_VAE) -> io.NodeOutput:
        model = load_raxel_patcher(str(checkpoint_path(model_name)), weight_dtype)
        return io.NodeOutput(model, load_vae_of(format_of(model).recipe, None if vae_name == _OWN_VAE else vae_name))
