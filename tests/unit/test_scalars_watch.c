/* A trainer's metrics in files of scalars. */
#include "trainer_support.h"

#include "file_support.h"

#include <jansson.h>

/* ---- what is in a file ---- */

/* "STEP: name name; " for each line; names that begin with "loss." are left out, "learning_rate" and others kept. */
static void line_names(const char *path, char *text, size_t size)
{
    size_t bytes, used = 0;
    char *lines = read_file(path, &bytes), *line = lines, *end;

    text[0] = 0;
    for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *object = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL), *value;
        const char *name;

        ck_assert_msg(object != NULL, "no JSON: %s", line);
        used +=
            (size_t)snprintf(text + used, size - used, "%d:", (int)json_integer_value(json_object_get(object, "step")));
        json_object_foreach(object, name, value)
        {
            if (strcmp(name, "step") == 0 || strcmp(name, "time") == 0 || strncmp(name, "loss.", 5) == 0) continue;
            used += (size_t)snprintf(text + used, size - used, " %s", name);
        }
        used += (size_t)snprintf(text + used, size - used, "; ");
        ck_assert_uint_lt(used, size);
        json_decref(object);
    }
    ck_assert(*line == 0);
    free(lines);
}

#define OWN " loss learning_rate embedding_std embedding_cosine"

static void names_are(const char *path, const char *expected)
{
    static char text[4096];

    line_names(path, text, sizeof text);
    ck_assert_str_eq(text, expected);
}

/* Value of a name in a line, counted from 0; NAN: there is none. */
static double value_of(const char *path, int number, const char *name)
{
    size_t size;
    char *lines = read_file(path, &size), *line = lines;
    json_t *object;
    double value;

    for (; number > 0; number--) line = strchr(line, '\n') + 1;
    *strchr(line, '\n') = 0;
    object = json_loads(line, 0, NULL);
    value = json_object_get(object, name) ? json_number_value(json_object_get(object, name)) : (double)NAN;
    json_decref(object);
    free(lines);
    return value;
}

/* ---- rigs ---- */

/* Three steps an epoch. */
static const rig_options two_epochs = {.epochs = 2, .seed = 7}, three_epochs = {.epochs = 3, .seed = 7};

static int32_t publish(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const char *name = progress->event == SSLCV_EVENT_STEP ? "norm" : "knn.top1";

    ((recorder *)user)->calls++;
    return sslcv_trainer_set_metric(trainer, name, 0.25) != SSLCV_OK;
}

static sslcv_scalars *watch(rig *r, const char *path, int64_t every)
{
    sslcv_scalars *scalars;

    OK(sslcv_scalars_open(r->context, SSLCV_SCALARS_JSON_LINES, path, &scalars));
    OK(sslcv_scalars_watch(scalars, r->trainer, every));
    return scalars;
}

/* ---- tests ---- */

START_TEST(steps_and_epochs)
{
    recorder knn = {.text = ""}, norm = {.text = ""};
    rig r;

    make_simclr(&r, &three_epochs);
    add_hook(&r, &knn, publish, SSLCV_EVENT_EPOCH_END, 2);
    sslcv_scalars_destroy(watch(&r, in_folder("a"), 2));
    OK(sslcv_trainer_run(r.trainer, 0));
    /* the same value again is a new value; an old one is not written twice */
    names_are(in_folder("a"), "2:" OWN "; 4:" OWN "; 6:" OWN "; 6: knn.top1; 8:" OWN "; ");
    ck_assert(value_of(in_folder("a"), 3, "knn.top1") == 0.25);
    free_rig(&r);

    make_simclr(&r, &two_epochs);
    add_hook(&r, &norm, publish, SSLCV_EVENT_STEP, 1);
    add_hook(&r, &knn, publish, SSLCV_EVENT_EPOCH_END, 1);
    sslcv_scalars_destroy(watch(&r, in_folder("b"), 2));
    OK(sslcv_trainer_run(r.trainer, 0));
    names_are(in_folder("b"), "2:" OWN " norm; 3: norm knn.top1; 4:" OWN " norm; 6:" OWN " norm; 6: knn.top1; ");
    free_rig(&r);
}
END_TEST

