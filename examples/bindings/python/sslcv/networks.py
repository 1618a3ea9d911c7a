"""Networks: backbones, heads, and the tape that one pass through them leaves."""
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple

from . import _c
from ._library import Handle, NotFound, ask, dropping, guarded, kept, lib, options
from .arrays import Floats, floats_of, tensor_of
from .context import Context
from .state import State, _Target
from .types import Architecture, BackboneInfo, HeadInfo, PassFlag

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .state import Target

    from .types import (BackboneOptions, CpcV2Options, LoadOptions, MlpOptions, PassOptions, PatchMlpOptions,
                        PixelcnnOptions, PrototypesOptions)


class Tape(Handle):
    """What a forward pass leaves for its backward pass; reused pass after pass."""

    _kind = "tape"

    def __init__(self, context: Context) -> None:
        super().__init__(lib.sslcv_tape_create, context.pointer)

    def output(self, copy: bool = True) -> Floats:
        """Of the last forward pass. copy False: the tape's memory, which its next pass overwrites or gives back."""
        return self._array(lib.sslcv_tape_output, copy)

    def backward(self, diff_output: Any) -> None:
        """Adds to the gradients of the network's parameters."""
        lib.sslcv_tape_backward(self.pointer, tensor_of(diff_output))

    def diff_input(self, copy: bool = True) -> Floats:
        return self._array(lib.sslcv_tape_diff_input, copy)

    def _array(self, function: Any, copy: bool) -> Floats:
        tensor = _c.Tensor()
        function(self.pointer, tensor)
        array = floats_of(tensor, self, writable=False)
        return array.copy() if copy else array


class Stage(NamedTuple):
    name: str
    dim: int


class Backbone(Handle):
    """Backbone(context, Architecture.RESNET18, stem=Stem.CIFAR); Backbone.load(context, path). Iterates its stages."""

    _kind = "backbone"

    def __init__(self, context: Context, architecture: int = Architecture.RESNET18,
                 **fields: Unpack[BackboneOptions]) -> None:
        super().__init__(lib.sslcv_backbone_create, context.pointer,
                         options(_c.BackboneOptions, lib.sslcv_backbone_options_init, fields, architecture))

    @classmethod
    def load(cls, context: Context, source: Target, **fields: Unpack[LoadOptions]) -> Backbone:
        """From weights or a checkpoint, whose names and shapes tell the architecture."""
        o = options(_c.LoadOptions, lib.sslcv_load_options_init, fields)
        with _Target(source, o) as target:
            return cls._made(lib.sslcv_backbone_load, context.pointer, target.path, o)

    def clone(self) -> Backbone:
        return Backbone._made(lib.sslcv_backbone_clone, self.pointer)

    @property
    def info(self) -> BackboneInfo:
        return ask(_c.BackboneInfo, BackboneInfo, lib.sslcv_backbone_get_info, self.pointer)

    @property
    def state(self) -> State:
        return State._made(lib.sslcv_backbone_get_state, self.pointer)

    def save(self, target: Target) -> None:
        with self.state as state:
            state.save(target)

    def __iter__(self) -> Iterator[Stage]:
        index, name, dim = 0, ctypes.c_char_p(), _c.i64()
        while True:
            try:
                lib.sslcv_backbone_get_stage(self.pointer, index, name, dim)
            except NotFound:
                return
            yield Stage((name.value or b"").decode(), dim.value)
            index += 1

    def freeze(self, num_stages: int) -> None:
        lib.sslcv_backbone_freeze(self.pointer, num_stages)

    def forward(self, images: Any, tape: Tape, **fields: Unpack[PassOptions]) -> None:
        """Images (M, C, H, W), float32; the result is tape.output()."""
        lib.sslcv_backbone_forward(self.pointer, tensor_of(images), _pass(fields), tape.pointer)


def _pass(fields: Any) -> _c.Pass:
    return options(_c.Pass, lib.sslcv_pass_init, fields)


# ---- heads ----

class Pass(NamedTuple):
    """How a head of the host is run; forward and backward see the same."""

    flags: PassFlag
    bn_splits: int
    random: int  #: never 0 with PassFlag.TRAIN; what to draw from, in backward again

    @classmethod
    def _of(cls, told: _c.Pass) -> Pass:
        return cls(PassFlag(told.flags), told.bn_splits, told.random)


