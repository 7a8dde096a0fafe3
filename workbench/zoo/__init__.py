"""Architectures: one file each, every activation named, every model trained in this repository."""
