"""Training loop for supervised learning and language models."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from workbench.core.errors import TrainingError
from workbench.core.progress import Progress, silent
from workbench.core.torch_internals import tree_leaves
from workbench.training.averaging import WeightAverage
from workbench.training.curve import Curve
from workbench.training.fit_config import FitConfig
from workbench.training.optimizers import Optimizer, build_optimizer
from workbench.training.parallel import average_gradients, is_first, share
from workbench.training.resume import (
    TrainingState,
    batch_sha256,
    facts_of,
    optimizer_tensors,
    pause,
    read_state,
    require_same,
    restore_model,
    restore_optimizer,
    write_state,
)

Batch = Callable[[int], tuple[Any, Tensor]]
"""Returns (inputs, targets) of a step and depends only on (seed, step); inputs are a tensor or a tuple of tensors."""
Loss = Callable[[Any, Tensor], Tensor]
"""Maps (output, targets) to a scalar."""
Metrics = Mapping[str, float | Mapping[str, Any]]
"""Maps names to numbers or to {"value": number, "n": ..., "interval": ...}, of which the curve keeps the value."""


def fit(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    cfg: FitConfig,
    evaluate: Callable[[nn.Module], Metrics] | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    keep: Callable[[int, nn.Module], None] | None = None,
) -> Curve:
    """Train a model in place and return its curve: train_loss, learning_rate, gradient_norm, seconds and metrics.

    Under `torchrun` several processes share the work (`training.parallel`). `evaluate`, `keep` and the caller get the
    model in evaluation mode, with averaged weights if `ema` is set.

    Args:
        model: The network.
        batch: Returns the batch of each step.
        loss: Maps output and targets to a scalar.
        cfg: Settings.
        evaluate: Measures the model every `evaluate_every` steps.
        checkpoint: File of the training state, written every `checkpoint_every` steps, at the end, and if `progress`
            cancels. If it exists, the run continues from it, bit for bit on the same number of threads.
        progress: Called with the steps done and all steps.
        keep: Called with the step and the model at `keep_steps`.

    Raises:
        TrainingError: If a loss, gradient or weight is not finite.
    """
    run = Run(model, cfg, checkpoint, {} if checkpoint is None else {"first_batch": batch_sha256(*batch(0))})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        run.restore()
        model.train()
        try:
            _keep(run, keep)
            while run.step < cfg.steps:
                advance(run, batch, loss)
                observe(run, evaluate)
                _keep(run, keep)
                due = run.step % cfg.checkpoint_every == 0 or run.step == cfg.steps
                pause(run.save, due, progress, run.step, cfg.steps)
        finally:
            model.eval()
    if run.average is not None:
        run.average.copy_to_model()
    return run.curve


class Run:
    """State of a training in progress."""

    def __init__(
        self, model: nn.Module, cfg: FitConfig, checkpoint: Path | None, data: Mapping[str, str] | None = None
    ) -> None:
        self.model, self.cfg, self.checkpoint, self.data = model, cfg, checkpoint, data or {}
        self.optimizer: Optimizer = build_optimizer(
            model, cfg.optimizer, cfg.lr, cfg.weight_decay, cfg.betas, cfg.momentum, cfg.nesterov
        )
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.average = None if cfg.ema is None else WeightAverage(model, cfg.ema)
        self.curve = Curve()
        self.step = 0
        self.pending: list[float] = []
        """Losses since the last point of the curve."""
        self.gradient_norm: Tensor | None = None
        self._earlier, self._since = 0.0, perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent in this run, earlier sessions included."""
        return self._earlier + perf_counter() - self._since

    @property
    def log_due(self) -> bool:
        """True if the current step ends with a point of the curve."""
        return (self.step + 1) % self.cfg.log_every == 0 or self.step + 1 == self.cfg.steps

    def save(self) -> None:
        """Write the training state."""
        if self.checkpoint is not None and is_first():
            write_state(self.checkpoint, self.state())

    def state(self) -> TrainingState:
        """Return the training state; raises TrainingError if a weight is not finite."""
        if (name := find_broken_parameter(self.model)) is not None:
            raise TrainingError(f"{_at(self.step - 1)}{name} is not finite. {self._advice}")
        groups = {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "average": self.average.tensors if self.average else {},
            "random": {"torch": torch.get_rng_state()},
        }
        facts = {
            "config": facts_of(self.cfg, self.model, **self.data),
            "step": self.step,
            "pending": self.pending,
            "seconds": self.seconds,
            "curve": [self.curve.step, self.curve.series],
        }
        return TrainingState.of(groups, facts)

    def restore(self) -> None:
        """Continue from the stored state if there is one."""
        if self.checkpoint is not None and self.checkpoint.exists():
            self.take(read_state(self.checkpoint), self.checkpoint)

    def take(self, state: TrainingState, path: Path) -> None:
        """Continue from a state that was read from `path`."""
        require_same(state.facts["config"], facts_of(self.cfg, self.model, **self.data), path)
        restore_model(self.model, state.under("model"), path)
        restore_optimizer(self.optimizer, state.under("optimizer"))
        if self.average is not None:
            self.average.load(state.under("average"))
        self.curve = Curve(*state.facts["curve"])
        self.step, self.pending = state.facts["step"], state.facts["pending"]
        self._earlier = state.facts["seconds"]
        torch.set_rng_state(state.tensors["random.torch"])

    def explain_stop(self, loss: float, inputs: Any = (), targets: Any = ()) -> TrainingError:
        """Return the error for a loss or gradient that is not finite, with its likely source."""
        for name, values in (("inputs", inputs), ("targets", targets)):
            if (place := find_not_finite(values)) is not None:
                return TrainingError(
                    f"{_at(self.step)}the {name} of its batch hold {place}. Correct the data: numbers must be finite."
                )
        culprit = find_broken_parameter(self.model)
        source = f"the first parameter that is not finite is {culprit}" if culprit else "every parameter is finite"
        return TrainingError(f"{_at(self.step)}the loss is {loss}; {source}. {self._advice}")

    @property
    def _advice(self) -> str:
        remains = f"The last good state remains in {self.checkpoint}. " if self.checkpoint else ""
        return f"{remains}Lower lr ({self.cfg.lr}), set gradient_clip or a warmup, or look at the inputs of that step."


