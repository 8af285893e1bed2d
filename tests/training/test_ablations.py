"""The ablations: each differs from the full method in what it is named for, runs at its budget, and is told with its error."""

from __future__ import annotations

import json

import pytest

from raxel_core.cli import main
from raxel_core.training.ablation_runs import FULL, ArmResult, arm_config, arms, table

DIFFERENCES = {
    "no_dsca": {"model": {"attention": "joint"}},
    "no_cosine": {"cosine_weight": 0.0},
    "plucker": {"model": {"ray_representation": "plucker"}},
    "shared_sigma": {"shared_sigma": True},
    "earliest_reference": {"random_reference": False},
    "normalised": {"unit": "arbitrary"},
    "near_depth": {"unit": "near_depth"},
}


def test_each_arm_is_the_full_method_but_for_its_own_part():
    assert arms()[0] == FULL and set(arms()) == {FULL, *DIFFERENCES}
    full = json.loads(arm_config(FULL).to_json())
    for name, difference in DIFFERENCES.items():
        arm = json.loads(arm_config(name).to_json())
        changed = {key: value for key, value in arm.items() if value != full[key] and key != "name"}
        if "model" in changed:
            changed["model"] = {key: value for key, value in changed["model"].items() if value != full["model"][key]}
        assert changed == difference and arm["name"] == name


def test_an_arm_that_there_is_none_of_is_told_before_any_is_trained(tmp_path, capsys):
    assert main(["ablations", str(tmp_path / "runs"), "--arms", "full", "fll"]) == 2
    assert "there is no ablation called 'fll': there are full" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert main(["ablations", str(tmp_path), "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(arms())


def test_a_table_tells_the_mean_over_seeds_and_its_standard_error():
    """Clips' errors of 0.3 and 0.5, seeds 1 and 2: root of the mean of 0.09 and 0.25 and of 0.5 / 2."""
    runs = [
        {"gain": gain, "gain_se": error, "rotation": 5.0, "focal": 0.1, "corr_yaw+tx": 0.7, "corr_yaw-tx": 0.1,
         "video_gain": 0.0, "video_gain_se": 0.0, "video": 18.0, "shuffled": 17.0}
        for gain, error in ((1.0, 0.3), (2.0, 0.5))
    ]  # fmt: skip
    result = ArmResult("full", tuple(runs))
    assert result.mean("gain") == 1.5
    assert result.standard_error("gain") == pytest.approx((0.17 + 0.25) ** 0.5)
    assert "| full | 1.500 +- 0.648 | 5.000 +- 0.000 |" in table([result])
    assert ArmResult("one", (runs[0],)).standard_error("rotation") is None


@pytest.mark.slow
def test_the_command_trains_compares_and_carries_on(tmp_path, capsys, monkeypatch):
    from raxel_core.training import ablation_runs
    from raxel_core.training.config import TrainConfig

    small = {"clips": 16, "shard_clips": 16, "validation_clips": 2, "batch": 4}
    tiny = {
        name: TrainConfig.from_json(json.dumps({**json.loads(arm_config(name).to_json()), **small})) for name in arms()
    }
    monkeypatch.setattr(ablation_runs, "arm_config", tiny.__getitem__)
    command = ["ablations", str(tmp_path), "--steps", "1", "--seeds", "3", "--arms", "full", "plucker", "no_dsca"]
    assert main(command) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| full", "| plucker", "| no_dsca"]
    log = (tmp_path / "plucker-3" / "log.jsonl").read_text()
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plucker"][0]["rotation"] == pytest.approx(json.loads(log.splitlines()[-1])["validation"]["rotation"])
    assert (tmp_path / "plucker-3" / "log.jsonl").read_text() == log
