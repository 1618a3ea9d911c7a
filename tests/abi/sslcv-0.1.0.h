/* The public headers of sslcv 0.1.0 as released, without comments. Never edited. */
#ifndef SSLCV_VERSION_H
#define SSLCV_VERSION_H
#include <stddef.h>
#include <stdint.h>
#if defined(SSLCV_STATIC)
#define SSLCV_API
#elif defined(_WIN32) && defined(SSLCV_BUILD)
#define SSLCV_API __declspec(dllexport)
#elif defined(_WIN32)
#define SSLCV_API __declspec(dllimport)
#elif defined(__GNUC__)
#define SSLCV_API __attribute__((visibility("default")))
#else
#define SSLCV_API
#endif
#define SSLCV_VERSION_MAJOR 0
#define SSLCV_VERSION_MINOR 1
#define SSLCV_VERSION_PATCH 0
#define SSLCV_VERSION (SSLCV_VERSION_MAJOR * 1000000 + SSLCV_VERSION_MINOR * 1000 + SSLCV_VERSION_PATCH)
#ifdef __cplusplus
extern "C" {
#endif
SSLCV_API int32_t sslcv_version(void);
SSLCV_API const char *sslcv_version_string(void);
SSLCV_API const char *sslcv_build_info(void);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_STATUS_H
#define SSLCV_STATUS_H
#ifdef __cplusplus
extern "C" {
#endif
typedef int32_t sslcv_status;
enum sslcv_status_code {
    SSLCV_OK = 0,
    SSLCV_ERR_INVALID_ARGUMENT = -1,
    SSLCV_ERR_OUT_OF_MEMORY = -2,
    SSLCV_ERR_IO = -3,
    SSLCV_ERR_FORMAT = -4,
    SSLCV_ERR_UNSUPPORTED = -5,
    SSLCV_ERR_STATE = -6,
    SSLCV_ERR_LIMIT = -7,
    SSLCV_ERR_BACKEND = -8,
    SSLCV_ERR_CANCELLED = -9,
    SSLCV_ERR_NUMERIC = -10,
    SSLCV_ERR_NOT_FOUND = -11
};
SSLCV_API const char *sslcv_status_string(sslcv_status status);
SSLCV_API const char *sslcv_last_error(void);
SSLCV_API size_t sslcv_last_error_copy(char *buffer, size_t size);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_CONTEXT_H
#define SSLCV_CONTEXT_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_context sslcv_context;
enum sslcv_precision {
    SSLCV_PRECISION_AUTO = 0,
    SSLCV_PRECISION_F32 = 1,
    SSLCV_PRECISION_BF16 = 2
};
enum sslcv_log_level { SSLCV_LOG_ERROR = 1, SSLCV_LOG_WARNING = 2, SSLCV_LOG_INFO = 3, SSLCV_LOG_DEBUG = 4 };
typedef void (*sslcv_log_fn)(void *user, int32_t level, const char *text);
typedef struct sslcv_allocator {
    size_t struct_size;
    void *user;
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*deallocate)(void *user, void *memory, size_t bytes);
    void (*destroy)(void *user);
} sslcv_allocator;
typedef struct sslcv_context_options {
    size_t struct_size;
    int32_t threads;
    int32_t loader_threads;
    int32_t precision;
    int32_t winograd;
    uint64_t seed;
    const sslcv_allocator *allocator;
    sslcv_log_fn log;
    void *log_user;
    int32_t log_level;
    int32_t reserved;
    const char *tuning_path;
    void (*log_destroy)(void *user);
} sslcv_context_options;
typedef struct sslcv_context_info {
    size_t struct_size;
    int32_t threads;
    int32_t loader_threads;
    int32_t precision;
    int32_t cancelled;
    const char *cpu;
    int64_t bytes;
} sslcv_context_info;
SSLCV_API sslcv_status sslcv_context_options_init(sslcv_context_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_context_create(const sslcv_context_options *options, sslcv_context **context);
SSLCV_API void sslcv_context_destroy(sslcv_context *context);
SSLCV_API sslcv_status sslcv_retain(void *handle);
SSLCV_API sslcv_status sslcv_context_cancel(sslcv_context *context, int32_t on);
SSLCV_API sslcv_status sslcv_context_get_info(const sslcv_context *context, sslcv_context_info *info);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_TENSOR_H
#define SSLCV_TENSOR_H
#ifdef __cplusplus
extern "C" {
#endif
enum { SSLCV_MAX_DIMS = 8 };
enum sslcv_dtype {
    SSLCV_F32 = 1,
    SSLCV_BF16 = 2,
    SSLCV_F16 = 3,
    SSLCV_F64 = 4,
    SSLCV_U8 = 5,
    SSLCV_U16 = 6,
    SSLCV_I32 = 7,
    SSLCV_I64 = 8,
    SSLCV_BOOL = 9
};
typedef struct sslcv_tensor {
    void *data;
    int64_t shape[SSLCV_MAX_DIMS];
    int64_t strides[SSLCV_MAX_DIMS];
    int32_t ndim;
    int32_t dtype;
} sslcv_tensor;
enum sslcv_pixel_order {
    SSLCV_PIXELS_AS_STORED = 0,
    SSLCV_PIXELS_RGB = 1,
    SSLCV_PIXELS_BGR = 2
};
SSLCV_API int64_t sslcv_dtype_size(int32_t dtype);
SSLCV_API sslcv_status sslcv_tensor_init(sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim,
                                         const int64_t *shape);
SSLCV_API sslcv_status sslcv_tensor_init_pixels(sslcv_tensor *tensor, int32_t dtype, const void *pixels, int64_t width,
                                                int64_t height, int64_t channels, int64_t row_bytes, int32_t order);
SSLCV_API sslcv_status sslcv_tensor_from_dlpack(const void *dlpack, int32_t versioned, sslcv_tensor *tensor);
typedef void (*sslcv_release_fn)(void *owner);
SSLCV_API sslcv_status sslcv_tensor_to_dlpack(const sslcv_tensor *tensor, void *owner, sslcv_release_fn release,
                                              int32_t versioned, void **dlpack);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_STATE_H
#define SSLCV_STATE_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_state sslcv_state;
enum sslcv_role {
    SSLCV_ROLE_WEIGHT = 1,
    SSLCV_ROLE_BIAS = 2,
    SSLCV_ROLE_NORM = 4,
    SSLCV_ROLE_BUFFER = 8,
    SSLCV_ROLE_PARAMETERS = 7,
    SSLCV_ROLE_ALL = 15
};
enum sslcv_state_part { SSLCV_STATE_VALUE = 0, SSLCV_STATE_GRADIENT = 1 };
typedef struct sslcv_state_entry {
    size_t struct_size;
    const char *name;
    int64_t shape[SSLCV_MAX_DIMS];
    int32_t ndim;
    int32_t dtype;
    int32_t role;
    int32_t frozen;
} sslcv_state_entry;
SSLCV_API sslcv_status sslcv_state_create(sslcv_context *context, sslcv_state **state);
SSLCV_API void sslcv_state_destroy(sslcv_state *state);
SSLCV_API sslcv_status sslcv_state_get_entry(const sslcv_state *state, int64_t index, sslcv_state_entry *entry);
SSLCV_API sslcv_status sslcv_state_find(const sslcv_state *state, const char *name, int64_t *index);
SSLCV_API sslcv_status sslcv_state_add(sslcv_state *state, const sslcv_state_entry *entry, int64_t *index);
SSLCV_API sslcv_status sslcv_state_data(sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor);
SSLCV_API sslcv_status sslcv_state_get(const sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor);
SSLCV_API sslcv_status sslcv_state_set(sslcv_state *state, int64_t index, int32_t part, const sslcv_tensor *tensor);
SSLCV_API sslcv_status sslcv_state_get_flat(const sslcv_state *state, int32_t roles, float *buffer, int64_t capacity,
                                            int64_t *count);
SSLCV_API sslcv_status sslcv_state_set_flat(sslcv_state *state, int32_t roles, const float *buffer, int64_t count);
SSLCV_API sslcv_status sslcv_state_lerp(sslcv_state *target, const sslcv_state *source, double momentum, int32_t roles);
SSLCV_API sslcv_status sslcv_state_freeze(sslcv_state *state, const char *prefix, int32_t frozen);
enum sslcv_format {
    SSLCV_FORMAT_SAFETENSORS = 0,
    SSLCV_FORMAT_NPZ = 1,
    SSLCV_FORMAT_NPY = 2
};
typedef struct sslcv_stream {
    size_t struct_size;
    void *user;
    int64_t (*read)(void *user, void *buffer, int64_t size);
    int64_t (*write)(void *user, const void *buffer, int64_t size);
} sslcv_stream;
typedef struct sslcv_save_options {
    size_t struct_size;
    int32_t dtype;
    int32_t roles;
    int32_t generations;
    int32_t format;
    const char *prefix;
    const char *const *metadata;
    int64_t num_metadata;
    const sslcv_stream *stream;
} sslcv_save_options;
typedef struct sslcv_load_options {
    size_t struct_size;
    int32_t partial;
    int32_t adapt_input;
    int32_t roles;
    int32_t reserved;
    const char *prefix;
    int64_t max_bytes;
    const sslcv_stream *stream;
} sslcv_load_options;
enum sslcv_adapt {
    SSLCV_ADAPT_NONE = 0,
    SSLCV_ADAPT_MEAN = 1,
    SSLCV_ADAPT_REPEAT = 2,
    SSLCV_ADAPT_FIRST = 3
};
typedef struct sslcv_load_report {
    size_t struct_size;
    int64_t matched;
    int64_t missing;
    int64_t unexpected;
    int64_t adapted;
    char *text;
    int64_t text_size;
    int64_t text_needed;
    char layout[32];
} sslcv_load_report;
SSLCV_API sslcv_status sslcv_save_options_init(sslcv_save_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_load_options_init(sslcv_load_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_state_save(const sslcv_state *state, const char *path, const sslcv_save_options *options);
SSLCV_API sslcv_status sslcv_state_load(sslcv_state *state, const char *path, const sslcv_load_options *options,
                                        sslcv_load_report *report);
SSLCV_API sslcv_status sslcv_state_open(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                        sslcv_state **state);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_AUGMENT_H
#define SSLCV_AUGMENT_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_augmenter sslcv_augmenter;
enum { SSLCV_SOURCE_IMAGE = -1 };
enum { SSLCV_MAX_CHANNELS = 16 };
enum sslcv_transform_kind {
    SSLCV_TRANSFORM_RANDOM_RESIZED_CROP = 1,
    SSLCV_TRANSFORM_RANDOM_CROP = 2,
    SSLCV_TRANSFORM_CENTER_CROP = 3,
    SSLCV_TRANSFORM_RESIZE = 4,
    SSLCV_TRANSFORM_HORIZONTAL_FLIP = 5,
    SSLCV_TRANSFORM_VERTICAL_FLIP = 6,
    SSLCV_TRANSFORM_ROTATE90 = 7,
    SSLCV_TRANSFORM_COLOR_JITTER = 8,
    SSLCV_TRANSFORM_GRAYSCALE = 9,
    SSLCV_TRANSFORM_GAUSSIAN_BLUR = 10,
    SSLCV_TRANSFORM_SOLARIZE = 11,
    SSLCV_TRANSFORM_POSTERIZE = 12,
    SSLCV_TRANSFORM_SHARPNESS = 13,
    SSLCV_TRANSFORM_AUTOCONTRAST = 14,
    SSLCV_TRANSFORM_RANDOM_WINDOW = 15,
    SSLCV_TRANSFORM_CONVERT_COLOR = 16,
    SSLCV_TRANSFORM_SELECT_CHANNELS = 17,
    SSLCV_TRANSFORM_DROP_CHANNELS = 18,
    SSLCV_TRANSFORM_SOBEL = 19,
    SSLCV_TRANSFORM_NORMALIZE = 20,
    SSLCV_TRANSFORM_PATCHES = 21,
    SSLCV_TRANSFORM_CUSTOM = 22,
    SSLCV_TRANSFORM_SHEAR_X = 23,
    SSLCV_TRANSFORM_SHEAR_Y = 24,
    SSLCV_TRANSFORM_TRANSLATE_X = 25,
    SSLCV_TRANSFORM_TRANSLATE_Y = 26,
    SSLCV_TRANSFORM_ROTATE = 27,
    SSLCV_TRANSFORM_EQUALIZE = 28,
    SSLCV_TRANSFORM_AUTOAUGMENT = 29,
    SSLCV_TRANSFORM_ELASTIC = 30,
    SSLCV_TRANSFORM_TONE_CURVE = 31
};
enum sslcv_interpolation {
    SSLCV_INTERPOLATION_BILINEAR = 0,
    SSLCV_INTERPOLATION_BICUBIC = 1,
    SSLCV_INTERPOLATION_NEAREST = 2
};
enum sslcv_color_space { SSLCV_COLOR_LAB = 1, SSLCV_COLOR_YDBDR = 2, SSLCV_COLOR_YCBCR = 3 };
enum sslcv_placement {
    SSLCV_PLACEMENT_OVERLAP = 0,
    SSLCV_PLACEMENT_CELL = 1
};
enum { SSLCV_CALLBACK_ANY_THREAD = 1 };
typedef struct sslcv_transform_callbacks {
    size_t struct_size;
    void *user;
    int32_t (*apply)(void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random);
    void (*destroy)(void *user);
    int32_t flags;
    int32_t reserved;
} sslcv_transform_callbacks;
typedef struct sslcv_transform {
    size_t struct_size;
    int32_t kind;
    int32_t interpolation;
    double probability;
    int64_t height, width;
    int64_t rows, columns;
    int64_t padding;
    int64_t first, count;
    double min, max;
    double ratio_min, ratio_max;
    double brightness, contrast, saturation;
    double hue;
    double mean[SSLCV_MAX_CHANNELS];
    double std[SSLCV_MAX_CHANNELS];
    int32_t color_space;
    int32_t placement;
    int32_t shuffle;
    int32_t with_previous;
    const sslcv_transform_callbacks *callbacks;
} sslcv_transform;
typedef struct sslcv_view_info {
    size_t struct_size;
    int64_t channels, height, width;
    int64_t rows, columns;
} sslcv_view_info;
SSLCV_API sslcv_status sslcv_augmenter_create(sslcv_context *context, sslcv_augmenter **augmenter);
SSLCV_API void sslcv_augmenter_destroy(sslcv_augmenter *augmenter);
SSLCV_API sslcv_status sslcv_augmenter_add_view(sslcv_augmenter *augmenter, int64_t source, int64_t *view);
SSLCV_API sslcv_status sslcv_transform_init(sslcv_transform *transform, size_t struct_size, int32_t kind);
SSLCV_API sslcv_status sslcv_augmenter_add_transform(sslcv_augmenter *augmenter, int64_t view, const sslcv_transform *transform);
SSLCV_API sslcv_status sslcv_augmenter_add_preset(sslcv_augmenter *augmenter, const char *preset, int64_t size,
                                                  int64_t *first, int64_t *count);
SSLCV_API sslcv_status sslcv_augmenter_get_view(const sslcv_augmenter *augmenter, int64_t view, sslcv_view_info *info);
SSLCV_API sslcv_status sslcv_augmenter_apply(sslcv_augmenter *augmenter, const sslcv_tensor *image, uint64_t seed,
                                             int64_t epoch, int64_t sample, int64_t view, sslcv_tensor *out);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_DATASET_H
#define SSLCV_DATASET_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_dataset sslcv_dataset;
typedef struct sslcv_loader sslcv_loader;
enum sslcv_dataset_kind {
    SSLCV_DATASET_LIST = 1,
    SSLCV_DATASET_FOLDER = 2,
    SSLCV_DATASET_CIFAR10 = 3,
    SSLCV_DATASET_CIFAR100 = 4,
    SSLCV_DATASET_IDX = 5,
    SSLCV_DATASET_CALLBACK = 6
};
enum sslcv_dataset_part {
    SSLCV_PART_ALL = 0,
    SSLCV_PART_TRAIN = 1,
    SSLCV_PART_TEST = 2
};
enum sslcv_on_error {
    SSLCV_ON_ERROR_SUBSTITUTE = 0,
    SSLCV_ON_ERROR_FAIL = 1
};
typedef struct sslcv_dataset_callbacks {
    size_t struct_size;
    void *user;
    int32_t (*load)(void *user, int64_t index, sslcv_tensor *image);
    void (*unload)(void *user, int64_t index, const sslcv_tensor *image);
    int32_t (*get_label)(void *user, int64_t index, int64_t *label);
    void (*destroy)(void *user);
    int32_t flags;
    int32_t reserved;
} sslcv_dataset_callbacks;
typedef struct sslcv_dataset_options {
    size_t struct_size;
    int32_t kind;
    int32_t part;
    int32_t label_folders;
    int32_t on_error;
    int32_t channels;
    int32_t cache;
    const char *path;
    const char *labels_path;
    int64_t count;
    int64_t num_classes;
    int64_t max_pixels;
    int64_t max_file_bytes;
    int64_t max_cache_bytes;
    const sslcv_dataset_callbacks *callbacks;
    int64_t min_side;
} sslcv_dataset_options;
typedef struct sslcv_dataset_info {
    size_t struct_size;
    int64_t count;
    int64_t num_classes;
    int64_t channels, height, width;
    int64_t failed;
} sslcv_dataset_info;
typedef struct sslcv_sample {
    size_t struct_size;
    const char *name;
    int64_t label;
} sslcv_sample;
typedef struct sslcv_split_options {
    size_t struct_size;
    double fraction;
    int64_t per_class;
    int64_t folds;
    int64_t fold;
    const char *list_path;
    uint64_t seed;
    int32_t balanced;
    int32_t complement;
} sslcv_split_options;
SSLCV_API sslcv_status sslcv_dataset_options_init(sslcv_dataset_options *options, size_t struct_size, int32_t kind);
SSLCV_API sslcv_status sslcv_dataset_create(sslcv_context *context, const sslcv_dataset_options *options,
                                            sslcv_dataset **dataset);
SSLCV_API void sslcv_dataset_destroy(sslcv_dataset *dataset);
SSLCV_API sslcv_status sslcv_dataset_add_images(sslcv_dataset *dataset, const sslcv_tensor *image,
                                                const int64_t *labels, int64_t *index);
SSLCV_API sslcv_status sslcv_dataset_add_file(sslcv_dataset *dataset, const char *path, const void *bytes, int64_t size,
                                              int64_t label, int64_t *index);
SSLCV_API sslcv_status sslcv_dataset_get_info(const sslcv_dataset *dataset, sslcv_dataset_info *info);
SSLCV_API sslcv_status sslcv_dataset_get_sample(const sslcv_dataset *dataset, int64_t index, sslcv_sample *sample);
SSLCV_API sslcv_status sslcv_dataset_get_class(const sslcv_dataset *dataset, int64_t label, const char **name);
SSLCV_API sslcv_status sslcv_dataset_read(sslcv_dataset *dataset, int64_t index, sslcv_tensor *image);
SSLCV_API sslcv_status sslcv_split_options_init(sslcv_split_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_dataset_split(const sslcv_dataset *dataset, const sslcv_split_options *options,
                                           int64_t *indices, int64_t capacity, int64_t *count);
SSLCV_API sslcv_status sslcv_dataset_save_list(const sslcv_dataset *dataset, const int64_t *indices, int64_t count,
                                               const char *path);
SSLCV_API sslcv_status sslcv_dataset_subset(sslcv_dataset *dataset, const int64_t *indices, int64_t count,
                                            sslcv_dataset **subset);
enum sslcv_sampler {
    SSLCV_SAMPLER_SHUFFLED = 0,
    SSLCV_SAMPLER_IN_ORDER = 1,
    SSLCV_SAMPLER_BY_CLASS = 2
};
typedef struct sslcv_loader_options {
    size_t struct_size;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    int64_t batch_size;
    int64_t prefetch;
    uint64_t seed;
    int32_t sampler;
    int32_t drop_last;
} sslcv_loader_options;
typedef struct sslcv_batch {
    size_t struct_size;
    int64_t size;
    int64_t epoch;
    int64_t index;
    int64_t count;
    const int64_t *ids;
    const int64_t *labels;
} sslcv_batch;
SSLCV_API sslcv_status sslcv_loader_options_init(sslcv_loader_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loader_create(sslcv_context *context, const sslcv_loader_options *options,
                                           sslcv_loader **loader);
SSLCV_API void sslcv_loader_destroy(sslcv_loader *loader);
SSLCV_API sslcv_status sslcv_loader_next(sslcv_loader *loader, sslcv_batch *batch);
SSLCV_API sslcv_status sslcv_loader_get_views(sslcv_loader *loader, const int64_t *views, int64_t num_views,
                                              sslcv_tensor *images);
SSLCV_API sslcv_status sslcv_loader_seek(sslcv_loader *loader, int64_t epoch, int64_t index);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_TAPE_H
#define SSLCV_TAPE_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_tape sslcv_tape;
enum sslcv_pass_flag {
    SSLCV_PASS_TRAIN = 1,
    SSLCV_PASS_GRADIENT = 2,
    SSLCV_PASS_SHUFFLE = 4,
    SSLCV_PASS_MAP = 8,
    SSLCV_PASS_INPUT_GRADIENT = 16
};
typedef struct sslcv_pass {
    size_t struct_size;
    int32_t flags;
    int32_t bn_splits;
    uint64_t random;
    const char *stage;
} sslcv_pass;
SSLCV_API sslcv_status sslcv_pass_init(sslcv_pass *pass, size_t struct_size);
SSLCV_API sslcv_status sslcv_tape_create(sslcv_context *context, sslcv_tape **tape);
SSLCV_API void sslcv_tape_destroy(sslcv_tape *tape);
SSLCV_API sslcv_status sslcv_tape_output(const sslcv_tape *tape, sslcv_tensor *output);
SSLCV_API sslcv_status sslcv_tape_backward(sslcv_tape *tape, const sslcv_tensor *diff_output);
SSLCV_API sslcv_status sslcv_tape_diff_input(const sslcv_tape *tape, sslcv_tensor *diff_input);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_BACKBONE_H
#define SSLCV_BACKBONE_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_backbone sslcv_backbone;
enum sslcv_architecture {
    SSLCV_BACKBONE_RESNET18 = 1,
    SSLCV_BACKBONE_RESNET34 = 2,
    SSLCV_BACKBONE_RESNET50 = 3,
    SSLCV_BACKBONE_RESNET101 = 4,
    SSLCV_BACKBONE_ALEXNET = 5,
    SSLCV_BACKBONE_ALEXNET_HALF = 6
};
enum sslcv_stem {
    SSLCV_STEM_IMAGENET = 0,
    SSLCV_STEM_CIFAR = 1,
    SSLCV_STEM_GIM = 2
};
enum sslcv_norm {
    SSLCV_NORM_NONE = 0,
    SSLCV_NORM_BATCH = 1,
    SSLCV_NORM_GROUP = 2,
    SSLCV_NORM_LAYER = 3
};
typedef struct sslcv_backbone_options {
    size_t struct_size;
    int32_t architecture;
    int32_t stem;
    int32_t norm;
    int32_t zero_init_residual;
    int32_t project_all;
    int32_t num_stages;
    int32_t preactivation;
    int32_t reserved;
    int64_t channels;
    int64_t stem_channels;
    int64_t image_size;
    double width;
    double norm_epsilon;
    double norm_momentum;
    uint64_t seed;
} sslcv_backbone_options;
typedef struct sslcv_backbone_info {
    size_t struct_size;
    int64_t channels;
    int64_t feature_dim;
    int64_t num_parameters;
    int32_t num_stages;
    int32_t frozen_stages;
    int32_t architecture;
    int32_t stem;
    int32_t norm;
    int32_t preactivation;
    double width;
    int64_t stem_channels;
    int64_t image_size;
} sslcv_backbone_info;
SSLCV_API sslcv_status sslcv_backbone_options_init(sslcv_backbone_options *options, size_t struct_size,
                                                   int32_t architecture);
SSLCV_API sslcv_status sslcv_backbone_create(sslcv_context *context, const sslcv_backbone_options *options,
                                             sslcv_backbone **backbone);
SSLCV_API sslcv_status sslcv_backbone_load(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                           sslcv_backbone **backbone);
SSLCV_API void sslcv_backbone_destroy(sslcv_backbone *backbone);
SSLCV_API sslcv_status sslcv_backbone_clone(const sslcv_backbone *backbone, sslcv_backbone **copy);
SSLCV_API sslcv_status sslcv_backbone_get_state(sslcv_backbone *backbone, sslcv_state **state);
SSLCV_API sslcv_status sslcv_backbone_get_info(const sslcv_backbone *backbone, sslcv_backbone_info *info);
SSLCV_API sslcv_status sslcv_backbone_get_stage(const sslcv_backbone *backbone, int64_t index, const char **name,
                                                int64_t *dim);
SSLCV_API sslcv_status sslcv_backbone_freeze(sslcv_backbone *backbone, int32_t num_stages);
SSLCV_API sslcv_status sslcv_backbone_forward(sslcv_backbone *backbone, const sslcv_tensor *images,
                                              const sslcv_pass *pass, sslcv_tape *tape);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_HEAD_H
#define SSLCV_HEAD_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_head sslcv_head;
enum sslcv_activation {
    SSLCV_ACTIVATION_RELU = 0,
    SSLCV_ACTIVATION_GELU = 1
};
enum sslcv_last_norm {
    SSLCV_LAST_NORM_NONE = 0,
    SSLCV_LAST_NORM_BATCH = 1,
    SSLCV_LAST_NORM_NO_SHIFT = 2,
    SSLCV_LAST_NORM_PLAIN = 3
};
typedef struct sslcv_mlp_options {
    size_t struct_size;
    int64_t in_dim;
    int64_t hidden_dim;
    int64_t out_dim;
    double dropout;
    double init_std;
    uint64_t seed;
    int32_t num_layers;
    int32_t norm;
    int32_t last_norm;
    int32_t activation;
    int32_t bias;
    int32_t last_bias;
    int32_t normalize;
    int32_t reserved;
} sslcv_mlp_options;
SSLCV_API sslcv_status sslcv_mlp_options_init(sslcv_mlp_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_mlp(sslcv_context *context, const sslcv_mlp_options *options,
                                             sslcv_head **head);
typedef struct sslcv_patch_mlp_options {
    size_t struct_size;
    int64_t in_dim;
    int64_t num_patches;
    int64_t hidden_dim;
    int64_t patch_dim;
    int64_t out_dim;
    uint64_t seed;
    int32_t num_layers;
    int32_t reserved;
} sslcv_patch_mlp_options;
SSLCV_API sslcv_status sslcv_patch_mlp_options_init(sslcv_patch_mlp_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_patch_mlp(sslcv_context *context, const sslcv_patch_mlp_options *options,
                                                   sslcv_head **head);
typedef struct sslcv_prototypes_options {
    size_t struct_size;
    int64_t in_dim;
    int64_t out_dim;
    uint64_t seed;
} sslcv_prototypes_options;
SSLCV_API sslcv_status sslcv_prototypes_options_init(sslcv_prototypes_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_prototypes(sslcv_context *context, const sslcv_prototypes_options *options,
                                                    sslcv_head **head);
typedef struct sslcv_pixelcnn_options {
    size_t struct_size;
    int64_t in_dim;
    int64_t hidden_dim;
    int64_t out_dim;
    int64_t rows, columns;
    uint64_t seed;
    int32_t num_layers;
    int32_t directions;
} sslcv_pixelcnn_options;
SSLCV_API sslcv_status sslcv_pixelcnn_options_init(sslcv_pixelcnn_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_pixelcnn(sslcv_context *context, const sslcv_pixelcnn_options *options,
                                                  sslcv_head **head);
typedef struct sslcv_cpc_v2_options {
    size_t struct_size;
    int64_t in_dim;
    int64_t hidden_dim;
    int64_t rows, columns;
    uint64_t seed;
    int32_t num_blocks;
    int32_t directions;
} sslcv_cpc_v2_options;
SSLCV_API sslcv_status sslcv_cpc_v2_options_init(sslcv_cpc_v2_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_cpc_v2(sslcv_context *context, const sslcv_cpc_v2_options *options,
                                                    sslcv_head **head);
typedef struct sslcv_head_callbacks {
    size_t struct_size;
    void *user;
    int32_t (*forward)(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass);
    int32_t (*backward)(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass);
    void (*destroy)(void *user);
    int64_t in_dim;
    int64_t out_dim;
    int64_t out_patches;
} sslcv_head_callbacks;
SSLCV_API sslcv_status sslcv_head_callbacks_init(sslcv_head_callbacks *callbacks, size_t struct_size);
SSLCV_API sslcv_status sslcv_head_create_custom(sslcv_context *context, const sslcv_head_callbacks *callbacks,
                                                sslcv_head **head);
typedef struct sslcv_head_info {
    size_t struct_size;
    const char *kind;
    int64_t in_dim, out_dim;
    int64_t num_parameters;
} sslcv_head_info;
SSLCV_API void sslcv_head_destroy(sslcv_head *head);
SSLCV_API sslcv_status sslcv_head_clone(const sslcv_head *head, sslcv_head **copy);
SSLCV_API sslcv_status sslcv_head_get_state(sslcv_head *head, sslcv_state **state);
SSLCV_API sslcv_status sslcv_head_get_info(const sslcv_head *head, sslcv_head_info *info);
SSLCV_API sslcv_status sslcv_head_reset(sslcv_head *head, uint64_t seed);
SSLCV_API sslcv_status sslcv_head_forward(sslcv_head *head, const sslcv_tensor *input, const sslcv_pass *pass,
                                          sslcv_tape *tape);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_LOSS_H
#define SSLCV_LOSS_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_loss sslcv_loss;
typedef struct sslcv_loss_call {
    size_t struct_size;
    const sslcv_tensor *inputs;
    sslcv_tensor *diff_inputs;
    int64_t num_inputs;
    const int64_t *ids;
    const int64_t *labels;
    const sslcv_tensor *targets;
    int64_t step;
    int64_t epoch;
    double scale;
    int32_t flags;
    int32_t reserved;
    double value;
} sslcv_loss_call;
enum sslcv_call_flag {
    SSLCV_CALL_REMEMBER = 1
};
typedef struct sslcv_loss_callbacks {
    size_t struct_size;
    void *user;
    int32_t (*compute)(void *user, sslcv_state *state, sslcv_loss_call *call);
    int32_t (*begin_epoch)(void *user, sslcv_state *state, int64_t epoch);
    void (*destroy)(void *user);
    int64_t num_inputs;
    uint64_t gradient_inputs;
    int32_t needs_ids;
    int32_t needs_labels;
} sslcv_loss_callbacks;
typedef struct sslcv_loss_info {
    size_t struct_size;
    const char *kind;
    int32_t needs_ids;
    int32_t needs_labels;
    int64_t min_inputs, max_inputs;
    uint64_t gradient_inputs;
    int64_t bytes;
} sslcv_loss_info;
SSLCV_API sslcv_status sslcv_loss_callbacks_init(sslcv_loss_callbacks *callbacks, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_custom(sslcv_context *context, const sslcv_loss_callbacks *callbacks,
                                                sslcv_loss **loss);
SSLCV_API void sslcv_loss_destroy(sslcv_loss *loss);
SSLCV_API sslcv_status sslcv_loss_get_info(const sslcv_loss *loss, sslcv_loss_info *info);
SSLCV_API sslcv_status sslcv_loss_get_state(sslcv_loss *loss, sslcv_state **state);
SSLCV_API sslcv_status sslcv_loss_call_init(sslcv_loss_call *call, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_begin_epoch(sslcv_loss *loss, int64_t epoch);
SSLCV_API sslcv_status sslcv_loss_compute(sslcv_loss *loss, sslcv_loss_call *call);
SSLCV_API sslcv_status sslcv_loss_set(sslcv_loss *loss, const char *field, double value);
SSLCV_API sslcv_status sslcv_loss_get_metric(const sslcv_loss *loss, int64_t index, const char **name, double *value);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_LOSSES_H
#define SSLCV_LOSSES_H
#ifdef __cplusplus
extern "C" {
#endif
enum sslcv_reduction { SSLCV_REDUCTION_MEAN = 0, SSLCV_REDUCTION_SUM = 1 };
typedef struct sslcv_info_nce_options {
    size_t struct_size;
    double temperature;
    int64_t queue_size;
    int64_t dim;
    uint64_t seed;
    int32_t reduction;
    int32_t reserved;
} sslcv_info_nce_options;
SSLCV_API sslcv_status sslcv_info_nce_options_init(sslcv_info_nce_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_info_nce(sslcv_context *context, const sslcv_info_nce_options *options,
                                                  sslcv_loss **loss);
enum sslcv_bank_pairing {
    SSLCV_BANK_CORE = 0,
    SSLCV_BANK_FULL = 1,
    SSLCV_BANK_SINGLE = 2
};
enum sslcv_bank_estimator {
    SSLCV_ESTIMATOR_NCE = 0,
    SSLCV_ESTIMATOR_SOFTMAX = 1
};
typedef struct sslcv_nce_bank_options {
    size_t struct_size;
    int64_t num_samples;
    int64_t num_inputs;
    int64_t num_negatives;
    int64_t dim;
    double temperature;
    double bank_momentum;
    double balance;
    double epsilon;
    uint64_t seed;
    int32_t pairing;
    int32_t estimator;
    int32_t shared_z;
    int32_t exclude_self;
    int32_t unit_init;
    int32_t bank_dtype;
    const double *row_weights;
} sslcv_nce_bank_options;
SSLCV_API sslcv_status sslcv_nce_bank_options_init(sslcv_nce_bank_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_nce_bank(sslcv_context *context, const sslcv_nce_bank_options *options,
                                                  sslcv_loss **loss);
typedef struct sslcv_swapped_options {
    size_t struct_size;
    int64_t dim;
    int64_t num_prototypes;
    int64_t code_views;
    double temperature;
    double epsilon;
    int64_t iterations;
    int64_t queue_size;
    int64_t queue_start_epoch;
    int64_t freeze_steps;
    int64_t hard_steps;
    uint64_t seed;
} sslcv_swapped_options;
SSLCV_API sslcv_status sslcv_swapped_options_init(sslcv_swapped_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_swapped(sslcv_context *context, const sslcv_swapped_options *options,
                                                 sslcv_loss **loss);
typedef struct sslcv_cluster_options {
    size_t struct_size;
    int64_t num_samples;
    int64_t dim;
    int64_t num_prototypes;
    int64_t num_sets;
    int64_t memory_views;
    int64_t iterations;
    double temperature;
    uint64_t seed;
} sslcv_cluster_options;
SSLCV_API sslcv_status sslcv_cluster_options_init(sslcv_cluster_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_cluster(sslcv_context *context, const sslcv_cluster_options *options,
                                                 sslcv_loss **loss);
typedef struct sslcv_cpc_options {
    size_t struct_size;
    int64_t dim;
    int64_t context_dim;
    int64_t rows, columns;
    int64_t first_offset;
    int64_t last_offset;
    int64_t num_negatives;
    int64_t target_dim;
    double score_scale;
    uint64_t seed;
    int32_t directions;
    int32_t reduction;
} sslcv_cpc_options;
SSLCV_API sslcv_status sslcv_cpc_options_init(sslcv_cpc_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_cpc(sslcv_context *context, const sslcv_cpc_options *options,
                                             sslcv_loss **loss);
typedef struct sslcv_cosine_options {
    size_t struct_size;
    int32_t squared;
    int32_t reduction;
} sslcv_cosine_options;
SSLCV_API sslcv_status sslcv_cosine_options_init(sslcv_cosine_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_cosine(sslcv_context *context, const sslcv_cosine_options *options,
                                                sslcv_loss **loss);
typedef struct sslcv_barlow_twins_options {
    size_t struct_size;
    double off_diagonal;
} sslcv_barlow_twins_options;
SSLCV_API sslcv_status sslcv_barlow_twins_options_init(sslcv_barlow_twins_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_barlow_twins(sslcv_context *context, const sslcv_barlow_twins_options *options,
                                                      sslcv_loss **loss);
typedef struct sslcv_vicreg_options {
    size_t struct_size;
    double weight_invariance;
    double weight_variance;
    double weight_covariance;
} sslcv_vicreg_options;
SSLCV_API sslcv_status sslcv_vicreg_options_init(sslcv_vicreg_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_vicreg(sslcv_context *context, const sslcv_vicreg_options *options,
                                                sslcv_loss **loss);
typedef struct sslcv_dino_options {
    size_t struct_size;
    int64_t dim;
    double student_temperature;
    double teacher_temperature;
    double center_momentum;
} sslcv_dino_options;
SSLCV_API sslcv_status sslcv_dino_options_init(sslcv_dino_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_dino(sslcv_context *context, const sslcv_dino_options *options,
                                              sslcv_loss **loss);
typedef struct sslcv_cross_entropy_options {
    size_t struct_size;
    double label_smoothing;
} sslcv_cross_entropy_options;
SSLCV_API sslcv_status sslcv_cross_entropy_options_init(sslcv_cross_entropy_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_cross_entropy(sslcv_context *context,
                                                       const sslcv_cross_entropy_options *options, sslcv_loss **loss);
typedef struct sslcv_binary_cross_entropy_options {
    size_t struct_size;
    int32_t reduction;
    int32_t reserved;
} sslcv_binary_cross_entropy_options;
SSLCV_API sslcv_status sslcv_binary_cross_entropy_options_init(sslcv_binary_cross_entropy_options *options,
                                                               size_t struct_size);
SSLCV_API sslcv_status sslcv_loss_create_binary_cross_entropy(sslcv_context *context,
                                                              const sslcv_binary_cross_entropy_options *options,
                                                              sslcv_loss **loss);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_OPTIM_H
#define SSLCV_OPTIM_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_optimizer sslcv_optimizer;
enum sslcv_optimizer_kind {
    SSLCV_OPTIMIZER_SGD = 1,
    SSLCV_OPTIMIZER_LARS = 2,
    SSLCV_OPTIMIZER_LARS_CLASSIC = 3,
    SSLCV_OPTIMIZER_LARC = 4,
    SSLCV_OPTIMIZER_ADAM = 5,
    SSLCV_OPTIMIZER_ADAMW = 6
};
typedef struct sslcv_optimizer_options {
    size_t struct_size;
    int32_t kind;
    int32_t nesterov;
    double momentum;
    double weight_decay;
    double beta1, beta2;
    double epsilon;
    double trust;
    double clip_norm;
    int32_t decay_roles;
    int32_t adapt_roles;
    int32_t trust_clip;
    int32_t clip_each;
} sslcv_optimizer_options;
typedef struct sslcv_optimizer_group {
    size_t struct_size;
    double rate_scale;
    double weight_decay;
    double momentum;
    int32_t fixed_rate;
    int32_t adapt;
    int64_t freeze_steps;
} sslcv_optimizer_group;
SSLCV_API sslcv_status sslcv_optimizer_options_init(sslcv_optimizer_options *options, size_t struct_size, int32_t kind);
SSLCV_API sslcv_status sslcv_optimizer_create(sslcv_context *context, const sslcv_optimizer_options *options,
                                              sslcv_optimizer **optimizer);
SSLCV_API void sslcv_optimizer_destroy(sslcv_optimizer *optimizer);
SSLCV_API sslcv_status sslcv_optimizer_group_init(sslcv_optimizer_group *group, size_t struct_size);
SSLCV_API sslcv_status sslcv_optimizer_add(sslcv_optimizer *optimizer, sslcv_state *state, int32_t roles,
                                           const sslcv_optimizer_group *group);
SSLCV_API sslcv_status sslcv_optimizer_step(sslcv_optimizer *optimizer, double learning_rate, double weight_decay);
SSLCV_API sslcv_status sslcv_optimizer_get_state(sslcv_optimizer *optimizer, sslcv_state **state);
enum sslcv_schedule_kind {
    SSLCV_SCHEDULE_CONSTANT = 0,
    SSLCV_SCHEDULE_COSINE = 1,
    SSLCV_SCHEDULE_LINEAR = 2,
    SSLCV_SCHEDULE_STEPS = 3
};
enum { SSLCV_MAX_MILESTONES = 8 };
typedef struct sslcv_schedule {
    size_t struct_size;
    int32_t kind;
    int32_t by_epoch;
    double value;
    double end_value;
    double warmup_start;
    double warmup_epochs;
    int32_t warmup_reaches;
    int32_t num_milestones;
    double gamma;
    double milestones[SSLCV_MAX_MILESTONES];
} sslcv_schedule;
SSLCV_API sslcv_status sslcv_schedule_init(sslcv_schedule *schedule, size_t struct_size, int32_t kind, double value);
SSLCV_API sslcv_status sslcv_schedule_value(const sslcv_schedule *schedule, int64_t step, int64_t steps_per_epoch,
                                            int64_t epochs, double *value);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_TRAINER_H
#define SSLCV_TRAINER_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_trainer sslcv_trainer;
enum { SSLCV_SOURCE_VIEWS = -1 };
enum sslcv_grouping {
    SSLCV_GROUPING_JOINED = 0,
    SSLCV_GROUPING_BY_VIEW = 1
};
typedef struct sslcv_branch {
    size_t struct_size;
    int64_t source;
    const int64_t *views;
    int64_t num_views;
    sslcv_backbone *backbone;
    sslcv_head *const *heads;
    int64_t num_heads;
    const char *stage;
    int32_t flags;
    int32_t bn_splits;
    int32_t grouping;
    int32_t head_grouping;
    int32_t momentum;
    int32_t detach;
} sslcv_branch;
enum sslcv_ema_when {
    SSLCV_EMA_BEFORE_FORWARD = 0,
    SSLCV_EMA_AFTER_STEP = 1
};
typedef struct sslcv_trainer_options {
    size_t struct_size;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    sslcv_optimizer *optimizer;
    const sslcv_schedule *learning_rate;
    const sslcv_schedule *weight_decay;
    const sslcv_schedule *ema_momentum;
    const char *checkpoint_path;
    int64_t batch_size;
    int64_t epochs;
    int64_t steps_per_epoch;
    int64_t prefetch;
    int64_t memory_budget;
    int64_t micro_batch;
    int64_t checkpoint_epochs;
    double checkpoint_seconds;
    uint64_t seed;
    int32_t sampler;
    int32_t drop_last;
    int32_t ema_when;
    int32_t ema_random_init;
    int32_t resume;
    int32_t generations;
} sslcv_trainer_options;
enum sslcv_event {
    SSLCV_EVENT_EPOCH_BEGIN = 1,
    SSLCV_EVENT_STEP = 2,
    SSLCV_EVENT_EPOCH_END = 4,
    SSLCV_EVENT_COLLAPSE = 8
};
typedef struct sslcv_progress {
    size_t struct_size;
    int32_t event;
    int32_t reserved;
    int64_t step, num_steps;
    int64_t epoch, num_epochs;
    double loss;
    double learning_rate;
    double embedding_std;
    double images_per_second;
    double seconds;
    double seconds_left;
} sslcv_progress;
typedef struct sslcv_view_batch {
    size_t struct_size;
    const sslcv_tensor *views;
    int64_t num_views;
    const int64_t *patches;
    const int64_t *ids;
    const int64_t *labels;
    const sslcv_tensor *targets;
} sslcv_view_batch;
typedef struct sslcv_hook {
    size_t struct_size;
    void *user;
    int32_t (*call)(void *user, sslcv_trainer *trainer, const sslcv_progress *progress);
    void (*destroy)(void *user);
    int64_t every;
    int32_t events;
    int32_t reserved;
} sslcv_hook;
typedef struct sslcv_memory {
    size_t struct_size;
    int64_t parameters;
    int64_t gradients;
    int64_t optimizer;
    int64_t momentum_copies;
    int64_t losses;
    int64_t activations;
    int64_t scratch;
    int64_t loader;
    int64_t total;
    int64_t micro_batch;
    int64_t recomputed_stages;
} sslcv_memory;
SSLCV_API sslcv_status sslcv_trainer_options_init(sslcv_trainer_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_trainer_create(sslcv_context *context, const sslcv_trainer_options *options,
                                            sslcv_trainer **trainer);
SSLCV_API void sslcv_trainer_destroy(sslcv_trainer *trainer);
SSLCV_API sslcv_status sslcv_branch_init(sslcv_branch *branch, size_t struct_size);
SSLCV_API sslcv_status sslcv_trainer_add_branch(sslcv_trainer *trainer, const sslcv_branch *branch, int64_t *index);
SSLCV_API sslcv_status sslcv_trainer_add_loss(sslcv_trainer *trainer, sslcv_loss *loss, const int64_t *branches,
                                              int64_t num_branches, double weight, int64_t *index);
SSLCV_API sslcv_status sslcv_trainer_set_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss *loss);
SSLCV_API sslcv_status sslcv_hook_init(sslcv_hook *hook, size_t struct_size);
SSLCV_API sslcv_status sslcv_trainer_add_hook(sslcv_trainer *trainer, const sslcv_hook *hook);
SSLCV_API sslcv_status sslcv_trainer_step(sslcv_trainer *trainer, sslcv_progress *progress);
SSLCV_API sslcv_status sslcv_view_batch_init(sslcv_view_batch *batch, size_t struct_size);
SSLCV_API sslcv_status sslcv_trainer_step_views(sslcv_trainer *trainer, const sslcv_view_batch *batch,
                                                sslcv_progress *progress);
SSLCV_API sslcv_status sslcv_trainer_run(sslcv_trainer *trainer, int64_t max_steps);
SSLCV_API sslcv_status sslcv_trainer_set_labels(sslcv_trainer *trainer, const int64_t *labels, int64_t count);
SSLCV_API sslcv_status sslcv_trainer_keep_best(sslcv_trainer *trainer, const char *metric, int32_t smallest);
SSLCV_API sslcv_status sslcv_trainer_take_best(sslcv_trainer *trainer, double *value, int64_t *epoch);
SSLCV_API sslcv_status sslcv_trainer_get_memory(sslcv_trainer *trainer, sslcv_memory *memory);
SSLCV_API sslcv_status sslcv_trainer_describe(sslcv_trainer *trainer, char *text, int64_t size, int64_t *needed);
SSLCV_API sslcv_status sslcv_trainer_get_metric(const sslcv_trainer *trainer, int64_t index, const char **name,
                                                double *value);
SSLCV_API sslcv_status sslcv_trainer_set_metric(sslcv_trainer *trainer, const char *name, double value);
SSLCV_API sslcv_status sslcv_trainer_get_state(sslcv_trainer *trainer, sslcv_state **state);
SSLCV_API sslcv_status sslcv_trainer_get_backbone(sslcv_trainer *trainer, int64_t branch, int32_t momentum,
                                                   sslcv_backbone **backbone);
SSLCV_API sslcv_status sslcv_trainer_get_head(sslcv_trainer *trainer, int64_t branch, int64_t index, int32_t momentum,
                                               sslcv_head **head);
SSLCV_API sslcv_status sslcv_trainer_get_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss **loss);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_METHOD_H
#define SSLCV_METHOD_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_method_options {
    size_t struct_size;
    sslcv_dataset *dataset;
    sslcv_backbone *const *backbones;
    int64_t num_backbones;
    sslcv_augmenter *augmenter;
    const char *preset;
    const char *settings;
    const char *checkpoint_path;
    uint64_t seed;
    int32_t resume;
    int32_t reserved;
} sslcv_method_options;
SSLCV_API const char *sslcv_method_name(int64_t index);
SSLCV_API sslcv_status sslcv_method_settings(const char *method, const char *preset, char *text, int64_t size,
                                             int64_t *needed);
SSLCV_API sslcv_status sslcv_method_options_init(sslcv_method_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_method_create(sslcv_context *context, const char *method,
                                           const sslcv_method_options *options, sslcv_trainer **trainer);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_PROBE_H
#define SSLCV_PROBE_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_embed_options {
    size_t struct_size;
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    const sslcv_branch *const *branches;
    int64_t num_branches;
    int64_t batch_size;
    int64_t first;
    int64_t count;
    uint64_t seed;
    int64_t epoch;
    int32_t mean_positions;
    int32_t reserved;
} sslcv_embed_options;
SSLCV_API sslcv_status sslcv_embed_options_init(sslcv_embed_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_embed(const sslcv_embed_options *options, sslcv_tensor *features, int64_t *labels);
SSLCV_API sslcv_status sslcv_embed_to_file(const sslcv_embed_options *options, const char *features_path,
                                           const char *labels_path);
typedef struct sslcv_probe sslcv_probe;
enum sslcv_probe_kind {
    SSLCV_PROBE_KNN = 1,
    SSLCV_PROBE_LINEAR = 2,
    SSLCV_PROBE_LOGISTIC = 3
};
enum sslcv_standardize {
    SSLCV_STANDARDIZE_NONE = 0,
    SSLCV_STANDARDIZE_SPREAD = 1,
    SSLCV_STANDARDIZE_LENGTH = 2
};
enum sslcv_figure {
    SSLCV_FIGURE_TOP_K = 1,
    SSLCV_FIGURE_MEAN_PER_CLASS = 2,
    SSLCV_FIGURE_AP_11 = 3,
    SSLCV_FIGURE_AP_AREA = 4
};
typedef struct sslcv_probe_options {
    size_t struct_size;
    int32_t kind;
    int32_t standardize;
    int64_t neighbors;
    double temperature;
    int64_t epochs;
    int64_t batch_size;
    const sslcv_schedule *learning_rate;
    double weight_decay;
    double momentum;
    uint64_t seed;
    double c_first, c_last;
    int64_t c_count;
    double validation;
    int64_t iterations;
    double tolerance;
    double first_spread;
    double larc;
    int32_t nesterov;
    int32_t figure;
} sslcv_probe_options;
typedef struct sslcv_probe_info {
    size_t struct_size;
    int64_t num_classes;
    int64_t dim, count;
    double c;
    double objective;
    double validation;
    int64_t iterations;
    int32_t converged;
    int32_t reserved;
} sslcv_probe_info;
typedef struct sslcv_metrics {
    size_t struct_size;
    int64_t count, num_classes;
    double top1, top5;
    double mean_per_class;
    double top1_low, top1_high;
} sslcv_metrics;
SSLCV_API sslcv_status sslcv_probe_options_init(sslcv_probe_options *options, size_t struct_size, int32_t kind);
SSLCV_API sslcv_status sslcv_probe_options_preset(sslcv_probe_options *options, size_t struct_size,
                                                  sslcv_schedule *learning_rate, const char *name);
SSLCV_API sslcv_status sslcv_probe_create(sslcv_context *context, const sslcv_probe_options *options,
                                          sslcv_probe **probe);
SSLCV_API void sslcv_probe_destroy(sslcv_probe *probe);
SSLCV_API sslcv_status sslcv_probe_fit(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels);
SSLCV_API sslcv_status sslcv_probe_fit_rows(sslcv_probe *probe, const sslcv_tensor *features, const int64_t *labels,
                                            const sslcv_tensor *targets, const int64_t *validation,
                                            int64_t num_validation);
SSLCV_API sslcv_status sslcv_probe_get_info(const sslcv_probe *probe, sslcv_probe_info *info);
SSLCV_API sslcv_status sslcv_probe_predict(const sslcv_probe *probe, const sslcv_tensor *features,
                                           sslcv_tensor *scores);
SSLCV_API sslcv_status sslcv_probe_evaluate(sslcv_probe *probe, const sslcv_embed_options *train,
                                            const sslcv_embed_options *test, sslcv_metrics *metrics);
SSLCV_API sslcv_status sslcv_probe_watch(sslcv_probe *probe, sslcv_trainer *trainer, const char *name,
                                         const sslcv_embed_options *train, const sslcv_embed_options *test,
                                         int64_t epochs);
SSLCV_API sslcv_status sslcv_classifier_evaluate(const sslcv_embed_options *test, sslcv_metrics *metrics);
SSLCV_API sslcv_status sslcv_classifier_watch(sslcv_trainer *trainer, const char *name, const sslcv_embed_options *test,
                                              int64_t epochs);
SSLCV_API sslcv_status sslcv_metrics_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                             sslcv_metrics *metrics, int64_t *confusion);
typedef struct sslcv_figure_options {
    size_t struct_size;
    int32_t figure;
    int32_t reserved;
    int64_t k;
    int64_t draws;
    double level;
    uint64_t seed;
} sslcv_figure_options;
typedef struct sslcv_figure_value {
    size_t struct_size;
    int64_t count;
    int64_t classes;
    double value;
    double low, high;
} sslcv_figure_value;
SSLCV_API sslcv_status sslcv_figure_options_init(sslcv_figure_options *options, size_t struct_size, int32_t figure);
SSLCV_API sslcv_status sslcv_figure_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                            const sslcv_tensor *targets, const sslcv_figure_options *options,
                                            sslcv_figure_value *value, double *per_class);
typedef struct sslcv_spread {
    size_t struct_size;
    double std;
    double cosine;
    double effective_rank;
} sslcv_spread;
SSLCV_API sslcv_status sslcv_spread_compute(sslcv_context *context, const sslcv_tensor *features,
                                            sslcv_spread *spread);
SSLCV_API sslcv_status sslcv_nearest(sslcv_context *context, const sslcv_tensor *features, const sslcv_tensor *queries,
                                     int64_t k, int64_t *indices, float *similarities);
SSLCV_API sslcv_status sslcv_nmi(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n, double *value);
typedef struct sslcv_kmeans_options {
    size_t struct_size;
    int64_t clusters;
    int64_t iterations;
    uint64_t seed;
    int32_t spherical;
    int32_t warm_start;
} sslcv_kmeans_options;
SSLCV_API sslcv_status sslcv_kmeans_options_init(sslcv_kmeans_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_kmeans(sslcv_context *context, const sslcv_tensor *features,
                                    const sslcv_kmeans_options *options, sslcv_tensor *centroids, int64_t *assignments,
                                    double *objective);
SSLCV_API sslcv_status sslcv_pca_whiten(sslcv_context *context, const sslcv_tensor *features, int32_t normalize,
                                        sslcv_tensor *reduced);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_IO_H
#define SSLCV_IO_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_scalars sslcv_scalars;
enum sslcv_scalars_format {
    SSLCV_SCALARS_TENSORBOARD = 1,
    SSLCV_SCALARS_JSON_LINES = 2
};
SSLCV_API sslcv_status sslcv_scalars_open(sslcv_context *context, int32_t format, const char *path,
                                          sslcv_scalars **scalars);
SSLCV_API void sslcv_scalars_destroy(sslcv_scalars *scalars);
SSLCV_API sslcv_status sslcv_scalars_add(sslcv_scalars *scalars, int64_t step, const char *name, double value);
SSLCV_API sslcv_status sslcv_scalars_watch(sslcv_scalars *scalars, sslcv_trainer *trainer, int64_t steps);
#ifdef __cplusplus
}
#endif
#endif
#ifndef SSLCV_ONNX_H
#define SSLCV_ONNX_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct sslcv_onnx_options {
    size_t struct_size;
    int64_t height, width;
    int64_t batch;
    int32_t fold_norm;
    int32_t opset;
    const sslcv_stream *stream;
} sslcv_onnx_options;
SSLCV_API sslcv_status sslcv_onnx_options_init(sslcv_onnx_options *options, size_t struct_size);
SSLCV_API sslcv_status sslcv_onnx_save(const sslcv_branch *branch, const char *path, const sslcv_onnx_options *options);
#ifdef __cplusplus
}
#endif
#endif
