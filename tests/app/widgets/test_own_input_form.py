"""Tests of the forms for user inputs: each makes the input text that the command line takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.app.pages import from_function
from workbench.experiments.inputs.language import Inputs

FORMS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "text": ("induction_gpt", {"own prompt": "^ A B A"}, "Use this prompt", "text:^ A B A"),
    "pair": ("dates_encoder_decoder", {"own source": "1 May", "own answer": "1"}, "Use this pair", "text:1 May=>1"),
    "a pair's source": ("dates_encoder_decoder", {"own source": "1 May"}, "Use this pair", "text:1 May"),
    "policy": ("cartpole_ppo", {"own seed": 3, "own steps": 5}, "Use this episode", "rollout:3:5"),
    "samples": ("shapes_gan", {"own seed": 3, "own codes": 4}, "Use these codes", "sample:3:4"),
    "a walk": ("shapes_gan", {"own seed": 3, "own latent": 2}, "Move it from -3 to 3", "walk:3:2"),
    "rows": ("cartpole_ppo", {"own numbers": "1,2,3,4"}, "Use these numbers", "numbers:1,2,3,4"),
    "nothing": ("induction_gpt", {}, "Use this prompt", ""),
}


def page(model: str) -> None:
    import streamlit as st

    from app.widgets import own_input_form

    st.session_state.setdefault("used", "")
    own_input_form.use = lambda inputs: st.session_state.update(used=inputs)
    own_input_form.own_input_button(model)


@pytest.mark.parametrize("case", FORMS)
def test_a_form_makes_the_text_that_the_command_line_takes(case: str) -> None:
    model, values, button, expected = FORMS[case]
    shown = from_function(page, args=(model,)).run()
    assert not shown.exception
    for key, value in values.items():
        next(box for box in (*shown.text_area, *shown.text_input, *shown.number_input) if box.key == key).set_value(
            value
        )
    next(found for found in shown.button if found.label.replace("\\", "") == button).click().run()
    assert not shown.exception
    used = shown.session_state["used"]
    assert used == expected and (not used or str(Inputs.parse(used)) == used)
