"""The objective with one convention at a time turned round; each has to fail a test of those that guard it.

    python -m tests.training.mutants [NUMBER ...]

Each mutant is one change of one place of a copy of the source, in which the guarding tests then run. Prints a line a
mutant and fails if one lives, or if its text no longer stands in the source exactly once.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
OBJECTIVE = "tests/training/test_objective.py"
SYNTHETIC = "tests/training/test_synthetic.py"
RAYPE = "tests/raype/test_raype_training.py"
FILMED = "tests/training/test_filmed_training.py"
FLOW = "tests/flow/test_pipeline.py"


class Mutant(NamedTuple):
    """`old` of a file of the core becomes `new`; `name` is what is then wrong."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = (OBJECTIVE,)


LOSS, DATA, GIVEN, RAXELS = "training/loss.py", "training/data.py", "model/given_frames.py", "raxels.py"
SYNTH, RAY = "training/synthetic.py", "raype/objective.py"
MUTANTS = (
    Mutant("sign of the cosine", LOSS, "(1 - cosine).mean()", "(1 + cosine).mean()"),
    Mutant("cosine over space instead of channels", LOSS, "target, dim=1, eps=1.0", "target, dim=-1, eps=1.0"),
    Mutant("no cosine", LOSS, "cosine_weight * (1 - cosine).mean()", "0 * (1 - cosine).mean()"),
    Mutant("sign of the velocity in the error", LOSS, "(velocity - target).square()", "(velocity + target).square()"),
    Mutant("sign of the video's target", LOSS, "target = noise[0] - example.video", "target = example.video - noise[0]"),
    Mutant("sign of the rays' target", LOSS, "noise[1] - example.rays, config", "example.rays - noise[1], config"),
    Mutant("target without noise", LOSS, "target = noise[0] - example.video", "target = -example.video"),
    Mutant("noise and data change places", LOSS, "clean + level * (noise - clean)", "noise + level * (clean - noise)"),
    Mutant("the video is noised by the rays' level", LOSS, "_at_level(example.video, noise[0], video_sigma)",
           "_at_level(example.video, noise[0], ray_sigma)"),
    Mutant("the rays are noised by the video's level", LOSS, "_at_level(example.rays, noise[1], ray_sigma)",
           "_at_level(example.rays, noise[1], video_sigma)"),
    Mutant("the network is told the rays' level for the video", LOSS, "_with_given(noisy_video, video_sigma,",
           "_with_given(noisy_video, ray_sigma,"),
    Mutant("the network is told the video's level for the rays", LOSS, "_with_given(noisy_rays, ray_sigma,",
           "_with_given(noisy_rays, video_sigma,"),
    Mutant("sources are said to be noise", GIVEN, "stream.sigma.new_zeros(", "stream.sigma.new_ones("),
    Mutant("sources stand before the clip", GIVEN, "torch.cat((stream.latents, given.to(stream.latents)), dim=2)",
           "torch.cat((given.to(stream.latents), stream.latents), dim=2)"),
    Mutant("sources are blank", GIVEN, "given.to(stream.latents)), dim=2", "0 * given.to(stream.latents)), dim=2"),
    Mutant("sources are all at time 0", GIVEN, "given_time.to(stream.time)", "0 * given_time.to(stream.time)"),
    Mutant("times of the two streams change places", LOSS, "video_time=video.time, ray_time=rays.time",
           "video_time=rays.time, ray_time=video.time"),
    Mutant("known rays enter the video", LOSS, "example.time, example.source_rays, example.source_time",
           "example.time, example.source_rays[:, :, :0], example.source_time"),
    Mutant("sources count as targets", LOSS, "velocity[0][:, :, :frames]", "velocity[0][:, :, -frames:]"),
    Mutant("the video counts in every task", LOSS, "if video_sigma.any():", "if True:"),
    Mutant("the rays count in every task", LOSS, "if ray_sigma.any():", "if True:"),
    Mutant("channels weigh by the inverse of their spread", LOSS, "(spread / spread.mean())", "(spread.mean() / spread)"),
    Mutant("the denoised error is that of the velocity", LOSS, "visible * video_sigma[:, None, None, None, None]",
           "visible"),
    Mutant("denoised rays with the wrong sign", LOSS, "denoised = noisy_rays - ray_sigma", "denoised = noisy_rays + ray_sigma"),
    Mutant("denoised rays are not denormalised", LOSS, "recipe.ray_statistics.denormalize(denoised)", "denoised"),
    Mutant("a raxel's scale is forgotten", LOSS, "raxels / recipe.raxel_scale", "raxels"),
    Mutant("camera errors weigh three times", LOSS, "config.bundle_weight / 3", "config.bundle_weight"),
    Mutant("rotation in units of translation's tenth", LOSS, "_pseudo_huber(rotation / ROTATION_UNIT)",
           "_pseudo_huber(rotation)"),
    Mutant("sign of a camera's translation", LOSS, "- direction - camera.center[..., None]",
           "- direction + camera.center[..., None]"),
    Mutant("axes of omega change places", LOSS, "torch.linalg.cross(centred, error, dim=-2)",
           "torch.linalg.cross(error, centred, dim=-2)"),
    Mutant("the shift about the wrong point", LOSS, "error.mean(-1) - torch.linalg.cross(", "error.mean(-1) + torch.linalg.cross("),
    Mutant("reference from the wrong side", LOSS, "reference_from_world @ camera.world_from_cam",
           "camera.world_from_cam @ reference_from_world"),
    Mutant("the world's inverse is forgotten", LOSS, "se3.inverse(reference.world_from_cam)[:, None]",
           "reference.world_from_cam[:, None]"),
    Mutant("centres times the near depth", LOSS, "center = relative[..., :3, 3] / _length", "center = relative[..., :3, 3] * _length"),
    Mutant("near depth of the first frame", LOSS, "reference], near_depth[rows, reference], camera", "reference], near_depth[rows, 0], camera"),
    Mutant("no least near depth", LOSS, ".clamp_min(NEAREST_DEPTH)", ""),
    Mutant("the shift of noise levels inverted", LOSS, "config.video_shift * uniform[0] / (1 + (config.video_shift - 1)",
           "uniform[0] / config.video_shift / (1 + (1 / config.video_shift - 1)"),
    Mutant("pure noise in the other steps", LOSS, "torch.where(pure, 1.0, 0.02", "torch.where(~pure, 1.0, 0.02"),
    Mutant("pose runs noise the video", LOSS, '(none if task == "pose" else', '(none if task == "camera" else'),
    Mutant("camera runs noise the rays", LOSS, '(none if task == "camera" else rays)', '(none if task == "pose" else rays)'),
    Mutant("one noise level for both streams", LOSS, "0.02 + 0.98 * uniform[1]", "0.02 + 0.98 * uniform[0]"),
    Mutant("times of sources are pixel frames", LOSS, "latent_times(clips.image_frame[rows, slots])",
           "clips.image_frame[rows, slots].float()"),
    Mutant("latent times half a group off", "latents/frames.py", "frames / TEMPORAL_STRIDE, (frames + 1.5)",
           "frames / TEMPORAL_STRIDE, (frames + 3.5)"),
    Mutant("clips are not normalised", LOSS, "recipe.video_statistics.normalize(clips.video), coded", "clips.video, coded"),
    Mutant("rays by the video's statistics", LOSS, "rays = recipe.ray_statistics.normalize(encode_cameras",
           "rays = recipe.video_statistics.normalize(encode_cameras"),
    Mutant("sources by the rays' statistics", LOSS, "coded = recipe.video_statistics.normalize(",
           "coded = recipe.ray_statistics.normalize("),
    Mutant("directions and centres of a raxel subtract", RAXELS, "torch.addcdiv(center, right", "torch.addcdiv(-center, right"),
    Mutant("rows and columns of a raxel change places", RAXELS, "right * x + (down * y + forward)",
           "right * y + (down * x + forward)"),
    Mutant("pictures run forwards where cameras run backwards", DATA, "video[chosen].flip(2), near", "video[chosen], near"),
    Mutant("cameras run forwards where pictures run backwards", DATA, "world_from_cam[chosen].flip(1), K[chosen].flip(1)",
           "world_from_cam[chosen], K[chosen].flip(1)"),
    Mutant("near depths run forwards where pictures run backwards", DATA, "near[chosen].flip(1)", "near[chosen]"),
    Mutant("images of frames to come are those before", DATA, "[:, : config.stored_images] + 1",
           "[:, : config.stored_images]"),
    Mutant("the tracer's cameras are turned the other way", SYNTH, "(rotation[..., i, 0, None] * local_x + rotation[..., i, 1, None]",
           "(rotation[..., 0, i, None] * local_x + rotation[..., 1, i, None]", (SYNTHETIC,)),
    Mutant("depth along the ray instead of the axis", SYNTH, "(hit.distance / length).reshape", "hit.distance.reshape", (SYNTHETIC,)),
    Mutant("the tracer's y points up", SYNTH, "(y.reshape(-1) - K[..., 1, 2, None])", "(K[..., 1, 2, None] - y.reshape(-1))", (SYNTHETIC,)),
    Mutant("RayPE: sign of the target", RAY, "(batch.noise - batch.latents))[:, :, 1", "(batch.latents - batch.noise))[:, :, 1", (RAYPE,)),
    Mutant("RayPE: the given frame counts", RAY, "[:, :, 1 if batch.lead is None else 0 :]", "", (RAYPE,)),
    Mutant("RayPE: the given frame is noised", RAY, "torch.cat((self.latents[:, :, :1], noisy[:, :, 1:]), dim=2)", "noisy", (RAYPE,)),
    Mutant("RayPE: noise and data change places", RAY, "self.latents + level * (self.noise - self.latents)",
           "self.noise + level * (self.latents - self.noise)", (RAYPE,)),
    Mutant("RayPE: the shift of noise levels inverted", RAY, "shift * uniform / (1 + (shift - 1)", "uniform / shift / (1 + (1 / shift - 1)", (RAYPE,)),
    Mutant("RayPE: centres times the near depth", RAY, "/ config.eta)", "* config.eta)", (RAYPE,)),
    Mutant("RayPE: the gate alone is shifted, the other way", RAY, "rays.log_scale + shift", "rays.log_scale - shift", (RAYPE,)),
    Mutant("RayPE: the sampler runs uphill", RAY, "(below - sigma) * velocity", "(sigma - below) * velocity", (RAYPE,)),
    Mutant("RayPE: an expert's levels are the other's", RAY, "(sigma >= config.boundary) == high", "(sigma >= config.boundary) != high", (RAYPE,)),
    Mutant("RayPE: an expert is trained at all levels", RAY, "for level in config.levels)", "for level in (0.0, 1.0))", (RAYPE,)),
    Mutant("RayPE: an expert is told the first frame by noughts", "raype/backbone.py", "mask[:, :, 0] = 1.0", "mask[:, :, 0] = 0.0", (RAYPE,)),
    Mutant("the two of a pair are different clips", "training/filmed.py", "seed // 2", "seed", (FILMED,)),
    Mutant("a view beside the path is no reference", "denoising.py", "reference=reference_of(sources, frames)", "reference=0", (FLOW,)),
    Mutant("a view beside the path comes without its rays", "denoising.py", "not sources.beside(frames)", "True", (FLOW,)),
    Mutant("RayPE: channels weigh without their spread", RAY, "weight.square()", "torch.ones_like(weight)", (RAYPE,)),
)  # fmt: skip


