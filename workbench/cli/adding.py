"""`workbench add` and `workbench remove`: put a network made elsewhere beside the trained ones, and take it away."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from workbench.cli.flags import with_limits
from workbench.cli.writing import write


@with_limits
def add_network(
    name: str,
    /,
    *,
    source: Annotated[str, Parameter(name="--from")],
    data: str = "",
    architecture: str = "",
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    opened: Annotated[Literal["record", "wrap"] | None, Parameter(name="--open")] = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Put a network made elsewhere beside the trained ones: its name works for every command and page.

    Args:
        name: Its name from now on.
        source: MODULE:FUNCTION or PATH.py:FUNCTION that returns the network (and an example of its inputs); a Hugging
            Face folder, or the name of one in its cache; or PATH.safetensors with --architecture.
        data: Example inputs: a .npz, .npy or .safetensors file, a folder of images by class, a data set of images, or
            the id of an environment.
        architecture: Architecture of a safetensors file (`workbench list architectures`).
        settings: Settings of this architecture, as FIELD=VALUE.
        opened: As a tape with a computation graph (record), or by hooks on its submodules (wrap); left out, the first
            that is possible.
        yes: Agree that the code of the source is run, now and whenever the network is opened.
        overwrite: Replace a network that was added under this name.
    """
    from workbench.core.errors import InputError, short
    from workbench.experiments.adding import add
    from workbench.experiments.network_sources import find_source

    values = {}
    for word in settings or []:
        field, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{short(word)} sets nothing. Write FIELD=VALUE.")
        values[field] = text
    agreed = yes or agree(find_source(source).code)
    card = add(name, source, data, architecture, values, opened or "", agreed, overwrite)
    write(f"{name}: {card.title}, {card.parameters:,} parameters. Try: workbench show {name}")


def agree(code: str) -> bool:
    """Ask on a terminal if code of the user's own may be run; without a terminal the answer is no."""
    if not code or sys.stdin is None or not sys.stdin.isatty():
        return False
    write(f"This runs the code in {code}, now and whenever the network is opened. Run it? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def remove_network(name: str, /) -> None:
    """Take away a network that was added; its source and stored results stay.

    Args:
        name: Name of the network.
    """
    from workbench.experiments.adding import remove

    remove(name)
    write(f"{name} is removed.")
