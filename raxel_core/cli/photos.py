"""`photos IMAGE...`: the cameras of a few photographs by Ray Diffusion."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .console import progress_bar, say, show
from .options import check_output, check_pictures
from .pose import write_plot

if TYPE_CHECKING:
    from torch import Tensor

    from ..ray_diffusion.sampler import SamplerSettings

RESULT = "photos.camera.json"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("photos", help="estimate the cameras of a few photographs (Ray Diffusion)")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="two or more photographs of one size")
    parser.add_argument("--weights", type=Path, help="a converted checkpoint (the embedded one)")
    parser.add_argument(
        "--box", action="append", metavar="L,T,R,B", help="the subject's box in pixels, once per photograph"
    )
    parser.add_argument("--mask", type=Path, action="append", help="the subject's mask, once per photograph")
    parser.add_argument("--regression", action="store_true", help="one pass instead of the diffusion")
    parser.add_argument("--steps", type=int, help="network passes of the diffusion (71, all)")
    parser.add_argument(
        "--samples", type=int, default=4, help="answers to draw; their spread adds to the error bars (4)"
    )
    parser.add_argument("--published", action="store_true", help="the published code's arithmetic, to compare with it")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (0)")
    parser.add_argument("--fov-degrees", type=float, help="horizontal angle of view (found, one for all)")
    parser.add_argument("--out", type=Path, default=Path(RESULT), help=f"camera file of any format ({RESULT})")
    parser.add_argument("--plot", type=Path, help="also draw the cameras into this PNG")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the photographs, estimate, write the cameras and say how far to trust them."""
    from math import radians

    from ..camera_io import format_for, write_estimate
    from ..paths.estimate_figures import estimate_figures
    from ..ray_diffusion.checkpoint import embedded_network, load_ray_diffusion
    from ..ray_diffusion.photographs import estimate_cameras, photographs
    from ..ray_diffusion.report import photograph_estimate, points_note, sample_figures
    from ..solving.lens import lens_of_fov
    from ..solving.points import triangulated_points

    if options.regression and options.steps is not None:
        raise ValueError("--steps is of the diffusion, and --regression takes one pass: leave one out")
    format_for(options.out)
    if options.plot:
        check_output(options.plot, ".png", inputs=options.images)
    check_pictures(options.images)
    pictures = photographs(_pictures(options.images), boxes=_boxes(options.box), masks=_masks(options.mask))
    loaded = load_ray_diffusion(options.weights or embedded_network())
    K = None if options.fov_degrees is None else lens_of_fov(radians(options.fov_degrees), pictures.hw).K()
    found = estimate_cameras(loaded, pictures, _settings(options, loaded.network.config.timesteps), K=K,
                             progress=progress_bar("rays"))  # fmt: skip
    points, matches = triangulated_points(pictures.images, found.camera)
    estimate = photograph_estimate(
        found, loaded, name=options.images[0].name, points=points, notes=(points_note(len(points), matches),)
    )
    for file in write_estimate(estimate, options.out):
        say(f"wrote {file}")
    if options.plot:
        write_plot(options.plot, {"photographs": estimate.trajectory})
    body = {**estimate_figures(estimate), **sample_figures(found)}
    show(body, "\n".join((estimate.verdict, *estimate.notes)), as_json=options.json)


def _settings(options: argparse.Namespace, timesteps: int) -> SamplerSettings:
    """The sampler's settings of the options."""
    from ..ray_diffusion.sampler import ALL_STEPS, SamplerSettings

    method, steps = "regression" if options.regression else "diffusion", options.steps
    settings = SamplerSettings(method, ALL_STEPS if steps is None else steps, options.samples, options.seed)
    return settings.as_published(timesteps) if options.published else settings


def _pictures(files: list[Path]) -> Tensor:
    """The photographs [N, 3, H, W]; ValueError where their sizes differ."""
    import torch

    from ..video_io import read_image

    images = [read_image(file)[0] for file in files]
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        told = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise ValueError(f"the photographs have different sizes ({told}): bring them to one first")
    return torch.stack(images)


def _boxes(texts: list[str] | None) -> list[list[float]] | None:
    """The boxes of `--box`; ValueError for one that is not four numbers."""
    if texts is None:
        return None
    try:
        return [[float(number) for number in text.split(",")] for text in texts]
    except ValueError:
        raise ValueError(f"--box takes four numbers left,top,right,bottom, got {', '.join(texts)}") from None


def _masks(files: list[Path] | None) -> Tensor | None:
    """The masks [N, H, W] in [0, 1] of `--mask`, None without."""
    return None if files is None else (_pictures(files).mean(1) + 1.0) / 2.0
