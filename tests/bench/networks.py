"""Networks made elsewhere, by kind: small, random, and as different as the field has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.bench.torchvision_resnet import ResNet18

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 50}


@dataclass(frozen=True)
class Network:
    """A module, a valid example of four rows, and how to run it."""

    kind: str
    name: str
    module: nn.Module
    example: Any
    call: Callable[[Any], Any]


def networks() -> dict[str, Callable[[], Network]]:
    """Every network by its name, made when it is called."""
    return {**plain(), **images(), **recurrent(), **language(), **policies()}


def made(kind: str, name: str, module: Callable[[], nn.Module], example: Callable[[], Any]) -> Network:
    """A network that takes one tensor."""
    torch.manual_seed(0)
    net = module().eval()
    return Network(kind, name, net, example(), net)


def entry(
    kind: str, name: str, module: Callable[[], nn.Module], example: Callable[[], Any]
) -> tuple[str, Callable[[], Network]]:
    return name, partial(made, kind, name, module, example)


def vectors(n: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(4, n)


def pictures(channels: int = 3, size: int = 16) -> Callable[[], Tensor]:
    return lambda: torch.randn(4, channels, size, size)


class Functional(nn.Module):
    """Activations and joins as functions, in place and out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        g = self.b(h)
        g += h
        g[:, :2] = g[:, :2] * 0.5
        return self.c(torch.cat([F.silu(g), h.tanh_()], dim=1))


class Gated(nn.Module):
    """A product of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.value, self.out = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(self.gate(x)) * self.value(x))


class Several(nn.Module):
    """Three outputs in a mapping and a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        h = self.trunk(x).relu()
        return {"logits": self.one(h), "rest": (self.two(h)[:, 0], h)}


