/* Settings of recipes: what is refused, help, numbers in any locale; recipes without memory. */
#include "memory_support.h"
#include "method_support.h"

#include <locale.h>
#include <stdio.h>

#include "method/method.h"

START_TEST(test_errors)
{
    static const struct {
        const char *settings;
        sslcv_status status;
        const char *text;
    } cases[] = {
        {"temprature=0.2", SSLCV_ERR_NOT_FOUND, "\"simclr\" has no setting \"temprature\"; it has epochs, batch, size"},
        {"epochs=", SSLCV_ERR_INVALID_ARGUMENT, "settings has \"epochs=\"; must be name=value"},
        {"=3", SSLCV_ERR_INVALID_ARGUMENT, "settings has \"=3\""},
        {"epochs 3", SSLCV_ERR_INVALID_ARGUMENT, "settings has \"epochs\""},
        {"epochs=3 epochs=3", SSLCV_ERR_INVALID_ARGUMENT, "settings has \"epochs\" twice"},
        {"epochs=1.5", SSLCV_ERR_INVALID_ARGUMENT, "simclr.epochs is \"1.5\"; must be a whole number"},
        {"epochs=0", SSLCV_ERR_INVALID_ARGUMENT, "simclr.epochs is \"0\""},
        {"epochs=99999999999999999999", SSLCV_ERR_INVALID_ARGUMENT, "simclr.epochs is \"9999"},
        {"temperature=0", SSLCV_ERR_INVALID_ARGUMENT, "simclr.temperature is \"0\"; must be a number"},
        {"temperature=0,5", SSLCV_ERR_INVALID_ARGUMENT, "simclr.temperature is \"0,5\""},
        {"temperature=nan", SSLCV_ERR_INVALID_ARGUMENT, "simclr.temperature is \"nan\""},
        {"temperature=0x1", SSLCV_ERR_INVALID_ARGUMENT, "simclr.temperature is \"0x1\""},
        {"architecture=vgg", SSLCV_ERR_INVALID_ARGUMENT, "must be one of resnet18, resnet34, resnet50, resnet101"},
        {"batch=25 width=0.125", SSLCV_ERR_LIMIT, "the data set has 24 samples; must have at least 25"},
        {"batch=8 width=17", SSLCV_ERR_INVALID_ARGUMENT, "simclr.width is \"17\""},
    };
    sslcv_context *context = make_context(1);
    sslcv_dataset *dataset = make_dataset(context, 3, 1);
    sslcv_trainer *trainer = NULL;
    sslcv_method_options o;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FAILS(make_method(context, "simclr", dataset, NULL, cases[i].settings, 1, &trainer), cases[i].status,
              cases[i].text);
    }
    FAILS(make_method(context, "simclear", dataset, NULL, NULL, 1, &trainer), SSLCV_ERR_NOT_FOUND,
          "there is no method \"simclear\"; there are \"simclr\", \"moco-v1\", ");
    FAILS(make_method(context, "simclr", dataset, "mnist", NULL, 1, &trainer), SSLCV_ERR_NOT_FOUND,
          "there is no preset \"mnist\"; there are \"cifar\", \"imagenet\"");
    OK(sslcv_method_options_init(&o, sizeof o));
    FAILS(sslcv_method_create(NULL, "simclr", &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_method_create(context, NULL, &o, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "method is NULL");
    FAILS(sslcv_method_create(context, "simclr", NULL, &trainer), SSLCV_ERR_INVALID_ARGUMENT, "options is NULL");
    FAILS(sslcv_method_create(context, "simclr", &o, NULL), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    o.reserved = 1;
    FAILS(sslcv_method_create(context, "simclr", &o, &trainer), SSLCV_ERR_UNSUPPORTED, "method.reserved");
    ck_assert(trainer == NULL);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}
END_TEST

START_TEST(test_names_and_help)
{
    static const char *const common[] = {"epochs=", "\nbatch=", "\nsize=", "\nlearning_rate=", "\nweight_decay="};
    char text[8192];
    int64_t needed, i;
    size_t k;

    ck_assert_str_eq(sslcv_method_name(0), "simclr");
    ck_assert(sslcv_method_name(-1) == NULL && sslcv_method_name(1000) == NULL);
    for (i = 0; sslcv_method_name(i); i++) {
        OK(sslcv_method_settings(sslcv_method_name(i), NULL, NULL, 0, &needed));
        FAILS(sslcv_method_settings(sslcv_method_name(i), NULL, text, needed - 1, NULL), SSLCV_ERR_LIMIT, "size is");
        OK(sslcv_method_settings(sslcv_method_name(i), NULL, text, needed, NULL));
        ck_assert_int_eq((int64_t)strlen(text), needed - 1);
        for (k = 0; k < sizeof common / sizeof common[0]; k++) ck_assert(strstr(text, common[k]) != NULL);
    }
    ck_assert_str_eq(sslcv_method_name(i - 1), "finetune");
    OK(sslcv_method_settings("simclr", NULL, text, sizeof text, NULL));
    ck_assert(strstr(text, "\nbatch=256  ") != NULL && strstr(text, "\nlearning_rate=0.06  ") != NULL);
    OK(sslcv_method_settings("simclr", "imagenet", text, sizeof text, NULL));
    ck_assert(strstr(text, "\nbatch=4096  ") != NULL && strstr(text, "\narchitecture=resnet50  ") != NULL);
    FAILS(sslcv_method_settings("x", NULL, NULL, 0, &needed), SSLCV_ERR_NOT_FOUND, "there is no method \"x\"");
    FAILS(sslcv_method_settings("simclr", "x", NULL, 0, &needed), SSLCV_ERR_NOT_FOUND, "there is no preset \"x\"");
}
END_TEST

/* Numbers are those of the compiler, in any locale. */
START_TEST(test_numbers)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"r=0.06", 0.06},
        {"r=.5", .5},
        {"r=5e-4", 5e-4},
        {"r=+1.25E+2", 125.0},
        {"r=-3.", -3.0},
        {"r=1e22", 1e22},
        {"r=0.0", 0.0},
        {"r=123456789012345", 123456789012345.0},
        {"r=1e-22", 1e-22},
        {"r=0.1", 0.1},
        {"r=0.3", 0.3},
        {"r=9007199254740992", 9007199254740992.0},
        {"r=0.000001", 1e-6},
        {"r=4.8", 4.8},
        {"r=17.17171717", 17.17171717},
    };
    static const char *const wrong[] = {"r=.", "r=e5", "r=1e", "r=1e+", "r=1.2.3", "r=--1", "r=1f", "r=inf", "r=1e999"};
    static const sslcv__setting table[] = {{"r", {"1", "2"}, ""}};
    static const sslcv__method method = {"test", table, 1, NULL};
    sslcv__settings settings;
    double value;
    size_t i;

    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is installed, 0,06 is its way to write 0.06 */
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        OK(sslcv__settings_read(&method, 0, cases[i].text, &settings));
        OK(sslcv__settings_real(&settings, "r", -1e300, 1e300, &value));
        ck_assert_msg(value == cases[i].value, "%s gives %.17g", cases[i].text, value);
    }
    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        OK(sslcv__settings_read(&method, 0, wrong[i], &settings));
        FAILS(sslcv__settings_real(&settings, "r", -1e300, 1e300, &value), SSLCV_ERR_INVALID_ARGUMENT, "test.r is");
    }
    OK(sslcv__settings_read(&method, 0, "r=3.14159265358979323846264338327950288", &settings));
    OK(sslcv__settings_real(&settings, "r", -1e300, 1e300, &value));
    CLOSE(value, 3.14159265358979323846, 1e-15);
    OK(sslcv__settings_read(&method, 1, " \t\n", &settings));
    OK(sslcv__settings_real(&settings, "r", -1e300, 1e300, &value));
    ck_assert(value == 2.0);
}
END_TEST

