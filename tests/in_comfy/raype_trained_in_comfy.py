"""A file of `train --method raype` in ComfyUI: run by its interpreter for test_raype_training.

    python raype_trained_in_comfy.py COMFYUI PACK WEIGHTS CALL

CALL is a safetensors file with a latent `x`, `timestep` [1, T] per frame and `text`; `with` and `without` are added to it,
the velocities of stock Wan with Apply RayPE's patches, with and without the rays of an arc.
"""

from __future__ import annotations

from inside import enter

WEIGHTS, CALL = enter()

import comfy.model_management  # noqa: E402
import torch  # noqa: E402
from raxel.nodes.raype import patching as bridge  # noqa: E402
from raxel.raxel_core.paths.plan import make_move  # noqa: E402
from raxel.raxel_core.raype.checkpoint import load_raype  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

torch.set_grad_enabled(False)
call, loaded = load_file(CALL), load_raype(WEIGHTS)
sampling = bridge.RaySampling(
    loaded, make_move("arc", 9, hw=(64, 96), amount=0.8, depth=1.5), strength=1.0, start=0.0, end=1.0
)
model = bridge.with_raype(bridge.load_expert(WEIGHTS, "fp32"), loaded, sampling)
comfy.model_management.load_models_gpu([model])
network = model.model.diffusion_model
rays = bridge.TokenRays(sampling._rays(network, call["x"], {}), 0, torch.tensor(1.0))
for name, options in (("with", {bridge.KEY: rays}), ("without", {})):
    call[name] = network(call["x"], call["timestep"], context=call["text"], transformer_options=options)
save_file({name: tensor.contiguous() for name, tensor in call.items()}, CALL)
