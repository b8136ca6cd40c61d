"""Training of the generative translator: parts of a pretrained one, or a small one from scratch."""
