"""Inputs of the reader's own: a prompt, a drawing, a picture, an episode."""

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
"""How inputs of one's own begin."""
SHOWN = 40
"""Characters of them on a button."""
LARGEST_CANVAS = 28
"""Pixels along a side that one can still draw one by one."""


def own_input_button(model: str) -> None:
    """A button that opens the way to inputs of one's own, by what the model reads, and back to the last ones."""
    kind = kind_of(read_card(model).architecture)
    if (inputs := address.requested("inputs") or "").startswith(OWN):
        st.session_state["last own"] = (kind, inputs)
    label = {"text": "Type", "pair": "Type", "image": "Own", "policy": "Seed", "latent": "Seed"}[kind]
    with st.popover(escape(label), icon=":material/edit:", help="Use an input of your own"):
        {"text": prompt, "pair": pair, "image": picture, "policy": episode, "latent": codes}[kind](model)
        last = st.session_state.get("last own", ("", ""))
        if last[0] == kind and last[1] != inputs:
            label = last[1] if len(last[1]) <= SHOWN else f"{last[1][: SHOWN - 3]}..."
            st.button(f"Use again {code(label)}", on_click=use, args=(last[1],), key="use again")


def use(inputs: str) -> None:
    """Makes these the inputs of the page; called before it is drawn again."""
    address.forget("corrupted")
    address.put("inputs", inputs)


def prompt(model: str) -> None:
    """A text of the reader's own."""
    st.text_area(
        "Prompt", key="own prompt", max_chars=2000, placeholder="ROMEO: ", help="|| separates prompts of one length."
    )
    st.button("Use this prompt", type="primary", on_click=use_prompt)


def use_prompt() -> None:
    """Makes the typed prompt the inputs, unless it is empty."""
    if text := st.session_state.get("own prompt"):
        use(f"text:{text}")


def pair(model: str) -> None:
    """A source of the reader's own, and the answer as far as it is given."""
    st.text_input("Source", key="own source", max_chars=200)
    st.text_input("Beginning of the answer", key="own answer", max_chars=400, help="May be left empty.")
    st.button("Use this pair", type="primary", on_click=use_pair)


def use_pair() -> None:
    """Makes the typed pair the inputs, unless its source is empty."""
    if source := st.session_state.get("own source"):
        answer = st.session_state.get("own answer")
        use(f"text:{source}{ARROW}{answer}" if answer else f"text:{source}")


def episode(model: str) -> None:
    """Observations of an episode from a seed."""
    seed = st.number_input("Seed of the environment", 0, 2**31 - 1, 0, key="own seed")
    steps = st.number_input("Observations, spread over the episode", 1, 500, 16, key="own steps")
    st.button("Use this episode", type="primary", on_click=use, args=(f"rollout:{seed}:{steps}",))


def codes(model: str) -> None:
    """Codes drawn from a seed, or one code with a latent moved."""
    seed = st.number_input("Seed of the codes", 0, 2**31 - 1, 0, key="own seed")
    n = st.number_input("Codes", 1, 500, 16, key="own codes")
    st.button("Use these codes", type="primary", on_click=use, args=(f"sample:{seed}:{n}",))
    last = hooks(model)["hook_input"].sizes["latent"] - 1
    latent = st.number_input(f"Or move one latent (0 to {last:d})", 0, last, 0, key="own latent")
    st.button("Move it from -3 to 3", on_click=use, args=(f"walk:{seed}:{latent}",))


def picture(model: str) -> None:
    """A drawing, where the picture is small and grey, or an upload."""
    shape = image_shape(model)
    if shape[0] == 1 and shape[1] <= LARGEST_CANVAS:
        pixels = draw(shape[1], key=f"drawing {shape[1]}")
        if pixels and any(pixels):
            st.button("Use this drawing", type="primary", on_click=use_drawing, args=(tuple(pixels), shape))
    upload = st.file_uploader("Or a picture from a file", KINDS, key="own picture")
    if upload is not None:
        offer_upload(upload.getvalue(), shape)


def offer_upload(content: bytes, shape: tuple[int, int, int]) -> None:
    """Says what is wrong with a picture, or offers to use it, fitted when its size is another one."""
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
    """Channels, height and width of the model's pictures."""
    shape = data_set(read_card(model).data.name).shape
    side = isqrt(shape[-1])
    return (1, side, side) if len(shape) == 1 else shape


def use_drawing(pixels: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    """Keeps a drawing as a picture and makes it the inputs."""
    from io import BytesIO

    from PIL import Image

    image = Image.frombytes("L", (shape[2], shape[1]), bytes(pixels))
    image.save(stream := BytesIO(), "PNG")
    use_file("file", stream.getvalue())


def use_file(source: str, content: bytes) -> None:
    """Keeps a picture under its hash, so that links and commands find it, and makes it the inputs."""
    use(f"{source}:{keep(content)}")
