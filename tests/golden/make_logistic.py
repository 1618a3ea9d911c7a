#!/usr/bin/env python3
"""Writes tests/golden/logistic.txt: scores of scikit-learn's logistic regression, for tests/unit/test_probe_logistic.c.

    /usr/bin/python3 tests/golden/make_logistic.py > tests/golden/logistic.txt     (made with scikit-learn 1.2.1)

Training rows are G(40, 160 x 12), test rows G(41, 20 x 12), G being the generator of tests/unit/support.h, as f32. Row i
has the class whose column of x G(42, 12 x 5) + 0.7 G(43, 160 x 5) is largest, and every target where that is over 0.1.
A line: form of the features, "labels" or "targets", C, then the 20 x 5 scores x W^T + b. All are solved by Newton's
method to a gradient of 1e-6 or less, which this script checks.
"""
import numpy as np
from sklearn.linear_model import LogisticRegression

TRAIN, TEST, DIM, CLASSES = 160, 20, 12, 5


def golden(seed, *shape):
    state, values = 1000 * seed + 7, []
    for _ in range(int(np.prod(shape))):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return np.array(values, dtype=np.float32).astype(np.float64).reshape(shape)


def solve(x, y, c):
    model = LogisticRegression(C=c, solver="newton-cg", tol=1e-8, max_iter=1000,
                               multi_class="multinomial" if y.max() > 1 else "ovr")
    return model.fit(x, y)


def gradient(model, x, y, c):
    z = x @ model.coef_.T + model.intercept_
    if len(model.coef_) == 1:
        diff = 1 / (1 + np.exp(-z)) - y[:, None]
    else:
        e = np.exp(z - z.max(1, keepdims=True))
        diff = e / e.sum(1, keepdims=True) - np.eye(CLASSES)[y]
    return max(abs(diff.T @ x + model.coef_ / c).max(), abs(diff.sum(0)).max())


def main():
    train, test = golden(40, TRAIN, DIM), golden(41, TEST, DIM)
    votes = train @ golden(42, DIM, CLASSES) + 0.7 * golden(43, TRAIN, CLASSES)
    labels, targets = votes.argmax(1), (votes > 0.1).astype(int)
    forms = {
        "raw": (train, test),
        "spread": ((train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)),
        "length": tuple(x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test)),
    }
    for form, (x, q) in forms.items():
        for c in (0.01, 1.0, 100.0):
            models = [("labels", [solve(x, labels, c)], [labels])]
            models.append(("targets", [solve(x, t, c) for t in targets.T], list(targets.T)))
            for kind, fitted, truth in models:
                worst = max(gradient(m, x, y, c) for m, y in zip(fitted, truth))
                assert worst < 1e-6, worst
                scores = np.concatenate([q @ m.coef_.T + m.intercept_ for m in fitted], 1)
                print(form, kind, c, *("%.9f" % v for v in scores.ravel()))


if __name__ == "__main__":
    main()
