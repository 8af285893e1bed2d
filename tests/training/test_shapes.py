"""Clips of several shapes in one run: whose turn it is, what a step holds, and that it resumes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from raxel_core.model.config import RaxelConfig
from raxel_core.training.config import TrainConfig
from raxel_core.training.raxel_objective import RaxelObjective
from raxel_core.training.shapes import CYCLE, ShapedClips
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips

CONFIG = TrainConfig(
    name="shapes", steps=4, frames=5, hw=(32, 32), clips=8, shard_clips=8, batch=4, batches=2, precision="no", log_every=1,
    validate_every=100, validation_clips=2, save_every=100, scenes=(("pan", 1.0),), shapes=(("9x32x64", 0.25), ("5x16x16", 0.25)),
    model=RaxelConfig(24, 48, 1, 2, in_channels=16, patch=(1, 1, 1), text_dim=None, freq_dim=16), optimizer="adamw",
)  # fmt: skip


def test_each_shape_has_its_share_of_the_steps_and_each_of_its_batches_comes_once():
    shaped = ShapedClips(CONFIG, None, lambda config: None)
    places = [shaped.place(number) for number in range(2 * 3 * CYCLE)]
    assert Counter(shape for shape, _ in places) == {0: 3 * CYCLE, 1: 3 * CYCLE // 2, 2: 3 * CYCLE // 2}
    for shape in range(3):
        assert [place for which, place in places if which == shape] == list(range(len(places) * (2, 1, 1)[shape] // 4))
    assert all(places[i][0] == places[i + 1][0] for i in range(0, len(places), 2))  # the batches of a step
    # 4 clips of 5 x 32 x 32 pixels: one of 9 x 32 x 64, and as many small ones as a shard has
    assert [(c.frames, c.hw, c.batch) for c in shaped.configs] == [(5, (32, 32), 4), (9, (32, 64), 1), (5, (16, 16), 8)]


def test_a_run_of_two_shapes_reads_both_and_resumes_bit_for_bit(tmp_path):
    vae = fit_patch_code(raxel_and_video_clips(replace(CONFIG, shapes=()), range(16)), channels=16)
    config = replace(CONFIG, shapes=(("9x32x64", 0.5),), seed=2)

    def run(name, until=None):
        trainer = Trainer(RaxelObjective(config, vae, cache=tmp_path / "clips"), tmp_path / name)
        trainer.train(until=until)
        return trainer

    objective = RaxelObjective(config, vae, cache=tmp_path / "clips")
    shapes = {tuple(objective.draw(number)[0].video.shape) for number in range(8)}
    assert shapes == {(4, 16, 2, 4, 4), (1, 16, 3, 4, 8)}
    whole = run("whole")
    run("parts", until=1)
    parts = run("parts")
    assert all(torch.equal(parts.average[name], value) for name, value in whole.average.items())


@pytest.mark.parametrize(
    ("shapes", "words"),
    [({"9x32": 0.5}, "write FRAMESxHEIGHTxWIDTH"), ({"8x32x32": 0.5}, "4k \\+ 1 frames, got 8"),
     ({"9x32x32": 1.5}, "from 0 to 1"), ({"9x32x32": 0.6, "5x64x64": 0.6}, "sum to 1 at most")],
)  # fmt: skip
def test_shapes_survive_json_and_are_checked(shapes, words):
    assert TrainConfig.from_json(CONFIG.to_json()) == CONFIG
    with pytest.raises(ValueError, match=words):
        TrainConfig.from_json(json.dumps(json.loads(CONFIG.to_json()) | {"shapes": shapes}))


def test_shares_that_round_up_are_a_whole_cycle_and_one_without_a_step_is_refused():
    shares = (("5x32x48", 0.4), ("9x32x32", 0.4), ("5x32x64", 0.2))
    shaped = ShapedClips(replace(CONFIG, shapes=shares), None, lambda config: None)
    turns = Counter(shaped.place(CONFIG.batches * step)[0] for step in range(CYCLE))
    assert turns == {1: 25, 2: 26, 3: 13}
    with pytest.raises(ValueError, match="share of shapes 9x32x32 is 0.005, which is no step of the 64"):
        ShapedClips(replace(CONFIG, shapes=(("9x32x32", 0.005),)), None, lambda config: None)
