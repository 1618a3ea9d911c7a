/* Embedding: data set, views and networks to features. */
#include "embed_support.h"

#include <pthread.h>

/* A view of all samples, (COUNT, C, H, W), one by one. */
static float *naive_view(const world *w, int64_t view)
{
    const int64_t shape[3] = {CHANNELS, SIDE, SIDE};
    float *images = make_array(COUNT * PIXELS);
    int64_t i;

    for (i = 0; i < COUNT; i++) {
        uint8_t pixels[PIXELS];
        sslcv_tensor image, out;

        picture(i, i % CLASSES, pixels);
        OK(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
        OK(sslcv_tensor_init(&out, SSLCV_F32, images + i * PIXELS, 3, shape));
        OK(sslcv_augmenter_apply(w->augmenter, &image, 1, 0, i, view, &out));
    }
    return images;
}

/* The backbone over a view in one pass; size values a sample. */
static float *naive_pass(const world *w, int64_t view, int32_t flags, const char *stage, int64_t size)
{
    const int64_t shape[4] = {COUNT, CHANNELS, SIDE, SIDE};
    float *images = naive_view(w, view), *copy = make_array(COUNT * size);
    sslcv_tensor tensor, output;
    sslcv_pass pass;
    sslcv_tape *tape;
    int64_t count = 1;
    int32_t i;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = flags;
    pass.stage = stage;
    OK(sslcv_tape_create(w->context, &tape));
    OK(sslcv_backbone_forward(w->backbone, &tensor, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    for (i = 0; i < output.ndim; i++) count *= output.shape[i];
    ck_assert_int_eq(count, COUNT * size);
    memcpy(copy, output.data, (size_t)count * sizeof *copy);
    sslcv_tape_destroy(tape);
    free(images);
    return copy;
}

/* The head over (n, dim) rows. */
static float *naive_head(const world *w, const float *rows, int64_t n)
{
    const sslcv_tensor input = array(rows, n, w->dim);
    float *copy = make_array(n * 5);
    sslcv_tensor output;
    sslcv_pass pass;
    sslcv_tape *tape;

    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    OK(sslcv_tape_create(w->context, &tape));
    OK(sslcv_head_forward(w->head, &input, &pass, tape));
    OK(sslcv_tape_output(tape, &output));
    memcpy(copy, output.data, (size_t)(n * 5) * sizeof *copy);
    sslcv_tape_destroy(tape);
    return copy;
}

static void compare_columns(const float *features, int64_t width, int64_t column, const float *expected, int64_t size)
{
    int64_t i, j;

    for (i = 0; i < COUNT; i++) {
        for (j = 0; j < size; j++) CLOSE(features[i * width + column + j], expected[i * size + j], 1e-5);
    }
}

/* Pixels; a network over two views; an early stage; a head: side by side. */
START_TEST(embed_joins_branches)
{
    world w = make_world(make_context(2, NULL));
    sslcv_branch pixels = make_branch(plain_view, 1, NULL, 0), two = make_branch(both_views, 2, w.backbone, 0);
    sslcv_branch early = make_branch(normal_view, 1, w.backbone, 0), top = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[4] = {&pixels, &two, &early, &top};
    const sslcv_embed_options options = make_options(&w, branches, 4);
    int64_t labels[COUNT], early_dim, width, i;
    float *features, *view, *first, *second, *stage, *logits;

    early.stage = "layer1";
    OK(sslcv_backbone_get_stage(w.backbone, 1, NULL, &early_dim));
    top.heads = &w.head;
    top.num_heads = 1;
    width = PIXELS + 2 * w.dim + early_dim + 5;
    features = embed(&options, COUNT, width, labels);
    view = naive_view(&w, 0);
    first = naive_pass(&w, 0, 0, NULL, w.dim);
    second = naive_pass(&w, 1, 0, NULL, w.dim);
    stage = naive_pass(&w, 1, 0, "layer1", early_dim);
    logits = naive_head(&w, second, COUNT);
    compare_columns(features, width, 0, view, PIXELS);
    compare_columns(features, width, PIXELS, first, w.dim);
    compare_columns(features, width, PIXELS + w.dim, second, w.dim);
    compare_columns(features, width, PIXELS + 2 * w.dim, stage, early_dim);
    compare_columns(features, width, PIXELS + 2 * w.dim + early_dim, logits, 5);
    for (i = 0; i < COUNT; i++) ck_assert_int_eq(labels[i], i % CLASSES);
    free(features);
    free(view);
    free(first);
    free(second);
    free(stage);
    free(logits);
    destroy_world(&w);
}
END_TEST

/* A map comes as (N, D, h, w) and is embedded as (P, D), and so is what a head makes of it. */
START_TEST(embed_maps)
{
    world w = make_world(make_context(1, NULL));
    sslcv_branch map = make_branch(normal_view, 1, w.backbone, SSLCV_PASS_MAP);
    sslcv_branch top = make_branch(normal_view, 1, w.backbone, SSLCV_PASS_MAP);
    const sslcv_branch *branches[2] = {&map, &top};
    const sslcv_embed_options options = make_options(&w, branches, 2);
    int64_t early_dim, width, area, n, p, d;
    float *features, *expected, *rows, *logits;

    map.stage = "layer2"; /* stride 2: SIDE / 2 squared pixels */
    OK(sslcv_backbone_get_stage(w.backbone, 2, NULL, &early_dim));
    area = SIDE * SIDE / 4;
    top.heads = &w.head; /* over layer4, which has one pixel left */
    top.num_heads = 1;
    width = area * early_dim + 5;
    features = embed(&options, COUNT, width, NULL);
    expected = naive_pass(&w, 1, SSLCV_PASS_MAP, "layer2", area * early_dim);
    for (n = 0; n < COUNT; n++) {
        for (p = 0; p < area; p++) {
            for (d = 0; d < early_dim; d++) {
                CLOSE(features[n * width + p * early_dim + d], expected[(n * early_dim + d) * area + p], 1e-5);
            }
        }
    }
    rows = naive_pass(&w, 1, SSLCV_PASS_MAP, NULL, w.dim);
    logits = naive_head(&w, rows, COUNT);
    compare_columns(features, width, area * early_dim, logits, 5);
    free(features);
    free(expected);
    free(rows);
    free(logits);
    destroy_world(&w);
}
END_TEST

START_TEST(embed_in_parts)
{
    world w = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options options = make_options(&w, branches, 1);
    static const int64_t sizes[] = {1, 3, COUNT, 1000};
    float *whole = embed(&options, COUNT, w.dim, NULL);
    size_t s;
    int64_t i;

    for (s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        float *again;

        options.batch_size = sizes[s];
        again = embed(&options, COUNT, w.dim, NULL);
        for (i = 0; i < COUNT * w.dim; i++) CLOSE(again[i], whole[i], 1e-5);
        free(again);
    }
    options.batch_size = 4;
    branch.flags = SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT; /* as init sets it, for training: evaluation all the same */
    for (options.first = 0; options.first < COUNT; options.first += 5) {
        const int64_t count = COUNT - options.first < 5 ? COUNT - options.first : 5;
        int64_t labels[5];
        float *part;

        options.count = options.first + 5 < COUNT ? 5 : 0;
        part = embed(&options, count, w.dim, labels);
        for (i = 0; i < count * w.dim; i++) CLOSE(part[i], whole[options.first * w.dim + i], 1e-5);
        for (i = 0; i < count; i++) ck_assert_int_eq(labels[i], (options.first + i) % CLASSES);
        free(part);
    }
    free(whole);
    destroy_world(&w);
}
END_TEST

/* Seed and epoch decide on random views; nothing is drawn from the context. */
START_TEST(embed_random_views)
{
    static const int64_t flipped[1] = {2};
    world w = make_world(make_context(1, NULL)), other = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(flipped, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options options = make_options(&w, branches, 1);
    sslcv_backbone *next, *expected;
    sslcv_backbone_options network;
    sslcv_state *states[2];
    float *a, *b, *weights[2];
    int64_t count;
    int i;

    options.seed = 3;
    a = embed(&options, COUNT, PIXELS, NULL);
    b = embed(&options, COUNT, PIXELS, NULL);
    ck_assert_mem_eq(a, b, COUNT * PIXELS * sizeof *a);
    free(b);
    options.epoch = 1;
    b = embed(&options, COUNT, PIXELS, NULL);
    ck_assert_mem_ne(a, b, COUNT * PIXELS * sizeof *a);
    free(b);
    options.epoch = 0;
    options.seed = 0;
    b = embed(&options, COUNT, PIXELS, NULL);
    ck_assert_mem_ne(a, b, COUNT * PIXELS * sizeof *a);
    free(a);
    free(b);
    OK(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
    network.width = 0.125;
    OK(sslcv_backbone_create(w.context, &network, &next));
    OK(sslcv_backbone_create(other.context, &network, &expected));
    OK(sslcv_backbone_get_state(next, &states[0]));
    OK(sslcv_backbone_get_state(expected, &states[1]));
    for (i = 0; i < 2; i++) {
        OK(sslcv_state_get_flat(states[i], SSLCV_ROLE_ALL, NULL, 0, &count));
        weights[i] = make_array(count);
        OK(sslcv_state_get_flat(states[i], SSLCV_ROLE_ALL, weights[i], count, &count));
        sslcv_state_destroy(states[i]);
    }
    ck_assert_mem_eq(weights[0], weights[1], (size_t)count * sizeof(float));
    free(weights[0]);
    free(weights[1]);
    sslcv_backbone_destroy(next);
    sslcv_backbone_destroy(expected);
    destroy_world(&w);
    destroy_world(&other);
}
END_TEST

START_TEST(embed_unreadable_samples)
{
    static const char junk[] = "\xff\xd8\xff no picture";
    sslcv_context *context = make_context(1, NULL);
    sslcv_dataset *kept = NULL;
    world w = make_world(context);
    sslcv_branch branch = make_branch(plain_view, 1, NULL, 0);
    const sslcv_branch *branches[1] = {&branch};
    int32_t on_error;

    kept = w.dataset;
    for (on_error = SSLCV_ON_ERROR_SUBSTITUTE; on_error <= SSLCV_ON_ERROR_FAIL; on_error++) {
        sslcv_embed_options options;
        sslcv_tensor features;
        int64_t labels[6], i, k;
        float values[6 * PIXELS];

        w.dataset = make_list(context, on_error);
        for (i = 0; i < 6; i++) {
            if (i == 0 || i == 5) {
                OK(sslcv_dataset_add_file(w.dataset, NULL, junk, sizeof junk, i % CLASSES, NULL));
            } else {
                add_picture(w.dataset, i, i % CLASSES);
            }
        }
        options = make_options(&w, branches, 1);
        features = array(values, 6, PIXELS);
        if (on_error == SSLCV_ON_ERROR_FAIL) {
            FAILS(sslcv_embed(&options, &features, labels), SSLCV_ERR_FORMAT, "");
        } else {
            OK(sslcv_embed(&options, &features, labels));
            for (i = 0; i < 6; i++) {
                uint8_t pixels[PIXELS];

                ck_assert_int_eq(labels[i], i == 0 || i == 5 ? -1 : i % CLASSES);
                picture(i, i % CLASSES, pixels);
                for (k = 0; k < PIXELS; k++) {
                    CLOSE(values[i * PIXELS + k], i == 0 || i == 5 ? 0 : pixels[k] / 255.0, 1e-6);
                }
            }
        }
        sslcv_dataset_destroy(w.dataset);
    }
    w.dataset = kept;
    destroy_world(&w);
}
END_TEST

START_TEST(embed_refuses)
{
    world w = make_world(make_context(1, NULL)), other = make_world(make_context(1, NULL));
    sslcv_branch branch = make_branch(plain_view, 1, NULL, 0), good = branch;
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options good_options = make_options(&w, branches, 1), o = good_options;
    static const int64_t no_view[1] = {7};
    sslcv_tensor shape = {.data = NULL};
    sslcv_head *heads[1] = {w.head};
    float values[PIXELS] = {-5};
    sslcv_tensor small = array(values, 1, PIXELS);

    FAILS(sslcv_embed_options_init(NULL, sizeof o), SSLCV_ERR_INVALID_ARGUMENT, "embed_options is NULL");
    FAILS(sslcv_embed(NULL, &shape, NULL), SSLCV_ERR_INVALID_ARGUMENT, "embed_options is NULL");
    FAILS(sslcv_embed(&o, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "features is NULL");
    FAILS(sslcv_embed(&o, &small, NULL), SSLCV_ERR_INVALID_ARGUMENT, "features");
    ck_assert_float_eq(values[0], -5);
#define REFUSE(field, value, status, text)                                                                             \
    do {                                                                                                               \
        o = good_options;                                                                                              \
        o.field = value;                                                                                               \
        FAILS(sslcv_embed(&o, &shape, NULL), status, text);                                                            \
    } while (0)
#define REFUSE_BRANCH(field, value, status, text)                                                                      \
    do {                                                                                                               \
        branch = good;                                                                                                 \
        branch.field = value;                                                                                          \
        FAILS(sslcv_embed(&good_options, &shape, NULL), status, text);                                                 \
        branch = good;                                                                                                 \
    } while (0)
    REFUSE(struct_size, 8, SSLCV_ERR_INVALID_ARGUMENT, "struct_size is 8");
    REFUSE(dataset, NULL, SSLCV_ERR_INVALID_ARGUMENT, "embed.dataset is NULL");
    REFUSE(augmenter, NULL, SSLCV_ERR_INVALID_ARGUMENT, "embed.augmenter is NULL");
    REFUSE(augmenter, other.augmenter, SSLCV_ERR_INVALID_ARGUMENT, "embed.augmenter comes from another context");
    REFUSE(branches, NULL, SSLCV_ERR_INVALID_ARGUMENT, "embed.branches is NULL");
    REFUSE(num_branches, 0, SSLCV_ERR_INVALID_ARGUMENT, "embed.num_branches is 0");
    REFUSE(batch_size, 0, SSLCV_ERR_INVALID_ARGUMENT, "embed.batch_size is 0");
    REFUSE(epoch, -1, SSLCV_ERR_INVALID_ARGUMENT, "embed.epoch is -1");
    REFUSE(first, -1, SSLCV_ERR_INVALID_ARGUMENT, "embed.first is -1");
    REFUSE(first, COUNT, SSLCV_ERR_NOT_FOUND, "embed.first is 13 and embed.count 0; the data set has 13");
    REFUSE(count, COUNT + 1, SSLCV_ERR_NOT_FOUND, "embed.count 14");
    REFUSE_BRANCH(source, 0, SSLCV_ERR_INVALID_ARGUMENT, "branch.source is 0");
    REFUSE_BRANCH(momentum, 1, SSLCV_ERR_INVALID_ARGUMENT, "branch.momentum is 1; must be 0 to embed");
    REFUSE_BRANCH(flags, 1 << 10, SSLCV_ERR_UNSUPPORTED, "branch.flags is 1024; this version knows no such flag");
    REFUSE_BRANCH(flags, SSLCV_PASS_MAP, SSLCV_ERR_INVALID_ARGUMENT, "without a backbone");
    REFUSE_BRANCH(num_views, 0, SSLCV_ERR_INVALID_ARGUMENT, "branch.num_views is 0");
    REFUSE_BRANCH(views, NULL, SSLCV_ERR_INVALID_ARGUMENT, "branch.views is NULL");
    REFUSE_BRANCH(views, no_view, SSLCV_ERR_NOT_FOUND, "view 7 does not exist");
    REFUSE_BRANCH(num_heads, 1, SSLCV_ERR_INVALID_ARGUMENT, "branch.heads is NULL");
    REFUSE_BRANCH(num_heads, -1, SSLCV_ERR_INVALID_ARGUMENT, "branch.num_heads is -1");
    REFUSE_BRANCH(backbone, other.backbone, SSLCV_ERR_INVALID_ARGUMENT, "branch.backbone comes from another context");
    REFUSE_BRANCH(backbone, (sslcv_backbone *)w.head, SSLCV_ERR_INVALID_ARGUMENT, "not a live backbone handle");
    good.heads = heads;
    REFUSE_BRANCH(num_heads, 1, SSLCV_ERR_INVALID_ARGUMENT, ""); /* wants feature_dim values, not pixels */
    good.backbone = w.backbone;
    REFUSE_BRANCH(stage, "layer9", SSLCV_ERR_NOT_FOUND, "layer9");
#undef REFUSE
#undef REFUSE_BRANCH
    OK(sslcv_context_cancel(w.context, 1));
    FAILS(sslcv_embed(&good_options, &shape, NULL), SSLCV_ERR_CANCELLED, "cancelled");
    OK(sslcv_context_cancel(w.context, 0));
    OK(sslcv_embed(&good_options, &shape, NULL));
    destroy_world(&w);
    destroy_world(&other);
}
END_TEST

typedef struct job {
    const sslcv_embed_options *options;
    sslcv_tensor features;
    sslcv_status status;
} job;

static void *run_job(void *user)
{
    job *j = user;

    j->status = sslcv_embed(j->options, &j->features, NULL);
    return NULL;
}

/* One network, two threads: the same features as from one. */
START_TEST(embed_from_two_threads)
{
    world w = make_world(make_context(2, NULL));
    sslcv_branch branch = make_branch(normal_view, 1, w.backbone, 0);
    const sslcv_branch *branches[1] = {&branch};
    const sslcv_embed_options options = make_options(&w, branches, 1);
    float *expected = embed(&options, COUNT, w.dim, NULL), *values = make_array(2 * COUNT * w.dim);
    pthread_t threads[2];
    job jobs[2];
    int i;

    for (i = 0; i < 2; i++) {
        jobs[i] = (job){&options, array(values + i * COUNT * w.dim, COUNT, w.dim), SSLCV_OK};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(jobs[i].status, SSLCV_OK);
        ck_assert_mem_eq(values + i * COUNT * w.dim, expected, (size_t)(COUNT * w.dim) * sizeof *values);
    }
    free(expected);
    free(values);
    destroy_world(&w);
}
END_TEST

START_TEST(embed_out_of_memory)
{
    host h;
    sslcv_context_options options;
    const sslcv_allocator allocator = {sizeof allocator, &h, host_allocate, host_deallocate, NULL};
    sslcv_context *context;
    world w;
    sslcv_branch pixels = make_branch(plain_view, 1, NULL, 0), deep;
    const sslcv_branch *branches[2] = {&pixels, &deep};
    sslcv_embed_options embedding;
    sslcv_tensor features = {.data = NULL};
    int64_t at, held;
    float *values;

    h = (host){.fail_at = -1};
    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.loader_threads = 0; /* so that the order of allocations is fixed */
    options.allocator = &allocator;
    OK(sslcv_context_create(&options, &context));
    w = make_world(context);
    deep = make_branch(normal_view, 1, w.backbone, 0);
    deep.stage = "layer1";
    deep.heads = NULL;
    embedding = make_options(&w, branches, 2);
    embedding.count = 5;
    OK(sslcv_embed(&embedding, &features, NULL));
    values = make_array(5 * features.shape[1]);
    features.data = values;
    OK(sslcv_embed(&embedding, &features, NULL)); /* what is kept from now on is kept */
    for (at = 0, held = h.out;; at += 1 + at / 6) {
        sslcv_status status;

        h.fail_at = h.calls + at;
        status = sslcv_embed(&embedding, &features, NULL);
        ck_assert_int_eq(h.out, held);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    ck_assert_int_ge(at, 10);
    h.fail_at = -1;
    free(values);
    destroy_world(&w);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embed");
    TCase *embedding = add_case(suite, "embed");

    tcase_add_test(embedding, embed_joins_branches);
    tcase_add_test(embedding, embed_maps);
    tcase_add_test(embedding, embed_in_parts);
    tcase_add_test(embedding, embed_random_views);
    tcase_add_test(embedding, embed_unreadable_samples);
    tcase_add_test(embedding, embed_refuses);
    tcase_add_test(embedding, embed_from_two_threads);
    tcase_add_test(embedding, embed_out_of_memory);
    return run_suite(suite);
}
