"""One file per modality: sources, readers, corruption, presets, views and forms of one kind of inputs."""
