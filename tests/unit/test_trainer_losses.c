#include "file_support.h"
#include "trainer_support.h"

#include <sslcv/losses.h>

/*
 * Losses that remember or learn, inside a trainer: what they hold is trained, saved, and resumed in the middle of an
 * epoch as if nothing had happened.
 */

static sslcv_loss *make_queue(sslcv_context *context)
{
    sslcv_info_nce_options o;
    sslcv_loss *loss;

    OK(sslcv_info_nce_options_init(&o, sizeof o));
    o.temperature = 0.2;
    o.queue_size = 20; /* does not divide by the batch of 8 */
    o.dim = DIM;
    o.seed = 31;
    OK(sslcv_loss_create_info_nce(context, &o, &loss));
    return loss;
}

static sslcv_loss *make_bank(sslcv_context *context, int32_t estimator, int32_t pairing)
{
    sslcv_nce_bank_options o;
    sslcv_loss *loss;

    OK(sslcv_nce_bank_options_init(&o, sizeof o));
    o.num_samples = SAMPLES;
    o.num_negatives = 7;
    o.dim = DIM;
    o.pairing = pairing;
    o.estimator = estimator;
    o.seed = 32;
    OK(sslcv_loss_create_nce_bank(context, &o, &loss));
    return loss;
}

static sslcv_loss *make_cmc(sslcv_context *context)
{
    return make_bank(context, SSLCV_ESTIMATOR_NCE, SSLCV_BANK_CORE);
}

static sslcv_loss *make_pirl(sslcv_context *context)
{
    return make_bank(context, SSLCV_ESTIMATOR_SOFTMAX, SSLCV_BANK_SINGLE);
}

static sslcv_loss *make_swapped(sslcv_context *context)
{
    sslcv_swapped_options o;
    sslcv_loss *loss;

    OK(sslcv_swapped_options_init(&o, sizeof o));
    o.dim = DIM;
    o.num_prototypes = 6;
    o.queue_size = 16;
    o.queue_start_epoch = 0;
    o.freeze_steps = 2;
    o.seed = 33;
    OK(sslcv_loss_create_swapped(context, &o, &loss));
    return loss;
}

static sslcv_loss *make_dino(sslcv_context *context)
{
    sslcv_dino_options o;
    sslcv_loss *loss;

    OK(sslcv_dino_options_init(&o, sizeof o));
    o.dim = DIM;
    OK(sslcv_loss_create_dino(context, &o, &loss));
    return loss;
}

static sslcv_loss *make_cpc(sslcv_context *context)
{
    sslcv_cpc_options o;
    sslcv_loss *loss;

    OK(sslcv_cpc_options_init(&o, sizeof o));
    o.dim = FEATURES;
    o.rows = o.columns = SIDE; /* the positions of STAGE's map */
    o.first_offset = 1;
    o.last_offset = 2;
    o.num_negatives = 5;
    o.seed = 34;
    OK(sslcv_loss_create_cpc(context, &o, &loss));
    return loss;
}

