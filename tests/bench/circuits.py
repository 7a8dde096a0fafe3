"""Benchmark of edge scores: cost in plain forward passes, and agreement with exact effects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from tests.bench import ground_truth
from tests.bench.harness import Figure, paired, peak_memory
from tests.bench.invariants import in_double, largest_difference
from workbench.analysis.circuits.acdc import acdc
from workbench.analysis.circuits.attribution import eap, eap_ig, other_writes
from workbench.analysis.circuits.exact import exact
from workbench.checkpoints.card import names
from workbench.checkpoints.store import load
from workbench.core.graph import Graph
from workbench.core.hooked import HookedModel, batch_size
from workbench.core.metrics import KL, LogitDifference, Metric, logits_of
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.questions.defaults import presets
from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.resnet import ResNet, ResNetConfig

STEPS = 5
PLAIN = "plain passes of the same network, only the source differentiated"
TASKS = ("greater_than_gpt", "induction_gpt", "ioi_gpt", "modular_addition_gpt")
TRAINING = "plain passes of the same network, every parameter differentiated"


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark."""
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(d_vocab=50257, n_ctx=16, n_layers=12, d_model=768, n_heads=12)).eval()
    tokens = [torch.randint(50257, (8, 16)) for _ in range(2)]
    yield from attribution("gpt2_size", gpt, *tokens, target="<= 1.5")
    del gpt
    for name in names():
        model = load(name)
        yield from attribution(name, model, model.example(16), model.example(16, seed=1), target="<= 2")
    resnet = ResNet(ResNetConfig()).eval()
    yield from attribution("resnet20_batch_64", resnet, resnet.example(64), resnet.example(64, seed=1), "<= 2")
    for name in ("cartpole_ppo", "digits_mlp", "mnist_cnn", "cifar10_resnet20", "shakespeare_gpt"):
        yield from exactness(name, load(name))
    for name in (*TASKS, "cartpole_ppo", "digits_mlp", "mnist_cnn", "cifar10_resnet20", "shakespeare_gpt"):
        yield from savings(name, load(name))
    yield from ground_truth.areas()
    known = {load(name).family for name in names()}
    families = {load(name).family for name in names() if held(load(name).double())}
    yield Figure("circuits.families", len(families), "families", "1", f"== {len(known)}")


def difference(batch: int) -> Metric:
    """First logit minus second."""
    return LogitDifference(torch.zeros(batch, dtype=torch.long), torch.ones(batch, dtype=torch.long))


def attribution(name: str, model: HookedModel, clean: Tensor, corrupted: Tensor, target: str) -> Iterator[Figure]:
    """EAP and EAP-IG, each with its run on the corrupted inputs, over the passes that they cannot do without."""
    graph, metric = model.graph(), difference(batch_size(clean))
    attribution = partial(with_corrupted, eap, graph, clean, corrupted, metric)
    integrated = partial(with_corrupted, eap_ig, graph, clean, corrupted, metric)
    for trained, peer in ((False, PLAIN), (True, TRAINING)):
        backward = partial(forward_backward, model, clean, metric, trained)
        two_and_one, several = (
            partial(passes, model, clean, 2, backward, 1),
            partial(passes, model, clean, 0, backward, STEPS),
        )
        label = "with_parameters" if trained else "frozen"
        bounds = (None, None) if trained else (target, "<= 2")
        unit = f"x, {graph.n_edges} edges"
        yield Figure(
            f"circuits.eap.{name}.{label}", paired(attribution, two_and_one, 3, 1.0).median, unit, peer, bounds[0]
        )
        yield Figure(
            f"circuits.eap_ig.{name}.{label}", paired(integrated, several, 3, 1.0).median, unit, peer, bounds[1]
        )
    for label, run in (
        ("eap", attribution),
        ("eap_ig", integrated),
        ("plain", partial(passes, model, clean, 2, backward, 1)),
    ):
        yield Figure(f"circuits.{label}.{name}.memory", peak_memory(run), "MB of tensors at most")


def with_corrupted(score: Any, graph: Graph, clean: Tensor, corrupted: Tensor, metric: Metric) -> dict[str, Tensor]:
    """Scores of all edges, from the inputs alone."""
    return score(graph, clean, other_writes(graph, corrupted, "resample"), metric)


def passes(model: HookedModel, inputs: Tensor, forwards: int, backward: Any, backwards: int) -> None:
    """So many plain passes."""
    with torch.no_grad():
        for _ in range(forwards):
            model(inputs)
    for _ in range(backwards):
        backward()


