"""The library from Python by ctypes alone: frames in, SimCLR, features out; progress, cancel, errors; a loss on arrays.

    python3 examples/python/pretrain_ctypes.py [LIBRARY]

LIBRARY is the path of libsslcv.so.0; without it the system's is taken. NumPy is used for arrays where it is installed;
without it the same calls work on ctypes arrays. No struct is written by hand in C and no shim is compiled: what ctypes
can call, any language can.
"""
import ctypes as c
import ctypes.util
import random
import sys
import threading

try:
    import numpy
except ImportError:
    numpy = None

library = sys.argv[1] if len(sys.argv) > 1 else ctypes.util.find_library("sslcv") or "libsslcv.so.0"
lib = c.CDLL(library)
i32, i64, u64, f64, ptr, text = c.c_int32, c.c_int64, c.c_uint64, c.c_double, c.c_void_p, c.c_char_p

LIST, F32, U8, RESNET18, STEM_CIFAR, EPOCH_END, CANCELLED = 1, 1, 5, 1, 1, 4, -9


class Error(RuntimeError):
    def __init__(self, status):
        self.status = status
        super().__init__(lib.sslcv_last_error().decode())


def check(status, func, args):
    if status != 0:
        raise Error(status)
    return status


# ---- structs, in the order of the headers ----

class Tensor(c.Structure):
    _fields_ = [("data", ptr), ("shape", i64 * 8), ("strides", i64 * 8), ("ndim", i32), ("dtype", i32)]

    @classmethod
    def of(cls, memory, shape, dtype):
        """Dense memory: a ctypes array, or the data pointer of a NumPy array."""
        strides, step = [], 1
        for extent in reversed(shape):
            strides.insert(0, step)
            step *= extent
        pad = [0] * (8 - len(shape))
        address = memory if isinstance(memory, int) else c.addressof(memory)
        return cls(address, (i64 * 8)(*shape, *pad), (i64 * 8)(*strides, *pad), len(shape), dtype)


class DatasetOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", i32), ("part", i32), ("label_folders", i32), ("on_error", i32),
                ("channels", i32), ("cache", i32), ("path", text), ("labels_path", text), ("count", i64),
                ("num_classes", i64), ("max_pixels", i64), ("max_file_bytes", i64), ("max_cache_bytes", i64),
                ("callbacks", ptr), ("min_side", i64)]


class BackboneOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("architecture", i32), ("stem", i32), ("norm", i32),
                ("zero_init_residual", i32), ("project_all", i32), ("num_stages", i32), ("preactivation", i32),
                ("reserved", i32), ("channels", i64), ("stem_channels", i64), ("image_size", i64), ("width", f64),
                ("norm_epsilon", f64), ("norm_momentum", f64), ("seed", u64)]


class MethodOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dataset", ptr), ("backbones", c.POINTER(ptr)), ("num_backbones", i64),
                ("augmenter", ptr), ("preset", text), ("settings", text), ("checkpoint_path", text), ("seed", u64),
                ("resume", i32), ("reserved", i32)]


class Progress(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("event", i32), ("reserved", i32), ("step", i64), ("num_steps", i64),
                ("epoch", i64), ("num_epochs", i64), ("loss", f64), ("learning_rate", f64), ("embedding_std", f64),
                ("images_per_second", f64), ("seconds", f64), ("seconds_left", f64)]


HOOK_CALL = c.CFUNCTYPE(i32, ptr, ptr, c.POINTER(Progress))
DESTROY = c.CFUNCTYPE(None, ptr)


class Hook(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("user", ptr), ("call", HOOK_CALL), ("destroy", DESTROY), ("events", i32),
                ("every", i32)]


class Branch(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("source", i64), ("views", c.POINTER(i64)), ("num_views", i64),
                ("backbone", ptr), ("heads", c.POINTER(ptr)), ("num_heads", i64), ("stage", text), ("flags", i32),
                ("bn_splits", i32), ("grouping", i32), ("head_grouping", i32), ("momentum", i32), ("detach", i32)]


class EmbedOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dataset", ptr), ("augmenter", ptr),
                ("branches", c.POINTER(c.POINTER(Branch))), ("num_branches", i64), ("batch_size", i64), ("first", i64),
                ("count", i64), ("seed", u64), ("epoch", i64), ("mean_positions", i32), ("reserved", i32)]


class InfoNceOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("temperature", f64), ("queue_size", i64), ("dim", i64), ("seed", u64),
                ("reduction", i32), ("reserved", i32)]


class LossCall(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("inputs", c.POINTER(Tensor)), ("diff_inputs", c.POINTER(Tensor)),
                ("num_inputs", i64), ("ids", c.POINTER(i64)), ("labels", c.POINTER(i64)),
                ("targets", c.POINTER(Tensor)), ("step", i64), ("epoch", i64), ("scale", f64), ("flags", i32),
                ("reserved", i32), ("value", f64)]


# ---- functions ----

def declare(name, *argtypes, result=i32):
    function = getattr(lib, name)
    function.argtypes, function.restype = argtypes, result
    if result is i32:
        function.errcheck = check


size, out = c.c_size_t, c.POINTER(ptr)
declare("sslcv_last_error", result=text)
declare("sslcv_version_string", result=text)
declare("sslcv_context_create", ptr, out)
declare("sslcv_dataset_options_init", c.POINTER(DatasetOptions), size, i32)
declare("sslcv_dataset_create", ptr, c.POINTER(DatasetOptions), out)
declare("sslcv_dataset_add_image", ptr, c.POINTER(Tensor), c.POINTER(i64))
declare("sslcv_backbone_options_init", c.POINTER(BackboneOptions), size, i32)
declare("sslcv_backbone_create", ptr, c.POINTER(BackboneOptions), out)
declare("sslcv_method_options_init", c.POINTER(MethodOptions), size)
declare("sslcv_method_create", ptr, text, c.POINTER(MethodOptions), out)
declare("sslcv_hook_init", c.POINTER(Hook), size)
declare("sslcv_trainer_add_hook", ptr, c.POINTER(Hook))
declare("sslcv_trainer_run", ptr, i64)
declare("sslcv_augmenter_create", ptr, out)
declare("sslcv_augmenter_add_preset", ptr, text, i64, c.POINTER(i64), c.POINTER(i64))
declare("sslcv_branch_init", c.POINTER(Branch), size)
declare("sslcv_embed_options_init", c.POINTER(EmbedOptions), size)
declare("sslcv_embed", c.POINTER(EmbedOptions), c.POINTER(Tensor), c.POINTER(i64))
declare("sslcv_info_nce_options_init", c.POINTER(InfoNceOptions), size)
declare("sslcv_loss_create_info_nce", ptr, c.POINTER(InfoNceOptions), out)
declare("sslcv_loss_call_init", c.POINTER(LossCall), size)
declare("sslcv_loss_compute", ptr, c.POINTER(LossCall))
for kind in ("context", "dataset", "augmenter", "trainer", "backbone", "loss"):
    declare("sslcv_%s_destroy" % kind, ptr, result=None)

INIT = {DatasetOptions: "dataset_options", BackboneOptions: "backbone_options", MethodOptions: "method_options",
        Hook: "hook", Branch: "branch", EmbedOptions: "embed_options", InfoNceOptions: "info_nce_options",
        LossCall: "loss_call"}


def options(struct, *kind):
    result = struct()
    getattr(lib, "sslcv_%s_init" % INIT[struct])(c.byref(result), c.sizeof(struct), *kind)
    return result


class Handle:
    """Owns one reference. Python may finalise in any order: the library allows that."""

    def __init__(self, kind, create, *args):
        self.destroy, self._as_parameter_ = getattr(lib, "sslcv_%s_destroy" % kind), ptr()
        create(*args, c.byref(self._as_parameter_))

    def __del__(self):
        self.destroy(self._as_parameter_)


# ---- what one does with it ----

