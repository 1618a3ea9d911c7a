#!/usr/bin/env python3
"""The classification of knn.c by scikit-learn or faiss: the same features, neighbours and votes.

    knn_peers.py [--way sklearn-cosine] [--rows 50000] [--queries 10000] [--dim 512] [--neighbours 200] [--serve]

    sklearn-cosine     KNeighborsClassifier, brute force, metric "cosine"
    sklearn-euclidean  the same neighbours: rows are brought to length 1 and their Euclidean distance is taken
    faiss              IndexFlatIP on rows of length 1; votes by NumPy

Exit status 3: this Python has not what is asked for.
"""
import sys
import time

import peer

CLASSES, TEMPERATURE = 10, .1


def noise(i):
    """As noise() of knn.c."""
    i = (i ^ i >> 16) * numpy.uint32(2246822519)
    i = (i ^ i >> 13) * numpy.uint32(3266489917)
    return ((i ^ i >> 16) >> 8).astype(numpy.float32) / numpy.float32(16777216) - numpy.float32(.5)


def make_arrays(a):
    i = numpy.arange(a.rows + a.queries, dtype=numpy.uint32)
    labels = numpy.where(noise(~i) < 0, i % CLASSES, i // 7 % CLASSES)
    centres = numpy.float32(.1) * noise(numpy.arange(CLASSES * a.dim, dtype=numpy.uint32)).reshape(CLASSES, a.dim)
    places = numpy.arange(CLASSES * a.dim, (len(i) + CLASSES) * a.dim, dtype=numpy.uint32).reshape(len(i), a.dim)
    values = numpy.maximum(noise(places) + centres[labels], 0)
    return (values[:a.rows], labels[:a.rows]), (values[a.rows:], labels[a.rows:])


def unit(x):
    return x / numpy.linalg.norm(x, axis=1, keepdims=True)


def sklearn_cosine(a, rows, labels, queries):
    """A distance is 1 - cosine. Weights are of one query's distances, or of many."""
    def weigh(distances):
        return numpy.exp((distances.min(axis=-1, keepdims=True) - distances) / TEMPERATURE)
    model = KNeighborsClassifier(a.neighbours, algorithm='brute', metric='cosine', weights=weigh)
    return model.fit(rows, labels).predict_proba(queries)


def sklearn_euclidean(a, rows, labels, queries):
    """A squared distance is 2 - 2 cosine."""
    def weigh(distances):
        half = distances * distances / 2
        return numpy.exp((half.min(axis=-1, keepdims=True) - half) / TEMPERATURE)
    model = KNeighborsClassifier(a.neighbours, algorithm='brute', metric='euclidean', weights=weigh)
    return model.fit(unit(rows), labels).predict_proba(unit(queries))


def faiss_flat(a, rows, labels, queries):
    index = faiss.IndexFlatIP(a.dim)
    index.add(unit(rows))
    cosines, nearest = index.search(unit(queries), a.neighbours)
    votes = numpy.exp((cosines - cosines[:, :1]) / TEMPERATURE)
    places = numpy.arange(len(queries))[:, None] * CLASSES + labels[nearest]
    return numpy.bincount(places.ravel(), votes.ravel(), len(queries) * CLASSES).reshape(-1, CLASSES)


WAYS = {'sklearn-cosine': sklearn_cosine, 'sklearn-euclidean': sklearn_euclidean, 'faiss': faiss_flat}


def main():
    p = peer.parser('k-NN classification with scikit-learn or faiss')
    p.add_argument('--way', default='sklearn-cosine', choices=sorted(WAYS))
    p.add_argument('--rows', type=int, default=50000)
    p.add_argument('--queries', type=int, default=10000)
    p.add_argument('--dim', type=int, default=512)
    p.add_argument('--neighbours', type=int, default=200)
    a = p.parse_args()
    set_threads(peer.threads(a))
    train, test = make_arrays(a)

    def classify():
        return WAYS[a.way](a, *train, test[0])

    def step():
        start = time.perf_counter()
        classify()
        return time.perf_counter() - start

    top1 = float((classify().argmax(axis=1) == test[1]).mean())
    peer.run(a, {'library': library.__name__, 'version': library.__version__, 'unit': 'row', 'per_step': a.queries,
                 'threads': peer.threads(a), 'way': a.way, 'value': top1}, step)


if __name__ == '__main__':
    try:
        import numpy
        if 'faiss' in ' '.join(sys.argv):
            import faiss
            library = faiss
        else:
            import sklearn
            from sklearn.neighbors import KNeighborsClassifier
            library = sklearn
    except ImportError:
        sys.exit(peer.NOT_HERE)

    def set_threads(count):
        if library.__name__ == 'faiss':
            faiss.omp_set_num_threads(count)

    main()
