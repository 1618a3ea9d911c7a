#!/usr/bin/env python3
"""Small image files and their pixels for the decoding tests: tests/golden/images.txt.

    python3 tests/golden/make_images.py > tests/golden/images.txt

Made with Pillow 9.4. A line is: name, channels, height, width, bits, file in hexadecimal, values in hexadecimal
(height, width, channels; 4 digits each where bits is 16).
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image


def smooth(height, width, phase=0.0):
    """A picture without edges, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 100 * np.sin(0.2 * x + phase), 128 + 100 * np.cos(0.25 * y), 128 + 60 * np.sin(0.1 * (x + y))]
    return np.stack(planes, -1).round().astype(np.uint8)


def noise(height, width, channels):
    return np.random.RandomState(3).randint(0, 256, (height, width, channels)).astype(np.uint8)


def encode(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def line(name, data, values, bits=8):
    values = np.asarray(values)
    if values.ndim == 2:
        values = values[:, :, None]
    height, width, channels = values.shape
    print(name, channels, height, width, bits, data.hex(), values.astype(">u2" if bits == 16 else np.uint8).tobytes().hex())


def interlaced_png(values):
    """Adam7, 8-bit grey, no filters: Pillow reads such files but does not write them."""
    height, width = values.shape
    rows = b""
    for y0, x0, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        part = values[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)


def main():
    rgb = noise(5, 7, 3)
    grey = noise(6, 3, 1)[:, :, 0]
    line("rgb.png", encode(Image.fromarray(rgb), "PNG"), rgb)
    line("grey.png", encode(Image.fromarray(grey), "PNG"), grey)
    line("alpha.png", encode(Image.fromarray(np.dstack([rgb, rgb[:, :, :1]])), "PNG"), rgb)
    line("grey-alpha.png", encode(Image.fromarray(np.dstack([grey, grey[::-1]])), "PNG"), grey)
    palette = Image.fromarray(rgb // 64 * 64).quantize(16)
    line("palette.png", encode(palette, "PNG"), np.array(palette.convert("RGB")))
    line("interlaced.png", interlaced_png(noise(9, 11, 1)[:, :, 0]), noise(9, 11, 1))
    deep = (noise(4, 5, 1)[:, :, 0].astype(np.int32) * 257 + 3) % 65536
    line("deep.png", encode(Image.fromarray(deep, "I"), "PNG"), deep, 16)
    line("rgb.bmp", encode(Image.fromarray(rgb), "BMP"), rgb)
    line("grey.bmp", encode(Image.fromarray(grey), "BMP"), np.dstack([grey] * 3))
    line("rgb.ppm", encode(Image.fromarray(rgb), "PPM"), rgb)
    line("comment.pgm", b"P5 # a comment\n3#\n 6\n255\n" + grey.tobytes(), grey)
    line("scale-15.pgm", b"P5 2 2 15\n\0\7\15\20", [[0, 119], [221, 255]])
    line("deep.pgm", b"P5 5 4 65535\n" + deep.astype(">u2").tobytes(), deep, 16)
    line("scale-1000.ppm", b"P6 1 1 1000\n\x03\xe8\0\0\1\xf4", np.array([[[65535, 0, 32768]]]), 16)
    for name, options in (("rgb.jpg", {}), ("progressive.jpeg", {"progressive": True}), ("444.JPG", {"subsampling": 0})):
        data = encode(Image.fromarray(smooth(19, 34)), "JPEG", quality=95, **options)
        line(name, data, np.array(Image.open(io.BytesIO(data))))
    data = encode(Image.fromarray(smooth(16, 16)[:, :, 0]), "JPEG", quality=95)
    line("grey.jpg", data, np.array(Image.open(io.BytesIO(data))))
    data = encode(Image.fromarray(smooth(12, 20)).convert("CMYK"), "JPEG", quality=95)
    line("cmyk.jpg", data, np.array(Image.open(io.BytesIO(data)).convert("RGB")))


if __name__ == "__main__":
    main()
