"""Synthetic test scenes, and the pipeline as the four functions that an evaluation on them asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoising import Run, SourceBatch, denoise_rays, denoise_video
from ..geometry.camera import Camera, stack
from ..geometry.pose import PoseRecoveryError
from ..raxel_model import RaxelModel
from ..raxels import decode_raxels
from ..sampling import camera_schedule, pose_schedule
from ..training.loss import canonical_cameras, canonical_lengths
from ..training.scene_sets import SCENE_SETS, check_shares
from ..training.synthetic import SPLITS
from .benchmark_scenes import SceneBatch


def batch_count(scenes: int, batch: int) -> int:
    """How many batches of at least `batch` clips each (as far as there are) hold `scenes` clips."""
    return max(1, scenes // batch)


def scene_batches(
    model: RaxelModel, first: int, count: int, *, batch: int, split: str = "test", kind: str = "room", larger: int = 1
) -> Iterator[SceneBatch]:
    """Clips of a split and of the scenes called `kind`, from number `first` on, as the model's recipe has them, in
    `batch_count` batches; above 1 they are also drawn `larger` times as wide and high.

    Cameras are relative to frame 0, in the recipe's unit. Raises ValueError when the split has no such scenes.
    """
    check_shares({kind: 1.0})
    recipe, numbers = model.recipe, SPLITS[split]
    if first < 0 or count < 1 or batch < 1 or first + count > len(numbers):
        raise ValueError(f"the {split} split has scenes 0 to {len(numbers) - 1}, got {count} from {first} on")
    for part in torch.arange(first, first + count).tensor_split(batch_count(count, batch)):
        seeds = [numbers[int(number)] for number in part]
        scenes = SCENE_SETS[kind](seeds, frames=recipe.frames, hw=recipe.hw)
        reference = torch.zeros(len(seeds), dtype=torch.long)
        camera = canonical_cameras(scenes.camera, scenes.near_depth, reference, recipe.unit)
        length = canonical_lengths(scenes.camera, scenes.near_depth, reference, recipe.unit)
        height, width = recipe.hw
        large = _large(seeds, kind, recipe.frames, (larger * height, larger * width)) if larger > 1 else None
        yield SceneBatch(scenes.video, camera, scenes.depth / length[:, None, None, None], large)


def _large(seeds: Sequence[int], kind: str, frames: int, hw: tuple[int, int]) -> Tensor:
    """The videos of scenes at `hw`, one after the other: the rays of all at once would not fit."""
    return torch.cat([SCENE_SETS[kind]([seed], frames=frames, hw=hw).video for seed in seeds])


@dataclass(frozen=True, eq=False)
class PipelineScenes:
    """`SceneModel` over the pipeline's batches; `shift` and `antithetic` None are the recipe's, `on_step` is called
    after each denoising step."""

    model: RaxelModel
    source_frames: tuple[int, ...]
    steps: int
    shift: float | None
    solver: str
    method: str
    on_step: Callable[[], None]
    antithetic: bool | None = None

    def estimate(self, video: Tensor, *, steps: int, seeds: Sequence[int]) -> Camera:
        """The cameras [B, F] of clips relative to frame 0; NaN for a clip whose cameras cannot be read."""
        run = Run(pose_schedule(steps), seeds, antithetic=self.antithetic, progress=self._count)
        raxels = denoise_rays(self.model, video, run=run)
        return self._read(raxels, (video.shape[3], video.shape[4]))

    def generate(self, video: Tensor, camera: Camera, *, seeds: Sequence[int]) -> Tensor:
        """Clips along cameras [B, F], shown the pictures of `video` at the source frames."""
        sources = SourceBatch(video[:, :, list(self.source_frames)], self.source_frames)
        schedule = camera_schedule(self.steps, shift=self.model.recipe.shift(self.shift))
        run = Run(schedule, seeds, self.solver, progress=self._count)
        return denoise_video(self.model, sources, camera, (video.shape[3], video.shape[4]), run=run)

    def reconstruct_video(self, video: Tensor) -> Tensor:
        """Clips through the VAE."""
        return self.model.decode_video(self.model.encode_video(video))

    def reconstruct_camera(self, camera: Camera) -> Camera:
        """Cameras [B, F] through the rays' latents and back: for raxels, through the VAE."""
        latents = self.model.encode_cameras(camera, camera.hw, reference=0)
        return self._read(self.model.decode_rays(latents), camera.hw)

    def _count(self, done: int, total: int) -> None:
        self.on_step()

    def _read(self, raxels: Tensor, hw: tuple[int, int]) -> Camera:
        """The cameras of raxels [B, 3, F, h, w], all at once, or one by one when some cannot be read."""
        try:
            return decode_raxels(raxels, hw, scale=self.model.recipe.raxel_scale, method=self.method).camera
        except PoseRecoveryError:
            return stack([self._read_one(clip, hw) for clip in raxels])

    def _read_one(self, raxels: Tensor, hw: tuple[int, int]) -> Camera:
        """The cameras [F] of raxels [3, F, h, w]; NaN, which no figure counts, when they cannot be read."""
        try:
            return decode_raxels(raxels, hw, scale=self.model.recipe.raxel_scale, method=self.method).camera
        except PoseRecoveryError:
            frames = raxels.shape[1]
            return Camera(torch.full((frames, 4, 4), math.nan), torch.full((frames, 3, 3), math.nan), hw)
