"""NumPy beside the library, by ctypes: .npy and .npz both ways, DLPack both ways. numpy_interop.py LIBRARY"""
import ctypes as c
import gzip
import io
import tempfile
import zipfile

from binding import CODES, NPY, NPZ, Tensor, context, lib, ok, read_state, write_state

import numpy as np


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
    version = tuple(int(part) for part in np.__version__.split(".")[:2])
    forms = [0] + ([1] if version >= (2, 1) else [])
    lent = 0
    for dtype, code in CODES.items():
        if dtype == "bool" and version < (1, 25):
            continue  # NumPy lends none
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


with tempfile.TemporaryDirectory() as temporary:
    check_files(temporary)
check_dlpack()
lib.sslcv_context_destroy(context)
