"""Model inputs named by text, and the tensors they stand for."""
