"""Learning-rate schedules: pure functions from a step to the factor that multiplies the learning rate."""

import math
from collections.abc import Callable

from workbench.core.errors import UnknownNameError

Schedule = Callable[[int, int, int, float], float]
"""(step, steps, warmup, final) -> factor; steps count from 0, `final` is the factor approached at the end."""

DECAY_SHARE = 0.2
"""Share of the steps that warmup-stable-decay spends decaying (Hägele et al. 2024)."""

ONE_CYCLE_WARMUP, ONE_CYCLE_START = 0.3, 1 / 25
"""Share of the steps that rise when no warmup is given, and the factor they rise from (Smith & Topin 2018)."""


def constant(step: int, steps: int, warmup: int, final: float) -> float:
    """1 after a linear warmup; `final` is not used."""
    return _warm_up(step, warmup)


def linear(step: int, steps: int, warmup: int, final: float) -> float:
    """A straight line from 1 to `final` after a linear warmup."""
    if step < warmup:
        return _warm_up(step, warmup)
    return 1 + (final - 1) * _share(step - warmup, steps - warmup)


def cosine(step: int, steps: int, warmup: int, final: float) -> float:
    """Half a cosine from 1 to `final` after a linear warmup (Loshchilov & Hutter 2017, without restarts)."""
    if step < warmup:
        return _warm_up(step, warmup)
    return _half_cosine(1.0, final, _share(step - warmup, steps - warmup))


def warmup_stable_decay(step: int, steps: int, warmup: int, final: float) -> float:
    """Linear warmup, a plateau at 1, and a straight line to `final` over the last fifth."""
    start = steps - round(DECAY_SHARE * steps)
    if step < start:
        return _warm_up(step, warmup)
    return _warm_up(step, warmup) * (1 + (final - 1) * _share(step - start, steps - start))


def one_cycle(step: int, steps: int, warmup: int, final: float) -> float:
    """A cosine up from 1/25 to 1 over the warmup (30 % when it is 0), and a cosine down to `final` at the last step."""
    peak = (warmup or ONE_CYCLE_WARMUP * steps) - 1
    if step <= peak:
        return _half_cosine(ONE_CYCLE_START, 1.0, _share(step, peak))
    return _half_cosine(1.0, final, _share(step - peak, steps - 1 - peak))


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "warmup_stable_decay": warmup_stable_decay,
    "one_cycle": one_cycle,
}


def schedule(name: str) -> Schedule:
    """The schedule of that name."""
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, known=SCHEDULES)
    return SCHEDULES[name]


def _warm_up(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0


def _share(done: int | float, total: int | float) -> float:
    return min(1.0, max(0.0, done / total)) if total > 0 else 1.0


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
