"""Generative models: how close samples are to data, and what each latent stands for."""
