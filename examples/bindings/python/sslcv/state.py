"""The state: named tensors of an object, for files, exchange and averaging."""
from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np

from . import _c
from ._library import Handle, NotFound, fill, guarded, kept, lib, options, sized, utf8
from .arrays import Array, Floats, Lent, _NAMES, array_of, tensor_of
from .context import Context
from .types import Dtype, Role, StatePart

if TYPE_CHECKING:
    from os import PathLike

    from typing_extensions import Unpack

    from .types import LoadOptions, SaveOptions

    Target = Union[str, PathLike[str], BinaryIO]


@dataclass(frozen=True)
class StateEntry:
    index: int
    name: str
    shape: Tuple[int, ...]
    dtype: Dtype
    role: Role
    frozen: bool


@dataclass(frozen=True)
class LoadReport:
    """What a load found. lines: "missing NAME", "unexpected NAME", "adapted NAME"."""

    matched: int
    missing: int
    unexpected: int
    adapted: int
    layout: str
    lines: List[str]


@guarded(_c.StreamReadFn, -1)
def _read(user: int, buffer: int, size: int) -> int:
    data: bytes = kept[user].read(size)
    ctypes.memmove(buffer, data, len(data))
    return len(data)


@guarded(_c.StreamWriteFn, -1)
def _write(user: int, buffer: int, size: int) -> int:
    written = kept[user].write(ctypes.string_at(buffer, size))
    return size if written is None else int(written)


class _Target:
    """A path, or a file object as a stream for the time of a call."""

    def __init__(self, target: Target, fields: Any) -> None:
        self.path: Optional[bytes] = None
        self.key: Optional[int] = None
        if hasattr(target, "read") or hasattr(target, "write"):
            self.key = kept.keep(target)
            stream = sized(_c.Stream)
            stream.user, stream.read, stream.write = self.key, _read, _write
            fill(fields, {"stream": stream})
        else:
            self.path = utf8(target)

    def __enter__(self) -> _Target:
        return self

    def __exit__(self, *_: object) -> None:
        kept.drop(self.key)