static const struct {
    const char *name;
    sslcv_loss *(*make)(sslcv_context *context);
    int32_t inputs; /* 1: both views of one branch; 2: a branch each; 0: maps */
    const char *remembers;
    const char *learns;
} kinds[] = {
    {"queue", make_queue, 2, "loss.0.queue", NULL},
    {"cmc", make_cmc, 2, "loss.0.bank.0", NULL},
    {"pirl", make_pirl, 2, "loss.0.bank.0", NULL},
    {"swapped", make_swapped, 1, "loss.0.queue.0", "loss.0.prototypes.weight"},
    {"dino", make_dino, 2, "loss.0.center", NULL},
    {"cpc", make_cpc, 0, NULL, "loss.0.predictor.0.1.weight"},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void make_rig_with(rig *r, int kind, const rig_options *o)
{
    static const int64_t view_0[] = {0}, view_1[] = {1};
    sslcv_branch b;
    int64_t inputs[2] = {0, 0}, count = 2;

    make_rig(r, o);
    sslcv_loss_destroy(r->contrast);
    r->contrast = kinds[kind].make(r->context);
    if (kinds[kind].inputs == 2) {
        inputs[0] = add_branch(r, view_0, 1, r->projection);
        inputs[1] = add_branch(r, view_1, 1, r->projection);
    } else if (kinds[kind].inputs == 1) {
        inputs[0] = add_branch(r, views_01, 2, r->projection);
        count = 1;
    } else {
        OK(sslcv_branch_init(&b, sizeof b));
        b.views = view_0;
        b.num_views = 1;
        b.backbone = r->backbone;
        b.stage = STAGE;
        b.flags |= SSLCV_PASS_MAP;
        OK(sslcv_trainer_add_branch(r->trainer, &b, &inputs[0]));
        inputs[1] = inputs[0];
    }
    OK(sslcv_trainer_add_loss(r->trainer, r->contrast, inputs, count, 1.0, NULL));
}

/* A tensor of the trainer's state: 8 bytes an element, the rest 0. */
static void *read_tensor(rig *r, const char *name, size_t *bytes)
{
    sslcv_state_entry entry;
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index, count = 1;
    void *data;
    int32_t i;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    entry.struct_size = sizeof entry;
    OK(sslcv_state_get_entry(state, index, &entry));
    for (i = 0; i < entry.ndim; i++) count *= entry.shape[i];
    *bytes = (size_t)count * 8;
    data = calloc((size_t)count, 8);
    OK(sslcv_tensor_init(&tensor, entry.dtype, data, entry.ndim, entry.shape));
    OK(sslcv_state_get(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
    return data;
}

static int same_tensor(rig *a, rig *b, const char *name)
{
    size_t left_bytes, right_bytes;
    void *left = read_tensor(a, name, &left_bytes), *right = read_tensor(b, name, &right_bytes);
    const int same = left_bytes == right_bytes && memcmp(left, right, left_bytes) == 0;

    free(left);
    free(right);
    return same;
}

static void compare_all(rig *a, rig *b)
{
    sslcv_state_entry entry;
    sslcv_state *state;
    int64_t i;

    OK(sslcv_trainer_get_state(a->trainer, &state));
    entry.struct_size = sizeof entry;
    for (i = 0; sslcv_state_get_entry(state, i, &entry) == SSLCV_OK; i++) {
        ck_assert_msg(same_tensor(a, b, entry.name), "%s differs", entry.name);
    }
    sslcv_state_destroy(state);
}

static void check_moved(rig *before, rig *after, const char *name)
{
    if (name) ck_assert_msg(!same_tensor(before, after, name), "%s has not changed", name);
}

START_TEST(test_state_is_resumed)
{
    static const int64_t stops[] = {1, 3, 5};
    const rig_options two_epochs = {.epochs = 2, .seed = 7};
    sslcv_state *state;
    rig fresh, whole;
    size_t i;

    make_folder();
    make_rig_with(&fresh, _i, &two_epochs);
    make_rig_with(&whole, _i, &two_epochs);
    OK(sslcv_trainer_run(whole.trainer, 0));
    check_moved(&fresh, &whole, kinds[_i].remembers);
    check_moved(&fresh, &whole, kinds[_i].learns);
    for (i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        rig half, rest;

        make_rig_with(&half, _i, &two_epochs);
        OK(sslcv_trainer_run(half.trainer, stops[i]));
        OK(sslcv_trainer_get_state(half.trainer, &state));
        OK(sslcv_state_save(state, in_folder("run.safetensors"), NULL));
        sslcv_state_destroy(state);
        free_rig(&half);

        make_rig_with(&rest, _i, &two_epochs);
        OK(sslcv_trainer_get_state(rest.trainer, &state));
        OK(sslcv_state_load(state, in_folder("run.safetensors"), NULL, NULL));
        sslcv_state_destroy(state);
        OK(sslcv_trainer_run(rest.trainer, 0));
        compare_all(&whole, &rest);
        free_rig(&rest);
    }
    free_rig(&whole);
    free_rig(&fresh);
    remove_folder();
}
END_TEST

/* After an epoch every sample has written its row, and no other. */
START_TEST(test_ids_reach_the_bank)
{
    const rig_options one_epoch = {.epochs = 1, .seed = 7};
    size_t bytes;
    float *before, *after;
    int64_t i;
    rig fresh, r;

    make_rig_with(&fresh, 1, &one_epoch);
    make_rig_with(&r, 1, &one_epoch);
    before = read_tensor(&fresh, "loss.0.bank.0", &bytes);
    OK(sslcv_trainer_run(r.trainer, 0));
    after = read_tensor(&r, "loss.0.bank.0", &bytes);
    for (i = 0; i < SAMPLES; i++) {
        double norm = 0.0;
        int64_t j;

        ck_assert(memcmp(before + i * DIM, after + i * DIM, DIM * sizeof *before) != 0);
        for (j = 0; j < DIM; j++) norm += (double)after[i * DIM + j] * (double)after[i * DIM + j];
        CLOSE(norm, 1.0, 1e-5);
    }
    free(before);
    free(after);
    free_rig(&r);
    free_rig(&fresh);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_losses");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, test_state_is_resumed, 0, KINDS);
    tcase_add_test(all, test_ids_reach_the_bank);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
