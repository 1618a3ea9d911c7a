"""Enumerations, options, results; the headers explain them. Written by generate.py; do not edit."""
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from os import PathLike
from typing import TYPE_CHECKING, Optional, Sequence, TypedDict, Union

if TYPE_CHECKING:
    from .data import Augmenter, Dataset
    from .networks import Backbone, Head
    from .training import Branch, Optimizer, Schedule

MAX_DIMS = 8
SOURCE_IMAGE = -1
MAX_CHANNELS = 16
CALLBACK_ANY_THREAD = 1
MAX_MILESTONES = 8
SOURCE_VIEWS = -1


class StatusCode(IntEnum):
    OK = 0
    ERR_INVALID_ARGUMENT = -1
    ERR_OUT_OF_MEMORY = -2
    ERR_IO = -3
    ERR_FORMAT = -4
    ERR_UNSUPPORTED = -5
    ERR_STATE = -6
    ERR_LIMIT = -7
    ERR_BACKEND = -8
    ERR_CANCELLED = -9
    ERR_NUMERIC = -10
    ERR_NOT_FOUND = -11


class Precision(IntEnum):
    AUTO = 0
    F32 = 1
    BF16 = 2


class LogLevel(IntEnum):
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4


class Dtype(IntEnum):
    F32 = 1
    BF16 = 2
    F16 = 3
    F64 = 4
    U8 = 5
    U16 = 6
    I32 = 7
    I64 = 8
    BOOL = 9


class PixelOrder(IntEnum):
    AS_STORED = 0
    RGB = 1
    BGR = 2


class Role(IntFlag):
    WEIGHT = 1
    BIAS = 2
    NORM = 4
    BUFFER = 8
    PARAMETERS = 7
    ALL = 15


class StatePart(IntEnum):
    VALUE = 0
    GRADIENT = 1


class Format(IntEnum):
    SAFETENSORS = 0
    NPZ = 1
    NPY = 2


class Adapt(IntEnum):
    NONE = 0
    MEAN = 1
    REPEAT = 2
    FIRST = 3


class TransformKind(IntEnum):
    RANDOM_RESIZED_CROP = 1
    RANDOM_CROP = 2
    CENTER_CROP = 3
    RESIZE = 4
    HORIZONTAL_FLIP = 5
    VERTICAL_FLIP = 6
    ROTATE90 = 7
    COLOR_JITTER = 8
    GRAYSCALE = 9
    GAUSSIAN_BLUR = 10
    SOLARIZE = 11
    POSTERIZE = 12
    SHARPNESS = 13
    AUTOCONTRAST = 14
    RANDOM_WINDOW = 15
    CONVERT_COLOR = 16
    SELECT_CHANNELS = 17
    DROP_CHANNELS = 18
    SOBEL = 19
    NORMALIZE = 20
    PATCHES = 21
    CUSTOM = 22
    SHEAR_X = 23
    SHEAR_Y = 24
    TRANSLATE_X = 25
    TRANSLATE_Y = 26
    ROTATE = 27
    EQUALIZE = 28
    AUTOAUGMENT = 29
    ELASTIC = 30
    TONE_CURVE = 31


class Interpolation(IntEnum):
    BILINEAR = 0
    BICUBIC = 1
    NEAREST = 2


class ColorSpace(IntEnum):
    LAB = 1
    YDBDR = 2
    YCBCR = 3


class Placement(IntEnum):
    OVERLAP = 0
    CELL = 1


class DatasetKind(IntEnum):
    LIST = 1
    FOLDER = 2
    CIFAR10 = 3
    CIFAR100 = 4
    IDX = 5
    CALLBACK = 6


class DatasetPart(IntEnum):
    ALL = 0
    TRAIN = 1
    TEST = 2


class OnError(IntEnum):
    SUBSTITUTE = 0
    FAIL = 1


class Sampler(IntEnum):
    SHUFFLED = 0
    IN_ORDER = 1
    BY_CLASS = 2


class PassFlag(IntFlag):
    TRAIN = 1
    GRADIENT = 2
    SHUFFLE = 4
    MAP = 8
    INPUT_GRADIENT = 16


class Architecture(IntEnum):
    RESNET18 = 1
    RESNET34 = 2
    RESNET50 = 3
    RESNET101 = 4
    ALEXNET = 5
    ALEXNET_HALF = 6


class Stem(IntEnum):
    IMAGENET = 0
    CIFAR = 1
    GIM = 2


class Norm(IntEnum):
    NONE = 0
    BATCH = 1
    GROUP = 2
    LAYER = 3


