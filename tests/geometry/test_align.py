"""Alignment: exact recovery, optimality under noise, the reflection case, and what fixes no rotation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from raxel_core.geometry import se3
from raxel_core.geometry.align import Similarity, align, umeyama
from raxel_core.geometry.camera import Camera, K_from_fov
from raxel_core.geometry.trajectory import Trajectory
from raxel_core.paths.plan import make_move

BATCHES = [(), (1,), (2, 3)]
F64 = torch.float64


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def draw_similarity(batch: tuple[int, ...]) -> Similarity:
    return Similarity(draw(*batch, seed=1).exp(), se3.so3_exp(2.0 * draw(*batch, 3, seed=2)), draw(*batch, 3, seed=3))


def close(a: Tensor, b: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(a, b, rtol=0.0, atol=atol)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("flat", [False, True])
def test_an_exact_similarity_is_found(batch: tuple[int, ...], flat: bool) -> None:
    # Points in a plane leave a reflection as good as the rotation: the determinant's sign has to decide.
    source = draw(*batch, 10, 3) * torch.tensor([1.0, 1.0, 0.0 if flat else 1.0], dtype=F64)
    true = draw_similarity(batch)
    found = umeyama(source, true.apply(source), with_scale=True)
    for a, b in zip(found, true, strict=True):
        close(a, b)
    rigid = true._replace(scale=torch.ones_like(true.scale))
    found = umeyama(source, rigid.apply(source), with_scale=False)
    for a, b in zip(found, rigid, strict=True):
        close(a, b)


@pytest.mark.parametrize("with_scale", [False, True])
def test_no_neighbour_fits_better(with_scale: bool) -> None:
    source, target = draw(30, 3), draw(30, 3, seed=4) + draw(30, 3)
    best = umeyama(source, target, with_scale=with_scale)

    def cost(fit: Similarity) -> Tensor:
        return (fit.apply(source) - target).square().sum((-2, -1))

    twist = 1e-3 * draw(200, 6, seed=5)
    grown = best.scale * (1.0 + 1e-3 * draw(200, seed=6)) if with_scale else best.scale.expand(200)
    near = Similarity(grown, se3.so3_exp(twist[:, :3]) @ best.rotation, best.translation + twist[:, 3:])
    assert bool((cost(near) > cost(best)).all())


def test_mirrored_points_get_a_rotation() -> None:
    # Umeyama's own case: the best orthogonal matrix is a reflection, the best rotation is what is asked for.
    source = draw(20, 3)
    found = umeyama(source, source * torch.tensor([1.0, 1.0, -1.0], dtype=F64), with_scale=True)
    close(torch.linalg.det(found.rotation), torch.tensor(1.0, dtype=F64))


def test_a_mirror_image_in_a_plane_is_a_half_turn_in_space() -> None:
    # A triangle and its mirror image in the plane z = 0, mirrored across y: no rotation of the plane maps one onto
    # the other, the half turn about y does.
    source = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 2, 0]], dtype=F64)
    target = torch.tensor([[0, 0, 0], [-1, 0, 0], [0, 2, 0]], dtype=F64)
    found = umeyama(source, target, with_scale=True)
    close(found.rotation, torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=F64)))
    close(found.scale, torch.tensor(1.0, dtype=F64))


@pytest.mark.parametrize("mode", ["se3", "sim3"])
def test_align_undoes_a_change_of_world(mode: str) -> None:
    target = make_move("arc", 9, amount=1.0, depth=2.0, unit="metre")
    camera = target.camera.to(dtype=F64)
    target = replace(target, camera=camera)
    world = se3.exp(draw(6))
    moved = replace(camera, world_from_cam=world @ camera.world_from_cam)
    moved = moved.scaled(0.3) if mode == "sim3" else moved
    given = Trajectory(moved, fps=10.0, unit="arbitrary" if mode == "sim3" else "metre", name="given")
    aligned = align(given, target, mode)
    close(aligned.camera.world_from_cam, camera.world_from_cam, atol=1e-6)
    assert (aligned.unit, aligned.fps, aligned.name) == ("metre", 10.0, "given")
    aligned.camera.validate()


def test_float32_is_fitted_in_float64() -> None:
    source = (draw(50, 3) + 1000.0).float()
    true = Similarity(torch.tensor(2.0), se3.rotation_y(torch.tensor(0.3)), torch.tensor([1.0, 2.0, 3.0]))
    found = umeyama(source, true.apply(source), with_scale=True)
    assert found.scale.dtype == torch.float32
    close(found.rotation, true.rotation, atol=1e-4)
    assert umeyama(source.bfloat16(), source.bfloat16(), with_scale=True).rotation.dtype == torch.float32


def test_what_fixes_no_rotation_raises() -> None:
    points, line = draw(5, 3), torch.linspace(0, 1, 5, dtype=F64)[:, None] * draw(3)
    for source, target, sentence in (
        (line, points, "the source points lie in one place or on one line"),
        (points, line + 7.0, "the target points lie in one place or on one line"),
        (points, torch.ones(5, 3, dtype=F64), "the target points lie in one place or on one line"),
        (points[:2], points[:2], "at least three points, got 2"),
        (points, points[:4], r"\[..., N, 3\] twice, got \[5, 3\] and \[4, 3\]"),
        (points[:, :2], points[:, :2], r"\[..., N, 3\] twice"),
        (points, points * float("nan"), "the target points of an alignment hold NaN"),
    ):
        with pytest.raises(ValueError, match=sentence):
            umeyama(source, target, with_scale=True)
    dolly, orbit = make_move("dolly", 5), make_move("orbit", 5)
    with pytest.raises(ValueError, match="the source points lie in one place or on one line"):
        align(dolly, orbit)
    with pytest.raises(ValueError, match="the same number of frames, got 5 and 4"):
        align(orbit, orbit[:4])
    with pytest.raises(ValueError, match="one of se3, sim3, got 'rigid'"):
        align(orbit, orbit, "rigid")


def test_no_argument_is_changed() -> None:
    source, target = draw(5, 3), draw(5, 3, seed=1)
    before = (source.clone(), target.clone())
    umeyama(source, target, with_scale=True)
    assert torch.equal(source, before[0]) and torch.equal(target, before[1])
    camera = Camera(se3.exp(draw(5, 6)), K_from_fov(1.0, (4, 6)), (4, 6))
    kept = camera.world_from_cam.clone()
    align(Trajectory(camera), Trajectory(camera))
    assert torch.equal(camera.world_from_cam, kept)
