"""Limits on what one request may ask for, checked on its specification before any work begins.

    workbench run ablation --model digits_mlp --hook blocks.0.hook_post --inputs train:0:20000 --allow rows=20000
    workbench.run("ablation", model="digits_mlp", ..., budget=Budget(rows=20_000))

A link to the dashboard never starts work above the usual limits. They are far above common use: what they stop are
slips of the keyboard and requests that would fill the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any

from workbench.core.errors import InputError, UnknownNameError, short
from workbench.core.reading import whole

Amount = int | float
FREE = ("size",)
"""Whole-number parameters of analyses that are free at any size."""
EVERYTHING = "all"


@dataclass(frozen=True)
class Budget:
    """Largest amounts that one request may ask for; `math.inf` lifts a limit.

    Attributes:
        rows: Examples in one batch of inputs.
        units: Entries of one list, such as the units of `units=0:64`.
        steps: Steps, episodes, draws or states: any count that an analysis takes.
        questions: Questions of one pipeline, its grids expanded.
        parameters: Weights of a network that is built to be trained.
        characters: Characters of a prompt, or of all prompts of one batch.
        bytes: Bytes of the files that are read, and of the activations that are returned.

    Example:
        >>> workbench.Budget(rows=100_000).rows
        100000
    """

    rows: Amount = 10_000
    units: Amount = 10_000
    steps: Amount = 10_000
    questions: Amount = 10_000
    parameters: Amount = 200_000_000
    characters: Amount = 1_000_000
    bytes: Amount = 1_000_000_000


USUAL = Budget()
UNLIMITED = Budget(*[math.inf] * len(fields(Budget)))
_CURRENT: ContextVar[Budget] = ContextVar("budget", default=USUAL)


def current() -> Budget:
    """Return the current budget."""
    return _CURRENT.get()


@contextmanager
def allow(budget: Budget | None) -> Iterator[None]:
    """Set another budget inside the block; None keeps the current one."""
    token = _CURRENT.set(budget or current())
    try:
        yield
    finally:
        _CURRENT.reset(token)


def require(name: str, amount: Amount, what: str) -> None:
    """Raise unless an amount is within the budget.

    Args:
        name: Field of `Budget`.
        amount: Amount asked for.
        what: Names what asks for it, such as "inputs='test:0:99999'".
    """
    if amount > (limit := getattr(current(), name)):
        raise InputError(
            f"{what}: {amount:,} {name} are too many for one request, which may have {limit:,}. Ask for fewer, or "
            f"raise the limit: --allow {name}={amount} on the command line, budget=Budget({name}={amount}) in Python."
        )


def require_parameters(values: Mapping[str, Any]) -> None:
    """Raise unless the lists and counts among an analysis's parameters are within the budget."""
    for name, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            require("units", len(value), name)
        if isinstance(value, int) and name not in FREE:
            require("steps", value, f"{name}={value}")


def read_budget(words: Sequence[str]) -> Budget | None:
    """Read a budget from the words of `--allow`: `rows=100000 steps=500`, or `all` to lift every limit."""
    names, limits = [f.name for f in fields(Budget)], {}
    for word in words:
        name, _, text = word.partition("=")
        if word == EVERYTHING:
            return UNLIMITED
        if name not in names:
            raise UnknownNameError("limit", name, [*names, EVERYTHING])
        if (amount := whole(text)) is None:
            raise InputError(f"{short(word)} is no limit. Write {name}=NUMBER, such as {name}=100000.")
        limits[name] = amount
    return replace(current(), **limits) if limits else None
