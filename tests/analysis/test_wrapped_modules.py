"""Tests of techniques on wrapped modules: results, and errors where rows or axes do not allow them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import workbench
from tests.campaigns.foreign_cases import ids, rand
from tests.campaigns.foreign_habits import between
from workbench.analysis.ablation import ablate
from workbench.analysis.activations import compute_statistics, read_activations
from workbench.analysis.features.search import Search
from workbench.analysis.features.target import make_target
from workbench.analysis.features.token_search import TokenObjective, embedding_tables, fluency_weights
from workbench.analysis.generative.traversal import traverse
from workbench.analysis.maximization import maximize
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.metrics import Logit, LogitDifference
from workbench.core.wrap import wrap


def gpt2() -> nn.Module:
    from tests.zoo.test_from_transformers import gpt2

    return gpt2().float()


@pytest.mark.slow
def test_ablating_a_table_of_positions_gives_one_number_per_position() -> None:
    net, x = gpt2(), ids(1, 6)
    metric = LogitDifference(torch.tensor([1]), torch.tensor([2]))
    found = ablate(wrap(net, x), x, "transformer.wpe", metric, axis="pos")
    for place in range(6):

        def remove(module: nn.Module, args: object, y: torch.Tensor, place: int = place) -> torch.Tensor:
            return y.index_fill(1, torch.tensor([place]), 0)

        handle = net.transformer.wpe.register_forward_hook(remove)  # type: ignore[union-attr]
        with torch.no_grad():
            effect = metric(net(x)) - found.baseline
        handle.remove()
        torch.testing.assert_close(found.effect[place], effect)
    assert found.effect.flatten().unique().numel() == 6


def objective(model: HookedModel, x: torch.Tensor, hook: str) -> TokenObjective:
    target = make_target(model, x, hook, "channel")
    natural = target.values(x).detach()
    search = Search(target, x, natural, (0, 5), 4, 0, fluent=True)
    return TokenObjective(search, embedding_tables(model), fluency_weights(search))


@pytest.mark.slow
def test_tokens_are_searched_as_in_the_translated_network() -> None:
    net, x = gpt2(), ids(4, 6)
    places = torch.tensor([0, 1, 0, 1])
    ours = objective(workbench.from_transformers(net), x, "blocks.1.mlp.hook_post")
    for forward in (None, lambda module, tokens: module(tokens).logits):
        model = wrap(net, x, forward)
        theirs = objective(model, x, "transformer.h.1.mlp.act")
        assert list(theirs.tables) == ["transformer.wte"]
        assert_close(theirs.read(x, places).drive, ours.read(x, places).drive, rtol=1e-4, atol=1e-4)
        assert_close(theirs.promise(x, places), ours.promise(x, places), rtol=1e-4, atol=1e-3)
        for kind in ("channel", "neuron", "fluent"):
            found = maximize(model, x, "transformer.h.1.mlp.act", units=(0, 5), objective=kind, steps=3)
            assert found.inputs.shape == (2, 6) and not found.inputs.is_floating_point()


def test_tokens_of_a_module_that_embeds_otherwise_are_refused() -> None:
    class Scaled(nn.Embedding):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    net = nn.Sequential(Scaled(31, 4), nn.Linear(4, 31))
    with pytest.raises(InputError, match=r"has none: neither .* nor, in a wrapped module, an nn\.Embedding"):
        maximize(wrap(net, ids(4, 6)), ids(4, 6), "1", units=(0,), steps=2)


def test_what_runs_unrelated_rows_together_is_refused_where_rows_interact() -> None:
    x = rand(4, 4)
    model = wrap(between(lambda h: h - h.mean(0)), x)
    with pytest.raises(InputError, match="Maximization .* rows influence one another"):
        maximize(model, x, "act", units=(0,), steps=2)
    with pytest.raises(InputError, match="traversal .* rows influence one another"):
        traverse(model, x, "act", units=(0,))


def test_a_hook_whose_first_axis_is_not_the_batch_is_refused_by_what_goes_through_examples() -> None:
    x = rand(2, 5, 3)
    model = wrap(nn.Sequential(nn.LSTM(3, 4, 2, batch_first=True)).double(), x, lambda net, y: net(y)[0].mean(1))
    for run in (read_activations, maximize, traverse):
        with pytest.raises(InputError, match="first axis is not the batch"):
            run(model, x, "0:1")
    assert traverse(model, x, "0:0", units=(0,)).seen == "0:0"
    effect = ablate(model, x, "0:1", Logit(torch.zeros(2, dtype=torch.long)), axis="unit").effect
    assert effect.shape == (4, 2)


def test_an_in_place_network_can_be_ablated_by_every_method() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2))
    x = rand(3, 3, 8, 8).float()
    model, metric = wrap(net, x), Logit(torch.zeros(3, dtype=torch.long))
    reference = net[:2](x)
    for method, value in (("zero", torch.zeros(1)), ("mean", reference[:, 1].mean(0))):
        found = ablate(model, x, "1", metric, axis="channel", method=method)
        edited = reference.clone()
        edited[:, 1] = value
        torch.testing.assert_close(found.effect[1] + found.baseline, metric(net[2:](edited)))
    assert ablate(model, x, "1", metric, method="resample").effect.shape == (4, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_results_of_half_precision_become_tables_and_figures(dtype: torch.dtype) -> None:
    x = rand(3, 4).to(dtype)
    model = wrap(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype), x)
    metric = Logit(torch.zeros(3, dtype=torch.long))
    for result in (
        ablate(model, x, "1", metric, method="mean"),
        read_activations(model, x, "1"),
        compute_statistics(model, x),
        traverse(model, x, "1", units=(0, 1)),
        maximize(model, x, "1", units=(0, 1), steps=2),
    ):
        assert len(workbench.table(result)) and workbench.figure(result).data
