/* What a load takes: names, prefixes, shapes, checkpoints, files that other programs have written. */
#include "safetensors_support.h"

#include "io/safetensors.h"

#include <jansson.h>

/* ---- names ---- */

/** A state as a network's: NAMES of one float each, numbered from 1. */
static sslcv_state *make_named(const char *const *names, int count, int filled)
{
    sslcv_state *made;
    int i;

    OK(sslcv_state_create(context, &made));
    for (i = 0; i < count; i++) {
        add(made, names[i], SSLCV_F32, SSLCV_ROLE_WEIGHT, 0, NULL);
        if (filled) *(float *)data_of(made, i) = (float)(i + 1);
    }
    return made;
}

static const char *const network[] = {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight"};

static void loads_by_prefix(const char *prefix, const char *extra, const char *layout)
{
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from, *to = make_named(network, 3, 0);
    char names[4][64];
    const char *pointers[4] = {names[0], names[1], names[2], names[3]};
    memory_file file;
    int i;

    for (i = 0; i < 3; i++) snprintf(names[i], sizeof names[i], "%s%s", prefix, network[i]);
    snprintf(names[3], sizeof names[3], "%s", extra);
    from = make_named(pointers, extra[0] ? 4 : 3, 1);
    file = save_to_memory(from, NULL);
    /* As another program writes it: without our metadata. */
    {
        json_error_t error;
        const int64_t length = (unsigned char)file.bytes[0] + 256 * (unsigned char)file.bytes[1];
        json_t *header = json_loadb(file.bytes + 8, (size_t)length, 0, &error);
        memory_file foreign;
        char *text;

        json_object_del(header, "__metadata__");
        text = json_dumps(header, JSON_COMPACT);
        foreign = build(text, file.size - 8 - length);
        memcpy(foreign.bytes + foreign.size - (file.size - 8 - length), file.bytes + 8 + length,
               (size_t)(file.size - 8 - length));
        free(text);
        json_decref(header);
        free(file.bytes);
        file = foreign;
    }
    OK(load_from_memory(to, &file, NULL, &report));
    ck_assert_int_eq(report.matched, 3);
    ck_assert_str_eq(report.layout, layout);
    for (i = 0; i < 3; i++) ck_assert_float_eq(*(float *)data_of(to, i), (float)(i + 1));
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}

START_TEST(known_prefixes)
{
    loads_by_prefix("", "fc.weight", "torchvision");
    loads_by_prefix("module.", "", "torchvision");
    loads_by_prefix("module.", "module.prototypes.weight", "swav");
    loads_by_prefix("encoder_q.", "encoder_k.conv1.weight", "moco");
    loads_by_prefix("module.encoder_q.", "module.queue", "moco");
    loads_by_prefix("encoder_q.0.", "", "mmselfsup");
    loads_by_prefix("backbone.", "", "solo-learn");
    loads_by_prefix("encoder.", "", "solo-learn");
    loads_by_prefix("backbone.0.", "backbone.1.conv1.weight", "sslcv");
    loads_by_prefix("_feature_blocks.", "", "vissl");
    loads_by_prefix("trunk._feature_blocks.", "", "vissl");
    loads_by_prefix("encoder.", "conv1.weight", "solo-learn"); /* one match without, three with */
}
END_TEST

START_TEST(a_prefix_of_the_caller_s)
{
    static const char *const names[] = {"net.conv1.weight", "net.bn1.weight", "net.layer1.0.conv1.weight", "net.extra",
                                        "elsewhere"};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from = make_named(names, 5, 1), *to = make_named(network, 3, 0), *opened;
    sslcv_load_options options;
    memory_file file = save_to_memory(from, NULL);
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    FAILS(load_from_memory(to, &file, NULL, &report), SSLCV_ERR_NOT_FOUND,
          "of its 5 names none is \"\" and one of our 3; it has \"net.conv1.weight\", ours is \"conv1.weight\"");
    ck_assert_str_eq(report.layout, "");
    ck_assert_int_eq(report.missing, 3);
    OK(sslcv_load_options_init(&options, sizeof options));
    options.prefix = "net.";
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(report.layout, "prefix");
    ck_assert_int_eq(report.unexpected, 1); /* those with another prefix are not looked at */
    ck_assert_float_eq(*(float *)data_of(to, 2), 3);
    options.prefix = "";
    FAILS(load_from_memory(to, &file, &options, NULL), SSLCV_ERR_NOT_FOUND, "of its 5 names none");
    OK(open_from_memory(&file, "net.", &opened));
    ck_assert_int_eq(opened->count, 4);
    OK(sslcv_state_get_entry(opened, 3, &entry));
    ck_assert_str_eq(entry.name, "extra");
    ck_assert_int_eq(entry.role, SSLCV_ROLE_BUFFER);
    sslcv_state_destroy(opened);
    FAILS(open_from_memory(&file, "nets.", &opened), SSLCV_ERR_NOT_FOUND, "none of its 5 names begins with \"nets.\"");
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(missing_and_unexpected_names)
{
    static const char *const names[] = {"conv1.weight", "fc.weight", "fc.bias"};
    char text[256] = "?";
    sslcv_load_report report = {.struct_size = sizeof report, .text = text, .text_size = sizeof text};
    sslcv_state *from = make_named(names, 3, 1), *to = make_named(network, 3, 0);
    memory_file file = save_to_memory(from, NULL);
    sslcv_load_options options;
    static const char all[] =
        "missing bn1.weight\nmissing layer1.0.conv1.weight\nunexpected fc.weight\nunexpected fc.bias\n";

    FAILS(load_from_memory(to, &file, NULL, &report), SSLCV_ERR_NOT_FOUND,
          "lacks 2 of our 3 tensors, the first is \"bn1.weight\"; load_options.partial = 1 allows that");
    ck_assert_float_eq(*(float *)data_of(to, 0), 0);
    ck_assert_str_eq(text, all);
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    ck_assert_int_eq(report.matched, 1);
    ck_assert_int_eq(report.missing, 2);
    ck_assert_int_eq(report.unexpected, 2);
    OK(sslcv_load_options_init(&options, sizeof options));
    options.partial = 1;
    report.text_size = 20; /* one line and its 0, and a byte more */
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(text, "missing bn1.weight\n");
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    ck_assert_float_eq(*(float *)data_of(to, 0), 1);
    report.text_size = 1;
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_str_eq(text, "");
    report.text = NULL;
    OK(load_from_memory(to, &file, &options, &report));
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof all);
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

/* Names are the file's: none makes a line of its own in the report, or steers a terminal. */
START_TEST(names_in_a_report_are_one_line_each)
{
    static const char header[] =
        "{\"x\\nmissing conv1.weight\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"bn1.weight\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
        "\"y\\r\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}";
    static const char expected[] = "unexpected x?missing conv1.weight?[2J\nunexpected y?\n";
    static const char *const one[] = {"bn1.weight"};
    char text[256] = "?";
    sslcv_load_report report = {.struct_size = sizeof report, .text = text, .text_size = sizeof text};
    sslcv_state *to = make_named(one, 1, 0);
    memory_file file = build(header, 12);

    OK(load_from_memory(to, &file, NULL, &report));
    ck_assert_str_eq(text, expected);
    ck_assert_int_eq(report.text_needed, (int64_t)sizeof expected);
    ck_assert_int_eq(report.unexpected, 2);
    free(file.bytes);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(counters_of_batches_may_be_missing)
{
    static const char *const names[] = {"bn1.weight", "bn1.num_batches_tracked"};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *from = make_named(names, 1, 1), *to = make_named(names, 2, 1);
    memory_file file = save_to_memory(from, NULL);

    OK(load_from_memory(to, &file, NULL, &report));
    ck_assert_int_eq(report.missing, 1);
    ck_assert_float_eq(*(float *)data_of(to, 1), 2);
    free(file.bytes);
    sslcv_state_destroy(from);
    sslcv_state_destroy(to);
}
END_TEST

START_TEST(roles_choose)
{
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *other = make_state(0);
    memory_file file = save_to_memory(state, NULL);
    sslcv_load_options options;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.roles = SSLCV_ROLE_WEIGHT;
    OK(load_from_memory(other, &file, &options, &report));
    ck_assert_int_eq(report.matched, 1);
    ck_assert_int_eq(report.missing, 0);
    ck_assert_int_eq(report.unexpected, 0); /* the buffers are ours, though not wanted now */
    ck_assert_mem_eq(data_of(other, 0), data_of(state, 0), 24);
    ck_assert_int_eq(*(int64_t *)data_of(other, 2), 0);
    free(file.bytes);
    sslcv_state_destroy(other);
}
END_TEST

START_TEST(other_shapes_and_dtypes)
{
    const int64_t shape[2] = {3, 2}, two = 2;
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_state *other;
    memory_file file = save_to_memory(state, NULL);

    OK(sslcv_state_create(context, &other));
    add(other, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL);
    add(other, "w", SSLCV_F32, SSLCV_ROLE_WEIGHT, 2, shape);
    FAILS(load_from_memory(other, &file, NULL, &report), SSLCV_ERR_FORMAT, "\"w\" has shape (2, 3); ours is (3, 2)");
    ck_assert_int_eq(report.matched, 2);
    ck_assert_int_eq(*(int64_t *)data_of(other, 0), 0);
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "mean", SSLCV_I64, SSLCV_ROLE_BUFFER, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT, "\"mean\" is F64; ours is I64");
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_FORMAT, "\"steps\" has shape (); ours is (2)");
    sslcv_state_destroy(other);
    OK(sslcv_state_create(context, &other));
    add(other, "mean", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &two);
    FAILS(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_NUMERIC, "mean: element 1 is infinite");
    sslcv_state_destroy(other);
    free(file.bytes);
}
END_TEST

static sslcv_status adapt(memory_file *file, int64_t channels, int32_t how, const float *expected)
{
    const int64_t shape[4] = {2, channels, 1, 2};
    sslcv_load_report report = {.struct_size = sizeof report};
    sslcv_load_options options;
    sslcv_state *to;
    sslcv_status status;
    int64_t i;

    OK(sslcv_load_options_init(&options, sizeof options));
    options.adapt_input = how;
    OK(sslcv_state_create(context, &to));
    add(to, "conv1.weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape);
    for (i = 0; i < 4 * channels; i++) ((float *)data_of(to, 0))[i] = 100;
    status = load_from_memory(to, file, &options, &report);
    for (i = 0; i < 2 * channels && status == SSLCV_OK; i++) CLOSE(((float *)data_of(to, 0))[i], expected[i], 1e-6);
    ck_assert_int_eq(report.adapted, status == SSLCV_OK && channels != 3);
    sslcv_state_destroy(to);
    return status;
}

START_TEST(another_number_of_channels)
{
    /* First filter: channels (1, 2), (3, 4), (5, 6). */
    const int64_t shape[4] = {2, 3, 1, 2};
    const float one[2] = {9, 12}, mean[4] = {4.5f, 6, 4.5f, 6},
                six[12] = {.5f, 1, 1.5f, 2, 2.5f, 3, .5f, 1, 1.5f, 2, 2.5f, 3};
    const float first[2] = {1, 2}, more[8] = {1, 2, 3, 4, 5, 6, 100, 100}, same[6] = {1, 2, 3, 4, 5, 6};
    sslcv_state *from;
    memory_file file;
    int i;

    OK(sslcv_state_create(context, &from));
    add(from, "conv1.weight", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, shape);
    for (i = 0; i < 12; i++) ((float *)data_of(from, 0))[i] = (float)(i + 1);
    file = save_to_memory(from, NULL);
    OK(adapt(&file, 1, SSLCV_ADAPT_MEAN, one));
    OK(adapt(&file, 2, SSLCV_ADAPT_MEAN, mean));
    OK(adapt(&file, 6, SSLCV_ADAPT_REPEAT, six));
    OK(adapt(&file, 1, SSLCV_ADAPT_FIRST, first));
    OK(adapt(&file, 4, SSLCV_ADAPT_FIRST, more));
    OK(adapt(&file, 3, SSLCV_ADAPT_MEAN, same));
    FAILS(adapt(&file, 1, SSLCV_ADAPT_NONE, one), SSLCV_ERR_FORMAT, "has shape (2, 3, 1, 2); ours is (2, 1, 1, 2)");
    free(file.bytes);
    sslcv_state_destroy(from);
}
END_TEST

/* ---- checkpoints ---- */

START_TEST(a_strict_state_takes_its_own_kind_only)
{
    static const char *const names[] = {"a", "b"};
    sslcv_state *trainer = make_named(names, 2, 1), *less = make_named(names, 1, 1);
    sslcv_load_options options;
    memory_file whole, part;

    OK(sslcv__state_add_metadata(trainer, "sslcv.architecture", "resnet18"));
    OK(sslcv__state_add_metadata(trainer, "note", "of today"));
    OK(sslcv__state_add_metadata(less, "sslcv.architecture", "resnet18"));
    whole = save_to_memory(trainer, NULL);
    part = save_to_memory(less, NULL);
    trainer->strict = less->strict = 1;
    strcpy(trainer->metadata[3], "other"); /* not the library's: may differ */
    OK(load_from_memory(trainer, &whole, NULL, NULL));
    FAILS(load_from_memory(trainer, &part, NULL, NULL), SSLCV_ERR_NOT_FOUND,
          "lacks 1 of our 2 tensors, the first is \"b\"");
    FAILS(load_from_memory(less, &whole, NULL, NULL), SSLCV_ERR_FORMAT,
          "has 1 tensors that this trainer lacks, the first is \"b\"");
    OK(sslcv_load_options_init(&options, sizeof options));
    options.partial = 1;
    FAILS(load_from_memory(trainer, &whole, &options, NULL), SSLCV_ERR_INVALID_ARGUMENT, "loaded whole");
    trainer->metadata[1][6] = '3';
    FAILS(load_from_memory(trainer, &whole, NULL, NULL), SSLCV_ERR_FORMAT,
          "its sslcv.architecture is \"resnet18\"; must be \"resnet38\"");
    trainer->metadata[0][6] = 'x';
    FAILS(load_from_memory(trainer, &whole, NULL, NULL), SSLCV_ERR_FORMAT, "it has no sslcv.xrchitecture");
    free(whole.bytes);
    free(part.bytes);
    sslcv_state_destroy(less);
    sslcv_state_destroy(trainer);
}
END_TEST

static int refused_writes;

static sslcv_status refuse_write(sslcv__object *owner)
{
    (void)owner;
    refused_writes++;
    return SSLCV_ERR_STATE;
}

START_TEST(an_owner_may_refuse_what_was_loaded)
{
    sslcv_state *other = make_state(0), *zeros = make_state(0);
    memory_file file = save_to_memory(state, NULL);

    refused_writes = 0;
    other->after_write = refuse_write;
    ck_assert_int_eq(load_from_memory(other, &file, NULL, NULL), SSLCV_ERR_STATE);
    ck_assert_int_eq(refused_writes, 1);
    check_equal(other, zeros);
    free(file.bytes);
    sslcv_state_destroy(zeros);
    sslcv_state_destroy(other);
}
END_TEST

/* ---- files of others ---- */

START_TEST(a_file_as_python_writes_it)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"bn1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                 "\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
                                 "\"half\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[16,20]}}     ";
    const unsigned char data[20] = {7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x80, 0x3f, 0, 0xc0};
    memory_file file = build(header, sizeof data);
    sslcv_state *opened;
    float values[2];
    const int64_t two = 2;
    sslcv_tensor tensor;

    memcpy(file.bytes + file.size - sizeof data, data, sizeof data);
    OK(open_from_memory(&file, NULL, &opened));
    ck_assert_int_eq(opened->count, 3);
    ck_assert_int_eq(*(int64_t *)data_of(opened, 0), 7);
    ck_assert_float_eq(((float *)data_of(opened, 1))[0], 1);
    ck_assert_float_eq(((float *)data_of(opened, 1))[1], -2);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, 1, &two));
    OK(sslcv_state_get(opened, 2, SSLCV_STATE_VALUE, &tensor));
    ck_assert_float_eq(values[1], -2);
    ck_assert_str_eq(sslcv__state_get_metadata(opened, "format"), "pt");
    sslcv_state_destroy(opened);
    free(file.bytes);
}
END_TEST

