/** What the suites of the two DeepClusters share: runs that are resumed, cut short or out of memory. */
#ifndef SSLCV__TESTS_DEEPCLUSTER_SUPPORT_H
#define SSLCV__TESTS_DEEPCLUSTER_SUPPORT_H

#include "memory_support.h"
#include "recipe_support.h"

#include <stdint.h>
#include <unistd.h>

enum { RUN_STEPS = 9, PIXELS = 3 * SIDE * SIDE };

/* ---- the whole state, whatever its types ---- */

static inline void read_integers(rig *r, const char *name, int32_t ndim, const int64_t *shape, int64_t *values)
{
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_tensor_init(&tensor, SSLCV_I64, values, ndim, shape));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
}

static inline void save_run(rig *r, const char *path)
{
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);
}

static inline void load_run(rig *r, const char *path)
{
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
}

/** Two files of the same bytes? */
static inline int same_files(const char *a, const char *b)
{
    FILE *fa = fopen(a, "rb"), *fb = fopen(b, "rb");
    int x, y;

    ck_assert(fa && fb);
    do {
        x = fgetc(fa);
        y = fgetc(fb);
    } while (x == y && x != EOF);
    fclose(fa);
    fclose(fb);
    return x == y;
}

static inline void temporary(char *path)
{
    const int file = mkstemp(path);

    ck_assert_int_ge(file, 0);
    close(file);
}

/* ---- resumed ---- */

/** Stopped before the first step, at each step of an epoch and between epochs, and taken up by new objects. */
static inline void check_resumes(const char *method, const char *settings)
{
    char path[] = "/tmp/sslcv_deepcluster_XXXXXX", ours[] = "/tmp/sslcv_deepcluster_XXXXXX",
         whole[] = "/tmp/sslcv_deepcluster_XXXXXX";
    double losses[RUN_STEPS], nmi[RUN_STEPS];
    const char *nmi_name = strcmp(method, "deepcluster") == 0 ? "clusters.nmi" : "loss.0.nmi";
    int stop, i;
    rig r = make_recipe(method, NULL, settings);

    temporary(path);
    temporary(ours);
    temporary(whole);
    for (i = 0; i < RUN_STEPS; i++) {
        losses[i] = step(&r);
        nmi[i] = metric(&r, nmi_name);
    }
    save_run(&r, whole);
    free_recipe(&r);
    for (stop = 0; stop < RUN_STEPS; stop++) {
        r = make_recipe(method, NULL, settings);
        for (i = 0; i < stop; i++) step(&r);
        save_run(&r, path);
        free_recipe(&r);
        r = make_recipe(method, NULL, settings);
        load_run(&r, path);
        for (i = stop; i < RUN_STEPS; i++) {
            ck_assert_msg(step(&r) == losses[i], "stopped at %d, step %d differs", stop, i);
            if (i / 3 > stop / 3) ck_assert(metric(&r, nmi_name) == nmi[i]); /* of an epoch that this one began */
        }
        save_run(&r, ours);
        ck_assert_msg(same_files(ours, whole), "stopped at %d it ends otherwise", stop);
        free_recipe(&r);
    }
    unlink(path);
    unlink(ours);
    unlink(whole);
}

/* ---- a data set that can cut a run short ---- */

/** Images like those of make_dataset(), by callback. */
typedef struct source {
    float images[SAMPLES][PIXELS];
    int64_t count;     /* of samples */
    int64_t loads;     /* so far */
    int64_t cancel_at; /* load at which the context is cancelled; -1: none */
    int64_t fail_at;   /* load that fails; -1: none */
    sslcv_context *context;
} source;

static inline int32_t load_image(void *user, int64_t index, sslcv_tensor *image)
{
    const int64_t shape[3] = {3, SIDE, SIDE};
    source *s = user;

    if (s->loads == s->cancel_at) OK(sslcv_context_cancel(s->context, 1));
    if (s->loads++ == s->fail_at) return 1;
    OK(sslcv_tensor_init(image, SSLCV_F32, s->images[index], 3, shape));
    return 0;
}

static inline void fill_source(source *s)
{
    int64_t n, i;

    golden_input(5, SAMPLES * PIXELS, s->images[0]);
    for (n = 0; n < SAMPLES; n++) {
        for (i = 0; i < PIXELS; i++) {
            s->images[n][i] = 0.3f + 0.2f * s->images[n][i] + (i / (SIDE * SIDE) == n % CLASSES ? 0.4f : 0.0f);
        }
    }
    s->count = SAMPLES;
    s->cancel_at = s->fail_at = -1;
}

static inline rig make_from_source(source *s, sslcv_context *context, const char *method, const char *settings)
{
    const sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks, .user = s, .load = load_image};
    sslcv_dataset_options o;
    rig r = {.context = context};

    s->context = context;
    s->loads = 0;
    OK(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_CALLBACK));
    o.callbacks = &callbacks;
    o.count = s->count;
    o.on_error = SSLCV_ON_ERROR_FAIL;
    OK(sslcv_dataset_create(context, &o, &r.dataset));
    OK(make_method(context, method, r.dataset, NULL, settings, 21, &r.trainer));
    return r;
}

/** Cancelled while an epoch is made ready, in the first and in a later one: going on gives the uninterrupted run. */
static inline void check_cancels(const char *method, const char *settings, int64_t first, int64_t later)
{
    char ours[] = "/tmp/sslcv_deepcluster_XXXXXX", whole[] = "/tmp/sslcv_deepcluster_XXXXXX";
    const int64_t at[2] = {first, later};
    source s;
    rig r;
    int i;

    temporary(ours);
    temporary(whole);
    fill_source(&s);
    r = make_from_source(&s, make_f32_context(), method, settings);
    OK(sslcv_trainer_run(r.trainer, 0));
    save_run(&r, whole);
    free_recipe(&r);
    for (i = 0; i < 2; i++) {
        if (at[i] < 0) continue;
        s.cancel_at = at[i];
        r = make_from_source(&s, make_f32_context(), method, settings);
        ck_assert_int_eq(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_CANCELLED);
        OK(sslcv_context_cancel(r.context, 0));
        OK(sslcv_trainer_run(r.trainer, 0));
        save_run(&r, ours);
        ck_assert_msg(same_files(ours, whole), "cancelled at load %d it ends otherwise", (int)at[i]);
        free_recipe(&r);
    }
    unlink(ours);
    unlink(whole);
}

/** Memory ends somewhere within the first step: nothing leaks. */
static inline void check_out_of_memory(const char *method, const char *settings)
{
    host h = {.fail_at = -1};
    sslcv_context *context = new_context(&h, 1);
    sslcv_dataset *dataset = make_dataset(context, 3, 0);
    sslcv_trainer *trainer;
    sslcv_status status;
    int64_t n, held;

    OK(make_method(context, method, dataset, NULL, settings, 1, &trainer)); /* what stays is made */
    OK(sslcv_trainer_step(trainer, NULL));
    sslcv_trainer_destroy(trainer);
    held = h.out;
    for (n = 0;; n += 1 + n / 6) {
        OK(make_method(context, method, dataset, NULL, settings, 1, &trainer));
        h.calls = 0;
        h.fail_at = n;
        status = sslcv_trainer_step(trainer, NULL);
        h.fail_at = -1;
        sslcv_trainer_destroy(trainer);
        ck_assert_int_eq(h.out, held);
        if (status == SSLCV_OK) break;
    }
    ck_assert_int_ge(n, 300);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}

#endif