def advance(run: Run, batch: Batch, loss: Loss) -> None:
    """Run one update: gradients of `accumulate` batches, clipping, optimiser, average."""
    cfg = run.cfg
    run.optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for micro in range(cfg.accumulate):
        part = share(*batch(run.step * cfg.accumulate + micro))
        value = forward(run.model, *part, loss, cfg.precision) / cfg.accumulate
        total += value.item()
        if not math.isfinite(total):
            raise run.explain_stop(total, *part)
        value.backward()
    total = average_gradients(run.parameters, total)
    if cfg.gradient_clip is not None:
        run.gradient_norm = nn.utils.clip_grad_norm_(run.parameters, cfg.gradient_clip)
    elif run.log_due:
        run.gradient_norm = nn.utils.get_total_norm([p.grad for p in run.parameters if p.grad is not None])
    if run.gradient_norm is not None and not math.isfinite(run.gradient_norm):
        raise run.explain_stop(total)
    for group in run.optimizer.param_groups:
        group["lr"] = cfg.learning_rate(run.step, group["part"])
    run.optimizer.step()
    if run.average is not None:
        run.average.update(run.step)
    run.pending.append(total)
    run.step += 1


def forward(model: nn.Module, inputs: Any, targets: Tensor, loss: Loss, precision: str) -> Tensor:
    """Compute the loss of one batch; with bf16, the network runs in autocast and the loss in fp32."""
    if precision == "fp32":
        return loss(model(inputs), targets)
    with torch.autocast(targets.device.type, torch.bfloat16):
        output = model(inputs)
    return loss(output.float() if isinstance(output, Tensor) else output, targets)


def find_broken_parameter(model: nn.Module) -> str | None:
    """Return the first parameter with a value that is not finite, else with such a gradient, else None."""
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return name
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            return f"the gradient of {name}"
    return None


def find_not_finite(values: Any) -> str | None:
    """Return the first value that is not finite and its place in one or several tensors; None if there is none."""
    for tensor in tree_leaves(values):
        if isinstance(tensor, Tensor) and not (finite := tensor.isfinite()).all():
            place = (~finite).nonzero()[0].tolist()
            return f"{tensor[tuple(place)].item()} at {place}"
    return None


@contextmanager
def evaluation_mode(run: Run) -> Iterator[nn.Module]:
    """Put the model into evaluation mode with averaged weights for the duration of the block."""
    random_state = torch.get_rng_state()
    run.model.eval()
    with run.average.use_averages() if run.average else nullcontext():
        yield run.model
    run.model.train()
    torch.set_rng_state(random_state)


def observe(run: Run, evaluate: Callable[[nn.Module], Metrics] | None) -> None:
    """Add the measurements that are due after this step to the curve."""
    cfg, last = run.cfg, run.step == run.cfg.steps
    point: dict[str, float] = {}
    if last or run.step % cfg.log_every == 0:
        point["train_loss"] = sum(run.pending) / len(run.pending)
        point["learning_rate"] = cfg.lr * cfg.factor(run.step - 1)
        point["gradient_norm"] = float(run.gradient_norm) if run.gradient_norm is not None else math.nan
        point["seconds"] = run.seconds
        run.pending = []
    if evaluate is not None and (last or (cfg.evaluate_every and run.step % cfg.evaluate_every == 0)):
        with evaluation_mode(run) as model:
            point |= {n: m["value"] if isinstance(m, Mapping) else m for n, m in evaluate(model).items()}
    if point:
        run.curve = run.curve.with_point(run.step, point)


def _keep(run: Run, keep: Callable[[int, nn.Module], None] | None) -> None:
    """Pass the weights to `keep` if this step is one of `keep_steps`."""
    if keep is not None and run.step in run.cfg.keep_steps and is_first():
        with evaluation_mode(run) as model:
            keep(run.step, model)


def _at(step: int) -> str:
    return f"Training stopped in step {step + 1}: "
