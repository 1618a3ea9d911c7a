"""Features and what is judged and made of them: probes, figures, neighbours, clusters."""
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._library import Handle, HasStruct, ask, fill, lib, options, sized, told, utf8
from .arrays import Floats, Longs, asked, long_pointer, longs, output, tensor_of
from .context import Context
from .data import Augmenter, Dataset
from .networks import Backbone, Head
from .training import Branch, Schedule, Trainer
from .types import Figure, FigureValue, Metrics, ProbeInfo, ProbeKind, Spread

if TYPE_CHECKING:
    from .arrays import Array
    from .data import Path
    from typing_extensions import Unpack

    from .types import EmbedOptions, FigureOptions, KmeansOptions, ProbeOptions


class Embed(HasStruct):
    """What to embed: a data set, seen through a view, by a backbone and heads, or by branches."""

    def __init__(self, dataset: Dataset, augmenter: Augmenter, network: Union[Backbone, Sequence[Branch]],
                 view: int = 0, heads: Sequence[Head] = (), stage: Optional[str] = None,
                 **fields: Unpack[EmbedOptions]) -> None:
        branches = [Branch([view], network, heads, flags=0, stage=stage)] if isinstance(network, Backbone) else network
        structs = [ctypes.pointer(branch.struct) for branch in branches]
        self.struct = options(_c.EmbedOptions, lib.sslcv_embed_options_init,
                              {**fields, "dataset": dataset, "augmenter": augmenter, "num_branches": len(structs)})
        array = (ctypes.POINTER(_c.Branch) * len(structs))(*structs)
        self.struct.branches = array
        self.struct._alive += [array, structs, list(branches)]

    def features(self, out: Optional[Array] = None) -> Floats:
        return self.labelled(out)[0]

    def labelled(self, out: Optional[Array] = None) -> Tuple[Floats, Longs]:
        """Features (n, d) and labels, straight into NumPy's memory; out: into the caller's."""
        array, tensor = output(asked(lambda t: lib.sslcv_embed(self.struct, t, None)), out)
        labels, pointer = longs(np.empty(len(array), np.int64))
        lib.sslcv_embed(self.struct, tensor, pointer)
        return array, labels

    def to_file(self, features: Path, labels: Optional[Path] = None) -> None:
        """Into .npy files, which may be larger than memory."""
        lib.sslcv_embed_to_file(self.struct, utf8(features), utf8(labels))

    def classify(self) -> Metrics:
        """Judge a network that ends in a classifier."""
        return ask(_c.Metrics, Metrics, lib.sslcv_classifier_evaluate, self.struct)

    def watch(self, trainer: Trainer, name: str, epochs: int = 1) -> None:
        """The same at the end of epochs, as NAME.top1 and so on of the trainer's metrics."""
        lib.sslcv_classifier_watch(trainer.pointer, name.encode(), self.struct, epochs)


# ---- probes ----

class Probe(Handle):
    """Probe(context, ProbeKind.KNN, neighbors=20); Probe.preset(context, "moco")."""

    _kind = "probe"

    def __init__(self, context: Context, kind: int = ProbeKind.KNN, **fields: Unpack[ProbeOptions]) -> None:
        super().__init__(lib.sslcv_probe_create, context.pointer,
                         options(_c.ProbeOptions, lib.sslcv_probe_options_init, fields, kind))

    @classmethod
    def preset(cls, context: Context, name: str, **fields: Unpack[ProbeOptions]) -> Probe:
        """A published linear probe."""
        o, rate = _c.ProbeOptions(), sized(_c.Schedule)
        lib.sslcv_probe_options_preset(o, ctypes.sizeof(o), rate, name.encode())
        return cls._made(lib.sslcv_probe_create, context.pointer, fill(o, fields))

    def fit(self, features: Any, labels: Any) -> None:
        tensor = tensor_of(features)
        held, pointer = longs(labels, tensor.shape[0])
        lib.sslcv_probe_fit(self.pointer, tensor, pointer)

    def fit_rows(self, features: Any, labels: Any = None, targets: Any = None, validation: Any = None) -> None:
        """LOGISTIC, with several labels a row or with chosen validation rows."""
        tensor = tensor_of(features)
        held, pointer = longs(labels, tensor.shape[0]) if labels is not None else (None, None)
        rows, chosen = longs(validation) if validation is not None else ((), None)
        dense = None if targets is None else tensor_of(np.ascontiguousarray(targets, np.float32))
        lib.sslcv_probe_fit_rows(self.pointer, tensor, pointer, dense, chosen, len(rows))

    @property
    def info(self) -> ProbeInfo:
        return ask(_c.ProbeInfo, ProbeInfo, lib.sslcv_probe_get_info, self.pointer)

    def predict(self, features: Any, out: Optional[Array] = None) -> Floats:
        """Scores (n, classes), larger is likelier."""
        tensor = tensor_of(features)
        array, scores = output(asked(lib.sslcv_probe_predict, self.pointer, tensor), out)
        lib.sslcv_probe_predict(self.pointer, tensor, scores)
        return array

    def evaluate(self, train: Embed, test: Embed) -> Metrics:
        return ask(_c.Metrics, Metrics, lib.sslcv_probe_evaluate, self.pointer, train.struct, test.struct)

    def watch(self, trainer: Trainer, name: str, train: Embed, test: Embed, epochs: int = 1) -> None:
        """Evaluate at the end of epochs, as NAME.top1 and so on of the trainer's metrics."""
        lib.sslcv_probe_watch(self.pointer, trainer.pointer, name.encode(), train.struct, test.struct, epochs)


