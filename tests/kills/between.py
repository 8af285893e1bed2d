"""Training through the command line, killed exactly between the state of a step and its weights, for each method.

    python -m tests.kills.between METHOD FOLDER

Each run is killed by its own hand once the state of its first step is on the disk and before the weights are: with no
weights there, and at the last step with those of an earlier one. The run that follows has to end with the weights of
one that nobody disturbed. Prints one JSON object, or fails with what was lost.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from safetensors import safe_open

from raxel_core.cli import main as command
from raxel_core.model.config import RaxelConfig
from raxel_core.raxel_model import load_vae
from raxel_core.ray_diffusion.config import RayDiffusionConfig
from raxel_core.ray_diffusion.objective import RayDiffusionTrainConfig
from raxel_core.raype.config import RayPETrainConfig
from raxel_core.training.config import TrainConfig
from raxel_core.training.run_state import STATE_FILE, State, StateTensors, step_of_file
from tests.kills.killing import fork

STEPS = 2
COMMON = {
    "name": "between", "steps": STEPS, "frames": 5, "hw": (32, 32), "clips": 8, "shard_clips": 8, "batch": 4,
    "precision": "no", "log_every": 1, "validate_every": STEPS, "validation_clips": 2, "save_every": 1,
}  # fmt: skip
NETWORK = RaxelConfig(
    dim=24, ffn_dim=32, layers=1, heads=2, in_channels=64, patch=(1, 1, 1), text_dim=None, freq_dim=16
)
PHOTOGRAPHS = RayDiffusionConfig(
    hidden=32, depth=1, heads=2, grid=4, patch=1, image_px=16, max_images=2, features="convolution", feature_channels=16
)


def words_of(method: str, folder: Path) -> list[str]:
    """The options of the method's command, but for the run's folder."""
    if method == "raxel":
        config, more = TrainConfig(model=NETWORK, **COMMON), []
    elif method == "raype":
        config, more = RayPETrainConfig(sampling_steps=2, **COMMON), ["--backbone", str(_backbone(folder / "wan"))]
    else:
        config, more = RayDiffusionTrainConfig(model=PHOTOGRAPHS, views=(2, 2), **COMMON), []
    (folder / "config.json").write_text(config.to_json())
    return ["train", str(folder / "config.json"), "--method", method, *more]


def _backbone(folder: Path) -> Path:
    """A random Wan in diffusers' layout, of the channels that the embedded VAE has."""
    from diffusers import WanTransformer3DModel

    torch.manual_seed(0)
    channels = load_vae("raxel-tiny-vae").latent_channels
    WanTransformer3DModel(
        patch_size=(1, 2, 2), in_channels=channels, out_channels=channels, num_layers=1, num_attention_heads=2,
        attention_head_dim=12, text_dim=8, freq_dim=16, ffn_dim=40,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def killed_after_a_state(words: list[str], run: Path) -> int:
    """The exit status of the command in a fork that dies as soon as a state is written."""

    def killed() -> None:
        save = State.save

        def last_words(self: State, state: StateTensors, step: int, config: str) -> None:
            save(self, state, step, config)
            os.kill(os.getpid(), signal.SIGKILL)

        State.save = last_words
        command([*words[:2], str(run), *words[2:]])

    return fork(killed)


def weights_of(run: Path) -> Path | None:
    """The weights that a run has written, None where there are none yet."""
    return next((path for path in run.glob("*.safetensors") if path.name != STATE_FILE), None)


def tensors_of(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def main() -> int:
    """Kill the runs and hold the last one against an undisturbed one; the exit status."""
    method, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    words = words_of(method, folder)
    assert fork(lambda: command([*words[:2], str(folder / "right"), *words[2:]])) == 0
    right, run, stale = weights_of(folder / "right"), folder / "killed", []
    assert right is not None
    for step in range(1, STEPS + 1):
        assert killed_after_a_state(words, run) == -signal.SIGKILL
        found = weights_of(run)
        stale.append(None if found is None else step_of_file(found))
        assert step_of_file(run / STATE_FILE) is None  # a state is no weights
        assert tensors_of(run / STATE_FILE)[1]["step"] == str(step)
    assert fork(lambda: command([*words[:2], str(run), *words[2:]])) == 0
    (tensors, metadata), (expected, told) = tensors_of(run / right.name), tensors_of(right)
    assert metadata == told and metadata["steps"] == str(STEPS)
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], value) for name, value in expected.items())
    print(json.dumps({"method": method, "stale": stale}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
