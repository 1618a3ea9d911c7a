/* Runs on a file system that fails: what is told, what stays, and that they can go on. */
#include "fault_support.h"

enum { EPOCHS = 4 }; /* of one step each */

static char warnings[4096];

static void keep_warnings(void *user, int32_t level, const char *text)
{
    const size_t used = strlen(warnings);

    (void)user;
    if (level <= SSLCV_LOG_WARNING) snprintf(warnings + used, sizeof warnings - used, "%s\n", text);
}

/* A context of one thread, which logs; files opened from now on are meant. */
static void begin(void)
{
    sslcv_context_options o;

    make_folder();
    fault_begin(test_folder);
    OK(sslcv_context_options_init(&o, sizeof o));
    o.threads = 1;
    o.loader_threads = 0;
    o.log = keep_warnings;
    warnings[0] = 0;
    OK(sslcv_context_create(&o, &context));
}

static void end(void)
{
    fault_end();
    remove_folder();
    sslcv_context_destroy(context);
}

static sslcv_trainer *make_trainer(sslcv_dataset *dataset, int resume)
{
    sslcv_method_options o;
    sslcv_trainer *trainer;

    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.settings = "batch=6 size=8 width=0.0625 epochs=4 out_dim=16 prefetch=0";
    o.checkpoint_path = in_folder("run");
    o.seed = 5;
    o.resume = resume;
    OK(sslcv_method_create(context, "simclr", &o, &trainer));
    return trainer;
}

static void mend(void)
{
    fault_begin(test_folder);
}

static void spoil(int call, int64_t at, int error)
{
    fault_begin(test_folder);
    fault.call = call;
    fault.at = at;
    fault.times = INT64_MAX;
    fault.error = error;
}

static int64_t saved_step(const char *path)
{
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index, step;

    OK(sslcv_state_open(context, path, NULL, &state));
    OK(sslcv_state_find(state, "trainer.step", &index));
    OK(sslcv_state_data(state, index, SSLCV_STATE_VALUE, &tensor));
    step = *(const int64_t *)tensor.data;
    sslcv_state_destroy(state);
    return step;
}

/* ---- checkpoints ---- */

/* Each way of failing at each epoch, the last among them; then the disk is there again. The end is the same bits. */
START_TEST(a_checkpoint_fails)
{
    static const struct {
        int call, error;
        int64_t at;
    } faults[] = {{FAULT_OPEN, ENOSPC, 0},   {FAULT_OPEN, EROFS, 0}, {FAULT_WRITE, ENOSPC, 0},
                  {FAULT_WRITE, EDQUOT, 50}, {FAULT_SYNC, EIO, 0},   {FAULT_RENAME, EROFS, 0},
                  {FAULT_RENAME, EIO, 0},    {FAULT_STAT, EACCES, 0}};
    sslcv_dataset *dataset = make_images(0);
    sslcv_trainer *trainer = make_trainer(dataset, 0);
    size_t size;
    char *whole;
    int epoch, k;

    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    whole = contents(in_folder("run"), &size);
    for (epoch = 0; epoch < EPOCHS; epoch++) {
        for (k = 0; k < (int)(sizeof faults / sizeof faults[0]); k++) {
            unlink(in_folder("run"));
            unlink(in_folder("run.1"));
            trainer = make_trainer(dataset, 0);
            if (epoch > 0) OK(sslcv_trainer_run(trainer, epoch));
            spoil(faults[k].call, faults[k].at, faults[k].error);
            ck_assert_msg(sslcv_trainer_run(trainer, 0) == SSLCV_ERR_IO, "epoch %d, fault %d: no error", epoch, k);
            ck_assert_ptr_nonnull(strstr(sslcv_last_error(), strerror(faults[k].error)));
            FAILS(sslcv_trainer_run(trainer, 0), SSLCV_ERR_IO, "/run: "); /* it is still not there */
            mend();
            if (epoch > 0) ck_assert_int_eq(saved_step(in_folder("run")), epoch);
            if (epoch == 0) ck_assert_int_eq(access(in_folder("run"), F_OK), -1);
            ck_assert_int_eq(count_temporaries(), 0);
            OK(sslcv_trainer_run(trainer, 0));
            ck_assert_msg(file_equals(in_folder("run"), whole, size), "epoch %d, %s: the end has other bits", epoch,
                          fault_names[faults[k].call]);
            sslcv_trainer_destroy(trainer);
        }
    }
    free(whole);
    sslcv_dataset_destroy(dataset);
}
END_TEST

