#!/usr/bin/env python3
"""Writes tests/golden/optim.txt: what PyTorch's optimizers do to one tensor in six steps, in double precision.

    python3 tests/golden/make_optim.py > tests/golden/optim.txt     (made with PyTorch 1.13.1)

Weights are G(20, 12), the gradient of step t is G(30 + t, 12), G being the generator of tests/unit/support.h. The
learning rate of step t is rate / (1 + t). A line: name of the case, then the 12 weights after the last step.
"""
import torch


def golden(seed, count):
    state, values = 1000 * seed + 7, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return torch.tensor(values, dtype=torch.float32).double()


def run(make, rate, clip=0.0):
    weights = torch.nn.Parameter(golden(20, 12))
    optimizer = make([weights])
    for step in range(6):
        weights.grad = golden(30 + step, 12)
        if clip:
            torch.nn.utils.clip_grad_norm_([weights], clip)
        for group in optimizer.param_groups:
            group["lr"] = rate / (1 + step)
        optimizer.step()
    return weights.detach()


CASES = [
    ("sgd_plain", lambda w: torch.optim.SGD(w, lr=1, momentum=0, weight_decay=0), 0.3, 0.0),
    ("sgd_momentum", lambda w: torch.optim.SGD(w, lr=1, momentum=0.9, weight_decay=5e-4), 0.3, 0.0),
    ("sgd_nesterov", lambda w: torch.optim.SGD(w, lr=1, momentum=0.9, weight_decay=5e-2, nesterov=True), 0.3, 0.0),
    ("sgd_clipped", lambda w: torch.optim.SGD(w, lr=1, momentum=0.9, weight_decay=5e-4), 0.3, 0.25),
    ("adam", lambda w: torch.optim.Adam(w, lr=1, weight_decay=1e-2), 0.01, 0.0),
    ("adam_betas", lambda w: torch.optim.Adam(w, lr=1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0), 0.01, 0.0),
    ("adamw", lambda w: torch.optim.AdamW(w, lr=1, weight_decay=0.4), 0.01, 0.0),
]

if __name__ == "__main__":
    for name, make, rate, clip in CASES:
        print(name, *("%.9f" % value for value in run(make, rate, clip)))
