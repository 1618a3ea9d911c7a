"""The networks of the benchmarks in PyTorch, and what its programs share. Exits with 3 where there is no torch."""
import contextlib
import re
import sys

import peer

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    print('this Python has no torch', file=sys.stderr)
    sys.exit(peer.NOT_HERE)


class Basic(nn.Module):
    """Two 3x3 convolutions."""
    growth = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width),
                                    nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, 1, 1, bias=False),
                                    nn.BatchNorm2d(width))
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1."""
    growth = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width),
                                    nn.ReLU(inplace=True), nn.Conv2d(width, width, 3, stride, 1, bias=False),
                                    nn.BatchNorm2d(width), nn.ReLU(inplace=True),
                                    nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))
        self.shortcut = shortcut(inputs, 4 * width, stride)

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x), inplace=True)


def shortcut(inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    stages = {'resnet18': (Basic, (2, 2, 2, 2)), 'resnet34': (Basic, (3, 4, 6, 3)),
              'resnet50': (Bottleneck, (3, 4, 6, 3)), 'resnet101': (Bottleneck, (3, 4, 23, 3))}

    def __init__(self, architecture, stem, width):
        super().__init__()
        block, counts = self.stages[architecture]
        channels = int(64 * width)
        if stem == 'cifar':
            layers = [nn.Conv2d(3, channels, 3, 1, 1, bias=False)]
        else:
            layers = [nn.Conv2d(3, channels, 7, 2, 3, bias=False)]
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        if stem == 'imagenet':
            layers.append(nn.MaxPool2d(3, 2, 1))
        inputs = channels
        for stage, count in enumerate(counts):
            for i in range(count):
                layers.append(block(inputs, channels << stage, 2 if stage and i == 0 else 1))
                inputs = block.growth * (channels << stage)
        self.layers = nn.Sequential(*layers)
        self.features = inputs

    def forward(self, x):
        return self.layers(x).mean((2, 3))


def add_arguments(p):
    p.add_argument('--layout', default='contiguous', choices=['contiguous', 'channels_last'])


def layout(a):
    return torch.channels_last if a.layout == 'channels_last' else torch.contiguous_format


def autocast(a):
    """A region in which convolutions and matrix products run in the precision asked for."""
    return torch.autocast('cpu', dtype=torch.bfloat16) if a.precision == 'bf16' else contextlib.nullcontext()


def begin(a):
    torch.set_num_threads(peer.threads(a))
    torch.manual_seed(1)


def versions():
    onednn = re.search(r'DNN v([0-9.]+)', torch.__config__.show())
    return {'library': 'PyTorch', 'version': torch.__version__, 'onednn': onednn.group(1) if onednn else 'none',
            'python': '.'.join(map(str, sys.version_info[:3])), 'threads': torch.get_num_threads()}


def describe(a, network, unit, per_step):
    return dict(versions(), unit=unit, per_step=per_step, precision=a.precision, architecture=a.arch, width=a.width,
                size=a.size, layout=a.layout, parameters=sum(p.numel() for p in network.parameters()))
