"""Tests of recipes of preference learning: they start from the supervised model and its tokens."""

import pytest

from workbench.core.registry import RECIPES


@pytest.mark.parametrize("name", ["tales_dpo", "tales_hacked", "tales_ppo"])
def test_a_policy_is_the_supervised_network_tuned(name: str) -> None:
    policy, reference = RECIPES[name], RECIPES["tales_gpt"]
    assert policy.based_on == reference.name
    assert policy.config == reference.config


def test_the_reward_model_reads_what_the_policy_writes() -> None:
    reward, reference = RECIPES["tales_reward"], RECIPES["tales_gpt"]
    assert reward.config.d_vocab == reference.config.d_vocab
    assert reward.config.n_ctx >= reference.config.n_ctx
