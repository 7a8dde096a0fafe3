"""Views of examples as images, tokens or numbers, and the network's predictions."""

from __future__ import annotations

import html

import numpy as np
import pandas as pd
import streamlit as st

from app import style
from app.state import address, jobs
from app.text import format
from app.text.escaping import escape
from workbench.analysis.activations import Activations
from workbench.checkpoints.card import read_card
from workbench.experiments.difference import predicts_tokens
from workbench.experiments.inputs.batches import Batch
from workbench.experiments.inputs.kept_files import require_kept
from workbench.experiments.inputs.modality import modality_of, parse_inputs
from workbench.experiments.inputs.reading import read_inputs
from workbench.experiments.inputs.views import VISIBLE, NumberView, PictureView, TokenView, View
from workbench.experiments.run import loaded
from workbench.experiments.store.dependencies import current_key

Q_FUNCTIONS = ("q_table", "q_network")
"""Architectures that predict returns instead of probabilities."""


def batch(model: str, inputs: str) -> Batch:
    """Read the inputs; cached, and the page stops until they are available."""
    require_kept(inputs)
    parse_inputs(inputs, read_card(model))
    key = f"inputs {inputs} {current_key([model], inputs)}"
    found = jobs.result(
        key, f"inputs of {model}", lambda report: read_inputs(inputs, loaded(model), None, report), "inputs"
    )
    if found is None:
        address.stop()
    return found


def enlarge(image: np.ndarray, size: int = 224) -> np.ndarray:
    """Enlarge an image by nearest-neighbour scaling to a width of about `size`."""
    factor = max(1, size // image.shape[1])
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def show_example(model: str, examples: Batch, row: int, strengths: np.ndarray | None = None, hook: str = "") -> None:
    """Show one example; `strengths` at `hook` shade its tokens."""
    network = loaded(model)
    for view in modality_of(network.card).show(network, examples, row, hook):
        show_view(view, strengths)
    st.caption(escape(examples.note))


def show_view(view: View, strengths: np.ndarray | None = None) -> None:
    """Show a picture, a strip of tokens, a table of numbers or a line."""
    if isinstance(view, PictureView):
        big = enlarge(view.pixels)
        st.image(big[..., 0] if big.shape[2:] == (1,) else big, alt=view.alt, caption=escape(view.caption))
        return
    if isinstance(view, TokenView):
        if view.title:
            st.markdown(f"**{escape(view.title)}**")
        show_tokens(view.texts, strengths if view.shaded else None)
        return
    st.markdown(f"**{escape(view.label)}**")
    if isinstance(view, NumberView):
        rows = {"name": view.names, "value": [format.short(value) for value in view.values]}
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt=f"Numbers of {view.label}")
    else:
        st.markdown(escape(view.text))


def show_answer(model: str, examples: Batch, row: int, result: Activations) -> None:
    """Show the output of one example: the views of its modality, or the predictions in `result`."""
    network = loaded(model)
    views = modality_of(network.card).show_answer(network, examples, row)
    for view in views:
        show_view(view)
    if not views:
        show_predictions(model, result, 0)


def show_tokens(texts: tuple[str, ...], strengths: np.ndarray | None = None) -> None:
    """Show tokens with visible spaces, shaded by `strengths`."""
    top = float(np.abs(strengths).max()) if strengths is not None and len(strengths) else 0.0
    spans = []
    for place, text in enumerate(texts):
        shade = 0.0 if strengths is None or not top else 0.65 * abs(float(strengths[place])) / top
        tooltip = "" if strengths is None else f", {format.short(float(strengths[place]))}"
        spans.append(
            f'<span style="background:rgba(213,94,0,{shade:.2f})" title="position {place:d}{html.escape(tooltip)}">'
            f"{html.escape(text.translate(VISIBLE))}</span>"
        )
    st.html(f'<div class="wb-tokens" role="img" aria-label="{html.escape("".join(texts))}">{"".join(spans)}</div>')


def show_predictions(model: str, result: Activations, row: int, most: int = 5) -> None:
    """Show the top predictions for one example as bars of probabilities, or of Q-values."""
    if not predicts_tokens(model):
        st.caption("A reward model: its head scores a whole text, so there is no next token to show.")
        return
    network = loaded(model)
    names, architecture = modality_of(network.card).answers(network), network.card.architecture
    values = result.logits[row] if architecture in Q_FUNCTIONS else result.logits[row].softmax(dim=0)
    lines, fill = [], style.colour_of(architecture)
    for place in values.argsort(descending=True)[:most].tolist():
        name, number = (names[place] if place < len(names) else f"action {place}"), float(values[place])
        text = format.short(number) if architecture in Q_FUNCTIONS else f"{100 * number:.1f} %"
        share = number / (float(values.abs().max()) or 1.0) if architecture in Q_FUNCTIONS else number
        bar = f'<span class="wb-bar"><i style="width:{100 * abs(share):.1f}%;background:{fill}"></i></span>'
        lines.append(
            f'<div class="wb-answer"><span>{html.escape(name)}</span>{bar}<span>{html.escape(text)}</span></div>'
        )
    st.html(f'<div class="wb-answers">{"".join(lines)}</div>')


def per_position(result: Activations, row: int) -> np.ndarray | None:
    """Return the norm of an activation at each position, or None if it has no positions."""
    if "pos" not in result.axes:
        return None
    values = result.values[row].movedim(result.axes.index("pos") - 1, 0)
    return values.reshape(len(values), -1).norm(dim=1).numpy()
