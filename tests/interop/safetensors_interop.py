"""The safetensors package beside the library: files both ways, and back to the same bytes. PROGRAM LIBRARY"""
import json
import struct
import tempfile

from binding import BF16, CODES, NAMES, need, np, read_tensors, write_tensors

need("safetensors")
import safetensors.numpy  # noqa: E402
from safetensors import safe_open  # noqa: E402

SHAPES = ((), (1,), (3, 4, 5), (0,), (3, 0, 2), (1, 1, 1, 1, 1, 1, 1, 1))


class WithNumPy:
    """Files as safetensors.numpy writes and reads them; it has no bfloat16."""
    name, codes = "numpy", set(NAMES) - {BF16}

    @staticmethod
    def write(tensors, path, metadata=None):
        safetensors.numpy.save_file({name: array for name, (_, array) in tensors.items()}, path, metadata)

    @staticmethod
    def read(path):
        return {name: (CODES[array.dtype.name], array) for name, array in safetensors.numpy.load_file(path).items()}


class WithTorch:
    """As safetensors.torch does; PyTorch has no uint16 before 2.3."""
    name, codes = "torch", set(NAMES) - {CODES["uint16"]}

    @staticmethod
    def write(tensors, path, metadata=None):
        def theirs(code, array):
            if code != BF16:
                return torch.from_numpy(array.copy())
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)

        safetensors.torch.save_file({name: theirs(*tensor) for name, tensor in tensors.items()}, path, metadata)

    @staticmethod
    def read(path):
        def ours(tensor):
            if tensor.dtype != torch.bfloat16:
                return CODES[tensor.numpy().dtype.name], tensor.numpy()
            return BF16, tensor.view(torch.int16).numpy().view(np.uint16)

        return {name: ours(tensor) for name, tensor in safetensors.torch.load_file(path).items()}


def parts(path):
    """Header as pairs in their order, and the data part."""
    with open(path, "rb") as file:
        whole = file.read()
    length, = struct.unpack("<Q", whole[:8])
    assert length % 8 == 0
    pairs = json.loads(whole[8:8 + length], object_pairs_hook=list)
    return [pair for pair in pairs if pair[0] != "__metadata__"], whole[8 + length:]


def make_tensors(codes):
    """Each of these dtypes in every shape, the names not in order."""
    random, tensors = np.random.default_rng(1), {}
    for number, shape in enumerate(SHAPES):
        for code in sorted(codes):
            values = np.asarray(random.standard_normal(shape) * 100)
            if code == BF16:
                array = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
            elif NAMES[code] == "bool":
                array = values > 0
            else:
                array = values.astype(np.int64).astype(NAMES[code])
            tensors[f"{9 - number}.{code} gr\u00fc\u00df"] = (code, np.asarray(array).reshape(shape))
    return tensors


def same(ours, theirs):
    assert sorted(ours) == sorted(theirs)
    for name, (code, array) in theirs.items():
        assert ours[name][0] == code and ours[name][1].shape == array.shape, name
        assert ours[name][1].tobytes() == array.tobytes(), name


def check(folder, package):
    tensors = make_tensors(package.codes)
    ours, theirs, again = folder + "/ours", folder + "/theirs", folder + "/again"
    pair = {"format": "pt", "grün": "\"quoted\"\n"}

    write_tensors(tensors, ours, metadata=pair)
    same(package.read(ours), tensors)
    with safe_open(ours, framework="numpy") as file:
        metadata = file.metadata()
    assert {key: metadata[key] for key in pair} == pair

    package.write(tensors, theirs, pair)
    same(read_tensors(theirs), tensors)

    # Their file, read and written here, read and written there: the same bytes. One pair of metadata, as theirs
    # stand in an order drawn anew each time.
    for one in ({"format": "pt"}, None):
        package.write(tensors, theirs, one)
        write_tensors(read_tensors(theirs), ours, metadata=one)
        package.write(package.read(ours), again, one)
        with open(theirs, "rb") as first, open(again, "rb") as second:
            assert first.read() == second.read()
        # Already in between all is the same but our own keys of metadata: entries, offsets, order, data.
        assert parts(ours) == parts(theirs)

    # Our file, read and written there, read and written here: the same bytes, as the order is theirs by now.
    package.write(package.read(ours), theirs)
    write_tensors(read_tensors(theirs), again)
    with open(ours, "rb") as first, open(again, "rb") as second:
        assert first.read() == second.read()
    print(f"safetensors_interop.py: {len(tensors)} tensors by safetensors.{package.name}, both ways and back")


with tempfile.TemporaryDirectory() as temporary:
    check(temporary, WithNumPy)
    need("torch")  # for bfloat16
    import safetensors.torch
    import torch

    check(temporary, WithTorch)
