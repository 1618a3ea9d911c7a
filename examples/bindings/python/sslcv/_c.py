"""ctypes' view of the headers. Written by generate.py; do not edit."""
from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_int64,
                    c_size_t, c_uint64, c_void_p)
from typing import Any, Dict, Tuple

i32, i64, u64, usize, f32, f64 = c_int32, c_int64, c_uint64, c_size_t, c_float, c_double
ptr, text = c_void_p, c_char_p


class Allocator(Structure):
    struct_size: int
    user: Any
    allocate: Any
    deallocate: Any
    destroy: Any


class ContextOptions(Structure):
    struct_size: int
    threads: int
    loader_threads: int
    precision: int
    winograd: int
    seed: int
    allocator: Any
    log: Any
    log_user: Any
    log_level: int
    reserved: int
    tuning_path: Any
    log_destroy: Any


class ContextInfo(Structure):
    struct_size: int
    threads: int
    loader_threads: int
    precision: int
    cancelled: int
    cpu: Any
    bytes: int


class Tensor(Structure):
    data: Any
    shape: Any
    strides: Any
    ndim: int
    dtype: int


class StateEntry(Structure):
    struct_size: int
    name: Any
    shape: Any
    ndim: int
    dtype: int
    role: int
    frozen: int


class Stream(Structure):
    struct_size: int
    user: Any
    read: Any
    write: Any


class SaveOptions(Structure):
    struct_size: int
    dtype: int
    roles: int
    generations: int
    format: int
    prefix: Any
    metadata: Any
    num_metadata: int
    stream: Any


class LoadOptions(Structure):
    struct_size: int
    partial: int
    adapt_input: int
    roles: int
    reserved: int
    prefix: Any
    max_bytes: int
    stream: Any


class LoadReport(Structure):
    struct_size: int
    matched: int
    missing: int
    unexpected: int
    adapted: int
    text: Any
    text_size: int
    text_needed: int
    layout: Any


class TransformCallbacks(Structure):
    struct_size: int
    user: Any
    apply: Any
    destroy: Any
    flags: int
    reserved: int


class Transform(Structure):
    struct_size: int
    kind: int
    interpolation: int
    probability: float
    height: int
    width: int
    rows: int
    columns: int
    padding: int
    first: int
    count: int
    min: float
    max: float
    ratio_min: float
    ratio_max: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    mean: Any
    std: Any
    color_space: int
    placement: int
    shuffle: int
    with_previous: int
    callbacks: Any


class ViewInfo(Structure):
    struct_size: int
    channels: int
    height: int
    width: int
    rows: int
    columns: int


class DatasetCallbacks(Structure):
    struct_size: int
    user: Any
    load: Any
    unload: Any
    get_label: Any
    destroy: Any
    flags: int
    reserved: int


class DatasetOptions(Structure):
    struct_size: int
    kind: int
    part: int
    label_folders: int
    on_error: int
    channels: int
    cache: int
    path: Any
    labels_path: Any
    count: int
    num_classes: int
    max_pixels: int
    max_file_bytes: int
    max_cache_bytes: int
    callbacks: Any
    min_side: int


class DatasetInfo(Structure):
    struct_size: int
    count: int
    num_classes: int
    channels: int
    height: int
    width: int
    failed: int


class Sample(Structure):
    struct_size: int
    name: Any
    label: int


class SplitOptions(Structure):
    struct_size: int
    fraction: float
    per_class: int
    folds: int
    fold: int
    list_path: Any
    seed: int
    balanced: int
    complement: int


class LoaderOptions(Structure):
    struct_size: int
    dataset: Any
    augmenter: Any
    batch_size: int
    prefetch: int
    seed: int
    sampler: int
    drop_last: int


class Batch(Structure):
    struct_size: int
    size: int
    epoch: int
    index: int
    count: int
    ids: Any
    labels: Any


class Pass(Structure):
    struct_size: int
    flags: int
    bn_splits: int
    random: int
    stage: Any


class BackboneOptions(Structure):
    struct_size: int
    architecture: int
    stem: int
    norm: int
    zero_init_residual: int
    project_all: int
    num_stages: int
    preactivation: int
    reserved: int
    channels: int
    stem_channels: int
    image_size: int
    width: float
    norm_epsilon: float
    norm_momentum: float
    seed: int


class BackboneInfo(Structure):
    struct_size: int
    channels: int
    feature_dim: int
    num_parameters: int
    num_stages: int
    frozen_stages: int
    architecture: int
    stem: int
    norm: int
    preactivation: int
    width: float
    stem_channels: int
    image_size: int


class MlpOptions(Structure):
    struct_size: int
    in_dim: int
    hidden_dim: int
    out_dim: int
    dropout: float
    init_std: float
    seed: int
    num_layers: int
    norm: int
    last_norm: int
    activation: int
    bias: int
    last_bias: int
    normalize: int
    reserved: int


class PatchMlpOptions(Structure):
    struct_size: int
    in_dim: int
    num_patches: int
    hidden_dim: int
    patch_dim: int
    out_dim: int
    seed: int
    num_layers: int
    reserved: int


class PrototypesOptions(Structure):
    struct_size: int
    in_dim: int
    out_dim: int
    seed: int


class PixelcnnOptions(Structure):
    struct_size: int
    in_dim: int
    hidden_dim: int
    out_dim: int
    rows: int
    columns: int
    seed: int
    num_layers: int
    directions: int


class CpcV2Options(Structure):
    struct_size: int
    in_dim: int
    hidden_dim: int
    rows: int
    columns: int
    seed: int
    num_blocks: int
    directions: int


class HeadCallbacks(Structure):
    struct_size: int
    user: Any
    forward: Any
    backward: Any
    destroy: Any
    in_dim: int
    out_dim: int
    out_patches: int


class HeadInfo(Structure):
    struct_size: int
    kind: Any
    in_dim: int
    out_dim: int
    num_parameters: int


class LossCall(Structure):
    struct_size: int
    inputs: Any
    diff_inputs: Any
    num_inputs: int
    ids: Any
    labels: Any
    targets: Any
    step: int
    epoch: int
    scale: float
    flags: int
    reserved: int
    value: float


class LossCallbacks(Structure):
    struct_size: int
    user: Any
    compute: Any
    begin_epoch: Any
    destroy: Any
    num_inputs: int
    gradient_inputs: int
    needs_ids: int
    needs_labels: int


