"""`python tests/ground_truth/compile_tracr.py FOLDER`: compiles the programs with Tracr (the extra `tracr`).

One safetensors file for each program: weights in our GPT's layout, every input of one length, and what the compiled
network answers to it. The tests read these files and need no Tracr.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tracr.compiler import compiling, lib
from tracr.rasp import rasp

LENGTH = 4
BOS = "BOS"
LETTERS = ("a", "b", "c")
PARENTHESES = ("(", ")", "x")


def previous() -> Any:
    """The token before each one."""
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - 1)
    return rasp.Aggregate(before, rasp.tokens, default=None).named("previous")


def identity() -> Any:
    """Every token through a selector that picks its own position."""
    own = rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.EQ)
    return rasp.Aggregate(own, rasp.tokens, default=None).named("identity")


def is_first() -> Any:
    """How often the token occurs, compared with one."""
    return rasp.Map(lambda n: n == 1, lib.make_hist()).named("unique")


def double_histogram() -> Any:
    """How many tokens occur as often as this one."""
    count = lib.make_hist()
    return rasp.SelectorWidth(rasp.Select(count, count, rasp.Comparison.EQ)).named("double_histogram")


def palindrome() -> Any:
    """Whether the token is the same from the other end."""
    mirrored = lib.make_reverse(rasp.tokens)
    return rasp.SequenceMap(lambda x, y: x == y, rasp.tokens, mirrored).named("palindrome")


PROGRAMS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "reverse": (lambda: lib.make_reverse(rasp.tokens), LETTERS),
    "length": (lib.make_length, LETTERS),
    "histogram": (lib.make_hist, LETTERS),
    "double_histogram": (double_histogram, LETTERS),
    "previous": (previous, LETTERS),
    "identity": (identity, LETTERS),
    "unique": (is_first, LETTERS),
    "proportion": (lambda: lib.make_frac_prevs(rasp.tokens == "x"), PARENTHESES),
    "pair_balance": (lambda: lib.make_pair_balance(rasp.tokens, "(", ")"), PARENTHESES),
    "palindrome": (palindrome, LETTERS),
    "shuffle_dyck": (lambda: lib.make_shuffle_dyck(["()"]), ("(", ")")),
    "count_less_frequent": (lambda: lib.make_count_less_freq(2), LETTERS),
    "sort": (lambda: lib.make_sort(rasp.tokens, rasp.tokens, max_seq_len=LENGTH, min_key=1), (1, 2, 3)),
    "sort_unique": (lambda: lib.make_sort_unique(rasp.tokens, rasp.tokens), (1, 2, 3, 4)),
    "most_frequent": (lambda: lib.make_sort_freq(LENGTH), LETTERS),
}


def compiled(name: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and facts of one program."""
    make, vocabulary = PROGRAMS[name]
    program = make()
    model = compiling.compile_rasp_to_model(
        program, set(vocabulary), max_seq_len=LENGTH, compiler_bos=BOS, causal=False
    )
    inputs = [list(row) for row in product(vocabulary, repeat=LENGTH)]
    if name == "sort_unique":
        inputs = [row for row in inputs if len(set(row)) == len(row)]
    tokens = np.array([model.input_encoder.encode([BOS, *row]) for row in inputs])
    decoded = [[str(x) for x in model.apply([BOS, *row]).decoded] for row in inputs]
    residual = [np.asarray(model.apply([BOS, *row]).transformer_output[0]) for row in inputs]
    labels = model.residual_labels
    outputs = [i for i, name in enumerate(labels) if name.partition(":")[0] == program.label]
    tensors = layers(model) | {"W_U": np.eye(len(model.residual_labels))[:, outputs], "tokens": tokens}
    tensors["expected"] = np.stack(residual)[..., outputs]
    facts = {"residual": model.residual_labels, "inputs": [list(map(str, row)) for row in inputs], "decoded": decoded}
    return tensors, {key: json.dumps(value) for key, value in facts.items()}


def layers(model: Any) -> dict[str, np.ndarray]:
    """Embeddings and blocks: heads side by side; our scale of attention is Tracr's."""
    params = {name: {k: np.asarray(v, dtype=np.float64) for k, v in p.items()} for name, p in model.params.items()}
    n_heads, d_head = model.model_config.num_heads, model.model_config.key_size
    found = {"W_E": params["token_embed"]["embeddings"], "W_pos": params["pos_embed"]["embeddings"]}
    for layer in range(model.model_config.num_layers):
        here = f"transformer/layer_{layer}"
        for ours, theirs in (("Q", "query"), ("K", "key"), ("V", "value")):
            weight, bias = params[f"{here}/attn/{theirs}"]["w"], params[f"{here}/attn/{theirs}"]["b"]
            found[f"{layer}.W_{ours}"] = weight.reshape(-1, n_heads, d_head).transpose(1, 0, 2).copy()
            found[f"{layer}.b_{ours}"] = bias.reshape(n_heads, d_head)
        found[f"{layer}.W_O"] = params[f"{here}/attn/linear"]["w"].reshape(n_heads, d_head, -1)
        found[f"{layer}.b_O"] = params[f"{here}/attn/linear"]["b"]
        for ours, theirs in (("in", "linear_1"), ("out", "linear_2")):
            found[f"{layer}.W_{ours}"] = params[f"{here}/mlp/{theirs}"]["w"]
            found[f"{layer}.b_{ours}"] = params[f"{here}/mlp/{theirs}"]["b"]
    return found


def main() -> None:
    """Every program that compiles, into the folder."""
    folder = Path(sys.argv[1])
    for name in PROGRAMS:
        tensors, facts = compiled(name)
        kinds = {key: np.int64 if key == "tokens" else np.float32 for key in tensors}
        tensors = {
            key: np.ascontiguousarray(x, dtype=kinds[key]) for key, x in tensors.items()
        }  # or bytes are mixed up
        save_file(tensors, folder / f"{name}.safetensors", metadata=facts)
        sys.stdout.write(f"{name}: {len(tensors['tokens'])} inputs, {tensors['expected'].shape[-1]} outputs\n")


if __name__ == "__main__":
    main()