START_TEST(values)
{
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_scalars *scalars;
    const char *name;
    double value;
    int64_t i;
    rig r;

    make_simclr(&r, &plain);
    scalars = watch(&r, in_folder("a"), 1);
    OK(sslcv_trainer_step(r.trainer, NULL));
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert(value_of(in_folder("a"), 1, "loss") == progress.loss);
    ck_assert(value_of(in_folder("a"), 1, "learning_rate") == progress.learning_rate);
    for (i = 0; sslcv_trainer_get_metric(r.trainer, i, &name, &value) == SSLCV_OK; i++) {
        ck_assert_msg(value_of(in_folder("a"), 1, name) == value, "%s", name);
    }
    ck_assert_int_ge(i, 5);
    sslcv_scalars_destroy(scalars);
    free_rig(&r);
}
END_TEST

/* Bits of a run with files, and of one without. */
START_TEST(does_not_disturb)
{
    sslcv_scalars *lines, *events;
    rig r, s;

    make_simclr(&r, &two_epochs);
    make_simclr(&s, &two_epochs);
    lines = watch(&r, in_folder("a"), 1);
    OK(sslcv_scalars_open(r.context, SSLCV_SCALARS_TENSORBOARD, test_folder, &events));
    OK(sslcv_scalars_watch(events, r.trainer, 4));
    OK(sslcv_trainer_run(r.trainer, 0));
    OK(sslcv_trainer_run(s.trainer, 0));
    ck_assert(equal(read_trainer(&r), read_trainer(&s)));
    ck_assert_int_eq(count_files(), 2);
    sslcv_scalars_destroy(lines);
    free_rig(&s);
    free_rig(&r);
    sslcv_scalars_destroy(events);
}
END_TEST

static void count_log(void *user, int32_t level, const char *text)
{
    recorder *log = user;

    log->calls += level == SSLCV_LOG_WARNING;
    snprintf(log->text, sizeof log->text, "%s", text);
}

START_TEST(failures_do_not_stop)
{
    recorder log = {.text = ""};
    const rig_options o = {.epochs = 2, .seed = 7, .log = count_log, .log_user = &log};
    rig r;

    make_simclr(&r, &o);
    sslcv_scalars_destroy(watch(&r, in_folder("a"), 1));
    OK(sslcv_trainer_run(r.trainer, 1));
    ck_assert_int_eq(log.calls, 0);
    unlink(in_folder("a"));
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_int_eq(log.calls, 1);
    ck_assert_ptr_nonnull(strstr(log.text, "scalars of step 2 are not written: cannot write "));
    ck_assert_ptr_null(strstr(sslcv_last_error(), "cannot write")); /* the run has succeeded */
    free_rig(&r);
}
END_TEST

/* What cannot be a name in a file is left out, and nothing else. */
START_TEST(strange_names)
{
    recorder log = {.text = ""};
    const rig_options o = {.epochs = 2, .seed = 7, .log = count_log, .log_user = &log};
    rig r;

    make_simclr(&r, &o);
    OK(sslcv_trainer_set_metric(r.trainer, "step", 1.0));
    OK(sslcv_trainer_set_metric(r.trainer, "\xff", 1.0));
    OK(sslcv_trainer_set_metric(r.trainer, "good", 1.0));
    sslcv_scalars_destroy(watch(&r, in_folder("a"), 1));
    OK(sslcv_trainer_run(r.trainer, 2));
    names_are(in_folder("a"), "1: good" OWN "; 2:" OWN "; ");
    ck_assert_int_eq(log.calls, 1);
    ck_assert_ptr_nonnull(strstr(log.text, "a metric is not written: name is \"step\""));
    free_rig(&r);
}
END_TEST

