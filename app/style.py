"""Colours of model families and the CSS that the theme does not cover."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

ASSETS = Path(__file__).parent / "assets"
ICON = ASSETS / "icon.png"


@dataclass(frozen=True)
class Family:
    """Appearance of a model family: label, symbol, and colours for light and dark themes."""

    label: str
    symbol: str
    light: str
    dark: str


FAMILIES = {
    "mlp": Family("MLP", "◆", "#556270", "#a9b4c2"),
    "cnn": Family("CNN", "▦", "#0072B2", "#4fa8dc"),
    "airbench": Family("CNN", "▦", "#0072B2", "#4fa8dc"),
    "resnet": Family("ResNet", "▤", "#0072B2", "#4fa8dc"),
    "gpt": Family("GPT", "❝", "#D55E00", "#f0823a"),
    "lora_gpt": Family("GPT, adapters", "❝", "#D55E00", "#f0823a"),
    "encoder_decoder": Family("Encoder-decoder", "⇄", "#9A5B8E", "#c98bbd"),
    "gan": Family("GAN", "✦", "#B87A00", "#E69F00"),
    "vae": Family("VAE", "◉", "#009E73", "#2fc79b"),
    "actor_critic": Family("RL", "▶", "#2E8FC4", "#56B4E9"),
    "q_network": Family("RL", "▶", "#2E8FC4", "#56B4E9"),
    "q_table": Family("RL", "▶", "#2E8FC4", "#56B4E9"),
    "foreign": Family("Foreign", "◇", "#556270", "#a9b4c2"),
}
"""Appearance by architecture. The colour is always accompanied by a symbol and a label."""


def colour_of(architecture: str) -> str:
    """Return the colour of an architecture's family in the browser's theme."""
    look = family(architecture)
    return look.dark if dark() else look.light


def family(architecture: str) -> Family:
    """Return the appearance of an architecture's family; an unlisted one is grey with its own name."""
    return FAMILIES.get(architecture, Family(architecture.replace("_", " "), "●", "#556270", "#a9b4c2"))


def apply() -> None:
    """Add the style sheet to the page."""
    st.html(ASSETS / "style.css")


def dark() -> bool:
    """Return True if the browser shows the dark theme."""
    return st.context.theme.type == "dark"
