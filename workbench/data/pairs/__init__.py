"""Data sets of source and target sequences for encoder-decoders."""
