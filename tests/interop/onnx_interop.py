"""ONNX models in ONNX's checker, ONNX Runtime and OpenCV, beside the library's own features. onnx_interop.py LIBRARY

Each model runs on two batches one after the other in one session. The largest difference is told as a share of the
largest feature, and must be below 1e-5.
"""
import ctypes as c
import os
import sys
import tempfile

NAME = "onnx_interop.py"


def package(name):
    try:
        return __import__(name)
    except ImportError:
        print(f"{NAME}: {name} is left out, it is not installed")
        return None


np = package("numpy")
if np is None:
    sys.exit(0)
onnx, ort, cv2 = package("onnx"), package("onnxruntime"), package("cv2")
LIMIT = 1e-5
RESNET18, RESNET34, RESNET50, ALEXNET, ALEXNET_HALF = 1, 2, 3, 5, 6
IMAGENET, CIFAR, GIM = 0, 1, 2
NO_NORM, BATCH, GROUP, LAYER = 0, 1, 2, 3
MAP = 8

lib = c.CDLL(sys.argv[1])
lib.sslcv_last_error.restype = lib.sslcv_build_info.restype = c.c_char_p


def struct(name, fields):
    """A ctypes struct from "type name, name; type name": s is size_t, i int32_t, q int64_t, Q uint64_t, d double."""
    kinds = {"s": c.c_size_t, "i": c.c_int32, "q": c.c_int64, "Q": c.c_uint64, "d": c.c_double, "p": c.c_void_p,
             "z": c.c_char_p}
    parts = [part.split(" ", 1) for part in ("s struct_size; " + fields).split("; ")]
    return type(name, (c.Structure,), {"_fields_": [(n, kinds[k]) for k, names in parts for n in names.split(", ")]})


ContextOptions = struct("ContextOptions", "i threads, loader_threads, precision, winograd; Q seed; p allocator, log, "
                                          "log_user; i log_level, reserved; z tuning_path; p log_destroy")
BackboneOptions = struct("BackboneOptions", "i architecture, stem, norm, zero_init_residual, project_all, num_stages, "
                         "preactivation, reserved; q channels, stem_channels, image_size; d width, norm_epsilon, "
                         "norm_momentum; Q seed")
MlpOptions = struct("MlpOptions", "q in_dim, hidden_dim, out_dim; d dropout, init_std; Q seed; i num_layers, norm, "
                                  "last_norm, activation, bias, last_bias, normalize, reserved")
PrototypesOptions = struct("PrototypesOptions", "q in_dim, out_dim; Q seed")
Branch = struct("Branch", "q source; p views; q num_views; p backbone, heads; q num_heads; z stage; i flags, bn_splits, "
                          "grouping, head_grouping, momentum, detach")
Pass = struct("Pass", "i flags, bn_splits; Q random; z stage")
OnnxOptions = struct("OnnxOptions", "q height, width, batch; i fold_norm, opset; p stream")


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("shape", c.c_int64 * 8), ("strides", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32)]


class Entry(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("shape", c.c_int64 * 8), ("ndim", c.c_int32),
                ("dtype", c.c_int32), ("role", c.c_int32), ("frozen", c.c_int32)]


def ok(status):
    assert status == 0, lib.sslcv_last_error().decode()


def options_of(kind, init, *more, **values):
    options = kind()
    ok(getattr(lib, init)(c.byref(options), c.c_size_t(c.sizeof(options)), *more))
    for name, value in values.items():
        setattr(options, name, value)
    return options


def tensor_of(array):
    array = np.ascontiguousarray(array)
    tensor = Tensor(array.ctypes.data, (c.c_int64 * 8)(*array.shape), (c.c_int64 * 8)(), array.ndim, 1)
    for i, stride in enumerate(array.strides):
        tensor.strides[i] = stride // 4
    return tensor, array


def array_of(tensor):
    shape, strides = tensor.shape[:tensor.ndim], tensor.strides[:tensor.ndim]
    last = sum((n - 1) * s for n, s in zip(shape, strides)) + 1
    flat = np.ctypeslib.as_array(c.cast(tensor.data, c.POINTER(c.c_float)), (last,))
    return np.lib.stride_tricks.as_strided(flat, shape, [4 * s for s in strides]).copy()


