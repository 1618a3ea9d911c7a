/* Heads of the host: callbacks, tensors of their own, what goes wrong inside. */
#include "head_support.h"

/*
 * The host's head of these tests: y = scale * x summed over the patches of a sample, or, with keeps_patches, y = scale
 * * x. Tensors: D weights "scale"; a memory "calls" that counts passes with TRAIN.
 */
enum { D = 3 };

enum { BREAK_OUTPUT = 1, BREAK_DIFF, BREAK_PARAMETER };

typedef struct scaler {
    int32_t keeps_patches;
    int32_t forward_answer, backward_answer;
    int32_t breaks, adds, inner;
    int32_t forwards, backwards, destroyed;
    sslcv_pass pass;  /* of the last forward */
    sslcv_status add; /* expected of an addition */
    int64_t in[4], out[4];
} scaler;

static float *data_of(sslcv_state *state, const char *name, int32_t part)
{
    sslcv_tensor tensor;
    int64_t index;

    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_data(state, index, part, &tensor));
    return tensor.data;
}

static void add_tensor(sslcv_state *state, const char *name, int32_t role, int64_t count, sslcv_status expected)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    entry.name = name;
    entry.role = role;
    entry.dtype = SSLCV_F32;
    entry.ndim = 1;
    entry.shape[0] = count;
    ck_assert_int_eq(sslcv_state_add(state, &entry, NULL), expected);
}

static int32_t forward(void *user, sslcv_state *state, const sslcv_tensor *in, sslcv_tensor *out,
                       const sslcv_pass *pass)
{
    scaler *mine = user;
    const int64_t patches = mine->keeps_patches ? 1 : in->shape[2], rows = elements(in) / D;
    const float *s = data_of(state, "scale", SSLCV_STATE_VALUE), *x = in->data;
    float *y = out->data;
    int64_t r, j;

    mine->forwards++;
    mine->pass = *pass;
    memcpy(mine->in, in->shape, sizeof mine->in);
    memcpy(mine->out, out->shape, sizeof mine->out);
    ck_assert_int_eq(in->ndim, 4);
    ck_assert_int_eq(out->ndim, 4);
    if (mine->adds) add_tensor(state, "late", SSLCV_ROLE_BIAS, 2, mine->add);
    if (pass->flags & SSLCV_PASS_TRAIN) data_of(state, "calls", SSLCV_STATE_VALUE)[0] += 1.0f;
    for (r = 0; r < rows; r++) {
        for (j = 0; j < D; j++) y[r / patches * D + j] += s[j] * x[r * D + j]; /* zeros at first */
    }
    if (mine->breaks == BREAK_OUTPUT) y[1] = NAN;
    if (mine->inner) return sslcv_state_find(state, "nothing", &r) != SSLCV_OK;
    return mine->forward_answer;
}

static int32_t backward(void *user, sslcv_state *state, const sslcv_tensor *in, const sslcv_tensor *out,
                        const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    scaler *mine = user;
    const int64_t patches = mine->keeps_patches ? 1 : in->shape[2], rows = elements(in) / D;
    const float *s = data_of(state, "scale", SSLCV_STATE_VALUE), *x = in->data, *dy = diff_out->data;
    float *ds = data_of(state, "scale", SSLCV_STATE_GRADIENT), *dx = diff_in->data;
    int64_t r, j;

    mine->backwards++;
    ck_assert_mem_eq(pass, &mine->pass, sizeof *pass);
    ck_assert_mem_eq(out->shape, mine->out, sizeof mine->out);
    ck_assert_mem_eq(diff_out->shape, mine->out, sizeof mine->out);
    ck_assert_mem_eq(diff_in->shape, mine->in, sizeof mine->in);
    for (r = 0; r < rows; r++) {
        for (j = 0; j < D; j++) {
            ds[j] += x[r * D + j] * dy[r / patches * D + j];
            dx[r * D + j] = s[j] * dy[r / patches * D + j];
        }
    }
    if (mine->breaks == BREAK_DIFF) dx[0] = INFINITY;
    if (mine->breaks == BREAK_PARAMETER) ds[0] = NAN;
    return mine->backward_answer;
}

/* The fixture's tape holds the head until the test function has returned: so what user points to is static. */
static void destroy(void *user)
{
    ((scaler *)user)->destroyed++;
}

static sslcv_head_callbacks callbacks_of(scaler *mine)
{
    sslcv_head_callbacks c;

    memset(mine, 0, sizeof *mine);
    OK(sslcv_head_callbacks_init(&c, sizeof c));
    ck_assert_int_eq(c.struct_size, sizeof c);
    c.user = mine;
    c.forward = forward;
    c.backward = backward;
    c.destroy = destroy;
    c.in_dim = c.out_dim = D;
    c.out_patches = 1;
    return c;
}