Forward = Callable[[State, Floats, Floats, Pass], Any]
Backward = Callable[[State, Floats, Floats, Floats, Floats, Pass], Any]


class _Functions(NamedTuple):
    forward: Forward
    backward: Backward


@guarded(_c.HeadCallbacksForwardFn)
def _forward(user: int, state: int, src: Any, dst: Any, how: Any) -> int:
    with State._lent(state) as lent:
        kept[user].forward(lent, floats_of(src.contents, writable=False), floats_of(dst.contents),
                           Pass._of(how.contents))
    return 0


@guarded(_c.HeadCallbacksBackwardFn)
def _backward(user: int, state: int, src: Any, dst: Any, diff_dst: Any, diff_src: Any, how: Any) -> int:
    read = [floats_of(tensor.contents, writable=False) for tensor in (src, dst, diff_dst)]
    with State._lent(state) as lent:
        kept[user].backward(lent, *read, floats_of(diff_src.contents), Pass._of(how.contents))
    return 0


class Head(Handle):
    """Head.mlp(context, in_dim=512, out_dim=128) and the other kinds, each with its options; Head.custom()."""

    _kind = "head"

    @classmethod
    def mlp(cls, context: Context, **fields: Unpack[MlpOptions]) -> Head:
        return cls._of(context, "mlp", _c.MlpOptions, fields)

    @classmethod
    def patch_mlp(cls, context: Context, **fields: Unpack[PatchMlpOptions]) -> Head:
        return cls._of(context, "patch_mlp", _c.PatchMlpOptions, fields)

    @classmethod
    def prototypes(cls, context: Context, **fields: Unpack[PrototypesOptions]) -> Head:
        return cls._of(context, "prototypes", _c.PrototypesOptions, fields)

    @classmethod
    def pixelcnn(cls, context: Context, **fields: Unpack[PixelcnnOptions]) -> Head:
        return cls._of(context, "pixelcnn", _c.PixelcnnOptions, fields)

    @classmethod
    def cpc_v2(cls, context: Context, **fields: Unpack[CpcV2Options]) -> Head:
        return cls._of(context, "cpc_v2", _c.CpcV2Options, fields)

    @classmethod
    def _of(cls, context: Context, kind: str, struct: Any, fields: Any) -> Head:
        o = options(struct, getattr(lib, "sslcv_%s_options_init" % kind), fields)
        return cls._made(getattr(lib, "sslcv_head_create_" + kind), context.pointer, o)

    @classmethod
    def custom(cls, context: Context, in_dim: int, out_dim: int, forward: Forward, backward: Backward,
               out_patches: int = 0) -> Head:
        """forward(state, src, dst, how) fills dst; backward(state, src, dst, diff_dst, diff_src, how) fills diff_src
        and adds to the gradients of state.data(). how: a Pass, the same in both. All else is valid during the call.
        Parameters: head.state.add()."""
        table = options(_c.HeadCallbacks, lib.sslcv_head_callbacks_init,
                        {"in_dim": in_dim, "out_dim": out_dim, "out_patches": out_patches})
        table.user = key = kept.keep(_Functions(forward, backward))
        table.forward, table.backward = _forward, _backward
        table.destroy = dropping(_c.HeadCallbacksDestroyFn)
        try:
            return cls._made(lib.sslcv_head_create_custom, context.pointer, table)
        except BaseException:
            kept.drop(key)
            raise

    def clone(self) -> Head:
        return Head._made(lib.sslcv_head_clone, self.pointer)

    @property
    def info(self) -> HeadInfo:
        return ask(_c.HeadInfo, HeadInfo, lib.sslcv_head_get_info, self.pointer)

    @property
    def state(self) -> State:
        return State._made(lib.sslcv_head_get_state, self.pointer)

    def reset(self, seed: int) -> None:
        """Draw new weights."""
        lib.sslcv_head_reset(self.pointer, seed)

    def forward(self, features: Any, tape: Tape, **fields: Unpack[PassOptions]) -> None:
        lib.sslcv_head_forward(self.pointer, tensor_of(features), _pass(fields), tape.pointer)
