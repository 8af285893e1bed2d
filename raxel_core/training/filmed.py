"""Data sets of filmed scenes as training asks for clips: by seeds, each seed's clip a function of itself alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..films.defects import SceneError
from ..films.depth import SceneDepth, depths_from_json
from ..films.listing import Listing, list_scenes
from ..films.scene import Scene
from ..geometry import se3
from ..geometry.camera import Camera, stack
from .config import FilmedSettings, RunConfig
from .rendered import OtherViews, RenderedClips
from .scene_sets import SCENE_SETS, Sets

DEPTHS = "depths.json"
BAD_DATA = ("stop", "skip")


@dataclass(frozen=True, eq=False)
class FilmedScenes:
    """A data set as `scene_sets.Sets` have it. Clips have `fps` frames a second where the time is known, else every
    `settings.stride`-th picture; lengths are in metres where that is the `unit`, else in near depths of the clip's
    first frame. `others` is how many views beside a clip come with it.

    A scene that cannot be read stops the run, or, with `bad_data` "skip", is told by `say` once, and the clip is cut
    from the next scene.
    """

    name: str
    listing: Listing
    depths: Mapping[str, SceneDepth]
    settings: FilmedSettings
    fps: float
    unit: str
    others: int = 0
    bad_data: str = "stop"
    say: Callable[[str], None] = print
    _told: set[str] = field(default_factory=set)

    @property
    def content(self) -> str:
        """What a file of clips has to be of to be of this data set."""
        listed = hashlib.sha256("\n".join(self.listing.names).encode()).hexdigest()[:16]
        return f" {self.name} {listed} {self.settings} {self.fps} {self.unit} in pairs"

    @cached_property
    def measured(self) -> str:
        """A mark of the depths that its lengths come from."""
        known = sorted((name, asdict(depth)) for name, depth in self.depths.items())
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]

    def __call__(
        self, seeds: Sequence[int], *, frames: int, hw: tuple[int, int], device: torch.device | str = "cpu",
        fast: bool = False,
    ) -> RenderedClips:  # fmt: skip
        """The clips of `seeds`. Two that follow an even one have the same clip, of which `render_clips` runs the odd
        one's backwards: a round of twice as many seeds as there are scenes shows each scene in both directions."""
        parts = [self._clip(seed, frames, hw) for seed in seeds]
        others = None
        if self.others:
            views = [part.others for part in parts if part.others is not None]
            others = OtherViews(
                torch.cat([view.video for view in views]).to(device), _joined([view.camera for view in views], device),
                torch.cat([view.near_depth for view in views]).to(device),
                torch.cat([view.frame for view in views]).to(device),
            )  # fmt: skip
        return RenderedClips(
            torch.cat([part.video for part in parts]).to(device),
            _joined([part.camera for part in parts], device),
            torch.cat([part.near_depth for part in parts]).to(device),
            others,
            tuple(text for part in parts for text in part.captions),
        )

    def _clip(self, seed: int, frames: int, hw: tuple[int, int]) -> RenderedClips:
        """One clip [1, ...]: of the scene that the seed's place in its round names, or the next that is whole."""
        count, pair = len(self.listing), seed // 2
        turn, place = divmod(pair, count)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(turn + 1))
        for step in range(count):
            name = self.listing.names[int(order[(place + step) % count])]
            try:
                return self.clip_of(name, frames, hw, torch.Generator().manual_seed(pair + 1))
            except ValueError as error:  # SceneError too
                told = str(error) if isinstance(error, SceneError) else f"{name}: {error}"
                if self.bad_data == "stop":
                    raise ValueError(f"{self.name}: {told}") from error
                if name not in self._told:
                    self._told.add(name)
                    self.say(f"{self.name}: {told}: left out")
        raise ValueError(f"{self.name}: none of its {count} scenes gives a clip of {frames} frames")

    def clip_of(
        self, name: str, frames: int, hw: tuple[int, int], generator: torch.Generator | None = None
    ) -> RenderedClips:
        """A clip [1, ...] of one scene, its first, or one drawn by `generator`, and views beside it. ValueError where
        it has none."""
        scene = self.listing.open(name)
        clips = scene.clips(frames, fps=self.fps, stride=self.settings.stride)
        if not len(clips):
            rate = f"{self.fps:g} a second" if scene.timed else f"every {self.settings.stride} pictures"
            raise SceneError(name, "too short", f"it has no {frames} frames in a row at {rate}")
        start = 0 if generator is None else int(torch.randint(len(clips), (), generator=generator))
        numbers = clips[start]
        beside = self._beside(scene, numbers, generator) if self.others else numbers[:0]
        every = torch.cat((numbers, beside))
        video, framing = scene.pictures.read(every.tolist(), hw)
        camera, near = self._measured(scene, name, numbers, framing.to_fitted(scene.camera[every]), every)
        video, camera, near = video[None], camera[None], near[None]
        others = None
        if self.others:
            step = float(scene.position[numbers].diff().mean()) if frames > 1 else 1.0
            frame = ((scene.position[beside] - scene.position[numbers[0]]) / step).float()[None]
            others = OtherViews(video[:, :, frames:], camera[:, frames:], near[:, frames:], frame)
        return RenderedClips(video[:, :, :frames], camera[:, :frames], near[:, :frames], others, (scene.caption,))

    def _beside(self, scene: Scene, numbers: Tensor, generator: torch.Generator | None) -> Tensor:
        """Pictures of the scene that are not of the clip; its own where there are too few."""
        free = torch.ones(len(scene), dtype=torch.bool)
        free[numbers] = False
        order = torch.randperm(len(scene), generator=generator)
        return torch.cat((order[free[order]], order[~free[order]]))[: self.others]

    def _measured(
        self, scene: Scene, name: str, numbers: Tensor, camera: Camera, every: Tensor
    ) -> tuple[Camera, Tensor]:
        """The cameras of the pictures `every` and their near depths, both in the unit, centres times the factor."""
        depth = self.depths.get(name)
        if depth is None and self.unit != "arbitrary":
            raise SceneError(name, "no depth", f"its depth is not known: run `dataset depth {self.listing.root}` first")
        near = torch.ones(len(every)) if depth is None else depth.near_at(every)
        scale = 1.0
        if depth is not None and self.unit == "metre":
            if depth.metres_per_unit is None:
                raise SceneError(name, "no scale", "how many metres its lengths are is not known (`dataset depth`)")
            scale = depth.metres_per_unit
        elif depth is not None:
            scale = 1.0 / float(depth.near_at(numbers[:1]))
        motion = camera.world_from_cam
        center = (camera.center - camera.center[:1]) * (scale * self.settings.factor)  # small numbers keep their digits
        moved = se3.from_rotation_translation(motion[..., :3, :3], center).float()
        return Camera(moved, camera.K.float(), camera.hw), near * scale