/* A run that would begin anew would write over what it could not see. */
START_TEST(a_checkpoint_cannot_be_seen)
{
    static const int errors[] = {EACCES, EIO, ESTALE};
    sslcv_dataset *dataset = make_images(0);
    sslcv_trainer *trainer = make_trainer(dataset, 0);
    int k;

    OK(sslcv_trainer_run(trainer, 2));
    sslcv_trainer_destroy(trainer);
    for (k = 0; k < 6; k++) {
        trainer = make_trainer(dataset, 1);
        spoil(k < 3 ? FAULT_STAT : FAULT_OPEN, 0, errors[k % 3]);
        FAILS(sslcv_trainer_run(trainer, 1), SSLCV_ERR_IO, "/run: ");
        mend();
        ck_assert_int_eq(saved_step(in_folder("run")), 2);
        OK(sslcv_trainer_run(trainer, 1));
        ck_assert_int_eq(saved_step(in_folder("run")), 3);
        sslcv_trainer_destroy(trainer);
        ck_assert_int_eq(rename(in_folder("run.1"), in_folder("run")), 0);
    }
    sslcv_dataset_destroy(dataset);
}
END_TEST

/* A part of a checkpoint is none, however long. */
START_TEST(a_checkpoint_is_cut)
{
    sslcv_dataset *dataset = make_images(0);
    sslcv_trainer *trainer = make_trainer(dataset, 0);
    struct stat info;
    off_t size;

    OK(sslcv_trainer_run(trainer, 2));
    sslcv_trainer_destroy(trainer);
    ck_assert_int_eq(stat(in_folder("run"), &info), 0);
    trainer = make_trainer(dataset, 1);
    for (size = info.st_size - 1; size > 0; size = size * 4 / 5) {
        ck_assert_int_eq(truncate(in_folder("run"), size), 0);
        FAILS(sslcv_trainer_run(trainer, 1), SSLCV_ERR_FORMAT, "/run");
    }
    ck_assert_int_eq(truncate(in_folder("run"), 0), 0);
    FAILS(sslcv_trainer_run(trainer, 1), SSLCV_ERR_FORMAT, "/run");
    ck_assert_int_eq(rename(in_folder("run.1"), in_folder("run")), 0);
    OK(sslcv_trainer_run(trainer, 1));
    ck_assert_int_eq(saved_step(in_folder("run")), 2);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
}
END_TEST

/* ---- what stands beside a run ---- */

/* Figures that cannot be written do not stop it, and those that were before and come after can be read. */
START_TEST(scalars_fail)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EFBIG};
    sslcv_dataset *dataset = make_images(0);
    sslcv_trainer *trainer = make_trainer(dataset, 0);
    sslcv_scalars *scalars;
    const char *line;
    size_t size;
    char *text;
    int k, lines = 0;

    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("scalars"), &scalars));
    OK(sslcv_scalars_watch(scalars, trainer, 1));
    OK(sslcv_trainer_run(trainer, 1));
    fault_begin(test_folder);
    fault.most = 7;
    fault.call = FAULT_WRITE;
    fault.at = 2; /* in the middle of a line */
    fault.times = 1;
    fault.error = errors[_i % 4];
    if (_i >= 4) fault.call = FAULT_STAT, fault.at = 0;
    FAILS(sslcv_scalars_add(scalars, 7, "before", 1.0), SSLCV_ERR_IO, strerror(fault.error));
    mend();
    ck_assert_int_eq(access(in_folder("run"), F_OK), 0);
    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    sslcv_scalars_destroy(scalars);
    text = contents(in_folder("scalars"), &size);
    for (line = text; *line; line = strchr(line, '\n') + 1) {
        ck_assert_msg(strncmp(line, "{\"step\":", 8) == 0 && strchr(line, '\n')[-1] == '}', "%s", line);
        lines++;
    }
    for (k = 1; k <= EPOCHS; k++) {
        char begin_of[32];

        snprintf(begin_of, sizeof begin_of, "{\"step\":%d,", k);
        ck_assert_msg(strstr(text, begin_of) != NULL, "%s is not in %s", begin_of, text);
    }
    ck_assert_ptr_null(strstr(text, "before"));
    ck_assert_int_ge(lines, EPOCHS);
    free(text);
    sslcv_dataset_destroy(dataset);
}
END_TEST

