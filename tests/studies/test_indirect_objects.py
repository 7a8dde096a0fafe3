"""The circuit of `ioi_gpt`: heads that raise both names, and one that lowers the last name. Not the one of GPT-2."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.checkpoints.store import load
from workbench.core.hooked import HookedModel
from workbench.core.interventions import zero
from workbench.core.metrics import LogitDifference
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.indirect_objects import NAMES

HEAD = "blocks.2.attn.hook_z[head=3]"


@dataclass(frozen=True)
class Sentences:
    """Test sentences, the same with the other subject, both names, and where the subject comes the second time."""

    inputs: Tensor
    corrupted: Tensor
    answer: Tensor
    subject: Tensor
    second: Tensor


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load("ioi_gpt")


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    data = DATASETS["indirect_objects"]()
    inputs = data.test_inputs[:100]
    is_name = (inputs >= 1) & (inputs <= len(NAMES))
    second = torch.stack([row.nonzero().flatten()[-1] for row in is_name])
    subject = inputs.gather(1, second[:, None])[:, 0]
    corrupted = data.counterpart(inputs, generator(0, "test"))
    return Sentences(inputs, corrupted, data.test_targets[:100, -1], subject, second)


def last_name_attention(model: HookedModel, inputs: Tensor, places: Tensor) -> Tensor:
    """What each head of the last layer gives, from the end, to these places: the mean over sentences."""
    hook = "blocks.2.attn.hook_pattern"
    return model.cache(inputs, [hook])[hook][torch.arange(len(inputs)), :, -1, places].mean(dim=0)


def test_two_edges_of_one_head_explain_the_choice(model: HookedModel, sentences: Sentences) -> None:
    metric = LogitDifference(sentences.answer, sentences.subject)
    how = CircuitConfig(method="eap_ig")
    circuit = trace_circuit(model, sentences.inputs, sentences.corrupted, metric, how)
    found = {(edge.writer, edge.port) for edge in circuit.top(2)}
    assert found == {
        ("hook_embed", "blocks.2.hook_v_input[head=3]"),
        (HEAD, "blocks.2.hook_resid_post"),
    }
    assert circuit.faithfulness[circuit.sizes == 2] > 0.9 and circuit.cmd < 0.1 < circuit.random_cmd


def test_the_head_looks_at_the_subject_and_nothing_else(model: HookedModel, sentences: Sentences) -> None:
    looks = last_name_attention(model, sentences.inputs, sentences.second)
    assert looks[3] > 0.95 and looks[:3].max() < 0.1


def test_it_looks_at_the_last_name_whether_or_not_it_came_before(model: HookedModel, sentences: Sentences) -> None:
    rows = torch.arange(len(sentences.inputs))
    stranger = torch.stack([
        next(i for i in torch.arange(1, len(NAMES) + 1) if i not in pair)
        for pair in torch.stack([sentences.answer, sentences.subject], dim=1)
    ])  # fmt: skip
    inputs = sentences.inputs.clone()
    inputs[rows, sentences.second] = stranger
    assert last_name_attention(model, inputs, sentences.second)[3] > 0.95


def test_without_it_both_names_are_left_above_all_others(model: HookedModel, sentences: Sentences) -> None:
    rows = torch.arange(len(sentences.inputs))
    with torch.no_grad():
        intact = model(sentences.inputs)[:, -1]
        with model.edited([zero(HEAD)]):
            without = model(sentences.inputs)[:, -1]
    names = slice(1, len(NAMES) + 1)
    best_two = without[:, names].topk(2).indices.sort(dim=1).values + 1
    pairs = torch.stack([sentences.answer, sentences.subject], dim=1).sort(dim=1).values
    assert (best_two == pairs).all(dim=1).float().mean() > 0.9
    gap = lambda logits: (logits[rows, sentences.answer] - logits[rows, sentences.subject]).mean()
    assert gap(intact) > 8 and gap(without).abs() < 2
