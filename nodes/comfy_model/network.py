"""The core's network with the call that ComfyUI's BaseModel makes: packed streams in, noise level of the sampler in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import comfy.model_management
import comfy.patcher_extension
import torch
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torch.nn import Module

from ...raxel_core.model import RaxelTransformer
from ...raxel_core.model.attention import attend_in_pieces
from ...raxel_core.model.given_frames import StreamFrames, append_given
from ...raxel_core.model.reading import StreamMemory
from ...raxel_core.sampling import Sigmas
from ...raxel_core.weights.checkpoint import config_from_json
from ..comfy_io.interruption import stop_when_interrupted
from .packing import Shapes

try:
    import comfy.model_prefetch as model_prefetch
except ImportError:  # ComfyUI before 0.33
    model_prefetch = None

# The key of transformer_options under which a sampler states the noise level of each stream.
SIGMAS_KEY = "raxel_sigmas"

_OPTIONS: ContextVar[dict[str, Any]] = ContextVar("raxel_transformer_options")
# What a run keeps of clean streams, by the conditions that share a forward pass; empty at its start, gone at its end.
_MEMORIES: ContextVar[dict[tuple[Any, ...], StreamMemory]] = ContextVar("raxel_stream_memories")


@contextmanager
def remembering_clean_streams() -> Iterator[None]:
    """Let the steps inside share what a network that reads one way computes of a clean stream, to the last bit."""
    token = _MEMORIES.set({})
    try:
        yield
    finally:
        _MEMORIES.reset(token)


def _memory(transformer_options: dict[str, Any]) -> StreamMemory | None:
    """The memory of the conditions at hand; None outside a run."""
    memories = _MEMORIES.get(None)
    if memories is None:
        return None
    conditions = transformer_options.get("uuids", transformer_options.get("cond_or_uncond", ()))
    return memories.setdefault(tuple(conditions), StreamMemory())


def attend_as_comfyui(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """ComfyUI's attention, with its overrides, for q, k, v [B, heads, L, head_dim]."""
    attention = partial(
        optimized_attention,
        heads=q.shape[1],
        skip_reshape=True,
        skip_output_reshape=True,
        transformer_options=_OPTIONS.get({}),
    )
    return attend_in_pieces(attention, q, k, v, stop_when_interrupted)


class RaxelNetwork(RaxelTransformer):
    """`RaxelTransformer` as ComfyUI's `diffusion_model`; its state dict is the checkpoint's."""

    def __init__(
        self,
        *,
        image_model: str,
        raxel_config: str,
        raxel_recipe: str,
        operations: ModuleType,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            config_from_json(raxel_config),
            operations=operations,
            attention=attend_as_comfyui,
            device=device,
            dtype=dtype,
        )

    def forward(  # type: ignore[override]  # ComfyUI calls it as it calls every model
        self, x: list[Tensor], timestep: Tensor, *, transformer_options: dict[str, Any] | None = None, **conds: Any
    ) -> list[Tensor]:
        """Velocities of both streams x = [video, rays] [B, C, T, h, w]; `timestep` [B] is the sampler's."""
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options)
        run = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._denoise, self, wrappers)
        return run.execute(x, timestep, transformer_options=options, **conds)

    def _denoise(
        self,
        x: list[Tensor],
        timestep: Tensor,
        *,
        levels: tuple[FrameLevels, FrameLevels],
        transformer_options: dict[str, Any],
        context: Tensor | None = None,
        control: Any = None,
        source_times: Sequence[float] = (),
        source_video: Tensor | None = None,
        source_rays: Tensor | None = None,
    ) -> list[Tensor]:
        """The velocities that the sampler's one noise level stands for: x - sigma * v is the denoised stream."""
        if control is not None:
            raise ValueError("ControlNets do not fit the joint latent of a raxel model: remove Apply ControlNet")
        at = levels[0].time.new_tensor(source_times)
        video, rays = (
            append_given(StreamFrames(stream, level.sigma, level.time), given, at)
            for stream, level, given in zip(x, levels, (source_video, source_rays), strict=True)
        )
        prefetch = block_prefetch(self.blocks, x[0].device, transformer_options)

        def before_block(index: int) -> None:
            stop_when_interrupted()
            prefetch(self.blocks[index])

        # The blocks' attention reads ComfyUI's options of this call, for which the core's forward has no argument.
        token = _OPTIONS.set(transformer_options)
        try:
            velocities = super().forward(
                video.latents,
                rays.latents,
                video.sigma,
                rays.sigma,
                video_time=video.time,
                ray_time=rays.time,
                text=context,
                on_block=before_block,
                memory=_memory(transformer_options),
            )
            prefetch(None)
        finally:
            _OPTIONS.reset(token)
        # The sampler steps by its own level times this: a stream at another level moves by its share of that.
        return [
            velocity[:, :, : stream.shape[2]] * level.share[:, None, None, None, None].to(velocity)
            for velocity, stream, level in zip(velocities, x, levels, strict=True)
        ]


