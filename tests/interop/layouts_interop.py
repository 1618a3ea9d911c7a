"""Checkpoints as other libraries save them, by way of the documented snippet into the library. PROGRAM LIBRARY"""
import os
import re
import sys
import tempfile

from binding import lib, np
from torch_support import difference, features, layout_of, load, nn, resnet, shake, their_features, torch, \
    without_classifier

HERE = os.path.dirname(os.path.abspath(__file__))


def snippet():
    """The first Python of docs/weights.md, as it stands there."""
    with open(os.path.join(HERE, "../../docs/weights.md"), encoding="utf-8") as file:
        return re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)


def beside(**parts):
    """A module of these parts."""
    whole = nn.Module()
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            setattr(whole, name, part)
        else:
            whole.register_buffer(name, part)
    return whole


def with_queue(**parts):
    return beside(**parts, queue=torch.randn(8, 16), queue_ptr=torch.zeros(1, dtype=torch.long))


def moco(network):
    """v2: a head of two layers in the classifier's place."""
    encoders = [network, shake(resnet("resnet18"), 5)]
    for encoder in encoders:
        encoder.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 8))
    model = nn.DataParallel(with_queue(encoder_q=encoders[0], encoder_k=encoders[1]))
    saved = {"epoch": 3, "arch": "resnet18", "state_dict": model.state_dict()}
    if int(torch.__version__.split(".")[0]) >= 2:  # before, weights_only refuses floats
        saved["optimizer"] = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9).state_dict()
    return saved


class SwAV(nn.Module):
    """torchvision's network, its stem padded by a layer of its own."""

    def __init__(self, network):
        super().__init__()
        self.padding = nn.ConstantPad2d(1, 0.0)
        network.conv1.padding = (2, 2)
        for name, child in list(network.named_children())[:-1]:
            setattr(self, name, child)
        self.projection_head = nn.Sequential(nn.Linear(2048, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))
        self.prototypes = nn.Linear(8, 30, bias=False)

    def forward(self, x):
        for name, child in self.named_children():
            if name not in ("projection_head", "prototypes"):
                x = child(x)
        return x


def vissl(network):
    blocks = nn.ModuleDict(list(network.named_children())[:-1])
    trunk, heads = beside(_feature_blocks=blocks), nn.Sequential(nn.Linear(2048, 4))
    return {"phase_idx": 4, "classy_state_dict": {"base_model": {"model": {
        "trunk": trunk.state_dict(), "heads": heads.state_dict()}, "meta": {"version": 1}}}}


class Block(nn.Module):
    """Of lightly's own ResNet-18: the projection is called shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class Generator(nn.Module):
    """That ResNet-18: no module for ReLU or pooling, so that its children have other numbers than torchvision's."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        for layer, (inputs, outputs) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512))):
            setattr(self, f"layer{layer + 1}",
                    nn.Sequential(Block(inputs, outputs, 2 if layer else 1), Block(outputs, outputs, 1)))
        self.linear = nn.Linear(512, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def alexnet():
    """DeepCluster's convolutions, which alone are in a DataParallel."""
    layers, channels = [], 3
    for outputs, kernel, stride, padding, pools in ((96, 11, 4, 2, 1), (256, 5, 1, 2, 1), (384, 3, 1, 1, 0),
                                                    (384, 3, 1, 1, 0), (256, 3, 1, 1, 1)):
        layers += [nn.Conv2d(channels, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if pools else []
        channels = outputs
    torch.manual_seed(1)
    return shake(nn.Sequential(*layers))


def cases():
    """Layout, network whose features are wanted, what is saved of it."""
    network = resnet("resnet18")
    yield "torchvision", without_classifier(network), resnet("resnet18").state_dict()
    network = resnet("resnet50")
    yield "torchvision", without_classifier(network), {"model": nn.DataParallel(resnet("resnet50")).state_dict()}
    network = resnet("resnet18")
    saved = moco(network)
    yield "moco", without_classifier(network), saved
    network = SwAV(resnet("resnet50"))
    yield "swav", network, nn.DataParallel(network).state_dict()
    network = resnet("resnet50")
    yield "vissl", without_classifier(network), vissl(resnet("resnet50"))
    network = without_classifier(resnet("resnet18"))
    projector = nn.Sequential(nn.Linear(512, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 8))
    for name in ("backbone", "encoder"):
        model = beside(**{name: network}, projector=projector, classifier=nn.Linear(512, 10))
        yield "solo-learn", network, {"state_dict": model.state_dict(), "pytorch-lightning_version": "1.6"}
    neck = nn.Linear(512, 8)
    yield "mmselfsup", network, {"state_dict": beside(backbone=network, neck=neck).state_dict()}
    encoder = nn.Sequential(network, neck)  # before 1.0: the same tensors under two names, which are also "backbone."
    yield "mmselfsup", network, {"state_dict": with_queue(encoder_q=encoder, backbone=encoder[0]).state_dict()}
    for name in ("resnet18", "resnet50"):
        network = nn.Sequential(*list(resnet(name).children())[:-1])
        other = nn.Sequential(*list(shake(resnet(name), 5).children())[:-1])
        model = beside(backbone=network, backbone_momentum=other, projection_head=nn.Linear(8, 8))
        yield "lightly", network, {"state_dict": model.state_dict()}
    network = shake(Generator())
    yield "lightly", network, network.state_dict()
    children = nn.Sequential(*list(network.children())[:-1], nn.AdaptiveAvgPool2d(1))
    yield "lightly", network, beside(backbone=children, projection_head=nn.Linear(8, 8)).state_dict()
    network = alexnet()
    yield "deepcluster", network, {"arch": "alexnet", "state_dict": beside(
        features=nn.DataParallel(network), classifier=nn.Linear(8, 8)).state_dict()}


def check(folder):
    images = np.random.default_rng(3).standard_normal((2, 3, 96, 96)).astype(np.float32)
    pickled, path = folder + "/in.pth", folder + "/out.safetensors"
    convert = compile(snippet(), "docs/weights.md", "exec")
    for layout, network, saved in cases():
        torch.save(saved, pickled)
        sys.argv[1:] = [pickled, path]
        exec(convert, {})
        backbone = load(path)
        theirs = their_features(network, images)
        if layout == "deepcluster":
            theirs = theirs.reshape(2, 256, -1).mean(2)
        far = difference(features(backbone, images), theirs)
        name = layout_of(path, backbone)
        assert far < 1e-4 and name == layout, (layout, name, far)
        print(f"layouts_interop.py: {layout}: features differ by {far:.1e}")
        lib.sslcv_backbone_destroy(backbone)


with tempfile.TemporaryDirectory() as temporary:
    check(temporary)
