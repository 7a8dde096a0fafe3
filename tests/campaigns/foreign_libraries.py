"""Small random networks of transformers and Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.campaigns.foreign_cases import Case, ids, rand

TEXT = {"vocab_size": 31, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def hugging(name: str, config: str, **settings: Any) -> nn.Module:
    import transformers

    torch.manual_seed(0)
    network = getattr(transformers, name)(getattr(transformers, config)(**settings))
    return network if "Mixtral" in name else network.double()  # its grouped product knows no double precision


def gpt2(name: str = "GPT2LMHeadModel", **settings: Any) -> nn.Module:
    sizes = {"vocab_size": 31, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return hugging(name, "GPT2Config", **sizes, bos_token_id=0, eos_token_id=0, **settings)


def policy(algorithm: str, kind: str, environment: Any) -> nn.Module:
    import stable_baselines3

    torch.manual_seed(0)
    sizes = {"n_steps": 8, "batch_size": 8} if algorithm == "PPO" else {"buffer_size": 10}
    return getattr(stable_baselines3, algorithm)(kind, environment, device="cpu", **sizes).policy


def dictionary_environment() -> Any:
    import gymnasium
    import numpy as np

    class Both(gymnasium.Env):
        observation_space = gymnasium.spaces.Dict(
            {"a": gymnasium.spaces.Box(-1, 1, (3,), np.float32), "b": gymnasium.spaces.Box(-1, 1, (2,), np.float32)}
        )
        action_space = gymnasium.spaces.Discrete(2)

    return Both()


def cases() -> list[Case]:
    """Language models with and without batches, encoders, an encoder-decoder, an image model, policies."""
    mask = torch.ones(3, 6, dtype=torch.long).index_fill(1, torch.tensor([5]), 0)
    stream = "batch pos d_model"
    return [
        Case("gpt2, one prompt", lambda: (gpt2(), ids(1, 6)), 1,
             axes={"transformer.wpe": "axis0 pos d_model", "transformer.h.0.mlp.c_fc": "batch pos unit"}),
        Case("gpt2, logits only", lambda: (gpt2(), ids(3, 6)), 3, lambda net, x: net(x).logits,
             axes={"transformer.h.0": stream, "transformer.ln_f": stream}),
        Case("gpt2, eager attention", lambda: (gpt2(attn_implementation="eager"), ids(2, 6)), 2),
        Case("gpt2 that classifies", lambda: (gpt2("GPT2ForSequenceClassification", pad_token_id=0), ids(3, 6)), 3),
        Case("bert", lambda: (hugging("BertModel", "BertConfig", **TEXT, max_position_embeddings=16),
             {"input_ids": ids(3, 6), "attention_mask": mask}), 3,
             axes={"embeddings.position_embeddings": "axis0 pos d_model", "pooler": "batch unit"}),
        Case("llama", lambda: (hugging("LlamaForCausalLM", "LlamaConfig", **TEXT, num_key_value_heads=1),
             ids(2, 6)), 2),
        Case("neox", lambda: (hugging("GPTNeoXForCausalLM", "GPTNeoXConfig", **TEXT), ids(2, 6)), 2),
        Case("t5", lambda: (hugging("T5Model", "T5Config", vocab_size=31, d_model=16, d_kv=8, d_ff=24, num_layers=1,
             num_heads=2), {"input_ids": ids(2, 6), "decoder_input_ids": ids(2, 4)}), 2),
        Case("mixtral", lambda: (hugging("MixtralForCausalLM", "MixtralConfig", **TEXT, num_key_value_heads=1,
             num_local_experts=3), ids(2, 6)), 2),
        Case("vit", lambda: (hugging("ViTModel", "ViTConfig", hidden_size=16, num_hidden_layers=1,
             num_attention_heads=2, intermediate_size=24, image_size=8, patch_size=4), rand(2, 3, 8, 8)), 2,
             axes={"embeddings": stream}),
        Case("convnext", lambda: (hugging("ConvNextModel", "ConvNextConfig", hidden_sizes=[4, 8, 8, 8],
             depths=[1, 1, 1, 1], patch_size=2), rand(2, 3, 32, 32)), 2),
        Case("ppo policy", lambda: (policy("PPO", "MlpPolicy", "CartPole-v1"), rand(3, 4)), 3,
             lambda net, x: net.get_distribution(x).distribution.logits),
        Case("ppo policy, distribution", lambda: (policy("PPO", "MlpPolicy", "CartPole-v1"), rand(3, 4)), 3,
             lambda net, x: net.get_distribution(x).distribution),
        Case("ppo policy, sampled", lambda: (policy("PPO", "MlpPolicy", "CartPole-v1"), rand(3, 4)), 3),
        Case("dqn policy", lambda: (policy("DQN", "MlpPolicy", "CartPole-v1"), rand(3, 4)), 3,
             lambda net, x: net.q_net(x)),
        Case("policy of a dictionary", lambda: (policy("PPO", "MultiInputPolicy", dictionary_environment()),
             ({"a": rand(3, 3), "b": rand(3, 2)},)), 3, lambda net, x: net.get_distribution(x[0]).distribution.logits),
    ]  # fmt: skip
