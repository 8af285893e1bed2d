"""A Wan transformer of diffusers with RayPE in its self-attention, the first frame given.

diffusers is imported when one is opened. Weights go to files under Wan's own names, as RayPE's release has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ..model.rope import turn_pairs
from ..weights.wan_layouts import FROM_DIFFUSERS
from .config import RayPETrainConfig, RayPEVariant
from .encoding import RayFeatures, RayPEConfig, initialize_raype
from .terms import RayTerms, join_terms

TIMESTEPS = 1000
# What is tuned: self-attention, feed-forward, and the modulation and affine norm of each block.
MASK_CHANNELS = 4  # of what tells an A14B expert the first frame: a mask of four pixel frames a latent one
# Where a pipeline of diffusers has its networks, by `RayPETrainConfig.expert`.
FOLDERS = {"": "transformer", "high": "transformer", "low": "transformer_2"}
TUNED = (".attn1.", ".ffn.", ".scale_shift_table", ".norm2.")
ABLATION = "ray_ablation"  # stands for plucker_pe in the names of what inference does not compute


class RayProcessor:
    """A block's self-attention with rays added to queries and keys after norm and RoPE (algorithm 1).

    Without rays it computes what diffusers' own processor does, to the bit. `rays` is filled before each pass.
    """

    def __init__(self, terms: RayTerms | None) -> None:
        self.terms = terms
        self.rays: RayFeatures | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: None = None, attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        """Tokens [B, L, dim] to tokens; `rotary_emb` holds cosines and sines [1, L, 1, D], each number twice."""
        if rotary_emb is None:
            raise ValueError("RayPE sits in self-attention, which has a rotary embedding")
        table = torch.stack((rotary_emb[0][..., 0::2], rotary_emb[1][..., 1::2]), dim=-1)
        q, k = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(hidden_states))
        q, k, v = (x.unflatten(2, (attn.heads, -1)) for x in (q, k, attn.to_v(hidden_states)))
        q, k = (turn_pairs(x.unflatten(-1, (-1, 2)), table).flatten(-2).type_as(x) for x in (q, k))
        scale = q.shape[-1] ** -0.5
        if self.terms is not None and self.rays is not None:
            terms = [term.unflatten(-1, (attn.heads, -1)) for term in self.terms(self.rays)]
            q, k, v = join_terms(q, k, v, terms, self.terms.variant)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](mixed.type_as(q)))


class RayWan(nn.Module):
    """`transformer`, a WanTransformer3DModel, and the RayPE of its blocks; `terms` is empty where there is none."""

    def __init__(
        self, transformer: Any, config: RayPEConfig | None = None, variant: RayPEVariant | None = None
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.processors = [
            RayProcessor(None if config is None else RayTerms(config, variant or RayPEVariant()))
            for _ in transformer.blocks
        ]
        self.terms = nn.ModuleList([p.terms for p in self.processors if p.terms is not None])
        for block, processor in zip(transformer.blocks, self.processors, strict=True):
            block.attn1.set_processor(processor)

    def forward(
        self, latents: Tensor, sigma: Tensor, rays: RayFeatures | None, text: Tensor, lead: Tensor | None = None
    ) -> Tensor:
        """Velocity (noise - data) [B, C, T, h, w] of `latents`, frame 0 clean and the rest at `sigma` [B].

        `rays` are of the tokens [B, L, .], `text` is a prompt's embedding [1, M, text_dim]. With the channels `lead`
        (`lead_channels`) the latents are at `sigma` all, as an expert of A14B is asked.
        """
        for processor in self.processors:
            processor.rays = rays
        batch, _, frames, height, width = latents.shape
        if lead is not None:
            told = (torch.cat((latents, lead), 1), TIMESTEPS * sigma, text.expand(batch, -1, -1))
            return self.transformer(*told, return_dict=False)[0]
        _, rows, columns = self.transformer.config.patch_size
        level = torch.cat([torch.zeros_like(sigma)[:, None], sigma[:, None].expand(-1, frames - 1)], dim=1)
        tokens = (height // rows) * (width // columns)
        timestep = (TIMESTEPS * level).repeat_interleave(tokens, dim=1)  # [B, L]
        return self.transformer(latents, timestep, text.expand(batch, -1, -1), return_dict=False)[0]


def ray_wan(transformer: Any, config: RayPETrainConfig) -> RayWan:
    """The network of a run: RayPE as it starts, and gradients for what the paper tunes (appendix B.4) alone."""
    if not config.raype:
        model = RayWan(transformer)
    else:
        shape = transformer.config
        dim = shape.num_attention_heads * shape.attention_head_dim
        sizes = RayPEConfig(dim, shape.num_layers, config.hidden, config.gate_hidden, config.moment_eps)
        model = RayWan(transformer, sizes, config.variant)
        zero = "nothing" if not config.variant.zero_init else "alpha"
        initialize_raype(model.terms, zero=zero, generator=torch.Generator().manual_seed(config.seed))
    for name, parameter in transformer.named_parameters():
        parameter.requires_grad_(name.startswith("blocks.") and any(part in name for part in TUNED))
    if config.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    return model


def lead_channels(lead: Tensor) -> Tensor:
    """What tells an A14B expert the first frame [B, 4 + C, T, h, w]: ones where it is, and the normalised latents
    `lead` [B, C, T, h, w] of the clip with all other frames grey. Source: diffusers' WanImageToVideoPipeline."""
    mask = lead.new_zeros(lead.shape[0], MASK_CHANNELS, *lead.shape[2:])
    mask[:, :, 0] = 1.0
    return torch.cat((mask, lead), 1)


