"""Forms for custom inputs: a prompt, a drawing, a picture, an episode, latent codes."""

from __future__ import annotations

from math import isqrt

import streamlit as st

from app.components.drawing import draw
from app.state import address
from app.text.errors import show
from app.text.escaping import code, escape
from app.widgets.hook_choice import hooks
from workbench.checkpoints.card import read_card
from workbench.core.errors import WorkbenchError
from workbench.data.images.user_images import read_image
from workbench.data.pairs.pair_tokenizer import ARROW
from workbench.experiments.inputs.kept_pictures import keep
from workbench.experiments.inputs.reading import kind_of
from workbench.experiments.store.data_contents import data_set

KINDS = ["png", "jpg", "jpeg", "bmp", "gif", "webp"]
OWN = ("text:", "file:", "fitted:")
"""Prefixes of custom inputs."""
SHOWN = 40
"""Maximum length of an input on a button."""
LARGEST_CANVAS = 28
"""Maximum side in pixels of an image that can be drawn by hand."""


def own_input_button(model: str) -> None:
    """Draw a button that opens the form for custom inputs and offers the last ones again."""
    kind = kind_of(read_card(model).architecture)
    if (inputs := address.requested("inputs") or "").startswith(OWN):
        st.session_state["last own"] = (kind, inputs)
    with st.popover("Own input", icon=":material/edit:", help="Use an input of your own"):
        {"text": prompt, "pair": pair, "image": picture, "policy": episode, "latent": codes}[kind](model)
        last = st.session_state.get("last own", ("", ""))
        if last[0] == kind and last[1] != inputs:
            label = last[1] if len(last[1]) <= SHOWN else f"{last[1][: SHOWN - 3]}..."
            st.button(f"Use again {code(label)}", on_click=use, args=(last[1],), key="use again")


def use(inputs: str) -> None:
    """Set the inputs of the page. Called before the next run."""
    address.forget("corrupted")
    address.put("inputs", inputs)


def prompt(model: str) -> None:
    """Draw a field for a prompt."""
    st.text_area(
        "Prompt", key="own prompt", max_chars=2000, placeholder="ROMEO: ", help="|| separates prompts of one length."
    )
    st.button("Use this prompt", type="primary", on_click=use_prompt)


def use_prompt() -> None:
    """Use the typed prompt unless it is empty."""
    if text := st.session_state.get("own prompt"):
        use(f"text:{text}")


def pair(model: str) -> None:
    """Draw fields for a source and the beginning of its answer."""
    st.text_input("Source", key="own source", max_chars=200)
    st.text_input("Beginning of the answer", key="own answer", max_chars=400, help="May be left empty.")
    st.button("Use this pair", type="primary", on_click=use_pair)


def use_pair() -> None:
    """Use the typed pair unless its source is empty."""
    if source := st.session_state.get("own source"):
        answer = st.session_state.get("own answer")
        use(f"text:{source}{ARROW}{answer}" if answer else f"text:{source}")


def episode(model: str) -> None:
    """Draw fields for observations of an episode."""
    seed = st.number_input("Seed of the environment", 0, 2**31 - 1, 0, key="own seed")
    steps = st.number_input("Observations, spread over the episode", 1, 500, 16, key="own steps")
    st.button("Use this episode", type="primary", on_click=use, args=(f"rollout:{seed}:{steps}",))


def codes(model: str) -> None:
    """Draw fields for random codes, or for one latent moved over its range."""
    seed = st.number_input("Seed of the codes", 0, 2**31 - 1, 0, key="own seed")
    n = st.number_input("Codes", 1, 500, 16, key="own codes")
    st.button("Use these codes", type="primary", on_click=use, args=(f"sample:{seed}:{n}",))
    last = hooks(model)["hook_input"].sizes["latent"] - 1
    latent = st.number_input(f"Or move one latent (0 to {last:d})", 0, last, 0, key="own latent")
    st.button("Move it from -3 to 3", on_click=use, args=(f"walk:{seed}:{latent}",))


def picture(model: str) -> None:
    """Draw a canvas for small grey images, and a file upload."""
    shape = image_shape(model)
    if shape[0] == 1 and shape[1] <= LARGEST_CANVAS:
        pixels = draw(shape[1], key=f"drawing {shape[1]}")
        if pixels and any(pixels):
            st.button("Use this drawing", type="primary", on_click=use_drawing, args=(tuple(pixels), shape))
    upload = st.file_uploader("Or a picture from a file", KINDS, key="own picture")
    if upload is not None:
        offer_upload(upload.getvalue(), shape)


def offer_upload(content: bytes, shape: tuple[int, int, int]) -> None:
    """Offer to use an uploaded picture, cropped and resized if necessary, or show its error."""
    try:
        read_image(content, shape, fit=True)
    except WorkbenchError as error:
        show(error)
        return
    try:
        read_image(content, shape)
        source, label = "file", "Use this picture"
    except WorkbenchError as error:
        st.caption(escape(error))
        source, label = "fitted", f"Crop and resize it to {shape[2]} x {shape[1]}"
    st.image(content, width=160, alt="the uploaded picture")
    st.button(escape(label), type="primary", on_click=use_file, args=(source, content))


def image_shape(model: str) -> tuple[int, int, int]:
    """Return channels, height and width of the model's images."""
    shape = data_set(read_card(model).data.name).shape
    side = isqrt(shape[-1])
    return (1, side, side) if len(shape) == 1 else shape


def use_drawing(pixels: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    """Store a drawing as a picture and use it."""
    from io import BytesIO

    from PIL import Image

    image = Image.frombytes("L", (shape[2], shape[1]), bytes(pixels))
    image.save(stream := BytesIO(), "PNG")
    use_file("file", stream.getvalue())


def use_file(source: str, content: bytes) -> None:
    """Store a picture under its hash, where links and commands find it, and use it."""
    use(f"{source}:{keep(content)}")
