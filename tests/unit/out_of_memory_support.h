/**
 * Memory that runs out under every public function. A scenario is a function with what it needs: prepare() makes that,
 * call() calls. Allocation n of the call fails for n = 0, 1, 2 ..., once and from n on, and each time
 *
 *     the status is SSLCV_ERR_OUT_OF_MEMORY, and the message has been set;
 *     outputs, filled with POISON before, are as they were, and so are the contents of networks and states;
 *     as many blocks are held as before;
 *     the same call then succeeds, with the results, the contents and the blocks of one that nothing disturbed;
 *     after all handles are destroyed nothing is held.
 *
 * With "once" everything is made anew for each n. With "from n on" one set of objects has all the failures, one after
 * the other, before it must succeed. Seeds are given, as a call that fails may have drawn one from the context.
 */
#ifndef SSLCV__TESTS_OUT_OF_MEMORY_SUPPORT_H
#define SSLCV__TESTS_OUT_OF_MEMORY_SUPPORT_H

#include "data_support.h"

#include <sslcv/sslcv.h>

enum { POISON = 0xA5 };

/* Every kind of handle: X(kind). */
#define EACH_HANDLE(X)                                                                                                 \
    X(trainer) X(probe) X(scalars) X(loader) X(optimizer) X(loss) X(head) X(tape) X(backbone) X(state) X(augmenter)    \
    X(dataset) X(context)

typedef struct handles {
#define X(kind) sslcv_##kind *kind;
    EACH_HANDLE(X)
#undef X
} handles;

/** Where calls put what they give. */
typedef struct output {
    handles made;
    sslcv_tensor tensor;
    int64_t integers[256];
    double numbers[64];
    float floats[1 << 13];
    char text[1 << 12];
    union {
        sslcv_memory memory;
        sslcv_metrics metrics;
        sslcv_figure_value figure;
        sslcv_spread spread;
        sslcv_progress progress;
        sslcv_load_report report;
        sslcv_loss_call call;
    } info;
} output;

typedef struct world {
    host memory;
    handles have;        /* what prepare() has made; the context is there already */
    sslcv_state *second; /* likewise */
    output out, before;
    void *block;         /* of malloc; freed with the rest */
} world;

enum {
    ALLOCATES_NOTHING = 1, /* not one allocation: nothing can fail */
    ABSORBS = 2,           /* some failures cost speed or a log line alone, as the header says */
    KEEPS = 4,             /* what was made before the failure may stay, for the next try */
    WRITES_EARLY = 8,      /* arrays are filled batch by batch, as the header says */
    THREADS = 16,          /* what fails and what is held depends on how far threads of its own have come */
    GOES_ON = 32           /* what was done before the failure is not done again */
};

typedef struct scenario {
    const char *function;             /* a name of lib/sslcv.map */
    void (*prepare)(world *w);        /* NULL: nothing */
    sslcv_status (*call)(world *w);
    int32_t flags;
    int32_t most;                     /* failures of a kind that are tried, the second half of them spread; 0: 200 */
} scenario;

/* ---- results ---- */

static inline uint64_t digest(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    size_t i;

    for (i = 0; i < size; i++) hash = (hash ^ b[i]) * 0x100000001b3u;
    return hash;
}

static inline uint64_t digest_state(uint64_t hash, sslcv_state *state)
{
    int64_t count = 0;
    float *values;

    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, NULL, 0, &count));
    values = malloc((size_t)count * sizeof *values + 1);
    OK(sslcv_state_get_flat(state, SSLCV_ROLE_ALL, values, count, NULL));
    hash = digest(hash, values, (size_t)count * sizeof *values);
    free(values);
    return hash;
}

static inline uint64_t digest_dataset(uint64_t hash, sslcv_dataset *dataset)
{
    static unsigned char pixels[1 << 16];
    const sslcv_dataset_info info = info_of(dataset);
    int64_t i;

    for (i = 0; i < info.count; i++) {
        const sslcv_sample sample = sample_of(dataset, i);
        sslcv_tensor image = {.data = NULL};

        hash = digest(digest(hash, sample.name, strlen(sample.name)), &sample.label, sizeof sample.label);
        if (sslcv_dataset_read(dataset, i, &image) != SSLCV_OK) continue;
        ck_assert_int_le(image.shape[0] * image.shape[1] * image.shape[2] * 4, (int)sizeof pixels);
        image.data = pixels;
        OK(sslcv_dataset_read(dataset, i, &image));
        hash = digest(hash, pixels, (size_t)(image.shape[0] * image.shape[1] * image.shape[2]));
    }
    return hash;
}

