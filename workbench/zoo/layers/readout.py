"""Linear read-out of a classifier."""

from __future__ import annotations

from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn

from workbench.core.hooked import AxisHookPoint


class ReadOut(nn.Module):
    """Global average pooling (for maps), then a linear map to class logits."""

    def __init__(self, width: int, n_classes: int, units: str) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_classes)
        if units == "channel":
            self.hook_pooled = AxisHookPoint("batch channel")
        self.hook_logits = AxisHookPoint("batch class")

    def forward(self, x: Float[Tensor, "batch unit *space"]) -> Float[Tensor, "batch class"]:
        if x.ndim == 4:
            x = self.hook_pooled(reduce(x, "batch channel height width -> batch channel", "mean"))
        return self.hook_logits(self.linear(x))
