package sslcv

// #include "bridge.h"
import "C"

import "reflect"

// Structs of plain numbers have C's own layout, field by field, and are handed to C as they are. The headers say what
// the fields mean. layout_test.go compares them.

// BackboneOptions are filled by DefaultBackbone.
type BackboneOptions struct {
	structSize       uint64
	Architecture     int32
	Stem             int32
	Norm             int32
	ZeroInitResidual int32
	ProjectAll       int32
	NumStages        int32
	Preactivation    int32
	reserved         int32
	Channels         int64
	StemChannels     int64
	ImageSize        int64
	Width            float64
	NormEpsilon      float64
	NormMomentum     float64
	Seed             uint64
}

// BackboneInfo describes a backbone.
type BackboneInfo struct {
	structSize    uint64
	Channels      int64
	FeatureDim    int64
	NumParameters int64
	NumStages     int32
	FrozenStages  int32
	Architecture  int32
	Stem          int32
	Norm          int32
	Preactivation int32
	Width         float64
	StemChannels  int64
	ImageSize     int64
}

// MLPOptions are filled by DefaultMLP.
type MLPOptions struct {
	structSize uint64
	InDim      int64
	HiddenDim  int64
	OutDim     int64
	Dropout    float64
	InitStd    float64
	Seed       uint64
	NumLayers  int32
	Norm       int32
	LastNorm   int32
	Activation int32
	Bias       int32
	LastBias   int32
	Normalize  int32
	reserved   int32
}

// InfoNCEOptions are filled by DefaultInfoNCE.
type InfoNCEOptions struct {
	structSize  uint64
	Temperature float64
	QueueSize   int64
	Dim         int64
	Seed        uint64
	Reduction   int32
	reserved    int32
}

// OptimizerOptions are filled by DefaultOptimizer.
type OptimizerOptions struct {
	structSize  uint64
	Kind        int32
	Nesterov    int32
	Momentum    float64
	WeightDecay float64
	Beta1       float64
	Beta2       float64
	Epsilon     float64
	Trust       float64
	ClipNorm    float64
	DecayRoles  int32
	AdaptRoles  int32
	TrustClip   int32
	ClipEach    int32
}

// Schedule is filled by NewSchedule.
type Schedule struct {
	structSize    uint64
	Kind          int32
	ByEpoch       int32
	Value         float64
	EndValue      float64
	WarmupStart   float64
	WarmupEpochs  float64
	WarmupReaches int32
	NumMilestones int32
	Gamma         float64
	Milestones    [8]float64
}

// Progress is what a hook is told, and what a step gives.
type Progress struct {
	structSize      uint64
	Event           int32
	reserved        int32
	Step            int64
	NumSteps        int64
	Epoch           int64
	NumEpochs       int64
	Loss            float64
	LearningRate    float64
	EmbeddingStd    float64
	ImagesPerSecond float64
	Seconds         float64
	SecondsLeft     float64
}

// DatasetInfo describes a data set.
type DatasetInfo struct {
	structSize uint64
	Count      int64
	NumClasses int64
	Channels   int64
	Height     int64
	Width      int64
	Failed     int64
}

// Metrics judge a classifier.
type Metrics struct {
	structSize   uint64
	Count        int64
	NumClasses   int64
	Top1         float64
	Top5         float64
	MeanPerClass float64
	Top1Low      float64
	Top1High     float64
}

func layouts() [][2]reflect.Type {
	pair := func(ours, theirs any) [2]reflect.Type {
		return [2]reflect.Type{reflect.TypeOf(ours), reflect.TypeOf(theirs)}
	}
	return [][2]reflect.Type{
		pair(BackboneOptions{}, C.sslcv_backbone_options{}),
		pair(BackboneInfo{}, C.sslcv_backbone_info{}),
		pair(MLPOptions{}, C.sslcv_mlp_options{}),
		pair(InfoNCEOptions{}, C.sslcv_info_nce_options{}),
		pair(OptimizerOptions{}, C.sslcv_optimizer_options{}),
		pair(Schedule{}, C.sslcv_schedule{}),
		pair(Progress{}, C.sslcv_progress{}),
		pair(DatasetInfo{}, C.sslcv_dataset_info{}),
		pair(Metrics{}, C.sslcv_metrics{}),
	}
}
