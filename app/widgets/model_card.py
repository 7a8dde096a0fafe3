"""Card of a trained network: family, size, task, headline metric and training curve."""

from __future__ import annotations

import html
from urllib.parse import quote

import streamlit as st

from app import style
from app.state import address
from app.text import format
from app.text.escaping import escape
from workbench.checkpoints.card import Card, read_card, read_curve
from workbench.core.errors import WorkbenchError
from workbench.training.curve import Curve


def chip(architecture: str) -> str:
    """Return the family's symbol and label in its colour, as HTML."""
    look, colour = style.family(architecture), style.colour_of(architecture)
    symbol = f'<span aria-hidden="true">{html.escape(look.symbol)}</span>'
    return f'<span class="wb-chip" style="--wb-family:{colour}">{symbol}{html.escape(look.label)}</span>'


def headline_series(card: Card, curve: Curve) -> str | None:
    """Return the name of the series with the headline metric, else with the loss."""
    preferred = [*card.metrics, "return", "validation_loss", "test_loss", "train_loss"]
    return next((name for name in preferred if name in curve.series and len(curve.points(name)) > 1), None)


def sparkline(points: list[tuple[int, float]], colour: str, label: str) -> str:
    """Return a sparkline as an image tag."""
    (first, last), values = (points[0][0], points[-1][0]), [value for _, value in points]
    low, span = min(values), (max(values) - min(values)) or 1.0
    places = " ".join(
        f"{100 * (step - first) / ((last - first) or 1):.1f},{30 - 28 * (value - low) / span:.1f}"
        for step, value in points
    )
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 32" preserveAspectRatio="none">'
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )
    return f'<img src="data:image/svg+xml,{quote(drawing)}" alt="{html.escape(label)}">'


def training(card: Card, name: str) -> str:
    """Return the sparkline of the headline series with its first and last value."""
    curve = read_curve(name)
    series = headline_series(card, curve)
    if series is None:
        return '<p class="wb-muted wb-small">no training curve</p>'
    points = curve.points(series)
    first, last = (format.write_score(series, value) for value in (points[0][1], points[-1][1]))
    label = f"{format.title(series)}: {first} to {last} in {points[-1][0]:,} steps of training"
    line = sparkline(points, style.colour_of(card.architecture), label)
    return f'{line}<div class="wb-muted wb-small">{html.escape(label)}</div>'


def card(name: str) -> None:
    """Show the card of a network with a link to its page."""
    with st.container(border=True, height="stretch"):
        try:
            known = read_card(name)
            st.html(f'<div class="wb-card">{body(name, known)}</div>')
        except WorkbenchError as error:
            st.error(escape(error))
            return
        with st.container(horizontal=True, gap="small"):
            address.page_link("model", f"Open {escape(name)}", "arrow_forward", {"m": name})


def body(name: str, known: Card) -> str:
    """Return the card's HTML."""
    parts = [
        f'<div class="wb-row"><h3>{html.escape(name)}</h3>{chip(known.architecture)}</div>',
        f'<div class="wb-muted wb-small">{html.escape(known.title)} · '
        f"{format.amount(known.parameters)} parameters</div>",
    ]
    for metric, score in list(known.metrics.items())[:1]:
        parts.append(
            f'<div class="wb-row"><span class="wb-figure">{format.write_score(metric, score.value)}</span>'
            f'<span class="wb-small">{html.escape(format.title(metric))}</span></div>'
            f'<div class="wb-muted wb-small">{html.escape(format.detail(metric, score))}</div>'
        )
    return "".join([*parts, training(known, name)])
