/* lib/nn/state*.c and lib/nn/variable.c: the window part of states. Files are in test_safetensors.c. */
#include "state_support.h"

/* ---- variables ---- */

START_TEST(variables_are_found_and_zero)
{
    const sslcv__variable *conv = sslcv__variables_find(&object->set, "conv");

    ck_assert_ptr_nonnull(conv);
    ck_assert_ptr_null(sslcv__variables_find(&object->set, "con"));
    ck_assert_int_eq(conv->count, CONV);
    ck_assert_int_ge(conv->stored_bytes, CONV * 4);
    ck_assert_ptr_nonnull(conv->gradient);
    ck_assert_ptr_null(sslcv__variables_find(&object->set, "mean")->gradient);
    ck_assert_double_eq(((double *)sslcv__variables_find(&object->set, "mean")->value)[1], 0);
}
END_TEST

START_TEST(variables_refuse_bad_shapes)
{
    const int64_t negative[2] = {3, -1}, huge[3] = {INT64_MAX / 8, 2, 2};
    const int64_t none[3] = {0, INT64_MAX, 2}; /* no element, but strides that no number can tell */
    sslcv__variables *set = &object->set;

    FAILS(sslcv__variables_add(set, "v", SSLCV_F32, 1, 2, negative, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "v has shape[1] -1");
    FAILS(sslcv__variables_add(set, "v", SSLCV_F32, 1, 3, huge, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "2^63 - 1");
    FAILS(sslcv__variables_add(set, "v", SSLCV_F32, 1, 3, none, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "2^63 - 1");
    FAILS(sslcv__variables_add(set, "v", SSLCV_F32, 1, 9, huge, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "9 axes");
    ck_assert_int_eq(set->count, 4);
}
END_TEST

START_TEST(variables_without_memory)
{
    sslcv__variables set;
    const sslcv__variable *first;

    sslcv__variables_init(&set, context);
    OK(sslcv__variables_add(&set, "u", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL, NULL, NULL));
    first = set.items[0];
    RUN_OUT_OF_MEMORY(&memory, sslcv__variables_add(&set, "v", SSLCV_F32, 1, 4, conv_shape, blocked, NULL));
    RUN_OUT_OF_MEMORY(&memory, sslcv__variables_add(&set, "w", SSLCV_F32, 1, 4, conv_shape, NULL, NULL));
    ck_assert_int_eq(set.count, 3);
    ck_assert_ptr_eq(set.items[0], first);
    sslcv__variables_free(&set);
    sslcv__variables_free(&set);
}
END_TEST

/* ---- entries ---- */

START_TEST(entries_in_order)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    int64_t index = -1;

    OK(sslcv_state_get_entry(window, 0, &entry));
    ck_assert_str_eq(entry.name, "a.conv");
    ck_assert_int_eq(entry.ndim, 4);
    ck_assert_mem_eq(entry.shape, conv_shape, sizeof conv_shape);
    ck_assert_int_eq(entry.dtype, SSLCV_F32);
    ck_assert_int_eq(entry.role, SSLCV_ROLE_WEIGHT);
    ck_assert_int_eq(entry.frozen, 0);
    OK(sslcv_state_get_entry(window, 3, &entry));
    ck_assert_int_eq(entry.ndim, 0);
    FAILS(sslcv_state_get_entry(window, 4, &entry), SSLCV_ERR_NOT_FOUND, "index is 4; the state has 4 tensors");
    FAILS(sslcv_state_get_entry(window, -1, &entry), SSLCV_ERR_NOT_FOUND, "index is -1");
    FAILS(sslcv_state_get_entry(window, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "state_entry is NULL");
    FAILS(sslcv_state_get_entry(NULL, 0, &entry), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    OK(sslcv_state_find(window, "a.mean", &index));
    ck_assert_int_eq(index, 2);
    FAILS(sslcv_state_find(window, "mean", &index), SSLCV_ERR_NOT_FOUND, "no tensor is named \"mean\"");
    ck_assert_int_eq(index, 2);
    FAILS(sslcv_state_find(window, NULL, &index), SSLCV_ERR_INVALID_ARGUMENT, "name is NULL");
    FAILS(sslcv_state_find(window, "a", NULL), SSLCV_ERR_INVALID_ARGUMENT, "index is NULL");
}
END_TEST

START_TEST(windows_of_windows)
{
    sslcv_state *outer;

    OK(sslcv__state_create(context, &object->object, &outer));
    OK(sslcv__state_append_state(outer, "b.", window));
    ck_assert_int_eq(sslcv__state_find(outer, "b.a.bias", -1), 1);
    ck_assert_int_eq(sslcv__state_find(outer, "b.a.bias", 1), 1);
    ck_assert_int_eq(sslcv__state_find(outer, "a.bias", 1), -1);
    ck_assert_int_eq(sslcv__state_parameter_bytes(outer), object->set.items[0]->stored_bytes + 5 * 4);
    OK(sslcv__state_add_metadata(outer, "k", "v"));
    ck_assert_str_eq(sslcv__state_get_metadata(outer, "k"), "v");
    ck_assert_ptr_null(sslcv__state_get_metadata(outer, "v"));
    sslcv_state_destroy(outer);
}
END_TEST

START_TEST(a_window_keeps_its_owner)
{
    float bias[5] = {0};
    const int64_t five = 5;
    sslcv_tensor tensor = tensor_of(SSLCV_F32, bias, 1, &five);

    sslcv__retain(object); /* for teardown */
    sslcv__release(object);
    OK(sslcv_state_get(window, 1, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(NULL);
}
END_TEST

START_TEST(add_to_a_state_of_its_own)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = "w", .ndim = 2, .dtype = SSLCV_F32, .role = 1};
    sslcv_tensor tensor;
    sslcv_state *state;
    int64_t index = -1, i;
    char name[16];

    entry.shape[0] = 2;
    entry.shape[1] = 3;
    entry.frozen = 1;
    OK(sslcv_state_create(context, &state));
    OK(sslcv_state_add(state, &entry, &index));
    ck_assert_int_eq(index, 0);
    for (i = 1; i < 40; i++) {
        snprintf(name, sizeof name, "v%d", (int)i);
        entry.name = name; /* copied */
        OK(sslcv_state_add(state, &entry, NULL));
    }
    OK(sslcv_state_find(state, "v39", &index));
    ck_assert_int_eq(index, 39);
    entry.struct_size = sizeof entry;
    OK(sslcv_state_get_entry(state, 0, &entry));
    ck_assert_str_eq(entry.name, "w");
    ck_assert_int_eq(entry.frozen, 1);
    OK(sslcv_state_data(state, 0, SSLCV_STATE_VALUE, &tensor));
    ck_assert_int_eq(tensor.shape[1], 3);
    ck_assert_int_eq(tensor.strides[0], 3);
    for (i = 0; i < 6; i++) ck_assert_float_eq(((float *)tensor.data)[i], 0);
    sslcv_state_destroy(state);
    FAILS(sslcv_state_create(context, NULL), SSLCV_ERR_INVALID_ARGUMENT, "state is NULL");
    FAILS(sslcv_state_create(NULL, &state), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
}
END_TEST

START_TEST(add_refuses)
{
    const sslcv_state_entry good = {.struct_size = sizeof good, .name = "w", .dtype = SSLCV_F32, .role = 1};
    sslcv_state_entry bad;
    sslcv_state *state;

    OK(sslcv_state_create(context, &state));
    OK(sslcv_state_add(state, &good, NULL));
#define REFUSED(change, text)                                                                                          \
    bad = good;                                                                                                        \
    bad.name = "x";                                                                                                    \
    change;                                                                                                            \
    FAILS(sslcv_state_add(state, &bad, NULL), SSLCV_ERR_INVALID_ARGUMENT, text)
    REFUSED(bad.name = NULL, "state_entry.name is NULL");
    REFUSED(bad.name = "", "state_entry.name is empty");
    REFUSED(bad.name = "w", "state_entry.name is \"w\", which the state has already");
    REFUSED(bad.dtype = 0, "state_entry.dtype is 0");
    REFUSED(bad.dtype = 10, "state_entry.dtype is 10");
    REFUSED(bad.dtype = SSLCV_F64, "state_entry.dtype is f64; must be f32 for a parameter");
    REFUSED(bad.role = 0, "state_entry.role is 0; must be one SSLCV_ROLE_* bit");
    REFUSED(bad.role = 3, "state_entry.role is 3");
    REFUSED(bad.role = 16, "state_entry.role is 16");
    REFUSED(bad.frozen = 2, "state_entry.frozen is 2; must be 0 or 1");
    REFUSED(bad.ndim = 9, "x has 9 axes; allowed are 0 .. 8");
    REFUSED(bad.ndim = -1, "x has -1 axes");
    REFUSED((bad.ndim = 1, bad.shape[0] = -5), "x has shape[0] -5");
    bad.shape[0] = 0;
    REFUSED((bad.ndim = 3, bad.shape[1] = bad.shape[2] = (int64_t)1 << 32), "x has a shape of more than 2^63 - 1");
    REFUSED(bad.struct_size = 8, "state_entry.struct_size is 8");
    FAILS(sslcv_state_add(state, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "entry is NULL");
    FAILS(sslcv_state_add(window, &good, NULL), SSLCV_ERR_STATE, "window onto an object");
    ck_assert_int_eq(state->count, 1);
    ck_assert_int_eq(state->own.count, 1);
    sslcv_state_destroy(state);
}
END_TEST

START_TEST(add_without_memory)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = "w", .dtype = SSLCV_F32, .role = 1};
    sslcv_state *state = NULL;
    int64_t index = -1;

    RUN_OUT_OF_MEMORY(&memory, sslcv_state_create(context, &state));
    OK(sslcv_state_add(state, &entry, NULL));
    entry.name = "b"; /* a third array is full at the second tensor */
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_add(state, &entry, &index));
    ck_assert_int_eq(index, 1);
    ck_assert_int_eq(state->own.count, 2);
    sslcv_state_destroy(state);
}
END_TEST

START_TEST(data_of_own_tensors_only)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry, .name = "w", .dtype = SSLCV_F32, .role = 1};
    sslcv_tensor tensor = {0};
    sslcv_state *state;
    float *gradient;

    OK(sslcv_state_create(context, &state));
    OK(sslcv_state_add(state, &entry, NULL));
    entry.name = "buffer";
    entry.role = SSLCV_ROLE_BUFFER;
    OK(sslcv_state_add(state, &entry, NULL));
    OK(sslcv_state_data(state, 0, SSLCV_STATE_GRADIENT, &tensor));
    gradient = tensor.data;
    *gradient += 3;
    OK(sslcv_state_data(state, 0, SSLCV_STATE_GRADIENT, &tensor)); /* gathers on */
    ck_assert_float_eq(*gradient, 3);
    state->own.items[0]->has_gradient = 0; /* as the optimizer does */
    OK(sslcv_state_data(state, 0, SSLCV_STATE_GRADIENT, &tensor));
    ck_assert_float_eq(*gradient, 0);
    FAILS(sslcv_state_data(state, 1, SSLCV_STATE_GRADIENT, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "has no gradient");
    FAILS(sslcv_state_data(state, 0, 2, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "part is 2");
    FAILS(sslcv_state_data(state, 2, 0, &tensor), SSLCV_ERR_NOT_FOUND, "index is 2");
    FAILS(sslcv_state_data(state, 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    FAILS(sslcv_state_data(window, 0, 0, &tensor), SSLCV_ERR_STATE, "window onto an object");
    sslcv_state_destroy(state);
}
END_TEST

START_TEST(freeze_by_prefix)
{
    OK(sslcv_state_freeze(window, "a.c", 1));
    ck_assert_int_eq(object->set.items[0]->frozen, 1);
    ck_assert_int_eq(object->set.items[1]->frozen, 0);
    OK(sslcv_state_freeze(window, "", 1));
    ck_assert_int_eq(object->set.items[1]->frozen, 1);
    ck_assert_int_eq(object->set.items[2]->frozen, 0); /* a buffer learns nothing anyway */
    OK(sslcv_state_freeze(window, "a.conv", 0));
    ck_assert_int_eq(object->set.items[0]->frozen, 0);
    FAILS(sslcv_state_freeze(window, "a.convx", 1), SSLCV_ERR_NOT_FOUND, "begins with \"a.convx\"");
    FAILS(sslcv_state_freeze(window, "a.mean", 1), SSLCV_ERR_NOT_FOUND, "no parameter's name");
    FAILS(sslcv_state_freeze(window, "", 2), SSLCV_ERR_INVALID_ARGUMENT, "frozen is 2");
    FAILS(sslcv_state_freeze(window, NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "prefix is NULL");
}
END_TEST

/* ---- get and set ---- */

START_TEST(blocked_weights_come_back_plain)
{
    static float values[CONV], back[CONV];
    const sslcv__variable *conv = object->set.items[0];
    sslcv_tensor tensor = tensor_of(SSLCV_F32, values, 4, conv_shape);

    golden_input(1, CONV, values);
    OK(sslcv_state_set(window, 0, SSLCV_STATE_VALUE, &tensor));
    ck_assert_mem_ne(conv->value, values, sizeof values); /* it lies otherwise inside */
    tensor.data = back;
    OK(sslcv_state_get(window, 0, SSLCV_STATE_VALUE, &tensor));
    ck_assert_mem_eq(back, values, sizeof values);
}
END_TEST

START_TEST(get_tells_what_it_wants)
{
    sslcv_tensor tensor = {0};

    tensor.ndim = 77;
    OK(sslcv_state_get(window, 0, SSLCV_STATE_VALUE, &tensor));
    ck_assert_int_eq(tensor.ndim, 4);
    ck_assert_int_eq(tensor.dtype, SSLCV_F32);
    ck_assert_mem_eq(tensor.shape, conv_shape, sizeof conv_shape);
    ck_assert_int_eq(tensor.strides[0], 16 * 9);
    ck_assert_ptr_null(tensor.data);
}
END_TEST

START_TEST(strides_and_dtypes)
{
    /* Values that bf16 holds exactly; every other element of memory, backwards. */
    const float expected[5] = {1, -2, 0.5f, 96, -0.0078125f};
    const int32_t dtypes[4] = {SSLCV_F32, SSLCV_BF16, SSLCV_F16, SSLCV_F64};
    const int64_t five = 5;
    int d, i;

    for (d = 0; d < 4; d++) {
        double room[10] = {0}, back[10] = {0};
        const int64_t size = sslcv_dtype_size(dtypes[d]);
        sslcv_tensor dense = tensor_of(SSLCV_F32, (void *)(uintptr_t)expected, 1, &five);
        sslcv_tensor tensor = tensor_of(dtypes[d], (char *)room + 8 * size, 1, &five);

        tensor.strides[0] = -2;
        OK(sslcv__tensor_from_f32(expected, &tensor, "tensor"));
        OK(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor));
        for (i = 0; i < 5; i++) ck_assert_float_eq(((float *)object->set.items[1]->value)[i], expected[i]);
        tensor.data = (char *)back + 8 * size;
        OK(sslcv_state_get(window, 1, SSLCV_STATE_VALUE, &tensor));
        ck_assert_mem_eq(back, room, sizeof room);
        OK(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &dense));
    }
}
END_TEST

START_TEST(a_buffer_of_f64_keeps_all_bits)
{
    const int64_t two = 2;
    double values[2] = {1.0 + 1e-15, 1e300}, back[2];
    float narrow[2] = {3, 4};
    sslcv_tensor tensor = tensor_of(SSLCV_F64, values, 1, &two), single = tensor_of(SSLCV_F32, narrow, 1, &two);

    OK(sslcv_state_set(window, 2, SSLCV_STATE_VALUE, &tensor));
    tensor.data = back;
    OK(sslcv_state_get(window, 2, SSLCV_STATE_VALUE, &tensor));
    ck_assert_mem_eq(back, values, sizeof values);
    OK(sslcv_state_set(window, 2, SSLCV_STATE_VALUE, &single));
    OK(sslcv_state_get(window, 2, SSLCV_STATE_VALUE, &tensor));
    ck_assert_double_eq(back[1], 4);
}
END_TEST

START_TEST(a_scalar)
{
    int64_t value = INT64_MIN + 7, back = 0;
    sslcv_tensor tensor = tensor_of(SSLCV_I64, &value, 0, NULL);

    OK(sslcv_state_set(window, 3, SSLCV_STATE_VALUE, &tensor));
    tensor.data = &back;
    OK(sslcv_state_get(window, 3, SSLCV_STATE_VALUE, &tensor));
    ck_assert_int_eq(back, value);
}
END_TEST

START_TEST(gradients)
{
    const int64_t five = 5;
    float values[5] = {1, 2, 3, 4, 5}, back[5] = {9, 9, 9, 9, 9};
    sslcv_tensor tensor = tensor_of(SSLCV_F32, back, 1, &five);

    object->set.items[1]->gradient[2] = 8; /* left from before the last optimizer step */
    OK(sslcv_state_get(window, 1, SSLCV_STATE_GRADIENT, &tensor));
    ck_assert_float_eq(back[2], 0);
    tensor.data = values;
    OK(sslcv_state_set(window, 1, SSLCV_STATE_GRADIENT, &tensor));
    ck_assert_int_eq(object->set.items[1]->has_gradient, 1);
    tensor.data = back;
    OK(sslcv_state_get(window, 1, SSLCV_STATE_GRADIENT, &tensor));
    ck_assert_mem_eq(back, values, sizeof values);
    ck_assert_float_eq(((float *)object->set.items[1]->value)[2], 0);
    tensor = tensor_of(SSLCV_F64, NULL, 0, NULL);
    FAILS(sslcv_state_get(window, 2, SSLCV_STATE_GRADIENT, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "mean is a buffer");
}
END_TEST

START_TEST(set_refuses)
{
    const int64_t four = 4, five = 5;
    float values[5] = {1, 2, 3, 4, 5};
    double wide[5] = {1, 2, 3, 4, 1e300};
    int64_t counter = 1;
    sslcv_tensor tensor = tensor_of(SSLCV_F32, values, 1, &five);

    OK(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor));
    values[3] = NAN;
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_NUMERIC,
          "a.bias: element 3 is not a number");
    values[3] = INFINITY;
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_GRADIENT, &tensor), SSLCV_ERR_NUMERIC, "element 3 is infinite");
    tensor = tensor_of(SSLCV_F64, wide, 1, &five);
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_NUMERIC, "element 4 is infinite in f32");
    tensor = tensor_of(SSLCV_F32, values, 1, &four);
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "tensor");
    FAILS(sslcv_state_get(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "tensor");
    tensor = tensor_of(SSLCV_I32, values, 1, &five);
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_INVALID_ARGUMENT,
          "tensor.dtype is i32; must be floating for bias");
    tensor = tensor_of(SSLCV_I32, &counter, 0, NULL);
    FAILS(sslcv_state_set(window, 3, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_INVALID_ARGUMENT, "must be i64 for steps");
    FAILS(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, NULL), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    FAILS(sslcv_state_get(window, 1, SSLCV_STATE_VALUE, NULL), SSLCV_ERR_INVALID_ARGUMENT, "tensor is NULL");
    FAILS(sslcv_state_set(window, 9, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_NOT_FOUND, "index is 9");
    ck_assert_float_eq(((float *)object->set.items[1]->value)[3], 4);
    ck_assert_int_eq(object->set.items[1]->has_gradient, 0);
    /* Buffers may hold what they like: a running minimum starts at infinity. */
    wide[1] = INFINITY;
    tensor = tensor_of(SSLCV_F64, wide, 1, object->set.items[2]->shape);
    OK(sslcv_state_set(window, 2, SSLCV_STATE_VALUE, &tensor));
}
END_TEST

START_TEST(hooks_of_the_owner)
{
    const int64_t five = 5;
    float values[5] = {1, 2, 3, 4, 5};
    sslcv_tensor tensor = tensor_of(SSLCV_F32, values, 1, &five);

    window->before_read = count_read;
    window->after_write = count_write;
    OK(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor));
    ck_assert_int_eq(object->writes, 1);
    OK(sslcv_state_get(window, 1, SSLCV_STATE_VALUE, &tensor));
    ck_assert_int_eq(object->reads, 2); /* set reads first: what is not set must be up to date too */
    object->refuse = SSLCV_ERR_STATE;
    values[0] = 7;
    ck_assert_int_eq(sslcv_state_set(window, 1, SSLCV_STATE_VALUE, &tensor), SSLCV_ERR_STATE);
    ck_assert_float_eq(((float *)object->set.items[1]->value)[0], 1);
    ck_assert_int_eq(sslcv_state_set(window, 1, SSLCV_STATE_GRADIENT, &tensor), SSLCV_ERR_STATE);
    ck_assert_int_eq(object->set.items[1]->has_gradient, 0);
}
END_TEST

START_TEST(get_and_set_without_memory)
{
    static float values[CONV], back[CONV];
    static uint16_t half[CONV];
    sslcv_tensor tensor = tensor_of(SSLCV_F32, values, 4, conv_shape);

    golden_input(1, CONV, values);
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_set(window, 0, SSLCV_STATE_VALUE, &tensor));
    tensor.data = back;
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_get(window, 0, SSLCV_STATE_VALUE, &tensor));
    ck_assert_mem_eq(back, values, sizeof values);
    tensor = tensor_of(SSLCV_F16, half, 4, conv_shape);
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_get(window, 0, SSLCV_STATE_VALUE, &tensor));
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_set(window, 0, SSLCV_STATE_VALUE, &tensor));
}
END_TEST

