"""A GPT-2 of Hugging Face becomes our GPT and says the same; its circuits can be traced."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.analysis.circuits.tracing import Tracing, trace_circuit
from workbench.core.errors import ConfigError
from workbench.core.metrics import LogitDifference
from workbench.zoo.from_transformers import from_transformers

transformers = pytest.importorskip("transformers")


def gpt2(**settings: object) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=31, n_positions=16, n_embd=24, n_layer=3, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0, **settings,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).double().eval()
    for parameter in model.parameters():  # its own initialisation leaves biases at 0, which would prove little
        nn.init.normal_(parameter, std=0.3)
    model.tie_weights()
    return model


@pytest.mark.parametrize(
    "settings", [{}, {"tie_word_embeddings": False}, {"activation_function": "relu"}, {"n_inner": 10}]
)
def test_it_gives_the_same_logits(settings: dict[str, object]) -> None:
    theirs = gpt2(**settings)
    tokens = torch.randint(31, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(from_transformers(theirs)(tokens), theirs(tokens).logits, rtol=1e-9, atol=1e-9)


def test_its_circuits_are_traced_like_those_of_ours_and_its_weights_are_its_own() -> None:
    theirs = gpt2()
    model = from_transformers(theirs)
    clean, corrupted = torch.arange(24).reshape(2, 12), torch.arange(24).flip(0).reshape(2, 12)
    metric = LogitDifference(torch.tensor([1, 2]), torch.tensor([3, 4]))
    found = trace_circuit(model, clean, corrupted, metric, Tracing(method="eap_ig"))
    assert found.wiring.n_edges == model.graph().n_edges and found.faithfulness[-1] == pytest.approx(1)
    with torch.no_grad():
        model.embed.W_E.zero_()
    assert theirs.get_input_embeddings().weight.abs().sum() > 0


def test_what_computes_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="scale_attn_by_inverse_layer_idx"):
        from_transformers(gpt2(scale_attn_by_inverse_layer_idx=True))
    with pytest.raises(ConfigError, match=r"workbench\.wrap"):
        from_transformers(nn.Linear(2, 2))
