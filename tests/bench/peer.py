"""What the programs that are measured beside ours share: command line, memory of the process, working when told."""
import argparse
import json
import os
import statistics
import sys

NOT_HERE = 3  # exit status: this Python lacks a module


def parser(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument('--arch', default='resnet18', choices=['resnet18', 'resnet34', 'resnet50', 'resnet101'])
    p.add_argument('--stem', default='cifar', choices=['cifar', 'imagenet'])
    p.add_argument('--batch', type=int, default=128)
    p.add_argument('--size', type=int, default=32)
    p.add_argument('--width', type=float, default=1.0)
    p.add_argument('--precision', default='f32', choices=['f32', 'bf16'])
    p.add_argument('--threads', type=int, default=0, help='0: the processors that this process may use')
    p.add_argument('--steps', type=int, default=7, help='that are timed, behind two that are not')
    p.add_argument('--serve', action='store_true', help='work as told on standard input')
    return p


def threads(a):
    return a.threads or len(os.sched_getaffinity(0))


def peak_bytes():
    """The most that this process has had in memory. Not getrusage()'s, which begins with that of its parent."""
    try:
        with open('/proc/self/status') as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith('VmHWM:'))
    except (OSError, StopIteration):
        return 0


def serve(about, step):
    """Prints about, then answers commands line by line, as the C programs do; step() returns seconds."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        if line == 'step\n':
            print('%.6f' % step(), flush=True)
        elif line == 'memory\n':
            print(peak_bytes(), 0, flush=True)
        elif line == 'look\n':
            print('{}', flush=True)
        elif line == 'quit\n':
            break
        else:
            print('step, memory, look or quit', flush=True)


def run(a, about, step):
    """Serves, or measures for a person."""
    if a.serve:
        serve(about, step)
        return
    for _ in range(2):
        step()
    seconds = [step() for _ in range(a.steps)]
    median = statistics.median(seconds)
    print(', '.join('%s %s' % item for item in about.items()))
    print('steps: %s s' % ' '.join('%.4f' % s for s in seconds))
    print('median: %.4f s, %.1f %ss/s; peak %.0f MiB' %
          (median, about['per_step'] / median, about['unit'], peak_bytes() / 1048576))