/* ---- flat ---- */

START_TEST(flat_round_trip)
{
    static float values[FLAT], back[FLAT];
    int64_t count = 0;

    golden_input(2, FLAT, values);
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_ALL, NULL, 0, &count));
    ck_assert_int_eq(count, FLAT);
    OK(sslcv_state_set_flat(window, SSLCV_ROLE_ALL, values, FLAT));
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_ALL, back, FLAT, &count));
    ck_assert_mem_eq(back, values, sizeof values);
    ck_assert_double_eq(((double *)object->set.items[2]->value)[1], values[FLAT - 1]);
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_BIAS, back, FLAT, &count));
    ck_assert_int_eq(count, 5);
    ck_assert_mem_eq(back, values + CONV, 5 * sizeof *values);
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_NORM, back, 0, &count));
    ck_assert_int_eq(count, 0);
    OK(sslcv_state_get_flat(window, SSLCV_ROLE_BIAS, back, FLAT, NULL));
}
END_TEST

START_TEST(flat_refuses)
{
    static float values[FLAT];
    int64_t count = -1;

    values[CONV + 1] = NAN;
    FAILS(sslcv_state_get_flat(window, SSLCV_ROLE_ALL, values, FLAT - 1, &count), SSLCV_ERR_LIMIT,
          "capacity is 4614; the state needs 4615 floats");
    ck_assert_int_eq(count, -1);
    ck_assert_float_nan(values[CONV + 1]);
    FAILS(sslcv_state_get_flat(window, 0, values, FLAT, &count), SSLCV_ERR_INVALID_ARGUMENT, "roles is 0");
    FAILS(sslcv_state_get_flat(window, 16, values, FLAT, &count), SSLCV_ERR_INVALID_ARGUMENT, "roles is 16");
    FAILS(sslcv_state_set_flat(window, SSLCV_ROLE_ALL, values, FLAT - 1), SSLCV_ERR_INVALID_ARGUMENT, "must be 4615");
    FAILS(sslcv_state_set_flat(window, SSLCV_ROLE_ALL, NULL, FLAT), SSLCV_ERR_INVALID_ARGUMENT, "buffer is NULL");
    values[0] = 1;
    FAILS(sslcv_state_set_flat(window, SSLCV_ROLE_ALL, values, FLAT), SSLCV_ERR_NUMERIC, "a.bias: element 1");
    ck_assert_float_eq(((float *)object->set.items[0]->value)[0], 0); /* not even what came before it */
}
END_TEST

