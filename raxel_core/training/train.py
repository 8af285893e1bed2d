"""The training loop: batch -> loss -> step, with exact resume. What is trained, and on what, is an `Objective`.

A step's data and noise are functions of (seed, step), so the state that resumes a run bit for bit is the weights, their
average and the optimisers' moments, beside a JSON log with one line per report. How many processes take a step is no
part of a run: its batches are numbered, and shared out.
"""

from __future__ import annotations

import json
import math
import time
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ..atomic_file import unwritable
from .clock import Clock
from .engine import Engine, exchanged
from .objective import Objective
from .optimizers import set_rate
from .reading_ahead import batches_of
from .run_state import State, StateTensors, changed_fields, config_before

LOG_FILE = "log.jsonl"
SAMPLES_FILE = "samples-{step:07d}.png"


class Trainer:
    """A run in a folder: `train` carries it on from where its last state left off.

    It runs on what `accelerate` finds: a CPU, a GPU, or several processes, which share the batches of a step and give
    what one process gives. With `sharded` each of them holds a part of the network alone (`Engine`). `workers` are
    further processes of each that read clips ahead. `average` holds the trained parameters' average, or the parameters
    themselves where the run keeps none.
    """

    def __init__(self, objective: Objective, folder: Path, *, sharded: bool = False, workers: int = 0) -> None:
        self.objective, self.config, self.folder, self.workers = objective, objective.config, folder, workers
        self.engine = Engine(self.config.precision, sharded=sharded)
        check_share(self.config.batches, self.engine.processes)
        folder.mkdir(parents=True, exist_ok=True)
        self.engine.shard(objective.model)
        objective.to(self.engine.device)
        self.engine.prepare(objective)
        self.average = {
            name: p.detach().clone() if self.config.ema else p.detach() for name, p in self.engine.trained()
        }
        self.step, self.clock = 0, Clock()
        self.changed: dict[str, str] = {}
        self.state = State(folder, self.engine, objective.origins)
        if found := self.state.find():
            self.step, before = found[0], config_before(type(self.config), found[1], folder)
            self.changed = changed_fields(self.config, self.step, before, folder)
            self.state.load(self._tensors(), before)

    def train(
        self, *, until: int | None = None, seconds: float = math.inf,
        report: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:  # fmt: skip
        """Trains to step `until` (the whole run if None), saving, validating and logging on the way. After `seconds`
        the step at hand is the last one, and is followed by what a last step is. One process reports.

        Each state is saved before anything else of its step is told or drawn, so that no fault in that costs it.
        """
        config = self.config
        self._save_stale_weights()
        if self.changed:
            self._log({"step": self.step, "changed": self.changed}, report)
        last = config.steps if until is None else min(until, config.steps)
        if self.engine.told(self._owes_validation()):
            self._log({"step": self.step, **self._validation()}, report)
        started, parts = time.monotonic(), []
        batches = batches_of(self.objective, self._numbers(self.step, last), workers=self.workers)
        while self.step < last:
            parts.append(self.take_step(batches))
            if seconds < math.inf and self.engine.told(time.monotonic() - started > seconds):
                last = self.step
            if self.step % config.log_every == 0:
                self._report(parts, time.monotonic() - started, report)
                parts = []
            validates = self.step % config.validate_every == 0 or self.step == last
            if validates or self.step % config.save_every == 0:
                self.save()
            if validates:
                self._log({"step": self.step, **self._validation()}, report)

    def _numbers(self, first: int, last: int) -> Iterator[int]:
        """The numbers of the batches that this process takes in the steps from `first` to before `last`."""
        count = self.config.batches // self.engine.processes
        place = self.engine.accelerator.process_index * count
        for step in range(first, last):
            yield from range(step * self.config.batches + place, step * self.config.batches + place + count)

    def take_step(self, batches: Iterator[Any] | None = None) -> dict[str, float]:
        """Train one step on the next of `batches`, which are drawn if none are given; the loss and its parts, means
        over this process's batches, and the norm of the gradients."""
        count = self.config.batches // self.engine.processes
        batches = batches or batches_of(self.objective, self._numbers(self.step, self.step + 1))
        found: list[dict[str, float]] = []
        for i in range(count):
            with self.engine.without_sync(last=i + 1 == count):
                found.append(self._gradients(batches, share=1 / count, last=i + 1 == count))
        with self.clock.part("optimiser"):
            norm = self._optimise()
        self.step += 1
        return _means(found) | {"grad_norm": norm}

    def _gradients(self, batches: Iterator[Any], *, share: float, last: bool) -> dict[str, float]:
        """Add a `share` of the gradients of the next batch; its loss and the loss's parts."""
        clock = self.clock
        with clock.part("draw"):
            batch = next(batches)
        with clock.part("forward"):
            parts = self.engine.loss(batch)
        if not torch.isfinite(parts["loss"]):
            raise ValueError(f"the loss of step {self.step} is {parts['loss'].item()}: the run diverged before it")
        with clock.part("backward"):
            self.engine.backward(share * parts["loss"], last=last)
        return {name: part.item() for name, part in parts.items()}

    def _optimise(self) -> float:
        """Clip the gradients, change the parameters and their average; the norm that the gradients had."""
        set_rate(self.engine.optimizers, self.objective.learning_rate(self.step))
        norm = self.engine.clip(self.config.clip_norm)
        for optimizer in self.engine.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.engine.trained() if self.config.ema else ():
                self.average[name].lerp_(parameter, 1 - decay)
        return norm

    def validate(self, *, draws: bool = True) -> dict[str, float]:
        """The objective's figures of the averaged weights, and their samples."""
        engine = self.engine
        samples = self.folder / SAMPLES_FILE.format(step=self.step) if engine.is_main and draws else None
        trained = dict(engine.trained())
        engine.bare.eval()
        with exchanged(trained, self.average) if self.config.ema else nullcontext():
            figures = self.objective.validate(engine.bare, samples, draws=draws and (engine.sharded or engine.is_main))
        engine.bare.train()
        return figures

    def _validation(self) -> dict[str, Any]:
        """What the log says of a validation: its figures, and why there are no samples where they were not written."""
        try:
            return {"validation": self.validate()}
        except OSError as error:  # a full disk, which the figures do not need
            return {"validation": self.validate(draws=False), "samples": str(error)}

    def save(self) -> None:
        """Writes the state that resumes this run and the averaged weights for use, both atomically."""
        self.state.save(self._tensors(), self.step, self.config.to_json())
        self._save_weights()

    def _save_weights(self) -> None:
        """Write the network for use, with the averaged weights."""
        tensors = dict(self.engine.bare.named_parameters()) | self.average
        weights = self.engine.whole_on_main(tensors)
        if self.engine.is_main:
            self.objective.save(weights, self.folder, self.step)

    def _save_stale_weights(self) -> None:
        """Write the weights anew where the run was killed between its state and them."""
        if self.engine.told(bool(self.step) and self.objective.saved_step(self.folder) != self.step):
            self._save_weights()

    def _owes_validation(self) -> bool:
        """Whether the run was killed between a state that is followed by a validation and the line that tells of it."""
        due = self.step > 0 and (self.step % self.config.validate_every == 0 or self.step == self.config.steps)
        path, told = self.folder / LOG_FILE, f'{{"step": {self.step}, "validation": '
        lines = path.read_text(encoding="utf-8").splitlines() if due and path.exists() else []
        return due and not any(line.startswith(told) for line in lines)

    def _tensors(self) -> StateTensors:
        """What resumes the run: the tensors themselves, the optimisers, and the names of what these train."""
        trained = {f"model.{name}": p.detach() for name, p in self.engine.trained()}
        average = {f"average.{name}": p for name, p in self.average.items()} if self.config.ema else {}
        names: dict[torch.Tensor, str] = {p: name for name, p in self.engine.trained()}
        return StateTensors(trained | average, self.engine.optimizers, names)

    def _report(self, parts: list[dict[str, float]], seconds: float, report: Callable[[dict[str, Any]], None]) -> None:
        """Log the means over the last steps and all processes, and what they cost this one."""
        clips = self.config.batch * len(parts) * self.config.batches // self.engine.processes
        mean = _means(self.engine.gathered(parts))
        cost = {"core_ms": self.clock.read(clips)}
        self._log({"step": self.step, "seconds": round(seconds, 1), **mean, **cost}, report)

    def _log(self, line: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
        if not self.engine.is_main:
            return
        path = self.folder / LOG_FILE
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise unwritable(path, error) from error
        report(line)


def check_share(batches: int, processes: int) -> None:
    """ValueError where the processes cannot share a step's batches alike."""
    if batches % processes:
        raise ValueError(
            f"{processes} processes cannot share the {batches} batches of a step alike: set batches of the "
            f"training configuration to a multiple of {processes}"
        )


def _means(found: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over those that have it."""
    values = {name: [parts[name] for parts in found if name in parts] for name in sorted(ChainMap(*found))}
    return {name: sum(each) / len(each) for name, each in values.items()}
