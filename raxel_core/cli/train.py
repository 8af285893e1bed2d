"""`train CONFIG FOLDER`: train a model, or carry a run on from where it stopped."""

from __future__ import annotations

import argparse
import math
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .console import say

if TYPE_CHECKING:
    from torch import Tensor

    from ..latents.vae import VideoVAE
    from ..model.transformer import RaxelTransformer
    from ..raype.objective import DrawSamples as DrawLatents
    from ..recipe import Recipe
    from ..training.config import Run
    from ..training.filmed import Films
    from ..training.objective import Objective
    from ..training.raxel_objective import DrawSamples

METHODS = ("raxel", "raype", "ray_diffusion", "ray_regression")
SAMPLE_SCENES = 3
ASSUMED_RATE = 4e14  # operations a second: 40% of what an H100 does of dense bf16


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("train", help="train a model from a configuration; run again to resume")
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the run's configuration (JSON)")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the run keeps its state, log and weights")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="raxel",
        help="a raxel model, RayPE on Wan, or cameras of photographs (raxel)",
    )
    parser.add_argument("--cache", type=Path, help="folder of rendered clips (FOLDER/clips)")
    parser.add_argument(
        "--start", "--start-from", type=Path, help="raxel: a checkpoint to begin a new run from, or to adapt"
    )
    parser.add_argument("--backbone", type=Path, help="raype: a Wan TI2V model's folder in diffusers' layout")
    parser.add_argument(
        "--null-prompt", type=Path, help="raype: safetensors file with the embedding of an empty prompt (zeros)"
    )
    parser.add_argument(
        "--prompt", type=Path, help="raype: the same for a prompt, which the videos of validations follow"
    )
    parser.add_argument("--vae", default="raxel-tiny-vae", help="embedded VAE or VAE file (raxel-tiny-vae)")
    add_data(parser)
    parser.add_argument("--co3d", type=Path, help="ray_*: CO3D's folder instead of ray-traced scenes")
    parser.add_argument("--annotations", type=Path, help="ray_*: the folder of CO3D's prepared annotations (--co3d's)")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop after this step (the end of the run)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this time, whatever the step is")
    parser.add_argument(
        "--compile", choices=("scenes", "network", "both"),
        help="raxel: let PyTorch compile first, a minute or two, for less time a clip: what makes the scenes (on a CPU "
        "by a C++ compiler), the network (worth it on a GPU), or both",
    )  # fmt: skip
    parser.add_argument(
        "--render-ahead", action="store_true", help="a second process renders the next clips while this one trains"
    )
    parser.add_argument(
        "--shard", action="store_true",
        help="of several processes (torchrun, accelerate launch) each holds a part of the network, by FSDP2",
    )  # fmt: skip
    parser.add_argument(
        "--estimate", type=int, metavar="GPUS",
        help="raxel: say what a run on so many GPUs needs of each, by --shard or not, and stop",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="further processes that read clips ahead (0)")
    parser.add_argument("--json", action="store_true", help="print each report as one line of JSON")
    parser.set_defaults(run=run)


def add_data(parser: argparse.ArgumentParser) -> None:
    """The data sets of filmed scenes that a run is shown."""
    parser.add_argument(
        "--data", action="append", metavar="[NAME=]FOLDER|LIST", help="filmed scenes (not of ray_*), as "
        "`dataset check` finds or lists them; NAME is what the configuration calls them (the folder's); may be several",
    )  # fmt: skip
    parser.add_argument("--bad-data", choices=("stop", "skip"), help="what to do if a scene cannot be read (stop)")
    parser.add_argument(
        "--texts", type=Path, metavar="FOLDER", help="raxel: the embeddings that `dataset captions` made"
    )


def read_config(options: argparse.Namespace, kind: type[Run]) -> tuple[Run, Films]:
    """The configuration of a run and its data sets. Where it names none of those given, it is trained on them
    alone, in equal shares."""
    from dataclasses import replace

    from ..training.config import FilmedSettings
    from ..training.filmed import Films

    config = kind.from_json(options.config.read_text())
    paths = dict(_named(text) for text in options.data or ())
    if len(paths) < len(options.data or ()):
        raise ValueError("two of the data sets have one name: give names with --data NAME=PATH")
    if paths and not config.data:
        share = 1.0 / len(paths)
        config = replace(
            config, data=tuple((name, FilmedSettings()) for name in paths), scenes=tuple((n, share) for n in paths)
        )
        say(f"the configuration names no data: trained on {', '.join(paths)} alone")
    return config, Films(paths, options.bad_data or "stop", say)


def _named(text: str) -> tuple[str, Path]:
    """The name and the path of a data set that is given as NAME=PATH or as PATH."""
    name, equals, path = text.partition("=")
    if equals and "/" not in name:
        return name, Path(path)
    found = Path(text)
    return found.absolute().parent.name if found.is_file() else found.absolute().name, found