class LossInfo(Structure):
    struct_size: int
    kind: Any
    needs_ids: int
    needs_labels: int
    min_inputs: int
    max_inputs: int
    gradient_inputs: int
    bytes: int


class InfoNceOptions(Structure):
    struct_size: int
    temperature: float
    queue_size: int
    dim: int
    seed: int
    reduction: int
    reserved: int


class NceBankOptions(Structure):
    struct_size: int
    num_samples: int
    num_inputs: int
    num_negatives: int
    dim: int
    temperature: float
    bank_momentum: float
    balance: float
    epsilon: float
    seed: int
    pairing: int
    estimator: int
    shared_z: int
    exclude_self: int
    unit_init: int
    bank_dtype: int
    row_weights: Any


class SwappedOptions(Structure):
    struct_size: int
    dim: int
    num_prototypes: int
    code_views: int
    temperature: float
    epsilon: float
    iterations: int
    queue_size: int
    queue_start_epoch: int
    freeze_steps: int
    hard_steps: int
    seed: int


class ClusterOptions(Structure):
    struct_size: int
    num_samples: int
    dim: int
    num_prototypes: int
    num_sets: int
    memory_views: int
    iterations: int
    temperature: float
    seed: int


class CpcOptions(Structure):
    struct_size: int
    dim: int
    context_dim: int
    rows: int
    columns: int
    first_offset: int
    last_offset: int
    num_negatives: int
    target_dim: int
    score_scale: float
    seed: int
    directions: int
    reduction: int


class CosineOptions(Structure):
    struct_size: int
    squared: int
    reduction: int


class BarlowTwinsOptions(Structure):
    struct_size: int
    off_diagonal: float


class VicregOptions(Structure):
    struct_size: int
    weight_invariance: float
    weight_variance: float
    weight_covariance: float


class DinoOptions(Structure):
    struct_size: int
    dim: int
    student_temperature: float
    teacher_temperature: float
    center_momentum: float


class CrossEntropyOptions(Structure):
    struct_size: int
    label_smoothing: float


class BinaryCrossEntropyOptions(Structure):
    struct_size: int
    reduction: int
    reserved: int


class OptimizerOptions(Structure):
    struct_size: int
    kind: int
    nesterov: int
    momentum: float
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    trust: float
    clip_norm: float
    decay_roles: int
    adapt_roles: int
    trust_clip: int
    clip_each: int


class OptimizerGroup(Structure):
    struct_size: int
    rate_scale: float
    weight_decay: float
    momentum: float
    fixed_rate: int
    adapt: int
    freeze_steps: int


class Schedule(Structure):
    struct_size: int
    kind: int
    by_epoch: int
    value: float
    end_value: float
    warmup_start: float
    warmup_epochs: float
    warmup_reaches: int
    num_milestones: int
    gamma: float
    milestones: Any


class Branch(Structure):
    struct_size: int
    source: int
    views: Any
    num_views: int
    backbone: Any
    heads: Any
    num_heads: int
    stage: Any
    flags: int
    bn_splits: int
    grouping: int
    head_grouping: int
    momentum: int
    detach: int


class TrainerOptions(Structure):
    struct_size: int
    dataset: Any
    augmenter: Any
    optimizer: Any
    learning_rate: Any
    weight_decay: Any
    ema_momentum: Any
    checkpoint_path: Any
    batch_size: int
    epochs: int
    steps_per_epoch: int
    prefetch: int
    memory_budget: int
    micro_batch: int
    checkpoint_epochs: int
    checkpoint_seconds: float
    seed: int
    sampler: int
    drop_last: int
    ema_when: int
    ema_random_init: int
    resume: int
    generations: int


class Progress(Structure):
    struct_size: int
    event: int
    reserved: int
    step: int
    num_steps: int
    epoch: int
    num_epochs: int
    loss: float
    learning_rate: float
    embedding_std: float
    images_per_second: float
    seconds: float
    seconds_left: float


class ViewBatch(Structure):
    struct_size: int
    views: Any
    num_views: int
    patches: Any
    ids: Any
    labels: Any
    targets: Any


class Hook(Structure):
    struct_size: int
    user: Any
    call: Any
    destroy: Any
    every: int
    events: int
    reserved: int


class Memory(Structure):
    struct_size: int
    parameters: int
    gradients: int
    optimizer: int
    momentum_copies: int
    losses: int
    activations: int
    scratch: int
    loader: int
    total: int
    micro_batch: int
    recomputed_stages: int


class MethodOptions(Structure):
    struct_size: int
    dataset: Any
    backbones: Any
    num_backbones: int
    augmenter: Any
    preset: Any
    settings: Any
    checkpoint_path: Any
    seed: int
    resume: int
    reserved: int


class EmbedOptions(Structure):
    struct_size: int
    dataset: Any
    augmenter: Any
    branches: Any
    num_branches: int
    batch_size: int
    first: int
    count: int
    seed: int
    epoch: int
    mean_positions: int
    reserved: int


class ProbeOptions(Structure):
    struct_size: int
    kind: int
    standardize: int
    neighbors: int
    temperature: float
    epochs: int
    batch_size: int
    learning_rate: Any
    weight_decay: float
    momentum: float
    seed: int
    c_first: float
    c_last: float
    c_count: int
    validation: float
    iterations: int
    tolerance: float
    first_spread: float
    larc: float
    nesterov: int
    figure: int


class ProbeInfo(Structure):
    struct_size: int
    num_classes: int
    dim: int
    count: int
    c: float
    objective: float
    validation: float
    iterations: int
    converged: int
    reserved: int


class Metrics(Structure):
    struct_size: int
    count: int
    num_classes: int
    top1: float
    top5: float
    mean_per_class: float
    top1_low: float
    top1_high: float


class FigureOptions(Structure):
    struct_size: int
    figure: int
    reserved: int
    k: int
    draws: int
    level: float
    seed: int


class FigureValue(Structure):
    struct_size: int
    count: int
    classes: int
    value: float
    low: float
    high: float


class Spread(Structure):
    struct_size: int
    std: float
    cosine: float
    effective_rank: float


class KmeansOptions(Structure):
    struct_size: int
    clusters: int
    iterations: int
    seed: int
    spherical: int
    warm_start: int


class OnnxOptions(Structure):
    struct_size: int
    height: int
    width: int
    batch: int
    fold_norm: int
    opset: int
    stream: Any

