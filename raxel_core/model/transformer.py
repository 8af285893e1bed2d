"""The joint video-and-ray diffusion transformer: latents and noise levels in, velocities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import Attention, attend
from .blocks import Conditioning, SingleStreamBlock, TwoStreamBlock
from .config import RaxelConfig
from .layers import Factory, FeedForward, Head, TimeEmbedding, cast_to, sinusoidal_embedding
from .reading import Kept, StreamMemory, one_way
from .rope import axis_widths, covering_positions, rotation_table
from .sequence_parallel import TokenShares

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup  # which some builds of PyTorch lack

TIMESTEPS = 1000.0  # Wan's timestep is 1000 sigma
Grid = tuple[int, int, int]


class _Stream(NamedTuple):
    """One stream on its way to the blocks."""

    tokens: Tensor  # [B, L, dim]
    grid: Grid  # tokens per axis: T, rows, columns
    embedding: Tensor  # [B, T, dim] time embedding
    projected: Tensor  # [B, T, 6, dim]


class RaxelTransformer(nn.Module):
    """Wan 2.1 T2V's transformer with a video and a ray stream.

    `operations` is the namespace that Linear, Conv3d, LayerNorm and RMSNorm are taken from; `attention` maps q, k, v
    [B, heads, L, head_dim] to [B, heads, L, head_dim]. Weights hold nothing of use until `initialize` or a
    checkpoint fills them. `gradient_checkpointing` recomputes each block in the backward pass. `sequence_group` names
    the processes that share the work on each clip; all of them are given the same arguments and return the same.
    """

    def __init__(
        self,
        config: RaxelConfig,
        *,
        operations: Any = nn,
        attention: Attention = attend,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype
        self.gradient_checkpointing = False
        self.sequence_group: ProcessGroup | None = None
        # Modules of the video stream keep Wan's paths, so that Wan's weights and LoRAs fit; the heads do not, so that
        # no loader takes the file for plain Wan.
        make = Factory(operations, device, dtype)
        dim, channels = config.dim, config.in_channels
        self.patch_embedding = make.patches(channels, config)
        self.ray_patch_embedding = make.patches(channels, config)
        if config.text_dim is not None:
            self.text_embedding = FeedForward(config.text_dim, dim, out=dim, make=make)
        self.time_embedding = TimeEmbedding(config.freq_dim, dim, make=make)
        self.time_projection = nn.Sequential(nn.SiLU(), make.linear(dim, 6 * dim))
        self.ray_time_embedding = TimeEmbedding(config.freq_dim, dim, make=make)
        self.ray_time_projection = nn.Sequential(nn.SiLU(), make.linear(dim, 6 * dim))
        block: type[SingleStreamBlock] | type[TwoStreamBlock]
        if config.ray_representation == "plucker":
            self.plucker_embedding = FeedForward(config.ray_channels, dim, out=channels, make=make)
            block = SingleStreamBlock
        else:
            self.video_modality = make.parameter(dim)
            self.ray_modality = make.parameter(dim)
            if config.ray_entry == "aligned":
                self.ray_to_video = make.patches(channels, config)
            block = TwoStreamBlock
        self.blocks = nn.ModuleList(block(config, make=make, attention=attention) for _ in range(config.layers))
        self.video_head = Head(config, channels, make=make)
        self.ray_head = Head(config, config.ray_channels, make=make)

    def forward(
        self,
        video: Tensor,
        rays: Tensor,
        video_sigma: Tensor,
        ray_sigma: Tensor,
        *,
        video_time: Tensor | None = None,
        ray_time: Tensor | None = None,
        text: Tensor | None = None,
        on_block: Callable[[int], None] | None = None,
        memory: StreamMemory | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Velocities (noise - data) of both streams, in the shapes and dtypes of `video` and `rays`.

        `video` [B, C, T, h, w] and `rays` [B, C, Tr, hr, wr] latents (a Plücker model: maps [B, 6, Tr, h, w] of
        the first Tr video frames; of the others it knows no camera), `video_sigma` [B, T] and `ray_sigma` [B, Tr] noise
        levels of each frame (1 noise, 0 data),
        `video_time` [T] or [B, T] and `ray_time` latent times of the frames (0, 1, 2, ... unless given), `text`
        [B, M, text_dim]; `on_block(i)` is called before block i and may raise to stop. Where the network reads one way
        and one stream is clean, that stream's velocity is 0, and with `memory` what the other one reads of it is
        computed at the first of several calls alone: the same memory is given to all steps of one sampler.

        Raises ValueError when shapes do not fit. A batch that fits computes in the weights' dtype, or autocast's.
        """
        self._check_inputs(video, rays, video_sigma, ray_sigma, text)
        timed = video_time is not None or ray_time is not None
        video_time = _frame_times(video_time, video, "video_time")
        ray_time = _frame_times(ray_time, rays, "ray_time")
        dtype = self._compute_dtype(video)
        if self.config.ray_representation == "plucker":
            run = self._run_single
            if timed and not bool((video_time[:, : rays.shape[2]] == ray_time).all()):
                raise ValueError("a Plücker model has one stream, but video_time and ray_time differ")
        else:
            run = self._run_two
        # Without text the cross-attention is left out, which is how the paper's image-conditioned model runs.
        text = None if text is None else self.text_embedding(text.to(dtype))
        stop = on_block or (lambda index: None)
        v_video, v_rays = run(
            video.to(dtype), rays.to(dtype), (video_sigma, ray_sigma), (video_time, ray_time), text, stop, memory
        )
        return v_video.to(video.dtype), v_rays.to(rays.dtype)

    def _run_two(
        self,
        video: Tensor,
        rays: Tensor,
        sigmas: tuple[Tensor, Tensor],
        times: tuple[Tensor, Tensor],
        text: Tensor | None,
        on_block: Callable[[int], None],
        memory: StreamMemory | None,
    ) -> tuple[Tensor, Tensor]:
        reading = one_way(*sigmas) if self.config.reads == "one_way" else None
        if reading is not None and self.sequence_group is not None:
            reading = reading._replace(clean=None)  # processes exchange the tokens of both streams at once
        v = _enter(self.patch_embedding(video), sigmas[0], self.time_embedding, self.time_projection)
        r = _enter(self.ray_patch_embedding(rays), sigmas[1], self.ray_time_embedding, self.ray_time_projection)
        x_video = v.tokens + cast_to(self.video_modality, v.tokens)
        x_rays = r.tokens + cast_to(self.ray_modality, r.tokens)
        if self.config.ray_entry == "aligned" and (reading is None or reading.clean != "video"):
            added = self._aligned(rays, times, video)
            x_video = x_video + (added if reading is None else added * reading.video.to(added))
        rotations = (self._rotation(times[0], v.grid, v.grid), self._rotation(times[1], r.grid, v.grid))
        shares = None
        if self.sequence_group is not None:
            shares = TokenShares(self.sequence_group, self.config.heads, (v.grid, r.grid))
            x_video, x_rays = shares.take(x_video, 0), shares.take(x_rays, 1)
            rotations = (shares.take(rotations[0], 0), shares.take(rotations[1], 1))
        condition = Conditioning(v.projected, r.projected, _join_rotations(*rotations), text, shares, reading)
        kept = self._kept(memory, condition, (x_video, x_rays))
        for index, block in enumerate(self.blocks):
            on_block(index)
            last = index + 1 == len(self.blocks)
            x_video, x_rays = self._run_block(block, x_video, x_rays, condition, kept[index], last)
        if shares is not None:
            x_video, x_rays = shares.gather(x_video, 0), shares.gather(x_rays, 1)
        clean = None if reading is None else reading.clean
        return (
            torch.zeros_like(video) if clean == "video" else self.video_head(x_video, v.embedding, v.grid),
            torch.zeros_like(rays) if clean == "rays" else self.ray_head(x_rays, r.embedding, r.grid),
        )

    def compile_blocks(self) -> None:
        """Have PyTorch compile each block when it is first run, for any number of tokens; its results differ by
        rounding alone."""
        for block in self.blocks:
            block.compile(dynamic=True)

    def _kept(
        self, memory: StreamMemory | None, condition: Conditioning, tokens: tuple[Tensor, Tensor]
    ) -> Sequence[Kept | None]:
        """Where each block keeps the keys and values of the clean stream; None where nothing is kept."""
        reading, layers = condition.reading, len(self.blocks)
        if memory is None or reading is None or reading.clean is None:
            return [None] * layers
        split = tokens[0].shape[1]
        if reading.clean == "video":
            return memory.of((tokens[0], condition.video, condition.rotation[:, :split], condition.text), layers)
        return memory.of((tokens[1], condition.rays, condition.rotation[:, split:], None), layers)

    def _aligned(self, rays: Tensor, times: tuple[Tensor, Tensor], video: Tensor) -> Tensor:
        """What the rays add to the video's tokens [B, L, dim] at their own place: each frame of the video takes the
        mean of the ray frames of its latent time, nothing where there is none."""
        same = (times[0][:, :, None] == times[1][:, None]).to(rays.dtype)  # [1 or B, T, Tr]
        share = (same / same.sum(-1, keepdim=True).clamp_min(1)).expand(rays.shape[0], -1, -1)
        resized = F.interpolate(rays.float(), size=(rays.shape[2], *video.shape[3:]), mode="trilinear").to(rays.dtype)
        of_frames = torch.einsum("btu,bcuhw->bcthw", share, resized)
        return self.ray_to_video(of_frames).flatten(2).transpose(1, 2)

    def _run_single(
        self,
        video: Tensor,
        rays: Tensor,
        sigmas: tuple[Tensor, Tensor],
        times: tuple[Tensor, Tensor],
        text: Tensor | None,
        on_block: Callable[[int], None],
        memory: StreamMemory | None,
    ) -> tuple[Tensor, Tensor]:
        """Plücker maps join the latents by channels: a convolution over both is the sum of one over each.

        A video frame without a map, as a picture that is shown without its camera, gets one of zeros at noise level 1:
        the mean of all maps, said to hold nothing.
        """
        if self.sequence_group is not None:
            raise ValueError("only a model with a stream of rays can share a clip among processes, not a Plücker model")
        given, missing = rays.shape[2], video.shape[2] - rays.shape[2]
        rays = nn.functional.pad(rays, (0, 0, 0, 0, 0, missing))
        ray_sigma = nn.functional.pad(sigmas[1], (0, missing), value=1.0)
        maps = self.plucker_embedding(rays.movedim(1, -1)).movedim(-1, 1)  # [B, C, T, h, w]
        v = _enter(self.patch_embedding(video), sigmas[0], self.time_embedding, self.time_projection)
        r = _enter(self.ray_patch_embedding(maps), ray_sigma, self.ray_time_embedding, self.ray_time_projection)
        x = v.tokens + r.tokens
        condition = Conditioning(
            video=v.projected + r.projected,
            rays=None,
            rotation=self._rotation(times[0], v.grid, v.grid),
            text=text,
        )
        for index, block in enumerate(self.blocks):
            on_block(index)
            x = self._run_block(block, x, condition)
        return self.video_head(x, v.embedding, v.grid), self.ray_head(x, r.embedding, v.grid)[:, :, :given]

    def _run_block(self, block: nn.Module, *args: Tensor | Conditioning | Kept | bool | None) -> Any:
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *args, use_reentrant=False)
        return block(*args)

    def _rotation(self, time: Tensor, grid: Grid, video_grid: Grid) -> Tensor:
        rows = covering_positions(grid[1], video_grid[1])
        columns = covering_positions(grid[2], video_grid[2])
        config = self.config
        return rotation_table(
            time, rows, columns, head_dim=config.head_dim, base=config.rope_base, scale=config.rope_scale
        )

    def _compute_dtype(self, video: Tensor) -> torch.dtype:
        """Autocast's dtype, else that of the weights; layers that cast their own weights follow the input."""
        if torch.is_autocast_enabled(video.device.type):
            return torch.get_autocast_dtype(video.device.type)
        embedding = self.patch_embedding
        if isinstance(embedding, nn.Conv3d) and type(embedding).forward is nn.Conv3d.forward:
            return embedding.weight.dtype
        return video.dtype

    def _check_inputs(
        self, video: Tensor, rays: Tensor, video_sigma: Tensor, ray_sigma: Tensor, text: Tensor | None
    ) -> None:
        config = self.config
        _check_latents("video", video, config.in_channels, config.patch)
        _check_latents("rays", rays, config.ray_channels, config.patch)
        if rays.shape[0] != video.shape[0]:
            raise ValueError(f"rays hold {rays.shape[0]} samples but the video holds {video.shape[0]}")
        if config.ray_representation == "plucker" and (
            rays.shape[3:] != video.shape[3:] or rays.shape[2] > video.shape[2]
        ):
            raise ValueError(
                f"Plücker maps of size {tuple(rays.shape[2:])} must match the video latents {tuple(video.shape[2:])}"
            )
        for name, sigma, x in (("video_sigma", video_sigma, video), ("ray_sigma", ray_sigma, rays)):
            expected = (x.shape[0], x.shape[2])
            if tuple(sigma.shape) != expected:
                raise ValueError(f"{name} has shape {tuple(sigma.shape)}, expected [B, T] = {expected}")
        if text is not None:
            self._check_text(text, video.shape[0])

    def _check_text(self, text: Tensor, batch: int) -> None:
        if self.config.text_dim is None:
            raise ValueError("text was given to a model without text modules (text_dim is None)")
        if text.ndim != 3 or text.shape[0] != batch or text.shape[2] != self.config.text_dim:
            expected = f"[{batch}, M, {self.config.text_dim}]"
            raise ValueError(f"text has shape {tuple(text.shape)}, expected {expected}")


