"""Benchmark of networks from other libraries: recording, replay, and the sums at the ports of their graphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from tests.bench.harness import Figure
from tests.bench.invariants import in_double
from tests.bench.three_ways import agreements
from tests.networks import Network, networks
from workbench.core.errors import WorkbenchError
from workbench.core.graph import Graph
from workbench.core.tape_model import TapeModel

SINGLE = {"mixtral", "sb3_ppo", "sb3_dqn"}
"""Networks that compute in single precision whatever they are given."""
ROUNDED = SINGLE | {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "t5", "mamba"}
"""Networks whose norms compute in single precision."""


@dataclass(frozen=True)
class Errors:
    """Largest absolute errors of one network's tape and graph."""

    replay: float
    conservation: float
    kept: float
    cut: float
    one_edge: float

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(self.replay, self.conservation, self.kept, self.cut, self.one_edge)


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    opened, kinds, refused = [], set[str](), []
    for name, make in networks().items():
        network = make()
        start = perf_counter()
        try:
            model, graph = open_network(network)
        except WorkbenchError as error:
            refused.append(f"{name}: {error}")
            continue
        seconds = perf_counter() - start
        errors = measure(network, model, graph)
        exact = name not in ROUNDED
        bound = "<= 1e-10" if exact else "<= 1e-05"
        yield Figure(f"any.{name}.largest_error", errors.largest, "absolute", network.kind, bound)
        yield Figure(f"any.{name}.open", seconds, "s")
        opened.append(name)
        kinds.add(network.kind)
    yield Figure("any.opened", len(opened), "networks", None, ">= 40")
    yield Figure("any.kinds", len(kinds), "kinds", None, ">= 15")
    yield Figure("any.refused", len(refused), "networks, each in one sentence")
    answers = [agree for _, agree in agreements()]
    yield Figure("any.three_ways", sum(answers) / len(answers), f"of {len(answers)} questions", None, "== 1")


def open_network(network: Network) -> tuple[TapeModel, Graph]:
    """Open a network in double precision where it computes in it, and derive its graph."""
    if network.name not in SINGLE:
        network.module.double()
    model = TapeModel(network.module, example_of(network), network.call, take)
    return model, model.graph()


def example_of(network: Network) -> object:
    """Return the example in the precision that the network is opened in."""
    return network.example if network.name in SINGLE else tree_map(in_double, network.example)


def take(inputs: object, rows: int) -> object:
    """Return the first rows of a batch, repeated as needed."""
    first = next(leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor))
    index = torch.arange(rows) % len(first)
    return tree_map(lambda x: x[index], inputs)


@torch.no_grad()
def measure(network: Network, model: TapeModel, graph: Graph) -> Errors:
    """Measure replay, conservation, all edges kept, all cut, and one edge patched by hand."""
    example = example_of(network)
    clean, other = take(example, 2), tree_map(lambda x: x[torch.tensor([3, 2])], example)
    outputs = [network.call(inputs) for inputs in (clean, other)]
    writes, other_writes = graph.writes(clean), graph.writes(other)
    reads = model.cache(clean, list(graph.ports))
    conservation = max(difference(reads[port], graph.predict_reads(port, writes)) for port in graph.ports)
    ends = []
    for cut, expected in ((1e-300, outputs[0]), (1.0, outputs[1])):
        with graph.patch(other_writes, {name: mask.double() for name, mask in graph.full(cut).items()}):
            ends.append(difference(model(clean), expected))
    replayed = difference(model.run_stages(other, 0, len(model.stages)), outputs[1])
    return Errors(replayed, conservation, *ends, one_edge(network.module, model, graph, clean, other_writes))


def one_edge(module: nn.Module, model: TapeModel, graph: Graph, clean: object, other: dict[str, Tensor]) -> float:
    """Return how far a patched edge is from the same patch written with hooks on what the port reads."""
    wire = next(iter(graph.wires.values()))
    cut = graph.full(0.0)
    cut[wire.name][0, 0] = 1.0
    with graph.patch(other, cut):
        ours = model(clean)
    here = graph.writes(clean)[wire.writer]
    change = wire.carry(graph.group(wire.writer, other[wire.writer] - here), cut[wire.name].to(here))
    with model.edited({wire.port: lambda x: x + graph.ungroup(wire.port, change)}):
        return difference(ours, model(clean))


def difference(one: object, other: object) -> float:
    """Return the largest absolute difference of two outputs."""
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=True)
    return max(
        (float((a - b).abs().max()) for a, b in pairs if isinstance(a, Tensor) and a.is_floating_point()), default=0.0
    )
