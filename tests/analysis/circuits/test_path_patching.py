"""Tests of path patching on linear networks, a planted circuit and raw hooks."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.analysis.signed_metric import one_way
from tests.zoo.small import SMALL, example, small
from workbench.analysis.circuits.path_patching import parse_path, patch_path
from workbench.core.errors import InputError, UnknownNameError
from workbench.core.metrics import LogitDifference
from workbench.ground_truth.known import known_circuit
from workbench.zoo.mlp import MLPClassifier, MLPConfig

every_network = pytest.mark.parametrize("name", SMALL)


class FirstLogit:
    def __call__(self, output: Tensor) -> Tensor:
        return output[:, 0]


def linear_mlp() -> MLPClassifier:
    torch.manual_seed(0)
    model = MLPClassifier(MLPConfig(n_features=3, hidden=(4, 2), n_classes=2)).double().eval()
    for block in model.blocks:
        block.act = torch.nn.Identity().eval()
    return model


@torch.no_grad()
def test_on_a_linear_network_a_path_carries_the_product_of_its_weights_and_all_paths_together_everything() -> None:
    model = linear_mlp()
    clean, other = torch.rand(5, 3).double(), torch.rand(5, 3).double()
    first, second, last = *(block.linear.weight for block in model.blocks), model.readout.linear.weight
    total = torch.zeros(5).double()
    for i, u, v in product(range(3), range(4), range(2)):
        path = (
            f"hook_input[feature={i}] -> blocks.0.hook_pre[unit={u}] -> blocks.1.hook_pre[unit={v}] "
            "-> readout.hook_logits[class=0]"
        )
        effect = patch_path(model, clean, other, FirstLogit(), path).effect
        assert_close(effect, (other - clean)[:, i] * first[u, i] * second[v, u] * last[0, v])
        total += effect
    assert_close(total, model(other)[:, 0] - model(clean)[:, 0])


@torch.no_grad()
def test_through_a_head_it_is_what_raw_hooks_give() -> None:
    model = small("gpt")
    clean, other = example(model, seed=0), example(model, seed=1)
    metric = LogitDifference(torch.zeros(2).long(), torch.ones(2).long())
    end = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    found = patch_path(model, clean, other, metric, f"hook_embed -> blocks.0.hook_v_input[head=1] -> {end}")
    embedded = [model.cache(x, ["hook_embed"])["hook_embed"] for x in (clean, other)]
    change = embedded[1] - embedded[0]

    def more(x: Tensor) -> Tensor:
        x = x.clone()
        x[:, :, 1] += change
        return x

    seen: dict[str, Tensor] = {}
    with model.attach({"blocks.0.hook_v_input": more, "blocks.0.attn.hook_z": lambda z: seen.setdefault("z", z)}):
        model(clean)
    intact = model.cache(clean, ["blocks.0.attn.hook_z"])["blocks.0.attn.hook_z"]
    written = (seen["z"] - intact)[:, :, 1] @ model.blocks[0].attn.W_O[1]
    with model.attach({end: lambda x: x + written}):
        expected = metric(model(clean))
    assert_close(found.effect, expected - metric(model(clean)))


@every_network
def test_without_a_path_the_strongest_one_is_taken_from_a_source_to_a_sink(name: str) -> None:
    model = small(name)
    clean, corrupted = example(model, seed=0), example(model, seed=1)
    difference = LogitDifference(torch.zeros(2).long(), torch.ones(2).long())
    found = patch_path(model, clean, corrupted, one_way(model, clean, corrupted, metric=difference))
    wiring = model.graph().wiring
    assert found.path[0].partition(" -> ")[0].partition("[")[0] in wiring.sources
    assert found.path[-1].partition(" -> ")[2].partition("[")[0] in wiring.sinks
    assert_close(found.effect.mean(), found.prefix[-1])


def test_the_path_of_a_planted_circuit_carries_the_behaviour_and_one_beside_it_nothing() -> None:
    it = known_circuit("planted_induction")
    planted = "hook_embed -> blocks.0.hook_v_input[head=0] -> blocks.1.hook_k_input[head=0] -> blocks.1.hook_resid_post"
    beside = planted.replace("head=0", "head=1", 1)
    assert patch_path(it.model, it.inputs, it.corrupted, it.metric, planted).effect.abs().max() > 0.5
    assert patch_path(it.model, it.inputs, it.corrupted, it.metric, beside).effect.abs().max() < 1e-9


def test_between_ports_that_feed_several_nodes_the_node_is_named() -> None:
    wiring = known_circuit("planted_resnet").graph.wiring
    start, end = "stem.hook_out[channel=0] -> blocks.0.hook_in", "blocks.1.hook_in"
    with pytest.raises(InputError, match="feeds 8 nodes"):
        parse_path(wiring, f"{start} -> {end}")
    found = parse_path(wiring, f"{start} -> blocks.0.hook_out[channel=3] -> {end} -> blocks.1.hook_out[channel=5] -> "
                           "readout.hook_in")  # fmt: skip
    assert [str(edge.writer) for edge in found] == [
        "stem.hook_out[channel=0]", "blocks.0.hook_out[channel=3]", "blocks.1.hook_out[channel=5]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("hook_embed", "is not a path"),
        ("hook_embed -> blocks.0.hook_v_input[head=1]", "before the output"),
        ("hook_embed -> blocks.0.hook_w_input[head=1]", "hook_v_input"),
        ("hook_embed -> blocks.0.hook_v_input[head=9]", "9"),
        ("hook_embed -> blocks.1.hook_resid_post -> blocks.1.hook_resid_post", "nothing follows"),
        ("blocks.1.attn.hook_z[head=0] -> blocks.0.hook_v_input[head=0]", "edge between hooks"),
    ],
)
def test_a_path_that_is_none_is_refused_with_what_is_wrong(path: str, message: str) -> None:
    wiring = known_circuit("planted_induction").graph.wiring
    with pytest.raises((InputError, UnknownNameError), match=message):
        parse_path(wiring, path)