class FrameLevels(NamedTuple):
    """What the network is told of the frames of one stream, in tensors, so that a compiled network sees them change.

    `sigma` [B, T] is each frame's noise level, `share` [B] the stream's own level over the sampler's, and `time` [T]
    the latent time of each frame.
    """

    sigma: Tensor
    share: Tensor
    time: Tensor


def frame_levels(
    lead: Tensor, shapes: Shapes, masks: Sequence[Tensor | None], transformer_options: dict[str, Any]
) -> tuple[FrameLevels, FrameLevels]:
    """The levels of both streams at the sampler's noise level `lead` [B], with a mask [B, T] of each or None."""
    own: Sigmas | None = transformer_options.get(SIGMAS_KEY)
    window = transformer_options.get("context_window")
    levels = []
    for index, (shape, mask) in enumerate(zip(shapes, masks, strict=True)):
        sigma = lead.float() if own is None else torch.full_like(lead, own[index], dtype=torch.float32)
        frames = sigma[:, None].expand(-1, shape[2])
        time = torch.tensor(frame_numbers(shape[2], index, window), dtype=torch.float32, device=lead.device)
        levels.append(FrameLevels(frames if mask is None else frames * mask.to(frames), sigma / lead.float(), time))
    return levels[0], levels[1]


def frame_numbers(frames: int, stream: int, window: Any) -> list[int]:
    """The numbers of a stream's latent frames in the whole clip: 0, 1, 2, ..., or those of ComfyUI's context window."""
    if window is None:
        return list(range(frames))
    numbers = list(window.get_window_for_modality(stream).index_list)
    anchor = getattr(window, "causal_anchor_index", None)
    return [anchor, *numbers] if len(numbers) == frames - 1 and anchor is not None else numbers


def block_prefetch(
    blocks: Iterable[Module], device: torch.device, transformer_options: dict[str, Any]
) -> Callable[[Module | None], None]:
    """What to call before each block, and with None after the last, so that ComfyUI fetches the next one's weights.

    ComfyUI does so where it streams weights itself (dynamic VRAM, from 0.33 on); elsewhere the call does nothing.
    """
    queue = None
    if model_prefetch is not None:
        queue = model_prefetch.make_prefetch_queue(list(blocks), device, transformer_options)
    if queue is None:
        return lambda block: None
    return lambda block: model_prefetch.prefetch_queue_pop(queue, device, block)


def patch_bare_parameters(patcher: ModelPatcher) -> None:
    """Patch the parameters that lie beside layers (modulations, gates), which ComfyUI's loading passes over.

    Without this a merge of two models would take all of them from the first. Doing so twice changes nothing.
    """
    for path, module in patcher.model.named_modules():
        if next(module.children(), None) is None:
            continue
        for name, parameter in list(module.named_parameters(recurse=False)):
            key = f"{path}.{name}"
            if key in patcher.patches and key not in patcher.backup:
                patcher.patch_weight_to_device(key, device_to=parameter.device)
