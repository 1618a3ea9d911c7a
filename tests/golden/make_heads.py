#!/usr/bin/env python3
"""Makes heads.txt: forward and backward of heads by PyTorch in double precision, for tests/unit/test_head_*.c.

    /usr/bin/python3 tests/golden/make_heads.py > tests/golden/heads.txt

Made with torch 1.13.1. Context networks are written with PyTorch's convolutions on maps (N, D, R, C): the gated layers
as Greedy InfoMax has them, the blocks as CPC-v2's appendix; prototypes with torch.nn.utils.weight_norm.

Inputs, tensors and output gradients are drawn by the generator of golden inputs (tests/unit/support.h): 2 G(3), G(100 +
its index in the state), G(2). A case holds the tensors' names and sizes, the output and the gradient of the input, and
of each tensor's gradient the L2 norm and the product with G(900 + index).
"""
import sys

import torch
from torch.nn import functional

ABOVE = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]  # of a 3x3 kernel: what its mask leaves


def golden_input(seed, *shape):
    state, values = 1000 * seed + 7, []
    for _ in range(torch.Size(shape).numel()):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape)


class Tensors:
    """The state of a head, in its order: drawn as they are asked for."""

    def __init__(self):
        self.items = []

    def __call__(self, name, *shape):
        self.items.append((name, golden_input(100 + len(self.items), *shape).requires_grad_(True)))
        return self.items[-1][1]

    def linear(self, name, fan_in, fan_out):
        return self(name + ".weight", fan_out, fan_in), self(name + ".bias", fan_out)

    def convolution(self, name, fan_in, fan_out, size, places):
        """Weight and bias of a convolution of this size, of which only places are not 0."""
        columns, bias = self.linear(name, len(places) * fan_in, fan_out)
        blocks = columns.reshape(fan_out, len(places), fan_in)
        kernel = torch.zeros(fan_out, fan_in, *size, dtype=torch.float64)
        for k, (row, column) in enumerate(places):
            kernel[:, :, row, column] = blocks[:, k]
        return kernel, bias


def one_by_one(tensors, name, x, channels):
    weight, bias = tensors.linear(name, x.shape[1], channels)
    return functional.conv2d(x, weight[:, :, None, None], bias)


def gate(x):
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


def pixelcnn(hidden, out, layers):
    def run(tensors, x):
        v = h = x
        for i in range(layers):
            part = "layers.%d." % i
            kernel = tensors.convolution(part + "vertical", v.shape[1], 2 * hidden, (3, 3), ABOVE)
            vertical = functional.conv2d(v, *kernel, padding=1)
            link = one_by_one(tensors, part + "link", vertical, 2 * hidden)
            kernel = tensors.convolution(part + "horizontal", h.shape[1], 2 * hidden, (1, 3), [(0, 0), (0, 1), (0, 2)])
            horizontal = functional.conv2d(h, *kernel, padding=(0, 1)) + link
            output = one_by_one(tensors, part + "output", gate(horizontal), hidden)
            h = h + output if i else output
            if i < layers - 1:
                if i:
                    vertical = vertical + one_by_one(tensors, part + "residual", v, 2 * hidden)
                v = gate(vertical)
        return one_by_one(tensors, "output", h, out)
    return run


def cpc_v2(hidden, blocks):
    def run(tensors, x):
        for i in range(blocks):
            part = "blocks.%d." % i
            y = functional.relu(one_by_one(tensors, part + "reduce", x, hidden))
            y = functional.conv2d(y, *tensors.convolution(part + "across", hidden, hidden, (1, 3),
                                                          [(0, 0), (0, 1), (0, 2)]), padding=(0, 1))
            y = functional.pad(y, (0, 0, 1, 0))
            y = functional.conv2d(y, *tensors.convolution(part + "down", hidden, hidden, (2, 1), [(0, 0), (1, 0)]))
            x = x + one_by_one(tensors, part + "expand", functional.relu(y), x.shape[1])
        return functional.relu(x)
    return run


