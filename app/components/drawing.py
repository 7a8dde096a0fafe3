"""Canvas for drawing a digit with a pointer or the keyboard."""

from __future__ import annotations

from app.components import declare

HTML = """
<div class="wb-drawing">
  <canvas tabindex="0" role="application" data-id="canvas"
    aria-label="Drawing: arrow keys move, Space paints, Delete clears"></canvas>
  <div class="row">
    <button type="button" data-id="clear">Clear</button>
    <output aria-live="polite"></output>
  </div>
</div>
"""
RENDER = declare("drawing", HTML)


def draw(side: int, key: str) -> list[int] | None:
    """Draw a canvas of `side` x `side` pixels and return its grey values (0 to 255, row by row), or None while
    empty.
    """
    result = RENDER(key=key, data={"side": side}, default={"pixels": None}, on_pixels_change=lambda: None)
    pixels = result.pixels
    usable = isinstance(pixels, list) and len(pixels) == side * side
    return [min(255, max(0, int(value))) for value in pixels] if usable else None
