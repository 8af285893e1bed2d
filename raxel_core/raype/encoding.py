"""RayPE: the ray of each token as a second position, added to queries and keys of a pretrained video transformer.

A token's line of sight has the direction d and the moment m = o x d. Each layer's query and key get, after their norm
and their rotary embedding and before the heads are split,

    q += alpha_q g(s) N_q(E_q (d, m^, s)),    k += alpha_k g(s) N_k(E_k (m^, d, s)),    s = log max(|m|, eps)

with m^ = m / max(|m|, eps), a gate g in (0, 1) per channel and an RMS norm N. d and m^ trade places in the keys, so
that a product of the raw coordinates is the reciprocal product of two lines, which is 0 where they meet.
Source: RayPE (arXiv 2606.27345), equations 10 to 15 and algorithm 1; released as SCoPE. The paper's E is one linear
layer and its gate is narrow; the released weights have a two-layer E (GELU) and a gate of dim / 4 hidden channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Linear

FEATURES = 7  # d, m^, s
PAPER_GATE = 32
# Where a layer's weights lie in a Wan state dict.
WEIGHT_KEY = re.compile(r"(?:.*\.)?blocks\.(\d+)\.self_attn\.plucker_pe\.(.+)")
NORM_EPS = 1e-6
_OUTPUT_NAME = re.compile(r"\.e[qkv]\.(2\.)?weight$")  # the last layer of a projection
Encodings = TypeVar("Encodings", bound=nn.Module)


@dataclass(frozen=True)
class RayPEConfig:
    """Sizes of a RayPE.

    `dim` and `layers` are the transformer's, `gate_hidden` is the gate's width, `hidden` the width of a two-layer E or
    0 for a linear one. `moment_eps` is the least |m|: 1e-6 in the released weights, which puts s at -13.8 on every
    token of a camera at the origin. Raises ValueError for sizes that make no sense.
    """

    dim: int
    layers: int
    hidden: int = 0
    gate_hidden: int = PAPER_GATE
    moment_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("dim", "layers", "gate_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of a RayPE is at least 1, got {getattr(self, name)}")
        if self.hidden < 0 or not 0.0 < self.moment_eps < 1.0:
            raise ValueError(
                f"hidden is at least 0 and moment_eps lies between 0 and 1, got {self.hidden}, {self.moment_eps}"
            )


class RayFeatures(NamedTuple):
    """What the layers read of rays: `query` and `key` [..., 7] and the gate's `log_scale` [..., 1]."""

    query: Tensor
    key: Tensor
    log_scale: Tensor


def ray_features(rays: Tensor, *, moment_eps: float = 1e-6) -> RayFeatures:
    """The features of `rays` [..., 6] = (unit direction, moment), in the rays' dtype.

    Raises ValueError for another last axis and for NaN or infinity.
    """
    if rays.shape[-1] != 6:
        raise ValueError(f"rays are [..., 6], direction and moment, got {list(rays.shape)}")
    if not bool(torch.isfinite(rays).all()):
        raise ValueError("the rays of the camera path contain NaN or infinity")
    direction, moment = rays.split(3, dim=-1)
    length = torch.linalg.vector_norm(moment, dim=-1, keepdim=True).clamp_min(moment_eps)
    moment, log_scale = moment / length, length.log()
    query = torch.cat((direction, moment, log_scale), dim=-1)
    return RayFeatures(query, torch.cat((moment, direction, log_scale), dim=-1), log_scale)


def ray_projection(config: RayPEConfig, *, features: int = FEATURES) -> nn.Module:
    """E: [..., features] -> [..., dim], without biases."""
    if not config.hidden:
        return Linear(features, config.dim, bias=False)
    return nn.Sequential(
        Linear(features, config.hidden, bias=False), nn.GELU(), Linear(config.hidden, config.dim, bias=False)
    )


def ray_gate(config: RayPEConfig) -> nn.Sequential:
    """g: s [..., 1] -> [..., dim] in (0, 1)."""
    return nn.Sequential(Linear(1, config.gate_hidden), nn.SiLU(), Linear(config.gate_hidden, config.dim), nn.Sigmoid())


