"""Cameras, poses and view synthesis: every coordinate convention of the project, stated once.

Conventions:
    Camera frame: OpenCV, x right, y down, z forward, metres. Depth is z, not ray length.
    Transforms: ``T_b_a`` maps points of frame a into frame b, ``p_b = T_b_a @ p_a``; in a product the inner names
        cancel, ``T_c_a = T_c_b @ T_b_a``. View synthesis needs ``T_source_target``.
    Pixels: (u, v) = (column, row), integers at pixel centres, so an image covers [-0.5, W - 0.5] x [-0.5, H - 0.5].
        Resizing by a factor s moves a coordinate c to ``(c + 0.5) * s - 0.5``; cropping subtracts the corner.
        Sampling uses ``align_corners=True`` on a (W - 1) grid, which is exact for these pixels.
    Sizes: always (height, width).
    Depth ranges: disparity is a sigmoid output in (0, 1); inverse_depth is 1/m, between 1/max_depth and 1/min_depth.
    Points nearer to the camera plane than ``MIN_Z`` are invalid; they are never mirrored into the image.
    Precision: float32 (or float64 where the caller gives it), whatever autocast says.
"""

import torch
from kornia.core.check import KORNIA_CHECK_SHAPE
from kornia.geometry.conversions import Rt_to_matrix4x4, axis_angle_to_rotation_matrix
from torch import Tensor
from torch.nn import functional as F

MIN_Z = 1e-3
"""Points with a smaller z [m] lie behind or in the camera plane."""


def inverse_depth_from_disparity(disparity: Tensor, *, min_depth: float, max_depth: float) -> Tensor:
    """Inverse depth [1/m] of a sigmoid output: 0 lies at max_depth [m], 1 at min_depth [m]; any shape."""
    return 1 / max_depth + (1 / min_depth - 1 / max_depth) * disparity


def disparity_from_depth(depth: float, *, min_depth: float, max_depth: float) -> float:
    """Sigmoid output in (0, 1) that stands for a depth [m]: the inverse of :func:`inverse_depth_from_disparity`."""
    return (1 / depth - 1 / max_depth) / (1 / min_depth - 1 / max_depth)


def resize_intrinsics(K: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]) -> Tensor:
    """Intrinsics of the image after resizing it, half a pixel beyond the outer pixel centres kept in place.

    Args:
        K: intrinsics at ``from_size`` [px], (..., 3, 3).
        from_size: (height, width) that K belongs to [px].
        to_size: (height, width) after resizing [px].

    Returns:
        Intrinsics [px], (..., 3, 3).
    """
    scale_y, scale_x = to_size[0] / from_size[0], to_size[1] / from_size[1]
    resize = K.new_tensor([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]])
    return resize @ K


