"""One of several processes that share a clip: compares with one process, and prints the worst difference as JSON.

Started by torch.distributed.run; each process makes the same model and inputs, and works on them alone first.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import torch
import torch.distributed as dist

from raxel_core.model import RaxelConfig, RaxelTransformer, initialize
from raxel_core.model.attention import attend

CONFIG = RaxelConfig(dim=60, ffn_dim=90, layers=2, heads=5, in_channels=4, text_dim=24, freq_dim=32)
# Sizes of latents [T, h, w]; patches are 2 x 2, so that a frame of the video has 6 or 15 tokens, one of the rays 6 or 4.
CASES = {
    "tokens divide": (CONFIG, (3, 4, 6), (3, 4, 6)),
    "tokens do not divide": (CONFIG, (4, 6, 10), (3, 4, 4)),  # the video has a source as its fourth frame
    "joint": (replace(CONFIG, attention="joint"), (3, 6, 10), (3, 4, 6)),
    "text projections": (replace(CONFIG, inter="text"), (3, 6, 10), (2, 4, 6)),
    "new projections": (replace(CONFIG, inter="new", heads=3), (3, 6, 10), (3, 4, 6)),
}


def main() -> None:
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    found = {name: compare(*case) for name, case in CASES.items()}
    found["refused"] = [refusal(), gradient_refusal()]
    gathered = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, found)
    if dist.get_rank() == 0:
        json.dump(gathered, sys.stdout)
    dist.destroy_process_group()


def compare(config, video, rays):
    """The largest difference of both velocities, their spread, and the shapes that attention was given when shared."""
    seen = []

    def watched(q, k, v):
        seen.append([list(q.shape[1:3]), list(k.shape[1:3])])
        return attend(q, k, v)

    model = RaxelTransformer(config, attention=watched)
    generator = torch.Generator().manual_seed(0)
    initialize(model, gate=0.7, generator=generator)
    model.requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    inputs = [torch.randn(2, 4, *size, generator=generator) for size in (video, rays)]
    sigmas = [torch.rand(2, size[0], generator=generator) for size in (video, rays)]
    sigmas[0][:, -1] = 0.0
    times = {"video_time": torch.tensor([0.0, 1.0, 2.0, 0.6])[: video[0]]}
    text = torch.randn(2, 7, config.text_dim, generator=generator)
    alone = model(*inputs, *sigmas, **times, text=text)
    seen.clear()
    model.sequence_group = dist.group.WORLD
    shared = model(*inputs, *sigmas, **times, text=text)
    worst = max(float((a - b).abs().max()) for a, b in zip(alone, shared, strict=True))
    return {"worst": worst, "spread": min(float(x.std()) for x in alone), "seen": seen[:5]}


def refusal():
    """What a model with fewer heads than processes says."""
    model = RaxelTransformer(replace(CONFIG, heads=1)).requires_grad_(False)
    model.sequence_group = dist.group.WORLD
    x = torch.zeros(1, 4, 1, 4, 4)
    try:
        model(x, x, torch.zeros(1, 1), torch.zeros(1, 1))
    except ValueError as error:
        return str(error)
    return ""


def gradient_refusal():
    """What training with a shared clip says, which would get wrong gradients."""
    model = RaxelTransformer(CONFIG)
    model.sequence_group = dist.group.WORLD
    x = torch.zeros(1, 4, 1, 4, 4)
    try:
        model(x, x, torch.zeros(1, 1), torch.zeros(1, 1))
    except RuntimeError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