def draw_frames(count, side):
    """count frames of side x side pixels: stripes of two directions with noise. (count, 3, side, side) bytes."""
    draw = random.Random(1)
    frames = bytearray()
    for n in range(count):
        for _ in range(3):
            for y in range(side):
                frames += bytes(((x, y)[n % 2] // 4 % 2) * 180 + draw.randrange(60) for x in range(side))
    return (c.c_ubyte * len(frames)).from_buffer(frames)


def make_backbone(context):
    net = options(BackboneOptions, RESNET18)
    net.stem, net.width = STEM_CIFAR, 0.25
    return Handle("backbone", lib.sslcv_backbone_create, context, c.byref(net))


def pretrain(context, dataset, backbone, stop):
    """stop: a threading.Event, set from any thread."""
    method = options(MethodOptions)
    backbones = (ptr * 1)(backbone._as_parameter_)
    method.dataset, method.settings = dataset._as_parameter_, b"temperature=0.5 epochs=2 batch=32"
    method.backbones, method.num_backbones = backbones, 1
    trainer = Handle("trainer", lib.sslcv_method_create, context, b"simclr", c.byref(method))

    def show(user, trainer_pointer, progress):
        p = progress.contents
        print("epoch %d of %d: loss %.4f" % (p.epoch + 1, p.num_epochs, p.loss))
        return int(stop.is_set())  # 1 ends the run with Error, status CANCELLED

    hook = options(Hook)
    hook.call, hook.events = HOOK_CALL(show), EPOCH_END  # ctypes needs hook alive for as long as it may be called
    lib.sslcv_trainer_add_hook(trainer, c.byref(hook))
    try:
        lib.sslcv_trainer_run(trainer, 0)
    except Error as error:
        if error.status != CANCELLED:
            raise


def embed(context, dataset, backbone, side):
    """Features: a NumPy array (n, d), or a list of lists."""
    augmenter = Handle("augmenter", lib.sslcv_augmenter_create, context)
    view = i64()
    lib.sslcv_augmenter_add_preset(augmenter, b"eval", side, c.byref(view), None)
    branch = options(Branch)
    branch.views, branch.num_views, branch.backbone, branch.flags = c.pointer(view), 1, backbone._as_parameter_, 0
    request = options(EmbedOptions)
    request.dataset, request.augmenter = dataset._as_parameter_, augmenter._as_parameter_
    request.branches, request.num_branches = c.pointer(c.pointer(branch)), 1
    shape = Tensor()
    lib.sslcv_embed(c.byref(request), c.byref(shape), None)  # only asks for the shape
    n, d = shape.shape[:2]
    values = (c.c_float * (n * d))()
    lib.sslcv_embed(c.byref(request), c.byref(Tensor.of(values, (n, d), F32)), None)
    if numpy:
        return numpy.frombuffer(values, numpy.float32).reshape(n, d)  # the same memory
    return [list(values[i * d:(i + 1) * d]) for i in range(n)]


def nt_xent(context, z, shape, temperature):
    """z: floats (2, n, d). Value and gradient: every kind of loss is one struct and two functions."""
    nce = options(InfoNceOptions)
    nce.temperature = temperature
    loss = Handle("loss", lib.sslcv_loss_create_info_nce, context, c.byref(nce))
    gradient = (c.c_float * len(z))()
    call = options(LossCall)
    inputs, diff_inputs = Tensor.of(z, shape, F32), Tensor.of(gradient, shape, F32)
    call.inputs, call.diff_inputs, call.num_inputs = c.pointer(inputs), c.pointer(diff_inputs), 1
    lib.sslcv_loss_compute(loss, c.byref(call))
    return call.value, gradient


def main():
    count, side = 64, 32
    print("sslcv", lib.sslcv_version_string().decode())
    context = Handle("context", lib.sslcv_context_create, None)
    dataset = Handle("dataset", lib.sslcv_dataset_create, context, c.byref(options(DatasetOptions, LIST)))
    frames = draw_frames(count, side)
    lib.sslcv_dataset_add_image(dataset, c.byref(Tensor.of(frames, (count, 3, side, side), U8)), None)

    backbone = make_backbone(context)
    pretrain(context, dataset, backbone, threading.Event())
    features = embed(context, dataset, backbone, side)
    print("%d frames, %d features each" % (len(features), len(features[0])))

    draw = random.Random(2)
    z = (c.c_float * 16)(*(draw.gauss(0, 1) for _ in range(16)))  # 2 views, 4 samples, 2 dimensions
    value, gradient = nt_xent(context, z, (2, 4, 2), 0.5)
    print("NT-Xent of a small array: %.6f, its first gradient %.6f" % (value, gradient[0]))

    try:
        nt_xent(context, z, (2, 4, 2), -0.1)
    except Error as error:
        print("errors say what is wrong:", error)


if __name__ == "__main__":
    main()
