"""Generative models: quality of samples, and the meaning of latents."""
