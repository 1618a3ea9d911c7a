package sslcv_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/sslcv"
)

const (
	side     = 16
	count    = 64
	settings = "epochs=2 batch=16 size=16 temperature=0.5"
)

// The value, or the end of the test.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newContext() *sslcv.Context {
	options := sslcv.DefaultContext()
	options.Threads, options.LoaderThreads, options.Seed = 1, 1, 7
	return must(sslcv.NewContext(options))
}

// Stripes of two directions with noise; the direction is the label.
func pictures(context *sslcv.Context) *sslcv.Dataset {
	dataset := must(sslcv.NewList(context))
	var pixels []uint8
	var labels []int64
	noise := uint32(1)
	for n := 0; n < count; n++ {
		labels = append(labels, int64(n%2))
		for p := 0; p < 3*side*side; p++ {
			noise = noise*1664525 + 1013904223
			stripe := p % side / 4 % 2
			if n%2 == 1 {
				stripe = p / side % side / 4 % 2
			}
			pixels = append(pixels, uint8(stripe*180)+uint8(noise>>26))
		}
	}
	if err := sslcv.AddImages(dataset, pixels, []int64{count, 3, side, side}, labels); err != nil {
		panic(err)
	}
	return dataset
}

func newBackbone(context *sslcv.Context, seed uint64) *sslcv.Backbone {
	options := must(sslcv.DefaultBackbone(sslcv.ResNet18))
	options.Width, options.Stem, options.Seed = 0.125, sslcv.StemCIFAR, seed
	return must(sslcv.NewBackbone(context, options))
}

func simclr(context *sslcv.Context, dataset *sslcv.Dataset, backbone *sslcv.Backbone) *sslcv.Trainer {
	return must(sslcv.NewMethod(context, "simclr", sslcv.MethodOptions{
		Dataset: dataset, Backbones: []*sslcv.Backbone{backbone}, Settings: settings, Seed: 5}))
}

func embed(context *sslcv.Context, dataset *sslcv.Dataset, backbone *sslcv.Backbone) *sslcv.Features {
	augmenter := must(sslcv.NewAugmenter(context))
	views := must(augmenter.AddPreset("eval-cifar", side))
	branch := sslcv.Branch{Views: views, Backbone: backbone}
	return must(sslcv.Embed(sslcv.Embedding{Dataset: dataset, Augmenter: augmenter, Branch: branch}))
}

func weights(backbone *sslcv.Backbone) []float32 {
	state := must(backbone.State())
	defer state.Close()
	return must(state.GetFlat(sslcv.RoleAll))
}

func TestPretrainEmbedSaveReload(t *testing.T) {
	context := newContext()
	defer context.Close()
	dataset, backbone := pictures(context), newBackbone(context, 3)
	before := weights(backbone)
	trainer := simclr(context, dataset, backbone)
	var losses []float64
	check(t, trainer.AddHook(sslcv.EventEpochEnd, 1, func(running *sslcv.Running, progress sslcv.Progress) error {
		losses = append(losses, progress.Loss)
		if _, ok := must(running.Metrics())["loss.0"]; !ok {
			t.Error("no figure of the loss")
		}
		return running.SetMetric("own", 1.5)
	}))
	check(t, trainer.Run(0))
	if len(losses) != 2 || !(losses[0] > 0) || !(losses[1] > 0) {
		t.Errorf("losses of the epochs: %v", losses)
	}
	if own := must(trainer.Metrics())["own"]; own != 1.5 {
		t.Errorf("the hook's figure is %v", own)
	}
	if text := must(trainer.Describe()); !strings.Contains(text, "info_nce") {
		t.Error(text)
	}
	if reflect.DeepEqual(before, weights(backbone)) {
		t.Error("nothing was learnt")
	}

	features := embed(context, dataset, backbone)
	if features.Rows() != count || features.Dim != 64 || features.Labels[1] != 1 {
		t.Errorf("%d rows of %d", features.Rows(), features.Dim)
	}
	path := filepath.Join(t.TempDir(), "backbone.safetensors")
	check(t, must(backbone.State()).Save(path))
	if !reflect.DeepEqual(features, embed(context, dataset, must(sslcv.LoadBackbone(context, path)))) {
		t.Error("reloaded, the features are others")
	}
	other := newBackbone(context, 4)
	if reflect.DeepEqual(features, embed(context, dataset, other)) {
		t.Error("another network has the same features")
	}
	report := must(must(other.State()).Load(path))
	if report.Missing != 0 || report.Unexpected != 0 || report.Layout != "sslcv" {
		t.Errorf("%+v", report)
	}
	if !reflect.DeepEqual(features, embed(context, dataset, other)) {
		t.Error("loaded, the features are others")
	}

	probe := must(sslcv.NewKNN(context, 5, 0.1))
	check(t, probe.Fit(features))
	scores, classes, err := probe.Predict(features)
	check(t, err)
	metrics := must(sslcv.Judge(context, scores, classes, features.Labels))
	if metrics.Top1 < 0.75 || metrics.Count != count {
		t.Errorf("%+v", metrics)
	}
}

