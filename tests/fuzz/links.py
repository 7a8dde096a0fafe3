"""Links to pages: each page's own parameters with right, spoiled and foreign values."""

from __future__ import annotations

from random import Random

from app.state.pages import all_pages
from tests.fuzz.questions import hooks, inputs, question
from tests.fuzz.words import mutate, number, pick, spoil, text

VIEWS = tuple(all_pages())


def link(rng: Random, models: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """A page and the parameters of a link to it."""
    analysis, model, given = question(rng, models)
    choices = {"m": model, "technique": analysis, "inputs": inputs(rng, model) if model in models else text(rng)}
    choices |= {name: words for name, words in given.items() if rng.random() < 0.6}
    if model in models:
        choices["hook"] = spoil(rng, pick(rng, *hooks(model))[0])
    for name in (
        "unit",
        "step",
        "seed",
        "example",
        "latent",
        "size",
        "units",
        "metric",
        "pair",
        "episode",
        "head",
        "row",
    ):
        if rng.random() < 0.2:
            choices[name] = number(rng)
    kept = {name: words for name, words in choices.items() if rng.random() < 0.7}
    if rng.random() < 0.1:
        kept[mutate(rng, pick(rng, *choices))] = text(rng)
    # An address carries no surrogates, and a browser cuts what is longer.
    whole = {name: words.encode("utf-8", "replace").decode()[:2_000] for name, words in kept.items() if name}
    return pick(rng, *VIEWS), {name.encode("utf-8", "replace").decode(): words for name, words in whole.items()}
