/* What heads of the host see of a pass, in loops of one's own and in trainers: a dropout that draws from it. */
#include "trainer_support.h"

#include <unistd.h>

#include "core/rng.h"

enum { MOST = 64 };

/** A head without parameters: y = mask * x / (1 - RATE), the mask drawn from the pass, forward and again backward. */
typedef struct dropper {
    sslcv_pass passes[MOST]; /* of forwards, in turn */
    uint64_t masks[MOST];    /* their masks, as a digest */
    int64_t forwards, backwards;
} dropper;

#define RATE 0.5

/* splitmix64: bit i of the mask depends on the number of the pass and on i. */
static int32_t keeps(uint64_t random, uint64_t i)
{
    uint64_t z = random + (i + 1) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53 >= RATE;
}

static int64_t count_of(const sslcv_tensor *t)
{
    return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

static uint64_t drop(const sslcv_pass *pass, const sslcv_tensor *in, sslcv_tensor *out)
{
    const int32_t drops = (pass->flags & SSLCV_PASS_TRAIN) != 0;
    const float *x = in->data;
    float *y = out->data;
    uint64_t digest = 0;
    int64_t i;

    for (i = 0; i < count_of(in); i++) {
        const int32_t kept = !drops || keeps(pass->random, (uint64_t)i);

        y[i] = kept ? x[i] / (float)(drops ? 1 - RATE : 1) : 0.0f;
        digest = digest * 31 + (uint64_t)kept;
    }
    return digest;
}

static int32_t forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass)
{
    dropper *mine = user;

    (void)state;
    ck_assert_int_lt(mine->forwards, MOST);
    ck_assert_int_eq(pass->struct_size, sizeof *pass);
    ck_assert_ptr_null(pass->stage);
    ck_assert(!(pass->flags & SSLCV_PASS_TRAIN) || pass->random != 0);
    mine->passes[mine->forwards] = *pass;
    mine->masks[mine->forwards++] = drop(pass, in, out);
    return 0;
}

/* These tests run each forward back before the next. */
static int32_t backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    dropper *mine = user;

    (void)state, (void)in, (void)out;
    mine->backwards++;
    ck_assert_mem_eq(pass, &mine->passes[mine->forwards - 1], sizeof *pass);
    ck_assert_uint_eq(drop(pass, diff_out, diff_in), mine->masks[mine->forwards - 1]);
    return 0;
}

static sslcv_head *make_dropper(sslcv_context *context, dropper *mine)
{
    sslcv_head_callbacks c;
    sslcv_head *head;

    memset(mine, 0, sizeof *mine);
    OK(sslcv_head_callbacks_init(&c, sizeof c));
    c.user = mine;
    c.forward = forward;
    c.backward = backward;
    c.in_dim = c.out_dim = FEATURES;
    OK(sslcv_head_create_custom(context, &c, &head));
    return head;
}

/* ---- by hand ---- */

/* Of ones both ways: what came out and what went back are the mask. */
static void run(sslcv_head *head, const sslcv_tensor *ones, const sslcv_pass *pass, sslcv_tape *tape)
{
    const size_t bytes = (size_t)(ones->shape[0] * ones->shape[1]) * sizeof(float);
    sslcv_tensor output, diff;

    OK(sslcv_head_forward(head, ones, pass, tape));
    OK(sslcv_tape_output(tape, &output));
    if (pass && !(pass->flags & SSLCV_PASS_GRADIENT)) return;
    OK(sslcv_tape_backward(tape, ones));
    OK(sslcv_tape_diff_input(tape, &diff));
    ck_assert_mem_eq(output.data, diff.data, bytes);
}

START_TEST(masks_are_drawn_again)
{
    enum { TRAIN = SSLCV_PASS_TRAIN, GRADIENT = SSLCV_PASS_GRADIENT, SHUFFLE = SSLCV_PASS_SHUFFLE };
    static const sslcv_pass given[] = {{sizeof *given, TRAIN | GRADIENT, 1, 0, NULL},
                                       {sizeof *given, TRAIN | GRADIENT | SHUFFLE, 3, 77, NULL},
                                       {sizeof *given, GRADIENT | SSLCV_PASS_INPUT_GRADIENT, 1, 0, NULL},
                                       {sizeof *given, SSLCV_PASS_MAP, 2, 9, NULL},
                                       {sizeof *given, TRAIN | GRADIENT, 1, 77, NULL}};
    static const int32_t flags[] = {TRAIN | GRADIENT, TRAIN | GRADIENT | SHUFFLE, GRADIENT, 0, TRAIN | GRADIENT};
    enum { COUNT = sizeof given / sizeof *given };
    const int64_t shape[2] = {6, FEATURES};
    float values[6 * FEATURES];
    static dropper mine;
    sslcv_tensor ones;
    sslcv_context *context;
    sslcv_tape *tape;
    sslcv_head *head;
    int i;

    OK(sslcv_context_create(NULL, &context));
    OK(sslcv_tape_create(context, &tape));
    head = make_dropper(context, &mine);
    for (i = 0; i < 6 * FEATURES; i++) values[i] = 1.0f;
    OK(sslcv_tensor_init(&ones, SSLCV_F32, values, 2, shape));
    for (i = 0; i < COUNT; i++) {
        run(head, &ones, &given[i], tape);
        ck_assert_int_eq(mine.passes[i].flags, flags[i]);
        ck_assert_int_eq(mine.passes[i].bn_splits, given[i].bn_splits);
        if (given[i].random != 0 || !(flags[i] & TRAIN)) ck_assert_uint_eq(mine.passes[i].random, given[i].random);
    }
    ck_assert_uint_eq(mine.masks[1], mine.masks[4]);
    for (i = 0; i < 2; i++) run(head, &ones, NULL, tape);
    ck_assert_uint_ne(mine.masks[COUNT], mine.masks[COUNT + 1]);
    ck_assert_uint_ne(mine.masks[COUNT], mine.masks[0]);
    ck_assert_int_eq(mine.backwards, COUNT + 1); /* all but the one that keeps nothing */
    sslcv_head_destroy(head);
    sslcv_tape_destroy(tape);
    sslcv_context_destroy(context);
}
END_TEST

