"""Programs that work when told, and finding those that are there."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

NOT_HERE = 3  # exit status of a peer whose Python lacks a module

# PyTorch gives its buffers back to the system after every step; these make glibc keep them, which is faster.
TUNED_MALLOC = {'MALLOC_MMAP_THRESHOLD_': '4000000000', 'MALLOC_TRIM_THRESHOLD_': '8000000000',
                'MALLOC_TOP_PAD_': '500000000'}


class Ended(Exception):
    """A program ended that should have worked."""

    def __init__(self, program, status, words):
        super().__init__('%s ended with status %s%s' % (program.name, status, words and ': ' + words))
        self.status, self.words = status, words


class Program:
    """What is measured: seconds of its steps, and what became known of it."""

    def __init__(self, name, group, command, environment=()):
        self.name, self.group, self.command = name, group, command
        # One that is not its turn must rest: else its OpenMP threads would take processors from the one that works.
        self.environment = dict(os.environ, OMP_WAIT_POLICY='passive')
        for variable in list(TUNED_MALLOC) + ['GOMP_SPINCOUNT', 'ATEN_CPU_CAPABILITY']:
            self.environment.pop(variable, None)
        self.environment.update(environment)
        self.seconds, self.about, self.findings, self.peak_bytes, self.planned_bytes = [], {}, {}, 0, 0

    def per_step(self):
        """How many rows, images or views a step handles."""
        for key in 'per_step', 'views_per_step', 'rows_per_step', 'images_per_step':
            if key in self.about:
                return self.about[key]
        return 1

    def median(self):
        return statistics.median(self.seconds)

    def result(self, first=None):
        """For the JSON file; ratios against the first program's steps of the same rounds, item for item."""
        r = {'name': self.name, 'group': self.group, 'command': ' '.join(self.command), 'about': self.about,
             'seconds': self.seconds, 'median_seconds': self.median(), 'per_second': self.per_step() / self.median(),
             'peak_bytes': self.peak_bytes, 'planned_bytes': self.planned_bytes, 'findings': self.findings}
        if first:
            scale = first.per_step() / self.per_step()
            r['ratios'] = [theirs / ours * scale for theirs, ours in zip(self.seconds, first.seconds)]
            r['median_ratio'] = statistics.median(r['ratios'])
        return r


class Server(Program):
    """A program that stays alive and answers commands line by line."""
    process = None

    def start(self, warm_up):
        self.errors = tempfile.TemporaryFile(mode='w+')
        self.began = time.perf_counter()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=self.environment, universal_newlines=True, bufsize=1)
        self.about = json.loads(self.read())
        for _ in range(warm_up):
            self.ask('step')

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            words = self.errors.read().strip().split('\n')
            raise Ended(self, status, words[-1])
        return line

    def ask(self, command):
        try:
            self.process.stdin.write(command + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # read() tells why
        return self.read()

    def step(self):
        self.seconds.append(float(self.ask('step')))

    def look(self):
        try:
            self.findings = json.loads(self.ask('look'))
        except ValueError:
            pass  # one that has nothing to show

    def finish(self):
        self.peak_bytes, self.planned_bytes = map(int, self.ask('memory').split())
        self.close()

    def close(self):
        if not self.process:
            return
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.process = None


class OneShot(Program):
    """A script that trains two epochs, writes its results to a JSON file and ends: each step is a run of it."""

    def start(self, warm_up):
        self.about = {'library': 'PyTorch'}

    def step(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'results.json')
            with open(os.path.join(folder, 'log'), 'w+') as log:
                process = subprocess.Popen(self.command + ['--epochs', '2', '--out', out], stdout=log, stderr=log,
                                           env=self.environment)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = status
                if status:
                    log.seek(0)
                    raise Ended(self, status, log.read().strip().split('\n')[-1])
            with open(out) as file:
                results = json.load(file)
        last = results['epochs'][-1]  # the first also warms up
        self.seconds.append(last['train_seconds'])
        self.about.update(version=results['settings'].get('torch', ''), unit='image',
                          per_step=round(last['train_seconds'] * last['images_per_second']))
        self.peak_bytes = max(self.peak_bytes, 1024 * usage.ru_maxrss)

    def look(self):
        pass

    def finish(self):
        pass

    def close(self):
        pass


class Python:
    """One that can import a module."""

    def __init__(self, path, version):
        self.path, self.version = path, version


def find_pythons(module, variable):
    """Those that variable names, parted by ":", else the usual ones; each version of the module once."""
    named = os.environ.get(variable)
    paths = named.split(':') if named else [sys.executable, shutil.which('python3'), '/usr/bin/python3']
    found = []
    for path in paths:
        if not path or not os.path.exists(path):
            continue
        asked = subprocess.run([path, '-c', 'import %s; print(%s.__version__)' % (module, module)],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
        version = asked.stdout.strip()
        if asked.returncode == 0 and version not in [python.version for python in found]:
            found.append(Python(path, version))
    return found


def alternate(programs, rounds, say):
    """A round is one step of each; the order moves on by one from round to round."""
    for turn in range(rounds):
        first = turn % len(programs)
        for program in programs[first:] + programs[:first]:
            program.step()
        say('round %d: %s' % (turn + 1, ', '.join('%.3f' % p.seconds[-1] for p in programs)))
