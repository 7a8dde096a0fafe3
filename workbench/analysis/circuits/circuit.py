"""A circuit: the edges that carry a behaviour, strongest first, and its faithfulness at several sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from workbench.core.coordinates import Result, View
from workbench.core.wiring import Wiring

SIGN = "metric(edge cut) - metric(intact); circuits take edges by absolute score"


@dataclass(frozen=True)
class ScoredEdge:
    """An edge: the sites that write and read, and metric(edge cut) - metric(intact)."""

    writer: str
    port: str
    score: float


@dataclass(frozen=True)
class Circuit(Result):
    """Scores of all edges, and the faithfulness of circuits that keep the strongest ones.

    A score is metric(edge cut) - metric(intact), batch mean, in the metric's units: a negative edge raises the
    metric. Circuits take edges by absolute score. `sizes` are numbers of edges kept, before pruning, spaced according
    to `spacing`. `faithfulness` is (m(circuit) - m(cut)) / (m(clean) - m(cut)) of batch means, `random_faithfulness`
    the same for random edges.

    `cmd` (area between curve and 1, lower is better) and `cpr` (area under it) are MIB's, on MIB's own sizes only with
    the spacing "mib". `random_cmd` is the mean over the draws. Intervals are 95 % bootstrap intervals over the `n`
    examples, that of `random_cmd` over the random circuits too; NaN for a single example. `clean` and `corrupted` are
    the metric for each example, `corrupted` with all edges cut. `seed` seeds the random edges and the intervals.
    `sign` describes the meaning of a score in the stored file.
    """

    view: ClassVar[View] = View(main="faithfulness")

    wiring: Wiring
    scores: dict[str, Float[Tensor, "_node _port *_pos"]]
    method: str
    ablation: str
    metric: str
    spacing: str
    sizes: Int[Tensor, " size"]
    faithfulness: Float[Tensor, " size"]
    faithfulness_interval: Float[Tensor, "ends size"]
    random_faithfulness: Float[Tensor, "draw size"]
    cmd: float
    cmd_interval: tuple[float, float]
    cpr: float
    random_cmd: float
    random_cmd_interval: tuple[float, float]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]
    n: int
    seed: int
    sign: str = SIGN

    @property
    def beats_random(self) -> bool:
        """Return whether CMD is below that of random circuits and their intervals do not overlap."""
        return self.cmd_interval[1] < self.random_cmd_interval[0]

    def enough(self, share: float = 0.9) -> int:
        """Return the index in `sizes` of the smallest circuit whose faithfulness is at least `share`."""
        return int((self.faithfulness >= share).nonzero()[0]) if (self.faithfulness >= share).any() else -1

    def mask(self, size: int) -> dict[str, Tensor]:
        """Return a mask by wire of the `size` strongest edges, pruned to those on a path."""
        strength = self.wiring.as_vector(self.scores).abs()
        return self.wiring.prune(self.wiring.largest(strength, size), counterfactual=self.ablation == "resample")

    def top(self, n: int) -> list[ScoredEdge]:
        """Return the largest circuit with at most `n` edges after pruning (or the smallest one), strongest first."""
        mask = self.mask(self._size_for(n))
        places = [(wire, *place) for wire, kept in mask.items() for place in kept.nonzero().tolist()]
        scored = [(self.wiring.edge(wire, *place), float(self.scores[wire][*place])) for wire, *place in places]
        scored.sort(key=lambda pair: -abs(pair[1]))
        return [ScoredEdge(str(edge.writer), str(edge.port), score) for edge, score in scored]

    def _size_for(self, n: int) -> int:
        """Find the size by bisection: the pruned circuit only grows with the number of edges kept."""
        low, high = 0, self.wiring.n_edges
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._n_live(middle) <= n else (low, middle - 1)
        return low if self._n_live(low) else min(low + 1, self.wiring.n_edges)

    def _n_live(self, size: int) -> int:
        return sum(int(kept.sum()) for kept in self.mask(size).values())
