"""Adapters: by hand, trained with exact resume, applied by ComfyUI's loader and by ours, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch.nn import Linear

from raxel_core.cli import main
from raxel_core.raxel_model import load_model
from raxel_core.training.config import TrainConfig
from raxel_core.training.raxel_objective import LORA_FILE, WEIGHTS_FILE, RaxelObjective
from raxel_core.training.run_state import STATE_FILE
from raxel_core.training.train import Trainer
from raxel_core.training.vae import fit_patch_code, raxel_and_video_clips
from raxel_core.video_io import write_video
from raxel_core.weights import load_checkpoint, save_checkpoint
from raxel_core.weights.lora import AdaptedLinear, add_adapters, merge_lora, save_lora
from tests.random_raxel import (
    ROOTS,
    random_batch,
    random_raxel,
    save_random_raxel,
    velocities,
    velocities_in_comfy,
)
from tests.training import test_training

CONFIG = replace(test_training.CONFIG, lora_rank=3, learning_rate=1e-2, warmup=1)
TOLERANCE = 1e-5


def adapted_raxel(rank=4, seed=3):
    """The random network with adapters that are not zero."""
    model = random_raxel()
    generator = torch.Generator().manual_seed(seed)
    add_adapters(model, rank, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


def adapters_of(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A base checkpoint, a LoRA of it, and the velocities of the network that was saved."""
    folder = tmp_path_factory.mktemp("lora")
    base = save_random_raxel(folder / "base.safetensors")
    model = adapted_raxel()
    save_lora(folder / "lora.safetensors", adapters_of(model), metadata={"steps": "4"})
    return base, folder / "lora.safetensors", velocities(model, random_batch())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A new network whose heads are not silent, as a checkpoint to adapt, and the VAE of the clips."""
    folder = tmp_path_factory.mktemp("base")
    vae = fit_patch_code(raxel_and_video_clips(CONFIG, range(32)), channels=32)
    objective = RaxelObjective(test_training.CONFIG, vae, cache=folder / "cache")
    generator = torch.Generator().manual_seed(0)
    for head in (objective.model.video_head, objective.model.ray_head):
        torch.nn.init.normal_(head.head.weight, std=0.1, generator=generator)
    objective.save(objective.model.state_dict(), folder, 0)
    return folder / WEIGHTS_FILE, vae


def run(folder, base, config=CONFIG, until=None):
    trainer = Trainer(RaxelObjective(config, base[1], cache=base[0].parent / "cache", start=base[0]), folder)
    trainer.train(until=until)
    return trainer


def test_an_adapter_by_hand():
    """W x + b = (1 + 2, 3) + (1, 0); A x = 2 - 1 = 1 and B 1 = (10, 20): together (14, 23)."""
    layer = Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
        layer.bias.copy_(torch.tensor([1.0, 0.0]))
        adapted = AdaptedLinear(layer, 1, torch.Generator())
        assert torch.equal(adapted(torch.ones(2)), torch.tensor([4.0, 3.0]))
        adapted.lora_A.copy_(torch.tensor([[2.0, -1.0]]))
        adapted.lora_B.copy_(torch.tensor([[10.0], [20.0]]))
        assert torch.equal(adapted(torch.ones(2)), torch.tensor([14.0, 23.0]))


def test_new_adapters_change_nothing_and_are_all_that_is_trained():
    model, batch = random_raxel(), random_batch()
    before = velocities(model, batch)
    add_adapters(model, 2, generator=torch.Generator().manual_seed(0))
    assert all(torch.equal(value, before[stream]) for stream, value in velocities(model, batch).items())
    layers = {name.rpartition(".")[0] for name in adapters_of(model)}
    pattern = r"blocks\.[01]\.((self|cross)_attn\.[qkvo]|(ray_)?ffn\.[02])"
    assert len(layers) == 24 and all(re.fullmatch(pattern, layer) for layer in layers)
    assert all(name.endswith(("lora_A", "lora_B")) for name in adapters_of(model))


def test_a_file_is_laid_out_as_comfyui_names_it(files):
    held = load_file(files[1])
    layer = "diffusion_model.blocks.1.ray_ffn.0"
    assert len(held) == 3 * 24
    assert held[f"{layer}.lora_A.weight"].shape == (4, 256) and held[f"{layer}.lora_B.weight"].shape == (160, 4)
    assert held[f"{layer}.alpha"] == 4.0 and held[f"{layer}.alpha"].shape == ()


def test_merged_by_hand_and_in_double_precision(files, tmp_path):
    """alpha 2 of rank 4 halves B A, strength 0.5 halves it again."""
    held = load_file(files[1])
    changed = {key: torch.tensor(2.0) if key.endswith("alpha") else value for key, value in held.items()}
    save_file(changed, tmp_path / "half.safetensors")
    model, key = load_checkpoint(files[0]).model, "blocks.0.self_attn.q"
    before = model.state_dict()[f"{key}.weight"].double()
    merge_lora(model, tmp_path / "half.safetensors", strength=0.5)
    a, b = (held[f"diffusion_model.{key}.lora_{x}.weight"].double() for x in "AB")
    assert (model.state_dict()[f"{key}.weight"].double() - (before + 0.25 * b @ a)).abs().max() < 1e-7
    assert torch.equal(load_checkpoint(files[0]).model.state_dict()[f"{key}.weight"].double(), before)


@pytest.mark.parametrize("root", ROOTS)
def test_comfyuis_lora_loader_gives_our_merged_model(root, files, tmp_path):
    base, lora, trained = files
    (tmp_path / "lora.safetensors").write_bytes(lora.read_bytes())
    batch = random_batch()
    found = velocities_in_comfy(root, tmp_path, batch, base, "lora.safetensors")
    model = load_checkpoint(base).model
    plain = velocities(model, batch)
    merge_lora(model, lora)
    for stream, merged in velocities(model, batch).items():
        assert (merged - plain[stream]).abs().max() > 0.1
        assert (merged - trained[stream]).abs().max() < TOLERANCE
        for loader in ("own", "stock"):
            assert (found[f"{loader}.{stream}"] - merged).abs().max() < TOLERANCE, (loader, stream)


@pytest.fixture(params=["no", "bf16"])
def precision(request):
    """A precision of the run; `accelerate` allows one for the life of a process unless it is told to forget it."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield request.param
    AcceleratorState._reset_state(reset_partial_state=True)


