package sslcv

// #include "bridge.h"
import "C"

import "unsafe"

// Pixel is what images may be made of.
type Pixel interface{ ~uint8 | ~uint16 | ~float32 }

func dtypeOf[T Pixel]() C.int32_t {
	switch unsafe.Sizeof(*new(T)) {
	case 1:
		return C.SSLCV_U8
	case 2:
		return C.SSLCV_U16
	}
	return C.SSLCV_F32
}

// The number of elements, or -1 where there is none.
func product(shape []int64) int64 {
	const most = int64(1) << 48
	n := int64(1)
	for _, d := range shape {
		if d < 0 || (d > 0 && n > most/d) {
			return -1
		}
		n *= d
	}
	return n
}

func first[T any](slice []T) *T {
	if len(slice) == 0 {
		return nil
	}
	return &slice[0]
}

// Dataset is indexed images, with or without labels. Several goroutines may use it.
type Dataset struct{ *handle }

func (d *Dataset) raw() *C.sslcv_dataset {
	if d == nil {
		return nil
	}
	return (*C.sslcv_dataset)(d.pointer)
}

func newDataset(context *Context, kind C.int32_t, set func(*C.sslcv_dataset_options)) (*Dataset, error) {
	var options C.sslcv_dataset_options
	var dataset *C.sslcv_dataset
	err := call(func() C.sslcv_status {
		status := C.sslcv_dataset_options_init(&options, C.sizeof_sslcv_dataset_options, kind)
		if status != C.SSLCV_OK {
			return status
		}
		set(&options)
		return C.sslcv_dataset_create(context.raw(), &options, &dataset)
	}, context.handle)
	if err != nil {
		return nil, err
	}
	return wrapDataset(dataset), nil
}

func wrapDataset(dataset *C.sslcv_dataset) *Dataset {
	destroy := func(p unsafe.Pointer) { C.sslcv_dataset_destroy((*C.sslcv_dataset)(p)) }
	return &Dataset{newHandle(destroy, unsafe.Pointer(dataset))}
}

// NewList is empty; AddImages and AddFile fill it.
func NewList(context *Context) (*Dataset, error) {
	return newDataset(context, C.SSLCV_DATASET_LIST, func(*C.sslcv_dataset_options) {})
}

// OpenFolder finds all images below a folder; with labels the first folder level names the class.
func OpenFolder(context *Context, path string, labels bool) (*Dataset, error) {
	text, err := newString(path, false)
	if err != nil {
		return nil, err
	}
	defer text.free()
	return newDataset(context, C.SSLCV_DATASET_FOLDER, func(options *C.sslcv_dataset_options) {
		options.path = text.pointer
		options.label_folders = boolean(labels)
	})
}

// AddImages copies one image (C, H, W) or several (N, C, H, W). labels: one each, or nil.
func AddImages[T Pixel](dataset *Dataset, pixels []T, shape []int64, labels []int64) error {
	count := int64(1)
	if len(shape) == 4 {
		count = shape[0]
	}
	if product(shape) != int64(len(pixels)) {
		return invalid("%d values do not fill the shape %v", len(pixels), shape)
	}
	if labels != nil && int64(len(labels)) != count {
		return invalid("%d labels for %d images", len(labels), count)
	}
	return call(func() C.sslcv_status {
		return C.bridge_add_images(dataset.raw(), dtypeOf[T](), unsafe.Pointer(first(pixels)), C.int32_t(len(shape)),
			(*C.int64_t)(first(shape)), (*C.int64_t)(first(labels)))
	}, dataset.handle)
}

// AddFile appends a JPEG, PNG, BMP, PGM or PPM, read when needed. label -1: none.
func (d *Dataset) AddFile(path string, label int64) error {
	text, err := newString(path, false)
	if err != nil {
		return err
	}
	defer text.free()
	return call(func() C.sslcv_status {
		return C.sslcv_dataset_add_file(d.raw(), text.pointer, nil, 0, C.int64_t(label), nil)
	}, d.handle)
}

