"""PyTorch and the library in one process: beside_torch.py LIBRARY [first|last|without]

Prints numbers that both compute: with PyTorch imported first, or last, or (the library's alone) not at all. Each
computes, then the other, then each again: the same numbers both times.
"""
import ctypes as c
import sys

order = sys.argv[2] if len(sys.argv) > 2 else "first"
if order == "first":
    import torch
lib = c.CDLL(sys.argv[1])
if order == "last":
    import torch
lib.sslcv_last_error.restype = c.c_char_p


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("threads", c.c_int32), ("loader_threads", c.c_int32),
                ("precision", c.c_int32), ("winograd", c.c_int32), ("seed", c.c_uint64), ("allocator", c.c_void_p),
                ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int32), ("reserved", c.c_int32),
                ("tuning_path", c.c_char_p), ("log_destroy", c.c_void_p)]


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("shape", c.c_int64 * 8), ("strides", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32)]


class Pass(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("flags", c.c_int32), ("bn_splits", c.c_int32), ("random", c.c_uint64),
                ("stage", c.c_char_p)]


def ok(status):
    assert status == 0, lib.sslcv_last_error().decode()


def make():
    options, context, backbone = ContextOptions(), c.c_void_p(), c.c_void_p()
    network = (c.c_uint8 * 1024)()
    ok(lib.sslcv_context_options_init(c.byref(options), c.c_size_t(c.sizeof(options))))
    options.threads, options.seed, options.precision = 2, 3, 1
    ok(lib.sslcv_context_create(c.byref(options), c.byref(context)))
    ok(lib.sslcv_backbone_options_init(network, c.c_size_t(NETWORK_SIZE), c.c_int32(1)))
    ok(lib.sslcv_backbone_create(context, network, c.byref(backbone)))
    return context, backbone


def ours(context, backbone):
    """Features of a picture, and the picture's gradient, summed up."""
    pixels = (c.c_float * (2 * 3 * 64 * 64))(*((i % 251) / 251 for i in range(2 * 3 * 64 * 64)))
    images, output, tape, how = Tensor(), Tensor(), c.c_void_p(), Pass()
    ok(lib.sslcv_tensor_init(c.byref(images), c.c_int32(1), pixels, c.c_int32(4), (c.c_int64 * 4)(2, 3, 64, 64)))
    ok(lib.sslcv_pass_init(c.byref(how), c.c_size_t(c.sizeof(how))))
    ok(lib.sslcv_tape_create(context, c.byref(tape)))
    ok(lib.sslcv_backbone_forward(backbone, c.byref(images), c.byref(how), tape))
    ok(lib.sslcv_tape_output(tape, c.byref(output)))
    features = (c.c_float * 1024).from_address(output.data)
    numbers = [features[i].hex() for i in range(0, 1024, 64)]
    ok(lib.sslcv_tape_backward(tape, c.byref(output)))
    lib.sslcv_tape_destroy(tape)
    return numbers


def theirs():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
                              torch.nn.Conv2d(16, 32, 3), torch.nn.Flatten(), torch.nn.Linear(32 * 28 * 28, 10))
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    loss = net(images).square().sum()
    loss.backward()
    return [float(loss).hex(), float(net[0].weight.grad.abs().sum()).hex()]


NETWORK_SIZE = 96  # sizeof(sslcv_backbone_options) in 0.1
context, backbone = make()
before = (ours(context, backbone), theirs() if order != "without" else [])
if order != "without":
    threads = torch.get_num_threads()
again = (ours(context, backbone), theirs() if order != "without" else [])
lib.sslcv_backbone_destroy(backbone)
lib.sslcv_context_destroy(context)
assert before[0] == again[0], "our numbers change"
assert before[1] == again[1], "PyTorch's numbers change"
if order != "without":
    assert torch.get_num_threads() == threads, "PyTorch's threads change"
print(" ".join(again[0]))
print(" ".join(again[1]))