def stir(network, get_state, random):
    """Norms, statistics and biases at random: those of a new network would hide what an export forgets."""
    state, entry, index = c.c_void_p(), Entry(c.sizeof(Entry)), 0
    ok(getattr(lib, get_state)(network, c.byref(state)))
    while lib.sslcv_state_get_entry(state, c.c_int64(index), c.byref(entry)) == 0:
        name, shape = entry.name.decode(), tuple(entry.shape[:entry.ndim])
        if entry.dtype == 1 and len(shape) == 1:
            low, high = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.3, 0.3)
            tensor, _ = tensor_of(random.uniform(low, high, shape).astype(np.float32))
            ok(lib.sslcv_state_set(state, c.c_int64(index), 0, c.byref(tensor)))
        index += 1
    lib.sslcv_state_destroy(state)


class Case:
    """A branch: its networks, what they give, and what is saved of it."""

    def __init__(self, name, architecture, side=32, heads=(), stage=None, flags=0, opencv="", **backbone):
        self.name, self.side, self.stage, self.flags, self.opencv = name, side, stage, flags, opencv
        self.random = np.random.default_rng(len(name))
        self.channels = backbone.get("channels", 3)
        made = options_of(BackboneOptions, "sslcv_backbone_options_init", architecture, zero_init_residual=0, seed=7,
                          **backbone)
        self.backbone = c.c_void_p()
        ok(lib.sslcv_backbone_create(context, c.byref(made), c.byref(self.backbone)))
        stir(self.backbone, "sslcv_backbone_get_state", self.random)
        self.heads = []
        dim = self.forward(np.zeros((1, self.channels, side, side), np.float32)).shape[1]
        for kind, values in heads:
            make = {"mlp": MlpOptions, "prototypes": PrototypesOptions}[kind]
            head, made = c.c_void_p(), options_of(make, f"sslcv_{kind}_options_init", in_dim=dim, seed=5, **values)
            ok(getattr(lib, f"sslcv_head_create_{kind}")(context, c.byref(made), c.byref(head)))
            stir(head, "sslcv_head_get_state", self.random)
            self.heads.append(head)
            dim = made.out_dim

    def forward(self, images):
        """(N, D), or (N, D, h, w)."""
        stage = self.stage.encode() if self.stage else None
        how = options_of(Pass, "sslcv_pass_init", flags=self.flags, stage=stage)
        tensor, _ = tensor_of(images)
        ok(lib.sslcv_backbone_forward(self.backbone, c.byref(tensor), c.byref(how), tape))
        output, how.flags, how.stage = Tensor(), 0, None
        ok(lib.sslcv_tape_output(tape, c.byref(output)))
        features = array_of(output)
        size = features.shape[2:]
        for head in self.heads:
            rows = features if features.ndim == 2 else np.moveaxis(features, 1, -1).reshape(-1, features.shape[1])
            tensor, _ = tensor_of(rows)
            ok(lib.sslcv_head_forward(head, c.byref(tensor), c.byref(how), tape))
            ok(lib.sslcv_tape_output(tape, c.byref(output)))
            features = array_of(output).reshape(rows.shape[0], -1)
            if size:
                features = np.moveaxis(features.reshape(len(images), *size, -1), -1, 1)
        return features

    def save(self, path, **options):
        heads = (c.c_void_p * max(1, len(self.heads)))(*self.heads)
        branch = options_of(Branch, "sslcv_branch_init", backbone=self.backbone, heads=c.cast(heads, c.c_void_p),
                            num_heads=len(self.heads), stage=self.stage.encode() if self.stage else None)
        branch.flags |= self.flags
        how = options_of(OnnxOptions, "sslcv_onnx_options_init", **options)
        ok(lib.sslcv_onnx_save(c.byref(branch), path.encode(), c.byref(how)))

    def destroy(self):
        for head in self.heads:
            lib.sslcv_head_destroy(head)
        lib.sslcv_backbone_destroy(self.backbone)

    def images(self, batch, side):
        return self.random.standard_normal((batch, self.channels, side, side)).astype(np.float32)


