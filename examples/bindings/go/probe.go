package sslcv

// #include "bridge.h"
import "C"

import (
	"runtime"
	"unsafe"
)

func keepBranch(owners ...any) { runtime.KeepAlive(owners) }

// Embedding is what is embedded: a branch, of these samples.
type Embedding struct {
	Dataset   *Dataset
	Augmenter *Augmenter
	Branch    Branch
	First     int64
	Count     int64 // 0: to the end
}

// Features are rows of Dim values, and their labels, -1: none.
type Features struct {
	Values []float32
	Dim    int64
	Labels []int64
}

// Rows counts them.
func (f *Features) Rows() int64 { return int64(len(f.Labels)) }

// Embed runs images through the networks, as they are, and takes what comes out.
func Embed(e Embedding) (*Features, error) {
	var features Features
	var shape [2]int64
	err := e.Branch.use(func(branch *C.bridge_branch, views *C.int64_t, heads **C.sslcv_head) error {
		embed := func(values *float32, labels *int64, count int64) error {
			return call(func() C.sslcv_status {
				return C.bridge_embed(e.Dataset.raw(), e.Augmenter.raw(), branch, views, heads, C.int64_t(e.First),
					C.int64_t(count), (*C.float)(values), (*C.int64_t)(&shape[0]), (*C.int64_t)(labels))
			})
		}
		if err := embed(nil, nil, e.Count); err != nil {
			return err
		}
		features = Features{make([]float32, shape[0]*shape[1]), shape[1], make([]int64, shape[0])}
		// Another goroutine may add samples between the calls: the count is held to what has been asked.
		return embed(first(features.Values), first(features.Labels), shape[0])
	})
	runtime.KeepAlive(e)
	if err != nil {
		return nil, err
	}
	return &features, nil
}

// Probe is a classifier on features. Several goroutines may predict by a fitted one.
type Probe struct{ *handle }

func (p *Probe) raw() *C.sslcv_probe { return (*C.sslcv_probe)(p.pointer) }

// NewKNN goes by nearest neighbours by cosine, votes weighted by exp(similarity / temperature).
func NewKNN(context *Context, neighbours int64, temperature float64) (*Probe, error) {
	var probe *C.sslcv_probe
	err := call(func() C.sslcv_status {
		var options C.sslcv_probe_options
		status := C.sslcv_probe_options_init(&options, C.sizeof_sslcv_probe_options, C.SSLCV_PROBE_KNN)
		if status != C.SSLCV_OK {
			return status
		}
		options.neighbors = C.int64_t(neighbours)
		options.temperature = C.double(temperature)
		return C.sslcv_probe_create(context.raw(), &options, &probe)
	}, context.handle)
	if err != nil {
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_probe_destroy((*C.sslcv_probe)(p)) }
	return &Probe{newHandle(destroy, unsafe.Pointer(probe))}, nil
}

func (f *Features) check() error {
	if f.Dim < 1 || f.Rows() < 1 || int64(len(f.Values)) != f.Rows()*f.Dim {
		return invalid("%d values are not %d rows of %d", len(f.Values), f.Rows(), f.Dim)
	}
	return nil
}

// Fit leaves rows with label -1 out.
func (p *Probe) Fit(features *Features) error {
	if err := features.check(); err != nil {
		return err
	}
	return call(func() C.sslcv_status {
		return C.bridge_fit(p.raw(), (*C.float)(first(features.Values)), C.int64_t(features.Rows()),
			C.int64_t(features.Dim), (*C.int64_t)(first(features.Labels)))
	}, p.handle)
}

// Predict gives a score for each class in each row; larger is likelier.
func (p *Probe) Predict(features *Features) (scores []float32, classes int64, err error) {
	if err := features.check(); err != nil {
		return nil, 0, err
	}
	predict := func() error {
		return call(func() C.sslcv_status {
			return C.bridge_predict(p.raw(), (*C.float)(first(features.Values)), C.int64_t(features.Rows()),
				C.int64_t(features.Dim), (*C.float)(first(scores)), (*C.int64_t)(&classes))
		}, p.handle)
	}
	if err = predict(); err != nil {
		return nil, 0, err
	}
	scores = make([]float32, features.Rows()*classes)
	return scores, classes, predict()
}

// Judge is the share of rows whose label has the largest score, and more.
func Judge(context *Context, scores []float32, classes int64, labels []int64) (metrics Metrics, err error) {
	if classes < 1 || int64(len(scores)) != int64(len(labels))*classes {
		return metrics, invalid("%d scores are not %d rows of %d", len(scores), len(labels), classes)
	}
	metrics.structSize = uint64(unsafe.Sizeof(metrics))
	err = call(func() C.sslcv_status {
		return C.bridge_judge(context.raw(), (*C.float)(first(scores)), C.int64_t(len(labels)), C.int64_t(classes),
			(*C.int64_t)(first(labels)), (*C.sslcv_metrics)(unsafe.Pointer(&metrics)))
	}, context.handle)
	return metrics, err
}
