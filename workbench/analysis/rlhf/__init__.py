"""Effects of preference tuning: changed weights and activations, and which of them change the behaviour."""
