#!/usr/bin/env python3
"""The embedding of embed.c in PyTorch: one pass of a ResNet in evaluation mode, without gradient.

    pytorch_embed.py [--layout contiguous] [--mode eager] [--precision f32] [--steps 7] [--serve] ...
    pytorch_embed.py --export FILE ...

--mode frozen: traced, frozen, and optimised for inference, which folds batch norm into the convolutions and keeps
weights in oneDNN's layouts. --export writes the network for ONNX Runtime, and ends.
"""
import inspect
import time

import peer
import pytorch_resnet
from pytorch_resnet import torch


def export(network, images, path):
    options = {'opset_version': 13, 'input_names': ['images'], 'output_names': ['features']}
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        options['dynamo'] = False  # the newer way needs further packages
    torch.onnx.export(network, (images,), path, **options)


def main():
    p = peer.parser('embedding a batch of images in PyTorch')
    pytorch_resnet.add_arguments(p)
    p.add_argument('--mode', default='eager', choices=['eager', 'frozen'])
    p.add_argument('--export', metavar='FILE')
    a = p.parse_args()
    pytorch_resnet.begin(a)
    layout = pytorch_resnet.layout(a)
    network = pytorch_resnet.ResNet(a.arch, a.stem, a.width).eval().to(memory_format=layout)
    images = torch.randn(a.batch, 3, a.size, a.size).contiguous(memory_format=layout)
    about = pytorch_resnet.describe(a, network, 'image', a.batch)
    with torch.no_grad():
        if a.export:
            export(network, images, a.export)
            return
        if a.mode == 'frozen':
            network = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, images)))

        def step():
            start = time.perf_counter()
            with pytorch_resnet.autocast(a):
                network(images)
            return time.perf_counter() - start

        peer.run(a, about, step)


main()
