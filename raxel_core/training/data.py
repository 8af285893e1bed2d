"""Clips as cached latents, and the batch of any step as a function of the step's number alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..atomic_file import alone
from ..geometry.camera import Camera
from ..latents.vae import VideoVAE, encode_images
from ..latents.wan_vae import WanVAE
from ..weights.tensor_file import fingerprint, write_tensors
from .clock import Clock
from .config import RunConfig
from .rendered import OtherViews, RenderedClips
from .scene_sets import SCENE_SETS, Sets, check_seen, split_seeds
from .synthetic import SPLITS, SyntheticBatch

RENDER_BATCH = 8
DEVICE_RENDER_BATCH = 256
UNMARKED = "29e907d94bd7a924"  # raxel-tiny-vae, which coded the caches that name no VAE
ENCODED_PIXELS = 2**25  # that a VAE is given at once: one clip of 81 frames of 480x832


@dataclass(frozen=True)
class LatentClips:
    """Clips as raw latents. `video` [B, C, T, h, w]; `images` [B, C, N, h, w], pixel frames `image_frame` [B, N] coded
    alone, frame 0 first; `camera` [B, F] in world units; `near_depth` [B, F] in the same.

    Images of a scene that lie off the clip come last: their `image_frame` lies outside it, maybe between frames, and
    `image_camera` [B, N] and `image_near` [B, N] are theirs. `captions` are texts by clip, none where there are none.
    `lead` [B, C, T, h, w] are the clips with all frames after the first grey, where a run asks for them.
    """

    video: Tensor
    images: Tensor
    image_frame: Tensor
    camera: Camera
    near_depth: Tensor
    image_camera: Camera
    image_near: Tensor
    captions: tuple[str, ...] = ()
    lead: Tensor | None = None

    def __len__(self) -> int:
        return self.video.shape[0]

    def __getitem__(self, index: Tensor | slice) -> LatentClips:
        numbers = torch.arange(len(self))[index].tolist()
        return LatentClips(
            self.video[index], self.images[index], self.image_frame[index], self.camera[index], self.near_depth[index],
            self.image_camera[index], self.image_near[index],
            tuple(self.captions[number] for number in numbers) if self.captions else (),
            None if self.lead is None else self.lead[index],
        )  # fmt: skip

    def half(self) -> LatentClips:
        """The same with latents in fp16."""
        lead = None if self.lead is None else self.lead.half()
        return replace(self, video=self.video.half(), images=self.images.half(), lead=lead)

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> LatentClips:
        return replace(
            self, video=self.video.to(device, dtype), images=self.images.to(device, dtype),
            image_frame=self.image_frame.to(device, dtype), camera=self.camera.to(device, dtype),
            near_depth=self.near_depth.to(device, dtype), image_camera=self.image_camera.to(device, dtype),
            image_near=self.image_near.to(device, dtype),
            lead=None if self.lead is None else self.lead.to(device, dtype),
        )  # fmt: skip


def clips_of_frames(
    video: Tensor, images: Tensor, image_frame: Tensor, camera: Camera, near_depth: Tensor
) -> LatentClips:
    """Clips whose images are all of their own frames `image_frame` [B, N]."""
    rows = torch.arange(len(image_frame), device=image_frame.device)[:, None]
    of_images = camera[rows, image_frame]
    return LatentClips(video, images, image_frame.float(), camera, near_depth, of_images, near_depth[rows, image_frame])


def render_clips(
    config: RunConfig, vae: VideoVAE, seeds: range, *, scenes: Mapping[str, float], clock: Clock | None = None,
    batch: int = RENDER_BATCH, device: torch.device | str = "cpu", fast: bool = False, sets: Sets = SCENE_SETS,
) -> LatentClips:  # fmt: skip
    """The latents of the scenes of `seeds`, shares of them by set of `sets`; the clips of odd seeds run backwards in
    time. `clock` is told what "render" and "encode" cost. `batch` scenes at a time are made on the `device`, which is
    the VAE's, by a compiled tracer if `fast`."""
    clock = clock or Clock()
    parts = []
    for name, part in split_seeds(seeds, scenes, batch=batch):
        for start in range(0, len(part), batch):
            with clock.part("render"):
                seen = part[start : start + batch]
                rendered = sets[name](seen, frames=config.frames, hw=config.hw, device=device, fast=fast)
            with clock.part("encode"):
                if isinstance(rendered, SyntheticBatch):
                    rendered = RenderedClips(rendered.video, rendered.camera, rendered.near_depth)
                odd = torch.tensor([seed % 2 == 1 for seed in seen], device=rendered.video.device)
                parts.append(_encode(_reversed(rendered, odd), vae, part[start], config))
    return _join(parts)


