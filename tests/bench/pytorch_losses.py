#!/usr/bin/env python3
"""The losses of losses.c in PyTorch: value, every gradient, and what is remembered.

    pytorch_losses.py --loss NAME [--way NAME] [--queue 65536] [--bank 50000] [--seconds 0.2] [--steps 7] [--serve]

Written as someone would who wants it fast: no loop over samples, temperatures divide the smaller array, what is in
place can be, one log-softmax for all pairs, F.cross_entropy where there is one. Where two ways compete, --way says
which, and run.py measures both:

    nt-xent       -inf on the diagonal of the scores, cross_entropy
    moco          "cat" (default): the authors' code, scores of positive and queue in one array, cross_entropy;
                  "logsumexp": without that copy
    nce           "gathered" (default): the published code of InstDisc and CMC, index_select of the drawn rows, then
                  bmm; "all-rows": scores of all rows of the bank by one product, of which those drawn are picked: less
                  work while the bank is small
    sinkhorn      "published" (default): SwAV's distributed_sinkhorn in one process; "vectors": the same codes from two
                  vectors of scales, by products of the matrix with them
    swav          the same two
    cpc           "product" (default): Greedy InfoMax's sum of products; "bmm"; "all-rows": as nce's
    barlow-twins  "published" (default): with off_diagonal(); "sums": by the sum over all less the diagonal's
    vicreg        the same two
    dino          the authors' code

The values of the first call are those of losses.c, nearly so where queue, bank or rows are random. Exits with 3 where
there is no torch.
"""
import argparse
import math
import time

import peer
import pytorch_resnet
from pytorch_resnet import F, torch

UNCOUNTED_SECONDS = .05
SAMPLES_STRIDE = 7919


def numbers(which, *shape, scale=1.):
    """As fill() in losses.c."""
    i = torch.arange(math.prod(shape), dtype=torch.float64).add_(1e8 * which + 1)
    x = i.mul_(12.9898).sin_().mul_(43758.5453123)
    return (x - x.floor()).sub_(.5).mul_(scale).float().view(shape)


class Loss:
    """A loss with gradients: value() makes the graph, after() does what follows the backward pass."""
    ways = ()

    def __init__(self, a, *inputs, parameters=()):
        self.way = a.way or (self.ways[0] if self.ways else '')
        if self.way and self.way not in self.ways:
            raise SystemExit('--way %s is none of %s' % (self.way, ' '.join(self.ways)))
        self.inputs = [x.requires_grad_() for x in inputs]
        self.parameters = [p.requires_grad_() for p in parameters]

    def after(self):
        pass

    def call(self):
        for x in self.inputs + self.parameters:
            x.grad = None
        loss = self.value()
        loss.backward()
        self.after()
        return loss.item()


class NTXent(Loss):
    def __init__(self, a):
        super().__init__(a, numbers(0, 1024, 128))
        self.partners = torch.arange(1024).roll(512)

    def value(self):
        z = F.normalize(self.inputs[0])
        scores = (z / .5) @ z.t()
        return F.cross_entropy(scores.fill_diagonal_(float('-inf')), self.partners)


class MoCo(Loss):
    ways = 'cat', 'logsumexp'

    def __init__(self, a):
        super().__init__(a, numbers(0, 256, 128))
        self.embeddings = numbers(1, 256, 128)
        self.queue = F.normalize(torch.randn(a.queue, 128))
        self.at, self.zeros = 0, torch.zeros(256, dtype=torch.long)

    def value(self):
        q = F.normalize(self.inputs[0]) / .07
        self.keys = F.normalize(self.embeddings)
        positive, negative = (q * self.keys).sum(1, keepdim=True), q @ self.queue.t()
        if self.way == 'cat':
            return F.cross_entropy(torch.cat([positive, negative], 1), self.zeros)
        return (torch.logaddexp(positive, torch.logsumexp(negative, 1, keepdim=True)) - positive).mean()

    def after(self):
        self.queue[self.at:self.at + 256] = self.keys
        self.at = (self.at + 256) % len(self.queue)


