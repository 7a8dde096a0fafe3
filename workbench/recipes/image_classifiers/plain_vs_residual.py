"""Plain network of 44 layers on small digits; `workbench compare plain_vs_residual` adds the residual one."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.resnet import ResNetConfig

RECIPE = register(
    Recipe(
        name="plain_vs_residual",
        title="Plain 44-layer CNN on 14x14 digits",
        architecture="resnet",
        config=ResNetConfig(in_channels=1, size=14, channels=(8, 16, 32), blocks_per_group=7, residual=False),
        training=FitConfig(
            steps=1200, optimizer="momentum", nesterov=True, lr=0.1, weight_decay=5e-4, schedule="one_cycle",
            evaluate_every=200, log_every=20, keep_steps=(0,),
        ),
        train=ImageClassification("half_mnist", batch_size=128),
        targets={"test_accuracy": 0.9},
        dtype="bfloat16",
        note="Without shortcuts, to be compared with the same network that has them (`workbench compare "
        "plain_vs_residual`). Kept at step 0 too, where the gradient grows by orders of magnitude from the last layer "
        "to the first.",
    )
)  # fmt: skip