func TestFailuresSayWhatIsWrong(t *testing.T) {
	context := newContext()
	options := must(sslcv.DefaultInfoNCE())
	options.Temperature = -0.1
	_, err := sslcv.NewInfoNCE(context, options)
	if !errors.Is(err, sslcv.ErrInvalidArgument) || !strings.Contains(err.Error(), "temperature is -0.1") {
		t.Error(err)
	}
	if _, err = sslcv.OpenFolder(context, "/nowhere/at/all", false); !errors.Is(err, sslcv.ErrNotFound) {
		t.Error(err)
	}
	_, err = sslcv.NewMethod(context, "simclear", sslcv.MethodOptions{})
	if err == nil || !strings.Contains(err.Error(), "simclr") {
		t.Error(err)
	}
	if text := must(sslcv.MethodSettings("simclr", "")); !strings.Contains(text, "temperature=0.5") {
		t.Error(text)
	}
	if names := must(sslcv.NewList(context)); sslcv.AddImages(names, make([]uint8, 11), []int64{3, 2, 2}, nil) == nil {
		t.Error("11 values fill 3 x 2 x 2")
	}
	if sslcv.AddImages(must(sslcv.NewList(context)), make([]uint8, 12), []int64{3, 2, 2}, []int64{1, 2}) == nil {
		t.Error("2 labels for an image")
	}
	if _, err = sslcv.OpenFolder(context, "a\x00b", false); err == nil {
		t.Error("a zero byte passed")
	}
	if len(sslcv.Methods()) < 16 || sslcv.Version() == "" {
		t.Error(sslcv.Methods(), sslcv.Version())
	}
	context.Close()
	context.Close()
	if _, err = sslcv.NewList(context); !errors.Is(err, sslcv.ErrInvalidArgument) {
		t.Error("closed, it works: ", err)
	}
}

func TestHookStopsAndRunGoesOn(t *testing.T) {
	context := newContext()
	dataset := pictures(context)
	whole, parts := newBackbone(context, 3), newBackbone(context, 3)
	check(t, simclr(context, dataset, whole).Run(0))

	trainer := simclr(context, dataset, parts)
	enough := errors.New("enough")
	last := int64(0)
	var escaped *sslcv.Running
	check(t, trainer.AddHook(sslcv.EventStep, 1, func(running *sslcv.Running, progress sslcv.Progress) error {
		last, escaped = progress.Step, running
		switch last {
		case 3:
			return enough
		case 5:
			return sslcv.ErrCancelled
		}
		return nil
	}))
	if err := trainer.Run(0); err != enough || last != 3 {
		t.Errorf("stopped after %d by %v", last, err)
	}
	if err := trainer.Run(0); !errors.Is(err, sslcv.ErrCancelled) || last != 5 {
		t.Errorf("stopped after %d by %v", last, err)
	}
	check(t, trainer.Run(0))
	if last != 8 || !reflect.DeepEqual(weights(whole), weights(parts)) {
		t.Error("in parts it learnt something else")
	}
	if _, err := trainer.Step(); !errors.Is(err, sslcv.ErrState) {
		t.Error(err)
	}
	if _, err := escaped.Metrics(); !errors.Is(err, sslcv.ErrInvalidArgument) {
		t.Error("what a hook was given is good after its call: ", err)
	}
}

func TestAnotherGoroutineStopsIt(t *testing.T) {
	context := newContext()
	dataset, backbone := pictures(context), newBackbone(context, 3)
	trainer := simclr(context, dataset, backbone)
	done := make(chan error)
	go func() { done <- context.Cancel(true) }()
	check(t, <-done)
	if _, err := trainer.Step(); !errors.Is(err, sslcv.ErrCancelled) {
		t.Error(err)
	}
	check(t, context.Cancel(false))
	if progress := must(trainer.Step()); progress.Step != 1 {
		t.Errorf("%+v", progress)
	}
}

