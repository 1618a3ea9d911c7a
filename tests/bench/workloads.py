"""What is measured: our command lines, and those of the peers."""
import os
import subprocess

from servers import TUNED_MALLOC, OneShot, Server

HERE = os.path.dirname(os.path.abspath(__file__))
LAYOUTS = 'contiguous', 'channels_last'
RESNET18 = ['--arch', 'resnet18', '--stem', 'cifar', '--size', '32']
RESNET50 = ['--arch', 'resnet50', '--stem', 'imagenet', '--size', '224']


class Setting:
    """What the command line of run.py and this machine give to all workloads."""

    def __init__(self, folder, threads, pythons, onnx_pythons, view_pythons, data, script, temporary):
        self.folder, self.threads, self.data, self.script, self.temporary = folder, threads, data, script, temporary
        self.pythons, self.onnx_pythons, self.view_pythons = pythons, onnx_pythons, view_pythons

    def ours(self, program, arguments, name='sslcv'):
        command = [os.path.join(self.folder, program), '--serve'] + arguments
        return Server(name, 'sslcv', command + self.with_threads(program))

    def with_threads(self, program):
        return [] if program == 'views' else ['--threads', str(self.threads)]

    def peer(self, python, script, arguments, name, group, environment=()):
        return Server(name, group, [python.path, os.path.join(HERE, script), '--serve'] + arguments, environment)


class Workload:
    """kind tells run.py how to measure, and report.py how to show it."""

    def __init__(self, name, title, kind, make, per_round=1):
        self.name, self.title, self.kind, self.make, self.per_round = name, title, kind, make, per_round


def tuned():
    """What makes PyTorch faster from outside; Debian's takes AVX2 for its own kernels where there is more."""
    with open('/proc/cpuinfo') as file:
        has_avx512 = 'avx512vl' in file.read()
    return dict(TUNED_MALLOC, ATEN_CPU_CAPABILITY='avx512') if has_avx512 else TUNED_MALLOC


def pytorch(s, script, arguments, as_it_comes=False, modes=((),)):
    """The ways to run PyTorch that may be its best. Those of one group compete; the fastest goes on."""
    programs = []
    for python in s.pythons:
        for environment, addition in [(tuned(), '')] + ([({}, ', as it comes')] if as_it_comes else []):
            group = 'PyTorch %s%s' % (python.version, addition)
            for layout in LAYOUTS:
                for mode in modes:
                    name = ', '.join([group, layout.replace('_', ' ')] + list(mode[1:]))
                    programs.append(s.peer(python, script, arguments + ['--layout', layout] + list(mode) +
                                           ['--threads', str(s.threads)], name, group, environment))
    return programs


def step(network, batch, precision, as_it_comes=False):
    def make(s):
        arguments = network + ['--batch', str(batch), '--precision', precision]
        return [s.ours('step', arguments)], pytorch(s, 'pytorch_step.py', arguments, as_it_comes)
    return make


def export(s, arguments):
    """The network's file for ONNX Runtime; None where no PyTorch can write it."""
    path = os.path.join(s.temporary, 'network.onnx')
    for python in s.pythons:
        done = subprocess.run([python.path, os.path.join(HERE, 'pytorch_embed.py'), '--export', path] + arguments,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return path
    return None


def embed(network, batch):
    def make(s):
        arguments = network + ['--batch', str(batch)]
        peers = pytorch(s, 'pytorch_embed.py', arguments, modes=(('--mode', 'eager'), ('--mode', 'frozen')))
        model = s.onnx_pythons and export(s, arguments)
        if model:
            for python in s.onnx_pythons:
                name = 'ONNX Runtime %s' % python.version
                peers.append(s.peer(python, 'onnxruntime_embed.py', arguments + ['--model', model, '--threads',
                                                                                 str(s.threads)], name, name))
        return [s.ours('embed', arguments)], peers
    return make


def budget(network, batch):
    def make(s):
        arguments = network + ['--batch', str(batch)]
        return [s.ours('budget', arguments, 'sslcv, no limit')], pytorch(s, 'pytorch_step.py', arguments)
    return make


def views(arguments):
    def make(s):
        peers = [s.peer(python, 'pytorch_views.py', arguments, 'torchvision %s' % python.version,
                        'torchvision %s' % python.version) for python in s.view_pythons]
        return [s.ours('views', arguments)], peers
    return make


def epoch(precision):
    """The script computes in f32; it has no other precision."""
    def make(s):
        if not s.data:
            return [], []
        peers = [OneShot('%s, f32, torchvision %s' % (os.path.basename(s.script), python.version),
                         'torchvision %s' % python.version,
                         [python.path, s.script, '--method', 'simclr', '--data', s.data, '--batches', '1', '--threads',
                          str(s.threads or len(os.sched_getaffinity(0)))], TUNED_MALLOC)
                 for python in s.view_pythons] if s.script else []
        return [s.ours('learning', ['--data', s.data, '--precision', precision])], peers
    return make


def linear(s):
    """Twice the rows, four times the pixels: how much longer?"""
    shapes = [(32, 32), (64, 32), (128, 32), (256, 32), (32, 64)]
    return [s.ours('step', ['--batch', str(batch), '--size', str(size)], '%d rows of %dx%d' % (2 * batch, size, size))
            for batch, size in shapes], []


def first_step(s):
    return [s.ours('step', RESNET50 + ['--batch', '8'], 'ResNet-50/224, 16 rows'),
            s.ours('step', RESNET18 + ['--batch', '128'], 'ResNet-18/CIFAR, 256 rows')], []


WORKLOADS = [
    Workload('r18-f32', 'ResNet-18/CIFAR, training step, 256 rows, f32', 'against',
             step(RESNET18, 128, 'f32', as_it_comes=True)),
    Workload('r18-bf16', 'ResNet-18/CIFAR, training step, 256 rows, bf16', 'against', step(RESNET18, 128, 'bf16')),
    Workload('r50-f32', 'ResNet-50/224, training step, 16 rows, f32', 'against', step(RESNET50, 8, 'f32')),
    Workload('r50-bf16', 'ResNet-50/224, training step, 16 rows, bf16', 'against', step(RESNET50, 8, 'bf16')),
    Workload('embed-r18', 'ResNet-18/CIFAR, embedding, 256 images', 'against', embed(RESNET18, 256)),
    Workload('embed-r50', 'ResNet-50/224, embedding, 16 images', 'against', embed(RESNET50, 16)),
    Workload('views-32', 'SimCLR views 32 -> 32, one core', 'against', views(['--size', '32', '--crop', '32'])),
    Workload('views-224', 'SimCLR views 256 -> 224 with blur, one core', 'against',
             views(['--size', '256', '--crop', '224', '--blur'])),
    Workload('epoch', 'SimCLR epoch on CIFAR-10 files: decoding, views, steps; f32', 'epoch', epoch('f32')),
    Workload('epoch-bf16', 'the same, ours with maps in bf16 as AUTO chooses', 'epoch', epoch('bf16')),
    Workload('memory-r18', 'ResNet-18/CIFAR, training step, 256 rows, f32, within a budget', 'memory',
             budget(RESNET18, 128)),
    Workload('memory-r50', 'ResNet-50/224, training step, 16 rows, f32, within a budget', 'memory',
             budget(RESNET50, 8)),
    Workload('linear', 'Is the time of a step linear? ResNet-18/CIFAR, f32', 'linear', linear),
    Workload('first-step', 'Time to the first step, f32', 'first-step', first_step),
]
