"""One transformer block: Wan's own, and the two-stream block of Rays as Pixels built on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .attention import Attention
from .config import RaxelConfig
from .layers import Factory, FeedForward, WanAttention, cast_to, cross_attend, gated_add, merge_heads, modulate
from .reading import Kept, KeysValues, Reading
from .sequence_parallel import TokenShares

Meeting = Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]


class Conditioning(NamedTuple):
    """What every block is told: the same values for all blocks of one forward pass."""

    video: Tensor  # [B, T, 6, dim] projected time embedding of the video stream
    rays: Tensor | None  # [B, Tr, 6, dim] of the ray stream
    rotation: Tensor  # [1 or B, L + Lr, 1, head_dim / 2, 2], video tokens first
    text: Tensor | None  # [B, M, dim] embedded text
    shares: TokenShares | None = None  # where the tokens, and their rotation, are those of one process of several
    reading: Reading | None = None  # who reads whom; None: each stream the other


class _Stream(NamedTuple):
    """The layers of a block that belong to one stream, and what that stream is told."""

    norm1: nn.Module
    inter_norm: nn.Module
    norm2: nn.Module
    ffn: nn.Module
    inter_gate: Tensor
    modulation: tuple[Tensor, ...]  # six of [B, T, dim]
    rotation: Tensor  # [1 or B, L, 1, head_dim / 2, 2]


class WanLayers(nn.Module):
    """The layers of Wan's block under Wan's keys: self-attention, text cross-attention, FFN, modulation."""

    def __init__(self, config: RaxelConfig, *, make: Factory, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.norm1 = make.layer_norm(config, affine=False)
        self.norm2 = make.layer_norm(config, affine=False)
        self.self_attn = WanAttention(config, make=make)
        self.ffn = FeedForward(config.dim, config.ffn_dim, out=config.dim, make=make)
        self.modulation = make.parameter(1, 6, config.dim)
        if config.text_dim is not None:
            self.norm3 = make.layer_norm(config, affine=True)
            self.cross_attn = WanAttention(config, make=make)

    def read_text(self, video: Tensor, text: Tensor | None) -> Tensor:
        """Text cross-attention of the video stream [B, L, dim]; without text the stream passes unchanged."""
        if text is None:
            return video
        return video + cross_attend(self.cross_attn, self.norm3(video), text, self.attention)


class SingleStreamBlock(WanLayers):
    """Wan's block as it is."""

    def forward(self, video: Tensor, condition: Conditioning) -> Tensor:
        """One step of the single stream: tokens [B, L, dim] -> [B, L, dim]."""
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = split_modulation(self.modulation, condition.video, video)
        h = modulate(self.norm1(video), shift, scale)
        q = self.self_attn.query(h, condition.rotation)
        k, v = self.self_attn.key_value(h, condition.rotation)
        video = gated_add(video, self.self_attn.o(merge_heads(self.attention(q, k, v))), gate)
        video = self.read_text(video, condition.text)
        return gated_add(video, self.ffn(modulate(self.norm2(video), ffn_shift, ffn_scale)), ffn_gate)


