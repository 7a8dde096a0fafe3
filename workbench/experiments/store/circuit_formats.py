"""Circuits as exact JSON, graph JSON of EAP-IG and MIB, networkx graphs and GraphML, with readers for the first two."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from workbench.analysis.circuits.circuit import Circuit
from workbench.checkpoints.encoding import decode, encode
from workbench.core.arguments import check_arguments
from workbench.core.errors import CheckpointError, ConfigError, InputError, UnknownNameError, short
from workbench.core.ranges import check_value
from workbench.core.reading import read_json
from workbench.core.sites import Site
from workbench.core.wiring import Wiring

KIND = "workbench circuit"
NODE_NAMES = (
    (r"blocks\.(\d+)\.attn\.hook_z\[head=(\d+)\]", r"a\1.h\2"),
    (r"blocks\.(\d+)\.hook_([qkv])_input\[head=(\d+)\]", r"a\1.h\3<\2>"),
    (r"blocks\.(\d+)\.hook_mlp_(?:out|in)", r"m\1"),
    (r"hook_(?:pos_)?embed", "input"),
    (r"blocks\.\d+\.hook_resid_post", "logits"),
)
"""Our names of a GPT's nodes and ports, and those of EAP-IG, which has one node for both embeddings."""


def circuit_json(circuit: Circuit) -> str:
    """Write a circuit as JSON from which `read_circuit` restores the same numbers, bit for bit."""
    tensors, stored = encode(circuit)
    plain = {
        path: {"dtype": str(x.dtype).removeprefix("torch."), "shape": list(x.shape), "values": x.flatten().tolist()}
        for path, x in tensors.items()
    }
    return json.dumps({"kind": KIND, "circuit": stored, "tensors": plain})


@check_arguments
def read_circuit(text: str) -> Circuit:
    """Read a circuit that was exported as JSON.

    Args:
        text: Content of a file written by `workbench export KEY --to circuit`, or by `circuit_json`.

    Raises:
        CheckpointError: If the text is not a stored circuit, or its scores do not fit its graph.

    Example:
        >>> circuit = workbench.run("circuit", model="greater_than_gpt", method="eap", draws=2, inputs="test:0:16")
        >>> workbench.read_circuit(circuit_json(circuit)).cmd == circuit.cmd
        True
    """
    try:
        read = read_json(text, "A circuit")
        if read["kind"] != KIND:
            raise KeyError(read["kind"])
        tensors = {
            path: torch.tensor(x["values"], dtype=getattr(torch, x["dtype"])).reshape(x["shape"])
            for path, x in read["tensors"].items()
        }
        circuit = decode(Circuit, tensors, read["circuit"])
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as reason:
        raise CheckpointError(
            f"This is no stored circuit ({type(reason).__name__}: {short(str(reason))}). Write one with "
            "`workbench export KEY --to circuit`; the graphs of EAP-IG are read by read_eap_ig."
        ) from reason
    check_order(circuit.wiring)
    circuit.wiring.check(circuit.scores)
    return circuit


def check_order(wiring: Wiring) -> None:
    """Raise if the groups of a graph form a cycle, or a wire has no end."""
    graph = nx.DiGraph()
    for name, (writer, port) in wiring.wires.items():
        if writer not in wiring.nodes or port not in wiring.ports:
            raise ConfigError(f"The wire {name!r} is cut off: the graph lacks {writer!r} or {port!r}.")
        graph.add_edge(writer, f"port {port}")
    for node, group in wiring.nodes.items():
        graph.add_edges_from((f"port {port}", node) for port in group.reads)
    if not nx.is_directed_acyclic_graph(graph):
        circle = " -> ".join(start.removeprefix("port ") for start, _ in nx.find_cycle(graph))
        raise ConfigError(f"This graph runs in a circle: {circle}. A node may only read what fired before it.")


# EAP-IG and MIB


@dataclass(frozen=True)
class ImportedGraph:
    """Return scores and membership by wire of every edge of a graph that another library wrote."""

    scores: dict[str, Tensor]
    kept: dict[str, Tensor]


def eap_ig_name(site: Site) -> str:
    """Return EAP-IG's name of one of our nodes or ports; raise if it has none."""
    for ours, theirs in NODE_NAMES:
        if match := re.fullmatch(ours, str(site)):
            return match.expand(theirs)
    raise InputError(
        f"EAP-IG knows heads, MLPs, the input and the logits of a GPT, and not {site}. Trace with the detail 'head' "
        "and without positions, or write the circuit as 'circuit' or 'graphml'."
    )


