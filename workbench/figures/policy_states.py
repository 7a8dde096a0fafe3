"""Sentences on states of a policy: counterfactuals, saliency and maximizing states."""

from __future__ import annotations

from workbench.analysis.policies.counterfactuals import Counterfactuals
from workbench.analysis.policies.reachable import ReachableMaxima
from workbench.analysis.policies.saliency import Saliency
from workbench.figures.alt import describe
from workbench.figures.numerals import short


@describe.register
def _(result: Counterfactuals) -> str:
    n = int(result.found.sum())
    if not n:
        return f"No change was found that changes any of {len(result.found)} actions."
    sizes = result.distance.where(result.found, result.distance.new_tensor(float("inf")))
    least = int(sizes.argmin())
    return (
        f"{n} of {len(result.found)} actions can be changed; the median size of the change is "
        f"{short(result.distance[result.found].median())}, and example {least} needs the smallest one "
        f"({short(sizes[least])}, from action {int(result.before[least])} to {int(result.after[least])})."
    )


@describe.register
def _(result: Saliency) -> str:
    weight = result.perturbation.detach().abs().flatten(2 if result.perturbation.ndim > 2 else 1)
    mean = (weight.sum(dim=1) if weight.ndim == 3 else weight).mean(dim=0)
    place, what = int(mean.argmax()), "entry"
    if result.perturbation.ndim == 4:
        row, column = divmod(place, result.perturbation.shape[3])
        what, place = f"square (row {row}, column {column})", -1
    name = what if place < 0 else f"{what} {place}"
    return (
        f"Removing {name} changes the metric most, by {short(mean.max())} on average over {len(weight)} examples; "
        f"the mean over all is {short(mean.mean())}."
    )


@describe.register
def _(result: ReachableMaxima) -> str:
    beyond = int((result.bounded > result.reachable).sum())
    gap = result.bounded - result.reachable
    most = int(gap.argmax())
    return (
        f"{beyond} of {len(result.units)} units reach a higher activation in the box than in any state found in the "
        f"environment; the difference is largest for {result.axis} {result.units[most]}: {short(result.bounded[most])} "
        f"against {short(result.reachable[most])}."
    )