START_TEST(test_out_of_memory)
{
    host h = {.fail_at = -1};
    const sslcv_allocator allocator = {sizeof allocator, &h, host_allocate, host_deallocate, NULL};
    sslcv_context_options o;
    sslcv_context *context;
    sslcv_dataset *dataset;
    sslcv_trainer *trainer = NULL;
    sslcv_status status;
    int64_t n, held;

    OK(sslcv_context_options_init(&o, sizeof o));
    o.threads = 1;
    o.loader_threads = 0;
    o.allocator = &allocator;
    OK(sslcv_context_create(&o, &context));
    dataset = make_dataset(context, 3, 1);
    OK(make_method(context, "simclr", dataset, NULL, small, 1, &trainer)); /* what stays with the context is made */
    sslcv_trainer_destroy(trainer);
    held = h.out;
    for (n = 0;; n += n < 8 ? 1 : 5) {
        trainer = NULL;
        h.calls = 0;
        h.fail_at = n;
        status = make_method(context, "simclr", dataset, NULL, small, 1, &trainer);
        h.fail_at = -1;
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
        ck_assert(trainer == NULL);
        ck_assert_int_eq(h.out, held);
    }
    ck_assert(n > 100);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    ck_assert_int_eq(h.out, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("method_settings");
    TCase *texts = tcase_create("texts");

    tcase_set_timeout(texts, 60);
    tcase_add_test(texts, test_errors);
    tcase_add_test(texts, test_names_and_help);
    tcase_add_test(texts, test_numbers);
    tcase_add_test(texts, test_out_of_memory);
    suite_add_tcase(suite, texts);
    return run_suite(suite);
}
