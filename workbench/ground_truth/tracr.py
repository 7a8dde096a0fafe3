"""Programs compiled by Tracr (Lindner et al. 2023) as GPTs with a known circuit.

The edges that matter are determined by an independent forward pass, in which the input of every component is summed
explicitly and one summand is removed or replaced. It uses no graph, hook or stage of the workbench.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from workbench.core.registry import CIRCUITS
from workbench.ground_truth.known import Ablation, KnownCircuit
from workbench.zoo.gpt import GPT, GPTConfig

FOLDER = Path(__file__).parent / "networks"
PROGRAMS = tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))
MATTERS_ABOVE = 1e-3
"""An edge matters if cutting it changes an output by more than this on any input."""
IRRELEVANT_BELOW = 1e-4
"""An edge does not matter if cutting it never changes an output by more than this. No edge lies in between."""
Edge = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """Right output minus the mean of the others (for one output, value times truth), summed over positions but BOS."""

    expected: Tensor

    def __call__(self, logits: Tensor) -> Tensor:
        inside = logits[:, 1:]
        if inside.shape[-1] == 1:
            return (inside * self.expected[:, 1:]).sum(dim=(1, 2))
        right = inside.gather(2, self.expected[:, 1:].argmax(dim=-1, keepdim=True))[..., 0]
        return (right - (inside.sum(dim=-1) - right) / (inside.shape[-1] - 1)).sum(dim=1)


@dataclass(frozen=True, eq=False)
class Program:
    """Stored network: its tensors and metadata, and the equivalent GPT."""

    name: str
    stored: dict[str, Tensor]
    facts: dict[str, Any]
    model: GPT

    @property
    def corrupted(self) -> Tensor:
        """The inputs rolled by about half, so that each one is paired with another."""
        return self.stored["tokens"].roll(len(self.stored["tokens"]) // 2 + 1, dims=0)


@cache
def load_program(name: str) -> Program:
    """Load a compiled network in double precision."""
    return read_program(FOLDER / f"{name}.safetensors")


def read_program(path: Path) -> Program:
    """Read a stored network in double precision."""
    with safe_open(path, framework="pt") as file:
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        facts = {key: json.loads(value) for key, value in file.metadata().items()}
    stored = {key: x.double() if x.is_floating_point() else x for key, x in stored.items()}
    return Program(path.stem, stored, facts, convert_to_gpt(stored))


def make_compiled_circuit(name: str) -> KnownCircuit:
    """Return a compiled program as a known circuit, with all inputs and `Answer` as metric."""
    known = load_program(name)
    about = f"The program {name!r}, compiled by Tracr; answers at every position."
    metric = Answer(known.stored["expected"])
    matter = partial(find_mattering, name)
    return KnownCircuit(about, known.model, known.stored["tokens"], known.corrupted, metric, matter)


for _name in PROGRAMS:
    CIRCUITS.register(f"tracr_{_name}")(partial(make_compiled_circuit, _name))


def convert_to_gpt(stored: dict[str, Tensor]) -> GPT:
    """Load the weights into a GPT."""
    n_heads, d_model, d_head = stored["0.W_Q"].shape
    n_layers = sum(key.endswith(".W_Q") for key in stored)
    cfg = GPTConfig(
        d_vocab=len(stored["W_E"]), n_ctx=len(stored["W_pos"]), n_layers=n_layers, d_model=d_model, n_heads=n_heads,
        d_head=d_head, d_mlp=stored["0.W_in"].shape[1], causal=False, normalization="none", activation="relu",
    )  # fmt: skip
    model = GPT(cfg).double().eval()
    parts = {**dict.fromkeys("QKVO", "attn"), "in": "mlp", "out": "mlp"}
    names = [(part, f"{kind}_{name}") for name, part in parts.items() for kind in "Wb"]
    places = {f"{i}.{name}": f"blocks.{i}.{part}.{name}" for i in range(n_layers) for part, name in names}
    places |= {"W_E": "embed.W_E", "W_pos": "pos_embed.W_pos"}
    n_outputs = stored["W_U"].shape[1]
    model.unembed._W_U = torch.nn.Parameter(stored["W_U"])  # the outputs of the program, not its vocabulary
    model.unembed.b_U = torch.nn.Parameter(torch.zeros(n_outputs).double())
    state = model.state_dict()
    state.update({ours: stored[theirs] for theirs, ours in places.items()})
    model.load_state_dict(state)
    return model


# Edges that matter, by an independent forward pass


def run_with_cut(
    stored: dict[str, Tensor], tokens: Tensor, cut: Edge | None = None, other: dict[str, Tensor] | None = None
):
    """Compute the outputs and the write of every component; the `cut` edge carries the `other` write, or zero."""
    writes = {"embed": stored["W_E"][tokens], "pos": stored["W_pos"][: tokens.shape[1]].expand(len(tokens), -1, -1)}
    biases = torch.zeros(())

    def read(reader: str) -> Tensor:
        total = biases + sum(writes.values())
        if cut is not None and cut[1] == reader and cut[0] in writes:
            total = total - writes[cut[0]] + (0 if other is None else other[cut[0]])
        return total

    for layer in range(sum(key.endswith(".W_Q") for key in stored)):
        w = {key.partition(".")[2]: x for key, x in stored.items() if key.startswith(f"{layer}.")}
        added = {}
        for head in range(len(w["W_Q"])):
            q, k, v = (read(f"{layer}.{head}.{x}") @ w[f"W_{x}"][head] + w[f"b_{x}"][head] for x in "QKV")
            pattern = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1)
            added[f"{layer}.{head}"] = pattern @ v @ w["W_O"][head]
        writes |= added
        biases = biases + w["b_O"]
        hidden = (read(f"{layer}.mlp") @ w["W_in"] + w["b_in"]).relu()
        writes[f"{layer}.mlp"] = hidden @ w["W_out"]
        biases = biases + w["b_out"]
    return read("out") @ stored["W_U"], writes


def convert_edge(edge: str) -> Edge:
    """Convert the name of an edge to the names of `run_with_cut`."""
    ends = []
    for text in edge.split(" -> "):
        hook, _, index = text.partition("[")
        layer, head = hook.split(".")[1] if hook.startswith("blocks") else "", index.removeprefix("head=").rstrip("]")
        if hook.endswith("_input"):
            ends.append(f"{layer}.{head}.{hook[-7].upper()}")
        elif hook.endswith("hook_z"):
            ends.append(f"{layer}.{head}")
        elif "mlp" in hook:
            ends.append(f"{layer}.mlp")
        else:
            ends.append({"hook_embed": "embed", "hook_pos_embed": "pos"}.get(hook, "out"))
    return ends[0], ends[1]


@cache
def measure_changes(known: Program, ablation: Ablation) -> tuple[Tensor, ...]:
    """Return for every edge, in the graph's order, the largest change of any output on any input when it is cut."""
    tokens, stored = known.stored["tokens"], known.stored
    clean, _ = run_with_cut(stored, tokens)
    other = run_with_cut(stored, known.corrupted)[1] if ablation == "resample" else None
    edges = [convert_edge(str(edge)) for edge, _, _ in known.model.graph().wiring.edges()]
    return tuple((run_with_cut(stored, tokens, edge, other)[0] - clean)[:, 1:].abs().max() for edge in edges)


def find_mattering(name: str, ablation: Ablation) -> Tensor:
    """Return whether each edge matters, in the graph's order."""
    return torch.stack(measure_changes(load_program(name), ablation)) > MATTERS_ABOVE
