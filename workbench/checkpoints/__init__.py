"""Trained networks on disk: weights without pickles, and a card that says where they came from."""
