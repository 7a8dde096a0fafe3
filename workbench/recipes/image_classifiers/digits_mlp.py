"""MLP on scikit-learn's 8x8 digits, the smallest model; its data need no download."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig
from workbench.zoo.mlp import MLPConfig

RECIPE = register(
    Recipe(
        name="digits_mlp",
        title="MLP on 8x8 digits",
        architecture="mlp",
        config=MLPConfig(n_features=64, hidden=(64, 32), n_classes=10),
        training=FitConfig(
            steps=2000, optimizer="adamw", lr=3e-3, weight_decay=0.01, schedule="cosine", warmup=50,
            evaluate_every=100, log_every=20,
        ),
        train=ImageClassification(dataset="digits", batch_size=64, label_smoothing=0.1),
        weights="he_normal",
        targets={"test_accuracy": 0.97},
    )
)  # fmt: skip
