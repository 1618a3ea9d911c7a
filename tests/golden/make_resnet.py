#!/usr/bin/env python3
"""Makes resnet.txt: forward and backward of torchvision's ResNets in double precision, for tests/unit/test_resnet.c.

    /usr/bin/python3 tests/golden/make_resnet.py > tests/golden/resnet.txt

Made with torch 1.13.1 and torchvision 0.14.1. Weights, images and output gradients are drawn by the generator of golden
inputs (tests/unit/support.h), so the file holds results only. Of each gradient it holds the L2 norm and the product
with another drawn array: a difference anywhere shows in one of them. Weights and images are such that float32 in
PyTorch stays within 2e-5 of these results; with others a value at a ReLU's kink may fall to its other side.
"""
import sys

import numpy as np
import torch
import torchvision


def golden_input(seed, count):
    """s <- (1103515245 s + 12345) mod 2^31 from 1000 seed + 7, value s / 2^31 - 0.5; by doubling: A_2n = A_n^2 ..."""
    mask = np.uint64(2**31 - 1)
    a, c = np.array([1103515245], np.uint64), np.array([12345], np.uint64)
    while len(a) < count:  # a[i], c[i]: i + 1 steps at once
        a, c = np.concatenate([a, a * a[-1] & mask]), np.concatenate([c, a * c[-1] + c & mask])
    s = a[:count] * np.uint64(1000 * seed + 7) + c[:count] & mask
    return (s.astype(np.float64) / 2**31 - 0.5).astype(np.float32).astype(np.float64)


def fill(model):
    last = "bn3.weight" if hasattr(model.layer1[0], "bn3") else "bn2.weight"
    for index, (name, p) in enumerate(model.named_parameters()):
        v = torch.from_numpy(golden_input(100 + index, p.numel())).reshape(p.shape)
        if p.dim() == 4:
            fan_out = p.shape[0] * p.shape[2] * p.shape[3]
            p.data = v * np.float64(np.float32(np.sqrt(24.0 / fan_out)))  # uniform of Kaiming's variance
        elif name.endswith("weight"):  # small at the end of blocks: deep networks stay well conditioned
            p.data = (0.25 if name.endswith(last) else 1) + v * 0.25
        else:
            p.data = v * 0.25
        p.data = p.data.float().double()


def case(label, make, cifar, shape, train):
    model = make(weights=None)
    if cifar:
        model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = torch.nn.Identity()
    model.fc = torch.nn.Identity()
    model = model.double()
    fill(model)
    model.train(train)
    x = torch.from_numpy(4 * golden_input(3, int(np.prod(shape))).reshape(shape)).requires_grad_(True)
    y = model(x)
    y.backward(torch.from_numpy(golden_input(2, y.numel()).reshape(y.shape)))
    print("case", label, *shape, int(train))
    print("output", "%.9g" % y.norm().item(), *("%.9g" % v for v in y.flatten()[::97].tolist()))
    for index, (name, p) in enumerate([("input", x)] + list(model.named_parameters())):
        along = float((p.grad.flatten() * torch.from_numpy(golden_input(900 + index, p.numel()))).sum())
        print("gradient", name, "%.9g" % p.grad.norm().item(), "%.9g" % along)
    if train:
        for name, b in model.named_buffers():
            if "running" in name:
                print("buffer", name, "%.9g" % b.norm().item())
    print("end")


if __name__ == "__main__":
    print("# made by make_resnet.py: torch %s, torchvision %s" % (torch.__version__, torchvision.__version__))
    assert abs(golden_input(1, 4)[3] + 0.23477363) < 1e-7
    models = torchvision.models
    case("resnet18", models.resnet18, True, (4, 3, 32, 32), True)
    case("resnet18", models.resnet18, False, (2, 3, 64, 48), False)
    case("resnet50", models.resnet50, False, (2, 3, 64, 64), True)
    sys.stdout.flush()