START_TEST(scalars_fail_within)
{
    sslcv_dataset *dataset = make_images(0);
    sslcv_trainer *trainer = make_trainer(dataset, 0);
    sslcv_scalars *scalars;

    OK(sslcv_scalars_open(context, _i ? SSLCV_SCALARS_TENSORBOARD : SSLCV_SCALARS_JSON_LINES, in_folder("scalars"),
                          &scalars));
    OK(sslcv_scalars_watch(scalars, trainer, 1));
    spoil(FAULT_WRITE, 0, ENOSPC);
    FAILS(sslcv_trainer_run(trainer, 0), SSLCV_ERR_IO, "/run: No space left"); /* of the checkpoint, not of these */
    mend();
    ck_assert_ptr_nonnull(strstr(warnings, "scalars"));
    ck_assert_ptr_nonnull(strstr(warnings, "No space left on device"));
    OK(sslcv_trainer_run(trainer, 0));
    sslcv_trainer_destroy(trainer);
    sslcv_scalars_destroy(scalars);
    sslcv_dataset_destroy(dataset);
    if (_i) {
        char command[128];

        snprintf(command, sizeof command, "rm -r %s/scalars", test_folder);
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

/* Each call of opening and adding is interrupted first, and moves a byte at a time. */
START_TEST(scalars_in_bytes)
{
    sslcv_scalars *scalars;
    size_t size;
    char *text;
    int k;

    write_file(in_folder("lines"), "left open", 9);
    fault_begin(test_folder);
    fault.interrupt = 1;
    fault.most = 1;
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("lines"), &scalars));
    for (k = 0; k < 3; k++) OK(sslcv_scalars_add(scalars, k, "x", 0.5));
    sslcv_scalars_destroy(scalars);
    /* A line that fails in its middle, and cutting it off is interrupted too. */
    OK(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, in_folder("lines"), &scalars));
    fault.call = FAULT_WRITE;
    fault.at = fault_count[FAULT_WRITE] + 9;
    fault.times = 1;
    fault.error = ENOSPC;
    FAILS(sslcv_scalars_add(scalars, 3, "x", 0.5), SSLCV_ERR_IO, "lines: No space left on device");
    fault.call = FAULT_NONE;
    OK(sslcv_scalars_add(scalars, 4, "x", 0.5));
    ck_assert_int_ge(fault_count[FAULT_TRUNCATE], 2);
    sslcv_scalars_destroy(scalars);
    mend();
    text = contents(in_folder("lines"), &size);
    ck_assert_int_eq(strncmp(text, "left open\n{\"step\":0,", 20), 0);
    ck_assert_ptr_null(strstr(text, "\"step\":3"));
    ck_assert_ptr_null(strstr(text, "}{"));
    ck_assert_ptr_nonnull(strstr(text, "}\n{\"step\":4,"));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault_run");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, begin, end);
    tcase_add_test(all, a_checkpoint_fails);
    tcase_add_test(all, a_checkpoint_cannot_be_seen);
    tcase_add_test(all, a_checkpoint_is_cut);
    tcase_add_loop_test(all, scalars_fail, 0, 5);
    tcase_add_loop_test(all, scalars_fail_within, 0, 2);
    tcase_add_test(all, scalars_in_bytes);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
