/* Files that are written whole or not at all, on a file system that fails at each call in turn. */
#include "fault_support.h"

/* ---- what is written ---- */

static sslcv_status save(const char *path, int version, int32_t format, int tensors)
{
    sslcv_save_options o;
    sslcv_state *state = make_state(version, tensors);
    sslcv_status status;

    OK(sslcv_save_options_init(&o, sizeof o));
    o.generations = format == SSLCV_FORMAT_SAFETENSORS ? 2 : 0;
    o.format = format;
    status = sslcv_state_save(state, path, &o);
    sslcv_state_destroy(state);
    return status;
}

static sslcv_status write_safetensors(const char *path, int version)
{
    return save(path, version, SSLCV_FORMAT_SAFETENSORS, 2);
}

static sslcv_status write_npz(const char *path, int version)
{
    return save(path, version, SSLCV_FORMAT_NPZ, 2);
}

static sslcv_status write_npy(const char *path, int version)
{
    return save(path, version, SSLCV_FORMAT_NPY, 1);
}

static sslcv_status write_list(const char *path, int version)
{
    const int64_t indices[3] = {0, 2 + version, 1};
    sslcv_dataset *dataset = make_images(0);
    const sslcv_status status = sslcv_dataset_save_list(dataset, indices, 3, path);

    sslcv_dataset_destroy(dataset);
    return status;
}

/* Features are the pixels. The labels are written beside. */
static sslcv_status write_features(const char *path, int version)
{
    static const int64_t view = 0;
    sslcv_dataset *dataset = make_images(version);
    sslcv_augmenter *augmenter;
    sslcv_embed_options o;
    sslcv_branch branch;
    const sslcv_branch *const branches[1] = {&branch};
    sslcv_status status;

    OK(sslcv_augmenter_create(context, &augmenter));
    OK(sslcv_augmenter_add_view(augmenter, -1, NULL));
    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.augmenter = augmenter;
    o.branches = branches;
    o.num_branches = 1;
    status = sslcv_embed_to_file(&o, path, in_folder("labels"));
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(dataset);
    return status;
}

static const struct writer {
    const char *name;
    sslcv_status (*write)(const char *path, int version);
} writers[] = {{"safetensors", write_safetensors},
               {"npz", write_npz},
               {"npy", write_npy},
               {"list", write_list},
               {"features", write_features}};
enum { NUM_WRITERS = sizeof writers / sizeof writers[0] };

/* ---- each call fails ---- */

static const int errors_of_writing[] = {EIO, ENOSPC, EDQUOT, EROFS, EACCES, 0}, errors_of_others[] = {EIO, EACCES, 0};

static const int *errors_of(int call)
{
    switch (call) {
    case FAULT_OPEN:
    case FAULT_WRITE:
    case FAULT_SYNC:
    case FAULT_RENAME:
    case FAULT_LINK: return errors_of_writing;
    default: return errors_of_others;
    }
}

typedef struct two {
    char *old, *new;
    size_t old_size, new_size;
} two;

/* Old or new, and nothing else; new if it succeeded. An error behind the renaming is one of the folder. */
static void judge_file(const char *path, const two *t, sslcv_status status, const char *what)
{
    const int is_old = file_equals(path, t->old, t->old_size), is_new = file_equals(path, t->new, t->new_size);
    char renamed[300];

    snprintf(renamed, sizeof renamed, "rename %s\n", path + strlen(test_folder) + 1);
    ck_assert_msg(is_old || is_new, "%s: %s is neither the old file nor the new one", what, path);
    ck_assert_msg(status != SSLCV_OK || is_new, "%s: succeeds, and %s is the old file", what, path);
    ck_assert_msg(is_old || strstr(fault_trace, renamed) != NULL, "%s: %s is new, and was not renamed", what, path);
}