class NCE(Loss):
    ways = 'gathered', 'all-rows'
    negatives, temperature, epsilon = 4096, .07, 1e-7

    def __init__(self, a):
        super().__init__(a, numbers(0, 256, 128))
        self.n, self.z, self.calls = a.bank, None, 0
        self.bank = torch.empty(self.n, 128).uniform_(-math.sqrt(3 / 128), math.sqrt(3 / 128))

    def scores(self, f, rows):
        if self.way == 'gathered':
            drawn = self.bank.index_select(0, rows.view(-1)).view(256, -1, 128)
            return torch.bmm(drawn, f.unsqueeze(2)).squeeze(2)
        return (f @ self.bank.t()).gather(1, rows)

    def value(self):
        self.ids = (torch.arange(256) + 256 * self.calls) * SAMPLES_STRIDE % self.n
        rows = torch.randint(self.n, (256, self.negatives + 1))
        rows[:, 0] = self.ids
        self.f = F.normalize(self.inputs[0])
        e = torch.exp(self.scores(self.f / self.temperature, rows))
        if self.z is None:
            self.z = e.detach().mean().item() * self.n
        p, noise = e / self.z, self.negatives / self.n
        positive, negative = p[:, 0], p[:, 1:]
        return -(torch.log(positive / (positive + (noise + self.epsilon))).sum() +
                 torch.log(noise / (negative + (noise + self.epsilon))).sum()) / 256

    def after(self):
        with torch.no_grad():
            rows = self.bank.index_select(0, self.ids).mul_(.5).add_(self.f, alpha=.5)
            self.bank.index_copy_(0, self.ids, F.normalize(rows))
        self.calls += 1


def published_sinkhorn(scores, epsilon=.05, iterations=3):
    q = torch.exp(scores / epsilon).t()
    k, b = q.shape
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(1, keepdim=True)
        q /= k
        q /= q.sum(0, keepdim=True)
        q /= b
    q *= b
    return q.t()


def vector_sinkhorn(scores, epsilon=.05, iterations=3):
    e = torch.exp_((scores - scores.max()).div_(epsilon))
    b, k = e.shape
    samples = torch.full((b,), 1 / b)
    for _ in range(iterations):
        prototypes = 1 / (k * (samples @ e))
        samples = 1 / (b * (e @ prototypes))
    return e.mul_(samples.mul_(b).unsqueeze(1)).mul_(prototypes)


SINKHORN = {'published': published_sinkhorn, 'vectors': vector_sinkhorn}


class Sinkhorn:
    """The codes alone; the value is the mean of the scores under them."""
    ways = tuple(SINKHORN)

    def __init__(self, a):
        self.scores, self.codes = numbers(0, 512, 3000), SINKHORN[a.way or 'published']

    def call(self):
        with torch.no_grad():
            self.q = self.codes(self.scores)

    def first_value(self):
        self.call()
        return (self.q.double() * self.scores).sum().item() / 512


class SwAV(Loss):
    ways = tuple(SINKHORN)

    def __init__(self, a):
        super().__init__(a, numbers(0, 512, 128), parameters=[numbers(2, 3000, 128)])
        self.codes = SINKHORN[self.way]

    def value(self):
        prototypes = self.parameters[0]
        with torch.no_grad():
            prototypes.copy_(F.normalize(prototypes))
        scores = F.normalize(self.inputs[0]) @ prototypes.t()
        with torch.no_grad():
            q = torch.cat([self.codes(s) for s in scores.detach().chunk(2)[::-1]])
        return -(q * F.log_softmax(scores / .1, 1)).sum(1).mean()


class CPC(Loss):
    ways = 'product', 'bmm', 'all-rows'
    offsets, negatives = range(2, 7), 16

    def __init__(self, a):
        super().__init__(a, numbers(0, 32, 7, 7, 256), numbers(1, 32, 7, 7, 256),
                         parameters=[numbers(2 + k, 256, 256, scale=1 / 16) for k in self.offsets])

    def scores(self, contexts, targets, rows):
        if self.way == 'all-rows':
            rows = torch.cat([torch.arange(len(rows)).unsqueeze(1), rows], 1)
            return (contexts @ targets.t()).gather(1, rows)
        drawn = targets.index_select(0, rows.view(-1)).view(len(rows), -1, 256)
        candidates = torch.cat([targets.unsqueeze(1), drawn], 1)
        if self.way == 'bmm':
            return torch.bmm(candidates, contexts.unsqueeze(2)).squeeze(2)
        return (candidates * contexts.unsqueeze(1)).sum(2)

    def value(self):
        z, c = self.inputs
        total = 0
        for k, w in zip(self.offsets, self.parameters):
            targets = F.linear(z[:, k:].reshape(-1, 256), w)
            contexts = c[:, :-k].reshape(-1, 256)
            count = len(targets)
            rows = torch.randint(count, (count, self.negatives))
            scores = self.scores(contexts, targets, rows)
            total = total + F.cross_entropy(scores, torch.zeros(count, dtype=torch.long))
        return total / len(self.offsets)


