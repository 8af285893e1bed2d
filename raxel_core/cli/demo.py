"""`demo`: the three tasks and the loop on a scene that the embedded model never saw."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .console import progress_bar, say, show

if TYPE_CHECKING:
    from torch import Tensor

    from ..geometry.camera import Camera
    from ..geometry.trajectory import Trajectory
    from ..pipeline import CameraEstimate, JointResult, LoopResult, RaxelModel

FORMAT = "raxel.demo"
VERSION = 1
# Of the mean log focal length of scenes whose angle of view lies anywhere from 40 to 100 degrees: the guess of one who
# has not looked.
TYPICAL_FOV_DEGREES = 69.0


@dataclass(frozen=True, eq=False)
class _Scene:
    """A clip [3, F, H, W] with its true cameras, and what the model makes of it."""

    video: Tensor
    truth: Trajectory
    estimate: CameraEstimate
    generated: Tensor
    joint: JointResult
    loop: LoopResult

    @property
    def copied(self) -> Tensor:
        """The trivial answer: frame 0 all along."""
        return self.video[:, :1].expand_as(self.video)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser("demo", help="run everything once on a small scene and write what came out")
    parser.add_argument("--scene", type=int, default=0, help="number of the test scene (0)")
    shared.add_steps(parser)
    parser.add_argument("--out", type=Path, default=Path("raxel-demo"), help="folder for the results (raxel-demo)")
    shared.add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Render the scene, run the tasks, write videos, paths, pictures and the report."""
    from ..atomic_file import write_text
    from ..evaluation.report import to_json

    started = time.monotonic()
    shared.check_output_folder(options.out)
    model = shared.load(options)
    scene = _run_tasks(model, options)
    options.out.mkdir(parents=True, exist_ok=True)
    _write_videos(options.out, scene)
    _write_paths(options.out, scene)
    _write_overview(options.out, scene)
    facts = {"model": options.model, "scene": options.scene, "seed": options.seed, "video_steps": options.steps}
    figures = _figures(scene)
    seconds = round(time.monotonic() - started, 1)
    report = {"format": FORMAT, "version": VERSION, **facts, "unit": scene.truth.unit, **figures, "seconds": seconds}
    write_text(options.out / "report.json", to_json(report))
    say(f"wrote {options.out}: open {options.out / 'overview.png'} first")
    show(report, _text(figures, seconds), as_json=options.json)


def _run_tasks(model: RaxelModel, options: argparse.Namespace) -> _Scene:
    """Cameras of the video, a video along the true cameras, both at once, and the loop."""
    from ..evaluation.scene_model import scene_batches
    from ..geometry.trajectory import Trajectory
    from ..pipeline import Settings, Source, estimate_cameras, generate_joint, generate_video, self_consistency

    (batch,) = scene_batches(model, options.scene, 1, batch=1)
    video = batch.video[0]
    truth = Trajectory(batch.camera[0], fps=model.recipe.fps, unit=model.recipe.unit, name="truth")
    first = [Source(video[:, 0])]

    def settings(words: str) -> Settings:
        return Settings(steps=options.steps, seed=options.seed, progress=progress_bar(words))

    return _Scene(
        video,
        truth,
        estimate_cameras(model, video, settings("video -> cameras")),
        generate_video(model, first, truth, settings("image + cameras -> video")),
        generate_joint(model, first, settings("image -> video + cameras")),
        self_consistency(model, video, settings("video -> cameras -> video"), source_frames=[0]),
    )


def _write_videos(out: Path, scene: _Scene) -> None:
    """The comparisons as videos to play."""
    from ..video_io import write_video
    from .comparison import side_by_side

    comparisons = {
        "pose": {"given video": scene.video, "its cameras as raxels": scene.estimate.raxels},
        "generated": {"true video": scene.video, "from frame 0 and cameras": scene.generated},
        "joint": {"generated video": scene.joint.video, "generated cameras": scene.joint.cameras.raxels},
        "loop": {"given video": scene.video, "again, by its own cameras": scene.loop.video},
    }
    for name, clips in comparisons.items():
        write_video(out / f"{name}.mp4", side_by_side(clips), fps=scene.truth.fps)


