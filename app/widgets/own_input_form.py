"""Forms for user inputs, generated from the fields that the model's modalities declare."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import streamlit as st
from PIL import Image

from app.components.drawing import draw
from app.state import address
from app.text.errors import show
from app.text.escaping import code, escape
from workbench.checkpoints.card import read_card
from workbench.core.errors import WorkbenchError
from workbench.data.images.user_images import read_image
from workbench.experiments.inputs.forms import FileField, Form, NumberField, PictureField, TextField
from workbench.experiments.inputs.kept_files import keep
from workbench.experiments.inputs.language import Inputs
from workbench.experiments.inputs.modality import modalities_of

KINDS = ["png", "jpg", "jpeg", "bmp", "gif", "webp"]
SHOWN = 40
"""Characters of the last inputs on a button."""
LARGEST_CANVAS = 28
"""Largest side, in pixels, of a picture that can be drawn."""


def own_input_button(model: str) -> None:
    """Draw a button that opens the forms of the model's modalities and offers the last inputs again."""
    own, *others = modalities_of(read_card(model))
    inputs = address.requested("inputs") or ""
    if (parsed := Inputs.try_parse(inputs)) and parsed.selection.is_own:
        st.session_state["last own"] = (own.name, inputs)
    with st.popover(escape(own.form_label), icon=":material/edit:", help="Use an input of your own"):
        values: dict[str, Any] = {}
        for form in (form for modality in (own, *others) for form in modality.forms(model)):
            show_form(form, values)
        last = st.session_state.get("last own", ("", ""))
        if last[0] == own.name and last[1] != inputs:
            label = last[1] if len(last[1]) <= SHOWN else f"{last[1][: SHOWN - 3]}..."
            st.button(f"Use again {code(label)}", on_click=use, args=(last[1],), key="use again")


def use(inputs: str) -> None:
    """Set the inputs of the page; called before it is drawn again."""
    address.forget("corrupted")
    address.put("inputs", inputs)


def show_form(form: Form, values: dict[str, Any]) -> None:
    """Draw the fields of a form and its button, adding the fields' values to `values`."""
    for field in form.fields:
        if isinstance(field, PictureField):
            show_picture_field(field.shape)
        elif isinstance(field, FileField):
            show_file_field(field, form.button)
        else:
            values[field.name] = show_field(field)
    if any(isinstance(field, TextField | NumberField) for field in form.fields):
        st.button(escape(form.button), type="primary", on_click=use_values, args=(form, values))


def show_field(field: TextField | NumberField) -> Any:
    """Draw a field for text or a number and return its value."""
    key = f"own {field.name}"
    if isinstance(field, NumberField):
        return st.number_input(escape(field.label), field.low, field.high, field.usual, key=key)
    ask = st.text_input if field.lines == 1 else st.text_area
    about = {"help": escape(field.help) or None, "placeholder": field.placeholder or None}
    return ask(
        escape(field.label), key=key, max_chars=field.longest, help=about["help"], placeholder=about["placeholder"]
    )


def use_values(form: Form, values: Mapping[str, Any]) -> None:
    """Set the inputs that the form makes of the values as they are now; nothing while they are incomplete."""
    now = {name: st.session_state.get(f"own {name}", value) for name, value in values.items()}
    if inputs := form.compose(now):
        use(inputs)


def show_file_field(field: FileField, button: str) -> None:
    """Draw an upload and the button that uses it."""
    upload = st.file_uploader(escape(field.label), list(field.endings), key=f"own {field.source}")
    if upload is not None:
        ending = upload.name.rpartition(".")[2].lower()
        args = (field.source, upload.getvalue(), ending)
        st.button(escape(button), type="primary", on_click=use_file, args=args, key=f"use {field.source}")


def show_picture_field(shape: tuple[int, int, int]) -> None:
    """Draw a canvas, if the picture is small and grey, and an upload."""
    if shape[0] == 1 and shape[1] <= LARGEST_CANVAS:
        pixels = draw(shape[1], key=f"drawing {shape[1]}")
        if pixels and any(pixels):
            st.button("Use this drawing", type="primary", on_click=use_drawing, args=(tuple(pixels), shape))
    upload = st.file_uploader("Or a picture from a file", KINDS, key="own picture")
    if upload is not None:
        offer_upload(upload.getvalue(), shape)


def offer_upload(content: bytes, shape: tuple[int, int, int]) -> None:
    """Offer to use a picture, fitted if its size is another one, or show why it cannot be used."""
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


def use_drawing(pixels: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    """Keep a drawing as a picture and set it as the inputs."""
    image = Image.frombytes("L", (shape[2], shape[1]), bytes(pixels))
    image.save(stream := BytesIO(), "PNG")
    use_file("file", stream.getvalue())


def use_file(source: str, content: bytes, ending: str = "png") -> None:
    """Keep a file under its hash, so that links and commands find it, and set it as the inputs."""
    use(f"{source}:{keep(content, ending)}")
