"""The depth network of monodepth2: a ResNet encoder and a U-Net decoder; weights of md4all and monodepth2 fit.

Source: monodepth2, https://arxiv.org/abs/1806.01260, section 4 and its supplementary table of layers.
"""

from torch import Tensor, nn

from .heads import plain_head
from .unet_decoder import decode


class ResnetUnet(nn.Module):
    """Images to four decoder maps at 1/1, 1/2, 1/4 and 1/8, and the last encoder map at 1/32.

    Args:
        name: name of the encoder in torchvision, resnet18 or resnet50.
    """

    WIDTHS = (16, 32, 64, 128, 256)
    """Channels of the decoder at 1/1, 1/2 ... 1/16."""

    SMALLEST = 33
    """Image side [px] below which the coarsest map has one row, which has nothing to mirror at its border."""

    head = staticmethod(plain_head)

    def __init__(self, name: str) -> None:
        import torchvision

        super().__init__()
        self.encoder = torchvision.models.get_model(name)
        last = self.encoder.fc.in_features
        self.encoder.avgpool = self.encoder.fc = nn.Identity()
        skips = (0, 64, last // 8, last // 4, last // 2)  # what joins the decoder at 1/1, 1/2 ... 1/16
        inputs = (*self.WIDTHS[1:], last)
        self.decoder = nn.ModuleDict(
            {
                "up": nn.ModuleList(_convolution(i, o) for i, o in zip(inputs, self.WIDTHS, strict=True)),
                "join": nn.ModuleList(_convolution(o + skip, o) for o, skip in zip(self.WIDTHS, skips, strict=True)),
            }
        )
        self.channels = self.WIDTHS[:4]
        self.feature_channels = last

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Feature maps, finest first, and encoder features (B, C, H / 32, W / 32) of normalised images (B, 3, H, W)."""
        if min(images.shape[-2:]) < self.SMALLEST:
            raise ValueError(f"images must have sides of at least {self.SMALLEST} px, got {tuple(images.shape[-2:])}")
        encoder = self.encoder
        skips = [images, encoder.relu(encoder.bn1(encoder.conv1(images)))]
        x = encoder.maxpool(skips[-1])
        for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
            skips.append(x := stage(x))
        features = skips.pop()
        return decode(self.decoder, skips, features), features


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect"), nn.ELU(inplace=True))
