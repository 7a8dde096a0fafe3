"""Models tuned from one original beside each other: what moved in each, and which of it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from workbench.analysis.rlhf.restoring import Restoration
from workbench.analysis.rlhf.token_kl import TokenKL
from workbench.analysis.rlhf.weight_change import StreamShift, WeightChange

Table = list[dict[str, Any]]
Columns = dict[str, Mapping[Any, Any]]
"""column -> part -> what stands there; a part that is missing leaves its place empty."""
AS_TUNED = "(as tuned)"
ALL = "(all)"


@dataclass(frozen=True)
class Difference:
    """How a tuned model differs from the original: weights, KL before each token counted, residual stream."""

    weights: WeightChange
    kl: TokenKL
    shift: StreamShift
    restored: Mapping[str, Restoration] = field(default_factory=dict)
    """What rows are worth with activations, weights and the stream along its mean shift restored; may be empty."""


@dataclass(frozen=True)
class Trace:
    """Models tuned from one original and how each differs from it, by name.

    `parts` are prefixes of weights, `unit` says what a row's worth is, `tokens` is the vocabulary as one reads it.
    """

    original: str
    found: Mapping[str, Difference]
    parts: tuple[str, ...]
    unit: str
    tokens: tuple[str, ...]

    def joined(self, others: Iterable[Trace]) -> Trace:
        """With the models of other traces from the same original beside those of this one."""
        return replace(self, found=dict(self.found) | {name: d for one in others for name, d in one.found.items()})

    def tables(self, n: int) -> dict[str, Table]:
        """All that was found by title: a row for each part, at most `n` and the largest first, columns for models."""
        titled = {
            "Relative change of the weights, part by part": self.changes(),
            "Weights that moved most": self.weights(n),
            "KL in nats per token, and before which tokens it is": self.divergences(n),
            "Mean shift of the residual stream on the same tokens": self.shifts(),
        }
        return titled | {self.restoring(kind): self.restored(kind, n) for kind in self.kinds}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was restored; nothing when that was not asked for."""
        return tuple(next(iter(self.found.values())).restored)

    def restoring(self, kind: str) -> str:
        """The title of one kind of restoring."""
        return f"{self.unit.capitalize()} with {kind} restored"

    def across(self, of: Callable[[Difference], Mapping[Any, Any]], suffix: str = "") -> Columns:
        """A column for each model."""
        return {f"{name}{suffix}": of(one) for name, one in self.found.items()}

    def changes(self) -> Table:
        """Each part's change, all its weights together."""
        columns = self.across(lambda one: {part: one.weights.within(part) for part in self.parts})
        return make_table("part", columns, self.parts)

    def weights(self, n: int) -> Table:
        """Relative change of each weight, and how much of it lies in its first singular direction."""
        change = self.across(lambda one: dict(zip(one.weights.names, one.weights.relative.tolist(), strict=True)))
        top = self.across(
            lambda one: dict(zip(one.weights.names, one.weights.top.tolist(), strict=True)), ", in one direction"
        )
        return make_table("weight", change | top, rank_parts(change, n))

    def divergences(self, n: int) -> Table:
        """Mean KL before each token, and how often it was counted: of those that have the most KL in all."""
        mean, times, total = (
            self.across(lambda one, i=i: self.by_token(one.kl, i), suffix)  # type: ignore[misc]
            for i, suffix in enumerate(("", ", times", ""))
        )
        return make_table("token", mean | times, [ALL, *rank_parts(total, n)])

    def by_token(self, kl: TokenKL, which: int) -> dict[str, int | float]:
        """Of each token, and of all: its mean KL, how often it was counted, or the product of the two."""
        rows = [(ALL, int(kl.mask.sum()), kl.per_token)]
        rows += [(repr(self.tokens[token]), times, mean) for token, times, mean in kl.largest(len(self.tokens))]
        return {token: (mean, times, 0.0 if token == ALL else mean * times)[which] for token, times, mean in rows}

    def shifts(self) -> Table:
        """Size of each layer's mean shift, the share of all shifts along it, and the tokens that it speaks for."""
        hooks = next(iter(self.found.values())).shift.hooks
        words = lambda one: [" ".join(repr(self.tokens[t]) for t in top) for top in one.shift.promoted]  # noqa: E731
        return make_table(
            "hook",
            self.across(lambda one: dict(zip(hooks, one.shift.size.tolist(), strict=True)))
            | self.across(lambda one: dict(zip(hooks, one.shift.share.tolist(), strict=True)), ", along the mean")
            | self.across(lambda one: dict(zip(hooks, words(one), strict=True)), ", promotes"),
            hooks,
        )

    def restored(self, kind: str, n: int) -> Table:
        """What rows are worth on average with each part restored, and how much of the way back that is."""
        worth = self.across(lambda one: mean_scores(one.restored[kind], self.original))
        back = self.across(lambda one: undone_shares(one.restored[kind]), ", share of the way back")
        return make_table("restored", worth | back, [AS_TUNED, self.original, *rank_parts(back, n)])


def mean_scores(back: Restoration, original: str) -> dict[str, float]:
    """Mean worth of the tuned model, of the original, and with each part restored."""
    ends = {AS_TUNED: float(back.tuned.mean()), original: float(back.original.mean())}
    return ends | dict(zip(back.names, back.restored.mean(dim=1).tolist(), strict=True))


def undone_shares(back: Restoration) -> dict[str, float]:
    """How much of the way back each part goes; nothing where there is no way to go."""
    return {name: share for name, share in zip(back.names, back.share.tolist(), strict=True) if isfinite(share)}


def make_table(label: str, columns: Columns, parts: Iterable[Any]) -> Table:
    """A row for each part."""
    return [{label: part} | {name: values.get(part) for name, values in columns.items()} for part in parts]


def rank_parts(columns: Columns, n: int) -> list[Any]:
    """The parts with the largest values in any column."""
    top: dict[Any, float] = {}
    for values in columns.values():
        for part, value in values.items():
            top[part] = max(value, top.get(part, value))
    top.pop(ALL, None)
    return sorted(top, key=lambda part: -top[part])[:n]
