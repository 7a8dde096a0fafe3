"""Components written for this app: inline JavaScript, no build step, no requests to other machines."""

from pathlib import Path
from typing import Any

import streamlit as st


def declare(name: str, html: str) -> Any:
    """Declare a component, whose style sheet and script are the files of that name beside this one."""
    css, js = (Path(__file__).with_name(f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return st.components.v2.component(f"workbench_{name}", html=html, css=css, js=js)
