"""Tables of what run.py has measured."""
import re
import sys


def table(head, rows):
    """A Markdown table with columns of equal width; numbers are right-aligned by their makers' formats."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    lines = ['| ' + ' | '.join(cell.ljust(w) for cell, w in zip(head, widths)) + ' |',
             '| ' + ' | '.join('-' * w for w in widths) + ' |']
    for row in rows:
        cells = [cell.ljust(w) if i == 0 or not re.match(r'[-\d.]', cell) else cell.rjust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def mib(count):
    return '%.0f' % (count / 1048576) if count else '-'


def seconds(value):
    return '%.3f' % value if value < 10 else '%.1f' % value


def milliseconds(value):
    return '%.2f' % (1e3 * value) if value < .1 else '%.1f' % (1e3 * value)


def spread(values):
    return '%.2f .. %.2f' % (min(values), max(values))


def limits(program):
    """Percent of a step in convolutions, in passes bound by memory, in everything else."""
    found = program['findings'].get('limits')
    if not found:
        return '-'
    return ' / '.join('%.0f' % (100 * found[key] / found['step']) for key in ('convolutions', 'memory_bound', 'other'))


# ---- the one table ----

SUMMARY = ['workload', 'ours, s', 'a second', 'limits, %', 'against', 'theirs, s', 'times as fast', 'min .. max',
           'peak MiB', 'theirs', 'share']


def summary_rows(workload):
    ours, peers = workload['programs'][0], workload['programs'][1:]
    mine = [workload['title'], seconds(ours['median_seconds']), '%.1f %ss' % (ours['per_second'], unit(ours)),
            limits(ours)]
    if not peers:
        return [mine + ['-', '-', '-', '-', mib(ours['peak_bytes']), '-', '-']]
    rows = []
    for peer in peers:
        share = '%.2f' % (ours['peak_bytes'] / peer['peak_bytes']) if peer['peak_bytes'] else '-'
        rows.append((mine if not rows else ['', '', '', '']) +
                    [peer['name'], seconds(peer['median_seconds']), '%.2f' % peer['median_ratio'],
                     spread(peer['ratios']), mib(ours['peak_bytes']), mib(peer['peak_bytes']), share])
    return rows


def unit(program):
    about = program['about']
    return about.get('unit', 'view' if 'views_per_step' in about else 'item')


def summary(figures):
    rows = [row for w in figures['workloads'] if w['kind'] in ('against', 'epoch') and w['programs']
            for row in summary_rows(w)]
    return table(SUMMARY, rows) if rows else ''


LOSS_HEAD = ['loss', 'ours, ms', 'against', 'theirs, ms', 'times as fast', 'min .. max', 'peak MiB', 'theirs']


def losses(figures):
    """All losses: value, gradients and what is remembered, a call."""
    rows = []
    for workload in figures['workloads']:
        if workload['kind'] != 'loss' or not workload['programs']:
            continue
        ours, peers = workload['programs'][0], workload['programs'][1:]
        mine = [workload['title'], milliseconds(ours['median_seconds'])]
        if not peers:
            rows.append(mine + ['-', '-', '-', '-', mib(ours['peak_bytes']), '-'])
        for peer in peers:
            rows.append(mine + [peer['name'], milliseconds(peer['median_seconds']), '%.2f' % peer['median_ratio'],
                                spread(peer['ratios']), mib(ours['peak_bytes']), mib(peer['peak_bytes'])])
            mine = ['', '']
    notes = ['Note, %s: %s.' % (w['title'], note) for w in figures['workloads'] if w['kind'] == 'loss'
             for note in w['notes']]
    return '\n\n'.join([table(LOSS_HEAD, rows)] + notes) if rows else ''


# ---- one workload ----

def detail(workload, peaks):
    programs = workload['programs']
    parts = []
    if programs:
        special = {'memory': memory, 'linear': linear, 'first-step': first_step, 'cost': cost}
        parts.append(special.get(workload['kind'], programs_table)(workload))
        text = roofline(programs[0], peaks)
        if text:
            parts.append(text)
    if workload['heats']:
        parts.append('Heats, s: ' + '; '.join('%s %s' % (h['name'], seconds(min(h['seconds'])))
                                              for h in workload['heats']) + '.')
    parts += ['Note: %s.' % note for note in workload['notes']]
    return '\n\n'.join(parts)


def programs_table(workload):
    rows = [[p['name'], seconds(p['median_seconds']), '%s .. %s' % (seconds(min(p['seconds'])),
                                                                    seconds(max(p['seconds']))),
             '%.1f' % p['per_second'], '%.2f' % p['median_ratio'], mib(p['peak_bytes'])] for p in workload['programs']]
    return table(['program', 's', 'min .. max', unit(workload['programs'][0]) + 's a second', 'time / ours',
                  'peak MiB'], rows)


def roofline(program, peaks):
    found = program['findings'].get('limits')
    if not found:
        return ''
    rate = found['convolution_gflop'] / found['convolutions']
    rows = [['convolutions', seconds(found['convolutions']), '%.0f %%' % (100 * found['convolutions'] / found['step'])],
            ['passes bound by memory', seconds(found['memory_bound']),
             '%.0f %%' % (100 * found['memory_bound'] / found['step'])],
            ['everything else', seconds(found['other']), '%.0f %%' % (100 * found['other'] / found['step'])]]
    text = '%.0f GFLOP of convolutions, counted as direct ones, at %.0f GFLOP/s' % (found['convolution_gflop'], rate)
    top = peaks.get('bf16_gflops' if program['about'].get('precision') == 'bf16' else 'f32_gflops')
    if top:
        text += ': %.2f times what the processor multiplies and adds at most' % (rate / top)
    return table(['ours, a step', 's', 'share'], rows) + '\n\n' + text + '.'


def memory(workload):
    programs = workload['programs']
    free = programs[0]
    theirs = [p for p in programs if p['about'].get('library') == 'PyTorch']
    smallest = min((p['peak_bytes'] for p in theirs), default=0)
    rows = []
    for p in programs:
        chosen = p['findings'].get('memory', {})
        rows.append([p['name'], mib(chosen.get('budget', 0)), mib(p['planned_bytes']), mib(p['peak_bytes']),
                     '%.2f' % (p['peak_bytes'] / smallest) if smallest else '-', seconds(p['median_seconds']),
                     '%.2f' % p['median_ratio'], describe_choice(chosen, p)])
    return table(['program', 'budget MiB', 'planned MiB', 'peak MiB', "of PyTorch's", 's', 'time / no limit',
                  'chosen'], rows)


def describe_choice(chosen, program):
    if not chosen:
        return '-'
    words = []
    if chosen['recomputed_stages']:
        words.append('%d stages computed again' % chosen['recomputed_stages'])
    images = program['about']['per_step'] // 2
    if 0 < chosen['micro_batch'] < images:
        words.append('%d of %d images a pass' % (chosen['micro_batch'], images))
    return ', '.join(words) or 'nothing'


def linear(workload):
    rows = []
    for p in workload['programs']:
        pixels = p['about']['per_step'] * p['about']['size'] ** 2
        rows.append([p['name'], seconds(p['median_seconds']), '%.2f' % (1e6 * p['median_seconds'] / pixels)])
    return table(['step', 's', 'us a pixel of a row'], rows)


def first_step(workload):
    rows = []
    for p in workload['programs']:
        later = p['findings']['later_step']
        rows.append([p['name'], seconds(p['median_seconds']), seconds(later), seconds(p['median_seconds'] - later)])
    return table(['program', 'start to first step, s', 'a later step, s', 'difference, s'], rows)


def cost(workload):
    rows = []
    for p in workload['programs']:
        count, held = p['about']['rows'], p['findings']['loss_bytes']
        rows.append([p['name'], '%d' % count, milliseconds(p['median_seconds']),
                     '%s .. %s' % (milliseconds(min(p['seconds'])), milliseconds(max(p['seconds']))),
                     '%.1f' % (1e9 * p['median_seconds'] / count) if p['about']['loss'] == 'moco' else '-',
                     '%.1f' % (held / 1048576), '%.0f' % (held / count), mib(p['peak_bytes'])])
    return table(['loss', 'rows', 'ms a call', 'min .. max', 'ns a row', 'holds MiB', 'bytes a row', 'peak MiB'], rows)


# ---- the whole ----

def versions(figures):
    found = {}
    for workload in figures['workloads']:
        for p in workload['programs']:
            about = p['about']
            if about.get('library') == 'sslcv':
                build = dict(line.split('=', 1) for line in about['build'].split('\n') if line)
                found['sslcv'] = 'sslcv %s (oneDNN %s)' % (about['version'], build['onednn'])
            elif 'onednn' in about:
                name = 'PyTorch %(version)s (oneDNN %(onednn)s, Python %(python)s)' % about
                found[name] = name
            elif p['group'] != 'sslcv':
                found[p['group']] = p['group']
    return '; '.join(found.values())


def machine(figures):
    m, method = figures['machine'], figures['method']
    text = '%s, %d processors, %d threads, Linux %s.' % (m['cpu'], m['processors'], m.get('threads', 0), m['kernel'])
    if m.get('f32_gflops'):
        text += ' At most %.0f GFLOP/s in f32' % m['f32_gflops']
        if m.get('bf16_gflops'):
            text += ', %.0f with the dot product of bf16' % m['bf16_gflops']
        text += '; %.1f GB/s from and to memory.' % m['gigabytes_per_second']
    text += '\n%s.' % versions(figures)
    text += '\n%d rounds (fewer where a step is long) after %d step of warm-up, OMP_WAIT_POLICY=%s; %.0f minutes.' % (
        method['rounds'], method['warm_up'], method['OMP_WAIT_POLICY'], figures['run_seconds'] / 60)
    busy = [w['name'] for w in figures['workloads'] if w['load_before'] > 3]
    if busy:
        text += '\nThe machine was busy (load above 3) before: %s. These times say little.' % ', '.join(busy)
    return '\n'.join([text] + figures['missing'])


def text(figures):
    parts = [machine(figures)]
    if summary(figures):
        parts += [summary(figures), 'Times are medians; "times as fast" is the median of the ratios within a round, '
                  'item for item.\n"limits": percent of a step of ours in convolutions / in passes bound by memory / '
                  'in everything else.']
    if losses(figures):
        parts.append('Losses: value, gradients and what is remembered, a call\n' + losses(figures))
    for workload in figures['workloads']:
        if workload['kind'] in ('memory', 'linear', 'first-step', 'cost', 'knn') and workload['programs']:
            parts.append(workload['title'] + '\n' + detail(workload, figures['machine']))
    return '\n\n'.join(parts)


def blocks(figures):
    found = {'summary': summary(figures), 'losses': losses(figures)}
    if found['summary']:
        found['machine'] = machine(figures)
    if found['losses']:  # measured in a run of their own
        found['losses'] += '\n\n' + machine(figures)
    for workload in figures['workloads']:
        if workload['kind'] == 'loss':
            continue
        found[workload['name']] = detail(workload, figures['machine'])
        if workload['kind'] == 'knn':  # likewise
            found[workload['name']] += '\n\n' + machine(figures)
    return {name: body for name, body in found.items() if body}


def marks(name):
    return '<!-- %s: begin -->\n' % name, '<!-- %s: end -->' % name


def markdown(figures):
    return '\n\n'.join(marks(name)[0] + body + '\n' + marks(name)[1] for name, body in blocks(figures).items())


def update(path, figures):
    """Leaves those blocks alone that were not measured."""
    replace(path, blocks(figures))


def replace(path, bodies):
    """Puts each body between its marks in a file."""
    with open(path) as file:
        document = file.read()
    for name, body in bodies.items():
        begin, end = marks(name)
        head, found, rest = document.partition(begin)
        if not found or end not in rest:
            print('%s has no marks for %s' % (path, name), file=sys.stderr)
            continue
        document = head + begin + body + '\n' + end + rest.partition(end)[2]
    with open(path, 'w') as file:
        file.write(document)
