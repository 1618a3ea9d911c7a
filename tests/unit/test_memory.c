/* Memory of a run: what is foretold against what is held, budgets. Gradient caching is in test_caching.c. */
#include "trainer_memory_support.h"

#include <unistd.h>

/* ---- foretold ---- */

START_TEST(test_not_known_yet)
{
    rig_options o = plain;
    sslcv_memory memory = {.struct_size = sizeof memory};
    rig r;

    o.no_data = 1;
    make_rig(&r, &o);
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_STATE, "no loss yet");
    compose_simclr(&r);
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_STATE, "without a data set");
    memory.struct_size = 4;
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_INVALID_ARGUMENT, "memory.struct_size");
    free_rig(&r);
}
END_TEST

/* Foretelling takes no activations, changes no result, and fixes the composition. */
START_TEST(test_foretelling_leaves_no_trace)
{
    double one[2], two[2];
    sslcv_memory foretold, held;
    sslcv_branch branch;
    char text[4096];
    int64_t before, index;
    rig r, s;

    make_simclr(&r, &plain);
    steps(&r, 2, one);
    make_simclr(&s, &plain);
    before = held_bytes(&s);
    foretold = get_memory(&s);
    ck_assert(held_bytes(&s) - before < foretold.total - foretold.activations);
    OK(sslcv_branch_init(&branch, sizeof branch));
    FAILS(sslcv_trainer_add_branch(s.trainer, &branch, &index), SSLCV_ERR_STATE, "is fixed");
    OK(sslcv_trainer_describe(s.trainer, text, sizeof text, NULL));
    ck_assert_msg(strstr(text, "gives 2 x 8 x 1 x 16\n") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "memory: ") != NULL && strstr(text, "cached") == NULL, "%s", text);
    steps(&s, 2, two);
    ck_assert_mem_eq(one, two, sizeof one);
    held = get_memory(&s);
    ck_assert_mem_eq(&foretold, &held, sizeof held);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- budgets ---- */

typedef struct notes {
    char text[1024];
    int32_t lines, level;
} notes;

static void note(void *user, int32_t level, const char *text)
{
    notes *n = user;

    if (strncmp(text, "memory: ", 8) != 0) return;
    snprintf(n->text, sizeof n->text, "%s", text);
    n->lines++;
    n->level = level;
}

/* Budgets that the last choice just misses, down to none that fits: each is kept, each choice is slower than before. */
START_TEST(test_budgets)
{
    notes log = {.text = ""};
    rig_options o = {.epochs = 4, .seed = 7, .log = note, .log_user = &log};
    sslcv_memory memory, held, last = {0};
    double whole[1], losses[1];
    char text[4096];
    int64_t least = 0, choices = 0;
    sslcv_status status;
    rig r;

    make_simclr(&r, &o);
    steps(&r, 1, whole);
    last = get_memory(&r);
    ck_assert_int_eq(log.lines, 0);
    free_rig(&r);
    for (o.memory_budget = last.total;; o.memory_budget = memory.total - 1) {
        memory.struct_size = sizeof memory;
        log.lines = 0;
        make_simclr(&r, &o);
        status = sslcv_trainer_get_memory(r.trainer, &memory);
        if (status != SSLCV_OK) break;
        ck_assert_int_le(memory.total, o.memory_budget);
        ck_assert_int_eq(log.lines, 1);
        steps(&r, 1, losses);
        held = get_memory(&r);
        ck_assert_mem_eq(&memory, &held, sizeof held);
        ck_assert_int_le(memory.micro_batch, last.micro_batch);
        OK(sslcv_trainer_describe(r.trainer, text, sizeof text, NULL));
        if (memory.micro_batch == BATCH) { /* what is computed again is the same */
            ck_assert(losses[0] == whole[0]);
            ck_assert_int_eq(log.level, SSLCV_LOG_INFO);
            ck_assert_int_ge(memory.recomputed_stages, last.recomputed_stages);
            ck_assert(choices == 0 || strstr(text, "computed again in backward: norms") != NULL);
        } else {
            char wanted[64];

            snprintf(wanted, sizeof wanted, "gradients cached, %lld of 8 images a pass", (long long)memory.micro_batch);
            ck_assert_msg(strstr(text, wanted) != NULL, "%s", text);
            ck_assert_msg(strstr(log.text, wanted) != NULL && strstr(log.text, "batch norms see") != NULL, "%s",
                          log.text);
            ck_assert_int_eq(log.level, SSLCV_LOG_WARNING);
        }
        last = memory;
        choices++;
        free_rig(&r);
    }
    ck_assert_int_eq(status, SSLCV_ERR_LIMIT);
    ck_assert_int_eq(sscanf(sslcv_last_error(),
                            "trainer.memory_budget is %*d bytes; the least that a step of 8 images can do with is %ld",
                            &least),
                     1);
    ck_assert_int_eq(least, last.total);
    ck_assert_int_lt(last.micro_batch, BATCH);
    ck_assert_int_ge(choices, 3);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_LIMIT, "the least that a step of 8 images");
    free_rig(&r);
}
END_TEST

