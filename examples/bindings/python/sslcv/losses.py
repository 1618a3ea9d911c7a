"""Losses: the built-in kinds, each with its options, and those written in Python."""
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import _c
from ._library import Handle, NotFound, ask, dropping, fill, guarded, kept, lib, options
from .arrays import Floats, Longs, floats_of, longs, tensor_of
from .context import Context
from .state import State
from .types import CallFlag, LossInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import (BarlowTwinsOptions, BinaryCrossEntropyOptions, ClusterOptions, CosineOptions, CpcOptions,
                        CrossEntropyOptions, DinoOptions, InfoNceOptions, NceBankOptions, SwappedOptions, VicregOptions)


class LossCall:
    """What a custom loss receives; arrays are the library's memory, valid during the call. Fill every diff_inputs[i]
    that is not None with the gradient times scale, and return the value."""

    def __init__(self, struct: _c.LossCall) -> None:
        count = struct.num_inputs
        self.inputs: List[Floats] = [floats_of(struct.inputs[i], writable=False) for i in range(count)]
        diffs = [struct.diff_inputs[i] for i in range(count)] if struct.diff_inputs else []
        self.wants_gradient = bool(diffs)  # also of the loss's own parameters
        self.diff_inputs: List[Optional[Floats]] = [floats_of(t) if t.data else None for t in diffs] or [None] * count
        n = self.inputs[0].shape[1]
        self.ids: Optional[Longs] = np.ctypeslib.as_array(struct.ids, (n,)) if struct.ids else None
        self.labels: Optional[Longs] = np.ctypeslib.as_array(struct.labels, (n,)) if struct.labels else None
        self.targets = floats_of(struct.targets.contents, writable=False) if struct.targets else None
        self.step: int = struct.step
        self.epoch: int = struct.epoch
        self.scale: float = struct.scale
        self.remember = bool(struct.flags & CallFlag.REMEMBER)


Compute = Callable[[State, LossCall], float]
BeginEpoch = Callable[[State, int], Any]


class _Functions(NamedTuple):
    compute: Compute
    begin_epoch: Optional[BeginEpoch]


@guarded(_c.LossCallbacksComputeFn)
def _compute(user: int, state: int, call: Any) -> int:
    with State._lent(state) as lent:
        call.contents.value = kept[user].compute(lent, LossCall(call.contents))
    return 0


@guarded(_c.LossCallbacksBeginEpochFn)
def _begin_epoch(user: int, state: int, epoch: int) -> int:
    with State._lent(state) as lent:
        kept[user].begin_epoch(lent, epoch)
    return 0


