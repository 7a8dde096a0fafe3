"""Train small GPTs to implement programs: `python -m tests.ground_truth.train_programs FOLDER`.

Strict interchange training (Gupta et al. 2024, InterpBench), on edges: program and network have the same graph. In each
step some edges are cut in both and carry the writes of another input, and the network's outputs are drawn to the
program's. One step in five cuts nothing; two in five one edge that matters in the program; two in five any number of
those that do not.
"""

from __future__ import annotations

import json
import sys
from math import cos, pi
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from workbench.core.graph import Graph
from workbench.core.random import generator
from workbench.ground_truth.tracr import Program, convert_to_gpt, find_mattering, load_program
from workbench.zoo.gpt import GPT

NAMES = ("unique", "sort_unique", "pair_balance")
STEPS, BATCH, LR = 4000, 64, 3e-3
D_MODEL, D_HEAD, D_MLP = 32, 16, 64


def started(known: Program, random: torch.Generator) -> dict[str, Tensor]:
    """Random weights for a network with the program's graph, in the program's format."""
    stored = known.stored
    n_heads = len(stored["0.W_Q"])
    shapes = {
        "W_E": (len(stored["W_E"]), D_MODEL), "W_pos": (len(stored["W_pos"]), D_MODEL),
        "W_U": (D_MODEL, stored["W_U"].shape[1]),
    }  # fmt: skip
    per_layer = {
        "W_Q": (n_heads, D_MODEL, D_HEAD), "W_K": (n_heads, D_MODEL, D_HEAD), "W_V": (n_heads, D_MODEL, D_HEAD),
        "W_O": (n_heads, D_HEAD, D_MODEL), "b_Q": (n_heads, D_HEAD), "b_K": (n_heads, D_HEAD), "b_V": (n_heads, D_HEAD),
        "b_O": (D_MODEL,), "W_in": (D_MODEL, D_MLP), "b_in": (D_MLP,), "W_out": (D_MLP, D_MODEL), "b_out": (D_MODEL,),
    }  # fmt: skip
    n_layers = sum(key.endswith(".W_Q") for key in stored)
    shapes |= {f"{layer}.{key}": shape for layer in range(n_layers) for key, shape in per_layer.items()}
    return {
        key: torch.zeros(shape) if ".b_" in key else torch.randn(shape, generator=random) / shape[-2] ** 0.5
        for key, shape in shapes.items()
    }


def cuts(step: int, matter: Tensor, random: torch.Generator) -> Tensor:
    """1 for every edge that is cut in this step."""
    kind, share = torch.rand(2, generator=random).tolist()
    if step < STEPS // 6 or kind < 0.2:
        return torch.zeros(len(matter))
    if kind < 0.6:
        chosen = matter.nonzero()[torch.randint(int(matter.sum()), (1,), generator=random)]
        return torch.zeros(len(matter)).index_fill(0, chosen[0], 1.0)
    return (~matter & (torch.rand(len(matter), generator=random) < 1.3 * share)).float()


def trained(name: str) -> tuple[GPT, float]:
    """The network, and its mean squared error over the last tenth of the steps."""
    known, random = load_program(name), generator(0, "interchange", name)
    tokens, matter = known.stored["tokens"], find_mattering(name, "resample")
    teacher, model = known.model.float(), convert_to_gpt(started(known, random)).float()
    model.unembed.b_U.requires_grad_(False)
    graphs = teacher.graph(), model.graph()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], LR)
    errors = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LR * min(1, (step + 1) / 100) * 0.5 * (1 + cos(pi * step / STEPS))
        base, source = (tokens[torch.randint(len(tokens), (BATCH,), generator=random)] for _ in range(2))
        masks = graphs[0].wiring.as_masks(cuts(step, matter, random))
        with torch.no_grad():
            wanted = with_cuts(graphs[0], base, source, masks)
        error = (with_cuts(graphs[1], base, source, masks) - wanted)[:, 1:].square().mean()
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        errors.append(error.item())
    teacher.double()
    last = errors[-STEPS // 10 :]
    return model, sum(last) / len(last)


def with_cuts(graph: Graph, base: Tensor, source: Tensor, masks: dict[str, Tensor]) -> Tensor:
    """The outputs on `base` when cut edges carry what was written on `source`."""
    with graph.patch(graph.writes(source), masks) as model:
        return model(base)


def in_format(model: GPT) -> dict[str, Tensor]:
    """The weights as the compiled programs are stored."""
    parts = {"attn.W_Q", "attn.W_K", "attn.W_V", "attn.W_O", "attn.b_Q", "attn.b_K", "attn.b_V", "attn.b_O"}
    parts |= {"mlp.W_in", "mlp.b_in", "mlp.W_out", "mlp.b_out"}
    state = model.state_dict()
    found = {
        f"{layer}.{part.split('.')[1]}": state[f"blocks.{layer}.{part}"]
        for layer in range(model.cfg.n_layers)
        for part in parts
    }
    return found | {"W_E": state["embed.W_E"], "W_pos": state["pos_embed.W_pos"], "W_U": state["unembed._W_U"]}


def main() -> None:
    """Every network, into the folder."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    for name in NAMES:
        model, error = trained(name)
        known = load_program(name)
        tensors = {key: x.float().contiguous() for key, x in in_format(model).items()}
        tensors |= {"tokens": known.stored["tokens"], "expected": known.stored["expected"].float()}
        facts = known.facts | {"training": {"steps": STEPS, "seed": 0, "mean_squared_error": error}}
        save_file(tensors, folder / f"{name}.safetensors", {key: json.dumps(value) for key, value in facts.items()})
        sys.stdout.write(f"{name}: mean squared error {error:.2e} over the last tenth of {STEPS} steps\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
