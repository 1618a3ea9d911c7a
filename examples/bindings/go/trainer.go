package sslcv

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Events of a run; a set of them is a sum.
const (
	EventEpochBegin int32 = C.SSLCV_EVENT_EPOCH_BEGIN
	EventStep       int32 = C.SSLCV_EVENT_STEP
	EventEpochEnd   int32 = C.SSLCV_EVENT_EPOCH_END
	EventCollapse   int32 = C.SSLCV_EVENT_COLLAPSE
)

// Kinds of optimizers and schedules.
const (
	SGD      int32 = C.SSLCV_OPTIMIZER_SGD
	LARS     int32 = C.SSLCV_OPTIMIZER_LARS
	AdamW    int32 = C.SSLCV_OPTIMIZER_ADAMW
	Constant int32 = C.SSLCV_SCHEDULE_CONSTANT
	Cosine   int32 = C.SSLCV_SCHEDULE_COSINE
	Linear   int32 = C.SSLCV_SCHEDULE_LINEAR
)

// Methods are the names of the recipes.
func Methods() (names []string) {
	for index := C.int64_t(0); ; index++ {
		name := C.sslcv_method_name(index)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// MethodSettings is what can be set in a recipe: a line "name=default  meaning; source" each. preset "": "cifar".
func MethodSettings(method, preset string) (string, error) {
	name, err := newString(method, false)
	if err != nil {
		return "", err
	}
	defer name.free()
	kind, err := newString(preset, true)
	if err != nil {
		return "", err
	}
	defer kind.free()
	return sizedText(func(text *C.char, size C.int64_t, needed *C.int64_t) C.sslcv_status {
		return C.sslcv_method_settings(name.pointer, kind.pointer, text, size, needed)
	})
}

// Optimizer updates parameters from their gradients.
type Optimizer struct{ *handle }

// DefaultOptimizer has the library's defaults of a kind.
func DefaultOptimizer(kind int32) (options OptimizerOptions, err error) {
	err = call(func() C.sslcv_status {
		raw := (*C.sslcv_optimizer_options)(unsafe.Pointer(&options))
		return C.sslcv_optimizer_options_init(raw, C.sizeof_sslcv_optimizer_options, C.int32_t(kind))
	})
	return options, err
}

// NewOptimizer has no tensors yet.
func NewOptimizer(context *Context, options OptimizerOptions) (*Optimizer, error) {
	var optimizer *C.sslcv_optimizer
	err := call(func() C.sslcv_status {
		raw := (*C.sslcv_optimizer_options)(unsafe.Pointer(&options))
		return C.sslcv_optimizer_create(context.raw(), raw, &optimizer)
	}, context.handle)
	if err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_optimizer_destroy((*C.sslcv_optimizer)(p)) }
	return &Optimizer{newHandle(destroy, unsafe.Pointer(optimizer))}, nil
}

// Add lets these roles of a state learn.
func (o *Optimizer) Add(state *State, roles int32) error {
	return call(func() C.sslcv_status {
		return C.sslcv_optimizer_add((*C.sslcv_optimizer)(o.pointer), state.raw(), C.int32_t(roles), nil)
	}, o.handle, state.handle)
}

// NewSchedule is a number that changes over a run.
func NewSchedule(kind int32, value float64) (schedule Schedule, err error) {
	err = call(func() C.sslcv_status {
		raw := (*C.sslcv_schedule)(unsafe.Pointer(&schedule))
		return C.sslcv_schedule_init(raw, C.sizeof_sslcv_schedule, C.int32_t(kind), C.double(value))
	})
	return schedule, err
}

// Trainer is a run: networks, losses, optimizer, data set.
type Trainer struct{ *handle }

func (t *Trainer) raw() *C.sslcv_trainer { return (*C.sslcv_trainer)(t.pointer) }

func wrapTrainer(trainer *C.sslcv_trainer) *Trainer {
	destroy := func(p unsafe.Pointer) { C.sslcv_trainer_destroy((*C.sslcv_trainer)(p)) }
	return &Trainer{newHandle(destroy, unsafe.Pointer(trainer))}
}

// MethodOptions are what a recipe is made with. All may be left out but Dataset.
type MethodOptions struct {
	Dataset    *Dataset
	Backbones  []*Backbone
	Augmenter  *Augmenter
	Preset     string // "cifar" or "imagenet"
	Settings   string // "name=value" pairs, parted by blanks
	Checkpoint string // path
	Resume     bool
	Seed       uint64
}

// NewMethod is a published recipe by name.
func NewMethod(context *Context, method string, options MethodOptions) (*Trainer, error) {
	var texts [4]cString
	for i, text := range []string{method, options.Preset, options.Settings, options.Checkpoint} {
		var err error
		if texts[i], err = newString(text, i > 0); err != nil {
			return nil, err
		}
		defer texts[i].free()
	}
	alive := []*handle{context.handle}
	// Go may not store its pointers into Go memory that C reads: the array is C's.
	backbones := C.calloc(C.size_t(len(options.Backbones)+1), C.size_t(unsafe.Sizeof(uintptr(0))))
	defer C.free(backbones)
	for i, backbone := range options.Backbones {
		unsafe.Slice((**C.sslcv_backbone)(backbones), len(options.Backbones))[i] = backbone.raw()
		alive = append(alive, backbone.handle)
	}
	if options.Dataset != nil {
		alive = append(alive, options.Dataset.handle)
	}
	if options.Augmenter != nil {
		alive = append(alive, options.Augmenter.handle)
	}
	var trainer *C.sslcv_trainer
	err := call(func() C.sslcv_status {
		var raw C.sslcv_method_options
		if status := C.sslcv_method_options_init(&raw, C.sizeof_sslcv_method_options); status != C.SSLCV_OK {
			return status
		}
		raw.dataset = options.Dataset.raw()
		if len(options.Backbones) > 0 {
			raw.backbones = (**C.sslcv_backbone)(backbones)
			raw.num_backbones = C.int64_t(len(options.Backbones))
		}
		raw.augmenter = options.Augmenter.raw()
		if texts[1].pointer != nil {
			raw.preset = texts[1].pointer
		}
		raw.settings = texts[2].pointer
		raw.checkpoint_path = texts[3].pointer
		raw.resume = boolean(options.Resume)
		raw.seed = C.uint64_t(options.Seed)
		return C.sslcv_method_create(context.raw(), texts[0].pointer, &raw, &trainer)
	}, alive...)
	if err != nil {
		return nil, err
	}
	return wrapTrainer(trainer), nil
}

// TrainerOptions are for a trainer composed by hand; 0 and nil are the defaults.
type TrainerOptions struct {
	Dataset      *Dataset
	Augmenter    *Augmenter
	Optimizer    *Optimizer
	LearningRate Schedule
	BatchSize    int64
	Epochs       int64
	Seed         uint64
}

// NewTrainer has no branches yet.
func NewTrainer(context *Context, options TrainerOptions) (*Trainer, error) {
	rate := (*C.sslcv_schedule)(C.malloc(C.sizeof_sslcv_schedule))
	defer C.free(unsafe.Pointer(rate))
	*rate = *(*C.sslcv_schedule)(unsafe.Pointer(&options.LearningRate))
	var trainer *C.sslcv_trainer
	err := call(func() C.sslcv_status {
		var raw C.sslcv_trainer_options
		if status := C.sslcv_trainer_options_init(&raw, C.sizeof_sslcv_trainer_options); status != C.SSLCV_OK {
			return status
		}
		raw.dataset = options.Dataset.raw()
		raw.augmenter = options.Augmenter.raw()
		raw.optimizer = (*C.sslcv_optimizer)(options.Optimizer.pointer)
		raw.learning_rate = rate
		if options.BatchSize != 0 {
			raw.batch_size = C.int64_t(options.BatchSize)
		}
		if options.Epochs != 0 {
			raw.epochs = C.int64_t(options.Epochs)
		}
		raw.seed = C.uint64_t(options.Seed)
		return C.sslcv_trainer_create(context.raw(), &raw, &trainer)
	}, context.handle, options.Optimizer.handle)
	keepBranch(options.Dataset, options.Augmenter)
	if err != nil {
		return nil, err
	}
	return wrapTrainer(trainer), nil
}

// Branch is views through a backbone and heads.
type Branch struct {
	Views    []int64
	Backbone *Backbone
	Heads    []*Head
	Source   *int64 // an earlier branch that this one goes on from; nil: views
	Stage    string // "": the last
	Momentum bool
	Detach   bool
}

// Hands the branch to C: its texts and handles live that long.
func (b *Branch) use(function func(*C.bridge_branch, *C.int64_t, **C.sslcv_head) error) error {
	stage, err := newString(b.Stage, true)
	if err != nil {
		return err
	}
	defer stage.free()
	heads := make([]*C.sslcv_head, len(b.Heads))
	for i, head := range b.Heads {
		heads[i] = (*C.sslcv_head)(head.pointer)
	}
	raw := C.bridge_branch{source: C.SSLCV_SOURCE_VIEWS, num_views: C.int64_t(len(b.Views)),
		num_heads: C.int64_t(len(heads)), backbone: b.Backbone.raw(), stage: stage.pointer,
		momentum: boolean(b.Momentum), detach: boolean(b.Detach)}
	if b.Source != nil {
		raw.source = C.int64_t(*b.Source)
	}
	err = function(&raw, (*C.int64_t)(first(b.Views)), first(heads))
	keepBranch(b)
	return err
}

// AddBranch appends one and tells its index.
func (t *Trainer) AddBranch(branch Branch) (index int64, err error) {
	err = branch.use(func(raw *C.bridge_branch, views *C.int64_t, heads **C.sslcv_head) error {
		return call(func() C.sslcv_status {
			return C.bridge_add_branch(t.raw(), raw, views, heads, (*C.int64_t)(&index))
		}, t.handle)
	})
	return index, err
}

// AddLoss appends one over these branches and tells its index.
func (t *Trainer) AddLoss(loss *Loss, branches []int64, weight float64) (index int64, err error) {
	err = call(func() C.sslcv_status {
		return C.sslcv_trainer_add_loss(t.raw(), (*C.sslcv_loss)(loss.pointer), (*C.int64_t)(first(branches)),
			C.int64_t(len(branches)), C.double(weight), (*C.int64_t)(&index))
	}, t.handle, loss.handle)
	return index, err
}

// Running is the trainer as a hook sees it, during its call: it can be looked at, not stepped.
type Running struct{ pointer *C.sslcv_trainer }

// Metrics are figures of the last step.
func (r *Running) Metrics() (map[string]float64, error) { return metrics(r.pointer) }

// SetMetric publishes a figure.
func (r *Running) SetMetric(name string, value float64) error {
	text, err := newString(name, false)
	if err != nil {
		return err
	}
	defer text.free()
	return call(func() C.sslcv_status { return C.sslcv_trainer_set_metric(r.pointer, text.pointer, C.double(value)) })
}

func metrics(trainer *C.sslcv_trainer, alive ...*handle) (map[string]float64, error) {
	all := map[string]float64{}
	err := untilNotFound(func(index C.int64_t) error {
		return call(func() C.sslcv_status {
			var name *C.char
			var value C.double
			status := C.sslcv_trainer_get_metric(trainer, index, &name, &value)
			if status == C.SSLCV_OK {
				all[C.GoString(name)] = float64(value)
			}
			return status
		}, alive...)
	})
	return all, err
}

// Hook is told of a run. An error that it returns stops the run, which returns it; the next Run goes on.
type Hook func(*Running, Progress) error

// AddHook calls a hook at these events, at each every-th. One that refers to its trainer keeps it until Close.
func (t *Trainer) AddHook(events int32, every int64, hook Hook) error {
	number := cgo.NewHandle(hook)
	err := call(func() C.sslcv_status {
		return C.bridge_add_hook(t.raw(), C.int32_t(events), C.int64_t(every), C.uintptr_t(number))
	}, t.handle)
	if err != nil {
		number.Delete()
	}
	return err
}

//export sslcvGoHook
func sslcvGoHook(number C.uintptr_t, trainer *C.sslcv_trainer, progress *C.sslcv_progress) C.int32_t {
	running := &Running{trainer}
	stop := guard(func() error {
		return cgo.Handle(number).Value().(Hook)(running, *(*Progress)(unsafe.Pointer(progress)))
	})
	running.pointer = nil // one that was kept is refused from now on
	return boolean(stop)
}

//export sslcvGoDrop
func sslcvGoDrop(number C.uintptr_t) { cgo.Handle(number).Delete() }

// Step makes one on the next batch.
func (t *Trainer) Step() (progress Progress, err error) {
	progress.structSize = uint64(unsafe.Sizeof(progress))
	err = call(func() C.sslcv_status {
		return C.sslcv_trainer_step(t.raw(), (*C.sslcv_progress)(unsafe.Pointer(&progress)))
	}, t.handle)
	return progress, err
}

// Run goes to the end of the last epoch, or maxSteps far (0: no such limit). After a stop it goes on where it was.
func (t *Trainer) Run(maxSteps int64) error {
	return call(func() C.sslcv_status { return C.sslcv_trainer_run(t.raw(), C.int64_t(maxSteps)) }, t.handle)
}

// Metrics are figures of the last step.
func (t *Trainer) Metrics() (map[string]float64, error) { return metrics(t.raw(), t.handle) }

// Describe is the composition as text for people.
func (t *Trainer) Describe() (string, error) {
	return sizedText(func(text *C.char, size C.int64_t, needed *C.int64_t) C.sslcv_status {
		return C.sslcv_trainer_describe(t.raw(), text, size, needed)
	}, t.handle)
}

// State is a checkpoint: everything that the run is.
func (t *Trainer) State() (*State, error) {
	return wrapState(func(out **C.sslcv_state) C.sslcv_status {
		return C.sslcv_trainer_get_state(t.raw(), out)
	}, t.handle)
}

// Backbone is that of a branch, or its momentum copy.
func (t *Trainer) Backbone(branch int64, momentum bool) (*Backbone, error) {
	return wrapBackbone(func(out **C.sslcv_backbone) C.sslcv_status {
		return C.sslcv_trainer_get_backbone(t.raw(), C.int64_t(branch), boolean(momentum), out)
	}, t.handle)
}