/* ---- in trainers ---- */

static sslcv_head *make_run(rig *r, const rig_options *o, dropper *mine)
{
    sslcv_head *head;

    make_rig(r, o);
    head = make_dropper(r->context, mine);
    add_loss(r, r->contrast, add_branch(r, views_01, 2, head), 1.0);
    return head;
}

/* As checkpoints of earlier builds count on it. */
static uint64_t of_step(int64_t seed, int64_t step, uint32_t first)
{
    return sslcv__rng_derive(sslcv__rng_derive((uint64_t)seed, (uint64_t)step, SSLCV__STREAM_PASSES), 0, first);
}

/* The number is that of the step and of the slice; with gradient caching a slice runs twice and draws the same. */
START_TEST(trainers_number_passes)
{
    rig_options o = plain;
    static dropper mine;
    sslcv_head *head;
    double values[2];
    int64_t step, i;
    rig r;

    o.micro_batch = _i ? BATCH / 2 : 0;
    head = make_run(&r, &o, &mine);
    steps(&r, 2, values);
    ck_assert_int_eq(mine.forwards, _i ? 8 : 2);
    ck_assert_int_eq(mine.backwards, _i ? 4 : 2);
    for (i = 0; i < mine.forwards; i++) {
        const sslcv_pass *pass = &mine.passes[i];

        step = _i ? i / 4 : i;
        ck_assert_uint_eq(pass->random, of_step(plain.seed, step, _i ? (uint32_t)(i % 2 * BATCH / 2) : 0));
        ck_assert_int_eq(pass->flags, SSLCV_PASS_TRAIN | (_i && i % 4 < 2 ? 0 : SSLCV_PASS_GRADIENT));
        ck_assert_int_eq(pass->bn_splits, 1);
    }
    for (i = 0; _i && i < 8; i++) {
        if (i % 4 < 2) ck_assert_uint_eq(mine.masks[i], mine.masks[i + 2]);
    }
    ck_assert_uint_ne(mine.masks[0], mine.masks[_i ? 4 : 1]);
    sslcv_head_destroy(head);
    free_rig(&r);
}
END_TEST

/* Stopped in the middle of an epoch; gone on in new objects. */
START_TEST(resumed_runs_draw_the_same)
{
    enum { BEFORE = 4, AFTER = 3 };
    static dropper whole, rest;
    rig_options o = plain;
    sslcv_state *state;
    sslcv_head *head;
    double values[BEFORE + AFTER], again[AFTER];
    char path[64];
    weights expected;
    rig r;
    int i;

    snprintf(path, sizeof path, "/tmp/sslcv_head_pass_%ld", (long)getpid());
    head = make_run(&r, &o, &whole);
    steps(&r, BEFORE, values);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);
    steps(&r, AFTER, values + BEFORE);
    expected = read_trainer(&r);
    sslcv_head_destroy(head);
    free_rig(&r);

    head = make_run(&r, &o, &rest);
    r.trainer->options.seed = 99; /* the checkpoint brings its own */
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    steps(&r, AFTER, again);
    ck_assert_int_eq(rest.forwards, AFTER);
    for (i = 0; i < AFTER; i++) {
        ck_assert_mem_eq(&rest.passes[i], &whole.passes[BEFORE + i], sizeof *rest.passes);
        ck_assert_uint_eq(rest.masks[i], whole.masks[BEFORE + i]);
        ck_assert_double_eq(again[i], values[BEFORE + i]);
    }
    ck_assert_uint_ne(whole.masks[0], rest.masks[0]);
    ck_assert(equal(expected, read_trainer(&r)));
    sslcv_head_destroy(head);
    free_rig(&r);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_pass");
    TCase *tests = tcase_create("pass");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, masks_are_drawn_again);
    tcase_add_loop_test(tests, trainers_number_passes, 0, 2);
    tcase_add_test(tests, resumed_runs_draw_the_same);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
