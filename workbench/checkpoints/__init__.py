"""Trained networks on disk: weights in safetensors, and a card with their origin."""