START_TEST(any_order_any_alignment)
{
    /* The header's order is not that of the data, and nothing is aligned. */
    memory_file file = build("{\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]},"
                             "\"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[3,3]},"
                             "\"a\":{\"data_offsets\":[0,1],\"dtype\":\"U8\",\"shape\":[1],\"later\":{\"key\":1}},"
                             "\"b\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[1,3]}}",
                             7);
    const int64_t one = 1;
    const unsigned char expected[4] = {4, 5, 6, 7};
    sslcv_state *to, *opened = NULL;
    sslcv_load_report report = {.struct_size = sizeof report};

    OK(sslcv_state_create(context, &to));
    add(to, "a", SSLCV_U8, SSLCV_ROLE_BUFFER, 1, &one);
    add(to, "c", SSLCV_F32, SSLCV_ROLE_WEIGHT, 1, &one);
    OK(load_from_memory(to, &file, NULL, &report)); /* an unknown dtype does no harm where nobody wants it */
    ck_assert_str_eq(report.layout, "plain");
    ck_assert_int_eq(report.unexpected, 2);
    ck_assert_mem_eq(data_of(to, 1), expected, 4);
    ck_assert_uint_eq(*(unsigned char *)data_of(to, 0), 1);
    add(to, "b", SSLCV_I32, SSLCV_ROLE_BUFFER, 1, &one);
    FAILS(load_from_memory(to, &file, NULL, NULL), SSLCV_ERR_UNSUPPORTED, "tensor \"b\" has dtype I16");
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_UNSUPPORTED, "tensor \"b\" has dtype I16");
    ck_assert_ptr_null(opened);
    sslcv_state_destroy(to);
    free(file.bytes);
    file = build("{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1);
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_UNSUPPORTED, "tensor \"t\" has 9 axes; at most 8");
    free(file.bytes);
    file = build(
        "{\"t\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},\"z\":{\"dtype\":\"BOOL\",\"shape\":[1],"
        "\"data_offsets\":[1,2]}}",
        2);
    FAILS(open_from_memory(&file, NULL, &opened), SSLCV_ERR_FORMAT,
          "tensor \"z\" is BOOL, but has bytes other than 0 and 1");
    free(file.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors_load");
    TCase *names = tcase_create("names");
    TCase *checkpoints = tcase_create("checkpoints");
    TCase *others = tcase_create("files of others");

    tcase_add_checked_fixture(names, setup, teardown);
    tcase_add_test(names, known_prefixes);
    tcase_add_test(names, a_prefix_of_the_caller_s);
    tcase_add_test(names, missing_and_unexpected_names);
    tcase_add_test(names, names_in_a_report_are_one_line_each);
    tcase_add_test(names, counters_of_batches_may_be_missing);
    tcase_add_test(names, roles_choose);
    tcase_add_test(names, other_shapes_and_dtypes);
    tcase_add_test(names, another_number_of_channels);
    suite_add_tcase(suite, names);
    tcase_add_checked_fixture(checkpoints, setup, teardown);
    tcase_add_test(checkpoints, a_strict_state_takes_its_own_kind_only);
    tcase_add_test(checkpoints, an_owner_may_refuse_what_was_loaded);
    suite_add_tcase(suite, checkpoints);
    tcase_add_checked_fixture(others, setup, teardown);
    tcase_add_test(others, a_file_as_python_writes_it);
    tcase_add_test(others, any_order_any_alignment);
    suite_add_tcase(suite, others);
    return run_suite(suite);
}
