"""NumPy beside the library, by ctypes: .npy and .npz both ways, DLPack both ways. numpy_interop.py LIBRARY"""
import ctypes as c
import gzip
import io
import sys
import tempfile
import zipfile

try:
    import numpy as np
except ImportError:
    print("numpy_interop.py: left out, there is no numpy")
    sys.exit(0)

lib = c.CDLL(sys.argv[1])
lib.sslcv_last_error.restype = c.c_char_p
CODES = {"float32": 1, "float16": 3, "float64": 4, "uint8": 5, "uint16": 6, "int32": 7, "int64": 8, "bool": 9}
NAMES = {code: name for name, code in CODES.items()}
NPZ, NPY = 1, 2


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("shape", c.c_int64 * 8), ("strides", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32)]


class Entry(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("shape", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32), ("role", c.c_int32), ("frozen", c.c_int32)]


class SaveOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dtype", c.c_int32), ("roles", c.c_int32), ("generations", c.c_int32),
                ("format", c.c_int32), ("prefix", c.c_char_p), ("metadata", c.c_void_p), ("num_metadata", c.c_int64),
                ("stream", c.c_void_p)]


def ok(status):
    assert status == 0, lib.sslcv_last_error().decode()


def tensor_of(array):
    size = array.dtype.itemsize
    return Tensor(array.ctypes.data, (c.c_int64 * 8)(*array.shape), (c.c_int64 * 8)(*(s // size for s in array.strides)),
                  array.ndim, CODES[array.dtype.name])


def read_state(path):
    """All tensors of a file, as the library reads them."""
    state, arrays, index, entry = c.c_void_p(), {}, 0, Entry()
    ok(lib.sslcv_state_open(context, str(path).encode(), None, c.byref(state)))
    entry.struct_size = c.sizeof(entry)
    while lib.sslcv_state_get_entry(state, c.c_int64(index), c.byref(entry)) == 0:
        array = np.empty(tuple(entry.shape[:entry.ndim]), NAMES[entry.dtype])
        if array.size:
            ok(lib.sslcv_state_get(state, c.c_int64(index), 0, c.byref(tensor_of(array))))
        arrays[entry.name.decode()] = array
        index += 1
    lib.sslcv_state_destroy(state)
    return arrays


def write_state(arrays, path, file_format):
    state, options = c.c_void_p(), SaveOptions()
    ok(lib.sslcv_state_create(context, c.byref(state)))
    for index, (name, array) in enumerate(arrays.items()):
        entry = Entry(c.sizeof(Entry), name.encode(), (c.c_int64 * 8)(*array.shape), array.ndim,
                      CODES[array.dtype.name], 8, 0)
        ok(lib.sslcv_state_add(state, c.byref(entry), None))
        if array.size:
            ok(lib.sslcv_state_set(state, c.c_int64(index), 0, c.byref(tensor_of(array))))
    ok(lib.sslcv_save_options_init(c.byref(options), c.c_size_t(c.sizeof(options))))
    options.format = file_format
    ok(lib.sslcv_state_save(state, str(path).encode(), c.byref(options)))
    lib.sslcv_state_destroy(state)


def same(ours, theirs):
    assert list(ours) == list(theirs), (list(ours), list(theirs))
    for name, array in theirs.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert ours[name].dtype == native.dtype and ours[name].shape == native.shape, name
        assert ours[name].tobytes() == native.tobytes(), name


class Unseekable(io.RawIOBase):
    """A pipe: sizes and checksums then stand behind the members."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def check_files(folder):
    random = np.random.default_rng(1)
    arrays = {}
    for dtype in CODES:
        values = random.standard_normal((3, 4, 5)) * 100
        arrays[dtype] = (values > 0) if dtype == "bool" else values.astype(np.int64).astype(dtype)
    arrays.update({"scalar": np.array(2.5), "empty": np.zeros((3, 0, 2), np.float32), "gr\u00fc\u00df/e": np.arange(7)})
    write_state(arrays, folder + "/ours.npz", NPZ)
    with np.load(folder + "/ours.npz") as loaded:
        same({name: loaded[name] for name in loaded.files}, arrays)
    assert zipfile.ZipFile(folder + "/ours.npz").testzip() is None
    orders = {"fortran": np.asfortranarray(arrays["float32"]), "turned": arrays["int64"].T,
              "big": arrays["float64"].astype(">f8"), "big fortran": np.asfortranarray(arrays["int32"].astype(">i4"))}
    theirs = {**arrays, **orders}
    np.savez(folder + "/plain.npz", **theirs)
    np.savez_compressed(folder + "/packed.npz", **theirs)
    with open(folder + "/piped.npz", "wb") as file:
        np.savez_compressed(Unseekable(file), **theirs)
    for name in ("plain", "packed", "piped"):
        same(read_state(f"{folder}/{name}.npz"), theirs)
    for name, array in theirs.items():
        np.save(folder + "/one.npy", array)
        same(read_state(folder + "/one.npy"), {"arr_0": array})
        with gzip.open(folder + "/one.npy.gz", "wb") as file:
            np.save(file, array)
        same(read_state(folder + "/one.npy.gz"), {"arr_0": array})
        if array.dtype.isnative:
            write_state({name: array}, folder + "/back.npy", NPY)
            same({"": np.load(folder + "/back.npy")}, {"": array})
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(folder + "/version.npy", "wb") as file:
            np.lib.format.write_array(file, arrays["float32"], version=version)
        same(read_state(folder + "/version.npy"), {"arr_0": arrays["float32"]})
    print(f"numpy_interop.py: {len(theirs)} arrays in .npy and .npz, both ways")


# ---- DLPack ----

RELEASE = c.CFUNCTYPE(None, c.c_void_p)
released = []
release = RELEASE(released.append)
api = c.pythonapi
api.PyCapsule_GetPointer.restype = c.c_void_p
api.PyCapsule_GetPointer.argtypes = [c.py_object, c.c_char_p]
api.PyCapsule_New.restype = c.py_object
api.PyCapsule_New.argtypes = [c.c_void_p, c.c_char_p, c.c_void_p]


class Lent:
    """What a consumer of DLPack asks of a producer, for a tensor of the library."""

    def __init__(self, tensor, versioned):
        self.tensor, self.versioned = tensor, versioned

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **_):
        out = c.c_void_p()
        ok(lib.sslcv_tensor_to_dlpack(c.byref(self.tensor), c.c_void_p(7), release, self.versioned, c.byref(out)))
        return api.PyCapsule_New(out, b"dltensor_versioned" if self.versioned else b"dltensor", None)


def check_dlpack():
    forms = [0] + ([1] if int(np.__version__.split(".")[0]) * 100 + int(np.__version__.split(".")[1]) >= 201 else [])
    lent = 0
    for dtype, code in CODES.items():
        whole = np.arange(60).reshape(3, 4, 5).astype(dtype)
        for array in (whole, whole[::2, 1:, ::-1], whole.T, whole[1, 1, 1]):
            array = np.asarray(array) if isinstance(array, np.ndarray) else np.array(array)
            for versioned in forms:
                name = b"dltensor_versioned" if versioned else b"dltensor"
                capsule = array.__dlpack__(max_version=(1, 1)) if versioned else array.__dlpack__()
                tensor = Tensor()
                ok(lib.sslcv_tensor_from_dlpack(c.c_void_p(api.PyCapsule_GetPointer(capsule, name)), versioned,
                                                c.byref(tensor)))
                assert tensor.data == array.ctypes.data and tensor.dtype == code
                assert tuple(tensor.shape[:tensor.ndim]) == array.shape
                strides = tuple(s // array.dtype.itemsize for s in array.strides)
                assert all(n == 1 or a == b for n, a, b in zip(array.shape, tensor.strides, strides))
                back = np.from_dlpack(Lent(tensor, versioned))
                assert back.ctypes.data == array.ctypes.data and back.dtype == array.dtype
                assert np.array_equal(back, array)
                assert len(released) == lent
                del back
                lent += 1
                assert len(released) == lent and released[-1] == 7
                del capsule
    print(f"numpy_interop.py: {lent} arrays lent by DLPack, both ways")


context = c.c_void_p()
ok(lib.sslcv_context_create(None, c.byref(context)))
with tempfile.TemporaryDirectory() as temporary:
    check_files(temporary)
check_dlpack()
lib.sslcv_context_destroy(context)
