"""The circuit of `greater_than_gpt` is that of GPT-2 (Hanna et al. 2023): heads fetch the year, an MLP compares."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from workbench.analysis.circuits.circuit import Circuit
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.metrics import ProbabilityDifference
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.greater_than import START, YEARS, mark_later_years

HEADS = (1, 2)
MLP, END = "blocks.0.hook_mlp_out", "blocks.1.hook_resid_post"


@dataclass(frozen=True)
class Sentences:
    """Test sentences, and the same from year 01."""

    inputs: Tensor
    corrupted: Tensor


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load("greater_than_gpt")


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    data = DATASETS["greater_than"]()
    inputs = data.test_inputs[:64]
    return Sentences(inputs, data.counterpart(inputs, generator(0, "test")))


@pytest.fixture(scope="module")
def circuit(model: HookedModel, sentences: Sentences) -> Circuit:
    metric = ProbabilityDifference(mark_later_years(sentences.inputs))
    return trace_circuit(model, sentences.inputs, sentences.corrupted, metric, CircuitConfig(method="exact"))


def test_two_heads_of_the_first_layer_look_at_the_first_year(model: HookedModel, sentences: Sentences) -> None:
    hook = "blocks.0.attn.hook_pattern"
    looks = model.cache(sentences.inputs, [hook])[hook][:, :, -1, START].mean(dim=0)
    assert {i for i, share in enumerate(looks.tolist()) if share > 0.5} == set(HEADS)


def test_eight_edges_carry_the_answer_from_the_year_over_heads_and_mlp(circuit: Circuit) -> None:
    found = {(edge.writer, edge.port) for edge in circuit.top(8)}
    heads = [f"blocks.0.attn.hook_z[head={head}]" for head in HEADS]
    assert {(MLP, END), *((head, "blocks.0.hook_mlp_in") for head in heads)} <= found
    assert {("hook_embed", f"blocks.0.hook_v_input[head={head}]") for head in HEADS} <= found
    assert circuit.faithfulness[circuit.sizes == 8] > 0.9
    assert circuit.cmd < 0.1 and circuit.random_cmd > 0.5


def test_heads_are_heard_by_the_mlp_and_hardly_by_the_output(circuit: Circuit) -> None:
    effect = {(edge.writer, edge.port): abs(edge.score) for edge in circuit.top(circuit.wiring.n_edges)}
    for head in HEADS:
        writer = f"blocks.0.attn.hook_z[head={head}]"
        assert effect[writer, "blocks.0.hook_mlp_in"] > 10 * effect[writer, END]


@torch.no_grad()
def test_the_mlp_says_which_years_are_later_and_the_heads_do_not(model: HookedModel, sentences: Sentences) -> None:
    years = torch.arange(YEARS[0], YEARS[1] + 1)
    inputs = sentences.inputs[:1].repeat(len(years), 1)
    inputs[:, START] = years
    later = mark_later_years(inputs)[:, :100]
    hooks = [MLP, "blocks.0.hook_attn_out"]
    cache = model.cache(inputs, hooks)

    def told(write: Tensor) -> tuple[float, float]:
        """How much higher later years are, directly, and how well that tells them from the others."""
        centred = write[:, -1] - write[:, -1].mean(dim=-1, keepdim=True)
        logits = (centred * model.ln_final.w @ model.unembed.W_U)[:, :100]
        gaps = [row[is_later].mean() - row[~is_later].mean() for row, is_later in zip(logits, later, strict=True)]
        areas = [roc_auc_score(is_later, row) for row, is_later in zip(logits, later, strict=True)]
        return float(torch.stack(gaps).mean()), sum(areas) / len(areas)

    (mlp, by_mlp), (attention, by_attention) = (told(cache[hook]) for hook in hooks)
    assert mlp > 10 * attention > 0
    assert by_mlp > 0.95 and by_attention < 0.85
