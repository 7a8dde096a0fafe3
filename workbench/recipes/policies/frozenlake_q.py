"""Table of action values for the slippery FrozenLake, trained on random steps."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.tabular_policy import measure, train_table
from workbench.training.q_learning import QLearningConfig
from workbench.zoo.q_table import QTableConfig

RECIPE = register(
    Recipe(
        name="frozenlake_q",
        title="Q-table for FrozenLake",
        architecture="q_table",
        config=QTableConfig(n_states=16, n_actions=4),
        training=QLearningConfig(
            steps=1_000_000, lr=0.2, discount=0.99, epsilon_start=1.0, epsilon_end=1.0, epsilon_share=1.0
        ),
        train=partial(train_table, environment="FrozenLake-v1", horizon=100),
        measure=partial(measure, environment="FrozenLake-v1", horizon=100),
        targets={"exact_return": 0.744 - 0.02},
        published="0.744, the optimum (value iteration)",
        note="The best policy that knows how many steps are left returns 0.744; a table cannot know.",
    )
)
