"""Ray maps: every layout against a writer of its own, recognised by its constraints, refused where it keeps none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raxel_core.geometry.ray_map import LAYOUTS, RayMap, layout_deviation, ray_lines, ray_map_from_cameras, recognized
from tests.geometry.ray_rigs import rig, written

GRID = (6, 8)
F64 = torch.float64


def depths(seed: int, frames: int = 4) -> torch.Tensor:
    return 1.0 + torch.rand(frames, *GRID, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_what_plain_numpy_writes(layout):
    for seed in range(5):
        camera, depth = rig(seed, square=False), depths(seed)
        made = ray_map_from_cameras(camera, GRID, layout, depth=depth)
        np.testing.assert_allclose(made.values.numpy(), written(camera, GRID, layout, depth.numpy()), atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised_and_no_other_fits(layout):
    for seed in range(20):
        values = torch.from_numpy(written(rig(seed), GRID, layout, depths(seed).numpy()))
        found = recognized(values)
        assert found.layout == layout, str(found)
        assert found.deviation[layout] < 1e-6 and layout in str(found)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("origin_endpoint", "raxel")])
def test_a_noisy_map_is_recognised_too(layout):
    right = 0
    for seed in range(20):
        values = torch.from_numpy(written(rig(seed), GRID, layout, depths(seed).numpy()))
        noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
        right += recognized(values + 0.002 * noise, tolerance=0.1).layout == layout
    assert right == 20


def test_maps_that_are_none_are_refused_in_one_sentence():
    generator = torch.Generator().manual_seed(0)
    for values in (torch.rand(2, 6, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)):
        with pytest.raises(
            ValueError, match="not a known kind of ray map: it is off from plucker_dm|off from direction"
        ):
            recognized(values)
    with pytest.raises(ValueError, match="3 or 6 channels, got 5"):
        recognized(torch.rand(2, 5, 8, 8))
    with pytest.raises(ValueError, match="NaN or infinity"):
        recognized(torch.full((2, 6, 8, 8), float("nan")))
    with pytest.raises(ValueError, match="one of plucker_dm"):
        RayMap(torch.rand(2, 6, 8, 8), "rays")
    with pytest.raises(ValueError, match=r"\[\.\.\., 6, h, w\]"):
        RayMap(torch.rand(2, 3, 8, 8), "plucker_dm")
    with pytest.raises(ValueError, match="confidence"):
        RayMap(torch.rand(2, 6, 8, 8), "plucker_dm", torch.rand(2, 8, 7))
    with pytest.raises(ValueError, match="only a fit"):
        ray_lines(RayMap(torch.rand(2, 3, 8, 8), "raxel"))


def test_the_two_orders_of_pluecker_are_never_confused():
    # The constraint d . m = 0 is the same in both orders; the unit length and the meeting point tell them apart.
    for seed in range(20):
        values = ray_map_from_cameras(rig(seed), GRID, "plucker_md").values
        assert layout_deviation(values, "plucker_md") < 1e-9 < 0.05 < layout_deviation(values, "plucker_dm")


def test_cameras_that_all_stand_at_the_origin_are_no_ambiguity():
    camera = rig(3)
    still = camera.relative_to(camera)  # each its own identity
    found = recognized(ray_map_from_cameras(still, GRID, "plucker_dm").values)
    assert found.layout == "plucker_dm"


def test_pytorch3d_axes_turn_both_halves():
    camera = rig(1)
    ours = ray_map_from_cameras(camera, GRID, "plucker_dm")
    theirs = ray_map_from_cameras(camera, GRID, "plucker_dm", axes="pytorch3d")
    sign = torch.tensor([-1.0, -1.0, 1.0, -1.0, -1.0, 1.0], dtype=F64)[:, None, None]
    assert torch.equal(theirs.values, ours.values * sign)
    for one, other in zip(
        (ray_lines(ours).direction, ray_lines(ours).moment),
        (ray_lines(theirs).direction, ray_lines(theirs).moment),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-15)
