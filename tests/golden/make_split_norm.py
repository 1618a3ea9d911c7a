#!/usr/bin/env python3
"""Makes split_norm.txt: one residual block with split batch norm in PyTorch, in double, for tests/unit/test_split_norm.c.

    /usr/bin/python3 tests/golden/make_split_norm.py > tests/golden/split_norm.txt

Made with torch 1.13.1. The norm is that of MoCo's CIFAR notebook (facebookresearch/moco): the batch (N, C, H, W) is seen
as (N / s, s C, H, W). Weights, images and the output's gradient are drawn by the generator of golden inputs
(tests/unit/support.h), so the file holds results only.
"""
import numpy as np
import torch
import torch.nn.functional as F

BATCH, CHANNELS, WIDTH, HEIGHT, SPLITS = 6, 4, 8, 7, 3


def golden_input(seed, count):
    values, s = [], 1000 * seed + 7
    for _ in range(count):
        s = (1103515245 * s + 12345) % 2**31
        values.append(np.float32(s / 2**31 - 0.5))
    return torch.tensor(np.array(values, np.float64))


class SplitNorm(torch.nn.BatchNorm2d):
    def forward(self, x):
        n, c, h, w = x.shape
        mean, variance = self.running_mean.repeat(SPLITS), self.running_var.repeat(SPLITS)
        y = F.batch_norm(x.view(-1, c * SPLITS, h, w), mean, variance, self.weight.repeat(SPLITS),
                         self.bias.repeat(SPLITS), True, self.momentum, self.eps).view(n, c, h, w)
        self.running_mean.data.copy_(mean.view(SPLITS, c).mean(dim=0))
        self.running_var.data.copy_(variance.view(SPLITS, c).mean(dim=0))
        return y


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(CHANNELS, WIDTH, 3, 2, 1, bias=False)
        self.bn1 = SplitNorm(WIDTH)
        self.conv2 = torch.nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, bias=False)
        self.bn2 = SplitNorm(WIDTH)
        self.side = torch.nn.Conv2d(CHANNELS, WIDTH, 1, 2, bias=False)
        self.side_bn = SplitNorm(WIDTH)

    def forward(self, x):
        a = self.bn1(self.conv1(x))
        b = self.bn2(self.conv2(F.relu(a))) + self.side_bn(self.side(x))
        self.margin = min(a.abs().min().item(), b.abs().min().item())  # from a ReLU's kink
        return F.relu(b)


def show(what, name, values):
    print(what, name, values.numel(), *("%.9g" % v for v in values.flatten().tolist()))


if __name__ == "__main__":
    block = Block().double()
    for index, (name, p) in enumerate(block.named_parameters()):
        v = golden_input(100 + index, p.numel()).reshape(p.shape)
        p.data = 1 + v if "bn" in name and name.endswith("weight") else v
    x = golden_input(3, BATCH * CHANNELS * HEIGHT * HEIGHT).reshape(BATCH, CHANNELS, HEIGHT, HEIGHT)
    x = (4 * x).requires_grad_(True)
    y = block(x)
    assert block.margin > 1e-5, block.margin
    y.backward(golden_input(2, y.numel()).reshape(y.shape))
    print("# made by make_split_norm.py: torch %s" % torch.__version__)
    show("output", "y", y)
    show("input", "x", x.grad)
    for name, p in block.named_parameters():
        show("gradient", name, p.grad)
    for name, b in block.named_buffers():
        if "running" in name:
            show("buffer", name, b)