def in_parts(encode: Callable[[Tensor], Tensor], video: Tensor) -> Tensor:
    """`encode` of clips [B, 3, F, H, W], so many at once as ENCODED_PIXELS hold."""
    count = max(1, ENCODED_PIXELS // video[0, 0].numel())
    return torch.cat([encode(part) for part in video.split(count)])


def _reversed(batch: RenderedClips, chosen: Tensor) -> RenderedClips:
    """The clips, those that are `chosen` [B] backwards in time."""
    video, near = batch.video.clone(), batch.near_depth.clone()
    video[chosen], near[chosen] = video[chosen].flip(2), near[chosen].flip(1)
    camera = batch.camera
    world_from_cam, K = camera.world_from_cam.clone(), camera.K.clone()
    world_from_cam[chosen], K[chosen] = world_from_cam[chosen].flip(1), K[chosen].flip(1)
    others = batch.others
    if others is not None:
        frame = others.frame.clone()
        frame[chosen] = video.shape[2] - 1 - frame[chosen]
        others = replace(others, frame=frame)
    camera = replace(camera, world_from_cam=world_from_cam, K=K)
    return RenderedClips(video, camera, near, others, batch.captions)


@torch.no_grad()
def _encode(batch: RenderedClips, vae: VideoVAE, seed: int, config: RunConfig) -> LatentClips:
    clips, frames = batch.near_depth.shape
    generator = torch.Generator().manual_seed(seed)
    later = torch.rand(clips, frames - 1, generator=generator).argsort(1)[:, : config.stored_images] + 1
    image_frame = torch.cat([torch.zeros(clips, 1, dtype=torch.long), later], 1).to(batch.video.device)
    images = torch.gather(batch.video, 2, image_frame[:, None, :, None, None].expand(-1, 3, -1, *batch.video.shape[3:]))
    video = in_parts(vae.encode, batch.video)
    coded = in_parts(lambda part: encode_images(vae, part), images)
    found = clips_of_frames(video, coded, image_frame, batch.camera, batch.near_depth)
    if config.codes_lead:
        alone = torch.cat((batch.video[:, :, :1], torch.zeros_like(batch.video[:, :, 1:])), 2)
        found = replace(found, lead=in_parts(vae.encode, alone))
    if not config.off_path_images:
        return replace(found, captions=batch.captions)
    others = batch.others or _others_of(batch, generator)
    count = config.off_path_images
    coded = in_parts(lambda part: encode_images(vae, part), others.video[:, :, :count])
    return replace(
        found, images=torch.cat((found.images, coded), 2),
        image_frame=torch.cat((found.image_frame, others.frame[:, :count].to(found.image_frame)), 1),
        image_camera=_side_by_side(found.image_camera, others.camera[:, :count]),
        image_near=torch.cat((found.image_near, others.near_depth[:, :count].to(found.image_near)), 1),
        captions=batch.captions,
    )  # fmt: skip


def _others_of(batch: RenderedClips, generator: torch.Generator) -> OtherViews:
    """Frames of the clip itself, for scenes that have no views beside it."""
    frames = batch.near_depth.shape[1]
    chosen = torch.rand(frames, generator=generator).argsort()
    return OtherViews(
        batch.video[:, :, chosen], batch.camera[:, chosen], batch.near_depth[:, chosen],
        chosen.float().expand(len(batch.video), -1),
    )  # fmt: skip


def _side_by_side(a: Camera, b: Camera) -> Camera:
    motions = torch.cat((a.world_from_cam, b.world_from_cam.to(a.world_from_cam)), 1)
    return Camera(motions, torch.cat((a.K, b.K.to(a.K)), 1), a.hw)


def _join(parts: list[LatentClips]) -> LatentClips:
    """All clips of the parts as one value; where some have captions, the others have empty ones."""
    captions = tuple(text for part in parts for text in part.captions or ("",) * len(part))
    leads = [part.lead for part in parts if part.lead is not None]
    return LatentClips(
        torch.cat([part.video for part in parts]), torch.cat([part.images for part in parts]),
        torch.cat([part.image_frame for part in parts]), _all([part.camera for part in parts]),
        torch.cat([part.near_depth for part in parts]), _all([part.image_camera for part in parts]),
        torch.cat([part.image_near for part in parts]), captions if any(captions) else (),
        torch.cat(leads) if leads else None,
    )  # fmt: skip


def _all(cameras: list[Camera]) -> Camera:
    """Cameras [B, F] behind each other."""
    motions = torch.cat([camera.world_from_cam for camera in cameras])
    return Camera(motions, torch.cat([camera.K for camera in cameras]), cameras[0].hw)


class ClipPool:
    """`config.clips` training clips in shards of a folder, each rendered when first asked for and then kept in fp16.

    After `config.clip_uses` rounds of the pool the next one begins, of new scenes, and the files of the last are
    removed; what a step reads is a function of its number all the same. `fast` has PyTorch compile the tracer first, on
    a CPU by a C++ compiler; the pictures then differ by some parts in 10^5.
    """

    def __init__(
        self, config: RunConfig, vae: VideoVAE, folder: Path, *, fast: bool = False, sets: Sets = SCENE_SETS
    ) -> None:
        """`sets` are the scenes by name: the synthetic ones, and data sets of filmed ones."""
        self.config, self.vae, self.folder, self.fast, self.sets = config, vae, folder, fast, sets
        self.device = torch.device("cpu")  # where clips are made; the VAE's
        folder.mkdir(parents=True, exist_ok=True)
        self.reached: Synchronized[int] | None = None  # the visit that the run is at, for who renders ahead of it
        self._held: tuple[int, LatentClips] | None = None

    def batch(self, step: int) -> LatentClips:
        """The clips of a step: rounds visit the shards, and a shard its clips, each time in another order."""
        config = self.config
        visit, place = divmod(step, self.steps_of_visit)
        turn, shard = self.visited(visit)
        if self.reached is not None:
            self.reached.value = visit
        order = _order(config.shard_clips, (config.seed, turn, shard))
        clips = self.shard(shard)
        return clips[order[place * config.batch : (place + 1) * config.batch]].to(clips.video.device)

    @property
    def steps_of_visit(self) -> int:
        """How many steps follow each other on one shard."""
        return self.config.shard_clips // self.config.batch

    def visited(self, visit: int) -> tuple[int, int]:
        """The round and the shard of a visit."""
        shards = self.config.clips // self.config.shard_clips
        turn, place = divmod(visit, shards)
        pool = turn // self.config.clip_uses if self.config.clip_uses else 0
        return turn, pool * shards + int(_order(shards, (self.config.seed, turn))[place])

    def shard(self, index: int) -> LatentClips:
        """All clips of one shard, in fp16; the last one asked for stays in memory."""
        if self._held is None or self._held[0] != index:
            self._remove_before(index)
            self._held = (index, self.stored(*self._scenes(index), scenes=dict(self.config.scenes)))
        return self._held[1]

    def render_shard(self, index: int) -> None:
        """Make the file of one shard, unless it is there."""
        self._ensure(*self._scenes(index), scenes=dict(self.config.scenes))

    def validation(self) -> LatentClips:
        """The clips that a run is watched by, none of them ever trained on."""
        first = SPLITS["validation"].start
        seeds = range(first, first + self.config.validation_clips)
        return self.stored("validation", seeds, scenes={self.config.validation_scenes: 1.0})

    def stored(self, name: str, seeds: range, *, scenes: Mapping[str, float]) -> LatentClips:
        """The clips of `seeds` from the file `name` of the folder, rendered into it first where it is missing."""
        return _load(self._ensure(name, seeds, scenes=scenes), self.config.hw)

    @cached_property
    def vae_mark(self) -> str:
        """What tells the VAE of the clips from others (`vae_mark`)."""
        return vae_mark(self.vae)

    def _ensure(self, name: str, seeds: range, *, scenes: Mapping[str, float]) -> Path:
        """The file of these clips, made where it is missing. ValueError where it is another VAE's."""
        config, path = self.config, self.folder / f"{name}.safetensors"
        content = f"{config.frames} frames {config.hw} seeds {seeds} scenes {dict(scenes)}"
        films = [getattr(self.sets[known], "content", "") for known in scenes]  # which scenes of data sets, and how
        content += "".join(films) + f" images {1 + config.stored_images} and {config.off_path_images} off the path"
        content += " with first frames" * config.codes_lead
        measured = " ".join(getattr(self.sets[known], "measured", "") for known in scenes)
        if self._holds(path, content, measured):
            return path
        with alone(path):  # the other processes of a run want it too
            if not self._holds(path, content, measured):
                made = render_clips(config, self.vae, seeds, scenes=scenes, device=self.device, fast=self.fast,
                                    sets=self.sets)  # fmt: skip
                _save(path, made, {"content": content, "depths": measured, "vae": self.vae_mark})
        return path

    def _holds(self, path: Path, content: str, measured: str) -> bool:
        """Whether a file is there, of this content and these depths; ValueError where another VAE than the run's coded
        it. Files of before are of the VAE that ships, or of Wan's own, and of the depths of now."""
        said = _said(path) if path.exists() else {}
        if said.get("content") != content or said.get("depths", measured) != measured:
            return False
        own = self.vae_mark
        if said.get("vae", own if isinstance(self.vae, WanVAE) else UNMARKED) != own:
            raise ValueError(
                f"{path} holds clips that another VAE coded than the run's: give the run another --cache, "
                "or remove the file to have its clips coded anew"
            )
        return True

    def _scenes(self, shard: int) -> tuple[str, range]:
        """The name of a shard's file and the seeds in it. ValueError where they are too few for the run's shares."""
        count = self.config.shard_clips
        first = SPLITS["train"].start + shard * count
        seeds = range(first, first + count)
        check_seen(seeds, dict(self.config.scenes))
        return f"clips-{shard:05d}", seeds

    def _remove_before(self, shard: int) -> None:
        """Remove the files of the pools before the one of `shard`."""
        shards = self.config.clips // self.config.shard_clips
        first = shard // shards * shards
        for path in self.folder.glob("clips-*.safetensors") if self.config.clip_uses else ():
            if int(path.stem.removeprefix("clips-")) < first:
                path.unlink(missing_ok=True)


class DeviceClips(ClipPool):
    """The clips of a run rendered, coded and kept on one device, for runs that outpace a CPU: no file is made of them.

    A round's scenes are those of a `ClipPool`; a clip's stored images are drawn by larger batches.
    """

    def __init__(self, config: RunConfig, vae: VideoVAE, device: torch.device, *, sets: Sets = SCENE_SETS) -> None:
        self.config, self.vae, self.device, self.fast, self.sets = config, vae, device, False, sets
        self.reached = None
        self._kept: dict[int, LatentClips] = {}

    def shard(self, index: int) -> LatentClips:
        """All clips of one shard, in fp16 on the device; those of the pools before it are let go."""
        shards = self.config.clips // self.config.shard_clips
        self._kept = {number: clips for number, clips in self._kept.items() if number >= index // shards * shards}
        if index not in self._kept:
            self.render_shard(index)
        return self._kept[index]

    def render_shard(self, index: int) -> None:
        """Make the clips of one shard."""
        count = math.gcd(self.config.shard_clips, DEVICE_RENDER_BATCH)
        made = render_clips(self.config, self.vae, self._scenes(index)[1], scenes=dict(self.config.scenes),
                            batch=count, device=self.device, sets=self.sets)  # fmt: skip
        self._kept[index] = made.half()


def _order(count: int, key: tuple[int, ...]) -> Tensor:
    """A permutation that depends on `key` alone."""
    seed = 0
    for part in key:
        seed = (seed * 1_000_003 + part + 1) % (2**63 - 1)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def vae_mark(vae: VideoVAE) -> str:
    """What tells a VAE from others: the `fingerprint` of its weights."""
    return fingerprint(vae.state_dict()) if isinstance(vae, nn.Module) else type(vae).__name__


def _said(path: Path) -> dict[str, str]:
    """What a cached file says it holds."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


_TENSORS = ("video", "images", "image_frame", "near_depth", "image_near")


def _save(path: Path, clips: LatentClips, said: Mapping[str, str]) -> None:
    clips = clips.half()
    tensors = {name: getattr(clips, name) for name in _TENSORS}
    tensors |= {} if clips.lead is None else {"lead": clips.lead}
    for name, camera in (("", clips.camera), ("image_", clips.image_camera)):
        tensors |= {f"{name}world_from_cam": camera.world_from_cam, f"{name}K": camera.K}
    write_tensors(path, tensors, {**said, "captions": json.dumps(clips.captions)})


def _load(path: Path, hw: tuple[int, int]) -> LatentClips:
    part = load_file(path)
    captions = tuple(json.loads(_said(path).get("captions", "[]")))
    camera, of_images = (Camera(part[f"{name}world_from_cam"], part[f"{name}K"], hw) for name in ("", "image_"))
    return LatentClips(
        part["video"], part["images"], part["image_frame"], camera, part["near_depth"], of_images, part["image_near"],
        captions, part.get("lead"),
    )  # fmt: skip
