"""Learning from preferences: completions of prompts, reward models, PPO with a KL penalty, DPO, best of n."""
