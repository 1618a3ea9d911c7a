"""Arrays in and out without a copy: NumPy's, and by DLPack those of anyone."""
from __future__ import annotations

import ctypes
from typing import Any, Dict, Optional, Sequence, Tuple, cast

import numpy as np
import numpy.typing as npt

from . import _c
from ._library import drop, kept, lib
from .types import Dtype

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

_CODES: Dict[str, int] = {"float32": Dtype.F32, "float16": Dtype.F16, "float64": Dtype.F64, "uint8": Dtype.U8,
                          "uint16": Dtype.U16, "int32": Dtype.I32, "int64": Dtype.I64, "bool": Dtype.BOOL}
_NAMES: Dict[int, str] = {code: name for name, code in _CODES.items()}

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype, _capsule_new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

# The same functions for a capsule that is going: a reference to it must not be taken any more.
_api = ctypes.PyDLL(None)
_api.PyCapsule_IsValid.argtypes = _api.PyCapsule_GetPointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_PLAIN, _VERSIONED = b"dltensor", b"dltensor_versioned"


def _free_unused(capsule: int) -> None:
    """A consumer renames the capsule that it takes; one that nobody took frees what it holds."""
    for name, deleter in ((_PLAIN, 56), (_VERSIONED, 16)):
        if _api.PyCapsule_IsValid(capsule, name):
            managed = _api.PyCapsule_GetPointer(capsule, name)
            function = ctypes.c_void_p.from_address(managed + deleter).value
            if function:
                ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)(managed)


_unused = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_free_unused)


def tensor_of(array: Any) -> _c.Tensor:
    """Describe an array: NumPy's, whatever has __dlpack__ (PyTorch, also bf16), or what NumPy makes an array of. The
    struct keeps the memory alive; the memory is not copied but where its strides are not whole elements."""
    if not isinstance(array, np.ndarray) and hasattr(array, "__dlpack__"):
        return _from_dlpack(array)
    array = np.asarray(array)
    if not array.dtype.isnative or any(stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if array.dtype.name not in _CODES:
        raise TypeError("arrays of %s are not for this library" % array.dtype)
    if array.ndim > 8:
        raise ValueError("%d axes; must be 0 .. 8" % array.ndim)
    tensor = _c.Tensor(array.ctypes.data, (_c.i64 * 8)(*array.shape),
                       (_c.i64 * 8)(*(stride // array.itemsize for stride in array.strides)), array.ndim,
                       _CODES[array.dtype.name])
    tensor._alive = array
    return tensor


def _from_dlpack(array: Any) -> _c.Tensor:
    tensor, capsule = _c.Tensor(), array.__dlpack__()
    pointer = _capsule_pointer(capsule, b"dltensor")
    lib.sslcv_tensor_from_dlpack(pointer, 0, ctypes.byref(tensor))
    tensor._alive = capsule  # not consumed: it frees what it holds when it goes
    return tensor


def pixels(array: Any, order: int = 0) -> _c.Tensor:
    """A picture as cameras and OpenCV give it, height x width x channels in memory, as the tensor (channels, height,
    width) over the same memory. order: PixelOrder."""
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[:, :, None]
    height, width, channels = array.shape
    size = array.itemsize
    if channels > 1 and array.strides[2] != size or width > 1 and array.strides[1] != size * channels:
        array = np.ascontiguousarray(array)
    tensor = _c.Tensor()
    lib.sslcv_tensor_init_pixels(ctypes.byref(tensor), _CODES[array.dtype.name], array.ctypes.data, width, height,
                                 channels, array.strides[0], order)
    tensor._alive = array
    return tensor


def shape_of(tensor: _c.Tensor) -> Tuple[int, ...]:
    return tuple(tensor.shape[:tensor.ndim])


class _Memory:
    """What NumPy's array interface asks for; the array that is made of it holds it, and it holds the owner."""

    def __init__(self, tensor: _c.Tensor, owner: Any, writable: bool) -> None:
        dtype = np.dtype(_NAMES[tensor.dtype])
        self.owner = owner
        self.__array_interface__ = {
            "version": 3, "shape": shape_of(tensor), "typestr": dtype.str, "data": (tensor.data, not writable),
            "strides": tuple(stride * dtype.itemsize for stride in tensor.strides[:tensor.ndim])}


def array_of(tensor: _c.Tensor, owner: Any = None, writable: bool = True) -> Array:
    """Memory of the library as a NumPy array, without a copy; owner lives as long as the array."""
    if tensor.dtype not in _NAMES:
        raise TypeError("NumPy has no bf16; ask for float32, or use Lent")
    if not all(shape_of(tensor)):
        return np.empty(shape_of(tensor), _NAMES[tensor.dtype])
    return np.asarray(_Memory(tensor, owner, writable))


def floats_of(tensor: _c.Tensor, owner: Any = None, writable: bool = True) -> Floats:
    return cast(Floats, array_of(tensor, owner, writable))


class Lent:
    """Memory of the library for any consumer of DLPack: torch.from_dlpack(Lent(...)). owner lives as long as what the
    consumer makes of it."""

    def __init__(self, tensor: _c.Tensor, owner: Any) -> None:
        self.tensor, self.owner = tensor, owner

    def __dlpack_device__(self) -> Tuple[int, int]:
        return 1, 0

    def __dlpack__(self, *, stream: Any = None, max_version: Optional[Tuple[int, int]] = None, **_: Any) -> Any:
        versioned = max_version is not None and max_version[0] >= 1
        out = ctypes.c_void_p()
        key = kept.keep((self.tensor, self.owner))
        try:
            lib.sslcv_tensor_to_dlpack(ctypes.byref(self.tensor), key, drop, versioned, ctypes.byref(out))
        except BaseException:
            kept.drop(key)
            raise
        return _capsule_new(out.value, _VERSIONED if versioned else _PLAIN, ctypes.cast(_unused, ctypes.c_void_p))

    def numpy(self) -> Array:
        return array_of(self.tensor, self.owner)


def output(shape: Sequence[int], out: Optional[Array] = None) -> Tuple[Floats, _c.Tensor]:
    """An array for the library to fill: the caller's, or a new one."""
    array = np.empty(tuple(shape), np.float32) if out is None else out
    if array.dtype != np.float32 or array.shape != tuple(shape) or not array.flags.c_contiguous:
        raise ValueError("out must be a dense float32 array of shape %s" % (tuple(shape),))
    return array, tensor_of(array)


def asked(function: Any, *args: Any) -> Tuple[int, ...]:
    """The shape that function(*args, tensor) would fill."""
    tensor = _c.Tensor()
    function(*args, ctypes.byref(tensor))
    return shape_of(tensor)


def longs(values: Any, count: Optional[int] = None) -> Tuple[Longs, Any]:
    """int64 values as an array, which must live through the call, and a pointer to them."""
    array = np.ascontiguousarray(values, np.int64).reshape(-1)
    if count is not None and len(array) != count:
        raise ValueError("%d numbers; must be %d" % (len(array), count))
    return array, long_pointer(array)


def long_pointer(array: Longs) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(_c.i64))
