"""Settings of the training loop."""

from dataclasses import dataclass

from workbench.core.errors import ConfigError, UnknownNameError
from workbench.core.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    Share,
    ShareBelowOne,
    check_fields,
)
from workbench.training.optimizers import OPTIMIZERS
from workbench.training.schedules import schedule

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class FitConfig:
    """Settings of `fit`. A step is one update of the weights."""

    steps: PositiveInt = 1000
    """Number of updates."""
    optimizer: str = "adamw"
    """One of `optimizers.OPTIMIZERS`."""
    lr: PositiveFloat = 1e-3
    """Learning rate where the schedule's factor is 1."""
    bias_lr: NonNegativeFloat = 1.0
    """Learning rate of biases and norms, as a multiple of `lr`."""
    other_lr: NonNegativeFloat = 1.0
    """Learning rate of the weights that Muon leaves to the optimiser beside it, as a multiple of `lr`."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of weights; biases and norms do not decay."""
    betas: tuple[ShareBelowOne, ShareBelowOne] = (0.9, 0.999)
    """Adam's decay rates; rmsprop uses the second."""
    momentum: ShareBelowOne = 0.9
    """Momentum of "momentum", "muon" and "muon_sgd"."""
    nesterov: bool = False
    """Use Nesterov's form of "momentum"."""
    schedule: str = "constant"
    """One of `schedules.SCHEDULES`."""
    warmup: NonNegativeInt = 0
    """Steps over which the learning rate rises."""
    final_factor: Share = 0.0
    """Final factor of the schedule."""
    gradient_clip: PositiveFloat | None = None
    """Largest global norm of the gradient."""
    precision: str = "fp32"
    """"fp32", or "bf16" for the forward pass in autocast; weights and updates stay fp32."""
    accumulate: PositiveInt = 1
    """Batches per step; step s averages the batches from s * accumulate on."""
    ema: ShareBelowOne | None = None
    """Decay of the weight average that is evaluated, kept and returned; None for no average."""
    evaluate_every: NonNegativeInt = 0
    """Steps between evaluations; 0 evaluates after the last step only."""
    log_every: PositiveInt = 10
    """Steps per point of the curve."""
    checkpoint_every: PositiveInt = 200
    """Steps between writes of the training state."""
    keep_steps: tuple[NonNegativeInt, ...] = ()
    """Completed steps after which `keep` gets the model; 0 is before training."""
    seed: Seed = 0
    """Seed of dropout and of all else that draws from torch's own generator."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, known=OPTIMIZERS)
        if self.other_lr != 1 and not self.optimizer.startswith("muon"):
            raise ConfigError(f"other_lr={self.other_lr} is for Muon's read-outs. Leave it at 1 with {self.optimizer}.")
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, known=PRECISIONS)
        schedule(self.schedule)
        for step in self.keep_steps:
            if step > self.steps:
                raise ConfigError(f"keep_steps has {step}, but the run goes from 0 to {self.steps}.")

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate in the update after `step` completed ones."""
        return schedule(self.schedule)(step, self.steps, self.warmup, self.final_factor)

    def learning_rate(self, step: int, part: str) -> float:
        """Return the learning rate of a group of parameters in the update after `step` completed ones."""
        shares = {"hidden": 1.0, "weight": self.other_lr, "bias": self.bias_lr}
        return self.lr * shares[part] * self.factor(step)
