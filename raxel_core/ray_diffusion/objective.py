"""Training Ray Diffusion and Ray Regression (arXiv 2402.14817) from photographs with known cameras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..geometry.rays import Rays, plucker_from_rays
from ..training.config import COUNT, POSITIVE, SHARE, Limits, RunConfig
from ..training.objective import batch_generator
from ..training.optimizers import make_optimizers
from ..training.run_state import step_of_file
from ..training.sparse_views import SparseViews, render_views
from ..training.synthetic import SPLITS
from .bundle import bundle_from_plucker
from .checkpoint import save_ray_diffusion
from .config import SMALL, RayDiffusionConfig
from .matches import TrueMatches, matching_loss, parts_of, true_matches
from .network import RayDiffuser
from .scene import scene_frame
from .transformer import initialize

WEIGHTS_FILE = "ray_diffusion.safetensors"
METHODS = ("diffusion", "regression", "both")


@dataclass(frozen=True)
class RayDiffusionTrainConfig(RunConfig):
    """A run that trains Ray Diffusion, Ray Regression, or one network for both.

    Data: each step draws one number of views in `views`, and as many scenes as bring it to about `batch` photographs;
    `world_share` of the steps see places of the world (`training.world`), the others rooms.
    Objective: mean squared error of the clean rays. `method` "diffusion" draws the noise level evenly, "regression"
    always the last one, at which nothing is left of the rays, and "both" that one in `pure_noise_share` of the scenes.
    `matching` times the loss of matches (`matches.matching_loss`) is added, for photographs of known depth.
    Optimiser: AdamW, as in the paper, or Muon for the matrices inside the blocks with `muon`; `learning_rate` after
    `warmup` steps, falling to a tenth from `decay_from` (a share of `steps`) on.
    """

    model: RayDiffusionConfig = SMALL
    method: str = "diffusion"
    views: tuple[int, int] = (2, 8)
    world_share: float = 0.5
    pure_noise_share: float = 0.4
    learning_rate: float = 1e-4
    warmup: int = 100
    decay_from: float = 0.75
    muon: bool = False
    matching: float = 0.0
    batch: int = 64
    pooled: ClassVar[bool] = False
    nested: ClassVar[Mapping[str, Callable[[Any], object]]] = {
        **RunConfig.nested,
        "model": RayDiffusionConfig.from_values,
    }
    limits: ClassVar[Limits] = {
        **RunConfig.limits, "views": (2, 8), "world_share": SHARE, "matching": (0.0, 100.0),
        "pure_noise_share": SHARE, "learning_rate": POSITIVE, "warmup": COUNT, "decay_from": SHARE,
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "views", tuple(self.views))
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, got {self.method!r}")
        if not 2 <= self.views[0] <= self.views[1] <= self.model.max_images:
            raise ValueError(f"views are 2 to the network's {self.model.max_images}, fewest first, got {self.views}")
        if self.matching and not self.model.matches:
            raise ValueError(f"matching is learned by a model with matches, and this one has none: {self.matching}")


class ViewSource(Protocol):
    """Where photographs with known cameras come from."""

    def scenes(self, number: int, count: int, views: int) -> SparseViews:
        """`count` scenes of `views` photographs for step `number` of a run."""
        ...


@dataclass(frozen=True)
class SyntheticViews:
    """Ray-traced scenes, each seen once; in `world_share` of the steps places of the world, else rooms."""

    config: RayDiffusionConfig
    world_share: float = 0.0
    first: int = SPLITS["train"].start
    most: int = 64

    def scenes(self, number: int, count: int, views: int) -> SparseViews:
        """The scenes of one step."""
        start = self.first + number * self.most
        of_world = float(torch.rand((), generator=torch.Generator().manual_seed(start))) < self.world_share
        return render_views(
            range(start, start + count),
            views=views,
            px=self.config.image_px,
            grid=self.config.grid,
            scenes="world" if of_world else "room",
        )


@dataclass(frozen=True)
class RayExample:
    """`crops` [B, N, 3, px, px], clean `rays` and their `noise` [B, N, 6, grid, grid], `ndc` [B, N, 2, grid, grid],
    noise levels `t` [B], and the true `matches` where they are trained."""

    crops: Tensor
    rays: Tensor
    noise: Tensor
    ndc: Tensor
    t: Tensor
    matches: TrueMatches | None = None

    def to(self, device: torch.device) -> RayExample:
        """The same on a device."""
        crops, rays, noise, ndc, t = (part.to(device) for part in (self.crops, self.rays, self.noise, self.ndc, self.t))
        matches = TrueMatches(*(part.to(device) for part in self.matches)) if self.matches else None
        return RayExample(crops, rays, noise, ndc, t, matches)


def _in_blocks(name: str) -> bool:
    return name.startswith("ray_predictor.blocks.") and "adaLN" not in name


def scene_rays(camera: Camera, grid: int) -> Tensor:
    """The network's rays [B, N, 6, grid, grid] of `camera` [B, N], each scene in its own frame (`scene_frame`)."""
    scenes = [scene_frame(camera[i]).camera for i in range(len(camera))]
    lines = [plucker_from_rays(Rays.from_camera(scene, (grid, grid))) for scene in scenes]
    return torch.stack([bundle_from_plucker(line) for line in lines])