static void add_tensors(sslcv_head *head)
{
    sslcv_state *state;

    OK(sslcv_head_get_state(head, &state));
    add_tensor(state, "scale", SSLCV_ROLE_WEIGHT, D, SSLCV_OK);
    add_tensor(state, "calls", SSLCV_ROLE_BUFFER, 1, SSLCV_OK);
    golden_input(9, D, data_of(state, "scale", SSLCV_STATE_VALUE));
    sslcv_state_destroy(state);
}

static sslcv_head *make_custom(scaler *mine, int32_t keeps_patches)
{
    sslcv_head_callbacks c = callbacks_of(mine);
    sslcv_head *head;

    mine->keeps_patches = keeps_patches;
    if (keeps_patches) c.out_patches = 0;
    OK(sslcv_head_create_custom(context, &c, &head));
    add_tensors(head);
    return head;
}

/* A tape keeps what it has run alive: another one. */
static void renew_tape(void)
{
    sslcv_tape_destroy(tape);
    OK(sslcv_tape_create(context, &tape));
}

START_TEST(hosts_see_all_axes)
{
    static const int64_t axes[3][4] = {{6, D}, {2, 3, D}, {2, 3, 4, D}};
    static const int64_t seen[3][4] = {{1, 6, 1, D}, {2, 3, 1, D}, {2, 3, 4, D}};
    float x[72];
    static scaler mine;
    sslcv_head *head = make_custom(&mine, _i);
    sslcv_head_info info = {.struct_size = sizeof info};
    sslcv_tensor input, output;
    int i;

    for (i = 0; i < 3; i++) {
        input = drawn(x, 1, 2.0f, i + 2, axes[i]);
        output = run_head(head, &input, i == 0 ? 0 : SSLCV_PASS_TRAIN);
        ck_assert_int_eq(mine.pass.flags, i == 0 ? 0 : SSLCV_PASS_TRAIN);
        ck_assert_mem_eq(mine.in, seen[i], sizeof mine.in);
        ck_assert_int_eq(mine.out[2], _i ? seen[i][2] : 1);
        ck_assert_int_eq(output.ndim, i + 2);
        if (i == 2) ck_assert_int_eq(output.shape[2], _i ? 4 : 1);
    }
    OK(sslcv_head_get_info(head, &info));
    ck_assert_str_eq(info.kind, "custom");
    ck_assert_int_eq(info.in_dim, D);
    ck_assert_int_eq(info.out_dim, D);
    ck_assert_int_eq(info.num_parameters, D);
    sslcv_head_destroy(head);
    renew_tape();
    ck_assert_int_eq(mine.destroyed, 1);
}
END_TEST

/* Two inputs of as many rows, that belong together otherwise, have plans of their own. */
START_TEST(patches_are_told_apart)
{
    const int64_t four[4] = {1, 3, 4, D}, six[4] = {1, 2, 6, D};
    float x[36];
    static scaler mine;
    sslcv_head *head = make_custom(&mine, 0);
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, four), output;

    output = run_head(head, &input, 0);
    ck_assert_int_eq(output.shape[1], 3);
    input = drawn(x, 1, 2.0f, 4, six);
    output = run_head(head, &input, 0);
    ck_assert_int_eq(output.shape[1], 2);
    ck_assert_int_eq(output.shape[2], 1);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(hosts_may_make_patches)
{
    const int64_t flat[2] = {4, D}, expected[4] = {1, 4, 5, D};
    float x[12];
    static scaler mine;
    sslcv_head_callbacks c = callbacks_of(&mine);
    sslcv_tensor input = drawn(x, 1, 2.0f, 2, flat), output;
    sslcv_head *head;

    c.out_patches = 5;
    OK(sslcv_head_create_custom(context, &c, &head));
    add_tensors(head);
    output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    ck_assert_int_eq(output.ndim, 4);
    ck_assert_mem_eq(output.shape, expected, sizeof expected);
    ck_assert(((float *)output.data)[59] == 0.0f); /* what the host leaves, is 0 */
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(hosts_have_their_gradient)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_custom(&mine, _i);

    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 1);
    ck_assert_int_eq(mine.backwards, 1);
    sslcv_head_destroy(head);
}
END_TEST

