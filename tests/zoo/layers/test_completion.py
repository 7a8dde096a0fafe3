"""Tests of completing prompts of different lengths together, against completing each alone."""

from __future__ import annotations

import torch

from workbench.zoo.gpt import GPT, GPTConfig
from workbench.zoo.layers.sampling import SamplingConfig

END = 0
GREEDY = SamplingConfig(temperature=0.0)


def network() -> GPT:
    torch.manual_seed(1)
    model = GPT(GPTConfig(d_vocab=12, n_ctx=24, n_layers=2, d_model=16, n_heads=2, positions="rotary")).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_each_prompt_is_completed_as_if_it_were_alone() -> None:
    model = network()
    prompts = [torch.tensor([3, 4, 5, 6, 7]), torch.tensor([8, 9]), torch.tensor([10, 11, 2])]
    together = model.complete(prompts, 8, END, rng(), GREEDY)
    for row, prompt in zip(together, prompts, strict=True):
        alone = model.generate(prompt[None], len(row) - len(prompt), GREEDY)[0]
        ended = (alone[len(prompt) :] == END).nonzero().flatten().tolist()
        stop = len(prompt) + ended[0] if ended else len(alone)
        assert torch.equal(row[:stop], alone[:stop])
        assert (row[stop:] == END).all()


def test_it_stops_when_all_have_ended_or_time_is_up() -> None:
    def always(token: int):
        return lambda tokens: torch.nn.functional.one_hot(torch.full_like(tokens, token), 12) * 50.0

    prompts, model = [torch.tensor([3]), torch.tensor([3, 4, 5])], network()
    ended = model.complete(prompts, 8, END, rng(), extend=always(END))
    assert ended.tolist() == [[3, END, END, END], [3, 4, 5, END]]
    assert model.complete(prompts, 4, END, rng(), extend=always(7)).tolist() == [[3, *[7] * 6], [3, 4, 5, *[7] * 4]]


def test_sampled_tokens_follow_the_networks_probabilities() -> None:
    model = network()
    prompt = torch.tensor([3, 4])
    rows = model.complete([prompt] * 4000, 1, END, rng())
    share = rows[:, 2].bincount(minlength=12) / len(rows)
    expected = model(prompt[None])[0, -1].softmax(dim=-1)
    assert (share - expected).abs().max() < 0.03
