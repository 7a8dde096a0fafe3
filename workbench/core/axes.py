"""Names of the axes of activations."""

from workbench.core.errors import ConfigError, suggestion

AXES = (
    "batch", "pos", "head", "query", "key", "d_model", "d_head", "d_mlp", "vocab", "channel", "height", "width",
    "unit", "latent", "step", "action", "feature", "class", "source_pos", "target_pos",
    "axis0", "axis1", "axis2", "axis3", "axis4", "axis5", "axis6", "axis7",
)  # fmt: skip
"""All names of axes. `axis1` and so on are used for unknown axes of a wrapped model."""

UNIT_AXES = ("head", "channel", "unit", "latent", "d_mlp", "feature", "action", "class", "d_model", "vocab")
"""Axes whose entries are parts of a network, in the order of preference of analyses."""

INPUT_SIZED = ("batch", "pos", "query", "key", "height", "width", "step", "source_pos", "target_pos")
"""Axes whose length depends on the input."""


def parse_axes(text: str) -> tuple[str, ...]:
    """Parse axes such as "batch channel height width"; raises ConfigError for an unknown or repeated name."""
    axes = tuple(text.split())
    for axis in axes:
        if axis not in AXES:
            raise ConfigError(f"Unknown axis {axis!r} in {text!r}. {suggestion(axis, AXES)}")
    if len(set(axes)) < len(axes):
        raise ConfigError(f"An axis is named twice in {text!r}. Name each axis once.")
    return axes


def is_network_sized(axis: str) -> bool:
    """Return whether the network alone determines the length of an axis; False for unknown ones (`axis1`)."""
    return axis not in INPUT_SIZED and not axis.startswith("axis")


def unit_axis(axes: tuple[str, ...]) -> str | None:
    """Return the axis of an activation's units, or None."""
    return next((axis for axis in UNIT_AXES if axis in axes), None)
