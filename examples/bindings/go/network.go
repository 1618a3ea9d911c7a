package sslcv

// #include "bridge.h"
import "C"

import (
	"unsafe"
)

// Architectures.
const (
	ResNet18  int32 = C.SSLCV_BACKBONE_RESNET18
	ResNet34  int32 = C.SSLCV_BACKBONE_RESNET34
	ResNet50  int32 = C.SSLCV_BACKBONE_RESNET50
	ResNet101 int32 = C.SSLCV_BACKBONE_RESNET101
	AlexNet   int32 = C.SSLCV_BACKBONE_ALEXNET
)

// Stems.
const (
	StemImageNet int32 = C.SSLCV_STEM_IMAGENET
	StemCIFAR    int32 = C.SSLCV_STEM_CIFAR
)

// Roles of tensors; a set of them is a sum.
const (
	RoleWeight     int32 = C.SSLCV_ROLE_WEIGHT
	RoleBias       int32 = C.SSLCV_ROLE_BIAS
	RoleNorm       int32 = C.SSLCV_ROLE_NORM
	RoleBuffer     int32 = C.SSLCV_ROLE_BUFFER
	RoleParameters int32 = C.SSLCV_ROLE_PARAMETERS
	RoleAll        int32 = C.SSLCV_ROLE_ALL
)

// ---- backbone ----

// Backbone is the network that is to be learnt.
type Backbone struct{ *handle }

func (b *Backbone) raw() *C.sslcv_backbone {
	if b == nil {
		return nil
	}
	return (*C.sslcv_backbone)(b.pointer)
}

func wrapBackbone(make func(out **C.sslcv_backbone) C.sslcv_status, alive ...*handle) (*Backbone, error) {
	var backbone *C.sslcv_backbone
	if err := call(func() C.sslcv_status { return make(&backbone) }, alive...); err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_backbone_destroy((*C.sslcv_backbone)(p)) }
	return &Backbone{newHandle(destroy, unsafe.Pointer(backbone))}, nil
}

// DefaultBackbone has the library's defaults.
func DefaultBackbone(architecture int32) (options BackboneOptions, err error) {
	err = call(func() C.sslcv_status {
		raw := (*C.sslcv_backbone_options)(unsafe.Pointer(&options))
		return C.sslcv_backbone_options_init(raw, C.sizeof_sslcv_backbone_options, C.int32_t(architecture))
	})
	return options, err
}

// NewBackbone has random weights.
func NewBackbone(context *Context, options BackboneOptions) (*Backbone, error) {
	return wrapBackbone(func(out **C.sslcv_backbone) C.sslcv_status {
		return C.sslcv_backbone_create(context.raw(), (*C.sslcv_backbone_options)(unsafe.Pointer(&options)), out)
	}, context.handle)
}

// LoadBackbone reads a file of weights or a checkpoint, which tells the architecture.
func LoadBackbone(context *Context, path string) (*Backbone, error) {
	text, err := newString(path, false)
	if err != nil {
		return nil, err
	}
	defer text.free()
	return wrapBackbone(func(out **C.sslcv_backbone) C.sslcv_status {
		return C.sslcv_backbone_load(context.raw(), text.pointer, nil, out)
	}, context.handle)
}

// Clone is independent.
func (b *Backbone) Clone() (*Backbone, error) {
	return wrapBackbone(func(out **C.sslcv_backbone) C.sslcv_status {
		return C.sslcv_backbone_clone(b.raw(), out)
	}, b.handle)
}

// Info describes it.
func (b *Backbone) Info() (info BackboneInfo, err error) {
	info.structSize = uint64(unsafe.Sizeof(info))
	err = call(func() C.sslcv_status {
		return C.sslcv_backbone_get_info(b.raw(), (*C.sslcv_backbone_info)(unsafe.Pointer(&info)))
	}, b.handle)
	return info, err
}

// State is a window onto its tensors.
func (b *Backbone) State() (*State, error) {
	return wrapState(func(out **C.sslcv_state) C.sslcv_status {
		return C.sslcv_backbone_get_state(b.raw(), out)
	}, b.handle)
}

