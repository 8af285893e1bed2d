"""What a checkpoint was trained on, held against a piece of footage and the cameras that were found for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import degrees, isinf, pi

from ..geometry import se3
from ..geometry.camera import Camera
from ..paths.diagnostics import RAXEL_TINY_RANGE, TrainedRange
from ..recipe import Recipe

# The VAE of the embedded checkpoint, whose training scenes were measured and are ray-traced.
_EMBEDDED_VAE = "raxel-tiny-vae"
# The mean and the largest ratio of error to bar of 27 clips of footage; the table is in the checkpoint's README.
_SCENES_ALONE = (
    "has seen ray-traced scenes alone, and on 27 clips of footage errors were 1.2 times these bars in the mean, up "
    "to 3.4 times"
)
# A rate further than this from the trained one, either way, moves the picture between frames unlike training did.
_FAR_RATE = 1.5
_ROUNDING = 0.01


def trained_range(recipe: Recipe) -> TrainedRange:
    """The cameras of the embedded checkpoint's training for it and its kin; of any other only what the recipe says."""
    if recipe.vae == _EMBEDDED_VAE:
        return replace(RAXEL_TINY_RANGE, frames=recipe.frames)
    return TrainedRange("the checkpoint", recipe.frames, recipe.unit)


def outside_training(
    recipe: Recipe, fps: float | None, hw: tuple[int, int], clips: Sequence[Camera], *, filmed: bool = True
) -> tuple[str, ...]:
    """In what a clip lies outside of what the checkpoint was trained on, in a few words each.

    `fps` of the frames that were seen, where it is known, `hw` of their pictures, and `clips`, the cameras [F] found
    for each clip of them that was seen at once. Of one that is not known to be `filmed` nothing is said of footage.
    """
    trained, (height, width) = trained_range(recipe), recipe.hw
    told = [f"it {_SCENES_ALONE}"] if recipe.vae == _EMBEDDED_VAE and filmed else []
    if recipe.doubts(recipe.frames, hw):
        told.append(f"pictures of {hw[1]}x{hw[0]}, not {width}x{height}")
    frames = {len(clip) for clip in clips} - {recipe.frames}
    if frames:
        told.append(f"clips of {max(frames)} frames, not {recipe.frames}")
    if fps is not None and not 1 / _FAR_RATE <= fps / recipe.fps <= _FAR_RATE:
        told.append(f"{fps:.3g} frames a second, not {recipe.fps:g}")
    return (*told, *_motion(trained, clips))


def if_filmed(recipe: Recipe, outside: Sequence[str]) -> str:
    """A sentence that is true of any clip, filmed or made: what is to be done if it is filmed; "" where nothing is."""
    if recipe.vae == _EMBEDDED_VAE:
        return f"If these pictures are filmed, solve them: this checkpoint {_SCENES_ALONE}."
    return "If these pictures are filmed, solve them." if outside else ""


def _motion(trained: TrainedRange, clips: Sequence[Camera]) -> list[str]:
    """What of the motions and of the lens goes beyond the trained ones."""
    starts = [(clip, clip[0]) for clip in clips]
    turn = max(float(se3.geodesic(first.rotation, clip.rotation).max()) for clip, first in starts)
    away = max(float((clip.center - first.center).norm(dim=-1).max()) for clip, first in starts)
    fov = [float(angle) for clip in clips for angle in (clip.fov[..., 0].min(), clip.fov[..., 0].max())]
    told = []
    if turn > trained.turn:
        told.append(f"a turn of {degrees(turn):.0f} degrees in a clip, not {degrees(trained.turn):.0f}")
    if not isinf(trained.travel) and away > trained.travel:
        told.append(f"{away:.2g} near depths of travel in a clip, not {trained.travel:.2g}")
    low, high = trained.fov[0] - _ROUNDING, trained.fov[1] + _ROUNDING
    if trained.fov != (0.0, pi) and not low <= min(fov) <= max(fov) <= high:
        known = "{:.0f} to {:.0f}".format(*map(degrees, trained.fov))
        told.append(f"an angle of view of {degrees(min(fov)):.0f} to {degrees(max(fov)):.0f} degrees, not {known}")
    return told
