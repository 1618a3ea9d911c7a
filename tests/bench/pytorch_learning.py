#!/usr/bin/env python3
"""Training steps of a script of reference curves, with its data, views and loader: the peer of learning.c --serve.

    pytorch_learning.py --script FILE --data DIR (--like RESULTS | --method NAME) [--steps 10] [--serve]
    pytorch_learning.py --script FILE --data DIR --like RESULTS --weights OUT

The script must have what this one uses: METHODS, Batches, read_batch, spread, CL, and arguments as the results tell
them under "settings". A step that is told is --steps steps of training; 0: an epoch.

--weights writes the weights with which the run of these results began, as a safetensors file with the names that
learning.c --weights takes: then both begin alike.
"""
import argparse
import importlib.util
import json
import os
import random
import sys
import time

import peer

try:
    import numpy as np
    import torch
    import torchvision
except ImportError:
    sys.exit(peer.NOT_HERE)

DEFAULTS = dict(batches='1', width=16, batch=256, seed=0, lr=None, prototypes=512, softmax=False, tau=None)


def arguments():
    p = argparse.ArgumentParser(description='training steps of a script of reference curves')
    p.add_argument('--script', required=True)
    p.add_argument('--data', required=True)
    p.add_argument('--like', help='results of a run, whose settings are taken')
    p.add_argument('--method', help='in place of that')
    p.add_argument('--steps', type=int, default=10, help='of training at a time; 0: an epoch')
    p.add_argument('--threads', type=int, default=0, help='0: the processors that this process may use')
    p.add_argument('--workers', type=int, default=1, help='processes of the loader')
    p.add_argument('--weights', metavar='OUT', help='only write the initial weights there')
    p.add_argument('--serve', action='store_true', help='work as told on standard input')
    return p.parse_args()


def load_script(path):
    sys.dont_write_bytecode = True  # nothing beside the script
    spec = importlib.util.spec_from_file_location('reference', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules['reference'] = module  # where loader processes look for its classes
    spec.loader.exec_module(module)
    return module


def settings(a):
    found = dict(DEFAULTS)
    if a.like:
        with open(a.like) as file:
            found.update(json.load(file)['settings'])
    if a.method:
        found['method'] = a.method
    return argparse.Namespace(**found)


# ---- initial weights ----

def backbone_name(name):
    """The script's "blocks.3.conv1.weight" is torchvision's "layer2.1.conv1.weight"."""
    part, _, rest = name.partition('.')
    if part == 'blocks':
        block, _, rest = rest.partition('.')
        return 'layer%d.%d.%s' % (int(block) // 2 + 1, int(block) % 2, rest)
    return part + '1.' + rest


def initial_weights(method):
    """Names of a trainer's state, and arrays."""
    found = {'backbone.0.' + backbone_name(name): p for name, p in method.net.named_parameters()}
    for i, head in enumerate(getattr(method, name) for name in ('head', 'pred', 'fc') if hasattr(method, name)):
        prefix = 'head.%d.' % i + ('0.' if isinstance(head, torch.nn.Linear) else '')
        found.update((prefix + name, p) for name, p in head.named_parameters())
    if hasattr(method, 'proto'):
        found['loss.0.prototypes.weight'] = method.proto.weight
    if hasattr(method, 'queue'):
        found['loss.0.queue'] = method.queue
    return {name: np.ascontiguousarray(p.detach().numpy(), '<f4') for name, p in found.items()}


def write_safetensors(path, arrays):
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {'dtype': 'F32', 'shape': array.shape, 'data_offsets': [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(len(text).to_bytes(8, 'little') + text + b''.join(a.tobytes() for a in arrays.values()))


# ---- steps ----

class Training:
    def __init__(self, a, script, like):
        parts = [script.read_batch(a.data, 'data_batch_' + b) for b in like.batches.split(',')]
        self.a, self.script, self.like = a, script, like
        self.images = np.concatenate([x for x, _ in parts])
        self.method = script.METHODS[like.method](like, len(self.images)).to(memory_format=script.CL)
        self.method.labels = torch.from_numpy(np.concatenate([y for _, y in parts]))
        self.method.train()
        parameters = [p for p in self.method.parameters() if p.requires_grad]
        rate = like.lr if like.lr is not None else self.method.lr(like)
        if self.method.adam:
            self.optimizer = torch.optim.Adam(parameters, lr=rate, weight_decay=self.method.decay)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=rate, momentum=.9, weight_decay=self.method.decay)
        self.steps = a.steps or len(self.images) // like.batch
        self.batches = self.endless()

    def endless(self):
        epoch = 0
        while True:
            order = np.random.RandomState(epoch).permutation(len(self.images))
            data = self.script.Batches(self.images, order, self.like.batch, self.method.views)
            yield from torch.utils.data.DataLoader(data, batch_size=None, num_workers=self.a.workers)
            epoch += 1

    def step(self):
        """Seconds."""
        start = time.perf_counter()
        for _ in range(self.steps):
            loss, z = self.method.step(*next(self.batches))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.method.after()
            float(loss), self.script.spread(z)
        return time.perf_counter() - start


def main():
    a = arguments()
    torch.set_num_threads(peer.threads(a))
    like = settings(a)
    torch.manual_seed(like.seed)
    random.seed(like.seed)
    training = Training(a, load_script(a.script), like)
    if a.weights:
        write_safetensors(a.weights, initial_weights(training.method))
        return
    about = {'library': 'PyTorch', 'version': torch.__version__, 'torchvision': torchvision.__version__,
             'method': like.method, 'threads': torch.get_num_threads(), 'unit': 'image',
             'per_step': training.steps * like.batch}
    if a.serve:
        peer.serve(about, training.step)
        return
    for turn in range(3):
        print('%.3f s for %d steps' % (training.step(), training.steps), flush=True)


if __name__ == '__main__':
    main()
