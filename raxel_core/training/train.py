"""The training loop: batch -> loss -> step, with exact resume. What is trained, and on what, is an `Objective`.

A step's data and noise are functions of (seed, step), so the state that resumes a run bit for bit is the weights, their
average and the optimisers' moments: one safetensors file beside a JSON log with one line per report.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..atomic_file import unwritable
from ..weights.tensor_file import write_tensors
from .clock import Clock
from .config import RunConfig
from .data import ClipPool
from .run_state import changed_fields

STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"
SAMPLES_FILE = "samples-{step:07d}.png"


class Objective(Protocol):
    """What a run trains: a network with some parameters that require gradients, its data, its loss and its file."""

    @property
    def config(self) -> RunConfig:
        """The run."""
        ...

    @property
    def pool(self) -> ClipPool | None:
        """The clips it learns from; None where it makes its data as it goes."""
        ...

    @property
    def model(self) -> nn.Module:
        """The network as the run begins; parameters that do not require gradients stay as they are."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the network and what else a step computes with."""
        ...

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """New optimisers of the network's trained parameters."""
        ...

    def learning_rate(self, step: int) -> float:
        """The rate of a step, for all optimisers."""
        ...

    def draw(self, number: int) -> Any:
        """Batch `number` of the run with its noise, on the device: a function of the seed and the number alone."""
        ...

    def loss(self, model: Any, batch: Any) -> dict[str, Tensor]:
        """`loss` and its parts, scalars; `model` is the network as `accelerate` has prepared it."""
        ...

    def validate(
        self, weights: Mapping[str, Tensor], accelerator: Accelerator, samples: Path | None
    ) -> dict[str, float]:
        """Figures of the network with the trained parameters `weights`; draws what it can do at `samples`, if given."""
        ...

    def saved_step(self, folder: Path) -> int | None:
        """The step of the file that `save` has left in `folder`; None where there is none."""
        ...

    def save(self, weights: Mapping[str, Tensor], folder: Path, step: int) -> None:
        """Write the network with the trained parameters `weights` for use, atomically."""
        ...


