"""Pictures: what is where in them, by colour, since a reader goes by colour and place."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from raxel_core.drawing import plot
from raxel_core.paths.plan import make_move

pytest.importorskip("cv2", reason="the pictures are drawn with OpenCV")
HW = (360, 640)


def places(picture: Tensor, colour: tuple[int, int, int], tolerance: int = 30) -> Tensor:
    """(row, column) [N, 2] of the pixels near `colour`."""
    return ((picture.int() - torch.tensor(colour)).abs().amax(-1) <= tolerance).nonzero()


def halves(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The perspective, the view from above and the view from the side of a wide picture."""
    cut = round(picture.shape[1] * 0.623)
    right = picture[:, cut:]
    return picture[:, :cut], right[: right.shape[0] // 2], right[right.shape[0] // 2 :]


def test_the_picture_has_the_size_asked_for_and_is_deterministic() -> None:
    paths = {"orbit": make_move("orbit", 17)}
    for hw in (HW, (480, 300), (64, 64), (100, 700)):
        picture = plot.draw_trajectories(paths, hw=hw)
        assert picture.shape == (*hw, 3) and picture.dtype == torch.uint8
        assert torch.equal(picture, plot.draw_trajectories(paths, hw=hw))
        assert len(places(picture, plot.PALETTE[0])) > 20


def test_each_path_has_its_colour_in_each_panel() -> None:
    paths = {"a": make_move("orbit", 17), "b": make_move("pedestal", 17)}
    for panel in halves(plot.draw_trajectories(paths, hw=(720, 1280))):
        assert len(places(panel, plot.PALETTE[0])) > 20 and len(places(panel, plot.PALETTE[1])) > 20
        assert not len(places(panel, plot.PALETTE[2]))


@pytest.mark.parametrize(
    ("move", "panel", "axis", "sign"), [("truck", 1, 1, 1), ("dolly", 1, 0, -1), ("pedestal", 2, 0, -1)]
)
def test_moves_go_the_way_they_are_named(move: str, panel: int, axis: int, sign: int) -> None:
    """Right is right and forward is up from above; up is up from the side.

    The dot at the start is the largest patch of full colour, so a move leaves the weight of that colour behind it.
    """
    paths = [make_move(move, 17, amount=amount) for amount in (0.5, -0.5)]
    views = [halves(plot.draw_trajectories({"": path}, hw=HW))[panel] for path in paths]
    there, back = (places(view, plot.PALETTE[0], 12).float().mean(0)[axis] for view in views)
    assert sign * float(back - there) > 10


def test_the_jitter_of_a_still_camera_is_not_blown_up() -> None:
    """Centres that shake by 0.0005 near depths stay within a few pixels, whatever the picture is fitted to."""
    still = make_move("static", 17)
    shaken = still.camera.world_from_cam.clone()
    shaken[:, 0, 3] += 5e-4 * torch.randn(17, generator=torch.Generator().manual_seed(0))
    picture = plot.draw_trajectories({"": replace(still, camera=replace(still.camera, world_from_cam=shaken))}, hw=HW)
    _, top, _ = halves(picture)
    bright = places(top, plot.PALETTE[0], 8)
    assert int(bright[:, 1].max() - bright[:, 1].min()) < 20


def test_short_paths_and_odd_names_are_drawn() -> None:
    single = make_move("pan", 1)
    picture = plot.draw_trajectories({"Kamerafahrt \u00fcber den See " * 8: single}, hw=HW)
    assert len(places(picture, plot.PALETTE[0])) > 20
    lenses = {"tele": make_move("truck", 5, fov_degrees=3.0), "wide": make_move("pedestal", 5, fov_degrees=150.0)}
    picture = plot.draw_trajectories(lenses, hw=HW)
    assert all(len(places(picture, colour)) > 20 for colour in plot.PALETTE[:2])


def test_bad_paths_are_named() -> None:
    orbit = make_move("orbit", 5)
    with pytest.raises(ValueError, match="no trajectory"):
        plot.draw_trajectories({})
    with pytest.raises(ValueError, match="different units do not fit one picture: metre and near_depth"):
        plot.draw_trajectories({"a": orbit, "b": orbit.scaled(2.0, unit="metre")})
    with pytest.raises(ValueError, match="at least 64x64 pixels, got 32x640"):
        plot.draw_trajectories({"a": orbit}, hw=(32, 640))
    broken = orbit.camera.world_from_cam.clone()
    broken[3, 0, 3] = math.inf
    with pytest.raises(ValueError, match="frame 3 holds NaN or infinity"):
        plot.draw_trajectories({"a": replace(orbit, camera=replace(orbit.camera, world_from_cam=broken))})


def test_arguments_stay_as_they_were() -> None:
    orbit = make_move("orbit", 5)
    before = orbit.camera.world_from_cam.clone()
    plot.draw_trajectories({"a": orbit}, hw=HW)
    assert torch.equal(before, orbit.camera.world_from_cam)


def test_curves_rise_and_leave_gaps() -> None:
    """A rising curve goes up to the right; the frames without a value, 10 to 19 of 41, are a gap in its columns."""
    curve = torch.arange(41.0)
    curve[10:20] = math.nan
    picture = plot.draw_curves({"rotation error (degrees)": {"a": curve}}, hw=HW)
    below = picture[40:]
    drawn = places(below, plot.PALETTE[0])
    left, right = drawn[drawn[:, 1] < 200].float().mean(0), drawn[drawn[:, 1] > 400].float().mean(0)
    assert float(right[0]) < float(left[0]) - 50
    columns = set(drawn[:, 1].tolist())
    width = max(columns) - min(columns)
    gap = range(min(columns) + round(width * 11 / 40), min(columns) + round(width * 18 / 40))
    assert not columns & set(gap)


def test_curves_take_any_values() -> None:
    panels = {
        "PSNR (dB)": {"all identical": torch.full((5,), math.inf)},
        "flat": {"zero": torch.zeros(1), "other length": torch.full((9,), -3.0)},
    }
    assert plot.draw_curves(panels, hw=HW).shape == (*HW, 3)
    with pytest.raises(ValueError, match="no curves"):
        plot.draw_curves({})
    with pytest.raises(ValueError, match=r"the curve 'a' needs one value per frame \[F\], got \[2, 3\]"):
        plot.draw_curves({"b": {"a": torch.zeros(2, 3)}})


def test_the_speed_of_an_even_drive_is_level_and_of_an_eased_one_a_hill() -> None:
    """The eased drive's speed is 6 s (1 - s) of the mean: highest in the middle, where it is half as fast again."""
    even, eased = (plot.draw_speeds(make_move("dolly", 41, easing=easing), hw=HW) for easing in ("linear", "smooth"))
    rows = [places(picture[40 : HW[0] // 2], plot.PALETTE[0]).float() for picture in (even, eased)]
    assert float(rows[0][:, 0].max() - rows[0][:, 0].min()) <= 4
    middle = (rows[1][:, 1] - rows[1][:, 1].mean()).abs() < 20
    assert float(rows[1][middle][:, 0].mean()) + 60 < float(rows[1][:, 0].max())
    still = plot.draw_speeds(make_move("static", 1), hw=HW)
    assert still.shape == (*HW, 3)


def test_a_zoom_has_a_panel_of_its_own() -> None:
    drive, zoom = (plot.draw_speeds(make_move(move, 9), hw=HW) for move in ("dolly", "dolly_zoom"))
    # Two panels part in the middle of the picture, three at its thirds; a gap is darker than a panel.
    gaps = [
        [bool((picture[row - 4 : row + 5, 5:-5].amax((1, 2)) < 26).any()) for row in (180, 122)]
        for picture in (drive, zoom)
    ]
    assert gaps == [[True, False], [False, True]]


def levels(frames: int, height: int, width: int) -> Tensor:
    """A video whose frame f is the grey 2 f / (F - 1) - 1."""
    return torch.linspace(-1, 1, frames)[None, :, None, None].expand(3, frames, height, width)


def test_a_comparison_shows_the_frames_in_order() -> None:
    """Six of eleven frames, 0, 2, ... 10, in a row: greys 0, 51, ... 255 in the middle of the cells."""
    sheet = plot.comparison_sheet({"": levels(11, 40, 80)}, frames=6, cell_width=80)
    assert sheet.shape == (8 + 48, 8 + 6 * 88, 3)
    assert [int(sheet[28, 48 + 88 * column, 0]) for column in range(6)] == [0, 51, 102, 153, 204, 255]
    assert plot.comparison_sheet({"clip": levels(11, 40, 80)}, cell_width=80).shape[0] == sheet.shape[0] + 28


def test_a_comparison_keeps_each_aspect() -> None:
    """An upright video beside a wide one stands in the middle of its cell, 20 of 80 pixels wide."""
    videos = {"wide": levels(3, 40, 80), "upright": torch.ones(3, 3, 80, 40)}
    sheet = plot.comparison_sheet(videos, frames=3, cell_width=80)
    row = sheet[8 + 28 + 40 + 8 + 28 + 10, 8:88, 0]
    assert int((row == 255).sum()) == 20 and row[40] == 255 and row[10] < 60


def test_bad_videos_are_named() -> None:
    with pytest.raises(ValueError, match=r"a sheet needs videos \[3, F, H, W\] in \[-1, 1\], got torch.uint8"):
        plot.comparison_sheet({"clip": torch.zeros(3, 2, 8, 8, dtype=torch.uint8)})
    with pytest.raises(ValueError, match="no video to show"):
        plot.comparison_sheet({})
    with pytest.raises(ValueError, match="at least 1 frame, got 0"):
        plot.comparison_sheet({"clip": levels(3, 8, 8)}, frames=0)


def test_a_picture_becomes_an_image_and_opencv_waits_until_it_is_needed() -> None:
    picture = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(plot.image_from_picture(picture), torch.tensor([-1.0, -0.6, 1.0])[:, None, None])
    top = ast.parse(Path(plot.__file__).read_text()).body
    imported = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    assert "cv2" not in imported