static void fail_at(const struct writer *w, int64_t most, int call, int64_t at, int error, const two *files)
{
    const int descriptors = count_descriptors();
    const int64_t blocks = memory.out;
    char what[128];
    sslcv_status status;

    snprintf(what, sizeof what, "%s, %s %d: %s", w->name, fault_names[call], (int)at, strerror(error));
    OK(w->write(in_folder("file"), 0));
    fault_begin(test_folder);
    fault.most = most;
    fault.call = call;
    fault.at = at;
    fault.times = 1;
    fault.error = error;
    status = w->write(in_folder("file"), 1);
    fault.folder = NULL; /* the trace stays */
    ck_assert_msg(status == SSLCV_OK || status == SSLCV_ERR_IO, "%s: %s", what, sslcv_status_string(status));
    if (status != SSLCV_OK) {
        ck_assert_msg(strstr(sslcv_last_error(), test_folder) != NULL, "%s: \"%s\" has no path", what,
                      sslcv_last_error());
        ck_assert_msg(strstr(sslcv_last_error(), strerror(error)) != NULL, "%s: \"%s\" does not say why", what,
                      sslcv_last_error());
    }
    judge_file(in_folder("file"), &files[0], status, what);
    if (files[1].new_size) judge_file(in_folder("labels"), &files[1], status, what);
    ck_assert_msg(call == FAULT_UNLINK || count_temporaries() == 0, "%s: a temporary file is left", what);
    ck_assert_msg(memory.out == blocks, "%s: %d blocks leak", what, (int)(memory.out - blocks));
    ck_assert_msg(count_descriptors() == descriptors, "%s: a descriptor leaks", what);
    OK(w->write(in_folder("file"), 1));
    ck_assert_msg(file_equals(in_folder("file"), files[0].new, files[0].new_size), "%s: not usable after it", what);
    ck_assert_int_eq(count_temporaries(), 0);
}

static void read_both(const struct writer *w, int version, two *files)
{
    size_t *sizes[2] = {version ? &files[0].new_size : &files[0].old_size,
                        version ? &files[1].new_size : &files[1].old_size};
    char **bytes[2] = {version ? &files[0].new : &files[0].old, version ? &files[1].new : &files[1].old};

    OK(w->write(in_folder("file"), version));
    *bytes[0] = contents(in_folder("file"), sizes[0]);
    *bytes[1] = contents(in_folder("labels"), sizes[1]);
}

START_TEST(each_call_fails)
{
    const struct writer *w = &writers[_i / 2];
    const int64_t most = _i % 2 ? 700 : 0; /* writes cut short as well: one that fails is then in the middle */
    int64_t counts[FAULT_CALLS], at;
    two files[2] = {{0}};
    int call, k, failures = 0;

    read_both(w, 0, files);
    read_both(w, 1, files);
    OK(w->write(in_folder("file"), 0));
    fault_begin(test_folder);
    fault.most = most;
    OK(w->write(in_folder("file"), 1));
    memcpy(counts, fault_count, sizeof counts);
    fault_end();
    ck_assert(counts[FAULT_OPEN] >= 2 && counts[FAULT_WRITE] >= 1 && counts[FAULT_SYNC] >= 2 &&
              counts[FAULT_RENAME] >= 1);
    for (call = 0; call < FAULT_CALLS; call++) {
        for (at = 0; at < counts[call]; at++) {
            for (k = 0; errors_of(call)[k]; k++, failures++) fail_at(w, most, call, at, errors_of(call)[k], files);
        }
    }
    printf("%s, writes of %s: %d faults\n", w->name, most ? "700 bytes" : "any size", failures);
    for (k = 0; k < 2; k++) {
        free(files[k].old);
        free(files[k].new);
    }
}
END_TEST

/* ---- what is no failure ---- */

static void write_under(const struct writer *w, int interrupt, int64_t most)
{
    two files[2] = {{0}};

    read_both(w, 1, files);
    OK(w->write(in_folder("file"), 0));
    fault_begin(test_folder);
    fault.interrupt = interrupt;
    fault.most = most;
    OK(w->write(in_folder("file"), 1));
    ck_assert_int_ge(fault_count[FAULT_WRITE], most ? (int64_t)files[0].new_size / most : 2);
    fault_end();
    ck_assert(file_equals(in_folder("file"), files[0].new, files[0].new_size));
    ck_assert(file_equals(in_folder("labels"), files[1].new, files[1].new_size));
    ck_assert_int_eq(count_temporaries(), 0);
    free(files[0].new);
    free(files[1].new);
}

START_TEST(interrupted_calls)
{
    write_under(&writers[_i], 1, 0);
}
END_TEST

START_TEST(short_writes)
{
    write_under(&writers[_i], 0, 1);
    write_under(&writers[_i], 1, 1000);
}
END_TEST

