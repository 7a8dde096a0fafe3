"""Any torch module opens: every submodule's output is a site, and nothing is silently wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.core.errors import ConfigError, InputError, OverwrittenError
from workbench.core.interventions import zero
from workbench.core.stages import sweep
from workbench.core.wrap import wrap


class Twice(nn.Module):
    """Calls one part twice and another for a pair of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.act = nn.ReLU()
        self.lstm = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.linear(x))
        y, _ = self.lstm(x)
        return self.act(y).sum(1)


def test_each_call_and_each_tensor_has_a_name_of_its_own() -> None:
    model = wrap(Twice(), torch.randn(2, 3, 4))
    assert list(model.hook_dict) == ["linear", "act", "lstm:0", "lstm:1", "lstm:2", "act@2"]
    assert model.hook_dict["linear"].axes == ("batch", "pos", "unit") and model.hook_dict["linear"].inferred
    x = torch.randn(2, 3, 4)
    cache = model.cache(x)
    assert torch.equal(cache["act"], cache["linear"].relu())
    assert torch.equal(cache["act@2"], cache["lstm:0"].relu())
    with model.edited([zero("act@2")]):
        assert model(x).eq(0).all()


def test_wrapping_changes_no_output_and_sweeps_equal_the_naive_loop() -> None:
    module = Twice().eval()
    x = torch.randn(2, 3, 4)
    model = wrap(module, x)
    assert torch.equal(model(x), module(x))
    conditions = [(), *[(zero(f"linear[unit={i}]"),) for i in range(4)]]
    swept = sweep(model, x, conditions, lambda y: y.sum(1))
    naive = []
    with torch.no_grad():
        for condition in conditions:
            with model.edited(condition):
                naive.append(model(x).sum(1))
    torch.testing.assert_close(swept, torch.stack(naive))


def test_an_in_place_residual_network_is_caught_and_copies_are_right() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2)
    )
    x = torch.randn(2, 3, 8, 8)
    model = wrap(module, x)
    with pytest.raises(OverwrittenError, match="'1' first"):
        model.cache(x, copy=False)
    cache = model.cache(x)
    assert torch.equal(cache["1"], module[1](module[0](x))) and cache["1"].min() < 0


def test_a_module_without_parts_and_a_missing_graph_say_what_to_do() -> None:
    with pytest.raises(InputError, match="no submodule"):
        wrap(nn.ReLU(), torch.zeros(1, 2))
    with pytest.raises(ConfigError, match="no computation graph"):
        wrap(Twice(), torch.zeros(1, 3, 4)).graph()


@pytest.mark.slow
def test_a_stable_baselines3_policy_opens() -> None:
    from stable_baselines3 import PPO

    policy = PPO("MlpPolicy", "CartPole-v1", device="cpu").policy
    observation = torch.randn(5, 4)
    model = wrap(policy, observation, forward=lambda p, x: p.get_distribution(x).distribution.logits)
    clean = model(observation)
    hook = "mlp_extractor.policy_net.1"
    assert model.cache(observation, hook)[hook].shape == (5, 64)
    with model.edited([zero(hook)]):
        assert not torch.equal(model(observation), clean)


@pytest.mark.slow
def test_a_hugging_face_model_opens_from_a_local_folder(tmp_path: object) -> None:
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=20, n_positions=16, n_embd=8, n_layer=2, n_head=2)).save_pretrained(tmp_path)
    module = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = torch.randint(20, (2, 5))
    model = wrap(module, tokens)
    cache = model.cache(tokens)
    assert cache["transformer.h.0.mlp"].shape == (2, 5, 8)
    with torch.no_grad(), model.edited([zero("transformer.h.1.mlp")]):
        assert not torch.equal(model(tokens).logits, module.lm_head(cache["transformer.ln_f"]))
