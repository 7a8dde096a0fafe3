"""Examples as pictures, tokens or observations, and the network's predictions."""

from __future__ import annotations

import html
from math import isqrt
from typing import Any

import numpy as np
import streamlit as st

from app import style
from app.state import address, jobs
from app.text import format
from app.text.escaping import escape
from app.widgets.observation_view import action_names, show_observation
from workbench.analysis.activations import Activations
from workbench.checkpoints.card import read_card
from workbench.data.pairs.pair_tokenizer import PAD
from workbench.experiments.difference import predicts_tokens
from workbench.experiments.inputs.batches import Batch
from workbench.experiments.inputs.kept_pictures import require_kept
from workbench.experiments.inputs.made_images import image_hook, made_images
from workbench.experiments.inputs.reading import kind_of, read_inputs, require_known
from workbench.experiments.run import loaded
from workbench.experiments.store.data_contents import data_set
from workbench.experiments.store.dependencies import current_key

Q_FUNCTIONS = ("q_table", "q_network")
"""Architectures that predict returns instead of probabilities."""
ENCODED = ("cross_attn.hook_k", "cross_attn.hook_v", "hook_cross_k_input", "hook_cross_v_input", "hook_cross_source_in")
"""Name endings of decoder hooks that read the encoder's stream."""
SPACE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


def batch(model: str, inputs: str) -> Batch:
    """Read the inputs; cached, and the page stops until they are available."""
    require_kept(inputs)
    require_known(inputs, read_card(model).architecture)
    key = f"inputs {inputs} {current_key([model], inputs)}"
    found = jobs.result(
        key, f"inputs of {model}", lambda report: read_inputs(inputs, loaded(model), None, report), "inputs"
    )
    if found is None:
        address.stop()
    return found


def makes_pictures(model: str) -> bool:
    """Return True if the network reconstructs or generates images."""
    return image_hook(loaded(model)) is not None


def made_pictures(model: str, inputs: Any) -> np.ndarray:
    """Return the images that a network generates, as (batch, height, width, channel) from 0 to 1."""
    network = loaded(model)
    with network.lock:
        return made_images(network, inputs).permute(0, 2, 3, 1).numpy()


def as_pictures(model: str, inputs: Any) -> np.ndarray:
    """Return inputs as images (batch, height, width, channel) from 0 to 1; latent codes are decoded."""
    if kind_of(read_card(model).architecture) == "latent":
        return made_pictures(model, inputs)
    data = data_set(read_card(model).data.name)
    images = data.denormalize(inputs).clamp(0, 1)
    if images.ndim == 2:
        side = isqrt(images.shape[1])
        return images.reshape(-1, side, side, 1).numpy()
    return images.permute(0, 2, 3, 1).numpy()


def enlarged(image: np.ndarray, size: int = 224) -> np.ndarray:
    """Enlarge an image by nearest-neighbour scaling to a width of about `size`."""
    factor = max(1, size // image.shape[1])
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def show_example(model: str, examples: Batch, row: int, strengths: np.ndarray | None = None, hook: str = "") -> None:
    """Show one example; `strengths` at `hook` shade its tokens."""
    card = read_card(model)
    kind = kind_of(card.architecture)
    if kind == "image":
        show_picture(as_pictures(model, examples.inputs[row : row + 1])[0], examples.labels[row])
    elif kind == "latent":
        show_picture(as_pictures(model, examples.inputs[row : row + 1])[0], examples.labels[row], "generated picture")
    elif kind == "text":
        show_tokens(examples.tokens[row], strengths)
    elif kind == "pair":
        of_source = along_source(hook)
        st.markdown("**Source**")
        source = examples.sources[row]
        show_tokens(source[: len("".join(source).rstrip(PAD))], strengths if of_source else None)
        st.markdown("**Target so far**")
        show_tokens(examples.tokens[row], None if of_source else strengths)
    else:
        show_observation(card, examples.inputs[row].numpy(), examples.labels[row])
    st.caption(escape(examples.note))


def along_source(hook: str) -> bool:
    """Return True if an encoder-decoder's activation has the positions of the source."""
    return hook.startswith("encoder.") or hook.endswith(ENCODED)


def show_picture(image: np.ndarray, label: str, what: str = "input picture") -> None:
    """Show an image with its label."""
    big = enlarged(image)
    st.image(
        big[..., 0] if big.shape[2] == 1 else big, alt=f"{what}, labelled {label}", caption=f"label: {escape(label)}"
    )


def show_tokens(texts: tuple[str, ...], strengths: np.ndarray | None = None) -> None:
    """Show tokens with visible spaces, shaded by `strengths`."""
    top = float(np.abs(strengths).max()) if strengths is not None and len(strengths) else 0.0
    spans = []
    for place, text in enumerate(texts):
        shade = 0.0 if strengths is None or not top else 0.65 * abs(float(strengths[place])) / top
        tooltip = "" if strengths is None else f", {format.short(float(strengths[place]))}"
        spans.append(
            f'<span style="background:rgba(213,94,0,{shade:.2f})" title="position {place:d}{html.escape(tooltip)}">'
            f"{html.escape(text.translate(SPACE))}</span>"
        )
    st.html(f'<div class="wb-tokens" role="img" aria-label="{html.escape("".join(texts))}">{"".join(spans)}</div>')


def output_names(model: str) -> list[str]:
    """Return the names of the outputs: classes, tokens or actions."""
    card = read_card(model)
    kind = kind_of(card.architecture)
    if kind == "image":
        return list(data_set(card.data.name).class_names)
    if kind == "latent":
        return ["generated", "real"]
    if kind in ("text", "pair"):
        return [token.translate(SPACE) for token in loaded(model).tokenizer.tokens]
    return action_names(card)


def show_reconstruction(model: str, examples: Batch, row: int) -> None:
    """Show an autoencoder's reconstruction of one example."""
    image = made_pictures(model, examples.inputs[row : row + 1])[0]
    show_picture(image, f"reconstruction of {examples.labels[row]}", "reconstructed picture")


def show_predictions(model: str, result: Activations, row: int, most: int = 5) -> None:
    """Show the top predictions for one example as bars of probabilities, or of Q-values."""
    if not predicts_tokens(model):
        st.caption("A reward model: its head scores a whole text, so there is no next token to show.")
        return
    names, architecture = output_names(model), read_card(model).architecture
    colour = style.family(architecture)
    fill = colour.dark if style.dark() else colour.light
    values = result.logits[row] if architecture in Q_FUNCTIONS else result.logits[row].softmax(dim=0)
    lines = []
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