class RayEncoding(nn.Module):
    """One layer's part of a RayPE; its parameters have the released names."""

    def __init__(self, config: RayPEConfig) -> None:
        super().__init__()
        self.eq, self.ek = ray_projection(config), ray_projection(config)
        self.norm_pe_q, self.norm_pe_k = (nn.RMSNorm(config.dim, eps=NORM_EPS) for _ in range(2))
        self.scale_gate = ray_gate(config)
        self.alpha_q, self.alpha_k = (nn.Parameter(torch.ones(1)) for _ in range(2))

    def forward(
        self, q: Tensor, k: Tensor, features: RayFeatures, *, strength: Tensor | float = 1.0, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """`q` and `k` [B, S, dim] with the encodings of L rays added to the tokens `first` ... `first` + L - 1.

        `features` are [1 or B, L, ...] on the device of q; weights are cast to q's device and dtype where they differ.
        """
        gate = self._gate(features.log_scale, q)
        alpha_q, alpha_k = (alpha.to(features.query) * strength for alpha in (self.alpha_q, self.alpha_k))
        q_rays = _encode(self.eq, self.norm_pe_q.weight, alpha_q, features.query, q)
        k_rays = _encode(self.ek, self.norm_pe_k.weight, alpha_k, features.key, k)
        return _add(q, q_rays, gate, first), _add(k, k_rays, gate, first)

    def _gate(self, log_scale: Tensor, x: Tensor) -> Tensor:
        """g(s) [..., L, dim] in the dtype of `x`; the narrow first layer runs in the features' precision."""
        get = self.scale_gate.get_parameter
        hidden = F.silu(F.linear(log_scale, get("0.weight").to(log_scale), get("0.bias").to(log_scale)))
        return F.linear(hidden.to(x), get("2.weight").to(x), get("2.bias").to(x)).sigmoid()


class RayPE(nn.Module):
    """The encodings of all layers; `blocks[n]` belongs to the transformer's block n."""

    def __init__(self, config: RayPEConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList([RayEncoding(config) for _ in range(config.layers)])

    def layers(self) -> list[RayEncoding]:
        """The encodings in the order of the transformer's blocks."""
        return [module for module in self.blocks if isinstance(module, RayEncoding)]

    def features(self, rays: Tensor) -> RayFeatures:
        """`ray_features` with this RayPE's `moment_eps`."""
        return ray_features(rays, moment_eps=self.config.moment_eps)


def initialize_raype(model: Encodings, *, zero: str = "alpha", generator: torch.Generator | None = None) -> Encodings:
    """Fill a RayPE, or one to train, so that it changes nothing and yet learns; returns it.

    `zero` says what is 0: "alpha", with random projections, or "output", the projections' last layer, with alpha = 1.
    Both at once would leave every gradient at 0 for ever. "nothing" starts with random projections and alpha = 1, the
    paper's ablation. Gates start near 0.5 for |m| = 1. ValueError for others.
    """
    if zero not in ("alpha", "output", "nothing"):
        raise ValueError(f"what is 0 at the start is nothing, alpha or output, got {zero!r}")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                bound = parameter.shape[1] ** -0.5
                parameter.uniform_(-bound, bound, generator=generator)
            elif "alpha" in name:
                parameter.fill_(0.0 if zero == "alpha" else 1.0)
            else:
                parameter.fill_(1.0 if "norm" in name else 0.0)
            if zero == "output" and _OUTPUT_NAME.search(name):
                parameter.zero_()
    return model


def raype_from_state(tensors: Mapping[str, Tensor], *, moment_eps: float = 1e-6) -> RayPE:
    """The RayPE whose weights lie in a Wan state dict, other keys ignored; sizes are read from the shapes.

    Alphas without a dimension, as the method's first checkpoints have them, are taken as one number. Raises ValueError
    in one sentence when there are no such weights, some are missing, surplus or of another shape, or one is NaN.
    """
    state = {}
    for key, tensor in tensors.items():
        found = WEIGHT_KEY.fullmatch(key)
        if found is not None:
            name = f"blocks.{found[1]}.{found[2]}"
            tensor = tensor.reshape(1) if tensor.ndim == 0 and ".alpha_" in name else tensor
            # PyTorch can do next to nothing with numbers of one byte.
            packed = tensor.is_floating_point() and tensor.element_size() == 1
            state[name] = tensor.to(torch.bfloat16) if packed else tensor
    if not state:
        raise ValueError("there are no RayPE weights: no key holds blocks.N.self_attn.plucker_pe")
    with torch.device("meta"):
        model = RayPE(_config_of(state, moment_eps))
    _check_state(state, model)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def adds_nothing(model: RayPE) -> bool:
    """Whether the encodings are 0 whatever the rays: so is the release's low-noise expert, which was not trained."""
    return not any(
        bool(_last_weight(projection).any()) and bool(alpha.any())
        for layer in model.layers()
        for projection, alpha in ((layer.eq, layer.alpha_q), (layer.ek, layer.alpha_k))
    )


def _last_weight(projection: nn.Module) -> Tensor:
    return projection.get_parameter("weight" if isinstance(projection, Linear) else "2.weight")


def _encode(projection: nn.Module, norm_weight: Tensor, alpha: Tensor, features: Tensor, x: Tensor) -> Tensor:
    """alpha N(E f) [..., L, dim] in the dtype of `x`, with one pass over L x dim numbers: the product that makes them.

    E f = W h with few channels in h, so that mean((W h)^2) = h^T (W^T W / dim) h comes from h alone, and the norm's
    weight and alpha belong to the rows of W.
    """
    hidden = features
    if not isinstance(projection, Linear):
        hidden = F.gelu(F.linear(features, projection.get_parameter("0.weight").to(features)))
    last = _last_weight(projection).to(hidden)
    gram = last.mT @ last / last.shape[0]
    mean_square = ((hidden @ gram) * hidden).sum(-1, keepdim=True).clamp_min(0.0)
    weight = last * (alpha * norm_weight.to(hidden))[:, None]
    return F.linear((hidden * torch.rsqrt(mean_square + NORM_EPS)).to(x), weight.to(x))


def _add(x: Tensor, rays: Tensor, gate: Tensor, first: int) -> Tensor:
    """`x` [B, S, dim] plus gate * rays [1 or B, L, dim] at its tokens from `first` on."""
    count = rays.shape[1]
    if first == 0 and count == x.shape[1]:
        return torch.addcmul(x, rays, gate)
    middle = torch.addcmul(x[:, first : first + count], rays, gate)
    return torch.cat((x[:, :first], middle, x[:, first + count :]), dim=1)


def _config_of(state: Mapping[str, Tensor], moment_eps: float) -> RayPEConfig:
    """The sizes that the shapes of a state dict tell of."""
    layers = 1 + max(int(key.split(".")[1]) for key in state)
    shapes = {key.removeprefix("blocks.0."): tuple(tensor.shape) for key, tensor in state.items()}
    gate = shapes.get("scale_gate.0.weight", ())
    dim = shapes.get("norm_pe_q.weight", ())
    if len(gate) != 2 or len(dim) != 1 or layers > len(state):
        raise ValueError(
            "the RayPE weights of block 0 are incomplete: norm_pe_q.weight or scale_gate.0.weight is missing"
        )
    hidden = shapes["eq.0.weight"][0] if len(shapes.get("eq.0.weight", ())) == 2 else 0
    return RayPEConfig(dim[0], layers, hidden, gate[0], moment_eps)


def _check_state(state: Mapping[str, Tensor], model: RayPE) -> None:
    expected = model.state_dict()
    for kind, keys in (("lack", expected.keys() - state.keys()), ("also hold", state.keys() - expected.keys())):
        if keys:
            raise ValueError(f"the RayPE weights {kind} {', '.join(sorted(keys)[:5])} ({len(keys)} keys)")
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise ValueError(f"{key} of RayPE has shape {list(tensor.shape)}, expected {list(expected[key].shape)}")
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{key} of RayPE holds NaN, infinity or whole numbers: the file is damaged")
