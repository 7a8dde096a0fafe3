"""Tests of the GPT: generation, prompts, and TransformerLens's analyses on it."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.zoo.small import example, small
from workbench.core.errors import ConfigError, InputError
from workbench.zoo.gpt import GPTConfig
from workbench.zoo.layers.attention import KeyValueCache
from workbench.zoo.layers.sampling import SamplingConfig

NETWORKS = ["gpt", "gpt rotary rms tied", "gpt attention only"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_key_value_cache_changes_no_logit(name: str) -> None:
    model = small(name)
    tokens = example(model)
    caches = [KeyValueCache() for _ in model.blocks]
    with torch.no_grad():
        pieces = [model.extend(part, caches) for part in (tokens[:, :3], tokens[:, 3:4], tokens[:, 4:])]
        assert_close(torch.cat(pieces, dim=1), model(tokens))


def test_generation_is_deterministic_by_seed_and_greedy_at_temperature_zero() -> None:
    model = small("gpt")
    prompt = example(model)[:, :4]
    one, two = model.generate(prompt, 5, seed=1), model.generate(prompt, 5, seed=1)
    assert torch.equal(one, two) and torch.equal(one[:, :4], prompt)
    greedy = model.generate(prompt, 3, SamplingConfig(temperature=0.0))
    with torch.no_grad():
        assert torch.equal(greedy[:, -1], model(greedy[:, :-1])[:, -1].argmax(-1))


def test_bad_prompts_and_configurations_are_refused() -> None:
    model = small("gpt")
    with pytest.raises(InputError, match="empty"):
        model(torch.zeros(1, 0, dtype=torch.long))
    with pytest.raises(InputError, match="at most 12"):
        model(torch.zeros(1, 13, dtype=torch.long))
    with pytest.raises(InputError, match="Token 11 is outside"):
        model(torch.full((1, 2), 11))
    with pytest.raises(InputError, match="no tokenizer"):
        model.to_tokens("hello")
    with pytest.raises(ConfigError, match="cannot be split"):
        GPTConfig(d_model=10, n_heads=3)


@pytest.mark.parametrize("name", ["gpt", "gpt rotary rms tied"])
def test_transformer_lens_activation_cache_and_patching_run_on_it(name: str) -> None:
    from transformer_lens import ActivationCache, patching

    model = small(name)
    clean, corrupted = example(model, 2, 0), example(model, 2, 1)
    with torch.no_grad():
        everything = [h for h in model.hook_dict if not h.endswith("_input")]
        logits, cache = model.run_with_cache(clean, everything)
        tl = ActivationCache(cache, model)
        stack, labels = tl.decompose_resid(return_labels=True)
        final = cache["blocks.1.hook_resid_post"]
        assert_close(stack.sum(0), final)
        heads = tl.stack_head_results()
        biases = sum(block.attn.b_O for block in model.blocks)
        mlps = sum(cache[f"blocks.{i}.hook_mlp_out"] for i in range(2))
        embeds = sum(cache[h] for h in ("hook_embed", "hook_pos_embed") if h in cache)
        assert_close(heads.sum(0) + biases + mlps + embeds, final) and labels

        def metric(out: torch.Tensor) -> torch.Tensor:
            return out[:, -1, 0].mean()

        table = patching.get_act_patch_attn_head_out_all_pos(model, corrupted, tl, metric)
        for layer in range(2):
            for head in range(model.cfg.n_heads):
                hook = f"blocks.{layer}.attn.hook_z"

                def swap(z: torch.Tensor, head: int = head, hook: str = hook) -> torch.Tensor:
                    z = z.clone()
                    z[:, :, head] = cache[hook][:, :, head]
                    return z

                with model.edited({hook: swap}):
                    assert_close(table[layer, head], metric(model(corrupted)).to(table))
    assert logits.shape == (2, 8, 11)
