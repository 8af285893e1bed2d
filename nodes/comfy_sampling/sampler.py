"""The core's flow solvers as a ComfyUI SAMPLER: each stream has a noise schedule of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...raxel_core.sampling import PairSchedule, Sigmas, Streams, check_solver, shifted_sigmas, solver_for
from ..comfy_model.network import SIGMAS_KEY
from ..comfy_model.packing import pack, unpack

ScheduleFromSigmas = Callable[[Tensor], PairSchedule]
_ROUNDING = 1e-6  # of a noise level in float32


class PairSampler(comfy.samplers.Sampler):
    """A SAMPLER over a pair of schedules, which `schedule` makes from the SIGMAS that ComfyUI hands over."""

    def __init__(self, schedule: ScheduleFromSigmas, *, solver: str = "euler") -> None:
        self.schedule = schedule
        self.solver = check_solver(solver)

    def sample(
        self,
        model_wrap: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[[int, Tensor, Tensor, int], None] | None,
        noise: Tensor,
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,
        disable_pbar: bool = False,
    ) -> Tensor:
        """The denoised pack [B, 1, N] in the model's latents; ComfyUI's own contract of a sampler."""
        schedule = self.schedule(sigmas)
        run = _Run(model_wrap, extra_args, noise, latent_image, denoise_mask)
        solve = solver_for(self.solver, schedule, antithetic=model_wrap.inner_model.recipe.antithetic())
        with tqdm(total=schedule.steps, disable=disable_pbar) as bar:

            def progress(done: int, total: int) -> None:
                bar.update()
                if callback is not None:
                    callback(done - 1, run.denoised, run.x, total)

            return pack(solve(run.denoise, run.start(schedule), schedule, progress=progress))


class _Run:
    """One run of the solver: ComfyUI's model call, masks and guidance behind the core's `denoise`."""

    def __init__(
        self, model_wrap: Any, extra_args: dict[str, Any], noise: Tensor, latent_image: Tensor, mask: Tensor | None
    ) -> None:
        self.shapes = model_wrap.inner_model.packed_shapes()
        self.call = comfy.samplers.KSamplerX0Inpaint(model_wrap, None)
        self.call.noise, self.call.latent_image = noise, latent_image
        self.options, self.seed, self.mask = extra_args["model_options"], extra_args.get("seed"), mask
        self.x = self.denoised = latent_image

    def start(self, schedule: PairSchedule) -> Streams:
        """The streams where the schedule starts: sigma * noise + (1 - sigma) * given."""
        parts = zip(self._unpack(self.call.noise), self._unpack(self.call.latent_image), schedule.start, strict=True)
        return Streams(*(given if sigma == 0.0 else sigma * n + (1.0 - sigma) * given for n, given, sigma in parts))

    def denoise(self, x: Streams, sigmas: Sigmas) -> Streams:
        """The core's contract, answered by ComfyUI's model call, which knows one noise level: the larger one."""
        self.x = pack(x)
        level = self.x.new_full((self.x.shape[0],), max(sigmas))
        transformer_options = {**self.options.get("transformer_options", {}), SIGMAS_KEY: sigmas}
        options = {**self.options, "transformer_options": transformer_options}
        self.denoised = self.call(self.x, level, self.mask, model_options=options, seed=self.seed)
        return self._unpack(self.denoised)

    def _unpack(self, packed: Tensor) -> Streams:
        return unpack(packed, self.shapes)


def rays_follow(mode: str, ray_steps: int, ray_shift: float) -> ScheduleFromSigmas:
    """The pair of schedules for SIGMAS [steps + 1] of the video: the rays finish "first" or go "together" with it.

    "first": within `ray_steps` steps, shifted by `ray_shift`, from the video's first noise level to 0; "together":
    at the video's own levels.
    """

    def schedule(sigmas: Tensor) -> PairSchedule:
        video = sigmas.double().cpu()
        # ComfyUI's shift rounds in float32: at 0.2, among others, its first level is 1 + 1e-7.
        video = torch.where((video - 1.0).abs() < _ROUNDING, 1.0, video)
        if mode == "together":
            return PairSchedule(video=video, rays=video)
        steps = min(ray_steps, video.shape[0] - 1)
        rays = torch.zeros_like(video)
        rays[: steps + 1] = float(video[0]) * shifted_sigmas(steps, shift=ray_shift)
        return PairSchedule(video=video, rays=rays)

    return schedule
