"""Probing of a network: comparison of activations between repeated, doubled and changed batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from workbench.core.errors import InputError
from workbench.core.listeners import versions
from workbench.core.module_run import Note
from workbench.core.nested import flatten, is_plain, map_tensors
from workbench.core.perturbations import negate, neighbours, perturb
from workbench.core.probe import Probe
from workbench.core.random import fixed_noise, noise_state

Run = Callable[[Any, Note], Any]
"""Runs the network on inputs and passes each activation, with its name, to a `Note`."""
HYPOTHESES = 16
"""Maximum number of hypotheses about the inputs that have one row per example."""
OUTPUT = "output "
"""Prefix of the names of output tensors among activations."""


@dataclass(frozen=True)
class Observation:
    """Copies of all activations and output tensors of one run, and its side effects."""

    seen: dict[str, Tensor]
    overwritten: tuple[str, ...]
    whole_output: str
    drew: bool
    wrote_inputs: bool


@dataclass(frozen=True)
class Rows:
    """Inputs, with the tensors among their leaves that have one row per example."""

    leaves: list[Any]
    rebuild: Callable[[Sequence[Any]], Any]
    per_row: tuple[int, ...]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Any:
        """Return the inputs with these tensors replaced."""
        new = list(self.leaves)
        for place, x in zip(self.per_row, tensors, strict=True):
            new[place] = x
        return self.rebuild(new)

    def taken(self, rows: Tensor) -> list[Tensor]:
        """Select rows of these tensors."""
        return [self.leaves[place][rows.to(self.leaves[place].device)] for place in self.per_row]


def probe(run: Run, example: Any) -> Probe:
    """Measure the facts about a network that sweeps and interventions need.

    Cost: about 15 forward passes on at most 4 rows.
    """
    found = next(filter(None, (try_rows(run, rows) for rows in hypotheses(example))), None)
    rows, small, base, double = found or probe_fixed_batch(run, example)
    again = observe(run, small, seed=1)
    drew = base.drew or not same(base, again)
    stateful = drew and not same(base, observe(run, small))
    facts = {
        "rows": len(rows.leaves[rows.per_row[0]]),
        "per_row": tuple(i in rows.per_row for i, leaf in enumerate(rows.leaves) if isinstance(leaf, Tensor)),
        "in_place": base.overwritten,
        "writes_inputs": base.wrote_inputs,
        "whole_output": base.whole_output,
        "low_precision": any(x.is_floating_point() and x.element_size() <= 2 for x in base.seen.values()),
        "random": drew and not stateful,
        "stateful": stateful,
    }
    if double is None:
        return Probe(**facts, fixed_batch=True, rows_interact=None, batch_axis=axes_by_change(run, rows, base))
    axes = axes_by_doubling(base, double, len(rows.taken(take_few(rows))[0]))
    interacting, varying = interact(run, rows, small, double, axes)
    axes |= dict.fromkeys(varying)
    facts["varying"] = tuple(sorted(name for name in varying if not name.startswith(OUTPUT)))
    uncut = [name for name, axis in axes.items() if name.startswith(OUTPUT) and axis != 0]
    facts["whole_output"] = base.whole_output or ("its output has a part that is not one per row" if uncut else "")
    halves = [half(double, axes, late) for late in (False, True)]
    return Probe(
        **facts,
        batch_axis={name: axis for name, axis in axes.items() if not name.startswith(OUTPUT)},
        depends_on_batch=not drew and not all(same(half(base, axes), part, rounding=True) for part in halves),
        rows_interact=interacting,
    )


def observe(run: Run, inputs: Any, seed: int = 0) -> Observation:
    """Run on copies of the inputs and keep everything to compare."""
    seen: dict[str, Tensor] = {}
    passed: dict[str, tuple[Tensor, int]] = {}

    def note(name: str, x: Tensor) -> Tensor:
        seen[name] = x.clone()
        if not x.is_inference():
            passed[name] = (x, x._version)
        return x

    given = map_tensors(torch.clone, inputs)
    before = versions(given)
    with torch.no_grad(), fixed_noise(seed):
        noise = noise_state()
        output = run(given, note)
        drew = noise_state() != noise
    overwritten = tuple(name for name, (x, version) in passed.items() if x._version != version)
    leaves = flatten(output)[0]
    seen |= {f"{OUTPUT}{i}": leaf for i, leaf in enumerate(leaves) if is_plain(leaf)}
    strange = next((type(leaf).__name__ for leaf in leaves if not (leaf is None or is_plain(leaf))), None)
    reason = f"its output holds a {strange}, which has no rows that could be cut" if strange else ""
    return Observation(seen, overwritten, reason, drew, versions(given) != before)


def hypotheses(example: Any) -> Iterator[Rows]:
    """Yield hypotheses about the inputs that have one row per example: all of one length, then fewer of them."""
    leaves, rebuild = flatten(example)
    tensors = [i for i, leaf in enumerate(leaves) if is_plain(leaf) and leaf.ndim]
    if not tensors:
        raise InputError("The example holds no tensor with a batch axis. Pass a batch, its examples first.")
    if not len(leaves[tensors[0]]):
        raise InputError("The example has no rows. Pass at least one.")
    choices = (
        Rows(leaves, rebuild, chosen)
        for size in dict.fromkeys(len(leaves[i]) for i in tensors)
        for alike in [[i for i in tensors if len(leaves[i]) == size]]
        for count in range(len(alike), 0, -1)
        for chosen in combinations(alike, count)
    )
    yield from islice(choices, HYPOTHESES)


def try_rows(run: Run, rows: Rows) -> tuple[Rows, Any, Observation, Observation] | None:
    """Observe at most two rows and the same rows twice, or return None if these inputs cannot be doubled."""
    once = take_few(rows)
    small = rows.with_tensors(rows.taken(once))
    try:
        base = observe(run, small)
        double = observe(run, rows.with_tensors(rows.taken(once.repeat(2))))
    except Exception:  # whatever the user's module raises, it does not run with these rows
        return None
    doubled = any(axis is not None for axis in axes_by_doubling(base, double, len(once)).values())
    return (rows, small, base, double) if doubled else None


def take_few(rows: Rows) -> Int[Tensor, " row"]:
    """Return the first rows, at most two."""
    return torch.arange(min(2, len(rows.leaves[rows.per_row[0]])))


def probe_fixed_batch(run: Run, example: Any) -> tuple[Rows, Any, Observation, None]:
    """Probe a network that runs only with the example's number of rows."""
    return next(hypotheses(example)), example, observe(run, example), None


