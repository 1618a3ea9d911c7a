"""A loss written in Python, by ctypes alone: value and gradients in a callback, learnt weights in the library's hands.

    python3 examples/python/custom_loss.py [LIBRARY]

Two views of some samples, the second the first with other channel gains; the loss learns the gains:

    L = mean over samples of |weight * x - y|^2

The callback fills gradients of inputs and adds to that of "weight"; the library's optimizer moves it. In a trainer
(sslcv_trainer_add_loss) the same loss is optimised, saved and resumed with the networks. docs/losses/custom.md has the
rules, in C.
"""
import ctypes as c
import ctypes.util
import random
import sys

library = sys.argv[1] if len(sys.argv) > 1 else ctypes.util.find_library("sslcv") or "libsslcv.so.0"
lib = c.CDLL(library)
i32, i64, u64, f64, ptr, text = c.c_int32, c.c_int64, c.c_uint64, c.c_double, c.c_void_p, c.c_char_p

F32, VALUE, GRADIENT, WEIGHT, SGD, CANCELLED = 1, 0, 1, 1, 1, -9
SAMPLES, DIM = 16, 4


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

    def floats(self):
        """Its memory as floats; None where there is none. Dense, as all that the library hands to callbacks."""
        count = 1
        for extent in self.shape[:self.ndim]:
            count *= extent
        return (c.c_float * count).from_address(self.data) if self.data else None


class StateEntry(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", text), ("shape", i64 * 8), ("ndim", i32), ("dtype", i32),
                ("role", i32), ("frozen", i32)]


class LossCall(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("inputs", c.POINTER(Tensor)), ("diff_inputs", c.POINTER(Tensor)),
                ("num_inputs", i64), ("ids", c.POINTER(i64)), ("labels", c.POINTER(i64)),
                ("targets", c.POINTER(Tensor)), ("step", i64), ("epoch", i64), ("scale", f64), ("flags", i32),
                ("reserved", i32), ("value", f64)]


COMPUTE = c.CFUNCTYPE(i32, ptr, ptr, c.POINTER(LossCall))
BEGIN_EPOCH = c.CFUNCTYPE(i32, ptr, ptr, i64)
DESTROY = c.CFUNCTYPE(None, ptr)


class LossCallbacks(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("user", ptr), ("compute", COMPUTE), ("begin_epoch", BEGIN_EPOCH),
                ("destroy", DESTROY), ("num_inputs", i64), ("gradient_inputs", u64), ("needs_ids", i32),
                ("needs_labels", i32)]


class OptimizerOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", i32), ("nesterov", i32), ("momentum", f64),
                ("weight_decay", f64), ("beta1", f64), ("beta2", f64), ("epsilon", f64), ("trust", f64),
                ("clip_norm", f64), ("decay_roles", i32), ("adapt_roles", i32), ("trust_clip", i32), ("clip_each", i32)]


def declare(name, *argtypes, result=i32):
    function = getattr(lib, name)
    function.argtypes, function.restype = argtypes, result
    if result is i32:
        function.errcheck = check


size, out, shape = c.c_size_t, c.POINTER(ptr), c.POINTER(i64)
declare("sslcv_last_error", result=text)
declare("sslcv_context_create", ptr, out)
declare("sslcv_tensor_init", c.POINTER(Tensor), i32, ptr, i32, shape)
declare("sslcv_loss_callbacks_init", c.POINTER(LossCallbacks), size)
declare("sslcv_loss_create_custom", ptr, c.POINTER(LossCallbacks), out)
declare("sslcv_loss_get_state", ptr, out)
declare("sslcv_loss_call_init", c.POINTER(LossCall), size)
declare("sslcv_loss_compute", ptr, c.POINTER(LossCall))
declare("sslcv_state_add", ptr, c.POINTER(StateEntry), c.POINTER(i64))
declare("sslcv_state_data", ptr, i64, i32, c.POINTER(Tensor))
declare("sslcv_optimizer_options_init", c.POINTER(OptimizerOptions), size, i32)
declare("sslcv_optimizer_create", ptr, c.POINTER(OptimizerOptions), out)
declare("sslcv_optimizer_add", ptr, ptr, i32, ptr)
declare("sslcv_optimizer_step", ptr, f64, f64)
for kind in ("context", "loss", "state", "optimizer"):
    declare("sslcv_%s_destroy" % kind, ptr, result=None)


class Handle:
    """Owns one reference."""

    def __init__(self, kind, create, *args):
        self.destroy, self._as_parameter_ = getattr(lib, "sslcv_%s_destroy" % kind), ptr()
        create(*args, c.byref(self._as_parameter_))

    def __del__(self):
        self.destroy(self._as_parameter_)


