#!/usr/bin/env python3
"""Reference values of the augmentation tests: tests/golden/augment.txt.

    python3 tests/golden/make_augment.py > tests/golden/augment.txt

Made with torch 1.13.1 and torchvision 0.14.1 on float tensors; the records pil_* with Pillow 9.4 on bytes; "deform" and
"curve" with SciPy 1.10 in double.
Format: "@ name channels height width", then the values, row-major.
"""
import math

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image, ImageEnhance, ImageOps
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates
from torchvision.transforms.functional import InterpolationMode as Mode


def generate(seed, count):
    """The generator of golden inputs (support.h)."""
    s, values = 1000 * seed + 7, []
    for _ in range(count):
        s = (1103515245 * s + 12345) % 2**31
        values.append(np.float32(s / 2**31 - 0.5))
    return np.array(values, np.float32)


def picture(seed, channels, height, width):
    values = (generate(seed, channels * height * width).astype(np.float64) + 0.5) * 256
    return torch.from_numpy(np.floor(values).astype(np.uint8).reshape(channels, height, width))


def record(name, tensor):
    array = np.asarray(tensor, dtype=np.float32)
    print("@", name, *array.shape)
    for row in array.reshape(-1, array.shape[-1]):
        print(*("%.4g" % value if name.startswith("pil") else "%.7g" % value for value in row))


def to_lab(image):
    """sRGB to Lab in double, as scikit-image 0.19 defines it (D65, 2 degrees)."""
    v = image.double().numpy()
    light = np.where(v > 0.04045, ((v + 0.055) / 1.055) ** 2.4, v / 12.92)
    xyz = np.tensordot([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]],
                       light, 1) / np.array([0.95047, 1, 1.08883])[:, None, None]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def mix(image, rows, offsets=(0, 0, 0)):
    return np.tensordot(rows, image.double().numpy(), 1) + np.array(offsets)[:, None, None]


