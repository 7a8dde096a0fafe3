"""Image data sets, their augmentation and their minibatches."""
