"""Data: frames of recorded drives, their translations, and the samples and batches made of them."""
