"""Matches between photographs: true places by hand, occlusion, what is told to the network, and what a run learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raxel_core.geometry import se3
from raxel_core.geometry.camera import Camera
from raxel_core.ray_diffusion.matches import Matches, TrueMatches, matching_loss, true_matches
from raxel_core.ray_diffusion.objective import RayDiffusionObjective, SyntheticViews
from raxel_core.training.sparse_views import SparseViews
from tests.ray_diffusion.test_network import SMALL
from tests.ray_diffusion.test_training_run import CONFIG

WITH_MATCHES = replace(SMALL, matches=True)


def shifted_pair(shift):
    """Two cameras of 8 x 8 pixels and focal length 8, the second `shift` to the right of the first."""
    K = torch.tensor([[8.0, 0, 4], [0, 8, 4], [0, 0, 1]])
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = shift
    return Camera(poses, K, (8, 8))


def test_a_wall_seen_from_the_side_moves_by_focal_length_times_shift_over_depth():
    # At depth 4 a shift of 1 moves the wall by 8 * 1 / 4 = 2 pixels to the left: a quarter of the side.
    truth = true_matches(shifted_pair(1.0), torch.full((1, 2, 8, 8), 4.0), 4)
    place = truth.place.unflatten(2, (4, 4))
    # The middle of a part of 2 x 2 pixels is told by the pixel right and below it, as its depth is.
    middle = (torch.arange(4) * 2 + 1.5) / 8
    torch.testing.assert_close(place[0, 0, :, :, 1, 0], (middle - 0.25).expand(4, 4), rtol=0, atol=1e-6)
    torch.testing.assert_close(place[0, 1, :, :, 0, 1], middle[:, None].expand(4, 4), rtol=0, atol=1e-6)
    seen = truth.seen.unflatten(2, (4, 4))
    assert seen[0, 0, :, 1:, 1].all() and not seen[0, 0, :, 0, 1].any()  # the first column has left the picture
    assert not seen[0, 0, ..., 0].any() and not seen[0, 1, ..., 1].any()  # its own photograph is no match


def test_what_stands_behind_something_is_not_seen():
    depth = torch.full((1, 2, 8, 8), 4.0)
    depth[0, 1, :, :4] = 1.0  # the second camera has something near in its left half
    seen = true_matches(shifted_pair(1.0), depth, 4).seen.unflatten(2, (4, 4))[0, 0, :, :, 1]
    assert seen[:, 3].all() and not seen[:, :3].any()


def test_true_places_agree_with_projection_in_float64():
    turn = se3.so3_exp(torch.tensor([[0.0, 0.0, 0.0], [0.1, -0.3, 0.2], [0.0, 0.25, 0.0]], dtype=torch.float64))
    center = torch.tensor([[0.0, 0, 0], [0.6, -0.2, 0.1], [-0.5, 0.1, 0.3]], dtype=torch.float64)
    K = torch.tensor([[30.0, 0, 17], [0, 28, 15], [0, 0, 1]], dtype=torch.float64)
    camera = Camera(se3.from_rotation_translation(turn, center)[None], K, (32, 32))
    depth = 2 + torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    place = true_matches(camera, depth, 4).place[0]
    for i, j, part in ((0, 1, 5), (1, 2, 10), (2, 0, 3)):
        row, column = 8 * (part // 4) + 4, 8 * (part % 4) + 4
        ray = torch.linalg.inv(K) @ torch.tensor([column + 0.5, row + 0.5, 1.0], dtype=torch.float64)
        world = turn[i] @ (ray * depth[0, i, row, column]) + center[i]
        x, y, z = K @ turn[j].T @ (world - center[j])
        torch.testing.assert_close(place[i, part, j], torch.stack((x / z, y / z)) / 32, rtol=0, atol=1e-9)


def test_the_loss_is_minus_the_log_of_the_chance_between_four_neighbours():
    chances = torch.zeros(1, 2, 1, 2, 4)
    chances[0, 0, 0, 1] = torch.tensor([0.4, 0.3, 0.2, 0.1])  # a grid of 2 x 2
    seen = torch.zeros(1, 2, 1, 2, dtype=torch.bool)
    seen[0, 0, 0, 1] = True
    place = torch.full((1, 2, 1, 2, 2), 0.25)
    for x, y, chance in (
        (0.25, 0.25, 0.4),
        (0.75, 0.25, 0.3),
        (0.5, 0.25, 0.35),
        (0.5, 0.5, 0.25),
        (0.25, 0.625, 0.25),
    ):
        place[0, 0, 0, 1] = torch.tensor([x, y])
        loss = matching_loss(chances, TrueMatches(place, seen))
        torch.testing.assert_close(loss, -torch.tensor(chance).log(), rtol=0, atol=2e-4)
    assert float(matching_loss(chances, TrueMatches(place, torch.zeros_like(seen)))) == 0.0


def test_each_ray_is_told_the_place_and_how_wide_it_is():
    matches = Matches(WITH_MATCHES)
    ndc = torch.randn(1, 2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    chances = torch.zeros(1, 2, 16, 2, 64)
    chances[..., 9] = 1.0  # row 1, column 1
    chances[0, 0, 3, 1] = torch.nn.functional.one_hot(torch.tensor(9), 64) * 0.5
    chances[0, 0, 3, 1, 20] = 0.5  # row 2, column 4
    told = matches(chances, ndc).unflatten(2, (8, 3))  # [B, N, slot, (x, y, wide), 8, 8]
    assert not told[:, :, 2:].any()
    sure = told[0, 1, 0]
    torch.testing.assert_close(sure[:2], ndc[0, 0, :, 1, 1][:, None, None].expand(2, 8, 8))
    torch.testing.assert_close(sure[2], torch.full((8, 8), 0.01))
    one, other = ndc[0, 1, :, 1, 1], ndc[0, 1, :, 2, 4]
    torch.testing.assert_close(told[0, 0, 1, :2, 1, 7], (one + other) / 2)  # part 3: rows 0 and 1, columns 6 and 7
    torch.testing.assert_close(told[0, 0, 1, 2, 1, 7], (one - other).norm() / 2)


def test_a_part_is_found_where_a_photograph_looks_alike():
    torch.manual_seed(0)
    matches = Matches(WITH_MATCHES)
    tokens = torch.randn(1, 1, 16, 4, 4)
    first = tokens.repeat_interleave(2, -1).repeat_interleave(2, -2)
    features = torch.cat((first, first.flip(-1)), 1)  # the second photograph is the first one's mirror image
    chances = matches.chances(features).unflatten(2, (4, 4)).unflatten(-1, (4, 2, 4, 2)).sum((-1, -3))
    torch.testing.assert_close(chances.sum((-1, -2)), torch.ones(1, 2, 4, 4, 2))
    for y, x in ((0, 0), (2, 1), (3, 3)):
        assert divmod(int(chances[0, 0, y, x, 0].argmax()), 4) == (y, x)
        assert divmod(int(chances[0, 0, y, x, 1].argmax()), 4) == (y, 3 - x)


def test_matches_change_the_prediction_and_get_their_gradient():
    config = replace(CONFIG, model=replace(CONFIG.model, matches=True), matching=1.0)
    objective = RayDiffusionObjective(config)
    batch = objective.draw(0)
    parts = objective.loss(objective.model, batch)
    assert {"loss", "rays", "matching"} <= parts.keys()
    torch.testing.assert_close(parts["loss"].detach(), parts["rays"] + parts["matching"])
    parts["loss"].backward()
    assert float(objective.model.matches.descriptor.weight.grad.norm()) > 0
    assert float(objective.model.feature_extractor.stem.weight.grad.norm()) > 0


def test_matching_without_what_it_needs_is_refused():
    with pytest.raises(ValueError, match="matching is learned by a model with matches"):
        replace(CONFIG, matching=0.1)

    class Filmed:
        def scenes(self, number, count, views):
            pair = SyntheticViews(CONFIG.model).scenes(number, 1, 2)
            return SparseViews(pair.images, pair.camera, pair.ndc)

    objective = RayDiffusionObjective(
        replace(CONFIG, model=replace(CONFIG.model, matches=True), matching=0.1), Filmed()
    )
    with pytest.raises(ValueError, match="these photographs have none"):
        objective.draw(0)