class Activation(IntEnum):
    RELU = 0
    GELU = 1


class LastNorm(IntEnum):
    NONE = 0
    BATCH = 1
    NO_SHIFT = 2
    PLAIN = 3


class CallFlag(IntFlag):
    REMEMBER = 1


class Reduction(IntEnum):
    MEAN = 0
    SUM = 1


class BankPairing(IntEnum):
    CORE = 0
    FULL = 1
    SINGLE = 2


class BankEstimator(IntEnum):
    NCE = 0
    SOFTMAX = 1


class OptimizerKind(IntEnum):
    SGD = 1
    LARS = 2
    LARS_CLASSIC = 3
    LARC = 4
    ADAM = 5
    ADAMW = 6


class ScheduleKind(IntEnum):
    CONSTANT = 0
    COSINE = 1
    LINEAR = 2
    STEPS = 3


class Grouping(IntEnum):
    JOINED = 0
    BY_VIEW = 1


class EmaWhen(IntEnum):
    BEFORE_FORWARD = 0
    AFTER_STEP = 1


class Event(IntFlag):
    EPOCH_BEGIN = 1
    STEP = 2
    EPOCH_END = 4
    COLLAPSE = 8


class ProbeKind(IntEnum):
    KNN = 1
    LINEAR = 2
    LOGISTIC = 3


class Standardize(IntEnum):
    NONE = 0
    SPREAD = 1
    LENGTH = 2


class Figure(IntEnum):
    TOP_K = 1
    MEAN_PER_CLASS = 2
    AP_11 = 3
    AP_AREA = 4


class ScalarsFormat(IntEnum):
    TENSORBOARD = 1
    JSON_LINES = 2


# ---- options: keyword arguments; a field that is not given has its default ----


class ContextOptions(TypedDict, total=False):
    threads: int
    loader_threads: int
    precision: int
    winograd: int
    seed: int
    log_level: int
    tuning_path: Union[str, PathLike[str], None]


class SaveOptions(TypedDict, total=False):
    dtype: int
    roles: int
    generations: int
    format: int
    prefix: Union[str, PathLike[str], None]


class LoadOptions(TypedDict, total=False):
    partial: int
    adapt_input: int
    roles: int
    prefix: Union[str, PathLike[str], None]
    max_bytes: int


class TransformOptions(TypedDict, total=False):
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
    mean: Sequence[float]
    std: Sequence[float]
    color_space: int
    placement: int
    shuffle: int
    with_previous: int


class DatasetOptions(TypedDict, total=False):
    part: int
    label_folders: int
    on_error: int
    channels: int
    cache: int
    path: Union[str, PathLike[str], None]
    labels_path: Union[str, PathLike[str], None]
    num_classes: int
    max_pixels: int
    max_file_bytes: int
    max_cache_bytes: int
    min_side: int


class SplitOptions(TypedDict, total=False):
    fraction: float
    per_class: int
    folds: int
    fold: int
    list_path: Union[str, PathLike[str], None]
    seed: int
    balanced: int
    complement: int


class LoaderOptions(TypedDict, total=False):
    batch_size: int
    prefetch: int
    seed: int
    sampler: int
    drop_last: int


class PassOptions(TypedDict, total=False):
    flags: int
    bn_splits: int
    random: int
    stage: Union[str, PathLike[str], None]


class BackboneOptions(TypedDict, total=False):
    stem: int
    norm: int
    zero_init_residual: int
    project_all: int
    num_stages: int
    preactivation: int
    channels: int
    stem_channels: int
    image_size: int
    width: float
    norm_epsilon: float
    norm_momentum: float
    seed: int


class MlpOptions(TypedDict, total=False):
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


class PatchMlpOptions(TypedDict, total=False):
    in_dim: int
    num_patches: int
    hidden_dim: int
    patch_dim: int
    out_dim: int
    seed: int
    num_layers: int


class PrototypesOptions(TypedDict, total=False):
    in_dim: int
    out_dim: int
    seed: int


class PixelcnnOptions(TypedDict, total=False):
    in_dim: int
    hidden_dim: int
    out_dim: int
    rows: int
    columns: int
    seed: int
    num_layers: int
    directions: int


class CpcV2Options(TypedDict, total=False):
    in_dim: int
    hidden_dim: int
    rows: int
    columns: int
    seed: int
    num_blocks: int
    directions: int


class InfoNceOptions(TypedDict, total=False):
    temperature: float
    queue_size: int
    dim: int
    seed: int
    reduction: int


class NceBankOptions(TypedDict, total=False):
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
    row_weights: Sequence[int]


