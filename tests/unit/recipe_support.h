/** What the suites of single recipes share: the composition as text, numbers and tensors by name, groups. */
#ifndef SSLCV__TESTS_RECIPE_SUPPORT_H
#define SSLCV__TESTS_RECIPE_SUPPORT_H

#include "method_support.h"

#include <stdio.h>

#include "optim/optimizer.h"
#include "train/trainer.h"

/** Fits a test: 32 features, three steps an epoch on make_dataset(). */
#define TINY "batch=8 size=16 width=0.0625 architecture=resnet18 prefetch=0"

/** f32: the few pixels of these images are no work for bf16. */
static inline sslcv_context *make_f32_context(void)
{
    sslcv_context_options o;
    sslcv_context *context;

    OK(sslcv_context_options_init(&o, sizeof o));
    o.threads = 1;
    o.loader_threads = 0;
    o.seed = 3;
    o.precision = SSLCV_PRECISION_F32;
    OK(sslcv_context_create(&o, &context));
    return context;
}

/** A context, a data set in it, and a recipe on that. */
typedef struct rig {
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv_trainer *trainer;
} rig;

static inline rig make_recipe(const char *method, const char *preset, const char *settings)
{
    rig r;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    OK(make_method(r.context, method, r.dataset, preset, settings, 21, &r.trainer));
    return r;
}

static inline void free_recipe(rig *r)
{
    sslcv_trainer_destroy(r->trainer);
    sslcv_dataset_destroy(r->dataset);
    sslcv_context_destroy(r->context);
}

/** The recipe is refused with this status and text. */
static inline void refuse(const char *method, const char *preset, const char *settings, sslcv_status status,
                          const char *text)
{
    sslcv_context *context = make_f32_context();
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer = NULL;

    FAILS(make_method(context, method, dataset, preset, settings, 1, &trainer), status, text);
    ck_assert(trainer == NULL);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}

static inline double step(rig *r)
{
    sslcv_progress progress = {.struct_size = sizeof progress};

    OK(sslcv_trainer_step(r->trainer, &progress));
    return progress.loss;
}

static inline double metric(rig *r, const char *wanted)
{
    const char *name;
    double value;
    int64_t i;

    for (i = 0; sslcv_trainer_get_metric(r->trainer, i, &name, &value) == SSLCV_OK; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    ck_abort_msg("there is no metric %s", wanted);
    return 0.0;
}

/* ---- tensors by name ---- */

typedef struct weights {
    float *values;
    int64_t count;
} weights;

static inline weights copy_tensor(sslcv_state *state, const char *name)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor;
    weights w = {NULL, 1};
    int64_t index;
    int32_t i;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    for (i = 0; i < entry.ndim; i++) w.count *= entry.shape[i];
    w.values = malloc((size_t)w.count * sizeof *w.values);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, w.values, entry.ndim, entry.shape));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    return w;
}

/** A tensor of the trainer's state. */
static inline weights read_tensor(rig *r, const char *name)
{
    sslcv_state *state;
    weights w;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    w = copy_tensor(state, name);
    sslcv_state_destroy(state);
    return w;
}

/** A number of the loss, such as "temperature". */
static inline double loss_number(rig *r, const char *field)
{
    char name[64];
    sslcv_state *state;
    sslcv_tensor tensor;
    double value;
    int64_t index;

    snprintf(name, sizeof name, "loss.0.%s", field);
    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_tensor_init(&tensor, SSLCV_F64, &value, 0, NULL));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
    return value;
}

/** Tensors of some roles whose names begin so, one after the other. */
static inline weights read_prefix(rig *r, const char *prefix, int32_t roles)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state;
    weights all = {NULL, 0}, one;
    int64_t i;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        if (!(entry.role & roles) || entry.dtype != SSLCV_F32 || strncmp(entry.name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        one = copy_tensor(state, entry.name);
        all.values = realloc(all.values, (size_t)(all.count + one.count) * sizeof *all.values);
        memcpy(all.values + all.count, one.values, (size_t)one.count * sizeof *one.values);
        all.count += one.count;
        free(one.values);
    }
    sslcv_state_destroy(state);
    ck_assert(all.count > 0);
    return all;
}

/** Same bits? Frees both. */
static inline int equal(weights a, weights b)
{
    const int same = a.count == b.count && memcmp(a.values, b.values, (size_t)a.count * sizeof *a.values) == 0;

    free(a.values);
    free(b.values);
    return same;
}

/** Overwrite a tensor with zeros. */
static inline void clear_tensor(rig *r, const char *name)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_state *state;
    sslcv_tensor tensor;
    weights w = read_tensor(r, name);
    int64_t index;

    memset(w.values, 0, (size_t)w.count * sizeof *w.values);
    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, w.values, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
    free(w.values);
}

/* ---- groups ---- */

/** How the optimizer treats tensors of a role. */
typedef struct treatment {
    int32_t role, decays, adapts;
    double rate; /* factor */
    int32_t fixed_rate, frozen;
    int64_t count;
} treatment;

static inline int is_treated(const sslcv_optimizer *optimizer, int64_t i, const treatment *t)
{
    const sslcv__optimizer_tensor *tensor = &optimizer->tensors[i];
    const sslcv_optimizer_group *group = &optimizer->groups[tensor->group].options;

    return tensor->variable->role == t->role && tensor->decays == t->decays && tensor->adapts == t->adapts &&
           group->rate_scale == t->rate && group->fixed_rate == t->fixed_rate && tensor->variable->frozen == t->frozen;
}

/** Every tensor is treated in one of these ways (the list ends with role 0), and so many in each. */
static inline void check_groups(rig *r, const treatment *ways)
{
    const sslcv_optimizer *optimizer = r->trainer->options.optimizer;
    sslcv_state *state;
    int64_t total = 0, count, i;

    OK(sslcv_trainer_get_state(r->trainer, &state)); /* the trainer has added all tensors */
    sslcv_state_destroy(state);
    for (; ways->role; ways++) {
        count = 0;
        for (i = 0; i < optimizer->num_tensors; i++) count += is_treated(optimizer, i, ways);
        ck_assert_msg(count == ways->count, "role %d, decay %d, adapt %d, rate %g: %lld tensors, not %lld", ways->role,
                      ways->decays, ways->adapts, ways->rate, (long long)count, (long long)ways->count);
        total += count;
    }
    ck_assert_int_eq(total, optimizer->num_tensors);
}

/** The composition, with the networks' sizes. */
static inline void check_composition(rig *r, const char *expected)
{
    static char text[8192];
    sslcv_state *state;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    sslcv_state_destroy(state);
    OK(sslcv_trainer_describe(r->trainer, text, sizeof text, NULL));
    ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0, "is\n%s\nshould begin with\n%s", text, expected);
}

#endif
