"""Views of images, data sets, batches."""
from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._library import Handle, HasStruct, NotFound, ask, dropping, guarded, kept, lib, options, sized, utf8
from .arrays import (Array, Floats, Longs, asked, floats_of, longs, output, pixels, shape_of, tensor_of)
from .context import Context
from .types import CALLBACK_ANY_THREAD, SOURCE_IMAGE, DatasetInfo, DatasetKind, Sample, TransformKind, ViewInfo

if TYPE_CHECKING:
    from os import PathLike

    from typing_extensions import Unpack

    from .types import DatasetOptions, LoaderOptions, SplitOptions, TransformOptions

    Path = Union[str, PathLike[str]]

# ---- views ----

Apply = Callable[[Floats, Floats, int], Any]


@guarded(_c.TransformCallbacksApplyFn)
def _apply(user: int, src: Any, dst: Any, random: int) -> int:
    kept[user](floats_of(src.contents, writable=False), floats_of(dst.contents), random)
    return 0


class Transform(HasStruct):
    """Transform(TransformKind.RANDOM_RESIZED_CROP, height=32, width=32). Kind CUSTOM has a function: apply(src, dst,
    random) fills dst from src, both (channels, height, width) and valid during the call; random: 64 bits of its own."""

    def __init__(self, kind: int, apply: Optional[Apply] = None, **fields: Unpack[TransformOptions]) -> None:
        self.struct = options(_c.Transform, lib.sslcv_transform_init, fields, kind)
        self.apply = apply


class Augmenter(Handle):
    """A list of views, each a chain of transforms. for view in augmenter: its shape."""

    _kind = "augmenter"

    def __init__(self, context: Context, preset: Optional[str] = None, size: int = 0) -> None:
        super().__init__(lib.sslcv_augmenter_create, context.pointer)
        if preset is not None:
            self.add_preset(preset, size)

    def add_preset(self, preset: str, size: int = 0) -> Tuple[int, int]:
        """The published views of a method; the index of the first, and how many."""
        first, count = _c.i64(), _c.i64()
        lib.sslcv_augmenter_add_preset(self.pointer, preset.encode(), size, first, count)
        return first.value, count.value

    def add_view(self, transforms: Sequence[Transform] = (), source: int = SOURCE_IMAGE) -> int:
        """Append a view with a chain; its index."""
        view = _c.i64()
        lib.sslcv_augmenter_add_view(self.pointer, source, view)
        for transform in transforms:
            self.add(view.value, transform)
        return view.value

    def add(self, view: int, transform: Transform) -> None:
        key = None
        struct = transform.struct
        if transform.apply is not None:
            key = kept.keep(transform.apply)
            table = sized(_c.TransformCallbacks)
            table.user, table.apply, table.destroy = key, _apply, dropping(_c.TransformCallbacksDestroyFn)
            struct.callbacks = ctypes.pointer(table)
        try:
            lib.sslcv_augmenter_add_transform(self.pointer, view, struct)
        except BaseException:
            kept.drop(key)
            raise
        finally:
            struct.callbacks = None

    def view(self, index: int) -> ViewInfo:
        return ask(_c.ViewInfo, ViewInfo, lib.sslcv_augmenter_get_view, self.pointer, index)

    def __iter__(self) -> Iterator[ViewInfo]:
        index = 0
        while True:
            try:
                info = self.view(index)
            except NotFound:
                return
            yield info
            index += 1

    def apply(self, image: Any, view: int, seed: int = 0, epoch: int = 0, sample: int = 0) -> Floats:
        """One view of one image (C, H, W), exactly as a loader would make it."""
        args = self.pointer, tensor_of(image), seed, epoch, sample, view
        array, tensor = output(asked(lib.sslcv_augmenter_apply, *args))
        lib.sslcv_augmenter_apply(*args, tensor)
        return array


def transform_kinds() -> List[TransformKind]:
    return list(TransformKind)


# ---- data sets ----

class _Images:
    """The host's images behind a callback table, and those that the library has not let go yet."""

    def __init__(self, load: Callable[[int], Any], label: Optional[Callable[[int], int]]) -> None:
        self.load, self.label = load, label
        self.held: Dict[int, List[_c.Tensor]] = {}
        self.lock = threading.Lock()


