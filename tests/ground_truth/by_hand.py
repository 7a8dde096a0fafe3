"""Forward passes written by hand with one edge replaced, without graphs, hooks or stages.

Each gives the network's output and what every node wrote. `cut` is an edge as a pair of names, `other` what nodes
wrote in another run (None: zero).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from workbench.ground_truth.known import KnownCircuit
from workbench.zoo.actor_critic import PolicyValue

Writes = dict[str, Tensor]
Cut = tuple[str, str] | None


class Run:
    """What has been written so far, and how a reader finds it when one edge is cut."""

    def __init__(self, cut: Cut, other: Writes | None) -> None:
        self.cut, self.other, self.writes = cut, other, {}

    def read(self, writer: str, reader: str) -> Tensor:
        if self.cut == (writer, reader):
            return torch.zeros_like(self.writes[writer]) if self.other is None else self.other[writer]
        return self.writes[writer]


def dense(run: Run, layers: list[tuple[str, str, str, Tensor, Tensor, Callable[..., Tensor]]]) -> Tensor:
    """Layers of units: (names of the writers, of the readers, of what they write, weight, bias, non-linearity)."""
    after = torch.zeros(())
    for before, reads, writes, weight, bias, act in layers:
        outs = []
        for unit, row in enumerate(weight):
            inputs = [run.read(before.format(i), reads.format(unit)) * w for i, w in enumerate(row)]
            outs.append(act(sum(inputs) + bias[unit]))
            run.writes[writes.format(unit)] = outs[-1]
        after = torch.stack(outs, dim=1)
    return after


def chain(weights: Writes, prefix: str, depth: int, end: str, last: str) -> list[Any]:
    """The layers of a network of dense blocks and a read-out."""
    hook, layers = "hook_input[feature={}]", []
    for i in range(depth):
        here, name = f"{prefix}blocks.{i}", f"{prefix}blocks.{i}.linear"
        layers.append(
            (hook, f"{here}.hook_pre[unit={{}}]", f"{here}.hook_post[unit={{}}]", weights[f"{name}.weight"],
             weights[f"{name}.bias"], torch.relu)
        )  # fmt: skip
        hook = f"{here}.hook_post[unit={{}}]"
    return [*layers, (hook, end, end, weights[f"{last}.weight"], weights[f"{last}.bias"], lambda x: x)]


def classifier(known: KnownCircuit, inputs: Tensor, run: Run) -> Tensor:
    w = known.model.state_dict()
    run.writes |= {f"hook_input[feature={i}]": x for i, x in enumerate(inputs.T)}
    return dense(run, chain(w, "", len(known.model.cfg.hidden), "readout.hook_logits[class={}]", "readout.linear"))


def policy(known: KnownCircuit, inputs: Tensor, run: Run) -> PolicyValue:
    w, depth = known.model.state_dict(), len(known.model.cfg.hidden)
    run.writes |= {f"hook_input[feature={i}]": x for i, x in enumerate(inputs.T)}
    logits = dense(run, chain(w, "actor.", depth, "actor.hook_logits[action={}]", "actor.readout"))
    return PolicyValue(logits, dense(run, chain(w, "critic.", depth, "critic.hook_value", "critic.readout"))[:, 0])


def cnn(known: KnownCircuit, inputs: Tensor, run: Run) -> Tensor:
    w = known.model.state_dict()
    run.writes |= {f"hook_input[channel={i}]": inputs[:, i] for i in range(inputs.shape[1])}
    before = "hook_input[channel={}]"
    for i in range(len(known.model.cfg.channels)):
        kernel, shift, here = w[f"blocks.{i}.conv.weight"], w[f"blocks.{i}.norm.bias"], f"blocks.{i}"
        for channel, parts in enumerate(kernel):
            reads = [run.read(before.format(u), f"{here}.hook_pre[channel={channel}]") for u in range(len(parts))]
            pre = sum(conv2d(x[:, None], k[None, None], padding=1) for x, k in zip(reads, parts, strict=True))
            run.writes[f"{here}.hook_pooled[channel={channel}]"] = max_pool2d((pre + shift[channel]).relu(), 2)[:, 0]
        before = f"{here}.hook_pooled[channel={{}}]"
    logits = [
        sum(run.read(before.format(u), f"readout.hook_logits[class={c}]").mean(dim=(1, 2)) * x for u, x in enumerate(r))
        + w["readout.linear.bias"][c]
        for c, r in enumerate(w["readout.linear.weight"])
    ]
    return torch.stack(logits, dim=1)


def resnet(known: KnownCircuit, inputs: Tensor, run: Run) -> Tensor:
    w, n_blocks = known.model.state_dict(), len(known.model.blocks)
    stem = conv2d(inputs, w["stem.conv.weight"], padding=1)
    run.writes |= {f"stem.hook_out[channel={c}]": stem[:, c] for c in range(stem.shape[1])}

    def stream(reader: str, block: int) -> Tensor:
        """What the reader before a block sees: every channel that was written, each carried through the shortcuts."""
        total = torch.zeros(())
        for name in list(run.writes):
            born, channel = re.findall(r"\d+", name) if name[0] == "b" else (-1, *re.findall(r"\d+", name))
            x = run.read(name, reader)
            x = x[:, None] * torch.eye(width(int(born)))[int(channel)][:, None, None].double()
            for later in range(int(born) + 1, block):
                if f"blocks.{later}.shortcut.weight" in w:
                    x = conv2d(x, w[f"blocks.{later}.shortcut.weight"], stride=2)
            total = total + x
        return total

    def width(block: int) -> int:
        return len(w["stem.conv.weight"] if block < 0 else w[f"blocks.{block}.conv2.weight"])

    for i in range(n_blocks):
        x = (stream(f"blocks.{i}.hook_in", i) + w[f"blocks.{i}.norm1.bias"][:, None, None]).relu()
        x = conv2d(x, w[f"blocks.{i}.conv1.weight"], stride=2 if f"blocks.{i}.shortcut.weight" in w else 1, padding=1)
        x = conv2d((x + w[f"blocks.{i}.norm2.bias"][:, None, None]).relu(), w[f"blocks.{i}.conv2.weight"], padding=1)
        run.writes |= {f"blocks.{i}.hook_out[channel={c}]": x[:, c] for c in range(x.shape[1])}
    x = (stream("readout.hook_in", n_blocks) + w["readout.norm.bias"][:, None, None]).relu().mean(dim=(2, 3))
    return x @ w["readout.linear.weight"].T + w["readout.linear.bias"]


def attend(run: Run, w: Writes, here: str, name: str, read: Callable[..., Tensor], sides: str, causal: bool) -> Writes:
    """What the heads of a layer write; `sides` says for q, k and v which stream each reads."""
    found = {}
    attn = f"{here}.{name}attn"
    for head in range(len(w[f"{attn}.W_Q"])):
        ports = (f"{here}.hook_{name}{x}_input[head={head}]" for x in "qkv")
        q, k, v = (
            read(side, port) @ w[f"{attn}.W_{x}"][head] for side, port, x in zip(sides, ports, "QKV", strict=True)
        )
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -torch.inf)
        found[f"{attn}.hook_z[head={head}]"] = scores.softmax(dim=-1) @ v @ w[f"{attn}.W_O"][head]
    return found


def gpt(known: KnownCircuit, inputs: Tensor, run: Run) -> Tensor:
    w = known.model.state_dict()
    run.writes["hook_embed"] = w["embed.W_E"][inputs]
    run.writes["hook_pos_embed"] = w["pos_embed.W_pos"][: inputs.shape[1]].expand(len(inputs), -1, -1)

    def read(side: str, port: str) -> Tensor:
        return sum((run.read(name, port) for name in run.writes), torch.zeros(()))

    n_layers = known.model.cfg.n_layers
    for layer in range(n_layers):
        run.writes |= attend(run, w, f"blocks.{layer}", "", read, "aaa", causal=True)
    return read("a", f"blocks.{n_layers - 1}.hook_resid_post") @ w["unembed._W_U"]


def encoder_decoder(known: KnownCircuit, inputs: Any, run: Run) -> Tensor:
    w = known.model.state_dict()
    streams = SimpleNamespace(e=[], d=[])

    def add(side: str, writes: Writes) -> None:
        run.writes.update(writes)
        getattr(streams, side).extend(writes)

    def read(side: str, port: str) -> Tensor:
        return sum((run.read(name, port) for name in getattr(streams, side)), torch.zeros(()))

    def feed(side: str, here: str) -> None:
        hidden = (read(side, f"{here}.hook_mlp_in") @ w[f"{here}.mlp.W_in"] + w[f"{here}.mlp.b_in"]).relu()
        add(side, {f"{here}.hook_mlp_out": hidden @ w[f"{here}.mlp.W_out"]})

    for side, name, tokens in (("e", "encoder", inputs.source), ("d", "decoder", inputs.target)):
        places = w[f"{name}.pos_embed.W_pos"][: tokens.shape[1]].expand(len(tokens), -1, -1)
        add(side, {f"{name}.hook_embed": w[f"{name}.embed.W_E"][tokens], f"{name}.hook_pos_embed": places})
    add("e", attend(run, w, "encoder.blocks.0", "", read, "eee", causal=False))
    feed("e", "encoder.blocks.0")
    add("d", attend(run, w, "decoder.blocks.0", "", read, "ddd", causal=True))
    add("d", attend(run, w, "decoder.blocks.0", "cross_", read, "dee", causal=False))
    feed("d", "decoder.blocks.0")
    return read("d", "decoder.blocks.0.hook_resid_post") @ w["unembed._W_U"]


FORWARD: dict[str, Callable[[KnownCircuit, Any, Run], Any]] = {
    "MLPClassifier": classifier,
    "ActorCritic": policy,
    "ConvNet": cnn,
    "ResNet": resnet,
    "GPT": gpt,
    "EncoderDecoder": encoder_decoder,
}


def by_hand(known: KnownCircuit, inputs: Any, cut: Cut = None, other: Writes | None = None) -> tuple[Any, Writes]:
    """The network's output on these inputs, and what every node wrote."""
    run = Run(cut, other)
    with torch.no_grad():
        return FORWARD[type(known.model).__name__](known, inputs, run), run.writes
