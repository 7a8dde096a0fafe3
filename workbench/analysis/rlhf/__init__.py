"""Effects of preference tuning: changes of weights, activations and next-token distributions."""