class Tally:
    """What has run in one package, and by how much it was off at most."""

    def __init__(self, package):
        self.package, self.models, self.worst = package, 0, 0.0

    def compare(self, case, note, load, batches, rest_only=False):
        """load() gives what runs. rest_only: a fresh one for each batch, and without the first image of each."""
        run = load()
        for images in batches:
            first = 1 if rest_only else 0
            ours, theirs = case.forward(images)[first:], run(images)[first:]
            run = load() if rest_only else run
            assert theirs.shape == ours.shape, (case.name, note, theirs.shape, ours.shape)
            off = float(np.abs(theirs - ours).max() / np.abs(ours).max())
            where = f"{case.name}, {note}, {images.shape[0]} images of {images.shape[2]} x {images.shape[3]}"
            if VERBOSE:
                print(f"{where}: {self.package} is off by {off:.1e}")
            assert off < LIMIT, f"{where}: {self.package} is off by {off:.1e} of the largest feature"
            self.worst = max(self.worst, off)
        self.models += 1

    def report(self):
        print(f"{NAME}: {self.models} models in {self.package}, off by {self.worst:.1e} of the largest feature at most")


def load_ort(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["features"], {"images": images})[0]


def load_opencv(path):
    net = cv2.dnn.readNetFromONNX(path)

    def run(images):
        net.setInput(images, "images")
        return net.forward()

    return run


def check(case, folder, note, batches, opencv=True, **options):
    path = os.path.join(folder, "model.onnx")
    case.save(path, **options)
    if onnx:
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path)
        onnx.shape_inference.infer_shapes(model, strict_mode=True)
        assert [value.name for value in model.graph.input] == ["images"]
        assert [value.name for value in model.graph.output] == ["features"]
        checked.append(path)
    if ort:
        in_ort.compare(case, note, lambda: load_ort(path), batches)
    if cv2 and opencv:
        in_opencv.compare(case, note, lambda: load_opencv(path), batches, case.opencv == FIRST_IMAGE)


PROJECTION = ("mlp", dict(hidden_dim=64, out_dim=32))
PREDICTOR = ("mlp", dict(hidden_dim=16, out_dim=32, last_norm=1))
CLASSIFIER = ("mlp", dict(num_layers=1, out_dim=10))
SMALL = dict(stem=CIFAR, width=0.25)


LENGTH = ("mlp", dict(hidden_dim=64, out_dim=32, num_layers=3, norm=NO_NORM, activation=1, normalize=1))
PROTOTYPES = ("prototypes", dict(out_dim=48))
# What OpenCV 4.6 cannot do; docs/onnx.md says so too. Its instance norm multiplies the first image of a batch by
# 1 / sqrt(1 + 1e-5), and all of them when the batch has changed its size: up to 1e-5 off. So group norms get a fresh
# network for each batch there, and the first image is left out.
ANY_SIZE = "OpenCV needs height and width"
FIRST_IMAGE = "and has the first image of group norms wrong"


