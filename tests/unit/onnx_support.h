/** What the suites about ONNX models share: networks and branches, a stream into memory. */
#ifndef SSLCV__TESTS_ONNX_SUPPORT_H
#define SSLCV__TESTS_ONNX_SUPPORT_H

#include "file_support.h"

#include <sslcv/sslcv.h>

#include "model/backbone.h"
#include "model/head.h"

static sslcv_context *context;

static inline sslcv_backbone *make(int32_t architecture, int32_t norm, int32_t preactivation)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    OK(sslcv_backbone_options_init(&options, sizeof options, architecture));
    options.stem = sslcv__is_alexnet(architecture) ? 0 : SSLCV_STEM_CIFAR;
    options.width = 0.0625;
    options.norm = norm;
    options.preactivation = preactivation;
    options.image_size = 64;
    options.seed = 3;
    OK(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

static inline sslcv_branch branch_of(sslcv_backbone *backbone, sslcv_head *const *heads, int64_t num_heads)
{
    sslcv_branch branch;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.backbone = backbone;
    branch.heads = heads;
    branch.num_heads = num_heads;
    return branch;
}

static inline sslcv_onnx_options defaults(void)
{
    sslcv_onnx_options options;

    OK(sslcv_onnx_options_init(&options, sizeof options));
    return options;
}

static inline void set_up(void)
{
    make_folder();
    context = f32_context();
}

static inline void tear_down(void)
{
    sslcv_context_destroy(context);
    remove_folder();
}

static inline sslcv_head *make_mlp(int64_t in, int64_t out, int32_t normalize)
{
    sslcv_mlp_options options;
    sslcv_head *head;

    OK(sslcv_mlp_options_init(&options, sizeof options));
    options.in_dim = in;
    options.out_dim = out;
    options.activation = SSLCV_ACTIVATION_GELU;
    options.dropout = 0.5;
    options.normalize = normalize;
    options.seed = 4;
    OK(sslcv_head_create_mlp(context, &options, &head));
    return head;
}

/* ---- a stream into memory ---- */

typedef struct memory_stream {
    char *bytes;
    int64_t size, fail_at; /* writes that would go beyond fail_at fail; -1: none */
    int64_t most;          /* bytes taken at once */
    int64_t failures;
} memory_stream;

static inline int64_t take(void *user, const void *buffer, int64_t size)
{
    memory_stream *m = user;

    if (m->most > 0 && size > m->most) size = m->most;
    if (m->fail_at >= 0 && m->size + size > m->fail_at) {
        m->failures++;
        return -1;
    }
    m->bytes = realloc(m->bytes, (size_t)(m->size + size));
    memcpy(m->bytes + m->size, buffer, (size_t)size);
    m->size += size;
    return size;
}

static inline sslcv_status save_to(const sslcv_branch *branch, memory_stream *to, const sslcv_onnx_options *options)
{
    const sslcv_stream stream = {.struct_size = sizeof stream, .user = to, .write = take};
    sslcv_onnx_options o = options ? *options : defaults();

    o.stream = &stream;
    return sslcv_onnx_save(branch, NULL, &o);
}

#endif
