"""Recipes of generative adversarial networks and variational autoencoders on images."""