# ---- figures ----

def metrics(context: Context, scores: Any, labels: Any) -> Tuple[Metrics, Longs]:
    """Metrics, and counts by [truth][prediction]."""
    tensor = tensor_of(scores)
    confusion = np.empty((tensor.shape[1], tensor.shape[1]), np.int64)
    held, pointer = longs(labels, tensor.shape[0])
    m = sized(_c.Metrics)
    lib.sslcv_metrics_compute(context.pointer, tensor, pointer, m, long_pointer(confusion))
    return told(m, Metrics), confusion


class FigureResult(NamedTuple):
    value: FigureValue
    per_class: "np.ndarray[Any, np.dtype[np.float64]]"


def figure(context: Context, scores: Any, labels: Any = None, targets: Any = None, kind: int = Figure.TOP_K,
           **fields: Unpack[FigureOptions]) -> FigureResult:
    """One figure with its bootstrap interval."""
    tensor, o = tensor_of(scores), options(_c.FigureOptions, lib.sslcv_figure_options_init, fields, kind)
    held, pointer = longs(labels, tensor.shape[0]) if labels is not None else (None, None)
    dense = None if targets is None else tensor_of(np.ascontiguousarray(targets, np.float32))
    per_class, value = np.empty(tensor.shape[1]), sized(_c.FigureValue)
    lib.sslcv_figure_compute(context.pointer, tensor, pointer, dense, o, value,
                             per_class.ctypes.data_as(ctypes.POINTER(_c.f64)))
    return FigureResult(told(value, FigureValue), per_class)


def spread(context: Context, features: Any) -> Spread:
    """Collapse figures."""
    return ask(_c.Spread, Spread, lib.sslcv_spread_compute, context.pointer, tensor_of(features))


def nearest(context: Context, features: Any, queries: Any, k: int) -> Tuple[Longs, Floats]:
    """Rows of features nearest to each query by cosine, (m, k), and the cosines."""
    q = tensor_of(queries)
    indices, similarities = np.empty((q.shape[0], k), np.int64), np.empty((q.shape[0], k), np.float32)
    lib.sslcv_nearest(context.pointer, tensor_of(features), q, k, long_pointer(indices),
                      similarities.ctypes.data_as(ctypes.POINTER(_c.f32)))
    return indices, similarities


def nmi(context: Context, a: Any, b: Any) -> float:
    """Normalised mutual information of two labellings."""
    first, pointer = longs(a)
    second, other = longs(b, len(first))
    value = _c.f64()
    lib.sslcv_nmi(context.pointer, pointer, other, len(first), value)
    return value.value


# ---- clusters ----

class Clusters(NamedTuple):
    centroids: Floats
    assignments: Longs
    objective: float


def kmeans(context: Context, features: Any, clusters: int, centroids: Optional[Array] = None,
           **fields: Unpack[KmeansOptions]) -> Clusters:
    """centroids: to begin from, with warm_start=1; they are then moved."""
    tensor = tensor_of(features)
    o = options(_c.KmeansOptions, lib.sslcv_kmeans_options_init, {**fields, "clusters": clusters})
    array, moved = output((clusters, tensor.shape[1]), centroids)
    assignments, objective = np.empty(tensor.shape[0], np.int64), _c.f64()
    lib.sslcv_kmeans(context.pointer, tensor, o, moved, long_pointer(assignments), objective)
    return Clusters(array, assignments, objective.value)


def pca_whiten(context: Context, features: Any, k: int, normalize: bool = False) -> Floats:
    tensor = tensor_of(features)
    array, reduced = output((tensor.shape[0], k))
    lib.sslcv_pca_whiten(context.pointer, tensor, normalize, reduced)
    return array
