"""Convolutional network that classifies drawn shapes of any colour, texture, size and position."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.cnn import CNNConfig

RECIPE = register(
    Recipe(
        name="shapes_cnn",
        title="CNN on drawn shapes",
        architecture="cnn",
        config=CNNConfig(in_channels=3, size=24, channels=(16, 32, 32), n_classes=4),
        training=FitConfig(
            steps=700, optimizer="adamw", lr=1e-2, weight_decay=0.02, schedule="one_cycle", precision="bf16",
            evaluate_every=100, log_every=20,
        ),
        train=ImageClassification(dataset="shapes", batch_size=128),
        weights="he_normal",
        targets={"test_accuracy": 0.99},
        note="Tested on combinations of factors that training left out.",
    )
)  # fmt: skip
