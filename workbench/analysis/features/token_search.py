"""Activation maximization for tokens by greedy coordinate gradient (GCG; Zou et al. 2023).

1. Score every swap of one token to first order with a gradient at the embeddings (HotFlip; Ebrahimi et al. 2018).
2. Sample some swaps by their score and evaluate them exactly.
3. Keep the best swap if it improves the objective; stop a row after `PATIENCE` steps without improvement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor

from workbench.analysis.features.search import Found, Search, compute_gradient, take_best_restart
from workbench.analysis.features.target import TargetReading
from workbench.analysis.features.token_rows import JoinedPair
from workbench.core.errors import InputError
from workbench.core.hooked import HookedModel
from workbench.core.progress import Progress
from workbench.core.wrap import WrappedModel

Tokens = Int[Tensor, "row pos"]
EMBEDDING = "hook_embed"
TRIED = 16
"""Swaps evaluated exactly per row and step."""
SHARPNESS = 4.0
"""Inverse temperature of the sampling of swaps by their standardized scores; 0 is uniform."""
PATIENCE = 8
"""Steps without improvement after which a row stops."""
AT_ONCE = 128
"""Rows per forward pass."""
STARTS = 2
"""Starting points per unit: the best natural example and random tokens."""


@dataclass(frozen=True)
class TokenObjective:
    """Objective of a row of tokens: the unit's activation plus `fluency` times the mean log probability (nats)."""

    search: Search
    tables: dict[str, Float[Tensor, "vocab d_model"]]
    """Token embeddings by hook."""
    fluency: Float[Tensor, " unit"]
    """Weight of the log probability for each unit."""

    def read(self, tokens: Tokens, place: Int[Tensor, " row"]) -> TargetReading:
        """Compute activation and objective of each row. `place` is the index of its unit among the searched ones."""
        reading = self.search.target.read(tokens, self.search.columns[place])
        if not self.fluency.any():
            return reading
        logp = log_probabilities(self.search.target.model, tokens)[:, :-1]
        mean = logp.gather(2, tokens[:, 1:, None])[..., 0].mean(dim=1)
        return TargetReading(reading.value, reading.drive + self.fluency[place] * mean)

    @property
    def vocab(self) -> int:
        """Size of the vocabulary."""
        return len(next(iter(self.tables.values())))

    @torch.no_grad()
    def exact(self, tokens: Tokens, place: Int[Tensor, " row"]) -> TargetReading:
        """Compute the same without gradients, in passes of limited size."""
        parts = [self.read(*part) for part in zip(tokens.split(AT_ONCE), place.split(AT_ONCE), strict=True)]
        return TargetReading(torch.cat([part.value for part in parts]), torch.cat([part.drive for part in parts]))

    @torch.enable_grad()
    def promise(self, tokens: Tokens, place: Int[Tensor, " row"]) -> Float[Tensor, "row pos vocab"]:
        """Estimate the change of the objective by each swap of one token, to first order."""
        seen: dict[str, list[Tensor]] = {hook: [] for hook in self.tables}

        def leaf(hook: str, embedded: Tensor) -> Tensor:
            seen[hook].append(embedded.detach().requires_grad_())
            return seen[hook][-1]

        with self.search.target.model.edited({hook: partial(leaf, hook) for hook in self.tables}):
            worth = self.read(tokens, place).drive.sum()
        leaves = [(hook, x) for hook, found in seen.items() for x in found]
        slopes: dict[str, Tensor] = dict.fromkeys(self.tables, torch.zeros(()))
        for (hook, _), slope in zip(leaves, compute_gradient(worth, [x for _, x in leaves]), strict=True):
            slopes[hook] = slopes[hook] + slope @ self.tables[hook].detach().T
        slope = torch.cat(list(slopes.values()), dim=1)
        if self.fluency.any():
            with torch.no_grad():
                expected = log_probabilities(self.search.target.model, tokens)[:, :-1] / (tokens.shape[1] - 1)
            slope[:, 1:] += self.fluency[place, None, None] * expected
        gain = slope - slope.gather(2, tokens[..., None])
        if isinstance(rows := self.search.target.rows, JoinedPair):
            gain = gain.masked_fill(~rows.possible(tokens), -torch.inf)
        return gain.scatter(2, tokens[..., None], -torch.inf)