/* A size that was given is kept to, budget or not. */
START_TEST(test_budget_and_micro_batch)
{
    rig_options o = {.epochs = 4, .seed = 7, .micro_batch = 4};
    sslcv_memory memory;
    rig r;

    make_simclr(&r, &o);
    memory = get_memory(&r);
    free_rig(&r);
    o.memory_budget = memory.total;
    make_simclr(&r, &o);
    memory = get_memory(&r);
    ck_assert_int_eq(memory.micro_batch, 4);
    free_rig(&r);
    o.memory_budget = memory.parameters;
    make_simclr(&r, &o);
    memory.struct_size = sizeof memory;
    FAILS(sslcv_trainer_get_memory(r.trainer, &memory), SSLCV_ERR_LIMIT, "trainer.memory_budget is");
    free_rig(&r);
}
END_TEST

/* The host's batches grow: what is done is decided again. */
START_TEST(test_budget_for_growing_batches)
{
    static host_views v;
    rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    sslcv_memory small, large, again;
    rig r;
    int i;

    make_simclr(&r, &o);
    make_views(&v, SIDE);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = 4;
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    small = get_memory(&r);
    free_rig(&r);
    o.memory_budget = small.total + small.activations / 4;
    make_simclr(&r, &o);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    small = get_memory(&r);
    ck_assert_int_eq(small.micro_batch, 4);
    ck_assert_int_eq(small.recomputed_stages, 0);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = BATCH;
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    large = get_memory(&r);
    ck_assert(large.micro_batch < BATCH || large.recomputed_stages > 0);
    ck_assert_int_le(large.total, o.memory_budget);
    for (i = 0; i < 2; i++) v.tensors[i].shape[0] = 4;
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    again = get_memory(&r);
    ck_assert_int_le(again.total, o.memory_budget);
    free_rig(&r);
}
END_TEST

/* Views that have gone through one pass become two of different shapes: the first pass gives back what it had. */
START_TEST(test_budget_for_other_shapes)
{
    static host_views v;
    rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    sslcv_memory equal_views, other_views;
    rig r;

    make_views(&v, SIDE);
    make_simclr(&r, &o);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    equal_views = get_memory(&r);
    free_rig(&r);
    o.memory_budget = equal_views.total + 2 * BATCH * PIXELS * 4; /* had the views not lain together */
    make_simclr(&r, &o);
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    v.tensors[1].shape[2] = v.tensors[1].shape[3] = SIDE / 2;
    OK(step_views(r.trainer, v.tensors, 2, NULL));
    other_views = get_memory(&r);
    ck_assert_int_le(other_views.total, o.memory_budget);
    ck_assert_int_eq(other_views.micro_batch, BATCH);
    free_rig(&r);
}
END_TEST

START_TEST(test_options)
{
    const rig_options budget_negative = {.epochs = 1, .memory_budget = -1}, micro = {.epochs = 1, .micro_batch = -1};
    rig_options o = plain;
    rig r;

    make_rig(&r, &o);
    sslcv_trainer_destroy(r.trainer);
    r.trainer = NULL;
    FAILS(make_trainer(&r, &budget_negative), SSLCV_ERR_INVALID_ARGUMENT, "trainer.memory_budget is -1");
    FAILS(make_trainer(&r, &micro), SSLCV_ERR_INVALID_ARGUMENT, "trainer.micro_batch is -1");
    free_rig(&r);
}
END_TEST

/* ---- the process ---- */

/** What an allocator has given. */
typedef struct usage {
    int64_t held, peak; /* bytes */
} usage;

static void *meter_take(void *user, size_t bytes, size_t alignment)
{
    usage *m = user;

    m->held += (int64_t)bytes;
    if (m->held > m->peak) m->peak = m->held;
    return aligned_alloc(alignment, bytes);
}

static void meter_give(void *user, void *memory, size_t bytes)
{
    ((usage *)user)->held -= (int64_t)bytes;
    free(memory);
}

