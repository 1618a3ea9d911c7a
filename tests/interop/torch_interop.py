"""PyTorch and torchvision beside the library: weights, features, training steps. PROGRAM LIBRARY"""
import ctypes as c
import tempfile

from binding import context, lib, made, np, ok, options, tensor_of, tensors_of
from torch_support import GRADIENT, TRAIN, difference, features, forward, load, nn, resnet, state_of, their_features, \
    torch, torchvision, without_classifier

from safetensors.torch import load_file, save_file

RATE, MOMENTUM, DECAY = 0.0004, 0.9, 0.05
STEPS = 2  # the second shows the momentum


class OptimizerOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int32), ("nesterov", c.c_int32), ("momentum", c.c_double),
                ("weight_decay", c.c_double), ("beta1", c.c_double), ("beta2", c.c_double), ("epsilon", c.c_double),
                ("trust", c.c_double), ("clip_norm", c.c_double), ("decay_roles", c.c_int32),
                ("adapt_roles", c.c_int32), ("trust_clip", c.c_int32), ("clip_each", c.c_int32)]


def loss_gradient(rows, classifier, labels):
    """Cross-entropy of a linear classifier, and its gradient with respect to the rows."""
    rows = torch.from_numpy(rows).requires_grad_()
    loss = nn.functional.cross_entropy(rows @ classifier, labels)
    loss.backward()
    return loss.item(), rows.grad.numpy().copy()


def our_steps(backbone, images, classifier, labels):
    """Yields the loss after each."""
    state, tape = state_of(backbone), made(lib.sslcv_tape_create, context)
    sgd = options(OptimizerOptions, lib.sslcv_optimizer_options_init, c.c_int32(1), momentum=MOMENTUM,
                  weight_decay=DECAY)
    optimizer = made(lib.sslcv_optimizer_create, context, c.byref(sgd))
    ok(lib.sslcv_optimizer_add(optimizer, state, 7, None))
    for _ in range(STEPS):
        loss, gradient = loss_gradient(forward(backbone, images, TRAIN | GRADIENT, tape), classifier, labels)
        ok(lib.sslcv_tape_backward(tape, c.byref(tensor_of(gradient))))
        ok(lib.sslcv_optimizer_step(optimizer, c.c_double(RATE), c.c_double(DECAY)))
        yield loss
    lib.sslcv_tape_destroy(tape)
    lib.sslcv_optimizer_destroy(optimizer)
    lib.sslcv_state_destroy(state)


def their_steps(network, images, classifier, labels):
    network.train()
    sgd = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    for _ in range(STEPS):
        sgd.zero_grad()
        loss = nn.functional.cross_entropy(network(torch.from_numpy(images)) @ classifier, labels)
        loss.backward()
        sgd.step()
        yield loss.item()


def compare(backbone, network, before, what):
    """
    All tensors within 1e-4, relative, each by its norm. Most of a weight is what it was, so what was added to it must
    be right as well: within 2e-2, as where rounding takes one of millions of values to the other side of its ReLU's
    kink, some gradients turn by 1e-3 to 1e-2; PyTorch's own do when it computes in double.
    """
    state = state_of(backbone)
    ours, theirs = tensors_of(state), network.state_dict()
    lib.sslcv_state_destroy(state)
    assert list(ours) == list(theirs)
    values, moves = [], []
    for key, (_, value) in ours.items():
        if key.endswith("num_batches_tracked"):
            assert int(value) == int(theirs[key]), key
            continue
        values.append((difference(value, theirs[key]), key))
        moves.append((difference(value - before[key].numpy(), theirs[key] - before[key]), key))
    print(f"torch_interop.py: {what}: tensors differ by {max(values)[0]:.1e} at most, {max(values)[1]}; what was added "
          f"to them by {max(moves)[0]:.1e}, {max(moves)[1]}")
    assert max(values)[0] < 1e-4, max(values)
    assert max(moves)[0] < 2e-2, max(moves)


def check_steps(folder, name):
    """
    Loaded, evaluated, trained there and here; then saved here and loaded there. Of 8 images of 64 x 64 the last maps
    are 2 x 2: 32 values a channel for the norms, whose statistics are not steady with much fewer.
    """
    random = np.random.default_rng(2)
    images = random.standard_normal((8, 3, 64, 64)).astype(np.float32)
    network, path = resnet(name), f"{folder}/{name}.safetensors"
    save_file(network.state_dict(), path)  # with the classifier, which the library leaves out
    network = without_classifier(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    backbone = load(path)
    rows = features(backbone, images)
    far = difference(rows, their_features(network, images))
    print(f"torch_interop.py: {name}: features differ by {far:.1e}")
    assert far < 1e-4, far

    labels = torch.arange(8) % 5
    classifier = torch.from_numpy(random.standard_normal((rows.shape[1], 5)).astype(np.float32) * 0.02)
    losses = zip(our_steps(backbone, images, classifier, labels), their_steps(network, images, classifier, labels))
    for step, (ours, theirs) in enumerate(losses):
        assert abs(ours - theirs) < 1e-4 * theirs, (ours, theirs)
        compare(backbone, network, before, f"{name}: after {step + 1} of {STEPS} steps")

    state = state_of(backbone)
    ok(lib.sslcv_state_save(state, path.encode(), None))
    lib.sslcv_state_destroy(state)
    fresh = without_classifier(getattr(torchvision.models, name)())
    fresh.load_state_dict(load_file(path))
    far = difference(features(backbone, images), their_features(fresh, images))
    assert far < 1e-4, far
    lib.sslcv_backbone_destroy(backbone)


with tempfile.TemporaryDirectory() as temporary:
    for architecture in ("resnet18", "resnet50"):
        check_steps(temporary, architecture)