@dataclass
class RayDiffusionObjective:
    """The `Objective` of Ray Diffusion."""

    config: RayDiffusionTrainConfig
    views: ViewSource | None = None
    model: RayDiffuser = field(init=False)
    device: torch.device = field(default=torch.device("cpu"), init=False)

    def __post_init__(self) -> None:
        clips, most = self.config.validation_clips, self.config.views[1]
        if clips < most:
            raise ValueError(f"validation_clips are photographs, and a scene of the run has up to {most}: got {clips}")
        with torch.random.fork_rng(devices=[]):  # what `initialize` leaves, the features, begins by the seed too
            torch.manual_seed(self.config.seed)
            self.model = RayDiffuser(self.config.model)
        initialize(self.model.ray_predictor, torch.Generator().manual_seed(self.config.seed))
        self.views = self.views or SyntheticViews(self.config.model, self.config.world_share)

    @property
    def pool(self) -> None:
        """None: scenes are rendered, or photographs read, as they are drawn."""

    @property
    def origins(self) -> Mapping[str, str]:
        """None: what is trained is in the state."""
        return {}

    def to(self, device: torch.device) -> None:
        """Move the network; batches are made on the CPU and moved whole."""
        self.device = device
        self.model.to(device)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """The run's optimisers; `muon` is Muon for the matrices inside the blocks but those of the conditioning."""
        named = self.model.named_parameters()
        kind, betas = ("muon", (0.9, 0.98)) if self.config.muon else (self.config.optimizer, (0.9, 0.999))
        return make_optimizers(named, self.config, kind=kind, inside=_in_blocks, betas=betas, decay=0.0)

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, constant, then linear to a tenth."""
        config = self.config
        left = (config.steps - step) / max(config.steps * (1 - config.decay_from), 1)
        return config.learning_rate * min(1.0, (step + 1) / config.warmup) * max(0.1, min(1.0, left))

    def read(self, number: int) -> SparseViews:
        """The photographs of batch `number`."""
        count = self._count(batch_generator(self.config.seed, number))
        assert self.views is not None
        return self.views.scenes(number, max(1, self.config.batch // count), count)

    def draw(self, number: int, clips: SparseViews | None = None) -> RayExample:
        """Batch `number` of the run with its noise and its levels."""
        generator = batch_generator(self.config.seed, number)
        self._count(generator)
        batch = self.read(number) if clips is None else clips
        rays = scene_rays(batch.camera, self.config.model.grid)
        noise = torch.randn(rays.shape, generator=generator)
        levels = self._levels(len(rays), generator)
        return RayExample(batch.images, rays, noise, batch.ndc, levels, self._matches(batch)).to(self.device)

    def _matches(self, batch: SparseViews) -> TrueMatches | None:
        if not self.config.matching:
            return None
        if batch.depth is None:
            raise ValueError("matching is learned where depth is known, and these photographs have none: matching 0")
        return true_matches(batch.camera, batch.depth, parts_of(self.config.model.grid))

    def _count(self, generator: torch.Generator) -> int:
        """How many photographs each scene of a batch has."""
        low, high = self.config.views
        return int(torch.randint(low, high + 1, (), generator=generator))

    def _levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Noise levels [count] by the run's method."""
        last = self.config.model.timesteps - 1
        t = torch.randint(0, last + 1, (count,), generator=generator)
        share = {"diffusion": 0.0, "regression": 1.0, "both": self.config.pure_noise_share}[self.config.method]
        return torch.where(torch.rand(count, generator=generator) < share, last, t)

    def loss(self, model: Any, batch: RayExample) -> dict[str, Tensor]:
        """Mean squared error of the predicted clean rays, its part at the last level told apart, and of the matches."""
        noised = self.model.noise_scheduler.noised(batch.rays, batch.noise, batch.t)
        found = model(batch.crops, noised, batch.ndc, batch.t)
        error = (found.rays.float() - batch.rays).square().mean((1, 2, 3, 4))
        pure = batch.t == self.config.model.timesteps - 1
        parts = {"loss": error.mean()}
        if batch.matches is not None:
            matching = matching_loss(found.chances, batch.matches)
            parts = {
                "loss": parts["loss"] + self.config.matching * matching,
                "rays": parts["loss"].detach(),
                "matching": matching.detach(),
            }
        return parts | ({"pure_noise": error[pure].detach().mean()} if bool(pure.any()) else {})

    @torch.no_grad()
    def validate(self, network: Any, samples: Path | None, *, draws: bool) -> dict[str, float]:
        """The loss at the last level on scenes never trained on, by number of views."""
        figures = {}
        low, high = self.config.views
        for views in sorted({low, min(max(4, low), high), high}):
            batch = render_views(
                range(SPLITS["validation"].start, SPLITS["validation"].start + self.config.validation_clips // views),
                views=views, px=self.config.model.image_px, grid=self.config.model.grid,
            )  # fmt: skip
            rays = scene_rays(batch.camera, self.config.model.grid)
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(rays.shape, generator=generator)
            last = self.config.model.timesteps - 1
            example = RayExample(batch.images, rays, noise, batch.ndc, torch.full((len(rays),), last)).to(self.device)
            figures[f"regression_{views}"] = math.sqrt(float(self.loss(network, example)["loss"]))
        return figures

    def saved_step(self, folder: Path) -> int | None:
        """The step of the network in `folder`."""
        return step_of_file(folder / WEIGHTS_FILE)

    def save(self, weights: Mapping[str, Tensor], folder: Path, step: int) -> None:
        """The network in half precision, for use."""
        state = {name: tensor.detach() for name, tensor in self.model.state_dict().items()} | dict(weights)
        save_ray_diffusion(folder / WEIGHTS_FILE, state, self.config.model, method=self.config.method,
                           metadata={"steps": str(step)})  # fmt: skip
