"""Display of a result in a notebook cell or a console."""

from __future__ import annotations

import json
from typing import Any

from workbench.core.registry import VIEWS
from workbench.figures.alt import describe
from workbench.figures.figure import figure
from workbench.figures.markup import remove_foreign_markup


@VIEWS.register("notebook")
def render(result: Any) -> dict[str, Any]:
    """Return the figure in the formats of the notebook at hand; a console shows the text and the finding."""
    picture = remove_foreign_markup(figure(result))
    formats = picture._repr_mimebundle_() or {"application/vnd.plotly.v1+json": json.loads(picture.to_json())}
    return {**formats, "text/plain": f"{result!r}\n{describe(result)}"}