LogFn = CFUNCTYPE(None, ptr, i32, text)
AllocatorAllocateFn = CFUNCTYPE(ptr, ptr, usize, usize)
AllocatorDeallocateFn = CFUNCTYPE(None, ptr, ptr, usize)
AllocatorDestroyFn = CFUNCTYPE(None, ptr)
ContextOptionsLogDestroyFn = CFUNCTYPE(None, ptr)
ReleaseFn = CFUNCTYPE(None, ptr)
StreamReadFn = CFUNCTYPE(i64, ptr, ptr, i64)
StreamWriteFn = CFUNCTYPE(i64, ptr, ptr, i64)
TransformCallbacksApplyFn = CFUNCTYPE(i32, ptr, POINTER(Tensor), POINTER(Tensor), u64)
TransformCallbacksDestroyFn = CFUNCTYPE(None, ptr)
DatasetCallbacksLoadFn = CFUNCTYPE(i32, ptr, i64, POINTER(Tensor))
DatasetCallbacksUnloadFn = CFUNCTYPE(None, ptr, i64, POINTER(Tensor))
DatasetCallbacksGetLabelFn = CFUNCTYPE(i32, ptr, i64, POINTER(i64))
DatasetCallbacksDestroyFn = CFUNCTYPE(None, ptr)
HeadCallbacksForwardFn = CFUNCTYPE(i32, ptr, ptr, POINTER(Tensor), POINTER(Tensor), POINTER(Pass))
HeadCallbacksBackwardFn = CFUNCTYPE(i32, ptr, ptr, POINTER(Tensor), POINTER(Tensor), POINTER(Tensor), POINTER(Tensor),
                                    POINTER(Pass))
HeadCallbacksDestroyFn = CFUNCTYPE(None, ptr)
LossCallbacksComputeFn = CFUNCTYPE(i32, ptr, ptr, POINTER(LossCall))
LossCallbacksBeginEpochFn = CFUNCTYPE(i32, ptr, ptr, i64)
LossCallbacksDestroyFn = CFUNCTYPE(None, ptr)
HookCallFn = CFUNCTYPE(i32, ptr, ptr, POINTER(Progress))
HookDestroyFn = CFUNCTYPE(None, ptr)

Allocator._fields_ = [("struct_size", usize), ("user", ptr), ("allocate", AllocatorAllocateFn),
                      ("deallocate", AllocatorDeallocateFn), ("destroy", AllocatorDestroyFn)]
ContextOptions._fields_ = [("struct_size", usize), ("threads", i32), ("loader_threads", i32), ("precision", i32),
                           ("winograd", i32), ("seed", u64), ("allocator", POINTER(Allocator)), ("log", LogFn),
                           ("log_user", ptr), ("log_level", i32), ("reserved", i32), ("tuning_path", text),
                           ("log_destroy", ContextOptionsLogDestroyFn)]
ContextInfo._fields_ = [("struct_size", usize), ("threads", i32), ("loader_threads", i32), ("precision", i32),
                        ("cancelled", i32), ("cpu", text), ("bytes", i64)]
Tensor._fields_ = [("data", ptr), ("shape", i64 * 8), ("strides", i64 * 8), ("ndim", i32), ("dtype", i32)]
StateEntry._fields_ = [("struct_size", usize), ("name", text), ("shape", i64 * 8), ("ndim", i32), ("dtype", i32),
                       ("role", i32), ("frozen", i32)]
Stream._fields_ = [("struct_size", usize), ("user", ptr), ("read", StreamReadFn), ("write", StreamWriteFn)]
SaveOptions._fields_ = [("struct_size", usize), ("dtype", i32), ("roles", i32), ("generations", i32), ("format", i32),
                        ("prefix", text), ("metadata", POINTER(text)), ("num_metadata", i64),
                        ("stream", POINTER(Stream))]
LoadOptions._fields_ = [("struct_size", usize), ("partial", i32), ("adapt_input", i32), ("roles", i32),
                        ("reserved", i32), ("prefix", text), ("max_bytes", i64), ("stream", POINTER(Stream))]
LoadReport._fields_ = [("struct_size", usize), ("matched", i64), ("missing", i64), ("unexpected", i64),
                       ("adapted", i64), ("text", text), ("text_size", i64), ("text_needed", i64),
                       ("layout", c_char * 32)]
TransformCallbacks._fields_ = [("struct_size", usize), ("user", ptr), ("apply", TransformCallbacksApplyFn),
                               ("destroy", TransformCallbacksDestroyFn), ("flags", i32), ("reserved", i32)]
Transform._fields_ = [("struct_size", usize), ("kind", i32), ("interpolation", i32), ("probability", f64),
                      ("height", i64), ("width", i64), ("rows", i64), ("columns", i64), ("padding", i64),
                      ("first", i64), ("count", i64), ("min", f64), ("max", f64), ("ratio_min", f64),
                      ("ratio_max", f64), ("brightness", f64), ("contrast", f64), ("saturation", f64), ("hue", f64),
                      ("mean", f64 * 16), ("std", f64 * 16), ("color_space", i32), ("placement", i32),
                      ("shuffle", i32), ("with_previous", i32), ("callbacks", POINTER(TransformCallbacks))]
ViewInfo._fields_ = [("struct_size", usize), ("channels", i64), ("height", i64), ("width", i64), ("rows", i64),
                     ("columns", i64)]
DatasetCallbacks._fields_ = [("struct_size", usize), ("user", ptr), ("load", DatasetCallbacksLoadFn),
                             ("unload", DatasetCallbacksUnloadFn), ("get_label", DatasetCallbacksGetLabelFn),
                             ("destroy", DatasetCallbacksDestroyFn), ("flags", i32), ("reserved", i32)]
DatasetOptions._fields_ = [("struct_size", usize), ("kind", i32), ("part", i32), ("label_folders", i32),
                           ("on_error", i32), ("channels", i32), ("cache", i32), ("path", text), ("labels_path", text),
                           ("count", i64), ("num_classes", i64), ("max_pixels", i64), ("max_file_bytes", i64),
                           ("max_cache_bytes", i64), ("callbacks", POINTER(DatasetCallbacks)), ("min_side", i64)]
DatasetInfo._fields_ = [("struct_size", usize), ("count", i64), ("num_classes", i64), ("channels", i64),
                        ("height", i64), ("width", i64), ("failed", i64)]
