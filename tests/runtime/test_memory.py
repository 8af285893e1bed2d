"""Memory is asked for before it is taken: one sentence with what would be needed and what there is."""

from __future__ import annotations

import pytest
import torch

from raxel_core.camera_sockets import wan_embedding
from raxel_core.camera_sockets.wan_embedding import wan_camera_embedding
from raxel_core.model.attention import PIECE_OF_WORK, attend, attend_in_pieces
from raxel_core.paths.plan import make_move
from raxel_core.paths.smoothing import smooth
from raxel_core.runtime import memory
from raxel_core.runtime.memory import ask_memory, free_memory
from raxel_core.warp.depth_map import DepthMap
from raxel_core.warp.point_splat import warp


def test_the_sentence_says_what_would_be_needed_and_what_there_is():
    ask_memory("work", 1e9, free=2 * 10**9)
    with pytest.raises(ValueError, match=r"^work would need 34\.0 GB of memory, and 9\.7 GB are free: take fewer"):
        ask_memory("work", 34e9, free=10**10)
    with pytest.raises(ValueError, match=r"need 50 MB of memory, and 0 MB are free: buy some$"):
        ask_memory("work", 5e7, free=10**8, advice="buy some")


def test_a_containers_bound_counts(tmp_path, monkeypatch):
    machine = free_memory()
    monkeypatch.setattr(memory, "_BOUND", tmp_path / "max")
    monkeypatch.setattr(memory, "_TAKEN", tmp_path / "current")
    assert free_memory() > machine / 2
    (tmp_path / "current").write_text("300\n")
    (tmp_path / "max").write_text("max\n")
    assert free_memory() > machine / 2
    (tmp_path / "max").write_text("1000\n")
    assert free_memory() == 700


def test_wans_rays_are_not_begun_where_they_do_not_fit(monkeypatch):
    """4093 frames at 8192 x 8192: 24 * 1024 * 2^26 floats of 4 bytes are 6.6 TB."""
    path = make_move("orbit", 4093, hw=(8192, 8192), amount=1.0)
    monkeypatch.setattr(wan_embedding, "unit_directions", lambda *given: pytest.fail("was begun"))
    with pytest.raises(
        ValueError, match=r"^4093 frames of 8192x8192 as Wan's rays would need 6\d\d\d\.\d GB of memory"
    ):
        wan_camera_embedding(path)


def test_a_warp_is_not_begun_where_it_does_not_fit():
    path = make_move("orbit", 4093, hw=(8192, 8192), amount=1.0)
    with pytest.raises(ValueError, match=r"4093 frames of 8192x8192 as a warped video would need 4\d\d\d\.\d GB"):
        warp(torch.zeros(3, 8, 8), DepthMap(torch.ones(8, 8)), path)


def test_smoothing_can_be_interrupted_and_counts_its_way():
    path, counted = make_move("handheld", 65, hw=(48, 64), amount=0.01), []
    smooth(path, 0.2, progress=lambda done, total: counted.append((done, total)))
    assert counted[0][0] == 1 and counted[-1][0] == counted[-1][1] > 5

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        smooth(path, 0.2, progress=stop)


def test_long_attention_comes_in_pieces_that_are_the_whole():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, length, 16, generator=generator) for length in (1000, 300, 300))
    calls = []
    whole = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    pieces = attend_in_pieces(
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v),
        q.repeat(1, 1, 1, 1), k, v, lambda: calls.append(1),
    )  # fmt: skip
    assert not calls and torch.equal(pieces, whole)
    torch.testing.assert_close(attend(q, k, v), whole)
    assert PIECE_OF_WORK < 2.0 * 82_000 * 82_000 * 192  # a clip of 4093 frames of the small model


def test_pieces_are_cut_where_the_work_is_long(monkeypatch):
    from raxel_core.model import attention

    monkeypatch.setattr(attention, "PIECE_OF_WORK", 1e5)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, length, 16, generator=generator) for length in (100, 30, 30))
    calls = []
    found = attend_in_pieces(torch.nn.functional.scaled_dot_product_attention, q, k, v, lambda: calls.append(1))
    torch.testing.assert_close(found, torch.nn.functional.scaled_dot_product_attention(q, k, v))
    assert len(calls) == 2
