"""A small image-to-video backbone tuned with and without RayPE, and the cameras of the videos that both make.

    python -m tests.raype.raype_comparison FOLDER [--cache CLIPS] [--scenes 128] [--steps 2000]

The backbone is the video half of the embedded raxel-tiny in diffusers' layout, first tuned to make videos from a first
frame alone. From there both arms take the same steps on the same clips. Videos of scenes never trained on are made along
the true cameras from the same noise, and raxel-tiny reads the cameras off them. A folder carries on where it was.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from raxel_core.evaluation.image_metrics import psnr
from raxel_core.evaluation.pose_metrics import frame_errors
from raxel_core.evaluation.scene_model import PipelineScenes
from raxel_core.geometry.camera import Camera
from raxel_core.raxel_model import RaxelModel, load_model
from raxel_core.raype.backbone import RayWan, load_backbone, wan_state
from raxel_core.raype.config import RayPETrainConfig
from raxel_core.raype.objective import WEIGHTS_FILE, RayPEObjective
from raxel_core.training.data import LatentClips, clips_of_frames
from raxel_core.training.loss import canonical_cameras
from raxel_core.training.synthetic import SPLITS, render_scenes
from raxel_core.training.train import Trainer
from tests.raype.raype_states import load_wan_state

FRAMES, HW = 9, (64, 64)
COMMON = RayPETrainConfig(
    name="common", steps=300, frames=FRAMES, hw=HW, raype=False, clips=73_728, batch=16, learning_rate=1.5e-3,
    video_shift=2.0, spread_weights=True, moment_eps=1e-2, gradient_checkpointing=False, log_every=50,
    validate_every=300, validation_clips=256, save_every=50, seed=11,
)  # fmt: skip
ARM = replace(COMMON, name="arm", steps=2000, batch=8, seed=12)
SAMPLING_STEPS = 4  # as raxel-tiny makes videos
Figures = dict[str, torch.Tensor]
POSE_STEPS = 2


def video_half(model: RaxelModel, folder: Path) -> Path:
    """Writes the video stream of a raxel model as a WanTransformer3DModel, its text stage silent; returns the folder."""
    from diffusers import WanTransformer3DModel

    config, state = model.transformer.config, model.transformer.state_dict()
    torch.manual_seed(0)  # for the parts that have no counterpart and stay silent
    network = WanTransformer3DModel(
        patch_size=config.patch, num_attention_heads=config.heads, attention_head_dim=config.head_dim,
        in_channels=config.in_channels, out_channels=config.in_channels, text_dim=16, freq_dim=config.freq_dim,
        ffn_dim=config.ffn_dim, num_layers=config.layers, eps=config.eps,
    )  # fmt: skip
    official = {name.replace("video_head.", "head."): tensor for name, tensor in state.items()}
    # The modality vector is added to every token, as the bias of the patch embedding is.
    official["patch_embedding.bias"] = official["patch_embedding.bias"] + official["video_modality"]
    bare = RayWan(network)
    start = {key: torch.zeros_like(t) if "cross_attn.o." in key else t for key, t in wan_state(bare, {}).items()}
    load_wan_state(bare, start | {key: official[key] for key in start if key in official})
    network.save_pretrained(folder)
    return folder


def tuned_backbone(start: Path, weights: Path, folder: Path, *, channels: int) -> Path:
    """Writes the network of `start` with the weights of a run without RayPE; returns the folder."""
    network = load_backbone(start, channels=channels)
    load_wan_state(RayWan(network), load_file(weights))
    network.save_pretrained(folder)
    return folder


def trained(config: RayPETrainConfig, model: RaxelModel, backbone: Path, folder: Path, cache: Path) -> RayPEObjective:
    """The objective of a run that has been trained to its end."""
    config = replace(config, statistics=model.recipe.video_statistics)
    objective = RayPEObjective(config, model.vae, backbone, cache=cache)
    trainer = Trainer(objective, folder)
    trainer.train(report=lambda line: print(json.dumps({"run": config.name} | line), flush=True))
    return objective


@torch.no_grad()
def rendered(model: RaxelModel, first: int, count: int) -> tuple[torch.Tensor, LatentClips]:
    """Videos [B, 3, F, H, W] of the test split and their latents."""
    scenes = render_scenes([SPLITS["test"][first + i] for i in range(count)], frames=FRAMES, hw=HW)
    latents = model.vae.encode(scenes.video)
    frame = torch.zeros(count, 1, dtype=torch.long)
    return scenes.video, clips_of_frames(latents, latents[:, :, :1], frame, scenes.camera, scenes.near_depth)


@torch.no_grad()
def figures(model: RaxelModel, arms: dict[str, RayPEObjective], scenes: int, batch: int = 32) -> dict[str, Figures]:
    """`errors` of each arm's videos, of the true ones through the VAE (the measurement's own) and of a still camera."""
    reader = PipelineScenes(model, (0,), 1, 1.0, "euler", "robust", lambda: None)
    found: dict[str, list[Figures]] = {}
    for first in range(0, scenes, batch):
        count = min(batch, scenes - first)
        video, clips = rendered(model, first, count)
        latents = {name: arm.generate(arm.model, clips, steps=SAMPLING_STEPS, seed=first) for name, arm in arms.items()}
        truth = canonical_cameras(clips.camera, clips.near_depth, torch.zeros(count, dtype=torch.long))
        for name, code in (latents | {"true videos": clips.video}).items():
            made = model.vae.decode(code).clamp(-1, 1)
            camera = reader.estimate(made, steps=POSE_STEPS, seeds=range(first, first + count))
            found.setdefault(name, []).append(errors(camera, truth, made, video))
        still = replace(truth, world_from_cam=torch.eye(4).expand_as(truth.world_from_cam))
        found.setdefault("still camera", []).append(errors(still, truth, video[:, :, :1].expand_as(video), video))
    return {name: {figure: torch.cat([part[figure] for part in parts]) for figure in parts[0]}
            for name, parts in found.items()}  # fmt: skip


def errors(camera: Camera, truth: Camera, made: torch.Tensor, video: torch.Tensor) -> Figures:
    """Per scene, over the frames after the first: mean rotation error (radians), translation error, CamMC and PSNR."""
    frames = frame_errors(camera, truth)
    values = {
        "R_err": frames.rotation,
        "TransErr": frames.translation,
        "CamMC": frames.cammc,
        "PSNR": psnr(made, video),
    }
    return {figure: value[:, 1:].mean(1) for figure, value in values.items()}


def mean_and_error(values: torch.Tensor) -> tuple[float, float]:
    """Mean and its standard error over the scenes that have a figure."""
    values = values[torch.isfinite(values)]
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def report(found: dict[str, Figures]) -> dict[str, dict[str, float]]:
    """Each figure's mean for each arm, and the paired gain of RayPE with its standard error over the scenes."""
    lines = {}
    for figure in found["with"]:
        difference = found["without"][figure] - found["with"][figure]
        gain, error = mean_and_error(difference)
        means = {name: mean_and_error(values[figure])[0] for name, values in found.items()}
        lines[figure] = means | {"without - with": gain, "standard error": error,
                                 "scenes": int(torch.isfinite(difference).sum())}  # fmt: skip
    return lines


def main() -> None:
    """Train what the folder lacks, measure both arms, write report.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--scenes", type=int, default=128)
    parser.add_argument("--steps", type=int, default=ARM.steps, help="of each arm; more than before trains on")
    options = parser.parse_args()
    folder, cache = options.folder, options.cache or options.folder / "clips"
    model = load_model("raxel-tiny")
    channels = model.vae.latent_channels
    raw = video_half(model, folder / "raxel-tiny-video")
    trained(COMMON, model, raw, folder / "common", cache)
    start = tuned_backbone(raw, folder / "common" / WEIGHTS_FILE, folder / "start", channels=channels)
    arms = {
        name: trained(
            replace(ARM, name=name, raype=name == "with", steps=options.steps), model, start, folder / name, cache
        )
        for name in ("with", "without")
    }
    lines = report(figures(model, arms, options.scenes))
    (folder / "report.json").write_text(json.dumps(lines, indent=2))
    print(json.dumps(lines, indent=2))


if __name__ == "__main__":
    main()