static inline uint64_t digest_augmenter(uint64_t hash, const sslcv_augmenter *augmenter)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    int64_t i;

    for (i = 0; sslcv_augmenter_get_view(augmenter, i, &info) == SSLCV_OK; i++) {
        hash = digest(hash, &info, sizeof info);
    }
    return hash;
}

#define DIGEST_BY_STATE(kind)                                                                                          \
    if (h->kind && sslcv_##kind##_get_state(h->kind, &state) == SSLCV_OK) {                                            \
        hash = digest_state(hash, state);                                                                              \
        sslcv_state_destroy(state);                                                                                    \
    }

/** The part of the contents whose reading does not change the object, nor what it holds. */
static inline uint64_t digest_quietly(uint64_t hash, const handles *h)
{
    sslcv_state *state;

    DIGEST_BY_STATE(backbone)
    DIGEST_BY_STATE(head)
    if (h->state) hash = digest_state(hash, h->state);
    if (h->augmenter) hash = digest_augmenter(hash, h->augmenter);
    return hash;
}

static inline uint64_t digest_handles(uint64_t hash, const handles *h)
{
    sslcv_state *state;

    hash = digest_quietly(hash, h);
    if (h->dataset) hash = digest_dataset(hash, h->dataset);
    DIGEST_BY_STATE(loss)
    DIGEST_BY_STATE(optimizer)
    DIGEST_BY_STATE(trainer)
    if (h->tape) {
        sslcv_tensor tensor;
        int64_t count = 1;
        int32_t i;

        if (sslcv_tape_output(h->tape, &tensor) == SSLCV_OK) {
            for (i = 0; i < tensor.ndim; i++) count *= tensor.shape[i];
            hash = digest(hash, tensor.data, (size_t)count * sizeof(float));
        }
    }
    return hash;
}

/** What was not made is NULL from now on. */
static inline void clear_poison(handles *h)
{
    handles poison;

    memset(&poison, POISON, sizeof poison);
#define X(kind)                                                                                                        \
    if (h->kind == poison.kind) h->kind = NULL;
    EACH_HANDLE(X)
#undef X
}

/** After a call that has succeeded. */
static inline uint64_t digest_world(world *w)
{
    const output *o = &w->out;
    uint64_t hash = 0xcbf29ce484222325u;

    clear_poison(&w->out.made);
    hash = digest(hash, o->tensor.shape, sizeof o->tensor - offsetof(sslcv_tensor, shape));
    hash = digest(hash, o->integers, sizeof o->integers);
    hash = digest(hash, o->numbers, sizeof o->numbers);
    hash = digest(hash, o->floats, sizeof o->floats);
    hash = digest(hash, o->text, sizeof o->text);
    return digest_handles(digest_handles(hash, &w->out.made), &w->have);
}

/* ---- one scenario ---- */

static inline void begin_world(world *w, const scenario *s)
{
    memset(w, 0, sizeof *w);
    w->memory.fail_at = -1;
    w->have.context = new_context(&w->memory, 1);
    memset(&w->out, POISON, sizeof w->out);
    if (s->prepare) s->prepare(w);
    memcpy(&w->before, &w->out, sizeof w->out);
}

static inline void end_world(world *w, const scenario *s)
{
    clear_poison(&w->out.made);
#define X(kind)                                                                                                        \
    sslcv_##kind##_destroy(w->out.made.kind);                                                                          \
    sslcv_##kind##_destroy(w->have.kind);
    EACH_HANDLE(X)
#undef X
    sslcv_state_destroy(w->second);
    free(w->block);
    ck_assert_msg(w->memory.out == 0, "%s: %d blocks are never given back", s->function, (int)w->memory.out);
}

typedef struct expected {
    int64_t calls, held;
    uint64_t result;
} expected;