def search_tokens(search: Search, progress: Progress) -> Found:
    """Optimize a sequence of tokens for each unit, with the length of the reference; the trace is the best so far.

    Cost: per step 1 backward and 16 forward passes up to the hook (to the logits, with fluency), for two rows per unit.
    """
    climb = TokenObjective(search, embedding_tables(search.target.model), fluency_weights(search))
    place = repeat(torch.arange(len(search.units)), "unit -> (unit restart)", restart=STARTS).to(search.columns)
    streams = [stream for starts in zip(*map(search.streams, range(STARTS)), strict=True) for stream in starts]
    tokens = starting_points(search, streams, climb.vocab)
    start = climb.exact(tokens, place)
    value, drive, idle, trace = start.value.clone(), start.drive.clone(), torch.zeros_like(place), []
    for step in range(search.steps):
        active = (idle < PATIENCE).nonzero()[:, 0]
        if len(active):
            tried, reading = best_swap(climb, tokens[active], place[active], [streams[i] for i in active.tolist()])
            better = reading.drive > drive[active]
            idle[active] = torch.where(better, 0, idle[active] + 1)
            changed = active[better]
            tokens[changed] = tried[better]
            value[changed], drive[changed] = reading.value[better], reading.drive[better]
        trace.append(value.clone())
        progress(step + 1, search.steps)
    split = "(unit restart) ... -> unit restart ..."
    drives = rearrange(drive, split, restart=STARTS)
    parts = (tokens, start.value, torch.stack(trace, dim=1))
    return Found(*(take_best_restart(drives, rearrange(part, split, restart=STARTS)) for part in parts))


def best_swap(
    climb: TokenObjective, tokens: Tokens, place: Int[Tensor, " row"], streams: list[torch.Generator]
) -> tuple[Tokens, TargetReading]:
    """Return each row after the best of some swaps, and its reading."""
    promise = climb.promise(tokens, place).flatten(1)
    possible = promise > -torch.inf  # excludes the current token
    spread = torch.where(possible, promise, 0.0).std(dim=1, keepdim=True)
    ranked = torch.where(spread > 0, SHARPNESS * promise / spread, torch.where(possible, 0.0, -torch.inf))
    drawn = torch.stack([torch.rand(promise.shape[1], generator=stream) for stream in streams]).to(promise)
    # The top k of logits plus Gumbel noise are a sample without replacement from their softmax.
    swaps = (ranked - torch.log(-torch.log(drawn))).topk(min(TRIED, int(possible.sum(dim=1).min())), dim=1).indices
    candidates = repeat(tokens, "row pos -> row swap pos", swap=swaps.shape[1]).clone()
    candidates.scatter_(2, (swaps // climb.vocab)[..., None], (swaps % climb.vocab)[..., None])
    flat = rearrange(candidates, "row swap pos -> (row swap) pos")
    reading = climb.exact(flat, repeat(place, "row -> (row swap)", swap=swaps.shape[1]))
    value, drive = (rearrange(x, "(row swap) -> row swap", row=len(tokens)) for x in (reading.value, reading.drive))
    return take_best_restart(drive, candidates), TargetReading(take_best_restart(drive, value), drive.amax(dim=1))


def starting_points(search: Search, streams: list[torch.Generator], n_vocab: int) -> Tokens:
    """Return two starting points per unit: its best natural example and random tokens."""
    best, rows, random = search.best, search.target.rows, streams[1::STARTS]
    if isinstance(rows, JoinedPair):
        drawn = [rows.draw(row, stream) for row, stream in zip(best, random, strict=True)]
    else:
        drawn = [torch.randint(n_vocab, best.shape[1:], generator=stream) for stream in random]
    return torch.stack([best, torch.stack(drawn).to(best)], dim=1).flatten(0, 1)


def fluency_weights(search: Search) -> Float[Tensor, " unit"]:
    """Return the weight of a nat of log probability per token: the unit's standard deviation, or zero."""
    if search.fluent and search.reference.shape[1] < 2:
        raise InputError("Fluency needs at least two tokens. Give longer inputs, or choose the objective 'channel'.")
    return search.natural[:, search.columns].std(dim=0, correction=0) * search.fluent


def log_probabilities(model: HookedModel, tokens: Tokens) -> Float[Tensor, "row pos vocab"]:
    """Return the model's log probability of every token after each position, in nats."""
    output: Any = model(tokens)
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor) or logits.shape[:-1] != tokens.shape:
        raise InputError(
            f"Fluency needs logits (batch, pos, vocab), and {type(model).__name__} returns something else. Choose the "
            "objective 'channel' or 'neuron', or wrap the module with a `forward` that returns its logits."
        )
    return logits.log_softmax(dim=-1)


def embedding_tables(model: HookedModel) -> dict[str, Float[Tensor, "vocab d_model"]]:
    """Return the token embedding table that belongs to each hook of embedded tokens."""
    found = model.embedding_tables() if isinstance(model, WrappedModel) else {}
    for hook in model.hook_dict:
        owner, _, name = hook.rpartition(".")
        if name == EMBEDDING and not isinstance(model, WrappedModel):
            table = getattr(getattr(model.get_submodule(owner), "embed", None), "W_E", None)
            found |= {} if table is None else {hook: table}
    if not found:
        raise InputError(
            f"Optimizing tokens needs the table that embeds them, and {type(model).__name__} has none: neither "
            f"{EMBEDDING!r} with W_E nor, in a wrapped module, an nn.Embedding whose output is the rows of its weight. "
            "Use a model of the zoo, or give floating-point inputs."
        )
    return found
