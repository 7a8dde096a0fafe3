"""Tests of wrapped torch modules: a site for every submodule's output, and errors instead of wrong values."""

from __future__ import annotations

import copy
import gc
import io
import threading
import weakref

import pytest
import torch
from torch import nn

from workbench.core.errors import ConfigError, InputError, NeverFiredError, OverwrittenError, TrainingModeError
from workbench.core.interventions import zero
from workbench.core.sites import Site
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


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Sequential(nn.Linear(5, 2)))


def hooks_of(module: nn.Module) -> list[int]:
    return [len(part._forward_hooks) for part in module.modules()]


def test_wrapping_several_times_adds_one_hook_and_closing_takes_it_off() -> None:
    module, x = net().train(), torch.randn(3, 4)
    wrappers = [wrap(module, x) for _ in range(5)]
    assert hooks_of(module) == [0, 1, 1, 1, 1] and not module.training
    with wrappers[0].edited([zero("0")]):
        assert torch.equal(wrappers[1](x), module(x)) and not torch.equal(wrappers[0](x), module(x))
    for wrapper in wrappers:
        wrapper.close()
        wrapper.close()
    assert hooks_of(module) == [0] * 5 and all(part.training for part in module.modules())
    with pytest.raises(InputError, match="closed"):
        wrappers[0].cache(x)


def test_a_block_closes_the_wrapper_and_another_stays_open() -> None:
    module, x = net().eval(), torch.randn(3, 4)
    outer = wrap(module, x)
    with pytest.raises(ZeroDivisionError), wrap(module, x):
        raise ZeroDivisionError
    assert sum(hooks_of(module)) == 4 and not any(part.training for part in module.modules())
    assert torch.equal(outer.cache(x, "0")["0"], module[0](x))


def test_a_dropped_wrapper_is_freed_and_takes_its_hooks_along() -> None:
    module = net()
    gone = weakref.ref(wrap(module, torch.randn(3, 4)))
    gc.collect()
    assert gone() is None and sum(hooks_of(module)) == 0
    dropped = weakref.ref(module)
    model = wrap(module, torch.randn(3, 4))
    del module, model
    gc.collect()
    assert dropped() is None


def test_a_wrapper_that_fails_to_open_leaves_no_hook() -> None:
    module = net().train()
    with pytest.raises(InputError, match="cannot run on the example"):
        wrap(module, torch.randn(3, 7))
    assert sum(hooks_of(module)) == 0 and all(part.training for part in module.modules())


def test_a_part_that_was_replaced_is_seen_by_the_next_wrapper() -> None:
    module, x = net().eval(), torch.randn(3, 4)
    first = wrap(module, x)
    module[0] = nn.Linear(4, 5).eval()
    with pytest.raises(NeverFiredError):
        first.cache(x, "0")
    for model in (wrap(module, x), first):
        assert torch.equal(model.cache(x, "0")["0"], module[0](x))


def test_copies_of_a_wrapped_module_have_no_working_hooks_and_a_copied_wrapper_its_own() -> None:
    module, x = net().eval(), torch.randn(3, 4)
    model = wrap(module, x)
    copied, stored = copy.deepcopy(module), io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    loaded = torch.load(stored, weights_only=False)
    twin = copy.deepcopy(model)
    with model.edited([zero("0")]):
        assert torch.equal(copied(x), module(x)) and torch.equal(loaded(x), module(x))
        assert torch.equal(twin(x), module(x)) and not torch.equal(model(x), module(x))
    with twin.edited([zero("0")]):
        assert not torch.equal(twin(x), module(x))


def test_a_thread_that_runs_the_module_itself_meets_no_edits() -> None:
    module, x, results = net().eval(), torch.randn(3, 4), []
    model = wrap(module, x)

    def spy(a: torch.Tensor) -> torch.Tensor:
        other = threading.Thread(target=lambda: results.append(module(x)))
        other.start()
        other.join()
        return a * 0

    with model.edited({"0": spy}):
        edited = model(x)
    assert torch.equal(results[0], module(x)) and not torch.equal(edited, module(x))


def test_training_mode_of_the_module_or_a_part_is_refused_in_every_run() -> None:
    module, x = net().eval(), torch.randn(3, 4)
    model = wrap(module, x)
    for part, name in ((module, "module"), (module[1], "module.1"), (module[2][0], "module.2.0")):
        part.train()
        for run in (model, model.cache, model.run_with_cache, model.run_with_hooks):
            with pytest.raises(TrainingModeError, match=f"'{name}'"):
                run(x)
        model.eval()
        assert model.cache(x)


def test_names_with_every_character_can_be_edited() -> None:
    module = nn.Sequential()
    for name in ("a:b", "c@2", "d[0]", "e f", "g,h", "i*", "j->k"):
        module.add_module(name, nn.Linear(4, 4))
    x = torch.randn(2, 4)
    model = wrap(module, x)
    assert list(model.hook_dict) == ["a:b", "c@2", "d_0_", "e_f", "g,h", "i*", "j->k"]
    for hook in model.hook_dict:
        site = Site.parse(f"{hook}[unit=1]")
        with torch.no_grad(), model.edited([zero(site)]):
            seen = model.cache(x, hook)[hook]
        assert site.hook == hook and seen[:, 1].eq(0).all() and seen[:, 0].ne(0).any()


def test_inference_mode_and_transformer_lens_hooks() -> None:
    module, x = net().eval(), torch.randn(3, 4)
    with torch.inference_mode():
        model = wrap(module, x)
        cache = model.cache(x)
    assert torch.equal(cache["0"], module[0](x)) and torch.equal(model.cache(x)["0"], cache["0"])
    model.hook_dict["0"].add_hook(lambda a, hook: a.mul_(0))
    assert torch.equal(model(x), module[2][0](torch.zeros(3, 5)))
    model.reset_hooks()
    assert torch.equal(model(x), module(x))
