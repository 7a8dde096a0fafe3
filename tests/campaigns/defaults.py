"""Default circuit of every trained network, as `workbench run circuit --model NAME` computes it.

For each network its CMD and that of random circuits of the same sizes, with 95 % bootstrap intervals over the examples
(and over the random circuits). A network counts when the first lies below the second and the intervals do not meet. A
network that is refused, or that raises, does not count. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time

from tests.bench.harness import Figure
from workbench.analysis.circuits.circuit import Circuit
from workbench.checkpoints.card import names
from workbench.core.errors import WorkbenchError
from workbench.core.progress import silent
from workbench.experiments.computing import compute
from workbench.experiments.questions.spec import Spec

SIZE = 10
"""Random circuits of each size."""
SLOW, FEWER = ("cifar10_fast",), 3
"""Half a million edges: a forward pass takes half a second, so fewer random circuits are drawn, at least 2."""


def figures(size: int) -> Iterator[Figure]:
    """For each network both CMDs and the room between their intervals; then how many beat random circuits."""
    known, better = names(), 0
    for name in known:
        draws = max(2, min(size, FEWER) if name in SLOW else size)
        start = process_time()
        try:
            found = circuit(name, draws)
        except WorkbenchError as error:
            yield Figure(f"defaults.{name}.refused", 1, str(error))
            continue
        better += found.beats_random
        yield Figure(
            f"defaults.{name}.cmd",
            found.cmd,
            f"95 % {found.cmd_interval[0]:.3f} to {found.cmd_interval[1]:.3f}; {found.metric}, {found.n} examples, "
            f"{found.wiring.n_edges} edges, {process_time() - start:.1f} s",
            peer=f"random {found.random_cmd:.3f}, 95 % {found.random_cmd_interval[0]:.3f} to "
            f"{found.random_cmd_interval[1]:.3f}, {draws} draws",
        )
        room = found.random_cmd_interval[0] - found.cmd_interval[1]
        yield Figure(f"defaults.{name}.room", room, "between the two intervals", target=">= 0")
    yield Figure("defaults.models_beating_random", better, f"of {len(known)} models", target=f"== {len(known)}")
    yield Figure("defaults.share_beating_random", better / len(known), "of the models", target="== 1")


def circuit(name: str, draws: int) -> Circuit:
    """The default circuit of a trained network."""
    return compute(Spec(name, "circuit", parameters={"draws": draws}).complete(), silent)