class Trainer:
    """A run in a folder: `train` carries it on from where its last state left off.

    It runs on what `accelerate` finds: a CPU, a GPU, or one process per GPU, each with batches of its own. `average`
    holds the trained parameters' average, or the parameters themselves where the run keeps none.
    """

    def __init__(self, objective: Objective, folder: Path) -> None:
        self.objective, self.config, self.folder = objective, objective.config, folder
        self.accelerator = Accelerator(mixed_precision=self.config.precision)
        folder.mkdir(parents=True, exist_ok=True)
        objective.to(self.accelerator.device)
        self.model, *self.optimizers = self.accelerator.prepare(objective.model, *objective.optimizers())
        self.average = {name: p.detach().clone() if self.config.ema else p.detach() for name, p in self._trained()}
        self.step, self.clock = 0, Clock()
        self.changed: dict[str, str] = {}
        if (folder / STATE_FILE).exists():
            self._load_state()

    def train(
        self, *, until: int | None = None, seconds: float = math.inf,
        report: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:  # fmt: skip
        """Trains to step `until` (the whole run if None), saving, validating and logging on the way. After `seconds`
        the step at hand is the last one, and is followed by what a last step is.

        Each state is saved before anything else of its step is told or drawn, so that no fault in that costs it.
        """
        config = self.config
        self._save_stale_weights()
        if self.changed:
            self._log({"step": self.step, "changed": self.changed}, report)
        last = config.steps if until is None else min(until, config.steps)
        started, parts = time.monotonic(), []
        while self.step < last:
            parts.append(self.take_step())
            if time.monotonic() - started > seconds:
                last = self.step
            if self.step % config.log_every == 0:
                mean = {name: sum(p[name] for p in parts if name in p) / max(sum(name in p for p in parts), 1)
                        for name in sorted(set().union(*parts))}  # fmt: skip
                cost = {"core_ms": self.clock.read(config.batch * len(parts))}
                self._log({"step": self.step, "seconds": round(time.monotonic() - started, 1), **mean, **cost}, report)
                parts = []
            validates = self.step % config.validate_every == 0 or self.step == last
            if validates or self.step % config.save_every == 0:
                self.save()
            if validates:
                self._log({"step": self.step, **self._validation()}, report)

    def take_step(self) -> dict[str, float]:
        """Train one step; the loss and its parts, and the norm of the gradients."""
        clock = self.clock
        with clock.part("draw"):
            batch = self.objective.draw(self.step * self.accelerator.num_processes + self.accelerator.process_index)
        with clock.part("forward"):
            parts = self.objective.loss(self.model, batch)
        if not torch.isfinite(parts["loss"]):
            raise ValueError(f"the loss of step {self.step} is {parts['loss'].item()}: the run went astray before it")
        with clock.part("backward"):
            self.accelerator.backward(parts["loss"])
        with clock.part("optimiser"):
            norm = self._optimise()
        self.step += 1
        return {name: part.item() for name, part in parts.items()} | {"grad_norm": norm}

    def _optimise(self) -> float:
        """Clip the gradients, change the parameters and their average; the norm that the gradients had."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.objective.learning_rate(self.step)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self._trained() if self.config.ema else ():
                self.average[name].lerp_(parameter, 1 - decay)
        return float(norm)

    def validate(self) -> dict[str, float]:
        """The objective's figures of the averaged weights, and their samples."""
        samples = self.folder / SAMPLES_FILE.format(step=self.step) if self.accelerator.is_main_process else None
        return self.objective.validate(self.average, self.accelerator, samples)

    def _validation(self) -> dict[str, Any]:
        """What the log says of a validation: its figures, and why there are no samples where they were not written."""
        try:
            return {"validation": self.validate()}
        except OSError as error:  # a full disk, which the figures do not need
            figures = self.objective.validate(self.average, self.accelerator, None)
            return {"validation": figures, "samples": str(error)}

    def save(self) -> None:
        """Writes the state that resumes this run and the averaged weights for use, both atomically."""
        if not self.accelerator.is_main_process:
            return
        tensors = {f"model.{name}": p.detach() for name, p in self._trained()}
        tensors |= {f"average.{name}": p for name, p in self.average.items()} if self.config.ema else {}
        for i, optimizer in enumerate(self.optimizers):
            for key, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{i}.{key}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        metadata = {"step": str(self.step), "config": self.config.to_json()}
        write_tensors(self.folder / STATE_FILE, tensors, metadata)
        self.objective.save(self.average, self.folder, self.step)

    def _save_stale_weights(self) -> None:
        """Write the weights anew where the run was killed between its state and them."""
        if self.step and self.accelerator.is_main_process and self.objective.saved_step(self.folder) != self.step:
            self.objective.save(self.average, self.folder, self.step)

    def _load_state(self) -> None:
        path = self.folder / STATE_FILE
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
            self.step, config = int(metadata["step"]), metadata["config"]
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no whole state of a run, so that the run can not be carried on") from error
        self.changed = changed_fields(self.config, self.step, config, self.folder)
        trained = dict(self._trained())
        _copy(_under(tensors, "model."), trained)
        if self.config.ema:
            _copy(_under(tensors, "average."), self.average)
        for i, optimizer in enumerate(self.optimizers):
            state = optimizer.state_dict()
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(tensors, f"optimizer.{i}.").items():
                key, moment = name.split(".", 1)
                moments.setdefault(int(key), {})[moment] = value
            optimizer.load_state_dict({"state": moments, "param_groups": state["param_groups"]})

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that the run changes."""
        bare = self.accelerator.unwrap_model(self.model)
        return ((name, p) for name, p in bare.named_parameters() if p.requires_grad)

    def _log(self, line: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
        path = self.folder / LOG_FILE
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise unwritable(path, error) from error
        report(line)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


@torch.no_grad()
def _copy(values: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    """Fill `target` with `values`; ValueError unless both name the same tensors of the same shapes."""
    shapes, expected = ({name: tuple(t.shape) for name, t in each.items()} for each in (values, target))
    if shapes != expected:
        other = sorted(name for name, _ in shapes.items() ^ expected.items())
        raise ValueError(f"the run's state is of another network: {', '.join(dict.fromkeys(other[:5]))} differ")
    for name, tensor in target.items():
        tensor.copy_(values[name])