def cases():
    yield Case("ResNet-18, CIFAR stem", RESNET18, stem=CIFAR)
    yield Case("ResNet-18, ImageNet stem", RESNET18, 64)
    yield Case("ResNet-50", RESNET50, 64)
    yield Case("ResNet-34, GIM stem, project_all, grey", RESNET34, stem=GIM, width=0.25, project_all=1, channels=1)
    yield Case("AlexNet", ALEXNET, 96, width=0.25)
    yield Case("AlexNet half", ALEXNET_HALF, 96, width=0.25, image_size=96)
    yield Case("AlexNet half, projection", ALEXNET_HALF, 96, [PROJECTION], width=0.25, image_size=96, channels=2)
    yield Case("no norm", RESNET18, norm=NO_NORM, **SMALL)
    yield Case("group norm", RESNET18, stem=CIFAR, width=0.5, norm=GROUP, opencv=FIRST_IMAGE)
    yield Case("layer norm", RESNET18, norm=LAYER, opencv=FIRST_IMAGE, **SMALL)
    yield Case("preactivation", RESNET18, preactivation=1, **SMALL)
    yield Case("preactivation, ResNet-50, ImageNet stem", RESNET50, 64, preactivation=1, width=0.25)
    yield Case("preactivation, no norm", RESNET18, preactivation=1, norm=NO_NORM, **SMALL)
    yield Case("preactivation, group norm", RESNET18, stem=CIFAR, width=0.5, preactivation=1, norm=GROUP,
               opencv=FIRST_IMAGE)
    yield Case("stage layer2", RESNET18, stage="layer2", **SMALL)
    yield Case("map of layer3", RESNET18, stage="layer3", flags=MAP, **SMALL)
    yield Case("projection", RESNET18, heads=[PROJECTION], **SMALL)
    yield Case("projection, predictor", RESNET18, heads=[PROJECTION, PREDICTOR], **SMALL)
    yield Case("classifier", RESNET18, heads=[CLASSIFIER], **SMALL)
    yield Case("no biases, scale without shift", RESNET18, heads=[
        ("mlp", dict(hidden_dim=64, out_dim=32, num_layers=3, bias=0, last_bias=0, last_norm=2))], **SMALL)
    yield Case("plain last norm, dropout", RESNET18, heads=[
        ("mlp", dict(hidden_dim=64, out_dim=32, last_norm=3, dropout=0.5))], **SMALL)
    yield Case("GELU, unit length", RESNET18, heads=[LENGTH], opencv=ANY_SIZE, **SMALL)
    yield Case("prototypes", RESNET18, heads=[PROJECTION, PROTOTYPES], opencv=ANY_SIZE, **SMALL)
    yield Case("map, projection, prototypes", RESNET18, heads=[PROJECTION, PROTOTYPES], flags=MAP, opencv=ANY_SIZE,
               **SMALL)
    yield Case("map, GELU, unit length", RESNET18, heads=[LENGTH], stage="layer3", flags=MAP, opencv=ANY_SIZE, **SMALL)


def check_case(case, folder):
    two = [case.images(batch, case.side) for batch in (3, 2)]
    larger = [] if "half" in case.name else [case.images(2, case.side + 16)]
    known = dict(height=case.side, width=case.side)
    check(case, folder, "sizes given", two, **known)
    check(case, folder, "not folded", two, fold_norm=0, **known)
    check(case, folder, "any size", two + larger, not case.opencv)
    case.destroy()


def check_options(folder):
    """Each opset with every operator; and a batch that is given."""
    everything = Case("everything", RESNET18, 64, [PROJECTION, LENGTH, PROTOTYPES], width=0.5, norm=GROUP)
    images = [everything.images(3, 64)]
    for opset in range(11, 18):
        check(everything, folder, f"opset {opset}", images, False, opset=opset)
        check(everything, folder, f"opset {opset}, batch 3", images, False, opset=opset, height=64, width=64, batch=3)
    everything.destroy()


VERBOSE = "-v" in sys.argv
if "protobuf-c=none" in lib.sslcv_build_info().decode():
    print(f"{NAME}: left out, the library was built without protobuf-c")
    sys.exit(0)
context, tape = c.c_void_p(), c.c_void_p()
made = options_of(ContextOptions, "sslcv_context_options_init", threads=1, precision=1)
ok(lib.sslcv_context_create(c.byref(made), c.byref(context)))
ok(lib.sslcv_tape_create(context, c.byref(tape)))
if cv2:
    cv2.setNumThreads(1)
checked, in_ort, in_opencv = [], Tally("ONNX Runtime"), Tally("OpenCV")
with tempfile.TemporaryDirectory() as temporary:
    for one in cases():
        check_case(one, temporary)
    check_options(temporary)
if onnx:
    print(f"{NAME}: {len(checked)} models accepted by onnx.checker")
if ort:
    in_ort.report()
if cv2:
    in_opencv.report()
    print(f"{NAME}: left out in OpenCV: the first image of each batch in group and layer norm, and batches of several "
          "sizes there; those, unit length and prototypes with any image size; opsets other than 13")
lib.sslcv_tape_destroy(tape)
lib.sslcv_context_destroy(context)
