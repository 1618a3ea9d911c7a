#!/usr/bin/env python3
"""Makes alexnet.txt: narrow AlexNets of DeepCluster and of CMC, forward and backward in double precision, for
tests/unit/test_alexnet.c.

    /usr/bin/python3 tests/golden/make_alexnet.py > tests/golden/alexnet.txt

Made with torch 1.13.1, as make_resnet_variants.py.
"""
import numpy as np
import torch
import torch.nn as nn

from make_resnet import golden_input
from make_resnet_variants import fill, run

LAYERS = ((11, 4, 2, 96, 1), (5, 1, 2, 256, 1), (3, 1, 1, 384, 0), (3, 1, 1, 384, 0), (3, 1, 1, 256, 1))


class AlexNet(nn.Module):
    def __init__(self, width, channels):
        super().__init__()
        layers, cin = [], channels
        for kernel, stride, padding, cout, pools in LAYERS:
            cout = int(cout * width + .5)
            layers += [nn.Conv2d(cin, cout, kernel, stride, padding), nn.BatchNorm2d(cout), nn.ReLU()]
            layers += [nn.MaxPool2d(3, 2)] if pools else []
            cin = cout
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        return self.features(x).mean((2, 3))


class Half(nn.Module):
    def __init__(self, width, channels, side):
        super().__init__()
        cin = channels
        for i, (kernel, stride, padding, cout, pools) in enumerate(LAYERS):
            cout = int(cout * width / 2 + .5)
            block = [nn.Conv2d(cin, cout, kernel, stride, padding, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]
            setattr(self, "conv_block_%d" % (i + 1), nn.Sequential(*block + ([nn.MaxPool2d(3, 2)] if pools else [])))
            cin = cout
        dim = int(2048 * width + .5)
        self.fc6 = nn.Sequential(nn.Linear(cin * side * side, dim), nn.BatchNorm1d(dim), nn.ReLU())
        self.fc7 = nn.Sequential(nn.Linear(dim, dim), nn.BatchNorm1d(dim), nn.ReLU())

    def forward(self, x):
        for i in range(5):
            x = getattr(self, "conv_block_%d" % (i + 1))(x)
        return self.fc7(self.fc6(x.view(x.shape[0], -1)))


def case(label, model, shape, train, first_seed=0):
    for seed in range(first_seed, first_seed + 200):
        fill(model, seed)
        for m in model.modules():
            if isinstance(m, nn.Linear):  # drawn around 1 like scales; smaller, and of both signs
                m.weight.data = ((m.weight.data - 1) * 4 / np.sqrt(m.in_features)).float().double()
        weights = {n: p.data.clone() for n, p in model.named_parameters()}
        model.train(train)
        rough = run(model, shape, torch.float32)[1]
        model.double()
        for m in model.modules():
            if hasattr(m, "reset_running_stats"):
                m.reset_running_stats()
        for n, p in model.named_parameters():
            p.data = weights[n]
        y, exact = run(model, shape, torch.float64)
        # The gradient of a bias in front of a norm that measures is 0: rounding is all there is.
        if all((a - b).norm() < 2e-5 * max(b.norm(), 1e-2) for (_, a), (_, b) in zip(rough, exact) if b.norm() > 1e-9):
            break
    else:
        raise SystemExit("no seed")
    print("case", label, *shape, seed, int(train))
    print("output", y.numel(), "%.9g" % y.norm().item(), *("%.9g" % v for v in y.flatten()[::13].tolist()))
    for index, (name, g) in enumerate(exact):
        along = float((g.flatten() * torch.from_numpy(golden_input(900 + index, g.numel()))).sum())
        print("gradient", name, "%.9g" % g.norm().item(), "%.9g" % along)
    print("end")


if __name__ == "__main__":
    print("# made by make_alexnet.py: torch %s" % torch.__version__)
    case("alexnet", AlexNet(.125, 2), (4, 2, 95, 95), True)
    case("half", Half(.25, 1, 2), (4, 1, 100, 100), True)
    case("half", Half(.25, 3, 1), (5, 3, 64, 64), False)