@guarded(_c.DatasetCallbacksLoadFn)
def _load(user: int, index: int, image: Any) -> int:
    images: _Images = kept[user]
    tensor = tensor_of(images.load(index))
    with images.lock:
        images.held.setdefault(index, []).append(tensor)
    ctypes.pointer(image.contents)[0] = tensor
    return 0


@guarded(_c.DatasetCallbacksUnloadFn, None)
def _unload(user: int, index: int, image: Any) -> None:
    images: _Images = kept[user]
    address = image.contents.data
    with images.lock:
        held = images.held[index]
        held.remove(next(tensor for tensor in held if tensor.data == address))
        if not held:
            del images.held[index]


@guarded(_c.DatasetCallbacksGetLabelFn)
def _get_label(user: int, index: int, label: Any) -> int:
    label[0] = kept[user].label(index)
    return 0


class Dataset(Handle):
    """Indexed images. len(dataset), dataset[i], for image in dataset; dataset.sample(i) has name and label."""

    _kind = "dataset"

    def __init__(self, context: Context, kind: int = DatasetKind.LIST, **fields: Unpack[DatasetOptions]) -> None:
        super().__init__(lib.sslcv_dataset_create, context.pointer,
                         options(_c.DatasetOptions, lib.sslcv_dataset_options_init, fields, kind))

    @classmethod
    def folder(cls, context: Context, path: Path, /, **fields: Unpack[DatasetOptions]) -> Dataset:
        fields["path"] = path
        return cls(context, DatasetKind.FOLDER, **fields)

    @classmethod
    def of(cls, context: Context, images: Any, labels: Optional[Sequence[int]] = None) -> Dataset:
        """Images in memory: one array (N, C, H, W), or several of any sizes."""
        dataset = cls(context)
        dataset.add(images, labels)
        return dataset

    @classmethod
    def callback(cls, context: Context, count: int, load: Callable[[int], Any],
                 label: Optional[Callable[[int], int]] = None, any_thread: bool = False,
                 **fields: Unpack[DatasetOptions]) -> Dataset:
        """Images of the host: load(index) returns (C, H, W), whose memory is used as it is and kept until the library
        lets it go. What it raises makes that image unreadable: with on_error FAIL the call that asked for it raises it.
        With any_thread load runs on loader threads too; what it raises there goes to sys.unraisablehook."""
        table = sized(_c.DatasetCallbacks)
        key = kept.keep(_Images(load, label))
        table.user, table.load, table.unload = key, _load, _unload
        if label is not None:
            table.get_label = _get_label
        table.destroy = dropping(_c.DatasetCallbacksDestroyFn)
        table.flags = CALLBACK_ANY_THREAD if any_thread else 0
        o = options(_c.DatasetOptions, lib.sslcv_dataset_options_init, {**fields, "count": count}, DatasetKind.CALLBACK)
        o.callbacks = ctypes.pointer(table)
        try:
            return cls._made(lib.sslcv_dataset_create, context.pointer, o)
        except BaseException:
            kept.drop(key)
            raise

    # ---- fill ----

    def add(self, images: Any, labels: Optional[Sequence[int]] = None) -> int:
        """To a LIST: (C, H, W) or (N, C, H, W), copied; or a list of images of any sizes. Gives the first one's index."""
        if isinstance(images, (list, tuple)):
            added = [self.add(image, None if labels is None else [labels[i]]) for i, image in enumerate(images)]
            return added[0] if added else len(self)
        tensor = tensor_of(images)
        count = tensor.shape[0] if tensor.ndim == 4 else 1
        held, pointer = longs(labels, count) if labels is not None else (None, None)
        index = _c.i64()
        lib.sslcv_dataset_add_images(self.pointer, tensor, pointer, index)
        return index.value

    def add_pixels(self, picture: Any, order: int = 0, label: int = -1) -> int:
        """To a LIST: a picture (H, W, C) as cameras and OpenCV give it; order: PixelOrder. Gives its index."""
        held, pointer = longs([label])
        index = _c.i64()
        lib.sslcv_dataset_add_images(self.pointer, pixels(picture, order), pointer, index)
        return index.value

    def add_file(self, source: Union[Path, bytes], label: int = -1) -> int:
        """To a LIST: an encoded image, by path or as bytes. Gives its index."""
        index = _c.i64()
        if isinstance(source, bytes):
            lib.sslcv_dataset_add_file(self.pointer, None, source, len(source), label, index)
        else:
            lib.sslcv_dataset_add_file(self.pointer, utf8(source), None, 0, label, index)
        return index.value

    # ---- look ----

    @property
    def info(self) -> DatasetInfo:
        return ask(_c.DatasetInfo, DatasetInfo, lib.sslcv_dataset_get_info, self.pointer)

    def __len__(self) -> int:
        return self.info.count

    def sample(self, index: int) -> Sample:
        return ask(_c.Sample, Sample, lib.sslcv_dataset_get_sample, self.pointer, index)

    def labels(self) -> Longs:
        return np.array([self.sample(i).label for i in range(len(self))], np.int64)

    def classes(self) -> List[str]:
        names = []
        for label in range(self.info.num_classes):
            name = ctypes.c_char_p()
            lib.sslcv_dataset_get_class(self.pointer, label, name)
            names.append((name.value or b"").decode("utf-8", "surrogateescape"))
        return names

    def __getitem__(self, index: int) -> Array:
        """Decode one image; IndexError past the end."""
        tensor = _c.Tensor()
        try:
            lib.sslcv_dataset_read(self.pointer, index, tensor)
        except NotFound as error:
            raise IndexError(str(error)) from error
        dtype = {5: np.uint8, 6: np.uint16, 1: np.float32}[tensor.dtype]
        array: Array = np.empty(shape_of(tensor), dtype)
        lib.sslcv_dataset_read(self.pointer, index, tensor_of(array))
        return array

    # ---- choose ----

    def split(self, **fields: Unpack[SplitOptions]) -> Longs:
        """Indices of a share, a fold, a list: split(fraction=0.01, seed=1)."""
        o = options(_c.SplitOptions, lib.sslcv_split_options_init, fields)
        count = _c.i64()
        lib.sslcv_dataset_split(self.pointer, o, None, 0, count)
        indices, pointer = longs(np.empty(count.value, np.int64))
        lib.sslcv_dataset_split(self.pointer, o, pointer, len(indices), count)
        return indices

    def subset(self, indices: Any) -> Dataset:
        held, pointer = longs(indices)
        return Dataset._made(lib.sslcv_dataset_subset, self.pointer, pointer, len(held))

    def save_list(self, indices: Any, path: Path) -> None:
        held, pointer = longs(indices)
        lib.sslcv_dataset_save_list(self.pointer, pointer, len(held), utf8(path))