// ---- head ----

// Head stands between features and loss.
type Head struct{ *handle }

// DefaultMLP has the library's defaults; InDim must be given.
func DefaultMLP() (options MLPOptions, err error) {
	err = call(func() C.sslcv_status {
		return C.sslcv_mlp_options_init((*C.sslcv_mlp_options)(unsafe.Pointer(&options)), C.sizeof_sslcv_mlp_options)
	})
	return options, err
}

// NewMLP is a projection, predictor or classifier.
func NewMLP(context *Context, options MLPOptions) (*Head, error) {
	var head *C.sslcv_head
	err := call(func() C.sslcv_status {
		return C.sslcv_head_create_mlp(context.raw(), (*C.sslcv_mlp_options)(unsafe.Pointer(&options)), &head)
	}, context.handle)
	if err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_head_destroy((*C.sslcv_head)(p)) }
	return &Head{newHandle(destroy, unsafe.Pointer(head))}, nil
}

// State is a window onto its tensors.
func (h *Head) State() (*State, error) {
	return wrapState(func(out **C.sslcv_state) C.sslcv_status {
		return C.sslcv_head_get_state((*C.sslcv_head)(h.pointer), out)
	}, h.handle)
}

// ---- state ----

// State is the named tensors of an object, which it keeps alive; or those of a file.
type State struct{ *handle }

func (s *State) raw() *C.sslcv_state {
	if s == nil {
		return nil
	}
	return (*C.sslcv_state)(s.pointer)
}

func wrapState(make func(out **C.sslcv_state) C.sslcv_status, alive ...*handle) (*State, error) {
	var state *C.sslcv_state
	if err := call(func() C.sslcv_status { return make(&state) }, alive...); err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_state_destroy((*C.sslcv_state)(p)) }
	return &State{newHandle(destroy, unsafe.Pointer(state))}, nil
}

// OpenState reads any safetensors, npz or npy file.
func OpenState(context *Context, path string) (*State, error) {
	text, err := newString(path, false)
	if err != nil {
		return nil, err
	}
	defer text.free()
	return wrapState(func(out **C.sslcv_state) C.sslcv_status {
		return C.sslcv_state_open(context.raw(), text.pointer, nil, out)
	}, context.handle)
}

// Save writes safetensors; the file appears whole or not at all.
func (s *State) Save(path string) error {
	text, err := newString(path, false)
	if err != nil {
		return err
	}
	defer text.free()
	return call(func() C.sslcv_status { return C.sslcv_state_save(s.raw(), text.pointer, nil) }, s.handle)
}

// LoadReport is what a load found.
type LoadReport struct {
	Matched, Missing, Unexpected int64
	Layout                       string // the naming that was recognised: "torchvision", "moco" ...
}

// Load is all or nothing.
func (s *State) Load(path string) (*LoadReport, error) {
	text, err := newString(path, false)
	if err != nil {
		return nil, err
	}
	defer text.free()
	var report C.sslcv_load_report
	report.struct_size = C.sizeof_sslcv_load_report
	err = call(func() C.sslcv_status { return C.sslcv_state_load(s.raw(), text.pointer, nil, &report) }, s.handle)
	if err != nil {
		return nil, err
	}
	layout := C.GoString(&report.layout[0])
	return &LoadReport{int64(report.matched), int64(report.missing), int64(report.unexpected), layout}, nil
}

// Entry describes a tensor.
type Entry struct {
	Name   string
	Shape  []int64
	DType  int32
	Role   int32
	Frozen bool
}

// Entries are in an order that never changes.
func (s *State) Entries() (entries []Entry, err error) {
	err = untilNotFound(func(index C.int64_t) error {
		return call(func() C.sslcv_status {
			var raw C.sslcv_state_entry
			raw.struct_size = C.sizeof_sslcv_state_entry
			status := C.sslcv_state_get_entry(s.raw(), index, &raw)
			if status != C.SSLCV_OK {
				return status
			}
			entry := Entry{Name: C.GoString(raw.name), DType: int32(raw.dtype), Role: int32(raw.role), Frozen: raw.frozen != 0}
			for _, d := range raw.shape[:raw.ndim] {
				entry.Shape = append(entry.Shape, int64(d))
			}
			entries = append(entries, entry)
			return status
		}, s.handle)
	})
	return entries, err
}

