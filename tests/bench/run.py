#!/usr/bin/env python3
"""All benchmarks: ours beside PyTorch, ONNX Runtime and others on the same work, alternating in one run.

    run.py [--build build/bench] [--only r18-f32,losses] [--rounds 5] [--data DIR] [--script FILE]
           [--json FILE] [--markdown [FILE]]
    run.py --from FILE --markdown [FILE]

Programs are started once, warmed up, and stay alive, waiting for a line on their standard input. A round then makes
one step of each, one after the other, in an order that moves on by one from round to round. So a machine that gets
slower or faster while it is measured does so for all. Ratios are taken within a round; their median is what counts.

PyTorch has many ways to be run: two memory layouts, eager or frozen, as it comes or tuned (glibc's malloc keeps
buffers; its own kernels take AVX-512), and there may be several versions. Heats choose the fastest of each group: every
variant makes one step to warm up and two that count. The winners alternate with ours.

What is not there is left out, with a line that says so. TORCH_PYTHON, ORT_PYTHON and KNN_PYTHON name Pythons that have
torch, onnxruntime, and scikit-learn or faiss, parted by ":"; else the usual ones are tried. --markdown prints the tables of the documentation, or puts
them between the marks <!-- NAME: begin --> and <!-- NAME: end --> of a file; --from takes the figures of an earlier
run.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import report
from servers import NOT_HERE, Ended, alternate, find_pythons
from workloads import WORKLOADS, Setting, available_bytes

WARM_UP, HEAT_STEPS = 1, 2
VALUES_AGREE = .05  # of a loss, ours and theirs: but for what is drawn they agree to six digits
SHARES = .75, .5, .35, .25  # of what is planned without a limit


def arguments():
    p = argparse.ArgumentParser(description='benchmarks beside PyTorch, ONNX Runtime and torchvision')
    p.add_argument('--build', default='build/bench', help='folder of our programs; default build/bench')
    p.add_argument('--only', help='workloads, parted by commas; default all: %s; losses: the last %d' % (
        ' '.join(w.name for w in WORKLOADS), sum(w.family == 'losses' for w in WORKLOADS)))
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--threads', type=int, default=0, help='default 0: as many as processors')
    p.add_argument('--data', help="folder of CIFAR-10's binary files, for the epoch")
    p.add_argument('--script', help='a PyTorch script for the same epoch: --method simclr --data --out --epochs ...')
    p.add_argument('--json', metavar='FILE', help='write all figures there')
    p.add_argument('--from', dest='figures', metavar='FILE', help='measure nothing; take the figures of --json')
    p.add_argument('--markdown', nargs='?', const='-', metavar='FILE', help='tables for the documentation')
    p.add_argument('--verbose', action='store_true', help='tell each step')
    return p.parse_args()


class Bench:
    def __init__(self, a, setting):
        self.a, self.setting, self.notes, self.tried = a, setting, [], []
        self.heats = {}  # results of each group, by its commands: two workloads may need the same

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            print('    ' + text, flush=True)

    def say(self, text):
        if self.a.verbose:
            print('    ' + text, flush=True)

    def started(self, program, warm_up=WARM_UP):
        """None, with a note, where it cannot work."""
        try:
            program.start(warm_up)
            return program
        except (Ended, OSError) as e:
            program.close()
            if not isinstance(e, Ended) or e.status != NOT_HERE:
                self.note('left out: %s' % e)
            return None

    def heat(self, programs):
        """The fastest of a group, not started; None when none works."""
        if len(programs) < 2:
            return programs[0] if programs else None
        key = tuple(' '.join(p.command) + str(sorted(p.environment.items())) for p in programs)
        if key not in self.heats:
            tried = []
            for program in programs:
                if not self.started(program):
                    continue
                for _ in range(HEAT_STEPS):
                    program.step()
                program.finish()
                self.say('heat: %s: %s' % (program.name, ' '.join('%.3f' % s for s in program.seconds)))
                tried.append(program.result())
            self.heats[key] = tried
        tried = self.heats[key]
        self.tried += tried
        if not tried:
            return None
        best = min(tried, key=lambda r: min(r['seconds']))['name']
        winner = next(p for p in programs if p.name == best)
        winner.seconds = []
        return winner

    def winners(self, peers):
        groups = {}
        for peer in peers:
            groups.setdefault(peer.group, []).append(peer)
        return [winner for winner in map(self.heat, groups.values()) if winner]

    # ---- kinds of workloads: each returns its programs, measured ----

    def against(self, ours, peers, rounds):
        if not self.started(ours[0]):
            return []
        programs = ours + [w for w in self.winners(peers) if self.started(w)]
        alternate(programs, rounds, self.say)
        for program in programs:
            program.look()
            program.finish()
        return programs

    def loss(self, ours, peers, rounds):
        programs = self.against(ours, peers, rounds)
        for peer in programs[1:]:
            mine, theirs = programs[0].about['value'], peer.about['value']
            if abs(theirs - mine) > VALUES_AGREE * abs(mine):
                self.note('values differ: %g, of %s %g' % (mine, peer.name, theirs))
        return programs

    def knn(self, ours, peers, rounds):
        """The value is the share that is right."""
        return self.loss(ours, peers, rounds)

    def cost(self, ours, peers, rounds):
        self.note('%.1f GiB of memory were free' % (available_bytes() / 2 ** 30))
        programs = [p for p in map(self.started, ours) if p]
        alternate(programs, rounds, self.say)
        for program in programs:
            program.look()
            program.finish()
        return programs

    def epoch(self, ours, peers, rounds):
        if not ours:
            self.note('left out: the epoch, as --data names no folder of CIFAR-10 files')
            return []
        if not peers:
            self.note('the epoch stands alone: --script names no PyTorch script, or no Python has torchvision')
        return self.against(ours, peers, min(rounds, 2))

    def least_budget(self, arguments):
        """Of a budget that is too small the library says which would do. 0: it does not keep to budgets."""
        refused = self.setting.ours('budget', arguments + ['--budget', '1'])
        try:
            refused.start(1)
        except Ended as e:
            number = re.search(r'(\d+)\D*$', e.words)
            return int(number.group(1)) if number else 0
        finally:
            refused.close()
        return 0

    def memory(self, ours, peers, rounds):
        free = self.started(ours[0])
        if not free:
            return []
        planned, least = int(free.ask('memory').split()[1]), self.least_budget(free.command[2:])
        budgets = [('%.0f %%' % (100 * share), int(share * planned)) for share in SHARES if share * planned > least]
        if least:
            budgets.append(('least', least))
        tight = [self.setting.ours('budget', free.command[2:] + ['--budget', str(size)], 'sslcv, budget ' + name)
                 for name, size in budgets]
        programs = [free] + [p for p in self.winners(peers) + tight if self.started(p)]
        alternate(programs, min(rounds, 3), self.say)
        for program in programs:
            program.look()
            program.finish()
        return programs

    def linear(self, ours, peers, rounds):
        programs = [p for p in map(self.started, ours) if p]
        alternate(programs, rounds, self.say)
        for program in programs:
            program.finish()
        return programs

    def first_step(self, ours, peers, rounds):
        """A fresh process each time; seconds are from its start to the end of its first step."""
        for program in ours:
            later = []
            for _ in range(min(rounds, 3)):
                if not self.started(program, 0):
                    return []
                program.ask('step')
                program.seconds.append(time.perf_counter() - program.began)
                later += [float(program.ask('step')) for _ in range(2)]
                program.finish()
            program.findings = {'later_step': min(later)}
        return ours

    def run(self, workload):
        rounds, began, load = self.a.rounds, time.time(), os.getloadavg()[0]
        self.notes, self.tried, programs = [], [], []
        ours, peers = workload.make(self.setting)
        try:
            programs = getattr(self, workload.kind.replace('-', '_'))(ours, peers, rounds)
        except Ended as e:
            self.note('given up: %s' % e)
        finally:
            for program in ours + peers:
                program.close()
        compared = workload.kind in ('against', 'epoch', 'memory', 'loss', 'knn')
        return {'name': workload.name, 'title': workload.title, 'kind': workload.kind, 'notes': self.notes,
                'load_before': load, 'run_seconds': time.time() - began,
                'programs': [p.result(programs[0] if compared else None) for p in programs],
                'heats': self.tried}


def cpu_model():
    try:
        with open('/proc/cpuinfo') as file:
            fields = dict(line.split(':', 1) for line in file.read().split('\n\n')[0].split('\n') if ':' in line)
        fields = {k.strip(): v.strip() for k, v in fields.items()}
        return '%s (family %s, model %s)' % (fields['model name'], fields['cpu family'], fields['model'])
    except (OSError, KeyError):
        return os.uname().machine


def machine(a):
    """Processor, and the most that it can do."""
    asked = subprocess.run([os.path.join(a.build, 'machine'), '--threads', str(a.threads)], stdout=subprocess.PIPE,
                           universal_newlines=True)
    found = {'cpu': cpu_model(), 'processors': len(os.sched_getaffinity(0)), 'kernel': os.uname().release}
    if asked.returncode == 0:
        found.update(json.loads(asked.stdout))
    return found


def selected(names):
    wanted = set(names.split(',') if names else [])
    chosen = [w for w in WORKLOADS if not wanted or {w.name, w.family} & wanted]
    unknown = wanted - {name for w in WORKLOADS for name in (w.name, w.family)}
    if unknown:
        sys.exit('run.py: no workload %s; there are %s' % (', '.join(sorted(unknown)),
                                                           ', '.join(w.name for w in WORKLOADS)))
    return chosen


def measure(a, chosen):
    pythons, onnx_pythons = find_pythons('torch', 'TORCH_PYTHON'), find_pythons('onnxruntime', 'ORT_PYTHON')
    view_pythons = find_pythons('torchvision', 'TORCH_PYTHON')
    knn_pythons = {module: find_pythons(module, 'KNN_PYTHON') for module in ('sklearn', 'faiss')}
    figures = {'machine': machine(a), 'method': {'rounds': a.rounds, 'warm_up': WARM_UP, 'heat_steps': HEAT_STEPS,
                                                 'OMP_WAIT_POLICY': 'passive'}, 'workloads': [], 'missing': []}
    for found, what in (pythons, 'torch'), (view_pythons, 'torchvision'), (onnx_pythons, 'onnxruntime'), *(
            (knn_pythons[module], module) for module in knn_pythons):
        if not found:
            figures['missing'].append('no Python with %s was found: its rows are left out' % what)
            print(figures['missing'][-1])
    began = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(a, Setting(a.build, a.threads, pythons, onnx_pythons, view_pythons, knn_pythons, a.data, a.script,
                                 temporary))
        for workload in chosen:
            print('%4.0f s  %s: %s' % (time.time() - began, workload.name, workload.title), flush=True)
            figures['workloads'].append(bench.run(workload))
    figures['run_seconds'] = time.time() - began
    return figures


def main():
    a = arguments()
    if a.figures:
        with open(a.figures) as file:
            figures = json.load(file)
    else:
        try:
            figures = measure(a, selected(a.only))
        except (Ended, OSError) as e:
            sys.exit('run.py: %s' % e)
    if a.json:
        with open(a.json, 'w') as file:
            json.dump(figures, file, indent=1)
            file.write('\n')
    if a.markdown == '-':
        print(report.markdown(figures))
    elif a.markdown:
        report.update(a.markdown, figures)
    else:
        print('\n' + report.text(figures))


if __name__ == '__main__':
    main()
