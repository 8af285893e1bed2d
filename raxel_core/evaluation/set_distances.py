"""LPIPS, FID and FVD of generated clips against true ones, by networks that the user has on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from .image_metrics import (
    FVD_CLIP_FRAMES,
    FrechetDistance,
    frechet_distance,
    i3d_features,
    inception_features,
    load_network,
    lpips,
)

Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Networks:
    """The networks of LPIPS, FID (NVIDIA's Inception) and FVD (StyleGAN-V's I3D), as far as there are."""

    lpips: Network | None = None
    fid: Network | None = None
    fvd: Network | None = None

    @classmethod
    def load(cls, *, lpips: Path | None, fid: Path | None, fvd: Path | None, frames: int) -> Networks:
        """Those of the files that are named. ValueError for a file that is none, and for FVD of clips of `frames`
        where that is less than FVD takes."""
        if fvd is not None and frames < FVD_CLIP_FRAMES:
            raise ValueError(f"FVD takes clips of {FVD_CLIP_FRAMES} frames, this model makes clips of {frames}")
        named = {"lpips": lpips, "fid": fid, "fvd": fvd}
        return cls(**{name: None if path is None else load_network(path, name.upper()) for name, path in named.items()})


NO_NETWORKS = Networks()


@dataclass(eq=False)
class SetDistances:
    """Features of sets of clips, collected batch by batch, and their Frechet distances to the true set."""

    networks: Networks
    features: dict[str, dict[str, list[Tensor]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def add(self, name: str, video: Tensor) -> None:
        """Clips [B, 3, F, H, W] in [-1, 1] of the set `name`; the true ones are called "true"."""
        if self.networks.fid is not None:
            self.features["fid"][name].append(inception_features(video, network=self.networks.fid))
        if self.networks.fvd is not None:
            self.features["fvd"][name].append(i3d_features(video, network=self.networks.fvd))

    def perceptual(self, video: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """LPIPS [B] of clips, under its name, where there is a network for it."""
        if self.networks.lpips is None:
            return {}
        return {"lpips": lpips(video, truth, network=self.networks.lpips).mean(-1)}

    def distances(self) -> Mapping[str, Mapping[str, FrechetDistance]]:
        """By measure and set: the distance to the true set."""
        return {
            measure: {
                name: frechet_distance(torch.cat(parts), torch.cat(sets["true"]))
                for name, parts in sets.items()
                if name != "true"
            }
            for measure, sets in self.features.items()
        }