// Get copies a floating tensor of that many values out, by its place among the entries.
func (s *State) Get(index int, shape []int64) ([]float32, error) {
	count := product(shape)
	if count < 0 {
		return nil, invalid("%v is no shape", shape)
	}
	values := make([]float32, count+1)[:count] // never empty behind the pointer: NULL would ask
	return values, call(func() C.sslcv_status {
		return C.bridge_state_get(s.raw(), C.int64_t(index), (*C.float)(&values[:1][0]), C.int32_t(len(shape)),
			(*C.int64_t)(first(shape)))
	}, s.handle)
}

// Set overwrites a floating tensor.
func (s *State) Set(index int, values []float32, shape []int64) error {
	if product(shape) != int64(len(values)) {
		return invalid("%d values do not fill the shape %v", len(values), shape)
	}
	return call(func() C.sslcv_status {
		return C.bridge_state_set(s.raw(), C.int64_t(index), (*C.float)(first(values)), C.int32_t(len(shape)),
			(*C.int64_t)(first(shape)))
	}, s.handle)
}

// GetFlat joins all floating tensors of these roles: for federated averaging.
func (s *State) GetFlat(roles int32) ([]float32, error) {
	var count C.int64_t
	get := func(values []float32) error {
		return call(func() C.sslcv_status {
			return C.sslcv_state_get_flat(s.raw(), C.int32_t(roles), (*C.float)(first(values)), C.int64_t(len(values)), &count)
		}, s.handle)
	}
	if err := get(nil); err != nil {
		return nil, err
	}
	values := make([]float32, count)
	return values, get(values)
}

// SetFlat is the reverse.
func (s *State) SetFlat(roles int32, values []float32) error {
	return call(func() C.sslcv_status {
		return C.sslcv_state_set_flat(s.raw(), C.int32_t(roles), (*C.float)(first(values)), C.int64_t(len(values)))
	}, s.handle)
}

// ---- loss ----

// Loss is an objective, with what it remembers or learns.
type Loss struct{ *handle }

// DefaultInfoNCE has the library's defaults.
func DefaultInfoNCE() (options InfoNCEOptions, err error) {
	err = call(func() C.sslcv_status {
		raw := (*C.sslcv_info_nce_options)(unsafe.Pointer(&options))
		return C.sslcv_info_nce_options_init(raw, C.sizeof_sslcv_info_nce_options)
	})
	return options, err
}

// NewInfoNCE is SimCLR's and MoCo's.
func NewInfoNCE(context *Context, options InfoNCEOptions) (*Loss, error) {
	var loss *C.sslcv_loss
	err := call(func() C.sslcv_status {
		return C.sslcv_loss_create_info_nce(context.raw(), (*C.sslcv_info_nce_options)(unsafe.Pointer(&options)), &loss)
	}, context.handle)
	if err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_loss_destroy((*C.sslcv_loss)(p)) }
	return &Loss{newHandle(destroy, unsafe.Pointer(loss))}, nil
}

// Compute gives value and gradient of a loss of one input: (V, N, D).
func (l *Loss) Compute(z []float32, shape []int64) (value float64, gradient []float32, err error) {
	if len(z) == 0 || product(shape) != int64(len(z)) {
		return 0, nil, invalid("%d values do not fill the shape %v", len(z), shape)
	}
	gradient = make([]float32, len(z))
	err = call(func() C.sslcv_status {
		return C.bridge_loss_compute((*C.sslcv_loss)(l.pointer), (*C.float)(first(z)), (*C.float)(first(gradient)),
			C.int32_t(len(shape)), (*C.int64_t)(first(shape)), (*C.double)(&value))
	}, l.handle)
	return value, gradient, err
}
