"""Bits per byte of the GPT on English stories, beside a 5-gram model on the same tokens of the same texts.

The n-gram model has its four tokens of context everywhere; the GPT begins each window without any or, where windows
overlap, each but the first with half a window.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.harness import Figure
from tests.bench.kneser_ney import fit_ngrams, ngram_metrics
from workbench.checkpoints.store import load
from workbench.core.registry import DATASETS
from workbench.training.language_modelling import language_metrics

ORDER = 5
GAIN = 0.2
"""The share of the n-gram model's bits that the GPT is to save."""


def figures() -> Iterator[Figure]:
    """Every figure of this benchmark; takes some minutes."""
    gpt, stories = load("stories_gpt"), DATASETS["english_stories"]()
    tokenizer = gpt.tokenizer_or_raise()
    ngrams = fit_ngrams(tokenizer.encode(stories.train), tokenizer.vocab_size, ORDER)
    texts = {"validation_books": stories.validation, "wikitext2_test": DATASETS["wikitext2"]().validation}
    for name, text in texts.items():
        tokens, n_bytes = tokenizer.encode(text), len(text.encode())
        peer = ngram_metrics(ngrams, tokens, n_bytes)["bits_per_byte"]["value"]
        yield Figure(f"language.{name}.kneser_ney_{ORDER}_gram", peer, "bits per byte")
        for kind, overlap in (("", 0), ("_overlapping", gpt.cfg.n_ctx // 2)):
            found = language_metrics(gpt, tokens, gpt.cfg.n_ctx, n_bytes, precision="bf16", overlap=overlap)
            ours, wanted = found["bits_per_byte"]["value"], f"<= {(1 - GAIN) * peer:.4f}"
            yield Figure(f"language.{name}.stories_gpt{kind}", ours, "bits per byte", "Kneser-Ney", wanted)
