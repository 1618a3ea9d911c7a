"""What is measured: our command lines, and those of the peers."""
import os
import subprocess

from servers import TUNED_MALLOC, OneShot, Server

HERE = os.path.dirname(os.path.abspath(__file__))
LAYOUTS = 'contiguous', 'channels_last'
# OpenBLAS's threads otherwise wait actively for 2^26 cycles after each product, beside those of OpenMP.
RESTING_BLAS = {'OPENBLAS_THREAD_TIMEOUT': '4'}
RESNET18 = ['--arch', 'resnet18', '--stem', 'cifar', '--size', '32']
RESNET50 = ['--arch', 'resnet50', '--stem', 'imagenet', '--size', '224']


class Setting:
    """What the command line of run.py and this machine give to all workloads."""

    def __init__(self, folder, threads, pythons, onnx_pythons, view_pythons, knn_pythons, data, script, temporary):
        self.folder, self.threads, self.data, self.script, self.temporary = folder, threads, data, script, temporary
        self.pythons, self.onnx_pythons, self.view_pythons = pythons, onnx_pythons, view_pythons
        self.knn_pythons = knn_pythons  # by module

    def ours(self, program, arguments, name='sslcv'):
        command = [os.path.join(self.folder, program), '--serve'] + arguments
        return Server(name, 'sslcv', command + self.with_threads(program))

    def with_threads(self, program):
        return [] if program == 'views' else ['--threads', str(self.threads)]

    def peer(self, python, script, arguments, name, group, environment=()):
        return Server(name, group, [python.path, os.path.join(HERE, script), '--serve'] + arguments, environment)


class Workload:
    """kind tells run.py how to measure, and report.py how to show it; family is another name to choose it by."""

    def __init__(self, name, title, kind, make, family=''):
        self.name, self.title, self.kind, self.make, self.family = name, title, kind, make, family


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


def loss(name, *rivals):
    """Rivals are ways of writing it in PyTorch, parted by spaces: each text is a row, for which the fastest stands."""
    def make(s):
        peers = []
        for python in s.pythons:
            pytorch = 'PyTorch %s' % python.version

            def add(group, ways, environment, addition=''):
                for way in ways:
                    described = ', '.join(filter(None, [group, way if way not in group else '', addition]))
                    arguments = ['--loss', name, '--threads', str(s.threads)] + (['--way', way] if way else [])
                    peers.append(s.peer(python, 'pytorch_losses.py', arguments, described, group, environment))

            for ways in map(str.split, rivals):
                group = pytorch + (', ' + ways[0] if len(rivals) > 1 else '')
                add(group, ways or [''], tuned())
                add(group, ways or [''], dict(tuned(), **RESTING_BLAS), 'BLAS rests')
            add(pytorch + ', as it comes', rivals[0].split()[:1] or [''], {})
        return [s.ours('losses', ['--loss', name])], peers
    return make


def knn(s):
    """Two ways to ask scikit-learn for the same neighbours; faiss with OpenBLAS's threads waiting actively or not."""
    peers = []
    for module, ways in ('sklearn', ('sklearn-cosine', 'sklearn-euclidean')), ('faiss', ('faiss',)):
        for python in s.knn_pythons.get(module, []):
            group = '%s %s' % ('scikit-learn' if module == 'sklearn' else module, python.version)
            for way in ways:
                arguments = ['--way', way, '--threads', str(s.threads)]
                name = group + (', ' + way.split('-')[1] if len(ways) > 1 else '')
                peers.append(s.peer(python, 'knn_peers.py', arguments, name, group))
                if way != 'sklearn-cosine':
                    peers.append(s.peer(python, 'knn_peers.py', arguments, name + ', BLAS rests', group, RESTING_BLAS))
    return [s.ours('knn', [])], peers


def available_bytes():
    with open('/proc/meminfo') as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith('MemAvailable:'))


def loss_cost(s):
    """All stay alive and alternate: together they may take half of the free memory, what does not fit is left out."""
    room, programs = available_bytes() // 2, []

    def add(rows, dtype, arguments, title):
        nonlocal room
        size = rows * 128 * (4 if dtype == 'f32' else 2)
        if size <= room:
            room -= size
            programs.append(s.ours('losses', arguments + ['--dtype', dtype], title))

    for rows in 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20:
        add(rows, 'f32', ['--loss', 'moco', '--queue', str(rows)], 'InfoNCE, queue')
    for dtype in 'f32', 'bf16':
        for rows in 10 ** 4, 10 ** 5, 10 ** 6, 10 ** 7:
            add(rows, dtype, ['--loss', 'nce', '--bank', str(rows)], 'NCE, bank in %s' % dtype)
    return programs, []


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
    Workload('knn', 'k-NN of 10,000 against 50,000 features of 512, k = 200', 'knn', knn),
    Workload('nt-xent', 'NT-Xent, 2 views of 512 x 128', 'loss', loss('nt-xent', ''), 'losses'),
    Workload('moco', 'InfoNCE, 256 x 128, queue of 65,536 (MoCo)', 'loss', loss('moco', 'cat logsumexp'), 'losses'),
    Workload('nce', 'NCE, 256 x 128, 4,096 of a bank of 50,000 (InstDisc)', 'loss',
             loss('nce', 'gathered', 'all-rows'), 'losses'),
    Workload('sinkhorn', 'Sinkhorn, 512 x 3,000, 3 iterations', 'loss', loss('sinkhorn', 'published', 'vectors'),
             'losses'),
    Workload('swav', 'SwAV, 2 views of 256 x 128, 3,000 prototypes', 'loss', loss('swav', 'published', 'vectors'),
             'losses'),
    Workload('cpc', 'CPC, 32 grids of 7 x 7 x 256, 5 offsets, 16 negatives', 'loss',
             loss('cpc', 'product bmm all-rows'), 'losses'),
    Workload('barlow-twins', 'Barlow Twins, 2 views of 256 x 2,048', 'loss', loss('barlow-twins', 'published sums'),
             'losses'),
    Workload('vicreg', 'VICReg, 2 views of 256 x 2,048', 'loss', loss('vicreg', 'published sums'), 'losses'),
    Workload('dino', 'DINO, 2 views of 64 x 65,536', 'loss', loss('dino', ''), 'losses'),
    Workload('loss-cost', 'Is the cost linear in queue and bank? 256 x 128, f32', 'cost', loss_cost, 'losses'),
]
