"""The training that all image classifiers' recipes share."""

from __future__ import annotations

from workbench.checkpoints.card import DataSource
from workbench.core.hooked import HookedModel
from workbench.core.registry import DATASETS
from workbench.data.minibatches import Augment, minibatches
from workbench.recipes.recipe import Recipe, Session, Trained
from workbench.training.supervised import classification_metrics, train_classifier


def train_on_images(
    recipe: Recipe,
    model: HookedModel,
    session: Session,
    dataset: str,
    batch_size: int,
    augment: Augment | None = None,
    label_smoothing: float = 0.0,
) -> Trained:
    """Cross entropy on random mini-batches; accuracy over the whole test split."""
    data = DATASETS[dataset]()
    batch = minibatches(data, batch_size, recipe.seed, augment)
    test = (data.test_inputs, data.test_targets)
    curve = train_classifier(
        model, batch, recipe.training, test, label_smoothing, session.state, session.progress, session.keep
    )
    return Trained(curve, classification_metrics(model, *test), DataSource(data.name, data.sha256, data.note))
