"""Tests of the sums at the ports of every architecture's graph, and what follows from them, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

from tests.zoo.small import SMALL, example, small
from workbench.core.errors import ConfigError, InputError, ShapeError, UnknownNameError
from workbench.core.graph import Graph, Nodes, Ports, Wire
from workbench.core.random import generator
from workbench.core.registry import MODELS

every_network = pytest.mark.parametrize("name", SMALL)
DETAILED = [
    (name, detail) for name in SMALL for detail in ("", *MODELS[SMALL[name][0]].details[1:], "pairs", "layers", "kept")
]
every_graph = pytest.mark.parametrize(("name", "detail"), [(n, d) for n, d in DETAILED if d != "kept" or "gpt" in n])


def graph_of(name: str, detail: str) -> Graph:
    """The graph of a small network: in one of its own details, in groups of two or of all, or at each position."""
    model = small(name)
    if detail in model.details[1:]:
        return model.graph(detail)
    kept = example(model) if detail == "kept" else None
    return model.graph().refine({"pairs": 2, "layers": 0}.get(detail, 1), kept)


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True):
        assert_close(a, b, rtol=1e-8, atol=1e-8)


def random_masks(graph: Graph, share: float, seed: int) -> dict[str, Tensor]:
    draw = generator(seed, "mask")
    return {name: (torch.rand(mask.shape, generator=draw) < share).double() for name, mask in graph.full(0.0).items()}


@torch.no_grad()
def cut_output(graph: Graph, inputs: Any, other: dict[str, Tensor], cut: dict[str, Tensor]) -> Any:
    with graph.patch(other, cut) as model:
        return model(inputs)


@every_graph
def test_every_port_reads_its_constant_and_the_transported_writes(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    model, inputs = graph.model, example(graph.model)
    writes, reads = graph.writes(inputs), model.cache(inputs, list(graph.ports))
    for port in graph.ports:
        assert_same(graph.predict_reads(port, writes), reads[port])


@every_graph
def test_with_all_edges_kept_the_output_is_clean_and_with_all_cut_corrupted(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    model = graph.model
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    other = graph.writes(corrupted)
    assert_same(cut_output(graph, clean, other, graph.full(0.0)), model(clean))
    assert_same(cut_output(graph, clean, other, graph.full(1.0)), model(corrupted))


@every_graph
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_pruning_never_changes_the_output(name: str, detail: str, share: float) -> None:
    graph = graph_of(name, detail)
    model, clean = graph.model, example(graph.model)
    runs = {True: graph.writes(example(model, seed=1))}
    runs[False] = {hook: torch.zeros_like(x) for hook, x in runs[True].items()}
    for counterfactual, other in runs.items():
        keep = random_masks(graph, share, seed=3)
        pruned = graph.wiring.prune(keep, counterfactual)
        assert all(bool((~pruned[wire] | keep[wire].bool()).all()) for wire in keep)
        whole, rest = ({w: 1 - mask.double() for w, mask in masks.items()} for masks in (keep, pruned))
        assert_same(cut_output(graph, clean, other, whole), cut_output(graph, clean, other, rest))


@every_graph
def test_what_was_pruned_has_nothing_left_to_prune(name: str, detail: str) -> None:
    graph = graph_of(name, detail)
    pruned = graph.wiring.prune(random_masks(graph, 0.5, seed=1))
    again = graph.wiring.prune(pruned)
    assert all(torch.equal(pruned[wire], again[wire]) for wire in pruned)


@every_network
def test_pruning_leaves_only_edges_on_a_path_from_a_source_to_a_sink(name: str) -> None:
    graph = small(name).graph()
    wiring = graph.wiring
    pruned = wiring.prune(random_masks(graph, 0.5, seed=1))
    for wire, (writer, port) in wiring.wires.items():
        for node, entry in pruned[wire].nonzero().tolist():
            group = wiring.nodes[writer]
            into = [(w, p) for p in group.reads for w in wiring.into(p)]
            columns = (pruned[w][:, node if wiring.ports[p].size == group.size else 0] for w, p in into)
            assert not group.reads or any(bool(column.any()) for column in columns)
            readers = [h for h, g in wiring.nodes.items() if port in g.reads]
            assert port in wiring.sinks or any(
                pruned[w][entry if wiring.ports[port].size == wiring.nodes[h].size else slice(None)].any()
                for h in readers
                for w in wiring.out_of(h)
            )


# One edge by hand: what the port reads is edited with a raw hook, by the weights alone.


def by_hand(model: Any, hook: str, change: Callable[[Tensor], Tensor], inputs: Any) -> Any:
    with torch.no_grad():
        return model.run_with_hooks(inputs, fwd_hooks=[(hook, lambda x, hook: change(x))])


def difference(model: Any, hook: str) -> Tensor:
    return model.cache(example(model, seed=1), hook)[hook] - model.cache(example(model), hook)[hook]


def into_query(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Head 1 of the first layer reaches head 0 of the second through its query only."""
    d_z = difference(model, "blocks.0.attn.hook_z")[:, :, 1]
    d_q = d_z @ model.blocks[0].attn.W_O[1]
    edge = "blocks.0.attn.hook_z[head=1] -> blocks.1.hook_q_input[head=0]"

    def change(x: Tensor) -> Tensor:
        return torch.stack([x[:, :, 0] + d_q, x[:, :, 1]], dim=2)

    return edge, "blocks.1.hook_q_input", change


