"""The shared library: found, its prototypes set, its failures raised, callbacks guarded, handles owned."""
from __future__ import annotations

import ctypes
import ctypes.util
import dataclasses
import itertools
import os
import signal
import sys
import threading
from ctypes import c_void_p
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar

from . import _c
from .types import StatusCode

# ---- failures ----


class Error(Exception):
    """A call failed. status is the library's code, the text its message."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class InvalidArgument(Error, ValueError):
    """The call itself is wrong."""


class OutOfMemory(Error, MemoryError):
    """The allocator said no."""


class IOFailure(Error):
    """The system said no: open, read, write."""


class FormatError(Error, ValueError):
    """A file is damaged, or not what it claims to be."""


class Unsupported(Error, NotImplementedError):
    """Newer options than the library knows, or a part left out of its build."""


class StateError(Error):
    """Right call, wrong moment."""


class LimitError(Error):
    """A stated limit would be exceeded."""


class BackendError(Error):
    """oneDNN failed."""


class Cancelled(Error):
    """Context.cancel(), or a callback that returned True."""


class NumericError(Error, ArithmeticError):
    """A loss, gradient or feature is not finite; nothing was updated."""


class NotFound(Error, LookupError):
    """No such name, index, sample or file."""


_ERRORS: Dict[int, Type[Error]] = {
    StatusCode.ERR_INVALID_ARGUMENT: InvalidArgument, StatusCode.ERR_OUT_OF_MEMORY: OutOfMemory,
    StatusCode.ERR_IO: IOFailure, StatusCode.ERR_FORMAT: FormatError, StatusCode.ERR_UNSUPPORTED: Unsupported,
    StatusCode.ERR_STATE: StateError, StatusCode.ERR_LIMIT: LimitError, StatusCode.ERR_BACKEND: BackendError,
    StatusCode.ERR_CANCELLED: Cancelled, StatusCode.ERR_NUMERIC: NumericError, StatusCode.ERR_NOT_FOUND: NotFound}


# ---- calls ----

class _Frames(threading.local):
    """What callbacks have raised, for each call of the library that this thread is inside, innermost last."""

    def __init__(self) -> None:
        self.open: List[List[BaseException]] = []
        self.in_callback = False  # in a function that is guarded, not in the library or on the way


_frames = _Frames()


def _interrupt(raised: List[BaseException]) -> Optional[BaseException]:
    """KeyboardInterrupt, SystemExit: wanted by nobody in between, so no callback runs after it in the same call."""
    return next((e for e in raised if not isinstance(e, Exception)), None)


def _on_ctrl_c(*_: Any) -> None:
    """In place of Python's own handler, which would raise wherever Python code runs next: also where a callback begins,
    which is outside of all that could catch it."""
    if _frames.in_callback:
        raise KeyboardInterrupt
    _frames.open[-1].append(KeyboardInterrupt())


def interrupted() -> bool:
    return bool(_frames.open) and _interrupt(_frames.open[-1]) is not None


def _guards_ctrl_c() -> bool:
    return (not _frames.open and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)


class _Function:
    """A function of the library. A negative status is raised: as what a callback had raised, if one had, which then
    has the library's error as its cause. Where the call succeeds all the same, as when a data set replaces a sample
    that could not be loaded, the callback's exception is forgotten."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        result, arguments = _c.PROTOTYPES[name]
        self._call = getattr(library, name)
        self._call.restype, self._call.argtypes = result, arguments
        self._fails = result is _c.i32 and name != "sslcv_version"

    def __call__(self, *args: Any) -> Any:
        raised: List[BaseException] = []
        in_callback, guards = _frames.in_callback, _guards_ctrl_c()
        _frames.open.append(raised)
        _frames.in_callback = False
        if guards:
            signal.signal(signal.SIGINT, _on_ctrl_c)
        try:
            result = self._call(*args)
        finally:
            if guards and signal.getsignal(signal.SIGINT) is _on_ctrl_c:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            _frames.open.pop()
            _frames.in_callback = in_callback
        interrupt = _interrupt(raised)
        if interrupt is not None:
            raise interrupt
        if self._fails and result != 0:
            message = lib.sslcv_last_error().decode("utf-8", "replace")
            error = _ERRORS.get(result, Error)(message, result)
            if raised:
                raise raised[-1] from error
            raise error
        return result