Sample._fields_ = [("struct_size", usize), ("name", text), ("label", i64)]
SplitOptions._fields_ = [("struct_size", usize), ("fraction", f64), ("per_class", i64), ("folds", i64), ("fold", i64),
                         ("list_path", text), ("seed", u64), ("balanced", i32), ("complement", i32)]
LoaderOptions._fields_ = [("struct_size", usize), ("dataset", ptr), ("augmenter", ptr), ("batch_size", i64),
                          ("prefetch", i64), ("seed", u64), ("sampler", i32), ("drop_last", i32)]
Batch._fields_ = [("struct_size", usize), ("size", i64), ("epoch", i64), ("index", i64), ("count", i64),
                  ("ids", POINTER(i64)), ("labels", POINTER(i64))]
Pass._fields_ = [("struct_size", usize), ("flags", i32), ("bn_splits", i32), ("random", u64), ("stage", text)]
BackboneOptions._fields_ = [("struct_size", usize), ("architecture", i32), ("stem", i32), ("norm", i32),
                            ("zero_init_residual", i32), ("project_all", i32), ("num_stages", i32),
                            ("preactivation", i32), ("reserved", i32), ("channels", i64), ("stem_channels", i64),
                            ("image_size", i64), ("width", f64), ("norm_epsilon", f64), ("norm_momentum", f64),
                            ("seed", u64)]
BackboneInfo._fields_ = [("struct_size", usize), ("channels", i64), ("feature_dim", i64), ("num_parameters", i64),
                         ("num_stages", i32), ("frozen_stages", i32), ("architecture", i32), ("stem", i32),
                         ("norm", i32), ("preactivation", i32), ("width", f64), ("stem_channels", i64),
                         ("image_size", i64)]
MlpOptions._fields_ = [("struct_size", usize), ("in_dim", i64), ("hidden_dim", i64), ("out_dim", i64),
                       ("dropout", f64), ("init_std", f64), ("seed", u64), ("num_layers", i32), ("norm", i32),
                       ("last_norm", i32), ("activation", i32), ("bias", i32), ("last_bias", i32), ("normalize", i32),
                       ("reserved", i32)]
PatchMlpOptions._fields_ = [("struct_size", usize), ("in_dim", i64), ("num_patches", i64), ("hidden_dim", i64),
                            ("patch_dim", i64), ("out_dim", i64), ("seed", u64), ("num_layers", i32),
                            ("reserved", i32)]
PrototypesOptions._fields_ = [("struct_size", usize), ("in_dim", i64), ("out_dim", i64), ("seed", u64)]
PixelcnnOptions._fields_ = [("struct_size", usize), ("in_dim", i64), ("hidden_dim", i64), ("out_dim", i64),
                            ("rows", i64), ("columns", i64), ("seed", u64), ("num_layers", i32), ("directions", i32)]
CpcV2Options._fields_ = [("struct_size", usize), ("in_dim", i64), ("hidden_dim", i64), ("rows", i64), ("columns", i64),
                         ("seed", u64), ("num_blocks", i32), ("directions", i32)]
HeadCallbacks._fields_ = [("struct_size", usize), ("user", ptr), ("forward", HeadCallbacksForwardFn),
                          ("backward", HeadCallbacksBackwardFn), ("destroy", HeadCallbacksDestroyFn), ("in_dim", i64),
                          ("out_dim", i64), ("out_patches", i64)]
HeadInfo._fields_ = [("struct_size", usize), ("kind", text), ("in_dim", i64), ("out_dim", i64),
                     ("num_parameters", i64)]
LossCall._fields_ = [("struct_size", usize), ("inputs", POINTER(Tensor)), ("diff_inputs", POINTER(Tensor)),
                     ("num_inputs", i64), ("ids", POINTER(i64)), ("labels", POINTER(i64)),
                     ("targets", POINTER(Tensor)), ("step", i64), ("epoch", i64), ("scale", f64), ("flags", i32),
                     ("reserved", i32), ("value", f64)]
LossCallbacks._fields_ = [("struct_size", usize), ("user", ptr), ("compute", LossCallbacksComputeFn),
                          ("begin_epoch", LossCallbacksBeginEpochFn), ("destroy", LossCallbacksDestroyFn),
                          ("num_inputs", i64), ("gradient_inputs", u64), ("needs_ids", i32), ("needs_labels", i32)]
LossInfo._fields_ = [("struct_size", usize), ("kind", text), ("needs_ids", i32), ("needs_labels", i32),
                     ("min_inputs", i64), ("max_inputs", i64), ("gradient_inputs", u64), ("bytes", i64)]
InfoNceOptions._fields_ = [("struct_size", usize), ("temperature", f64), ("queue_size", i64), ("dim", i64),
                           ("seed", u64), ("reduction", i32), ("reserved", i32)]
NceBankOptions._fields_ = [("struct_size", usize), ("num_samples", i64), ("num_inputs", i64), ("num_negatives", i64),
                           ("dim", i64), ("temperature", f64), ("bank_momentum", f64), ("balance", f64),
                           ("epsilon", f64), ("seed", u64), ("pairing", i32), ("estimator", i32), ("shared_z", i32),
                           ("exclude_self", i32), ("unit_init", i32), ("bank_dtype", i32),
                           ("row_weights", POINTER(f64))]
SwappedOptions._fields_ = [("struct_size", usize), ("dim", i64), ("num_prototypes", i64), ("code_views", i64),
                           ("temperature", f64), ("epsilon", f64), ("iterations", i64), ("queue_size", i64),
                           ("queue_start_epoch", i64), ("freeze_steps", i64), ("hard_steps", i64), ("seed", u64)]
ClusterOptions._fields_ = [("struct_size", usize), ("num_samples", i64), ("dim", i64), ("num_prototypes", i64),
                           ("num_sets", i64), ("memory_views", i64), ("iterations", i64), ("temperature", f64),
                           ("seed", u64)]
CpcOptions._fields_ = [("struct_size", usize), ("dim", i64), ("context_dim", i64), ("rows", i64), ("columns", i64),
                       ("first_offset", i64), ("last_offset", i64), ("num_negatives", i64), ("target_dim", i64),
                       ("score_scale", f64), ("seed", u64), ("directions", i32), ("reduction", i32)]
CosineOptions._fields_ = [("struct_size", usize), ("squared", i32), ("reduction", i32)]
BarlowTwinsOptions._fields_ = [("struct_size", usize), ("off_diagonal", f64)]
VicregOptions._fields_ = [("struct_size", usize), ("weight_invariance", f64), ("weight_variance", f64),
                          ("weight_covariance", f64)]
