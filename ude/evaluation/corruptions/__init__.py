"""The 15 common corruptions in 5 severities, and how robust a depth network is to them.

Source: Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261 (ImageNet-C), with the parameters published for
images of 224 x 224. RoboDepth (https://arxiv.org/abs/2310.15171) applies them to driving frames at the size of the
network's input and defines the scores; so do we. What differs:

- Lengths (radii of blur, streaks, flakes, displacements) are shares of the shorter side, the published ones times
  min(H, W) / 224, so that a severity means the same at every input size; RoboDepth takes them as they are, at 192 rows.
  Noise, pixelate and JPEG happen to pixels and are not scaled.
- Frost is a drawn texture instead of photographs; fog is made of octaves of value noise, not by diamonds and squares.
- Glass blur swaps pixels as far apart as the published code copies them, on both sides alike and in another order,
  see :func:`~.blur.glass_blur`.
- Elastic transform has no affine part, which would move the image away from its LiDAR depth; RoboDepth's has none.

Severities are the published ones, also where they are not in order: snow 3 is milder than snow 2.
"""

from .apply import CORRUPTIONS, SEVERITIES, VERSION, corrupt

__all__ = ["CORRUPTIONS", "SEVERITIES", "VERSION", "corrupt"]