class TwoStreamBlock(WanLayers):
    """Wan's block with a second stream for rays, sharing the attention projections (Rays as Pixels, Fig. 4).

    attention "dsca": self-attention within each stream, then attention to the other stream both ways at once, from
    the features after self-attention, behind one gate vector per stream. `ray_norm3` is the ray stream's norm of
    that stage as Wan's norm3 is of text; the video stream has `inter_norm`, since text uses its norm3.
    attention "joint": one self-attention over the tokens of both streams instead.
    """

    def __init__(self, config: RaxelConfig, *, make: Factory, attention: Attention) -> None:
        super().__init__(config, make=make, attention=attention)
        self.joint = config.attention == "joint"
        self.ray_norm1 = make.layer_norm(config, affine=False)
        self.ray_norm2 = make.layer_norm(config, affine=False)
        self.ray_ffn = FeedForward(config.dim, config.ffn_dim, out=config.dim, make=make)
        self.ray_modulation = make.parameter(1, 6, config.dim)
        if self.joint:
            return
        self.inter = {"self": "self_attn", "text": "cross_attn", "new": "inter_attn"}[config.inter]
        self.ray_norm3 = make.layer_norm(config, affine=True)
        self.inter_norm = make.layer_norm(config, affine=True)
        self.inter_gate = make.parameter(config.dim)
        self.ray_inter_gate = make.parameter(config.dim)
        if config.inter == "new":
            self.inter_attn = WanAttention(config, make=make)

    def forward(
        self, video: Tensor, rays: Tensor, condition: Conditioning, kept: Kept | None = None, last: bool = False
    ) -> tuple[Tensor, Tensor]:
        """One step of both streams: video tokens [B, L, dim] and ray tokens [B, Lr, dim].

        Where one stream is clean and reads nothing, `kept` is where its keys and values go, or come from when they are
        there: its own tokens then come back as they are, and in the `last` block too, since nothing reads them.
        """
        assert condition.rays is not None
        if condition.reading is not None and condition.reading.clean is not None:
            return self._read_one_way(video, rays, condition, kept, last)
        video_mod = split_modulation(self.modulation, condition.video, video)
        ray_mod = split_modulation(self.ray_modulation, condition.rays, rays)
        h_video = modulate(self.norm1(video), video_mod[0], video_mod[1])
        h_rays = modulate(self.ray_norm1(rays), ray_mod[0], ray_mod[1])
        meet = self._meet_jointly if self.joint else self._stay_within
        y_video, y_rays = self._attend(self.self_attn, h_video, h_rays, condition, meet)
        video = gated_add(video, y_video, video_mod[2])
        rays = gated_add(rays, y_rays, ray_mod[2])
        if not self.joint:
            video, rays = self._exchange(video, rays, condition)
        video = self.read_text(video, condition.text)
        y_video = self.ffn(modulate(self.norm2(video), video_mod[3], video_mod[4]))
        y_rays = self.ray_ffn(modulate(self.ray_norm2(rays), ray_mod[3], ray_mod[4]))
        return gated_add(video, y_video, video_mod[5]), gated_add(rays, y_rays, ray_mod[5])

    def _read_one_way(
        self, video: Tensor, rays: Tensor, condition: Conditioning, kept: Kept | None, last: bool
    ) -> tuple[Tensor, Tensor]:
        """The clean stream on its own, then the other one, which reads its keys and values."""
        assert condition.reading is not None and condition.rays is not None
        split = video.shape[1]
        ours = _Stream(
            self.norm1, self.inter_norm, self.norm2, self.ffn, self.inter_gate,
            split_modulation(self.modulation, condition.video, video), condition.rotation[:, :split],
        )  # fmt: skip
        theirs = _Stream(
            self.ray_norm1, self.ray_norm3, self.ray_norm2, self.ray_ffn, self.ray_inter_gate,
            split_modulation(self.ray_modulation, condition.rays, rays), condition.rotation[:, split:],
        )  # fmt: skip
        if condition.reading.clean == "video":
            video, read = self._clean(ours, video, kept, None if last else condition.text, last)
            return video, self._noisy(theirs, rays, read, None)
        rays, read = self._clean(theirs, rays, kept, None, last)
        return self._noisy(ours, video, read, condition.text), rays

    def _clean(
        self, stream: _Stream, x: Tensor, kept: Kept | None, text: Tensor | None, last: bool
    ) -> tuple[Tensor, KeysValues]:
        """Tokens [B, L, dim] of a stream that reads nothing, and the keys and values that are read of it."""
        if kept is not None and kept.keys_values is not None:
            return x, kept.keys_values
        x = self._within(stream, x)
        read = self._inter.key_value(stream.inter_norm(x), stream.rotation)
        if kept is not None:
            kept.keys_values = read
        if last:
            return x, read
        return self._think(stream, self.read_text(x, text)), read

    def _noisy(self, stream: _Stream, x: Tensor, read: KeysValues, text: Tensor | None) -> Tensor:
        """Tokens [B, L, dim] of the stream that reads the other one's keys and values."""
        x = self._within(stream, x)
        q = self._inter.query(stream.inter_norm(x), stream.rotation)
        y = self._inter.o(merge_heads(self.attention(q, *read)))
        x = gated_add(x, y, cast_to(stream.inter_gate, x)[None, None])
        return self._think(stream, self.read_text(x, text))

    def _within(self, stream: _Stream, x: Tensor) -> Tensor:
        """Self-attention of one stream [B, L, dim]."""
        shift, scale, gate = stream.modulation[:3]
        h = modulate(stream.norm1(x), shift, scale)
        q = self.self_attn.query(h, stream.rotation)
        k, v = self.self_attn.key_value(h, stream.rotation)
        return gated_add(x, self.self_attn.o(merge_heads(self.attention(q, k, v))), gate)

    def _think(self, stream: _Stream, x: Tensor) -> Tensor:
        """The feed-forward layers of one stream [B, L, dim]."""
        shift, scale, gate = stream.modulation[3:]
        return gated_add(x, stream.ffn(modulate(stream.norm2(x), shift, scale)), gate)

    @property
    def _inter(self) -> WanAttention:
        """The projections of the inter-modal stage."""
        layer = getattr(self, self.inter)
        assert isinstance(layer, WanAttention)
        return layer

    def _exchange(self, video: Tensor, rays: Tensor, condition: Conditioning) -> tuple[Tensor, Tensor]:
        """The inter-modal stage: each stream reads the other, both as they were before it."""
        y_video, y_rays = self._attend(
            self._inter,
            self.inter_norm(video),
            self.ray_norm3(rays),
            condition,
            self._meet_across,
        )
        gate, ray_gate = cast_to(self.inter_gate, video), cast_to(self.ray_inter_gate, rays)
        if condition.reading is not None:
            y_video, y_rays = y_video * condition.reading.video.to(y_video), y_rays * condition.reading.rays.to(y_rays)
        return gated_add(video, y_video, gate[None, None]), gated_add(rays, y_rays, ray_gate[None, None])

    def _attend(
        self, layer: WanAttention, video: Tensor, rays: Tensor, condition: Conditioning, meet: Meeting
    ) -> tuple[Tensor, Tensor]:
        """One attention layer over both streams. Projections act on each token alone, so both streams pass them in
        one call: weights that stream from RAM are moved once. `meet` decides who sees whom."""
        lengths = (video.shape[1], rays.shape[1])
        both = torch.cat((video, rays), dim=1)
        q = layer.query(both, condition.rotation)
        k, v = layer.key_value(both, condition.rotation)  # [B, heads, L + Lr, head_dim]
        shares = condition.shares
        attended = meet(q, k, v, lengths) if shares is None else shares.attend(meet, q, k, v)
        y_video, y_rays = layer.o(attended).split(lengths, dim=1)
        return y_video, y_rays

    def _stay_within(self, q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, int]) -> Tensor:
        (qv, qr), (kv, kr), (vv, vr) = (x.split(lengths, dim=2) for x in (q, k, v))
        return merge_heads(self.attention(qv, kv, vv), self.attention(qr, kr, vr))

    def _meet_across(self, q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, int]) -> Tensor:
        (qv, qr), (kv, kr), (vv, vr) = (x.split(lengths, dim=2) for x in (q, k, v))
        return merge_heads(self.attention(qv, kr, vr), self.attention(qr, kv, vv))

    def _meet_jointly(self, q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, int]) -> Tensor:
        return merge_heads(self.attention(q, k, v))


def split_modulation(table: Tensor, projected: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """The six vectors [B, T, dim] (shift, scale, gate of attention, then of the FFN) of Wan's modulation."""
    return (cast_to(table, x) + projected).unbind(2)
