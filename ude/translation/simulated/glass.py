"""Panes that mirror the day's sky: by night a car's windows and those of dark rooms are black instead of blue."""

from torch import Tensor

from .scene import Street

FIRST_BLUE, SURE_BLUE = 0.14, 0.26  # blueness at which a pixel may be glass, and is: white paint in the shade has 0.12


def glass_mask(image: Tensor, street: Street) -> Tensor:
    """How much a pixel mirrors the day's sky, 0..1 (H, W): upright, not far, and bluer than white paint in the shade.

    Blue paint counts as glass too; it is nearly black in the yellow light of lamps. Under a grey sky nothing does.

    Args:
        image: day frame (3, H, W) in [0, 1].
        street: geometry of the frame.
    """
    blueness = (image[2] - image[0]) / image[2].clamp(min=0.05)  # what is nearly black is not blue
    near = (2 - street.depth / 60).clamp(0, 1)  # haze is blue as well
    blue = ((blueness - FIRST_BLUE) / (SURE_BLUE - FIRST_BLUE)).clamp(0, 1)
    return blue * near * (1 - street.ground) * (1 - street.sky)
