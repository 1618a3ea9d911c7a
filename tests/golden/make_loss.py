#!/usr/bin/env python3
"""Writes tests/golden/loss.txt: values and gradients of losses by PyTorch's own functions, in double precision.

    python3 tests/golden/make_loss.py > tests/golden/loss.txt     (made with PyTorch 1.13.1)

Inputs come from G, the generator of tests/unit/support.h. A line: name of the case, the value, then the gradient with
respect to each input in turn.
"""
import torch
from torch.nn import functional


def golden(seed, *shape):
    state, values = 1000 * seed + 7, []
    for _ in range(torch.Size(shape).numel()):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    tensor = torch.tensor(values, dtype=torch.float32).double().reshape(shape)
    return tensor.requires_grad_()


def show(name, value, *inputs):
    value.backward()
    numbers = [value.detach().reshape(1)] + [x.grad.reshape(-1) for x in inputs]
    print(name, *("%.9f" % number for number in torch.cat(numbers)))


def cross_entropy():
    labels = torch.tensor([2, -1, 0, 4])
    x = golden(40, 4, 5)
    show("cross_entropy", functional.cross_entropy(8 * x, labels, ignore_index=-1), x)
    x = golden(40, 4, 5)
    show("cross_entropy_smooth", functional.cross_entropy(8 * x, labels, ignore_index=-1, label_smoothing=0.1), x)
    x = golden(40, 4, 5)
    targets = golden(41, 4, 5).detach() + 0.5
    show("cross_entropy_soft", functional.cross_entropy(8 * x, targets, label_smoothing=0.2), x)


def info_nce():
    """Queries against the keys of the batch, as a classification of 6 samples."""
    q, k = golden(42, 6, 5), golden(43, 6, 5)
    scores = functional.normalize(q, dim=1) @ functional.normalize(k, dim=1).T / 0.2
    show("info_nce_keys", functional.cross_entropy(scores, torch.arange(6)), q, k)


def nt_xent_three_views():
    z = golden(44, 3, 4, 5)
    rows = functional.normalize(z.reshape(12, 5), dim=1)
    scores = (rows @ rows.T / 0.3).masked_fill(torch.eye(12, dtype=torch.bool), float("-inf"))
    log_softmax = functional.log_softmax(scores, dim=1)
    positive = (torch.arange(12)[:, None] % 4 == torch.arange(12) % 4) & ~torch.eye(12, dtype=torch.bool)
    show("nt_xent_three_views", -log_softmax[positive].mean(), z)


if __name__ == "__main__":
    cross_entropy()
    info_nce()
    nt_xent_three_views()
