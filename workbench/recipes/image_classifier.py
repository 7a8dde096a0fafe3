"""The training that all image classifiers' recipes share."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.minibatches import Augment, minibatches
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.sanity import Lesson
from workbench.training.supervised import (
    channels_last,
    classification_metrics,
    smoothed_cross_entropy,
    train_classifier,
)


@dataclass(frozen=True)
class ImageClassification:
    """Cross entropy on random mini-batches of a data set; accuracy over its whole test split."""

    dataset: str
    """One of the registered data sets of images."""
    batch_size: int = 128
    augment: Augment | None = None
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    alternate: bool = False
    """Mirrors half of the pictures in even epochs and the other half in odd ones."""

    def __call__(self, recipe: Recipe, model: HookedModel, session: Session) -> Trained:
        data = DATASETS[self.dataset]()
        batch = minibatches(data, self.batch_size, recipe.seed, self.augment, self.alternate)
        test = (data.test_inputs, data.test_targets)
        curve = train_classifier(
            model, batch, recipe.training, test, self.label_smoothing, session.state, session.progress, session.keep
        )
        return Trained(curve, classification_metrics(model, *test), DataSource(data.name, data.sha256, data.note))

    def lesson(self, recipe: Recipe) -> Lesson:
        """Batches and loss of this training, for checks before it."""
        data = DATASETS[self.dataset]()
        batch = minibatches(data, self.batch_size, recipe.seed, self.augment, self.alternate)
        return Lesson(channels_last(batch), smoothed_cross_entropy(self.label_smoothing))
