"""The tracer against rays marched through the solids' own definition, pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from raxel_core.geometry.camera import K_from_fov
from raxel_core.geometry.se3 import so3_exp
from raxel_core.training.world.solids import BALL, BOX, CONE, CYLINDER, FRUSTUM, PEBBLE, PROFILES, Solids
from raxel_core.training.world.surfaces import COLUMNS
from raxel_core.training.world.tracer import SKY_DEPTH, Views, meet, picture, trace

HW = (16, 24)
GROUND = 1.2
FAR = 9.0
STEPS = 900


def _solids(profile: int, count: int, seed: int) -> Solids:
    generator = torch.Generator().manual_seed(seed)
    turn = so3_exp(2 * torch.randn(1, count, 3, generator=generator))
    half = 0.15 + 0.6 * torch.rand(1, count, 1, 3, generator=generator)
    center = torch.rand(1, count, 3, generator=generator) * torch.tensor([5.0, 3.0, 5.0]) + torch.tensor(
        [-2.5, -1.5, 2]
    )
    rows = torch.tensor(PROFILES[profile]).expand(1, count, 3)
    return Solids(center, turn * half, rows, torch.zeros(1, count, COLUMNS), torch.zeros(1, count))


def _views() -> Views:
    turn = so3_exp(torch.tensor([[[0.05, -0.2, 0.1], [-0.1, 0.3, 0.0]]]))
    fov = torch.deg2rad(torch.tensor([[60.0, 95.0]]))
    return Views(turn, torch.tensor([[[0.2, -0.1, 0.0], [-0.4, 0.3, 0.5]]]), K_from_fov(fov, HW))


def _marched(solids: Solids, views: Views, view: int, x: float, y: float) -> torch.Tensor:
    """Depths [H, W] at which rays through pixels (j + x, i + y) first are inside a solid or below the ground, by steps
    of FAR / STEPS in float64."""
    h, w = HW
    i, j = torch.meshgrid(torch.arange(h).double() + y, torch.arange(w).double() + x, indexing="ij")
    pixel = torch.stack([j, i, torch.ones_like(i)], -1)
    ray = pixel @ torch.linalg.inv(views.K[0, view].double()).T @ views.rotation[0, view].double().T
    depth = torch.full(HW, SKY_DEPTH, dtype=torch.float64)
    local_from_world = torch.linalg.inv(solids.axes[0].double())
    a, b, c = solids.profile[0].double().unbind(-1)
    for t in torch.linspace(FAR, 0, STEPS).double():
        point = views.center[0, view].double() + t * ray
        local = ((point[..., None, :] - solids.center[0].double())[..., None, :] * local_from_world).sum(-1)
        px, py, pz = local.unbind(-1)
        inside = (local.abs() <= 1).all(-1) & (px**2 + pz**2 <= a + b * py + c * py**2)
        depth = torch.where(inside.any(-1) | (point[..., 1] > GROUND), t, depth)
    return depth


@pytest.mark.parametrize("profile", [BOX, BALL, CYLINDER, CONE, FRUSTUM, PEBBLE])
def test_depths_are_those_of_marched_rays(profile):
    """At the centres of pixels and at their lower right corners, for solids in and out of view, near and overlapping."""
    solids, views = _solids(profile, 9, seed=profile), _views()
    offsets = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
    hits = trace(solids, torch.tensor([GROUND]), views, HW, offsets, meet)
    found = picture(hits.depth, HW, 2).double()  # [views, 2, H, W]
    for view in range(2):
        for sample, at in enumerate((0.5, 1.0)):
            depth = _marched(solids, views, view, at, at)
            near = depth < FAR - 0.01
            right = (found[view, sample] - depth).abs() < 1.5 * FAR / STEPS
            assert right[near].double().mean() > 0.985  # but for rays that graze an edge between two steps
            assert (found[view, sample][depth == SKY_DEPTH] > FAR - 0.01).double().mean() > 0.985


def test_a_pixel_off_would_be_seen():
    solids, views = _solids(BALL, 9, seed=1), _views()
    found = picture(trace(solids, torch.tensor([GROUND]), views, HW, torch.zeros(1, 2), meet).depth, HW, 1)[0, 0]
    shifted = _marched(solids, views, 0, 0.75, 0.5)
    near = shifted < FAR - 0.01
    assert ((found - shifted).abs() < 1.5 * FAR / STEPS)[near].double().mean() < 0.9


def test_what_lies_before_hides_what_lies_behind_whatever_the_order():
    solids, views = _solids(PEBBLE, 40, seed=3), _views()
    ground, offsets = torch.tensor([GROUND]), torch.zeros(1, 2)
    turned = Solids(*(part.flip(1) for part in solids))
    one, other = (trace(s, ground, views, HW, offsets, meet) for s in (solids, turned))
    assert torch.equal(one.depth, other.depth)
    thing = one.solid < 40
    assert torch.equal(one.solid[thing], 39 - other.solid[thing])
