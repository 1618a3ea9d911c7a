/*
 * Does a run grow? 1,000 training steps with loader threads, augmentation and hooks, through the public trainer.
 *
 *     memory [--steps 1000] [--threads 0]
 *
 * Prints the memory of the process after a tenth of the steps and after all of them, and exits with 1 when it has grown
 * by more than 1 MiB in between, or when what the library holds has changed by a byte: a step allocates nothing.
 */
#include "bench.h"

enum { NUM_IMAGES = 256, SIDE = 10, BATCH = 32 };

static const double allowed_growth = 1.0; /* MiB */

typedef struct reading {
    int64_t resident, held; /* bytes of the process, and of these known to the library */
} reading;

static sslcv_status make_dataset(sslcv_context *context, sslcv_dataset **out)
{
    const int64_t shape[4] = {NUM_IMAGES, 3, SIDE, SIDE};
    const size_t count = (size_t)NUM_IMAGES * 3 * SIDE * SIDE;
    unsigned char *pixels = malloc(count);
    sslcv_dataset *dataset = NULL;
    sslcv_dataset_options options;
    sslcv_tensor images;
    uint64_t random = 1;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    size_t i;

    if (!pixels) goto end;
    for (i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        pixels[i] = (unsigned char)(random >> 56);
    }
    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    TRY(sslcv_dataset_create(context, &options, &dataset));
    TRY(sslcv_tensor_init(&images, SSLCV_U8, pixels, 4, shape));
    TRY(sslcv_dataset_add_images(dataset, &images, NULL, NULL));
    *out = dataset;
    dataset = NULL;
end:
    sslcv_dataset_destroy(dataset);
    free(pixels);
    return status;
}

static int32_t count_events(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    (void)trainer;
    (void)progress;
    ++*(int64_t *)user;
    return 0;
}

static sslcv_status make_trainer(sslcv_context *context, sslcv_dataset *dataset, int64_t steps, int64_t *events,
                                 sslcv_trainer **out)
{
    char settings[128];
    sslcv_trainer *trainer = NULL;
    sslcv_method_options options;
    sslcv_hook hook;
    sslcv_status status;

    snprintf(settings, sizeof settings, "width=0.25 size=8 batch=%d epochs=%lld", BATCH,
             (long long)(steps / (NUM_IMAGES / BATCH) + 1));
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = dataset;
    options.settings = settings;
    TRY(sslcv_method_create(context, "simclr", &options, &trainer));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = events;
    hook.call = count_events;
    hook.events = SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
    *out = trainer;
    trainer = NULL;
end:
    sslcv_trainer_destroy(trainer);
    return status;
}

static sslcv_status run_and_read(sslcv_context *context, sslcv_trainer *trainer, int64_t steps, reading *out)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_status status;

    TRY(sslcv_trainer_run(trainer, steps));
    TRY(sslcv_context_get_info(context, &info));
    out->resident = bench_resident();
    out->held = info.bytes;
end:
    return status;
}

static void print_reading(int64_t steps, const reading *r)
{
    printf("after %6lld steps: process %8.2f MiB, of it held by the library %lld bytes\n", (long long)steps,
           bench_mib(r->resident), (long long)r->held);
}

int main(int argc, char **argv)
{
    int64_t steps = 1000, threads = 0, events = 0;
    const bench_option options[] = {
        {"steps", "10 or more; default 1000", .integer = &steps},
        {"threads", "default 0: the processors that this process may use", .integer = &threads},
    };
    reading early = {0}, late = {0};
    sslcv_context_options context_options;
    sslcv_context *context = NULL;
    sslcv_dataset *dataset = NULL;
    sslcv_trainer *trainer = NULL;
    double start, growth;
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (steps < 10) bench_usage(argv[0], options, (int)(sizeof options / sizeof options[0]), 2);
    TRY(sslcv_context_options_init(&context_options, sizeof context_options));
    context_options.threads = (int32_t)threads;
    context_options.seed = 1;
    TRY(sslcv_context_create(&context_options, &context));
    TRY(make_dataset(context, &dataset));
    TRY(make_trainer(context, dataset, steps, &events, &trainer));
    start = bench_clock();
    TRY(run_and_read(context, trainer, steps / 10, &early));
    print_reading(steps / 10, &early);
    TRY(run_and_read(context, trainer, steps - steps / 10, &late));
    print_reading(steps, &late);
end:
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    if (status != SSLCV_OK) return bench_finish(argv[0], status);
    growth = bench_mib(late.resident - early.resident);
    printf("grown by %.2f MiB (%.0f allowed), the library by %lld bytes; %lld events in %.1f s\n", growth,
           allowed_growth, (long long)(late.held - early.held), (long long)events, bench_clock() - start);
    return growth > allowed_growth || late.held != early.held;
}