def _write_paths(out: Path, scene: _Scene) -> None:
    """The camera paths as files and as one drawing."""
    from ..atomic_file import write_text
    from ..paths.camera_path import path_to_json
    from .console import write_plot

    paths = _paths(scene) | {"joint": scene.joint.cameras.trajectory}
    for name, trajectory in paths.items():
        write_text(out / f"{name}.json", path_to_json(trajectory))
    write_plot(out / "paths.png", _paths(scene))


def _paths(scene: _Scene) -> dict[str, Trajectory]:
    """The paths that should be one."""
    return {"truth": scene.truth, "estimate": scene.estimate.trajectory, "loop": scene.loop.second.trajectory}


def _write_overview(out: Path, scene: _Scene) -> None:
    """Everything in one picture."""
    import torch

    from ..drawing.plot import comparison_sheet, draw_trajectories, image_from_picture
    from ..video_io import write_image

    sheet = comparison_sheet(
        {
            "given video": scene.video,
            "video -> cameras (as raxels)": scene.estimate.raxels,
            "frame 0 + true cameras -> video": scene.generated,
            "frame 0 -> video + cameras": scene.joint.video,
            "loop: the video again, along its own cameras": scene.loop.video,
        },
        cell_width=200,
    )
    paths = draw_trajectories(_paths(scene), hw=(360, sheet.shape[1]))
    write_image(out / "overview.png", image_from_picture(torch.cat([sheet, paths])))


def _figures(scene: _Scene) -> dict[str, dict[str, float]]:
    """The figures of each task, beside those of the trivial answers: no motion, and frame 0 all along."""
    from ..geometry.camera import Camera, K_from_fov

    camera = scene.truth.camera
    still = Camera(
        camera.world_from_cam[:1].expand_as(camera.world_from_cam),
        K_from_fov(math.radians(TYPICAL_FOV_DEGREES), camera.hw).expand_as(camera.K),
        camera.hw,
    )
    joint = scene.joint.cameras.trajectory
    return {
        "pose": _camera_figures(scene.estimate.trajectory.camera, camera),
        "pose_of_no_motion": _camera_figures(still, camera),
        "generated": _video_figures(scene.generated, scene.video),
        "generated_by_copying_frame_0": _video_figures(scene.copied, scene.video),
        "joint": {"path_length": round(float(joint.path_length), 4), "turn_degrees": _degrees(joint.turn)},
        "loop_cameras": _camera_figures(scene.loop.second.trajectory.camera, scene.loop.first.trajectory.camera),
        "loop_video": _video_figures(scene.loop.video, scene.video),
    }


def _camera_figures(estimate: Camera, truth: Camera) -> dict[str, float]:
    """R_err, T_err and focal error over the frames after the first."""
    from ..evaluation.pose_metrics import focal_error, frame_errors

    errors = frame_errors(estimate, truth)
    return {
        "rotation_error_degrees": _degrees(errors.rotation[1:].mean()),
        "translation_error": round(float(errors.translation[1:].mean()), 4),
        "focal_error": round(float(focal_error(estimate, truth).mean()), 4),
    }


def _video_figures(video: Tensor, truth: Tensor) -> dict[str, float]:
    """PSNR and SSIM over the frames after the first, which was shown."""
    from ..evaluation.image_metrics import psnr, ssim

    pair = video[:, 1:].clamp(-1, 1), truth[:, 1:].clamp(-1, 1)
    return {"psnr": round(float(psnr(*pair).mean()), 2), "ssim": round(float(ssim(*pair).mean()), 4)}


def _degrees(angle: Tensor) -> float:
    return round(float(angle.rad2deg()), 3)


def _text(figures: dict[str, dict[str, float]], seconds: float) -> str:
    """The figures as a table for people."""
    from ..evaluation.report import text_table

    rows = [(task, name, f"{value:g}") for task, row in figures.items() for name, value in row.items()]
    return f"{text_table(('task', 'figure', 'value'), rows)}\n\n{seconds} s"