DinoOptions._fields_ = [("struct_size", usize), ("dim", i64), ("student_temperature", f64),
                        ("teacher_temperature", f64), ("center_momentum", f64)]
CrossEntropyOptions._fields_ = [("struct_size", usize), ("label_smoothing", f64)]
BinaryCrossEntropyOptions._fields_ = [("struct_size", usize), ("reduction", i32), ("reserved", i32)]
OptimizerOptions._fields_ = [("struct_size", usize), ("kind", i32), ("nesterov", i32), ("momentum", f64),
                             ("weight_decay", f64), ("beta1", f64), ("beta2", f64), ("epsilon", f64), ("trust", f64),
                             ("clip_norm", f64), ("decay_roles", i32), ("adapt_roles", i32), ("trust_clip", i32),
                             ("clip_each", i32)]
OptimizerGroup._fields_ = [("struct_size", usize), ("rate_scale", f64), ("weight_decay", f64), ("momentum", f64),
                           ("fixed_rate", i32), ("adapt", i32), ("freeze_steps", i64)]
Schedule._fields_ = [("struct_size", usize), ("kind", i32), ("by_epoch", i32), ("value", f64), ("end_value", f64),
                     ("warmup_start", f64), ("warmup_epochs", f64), ("warmup_reaches", i32), ("num_milestones", i32),
                     ("gamma", f64), ("milestones", f64 * 8)]
Branch._fields_ = [("struct_size", usize), ("source", i64), ("views", POINTER(i64)), ("num_views", i64),
                   ("backbone", ptr), ("heads", POINTER(ptr)), ("num_heads", i64), ("stage", text), ("flags", i32),
                   ("bn_splits", i32), ("grouping", i32), ("head_grouping", i32), ("momentum", i32), ("detach", i32)]
TrainerOptions._fields_ = [("struct_size", usize), ("dataset", ptr), ("augmenter", ptr), ("optimizer", ptr),
                           ("learning_rate", POINTER(Schedule)), ("weight_decay", POINTER(Schedule)),
                           ("ema_momentum", POINTER(Schedule)), ("checkpoint_path", text), ("batch_size", i64),
                           ("epochs", i64), ("steps_per_epoch", i64), ("prefetch", i64), ("memory_budget", i64),
                           ("micro_batch", i64), ("checkpoint_epochs", i64), ("checkpoint_seconds", f64),
                           ("seed", u64), ("sampler", i32), ("drop_last", i32), ("ema_when", i32),
                           ("ema_random_init", i32), ("resume", i32), ("generations", i32)]
Progress._fields_ = [("struct_size", usize), ("event", i32), ("reserved", i32), ("step", i64), ("num_steps", i64),
                     ("epoch", i64), ("num_epochs", i64), ("loss", f64), ("learning_rate", f64),
                     ("embedding_std", f64), ("images_per_second", f64), ("seconds", f64), ("seconds_left", f64)]
ViewBatch._fields_ = [("struct_size", usize), ("views", POINTER(Tensor)), ("num_views", i64),
                      ("patches", POINTER(i64)), ("ids", POINTER(i64)), ("labels", POINTER(i64)),
                      ("targets", POINTER(Tensor))]
Hook._fields_ = [("struct_size", usize), ("user", ptr), ("call", HookCallFn), ("destroy", HookDestroyFn),
                 ("every", i64), ("events", i32), ("reserved", i32)]
Memory._fields_ = [("struct_size", usize), ("parameters", i64), ("gradients", i64), ("optimizer", i64),
                   ("momentum_copies", i64), ("losses", i64), ("activations", i64), ("scratch", i64), ("loader", i64),
                   ("total", i64), ("micro_batch", i64), ("recomputed_stages", i64)]
MethodOptions._fields_ = [("struct_size", usize), ("dataset", ptr), ("backbones", POINTER(ptr)),
                          ("num_backbones", i64), ("augmenter", ptr), ("preset", text), ("settings", text),
                          ("checkpoint_path", text), ("seed", u64), ("resume", i32), ("reserved", i32)]
EmbedOptions._fields_ = [("struct_size", usize), ("dataset", ptr), ("augmenter", ptr),
                         ("branches", POINTER(POINTER(Branch))), ("num_branches", i64), ("batch_size", i64),
                         ("first", i64), ("count", i64), ("seed", u64), ("epoch", i64), ("mean_positions", i32),
                         ("reserved", i32)]
ProbeOptions._fields_ = [("struct_size", usize), ("kind", i32), ("standardize", i32), ("neighbors", i64),
                         ("temperature", f64), ("epochs", i64), ("batch_size", i64),
                         ("learning_rate", POINTER(Schedule)), ("weight_decay", f64), ("momentum", f64), ("seed", u64),
                         ("c_first", f64), ("c_last", f64), ("c_count", i64), ("validation", f64), ("iterations", i64),
                         ("tolerance", f64), ("first_spread", f64), ("larc", f64), ("nesterov", i32), ("figure", i32)]
ProbeInfo._fields_ = [("struct_size", usize), ("num_classes", i64), ("dim", i64), ("count", i64), ("c", f64),
                      ("objective", f64), ("validation", f64), ("iterations", i64), ("converged", i32),
                      ("reserved", i32)]
Metrics._fields_ = [("struct_size", usize), ("count", i64), ("num_classes", i64), ("top1", f64), ("top5", f64),
                    ("mean_per_class", f64), ("top1_low", f64), ("top1_high", f64)]
FigureOptions._fields_ = [("struct_size", usize), ("figure", i32), ("reserved", i32), ("k", i64), ("draws", i64),
                          ("level", f64), ("seed", u64)]
FigureValue._fields_ = [("struct_size", usize), ("count", i64), ("classes", i64), ("value", f64), ("low", f64),
                        ("high", f64)]
Spread._fields_ = [("struct_size", usize), ("std", f64), ("cosine", f64), ("effective_rank", f64)]
KmeansOptions._fields_ = [("struct_size", usize), ("clusters", i64), ("iterations", i64), ("seed", u64),
                          ("spherical", i32), ("warm_start", i32)]
OnnxOptions._fields_ = [("struct_size", usize), ("height", i64), ("width", i64), ("batch", i64), ("fold_norm", i32),
                        ("opset", i32), ("stream", POINTER(Stream))]