def off_diagonal(x):
    n = len(x)
    return x.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


def off_diagonal_squares(x, way):
    if way == 'published':
        return off_diagonal(x).pow(2).sum()
    return x.pow(2).sum() - x.diagonal().pow(2).sum()


class BarlowTwins(Loss):
    ways = 'published', 'sums'

    def __init__(self, a):
        super().__init__(a, numbers(0, 2, 256, 2048))

    def value(self):
        x, y = (F.batch_norm(z, None, None, training=True, eps=1e-5) for z in self.inputs[0])
        c = (x.t() / 256) @ y
        return (c.diagonal() - 1).pow(2).sum() + .0051 * off_diagonal_squares(c, self.way)


class VICReg(Loss):
    ways = 'published', 'sums'

    def __init__(self, a):
        super().__init__(a, numbers(0, 2, 256, 2048))

    def value(self):
        x, y = self.inputs[0]
        invariance = F.mse_loss(x, y)
        x, y = x - x.mean(0), y - y.mean(0)
        variance = sum(F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean() for z in (x, y)) / 2
        covariance = sum(off_diagonal_squares((z.t() / 255) @ z, self.way) for z in (x, y)) / 2048
        return 25 * invariance + 25 * variance + covariance


class DINO(Loss):
    def __init__(self, a):
        super().__init__(a, numbers(0, 2, 64, 65536))
        self.teacher, self.center = numbers(1, 2, 64, 65536), torch.zeros(65536)

    def value(self):
        with torch.no_grad():
            q = F.softmax((self.teacher - self.center) / .04, -1)
        log_p = F.log_softmax(self.inputs[0] / .1, -1)
        return -(q * log_p.flip(0)).sum(-1).mean()

    def after(self):
        with torch.no_grad():
            self.center.mul_(.9).add_(self.teacher.mean((0, 1)), alpha=.1)


LOSSES = {'nt-xent': NTXent, 'moco': MoCo, 'nce': NCE, 'sinkhorn': Sinkhorn, 'swav': SwAV, 'cpc': CPC,
          'barlow-twins': BarlowTwins, 'vicreg': VICReg, 'dino': DINO}


def call_for(loss, seconds):
    """Mean of the calls that fill so many seconds."""
    start, calls = time.perf_counter(), 0
    while True:
        loss.call()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return elapsed / calls


def main():
    p = argparse.ArgumentParser(description='one loss in PyTorch, forward and backward')
    p.add_argument('--loss', default='nt-xent', choices=list(LOSSES))
    p.add_argument('--way', default='', help='of writing it')
    p.add_argument('--queue', type=int, default=65536, help="rows of moco's")
    p.add_argument('--bank', type=int, default=50000, help="rows of nce's")
    p.add_argument('--seconds', type=float, default=.2, help='of calls in a step')
    p.add_argument('--threads', type=int, default=0, help='0: the processors that this process may use')
    p.add_argument('--steps', type=int, default=7, help='that are timed, behind two that are not')
    p.add_argument('--serve', action='store_true', help='work as told on standard input')
    a = p.parse_args()
    pytorch_resnet.begin(a)
    loss = LOSSES[a.loss](a)
    first = loss.first_value() if a.loss == 'sinkhorn' else loss.call()

    def step():
        call_for(loss, UNCOUNTED_SECONDS)
        return call_for(loss, a.seconds)

    peer.run(a, dict(pytorch_resnet.versions(), unit='call', per_step=1, loss=a.loss, value=first), step)


main()
