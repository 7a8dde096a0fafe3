"""Differences between tuned models and their common original: weights, activations, KL and restored parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from workbench.analysis.rlhf.restoring import Restoration
from workbench.analysis.rlhf.token_kl import TokenKL
from workbench.analysis.rlhf.weight_change import StreamShift, WeightChange
from workbench.core.coordinates import Result

Table = list[dict[str, Any]]
Columns = dict[str, Mapping[Any, Any]]
"""Maps column to part to value; missing parts leave the cell empty."""
AS_TUNED = "(as tuned)"
ALL = "(all)"


@dataclass(frozen=True)
class Difference:
    """Difference of a tuned model from the original: weights, KL before each token, residual stream.

    `kl` is None for a model that does not predict tokens: the head of a reward model scores a whole text.
    """

    weights: WeightChange
    kl: TokenKL | None
    shift: StreamShift
    restored: Mapping[str, Restoration] = field(default_factory=dict)
    """Scores with activations, weights and the stream's mean shift restored; may be empty."""


@dataclass(frozen=True)
class Trace(Result):
    """Models tuned from one original, and the difference of each, by name."""

    original: str
    found: Mapping[str, Difference]
    parts: tuple[str, ...]
    """Prefixes of weights that make up a part."""
    unit: str
    """Unit of the scores of rows."""
    tokens: tuple[str, ...]
    """The vocabulary as text."""

    def join(self, others: Iterable[Trace]) -> Trace:
        """Add the models of other traces of the same original."""
        return replace(self, found=dict(self.found) | {name: d for one in others for name, d in one.found.items()})

    def tables(self, n: int) -> dict[str, Table]:
        """Return all results as tables by title, with one column per model and at most `n` rows, largest first."""
        titled = {
            "Relative change of the weights, part by part": self.changes(),
            "Weights that moved most": self.weights(n),
            "KL in nats per token, and before which tokens it is": self.divergences(n),
            "Mean shift of the residual stream on the same tokens": self.shifts(),
        }
        titled = {title: rows for title, rows in titled.items() if rows}
        return titled | {self.restoration_title(kind): self.restoration_table(kind, n) for kind in self.kinds}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of restoration; empty if none was run."""
        return tuple(dict.fromkeys(kind for one in self.found.values() for kind in one.restored))

    def restoration_title(self, kind: str) -> str:
        """Return the title of one kind of restoration."""
        return f"{self.unit.capitalize()} with {kind} restored"

    def across(self, of: Callable[[Difference], Mapping[Any, Any]], suffix: str = "") -> Columns:
        """Return one column per model."""
        return {f"{name}{suffix}": of(one) for name, one in self.found.items()}

    def changes(self) -> Table:
        """Tabulate the relative change of each part's weights."""
        columns = self.across(lambda one: {part: one.weights.within(part) for part in self.parts})
        return make_table("part", columns, self.parts)

    def weights(self, n: int) -> Table:
        """Tabulate the relative change of each weight, and the share of it in its first singular direction."""
        change = self.across(lambda one: dict(zip(one.weights.names, one.weights.relative.tolist(), strict=True)))
        top = self.across(
            lambda one: dict(zip(one.weights.names, one.weights.top.tolist(), strict=True)), ", in one direction"
        )
        return make_table("weight", change | top, rank_parts(change, n))

    def divergences(self, n: int) -> Table:
        """Tabulate the mean KL before each token and the token's count, for the tokens with the largest total KL.

        Models without a KL have empty cells; the table is empty if no model has one.
        """
        if all(one.kl is None for one in self.found.values()):
            return []
        mean, times, total = (
            self.across(lambda one, i=i: self.by_token(one.kl, i), suffix)  # type: ignore[misc]
            for i, suffix in enumerate(("", ", times", ""))
        )
        return make_table("token", mean | times, [ALL, *rank_parts(total, n)])

    def by_token(self, kl: TokenKL | None, which: int) -> dict[str, int | float]:
        """Return the mean KL (0), the count (1) or their product (2) of each token and of all tokens together."""
        if kl is None:
            return {}
        rows = [(ALL, int(kl.mask.sum()), kl.per_token)]
        rows += [(repr(self.tokens[token]), times, mean) for token, times, mean in kl.largest(len(self.tokens))]
        return {token: (mean, times, 0.0 if token == ALL else mean * times)[which] for token, times, mean in rows}

    def shifts(self) -> Table:
        """Tabulate the size of each layer's mean shift, the share of shifts along it, and the tokens it promotes."""
        hooks = next(iter(self.found.values())).shift.hooks
        words = lambda one: [" ".join(repr(self.tokens[t]) for t in top) for top in one.shift.promoted]
        return make_table(
            "hook",
            self.across(lambda one: dict(zip(hooks, one.shift.size.tolist(), strict=True)))
            | self.across(lambda one: dict(zip(hooks, one.shift.share.tolist(), strict=True)), ", along the mean")
            | self.across(lambda one: dict(zip(hooks, words(one), strict=True)), ", promotes"),
            hooks,
        )

    def restoration_table(self, kind: str, n: int) -> Table:
        """Tabulate the mean score with each part restored, and the share of the tuning effect that it undoes."""
        with_it = {name: one.restored[kind] for name, one in self.found.items() if kind in one.restored}
        score: Columns = {name: mean_scores(back, self.original) for name, back in with_it.items()}
        undone: Columns = {f"{name}, share undone": undone_shares(back) for name, back in with_it.items()}
        return make_table("restored", score | undone, [AS_TUNED, self.original, *rank_parts(undone, n)])


def mean_scores(back: Restoration, original: str) -> dict[str, float]:
    """Return the mean score of the tuned model, of the original, and with each part restored."""
    ends = {AS_TUNED: float(back.tuned.mean()), original: float(back.original.mean())}
    return ends | dict(zip(back.names, back.restored.mean(dim=1).tolist(), strict=True))


def undone_shares(back: Restoration) -> dict[str, float]:
    """Return the share of the tuning effect undone by each part; parts are omitted if there is no effect."""
    return {name: share for name, share in zip(back.names, back.share.tolist(), strict=True) if isfinite(share)}


def make_table(label: str, columns: Columns, parts: Iterable[Any]) -> Table:
    """Return one row per part."""
    return [{label: part} | {name: values.get(part) for name, values in columns.items()} for part in parts]


def rank_parts(columns: Columns, n: int) -> list[Any]:
    """Return the parts with the largest values in any column."""
    top: dict[Any, float] = {}
    for values in columns.values():
        for part, value in values.items():
            top[part] = max(value, top.get(part, value))
    top.pop(ALL, None)
    return sorted(top, key=lambda part: -top[part])[:n]
