"""What torch_interop.py and layouts_interop.py share: networks and features, there and here."""
import ctypes as c

from binding import LoadReport, Tensor, context, lib, made, need, np, ok, options, tensor_of

need("torch", "torchvision", "safetensors")
import torch  # noqa: E402
import torchvision  # noqa: E402
from torch import nn  # noqa: E402

TRAIN, GRADIENT = 1, 2


class Pass(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("flags", c.c_int32), ("bn_splits", c.c_int32), ("random", c.c_uint64),
                ("stage", c.c_char_p)]


def difference(ours, theirs):
    """Of two arrays, relative: norm of the difference over norm of theirs, in double."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30))


# ---- the library's side ----

def load(path):
    return made(lib.sslcv_backbone_load, context, path.encode(), None)


def state_of(backbone):
    return made(lib.sslcv_backbone_get_state, backbone)


def forward(backbone, images, flags, tape):
    ok(lib.sslcv_backbone_forward(backbone, c.byref(tensor_of(images)),
                                  c.byref(options(Pass, lib.sslcv_pass_init, flags=flags)), tape))
    output = Tensor()
    ok(lib.sslcv_tape_output(tape, c.byref(output)))
    values = np.empty(tuple(output.shape[:2]), np.float32)
    c.memmove(values.ctypes.data, output.data, values.nbytes)
    return values


def features(backbone, images):
    tape = made(lib.sslcv_tape_create, context)
    values = forward(backbone, images, 0, tape)
    lib.sslcv_tape_destroy(tape)
    return values


def layout_of(path, backbone):
    """What sslcv_state_load() calls the file, and that it loads whole."""
    state, report = state_of(backbone), LoadReport(c.sizeof(LoadReport))
    ok(lib.sslcv_state_load(state, path.encode(), None, c.byref(report)))
    lib.sslcv_state_destroy(state)
    assert report.missing == 0
    return report.layout.decode()


# ---- PyTorch's side ----

def shake(network, seed=1):
    """Other than its first weights, as after a training: norms and running statistics differ by channel."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                for tensor, low in ((module.weight, 0.5), (module.bias, -0.2), (module.running_mean, -0.2),
                                    (module.running_var, 0.5)):
                    tensor.copy_(torch.rand(tensor.shape, generator=generator) * (1 if low == 0.5 else 0.4) + low)
                module.num_batches_tracked.fill_(7)
    return network


def resnet(name):
    """Random weights; the last norms of the blocks small, where training begins (PyTorch's zero_init_residual), or
    gradients grow with each of the fifty layers until one step is a hundred times the weights."""
    torch.manual_seed(1)
    network = shake(getattr(torchvision.models, name)())
    for module in network.modules():
        if isinstance(module, (torchvision.models.resnet.BasicBlock, torchvision.models.resnet.Bottleneck)):
            with torch.no_grad():
                (module.bn3 if hasattr(module, "bn3") else module.bn2).weight.mul_(0.2)
    return network


def their_features(network, images):
    network.eval()
    with torch.no_grad():
        return network(torch.from_numpy(images)).flatten(1).numpy()


def without_classifier(network):
    network.fc = nn.Identity()
    return network