class SwappedOptions(TypedDict, total=False):
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


class ClusterOptions(TypedDict, total=False):
    num_samples: int
    dim: int
    num_prototypes: int
    num_sets: int
    memory_views: int
    iterations: int
    temperature: float
    seed: int


class CpcOptions(TypedDict, total=False):
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


class CosineOptions(TypedDict, total=False):
    squared: int
    reduction: int


class BarlowTwinsOptions(TypedDict, total=False):
    off_diagonal: float


class VicregOptions(TypedDict, total=False):
    weight_invariance: float
    weight_variance: float
    weight_covariance: float


class DinoOptions(TypedDict, total=False):
    dim: int
    student_temperature: float
    teacher_temperature: float
    center_momentum: float


class CrossEntropyOptions(TypedDict, total=False):
    label_smoothing: float


class BinaryCrossEntropyOptions(TypedDict, total=False):
    reduction: int


class OptimizerOptions(TypedDict, total=False):
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


class OptimizerGroupOptions(TypedDict, total=False):
    rate_scale: float
    weight_decay: float
    momentum: float
    fixed_rate: int
    adapt: int
    freeze_steps: int


class ScheduleOptions(TypedDict, total=False):
    by_epoch: int
    end_value: float
    warmup_start: float
    warmup_epochs: float
    warmup_reaches: int
    num_milestones: int
    gamma: float
    milestones: Sequence[float]


class TrainerOptions(TypedDict, total=False):
    dataset: Optional["Dataset"]
    augmenter: Optional["Augmenter"]
    weight_decay: Optional["Schedule"]
    ema_momentum: Optional["Schedule"]
    checkpoint_path: Union[str, PathLike[str], None]
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


class BranchOptions(TypedDict, total=False):
    source: int
    stage: Union[str, PathLike[str], None]
    flags: int
    bn_splits: int
    grouping: int
    head_grouping: int
    momentum: int
    detach: int


class HookOptions(TypedDict, total=False):
    every: int
    events: int


class MethodOptions(TypedDict, total=False):
    dataset: Optional["Dataset"]
    augmenter: Optional["Augmenter"]
    preset: Union[str, PathLike[str], None]
    settings: Union[str, PathLike[str], None]
    checkpoint_path: Union[str, PathLike[str], None]
    seed: int
    resume: int


class EmbedOptions(TypedDict, total=False):
    batch_size: int
    first: int
    count: int
    seed: int
    epoch: int
    mean_positions: int


class ProbeOptions(TypedDict, total=False):
    standardize: int
    neighbors: int
    temperature: float
    epochs: int
    batch_size: int
    learning_rate: Optional["Schedule"]
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


class FigureOptions(TypedDict, total=False):
    k: int
    draws: int
    level: float
    seed: int


class KmeansOptions(TypedDict, total=False):
    iterations: int
    seed: int
    spherical: int
    warm_start: int


class OnnxOptions(TypedDict, total=False):
    height: int
    width: int
    batch: int
    fold_norm: int
    opset: int


# ---- results ----


@dataclass(frozen=True)
class ContextInfo:
    threads: int
    loader_threads: int
    precision: int
    cancelled: int
    cpu: str
    bytes: int


@dataclass(frozen=True)
class ViewInfo:
    channels: int
    height: int
    width: int
    rows: int
    columns: int


@dataclass(frozen=True)
class DatasetInfo:
    count: int
    num_classes: int
    channels: int
    height: int
    width: int
    failed: int


@dataclass(frozen=True)
class Sample:
    name: str
    label: int


@dataclass(frozen=True)
class BackboneInfo:
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


@dataclass(frozen=True)
class HeadInfo:
    kind: str
    in_dim: int
    out_dim: int
    num_parameters: int


@dataclass(frozen=True)
class LossInfo:
    kind: str
    needs_ids: int
    needs_labels: int
    min_inputs: int
    max_inputs: int
    gradient_inputs: int
    bytes: int


@dataclass(frozen=True)
class Progress:
    event: int
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


@dataclass(frozen=True)
class Memory:
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


@dataclass(frozen=True)
class ProbeInfo:
    num_classes: int
    dim: int
    count: int
    c: float
    objective: float
    validation: float
    iterations: int
    converged: int


@dataclass(frozen=True)
class Metrics:
    count: int
    num_classes: int
    top1: float
    top5: float
    mean_per_class: float
    top1_low: float
    top1_high: float


@dataclass(frozen=True)
class FigureValue:
    count: int
    classes: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    std: float
    cosine: float
    effective_rank: float