static int32_t try_watch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    recorder *log = user;
    sslcv_scalars *scalars;

    (void)progress;
    OK(sslcv_scalars_open(log->rig->context, SSLCV_SCALARS_JSON_LINES, in_folder("b"), &scalars));
    FAILS(sslcv_scalars_watch(scalars, trainer, 1), SSLCV_ERR_STATE, "a hook must not change its trainer");
    OK(sslcv_scalars_add(scalars, 1, "mine", 1.0));
    sslcv_scalars_destroy(scalars);
    return 0;
}

START_TEST(arguments)
{
    recorder log = {.text = ""};
    sslcv_scalars *scalars;
    sslcv_context *other;
    rig r;

    make_simclr(&r, &plain);
    OK(sslcv_scalars_open(r.context, SSLCV_SCALARS_JSON_LINES, in_folder("a"), &scalars));
    FAILS(sslcv_scalars_watch(NULL, r.trainer, 1), SSLCV_ERR_INVALID_ARGUMENT, "scalars is NULL");
    FAILS(sslcv_scalars_watch(scalars, NULL, 1), SSLCV_ERR_INVALID_ARGUMENT, "trainer is NULL");
    FAILS(sslcv_scalars_watch(scalars, r.trainer, 0), SSLCV_ERR_INVALID_ARGUMENT, "steps is 0; must be >= 1");
    sslcv_scalars_destroy(scalars);
    OK(sslcv_context_create(NULL, &other));
    OK(sslcv_scalars_open(other, SSLCV_SCALARS_JSON_LINES, in_folder("a"), &scalars));
    FAILS(sslcv_scalars_watch(scalars, r.trainer, 1), SSLCV_ERR_INVALID_ARGUMENT, "trainer comes from another context");
    sslcv_scalars_destroy(scalars);
    sslcv_context_destroy(other);
    add_hook(&r, &log, try_watch, SSLCV_EVENT_STEP, 1);
    OK(sslcv_trainer_run(r.trainer, 1));
    free_rig(&r);
}
END_TEST

/* Memory that runs out while watching begins fails the call; in the hook it costs a line. */
START_TEST(out_of_memory)
{
    budget memory = {.left = -1};
    const sslcv_allocator allocator = {sizeof allocator, &memory, allocate, deallocate, NULL};
    recorder log = {.text = ""};
    const rig_options o = {.allocator = &allocator, .epochs = 2, .seed = 7, .log = count_log, .log_user = &log};
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    sslcv_scalars *scalars;
    int64_t n, held;
    rig r;

    make_simclr(&r, &o);
    OK(sslcv_trainer_run(r.trainer, 1)); /* all memory of the trainer is there */
    OK(sslcv_scalars_open(r.context, SSLCV_SCALARS_JSON_LINES, in_folder("a"), &scalars));
    for (n = 0; status != SSLCV_OK; n++) {
        held = memory.held;
        memory.left = n;
        status = sslcv_scalars_watch(scalars, r.trainer, 1);
        memory.left = -1;
        ck_assert(status == SSLCV_OK || status == SSLCV_ERR_OUT_OF_MEMORY);
        if (status != SSLCV_OK) ck_assert_int_eq(memory.held, held);
    }
    ck_assert_int_gt(n, 1);
    for (n = 0; n < 3; n++) {
        memory.left = n; /* its list of values, then the line */
        OK(sslcv_trainer_run(r.trainer, 1));
        memory.left = -1;
    }
    ck_assert_int_eq(log.calls, 1); /* one row of failures */
    names_are(in_folder("a"), "4:" OWN "; ");
    sslcv_scalars_destroy(scalars);
    free_rig(&r);
    ck_assert_int_eq(memory.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scalars_watch");
    TCase *tests = tcase_create("watch");

    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, steps_and_epochs);
    tcase_add_test(tests, values);
    tcase_add_test(tests, does_not_disturb);
    tcase_add_test(tests, failures_do_not_stop);
    tcase_add_test(tests, strange_names);
    tcase_add_test(tests, arguments);
    tcase_add_test(tests, out_of_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
