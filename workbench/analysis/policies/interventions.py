"""Effect of interventions on the return, with conditions and seeds as rows of one vector environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.hook_shapes import require_unit_axis
from workbench.analysis.policies.episodes import run_episodes, total_returns
from workbench.core.coordinates import Result, View
from workbench.core.errors import InputError, NeverFiredError
from workbench.core.hooked import HookedModel, HookFn, HookInfo
from workbench.core.intervals import mean_interval
from workbench.core.interventions import Intervention, apply_all, mean, zero
from workbench.core.listeners import identity
from workbench.core.metrics import logits_of
from workbench.core.progress import Progress, silent
from workbench.core.protocols import Environments
from workbench.core.sites import Site

Condition = Sequence[Intervention]
MakeEnvironments = Callable[[int], Environments]
ROWS = 4096
"""Maximum rows of one vector environment; further conditions are run in further environments."""
FEW = 8
"""Edits that touch less than 1/`FEW` of the entries are applied sparsely."""


@dataclass(frozen=True)
class Affine:
    """Edit of one hook for each condition: activation * `factor` + `shift`."""

    factor: Float[Tensor, "condition *activation"]
    shift: Float[Tensor, "condition *activation"]

    def on(self, of_row: Int[Tensor, " row"]) -> HookFn:
        """Return the hook function for rows of these conditions."""
        factor, shift = self.factor.flatten(1), self.shift.flatten(1)
        row, entry = ((factor != 1) | (shift != 0))[of_row].nonzero(as_tuple=True)
        if FEW * len(row) > len(of_row) * factor.shape[1]:
            factor, shift = self.factor[of_row], self.shift[of_row]
            return lambda x: torch.addcmul(shift, factor, x)
        place = row * factor.shape[1] + entry
        return partial(edit_places, place, factor[of_row[row], entry], shift[of_row[row], entry])


def edit_places(place: Int[Tensor, " place"], factor: Tensor, shift: Tensor, x: Tensor) -> Tensor:
    """Edit the entries at these flat indices of an activation."""
    y = x.clone(memory_format=torch.contiguous_format)
    flat = y.reshape(-1)
    flat[place] = torch.addcmul(shift, factor, flat[place])
    return y


@dataclass(frozen=True)
class InterventionReturns(Result):
    """Undiscounted return of a greedy episode for each seed, intact and under each condition.

    `effect` is the mean over seeds of return(edited) - return(intact), paired by seed; `low` and `high` are its 95 %
    bootstrap interval.
    """

    view: ClassVar[View] = View(
        main="effect", rows="edited", quantity="change of the return", ranked=True,
        interval=lambda r: (r.low, r.high), title="Change of the return {intact:over}",
        sentence="'{effect:site}' changes the return most, by {effect:top} from {intact}{effect:clear}, {intact:over}.",
    )  # fmt: skip

    conditions: tuple[str, ...]
    seeds: tuple[int, ...]
    intact: Float[Tensor, " episode"]
    edited: Float[Tensor, "condition episode"]
    effect: Float[Tensor, " condition"]
    low: Float[Tensor, " condition"]
    high: Float[Tensor, " condition"]


def intervene_in_rollouts(
    model: HookedModel,
    make_environments: MakeEnvironments,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    limit: int | None = None,
    progress: Progress = silent,
) -> InterventionReturns:
    """Measure the return of greedy episodes under each condition, with the same seeds for all.

    Equivalent to a loop over `model.edited(condition)`, but each row of one batch is edited differently.

    Args:
        model: A policy.
        make_environments: Makes a vector environment with the given number of rows.
        conditions: Interventions of each condition. They must be affine in each entry: zero, mean, steer, scale, or
            patch with one row.
        seeds: Seeds of the episodes.
        limit: Time limit in steps.
        progress: Called with the number of finished conditions and their total.

    Returns:
        An `InterventionReturns`.

    Raises:
        InputError: If there are no conditions or seeds, or an intervention is not affine or selects batch entries.

    Cost: 1 forward pass on all unfinished rows per step.
    """
    if not conditions or not seeds:
        raise InputError(f"Got {len(conditions)} conditions and {len(seeds)} seeds. Give at least one of each.")
    at_once = max(1, ROWS // len(seeds))
    whole: list[Condition] = [[], *conditions]
    parts = []
    for start in range(0, len(whole), at_once):
        chunk = whole[start : start + at_once]
        parts.append(run_conditions(model, make_environments, chunk, seeds, limit))
        progress(min(start + at_once, len(whole)), len(whole))
    returns = torch.cat(parts)
    change = returns[1:] - returns[0]
    low, high = mean_interval(change)
    names = tuple(", ".join(map(str, condition)) or "intact" for condition in conditions)
    return InterventionReturns(names, tuple(seeds), returns[0], returns[1:], change.mean(dim=1), low, high)


@torch.no_grad()
def run_conditions(
    model: HookedModel,
    make_environments: MakeEnvironments,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    limit: int | None = None,
) -> Float[Tensor, "condition episode"]:
    """Return the return of a greedy episode for each condition and seed, all as rows of one vector environment."""
    n_rows = len(conditions) * len(seeds)
    condition_of = torch.arange(n_rows) // len(seeds)
    envs, edits = make_environments(n_rows), make_affine_edits(model, conditions)
    act, handlers = choose_forward(model, edits), dict[str, HookFn]()
    n_running = 0

    def choose(observation: Tensor, rows: Tensor) -> Tensor:
        nonlocal n_running
        if len(rows) != n_running:  # rows only finish, so a change of the set changes its size
            handlers.update({hook: edit.on(condition_of[rows]) for hook, edit in edits.items()})
            n_running = len(rows)
        with model.attach(handlers):
            return logits_of(act(observation)).argmax(dim=-1)

    steps = run_episodes(choose, envs, list(seeds) * len(conditions), limit)
    return total_returns(steps, n_rows).reshape(len(conditions), len(seeds))


def choose_forward(model: HookedModel, hooks: Iterable[str]) -> Callable[[Tensor], Any]:
    """Return `model.act`, which skips a separate critic, if all hooks fire in it; else the model."""
    act: Any = getattr(model, "act", model)
    try:
        with model.attach(dict.fromkeys(hooks, identity)):
            act(model.example())
    except NeverFiredError:
        return model
    return act


def make_affine_edits(model: HookedModel, conditions: Sequence[Condition]) -> dict[str, Affine]:
    """Return the edits of each hook that any condition touches."""
    infos = model.trace()
    sites = {i.site.resolve(model).hook: None for condition in conditions for i in condition}
    return {hook: make_affine_edit(infos[hook], conditions) for hook in sites}


def make_affine_edit(info: HookInfo, conditions: Sequence[Condition]) -> Affine:
    """Determine factor and shift of each condition at one hook by applying it to zeros, ones and twos."""
    shape = (1, *info.shape[1:])
    probes = [torch.full(shape, value) for value in (0.0, 1.0, 2.0)]
    factors, shifts = [], []
    for condition in conditions:
        here = [i for i in condition if i.site.hook == info.name]
        check_no_batch(here)
        at_zero, at_one, at_two = (apply_all(here, info.axes, probe) if here else probe for probe in probes)
        factor = at_one - at_zero
        if not torch.allclose(at_two, at_zero + 2 * factor, atol=1e-5) or any(i.name == "resample" for i in here):
            raise InputError(
                f"{', '.join(map(str, here))} is not affine in each entry, so it cannot be applied row by row. "
                "Use zero, mean, steer, scale or patch, or loop over model.edited."
            )
        factors.append(factor)
        shifts.append(at_zero)
    return Affine(torch.cat(factors), torch.cat(shifts))


def check_no_batch(interventions: Condition) -> None:
    """Raise an `InputError` if a site selects batch entries, which are episodes here."""
    for intervention in interventions:
        if "batch" in intervention.site.index:
            raise InputError(
                f"{intervention} selects batch entries, which are episodes here. Remove the index on 'batch'."
            )


def remove_each_unit(
    model: HookedModel, hooks: Sequence[str], reference: dict[str, Tensor] | None = None
) -> list[Condition]:
    """Return one condition per unit of the hooks, which sets it to zero, or to its mean in `reference`."""
    infos, conditions = model.trace(), list[Condition]()
    for hook in model.select(list(hooks)):
        axis = require_unit_axis(model, infos[hook])
        for unit in range(infos[hook].size(axis)):
            site = Site(hook, {axis: unit})
            conditions.append([zero(site) if reference is None else mean(site, reference[hook])])
    return conditions
