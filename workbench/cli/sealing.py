"""`workbench seal`: confirm intended changes of cards."""

from __future__ import annotations

from workbench.cli.writing import write


def seal_cards(*models: str) -> None:
    """Write the hash of a card that was changed on purpose, or that was written before cards had one.

    A card with another hash than its text is refused when it is read, since a bit of it may have flipped.

    Args:
        models: Names of trained models; without any, all of them.
    """
    from workbench.checkpoints.card import Card, model_folder, names, seal_card
    from workbench.checkpoints.store import check_parameters
    from workbench.experiments.data_needs import require_card_needs

    for name in models:
        model_folder(name)  # an unknown name is refused before any card is sealed
    for name in models or names():

        def check(card: Card, name: str = name) -> None:
            check_parameters(card)
            require_card_needs(card, name)

        card = seal_card(name, check)
        write(f"{name}: {card.title or card.architecture}, {len(card.metrics)} metrics, sealed")
