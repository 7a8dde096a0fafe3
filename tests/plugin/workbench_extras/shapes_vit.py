"""Recipe of a small vision transformer that classifies drawn shapes."""

from workbench_extras.vit import ViTConfig

from workbench.recipes.recipe import Recipe
from workbench.recipes.trainings.image_classifier import ImageClassification
from workbench.training.fit import FitConfig

RECIPE = Recipe(
    name="shapes_vit",
    title="Vision transformer on drawn shapes",
    architecture="vit",
    config=ViTConfig(),
    training=FitConfig(steps=2000, optimizer="adamw", lr=3e-3, schedule="cosine", warmup=100, log_every=20),
    train=ImageClassification(dataset="shapes", batch_size=128),
    targets={"test_accuracy": 0.95},
)
