"""MLP on MNIST, the network of `workbench compare optimizers` and `workbench compare initializations`."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.mlp import MLPConfig

EPOCH = 468

RECIPE = register(
    Recipe(
        name="mnist_mlp",
        title="MLP on MNIST",
        architecture="mlp",
        config=MLPConfig(n_features=784, hidden=(128, 64), n_classes=10),
        training=FitConfig(
            steps=15 * EPOCH, optimizer="adamw", lr=3e-3, weight_decay=0.1, schedule="one_cycle",
            evaluate_every=EPOCH, log_every=52,
        ),
        train=ImageClassification("flat_mnist", batch_size=128, label_smoothing=0.05),
        weights="he_normal",
        targets={"test_accuracy": 0.98},
        published="98.4 % (800 units, Simard et al. 2003)",
        dtype="bfloat16",
    )
)  # fmt: skip