class Loss(Handle):
    """Loss.info_nce(context, temperature=0.1) and the other kinds; Loss.custom(). loss(z) gives value and gradients."""

    _kind = "loss"

    @classmethod
    def info_nce(cls, context: Context, **fields: Unpack[InfoNceOptions]) -> Loss:
        return cls._of(context, "info_nce", _c.InfoNceOptions, fields)

    @classmethod
    def nce_bank(cls, context: Context, **fields: Unpack[NceBankOptions]) -> Loss:
        return cls._of(context, "nce_bank", _c.NceBankOptions, fields)

    @classmethod
    def swapped(cls, context: Context, **fields: Unpack[SwappedOptions]) -> Loss:
        return cls._of(context, "swapped", _c.SwappedOptions, fields)

    @classmethod
    def cluster(cls, context: Context, **fields: Unpack[ClusterOptions]) -> Loss:
        return cls._of(context, "cluster", _c.ClusterOptions, fields)

    @classmethod
    def cpc(cls, context: Context, **fields: Unpack[CpcOptions]) -> Loss:
        return cls._of(context, "cpc", _c.CpcOptions, fields)

    @classmethod
    def cosine(cls, context: Context, **fields: Unpack[CosineOptions]) -> Loss:
        return cls._of(context, "cosine", _c.CosineOptions, fields)

    @classmethod
    def barlow_twins(cls, context: Context, **fields: Unpack[BarlowTwinsOptions]) -> Loss:
        return cls._of(context, "barlow_twins", _c.BarlowTwinsOptions, fields)

    @classmethod
    def vicreg(cls, context: Context, **fields: Unpack[VicregOptions]) -> Loss:
        return cls._of(context, "vicreg", _c.VicregOptions, fields)

    @classmethod
    def dino(cls, context: Context, **fields: Unpack[DinoOptions]) -> Loss:
        return cls._of(context, "dino", _c.DinoOptions, fields)

    @classmethod
    def cross_entropy(cls, context: Context, **fields: Unpack[CrossEntropyOptions]) -> Loss:
        return cls._of(context, "cross_entropy", _c.CrossEntropyOptions, fields)

    @classmethod
    def binary_cross_entropy(cls, context: Context, **fields: Unpack[BinaryCrossEntropyOptions]) -> Loss:
        return cls._of(context, "binary_cross_entropy", _c.BinaryCrossEntropyOptions, fields)

    @classmethod
    def _of(cls, context: Context, kind: str, struct: Any, fields: Any) -> Loss:
        o = options(struct, getattr(lib, "sslcv_%s_options_init" % kind), fields)
        return cls._made(getattr(lib, "sslcv_loss_create_" + kind), context.pointer, o)

    @classmethod
    def custom(cls, context: Context, compute: Compute, *, num_inputs: int = 1, gradient_inputs: Sequence[int] = (0,),
               begin_epoch: Optional[BeginEpoch] = None, needs_ids: bool = False, needs_labels: bool = False) -> Loss:
        """compute(state, call) returns the value, fills call.diff_inputs, and adds to the gradients of its parameters
        (state.data(name, StatePart.GRADIENT)), which are added once by loss.state.add(). The state is valid during the
        call."""
        table = options(_c.LossCallbacks, lib.sslcv_loss_callbacks_init,
                        {"num_inputs": num_inputs, "needs_ids": needs_ids, "needs_labels": needs_labels,
                         "gradient_inputs": sum(1 << i for i in set(gradient_inputs))})
        table.user = key = kept.keep(_Functions(compute, begin_epoch))
        table.compute, table.destroy = _compute, dropping(_c.LossCallbacksDestroyFn)
        if begin_epoch is not None:
            table.begin_epoch = _begin_epoch
        try:
            return cls._made(lib.sslcv_loss_create_custom, context.pointer, table)
        except BaseException:
            kept.drop(key)
            raise

    @property
    def info(self) -> LossInfo:
        return ask(_c.LossInfo, LossInfo, lib.sslcv_loss_get_info, self.pointer)

    @property
    def state(self) -> State:
        return State._made(lib.sslcv_loss_get_state, self.pointer)

    def set(self, field: str, value: float) -> None:
        """Change a number of the options during a run."""
        lib.sslcv_loss_set(self.pointer, field.encode(), value)

    def begin_epoch(self, epoch: int) -> None:
        lib.sslcv_loss_begin_epoch(self.pointer, epoch)

    def metrics(self) -> Dict[str, float]:
        """Figures of the last call."""
        return dict(named_figures(lib.sslcv_loss_get_metric, self.pointer))

    def __call__(self, *inputs: Any, gradients: bool = True, ids: Any = None, labels: Any = None, targets: Any = None,
                 step: int = 0, epoch: int = 0, scale: float = 1.0,
                 remember: bool = True) -> Tuple[float, List[Optional[Floats]]]:
        """Value and, for each input that receives one, its gradient. Inputs: (N, D), (V, N, D) or (V, N, P, D)."""
        dense = [np.ascontiguousarray(array, np.float32) for array in inputs]
        wanted = self.info.gradient_inputs if gradients else 0
        diffs = [np.empty_like(array) if wanted >> i & 1 else None for i, array in enumerate(dense)]
        call = options(_c.LossCall, lib.sslcv_loss_call_init, {})
        samples = dense[0].shape[0 if dense[0].ndim == 2 else 1]
        held = [longs(values, samples) if values is not None else (None, None) for values in (ids, labels)]
        call.inputs = (_c.Tensor * len(dense))(*map(tensor_of, dense))
        if gradients:
            none = _c.Tensor()
            call.diff_inputs = (_c.Tensor * len(dense))(*(none if d is None else tensor_of(d) for d in diffs))
        fill(call, {"num_inputs": len(dense), "step": step, "epoch": epoch, "scale": scale,
                    "flags": CallFlag.REMEMBER if remember else 0})
        call.ids, call.labels = held[0][1], held[1][1]
        if targets is not None:
            targets = np.ascontiguousarray(targets, np.float32)
            call.targets = ctypes.pointer(tensor_of(targets))
        lib.sslcv_loss_compute(self.pointer, call)
        return float(call.value), list(diffs)


def named_figures(function: Any, pointer: int) -> Iterator[Tuple[str, float]]:
    """Metrics of a loss or trainer, counted up to the last."""
    index, name, value = 0, ctypes.c_char_p(), _c.f64()
    while True:
        try:
            function(pointer, index, name, value)
        except NotFound:
            return
        yield (name.value or b"").decode(), value.value
        index += 1