/* Copies have their own tensors, and one table. */
START_TEST(copies_share_callbacks)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_custom(&mine, 0), *copy, *again;
    sslcv_state *state;

    check_clone(head, &input);
    ck_assert_int_eq(mine.destroyed, 0);
    OK(sslcv_head_clone(head, &copy));
    OK(sslcv_head_clone(copy, &again));
    run_head(copy, &input, SSLCV_PASS_TRAIN);
    OK(sslcv_head_get_state(copy, &state));
    ck_assert(data_of(state, "calls", SSLCV_STATE_VALUE)[0] == 1.0f);
    add_tensor(state, "more", SSLCV_ROLE_BIAS, 2, SSLCV_OK);
    sslcv_head_destroy(copy);
    ck_assert_int_eq(head->net.variables.count, 2);
    ck_assert_int_eq(again->net.variables.count, 2);
    sslcv_head_destroy(head);
    sslcv_head_destroy(again);
    renew_tape();
    ck_assert_int_eq(mine.destroyed, 0);
    sslcv_state_destroy(state); /* kept the copy alive */
    ck_assert_int_eq(mine.destroyed, 1);
}
END_TEST

START_TEST(reset_clears_custom_tensors)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_custom(&mine, 0);

    run_head(head, &input, SSLCV_PASS_TRAIN);
    OK(sslcv_head_reset(head, 5));
    ck_assert(norm_of(head->net.variables.items[0]->value, D) == 0.0);
    ck_assert(*(const float *)head->net.variables.items[1]->value == 0.0f);
    ck_assert_int_eq(mine.destroyed, 0);
    sslcv_head_destroy(head);
    renew_tape();
    ck_assert_int_eq(mine.destroyed, 1);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(forward_may_stop)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output;
    sslcv_head *head = make_custom(&mine, 0);

    mine.forward_answer = -3;
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_CANCELLED, "forward of a custom head answered -3");
    FAILS(sslcv_tape_output(tape, &output), SSLCV_ERR_STATE, "no forward pass");
    mine.forward_answer = 0;
    mine.inner = 1;
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_CANCELLED, "nothing");
    mine.inner = 0;
    mine.breaks = BREAK_OUTPUT;
    FAILS(sslcv_head_forward(head, &input, NULL, tape), SSLCV_ERR_NUMERIC, "NaN or infinity in its output");
    mine.breaks = 0;
    OK(sslcv_head_forward(head, &input, NULL, tape));
    sslcv_head_destroy(head);
}
END_TEST

static void check_failing_backward(sslcv_head *head, const sslcv_tensor *input, sslcv_status expected, const char *text)
{
    const sslcv__variable *scale = head->net.variables.items[0];
    const sslcv_tensor output = run_head(head, input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    float g[18], before[D];
    sslcv_tensor diff = drawn(g, 2, 1.0f, output.ndim, output.shape);
    const int32_t had = scale->has_gradient;

    memcpy(before, scale->gradient, sizeof before);
    FAILS(sslcv_tape_backward(tape, &diff), expected, text);
    ck_assert_int_eq(scale->has_gradient, had);
    if (had) ck_assert_mem_eq(scale->gradient, before, sizeof before);
}

/* Before any gradient, and again with one: it stays. */
START_TEST(backward_may_stop)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72], g[18];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape), output, diff;
    sslcv_head *head = make_custom(&mine, 0);
    int n;

    for (n = 0; n < 2; n++) {
        mine.backward_answer = 4;
        check_failing_backward(head, &input, SSLCV_ERR_CANCELLED, "backward of a custom head answered 4");
        mine.backward_answer = 0;
        mine.breaks = BREAK_DIFF;
        check_failing_backward(head, &input, SSLCV_ERR_NUMERIC, "NaN or infinity in diff_in");
        mine.breaks = BREAK_PARAMETER;
        check_failing_backward(head, &input, SSLCV_ERR_NUMERIC, "in the gradient of scale");
        mine.breaks = 0;
        output = run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
        diff = drawn(g, 2, 1.0f, 4, output.shape);
        OK(sslcv_tape_backward(tape, &diff));
        ck_assert_int_eq(head->net.variables.items[0]->has_gradient, 1);
    }
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(tensors_may_come_late)
{
    const int64_t shape[4] = {2, 3, 4, D};
    float x[72];
    static scaler mine;
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_head *head = make_custom(&mine, 0);

    mine.adds = 1;
    run_head(head, &input, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT);
    ck_assert_int_eq(head->net.variables.count, 3);
    mine.adds = 0;
    check_finite_differences(head, &input, SSLCV_PASS_TRAIN, 1);
    sslcv__head_close(head); /* as a trainer does */
    mine.adds = 1;
    mine.add = SSLCV_ERR_STATE;
    run_head(head, &input, SSLCV_PASS_TRAIN);
    ck_assert_int_eq(head->net.variables.count, 3);
    sslcv_head_destroy(head);
}
END_TEST