def run(options: argparse.Namespace) -> None:
    """Build the trainer, which resumes from the folder's state if there is one, and train."""
    from ..evaluation.report import to_json
    from ..training.ahead import rendering_ahead
    from ..training.budget import matrix_rate
    from ..training.config import TrainConfig
    from ..training.train import Trainer

    _check_method(options)
    if options.estimate is not None:
        _check_estimate(options)
        return _say_budget(options, processes=options.estimate, sharded=options.shard, rate=ASSUMED_RATE)
    objective, weights = _OBJECTIVES[options.method](options)
    trainer = Trainer(objective, options.folder, sharded=options.shard, workers=options.workers)
    if not trainer.step and (options.folder / weights).exists():
        raise ValueError(
            f"{options.folder} holds {weights} but no state to go on from: name another folder for a new run "
            "(a raxel model may --start from these weights)"
        )
    if isinstance(trainer.config, TrainConfig) and trainer.engine.is_main:
        rate = matrix_rate(trainer.config, trainer.engine.device)
        _say_budget(options, processes=trainer.engine.processes, sharded=trainer.engine.sharded, rate=rate)

    def report(line: dict[str, object]) -> None:
        text = to_json(line, indent=None) if options.json else "  ".join(_words(line))
        print(text, file=sys.stdout, flush=True)

    begun = trainer.step
    ahead = rendering_ahead(objective.pool, first_step=trainer.step) if options.render_ahead else nullcontext()
    with ahead:
        trainer.train(until=options.until, seconds=60 * options.minutes, report=report)
    if trainer.engine.is_main and trainer.step == begun:
        say(f"the run in {options.folder} had done its {begun} steps: {options.folder / weights} is theirs")
    elif trainer.engine.is_main:
        say(f"wrote {options.folder / weights}")


def _check_method(options: argparse.Namespace) -> None:
    """ValueError for an argument of the other method, and for RayPE without a backbone."""
    if not options.minutes > 0:
        raise ValueError(f"a run takes more than 0 minutes, got --minutes {options.minutes}")
    if options.until is not None and options.until < 1:
        raise ValueError(f"a run stops after step 1 or later, got --until {options.until}")
    if options.workers < 0:
        raise ValueError(f"there are 0 workers or more, got --workers {options.workers}")
    films = ("data", "bad_data", "texts")
    others = {
        "raxel": ("backbone", "null_prompt", "prompt", "co3d", "annotations"),
        "raype": ("start", "compile", "co3d", "annotations", "estimate", "texts"),
    }.get(options.method, ("start", "compile", "estimate", "backbone", "null_prompt", "prompt", "cache", *films))
    for name in others:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} is not an argument of --method {options.method}")
    if options.annotations is not None and options.co3d is None:
        raise ValueError("--annotations are those of CO3D, whose folder is not given: add --co3d")
    if options.method == "raype" and options.backbone is None:
        raise ValueError("--method raype tunes a Wan model: give its folder in diffusers' layout with --backbone")


def _check_estimate(options: argparse.Namespace) -> None:
    """ValueError where a run on so many GPUs would not start, or is not estimated."""
    from ..latents.clip_sizes import ClipSizes
    from ..raxel_model import load_vae
    from ..training.config import TrainConfig
    from ..training.engine import check_sharding
    from ..training.train import check_share

    config, _ = read_config(options, TrainConfig)
    if options.estimate < 1:
        raise ValueError(f"a run has 1 process or more, got --estimate {options.estimate}")
    if config.lora_rank:
        raise ValueError("--estimate knows runs of whole weights, and lora_rank trains adapters of a checkpoint")
    check_share(config.batches, options.estimate)
    if options.shard:
        check_sharding(config.precision, options.estimate)
    vae, model = load_vae(options.vae), config.model
    sizes = ClipSizes(vae.spatial_stride, vae.latent_channels, model.patch[1:], config.raxel_downscale)
    sizes.check_hw(config.hw)


def _say_budget(options: argparse.Namespace, *, processes: int, sharded: bool, rate: float) -> None:
    """Say what a run needs of each of so many processes, a step's time at `rate` operations a second."""
    from ..raxel_model import load_vae
    from ..training.budget import budget_of
    from ..training.config import TrainConfig

    config = TrainConfig.from_json(options.config.read_text())
    if config.lora_rank:
        return  # adapters: the checkpoint's size tells more
    stride = load_vae(options.vae).spatial_stride
    for line in budget_of(config, stride=stride, processes=processes, sharded=sharded).lines(rate):
        say(line)


