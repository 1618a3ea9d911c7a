/** The networks that are measured: which, on what images, and with which options of the context. */
#ifndef SSLCV__BENCH_NETWORKS_H
#define SSLCV__BENCH_NETWORKS_H

#include "bench.h"

enum { BENCH_EMBEDDING_DIM = 128, BENCH_NUM_VIEWS = 2 };

/** What the command lines have in common. */
typedef struct bench_settings {
    const char *architecture, *stem, *precision;
    int64_t batch, size, threads, winograd;
    double width;
} bench_settings;

#define BENCH_DEFAULTS                                                                                                 \
    .architecture = "resnet18", .stem = "cifar", .precision = "f32", .batch = 128, .size = 32, .winograd = 1,          \
    .width = 1.0

/** The options that set s; a program puts its own behind them. */
#define BENCH_OPTIONS(s, batch_meaning)                                                                                \
    {"arch", "resnet18 (default), resnet34, resnet50 or resnet101", .text = &(s)->architecture},                       \
        {"stem", "cifar (default) or imagenet", .text = &(s)->stem},                                                   \
        {"precision", "f32 (default) or bf16", .text = &(s)->precision},                                               \
        {"batch", batch_meaning, .integer = &(s)->batch},                                                              \
        {"size", "height and width of the images in pixels; default 32", .integer = &(s)->size},                       \
        {"width", "factor on all channels; default 1", .real = &(s)->width},                                           \
        {"winograd", "1 (default): allowed; 0: never", .integer = &(s)->winograd},                                     \
        {"threads", "default 0: the processors that this process may use", .integer = &(s)->threads}

/** Index of a word; ends the program with 2 where it is none of them. */
static inline int bench_find_word(const char *const *words, int count, const char *word)
{
    int i;

    for (i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) return i;
    }
    fprintf(stderr, "\"%s\" is none of", word);
    for (i = 0; i < count; i++) fprintf(stderr, " %s", words[i]);
    fputc('\n', stderr);
    exit(2);
}

static inline sslcv_status bench_make_context(const bench_settings *s, sslcv_context **context)
{
    static const char *const precisions[] = {"auto", "f32", "bf16"}; /* in the order of enum sslcv_precision */
    sslcv_context_options options;
    sslcv_status status;

    TRY(sslcv_context_options_init(&options, sizeof options));
    options.threads = (int32_t)s->threads;
    options.precision = bench_find_word(precisions, 3, s->precision);
    options.winograd = (int32_t)s->winograd;
    options.seed = 1;
    TRY(sslcv_context_create(&options, context));
end:
    return status;
}

static inline sslcv_status bench_make_backbone(const bench_settings *s, sslcv_context *context,
                                               sslcv_backbone **backbone)
{
    static const char *const architectures[] = {"resnet18", "resnet34", "resnet50", "resnet101"};
    static const char *const stems[] = {"imagenet", "cifar"};
    const int architecture = SSLCV_BACKBONE_RESNET18 + bench_find_word(architectures, 4, s->architecture);
    sslcv_backbone_options options;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.stem = bench_find_word(stems, 2, s->stem);
    options.zero_init_residual = 0;
    options.width = s->width;
    TRY(sslcv_backbone_create(context, &options, backbone));
end:
    return status;
}

/** SimCLR's projection head: D -> D -> 128, batch norm behind both layers. */
static inline sslcv_status bench_make_projection(sslcv_context *context, const sslcv_backbone *backbone,
                                                 sslcv_head **projection)
{
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_mlp_options mlp;
    sslcv_status status;

    TRY(sslcv_backbone_get_info(backbone, &info));
    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = BENCH_EMBEDDING_DIM;
    mlp.bias = mlp.last_bias = 0;
    mlp.last_norm = SSLCV_LAST_NORM_BATCH;
    TRY(sslcv_head_create_mlp(context, &mlp, projection));
end:
    return status;
}

/** NT-Xent; SGD with momentum and weight decay. */
static inline sslcv_status bench_make_objective(sslcv_context *context, sslcv_loss **loss, sslcv_optimizer **optimizer)
{
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;
    sslcv_status status;

    TRY(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    TRY(sslcv_loss_create_info_nce(context, &nce, loss));
    TRY(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    TRY(sslcv_optimizer_create(context, &sgd, optimizer));
end:
    return status;
}

/** Scalars in a backbone, and in a head that may be NULL. */
static inline int64_t bench_count_parameters(const sslcv_backbone *backbone, const sslcv_head *head)
{
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_head_info head_info = {.struct_size = sizeof head_info};

    if (sslcv_backbone_get_info(backbone, &info) != SSLCV_OK) return 0;
    if (head && sslcv_head_get_info(head, &head_info) != SSLCV_OK) return 0;
    return info.num_parameters + head_info.num_parameters;
}

/** An array (count, 3, size, size), uniform with mean 0 and deviation 1, as normalised images have; free() the data. */
static inline sslcv_status bench_make_images(int64_t count, int64_t size, sslcv_tensor *images)
{
    const int64_t shape[4] = {count, 3, size, size};
    const size_t total = (size_t)(count * 3 * size * size);
    float *pixels = malloc(total * sizeof *pixels);
    uint64_t random = 1;
    size_t i;

    if (!pixels) return SSLCV_ERR_OUT_OF_MEMORY;
    for (i = 0; i < total; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        pixels[i] = 3.4641016f * ((float)(random >> 40) / 16777216.0f - 0.5f);
    }
    return sslcv_tensor_init(images, SSLCV_F32, pixels, 4, shape);
}

#endif
