"""The nodes that find the cameras of a few photographs."""

from __future__ import annotations

from math import radians

import comfy.model_management
import comfy.utils
from comfy_api.latest import io
from torch import Tensor

from ...raxel_core.drawing.ray_picture import ray_map_image
from ...raxel_core.evaluation.report import to_json
from ...raxel_core.geometry.camera import K_from_fov
from ...raxel_core.geometry.estimate import Estimate
from ...raxel_core.geometry.trajectory import Trajectory
from ...raxel_core.paths.estimate_figures import estimate_figures
from ...raxel_core.ray_diffusion.photographs import PhotographCameras, Photographs, estimate_cameras, photographs
from ...raxel_core.ray_diffusion.report import photograph_estimate, points_note, sample_figures
from ...raxel_core.ray_diffusion.sampler import ALL_STEPS, METHODS, SamplerSettings
from ...raxel_core.solving.points import triangulated_points
from ...raxel_core.strict_json import parse_value
from .. import inputs
from ..catalogue import schema
from ..comfy_io.images import video_from_image
from ..comfy_io.notice import preview
from ..sockets import RAY_DIFFUSION_CATEGORY, EstimateSocket, RayDiffusionSocket, RayMapSocket, TrajectorySocket
from .loading import RayDiffusionModel, load_network, network_names, on_device


class LoadRayDiffusion(io.ComfyNode):
    """File name -> Ray Diffusion network."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="LoadRayDiffusion",
            display_name="Load Ray Diffusion",
            category=RAY_DIFFUSION_CATEGORY,
            description="Opens a Ray Diffusion or Ray Regression network. The embedded one runs on any computer; the "
            "authors' weights are converted once on the command line.",
            inputs=[
                io.Combo.Input(
                    "weights",
                    options=network_names(),
                    tooltip="The embedded network, or a file of models/diffusion_models that `python -m raxel_core "
                    "convert --to ray_diffusion` made of the released .pth.",
                )
            ],
            outputs=[RayDiffusionSocket.Output(display_name="ray_diffusion", tooltip="For Ray Diffusion Poses.")],
        )

    @classmethod
    def execute(cls, weights: str) -> io.NodeOutput:
        return io.NodeOutput(load_network(weights))


class RayDiffusionPoses(io.ComfyNode):
    """Photographs -> trajectory."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RayDiffusionPoses",
            display_name="Ray Diffusion Poses",
            category=RAY_DIFFUSION_CATEGORY,
            description="Finds the cameras of two or more photographs of one subject, taken from very different "
            "sides. Several samples show how certain they are.",
            inputs=[
                RayDiffusionSocket.Input("ray_diffusion", tooltip="From Load Ray Diffusion."),
                io.Image.Input(
                    "images", tooltip="The photographs as one batch, all of one size; the first is the reference."
                ),
                io.Mask.Input("masks", optional=True, tooltip="Where the subject is in each photograph."),
                io.String.Input(
                    "boxes",
                    default="",
                    optional=True,
                    tooltip="Instead of masks: one box per photograph as JSON: left, top, right, bottom in pixels. "
                    "Without masks or boxes the largest square in the middle is taken.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=METHODS[0],
                    optional=True,
                    tooltip="diffusion: samples one of the plausible answers. regression: one pass, their mean.",
                ),
                io.Int.Input(
                    "steps",
                    default=ALL_STEPS,
                    min=1,
                    max=ALL_STEPS,
                    optional=True,
                    tooltip=f"Denoising steps of the diffusion; {ALL_STEPS} takes every noise level from 99 to 29.",
                ),
                io.Int.Input(
                    "samples",
                    default=4,
                    min=1,
                    max=64,
                    optional=True,
                    tooltip="How many answers to draw: the one nearest to the others is taken, and their spread "
                    "adds to the error bars.",
                ),
                inputs.seed(optional=True),
                inputs.fov_degrees("Horizontal angle of view of the photographs in degrees; 0 finds one for all."),
                inputs.trajectory("A path whose lens is used.", id="known", optional=True),
            ],
            outputs=[
                TrajectorySocket.Output(
                    display_name="trajectory", tooltip="One camera per photograph, the first at 0."
                ),
                io.String.Output(display_name="report", tooltip="Verdict, error bars and spread, as JSON."),
                RayMapSocket.Output(display_name="rays", tooltip="The rays that the cameras were fitted to."),
                io.Image.Output(
                    display_name="preview",
                    tooltip="The rays as a picture, one per photograph: directions above, moments below.",
                ),
                EstimateSocket.Output(
                    display_name="estimate",
                    tooltip="The trajectory with error bars, and points triangulated from what the photographs have "
                    "in common: for Raxel Save Camera and Raxel Verify Camera.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        ray_diffusion: RayDiffusionModel,
        images: Tensor,
        masks: Tensor | None = None,
        boxes: str = "",
        method: str = METHODS[0],
        steps: int = ALL_STEPS,
        samples: int = 4,
        seed: int = 0,
        fov_degrees: float = 0.0,
        known: Trajectory | None = None,
    ) -> io.NodeOutput:
        pictures = photographs(video_from_image(images).transpose(0, 1), boxes=boxes_of(boxes), masks=masks)
        settings = SamplerSettings(method, steps, samples, seed)
        found = find(ray_diffusion, pictures, settings, lens_of(pictures, fov_degrees, known))
        estimate = estimate_with_points(pictures, found, ray_diffusion)
        text = to_json({**estimate_figures(estimate), **sample_figures(found)})
        told = "\n".join((estimate.verdict, *estimate.notes))
        preview_image = ray_map_image(found.rays.values)
        return io.NodeOutput(estimate.trajectory, text, found.rays, preview_image, estimate, ui=preview(told))


def boxes_of(text: str) -> list[list[float]] | None:
    """The boxes in a widget's JSON, None where it is empty; ValueError for anything that is not a list of lists."""
    if not text.strip():
        return None
    try:
        boxes = parse_value("boxes", text)
    except ValueError:
        raise ValueError(f"boxes are JSON like [[10, 20, 200, 240], ...], got {text.strip()[:40]!r}") from None
    if not isinstance(boxes, list) or not all(isinstance(box, list) for box in boxes):
        raise ValueError(f"boxes are a list of [left, top, right, bottom], got {text.strip()[:40]!r}")
    return boxes


def lens_of(pictures: Photographs, fov_degrees: float, known: Trajectory | None) -> Tensor | None:
    """K of the photographs where it is given, by a path or an angle of view."""
    if known is not None:
        camera = known.resized(pictures.hw).camera
        return camera.K if len(camera) == len(pictures.images) else camera.K[0]
    return K_from_fov(radians(fov_degrees), pictures.hw) if fov_degrees > 0.0 else None


def find(
    model: RayDiffusionModel, pictures: Photographs, settings: SamplerSettings, K: Tensor | None
) -> PhotographCameras:
    """The cameras, each step counted by ComfyUI's progress bar and interruptible."""
    bar = comfy.utils.ProgressBar(settings.steps if settings.method == "diffusion" else 1)

    def progress(done: int, total: int) -> None:
        bar.update_absolute(done, total)
        comfy.model_management.throw_exception_if_processing_interrupted()

    return estimate_cameras(on_device(model), pictures, settings, K=K, progress=progress)


def estimate_with_points(pictures: Photographs, found: PhotographCameras, model: RayDiffusionModel) -> Estimate:
    """The cameras as an estimate, with the points that matches of features give under them."""
    points, matches = triangulated_points(pictures.images, found.camera)
    return photograph_estimate(found, model.loaded, points=points, notes=(points_note(len(points), matches),))
