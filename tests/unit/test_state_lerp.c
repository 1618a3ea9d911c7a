/* lib/nn/state_lerp.c: moving averages between states. */
#include "state_support.h"

/** A second object whose convolution lies plain or blocked, and its state, filled with golden numbers. */
static sslcv_state *make_source(const sslcv__layout *layout, const char *prefix, float *values)
{
    owner *other = make_owner(layout);
    int64_t steps = 11;
    sslcv_tensor tensor = tensor_of(SSLCV_I64, &steps, 0, NULL);
    sslcv_state *state;

    OK(sslcv__state_create(context, &other->object, &state));
    OK(sslcv__state_append(state, prefix, &other->set));
    sslcv__release(other);
    golden_input(3, FLAT, values);
    OK(sslcv_state_set_flat(state, SSLCV_ROLE_ALL, values, FLAT));
    OK(sslcv_state_set(state, 3, SSLCV_STATE_VALUE, &tensor));
    return state;
}

static void lerp_case(const sslcv__layout *layout, double momentum)
{
    static float before[FLAT], source[FLAT], after[FLAT];
    sslcv_state *other = make_source(layout, "a.", source);
    int i;

    golden_input(4, FLAT, before);
    OK(sslcv_state_set_flat(window, SSLCV_ROLE_ALL, before, FLAT));
    OK(sslcv_state_lerp(window, other, momentum, SSLCV_ROLE_ALL));
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_ALL, after, FLAT, NULL));
    for (i = 0; i < FLAT; i++) {
        const double expected = momentum * before[i] + (1 - momentum) * source[i];

        if (momentum == 0 || momentum == 1) {
            ck_assert_float_eq(after[i], (float)expected);
        } else {
            CLOSE(after[i], expected, 1e-7);
        }
    }
    ck_assert_int_eq(*(int64_t *)object->set.items[3]->value, momentum == 1 ? 0 : 11);
    sslcv_state_destroy(other);
}

START_TEST(lerp_between_equal_layouts)
{
    lerp_case(blocked, 1);
    lerp_case(blocked, 0.5);
    lerp_case(blocked, 0.996);
    lerp_case(blocked, 0);
}
END_TEST

START_TEST(lerp_between_layouts)
{
    lerp_case(NULL, 1);
    lerp_case(NULL, 0.5);
    lerp_case(NULL, 0);
    window->after_write = count_write; /* everything by way of the update */
    lerp_case(blocked, 0.5);
    lerp_case(NULL, 0);
}
END_TEST

