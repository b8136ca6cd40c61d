"""Superpixels: regions of an image that keep to its edges."""

import numpy as np

_LARGEST = 2**16
"""Pixels of an image above which it is segmented at a fraction of its size: a region has hundreds of them anyway."""
_COMPACTNESS = 10.0
"""Weight of the distance in the image against that in colour, scikit-image's default; 0.1 to 100 are usual."""


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """Number of the superpixel of every pixel, int32 (H, W), from 0.

    Source: SLIC, https://doi.org/10.1109/TPAMI.2012.120, of scikit-image.

    Args:
        image: RGB in [0, 1], (H, W, 3).
        count: about how many there are to be; the algorithm makes fewer, never more than there are pixels.
    """
    from skimage.segmentation import slic

    height, width = image.shape[:2]
    step = 1
    while (height // step) * (width // step) > _LARGEST:
        step += 1
    rows, columns = height // step, width // step
    small = image[: rows * step, : columns * step].reshape(rows, step, columns, step, 3).mean((1, 3))
    labels = slic(small, n_segments=count, compactness=_COMPACTNESS, start_label=0)
    whole = labels.repeat(step, 0).repeat(step, 1)
    return np.pad(whole, ((0, height - rows * step), (0, width - columns * step)), mode="edge").astype(np.int32)
