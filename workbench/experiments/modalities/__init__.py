"""One file per modality: how inputs of that kind are written, read, corrupted, chosen and shown."""
