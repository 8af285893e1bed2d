"""Ray maps as other nodes hand them over: shapes, dictionaries, pictures; what is none is refused in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from raxel_core.camera_sockets.ray_maps import ray_map_numbers, read_ray_map
from raxel_core.drawing.ray_picture import ray_map_image
from raxel_core.evaluation.ray_report import ray_report
from raxel_core.geometry.ray_cameras import assessed_cameras
from raxel_core.geometry.ray_map import LAYOUTS, ray_map_from_cameras
from raxel_core.raxels import encode_raxels
from tests.geometry.ray_rigs import HW, rig

GRID = (5, 8)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("origin_endpoint", "raxel")])
def test_tensors_arrays_and_latents_in_either_order_of_axes(layout):
    camera = rig(0)
    values = ray_map_from_cameras(camera, GRID, layout).values
    forms = (values, values.movedim(1, -1), values[None], values.movedim(1, -1)[None].numpy(), {"samples": values},
             {"samples": values.transpose(0, 1)[None]} if values.shape[1] == 6 else values)  # fmt: skip
    for form in forms:
        if isinstance(form, torch.Tensor) and form.shape[-1] == 3:
            continue  # that is an IMAGE, below
        read = read_ray_map(form)
        assert read.ray_map.layout == layout and layout in read.text
        torch.testing.assert_close(read.ray_map.values, values)


def test_depth_anything_3s_output_is_read_with_its_confidence():
    camera = rig(3)
    values = ray_map_from_cameras(camera, GRID, "direction_origin_depth").values
    confidence = torch.rand(4, *GRID, dtype=torch.float64) + 0.5
    read = read_ray_map({"depth": None, "ray": values.movedim(1, -1)[None], "ray_conf": confidence[None, ..., None]})
    assert read.ray_map.layout == "direction_origin_depth"
    assert torch.equal(read.ray_map.confidence, confidence)
    found = assessed_cameras(read.ray_map, HW)
    torch.testing.assert_close(found.camera.world_from_cam, camera.world_from_cam, rtol=0, atol=1e-7)


def test_pictures_of_raxels_and_of_directions_are_told_apart():
    camera = rig(2)
    image = (encode_raxels(camera, GRID, scale=0.5).movedim(0, -1) + 1) / 2
    read = read_ray_map(image, scale=0.5)
    assert read.ray_map.layout == "raxel"
    found = assessed_cameras(read.ray_map, HW)
    torch.testing.assert_close(
        found.camera.world_from_cam, camera.relative_to(camera[:1]).world_from_cam, rtol=0, atol=1e-5
    )
    directions = ray_map_from_cameras(camera, GRID, "direction")
    assert read_ray_map(ray_map_image(directions.values), scale=0.5).ray_map.layout == "direction"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_is_read_back_by_its_name(layout):
    camera = rig(2)
    made = ray_map_from_cameras(camera, GRID, layout)
    numbers = ray_map_numbers(made, scale=0.5)
    forms = [{"samples": numbers}]
    if LAYOUTS[layout].channels == 3:
        image = ray_map_image(numbers)
        assert torch.equal(image, (numbers.float().movedim(1, -1) + 1) / 2)
        forms += [image, image.mul(255).round() / 255]
    for form, atol in zip(forms, (1e-6, 1e-6, 0.004), strict=False):
        read = read_ray_map(form, layout=layout, scale=0.5)
        torch.testing.assert_close(read.ray_map.values.double(), made.values, rtol=0, atol=2 * atol)
        assert ("divided by 0.5" in read.text) == (layout == "raxel")
        found = assessed_cameras(read.ray_map, HW).camera
        torch.testing.assert_close(found.fov.double(), camera.fov, rtol=20 * atol, atol=0)


def test_raxels_are_written_as_they_are_encoded():
    camera = rig(1)
    numbers = ray_map_numbers(ray_map_from_cameras(camera.relative_to(camera[:1]), GRID, "raxel"), scale=0.5)
    torch.testing.assert_close(numbers, encode_raxels(camera, GRID).transpose(0, 1))


def test_the_report_names_layout_fit_and_error_bars():
    read = read_ray_map(ray_map_from_cameras(rig(1), GRID, "plucker_dm"))
    report = json.loads(ray_report(assessed_cameras(read.ray_map, HW), read.text))
    assert "plucker_dm" in report["layout"] and report["frames"] == 4
    assert report["rays_that_fit"] == [1.0] * 4 and max(report["rotation_error_degrees"]) < 1e-3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.rand(2, 5, 7, 8), "neither its second nor its last axis is theirs"),
        (torch.rand(2, 6, 7, 6), "both its second and its last axis could be"),
        ({"pixels": 1}, "no ray map among pixels"),
        ("rays", "a tensor of numbers, got str"),
        (np.array(["a"]), "a tensor of numbers, got ndarray"),
        (torch.rand(2, 6, 8, 8), "not a known kind of ray map"),
    ],
)
def test_what_is_no_ray_map_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        read_ray_map(value)
    with pytest.raises(ValueError, match="layout is auto or one of"):
        read_ray_map(torch.rand(2, 6, 8, 8), layout="rays")
