"""Recipes of language models trained on preferences: supervised fine-tuning, reward model, PPO, DPO."""