# ---- the loss ----

def weight_of(state, part):
    tensor = Tensor()
    lib.sslcv_state_data(state, 0, part, c.byref(tensor))
    return tensor.floats()


def distance(state, call):
    """call.value, call.diff_inputs, and the gradient of the weight."""
    z = call.inputs[0].floats()  # (2, samples, 1, dim)
    n, d = call.inputs[0].shape[1], call.inputs[0].shape[3]
    weight = weight_of(state, VALUE)
    diff_weight = weight_of(state, GRADIENT) if call.diff_inputs else None
    diff = call.diff_inputs[0].floats() if call.diff_inputs else None
    call.value = 0.0
    for i in range(n * d):
        error = weight[i % d] * z[i] - z[n * d + i]
        call.value += error * error / n
        slope = call.scale * 2.0 * error / n
        if diff_weight:
            diff_weight[i % d] += slope * z[i]
        if diff:
            diff[i], diff[n * d + i] = slope * weight[i % d], -slope


class CustomLoss:
    """compute(state, call) as a loss. An exception in it ends the call, and is raised again by the caller's side."""

    def __init__(self, context, compute, dim):
        self.failure = None

        def guarded(user, state, call):
            try:
                compute(state, call.contents)
                return 0
            except BaseException as error:  # must not pass through the library
                self.failure = error
                return 1

        callbacks = LossCallbacks()
        lib.sslcv_loss_callbacks_init(c.byref(callbacks), c.sizeof(callbacks))
        self.callback = callbacks.compute = COMPUTE(guarded)  # ctypes needs it alive as long as it may be called
        self.handle = Handle("loss", lib.sslcv_loss_create_custom, context, c.byref(callbacks))
        self.state = Handle("state", lib.sslcv_loss_get_state, self.handle)
        entry = StateEntry(c.sizeof(StateEntry), b"weight", (i64 * 8)(dim), 1, F32, WEIGHT, 0)
        lib.sslcv_state_add(self.state, c.byref(entry), None)

    def __call__(self, z, axes):
        """z: floats (2, samples, dim). Value and gradient."""
        gradient, extents = (c.c_float * len(z))(), (i64 * 3)(*axes)
        inputs, diff_inputs, call = Tensor(), Tensor(), LossCall()
        lib.sslcv_tensor_init(c.byref(inputs), F32, z, 3, extents)
        lib.sslcv_tensor_init(c.byref(diff_inputs), F32, gradient, 3, extents)
        lib.sslcv_loss_call_init(c.byref(call), c.sizeof(call))
        call.inputs, call.diff_inputs, call.num_inputs = c.pointer(inputs), c.pointer(diff_inputs), 1
        try:
            lib.sslcv_loss_compute(self.handle, c.byref(call))
        except Error as error:
            failure, self.failure = self.failure, None
            raise failure or error
        return call.value, gradient


def make_optimizer(context, loss):
    sgd = OptimizerOptions()
    lib.sslcv_optimizer_options_init(c.byref(sgd), c.sizeof(sgd), SGD)
    sgd.weight_decay = 0.0
    optimizer = Handle("optimizer", lib.sslcv_optimizer_create, context, c.byref(sgd))
    lib.sslcv_optimizer_add(optimizer, loss.state, WEIGHT, None)
    return optimizer


def main():
    draw = random.Random(1)
    gains = [0.5, 1.0, 2.0, -1.0]
    x = [draw.gauss(0, 1) for _ in range(SAMPLES * DIM)]
    z = (c.c_float * (2 * SAMPLES * DIM))(*x, *(gains[i % DIM] * value for i, value in enumerate(x)))
    context = Handle("context", lib.sslcv_context_create, None)
    loss = CustomLoss(context, distance, DIM)
    optimizer = make_optimizer(context, loss)

    for step in range(60):
        value, gradient = loss(z, (2, SAMPLES, DIM))
        if step % 20 == 0:
            print("step %d: loss %.6f" % (step, value))
        lib.sslcv_optimizer_step(optimizer, 0.05, -1.0)
    value, gradient = loss(z, (2, SAMPLES, DIM))
    learnt = list(weight_of(loss.state, VALUE))
    print("step 60: loss %.6f, weights %s" % (value, " ".join("%.3f" % weight for weight in learnt)))
    if max(abs(a - b) for a, b in zip(learnt, gains)) > 0.05:
        raise SystemExit("the gains were not learnt")

    try:
        CustomLoss(context, lambda state, call: 1 / 0, DIM)(z, (2, SAMPLES, DIM))
    except ZeroDivisionError as error:
        print("a failing callback ends the call:", error)


if __name__ == "__main__":
    main()
