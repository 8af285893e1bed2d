"""The ablations of Rays as Pixels as runs: a configuration each in `ablations`, at one budget, on the same scenes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..latents.vae import VideoVAE
from .config import TrainConfig
from .raxel_objective import RaxelObjective
from .train import LOG_FILE, Trainer

FOLDER = Path(__file__).parent / "ablations"
FULL = "full"
# What a table tells of a run's last validation, with the standard error over clips where the run gives it.
FIGURES = {
    "gain": "gain_se",
    "rotation": None,
    "focal": None,
    "corr_yaw+tx": None,
    "corr_yaw-tx": None,
    "video_gain": "video_gain_se",
    "video": None,
    "shuffled": None,
}


@dataclass(frozen=True)
class ArmResult:
    """An arm's `figures` of each seed, its last validation."""

    name: str
    figures: tuple[dict[str, float], ...]

    def mean(self, figure: str) -> float:
        """The mean of a figure over the seeds."""
        return sum(each[figure] for each in self.figures) / len(self.figures)

    def standard_error(self, figure: str) -> float | None:
        """Of the mean: from clips, where a run tells it, and seeds, where there are two or more; None without both."""
        parts = []
        if (of_clips := FIGURES[figure]) is not None:  # the seeds see the same clips: their errors do not average out
            parts.append(math.sqrt(sum(each[of_clips] ** 2 for each in self.figures) / len(self.figures)))
        if (count := len(self.figures)) > 1:
            spread = sum((each[figure] - self.mean(figure)) ** 2 for each in self.figures) / (count - 1)
            parts.append(math.sqrt(spread / count))
        return math.hypot(*parts) if parts else None


def arms() -> list[str]:
    """The names of all arms, the full method first."""
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    return sorted(names, key=lambda name: name != FULL)


def arm_config(name: str) -> TrainConfig:
    """The configuration of an arm; ValueError for a name that there is none of."""
    if name not in arms():
        raise ValueError(f"there is no ablation called {name[:40]!r}: there are {', '.join(arms())}")
    return TrainConfig.from_json((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def run_arms(
    folder: Path, vae: VideoVAE, *, names: Sequence[str], seeds: Sequence[int], steps: int | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Iterator[ArmResult]:  # fmt: skip
    """Train each arm with each seed in `folder`, or carry it on, and give its results once it is through.

    All see the same scenes, in as many steps: `steps`, or what the configurations say.
    """
    for name in names:
        figures = []
        for seed in seeds:
            config = replace(arm_config(name), seed=seed)
            config = config if steps is None else replace(config, steps=steps, warmup=min(config.warmup, steps))
            place = folder / f"{name}-{seed}"
            Trainer(RaxelObjective(config, vae, cache=folder / "clips"), place).train()
            figures.append(_last_validation(place))
            told(f"{name}, seed {seed}: " + ", ".join(f"{key} {figures[-1][key]:.3g}" for key in FIGURES))
        yield ArmResult(name, tuple(figures))


def _last_validation(folder: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    return next(line["validation"] for line in reversed(lines) if "validation" in line)


def table(results: Sequence[ArmResult]) -> str:
    """The results in Markdown: mean over the seeds, +- its standard error."""
    lines = ["| arm | " + " | ".join(FIGURES) + " |", "|---|" + "---|" * len(FIGURES)]
    for result in results:
        cells = []
        for figure in FIGURES:
            error = result.standard_error(figure)
            cells.append(f"{result.mean(figure):.3f}" + ("" if error is None else f" +- {error:.3f}"))
        lines.append(f"| {result.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def to_values(results: Sequence[ArmResult]) -> dict[str, Any]:
    """The results as JSON has them: an arm's validation of each seed."""
    return {result.name: list(result.figures) for result in results}
