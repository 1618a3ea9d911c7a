#!/usr/bin/env python3
"""Makes resnet_variants.txt: small ResNets with other norms, stems and orders of layers than torchvision's, forward and
backward in double precision, for tests/unit/test_resnet_variants.c.

    /usr/bin/python3 tests/golden/make_resnet_variants.py > tests/golden/resnet_variants.txt

Made with torch 1.13.1. Drawn and written as in make_resnet.py, but weights are drawn in the order of the lines that hold
their gradients, and of a seed: with others a value at a ReLU's kink falls to its other side in float32, so seeds are
tried from the given one on until PyTorch's float32 stays within 2e-5 of these results.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from make_resnet import golden_input

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def norm_layer(o, channels):
    if o["norm"] == "none":
        return nn.Identity()
    if o["norm"] == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(32 if o["norm"] == "group" else 1, channels)


def conv(o, cin, cout, kernel, stride):
    return nn.Conv2d(cin, cout, kernel, stride, (kernel - 1) // 2, bias=o["norm"] == "none")


class Block(nn.Module):
    """He et al.: the norm behind each convolution; v2: norm and ReLU before it, and a projection without norm."""

    def __init__(self, o, cin, planes, stride, first):
        super().__init__()
        deep = o["depth"] >= 50
        self.cout = planes * (4 if deep else 1)
        self.v2 = o["preactivation"]
        sizes = [(cin, planes, 1, 1), (planes, planes, 3, stride), (planes, self.cout, 1, 1)] if deep else \
            [(cin, planes, 3, stride), (planes, planes, 3, 1)]
        self.count = len(sizes)
        for i, size in enumerate(sizes):
            setattr(self, "conv%d" % (i + 1), conv(o, *size))
            setattr(self, "bn%d" % (i + 1), norm_layer(o, size[0] if self.v2 else size[1]))
        self.downsample = None
        if stride != 1 or cin != self.cout or (first and o["project_all"]):
            parts = [conv(o, cin, self.cout, 1, stride)]
            self.downsample = nn.Sequential(*parts + ([] if self.v2 else [norm_layer(o, self.cout)]))

    def layer(self, i):
        return getattr(self, "conv%d" % i), getattr(self, "bn%d" % i)

    def forward(self, x):
        y = side = x
        if self.v2:
            side = F.relu(self.bn1(x))
            for i in range(1, self.count + 1):
                c, n = self.layer(i)
                y = c(F.relu(n(y)))
            return y + (x if self.downsample is None else self.downsample(side))
        for i in range(1, self.count + 1):
            c, n = self.layer(i)
            y = n(c(y))
            y = F.relu(y) if i < self.count else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        planes = cin = int(64 * o["width"] + .5)
        kernel, stride = {"imagenet": (7, 2), "cifar": (3, 1), "gim": (5, 1)}[o["stem"]]
        self.conv1 = conv(o, 3, cin, kernel, stride)
        self.bn1 = nn.Identity() if o["preactivation"] else norm_layer(o, cin)
        layers = []
        for stage in range((o["num_stages"] or 5) - 1):
            blocks = []
            for i in range(BLOCKS[o["depth"]][stage]):
                blocks.append(Block(o, cin, planes << stage, 2 if i == 0 and stage else 1, i == 0))
                cin = blocks[-1].cout
            setattr(self, "layer%d" % (stage + 1), nn.Sequential(*blocks))
            layers.append(blocks)
        self.layers = layers
        self.norm = norm_layer(o, cin) if o["preactivation"] else None

    def forward(self, x):
        x = self.bn1(self.conv1(x))
        x = x if self.o["preactivation"] else F.relu(x)
        if self.o["stem"] == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for blocks in self.layers:
            for block in blocks:
                x = block(x)
        return (x if self.norm is None else F.relu(self.norm(x))).mean((2, 3))


def fill(model, seed):
    for index, (name, p) in enumerate(model.named_parameters()):
        v = torch.from_numpy(golden_input(1000 * seed + 100 + index, p.numel())).reshape(p.shape)
        if p.dim() == 4:
            fan_out = p.shape[0] * p.shape[2] * p.shape[3]
            p.data = v * np.float64(np.float32(np.sqrt(12.0 / fan_out)))
        elif name.endswith("weight"):
            p.data = 1 + v * 0.25
        else:
            p.data = v * 0.25
        p.data = p.data.float().double()


def run(model, shape, dtype):
    model = model.to(dtype)
    x = torch.from_numpy(4 * golden_input(3, int(np.prod(shape))).reshape(shape)).to(dtype).requires_grad_(True)
    model.zero_grad()
    y = model(x)
    y.backward(torch.from_numpy(golden_input(2, y.numel()).reshape(y.shape)).to(dtype))
    return y, [("input", x.grad.double())] + [(n, p.grad.double()) for n, p in model.named_parameters()]


def case(shape, first_seed=0, **given):
    o = dict(depth=18, width=.125, stem="cifar", norm="batch", preactivation=0, project_all=0, num_stages=0, train=1)
    o.update(given)
    for seed in range(first_seed, first_seed + 200):
        model = ResNet(o).train(bool(o["train"]))
        fill(model, seed)
        state = {n: b.clone() for n, b in model.named_buffers()}
        _, rough = run(model, shape, torch.float32)
        model = model.double()
        fill(model, seed)
        for n, b in model.named_buffers():
            b.copy_(state[n])
        y, exact = run(model, shape, torch.float64)
        if all((a - b).norm() < 2e-5 * max(b.norm(), 1e-2) for (_, a), (_, b) in zip(rough, exact)):
            break
    else:
        raise SystemExit("no seed")
    print("case", *shape, seed, *("%s %s" % (k, o[k]) for k in sorted(o)))
    print("output", y.numel(), "%.9g" % y.norm().item(), *("%.9g" % v for v in y.flatten()[::13].tolist()))
    for index, (name, g) in enumerate(exact):
        along = float((g.flatten() * torch.from_numpy(golden_input(900 + index, g.numel()))).sum())
        print("gradient", name, "%.9g" % g.norm().item(), "%.9g" % along)
    print("end")


if __name__ == "__main__":
    print("# made by make_resnet_variants.py: torch %s" % torch.__version__)
    small = (3, 3, 16, 16)
    case(small, norm="none")
    case(small, norm="none", stem="imagenet", depth=50)
    case(small, norm="group", width=.5)
    case(small, norm="layer")
    case(small, norm="layer", stem="imagenet", depth=50, num_stages=3, train=0)
    case((5, 3, 8, 8), norm="none", stem="gim", preactivation=1, num_stages=4)
    case((5, 3, 8, 8), norm="none", stem="gim", preactivation=1, num_stages=4, depth=34, train=0)
    case((5, 3, 8, 8), norm="none", stem="gim", preactivation=1, num_stages=4, depth=50)
    case(small, norm="batch", preactivation=1)
    case(small, 1, norm="group", preactivation=1, width=.5, num_stages=3, depth=50)
    case(small, norm="layer", preactivation=1, project_all=1)
    case(small, norm="batch", project_all=1)
    case(small, norm="batch", stem="gim", num_stages=2, train=0)
    case(small, norm="none", num_stages=1)