class Shared(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.out(self.again(self.again(h).relu()).relu())


class Mixer(nn.Module):
    """An MLP-Mixer block over patches (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(x.mean(dim=1))


class UNet(nn.Module):
    """Down, up, and a joined shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(11, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.mid(self.down(x).relu()).relu()
        return self.out(torch.cat([self.up(h).relu(), x], dim=1))


class SqueezeExcite(nn.Module):
    """Depthwise and pointwise convolutions, channels scaled by what they pool to (MobileNetV3)."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depth = (
            nn.Conv2d(3, 12, 1, bias=False),
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
        )
        self.n1, self.n2 = nn.BatchNorm2d(12), nn.BatchNorm2d(12)
        self.squeeze, self.excite = nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1)
        self.project, self.head = nn.Conv2d(12, 8, 1), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.hardswish(self.n2(self.depth(F.hardswish(self.n1(self.expand(x))))))
        h = h * F.hardsigmoid(self.excite(self.squeeze(h.mean((2, 3), keepdim=True)).relu()))
        return self.head(self.project(h).mean((2, 3)))


class Points(nn.Module):
    """A set of points, pooled by the maximum (PointNet, Qi et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(3, 12), nn.Linear(12, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.b(self.a(x).relu()).relu().amax(dim=1))


class Coder(nn.Module):
    """A variational autoencoder that decodes the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mean, self.log_var = nn.Linear(10, 12), nn.Linear(12, 3), nn.Linear(12, 3)
        self.dec, self.out = nn.Linear(3, 12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.leaky_relu(self.enc(x))
        mean = self.mean(h)
        return torch.sigmoid(self.out(F.elu(self.dec(mean)))), mean, self.log_var(h)


class Duelling(nn.Module):
    """Value and advantages, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.value, self.advantage = nn.Linear(6, 16), nn.Linear(16, 1), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(x).relu()
        advantage = self.advantage(h)
        return self.value(h) + advantage - advantage.mean(dim=1, keepdim=True)


class OwnAttention(nn.Module):
    """Attention written by hand with a causal mask, a norm and a feed-forward layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(20, 16), nn.Parameter(torch.randn(9, 16))
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.norm2, self.up, self.down, self.head = (
            nn.LayerNorm(16),
            nn.Linear(16, 32),
            nn.Linear(32, 16),
            nn.Linear(16, 20),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        b, n = tokens.shape
        x = self.embed(tokens) + self.place[:n]
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 4, 4).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) / 2
        scores = scores.masked_fill(torch.triu(torch.ones(n, n, dtype=torch.bool), 1), -torch.inf)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, 16))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x)


def plain() -> dict[str, Callable[[], Network]]:
    """Feed-forward networks of vectors."""
    return dict(
        [
            entry("mlp", "mlp_relu", lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), vectors(6)),
            entry(
                "mlp",
                "mlp_in_place",
                lambda: nn.Sequential(
                    nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3)
                ),
                vectors(6),
            ),
            entry(
                "mlp",
                "mlp_batch_norm",
                lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)),
                vectors(6),
            ),
            entry("mlp", "functional", Functional, vectors(6)),
            entry("mlp", "shared_layer", Shared, vectors(6)),
            entry("mlp", "several_outputs", Several, vectors(6)),
            entry("gated", "gated", Gated, vectors(6)),
            entry("gated", "glu", lambda: nn.Sequential(nn.Linear(6, 16), nn.GLU(), nn.Linear(8, 2)), vectors(6)),
            entry("autoencoder", "vae", Coder, vectors(10)),
            entry("set", "point_net", Points, lambda: torch.randn(4, 7, 3)),
            entry("q network", "duelling", Duelling, vectors(6)),
            entry(
                "generator",
                "generator",
                lambda: nn.Sequential(
                    nn.Linear(5, 32),
                    nn.Unflatten(1, (8, 2, 2)),
                    nn.BatchNorm2d(8),
                    nn.ReLU(),
                    nn.ConvTranspose2d(8, 3, 4, 2, 1),
                    nn.Tanh(),
                ),
                vectors(5),
            ),
        ]
    )


def images() -> dict[str, Callable[[], Network]]:
    """Networks of images and signals."""
    from transformers import (
        ConvNextConfig,
        ConvNextForImageClassification,
        ResNetConfig,
        ResNetForImageClassification,
        ViTConfig,
        ViTForImageClassification,
    )

    def plain_cnn() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3), nn.ELU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 4),
        )  # fmt: skip

    def temporal() -> nn.Module:
        return nn.Sequential(
            nn.Conv1d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 6, 3, dilation=2), nn.GELU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 2),
        )  # fmt: skip

    def hugging_face(cls: Any, config: Any) -> Callable[[], nn.Module]:
        return lambda: Logits(cls(config))

    vit = ViTConfig(image_size=16, patch_size=4, **{k: v for k, v in SMALL.items() if k != "vocab_size"})
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    convnext = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], patch_size=2)
    return dict(
        [
            entry("cnn", "cnn", plain_cnn, pictures()),
            entry("cnn", "temporal_cnn", temporal, lambda: torch.randn(4, 3, 12)),
            entry("cnn", "squeeze_excite", SqueezeExcite, pictures()),
            entry("resnet", "resnet18_in_place", ResNet18, pictures(3, 32)),
            entry("resnet", "hf_resnet", hugging_face(ResNetForImageClassification, resnet), pictures(3, 32)),
            entry("resnet", "convnext", hugging_face(ConvNextForImageClassification, convnext), pictures(3, 16)),
            entry("vision transformer", "vit", hugging_face(ViTForImageClassification, vit), pictures()),
            entry("mixer", "mlp_mixer", Mixer, pictures()),
            entry("u-net", "u_net", UNet, pictures()),
        ]
    )


class Last(nn.Module):
    """The last state of a recurrent layer, read out."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.out = layer, nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x)[0][:, -1])


def recurrent() -> dict[str, Callable[[], Network]]:
    """Networks of sequences without attention."""
    signals = lambda: torch.randn(4, 5, 3)
    return dict(
        [
            entry("recurrent", "rnn", lambda: Last(nn.RNN(3, 6, batch_first=True), 6), signals),
            entry("recurrent", "lstm", lambda: Last(nn.LSTM(3, 6, 2, batch_first=True), 6), signals),
            entry("recurrent", "gru", lambda: Last(nn.GRU(3, 6, batch_first=True), 6), signals),
            entry(
                "recurrent",
                "gru_both_ways",
                lambda: Last(nn.GRU(3, 4, batch_first=True, bidirectional=True), 8),
                signals,
            ),
        ]
    )


class Logits(nn.Module):
    """The logits of a Hugging Face model, no cache kept."""

    def __init__(self, model: Any, twice: bool = False) -> None:
        super().__init__()
        model.config.use_cache = False
        self.model, self.twice = model, twice

    def forward(self, x: Tensor) -> Tensor:
        if not self.twice:
            return self.model(x).logits
        return self.model(input_ids=x, decoder_input_ids=x).logits


def language() -> dict[str, Callable[[], Network]]:
    """Transformers and state-space models of tokens."""
    import transformers as hf

    tokens = lambda: torch.randint(1, 50, (4, 7))
    few = {**SMALL, "num_key_value_heads": 2}
    old = {"vocab_size": 50, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
    t5 = {
        "vocab_size": 50,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
    }
    both = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
            (("layers", 1), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip
    bart = {"vocab_size": 50, "d_model": 32, "max_position_embeddings": 32, **both}
    narrow = {"vocab_size": 50, "hidden_size": 32}
    opt = {**narrow, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, "word_embed_proj_dim": 32}
    mamba = {**narrow, "num_hidden_layers": 1, "state_size": 4}
    distil = {"vocab_size": 50, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    falcon = {k: v for k, v in SMALL.items() if k != "intermediate_size"}
    built: dict[str, tuple[str, Callable[[], Any]]] = {
        "gpt2": ("decoder", lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**old))),
        "gpt2_eager": ("decoder", lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**old, attn_implementation="eager"))),
        "gpt_neo_x": ("decoder", lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SMALL))),
        "gpt_j": ("decoder", lambda: hf.GPTJForCausalLM(hf.GPTJConfig(**old, rotary_dim=4))),
        "opt": ("decoder", lambda: hf.OPTForCausalLM(hf.OPTConfig(**opt))),
        "bloom": ("decoder", lambda: hf.BloomForCausalLM(hf.BloomConfig(**narrow, n_layer=2, n_head=4))),
        "falcon": ("decoder", lambda: hf.FalconForCausalLM(hf.FalconConfig(**falcon))),
        "llama": ("decoder", lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**few))),
        "mistral": ("decoder", lambda: hf.MistralForCausalLM(hf.MistralConfig(**few))),
        "qwen2": ("decoder", lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**few))),
        "qwen3": ("decoder", lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**few, head_dim=8))),
        "gemma": ("decoder", lambda: hf.GemmaForCausalLM(hf.GemmaConfig(**few, head_dim=8))),
        "gemma2": ("decoder", lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**few, head_dim=8))),
        "phi": ("decoder", lambda: hf.PhiForCausalLM(hf.PhiConfig(**SMALL))),
        "mixtral": ("mixture of experts", lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**few, num_local_experts=3))),
        "bert": ("encoder", lambda: hf.BertForMaskedLM(hf.BertConfig(**SMALL))),
        "roberta": ("encoder", lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**SMALL))),
        "distilbert": ("encoder", lambda: hf.DistilBertForMaskedLM(hf.DistilBertConfig(**distil))),
        "electra": ("encoder", lambda: hf.ElectraForPreTraining(hf.ElectraConfig(**SMALL, embedding_size=32))),
        "mamba": ("state space", lambda: hf.MambaForCausalLM(hf.MambaConfig(**mamba))),
    }  # fmt: skip
    pairs: dict[str, Callable[[], Any]] = {
        "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**t5)),
        "bart": lambda: hf.BartForConditionalGeneration(hf.BartConfig(**bart)),
    }
    own = [
        entry("decoder", "own_attention", OwnAttention, lambda: torch.randint(20, (4, 6))),
        entry(
            "encoder",
            "torch_encoder",
            lambda: nn.TransformerEncoder(
                nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2, enable_nested_tensor=False
            ),
            lambda: torch.randn(4, 5, 16),
        ),
    ]
    return {
        **{n: partial(made, kind, n, lambda b=build: Logits(b()), tokens) for n, (kind, build) in built.items()},
        **{
            n: partial(made, "encoder-decoder", n, lambda b=build: Logits(b(), True), tokens)
            for n, build in pairs.items()
        },
        **dict(own),
    }


class Policy(nn.Module):
    """A Stable-Baselines3 policy: logits of the actions and the value."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        return self.policy.get_distribution(observations).distribution.logits, self.policy.predict_values(observations)


def policies() -> dict[str, Callable[[], Network]]:
    """Policies of Stable-Baselines3."""

    def actor_critic() -> nn.Module:
        import gymnasium
        from stable_baselines3 import PPO

        return Policy(PPO("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu").policy)

    def q_network() -> nn.Module:
        import gymnasium
        from stable_baselines3 import DQN

        return DQN("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu", buffer_size=10).q_net

    return dict(
        [entry("policy", "sb3_ppo", actor_critic, vectors(4)), entry("q network", "sb3_dqn", q_network, vectors(4))]
    )
