"""Tests of converted GPT-2 models: equal logits, and traceable circuits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.analysis.circuits.tracing import CircuitConfig, trace_circuit
from workbench.core.errors import ConfigError
from workbench.core.metrics import LogitDifference
from workbench.data.text.tokenizers import ByteTokenizer
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
    found = trace_circuit(model, clean, corrupted, metric, CircuitConfig(method="eap_ig"))
    assert found.wiring.n_edges == model.graph().n_edges and found.faithfulness[-1] == pytest.approx(1)
    with torch.no_grad():
        model.embed.W_E.zero_()
    assert theirs.get_input_embeddings().weight.abs().sum() > 0


@pytest.mark.parametrize(
    "head", ["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "DoubleHeadsModel", "Model"]
)
def test_another_head_is_refused_with_its_class_and_the_way_out(head: str) -> None:
    config = transformers.GPT2Config(vocab_size=31, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    with pytest.raises(ConfigError, match=rf"GPT2{head} is a GPT-2 with another head.*workbench\.wrap"):
        from_transformers(getattr(transformers, f"GPT2{head}")(config))


@pytest.mark.parametrize(
    "settings",
    [
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"add_cross_attention": True},
        {"activation_function": "silu"},
        {"layer_norm_epsilon": 1e-6},
    ],
)
def test_what_computes_something_else_is_refused_by_its_setting(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        from_transformers(gpt2(**settings))


def test_a_language_model_that_is_no_gpt2_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Linear is no GPT-2.*workbench\.wrap"):
        from_transformers(nn.Linear(2, 2))
    config = transformers.LlamaConfig(
        vocab_size=9, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    with pytest.raises(ConfigError, match="LlamaForCausalLM is no GPT-2"):
        from_transformers(transformers.LlamaForCausalLM(config))


def test_a_subclass_that_computes_something_else_is_found_by_running_it() -> None:
    class Sharper(transformers.GPT2LMHeadModel):
        def forward(self, tokens: torch.Tensor, **settings: object) -> object:
            output = super().forward(tokens, **settings)
            output.logits = output.logits * 1.01
            return output

    plain = gpt2()
    changed = Sharper(plain.config).double()
    changed.load_state_dict(plain.state_dict())
    with pytest.raises(ConfigError, match=r"Sharper .* differ by 1\.0%"):
        from_transformers(changed)
    plain.transformer.h[1].mlp.act = nn.SiLU()
    with pytest.raises(ConfigError, match="differ by"):
        from_transformers(plain)


def test_added_mixed_and_missing_weights_are_refused() -> None:
    adapted = gpt2()
    adapted.transformer.h[0].mlp.adapter = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="unknown weight 'transformer.h.0.mlp.adapter.bias'"):
        from_transformers(adapted)
    mixed = gpt2(tie_word_embeddings=False)
    mixed.lm_head.float()
    with pytest.raises(ConfigError, match="float32, float64"):
        from_transformers(mixed)
    with pytest.raises(ConfigError, match="meta"):
        from_transformers(gpt2().to("meta"))


def test_a_head_untied_by_hand_is_translated_as_it_is_and_its_mode_is_left() -> None:
    theirs = gpt2()
    theirs.lm_head.weight = nn.Parameter(torch.randn_like(theirs.lm_head.weight))
    tokens = torch.arange(12)[None]
    with torch.no_grad():
        expected = theirs(tokens).logits
        theirs.train()
        torch.testing.assert_close(from_transformers(theirs)(tokens), expected, rtol=1e-9, atol=1e-9)
    assert theirs.training and theirs.transformer.drop.training


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="256 tokens and the network 31"):
        from_transformers(gpt2(), ByteTokenizer())
