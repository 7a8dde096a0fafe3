"""Training of image classifiers on augmented minibatches, and their accuracy on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.ranges import NonNegativeInt, PositiveInt, ShareBelowOne, check_fields
from workbench.core.registry import DATASETS
from workbench.data.images.image_data import ImageData, hold_out
from workbench.data.images.minibatches import Augment, minibatches
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.fit import Batch
from workbench.training.sanity import Lesson
from workbench.training.supervised import (
    classification_metrics,
    least_loss,
    smoothed_cross_entropy,
    to_channels_last,
    train_classifier,
)


@dataclass(frozen=True)
class ImageClassification:
    """Cross entropy on random minibatches of a data set; accuracy on its whole test split."""

    kind: ClassVar[type] = ImageData
    """Type of the data sets that it can read."""

    dataset: str
    """Name of a registered image data set."""
    batch_size: PositiveInt = 128
    augment: Augment | None = None
    finish: Augment | None = None
    """Augmentation of the last `finish_steps`, in place of `augment`."""
    finish_steps: NonNegativeInt = 0
    label_smoothing: ShareBelowOne = 0.0
    """Share of the target that is spread over all classes."""
    alternate: bool = False
    """Mirror half of the images in even epochs and the other half in odd ones."""
    held_out: ShareBelowOne = 0.0
    """Share of the training set that replaces the test set, for choosing settings."""

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        data = self.data()
        batch = self.batches(recipe, data)
        test = (data.test_inputs, data.test_targets)
        curve = train_classifier(
            model, batch, recipe.training, test, self.label_smoothing, session.state, session.progress, session.keep
        )
        return Trained(curve, classification_metrics(model, *test), DataSource(data.name, data.sha256, data.note))

    def batches(self, recipe: Recipe, data: ImageData) -> Batch:
        """Return the function from a step to its batch."""
        first, last = (
            minibatches(data, self.batch_size, recipe.seed, augment, self.alternate)
            for augment in (self.augment, self.finish)
        )
        begin = recipe.training.steps - self.finish_steps
        return lambda step: (first if step < begin else last)(step)

    def data(self) -> ImageData:
        """Load the training and test images."""
        data = DATASETS[self.dataset]()
        return hold_out(data, self.held_out) if self.held_out else data

    def lesson(self, recipe: Recipe) -> Lesson:
        """Return batches and loss of this training, for checks before it."""
        data = self.data()
        batch = self.batches(recipe, data)
        loss, floor = (
            smoothed_cross_entropy(self.label_smoothing),
            least_loss(self.label_smoothing, len(data.class_names)),
        )
        return Lesson(to_channels_last(batch), loss, floor)
