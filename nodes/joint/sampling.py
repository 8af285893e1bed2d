"""The nodes that run the model: all in one, or as parts for ComfyUI's own samplers."""

from __future__ import annotations

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...raxel_core.sampling import SOLVERS, Streams, shifted_sigmas
from .. import inputs
from ..catalogue import schema
from ..comfy_io.notice import show_on_node
from ..comfy_model.conditioning import Conditioning
from ..comfy_model.latent_format import format_of
from ..comfy_sampling.before_run import run_notices
from ..comfy_sampling.joint_latent import TASK_MASKS, Latent
from ..comfy_sampling.joint_run import conditions, sample, shift_of, task_latent, task_schedule
from ..comfy_sampling.sampler import PairSampler, rays_follow
from ..sockets import CATEGORY

_MODES = ("first", "together")


def _mode(*, optional: bool = False) -> io.Input:
    tooltip = (
        "For runs that make both rays and video. first: the rays are finished first, in ray_steps, and guide "
        "the video. together: both are denoised step by step."
    )
    return io.Combo.Input("mode", options=list(_MODES), default="first", optional=optional, tooltip=tooltip)


_SHIFT_TOOLTIP = "Above 1 spends more of the steps on coarse structure, below 1 on detail."


def _shift(id: str = "shift", *, optional: bool = False) -> io.Input:
    return io.Float.Input(id, default=1.0, min=0.01, max=100.0, step=0.01, optional=optional, tooltip=_SHIFT_TOOLTIP)


def _own_shift() -> io.Input:
    tooltip = f"{_SHIFT_TOOLTIP} 0 takes the model's own."
    return io.Float.Input("shift", default=0.0, min=0.0, max=100.0, step=0.01, optional=True, tooltip=tooltip)


def _solver() -> io.Input:
    tooltip = "euler, or a second-order multistep solver at the same cost."
    return io.Combo.Input("solver", options=list(SOLVERS), default="euler", optional=True, tooltip=tooltip)


class JointSampler(io.ComfyNode):
    """MODEL and what is given -> joint latent with the rest made."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="JointSampler",
            display_name="Joint Sampler",
            category=CATEGORY,
            description="Runs the joint model on one of its three tasks through ComfyUI's own sampling. What you "
            "give comes back exactly as it was.",
            inputs=[
                inputs.model(),
                inputs.task(list(TASK_MASKS)),
                inputs.seed(),
                inputs.steps("Not used when the task is pose."),
                inputs.ray_steps("Denoising steps of the rays: 2 to 4. Not used when the task is camera."),
                inputs.cfg("the source images and the prompt"),
                io.Latent.Input(
                    "latent",
                    optional=True,
                    tooltip="pose: the video, from VAE Encode. camera: the rays, from Raxel Encode. joint: leave it "
                    "open, or connect any latent of the size you want.",
                ),
                io.Conditioning.Input("positive", optional=True, tooltip="Images and prompt, from Raxel Sources."),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="What guidance steers away from; may stay open."
                ),
                inputs.frames(
                    "Number of frames when the task is joint and no latent is connected, 4n + 1; 0 takes as many as "
                    "the checkpoint was trained on."
                ),
                _mode(optional=True),
                _own_shift(),
                _solver(),
            ],
            hidden=[io.Hidden.unique_id],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="Joint latent: VAE Decode takes its video, Raxels to Poses its cameras.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        task: str,
        seed: int,
        steps: int,
        ray_steps: int,
        cfg: float,
        latent: Latent | None = None,
        positive: Conditioning | None = None,
        negative: Conditioning | None = None,
        frames: int = 0,
        mode: str = "first",
        shift: float = 0.0,
        solver: str = "euler",
    ) -> io.NodeOutput:
        latent_format = format_of(model)
        positive, negative, sources = conditions(positive, negative)
        count = frames or latent_format.recipe.frames
        start = task_latent(task, latent, latent_format, frames=count, sources=sources)
        show_on_node(cls, "\n".join(run_notices(task, Streams(*start["samples"].unbind()), latent_format, sources)))
        schedule = task_schedule(task, steps=steps, ray_steps=ray_steps, mode=mode, shift=shift or shift_of(model))
        return io.NodeOutput(
            sample(model, start, schedule, positive=positive, negative=negative, cfg=cfg, seed=seed, solver=solver)
        )


class RaxelSampler(io.ComfyNode):
    """How the rays are stepped beside the video -> SAMPLER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelSampler",
            display_name="Raxel Sampler",
            category=CATEGORY,
            description="A SAMPLER for SamplerCustomAdvanced that gives the rays a schedule of their own beside the "
            "video's SIGMAS.",
            inputs=[
                _mode(),
                inputs.ray_steps("Denoising steps of the rays in mode first."),
                _shift("ray_shift", optional=True),
                _solver(),
            ],
            outputs=[io.Sampler.Output(display_name="sampler", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, mode: str, ray_steps: int, ray_shift: float = 1.0, solver: str = "euler") -> io.NodeOutput:
        return io.NodeOutput(PairSampler(rays_follow(mode, ray_steps, ray_shift), solver=solver))


class RaxelSchedule(io.ComfyNode):
    """Steps and shift -> SIGMAS."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RaxelSchedule",
            display_name="Raxel Schedule",
            category=CATEGORY,
            description="The noise levels that Joint Sampler uses, from 1 to 0, for SamplerCustomAdvanced.",
            inputs=[
                inputs.steps(),
                _shift(),
            ],
            outputs=[io.Sigmas.Output(display_name="sigmas", tooltip="steps + 1 noise levels.")],
        )

    @classmethod
    def execute(cls, steps: int, shift: float) -> io.NodeOutput:
        return io.NodeOutput(shifted_sigmas(steps, shift=shift).float())
