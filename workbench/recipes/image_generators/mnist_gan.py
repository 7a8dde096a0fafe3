"""DCGAN on MNIST."""

from workbench.recipes.recipe import Recipe, register
from workbench.recipes.trainings.image_gan import ImageGeneration
from workbench.training.fit import FitConfig
from workbench.zoo.gan import GANConfig

LEARNING = ImageGeneration("mnist", classifier="mnist_cnn")

RECIPE = register(
    Recipe(
        name="mnist_gan",
        title="DCGAN on MNIST",
        architecture="gan",
        config=GANConfig(n_latents=64, out_channels=1, size=28, channels=(32, 64)),
        training=FitConfig(
            steps=6000, optimizer="adam", lr=1e-3, betas=(0.5, 0.999), schedule="cosine", ema=0.999,
            evaluate_every=1500, log_every=50,
        ),
        train=LEARNING,
        measure=LEARNING.measure,
        weights="he_normal",
        targets={"frechet_distance": 3.0, "classes_covered": 10},
        note="Images in 0..1. The Frechet distance is between features of mnist_cnn (its 64 averaged channels) for "
        "generated and for test images: not comparable with one between Inception features.",
    )
)  # fmt: skip