def crop_intrinsics(K: Tensor, top: int, left: int) -> Tensor:
    """Intrinsics (..., 3, 3) of the image whose first row and column are ``top`` and ``left`` [px] of the old one."""
    shift = K.new_tensor([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    return shift @ K


def transform_from_axis_angle(axis_angle: Tensor, translation: Tensor) -> Tensor:
    """Rigid transforms (B, 4, 4) of rotation vectors [rad] (B, 3) and translations [m] (B, 3), in float32."""
    KORNIA_CHECK_SHAPE(axis_angle, ["B", "3"])
    KORNIA_CHECK_SHAPE(translation, ["B", "3"])
    return Rt_to_matrix4x4(axis_angle_to_rotation_matrix(axis_angle.float()), translation.float()[..., None])


def at_least_float32(values: Tensor) -> Tensor:
    """Values of half precision in float32; float32 and float64 stay what they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def project_depth(depth: Tensor, K: Tensor, T_source_target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the pixels of the target view land in the source view, and their depth there.

    With pixel p and depth D the source pixel is ``D K R K^-1 p + K t``: one 3 x 3 matrix per image, whose rays are
    affine in u and v, so that no matrix is multiplied per pixel.

    Args:
        depth: depth of the target view [m], (B, 1, H, W).
        K: intrinsics of both views [px], (B, 3, 3).
        T_source_target: maps target-camera points to the source camera, (B, 4, 4).

    Returns:
        Source column u [px], source row v [px] and z in the source camera [m], (B, 1, H, W) each.
    """
    KORNIA_CHECK_SHAPE(depth, ["B", "1", "H", "W"])
    KORNIA_CHECK_SHAPE(K, ["B", "3", "3"])
    KORNIA_CHECK_SHAPE(T_source_target, ["B", "4", "4"])
    homography = (K @ T_source_target[:, :3, :3] @ _inverse(K))[..., None, None, None]  # (B, 3, 3, 1, 1, 1)
    shift = (K @ T_source_target[:, :3, 3:])[..., None, None]  # (B, 3, 1, 1, 1)
    u = torch.arange(depth.shape[-1], device=depth.device, dtype=depth.dtype)
    v = torch.arange(depth.shape[-2], device=depth.device, dtype=depth.dtype)[:, None]
    x, y, z = (
        (homography[:, i, 0] * u + (homography[:, i, 1] * v + homography[:, i, 2])) * depth + shift[:, i]
        for i in range(3)
    )
    scale = 1 / z.clamp(min=MIN_Z)
    return x * scale, y * scale, z


def sample_image(image: Tensor, u: Tensor, v: Tensor, *, padding_mode: str = "border") -> Tensor:
    """Bilinear values (B, C, H, W) of an image (B, C, H', W') at its columns u and rows v [px], (B, 1, H, W) each.

    Args:
        image: what is read.
        u: columns [px].
        v: rows [px].
        padding_mode: ``border`` or ``zeros``, what to read outside the image.
    """
    height, width = image.shape[-2:]
    if torch.compiler.is_compiling() and padding_mode == "border" and not image.requires_grad:
        return _gathered(image, u.clamp(0, width - 1), v.clamp(0, height - 1))
    grid = torch.cat([u * (2 / (width - 1)) - 1, v * (2 / (height - 1)) - 1], 1).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, padding_mode=padding_mode, align_corners=True)


def view_synthesis(
    source: Tensor, depth: Tensor, K: Tensor, T_source_target: Tensor, *, padding_mode: str = "border"
) -> tuple[Tensor, Tensor]:
    """The target view painted with the colours of a source view, and where that is possible.

    Args:
        source: source image (B, C, H, W).
        depth: depth of the target view [m], (B, 1, H, W).
        K: intrinsics of both views at (H, W) [px], (B, 3, 3).
        T_source_target: maps target-camera points to the source camera, (B, 4, 4).
        padding_mode: ``border`` or ``zeros``, what to read outside the source image.

    Returns:
        Synthesised target image (B, C, H, W), and a bool map (B, 1, H, W), true where the point lies in front of
        the source camera and inside its image.
    """
    height, width = source.shape[-2:]
    with torch.autocast(source.device.type, enabled=False):
        u, v, z = project_depth(depth, K, T_source_target)
        image = sample_image(source.to(u.dtype), u, v, padding_mode=padding_mode)
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    return image, inside & (z > MIN_Z)


def _inverse(matrices: Tensor) -> Tensor:
    """Inverse matrices; unlike ``inv`` it does not wait for the device to hear whether there is one."""
    return torch.linalg.inv_ex(matrices).inverse


def _gathered(image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """:func:`sample_image` inside of the image, in a form that the compiler fuses with what comes before and after."""
    width, channels = image.shape[-1], image.shape[1]
    left = u.detach().floor().nan_to_num().clamp(max=width - 2)  # no index may come of a coordinate that is NaN
    top = v.detach().floor().nan_to_num().clamp(max=image.shape[-2] - 2)
    index = (top * width + left).long().flatten(2)  # (B, 1, H * W)
    flat = image.flatten(2)

    def corner(offset: int) -> Tensor:
        return flat.gather(2, (index + offset).expand(-1, channels, -1)).unflatten(2, u.shape[-2:])

    upper = torch.lerp(corner(0), corner(1), u - left)
    lower = torch.lerp(corner(width), corner(width + 1), u - left)
    return torch.lerp(upper, lower, v - top)