# ---- batches ----

@dataclass(frozen=True)
class Batch:
    size: int
    epoch: int
    index: int
    count: int
    ids: Longs
    labels: Longs


class Loader(Handle):
    """Batches of views. for batch in loader: the batches of one epoch, then those of the next; loader.views(0, 1)."""

    _kind = "loader"

    def __init__(self, context: Context, dataset: Dataset, augmenter: Augmenter,
                 **fields: Unpack[LoaderOptions]) -> None:
        o = options(_c.LoaderOptions, lib.sslcv_loader_options_init,
                    {**fields, "dataset": dataset, "augmenter": augmenter})
        super().__init__(lib.sslcv_loader_create, context.pointer, o)

    def next(self) -> Batch:
        b = sized(_c.Batch)
        lib.sslcv_loader_next(self.pointer, b)
        return Batch(b.size, b.epoch, b.index, b.count, np.array(b.ids[:b.size], np.int64),
                     np.array(b.labels[:b.size], np.int64))

    def __iter__(self) -> Iterator[Batch]:
        """To the end of the epoch that the next batch is of."""
        while True:
            batch = self.next()
            yield batch
            if batch.index + 1 == batch.count:
                return

    def views(self, *views: int, copy: bool = True) -> Floats:
        """Views of the current batch (views * size * P, C, H, W). copy False: the loader's memory, which its next call
        overwrites."""
        held, pointer = longs(views)
        tensor = _c.Tensor()
        lib.sslcv_loader_get_views(self.pointer, pointer, len(held), tensor)
        array = floats_of(tensor, self, writable=False)
        return array.copy() if copy else array

    def seek(self, epoch: int, index: int = 0) -> None:
        lib.sslcv_loader_seek(self.pointer, epoch, index)