def load_backbone(folder: Path, *, channels: int, expert: str = "") -> Any:
    """The WanTransformer3DModel of a folder of diffusers (or of a pipeline's, which holds it in one of FOLDERS).

    Nothing is downloaded. Raises ValueError when the folder holds something else, or a model that does not take and
    give `channels` latent channels, or, as an `expert` of Wan 2.2 I2V A14B, those and `lead_channels` besides.
    """
    from diffusers import WanTransformer3DModel

    folder = folder / FOLDERS[expert] if (folder / FOLDERS[expert]).is_dir() else folder
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is not a folder of a diffusers model: it has no config.json")
    found = WanTransformer3DModel.load_config(folder, local_files_only=True)
    if found.get("_class_name") != "WanTransformer3DModel":
        raise ValueError(
            f"{folder} holds a {found.get('_class_name', 'model of no class')}, expected a WanTransformer3DModel"
        )
    sizes = (found.get("in_channels"), found.get("out_channels"))
    expected = (2 * channels + MASK_CHANNELS if expert else channels, channels)
    if sizes != expected or found.get("image_dim") or found.get("added_kv_proj_dim"):
        like = f"an expert ({expert}) of Wan 2.2 I2V A14B" if expert else "Wan 2.2 TI2V-5B"
        raise ValueError(
            f"{folder} is a Wan model of {sizes[0]} input and {sizes[1]} output channels, but the first frame is given "
            f"as in {like}: with a VAE of {channels} they are {expected[0]} and {expected[1]}, and there is no image "
            'embedding; "expert" of the configuration says which it is'
        )
    return WanTransformer3DModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
    )


def load_prompt(path: Path | None, text_dim: int) -> Tensor:
    """The null prompt's embedding [1, M, text_dim], the only tensor of a safetensors file; zeros without a file.

    One token of zeros: attention over any number of equal tokens gives the same. ValueError for another shape.
    """
    if path is None:
        return torch.zeros(1, 1, text_dim)
    tensors = list(load_file(path).values())
    if len(tensors) != 1 or tensors[0].ndim not in (2, 3) or tensors[0].shape[-1] != text_dim:
        shapes = ", ".join(str(list(t.shape)) for t in tensors[:3])
        raise ValueError(f"{path} must hold one tensor [M, {text_dim}], a prompt's embedding, and holds {shapes}")
    return tensors[0].float().reshape(1, -1, text_dim)


def wan_state(model: RayWan, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The whole expert under Wan's own names, `weights` in place of the tuned parameters.

    RayPE has its released names, blocks.N.self_attn.plucker_pe, unless inference does not compute this variant.
    """
    deployed = all(processor.terms is None or processor.terms.variant.deployed for processor in model.processors)
    state = dict(model.named_parameters()) | dict(weights)
    return {_wan_name(name, "plucker_pe" if deployed else ABLATION): tensor.detach() for name, tensor in state.items()}


def _wan_name(name: str, raype: str) -> str:
    """A parameter's name in a Wan state dict."""
    group, _, rest = name.partition(".")
    if group == "terms":
        number, _, leaf = rest.partition(".")
        return f"blocks.{number}.self_attn.{raype}.{leaf}"
    for pattern, replacement in FROM_DIFFUSERS:
        rest = pattern.sub(replacement, rest)
    return rest