// Info describes the whole.
func (d *Dataset) Info() (info DatasetInfo, err error) {
	info.structSize = uint64(unsafe.Sizeof(info))
	err = call(func() C.sslcv_status {
		return C.sslcv_dataset_get_info(d.raw(), (*C.sslcv_dataset_info)(unsafe.Pointer(&info)))
	}, d.handle)
	return info, err
}

// Sample has a name, which may be "", and a label, -1: none.
func (d *Dataset) Sample(index int64) (name string, label int64, err error) {
	var sample C.sslcv_sample
	sample.struct_size = C.sizeof_sslcv_sample
	err = call(func() C.sslcv_status { return C.sslcv_dataset_get_sample(d.raw(), C.int64_t(index), &sample) }, d.handle)
	if err != nil {
		return "", 0, err
	}
	name = C.GoString(sample.name)
	return name, int64(sample.label), call(func() C.sslcv_status { return C.SSLCV_OK }, d.handle)
}

// Classes names them.
func (d *Dataset) Classes() (names []string, err error) {
	err = untilNotFound(func(label C.int64_t) error {
		return call(func() C.sslcv_status {
			var name *C.char
			status := C.sslcv_dataset_get_class(d.raw(), label, &name)
			if status == C.SSLCV_OK {
				names = append(names, C.GoString(name))
			}
			return status
		}, d.handle)
	})
	return names, err
}

// Read decodes a sample of bytes: (C, H, W).
func (d *Dataset) Read(index int64) (pixels []uint8, shape []int64, err error) {
	var dtype, ndim C.int32_t
	var dims [C.SSLCV_MAX_DIMS]int64
	read := func(data *uint8) error {
		return call(func() C.sslcv_status {
			return C.bridge_read(d.raw(), C.int64_t(index), unsafe.Pointer(data), &dtype, &ndim, (*C.int64_t)(&dims[0]))
		}, d.handle)
	}
	if err = read(nil); err != nil {
		return nil, nil, err
	}
	if dtype != C.SSLCV_U8 {
		return nil, nil, invalid("sample %d is not made of bytes", index)
	}
	shape = append(shape, dims[:ndim]...)
	pixels = make([]uint8, product(shape))
	return pixels, shape, read(first(pixels))
}

// Subset has chosen samples, and shares their pixels.
func (d *Dataset) Subset(indices []int64) (*Dataset, error) {
	var subset *C.sslcv_dataset
	err := call(func() C.sslcv_status {
		return C.sslcv_dataset_subset(d.raw(), (*C.int64_t)(first(indices)), C.int64_t(len(indices)), &subset)
	}, d.handle)
	if err != nil {
		return nil, err
	}
	return wrapDataset(subset), nil
}

// Augmenter makes views of images.
type Augmenter struct{ *handle }

func (a *Augmenter) raw() *C.sslcv_augmenter {
	if a == nil {
		return nil
	}
	return (*C.sslcv_augmenter)(a.pointer)
}

// NewAugmenter has no views.
func NewAugmenter(context *Context) (*Augmenter, error) {
	var augmenter *C.sslcv_augmenter
	err := call(func() C.sslcv_status { return C.sslcv_augmenter_create(context.raw(), &augmenter) }, context.handle)
	if err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_augmenter_destroy((*C.sslcv_augmenter)(p)) }
	return &Augmenter{newHandle(destroy, unsafe.Pointer(augmenter))}, nil
}

// AddPreset appends published views for crops of size pixels (0: as published) and tells their indices.
func (a *Augmenter) AddPreset(preset string, size int64) (views []int64, err error) {
	text, err := newString(preset, false)
	if err != nil {
		return nil, err
	}
	defer text.free()
	var start, count C.int64_t
	err = call(func() C.sslcv_status {
		return C.sslcv_augmenter_add_preset(a.raw(), text.pointer, C.int64_t(size), &start, &count)
	}, a.handle)
	for view := start; err == nil && view < start+count; view++ {
		views = append(views, int64(view))
	}
	return views, err
}
