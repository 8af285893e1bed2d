"""What a checkpoint says of its training: round trip, frozen wire form, strict reading."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from raxel_core.latents.statistics import LatentStatistics
from raxel_core.recipe import Recipe

RECIPE = Recipe(
    vae="raxel-tiny-vae",
    frames=17,
    hw=(96, 160),
    fps=12.0,
    unit="near_depth",
    video_statistics=LatentStatistics((0.0, 0.5), (1.0, 2.0)),
    ray_statistics=LatentStatistics((0.25, -0.5), (0.125, 4.0)),
    raxel_scale=0.5,
    raxel_downscale=1,
    sampling_shift=0.25,
    antithetic_pose=True,
)
# Frozen: checkpoints that hold this text must stay readable.
WIRE = (
    '{"vae": "raxel-tiny-vae", "frames": 17, "hw": [96, 160], "fps": 12.0, "unit": "near_depth",'
    ' "video_statistics": {"mean": [0.0, 0.5], "std": [1.0, 2.0]},'
    ' "ray_statistics": {"mean": [0.25, -0.5], "std": [0.125, 4.0]}, "raxel_scale": 0.5, "raxel_downscale": 1,'
    ' "sampling_shift": 0.25, "antithetic_pose": true}'
)


def test_round_trip_and_wire_form() -> None:
    assert RECIPE.to_json() == WIRE
    assert Recipe.from_json(WIRE) == RECIPE
    odd = replace(RECIPE, fps=23.976, ray_statistics=LatentStatistics((1 / 3,), (0.1,)))
    assert Recipe.from_json(odd.to_json()) == odd


def test_a_checkpoint_from_before_is_sampled_evenly_and_once() -> None:
    before = changed(sampling_shift=None, antithetic_pose=None)
    assert "shift" not in before and "antithetic" not in before
    assert Recipe.from_json(before) == replace(RECIPE, sampling_shift=1.0, antithetic_pose=False)
    assert (RECIPE.shift(), RECIPE.shift(3.0)) == (0.25, 3.0)
    assert (RECIPE.antithetic(), RECIPE.antithetic(False)) == (True, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": 16}, "4k . 1 frames, got 16; the nearest such count is 17"),
        ({"hw": (96,)}, "hw is .height, width. in pixels"),
        ({"hw": (96, 0)}, "hw is .height, width. in pixels"),
        ({"fps": 0.0}, "fps is positive, got 0.0"),
        ({"fps": float("nan")}, "fps is positive, got nan"),
        ({"unit": "inch"}, "unit is one of metre, near_depth, arbitrary, got 'inch'"),
        ({"raxel_scale": 1.5}, r"raxel_scale lies in \(0, 1\], got 1.5"),
        ({"raxel_scale": 0.0}, r"raxel_scale lies in \(0, 1\], got 0.0"),
        ({"raxel_downscale": 0}, "raxel_downscale is at least 1, got 0"),
        ({"sampling_shift": 0.0}, "sampling_shift is positive, got 0.0"),
        ({"sampling_shift": float("inf")}, "sampling_shift is positive, got inf"),
    ],
)
def test_values_that_make_no_sense(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(RECIPE, **change)


def changed(**changes: Any) -> str:
    values = {**json.loads(WIRE), **changes}
    return json.dumps({key: value for key, value in values.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the recipe is not JSON"),
        ("[" * 100_000, "the recipe is not JSON"),
        ("[1]", "a recipe is a JSON object, got list"),
        (changed(vae=None), "the recipe lacks vae"),
        (changed(steps=3), "the recipe has unknown steps"),
        (changed(vae=3), "the recipe's vae is text, got 3"),
        (changed(frames=17.5), "the recipe's frames is a whole number from 1 to 1000000000, got 17.5"),
        (changed(frames=True), "frames is a whole number .*, got True"),
        (changed(fps="12"), "the recipe's fps is a number .*, got '12'"),
        (changed(fps=10**400), "the recipe's fps is a number .*, got inf"),
        (changed(ray_statistics={"mean": [10**400], "std": [1]}), "ray_statistics.mean is a number .*, got inf"),
        (changed().replace("12.0", "9" * 5000), "the recipe's fps is a number .*, got inf"),
        (changed(antithetic_pose=1), "the recipe's antithetic_pose is true or false, got 1"),
        (changed(sampling_shift="1"), "the recipe's sampling_shift is a number .*, got '1'"),
        (changed(hw="wide"), "the recipe's hw is a list, got 'wide'"),
        (changed(hw=[96, 160.5]), "the recipe's hw is a whole number .*, got 160.5"),
        (changed(video_statistics=[]), "the recipe's video_statistics is an object, got a list of 0"),
        (changed(ray_statistics={"mean": [0.0]}), "the recipe's ray_statistics lacks std"),
        (
            changed(ray_statistics={"mean": ["0"], "std": [1]}),
            "ray_statistics.mean is a number .*, got '0'",
        ),
        (changed(ray_statistics={"mean": 0, "std": [1]}), "ray_statistics.mean is a list, got 0"),
        (changed(ray_statistics={"mean": [0.0], "std": [-1.0]}), "the std of channel 0 is -1.0"),
    ],
)
def test_the_reader_says_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe.from_json(text)


def test_nothing_can_be_changed() -> None:
    with pytest.raises(AttributeError):
        RECIPE.frames = 21  # type: ignore[misc]
    assert hash(RECIPE) == hash(Recipe(**{**asdict(RECIPE), **statistics_of(RECIPE)}))


def statistics_of(recipe: Recipe) -> dict[str, LatentStatistics]:
    return {"video_statistics": recipe.video_statistics, "ray_statistics": recipe.ray_statistics}
