"""Cards of units: the optimized input beside the natural inputs with the highest activation."""

from __future__ import annotations

import html
from math import isnan

import numpy as np
import pandas as pd
import streamlit as st

from app.text import format
from app.widgets.episode_view import as_png
from app.widgets.example_view import enlarge
from workbench.analysis.maximization import Maximization
from workbench.experiments.inputs.modality import modality_of
from workbench.experiments.inputs.views import VISIBLE
from workbench.experiments.run import loaded


def show_cards(model: str, result: Maximization, n: int) -> None:
    """Show a card for each unit, compared with `n` natural inputs."""
    network = loaded(model)
    modality = modality_of(network.card)
    if result.texts:
        kind, cards = "text", text_cards(result, n)
    elif (found := modality.pictures(network, result.inputs)) is None:
        show_vectors(result, modality.feature_names(network.card, result.inputs.shape[-1]))
        return
    else:
        natural = [modality.pictures(network, examples) for examples in result.examples]
        kind, cards = "image", picture_cards(result, found, natural, n)
    st.html(f'<div class="wb-wall {kind}">{"".join(cards)}</div>')


def picture_cards(result: Maximization, found: np.ndarray, natural: list[np.ndarray], n: int) -> list[str]:
    """Return the cards of units with image inputs, from the images found and the natural ones of each unit."""
    cards = []
    for place, unit in enumerate(result.units):
        big = image_tag(
            found[place], f"input found for {result.axis} {unit}, activation {format_value(result.reached[place])}"
        )
        small = [
            image_tag(image, f"natural example {rank + 1} of {result.axis} {unit}, activation {format_value(strength)}")
            for rank, (image, strength) in enumerate(zip(natural[place], result.activations[place], strict=True))
        ]
        cards.append(card(result, place, n, f'{big}<div class="wb-natural">{"".join(small)}</div>'))
    return cards


def text_cards(result: Maximization, n: int) -> list[str]:
    """Return the cards of units with text inputs."""
    cards = []
    for place in range(len(result.units)):
        lines = [f'<p class="wb-found">{visible_spaces(result.texts[place])}</p>']
        for text, strength in zip(result.example_texts[place], result.activations[place], strict=True):
            lines.append(f'<p class="wb-small">{format_value(strength)} &nbsp; <code>{visible_spaces(text)}</code></p>')
        cards.append(card(result, place, n, "".join(lines)))
    return cards


def show_vectors(result: Maximization, names: list[str]) -> None:
    """Show the optimized observation of each unit as a table."""
    rows = pd.DataFrame(result.inputs.numpy(), columns=names)
    rows.insert(0, result.axis, list(result.units))
    rows = rows.assign(activation=result.reached.tolist(), natural=result.activations[:, 0].tolist())
    st.dataframe(rows, hide_index=True, alt=f"The observation that each unit of {result.hook} likes best")


def card(result: Maximization, place: int, n: int, inside: str) -> str:
    """Return a card with the unit's number, the activation reached and the comparison."""
    unit, best = result.units[place], result.activations[place, 0]
    gain = float(result.gain[place])
    times = "" if isnan(gain) else f", {gain:.2g} x"
    natural = f"{n:,} natural inputs" if n > 1 else "the one natural input"
    verdict = f"above {'all ' if n > 1 else ''}{natural}" if bool(result.success[place]) else f"not above {natural}"
    return (
        f'<figure class="wb-exhibit"><figcaption><b>{html.escape(result.axis)} {unit:d}</b>'
        f'<span class="wb-small">{format_value(result.reached[place])} found, {format_value(best)} natural'
        f"{html.escape(times)}</span></figcaption>"
        f'{inside}<div class="wb-muted wb-small">{verdict}</div></figure>'
    )


def image_tag(image: np.ndarray, alt: str) -> str:
    """Return an image tag with its data embedded."""
    values = (255 * np.clip(enlarge(image, 96), 0, 1)).astype(np.uint8)
    return f'<img src="{as_png(values[..., 0] if values.shape[2] == 1 else values)}" alt="{html.escape(alt)}">'


def format_value(number: object) -> str:
    """Format an activation."""
    return format.short(float(number))  # type: ignore[arg-type]


def visible_spaces(text: str) -> str:
    """Return escaped text with visible spaces."""
    return html.escape(text.translate(VISIBLE))