@dataclass(frozen=True)
class Films:
    """Where the data sets that a configuration names are, folders or lists, and what becomes of bad data."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    bad_data: str = "stop"
    say: Callable[[str], None] = print


NO_FILMS = Films()


def all_sets(config: RunConfig, films: Films, unit: str) -> Sets:
    """The scenes of a run by name: the synthetic ones, and the data sets that the configuration names."""
    settings = dict(config.data)
    named = f"the data sets of the configuration are {', '.join(settings) or 'none'}"
    if absent := sorted(settings.keys() - films.paths.keys()):
        raise ValueError(f"{named}: say with --data where {absent[0]} is")
    if surplus := sorted(films.paths.keys() - settings.keys()):
        raise ValueError(f"{named}: it names no {surplus[0]}, which --data gives")
    found = {
        name: data_set(path, name, settings[name], fps=config.fps, unit=unit, others=config.off_path_images,
                       bad_data=films.bad_data, say=films.say)
        for name, path in films.paths.items()
    }  # fmt: skip
    return {**SCENE_SETS, **found}


def data_set(
    path: Path, name: str, settings: FilmedSettings, *, fps: float, unit: str, others: int = 0,
    needs_depth: bool = True, bad_data: str = "stop", say: Callable[[str], None] = print,
) -> FilmedScenes:  # fmt: skip
    """The data set in a folder or of a list, with the depths that `dataset depth` left beside it. Without any it is
    read in its own lengths, unless `needs_depth`."""
    listing = list_scenes(path)
    beside = listing.root / DEPTHS
    depths = depths_from_json(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    if not depths:
        if needs_depth and unit != "arbitrary":
            raise ValueError(f"{name}: lengths in {unit} need {beside}: run `dataset depth {path}` first")
        unit = "arbitrary"
    return FilmedScenes(name, listing, depths, settings, fps, unit, others, bad_data, say)


def _joined(cameras: list[Camera], device: torch.device | str) -> Camera:
    return stack([camera[0] for camera in cameras]).to(device)
