"""Training loops and the pure functions they are made of."""
