"""Weights of RayPE as state dicts: the other direction of what the pack reads and writes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from raxel_core.raype.backbone import RayWan, wan_state
from raxel_core.raype.encoding import RayPE


def raype_state(model: RayPE) -> dict[str, Tensor]:
    """The weights of `model` under their names in a Wan state dict; the inverse of `raype_from_state`."""
    return {
        re.sub(r"^blocks\.(\d+)\.", r"blocks.\1.self_attn.plucker_pe.", name): tensor
        for name, tensor in model.state_dict().items()
    }


def load_wan_state(model: RayWan, state: Mapping[str, Tensor]) -> None:
    """Fill `model` with what `wan_state` gave; ValueError names keys that are missing or surplus."""
    names = dict(zip(wan_state(model, {}), (name for name, _ in model.named_parameters()), strict=True))
    wrong = sorted(names.keys() ^ state.keys())
    if wrong:
        raise ValueError(f"the weights are of another network: {', '.join(wrong[:5])} are missing or surplus")
    model.load_state_dict({names[key]: tensor for key, tensor in state.items()})