START_TEST(bad_callbacks_are_named)
{
    static scaler mine;
    sslcv_head_callbacks c = callbacks_of(&mine);
    sslcv_head *none = NULL;

    c.forward = NULL;
    FAILS(sslcv_head_create_custom(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "head_callbacks.forward is NULL");
    c = callbacks_of(&mine);
    c.backward = NULL;
    FAILS(sslcv_head_create_custom(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "head_callbacks.backward is NULL");
    c = callbacks_of(&mine);
    c.in_dim = 0;
    FAILS(sslcv_head_create_custom(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "head_callbacks.in_dim is 0");
    c = callbacks_of(&mine);
    c.out_dim = -1;
    FAILS(sslcv_head_create_custom(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "head_callbacks.out_dim is -1");
    c = callbacks_of(&mine);
    c.out_patches = -1;
    FAILS(sslcv_head_create_custom(context, &c, &none), SSLCV_ERR_INVALID_ARGUMENT, "head_callbacks.out_patches");
    FAILS(sslcv_head_create_custom(context, NULL, &none), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    ck_assert_ptr_null(none);
    ck_assert_int_eq(mine.destroyed, 0);
}
END_TEST

static sslcv_status everything(sslcv_head_callbacks *c, const sslcv_tensor *input, const float *g)
{
    sslcv_head *head = NULL, *copy = NULL;
    sslcv_state *state = NULL;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tape *own = NULL;
    sslcv_tensor diff;
    sslcv_status status;

    SSLCV__TRY(sslcv_tape_create(context, &own));
    SSLCV__TRY(sslcv_head_create_custom(context, c, &head));
    SSLCV__TRY(sslcv_head_get_state(head, &state));
    entry.name = "scale";
    entry.role = SSLCV_ROLE_WEIGHT;
    entry.ndim = 1;
    entry.shape[0] = D;
    entry.dtype = SSLCV_F32;
    SSLCV__TRY(sslcv_state_add(state, &entry, NULL));
    entry.name = "calls";
    SSLCV__TRY(sslcv_state_add(state, &entry, NULL));
    SSLCV__TRY(sslcv_head_clone(head, &copy));
    SSLCV__TRY(sslcv_head_forward(copy, input, NULL, own));
    SSLCV__TRY(sslcv_tape_output(own, &diff));
    diff.data = (void *)(uintptr_t)g;
    SSLCV__TRY(sslcv_tape_backward(own, &diff));
    status = sslcv_head_reset(copy, 3);
end:
    sslcv_tape_destroy(own);
    sslcv_state_destroy(state);
    sslcv_head_destroy(head);
    sslcv_head_destroy(copy);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    const int64_t shape[4] = {2, 3, 4, D};
    sslcv_context *const outer = context;
    float x[72], g[18];
    host h = {0};
    static scaler mine;
    sslcv_head_callbacks c = callbacks_of(&mine);
    sslcv_tensor input = drawn(x, 1, 2.0f, 4, shape);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t n;

    golden_input(2, 18, g);
    atomic_store(&h.fail_at, -1);
    context = new_context(&h, 1);
    for (n = 0; status != SSLCV_OK; n++) {
        const long long before = atomic_load(&h.out);

        ck_assert_int_lt(n, 1000);
        atomic_store(&h.calls, 0);
        atomic_store(&h.fail_at, n);
        status = everything(&c, &input, g);
        atomic_store(&h.fail_at, -1);
        ck_assert_msg(status == SSLCV_OK || status == SSLCV_ERR_OUT_OF_MEMORY, "allocation %d: %s", (int)n,
                      sslcv_last_error());
        ck_assert_int_eq(atomic_load(&h.out), before);
    }
    ck_assert_int_gt(n, 20);
    sslcv_context_destroy(context);
    ck_assert_int_eq(atomic_load(&h.out), 0);
    context = outer;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_custom");
    TCase *calls = tcase_create("calls"), *failures = tcase_create("failures");

    tcase_add_checked_fixture(calls, set_up, tear_down);
    tcase_add_loop_test(calls, hosts_see_all_axes, 0, 2);
    tcase_add_test(calls, patches_are_told_apart);
    tcase_add_test(calls, hosts_may_make_patches);
    tcase_add_loop_test(calls, hosts_have_their_gradient, 0, 2);
    tcase_add_test(calls, copies_share_callbacks);
    tcase_add_test(calls, reset_clears_custom_tensors);
    suite_add_tcase(suite, calls);
    tcase_add_checked_fixture(failures, set_up, tear_down);
    tcase_add_test(failures, forward_may_stop);
    tcase_add_test(failures, backward_may_stop);
    tcase_add_test(failures, tensors_may_come_late);
    tcase_add_test(failures, bad_callbacks_are_named);
    tcase_add_test(failures, every_allocation_may_fail);
    suite_add_tcase(suite, failures);
    return run_suite(suite);
}
