"""Study of a GPT-2 trained with Hugging Face's class, and the circuit found in it."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from transformers import GPT2Config, GPT2LMHeadModel

import workbench
from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.metrics import ProbabilityDifference
from workbench.core.random import generator
from workbench.core.registry import DATASETS
from workbench.data.tasks.sequences import SequenceData, random_rows

STEPS = 400


@pytest.fixture(scope="module")
def data() -> SequenceData:
    return DATASETS["greater_than"]()


@pytest.fixture(scope="module")
def trained(data: SequenceData) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    cfg = GPT2Config(vocab_size=139, n_positions=13, n_embd=64, n_layer=2, n_head=4, resid_pdrop=0, attn_pdrop=0)
    model = GPT2LMHeadModel(cfg).train()
    batch = random_rows(data, 64, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    for step in range(STEPS):
        inputs, targets = batch(step)
        cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def test_the_circuit_of_a_trained_gpt2_is_found_and_carries_the_answer(
    trained: GPT2LMHeadModel, data: SequenceData
) -> None:
    model = workbench.from_transformers(trained)
    inputs = data.test_inputs[:64]
    assert_close(model(inputs), trained(inputs).logits, atol=1e-4, rtol=1e-4)
    metric = ProbabilityDifference(data.right(inputs))
    assert metric(model(inputs)).mean() > 0.6
    corrupted = data.counterpart(inputs, generator(0, "test"))
    circuit = trace_circuit(model, inputs, corrupted, metric, CircuitConfig(method="exact"))
    assert circuit.faithfulness[circuit.sizes <= 24].max() > 0.9
    assert circuit.cmd < 0.15 and circuit.random_cmd > 0.5
    assert any("mlp_out" in edge.writer for edge in circuit.top(8))
