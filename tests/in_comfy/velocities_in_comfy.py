"""Velocities of a raxel file in a ComfyUI, run by its interpreter for test_quantization and test_lora.

    python velocities_in_comfy.py COMFYUI PACK BASE BATCH OUT MODEL [LORA]

The file MODEL is opened by this pack's loader ("own") and by ComfyUI's ("stock"), LORA (in the folder BASE) is applied by
ComfyUI's LoraLoaderModelOnly, and the networks are given BATCH. OUT holds `own.video`, `own.rays`, `stock.video` and
`stock.rays`, and for matrices `peer.NAME` of BATCH the codes of ComfyUI's own fp8 quantiser as `codes.NAME`.
"""

from __future__ import annotations

from inside import enter

BASE, BATCH, OUT, MODEL, *LORA = enter()

import comfy.model_management  # noqa: E402
import comfy.quant_ops  # noqa: E402
import comfy.sd  # noqa: E402
import folder_paths  # noqa: E402
import torch  # noqa: E402
from raxel.nodes.comfy_model import detection, loading  # noqa: E402
from raxel.raxel_core.model import RaxelTransformer  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import nodes as stock  # noqa: E402

torch.set_grad_enabled(False)
detection.register_raxel_architecture()
folder_paths.add_model_folder_path("loras", BASE)
batch = load_file(BATCH)
out = {}
for name, load in (("own", loading.load_raxel_patcher), ("stock", comfy.sd.load_diffusion_model)):
    patcher = load(MODEL)
    for lora in LORA:
        patcher = stock.LoraLoaderModelOnly().load_lora_model_only(patcher, lora, 1.0)[0]
        assert patcher.patches
    comfy.model_management.load_models_gpu([patcher])
    network = patcher.model.diffusion_model
    video, rays = RaxelTransformer.forward(
        network, batch["video"], batch["rays"], batch["video_sigma"], batch["ray_sigma"], text=batch["text"]
    )
    out |= {f"{name}.video": video, f"{name}.rays": rays}
for name in (key.removeprefix("peer.") for key in batch if key.startswith("peer.")):
    scale = batch[f"scale.{name}"]
    quantized = comfy.quant_ops.QuantizedTensor.from_float(
        batch[f"peer.{name}"], "TensorCoreFP8E4M3Layout", scale=scale
    )
    out[f"codes.{name}"] = quantized._qdata.view(torch.uint8)
save_file({key: value.contiguous() for key, value in out.items()}, OUT)
