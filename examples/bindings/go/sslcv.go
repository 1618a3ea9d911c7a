// Package sslcv is self-supervised learning for computer vision, by libsslcv. Not OpenSSL.
//
// Handles have Close; what is not closed is given back when Go collects it. Objects keep alive what they use, so the
// order does not matter, and a closed handle only makes calls fail. Slices are borrowed for the call. Functions given
// to the library are called during the calls that they belong to; a panic in one is kept, the work stopped, and the
// call panics with the same value. (runtime.Goexit in one, as t.FailNow does it, ends the program.)
//
// A handle serves one goroutine at a time; Context and Dataset serve several. A Trainer and a Backbone that it trains
// count as one.
package sslcv

// #cgo pkg-config: sslcv
// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
	"unsafe"
)

// Status is the kind of a failure: errors.Is(err, sslcv.ErrCancelled).
type Status int32

const (
	ErrInvalidArgument Status = C.SSLCV_ERR_INVALID_ARGUMENT
	ErrOutOfMemory     Status = C.SSLCV_ERR_OUT_OF_MEMORY
	ErrIO              Status = C.SSLCV_ERR_IO
	ErrFormat          Status = C.SSLCV_ERR_FORMAT
	ErrUnsupported     Status = C.SSLCV_ERR_UNSUPPORTED
	ErrState           Status = C.SSLCV_ERR_STATE
	ErrLimit           Status = C.SSLCV_ERR_LIMIT
	ErrBackend         Status = C.SSLCV_ERR_BACKEND
	ErrCancelled       Status = C.SSLCV_ERR_CANCELLED
	ErrNumeric         Status = C.SSLCV_ERR_NUMERIC
	ErrNotFound        Status = C.SSLCV_ERR_NOT_FOUND
)

func (s Status) Error() string {
	return C.GoString(C.sslcv_status_string(C.sslcv_status(s)))
}

// Error is a failed call: its outputs are untouched, its handles usable.
type Error struct {
	Status  Status
	Message string // one line with the value that was wrong and what is allowed
}

func (e *Error) Error() string { return e.Message }

// Unwrap is for errors.Is with a Status.
func (e *Error) Unwrap() error { return e.Status }

func invalid(format string, arguments ...any) error {
	return &Error{ErrInvalidArgument, fmt.Sprintf(format, arguments...)}
}

// Version is that of the library that is running.
func Version() string { return C.GoString(C.sslcv_version_string()) }

// ---- calls ----

// What a callback leaves for the call that it came from.
type kept struct {
	panicked bool
	value    any
}

func keep(what kept) {
	// The first one tells what happened; a later one in the same call is what came of it.
	if before := C.bridge_take(); before != 0 {
		C.bridge_keep(before)
		return
	}
	C.bridge_keep(C.uintptr_t(cgo.NewHandle(what)))
}

// Runs the body of a callback. No panic may unwind C's frames.
func guard(body func() error) (stop bool) {
	finished := false
	defer func() {
		if !finished {
			keep(kept{true, recover()})
			stop = true
		}
	}()
	err := body()
	finished = true
	if err != nil {
		keep(kept{false, err})
	}
	return err != nil
}

// Every call that may fail. The message is the thread's, as is what callbacks keep, so the goroutine must not move.
func call(function func() C.sslcv_status, alive ...*handle) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := function()
	runtime.KeepAlive(alive)
	if left := C.bridge_take(); left != 0 {
		what := cgo.Handle(left).Value().(kept)
		cgo.Handle(left).Delete()
		if what.panicked {
			panic(what.value)
		}
		return what.value.(error)
	}
	if status == C.SSLCV_OK {
		return nil
	}
	return &Error{Status(status), C.GoString(C.sslcv_last_error())}
}

// Counts upwards until there is no more.
func untilNotFound(get func(index C.int64_t) error) error {
	for index := C.int64_t(0); ; index++ {
		if err := get(index); err != nil {
			if e, ok := err.(*Error); ok && e.Status == ErrNotFound {
				return nil
			}
			return err
		}
	}
}

// ---- handles ----

// One reference.
type handle struct {
	pointer unsafe.Pointer
	destroy func(unsafe.Pointer)
}

