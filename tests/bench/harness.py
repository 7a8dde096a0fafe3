"""Harness of the benchmarks: alternating pairs of peers, medians of ratios, and one JSON line per figure."""

from __future__ import annotations

import gc
import json
import operator
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter, process_time

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}
Run = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured number. `target` such as "<= 1.05" is what it should reach, `met` whether it does."""

    figure: str
    value: float
    unit: str
    peer: str | None = None
    target: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the value reaches its target; None without one."""
        if self.target is None:
            return None
        relation, _, bound = self.target.partition(" ")
        return bool(RELATIONS[relation](self.value, float(bound)))

    def line(self) -> str:
        """The figure as one line of JSON."""
        fields = {**asdict(self), "value": float(f"{self.value:.4g}"), "met": self.met}
        return json.dumps(fields)


@dataclass(frozen=True)
class Ratio:
    """Quartiles of time(ours) / time(peer) over pairs, and the peer's median time in milliseconds."""

    median: float
    lower: float
    upper: float
    peer_ms: float


def seconds(run: Run) -> float:
    """Time of one call; what it returns is kept until the clock has stopped, and then dropped.

    With one torch thread this is the processor's time, in which other programs on the machine do not show; with
    several it is the time on the wall.
    """
    clock = process_time if torch.get_num_threads() == 1 else perf_counter
    start = clock()
    result = run()
    elapsed = clock() - start
    del result
    return elapsed


def paired(ours: Run, peer: Run, repeats: int = 21, budget: float = 4.0) -> Ratio:
    """The ratio of two runs, timed turn about after a warm-up, each going first every other time.

    Stops after `repeats` pairs, or after at least five once `budget` seconds are spent. Each timing repeats a
    quick run until it lasts about two milliseconds, so that the clock and the interpreter's jitter do not show.
    """
    for run in (ours, peer):
        run()
    loops = max(1, round(2e-3 / min(seconds(ours), seconds(peer))))
    first, second, pairs = repeat(ours, loops), repeat(peer, loops), list[tuple[float, float]]()
    gc.collect()
    gc.disable()
    start = perf_counter()
    try:
        while len(pairs) < repeats and (len(pairs) < 5 or perf_counter() - start < budget):
            if len(pairs) % 2:
                pairs.append((seconds(first), seconds(second)))
            else:
                pairs.append((seconds(second), seconds(first))[::-1])
    finally:
        gc.enable()
    lower, median, upper = statistics.quantiles([a / b for a, b in pairs], n=4)
    return Ratio(median, lower, upper, statistics.median(b for _, b in pairs) / loops * 1e3)


def peak_memory(run: Run) -> float:
    """Megabytes of tensors that a run holds at once, at most, beyond those there before: torch's own count."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        run()
    events = [event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())])
    return float(held.max(initial=0)) / 1e6


def repeat(run: Run, loops: int) -> Run:
    """A run that calls another `loops` times."""

    def several() -> None:
        for _ in range(loops):
            run()

    return several if loops > 1 else run
