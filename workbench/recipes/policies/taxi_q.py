"""Table of action values for Taxi, optimal from every start."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.tabular_policy import measure, train_table
from workbench.training.q_learning import QLearningConfig
from workbench.zoo.q_table import QTableConfig

RECIPE = register(
    Recipe(
        name="taxi_q",
        title="Q-table for Taxi",
        architecture="q_table",
        config=QTableConfig(n_states=500, n_actions=6),
        training=QLearningConfig(
            steps=1_000_000, lr=0.5, discount=0.99, epsilon_start=1.0, epsilon_end=0.1, epsilon_share=1.0
        ),
        train=partial(train_table, environment="Taxi-v4", horizon=200),
        measure=partial(measure, environment="Taxi-v4", horizon=200),
        targets={"exact_return": 7.93 - 0.1},
        published="7.93, the optimum (value iteration)",
        note="The exact optimum is 7.93: gymnasium's threshold of 8 is out of reach.",
    )
)
