#!/usr/bin/env python3
"""The training step of step.c in PyTorch: same network, shapes, loss and optimizer.

    pytorch_step.py [--layout contiguous] [--precision f32] [--steps 7] [--serve] ...

Network ResNet with a CIFAR or ImageNet stem, projection head D -> D -> 128 with batch norm behind both layers; NT-Xent
over two views; SGD with momentum and weight decay. bf16 is autocast: the loss stays f32. The views are made beforehand
and, for channels_last, are already in that layout.
"""
import time

import peer
import pytorch_resnet
from pytorch_resnet import F, nn, torch


def nt_xent(z, temperature):
    """z: (2 N, D), first all first views, then all second views; mean over all 2 N anchors."""
    z = F.normalize(z, dim=1)
    scores = (z @ z.t() / temperature).masked_fill(torch.eye(len(z), dtype=torch.bool), float('-inf'))
    return F.cross_entropy(scores, torch.arange(len(z)).roll(len(z) // 2))


class Workload:
    def __init__(self, a):
        self.a = a
        backbone = pytorch_resnet.ResNet(a.arch, a.stem, a.width)
        d = backbone.features
        head = nn.Sequential(nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(inplace=True),
                             nn.Linear(d, 128, bias=False), nn.BatchNorm1d(128))
        self.network = nn.Sequential(backbone, head).to(memory_format=pytorch_resnet.layout(a))
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=.06, momentum=.9, weight_decay=5e-4)
        self.images = torch.randn(2 * a.batch, 3, a.size, a.size).contiguous(memory_format=pytorch_resnet.layout(a))

    def step(self):
        """Seconds."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with pytorch_resnet.autocast(self.a):
            z = self.network(self.images)
        loss = nt_xent(z.float(), .5)
        loss.backward()
        self.optimizer.step()
        loss.item()
        return time.perf_counter() - start


def main():
    p = peer.parser('one training step in PyTorch; --batch: images, two views each')
    pytorch_resnet.add_arguments(p)
    a = p.parse_args()
    pytorch_resnet.begin(a)
    workload = Workload(a)
    peer.run(a, pytorch_resnet.describe(a, workload.network, 'row', 2 * a.batch), workload.step)


main()
