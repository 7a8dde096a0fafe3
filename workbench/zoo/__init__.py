"""Model architectures, one per file, with named activations."""