def initialize(
    model: RaxelTransformer, *, gate: float, generator: torch.Generator, attention_prior: float = 0.0
) -> None:
    """Fill `model` for training from scratch, on its device; `gate` is the start of the inter-modal gates.

    Xavier weights and zero biases, residual projections scaled by 1 / sqrt(2 layers), AdaLN that starts as the
    identity (shift 0, scale 0, gate 1, whatever the noise level), heads that start at zero velocity. An
    `attention_prior` above 0 is the bias of self-attention's q and k in the channels that turn fastest with time, row
    and column, so that each token begins by reading its own place and those near it.
    """
    for name, parameter in model.named_parameters():
        _fill(name, parameter.data, generator, layers=model.config.layers, gate=gate)
    if attention_prior:
        channels = prior_channels(model.config.head_dim, model.config.heads)
        for name, parameter in model.named_parameters():
            if name.endswith(("self_attn.q.bias", "self_attn.k.bias")):
                parameter.data[channels] = attention_prior


RESIDUAL_OUTPUTS = ("attn.o.weight", "ffn.2.weight")
ZERO_OUTPUTS = ("head.head.", "time_projection", "ray_to_video.")
PRIOR_PAIRS = (2, 3, 3)  # of time, rows and columns, fastest first


def prior_channels(head_dim: int, heads: int) -> Tensor:
    """The channels [N] of all heads that hold the cosine of the fastest pairs of each axis (`PRIOR_PAIRS`): equal q
    and k in them score sum of cos(angle of the offset), highest at a token's own place."""
    first, of_head = 0, []
    for pairs, width in zip(PRIOR_PAIRS, axis_widths(head_dim), strict=True):
        of_head += [first + 2 * pair for pair in range(min(pairs, width // 2))]
        first += width
    return torch.tensor([head * head_dim + channel for head in range(heads) for channel in of_head])


def _fill(name: str, weight: Tensor, generator: torch.Generator, *, layers: int, gate: float) -> None:
    leaf = name.rsplit(".", 1)[-1]
    if "inter_gate" in leaf:
        weight.fill_(gate)
    elif leaf.endswith("modulation"):
        weight.zero_()
        if weight.shape[1] == 6:
            weight[:, (2, 5)] = 1.0
    elif leaf.endswith("modality"):
        weight.normal_(0.0, 0.02, generator=generator)
    elif leaf == "bias" or any(part in name for part in ZERO_OUTPUTS):
        weight.zero_()
    elif weight.ndim == 1:  # norms
        weight.fill_(1.0)
    else:
        nn.init.xavier_uniform_(weight.flatten(1), generator=generator)
        if name.endswith(RESIDUAL_OUTPUTS):
            weight.mul_((2 * layers) ** -0.5)


def _enter(embedded: Tensor, sigma: Tensor, embedding: TimeEmbedding, projection: nn.Module) -> _Stream:
    """Tokens and time embeddings of one stream from its patch embedding [B, dim, T, rows, columns]."""
    features = sinusoidal_embedding(TIMESTEPS * sigma.float(), embedding.width).to(embedded.dtype)
    time = embedding(features)  # [B, T, dim]
    projected = projection(time).unflatten(-1, (6, -1))  # [B, T, 6, dim]
    grid = (embedded.shape[2], embedded.shape[3], embedded.shape[4])
    return _Stream(embedded.flatten(2).transpose(1, 2).contiguous(), grid, time, projected)


def _join_rotations(video: Tensor, rays: Tensor) -> Tensor:
    """One table [1 or B, L + Lr, 1, head_dim / 2, 2]; a shared table is repeated where the other has one per sample."""
    batch = max(video.shape[0], rays.shape[0])
    return torch.cat([table.expand(batch, -1, -1, -1, -1) for table in (video, rays)], dim=1)


def _frame_times(time: Tensor | None, x: Tensor, name: str) -> Tensor:
    """Latent times [1 or B, T] of the frames of `x`."""
    batch, frames = x.shape[0], x.shape[2]
    if time is None:
        return torch.arange(frames, device=x.device).unsqueeze(0)
    if tuple(time.shape) not in ((frames,), (batch, frames)):
        expected = f"[T] = ({frames},) or [B, T] = {batch, frames}"
        raise ValueError(f"{name} has shape {tuple(time.shape)}, expected {expected}")
    return time.to(x.device).reshape(-1, frames)


def _check_latents(name: str, x: Tensor, channels: int, patch: Grid) -> None:
    if x.ndim != 5:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, expected five axes [B, {channels}, T, h, w]")
    if x.shape[1] != channels:
        raise ValueError(f"{name} has {x.shape[1]} channels, expected {channels}")
    if 0 in x.shape:
        raise ValueError(f"{name} of shape {tuple(x.shape)} is empty")
    if x.shape[3] % patch[1] or x.shape[4] % patch[2]:
        raise ValueError(f"{name} latents of {x.shape[3]} x {x.shape[4]} do not divide into patches of {patch[1:]}")