// Close gives back the reference. Closing twice does nothing.
func (h *handle) Close() {
	if h.pointer == nil {
		return
	}
	pointer := h.pointer
	h.pointer = nil
	runtime.SetFinalizer(h, nil)
	// Callbacks that end with the handle may be told.
	_ = call(func() C.sslcv_status { h.destroy(pointer); return C.SSLCV_OK }, h)
}

func newHandle(destroy func(unsafe.Pointer), pointer unsafe.Pointer) *handle {
	h := &handle{pointer, destroy}
	runtime.SetFinalizer(h, (*handle).Close)
	return h
}

// ---- texts ----

type cString struct{ pointer *C.char }

func (s cString) free() { C.free(unsafe.Pointer(s.pointer)) }

// A copy for C; "" is NULL where optional.
func newString(text string, optional bool) (cString, error) {
	if optional && text == "" {
		return cString{}, nil
	}
	if strings.IndexByte(text, 0) >= 0 {
		return cString{}, invalid("%q has a zero byte within", text)
	}
	return cString{C.CString(text)}, nil
}

// Two calls: one asks for the size.
func sizedText(get func(*C.char, C.int64_t, *C.int64_t) C.sslcv_status, alive ...*handle) (string, error) {
	var needed C.int64_t
	if err := call(func() C.sslcv_status { return get(nil, 0, &needed) }, alive...); err != nil {
		return "", err
	}
	buffer := make([]byte, needed)
	text := (*C.char)(unsafe.Pointer(&buffer[0]))
	if err := call(func() C.sslcv_status { return get(text, needed, &needed) }, alive...); err != nil {
		return "", err
	}
	return C.GoString(text), nil
}

func boolean(value bool) C.int32_t {
	if value {
		return 1
	}
	return 0
}

// ---- context ----

// Levels of the log.
const (
	LogError   = C.SSLCV_LOG_ERROR
	LogWarning = C.SSLCV_LOG_WARNING
	LogInfo    = C.SSLCV_LOG_INFO
	LogDebug   = C.SSLCV_LOG_DEBUG
)

// ContextOptions are what a context is made with. DefaultContext fills them.
type ContextOptions struct {
	Threads       int // 0: the processors that this process may use
	LoaderThreads int // that decode and augment; -1: as Threads; 0: the calling thread
	Precision     int // 0: as fits the processor; 1: f32; 2: bf16
	Seed          uint64
	LogLevel      int
	Log           func(level int, line string) // must not call the library
}

// DefaultContext has the library's defaults.
func DefaultContext() ContextOptions {
	return ContextOptions{LoaderThreads: -1, LogLevel: LogInfo}
}

// Context holds threads, seed and log; everything else is made from one.
type Context struct{ *handle }

// NewContext makes one.
func NewContext(options ContextOptions) (*Context, error) {
	var raw C.sslcv_context_options
	err := call(func() C.sslcv_status {
		return C.sslcv_context_options_init(&raw, C.sizeof_sslcv_context_options)
	})
	if err != nil {
		return nil, err
	}
	raw.threads = C.int32_t(options.Threads)
	raw.loader_threads = C.int32_t(options.LoaderThreads)
	raw.precision = C.int32_t(options.Precision)
	raw.seed = C.uint64_t(options.Seed)
	raw.log_level = C.int32_t(options.LogLevel)
	var log cgo.Handle
	if options.Log != nil {
		log = cgo.NewHandle(options.Log)
		C.bridge_set_log(&raw, C.uintptr_t(log))
	}
	var context *C.sslcv_context
	err = call(func() C.sslcv_status { return C.sslcv_context_create(&raw, &context) })
	if err != nil {
		if options.Log != nil {
			log.Delete()
		}
		return nil, err
	}
	destroy := func(p unsafe.Pointer) { C.sslcv_context_destroy((*C.sslcv_context)(p)) }
	return &Context{newHandle(destroy, unsafe.Pointer(context))}, nil
}

func (c *Context) raw() *C.sslcv_context { return (*C.sslcv_context)(c.pointer) }

// Cancel asks every long call on this context to stop, from any goroutine; on until it is cleared by false.
func (c *Context) Cancel(on bool) error {
	return call(func() C.sslcv_status { return C.sslcv_context_cancel(c.raw(), boolean(on)) }, c.handle)
}

//export sslcvGoLog
func sslcvGoLog(log C.uintptr_t, level C.int32_t, text *C.char) {
	guard(func() error {
		cgo.Handle(log).Value().(func(int, string))(int(level), C.GoString(text))
		return nil
	})
}