class _Library:
    """lib.sslcv_x(...): every public function, by its own name, with checked arguments and raised failures."""

    def __init__(self, path: str) -> None:
        # Calls release Python's lock, and callbacks take it again.
        self._library = ctypes.CDLL(path)

    def __getattr__(self, name: str) -> Any:
        function = _Function(self._library, name) if name in _c.PROTOTYPES else None
        if function is None:
            raise AttributeError(name)
        setattr(self, name, function)
        return function


lib = _Library(os.environ.get("SSLCV_LIBRARY") or ctypes.util.find_library("sslcv") or "libsslcv.so.0")


# ---- callbacks ----

def guarded(kind: Any, failed: Any = 1) -> Callable[[Callable[..., Any]], Any]:
    """A Python function as a C callback that nothing leaves by raising. One thunk serves all objects of its kind, which
    it finds by the user pointer: none has to be freed while it may still run."""

    stop = -1 if failed == 1 else failed  # 1 from where a sample is made only says that this one cannot be used

    def wrap(function: Callable[..., Any]) -> Any:
        def call(*args: Any) -> Any:
            raised = _frames.open[-1] if _frames.open else None
            if raised and _interrupt(raised):
                return stop
            try:
                _frames.in_callback = True
                return function(*args)
            except BaseException as error:  # must not pass through the library
                _frames.in_callback = False
                if raised is None or failed is None and isinstance(error, Exception):
                    # On a thread of the library's own, or in a callback that cannot stop the call.
                    sys.unraisablehook(_Unraisable(error, function))  # type: ignore[arg-type]
                else:
                    raised.append(error)
                return failed if isinstance(error, Exception) else stop
            finally:
                _frames.in_callback = False
        return kind(call)
    return wrap


class _Unraisable:
    """What sys.unraisablehook wants to be told."""

    def __init__(self, error: BaseException, where: Any) -> None:
        self.exc_type, self.exc_value, self.exc_traceback = type(error), error, error.__traceback__
        self.err_msg, self.object = None, where


class Kept:
    """Objects behind user pointers: kept from keep() until the library calls destroy, which is drop()."""

    def __init__(self) -> None:
        self._objects: Dict[int, Any] = {}
        self._next = itertools.count(1)

    def keep(self, value: Any) -> int:
        key = next(self._next)
        self._objects[key] = value
        return key

    def __getitem__(self, key: int) -> Any:
        return self._objects[key]

    def drop(self, key: Optional[int]) -> None:
        self._objects.pop(key or 0, None)

    def __len__(self) -> int:
        return len(self._objects)


kept = Kept()
drop = guarded(_c.ReleaseFn, None)(kept.drop)  # a destroy of any table, and the release of memory that was lent


def dropping(kind: Any) -> Any:
    """drop as the type of function pointer that a struct's field has."""
    return ctypes.cast(drop, kind)


# ---- handles ----

H = TypeVar("H", bound="Handle")