START_TEST(flat_without_memory)
{
    static float values[FLAT], back[FLAT];

    golden_input(2, FLAT, values);
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_set_flat(window, SSLCV_ROLE_ALL, values, FLAT));
    RUN_OUT_OF_MEMORY(&memory, sslcv_state_get_flat(window, SSLCV_ROLE_ALL, back, FLAT, NULL));
    ck_assert_mem_eq(back, values, sizeof values);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *entries = tcase_create("entries"), *values = tcase_create("values");

    tcase_add_checked_fixture(entries, setup, teardown);
    tcase_add_test(entries, variables_are_found_and_zero);
    tcase_add_test(entries, variables_refuse_bad_shapes);
    tcase_add_test(entries, variables_without_memory);
    tcase_add_test(entries, entries_in_order);
    tcase_add_test(entries, windows_of_windows);
    tcase_add_test(entries, a_window_keeps_its_owner);
    tcase_add_test(entries, add_to_a_state_of_its_own);
    tcase_add_test(entries, add_refuses);
    tcase_add_test(entries, add_without_memory);
    tcase_add_test(entries, data_of_own_tensors_only);
    tcase_add_test(entries, freeze_by_prefix);
    tcase_add_checked_fixture(values, setup, teardown);
    tcase_add_test(values, blocked_weights_come_back_plain);
    tcase_add_test(values, get_tells_what_it_wants);
    tcase_add_test(values, strides_and_dtypes);
    tcase_add_test(values, a_buffer_of_f64_keeps_all_bits);
    tcase_add_test(values, a_scalar);
    tcase_add_test(values, gradients);
    tcase_add_test(values, set_refuses);
    tcase_add_test(values, hooks_of_the_owner);
    tcase_add_test(values, get_and_set_without_memory);
    tcase_add_test(values, flat_round_trip);
    tcase_add_test(values, flat_refuses);
    tcase_add_test(values, flat_without_memory);
    suite_add_tcase(suite, entries);
    suite_add_tcase(suite, values);
    return run_suite(suite);
}
