"""The last layers of a depth network: from features to the logit of the disparity."""

from torch import nn


def hidden_head(channels: int) -> nn.Sequential:
    """A logit map from features, through one hidden layer."""
    hidden = max(8, channels // 2)
    # ELU: behind a ReLU every pixel whose hidden units are off would share one depth and get no gradient
    return nn.Sequential(nn.Conv2d(channels, hidden, 3, padding=1), nn.ELU(), nn.Conv2d(hidden, 1, 3, padding=1))


def plain_head(channels: int) -> nn.Sequential:
    """A logit map from features by one convolution on a mirrored border, as in monodepth2."""
    return nn.Sequential(nn.Conv2d(channels, 1, 3, padding=1, padding_mode="reflect"))
