"""The published photometric objective once more, as plainly as it can be written: NumPy, float64, loops over pixels.

From the formulas of monodepth2 (https://arxiv.org/abs/1806.01260, equations 1-5) and of SSIM; no code is ude's.
Arrays are (C, H, W) images, (H, W) inverse depths, 3 x 3 K and 4 x 4 transforms, of one sample.
"""

import numpy as np


def ssim_term(a, b, y, x):
    """(1 - SSIM) / 2 of two (H + 2, W + 2) planes with a reflected border, at one pixel."""
    p, q = a[y : y + 3, x : x + 3], b[y : y + 3, x : x + 3]
    covariance = ((p - p.mean()) * (q - q.mean())).mean()
    ssim = (2 * p.mean() * q.mean() + 1e-4) * (2 * covariance + 9e-4)
    ssim /= (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var() + q.var() + 9e-4)
    return np.clip((1 - ssim) / 2, 0, 1)


def photometric_error(a, b, weight=0.85):
    """Error (H, W) of two images."""
    a, b = (np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1)), mode="reflect") for x in (a, b))
    error = np.zeros((a.shape[1] - 2, a.shape[2] - 2))
    for y, x in np.ndindex(*error.shape):
        for p, q in zip(a, b, strict=True):
            error[y, x] += weight * ssim_term(p, q, y, x) + (1 - weight) * abs(p[y + 1, x + 1] - q[y + 1, x + 1])
    return error / len(a)


def bilinear(plane, y, x):
    """Value of a plane between its pixels; outside, that of the nearest place inside."""
    y, x = np.clip(y, 0, plane.shape[0] - 1), np.clip(x, 0, plane.shape[1] - 1)
    top, left = min(int(y), plane.shape[0] - 2), min(int(x), plane.shape[1] - 2)
    fy, fx = y - top, x - left
    rows = plane[top : top + 2, left] * (1 - fx) + plane[top : top + 2, left + 1] * fx
    return rows[0] * (1 - fy) + rows[1] * fy


def enlarged(plane, size):
    """A plane at another size, pixel centres half a pixel from the border at both."""
    sy, sx = plane.shape[0] / size[0], plane.shape[1] / size[1]
    return np.array(
        [[bilinear(plane, (y + 0.5) * sy - 0.5, (x + 0.5) * sx - 0.5) for x in range(size[1])] for y in range(size[0])]
    )


def warped(source, inverse_depth, K, T_source_target, min_z=1e-3):
    """The source image seen from the target: every pixel is lifted to its depth, moved, and projected."""
    out = np.zeros_like(source)
    for v, u in np.ndindex(*inverse_depth.shape):
        point = np.linalg.inv(K) @ np.array([u, v, 1.0]) / inverse_depth[v, u]
        moved = K @ (T_source_target @ np.append(point, 1.0))[:3]
        x, y = moved[:2] / max(moved[2], min_z)
        out[:, v, u] = [bilinear(plane, y, x) for plane in source]
    return out


def reprojection_loss(inverse_depths, target, sources, K, transforms, automask=True):
    """Mean over scales and pixels of the smallest error over the warped sources, and the unwarped where they win."""
    identity = np.min([photometric_error(source, target) for source in sources], 0)
    losses = []
    for inverse_depth in inverse_depths:
        full = enlarged(inverse_depth, target.shape[1:])
        errors = [photometric_error(warped(s, full, K, T), target) for s, T in zip(sources, transforms, strict=True)]
        smallest = np.min(errors, 0)
        losses.append(np.minimum(smallest, identity).mean() if automask else smallest.mean())
    return np.mean(losses)


def smoothness_loss(inverse_depths, images):
    """Edge-aware smoothness; ``images`` holds the image at the size of every scale."""
    losses = []
    for scale, (inverse_depth, image) in enumerate(zip(inverse_depths, images, strict=True)):
        d = inverse_depth / inverse_depth.mean()
        along_x = np.abs(np.diff(d, axis=1)) * np.exp(-np.abs(np.diff(image, axis=2)).mean(0))
        along_y = np.abs(np.diff(d, axis=0)) * np.exp(-np.abs(np.diff(image, axis=1)).mean(0))
        losses.append((along_x.mean() + along_y.mean()) / 2**scale)
    return np.mean(losses)