class State(Handle):
    """A window onto the tensors of a backbone, head, loss, optimizer or trainer, which it keeps alive; or tensors of
    its own: State(context), State.open(). for entry in state: ...; state[name], state[name] = array."""

    _kind = "state"

    def __init__(self, context: Context) -> None:
        super().__init__(lib.sslcv_state_create, context.pointer)

    @classmethod
    def open(cls, context: Context, source: Target, **fields: Unpack[LoadOptions]) -> State:
        """All tensors of a safetensors, npz or npy file, or of an open file of these."""
        o = options(_c.LoadOptions, lib.sslcv_load_options_init, fields)
        with _Target(source, o) as target:
            return cls._made(lib.sslcv_state_open, context.pointer, target.path, o)

    # ---- entries ----

    def entry(self, index: int) -> StateEntry:
        e = sized(_c.StateEntry)
        lib.sslcv_state_get_entry(self.pointer, index, e)
        return StateEntry(index, e.name.decode(), tuple(e.shape[:e.ndim]), Dtype(e.dtype), Role(e.role), bool(e.frozen))

    def __iter__(self) -> Iterator[StateEntry]:
        index = 0
        while True:
            try:
                entry = self.entry(index)
            except NotFound:
                return
            yield entry
            index += 1

    def find(self, name: str) -> int:
        index = _c.i64()
        lib.sslcv_state_find(self.pointer, name.encode(), index)
        return index.value

    def __contains__(self, name: str) -> bool:
        try:
            self.find(name)
        except NotFound:
            return False
        return True

    def names(self) -> List[str]:
        return [entry.name for entry in self]

    # ---- tensors ----

    def get(self, name: Union[str, int], part: int = StatePart.VALUE) -> Array:
        """A copy in plain layout; bf16 comes as float32."""
        entry = self.entry(name if isinstance(name, int) else self.find(name))
        array = np.empty(entry.shape, _NAMES.get(entry.dtype, "float32"))
        if array.size:
            lib.sslcv_state_get(self.pointer, entry.index, part, tensor_of(array))
        return array

    def set(self, name: Union[str, int], value: Any, part: int = StatePart.VALUE) -> None:
        entry = self.entry(name if isinstance(name, int) else self.find(name))
        if not hasattr(value, "__dlpack__"):
            value = np.asarray(value, _NAMES.get(entry.dtype, "float32"))
        lib.sslcv_state_set(self.pointer, entry.index, part, tensor_of(value))

    __getitem__ = get

    def __setitem__(self, name: Union[str, int], value: Any) -> None:
        self.set(name, value)

    def data(self, name: Union[str, int], part: int = StatePart.VALUE) -> Array:
        """The memory itself, without a copy, of tensors that this state or a custom loss or head owns. The array keeps
        the state."""
        return array_of(self._data(name, part), self)

    def lend(self, name: Union[str, int], part: int = StatePart.VALUE) -> Lent:
        """The same for any consumer of DLPack, also bf16."""
        return Lent(self._data(name, part), self)

    def _data(self, name: Union[str, int], part: int) -> _c.Tensor:
        tensor = _c.Tensor()
        lib.sslcv_state_data(self.pointer, name if isinstance(name, int) else self.find(name), part, tensor)
        return tensor

    def add(self, name: str, shape: Tuple[int, ...], dtype: int = Dtype.F32, role: int = Role.BUFFER,
            frozen: bool = False) -> int:
        """Add a tensor of zeros to a state of one's own, or to that of a custom loss or head. Its index."""
        e, index = sized(_c.StateEntry), _c.i64()
        fill(e, {"name": name, "shape": shape, "ndim": len(shape), "dtype": dtype, "role": role, "frozen": frozen})
        lib.sslcv_state_add(self.pointer, e, index)
        return index.value

    def freeze(self, prefix: str = "", frozen: bool = True) -> None:
        lib.sslcv_state_freeze(self.pointer, prefix.encode(), frozen)

    # ---- all at once ----

    def get_flat(self, roles: int = Role.PARAMETERS) -> Floats:
        """All floating tensors of these roles as one vector, as federated averaging wants them."""
        count = _c.i64()
        lib.sslcv_state_get_flat(self.pointer, roles, None, 0, count)
        flat = np.empty(count.value, np.float32)
        lib.sslcv_state_get_flat(self.pointer, roles, flat.ctypes.data_as(ctypes.POINTER(_c.f32)), len(flat), None)
        return flat

    def set_flat(self, values: Any, roles: int = Role.PARAMETERS) -> None:
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        lib.sslcv_state_set_flat(self.pointer, roles, flat.ctypes.data_as(ctypes.POINTER(_c.f32)), len(flat))

    def lerp(self, source: State, momentum: float, roles: int = Role.PARAMETERS) -> None:
        """self <- momentum * self + (1 - momentum) * source."""
        lib.sslcv_state_lerp(self.pointer, source.pointer, momentum, roles)

    # ---- files ----

    def save(self, target: Target, *, metadata: Optional[Mapping[str, str]] = None,
             **fields: Unpack[SaveOptions]) -> None:
        """To a path, which appears whole or not at all, or to an open file."""
        o = options(_c.SaveOptions, lib.sslcv_save_options_init, fields)
        if metadata:
            texts = [utf8(text) for pair in metadata.items() for text in pair]
            array = (ctypes.c_char_p * len(texts))(*texts)
            o.metadata, o.num_metadata = ctypes.cast(array, ctypes.POINTER(ctypes.c_char_p)), len(metadata)
            o._alive.append((array, texts))
        with _Target(target, o) as stream:
            lib.sslcv_state_save(self.pointer, stream.path, o)

    def load(self, source: Target, **fields: Unpack[LoadOptions]) -> LoadReport:
        """All or nothing. The error of a load that fails for names has the report as its .report."""
        o = options(_c.LoadOptions, lib.sslcv_load_options_init, fields)
        report = sized(_c.LoadReport)
        text = ctypes.create_string_buffer(65536)
        report.text, report.text_size = ctypes.cast(text, ctypes.c_char_p), len(text)
        with _Target(source, o) as stream:
            try:
                lib.sslcv_state_load(self.pointer, stream.path, o, report)
            except Exception as error:
                error.report = _told(report, text)  # type: ignore[attr-defined]
                raise
        return _told(report, text)


def _told(report: _c.LoadReport, text: Any) -> LoadReport:
    return LoadReport(report.matched, report.missing, report.unexpected, report.adapted,
                      bytes(report.layout).decode(), text.value.decode("utf-8", "replace").splitlines())


def arrays(context: Context, source: Target) -> Dict[str, Array]:
    """All tensors of a file by name."""
    with State.open(context, source) as state:
        return {entry.name: state.get(entry.index) for entry in state}