def between_channels(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Channel 2 of the first block reaches channel 1 of the second through one kernel and the norm's gain."""
    moved, block = difference(model, "blocks.0.hook_pooled")[:, 2:3], model.blocks[1]
    kernel = block.conv.weight[1:2, 2:3]
    gain = block.norm.weight[1] / (block.norm.running_var[1] + block.norm.eps).sqrt()
    added = torch.nn.functional.conv2d(moved, kernel, padding=1) * gain
    edge = "blocks.0.hook_pooled[channel=2] -> blocks.1.hook_pre[channel=1]"
    return edge, "blocks.1.hook_pre", lambda x: torch.cat([x[:, :1], x[:, 1:2] + added, x[:, 2:]], dim=1)


def before_the_pooling(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Channel 1 reaches channel 3 of the next layer as its convolution says; pooling comes later."""
    moved, kernel = difference(model, "blocks.1.hook_post")[:, 1:2], model.blocks[2].conv.weight[3:4, 1:2]
    added, hook = torch.nn.functional.conv2d(moved, kernel, padding=1), "blocks.2.hook_conv"
    edge = f"blocks.1.hook_post[channel=1] -> {hook}[channel=3]"
    return edge, hook, lambda x: torch.cat([x[:, :3], x[:, 3:4] + added], dim=1)


def through_a_shortcut(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Channel 3 of the first branch reaches the fourth branch through the strided 1x1 map of the third block."""
    moved, weight = difference(model, "blocks.0.hook_out")[:, 3], model.blocks[2].shortcut.weight[:, 3, 0, 0]
    added = moved[:, None, ::2, ::2] * weight[None, :, None, None]
    return "blocks.0.hook_out[channel=3] -> blocks.3.hook_in", "blocks.3.hook_in", lambda x: x + added


def between_units(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """The unit that changes most reaches the most active unit of the second layer through one weight."""
    moved = difference(model, "blocks.0.hook_post")
    unit = int(moved.abs().sum(dim=0).argmax())
    reader = int(model.cache(example(model), "blocks.1.hook_pre")["blocks.1.hook_pre"].sum(dim=0).argmax())
    added = moved[:, unit] * model.blocks[1].linear.weight[reader, unit]
    edge = f"blocks.0.hook_post[unit={unit}] -> blocks.1.hook_pre[unit={reader}]"
    return edge, "blocks.1.hook_pre", lambda x: x + added[:, None] * torch.eye(x.shape[1]).double()[reader]


def through_a_transposed_kernel(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Channel 2 of the generator's first maps reaches channel 1 of the next through one kernel and the norm's gain."""
    moved, block = difference(model, "generator.project.hook_post")[:, 2:3], model.generator.blocks[0]
    gain = block.norm.weight[1] / (block.norm.running_var[1] + block.norm.eps).sqrt()
    kernel = block.linear.weight[2:3, 1:2]
    added = torch.nn.functional.conv_transpose2d(moved, kernel, stride=2, padding=1) * gain
    edge = "generator.project.hook_post[channel=2] -> generator.blocks.0.hook_pre[channel=1]"
    return edge, "generator.blocks.0.hook_pre", lambda x: torch.cat([x[:, :1], x[:, 1:2] + added, x[:, 2:]], dim=1)


def from_a_latent(model: Any) -> tuple[str, str, Callable[[Tensor], Tensor]]:
    """Latent 1 reaches channel 0 of the decoder's first maps through its part of the linear map."""
    moved, project = difference(model, "hook_latent")[:, 1], model.decoder.project
    column = project.linear.weight.reshape(project.n_channels, project.side, project.side, -1)[0, :, :, 1]
    added = moved[:, None, None, None] * column
    edge = "hook_latent[latent=1] -> decoder.project.hook_pre[channel=0]"
    return edge, "decoder.project.hook_pre", lambda x: torch.cat([x[:, :1] + added, x[:, 1:]], dim=1)


@pytest.mark.parametrize(
    ("name", "hand"),
    [
        ("gan", through_a_transposed_kernel),
        ("vae", from_a_latent),
        ("gpt", into_query),
        ("cnn", between_channels),
        ("airbench", before_the_pooling),
        ("resnet", through_a_shortcut),
        ("mlp", between_units),
    ],
)
@torch.no_grad()
def test_one_patched_edge_equals_the_same_patch_by_hand(name: str, hand: Callable) -> None:
    model = small(name)
    graph, inputs = model.graph(), example(model)
    edge, hook, change = hand(model)
    wire, place = graph.wiring.find(edge)
    cut = graph.full(0.0)
    cut[wire][place] = 1
    patched = cut_output(graph, inputs, graph.writes(example(model, seed=1)), cut)
    assert_same(patched, by_hand(model, hook, change, inputs))
    assert not torch.allclose(tree_leaves(patched)[0], tree_leaves(model(inputs))[0], rtol=1e-6)


# Names, masks and declarations


@every_graph
def test_every_edge_is_found_by_its_text(name: str, detail: str) -> None:
    wiring = graph_of(name, detail).wiring
    edges, named = list(wiring.edges()), wiring.names()
    assert len(edges) == wiring.n_edges and named == [(str(e.writer), str(e.port), wire) for e, wire, _ in edges]
    for edge, wire, place in edges[:: max(1, len(edges) // 20)]:
        assert wiring.find(str(edge)) == (wire, place)


@given(seed=st.integers(0, 2**16), size=st.integers(0, 60))
def test_the_largest_values_make_a_mask_of_their_number(seed: int, size: int) -> None:
    wiring = small("mlp").graph().wiring
    values = torch.randn(wiring.n_edges, generator=generator(seed, "values"))
    mask = wiring.as_vector(wiring.largest(values, size))
    assert int(mask.sum()) == min(size, wiring.n_edges)
    assert not mask.any() or mask.all() or values[mask].min() > values[~mask].max()


def test_an_edge_between_two_positions_or_inside_a_group_is_refused() -> None:
    kept, pairs = graph_of("gpt", "kept").wiring, graph_of("mlp", "pairs").wiring
    with pytest.raises(InputError, match="joins two positions"):
        kept.find("hook_embed[pos=1] -> blocks.0.hook_q_input[head=0,pos=2]")
    with pytest.raises(InputError, match=r"pos=0"):
        kept.find("hook_embed -> blocks.0.hook_q_input[head=0,pos=2]")
    with pytest.raises(InputError, match="groups of 2"):
        pairs.find("hook_input[feature=1:3] -> blocks.0.hook_pre[unit=0:2]")


def test_positions_are_refused_where_there_are_none() -> None:
    model = small("cnn")
    with pytest.raises(ConfigError, match="keeps no token positions"):
        model.graph().refine(kept=example(model))


def test_hooks_are_as_before_when_a_patched_run_fails() -> None:
    model = small("gpt")
    graph, inputs = model.graph(), example(model)
    clean = model(inputs)
    with pytest.raises(ZeroDivisionError), graph.patch(graph.writes(example(model, seed=1)), graph.full(1.0)):
        1 / 0  # noqa: B018
    assert torch.equal(model(inputs), clean)


def test_a_mask_of_another_model_is_refused_with_both_shapes() -> None:
    masks, other = small("mlp").graph().full(1.0), small("actor_critic").graph()
    with pytest.raises(ShapeError, match=r"nothing.*another model"):
        other.wiring.check(masks)
    wire = "hook_input -> blocks.0.hook_pre"
    with pytest.raises(ShapeError, match=r"\(6, 4\).*\(6, 5\)"):
        small("mlp").graph().wiring.check({**masks, wire: torch.ones(6, 4)})


@pytest.mark.parametrize(
    ("edge", "error", "says"),
    [
        ("hook_input[feature=0]", InputError, "site -> site"),
        ("hook_input[feature=0] -> readout.hook_logits[class=0]", UnknownNameError, "Did you mean"),
        ("hook_input -> blocks.0.hook_pre[unit=0]", InputError, r"hook_input\[feature=0\]"),
        ("hook_input[feature=9] -> blocks.0.hook_pre[unit=0]", InputError, "out of range"),
        ("hook_input[feature=0|1] -> blocks.0.hook_pre[unit=0]", InputError, "one end of an edge"),
    ],
)
def test_an_edge_that_does_not_exist_is_refused(edge: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        small("mlp").graph().wiring.find(edge)


def test_a_wire_that_runs_backwards_is_refused() -> None:
    model = small("mlp")
    nodes, ports = [Nodes("blocks.1.hook_post", "unit")], [Ports("blocks.0.hook_pre", "unit")]
    with pytest.raises(ConfigError, match="runs backwards"):
        Graph(model, nodes, ports, [Wire("blocks.1.hook_post", "blocks.0.hook_pre", lambda x, mask: x @ mask)])


def test_nodes_fed_by_ports_of_another_number_are_refused() -> None:
    model = small("mlp")
    nodes, ports = [Nodes("blocks.1.hook_post", "unit", ("blocks.0.hook_pre",))], [Ports("blocks.0.hook_pre", "unit")]
    with pytest.raises(ConfigError, match="4 nodes"):
        Graph(model, nodes, ports, [])