def axes_by_doubling(base: Observation, double: Observation, rows: int) -> dict[str, int | None]:
    """Return the axis whose length doubles with the rows, if it is the only one that changes."""
    axes: dict[str, int | None] = {}
    for name, x in base.seen.items():
        longer = double.seen[name].shape if name in double.seen else ()
        differs = [i for i, (n, m) in enumerate(zip(x.shape, longer, strict=False)) if n != m]
        fits = len(longer) == x.ndim and [(x.shape[i], longer[i]) for i in differs] == [(rows, 2 * rows)]
        axes[name] = differs[0] if fits else None
    return axes


def axes_by_change(run: Run, rows: Rows, base: Observation) -> dict[str, int | None]:
    """Return the axis along which exactly the changed rows differ, if there is exactly one."""
    tensors = [rows.leaves[i] for i in rows.per_row]
    where = torch.arange(len(tensors[0])) % 2 == (0 if len(tensors[0]) == 1 else 1)
    try:
        other = observe(run, rows.with_tensors(perturb(tensors, negate, where)))
    except Exception:  # the changed values are not valid inputs, so nothing is learnt
        return dict.fromkeys((name for name in base.seen if not name.startswith(OUTPUT)), None)
    axes: dict[str, int | None] = {}
    for name, x in base.seen.items():
        y = other.seen.get(name)
        if name.startswith(OUTPUT):
            continue
        every = range(x.ndim) if y is not None and y.shape == x.shape else ()
        fits = [i for i in every if y is not None and torch.equal(changed_entries(x, y, i), where)]
        axes[name] = fits[0] if len(fits) == 1 else None
    return axes


def changed_entries(x: Tensor, y: Tensor, axis: int) -> Bool[Tensor, " entry"]:
    """Mark the entries along an axis at which two activations differ."""
    return (x != y).movedim(axis, 0).flatten(1).any(dim=1).cpu()


def half(observation: Observation, axes: Mapping[str, int | None], late: bool | None = None) -> Observation:
    """Select the first or second half of the rows of everything that has rows (None: all rows)."""
    seen = {}
    for name, axis in axes.items():
        if axis is not None:
            x = observation.seen[name]
            seen[name] = x if late is None else x.chunk(2, dim=axis)[int(late)]
    return Observation(seen, (), "", False, False)


def interact(
    run: Run, rows: Rows, small: Any, double: Observation, axes: Mapping[str, int | None]
) -> tuple[bool | None, set[str]]:
    """Change some rows of a batch and compare the others.

    Returns:
        True if any activation of an unchanged row changes (None if no row could be changed), and the names of
        activations whose shape does.
    """
    tensors = [flatten(small)[0][i] for i in rows.per_row]
    twice = [x.repeat(2, *[1] * (x.ndim - 1)) for x in tensors]
    interacting, tried_any, varying = False, False, set[str]()
    for change, where in neighbours(len(twice[0])):
        new = perturb(twice, change, where)
        if all(map(torch.equal, new, twice)):
            continue
        try:
            other = observe(run, rows.with_tensors(new))
        except Exception:  # not valid inputs for this network
            continue
        tried_any = True
        untouched = (~where).nonzero()[:, 0]
        for name, x in double.seen.items():
            y, axis = other.seen.get(name), axes.get(name)
            if y is None or y.shape != x.shape:
                varying.add(name)
            elif axis is not None:
                at = untouched.to(x.device)
                interacting |= not equal(x.index_select(axis, at), y.index_select(axis, at))
    return interacting if tried_any else None, varying


def same(one: Observation, other: Observation, rounding: bool = False) -> bool:
    """Return whether two observations have the same activations with the same values."""
    names = one.seen.keys() == other.seen.keys()
    return names and all(equal(x, other.seen[name], rounding) for name, x in one.seen.items())


def equal(x: Tensor, y: Tensor, rounding: bool = False) -> bool:
    """Return whether two tensors are equal up to the last bits, or up to rounding by another order of summation."""
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if not (x.is_floating_point() or x.is_complex()):
        return torch.equal(x, y)
    epsilon = torch.finfo(x.dtype).eps
    finite = x[x.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 0.0
    return torch.allclose(x, y, rtol=0, atol=scale * (epsilon**0.5 if rounding else 4 * epsilon), equal_nan=True)
