"""How the processes of a run hold its network: whole in each of them (DDP), or a part of every weight each (FSDP2).

accelerate finds the processes, whether torchrun or `accelerate launch` started them, and brings autocast, DDP and the
scaler of fp16; PyTorch's `fully_shard` deals weights, gradients, moments and averages out where a run is sharded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from .objective import Objective

_LOW_PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}


def several_processes() -> bool:
    """Whether this process was started as one of several."""
    return int(os.getenv("WORLD_SIZE", "1")) > 1


class Engine:
    """The processes of a run, and its network and optimisers as they train.

    `bare` is the network itself, `loss(batch)` the loss and its parts of a batch, whose gradients are all processes'.

    With `sharded`, or where accelerate's configuration says FSDP, each process keeps a part of every weight in float32
    and gathers a block at a time to compute, in the run's precision: bf16 weights, float32 masters.
    """

    def __init__(self, precision: str, *, sharded: bool = False) -> None:
        """ValueError for sharding without several processes, and in fp16."""
        self.sharded = sharded or os.getenv("ACCELERATE_USE_FSDP", "false").lower() == "true"
        self.accelerator = Accelerator(
            mixed_precision=precision,
            cpu=several_processes() and not torch.accelerator.is_available(),  # gloo; else each would train alone
        )
        if self.sharded:
            check_sharding(precision, 2 if torch.distributed.is_initialized() else 1)
        self.precision = precision
        self.bare = nn.Module()
        self.loss: Any = None
        self.optimizers: list[Any] = []

    @property
    def processes(self) -> int:
        """How many processes train."""
        return int(self.accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this process writes what all need once."""
        return bool(self.accelerator.is_main_process)

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return self.accelerator.device

    def shard(self, model: nn.Module) -> None:
        """Keep what is trained in float32, in memory of its own: a checkpoint's weights come mapped from their file.
        Where the run is sharded, deal out the weights of `model`, each of its blocks a unit of its own, so that no
        process holds more of it whole."""
        if not self.sharded:
            _in_float32(model)
            return
        # Nothing is added in place to what a block gives: the gradients are those of one process.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        low = _LOW_PRECISION.get(self.precision)
        policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32, cast_forward_inputs=False)
        mesh = torch.distributed.device_mesh.init_device_mesh(self.device.type, (self.processes,))
        for unit in (*blocks_of(model), model):
            _in_float32(unit)
            fully_shard(unit, mesh=mesh, mp_policy=policy, reshard_after_forward=True)

    def prepare(self, objective: Objective) -> None:
        """Take a run's network and optimisers."""
        self.bare = objective.model
        network = self.accelerator.prepare_model(self.bare, device_placement=False, evaluation_mode=True)
        self.loss = _Loss(network, objective)
        optimizers = objective.optimizers()
        if self.sharded:
            self.optimizers = list(optimizers)
            return
        self.optimizers = [self.accelerator.prepare_optimizer(optimizer) for optimizer in optimizers]
        if self.processes > 1:
            # Of the loss, and not of the network: what a task leaves without a loss has no gradient, and DDP sees that
            # from what its module returns.
            self.loss = DistributedDataParallel(self.loss, find_unused_parameters=True)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that the run changes."""
        return ((name, p) for name, p in self.bare.named_parameters() if p.requires_grad)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradients of `loss`; with the `last` of a step's they become the mean over the processes."""
        if isinstance(self.bare, FSDPModule):
            self.bare.set_requires_gradient_sync(last)
        self.accelerator.backward(loss)

    def without_sync(self, *, last: bool) -> AbstractContextManager[Any]:
        """What a forward and backward pass run in; gradients travel in a step's `last` one alone."""
        return nullcontext() if last or self.sharded else self.accelerator.no_sync(self.loss)

    def clip(self, most: float) -> float:
        """Shorten the gradients to the norm `most`; the norm that they had, over all processes."""
        if not self.sharded:
            return float(self.accelerator.clip_grad_norm_(self.bare.parameters(), most))
        return float(whole(torch.nn.utils.clip_grad_norm_(self.bare.parameters(), most)))

    def told(self, value: Any) -> Any:
        """The main process's `value`, in all of them."""
        return broadcast_object_list([value])[0] if self.processes > 1 else value

    def gathered(self, values: list[Any]) -> list[Any]:
        """The lists of all processes as one."""
        return list(gather_object(values)) if self.processes > 1 else values

    def whole_on_main(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors with all their parts, on the main process; nothing on the others. All processes ask at once."""
        found = {}
        for name, tensor in tensors.items():
            full = whole(tensor)
            if self.is_main:
                found[name] = full.cpu() if self.sharded else full
        return found


def check_sharding(precision: str, processes: int) -> None:
    """ValueError where weights cannot be sharded: for one process, and in fp16."""
    if processes < 2:
        raise ValueError(
            "weights are sharded over processes, and there is one: start several with torchrun or accelerate launch"
        )
    if precision == "fp16":
        raise ValueError("a sharded run computes in bf16 or float32, not in fp16")


class _Loss(nn.Module):
    """A network and what it costs."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Any) -> dict[str, Tensor]:
        return self.objective.loss(self.network, batch)


def _in_float32(module: nn.Module) -> None:
    """Give what is trained of a module, unless it is dealt out, its own float32."""
    for parameter in module.parameters():
        if parameter.requires_grad and not isinstance(parameter, DTensor):
            parameter.data = parameter.data.to(torch.float32, copy=True)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The blocks of a network: the entries of its outermost module lists that hold parameters."""
    found: list[nn.Module] = []
    for child in model.children():
        found += list(child) if isinstance(child, nn.ModuleList) else blocks_of(child)
    return [block for block in found if any(True for _ in block.parameters())]


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts that other processes hold; all of them ask at once."""
    return tensor.full_tensor().detach() if isinstance(tensor, DTensor) else tensor.detach()


def dealt(full: Tensor, like: Tensor) -> Tensor:
    """A whole tensor as `like` is: the part of this process where `like` is dealt out."""
    if not isinstance(like, DTensor):
        return full
    return distribute_tensor(full.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


@contextmanager
def exchanged(parameters: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> Iterator[None]:
    """While the block runs the parameters hold the others' values, and the others theirs."""
    _exchange(parameters, others)
    try:
        yield
    finally:
        _exchange(parameters, others)


@torch.no_grad()
def _exchange(parameters: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        own = parameter.detach().clone()
        parameter.copy_(others[name])
        others[name].copy_(own)