def test_four_steps_are_two_steps_resumed_for_two_more_bit_for_bit(precision, base, tmp_path):
    config = replace(CONFIG, precision=precision, gradient_checkpointing=precision == "bf16")
    whole = run(tmp_path / "whole", base, config)
    run(tmp_path / "parts", base, config, until=2)
    run(tmp_path / "parts", base, config)
    states = [load_file(tmp_path / name / STATE_FILE) for name in ("whole", "parts")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    names = {name.removeprefix("model.") for name in states[0] if name.startswith("model.")}
    assert names == set(whole.average) and all(name.endswith(("lora_A", "lora_B")) for name in names)
    files = [(tmp_path / name / LORA_FILE).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1] and not (tmp_path / "whole" / WEIGHTS_FILE).exists()


def test_the_base_stays_and_the_file_holds_the_average(base, tmp_path):
    trainer = run(tmp_path / "run", base)
    frozen = load_checkpoint(base[0]).model.state_dict()
    now = trainer.objective.model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    held = load_file(tmp_path / "run" / LORA_FILE)
    for name, value in trainer.average.items():
        assert torch.equal(held[f"diffusion_model.{name}.weight"], value)
        assert value.abs().max() > 0


def test_adapters_learn_what_the_base_cannot_do_yet(base, tmp_path):
    config = replace(CONFIG, steps=60, clips=4, shard_clips=4, pure_noise_share=1.0, task_shares=(1.0, 0.0, 0.0),
                     lora_rank=8, learning_rate=5e-3, cosine_weight=0.0, bundle_weight=0.0)  # fmt: skip
    trainer = run(tmp_path / "run", base, replace(config, log_every=10))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert trainer.step == 60 and losses[-1] < 0.8 * losses[0]


def test_train_and_load_from_the_command_line(base, tmp_path, capsys):
    config, folder = tmp_path / "run.json", tmp_path / "run"
    config.write_text(CONFIG.to_json())
    vae = tmp_path / "vae.safetensors"
    save_file(base[1].state_dict(), vae)
    assert TrainConfig.from_json(CONFIG.to_json()) == CONFIG
    arguments = ["train", str(config), str(folder), "--vae", str(vae), "--cache", str(base[0].parent / "cache")]
    assert main(arguments) == 2
    assert "lora_rank 3 trains adapters of a checkpoint" in capsys.readouterr().err
    assert main([*arguments, "--start", str(base[0])]) == 0
    assert f"wrote {folder / LORA_FILE}" in capsys.readouterr().err
    adapted = load_model(base[0], vae=vae, lora=folder / LORA_FILE).transformer.state_dict()
    plain = load_model(base[0], vae=vae).transformer.state_dict()
    assert {name for name, value in adapted.items() if not torch.equal(value, plain[name])} == {
        name.removesuffix("lora_A") + "weight" for name in load_trained(folder) if name.endswith("lora_A")
    }


def test_adapters_go_on_beside_the_weights_they_began_with(base, tmp_path):
    run(tmp_path / "run", base, until=1)
    loaded = load_checkpoint(base[0])
    weights = {name: value + 0.01 for name, value in loaded.model.state_dict().items()}
    save_checkpoint(tmp_path / "other.safetensors", weights, loaded.config, metadata=loaded.metadata)
    other = RaxelObjective(CONFIG, base[1], cache=base[0].parent / "cache", start=tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="another --start than it began with"):
        Trainer(other, tmp_path / "run")
    assert run(tmp_path / "run", base).step == CONFIG.steps


@pytest.mark.parametrize(
    ("change", "told"),
    [({"unit": "metre"}, "unit of the training configuration is metre and that of .* is near_depth: take the same"),
     ({"raxel_downscale": 1}, "raxel_downscale of the training configuration is 1 and that of .* is 2")],
)  # fmt: skip
def test_adapters_have_the_rays_of_their_base(base, tmp_path, change, told):
    with pytest.raises(ValueError, match=told):
        run(tmp_path / "run", base, replace(CONFIG, **change))


def load_trained(folder):
    names = load_file(folder / STATE_FILE)
    return {name.removeprefix("model.") for name in names if name.startswith("model.")}


def test_what_is_refused(files, tmp_path, capsys):
    model, held = load_checkpoint(files[0]).model, load_file(files[1])
    layer, path = "diffusion_model.blocks.0.ffn.0", tmp_path / "bad.safetensors"

    def refusal(tensors):
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        with pytest.raises(ValueError, match="^bad.safetensors") as caught:
            merge_lora(model, path)
        return str(caught.value)

    part = {key: value for key, value in held.items() if key.startswith(layer)}
    into, out = part[f"{layer}.lora_A.weight"], part[f"{layer}.lora_B.weight"]
    assert "lacks lora_B of blocks.0.ffn.0" in refusal({f"{layer}.lora_A.weight": into})
    assert "share no rank" in refusal({f"{layer}.lora_A.weight": into, f"{layer}.lora_B.weight": out[:, :2]})
    assert "of shape (160, 20), the model's is (160, 256)" in refusal(part | {f"{layer}.lora_A.weight": into[:, :20]})
    assert "holds NaN or infinity in blocks.0.ffn.0" in refusal(part | {f"{layer}.lora_A.weight": into * float("nan")})
    foreign = {key.replace("blocks.0", "blocks.7"): value for key, value in part.items()}
    assert "adapts 1 layers that the model does not have: blocks.7.ffn.0" in refusal(foreign)
    assert "holds 'lora_unet_blocks_0_ffn_0.lora_down.weight', expected" in refusal(
        {"lora_unet_blocks_0_ffn_0.lora_down.weight": into}
    )
    with pytest.raises(FileNotFoundError, match="there is no LoRA"):
        merge_lora(model, tmp_path / "none.safetensors")
    clip = tmp_path / "clip.mp4"
    write_video(clip, torch.zeros(3, 9, 64, 64), fps=8.0)
    assert main(["pose", str(clip), "--device", "cpu", "--lora", str(tmp_path / "none.safetensors")]) == 2
    assert "there is no LoRA" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"\.pt files can run code"):
        merge_lora(model, tmp_path / "lora.pt")
    with pytest.raises(ValueError, match="head.weight is not a parameter of an adapter"):
        save_lora(path, {"head.weight": into}, metadata={})
    with pytest.raises(ValueError, match="rank of at least 1, not 0"):
        add_adapters(model, 0, generator=torch.Generator())
    with pytest.raises(ValueError, match="lora_rank of the training configuration is a whole number from 0"):
        replace(CONFIG, lora_rank=-1)


def test_a_start_of_another_configuration_is_named(base, tmp_path):
    config = replace(CONFIG, model=replace(CONFIG.model, layers=3))
    with pytest.raises(ValueError, match="raxel.safetensors is a network of another configuration than the run's"):
        RaxelObjective(config, base[1], cache=base[0].parent / "cache", start=base[0])
