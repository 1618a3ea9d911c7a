#!/usr/bin/env python3
"""Whole runs of learning.c one after another, and their times beside the PyTorch script of the reference curves.

    learning.py --data DIR [--references DIR] [--only simclr,byol-bf16] [--results build/learning] [--markdown FILE]
    learning.py --data DIR --references DIR --speed --script FILE [--rounds 5] [--steps 10] ...
    learning.py --markdown docs/results.md

Each run is a process of its own; results are RUN.json in the folder of results, beside RUN.txt, which is what it
printed. A run whose results are there is not run again. So a stopped series goes on where it was.

A run is a row of learning.c's table, in f32 and with seed 1; "simclr-bf16" is the same in bf16, "simclr-seed2" has
seed 2, and "simclr-same" begins with the very weights of the PyTorch run (needs --script, which makes them).

--speed measures no accuracies: ours and the script's training step of the same method alternate, --steps at a time,
with decoding, views and loader. Only a machine that does nothing else gives times that mean something.

--markdown puts the tables between the marks <!-- NAME: begin --> and <!-- NAME: end --> of a file, or prints them.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

import report
from run import cpu_model
from servers import Ended, Server, alternate, find_pythons
from workloads import HERE, tuned

SHARES = '1%_C0.1', '10%_C0.1', '100%_C0.1'
BESIDES = {'barlow-twins': 'barlow'}  # methods of the script of which there is no curve


def arguments():
    p = argparse.ArgumentParser(description='learning runs on CIFAR-10')
    p.add_argument('--build', default='build/bench', help='folder of our programs; default build/bench')
    p.add_argument('--data', help="folder of CIFAR-10's binary files; without it nothing is run")
    p.add_argument('--references', help='folder of PyTorch results')
    p.add_argument('--results', default='build/learning', help='folder for ours; default build/learning')
    p.add_argument('--only', help='runs, parted by commas; default: all rows, in f32 with seed 1')
    p.add_argument('--threads', type=int, default=0, help='default 0: as many as processors')
    p.add_argument('--speed', action='store_true', help='times beside --script in place of runs')
    p.add_argument('--script', help='the PyTorch script of the references')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--steps', type=int, default=10)
    p.add_argument('--markdown', nargs='?', const='-', metavar='FILE', help='tables for the documentation')
    return p.parse_args()


class Run:
    """A row of learning.c's table, and what it is varied by: "", "bf16", "seed2", "same"."""

    def __init__(self, row, method, reference, settings, variant=''):
        self.row, self.method, self.reference, self.settings, self.variant = row, method, reference, settings, variant
        self.name = row + (variant and '-' + variant)
        self.precision = 'bf16' if variant == 'bf16' else 'f32'

    def varied(self, variant):
        return Run(self.row, self.method, self.reference, self.settings, variant)

    def options(self):
        seed = re.match(r'seed(\d+)$', self.variant)
        return ['--run', self.row, '--precision', self.precision] + (['--seed', seed.group(1)] if seed else [])


def known_runs(a):
    listed = subprocess.run([os.path.join(a.build, 'learning'), '--list'], stdout=subprocess.PIPE, check=True,
                            universal_newlines=True)
    return [Run(*line.split('\t')) for line in listed.stdout.splitlines()]


def chosen_runs(a):
    runs = known_runs(a)
    if not a.only:
        return runs
    rows, chosen = {run.row: run for run in runs}, []
    for name in a.only.split(','):
        row, variant = re.match(r'(.*?)(?:-(bf16|seed\d+|same))?$', name).groups('')
        if row not in rows or variant == 'same' and not rows[row].reference:
            sys.exit('learning.py: no run %s; rows are %s' % (name, ', '.join(rows)))
        chosen.append(rows[row].varied(variant))
    return chosen


# ---- runs ----

def results_path(a, name):
    return os.path.join(a.results, name + '.json')


def make_weights(a, run):
    """A file of those with which the reference's run began."""
    pythons = find_pythons('torchvision', 'TORCH_PYTHON')
    if not (pythons and a.script and a.references):
        sys.exit('learning.py: %s needs --script, --references and a Python with torchvision' % run.name)
    path = os.path.join(a.results, run.name + '.safetensors')
    subprocess.run([pythons[0].path, os.path.join(HERE, 'pytorch_learning.py'), '--script', a.script, '--data', a.data,
                    '--like', os.path.join(a.references, run.reference), '--weights', path], check=True)
    return path