/* Bytes of a line of /proc/self/status; 0: there is none. */
static int64_t process_bytes(const char *line)
{
    FILE *file = fopen("/proc/self/status", "r");
    char text[128];
    long long kibibytes = 0;

    while (file && fgets(text, sizeof text, file)) {
        if (strncmp(text, line, strlen(line)) == 0) sscanf(text + strlen(line), ": %lld", &kibibytes);
    }
    if (file) fclose(file);
    return 1024 * kibibytes;
}

enum { BESIDE = 20 << 20 }; /* bytes: compiled kernels, oneDNN's objects, code and stacks of the thread pool */

typedef struct peaks {
    int64_t foretold, allocator, process;
} peaks;

/* One step of a ResNet-18 as it is used, images of 32 x 32. */
static void measure_peaks(int64_t batch, int64_t memory_budget, int64_t micro_batch, peaks *out)
{
    static float pixels[64 * 3 * 32 * 32];
    const int64_t shape[4] = {64, 3, 32, 32};
    usage meter = {0, 0};
    const sslcv_allocator allocator = {sizeof allocator, &meter, meter_take, meter_give, NULL};
    sslcv_context_options c;
    sslcv_dataset_options d;
    sslcv_method_options m;
    sslcv_memory memory = {.struct_size = sizeof memory};
    sslcv_dataset *dataset;
    sslcv_trainer *trainer;
    sslcv_context *context;
    sslcv_tensor images;
    char settings[64];
    int64_t before, held_before, i;

    for (i = 0; i < 64 * 3 * 32 * 32; i++) pixels[i] = (float)(i * 7919 % 1000) / 1000.0f;
    OK(sslcv_context_options_init(&c, sizeof c));
    c.allocator = &allocator;
    c.threads = 1;
    c.loader_threads = 0;
    OK(sslcv_context_create(&c, &context));
    OK(sslcv_dataset_options_init(&d, sizeof d, SSLCV_DATASET_LIST));
    OK(sslcv_dataset_create(context, &d, &dataset));
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_dataset_add_images(dataset, &images, NULL, NULL));
    before = process_bytes("VmRSS");
    held_before = meter.held;
    OK(sslcv_method_options_init(&m, sizeof m));
    m.dataset = dataset;
    snprintf(settings, sizeof settings, "size=32 batch=%lld epochs=1", (long long)batch);
    m.settings = settings;
    OK(sslcv_method_create(context, "simclr", &m, &trainer));
    trainer->options.memory_budget = memory_budget;
    trainer->options.micro_batch = micro_batch;
    OK(sslcv_trainer_get_memory(trainer, &memory));
    meter.peak = meter.held;
    OK(sslcv_trainer_run(trainer, 1));
    out->foretold = memory.total;
    out->allocator = meter.peak - held_before;
    out->process = before > 0 ? process_bytes("VmHWM") - before : 0;
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
}

/* What is foretold is what the library takes, within 5 %, and what the process grows by, but for what lies beside. */
START_TEST(test_peak_is_foretold)
{
    static const int64_t batches[] = {4, 16, 16, 16}, budgets[] = {0, 0, 200 << 20, 0}, parts[] = {0, 0, 0, 4};
    const char *fork = getenv("CK_FORK");
    peaks p;

    if (fork && strcmp(fork, "no") == 0) return; /* under a tool: the process is not itself, and this is slow */
    measure_peaks(batches[_i], budgets[_i], parts[_i], &p);
    printf("batch %lld: foretold %.1f MiB, taken from the allocator %.1f MiB, growth of the process %.1f MiB\n",
           (long long)batches[_i], (double)p.foretold / 1048576, (double)p.allocator / 1048576,
           (double)p.process / 1048576);
    ck_assert_msg(llabs(p.allocator - p.foretold) <= p.foretold / 20, "%lld, not %lld", (long long)p.allocator,
                  (long long)p.foretold);
    if (p.process == 0) return;
    ck_assert_int_ge(p.process, p.foretold - p.foretold / 20);
    ck_assert_int_le(p.process, p.foretold + p.foretold / 20 + BESIDE);
    if (budgets[_i] > 0) ck_assert_int_le(p.foretold, budgets[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_not_known_yet);
    tcase_add_test(tests, test_foretelling_leaves_no_trace);
    tcase_add_test(tests, test_budgets);
    tcase_add_test(tests, test_budget_and_micro_batch);
    tcase_add_test(tests, test_budget_for_growing_batches);
    tcase_add_test(tests, test_budget_for_other_shapes);
    tcase_add_test(tests, test_options);
    tcase_add_loop_test(tests, test_peak_is_foretold, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
