"""The cameras of a whole clip through ComfyUI's sampling, window by window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import VAE
from torch import Tensor

from ...raxel_core.footage.follow import follow_clip
from ...raxel_core.footage.reel import Reel, open_reel
from ...raxel_core.footage.windows import Plan, plan_for
from ...raxel_core.framing import framing_for
from ...raxel_core.geometry.estimate import Estimate, as_estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.pipeline import CameraEstimate, Reading
from ..comfy_model.latent_format import format_of
from .estimates import sampled_cameras


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is read: `seed` and `ray_steps` of each window, `focal` "shared" or "per_frame", the rate `fps` of a
    series of pictures (None: 24), `start` in seconds, and how many cameras to `spread` over it (None: every frame)."""

    seed: int
    ray_steps: int
    focal: str
    fps: float | None
    start: float
    spread: int | None


def follow_file(
    model: ModelPatcher,
    vae: VAE,
    path: Path,
    settings: ClipSettings,
    *,
    known_lens: Trajectory | None,
    against: Trajectory | Estimate | None,
) -> Estimate:
    """The cameras of the footage `path`, K in its pixels. Progress counts the steps of all windows."""
    reel, recipe = open_reel(path, fps=settings.fps), format_of(model).recipe
    plan = plan_for(reel, recipe, start=settings.start, spread=settings.spread)
    known = None if known_lens is None else _fitted(known_lens, reel, plan)
    focal = settings.focal if known is None else "known"
    reading = Reading(focal=focal, fps=reel.rate / plan.step)
    steps, done = settings.ray_steps, [0]

    def read(video: Tensor, draw: int) -> CameraEstimate:
        stage = (min(done[0], plan.windows(reel) - 1) * steps, plan.windows(reel) * steps)
        done[0] += 1
        seed = (settings.seed + draw) % 2**64
        return sampled_cameras(model, vae, video, reading, seed=seed, ray_steps=steps, stage=stage, known=known)

    other = None if against is None else as_estimate(against)
    return follow_clip(reel, plan, recipe, read, focal=focal, other=other)


def _fitted(known: Trajectory, reel: Reel, plan: Plan) -> Trajectory:
    """A path at the origin with the lens of the first camera of `known`, in the pixels that the model sees."""
    camera = framing_for(reel.hw, plan.hw).to_fitted(known.camera[:1])
    return replace(known, camera=replace(camera, world_from_cam=torch.eye(4).to(camera.K)[None]), numbers=None)
