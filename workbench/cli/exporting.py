"""`workbench export`: write a stored result for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from workbench.cli.writing import write
from workbench.core.errors import InputError
from workbench.core.ranges import NonNegativeInt


def export_result(
    key: str,
    /,
    *,
    to: Literal["csv", "json", "parquet", "html", "circuit", "eap_ig", "graphml"] | None = None,
    size: NonNegativeInt = 0,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Write a stored result to a file or to stdout.

    Args:
        key: Key of a stored result, or the beginning of one; `workbench list runs` has them.
        to: Format; left out, the ending of the output file decides, and without a file it is csv. A circuit can also be
            written whole (circuit), as a graph of EAP-IG and MIB (eap_ig) or for Gephi and Cytoscape (graphml).
        size: Edges of the circuit for eap_ig and graphml, before pruning; 0: the fewest measured that keep 90 %.
        output: File to write; left out, csv and json go to stdout.
    """
    from workbench.experiments.run import full_key
    from workbench.experiments.store.export import export, format_of, render
    from workbench.experiments.store.results import ResultStore

    chosen = to or (format_of(output) if output else "csv")
    store = ResultStore()
    if output is not None:
        write(str(export(key, chosen, output, store, size)))
        return
    if chosen in ("parquet", "html"):
        raise InputError(f"{chosen} needs a file. Add -o result.{chosen}.")
    sys.stdout.write(render(full_key(key, store), chosen, store, size).decode())