def learn(a, run):
    """Whether it went well."""
    command = [os.path.join(a.build, 'learning'), '--data', a.data, '--threads', str(a.threads), '--json',
               results_path(a, run.name)] + run.options()
    if a.references:
        command += ['--references', a.references]
    if run.variant == 'same':
        command += ['--weights', make_weights(a, run)]
    began = time.time()
    print('%s ... ' % run.name, end='', flush=True)
    with open(os.path.join(a.results, run.name + '.txt'), 'w') as log:
        status = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT,
                                 env=dict(os.environ, OMP_WAIT_POLICY='passive'))
    print('failed: see %s' % log.name if status else '%.0f s' % (time.time() - began), flush=True)
    return status == 0


def learn_all(a, runs):
    os.makedirs(a.results, exist_ok=True)
    waiting = [run for run in runs if not os.path.exists(results_path(a, run.name))]
    return all([learn(a, run) for run in waiting])


# ---- times ----

def speed_of(a, run, python):
    """Both programs, measured; the time of a step of training is theirs over ours."""
    steps = ['--steps', str(a.steps), '--threads', str(a.threads), '--data', a.data]
    peer = [python.path, os.path.join(HERE, 'pytorch_learning.py'), '--serve', '--script', a.script] + steps
    if run.reference:
        peer += ['--like', os.path.join(a.references, run.reference)]
    else:
        peer += ['--method', BESIDES[run.method]]
    ours = [os.path.join(a.build, 'learning'), '--serve'] + run.options() + steps
    programs = [Server('sslcv', 'sslcv', ours), Server('PyTorch ' + python.version, 'PyTorch', peer, tuned())]
    try:
        for program in programs:
            program.start(1)
        alternate(programs, a.rounds, lambda text: None)
        for program in programs:
            program.finish()
    finally:
        for program in programs:
            program.close()
    found = [program.result(programs[0]) for program in programs]
    print('%-16s %6.1f images/s, PyTorch %6.1f: %.2f times as fast (%s)' % (
        run.name, found[0]['per_second'], found[1]['per_second'], found[1]['median_ratio'],
        report.spread(found[1]['ratios'])), flush=True)
    return found


def measure_speed(a, runs):
    path = results_path(a, 'speed')
    pythons = find_pythons('torchvision', 'TORCH_PYTHON')
    if not pythons:
        sys.exit('learning.py: no Python with torchvision was found')
    found = {}
    if os.path.exists(path):
        with open(path) as file:
            found = json.load(file)['runs']
    os.makedirs(a.results, exist_ok=True)
    for run in runs:
        if run.reference == 'floor.json' or not run.reference and run.method not in BESIDES:
            continue
        try:
            found[run.name] = speed_of(a, run, pythons[0])
        except Ended as e:
            print('%-16s left out: %s' % (run.name, e), flush=True)
            continue
        with open(path, 'w') as file:
            json.dump({'date': time.strftime('%Y-%m-%d'), 'cpu': cpu_model(), 'steps': a.steps, 'runs': found}, file,
                      indent=1)


# ---- tables ----

def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except OSError:
        return None


def curve_of(results):
    """k-NN of each epoch, the last one's last, and the linear probes; of a network that has learnt nothing too."""
    knn = [e['knn'] for e in results['epochs']] or [results.get('knn', results.get('random_knn_eval_bn'))]
    return knn, [results.get('linear', results.get('random_linear_eval_bn', {})).get(key) for key in SHARES]


def percent(value):
    return '-' if value is None else '%.1f' % value


def curve_row(name, results, epochs):
    knn, linear = curve_of(results)
    return [name] + [''] * (epochs - len(knn)) + [percent(x) for x in knn + linear]


def variants(a, row):
    """Those that have results, "" first."""
    names = sorted(name[len(row) + 1:-5] for name in os.listdir(a.results) if name.startswith(row + '-'))
    return [''] + [name for name in names if re.match(r'(bf16|seed\d+|same)$', name)]