static inline void expect_success(world *w, const scenario *s, const expected *e, int64_t n, int held)
{
    const sslcv_status status = s->call(w);

    ck_assert_msg(status == SSLCV_OK, "%s: allocation %d has failed, and the next call gives %s (%s)", s->function,
                  (int)n, sslcv_status_string(status), sslcv_last_error());
    if (held && !(s->flags & THREADS)) {
        ck_assert_msg(w->memory.out == e->held,
                      "%s: allocation %d has failed, and after the next call %d blocks are held, not %d", s->function,
                      (int)n, (int)w->memory.out, (int)e->held);
    }
    ck_assert_msg(digest_world(w) == e->result, "%s: allocation %d has failed, and the next call gives something else",
                  s->function, (int)n);
}

/** 1: the call has failed as it should; 0: it has succeeded, as it may, and has given the right result. */
static inline int fail_once(world *w, const scenario *s, const expected *e, int64_t n, int once)
{
    const uint64_t contents = digest_quietly(0, &w->have);
    const int64_t held = w->memory.out;
    sslcv_status status;

    FAILS(sslcv_retain(NULL), SSLCV_ERR_INVALID_ARGUMENT, "handle");
    w->memory.once = once;
    w->memory.calls = 0;
    w->memory.fail_at = n;
    status = s->call(w);
    w->memory.fail_at = -1;
    if (status == SSLCV_OK) {
        ck_assert_msg((s->flags & (ABSORBS | THREADS)) || w->memory.calls <= n,
                      "%s: allocation %d fails, and it succeeds", s->function, (int)n);
        ck_assert_msg(digest_world(w) == e->result, "%s: allocation %d fails, and it gives something else", s->function,
                      (int)n);
        return 0;
    }
    ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s: allocation %d fails, and it gives %s (%s)", s->function,
                  (int)n, sslcv_status_string(status), sslcv_last_error());
    ck_assert_msg(strstr(sslcv_last_error(), "memory") != NULL, "%s: allocation %d fails; the message is \"%s\"",
                  s->function, (int)n, sslcv_last_error());
    ck_assert_msg((s->flags & WRITES_EARLY) || memcmp(&w->out, &w->before, sizeof w->out) == 0,
                  "%s: allocation %d fails, and an output is written", s->function, (int)n);
    ck_assert_msg((s->flags & (KEEPS | THREADS)) || w->memory.out == held,
                  "%s: allocation %d fails, and %d blocks leak", s->function, (int)n, (int)(w->memory.out - held));
    ck_assert_msg((s->flags & GOES_ON) || digest_quietly(0, &w->have) == contents,
                  "%s: allocation %d fails, and contents have changed", s->function, (int)n);
    return 1;
}

/** What the environment's SSLCV_TEST_COUNTS asks for: a line for docs/testing.md. */
static inline void tell_counts(const scenario *s, const expected *e, int64_t failures)
{
    if (getenv("SSLCV_TEST_COUNTS")) {
        printf("%s: %d allocations, %d failures\n", s->function, (int)e->calls, (int)failures);
        fflush(stdout);
    }
}

static inline void run_scenario(const scenario *s)
{
    static world w;
    const int64_t most = s->most ? s->most : 200;
    int64_t n, step, failures = 0;
    expected e;

    begin_world(&w, s);
    w.memory.calls = 0;
    OK(s->call(&w));
    e.calls = w.memory.calls;
    e.held = w.memory.out;
    e.result = digest_world(&w);
    end_world(&w, s);
    if (s->flags & ALLOCATES_NOTHING) {
        ck_assert_msg(e.calls == 0, "%s: %d allocations", s->function, (int)e.calls);
        return;
    }
    ck_assert_msg(e.calls > 0, "%s: allocates nothing", s->function);

    step = e.calls <= most ? 1 : (e.calls + most / 2 - 1) / (most / 2);
    for (n = 0; n < e.calls; n += n < most / 2 ? 1 : step) {
        begin_world(&w, s);
        failures++;
        if (fail_once(&w, s, &e, n, 1)) expect_success(&w, s, &e, n, 1);
        end_world(&w, s);
    }
    begin_world(&w, s);
    for (n = 0; n < e.calls; n += n < most / 2 ? 1 : step) {
        failures++;
        if (!fail_once(&w, s, &e, n, 0)) {
            end_world(&w, s);
            begin_world(&w, s);
        }
    }
    expect_success(&w, s, &e, n, !(s->flags & ABSORBS));
    end_world(&w, s);
    tell_counts(s, &e, failures);
}