def eap_ig_json(circuit: Circuit, d_model: int, size: int) -> str:
    """Write a GPT's circuit of the `size` strongest edges as the graph JSON of EAP-IG (and MIB).

    There both embeddings are one node, `input`: its score is their sum, and it is in the graph when either is.
    """
    keep = circuit.mask(size)
    edges: dict[str, dict[str, Any]] = {}
    for edge, wire, place in circuit.wiring.edges():
        name = f"{eap_ig_name(edge.writer)}->{eap_ig_name(edge.port)}"
        found = edges.setdefault(name, {"score": 0.0, "in_graph": False})
        found["score"] += float(circuit.scores[wire][place])
        found["in_graph"] |= bool(keep[wire][place])
    named = [re.match(r"a(\d+)\.h(\d+)", name) for name in edges]
    heads = [(int(match[1]), int(match[2])) for match in named if match]
    if not heads:
        raise InputError("This circuit has no heads. Trace with the detail 'head', or write it as 'circuit'.")
    parts = {name: [part.partition("<")[0] for part in name.split("->")] for name in edges}
    nodes = {part: {"in_graph": part == "logits"} for both in parts.values() for part in both}
    for name, edge in edges.items():
        for part in parts[name]:
            nodes[part]["in_graph"] |= edge["in_graph"]
    layers, widest = (max(numbers) + 1 for numbers in zip(*heads, strict=True))
    cfg = {"n_layers": layers, "n_heads": widest, "parallel_attn_mlp": False, "d_model": d_model}
    return json.dumps({"cfg": cfg, "nodes": nodes, "edges": edges})


def read_eap_ig(text: str, wiring: Wiring) -> ImportedGraph:
    """Read a graph that EAP-IG (or MIB) wrote into the wiring of the same model's own graph.

    An edge from `input` goes to both of our embeddings, its score to the tokens' one. An edge that either side lacks
    raises: it is the graph of another model.
    """
    try:
        edges = {
            name: (check_value(float | None, edge["score"], name) or 0.0, check_value(bool, edge["in_graph"], name))
            for name, edge in read_json(text, "A graph of EAP-IG")["edges"].items()
        }
    except (LookupError, TypeError, AttributeError, ConfigError) as reason:
        raise CheckpointError(f"This is no graph of EAP-IG ({type(reason).__name__}: {reason}).") from reason
    scores, kept = wiring.full(0.0), {wire: mask.bool() for wire, mask in wiring.full(0.0).items()}
    known: set[str] = set()
    for edge, wire, place in wiring.edges():
        known.add(name := f"{eap_ig_name(edge.writer)}->{eap_ig_name(edge.port)}")
        if name not in edges:
            raise UnknownNameError("edge", name, edges, where=" in this file, though this model has it")
        scores[wire][place] = 0.0 if edge.writer.hook == "hook_pos_embed" else edges[name][0]
        kept[wire][place] = edges[name][1]
    if strange := next((name for name in edges if name not in known), None):
        raise UnknownNameError("edge", strange, known, where=" in this model's graph")
    return ImportedGraph(scores, kept)


# networkx


def as_networkx(circuit: Circuit, size: int) -> nx.DiGraph:
    """Build a networkx graph of the `size` strongest edges of a circuit, pruned.

    Its nodes are sites, of kind "node" (they write) or "port" (they read). An edge from a node to a port has a `score`,
    metric(edge cut) - metric(intact); one from a port leads to the nodes that it feeds. So a path is a path.
    """
    wiring, keep = circuit.wiring, circuit.mask(size)
    graph = nx.DiGraph(method=circuit.method, ablation=circuit.ablation, metric=circuit.metric, sign=circuit.sign)
    for edge, wire, place in wiring.edges():
        if keep[wire][place]:
            graph.add_node(str(edge.writer), kind="node")
            graph.add_node(str(edge.port), kind="port")
            graph.add_edge(str(edge.writer), str(edge.port), score=float(circuit.scores[wire][place]))
    graph.add_edges_from((port, node) for port, node in wiring.feeds() if port in graph and node in graph)
    return graph


def graphml(circuit: Circuit, size: int) -> str:
    """Write the same graph as GraphML, which Gephi, Cytoscape and yEd read."""
    buffer = io.BytesIO()
    nx.write_graphml(as_networkx(circuit, size), buffer)
    return buffer.getvalue().decode()
