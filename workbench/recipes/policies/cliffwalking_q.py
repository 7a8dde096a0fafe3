"""Table of action values for CliffWalking, whose greedy policy takes the shortest path."""

from functools import partial

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.tabular_policy import measure, train_table
from workbench.training.q_learning import QLearningConfig
from workbench.zoo.q_table import QTableConfig

RECIPE = register(
    Recipe(
        name="cliffwalking_q",
        title="Q-table for CliffWalking",
        architecture="q_table",
        config=QTableConfig(n_states=48, n_actions=4),
        training=QLearningConfig(
            steps=200_000, lr=0.5, discount=1.0, epsilon_start=1.0, epsilon_end=0.1, epsilon_share=0.5
        ),
        train=partial(train_table, environment="CliffWalking-v1", horizon=1000),
        measure=partial(measure, environment="CliffWalking-v1", horizon=1000),
        targets={"exact_return": -13.0},
        published="-13, the optimum (value iteration)",
        note="Without a time limit: a policy that never arrives is charged 1,000 steps.",
    )
)