func panicOf(function func()) (value any) {
	defer func() { value = recover() }()
	function()
	return nil
}

func TestPanicDoesNotPassThroughC(t *testing.T) {
	context := newContext()
	dataset, backbone := pictures(context), newBackbone(context, 3)
	trainer := simclr(context, dataset, backbone)
	check(t, trainer.AddHook(sslcv.EventStep, 1, func(_ *sslcv.Running, progress sslcv.Progress) error {
		if progress.Step == 2 {
			panic("step 2")
		}
		return nil
	}))
	if value := panicOf(func() { _ = trainer.Run(0) }); value != "step 2" {
		t.Errorf("%v", value)
	}
	check(t, trainer.Run(0))

	// Within a hook a call may panic in its turn: it is the same panic at every border.
	trainer = simclr(context, dataset, backbone)
	check(t, trainer.AddHook(sslcv.EventStep, 1, func(*sslcv.Running, sslcv.Progress) error {
		inner := simclr(context, dataset, newBackbone(context, 3))
		must(0, inner.AddHook(sslcv.EventStep, 1, func(*sslcv.Running, sslcv.Progress) error { panic("deep") }))
		_, err := inner.Step()
		return err
	}))
	if value := panicOf(func() { _, _ = trainer.Step() }); value != "deep" {
		t.Errorf("%v", value)
	}
}

func logInto(told *struct{ lines []string }, loud *bool) func(int, string) {
	return func(level int, line string) {
		told.lines = append(told.lines, line)
		if *loud {
			panic("in the log")
		}
	}
}

func TestLog(t *testing.T) {
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, "broken.png"), []byte("no picture"), 0o600))
	picture := append([]byte("P6 16 16 255\n"), make([]byte, 768)...)
	check(t, os.WriteFile(filepath.Join(folder, "fine.ppm"), picture, 0o600))
	told := &struct{ lines []string }{}
	loud := false
	options := sslcv.DefaultContext()
	options.Threads = 1
	options.Log = logInto(told, &loud)
	context := must(sslcv.NewContext(options))
	dataset, backbone := must(sslcv.OpenFolder(context, folder, false)), newBackbone(context, 3)
	augmenter := must(sslcv.NewAugmenter(context))
	views := must(augmenter.AddPreset("eval-cifar", side))
	fresh := must(sslcv.OpenFolder(context, folder, false))
	context.Close() // the others hold it, and its log
	context = nil
	runtime.GC()
	runtime.GC()
	branch := sslcv.Branch{Views: views, Backbone: backbone}
	embedding := sslcv.Embedding{Dataset: dataset, Augmenter: augmenter, Branch: branch}
	must(sslcv.Embed(embedding))
	if !strings.Contains(strings.Join(told.lines, "\n"), "broken.png") {
		t.Errorf("%q", told.lines)
	}
	loud = true
	embedding.Dataset = fresh
	if value := panicOf(func() { _, _ = sslcv.Embed(embedding) }); value != "in the log" {
		t.Errorf("%v", value)
	}
	loud = false
	if features := must(sslcv.Embed(embedding)); features.Rows() != 2 || features.Labels[0] != -1 {
		t.Errorf("%v", features.Labels)
	}
	subset := must(fresh.Subset([]int64{1}))
	if info := must(subset.Info()); info.Count != 1 {
		t.Errorf("%+v", info)
	}
	dropped := make(chan bool, 1)
	runtime.SetFinalizer(told, func(any) { dropped <- true })
	told = nil
	for _, handle := range []interface{ Close() }{dataset, fresh, subset, augmenter, backbone} {
		handle.Close()
	}
	options.Log = nil
	waitFor(t, dropped, "the log outlives its context")
}

// Collects until it happens.
func waitFor(t *testing.T, happens chan bool, otherwise string) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		runtime.GC() // handles are given back first, then what they kept
		select {
		case <-happens:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error(otherwise)
}

func TestCollector(t *testing.T) {
	dropped := make(chan bool, 1)
	func() {
		context := newContext()
		trainer := simclr(context, pictures(context), newBackbone(context, 3))
		told := &struct{ steps int }{}
		runtime.SetFinalizer(told, func(any) { dropped <- true })
		check(t, trainer.AddHook(sslcv.EventStep, 1, func(*sslcv.Running, sslcv.Progress) error {
			told.steps++
			return nil
		}))
		if _, err := trainer.Step(); err != nil || told.steps != 1 {
			t.Error(err, told.steps)
		}
	}()
	waitFor(t, dropped, "the hook outlives its trainer")
}