class Again:
    """Gives the tensors of a first run once more, in their order."""

    def __init__(self, tensors):
        self.left = iter(tensors.items)

    def __call__(self, name, *shape):
        expected, tensor = next(self.left)
        assert expected == name and tensor.shape == shape
        return tensor

    linear = Tensors.linear
    convolution = Tensors.convolution


def on_grid(body, rows, columns, directions):
    """x: (N, P, D) to maps; c: parts of the directions side by side, each turned back."""
    def run(tensors, x):
        maps = x.reshape(x.shape[0], rows, columns, -1).permute(0, 3, 1, 2)
        parts = []
        for d in range(directions):
            y = body(Again(tensors) if d else tensors, torch.rot90(maps, d, (2, 3)))
            parts.append(torch.rot90(y, -d, (2, 3)).permute(0, 2, 3, 1).reshape(x.shape[0], rows * columns, -1))
        return torch.cat(parts, 2)
    return run


def prototypes(count):
    def run(tensors, x):
        layer = torch.nn.utils.weight_norm(torch.nn.Linear(x.shape[-1], count, bias=False).double())
        del layer._parameters["weight_v"]
        layer.weight_v = tensors("prototypes.weight", count, x.shape[-1])
        layer.weight_g.data.fill_(1)
        return layer(functional.normalize(x, dim=-1))
    return run


def patch_mlp(hidden, patch_dim, out):
    def run(tensors, x):
        y = functional.linear(x, *tensors.linear("patch.0", x.shape[-1], hidden))
        y = functional.linear(functional.relu(y), *tensors.linear("patch.2", hidden, patch_dim))
        y = y.reshape(x.shape[0], 1, -1)
        return functional.linear(y, *tensors.linear("join", y.shape[-1], out))
    return run


def mlp_gelu(norm):
    """Three layers; with norm, BatchNorm1d of shift and scale behind the hidden ones, in training."""
    def run(tensors, x):
        x, number = x.reshape(-1, x.shape[-1]), 0
        for width in (5, 5):
            x = functional.linear(x, *tensors.linear("%d" % number, x.shape[-1], width))
            number += 1
            if norm:
                weight, bias = tensors("%d.weight" % number, width), tensors("%d.bias" % number, width)
                x = functional.batch_norm(x, None, None, weight, bias, True)
                number += 1
            x = functional.gelu(x)
            number += 1
        x = functional.linear(x, *tensors.linear("%d" % number, x.shape[-1], 3))
        return functional.normalize(x, dim=1)
    return run


def case(label, run, *shape):
    tensors = Tensors()
    x = (2 * golden_input(3, *shape)).requires_grad_(True)
    y = run(tensors, x)
    y.backward(golden_input(2, *y.shape))
    print("case", label, len(tensors.items))
    for index, (name, tensor) in enumerate(tensors.items):
        along = (tensor.grad * golden_input(900 + index, *tensor.shape)).sum()
        print("tensor", name, tensor.numel(), "%.9g" % tensor.grad.norm(), "%.9g" % along)
    for name, values in (("output", y), ("input", x.grad)):
        print(name, values.numel(), *("%.9g" % value for value in values.flatten().tolist()))


if __name__ == "__main__":
    print("# made by make_heads.py: torch", torch.__version__)
    case("mlp_gelu", mlp_gelu(False), 4, 6)
    case("mlp_gelu_norm", mlp_gelu(True), 8, 6)
    case("patch_mlp", patch_mlp(5, 3, 4), 3, 4, 6)
    case("prototypes", prototypes(7), 5, 4)
    for directions in (1, 4):
        case("pixelcnn_%d" % directions, on_grid(pixelcnn(3, 4, 3), 3, 4, directions), 2, 12, 5)
        case("cpc_v2_%d" % directions, on_grid(cpc_v2(4, 3), 3, 4, directions), 2, 12, 5)
    sys.stdout.flush()
