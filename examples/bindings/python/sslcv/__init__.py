"""sslcv: self-supervised learning for computer vision, from Python, by ctypes and NumPy.

Objects are those of the library's headers, which say what each does; options are keyword arguments by the names of the
structs' fields. lib.sslcv_x() calls any function as it is. The library is found by the environment variable
SSLCV_LIBRARY, else as the system finds libsslcv.so.0.
"""
from ._library import (BackendError, Cancelled, Error, FormatError, InvalidArgument, IOFailure, LimitError, NotFound,
                       NumericError, OutOfMemory, StateError, Unsupported, lib)
from .arrays import Lent, array_of, pixels, tensor_of
from .context import Context, build_info, version, version_number
from .data import Augmenter, Batch, Dataset, Loader, Transform, transform_kinds
from .evaluation import (Clusters, Embed, FigureResult, Probe, figure, kmeans, metrics, nearest, nmi, pca_whiten,
                         spread)
from .losses import Loss, LossCall
from .networks import Backbone, Head, Pass, Stage, Tape
from .state import LoadReport, State, StateEntry, arrays
from .training import Branch, Optimizer, Scalars, Schedule, Setting, Trainer, methods, save_onnx, settings
from .types import *  # noqa: F403  enumerations and results

__version__ = version()
