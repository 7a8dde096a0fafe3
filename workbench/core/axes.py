"""Names of axes: what a hook point says of its activation, and what an analysis asks for."""

from workbench.core.errors import ConfigError, suggestion

AXES = (
    "batch", "pos", "head", "query", "key", "d_model", "d_head", "d_mlp", "vocab", "channel", "height", "width",
    "unit", "latent", "step", "action", "feature", "class", "source_pos", "target_pos",
    "axis0", "axis1", "axis2", "axis3", "axis4", "axis5", "axis6", "axis7",
)  # fmt: skip
"""Every axis the workbench knows; the first is `batch`. `axis1` and so on stand where a foreign model's are unknown."""

UNIT_AXES = ("head", "channel", "unit", "latent", "d_mlp", "feature", "action", "class", "d_model", "vocab")
"""Axes whose entries are parts of a network, in the order in which an analysis prefers them."""

INPUT_SIZED = ("batch", "pos", "query", "key", "height", "width", "step", "source_pos", "target_pos")
"""Axes whose length depends on the input and not on the network alone."""


def parse_axes(text: str) -> tuple[str, ...]:
    """The axes of "batch channel height width"; an unknown or repeated name is an error."""
    axes = tuple(text.split())
    for axis in axes:
        if axis not in AXES:
            raise ConfigError(f"Unknown axis {axis!r} in {text!r}. {suggestion(axis, AXES)}")
    if len(set(axes)) < len(axes):
        raise ConfigError(f"An axis is named twice in {text!r}. Name each axis once.")
    return axes


def is_network_sized(axis: str) -> bool:
    """True if the network alone fixes the length of an axis; of an unknown one (`axis1`) the input may."""
    return axis not in INPUT_SIZED and not axis.startswith("axis")


def unit_axis(axes: tuple[str, ...]) -> str | None:
    """The axis along which an activation's units lie, or None when it has none."""
    return next((axis for axis in UNIT_AXES if axis in axes), None)
