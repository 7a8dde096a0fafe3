"""Data-parallel training: several processes share each batch and average their gradients (Hugging Face Accelerate)."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator, debug_launcher
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from workbench.core.errors import ConfigError
from workbench.training.curve import Curve
from workbench.training.fit import Batch, FitConfig, Loss, fit

WEIGHTS, CURVE = "weights.safetensors", "curve.json"


def fit_in_parallel(model: nn.Module, batch: Batch, loss: Loss, cfg: FitConfig, processes: int = 2) -> Curve:
    """Trains the model in place with `processes` on this machine's processors, and returns its curve.

    Each process takes an equal part of every batch, and the loss must be a mean over its examples: then weights and
    curve are those of one process with the whole batch, up to the order of sums. Batch statistics (BatchNorm) and
    dropout are each process's own. Forks: call it before other threads work.
    """
    rows = len(batch(0)[1])
    if processes < 1 or rows % processes:
        raise ConfigError(f"{rows} examples do not part equally among {processes} processes. Choose a divisor.")
    with TemporaryDirectory() as scratch:
        debug_launcher(work, (model, batch, loss, cfg, scratch), num_processes=processes)
        model.load_state_dict(load_file(Path(scratch) / WEIGHTS), strict=False)
        curve = Curve.from_json((Path(scratch) / CURVE).read_text(encoding="utf-8"))
    model.eval()
    return curve


def work(model: nn.Module, batch: Batch, loss: Loss, cfg: FitConfig, folder: str) -> None:
    """What one of the processes does; the first one writes weights and curve."""
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    part = share(batch, accelerator.process_index, accelerator.num_processes)
    curve = fit(accelerator.prepare_model(model), part, loss, cfg)
    losses = gather_object([curve.series["train_loss"]])
    if accelerator.is_main_process:
        mean = [None if None in some else sum(some) / len(some) for some in zip(*losses, strict=True)]
        state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, Path(folder) / WEIGHTS)
        table = Curve(curve.step, {**curve.series, "train_loss": mean}).table()
        (Path(folder) / CURVE).write_text(json.dumps(table), encoding="utf-8")
    accelerator.wait_for_everyone()
    accelerator.end_training()


def share(batch: Batch, place: int, places: int) -> Batch:
    """The part of every batch that the process at `place` of `places` takes."""

    def part(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = batch(step)
        rows = slice(place * len(targets) // places, (place + 1) * len(targets) // places)
        return inputs[rows], targets[rows]

    return part