/** A program of one table, between make_folder() and remove_tree(). */
static inline int run_scenarios(const char *name, const TTest *test, int count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create("scenarios");

    tcase_add_checked_fixture(tcase, make_folder, remove_tree);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test, 0, count);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}

/* ---- what scenarios are made of, small ---- */

enum { OOM_SIDE = 8, OOM_SAMPLES = 12, OOM_CLASSES = 3, OOM_BATCH = 4, OOM_PIXELS = 3 * OOM_SIDE * OOM_SIDE };

/** Labelled pictures in memory. */
static inline void have_dataset(world *w)
{
    float *pixels = malloc(sizeof(float) * OOM_SAMPLES * OOM_PIXELS);
    int64_t labels[OOM_SAMPLES], i;
    const int64_t shape[4] = {OOM_SAMPLES, 3, OOM_SIDE, OOM_SIDE};
    sslcv_tensor images;

    golden_input(3, OOM_SAMPLES * OOM_PIXELS, pixels);
    for (i = 0; i < OOM_SAMPLES * OOM_PIXELS; i++) pixels[i] += 0.5f;
    for (i = 0; i < OOM_SAMPLES; i++) labels[i] = i % OOM_CLASSES;
    w->have.dataset = make_list(w->have.context);
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_dataset_add_images(w->have.dataset, &images, labels, NULL));
    free(pixels);
}

/** Two drawn views, and one for evaluation. */
static inline void have_augmenter(world *w)
{
    OK(sslcv_augmenter_create(w->have.context, &w->have.augmenter));
    OK(sslcv_augmenter_add_preset(w->have.augmenter, "simclr-cifar", OOM_SIDE, NULL, NULL));
    OK(sslcv_augmenter_add_preset(w->have.augmenter, "eval-cifar", OOM_SIDE, NULL, NULL));
}

static inline sslcv_backbone_options small_backbone(void)
{
    sslcv_backbone_options o;

    OK(sslcv_backbone_options_init(&o, sizeof o, SSLCV_BACKBONE_RESNET18));
    o.stem = SSLCV_STEM_CIFAR;
    o.width = 0.125;
    o.num_stages = 2;
    o.seed = 11;
    return o;
}

enum { OOM_FEATURES = 8 };

static inline void have_backbone(world *w)
{
    const sslcv_backbone_options o = small_backbone();

    OK(sslcv_backbone_create(w->have.context, &o, &w->have.backbone));
}

static inline sslcv_mlp_options small_mlp(void)
{
    sslcv_mlp_options o;

    OK(sslcv_mlp_options_init(&o, sizeof o));
    o.in_dim = OOM_FEATURES;
    o.out_dim = 4;
    o.seed = 12;
    return o;
}

static inline void have_head(world *w)
{
    const sslcv_mlp_options o = small_mlp();

    OK(sslcv_head_create_mlp(w->have.context, &o, &w->have.head));
}

static inline void have_tape(world *w)
{
    OK(sslcv_tape_create(w->have.context, &w->have.tape));
}

/** Values in memory of the world's. */
static inline sslcv_tensor have_values(world *w, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor tensor;
    int64_t count = 1;
    int32_t i;

    for (i = 0; i < ndim; i++) count *= shape[i];
    if (!w->block) {
        w->block = malloc((size_t)count * sizeof(float));
        golden_input(4, count, w->block);
    }
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, w->block, ndim, shape));
    return tensor;
}

/* ---- tables ---- */

/** A call of one expression. */
#define CALL(name, expression)                                                                                         \
    static sslcv_status name(world *w)                                                                                 \
    {                                                                                                                  \
        return (expression);                                                                                           \
    }

/** The rest of a suite, behind its table of scenarios. */
#define SCENARIO_SUITE(name)                                                                                           \
    START_TEST(runs)                                                                                                   \
    {                                                                                                                  \
        run_scenario(&scenarios[_i]);                                                                                  \
    }                                                                                                                  \
    END_TEST                                                                                                           \
                                                                                                                       \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return run_scenarios(name, runs, (int)(sizeof scenarios / sizeof scenarios[0]));                               \
    }

#endif
