#!/usr/bin/env python3
"""The training step of step.c against the same step in PyTorch, alternating in one run.

    run.py --ours build/bench/step [--rounds 7] [--json FILE] [--arch resnet18] [--batch 128] ...

All programs are started once, warmed up, and stay alive, waiting for a line on their standard input. A round then makes
one step of each, one after the other, in an order that moves on by one from round to round. So a machine that gets
slower or faster while it is measured does so for all. Ratios are taken within a round; their median is what counts.

A program that is not its turn must really rest: all get OMP_WAIT_POLICY=passive, or the OpenMP threads of those that
wait would spin on the processors of the one that works.

PyTorch runs in both memory layouts, each with glibc's malloc as it is and tuned (see pytorch_step.py). Ours allocates
nothing during a step; its malloc is left as it is.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PASSED_ON = 'arch', 'stem', 'batch', 'size', 'width', 'threads'
NO_TORCH = 3


def arguments():
    p = argparse.ArgumentParser(description='our training step against that of PyTorch')
    p.add_argument('--ours', default='build/bench/step', help='the program; default build/bench/step')
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--warm-up', type=int, default=2, help='steps of each before the first round; default 2')
    p.add_argument('--arch', default='resnet18')
    p.add_argument('--stem', default='cifar')
    p.add_argument('--batch', type=int, default=128, help='images a step, two views each; default 128')
    p.add_argument('--size', type=int, default=32)
    p.add_argument('--width', type=float, default=1.0)
    p.add_argument('--threads', type=int, default=0, help='default 0: as many as processors')
    p.add_argument('--malloc', default='both', choices=['both', 'tuned', 'default'], help='of PyTorch')
    p.add_argument('--json', metavar='FILE', help='write all figures there; "-": to standard output, no table')
    return p.parse_args()


class Ended(Exception):
    def __init__(self, server, status):
        super().__init__('%s ended with status %s' % (server.name, status))
        self.status = status


class Server:
    """A program that makes steps when told."""

    def __init__(self, name, command):
        environment = dict(os.environ, OMP_WAIT_POLICY='passive')
        environment.pop('GOMP_SPINCOUNT', None)
        self.name, self.seconds = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
                                        universal_newlines=True, bufsize=1)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Ended(self, self.process.wait())
        return line

    def ask(self, command):
        try:
            self.process.stdin.write(command + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Ended(self, self.process.wait())
        return self.read()

    def start(self, warm_up):
        self.about = json.loads(self.read())
        for _ in range(warm_up):
            self.ask('step')

    def step(self):
        self.seconds.append(float(self.ask('step')))

    def finish(self):
        self.peak_bytes, self.planned_bytes = map(int, self.ask('memory').split())
        self.close()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


def start_all(a):
    options = [x for name in PASSED_ON for x in ('--' + name, str(getattr(a, name)))]
    ours = Server('sslcv', [a.ours, '--serve'] + options)
    servers = [ours]
    ours.start(a.warm_up)
    for layout in 'contiguous', 'channels_last':
        for malloc in ('default', 'tuned') if a.malloc == 'both' else (a.malloc,):
            name = 'PyTorch, %s, malloc %s' % (layout.replace('_', ' '), malloc)
            server = Server(name, [sys.executable, os.path.join(HERE, 'pytorch_step.py'), '--serve', '--layout', layout,
                                   '--malloc', malloc] + options)
            try:
                server.start(a.warm_up)
            except Ended as ended:
                server.close()
                if ended.status != NO_TORCH:
                    raise
                return servers
            servers.append(server)
    return servers


def cpu_model():
    try:
        with open('/proc/cpuinfo') as file:
            fields = dict(line.split(':', 1) for line in file.read().split('\n\n')[0].split('\n') if ':' in line)
        fields = {k.strip(): v.strip() for k, v in fields.items()}
        return '%s (family %s, model %s)' % (fields['model name'], fields['cpu family'], fields['model'])
    except (OSError, KeyError):
        return os.uname().machine


def results(a, servers, load, seconds):
    ours = servers[0]
    rows = []
    for s in servers:
        median = statistics.median(s.seconds)
        ratios = [theirs / mine for theirs, mine in zip(s.seconds, ours.seconds)]
        rows.append({'name': s.name, 'seconds': s.seconds, 'median_seconds': median,
                     'images_per_second': a.batch / median, 'rows_per_second': 2 * a.batch / median,
                     'ratios': ratios, 'median_ratio': statistics.median(ratios), 'peak_bytes': s.peak_bytes,
                     'planned_bytes': s.planned_bytes, 'about': s.about})
    best = min(rows[1:], key=lambda row: row['median_seconds']) if rows[1:] else None
    return {'machine': {'cpu': cpu_model(), 'processors': len(os.sched_getaffinity(0)), 'kernel': os.uname().release,
                        'load_before': load},
            'method': {'rounds': a.rounds, 'warm_up': a.warm_up, 'OMP_WAIT_POLICY': 'passive', 'run_seconds': seconds},
            'programs': rows, 'best_of_pytorch': best and best['name'], 'ratio': best and best['median_ratio'],
            'ratio_range': best and [min(best['ratios']), max(best['ratios'])]}


def versions(rows):
    ours = rows[0]['about']
    build = dict(line.split('=', 1) for line in ours['build'].split('\n') if line)
    text = 'sslcv %s (oneDNN %s, %s)' % (ours['version'], build['onednn'], ours['instruction_set'])
    if rows[1:]:
        theirs = rows[1]['about']
        text += '; PyTorch %(version)s (oneDNN %(onednn)s), Python %(python)s' % theirs
    return text


def print_table(a, r):
    rows, machine = r['programs'], r['machine']
    about = rows[0]['about']
    print('%s, %s stem, width %g, projection head, NT-Xent, SGD: %d parameters, f32' %
          (a.arch, a.stem, a.width, about['parameters']))
    print('%d images of 3x%dx%d a step, two views each: %d rows' % (a.batch, a.size, a.size, 2 * a.batch))
    print('%s; %d processors, %d threads; Linux %s' %
          (machine['cpu'], machine['processors'], about['threads'], machine['kernel']))
    print(versions(rows))
    print('%d rounds after %d steps of warm-up, OMP_WAIT_POLICY=passive; load before: %.2f\n' %
          (r['method']['rounds'], r['method']['warm_up'], machine['load_before']))
    print('| %-38s | s a step | min .. max    | images/s | rows/s | time / ours | peak MiB |' % 'program')
    print('| %s | --- | --- | --- | --- | --- | --- |' % ('-' * 38))
    for row in rows:
        print('| %-38s | %8.3f | %5.3f .. %5.3f | %8.1f | %6.1f | %11.2f | %8.0f |' %
              (row['name'], row['median_seconds'], min(row['seconds']), max(row['seconds']), row['images_per_second'],
               row['rows_per_second'], row['median_ratio'], row['peak_bytes'] / 1048576))
    print('\nAn image is two rows. Times are medians; "time / ours" is the median of the ratios within a round.')
    if r['ratio']:
        print('Against the best of PyTorch (%s): %.2f times as fast, %.2f .. %.2f.' %
              (r['best_of_pytorch'][9:], r['ratio'], r['ratio_range'][0], r['ratio_range'][1]))
    else:
        print('No Python with torch was found, so ours stands alone.')
    if machine['load_before'] > 0.5:
        print('The machine was busy (load %.2f): these times say little.' % machine['load_before'])


def main():
    a = arguments()
    load, began = os.getloadavg()[0], time.time()
    try:
        servers = start_all(a)
        for turn in range(a.rounds):
            first = turn % len(servers)
            for server in servers[first:] + servers[:first]:
                server.step()
        for server in servers:
            server.finish()
    except (Ended, OSError) as ended:
        print('run.py: %s' % ended, file=sys.stderr)
        return 1
    r = results(a, servers, load, time.time() - began)
    if a.json == '-':
        print(json.dumps(r, indent=1))
        return 0
    print_table(a, r)
    if a.json:
        with open(a.json, 'w') as file:
            json.dump(r, file, indent=1)
            file.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
