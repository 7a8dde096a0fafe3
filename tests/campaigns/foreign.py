"""Check caches, edits and sweeps of modules from other libraries against raw torch hooks.

A module is *equal* if all its numbers agree to 1e-6 of the largest, *refused* if one sentence says why something cannot
be had and all else agrees, and *silently wrong* otherwise. The reference uses torch's own forward hooks on a copy that
was never wrapped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tests.bench.harness import Figure
from tests.campaigns import foreign_habits, foreign_layers, foreign_libraries
from tests.campaigns.foreign_cases import Case, measure
from tests.campaigns.foreign_paths import wrong_names
from workbench.core.errors import TrainingModeError, WorkbenchError
from workbench.core.interventions import Intervention, mean, patch, resample, zero
from workbench.core.module_run import call
from workbench.core.nested import flatten, map_tensors
from workbench.core.random import generator, seed_everything
from workbench.core.sites import Site
from workbench.core.stages import sweep
from workbench.core.wrap import WrappedModel, wrap

SIZE = 1000
"""Modules to try, at most."""
PATHS = 400
"""Random networks whose axes are named, at most."""
HOOKS, ENTRIES = 5, 2
"""Hooks of a module, and entries of each axis, that are edited."""
CLOSE = 1e-6
Edit = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Outcome:
    """What came of one module: refused as a whole or in parts, and what numbers or names were wrong."""

    case: str
    refused: bool
    refusals: tuple[str, ...]
    wrong: tuple[str, ...]


def all_cases() -> list[Case]:
    """Every module of the campaign."""
    return [*foreign_layers.cases(), *foreign_habits.cases(), *foreign_libraries.cases()]


def figures(size: int = SIZE) -> Iterator[Figure]:
    """Every figure of this campaign."""
    outcomes = [run(case) for case in all_cases()[:size]]
    wrong = [f"{outcome.case}: {outcome.wrong[0]}" for outcome in outcomes if outcome.wrong]
    refused = [outcome for outcome in outcomes if outcome.refused and not outcome.wrong]
    partly = [outcome for outcome in outcomes if outcome.refusals and not (outcome.refused or outcome.wrong)]
    yield Figure("foreign.modules", len(outcomes), "modules", None, ">= 40" if size >= SIZE else None)
    yield Figure("foreign.silently_wrong", len(wrong), "; ".join(wrong) or "modules", "raw torch hooks", "== 0")
    equal = len(outcomes) - len(wrong) - len(refused) - len(partly)
    yield Figure("foreign.equal", equal, "modules", "raw torch hooks")
    yield Figure("foreign.equal_or_refused", len(partly), "modules, of which some edits are refused", "raw torch hooks")
    yield Figure("foreign.refused", len(refused), "modules, in one sentence")
    named = list(wrong_names(range(min(size, PATHS))))
    yield Figure("foreign.wrong_names", len(named), "; ".join(named[:3]) or "of random paths", None, "== 0")


def run(case: Case) -> Outcome:
    """Open one module and compare everything with the reference."""
    refusals: list[str] = []
    wrong: list[str] = []
    torch.manual_seed(0)
    module, inputs = case.build()
    opened = None
    try:
        untouched = Raw(copy.deepcopy(module).eval(), case)
        opened = model = wrap(module, map_tensors(torch.clone, inputs), case.forward)
        for check in (check_names, check_values, check_sweeps, check_writes, check_mode):
            try:
                wrong += check(case, model, untouched, inputs, refusals)
            except WorkbenchError as error:
                refusals.append(f"{check.__name__}: {error}")
    except WorkbenchError as error:
        refusals.append(str(error))
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    if case.refused and not refusals:
        wrong.append("was not refused")
    wrong += [f"refused without a sentence: {text!r}" for text in refusals if not text.rstrip().endswith((".", "?"))]
    return Outcome(case.name, opened is None or case.refused, tuple(refusals), tuple(wrong))


@dataclass(frozen=True)
class Raw:
    """A module under torch's own hooks."""

    module: nn.Module
    case: Case

    def output(self, inputs: Any, edits: dict[str, Edit] | None = None, seen: dict[str, Tensor] | None = None) -> Any:
        """One run on a copy of the inputs, with edits by name; activations are put into `seen` as copies."""
        calls: dict[str, int] = {}
        handles = [
            part.register_forward_hook(self.hook(name, calls, edits or {}, {} if seen is None else seen))
            for name, part in self.module.named_modules()
            if name
        ]
        try:
            with torch.no_grad():
                seed_everything(0)
                return (self.case.forward or call)(self.module, map_tensors(torch.clone, inputs))
        finally:
            for handle in handles:
                handle.remove()

    def hook(
        self, name: str, calls: dict[str, int], edits: dict[str, Edit], seen: dict[str, Tensor]
    ) -> Callable[..., Any]:
        """A forward hook that names tensors as `wrap` says that it does."""
        clean = "".join("_" if c in "[] " else c for c in name)

        def listen(part: nn.Module, args: Any, output: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            label = clean if calls[name] == 1 else f"{clean}@{calls[name]}"
            leaves, rebuild = flatten(output)
            places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
            edited = False
            for i in places:
                own = label if len(places) == 1 else f"{label}:{i}"
                seen[own] = leaves[i].clone()
                if own in edits:
                    leaves[i], edited = edits[own](leaves[i].clone()), True
            return rebuild(leaves) if edited else None

        return listen


def check_names(case: Case, model: WrappedModel, raw: Raw, inputs: Any, refusals: list[str]) -> Iterator[str]:
    """Axes that are known to the case: each name right or left open."""
    for hook, truth in case.axes.items():
        given = model.hook_dict[hook].axes
        for place, (name, right) in enumerate(zip(given, truth.split(), strict=True)):
            if name not in (right, f"axis{place}"):
                yield f"{hook} is called {' '.join(given)} and is {truth}"


def check_values(case: Case, model: WrappedModel, raw: Raw, inputs: Any, refusals: list[str]) -> Iterator[str]:
    """The output, and every activation of a cache."""
    seen: dict[str, Tensor] = {}
    per_row = measure(case.rows)
    with torch.no_grad():
        expected = per_row(raw.output(inputs, seen=seen))
        if case.refused:
            return
        if off(per_row(model(inputs)), expected):
            yield "the output differs"
        cache = model.cache(inputs)
    yield from (f"the cached {hook} differs" for hook, x in cache.items() if off(x, seen[hook]))


def check_sweeps(case: Case, model: WrappedModel, raw: Raw, inputs: Any, refusals: list[str]) -> Iterator[str]:
    """Zero, mean, resampling and patching along every axis of some hooks, in one sweep and by raw hooks."""
    reference, per_row = model.cache(inputs), measure(case.rows)
    chosen = list(model.hook_dict)
    odd = [hook for hook in chosen if model.hook_dict[hook].axes[:1] != ("batch",)]
    hooks = dict.fromkeys([*chosen[:: max(1, len(chosen) // HOOKS)], *odd[:HOOKS]])
    conditions: list[tuple[Intervention, Edit]] = []
    for hook in hooks:
        for site, place in sites(model, hook, reference[hook]):
            for intervention, edit in kinds(site, place, reference[hook], model.hook_dict[hook].axes):
                try:
                    if hook in odd or not reference[hook].is_floating_point():
                        sweep(model, inputs, [[intervention]], per_row)
                    conditions.append((intervention, edit))
                except WorkbenchError as error:
                    refusals.append(f"{intervention}: {error}")
    if not conditions:
        return
    swept = sweep(model, inputs, [[]] + [[intervention] for intervention, _ in conditions], per_row)
    if off(swept[0], per_row(raw.output(inputs))):
        yield "the intact row of a sweep differs"
    for (intervention, edit), values in zip(conditions, swept[1:], strict=True):
        if off(values, per_row(raw.output(inputs, {intervention.site.hook: edit}))):
            yield f"{intervention} differs"


def sites(model: WrappedModel, hook: str, x: Tensor) -> Iterator[tuple[Site, tuple[slice | int, ...]]]:
    """Some entries of each axis but the batch, and their places."""
    axes = model.hook_dict[hook].axes
    for dim, axis in enumerate(axes):
        if axis != "batch":
            for i in range(0, x.shape[dim], max(1, x.shape[dim] // ENTRIES)):
                yield Site(hook, {axis: i}), (*[slice(None)] * dim, i)


def kinds(
    site: Site, place: tuple[slice | int, ...], reference: Tensor, axes: Sequence[str]
) -> Iterator[tuple[Intervention, Edit]]:
    """Each intervention at a site, and the same by hand."""

    def setting(values: Tensor) -> Edit:
        def edit(x: Tensor) -> Tensor:
            x[place] = values[place].to(x.dtype)
            return x

        return edit

    flipped = reference.flip(0)
    yield zero(site), setting(torch.zeros_like(reference))
    yield patch(site, flipped), setting(flipped)
    if "batch" in axes:
        batch = axes.index("batch")
        kind = reference.dtype if reference.is_floating_point() or reference.is_complex() else torch.float64
        yield mean(site, reference), setting(reference.mean(batch, keepdim=True, dtype=kind).expand_as(reference))
        draw = generator(0, str(site))
        seed = int(torch.randint(2**62, (), generator=generator(0, str(site))))
        rows = torch.randint(
            reference.shape[batch], (reference.shape[batch],), generator=torch.Generator().manual_seed(seed)
        )
        yield resample(site, reference, draw), setting(reference.index_select(batch, rows))
    else:
        yield mean(site, reference), setting(reference)


def check_writes(case: Case, model: WrappedModel, raw: Raw, inputs: Any, refusals: list[str]) -> Iterator[str]:
    """A hook function that writes in place: the output is edited, weights and inputs are not."""
    given = map_tensors(torch.clone, inputs)
    before = {name: x.clone() for name, x in model.module.state_dict().items()}
    per_row = measure(case.rows)

    def fill(x: Tensor) -> Tensor:
        return x.fill_(1)

    for hook in list(model.hook_dict)[:HOOKS]:
        with torch.no_grad(), model.edited({hook: fill}):
            edited = per_row(model(inputs))
        if not case.refused and off(edited, per_row(raw.output(inputs, {hook: fill}))):
            yield f"filling {hook} differs"
    if not case.refused:
        after = model.module.state_dict()
        yield from (f"{name} has changed" for name, x in before.items() if not torch.equal(after[name], x))
    if any(not torch.equal(a, b) for a, b in zip(flat(inputs), flat(given), strict=True)):
        yield "the inputs have changed"


def check_mode(case: Case, model: WrappedModel, raw: Raw, inputs: Any, refusals: list[str]) -> Iterator[str]:
    """Training mode of one part is noticed; closing the wrapper leaves no hook."""
    part = list(model.module.modules())[-1]
    part.train()
    for ask in (model, model.cache, lambda x: sweep(model, x, [[]], measure(case.rows))):
        try:
            ask(inputs)
            yield "training mode of a part was not noticed"
        except TrainingModeError:
            continue
    part.eval()
    model.close()
    yield from ("a hook is left" for part in model.module.modules() if part._forward_hooks)


def flat(value: Any) -> list[Tensor]:
    """The tensors of a nested value."""
    return [leaf for leaf in flatten(value)[0] if isinstance(leaf, Tensor)]


def off(ours: Tensor, theirs: Tensor) -> bool:
    """True if two results differ by more than rounding."""
    if ours.shape != theirs.shape:
        return True
    scale = max(1.0, float(theirs.abs().nan_to_num().max())) if theirs.numel() else 1.0
    return not torch.allclose(ours, theirs, rtol=0, atol=CLOSE * scale, equal_nan=True)
