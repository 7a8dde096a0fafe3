"""Data sets, tokenizers, batches and a user's own pictures; one source per file."""