def _raxel(options: argparse.Namespace) -> tuple[Objective, str]:
    """What trains a raxel model, and the name of its file."""
    from ..raxel_model import load_vae
    from ..training.captions import Texts
    from ..training.config import TrainConfig
    from ..training.raxel_objective import LORA_FILE, WEIGHTS_FILE, RaxelObjective

    config, films = read_config(options, TrainConfig)
    if options.texts is not None and config.text_drop is None:
        raise ValueError("--texts are read by a run with text, and its configuration has no text_drop")
    name = Path(options.vae).name.removesuffix(".safetensors")
    vae = load_vae(options.vae)
    cache = options.cache or options.folder / "clips"
    own = options.folder / WEIGHTS_FILE  # of a run that goes on: its latent statistics hold, whatever clips come now
    goes_on = options.start is None and own.exists() and not config.lora_rank
    objective = RaxelObjective(
        config, vae, cache=cache, start=own if goes_on else options.start, vae_name=name,
        draw_samples=_sample_grid(vae), fast_scenes=options.compile in ("scenes", "both"), films=films, goes_on=goes_on,
        texts=None if options.texts is None else Texts(options.texts),
    )  # fmt: skip
    if options.compile in ("network", "both"):
        objective.model.compile_blocks()
    return objective, LORA_FILE if config.lora_rank else WEIGHTS_FILE


def _raype(options: argparse.Namespace) -> tuple[Objective, str]:
    """What tunes a Wan model with RayPE, and the name of its file."""
    from ..raxel_model import load_vae
    from ..raype.config import RayPETrainConfig
    from ..raype.objective import WEIGHTS_FILE, RayPEObjective

    config, films = read_config(options, RayPETrainConfig)
    vae = load_vae(options.vae)
    cache = options.cache or options.folder / "clips"
    objective = RayPEObjective(
        config,
        vae,
        options.backbone,
        cache=cache,
        null_prompt=options.null_prompt,
        prompt=options.prompt,
        films=films,
        draw_samples=_latent_grid(vae),
    )
    return objective, WEIGHTS_FILE


def _rays(options: argparse.Namespace) -> tuple[Objective, str]:
    """What trains Ray Diffusion or Ray Regression, and the name of its file."""
    from dataclasses import replace

    from ..ray_diffusion.co3d import Co3dViews, list_co3d
    from ..ray_diffusion.objective import WEIGHTS_FILE, RayDiffusionObjective, RayDiffusionTrainConfig

    config = RayDiffusionTrainConfig.from_json(options.config.read_text())
    if options.method == "ray_regression":
        config = replace(config, method="regression")
    if options.co3d is None:
        return RayDiffusionObjective(config), WEIGHTS_FILE
    listing = list_co3d(options.co3d, annotations=options.annotations)
    return RayDiffusionObjective(config, Co3dViews(config.model, options.co3d, listing, config.seed)), WEIGHTS_FILE


_OBJECTIVES = {"raxel": _raxel, "raype": _raype, "ray_diffusion": _rays, "ray_regression": _rays}


def _latent_grid(vae: VideoVAE) -> DrawLatents:
    """What each validation draws: clips never trained on, and those made from their first frames."""

    def draw(true: Tensor, made: Tensor, path: Path) -> None:
        from ..drawing.plot import comparison_sheet, image_from_picture
        from ..video_io import write_image

        rows: dict[str, Tensor] = {}
        for i, pair in enumerate(zip(vae.decode(true), vae.decode(made), strict=True)):
            rows |= {f"true {i}": pair[0].clamp(-1, 1), f"made {i}": pair[1].clamp(-1, 1)}
        write_image(path, image_from_picture(comparison_sheet(rows)))

    return draw


def _sample_grid(vae: VideoVAE) -> DrawSamples:
    """What each validation draws: a clip never trained on, its cameras as found, and the clip made from frame 0."""

    def draw(transformer: RaxelTransformer, recipe: Recipe, path: Path | None) -> None:
        from ..denoising import Run, SourceBatch, denoise_rays, denoise_video
        from ..drawing.plot import comparison_sheet, image_from_picture
        from ..evaluation.scene_model import scene_batches
        from ..raxel_model import RaxelModel
        from ..sampling import camera_schedule, pose_schedule
        from ..video_io import write_image

        model = RaxelModel(transformer, vae, recipe)
        schedule = camera_schedule(10, shift=recipe.shift())
        rows: dict[str, Tensor] = {}
        for batch in scene_batches(model, 0, SAMPLE_SCENES, batch=SAMPLE_SCENES, split="validation"):
            seeds = range(SAMPLE_SCENES)
            raxels = denoise_rays(model, batch.video, run=Run(pose_schedule(), seeds))
            shown = SourceBatch(batch.video[:, :, :1], (0,))
            made = denoise_video(model, shown, batch.camera, recipe.hw, run=Run(schedule, seeds))
            for i in seeds:
                rows |= {f"given {i}": batch.video[i], f"its cameras {i}": raxels[i], f"from frame 0, {i}": made[i]}
        if path is not None:
            write_image(path, image_from_picture(comparison_sheet(rows)))

    return draw


def _words(line: dict[str, object], prefix: str = "") -> list[str]:
    """A report's numbers as `name value` words."""
    words = []
    for name, value in line.items():
        if isinstance(value, dict):
            words += _words(value, f"{name}.")
        else:
            words.append(f"{prefix}{name} {value:.4g}" if isinstance(value, float) else f"{prefix}{name} {value}")
    return words
