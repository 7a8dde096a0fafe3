"""Learning from preferences: reward models, PPO with a KL penalty, DPO, best of n."""
