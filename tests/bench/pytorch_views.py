#!/usr/bin/env python3
"""The views of views.c with torchvision on Pillow images: same chain, same images, one thread.

    pytorch_views.py [--size 32] [--crop 32] [--blur] [--blur-by pillow] [--images 0] [--steps 7] [--json | --serve]

Random resized crop, flip, colour jitter with probability 0.8, grey with 0.2, with --blur a Gaussian blur with 0.5, to a
tensor, normalise; two views of each image. --blur-by pillow, the default, is ImageFilter.GaussianBlur with sigma 0.1 ..
2, which recipes such as MoCo v2 and SimSiam use: three box blurs in integers. --blur-by torchvision is
transforms.GaussianBlur with 23 taps, which goes through a float tensor and a 23 x 23 convolution, and is slower.

With --serve it answers commands as views.c does. When the Python that runs it has no torchvision, it looks for one that
has: the variable TORCH_PYTHON, python3, /usr/bin/python3. Exit status 3: there is none.
"""
import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time

NO_TORCH = 3
NUM_VIEWS = 2


def arguments():
    p = argparse.ArgumentParser(description='views with torchvision on Pillow')
    p.add_argument('--size', type=int, default=32)
    p.add_argument('--crop', type=int, default=32)
    p.add_argument('--blur', action='store_true', help='the chain for large images: colour strength 1, blur')
    p.add_argument('--blur-by', default='pillow', choices=['pillow', 'torchvision'])
    p.add_argument('--images', type=int, default=0, help='a step, two views each')
    p.add_argument('--steps', type=int, default=7)
    p.add_argument('--json', action='store_true')
    p.add_argument('--serve', action='store_true')
    return p.parse_args()


def find_torchvision():
    """Go on under a Python that has it."""
    try:
        import torchvision  # noqa: F401
        return
    except ImportError:
        pass
    if 'SSLCV_BENCH_SEARCHED' in os.environ:
        sys.exit(NO_TORCH)
    for python in os.environ.get('TORCH_PYTHON'), shutil.which('python3'), '/usr/bin/python3':
        if not python or not os.path.exists(python):
            continue
        if subprocess.call([python, '-c', 'import torchvision'], stderr=subprocess.DEVNULL) == 0:
            environment = dict(os.environ, SSLCV_BENCH_SEARCHED='1')
            os.execve(python, [python] + sys.argv, environment)
    sys.exit(NO_TORCH)


class PillowBlur:
    def __call__(self, image):
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(.1, 2.)))


def make_chain(a):
    strength = 1. if a.blur else .5
    jitter = T.ColorJitter(.8 * strength, .8 * strength, .8 * strength, .2 * strength)
    chain = [T.RandomResizedCrop(a.crop), T.RandomHorizontalFlip(), T.RandomApply([jitter], p=.8),
             T.RandomGrayscale(p=.2)]
    if a.blur:
        blur = PillowBlur() if a.blur_by == 'pillow' else T.GaussianBlur(23, (.1, 2.))
        chain.append(T.RandomApply([blur], p=.5))
    return T.Compose(chain + [T.ToTensor(), T.Normalize((.485, .456, .406), (.229, .224, .225))])


def make_images(a):
    """As pixel() of views.c."""
    y, x, c = numpy.meshgrid(numpy.arange(a.size), numpy.arange(a.size), numpy.arange(3), indexing='ij')
    images = []
    for i in range(a.images):
        noise = (x * 7919 + y * 104729 + c * 1299709 + i * 15485863) % 31
        values = 3 * x + 5 * y + 70 * c + 37 * i + x * y * (c + 1) // 16 + noise
        images.append(Image.fromarray((values & 255).astype(numpy.uint8)))
    return images


class Workload:
    def __init__(self, a):
        random.seed(1)
        torch.manual_seed(1)
        torch.set_num_threads(1)
        self.images, self.chain = make_images(a), make_chain(a)

    def step(self):
        """Seconds."""
        start = time.perf_counter()
        for image in self.images:
            for _ in range(NUM_VIEWS):
                self.chain(image)
        return time.perf_counter() - start


def describe(a):
    return {'library': 'torchvision', 'version': torchvision.__version__, 'torch': torch.__version__,
            'pillow': Image.__version__, 'python': '.'.join(map(str, sys.version_info[:3])), 'size': a.size,
            'crop': a.crop, 'blur': a.blur_by if a.blur else False, 'images_per_step': a.images,
            'views_per_step': NUM_VIEWS * a.images, 'threads': torch.get_num_threads()}


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(a, workload):
    print(json.dumps(describe(a)), flush=True)
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
    workload.step()
    seconds = [workload.step() for _ in range(a.steps)]
    median = statistics.median(seconds)
    about = describe(a)
    about.update(seconds=seconds, median_seconds=median, views_per_second=NUM_VIEWS * a.images / median,
                 peak_bytes=peak_bytes())
    if a.json:
        print(json.dumps(about, indent=1))
        return
    print('torchvision %(version)s, Pillow %(pillow)s, %(size)d -> %(crop)d, blur %(blur)s: %(views_per_second).0f '
          'views/s on one thread' % about)


def main():
    a = arguments()
    if a.images == 0:
        a.images = 1 + 250000 // (a.crop * a.crop)
    workload = Workload(a)
    serve(a, workload) if a.serve else measure(a, workload)


if __name__ == '__main__':
    find_torchvision()
    import numpy
    import torch
    import torchvision
    from PIL import Image, ImageFilter
    from torchvision import transforms as T
    main()