def pairs(a):
    """(run, ours, theirs or None) of all runs that have results."""
    found = []
    for run in [known.varied(variant) for known in known_runs(a) for variant in variants(a, known.row)]:
        ours = load(results_path(a, run.name))
        theirs = a.references and run.reference and load(os.path.join(a.references, run.reference))
        if ours:
            found.append((run, ours, theirs or None))
    return found


def curves(found):
    epochs = max(len(curve_of(ours)[0]) for _, ours, _ in found)
    head = ['k-NN by epoch, %'] + [str(e + 1) for e in range(epochs)] + ['linear 1 %', '10 %', '100 %']
    rows = []
    for i, (run, ours, theirs) in enumerate(found):
        rows.append(curve_row('**%s**' % run.name, ours, epochs))
        if theirs and (i + 1 == len(found) or found[i + 1][0].row != run.row):
            rows.append(curve_row('PyTorch, ' + run.reference[:-5], theirs, epochs))
    return report.table(head, rows)


def signed(ours, theirs):
    return '-' if ours is None or theirs is None else '%+.1f' % (ours - theirs)


def losses_of(results):
    marks = [0, len(results['epochs']) // 2 - 1, -1]
    return ' / '.join(['%.3f' % results['first_loss']] + ['%.3f' % results['epochs'][i]['loss'] for i in marks])


def differences(found):
    head = ['run', 'k-NN, points', 'linear 10 %', '100 %', 'loss: first batch, epochs 1 / 5 / 10', "PyTorch's",
            'peak MiB']
    rows = []
    for run, ours, theirs in found:
        if not ours['epochs']:
            continue
        row = [run.name, '-', '-', '-']
        if theirs:
            (knn, linear), (knn2, linear2) = curve_of(ours), curve_of(theirs)
            row = [run.name, signed(knn[-1], knn2[-1]), signed(linear[1], linear2[1]), signed(linear[2], linear2[2])]
        rows.append(row + [losses_of(ours), losses_of(theirs) if theirs else '-', report.mib(ours['peak_bytes'])])
    return report.table(head, rows)


def speeds(measured):
    head = ['run', 'ours, images/s', 'PyTorch', 'times as fast', 'min .. max', 'peak MiB', "PyTorch's"]
    rows = []
    for name, (ours, theirs) in measured['runs'].items():
        rows.append([name, '%.0f' % ours['per_second'], '%.0f' % theirs['per_second'],
                     '%.2f' % statistics.median(theirs['ratios']), report.spread(theirs['ratios']),
                     report.mib(ours['peak_bytes']), report.mib(theirs['peak_bytes'])])
    about = [program['about'] for program in next(iter(measured['runs'].values()))]
    return '%s, %d threads, %s. sslcv %s, PyTorch %s with torchvision %s.\n\n%s' % (
        measured['cpu'], about[0]['threads'], measured['date'], about[0]['version'], about[1]['version'],
        about[1]['torchvision'], report.table(head, rows))


def blocks(a):
    found, measured, made = pairs(a), load(results_path(a, 'speed')), {}
    if found:
        dates = sorted({ours['date'] for _, ours, _ in found})
        about = '%s, %s, sslcv %s.' % (cpu_model(), ' .. '.join(sorted({dates[0], dates[-1]})), found[0][1]['version'])
        made['curves'] = about + '\n\n' + curves(found)
        made['differences'] = differences(found)
    if measured:
        made['speed'] = speeds(measured)
    return made


def main():
    a = arguments()
    well = True
    if a.speed and not (a.script and a.references and a.data):
        sys.exit('learning.py: --speed needs --data, --references and --script')
    if not (a.data or a.markdown):
        sys.exit("learning.py: --data must name a folder of CIFAR-10's binary files")
    if a.speed:
        measure_speed(a, chosen_runs(a))
    elif a.data:
        well = learn_all(a, chosen_runs(a))
    if a.markdown == '-':
        print('\n\n'.join(blocks(a).values()))
    elif a.markdown:
        report.replace(a.markdown, blocks(a))
    sys.exit(not well)


if __name__ == '__main__':
    main()
