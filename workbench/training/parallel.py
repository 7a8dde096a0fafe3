"""Data-parallel training: the processes started by `torchrun` share each batch and average their gradients.

Communication goes through Hugging Face Accelerate. Every process runs the same program from the same seed; only the
first one writes files and reports. The loss must be a mean over examples: then weights and curve are those of one
process with the whole batch, up to rounding. Batch statistics (BatchNorm) are computed per process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.errors import ConfigError


def place() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) without a launcher."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1
    from accelerate import PartialState

    state = PartialState(cpu=True)
    return state.process_index, state.num_processes


def is_first() -> bool:
    """Return whether this is the process that writes and reports."""
    return place()[0] == 0


def wait_for_first() -> None:
    """Wait until every process is here, so that all see the files of the first one."""
    if place()[1] > 1:
        from accelerate import PartialState

        PartialState(cpu=True).wait_for_everyone()


def share(inputs: Any, targets: Tensor) -> tuple[Any, Tensor]:
    """Return the part of a batch that this process takes; inputs are a tensor or a tuple of tensors.

    Raises:
        ConfigError: If the examples cannot be divided equally, or do not have one target each (a GAN).
    """
    index, processes = place()
    if processes == 1:
        return inputs, targets
    several = isinstance(inputs, tuple)
    n = len(inputs[0] if several else inputs)
    if targets.shape[:1] != (n,):
        raise ConfigError(
            f"Among {processes} processes no batch can be shared that has {n} inputs and targets of shape "
            f"{tuple(targets.shape)}: not one for each. Train this in one process, without torchrun."
        )
    if n % processes:
        raise ConfigError(
            f"{n} examples do not part equally among {processes} processes. Choose another number of them."
        )
    rows = slice(index * n // processes, (index + 1) * n // processes)
    return tuple(x[rows] for x in inputs) if several else inputs[rows], targets[rows]


def average_gradients(parameters: Sequence[nn.Parameter], loss: float) -> float:
    """Average each gradient over the processes in one message; return the mean of their losses."""
    if place()[1] == 1:
        return loss
    from accelerate.utils import reduce

    gradients = [p.grad for p in parameters if p.grad is not None]
    message = torch.cat([g.flatten().float() for g in gradients] + [gradients[0].new_tensor([loss]).float()])
    mean = reduce(message, "mean")
    for gradient, part in zip(gradients, mean[:-1].split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
    return float(mean[-1])
