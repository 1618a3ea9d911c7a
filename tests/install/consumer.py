"""The library from Python by ctypes alone: consumer.py LIBRARY VERSION."""
import ctypes as c
import sys

lib = c.CDLL(sys.argv[1])
lib.sslcv_version_string.restype = c.c_char_p
lib.sslcv_last_error.restype = c.c_char_p


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("threads", c.c_int32), ("loader_threads", c.c_int32),
                ("precision", c.c_int32), ("winograd", c.c_int32), ("seed", c.c_uint64), ("allocator", c.c_void_p),
                ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int32), ("reserved", c.c_int32),
                ("tuning_path", c.c_char_p), ("log_destroy", c.c_void_p)]


options = ContextOptions()
context = c.c_void_p()
assert lib.sslcv_version_string().decode() == sys.argv[2]
assert lib.sslcv_context_options_init(c.byref(options), c.c_size_t(c.sizeof(options))) == 0
assert options.loader_threads == -1
options.threads = -1
assert lib.sslcv_context_create(c.byref(options), c.byref(context)) == -1
assert b"threads is -1" in lib.sslcv_last_error()
options.threads = 1
assert lib.sslcv_context_create(c.byref(options), c.byref(context)) == 0
lib.sslcv_context_destroy(context)
print("consumer.py works")
