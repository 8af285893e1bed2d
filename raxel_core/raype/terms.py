"""RayPE as it is trained: the encodings of one layer by the paper's formulas, its ablations included.

With all switches at the paper's the weights have the names of `model.raype.RayEncoding`, which computes the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, autocast, nn

from .config import RayPEVariant
from .encoding import FEATURES, NORM_EPS, RayFeatures, RayPEConfig, ray_features, ray_gate, ray_projection

_RAW_FEATURES = 6  # d, m


def variant_features(rays: Tensor, variant: RayPEVariant, *, moment_eps: float = 1e-6) -> RayFeatures:
    """What queries, keys and the gate read of `rays` [..., 6]: 7 numbers, or the raw 6 without NGI."""
    query, key, log_scale = ray_features(rays, moment_eps=moment_eps)
    if not variant.ngi:
        query, key = rays, rays.roll(3, dims=-1)
    return RayFeatures(query, key if variant.flip else query, log_scale)


class RayTerms(nn.Module):
    """One layer's pe_q, pe_k and, with the V transform, pe_v: alpha g(s) N(E f)."""

    def __init__(self, config: RayPEConfig, variant: RayPEVariant) -> None:
        super().__init__()
        self.variant = variant
        self.parts = "qkv" if variant.value else "qk"
        features = FEATURES if variant.ngi else _RAW_FEATURES
        for part in self.parts:
            self.add_module(f"e{part}", ray_projection(config, features=features))
            if variant.ngi and variant.pe_norm:
                self.add_module(f"norm_pe_{part}", nn.RMSNorm(config.dim, eps=NORM_EPS))
            self.register_parameter(f"alpha_{part}", nn.Parameter(torch.ones(1)))
        if variant.ngi:
            self.scale_gate = ray_gate(config)

    def forward(self, features: RayFeatures) -> list[Tensor]:
        """The encodings [..., L, dim] of `features` [..., L, .], for queries, keys and perhaps values, in float32."""
        with autocast(features.query.device.type, enabled=False):
            gate = self.scale_gate(features.log_scale) if self.variant.ngi else 1.0
            sides = zip(self.parts, (features.query, features.key, features.query), strict=False)
            return [self._encode(part, side) * gate for part, side in sides]

    def _encode(self, part: str, features: Tensor) -> Tensor:
        encoded = self.get_submodule(f"e{part}")(features)
        if self.variant.ngi and self.variant.pe_norm:
            encoded = self.get_submodule(f"norm_pe_{part}")(encoded)
        return getattr(self, f"alpha_{part}") * encoded


def join_terms(
    q: Tensor, k: Tensor, v: Tensor, terms: list[Tensor], variant: RayPEVariant
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values [B, L, heads, D or 2 D] whose products are the terms of equation 9 that `variant` keeps.

    `terms` are [B, L, heads, D]. With (A) content, (B) content-ray, (C) ray-content, (D) ray-ray: all four are
    (q + pe_q)(k + pe_k); side by side, (q, pe_q) with (k, pe_k) is A + D and with (k + pe_k, k) is A + B + C. The
    products are to be divided by the root of D in each case.
    """
    pe_q, pe_k, *pe_v = (term.to(q.dtype) for term in terms)
    v = v + pe_v[0].to(v.dtype) if pe_v else v
    if variant.cross_terms and variant.geometry_term:
        return q + pe_q, k + pe_k, v
    right = (k, pe_k) if variant.geometry_term else (k + pe_k, k)
    return torch.cat((q, pe_q), dim=-1), torch.cat(right, dim=-1), v