START_TEST(lerp_of_roles)
{
    static float values[FLAT];
    sslcv_state *other = make_source(blocked, "a.", values);

    OK(sslcv_state_lerp(window, other, 0.5, SSLCV_ROLE_PARAMETERS));
    ck_assert_float_eq(((float *)object->set.items[1]->value)[0], 0.5f * values[CONV]);
    ck_assert_double_eq(((double *)object->set.items[2]->value)[0], 0);
    ck_assert_int_eq(*(int64_t *)object->set.items[3]->value, 0);
    OK(sslcv_state_lerp(window, window, 0.5, SSLCV_ROLE_ALL)); /* with itself: nothing */
    ck_assert_float_eq(((float *)object->set.items[1]->value)[0], 0.5f * values[CONV]);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(lerp_in_any_order)
{
    const int64_t two = 2;
    sslcv_state_entry entry = {.struct_size = sizeof entry, .dtype = SSLCV_F16, .role = SSLCV_ROLE_BUFFER, .ndim = 1};
    const char *const names[3] = {"x", "y", "z"};
    sslcv_state *a, *b;
    uint16_t values[2] = {0x3C00, 0x4000}, zero[2] = {0, 0}; /* 1 and 2 as f16 */
    sslcv_tensor tensor = tensor_of(SSLCV_F16, values, 1, &two);
    int i;

    entry.shape[0] = 2;
    OK(sslcv_state_create(context, &a));
    OK(sslcv_state_create(context, &b));
    for (i = 0; i < 3; i++) {
        entry.name = names[2 - i];
        if (i > 0) OK(sslcv_state_add(a, &entry, NULL));
        entry.name = names[i];
        OK(sslcv_state_add(b, &entry, NULL));
    }
    OK(sslcv_state_set(b, 0, SSLCV_STATE_VALUE, &tensor)); /* x */
    OK(sslcv_state_lerp(a, b, 0.5, SSLCV_ROLE_ALL));
    ck_assert_mem_eq(a->items[0].variable->value, zero, sizeof zero); /* y */
    ck_assert_uint_eq(((uint16_t *)a->items[1].variable->value)[1], 0x3C00);
    FAILS(sslcv_state_lerp(b, a, 0.5, SSLCV_ROLE_ALL), SSLCV_ERR_NOT_FOUND, "z of target is not in source");
    sslcv_state_destroy(a);
    sslcv_state_destroy(b);
}
END_TEST

START_TEST(lerp_refuses)
{
    static float values[FLAT];
    sslcv_state *other = make_source(blocked, "a.", values), *named = make_source(blocked, "b.", values);
    sslcv_context *foreign = make_context(NULL);
    sslcv_state *strange;

    OK(sslcv_state_create(foreign, &strange));
    FAILS(sslcv_state_lerp(window, other, -0.1, 7), SSLCV_ERR_INVALID_ARGUMENT, "momentum is -0.1; must be 0 .. 1");
    FAILS(sslcv_state_lerp(window, other, 1.5, 7), SSLCV_ERR_INVALID_ARGUMENT, "momentum is 1.5");
    FAILS(sslcv_state_lerp(window, other, NAN, 7), SSLCV_ERR_INVALID_ARGUMENT, "momentum is nan");
    FAILS(sslcv_state_lerp(window, other, 0.5, 0), SSLCV_ERR_INVALID_ARGUMENT, "roles is 0");
    FAILS(sslcv_state_lerp(window, NULL, 0.5, 7), SSLCV_ERR_INVALID_ARGUMENT, "source is NULL");
    FAILS(sslcv_state_lerp(NULL, window, 0.5, 7), SSLCV_ERR_INVALID_ARGUMENT, "target is NULL");
    FAILS(sslcv_state_lerp(window, strange, 0.5, 7), SSLCV_ERR_INVALID_ARGUMENT, "another context");
    FAILS(sslcv_state_lerp(window, named, 0.5, 7), SSLCV_ERR_NOT_FOUND, "a.conv of target is not in source");
    other->items[1].variable->shape[0] = 4;
    FAILS(sslcv_state_lerp(window, other, 0.5, 7), SSLCV_ERR_INVALID_ARGUMENT, "a.bias has different shapes");
    other->items[1].variable->shape[0] = 5;
    other->items[2].variable->dtype = SSLCV_I64;
    FAILS(sslcv_state_lerp(window, other, 0.5, 15), SSLCV_ERR_INVALID_ARGUMENT, "a.mean is f64 in target and i64");
    ck_assert_float_eq(((float *)object->set.items[1]->value)[0], 0);
    sslcv_state_destroy(strange);
    sslcv_state_destroy(named);
    sslcv_state_destroy(other);
    sslcv_context_destroy(foreign);
}
END_TEST

START_TEST(lerp_without_memory)
{
    static float values[FLAT], after[FLAT];
    sslcv_state *other = make_source(NULL, "a.", values);

    RUN_OUT_OF_MEMORY(&memory, sslcv_state_lerp(window, other, 0.5, SSLCV_ROLE_ALL));
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_ALL, after, FLAT, NULL));
    CLOSE(after[0], 0.5 * values[0], 1e-7); /* once, not once for each attempt */
    CLOSE(after[CONV], 0.5 * values[CONV], 1e-7);
    sslcv_state_destroy(other);
    /* A training step allocates nothing: EMA between networks built alike. */
    other = make_source(blocked, "a.", values);
    memory.calls = 0;
    OK(sslcv_state_lerp(window, other, 0.99, SSLCV_ROLE_PARAMETERS));
    ck_assert_int_eq(memory.calls, 0);
    sslcv_state_destroy(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_lerp");
    TCase *tests = tcase_create("lerp");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lerp_between_equal_layouts);
    tcase_add_test(tests, lerp_between_layouts);
    tcase_add_test(tests, lerp_of_roles);
    tcase_add_test(tests, lerp_in_any_order);
    tcase_add_test(tests, lerp_refuses);
    tcase_add_test(tests, lerp_without_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