def forward_backward(model: HookedModel, inputs: Tensor, metric: Metric, trained: bool) -> None:
    """One plain pass and its gradient, at every parameter or at the first activation alone."""
    first = next(iter(model.graph().wiring.sources))
    flags = [parameter.requires_grad for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.requires_grad_(trained)
    with model.attach({first: lambda x: x.detach().requires_grad_()}):
        metric(model(inputs)).mean().backward()
    for parameter, flag in zip(model.parameters(), flags, strict=True):
        parameter.requires_grad_(flag).grad = None


def exactness(name: str, model: HookedModel, sample: int = 20) -> Iterator[Figure]:
    """Every edge patched, against one full hooked pass for each; and attribution against autograd through a mask."""
    graph, clean = model.graph(), model.example(2)
    other, metric = graph.writes(model.example(2, seed=1)), difference(2)
    begin = perf_counter()
    scores = exact(graph, clean, other, metric)
    ours = (perf_counter() - begin) / graph.n_edges
    chosen = Random(0).sample(list(graph.wiring.edges()), sample)
    begin = perf_counter()
    values = [one_edge(graph, clean, other, metric, wire, place) for _, wire, place in chosen]
    naive = (perf_counter() - begin) / sample
    intact = metric(model(clean)).mean().detach()
    worst = max(abs(float(scores[w][at] - (v - intact))) for (_, w, at), v in zip(chosen, values, strict=True))
    peer = f"one full hooked pass for each edge ({sample} of {graph.n_edges} timed)"
    yield Figure(f"circuits.exact.{name}", naive / ours, "x as fast", peer, ">= 8")
    yield Figure(f"circuits.exact.{name}.largest_difference", worst, "logits", peer)
    yield Figure(f"circuits.eap.{name}.difference", against_autograd(model.double()), "largest", "autograd", "<= 1e-8")


@torch.no_grad()
def savings(name: str, model: HookedModel) -> Iterator[Figure]:
    """ACDC's runs, each counted by its share of a pass, against one pass for each edge; the tests show equal edges.

    On the first four of the model's usual inputs, at the default threshold and on either side of it.
    """
    graph, usual = model.graph(), presets(name)[0]
    clean = read_inputs(usual.inputs, model)
    corrupted = read_inputs(usual.corrupted, model, clean).inputs[:4]
    inputs = clean.inputs[:4]
    metric, other = KL(logits_of(model(inputs)).detach()), graph.writes(corrupted)
    for threshold in (0.01, 0.02, 0.05):
        found = acdc(graph, inputs, other, metric, threshold)
        n_kept = sum(int(kept.sum()) for kept in found.kept.values())
        unit = f"x fewer passes, {n_kept} of {graph.n_edges} edges kept at a threshold of {threshold:.0%}"
        target = ">= 10" if n_kept else None  # an empty circuit is cheap, and says nothing
        label, saved = f"circuits.acdc.{name}.{threshold}", graph.n_edges / found.runs
        yield Figure(label, saved, unit, "one full pass for each edge", target)


@torch.no_grad()
def one_edge(graph: Graph, clean: Tensor, other: dict[str, Tensor], metric: Metric, wire: str, place: Any) -> float:
    """The metric with one edge cut, by a full pass."""
    cut = graph.full(0.0)
    cut[wire][place] = 1
    with graph.patch(other, cut) as model:
        return float(metric(model(clean)).mean())


def against_autograd(model: HookedModel) -> float:
    """Largest difference of the scores from the derivative of a run with a mask on every edge, in double precision."""
    graph = model.graph()
    clean, corrupted = (tree_map(in_double, model.example(4, seed)) for seed in (0, 1))
    other, metric = graph.writes(corrupted), difference(4)
    cut = {wire: mask.double().requires_grad_() for wire, mask in graph.full(0.0).items()}
    with graph.patch(other, cut):
        metric(model(clean)).mean().backward()
    scores = eap(graph, clean, other, metric)
    return max(float((scores[w] - (0 if m.grad is None else m.grad)).abs().max()) for w, m in cut.items())


@torch.no_grad()
def held(model: HookedModel) -> bool:
    """Whether all edges cut give the corrupted output, and all kept the clean one."""
    graph = model.graph()
    clean, corrupted = (tree_map(in_double, model.example(2, seed)) for seed in (0, 1))
    other = graph.writes(corrupted)
    errors = []
    for share, expected in ((0.0, model(clean)), (1.0, model(corrupted))):
        with graph.patch(other, graph.full(share)):
            errors.append(largest_difference(model(clean), expected))
    return max(errors) <= 1e-8
