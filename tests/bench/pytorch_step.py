#!/usr/bin/env python3
"""The training step of step.c in PyTorch: same network, shapes, loss and optimizer.

    pytorch_step.py [--layout contiguous] [--malloc tuned] [--steps 7] [--serve] ...

Network ResNet with a CIFAR or ImageNet stem, projection head D -> D -> 128 with batch norm behind both layers; NT-Xent
over two views; SGD with momentum and weight decay; float32. The views are made beforehand and, for channels_last, are
already in that layout.

--malloc tuned sets glibc's MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_ and MALLOC_TOP_PAD_ so high that buffers stay
with the process from step to step instead of going back to the system, which costs PyTorch much of its time.

With --serve it answers commands as step.c does. When the Python that runs it has no torch, it looks for one that has:
the variable TORCH_PYTHON, python3, /usr/bin/python3. Exit status 3: there is none.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

TUNED = {'MALLOC_MMAP_THRESHOLD_': '4000000000', 'MALLOC_TRIM_THRESHOLD_': '8000000000',
         'MALLOC_TOP_PAD_': '500000000'}
NO_TORCH = 3


def arguments():
    p = argparse.ArgumentParser(description='one training step in PyTorch')
    p.add_argument('--arch', default='resnet18', choices=['resnet18', 'resnet34', 'resnet50', 'resnet101'])
    p.add_argument('--stem', default='cifar', choices=['cifar', 'imagenet'])
    p.add_argument('--batch', type=int, default=128, help='images a step, two views each')
    p.add_argument('--size', type=int, default=32)
    p.add_argument('--width', type=float, default=1.0)
    p.add_argument('--steps', type=int, default=7)
    p.add_argument('--threads', type=int, default=0, help='0: the processors that this process may use')
    p.add_argument('--layout', default='contiguous', choices=['contiguous', 'channels_last'])
    p.add_argument('--malloc', default='as-is', choices=['as-is', 'tuned', 'default'])
    p.add_argument('--json', action='store_true')
    p.add_argument('--serve', action='store_true')
    return p.parse_args()


def find_python():
    """A Python that can import torch, or None."""
    for python in os.environ.get('TORCH_PYTHON'), sys.executable, shutil.which('python3'), '/usr/bin/python3':
        if not python or not os.path.exists(python):
            continue
        if subprocess.run([python, '-c', 'import torch'], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


def restart_where_needed(malloc):
    """glibc reads its variables at the start of a process; so does a process find its Python."""
    environment = dict(os.environ)
    if malloc != 'as-is':
        for name in TUNED:
            environment.pop(name, None)
    if malloc == 'tuned':
        environment.update(TUNED)
    python = sys.executable
    try:
        import torch  # noqa: F401
    except ImportError:
        python = find_python()
        if not python:
            print('no Python with torch found; TORCH_PYTHON names one', file=sys.stderr)
            sys.exit(NO_TORCH)
    if python != sys.executable or environment != dict(os.environ):
        os.execve(python, [python] + sys.argv, environment)


args = arguments()
restart_where_needed(args.malloc)

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Basic(nn.Module):
    """3x3, 3x3."""
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


def nt_xent(z, temperature):
    """z: (2 N, D), first all first views, then all second views; mean over all 2 N anchors."""
    z = F.normalize(z, dim=1)
    scores = (z @ z.t() / temperature).masked_fill(torch.eye(len(z), dtype=torch.bool), float('-inf'))
    return F.cross_entropy(scores, torch.arange(len(z)).roll(len(z) // 2))


class Workload:
    def __init__(self, a):
        torch.manual_seed(1)
        layout = torch.channels_last if a.layout == 'channels_last' else torch.contiguous_format
        backbone = ResNet(a.arch, a.stem, a.width)
        d = backbone.features
        head = nn.Sequential(nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(inplace=True),
                             nn.Linear(d, 128, bias=False), nn.BatchNorm1d(128))
        self.network = nn.Sequential(backbone, head).to(memory_format=layout)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=.06, momentum=.9, weight_decay=5e-4)
        self.images = torch.randn(2 * a.batch, 3, a.size, a.size).contiguous(memory_format=layout)

    def step(self):
        """Seconds."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        loss = nt_xent(self.network(self.images), .5)
        loss.backward()
        self.optimizer.step()
        self.loss = loss.item()
        return time.perf_counter() - start

    def parameters(self):
        return sum(p.numel() for p in self.network.parameters())


def describe(a, workload):
    onednn = re.search(r'DNN v([0-9.]+)', torch.__config__.show())
    return {'library': 'torch', 'version': torch.__version__, 'python': '.'.join(map(str, sys.version_info[:3])),
            'onednn': onednn.group(1) if onednn else 'none', 'architecture': a.arch, 'width': a.width,
            'layout': a.layout, 'malloc': 'tuned' if TUNED.items() <= os.environ.items() else 'default',
            'images_per_step': a.batch, 'rows_per_step': 2 * a.batch, 'size': a.size,
            'parameters': workload.parameters(), 'threads': torch.get_num_threads()}


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(a, workload):
    print(json.dumps(describe(a, workload)), flush=True)
    for line in sys.stdin:
        if line == 'step\n':
            print('%.6f' % workload.step(), flush=True)
        elif line == 'memory\n':
            print(peak_bytes(), 0, flush=True)
        elif line == 'quit\n':
            break
        else:
            print('step, memory or quit', flush=True)


def measure(a, workload):
    for _ in range(2):
        workload.step()
    seconds = [workload.step() for _ in range(a.steps)]
    median = statistics.median(seconds)
    about = describe(a, workload)
    about.update(seconds=seconds, median_seconds=median, images_per_second=a.batch / median,
                 rows_per_second=2 * a.batch / median, peak_bytes=peak_bytes())
    if a.json:
        print(json.dumps(about, indent=1))
        return
    print('torch %(version)s, %(architecture)s, %(layout)s, malloc %(malloc)s, %(threads)d threads, '
          '%(parameters)d parameters' % about)
    for i, s in enumerate(seconds):
        print('step %d: %.4f s' % (i + 1, s))
    print('median: %.4f s a step, %.1f images/s = %.1f rows/s; loss %.4f; peak %.0f MiB' %
          (median, a.batch / median, 2 * a.batch / median, workload.loss, peak_bytes() / 1048576))


torch.set_num_threads(args.threads or len(os.sched_getaffinity(0)))
(serve if args.serve else measure)(args, Workload(args))