/* Where the file system has no second names, the earlier file is copied: at no moment is there none under the name. */
START_TEST(no_second_names)
{
    size_t size;
    char *old;

    OK(write_safetensors(in_folder("file"), 0));
    old = contents(in_folder("file"), &size);
    fault_begin(test_folder);
    fault.call = FAULT_LINK;
    fault.times = INT64_MAX;
    fault.error = EPERM;
    OK(write_safetensors(in_folder("file"), 1));
    ck_assert_int_eq(fault_count[FAULT_LINK], 1);
    ck_assert_ptr_null(strstr(fault_trace, "rename file.1\nrename file\n")); /* moved away: there was a gap */
    fault_end();
    ck_assert(file_equals(in_folder("file.1"), old, size));
    ck_assert_int_eq(count_files(), 2);
    free(old);
}
END_TEST

/* ---- order ---- */

/* Behind from, or the test fails. */
static const char *then(const char *from, const char *line)
{
    const char *found = strstr(from, line);

    ck_assert_msg(found != NULL, "\"%s\" does not come behind the rest in:\n%s", line, fault_trace);
    return found + strlen(line);
}

/* What a power cut leaves depends on it: bytes before the name, the name before success. */
START_TEST(synced_in_order)
{
    const char *at;
    char own[64];
    int k;

    snprintf(own, sizeof own, "file.tmp.%ld.0\n", (long)getpid());
    OK(write_safetensors(in_folder("file"), 0));
    fault_begin(test_folder);
    fault.interrupt = _i;
    OK(write_safetensors(in_folder("file"), 1));
    fault.folder = NULL;
    at = then(fault_trace, "write file.tmp");
    for (k = 0; k <= _i; k++) at = then(at, "sync file.tmp"); /* again, when it was interrupted */
    ck_assert_ptr_null(strstr(at, "write file.tmp"));
    at = then(at, "link file.1\n");
    at = then(at, "rename file\n");
    for (k = 0; k <= _i; k++) at = then(at, "sync .\n");
    at = then(fault_trace, "open file") - strlen("file"); /* the folder has been looked through before */
    ck_assert_msg(strncmp(at, own, strlen(own)) == 0, "%s is not the first to be opened in:\n%s", own, fault_trace);
}
END_TEST

/* ---- what others leave behind ---- */

START_TEST(leftovers_are_removed)
{
    OK(write_npz(in_folder("file"), 0));
    write_file(in_folder("file.tmp.1.0"), "half", 4);
    write_file(in_folder("file.tmp.99999999.7"), "half", 4);
    /* None of ours. */
    write_file(in_folder("file.tmp.1"), "x", 1);
    write_file(in_folder("file.tmp.1.x"), "x", 1);
    write_file(in_folder("file.tmp..0"), "x", 1);
    write_file(in_folder("other.tmp.1.0"), "x", 1);
    ck_assert_int_eq(symlink(in_folder("other.tmp.1.0"), in_folder("file.tmp.2.0")), 0);
    OK(write_npz(in_folder("file"), 1));
    ck_assert_int_eq(access(in_folder("file.tmp.1.0"), F_OK), -1);
    ck_assert_int_eq(access(in_folder("file.tmp.99999999.7"), F_OK), -1);
    ck_assert_int_eq(count_files(), 6);
}
END_TEST

/* Another save to the same path, in the midst of this one, takes nothing away from it. */
static void save_within(int call, int64_t nth, const char *path)
{
    (void)path;
    if (call == FAULT_WRITE ? nth != 0 : call != FAULT_RENAME || nth != 1) return;
    fault.before = NULL;
    OK(write_npz(in_folder("file"), 0));
    fault.before = save_within;
}

START_TEST(two_saves_at_once)
{
    two files[2] = {{0}};

    read_both(&writers[1], 1, files);
    fault_begin(test_folder);
    fault.before = save_within;
    OK(write_npz(in_folder("file"), 1));
    ck_assert_int_eq(fault_count[FAULT_RENAME], 3);
    fault_end();
    ck_assert(file_equals(in_folder("file"), files[0].new, files[0].new_size));
    ck_assert_int_eq(count_files(), 1);
    free(files[0].new);
    free(files[1].new);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fault_writing");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, each_call_fails, 0, 2 * NUM_WRITERS);
    tcase_add_loop_test(all, interrupted_calls, 0, NUM_WRITERS);
    tcase_add_loop_test(all, short_writes, 0, NUM_WRITERS);
    tcase_add_test(all, no_second_names);
    tcase_add_loop_test(all, synced_in_order, 0, 2);
    tcase_add_test(all, leftovers_are_removed);
    tcase_add_test(all, two_saves_at_once);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
