#!/usr/bin/env python3
"""The embedding of embed.c by ONNX Runtime, of a network that pytorch_embed.py has exported.

    onnxruntime_embed.py --model FILE [--batch 256] [--size 32] [--steps 7] [--serve] ...
"""
import sys
import time

import peer

try:
    import numpy
    import onnxruntime
except ImportError:
    print('this Python has no onnxruntime', file=sys.stderr)
    sys.exit(peer.NOT_HERE)


def main():
    p = peer.parser('embedding a batch of images with ONNX Runtime')
    p.add_argument('--model', required=True, metavar='FILE')
    a = p.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = peer.threads(a)
    options.inter_op_num_threads = 1
    # Its threads wait actively inside a pass, but not while it is another program's turn.
    options.add_session_config_entry('session.force_spinning_stop', '1')
    session = onnxruntime.InferenceSession(a.model, options, providers=['CPUExecutionProvider'])
    images = numpy.random.default_rng(1).standard_normal((a.batch, 3, a.size, a.size), dtype=numpy.float32)
    name = session.get_inputs()[0].name

    def step():
        start = time.perf_counter()
        session.run(None, {name: images})
        return time.perf_counter() - start

    peer.run(a, {'library': 'ONNX Runtime', 'version': onnxruntime.__version__, 'unit': 'image', 'per_step': a.batch,
                 'python': '.'.join(map(str, sys.version_info[:3])), 'threads': peer.threads(a), 'precision': 'f32',
                 'architecture': a.arch, 'width': a.width, 'size': a.size}, step)


main()