func TestCollectorDuringCalls(t *testing.T) {
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	context := newContext()
	for i := 0; i < 3; i++ {
		dataset, backbone := pictures(context), newBackbone(context, 3)
		must(0, simclr(context, dataset, backbone).Run(2))
		embed(context, dataset, backbone)
	}
	stop <- true
}

func TestByHand(t *testing.T) {
	context := newContext()
	dataset, backbone := pictures(context), newBackbone(context, 3)
	mlp := must(sslcv.DefaultMLP())
	mlp.InDim, mlp.OutDim = must(backbone.Info()).FeatureDim, 16
	head := must(sslcv.NewMLP(context, mlp))
	nce := must(sslcv.DefaultInfoNCE())
	nce.Temperature = 0.5
	loss := must(sslcv.NewInfoNCE(context, nce))
	optimizer := must(sslcv.NewOptimizer(context, must(sslcv.DefaultOptimizer(sslcv.SGD))))
	check(t, optimizer.Add(must(backbone.State()), sslcv.RoleParameters))
	check(t, optimizer.Add(must(head.State()), sslcv.RoleParameters))
	augmenter := must(sslcv.NewAugmenter(context))
	views := must(augmenter.AddPreset("simclr-cifar", side))
	trainer := must(sslcv.NewTrainer(context, sslcv.TrainerOptions{Dataset: dataset, Augmenter: augmenter,
		Optimizer: optimizer, LearningRate: must(sslcv.NewSchedule(sslcv.Cosine, 0.05)), BatchSize: 16, Epochs: 1}))
	branch := must(trainer.AddBranch(sslcv.Branch{Views: views, Backbone: backbone, Heads: []*sslcv.Head{head}}))
	must(trainer.AddLoss(loss, []int64{branch}, 1))
	check(t, trainer.Run(0))
	if !reflect.DeepEqual(weights(backbone), weights(must(trainer.Backbone(branch, false)))) {
		t.Error("the trainer has another backbone")
	}

	state := must(backbone.State())
	entries := must(state.Entries())
	if entries[0].Name != "conv1.weight" || !reflect.DeepEqual(entries[0].Shape, []int64{8, 3, 3, 3}) {
		t.Errorf("%+v", entries[0])
	}
	first := must(state.Get(0, entries[0].Shape))
	if !reflect.DeepEqual(first, weights(backbone)[:len(first)]) {
		t.Error("one by one the weights are others")
	}
	first[0] = 0.25
	check(t, state.Set(0, first, entries[0].Shape))
	if weights(backbone)[0] != 0.25 {
		t.Error("not set")
	}
	pixels, size, err := dataset.Read(0)
	if err != nil || len(pixels) != 768 || !reflect.DeepEqual(size, []int64{3, 16, 16}) {
		t.Error(size, err)
	}
}

func TestGradientIsThatOfItsValue(t *testing.T) {
	context := newContext()
	loss := must(sslcv.NewInfoNCE(context, must(sslcv.DefaultInfoNCE())))
	z := make([]float32, 16)
	for i := range z {
		z[i] = (float32(i*37%17) - 8) / 5
	}
	shape := []int64{2, 4, 2}
	_, gradient, err := loss.Compute(z, shape)
	check(t, err)
	const step = 1e-3
	z[5] += step
	above, _, _ := loss.Compute(z, shape)
	z[5] -= 2 * step
	below, _, _ := loss.Compute(z, shape)
	if slope := (above - below) / (2 * step); math.Abs(slope-float64(gradient[5])) > 1e-2 {
		t.Errorf("slope %v, gradient %v", slope, gradient[5])
	}
}

func TestFolder(t *testing.T) {
	folder := t.TempDir()
	for _, class := range []string{"cat", "dog"} {
		check(t, os.Mkdir(filepath.Join(folder, class), 0o700))
		picture := append([]byte("P6 16 16 255\n"), make([]byte, 768)...)
		check(t, os.WriteFile(filepath.Join(folder, class, "1.ppm"), picture, 0o600))
	}
	dataset := must(sslcv.OpenFolder(newContext(), folder, true))
	name, label, err := dataset.Sample(1)
	if err != nil || name != "dog/1.ppm" || label != 1 {
		t.Error(name, label, err)
	}
	if classes := must(dataset.Classes()); !reflect.DeepEqual(classes, []string{"cat", "dog"}) {
		t.Error(classes)
	}
	if info := must(dataset.Info()); info.Count != 2 || info.NumClasses != 2 {
		t.Errorf("%+v", info)
	}
}