def living(mutant: Mutant, source: Path) -> bool:
    """Whether the guarding tests pass with a mutant in the copy `source`, which is left as it was."""
    path = source / "raxel_core" / mutant.file
    text = path.read_text()
    assert text.count(mutant.old) == 1, (
        f"{mutant.name}: the text stands {text.count(mutant.old)} times in {mutant.file}"
    )
    path.write_text(text.replace(mutant.old, mutant.new))
    child = os.fork()  # torch is imported, nothing of the pack is
    if child == 0:
        os.chdir(source)
        sys.path.insert(0, str(source))
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        choice = ["-x", "-m", "not slow and not by_hand", "-k", "not comfyui", "-p", "no:cacheprovider"]
        os._exit(pytest.main(["-q", *choice, *mutant.tests]))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    path.write_text(text)
    assert code in (0, 1), f"{mutant.name}: the tests ended with {code}"
    return code == 0


def main(numbers: list[int]) -> int:
    """Try the mutants of these numbers, all if none are given; how many live."""
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    alive = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "pack"
        for name in ("raxel_core", "tests"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "checkpoints"))
        shutil.copy(ROOT / "pyproject.toml", source)
        for number in numbers or range(len(MUTANTS)):
            lives = living(MUTANTS[number], source)
            alive += lives
            print(f"{number:3} {'LIVES' if lives else 'killed'}  {MUTANTS[number].name}", flush=True)
    return alive


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