class Handle:
    """Owns one reference of an object of the library. close(), the end of a with block, or the garbage collector give
    it back, in any order: objects keep alive what they use."""

    _kind = ""

    def __init__(self, create: Any, *args: Any) -> None:
        """create(*args, &handle)."""
        self._pointer: Optional[int] = None
        out = c_void_p()
        try:
            create(*args, ctypes.byref(out))
        finally:
            # Also where a callback was interrupted in a call that succeeded.
            self._pointer = out.value

    @classmethod
    def _made(cls: Type[H], create: Any, *args: Any) -> H:
        """As the constructor, for other ways to make one."""
        handle = cls.__new__(cls)
        Handle.__init__(handle, create, *args)
        return handle

    @classmethod
    def _lent(cls: Type[H], pointer: int) -> H:
        """A handle that a callback was given, with a reference of its own."""
        lib.sslcv_retain(pointer)
        handle = cls.__new__(cls)
        handle._pointer = pointer
        return handle

    @property
    def pointer(self) -> int:
        """For calls of lib."""
        pointer: Optional[int] = getattr(self, "_pointer", None)
        if pointer is None:
            raise ValueError("this %s is closed" % type(self).__name__)
        return pointer

    def close(self) -> None:
        pointer, self._pointer = getattr(self, "_pointer", None), None
        if pointer is not None:
            getattr(lib, "sslcv_%s_destroy" % self._kind)(pointer)

    @property
    def closed(self) -> bool:
        return getattr(self, "_pointer", None) is None

    def __enter__(self: H) -> H:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


# ---- structs ----

S = TypeVar("S", bound=ctypes.Structure)
R = TypeVar("R")


def utf8(text: Any) -> Optional[bytes]:
    """As a file system's names may be no UTF-8, what told() could not decode goes back as it came."""
    if text is None:
        return None
    return os.fsencode(text) if isinstance(text, os.PathLike) else str(text).encode("utf-8", "surrogateescape")


def fill(struct: S, fields: Any) -> S:
    """Set fields from Python values. What ctypes would not keep alive is kept by the struct."""
    alive: List[Any] = []
    types: Dict[str, Any] = {name: kind for name, kind, *_ in type(struct)._fields_}
    for name, value in fields.items():
        if name not in types:
            raise TypeError("%s has no %r" % (type(struct).__name__, name))
        kind = types[name]
        if kind is ctypes.c_char_p:
            value = utf8(value)
        elif isinstance(value, Handle):
            alive.append(value)
            value = value.pointer
        elif kind is ctypes.POINTER(c_void_p) and value is not None:
            alive.append(list(value))
            value = (c_void_p * len(alive[-1]))(*(handle.pointer for handle in alive[-1]))
        elif kind is ctypes.POINTER(_c.i64) and value is not None:
            value = (_c.i64 * len(value))(*value)
        elif isinstance(kind, type) and issubclass(kind, ctypes.Array):
            value = kind(*value)
        elif isinstance(value, HasStruct):
            value = value.struct
        if isinstance(value, ctypes.Array) and not issubclass(kind, ctypes.Array):
            alive.append(value)
            value = ctypes.cast(value, kind)
        elif isinstance(value, ctypes.Structure):
            alive.append(value)
            value = ctypes.pointer(value)
        setattr(struct, name, value)
    struct._alive = getattr(struct, "_alive", []) + alive
    return struct


class HasStruct:
    """A description that is a struct of the library and nothing else: a branch, a schedule, a transform."""

    struct: Any


def options(kind: Type[S], init: Any, fields: Any, *args: Any) -> S:
    """A struct with the library's defaults, then with the given fields."""
    struct = kind()
    init(ctypes.byref(struct), ctypes.sizeof(struct), *args)
    return fill(struct, fields)


def ask(kind: Type[S], result: Type[R], function: Any, *args: Any) -> R:
    """A struct that the library fills, by its fields' names."""
    struct = sized(kind)
    function(*args, ctypes.byref(struct))
    return told(struct, result)


def sized(kind: Type[S]) -> S:
    struct = kind()
    struct.struct_size = ctypes.sizeof(struct)
    return struct


def told(struct: ctypes.Structure, result: Type[R]) -> R:
    values = (getattr(struct, field.name) for field in dataclasses.fields(result))  # type: ignore[arg-type]
    return result(*(v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else "" if v is None else v
                    for v in values))


def text_of(function: Any, *args: Any) -> str:
    """Texts that are asked for twice: function(*args, text, size, &needed)."""
    needed = _c.i64()
    function(*args, None, 0, ctypes.byref(needed))
    buffer = ctypes.create_string_buffer(needed.value)
    function(*args, buffer, needed.value, None)
    return buffer.value.decode()
