"""Multi-head attention with TransformerLens's weights and hook names; fused unless scores or patterns are hooked."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from workbench.core.hooked import AxisHookPoint
from workbench.zoo.layers.rotary import rotate

Stream = Float[Tensor, "batch pos d_model"]
Reads = Float[Tensor, "batch pos d_model"] | Float[Tensor, "batch pos head d_model"]
Sources = Float[Tensor, "batch source d_model"] | Float[Tensor, "batch source head d_model"]
PerHead = Float[Tensor, "batch pos head d_head"]
PerQuery = Float[Tensor, "batch query head d_head"]
PerKey = Float[Tensor, "batch key head d_head"]
Visible = Bool[Tensor, "batch key"]


@dataclass
class KeyValueCache:
    """Keys and values of the positions so far, for generating one token at a time.

    The buffer doubles when full, so that most new positions are written without copying the old ones.
    """

    buffer: Float[Tensor, "2 batch room head d_head"] | None = None
    length: int = 0
    """Number of positions in use."""

    def append(
        self, key: Float[Tensor, "batch new head d_head"], value: Float[Tensor, "batch new head d_head"]
    ) -> tuple[PerKey, PerKey]:
        """Append keys and values; returns those of all positions."""
        before, self.length = self.length, self.length + key.shape[1]
        if self.buffer is None or self.length > self.buffer.shape[2]:
            room = key.new_empty(2, len(key), 2 * self.length, *key.shape[2:])
            if self.buffer is not None:
                room[:, :, :before] = self.buffer[:, :, :before]
            self.buffer = room
        self.buffer[0, :, before : self.length], self.buffer[1, :, before : self.length] = key, value
        keys, values = self.buffer[:, :, : self.length]
        return keys, values


class Attention(nn.Module):
    """Softmax attention, causal by default.

    Queries, keys and values may come from different streams, and each head may get a copy of its own.
    """

    def __init__(
        self, d_model: int, n_heads: int, causal: bool = True, rotary: bool = False, d_head: int | None = None
    ) -> None:
        super().__init__()
        d_head = d_head or d_model // n_heads
        self.causal, self.rotary = causal, rotary
        self.W_Q, self.W_K, self.W_V = (nn.Parameter(torch.empty(n_heads, d_model, d_head)) for _ in range(3))
        self.W_O = nn.Parameter(torch.empty(n_heads, d_head, d_model))
        self.b_Q, self.b_K, self.b_V = (nn.Parameter(torch.zeros(n_heads, d_head)) for _ in range(3))
        self.b_O = nn.Parameter(torch.zeros(d_model))
        self.hook_q, self.hook_k, self.hook_v = (AxisHookPoint("batch pos head d_head") for _ in range(3))
        if rotary:
            self.hook_rot_q, self.hook_rot_k = (AxisHookPoint("batch pos head d_head") for _ in range(2))
        self.hook_attn_scores = AxisHookPoint("batch head query key", on_request=True)
        self.hook_pattern = AxisHookPoint("batch head query key", on_request=True)
        self.hook_z = AxisHookPoint("batch pos head d_head")
        self.hook_result = AxisHookPoint("batch pos head d_model", on_request=True)

    def compute_z(
        self,
        queries: Reads,
        keys: Sources,
        values: Sources,
        past: KeyValueCache | None = None,
        visible: Visible | None = None,
    ) -> PerHead:
        """Compute each head's weighted average of values (z, before its hook).

        Args:
            queries: Stream that the queries read, one for all heads or one per head.
            keys: Stream that the keys read.
            values: Stream that the values read.
            past: Keys and values of earlier positions; the new ones are appended.
            visible: True at keys that may be attended to; None for all.
        """
        start = 0 if past is None else past.length
        q = self.hook_q(project(queries, self.W_Q, self.b_Q))
        k = self.hook_k(project(keys, self.W_K, self.b_K))
        v = self.hook_v(project(values, self.W_V, self.b_V))
        if self.rotary:
            q, k = self.hook_rot_q(rotate(q, start)), self.hook_rot_k(rotate(k, start))
        if past is not None:
            k, v = past.append(k, v)
        explicit = self.hook_attn_scores.is_observed or self.hook_pattern.is_observed
        return self.attend(q, k, v, visible) if explicit else self.attend_fused(q, k, v, visible)

    def project_out(self, z: PerHead) -> Stream:
        """Project z through `W_O` and add `b_O`."""
        z = self.hook_z(z)
        if self.hook_result.is_observed:
            result = self.hook_result(einsum(z, self.W_O, "batch pos head d, head d m -> batch pos head m"))
            return result.sum(dim=2) + self.b_O
        flat = rearrange(z, "batch pos head d -> batch pos (head d)")
        return linear(flat, rearrange(self.W_O, "head d m -> m (head d)"), self.b_O)

    def attend(self, q: PerQuery, k: PerKey, v: PerKey, visible: Visible | None = None) -> PerQuery:
        """Compute z with hooks on the scores and the pattern."""
        scores = einsum(q, k, "batch query head d, batch key head d -> batch head query key") / q.shape[-1] ** 0.5
        mask = self.mask(q, k, visible)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        pattern = self.hook_pattern(self.hook_attn_scores(scores).softmax(dim=-1))
        return einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")

    def attend_fused(self, q: PerQuery, k: PerKey, v: PerKey, visible: Visible | None = None) -> PerQuery:
        """Compute z with torch's fused kernel."""
        causal_only = self.causal and visible is None and q.shape[1] == k.shape[1]
        mask = None if causal_only else self.mask(q, k, visible)
        q, k, v = (rearrange(x, "batch pos head d -> batch head pos d") for x in (q, k, v))
        z = scaled_dot_product_attention(q, k, v, mask, is_causal=causal_only)
        return rearrange(z, "batch head pos d -> batch pos head d")

    def mask(
        self, q: PerQuery, k: PerKey, visible: Visible | None
    ) -> Bool[Tensor, "query key"] | Bool[Tensor, "batch 1 query key"] | None:
        """Return True where a query may attend to a key; None if there is no restriction."""
        past = causal_mask(q, k) if self.causal else None
        keys = None if visible is None else repeat(visible, "batch key -> batch 1 query key", query=q.shape[1])
        return keys if past is None else past if keys is None else past & keys


def project(x: Reads, weight: Float[Tensor, "head d_model d_head"], bias: Float[Tensor, "head d_head"]) -> PerHead:
    """Apply the heads' linear maps to one stream shared by all heads, or to one stream per head."""
    if x.ndim == 4:
        return einsum(x, weight, "batch pos head m, head m d -> batch pos head d") + bias
    flat = linear(x, rearrange(weight, "head m d -> (head d) m"), rearrange(bias, "head d -> (head d)"))
    return rearrange(flat, "batch pos (head d) -> batch pos head d", head=len(weight))


def causal_mask(q: PerQuery, k: PerKey) -> Bool[Tensor, "query key"]:
    """Return True where a key is not later than its query. The last query is at the last key."""
    n_query, n_key = q.shape[1], k.shape[1]
    return torch.ones(n_query, n_key, dtype=torch.bool, device=q.device).tril(n_key - n_query)
