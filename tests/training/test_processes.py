"""Several processes: two give what one gives, whole and sharded; a state goes on under any number of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from raxel_core.ray_diffusion.objective import WEIGHTS_FILE as RAYS_FILE
from raxel_core.raype.objective import WEIGHTS_FILE as RAYPE_FILE
from raxel_core.training.raxel_objective import LORA_FILE
from raxel_core.training.raxel_objective import WEIGHTS_FILE as RAXEL_FILE
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.train import LOG_FILE, Trainer
from tests.training.processes import METHODS, RAXEL, objective, prepare, train

ROOT = Path(__file__).resolve().parents[2]
FILES = {"raxel": RAXEL_FILE, "raype": RAYPE_FILE, "rays": RAYS_FILE, "lora": LORA_FILE}


def torchrun(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Two processes on this computer."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of all runs: by one process here, and by two."""
    folder = tmp_path_factory.mktemp("processes")
    prepare(folder)
    for method in METHODS:
        train(method, folder, "one")
        train(method, folder, "given", until=2)
    torchrun("-m", "tests.training.processes", folder)
    return folder


def same(found, expected, *, atol=1e-6):
    assert found.keys() == expected.keys()
    off = {name: float((found[name].double() - value.double()).abs().max()) for name, value in expected.items()}
    assert max(off.values()) <= atol, sorted(off.items(), key=lambda item: -item[1])[:3]


def state_of(trainer):
    """All tensors that a run is carried on from."""
    return {**trainer._tensors().tensors, **trainer._tensors().moments()}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_give_what_one_gives(runs, method):
    """Each holding the whole network; stopped, carried on, logged alike, and written for use."""
    one, two = runs / f"{method}-one", runs / f"{method}-whole"
    assert len(load_file(one / STATE_FILE)) > 50
    same(load_file(two / STATE_FILE), load_file(one / STATE_FILE))
    same(load_file(two / FILES[method]), load_file(one / FILES[method]), atol=1e-3)  # half precision
    lines = [[json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()] for run in (one, two)]
    losses = [[line["loss"] for line in log if "loss" in line] for log in lines]
    assert losses[1] == pytest.approx(losses[0], abs=1e-6) and len(losses[0]) == RAXEL.steps
    figures = [next(line["validation"] for line in reversed(log) if "validation" in line) for log in lines]
    assert figures[1] == pytest.approx(figures[0], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_sharded_state_goes_on_in_one_process_and_one_process_s_sharded(runs, method):
    one = train(method, runs, "one")
    parts, given = runs / f"{method}-parts", runs / f"{method}-given"
    assert [path.name for path in parts.glob("state*")] == ["state-0000002"]
    assert len(list((parts / "state-0000002").glob("*.safetensors"))) == 2
    same(state_of(train(method, runs, "parts")), state_of(one))
    assert [path.name for path in parts.glob("state*")] == [STATE_FILE]
    assert [path.name for path in given.glob("state*")] == ["state-0000003"]
    same(state_of(train(method, runs, "given")), state_of(one))
    same(load_file(given / FILES[method]), load_file(runs / f"{method}-one" / FILES[method]), atol=1e-3)


@pytest.mark.slow
def test_processes_that_can_not_share_a_step_are_told(runs):
    with pytest.raises(ValueError, match="sharded over processes, and there is one"):
        train("rays", runs, "refused", sharded=True)
    assert not (runs / "rays-refused").exists()


@pytest.mark.slow
def test_clips_read_ahead_are_the_same(runs):
    trainer = Trainer(objective("raxel", runs), runs / "raxel-ahead", workers=1)
    trainer.train()
    same(state_of(trainer), state_of(train("raxel", runs, "one")), atol=0.0)
