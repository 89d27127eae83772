"""The two networks. Plain convolutions only, so that any ONNX engine runs them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLASS_COUNT = 37


def conv(cin: int, cout: int, k: int | tuple[int, int] = 3, stride: int = 1, pad: int | tuple[int, int] | None = None) -> nn.Sequential:
    if pad is None:
        pad = k // 2 if isinstance(k, int) else (k[0] // 2, k[1] // 2)
    return nn.Sequential(nn.Conv2d(cin, cout, k, stride, pad, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Reader(nn.Module):
    """1x48x144 -> 36 steps of 37 logits (CTC, class 0 is the blank)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(1, 24, 3, 2),  # 24x72
            conv(24, 32),
            nn.MaxPool2d(2),  # 12x36
            conv(32, 64),
            conv(64, 64),
            nn.MaxPool2d((2, 1)),  # 6x36
            conv(64, 96),
            conv(96, 96),
            nn.MaxPool2d((2, 1)),  # 3x36
            conv(96, 96),
            conv(96, 96, (3, 1), 1, (0, 0)),  # 1x36: the rows come together
            conv(96, 96, (1, 5)),
            nn.Dropout(0.1),
        )
        # A wide look along the plate tells a separator from a character by the rhythm.
        self.context = conv(96, 48, (1, 9))
        self.head = nn.Conv2d(96 + 48, CLASS_COUNT, 1)

    def forward(self, x: Tensor) -> Tensor:
        f = self.body(x)
        y = self.head(torch.cat([f, self.context(f)], 1))  # N x 37 x 1 x 36
        return y.squeeze(2).transpose(1, 2)  # N x 36 x 37


class Finder(nn.Module):
    """1xHxW (sides multiples of 32) -> a map of 9 channels at stride 8 and one at stride 32.

    Channel 0 is the logit that a plate's middle lies in the cell, channels 1 to 8
    are the corners (x, y of top left, top right, bottom right, bottom left) from
    the cell's middle in cells.
    """

    def __init__(self) -> None:
        super().__init__()
        self.s4 = nn.Sequential(conv(1, 16, 3, 2), conv(16, 24, 3, 2), conv(24, 24))
        self.s8 = nn.Sequential(conv(24, 48, 3, 2), conv(48, 48))
        self.s16 = nn.Sequential(conv(48, 80, 3, 2), conv(80, 80))
        self.s32 = nn.Sequential(conv(80, 96, 3, 2), conv(96, 96))
        self.up16 = conv(96 + 80, 64, 1)
        self.mix16 = conv(64, 64)
        self.up8 = conv(64 + 48, 48, 1)
        self.small = nn.Sequential(conv(48, 64), conv(64, 48), nn.Conv2d(48, 9, 1))
        self.large = nn.Sequential(conv(96, 96), nn.Conv2d(96, 9, 1))
        for head in (self.small, self.large):
            bias = head[-1].bias
            assert isinstance(bias, Tensor)
            nn.init.zeros_(bias)
            with torch.no_grad():
                bias[0] = -4.0  # plates are rare

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        c8 = self.s8(self.s4(x))
        c16 = self.s16(c8)
        c32 = self.s32(c16)
        u16 = self.mix16(self.up16(torch.cat([nn.functional.interpolate(c32, scale_factor=2.0, mode="nearest"), c16], 1)))
        u8 = self.up8(torch.cat([nn.functional.interpolate(u16, scale_factor=2.0, mode="nearest"), c8], 1))
        return self.small(u8), self.large(c32)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
