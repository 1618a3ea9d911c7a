"""What the programs beside it share: the library by ctypes, states as NumPy's arrays. PROGRAM LIBRARY"""
import ctypes as c
import importlib
import os
import sys


def need(*names):
    """Modules; without one of them the program ends, saying so."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{os.path.basename(sys.argv[0])}: left out, there is no {name}")
            sys.exit(0)


need("numpy")
import numpy as np  # noqa: E402

lib = c.CDLL(sys.argv[1])
lib.sslcv_last_error.restype = c.c_char_p
BF16 = 2  # NumPy has none: it is kept as uint16 beside its code
CODES = {"float32": 1, "float16": 3, "float64": 4, "uint8": 5, "uint16": 6, "int32": 7, "int64": 8, "bool": 9}
NAMES = {**{code: name for name, code in CODES.items()}, BF16: "uint16"}
SAFETENSORS, NPZ, NPY = 0, 1, 2
F32 = 1  # SSLCV_PRECISION_F32


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("threads", c.c_int32), ("loader_threads", c.c_int32),
                ("precision", c.c_int32), ("winograd", c.c_int32), ("seed", c.c_uint64), ("allocator", c.c_void_p),
                ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int32), ("reserved", c.c_int32),
                ("tuning_path", c.c_char_p), ("log_destroy", c.c_void_p)]


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("shape", c.c_int64 * 8), ("strides", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32)]


class Entry(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("shape", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32), ("role", c.c_int32), ("frozen", c.c_int32)]


class SaveOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dtype", c.c_int32), ("roles", c.c_int32), ("generations", c.c_int32),
                ("format", c.c_int32), ("prefix", c.c_char_p), ("metadata", c.POINTER(c.c_char_p)),
                ("num_metadata", c.c_int64), ("stream", c.c_void_p)]


class LoadReport(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("matched", c.c_int64), ("missing", c.c_int64), ("unexpected", c.c_int64),
                ("adapted", c.c_int64), ("text", c.c_char_p), ("text_size", c.c_int64), ("text_needed", c.c_int64),
                ("layout", c.c_char * 32)]


def ok(status):
    assert status == 0, lib.sslcv_last_error().decode()


def made(function, *arguments):
    """The handle that a call gives through its last argument."""
    handle = c.c_void_p()
    ok(function(*arguments, c.byref(handle)))
    return handle


def options(kind, init, *arguments, **fields):
    """An option struct with its defaults, and then these fields."""
    filled = kind()
    ok(init(c.byref(filled), c.c_size_t(c.sizeof(filled)), *arguments))
    for name, value in fields.items():
        assert hasattr(filled, name), name
        setattr(filled, name, value)
    return filled


def tensor_of(array, code=None):
    size = array.dtype.itemsize
    strides = (c.c_int64 * 8)(*(step // size for step in array.strides))
    return Tensor(array.ctypes.data, (c.c_int64 * 8)(*array.shape), strides, array.ndim,
                  code or CODES[array.dtype.name])


def tensors_of(state, part=0):
    """Name -> (code, array) of all tensors of a state, in its order."""
    tensors, index, entry = {}, 0, Entry()
    entry.struct_size = c.sizeof(entry)
    while lib.sslcv_state_get_entry(state, c.c_int64(index), c.byref(entry)) == 0:
        array = np.empty(tuple(entry.shape[:entry.ndim]), NAMES[entry.dtype])
        if array.size:
            ok(lib.sslcv_state_get(state, c.c_int64(index), part, c.byref(tensor_of(array, entry.dtype))))
        tensors[entry.name.decode()] = (entry.dtype, array)
        index += 1
    return tensors


def read_tensors(path):
    """The same of a file, as the library reads it."""
    state = made(lib.sslcv_state_open, context, str(path).encode(), None)
    tensors = tensors_of(state)
    lib.sslcv_state_destroy(state)
    return tensors


def read_state(path):
    return {name: array for name, (_, array) in read_tensors(path).items()}


def write_tensors(tensors, path, file_format=SAFETENSORS, metadata=None):
    """Name -> (code, array) into a file, as the library writes it."""
    state = made(lib.sslcv_state_create, context)
    for index, (name, (code, array)) in enumerate(tensors.items()):
        entry = Entry(c.sizeof(Entry), name.encode(), (c.c_int64 * 8)(*array.shape), array.ndim, code, 8, 0)
        ok(lib.sslcv_state_add(state, c.byref(entry), None))
        if array.size:
            ok(lib.sslcv_state_set(state, c.c_int64(index), 0, c.byref(tensor_of(array, code))))
    pairs = [text.encode() for pair in (metadata or {}).items() for text in pair]
    save = options(SaveOptions, lib.sslcv_save_options_init, format=file_format,
                   metadata=(c.c_char_p * len(pairs))(*pairs) if pairs else None, num_metadata=len(pairs) // 2)
    ok(lib.sslcv_state_save(state, str(path).encode(), c.byref(save)))
    lib.sslcv_state_destroy(state)


def write_state(arrays, path, file_format):
    write_tensors({name: (CODES[array.dtype.name], array) for name, array in arrays.items()}, path, file_format)


# In f32 also where the processor has bf16, as what is compared is.
context = made(lib.sslcv_context_create,
               c.byref(options(ContextOptions, lib.sslcv_context_options_init, precision=F32)))