def sobel(image):
    """DeepCluster's front end: two convolutions with zero padding of the mean of the channels."""
    kernels = torch.tensor([[[1, 0, -1], [2, 0, -2], [1, 0, -1]], [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]).double()
    return torch.nn.functional.conv2d(image.double().mean(0)[None, None], kernels[:, None], padding=1)[0]


def pillow(bytes_of):
    """AutoAugment's operations, as in its code."""
    def record_of(name, made):
        record("pil_" + name, np.array(made).astype(np.float32).transpose(2, 0, 1) / 255)

    for name, filter in (("nearest", Image.NEAREST), ("bilinear", Image.BILINEAR)):
        for key, rows in (("shear_x", (1, 0.27, 0, 0, 1, 0)), ("shear_y", (1, 0, 0, -0.23, 1, 0)),
                          ("translate_x", (1, 0, 3, 0, 1, 0)), ("translate_y", (1, 0, 0, 0, 1, -4))):
            record_of("%s_%s" % (key, name), bytes_of.transform(bytes_of.size, Image.AFFINE, rows, filter))
        for degrees in (23, -30):
            record_of("rotate_%d_%s" % (degrees, name), bytes_of.rotate(degrees, filter))
    for key, made in (("autocontrast", ImageOps.autocontrast), ("invert", ImageOps.invert),
                      ("solarize", lambda p: ImageOps.solarize(p, 100)),
                      ("posterize", lambda p: ImageOps.posterize(p, 5)),
                      ("contrast", lambda p: ImageEnhance.Contrast(p).enhance(1.7)),
                      ("color", lambda p: ImageEnhance.Color(p).enhance(0.3)),
                      ("brightness", lambda p: ImageEnhance.Brightness(p).enhance(1.6)),
                      ("sharpness", lambda p: ImageEnhance.Sharpness(p).enhance(1.9))):
        record_of(key, made(bytes_of))
    large = picture(6, 3, 40, 40).numpy().astype(int)
    large[1] = 90 + large[1] // 8  # few levels
    large[2] = 200  # one
    record_of("equalize", ImageOps.equalize(Image.fromarray(large.astype(np.uint8).transpose(1, 2, 0))))
    record_of("equalize_small", ImageOps.equalize(bytes_of))


def spline(points, at):
    """Uniform cubic B-spline, point k at k - 1."""
    return BSpline(np.arange(len(points) + 4) - 3.0, points, 3)(at)


def deform(image):
    """Control points a quarter of a side apart; pixels mirrored about those of the edge."""
    height, width = image.shape[1:]
    down, across = (k * generate(seed, 49).astype(np.float64).reshape(7, 7) for k, seed in ((2, 11), (3, 12)))
    y, x = (np.arange(height) + 0.5) * 4 / height, (np.arange(width) + 0.5) * 4 / width
    shifts = [spline(spline(p, y).T, x).T for p in (down, across)]
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")) + np.stack(shifts)
    return np.stack([map_coordinates(p.double().numpy(), places, order=1, mode="mirror") for p in image])


def curve(image):
    points = np.array([-0.08, 0.31, 0.55, 0.68, 1.09])
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    return np.clip(spline(ends, 4 * image.double().numpy()), 0, 1)


def main():
    stored = picture(1, 3, 12, 10)
    image = stored.float() / 255
    grey = picture(2, 1, 9, 7).float() / 255
    pil = Image.fromarray((64 + stored // 2).permute(1, 2, 0).numpy())  # no values that the first pass would clip
    bytes_of = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "nearest": Image.NEAREST}
    modes = {"bilinear": Mode.BILINEAR, "bicubic": Mode.BICUBIC, "nearest": None}

    record("input", image)
    for name, mode in modes.items():
        for height, width in ((5, 7), (21, 10), (17, 23), (1, 1)):
            key = "%s_%dx%d" % (name, height, width)
            if mode is None:
                made = torch.nn.functional.interpolate(image[None], (height, width), mode="nearest-exact")[0]
            else:
                made = F.resize(image, (height, width), mode, antialias=True).clamp(0, 1)
            record(key, made)
            if height in (21, 1):
                continue
            record("pil_" + key, torch.from_numpy(
                np.array(pil.resize((width, height), bytes_of[name])).astype(np.float32)).permute(2, 0, 1) / 255)
    record("box", F.resize(F.crop(image, 2, 3, 7, 5), (8, 8), Mode.BILINEAR, antialias=True))
    record("box_up", F.resize(F.crop(image, 11, 0, 1, 10), (6, 5), Mode.BICUBIC, antialias=True).clamp(0, 1))
    record("shorter_side", F.resize(image, 6, Mode.BILINEAR, antialias=True))

    record("crop_padded", F.crop(F.pad(image, 4), 1, 9, 9, 8))
    for size in ((5, 7), (15, 13), (9, 12)):
        record("center_%dx%d" % size, F.center_crop(image, size))
    record("hflip", F.hflip(image))
    record("vflip", F.vflip(image))

    for factor in (0.3, 1.6):
        record("brightness_%g" % factor, F.adjust_brightness(image, factor))
        record("contrast_%g" % factor, F.adjust_contrast(image, factor))
        record("saturation_%g" % factor, F.adjust_saturation(image, factor))
        record("gray_contrast_%g" % factor, F.adjust_contrast(grey, factor))
    for turns in (-0.5, -0.13, 0.1, 0.37):
        record("hue_%g" % turns, F.adjust_hue(image, turns))
    mixed = F.adjust_brightness(F.adjust_contrast(F.adjust_hue(image, 0.17), 0.7), 1.3)
    record("jitter", F.adjust_saturation(mixed, 1.9))
    record("grayscale", F.rgb_to_grayscale(image, 3))
    record("solarize", F.solarize(image, 0.5))
    record("normalize", F.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    for sigma, radius in ((0.4, 2), (1.3, 4), (0.1, 1)):
        record("blur_%g_%d" % (sigma, radius), F.gaussian_blur(image, 2 * radius + 1, sigma))

    for turns in (1, 2, 3):
        record("rotate_%d" % turns, torch.rot90(image, turns, [1, 2]))
    for bits in (1, 3, 4, 7, 8):
        record("posterize_%d" % bits, F.posterize(stored, bits).float() / 255)
    for factor in (0, 0.1, 1.9):
        record("sharpness_%g" % factor, F.adjust_sharpness(image, factor))
    faint = 0.2 + image / 3
    faint[1] = 0.7  # nothing to stretch
    record("autocontrast", F.autocontrast(faint))
    record("lab", to_lab(image))
    record("ydbdr", mix(image, [[.299, .587, .114], [-.450, -.883, 1.333], [-1.333, 1.116, .217]]))
    record("ycbcr", mix(image, [[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]],
                        (16, 128, 128)))
    record("sobel", sobel(image))

    pillow(Image.fromarray(stored.permute(1, 2, 0).numpy()))
    record("deform", deform(image))
    record("curve", curve(image))

    # Moments of RandomResizedCrop's boxes in an image of 48 x 64: mean and deviation of area share, log ratio, top, left.
    torch.manual_seed(5)
    rows = []
    for _ in range(100000):
        top, left, height, width = T.RandomResizedCrop.get_params(torch.zeros(1, 48, 64), [.08, 1], [3 / 4, 4 / 3])
        rows.append((height * width / 3072, math.log(width / height), top, left))
    record("box_moments", np.stack([np.mean(rows, 0), np.std(rows, 0)])[None])


if __name__ == "__main__":
    main()