# name: (result, arguments)
PROTOTYPES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {
    "sslcv_augmenter_add_preset": (i32, (ptr, text, i64, POINTER(i64), POINTER(i64))),
    "sslcv_augmenter_add_transform": (i32, (ptr, i64, POINTER(Transform))),
    "sslcv_augmenter_add_view": (i32, (ptr, i64, POINTER(i64))),
    "sslcv_augmenter_apply": (i32, (ptr, POINTER(Tensor), u64, i64, i64, i64, POINTER(Tensor))),
    "sslcv_augmenter_create": (i32, (ptr, POINTER(ptr))),
    "sslcv_augmenter_destroy": (None, (ptr,)),
    "sslcv_augmenter_get_view": (i32, (ptr, i64, POINTER(ViewInfo))),
    "sslcv_backbone_clone": (i32, (ptr, POINTER(ptr))),
    "sslcv_backbone_create": (i32, (ptr, POINTER(BackboneOptions), POINTER(ptr))),
    "sslcv_backbone_destroy": (None, (ptr,)),
    "sslcv_backbone_forward": (i32, (ptr, POINTER(Tensor), POINTER(Pass), ptr)),
    "sslcv_backbone_freeze": (i32, (ptr, i32)),
    "sslcv_backbone_get_info": (i32, (ptr, POINTER(BackboneInfo))),
    "sslcv_backbone_get_stage": (i32, (ptr, i64, POINTER(text), POINTER(i64))),
    "sslcv_backbone_get_state": (i32, (ptr, POINTER(ptr))),
    "sslcv_backbone_load": (i32, (ptr, text, POINTER(LoadOptions), POINTER(ptr))),
    "sslcv_backbone_options_init": (i32, (POINTER(BackboneOptions), usize, i32)),
    "sslcv_barlow_twins_options_init": (i32, (POINTER(BarlowTwinsOptions), usize)),
    "sslcv_binary_cross_entropy_options_init": (i32, (POINTER(BinaryCrossEntropyOptions), usize)),
    "sslcv_branch_init": (i32, (POINTER(Branch), usize)),
    "sslcv_build_info": (text, ()),
    "sslcv_classifier_evaluate": (i32, (POINTER(EmbedOptions), POINTER(Metrics))),
    "sslcv_classifier_watch": (i32, (ptr, text, POINTER(EmbedOptions), i64)),
    "sslcv_cluster_options_init": (i32, (POINTER(ClusterOptions), usize)),
    "sslcv_context_cancel": (i32, (ptr, i32)),
    "sslcv_context_create": (i32, (POINTER(ContextOptions), POINTER(ptr))),
    "sslcv_context_destroy": (None, (ptr,)),
    "sslcv_context_get_info": (i32, (ptr, POINTER(ContextInfo))),
    "sslcv_context_options_init": (i32, (POINTER(ContextOptions), usize)),
    "sslcv_cosine_options_init": (i32, (POINTER(CosineOptions), usize)),
    "sslcv_cpc_options_init": (i32, (POINTER(CpcOptions), usize)),
    "sslcv_cpc_v2_options_init": (i32, (POINTER(CpcV2Options), usize)),
    "sslcv_cross_entropy_options_init": (i32, (POINTER(CrossEntropyOptions), usize)),
    "sslcv_dataset_add_file": (i32, (ptr, text, ptr, i64, i64, POINTER(i64))),
    "sslcv_dataset_add_images": (i32, (ptr, POINTER(Tensor), POINTER(i64), POINTER(i64))),
    "sslcv_dataset_create": (i32, (ptr, POINTER(DatasetOptions), POINTER(ptr))),
    "sslcv_dataset_destroy": (None, (ptr,)),
    "sslcv_dataset_get_class": (i32, (ptr, i64, POINTER(text))),
    "sslcv_dataset_get_info": (i32, (ptr, POINTER(DatasetInfo))),
    "sslcv_dataset_get_sample": (i32, (ptr, i64, POINTER(Sample))),
    "sslcv_dataset_options_init": (i32, (POINTER(DatasetOptions), usize, i32)),
    "sslcv_dataset_read": (i32, (ptr, i64, POINTER(Tensor))),
    "sslcv_dataset_save_list": (i32, (ptr, POINTER(i64), i64, text)),
    "sslcv_dataset_split": (i32, (ptr, POINTER(SplitOptions), POINTER(i64), i64, POINTER(i64))),
    "sslcv_dataset_subset": (i32, (ptr, POINTER(i64), i64, POINTER(ptr))),
    "sslcv_dino_options_init": (i32, (POINTER(DinoOptions), usize)),
    "sslcv_dtype_size": (i64, (i32,)),
    "sslcv_embed": (i32, (POINTER(EmbedOptions), POINTER(Tensor), POINTER(i64))),
    "sslcv_embed_options_init": (i32, (POINTER(EmbedOptions), usize)),
    "sslcv_embed_to_file": (i32, (POINTER(EmbedOptions), text, text)),
    "sslcv_figure_compute": (i32, (ptr, POINTER(Tensor), POINTER(i64), POINTER(Tensor), POINTER(FigureOptions),
                                   POINTER(FigureValue), POINTER(f64))),
    "sslcv_figure_options_init": (i32, (POINTER(FigureOptions), usize, i32)),
    "sslcv_head_callbacks_init": (i32, (POINTER(HeadCallbacks), usize)),
    "sslcv_head_clone": (i32, (ptr, POINTER(ptr))),
    "sslcv_head_create_cpc_v2": (i32, (ptr, POINTER(CpcV2Options), POINTER(ptr))),
    "sslcv_head_create_custom": (i32, (ptr, POINTER(HeadCallbacks), POINTER(ptr))),
    "sslcv_head_create_mlp": (i32, (ptr, POINTER(MlpOptions), POINTER(ptr))),
    "sslcv_head_create_patch_mlp": (i32, (ptr, POINTER(PatchMlpOptions), POINTER(ptr))),
    "sslcv_head_create_pixelcnn": (i32, (ptr, POINTER(PixelcnnOptions), POINTER(ptr))),
    "sslcv_head_create_prototypes": (i32, (ptr, POINTER(PrototypesOptions), POINTER(ptr))),
    "sslcv_head_destroy": (None, (ptr,)),
    "sslcv_head_forward": (i32, (ptr, POINTER(Tensor), POINTER(Pass), ptr)),
    "sslcv_head_get_info": (i32, (ptr, POINTER(HeadInfo))),
    "sslcv_head_get_state": (i32, (ptr, POINTER(ptr))),
    "sslcv_head_reset": (i32, (ptr, u64)),
    "sslcv_hook_init": (i32, (POINTER(Hook), usize)),
    "sslcv_info_nce_options_init": (i32, (POINTER(InfoNceOptions), usize)),
    "sslcv_kmeans": (i32, (ptr, POINTER(Tensor), POINTER(KmeansOptions), POINTER(Tensor), POINTER(i64), POINTER(f64))),
    "sslcv_kmeans_options_init": (i32, (POINTER(KmeansOptions), usize)),
    "sslcv_last_error": (text, ()),
    "sslcv_last_error_copy": (usize, (text, usize)),
    "sslcv_load_options_init": (i32, (POINTER(LoadOptions), usize)),
    "sslcv_loader_create": (i32, (ptr, POINTER(LoaderOptions), POINTER(ptr))),
    "sslcv_loader_destroy": (None, (ptr,)),
    "sslcv_loader_get_views": (i32, (ptr, POINTER(i64), i64, POINTER(Tensor))),
    "sslcv_loader_next": (i32, (ptr, POINTER(Batch))),
    "sslcv_loader_options_init": (i32, (POINTER(LoaderOptions), usize)),
    "sslcv_loader_seek": (i32, (ptr, i64, i64)),
    "sslcv_loss_begin_epoch": (i32, (ptr, i64)),
    "sslcv_loss_call_init": (i32, (POINTER(LossCall), usize)),
    "sslcv_loss_callbacks_init": (i32, (POINTER(LossCallbacks), usize)),
    "sslcv_loss_compute": (i32, (ptr, POINTER(LossCall))),
    "sslcv_loss_create_barlow_twins": (i32, (ptr, POINTER(BarlowTwinsOptions), POINTER(ptr))),
    "sslcv_loss_create_binary_cross_entropy": (i32, (ptr, POINTER(BinaryCrossEntropyOptions), POINTER(ptr))),
    "sslcv_loss_create_cluster": (i32, (ptr, POINTER(ClusterOptions), POINTER(ptr))),
    "sslcv_loss_create_cosine": (i32, (ptr, POINTER(CosineOptions), POINTER(ptr))),
    "sslcv_loss_create_cpc": (i32, (ptr, POINTER(CpcOptions), POINTER(ptr))),
    "sslcv_loss_create_cross_entropy": (i32, (ptr, POINTER(CrossEntropyOptions), POINTER(ptr))),
    "sslcv_loss_create_custom": (i32, (ptr, POINTER(LossCallbacks), POINTER(ptr))),
    "sslcv_loss_create_dino": (i32, (ptr, POINTER(DinoOptions), POINTER(ptr))),
    "sslcv_loss_create_info_nce": (i32, (ptr, POINTER(InfoNceOptions), POINTER(ptr))),
    "sslcv_loss_create_nce_bank": (i32, (ptr, POINTER(NceBankOptions), POINTER(ptr))),
    "sslcv_loss_create_swapped": (i32, (ptr, POINTER(SwappedOptions), POINTER(ptr))),
    "sslcv_loss_create_vicreg": (i32, (ptr, POINTER(VicregOptions), POINTER(ptr))),
    "sslcv_loss_destroy": (None, (ptr,)),
    "sslcv_loss_get_info": (i32, (ptr, POINTER(LossInfo))),
    "sslcv_loss_get_metric": (i32, (ptr, i64, POINTER(text), POINTER(f64))),
    "sslcv_loss_get_state": (i32, (ptr, POINTER(ptr))),
    "sslcv_loss_set": (i32, (ptr, text, f64)),
    "sslcv_method_create": (i32, (ptr, text, POINTER(MethodOptions), POINTER(ptr))),
    "sslcv_method_name": (text, (i64,)),
    "sslcv_method_options_init": (i32, (POINTER(MethodOptions), usize)),
    "sslcv_method_settings": (i32, (text, text, text, i64, POINTER(i64))),
    "sslcv_metrics_compute": (i32, (ptr, POINTER(Tensor), POINTER(i64), POINTER(Metrics), POINTER(i64))),
    "sslcv_mlp_options_init": (i32, (POINTER(MlpOptions), usize)),
    "sslcv_nce_bank_options_init": (i32, (POINTER(NceBankOptions), usize)),
    "sslcv_nearest": (i32, (ptr, POINTER(Tensor), POINTER(Tensor), i64, POINTER(i64), POINTER(f32))),
    "sslcv_nmi": (i32, (ptr, POINTER(i64), POINTER(i64), i64, POINTER(f64))),
    "sslcv_onnx_options_init": (i32, (POINTER(OnnxOptions), usize)),
    "sslcv_onnx_save": (i32, (POINTER(Branch), text, POINTER(OnnxOptions))),
    "sslcv_optimizer_add": (i32, (ptr, ptr, i32, POINTER(OptimizerGroup))),
    "sslcv_optimizer_create": (i32, (ptr, POINTER(OptimizerOptions), POINTER(ptr))),
    "sslcv_optimizer_destroy": (None, (ptr,)),
    "sslcv_optimizer_get_state": (i32, (ptr, POINTER(ptr))),
    "sslcv_optimizer_group_init": (i32, (POINTER(OptimizerGroup), usize)),
    "sslcv_optimizer_options_init": (i32, (POINTER(OptimizerOptions), usize, i32)),
    "sslcv_optimizer_step": (i32, (ptr, f64, f64)),
    "sslcv_pass_init": (i32, (POINTER(Pass), usize)),
    "sslcv_patch_mlp_options_init": (i32, (POINTER(PatchMlpOptions), usize)),
    "sslcv_pca_whiten": (i32, (ptr, POINTER(Tensor), i32, POINTER(Tensor))),
    "sslcv_pixelcnn_options_init": (i32, (POINTER(PixelcnnOptions), usize)),
    "sslcv_probe_create": (i32, (ptr, POINTER(ProbeOptions), POINTER(ptr))),
    "sslcv_probe_destroy": (None, (ptr,)),
    "sslcv_probe_evaluate": (i32, (ptr, POINTER(EmbedOptions), POINTER(EmbedOptions), POINTER(Metrics))),
    "sslcv_probe_fit": (i32, (ptr, POINTER(Tensor), POINTER(i64))),
    "sslcv_probe_fit_rows": (i32, (ptr, POINTER(Tensor), POINTER(i64), POINTER(Tensor), POINTER(i64), i64)),
    "sslcv_probe_get_info": (i32, (ptr, POINTER(ProbeInfo))),
    "sslcv_probe_options_init": (i32, (POINTER(ProbeOptions), usize, i32)),
    "sslcv_probe_options_preset": (i32, (POINTER(ProbeOptions), usize, POINTER(Schedule), text)),
    "sslcv_probe_predict": (i32, (ptr, POINTER(Tensor), POINTER(Tensor))),
    "sslcv_probe_watch": (i32, (ptr, ptr, text, POINTER(EmbedOptions), POINTER(EmbedOptions), i64)),
    "sslcv_prototypes_options_init": (i32, (POINTER(PrototypesOptions), usize)),
    "sslcv_retain": (i32, (ptr,)),
    "sslcv_save_options_init": (i32, (POINTER(SaveOptions), usize)),
    "sslcv_scalars_add": (i32, (ptr, i64, text, f64)),
    "sslcv_scalars_destroy": (None, (ptr,)),
    "sslcv_scalars_open": (i32, (ptr, i32, text, POINTER(ptr))),
    "sslcv_scalars_watch": (i32, (ptr, ptr, i64)),
    "sslcv_schedule_init": (i32, (POINTER(Schedule), usize, i32, f64)),
    "sslcv_schedule_value": (i32, (POINTER(Schedule), i64, i64, i64, POINTER(f64))),
    "sslcv_split_options_init": (i32, (POINTER(SplitOptions), usize)),
    "sslcv_spread_compute": (i32, (ptr, POINTER(Tensor), POINTER(Spread))),
    "sslcv_state_add": (i32, (ptr, POINTER(StateEntry), POINTER(i64))),
    "sslcv_state_create": (i32, (ptr, POINTER(ptr))),
    "sslcv_state_data": (i32, (ptr, i64, i32, POINTER(Tensor))),
    "sslcv_state_destroy": (None, (ptr,)),
    "sslcv_state_find": (i32, (ptr, text, POINTER(i64))),
    "sslcv_state_freeze": (i32, (ptr, text, i32)),
    "sslcv_state_get": (i32, (ptr, i64, i32, POINTER(Tensor))),
    "sslcv_state_get_entry": (i32, (ptr, i64, POINTER(StateEntry))),
    "sslcv_state_get_flat": (i32, (ptr, i32, POINTER(f32), i64, POINTER(i64))),
    "sslcv_state_lerp": (i32, (ptr, ptr, f64, i32)),
    "sslcv_state_load": (i32, (ptr, text, POINTER(LoadOptions), POINTER(LoadReport))),
    "sslcv_state_open": (i32, (ptr, text, POINTER(LoadOptions), POINTER(ptr))),
    "sslcv_state_save": (i32, (ptr, text, POINTER(SaveOptions))),
    "sslcv_state_set": (i32, (ptr, i64, i32, POINTER(Tensor))),
    "sslcv_state_set_flat": (i32, (ptr, i32, POINTER(f32), i64)),
    "sslcv_status_string": (text, (i32,)),
    "sslcv_swapped_options_init": (i32, (POINTER(SwappedOptions), usize)),
    "sslcv_tape_backward": (i32, (ptr, POINTER(Tensor))),
    "sslcv_tape_create": (i32, (ptr, POINTER(ptr))),
    "sslcv_tape_destroy": (None, (ptr,)),
    "sslcv_tape_diff_input": (i32, (ptr, POINTER(Tensor))),
    "sslcv_tape_output": (i32, (ptr, POINTER(Tensor))),
    "sslcv_tensor_from_dlpack": (i32, (ptr, i32, POINTER(Tensor))),
    "sslcv_tensor_init": (i32, (POINTER(Tensor), i32, ptr, i32, POINTER(i64))),
    "sslcv_tensor_init_pixels": (i32, (POINTER(Tensor), i32, ptr, i64, i64, i64, i64, i32)),
    "sslcv_tensor_to_dlpack": (i32, (POINTER(Tensor), ptr, ReleaseFn, i32, POINTER(ptr))),
    "sslcv_trainer_add_branch": (i32, (ptr, POINTER(Branch), POINTER(i64))),
    "sslcv_trainer_add_hook": (i32, (ptr, POINTER(Hook))),
    "sslcv_trainer_add_loss": (i32, (ptr, ptr, POINTER(i64), i64, f64, POINTER(i64))),
    "sslcv_trainer_create": (i32, (ptr, POINTER(TrainerOptions), POINTER(ptr))),
    "sslcv_trainer_describe": (i32, (ptr, text, i64, POINTER(i64))),
    "sslcv_trainer_destroy": (None, (ptr,)),
    "sslcv_trainer_get_backbone": (i32, (ptr, i64, i32, POINTER(ptr))),
    "sslcv_trainer_get_head": (i32, (ptr, i64, i64, i32, POINTER(ptr))),
    "sslcv_trainer_get_loss": (i32, (ptr, i64, POINTER(ptr))),
    "sslcv_trainer_get_memory": (i32, (ptr, POINTER(Memory))),
    "sslcv_trainer_get_metric": (i32, (ptr, i64, POINTER(text), POINTER(f64))),
    "sslcv_trainer_get_state": (i32, (ptr, POINTER(ptr))),
    "sslcv_trainer_keep_best": (i32, (ptr, text, i32)),
    "sslcv_trainer_options_init": (i32, (POINTER(TrainerOptions), usize)),
    "sslcv_trainer_run": (i32, (ptr, i64)),
    "sslcv_trainer_set_labels": (i32, (ptr, POINTER(i64), i64)),
    "sslcv_trainer_set_loss": (i32, (ptr, i64, ptr)),
    "sslcv_trainer_set_metric": (i32, (ptr, text, f64)),
    "sslcv_trainer_step": (i32, (ptr, POINTER(Progress))),
    "sslcv_trainer_step_views": (i32, (ptr, POINTER(ViewBatch), POINTER(Progress))),
    "sslcv_trainer_take_best": (i32, (ptr, POINTER(f64), POINTER(i64))),
    "sslcv_transform_init": (i32, (POINTER(Transform), usize, i32)),
    "sslcv_version": (i32, ()),
    "sslcv_version_string": (text, ()),
    "sslcv_vicreg_options_init": (i32, (POINTER(VicregOptions), usize)),
    "sslcv_view_batch_init": (i32, (POINTER(ViewBatch), usize)),
}
