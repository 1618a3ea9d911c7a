/*
 * Views a second: SimCLR's chain of transforms, from decoded 8-bit images in memory to normalised f32 planes, on one
 * thread.
 *
 *     views [--size 32] [--crop 32] [--blur] [--planar] [--images 0] [--steps 7] [--json | --serve]
 *
 * Without --blur it is the chain for small images (colour strength 0.5), with it the one for large images (strength 1,
 * blur). Views are made as the loader makes them: both of an image in one call, with working memory that is kept.
 * Prints views a second, the median of the steps that are timed, and what each transform adds.
 *
 * With --serve it writes one line of JSON, then obeys lines on its standard input, as step.c: "step" makes all views
 * once and answers with its seconds, "memory" answers with two numbers of bytes (peak of the process, working memory),
 * "quit" or the end of input ends it.
 */
#include "bench.h"

#include <jansson.h>

#include "augment/augmenter.h"

enum { CHANNELS = 3, NUM_VIEWS = 2, WARM_UP = 2, MAX_CHAIN = 6 };

typedef struct settings {
    int64_t size, crop, images, steps;
    int blur, planar, json, serve;
} settings;

typedef struct workload {
    const settings *settings;
    sslcv_context *context;
    sslcv_augmenter *augmenter;
    sslcv__augment_scratch *scratch;
    uint8_t *pixels;
    float *out;
    int64_t epoch;
} workload;

static const char *const chain_names[MAX_CHAIN] = {
    "random resized crop", "+ horizontal flip", "+ colour jitter", "+ grey", "+ blur", "+ normalise"};

/* Smooth, with some noise, the same in pytorch_views.py. */
static uint8_t pixel(int64_t image, int64_t c, int64_t y, int64_t x)
{
    const int64_t noise = (x * 7919 + y * 104729 + c * 1299709 + image * 15485863) % 31;

    return (uint8_t)((3 * x + 5 * y + 70 * c + 37 * image + x * y * (c + 1) / 16 + noise) & 255);
}

static void make_images(const settings *s, uint8_t *pixels)
{
    const int64_t n = s->size;
    int64_t i, c, y, x;

    for (i = 0; i < s->images; i++, pixels += CHANNELS * n * n) {
        for (c = 0; c < CHANNELS; c++) {
            for (y = 0; y < n; y++) {
                for (x = 0; x < n; x++) {
                    pixels[s->planar ? (c * n + y) * n + x : (y * n + x) * CHANNELS + c] = pixel(i, c, y, x);
                }
            }
        }
    }
}

/* The first transforms of the chain, up to length of the names above. */
static sslcv_status add_chain(const settings *s, int length, sslcv_augmenter *augmenter, int64_t view)
{
    static const int32_t kinds[MAX_CHAIN] = {SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, SSLCV_TRANSFORM_HORIZONTAL_FLIP,
                                             SSLCV_TRANSFORM_COLOR_JITTER,        SSLCV_TRANSFORM_GRAYSCALE,
                                             SSLCV_TRANSFORM_GAUSSIAN_BLUR,       SSLCV_TRANSFORM_NORMALIZE};
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    const double strength = s->blur ? 1.0 : 0.5;
    sslcv_transform t;
    sslcv_status status = SSLCV_OK;
    int i;

    for (i = 0; i < length; i++) {
        if (kinds[i] == SSLCV_TRANSFORM_GAUSSIAN_BLUR && !s->blur) continue;
        TRY(sslcv_transform_init(&t, sizeof t, kinds[i]));
        if (kinds[i] == SSLCV_TRANSFORM_RANDOM_RESIZED_CROP) t.height = t.width = s->crop;
        if (kinds[i] == SSLCV_TRANSFORM_COLOR_JITTER) {
            t.brightness = t.contrast = t.saturation = 0.8 * strength;
            t.hue = 0.2 * strength;
            t.probability = 0.8;
        }
        if (kinds[i] == SSLCV_TRANSFORM_NORMALIZE) {
            memcpy(t.mean, mean, sizeof mean);
            memcpy(t.std, deviation, sizeof deviation);
            t.count = 3;
        }
        TRY(sslcv_augmenter_add_transform(augmenter, view, &t));
    }
end:
    return status;
}

static sslcv_status make_augmenter(workload *w, int length)
{
    sslcv_status status;
    int64_t view;
    int i;

    sslcv_augmenter_destroy(w->augmenter);
    w->augmenter = NULL;
    TRY(sslcv_augmenter_create(w->context, &w->augmenter));
    for (i = 0; i < NUM_VIEWS; i++) {
        TRY(sslcv_augmenter_add_view(w->augmenter, SSLCV_SOURCE_IMAGE, &view));
        TRY(add_chain(w->settings, length, w->augmenter, view));
    }
end:
    return status;
}

static sslcv_status make_workload(const settings *s, workload *w)
{
    sslcv_status status;

    w->settings = s;
    w->pixels = malloc((size_t)(s->images * CHANNELS * s->size * s->size));
    w->out = malloc((size_t)(NUM_VIEWS * CHANNELS * s->crop * s->crop) * sizeof *w->out);
    if (!w->pixels || !w->out) return SSLCV_ERR_OUT_OF_MEMORY;
    make_images(s, w->pixels);
    TRY(sslcv_context_create(NULL, &w->context));
    TRY(sslcv__augment_scratch_create(w->context, &w->scratch));
    TRY(make_augmenter(w, MAX_CHAIN));
end:
    return status;
}

static void destroy_workload(workload *w)
{
    sslcv_augmenter_destroy(w->augmenter);
    sslcv__augment_scratch_free(w->scratch);
    sslcv_context_destroy(w->context);
    free(w->pixels);
    free(w->out);
}

/* Both views of every image, once; other draws at every call. */
static sslcv_status make_step(workload *w)
{
    static const int64_t views[NUM_VIEWS] = {0, 1};
    const settings *s = w->settings;
    const int64_t n = s->size, shape[3] = {CHANNELS, n, n};
    float *const outs[NUM_VIEWS] = {w->out, w->out + CHANNELS * s->crop * s->crop};
    sslcv_tensor image;
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = 0; i < s->images; i++) {
        uint8_t *pixels = w->pixels + i * CHANNELS * n * n;

        if (s->planar)
            TRY(sslcv_tensor_init(&image, SSLCV_U8, pixels, 3, shape));
        else
            TRY(sslcv_tensor_init_pixels(&image, SSLCV_U8, pixels, n, n, CHANNELS, 0, SSLCV_PIXELS_AS_STORED));
        TRY(sslcv__augmenter_run(w->augmenter, w->scratch, &image, 1, w->epoch, i, views, NUM_VIEWS, outs));
    }
    w->epoch++;
end:
    return status;
}

/* Median seconds of a step. */
static sslcv_status measure(workload *w, double *seconds, double *median)
{
    const settings *s = w->settings;
    double *sorted = malloc((size_t)s->steps * sizeof *sorted);
    sslcv_status status = sorted ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    for (i = 0; i < WARM_UP && status == SSLCV_OK; i++) TRY(make_step(w));
    for (i = 0; i < s->steps && status == SSLCV_OK; i++) {
        const double start = bench_clock();

        TRY(make_step(w));
        seconds[i] = sorted[i] = bench_clock() - start;
    }
    if (status == SSLCV_OK) *median = bench_median(sorted, s->steps);
end:
    free(sorted);
    return status;
}

static sslcv_status working_bytes(const workload *w, int64_t *bytes)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_context_get_info(w->context, &info);

    *bytes = info.bytes;
    return status;
}

static json_t *describe(const settings *s)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:I, s:I, s:i, s:s}", "library", "sslcv", "version",
                     sslcv_version_string(), "size", (json_int_t)s->size, "crop", (json_int_t)s->crop, "blur", s->blur,
                     "layout", s->planar ? "planar" : "pixels", "images_per_step", (json_int_t)s->images,
                     "views_per_step", (json_int_t)(NUM_VIEWS * s->images), "threads", 1, "build", sslcv_build_info());
}

/* Microseconds a view of chains of growing length. */
static sslcv_status measure_chains(workload *w, double *microseconds)
{
    const settings *s = w->settings;
    double *seconds = malloc((size_t)s->steps * sizeof *seconds), median = 0.0;
    sslcv_status status = seconds ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
    int i;

    for (i = 0; i < MAX_CHAIN && status == SSLCV_OK; i++) {
        TRY(make_augmenter(w, i + 1));
        TRY(measure(w, seconds, &median));
        microseconds[i] = 1e6 * median / (double)(NUM_VIEWS * s->images);
    }
end:
    free(seconds);
    return status;
}

static sslcv_status report(const settings *s, workload *w)
{
    double *seconds = malloc((size_t)s->steps * sizeof *seconds), median = 0.0, chains[MAX_CHAIN] = {0};
    sslcv_status status = seconds ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
    json_t *root = describe(s), *list = json_array();
    int64_t bytes = 0, i;
    double rate;

    if (status != SSLCV_OK) goto end;
    TRY(measure(w, seconds, &median));
    TRY(working_bytes(w, &bytes));
    rate = (double)(NUM_VIEWS * s->images) / median;
    if (s->json) {
        for (i = 0; i < s->steps; i++) json_array_append_new(list, json_real(seconds[i]));
        json_object_set(root, "seconds", list);
        json_object_set_new(root, "median_seconds", json_real(median));
        json_object_set_new(root, "views_per_second", json_real(rate));
        json_object_set_new(root, "working_bytes", json_integer(bytes));
        json_object_set_new(root, "peak_bytes", json_integer(bench_peak()));
        json_dumpf(root, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
        putchar('\n');
        goto end;
    }
    printf("%lldx%lld, %s -> views of %lldx%lld%s: %.0f views/s, %.1f us a view, on one thread\n", (long long)s->size,
           (long long)s->size, s->planar ? "planes" : "pixels", (long long)s->crop, (long long)s->crop,
           s->blur ? " with blur" : "", rate, 1e6 / rate);
    TRY(measure_chains(w, chains));
    printf("\n%-24s %10s %10s\n", "chain", "us a view", "added");
    for (i = 0; i < MAX_CHAIN; i++) {
        if (i == MAX_CHAIN - 2 && !s->blur) continue;
        printf("%-24s %10.2f %10.2f\n", chain_names[i], chains[i],
               i ? chains[i] - chains[i == MAX_CHAIN - 1 && !s->blur ? i - 2 : i - 1] : chains[i]);
    }
    printf("\nworking memory %.2f MiB; peak of the process %.1f MiB\n", bench_mib(bytes), bench_mib(bench_peak()));
end:
    json_decref(list);
    json_decref(root);
    free(seconds);
    return status;
}

static sslcv_status serve(const settings *s, workload *w)
{
    json_t *about = describe(s);
    char line[64];
    int64_t bytes;
    sslcv_status status = SSLCV_OK;

    if (about) json_dumpf(about, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(about);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "step\n") == 0) {
            const double start = bench_clock();

            TRY(make_step(w));
            printf("%.6f\n", bench_clock() - start);
        } else if (strcmp(line, "memory\n") == 0) {
            TRY(working_bytes(w, &bytes));
            printf("%lld %lld\n", (long long)bench_peak(), (long long)bytes);
        } else {
            printf("step, memory or quit\n");
        }
        fflush(stdout);
    }
end:
    return status;
}

int main(int argc, char **argv)
{
    settings s = {.size = 32, .crop = 32, .steps = 7};
    const bench_option options[] = {
        {"size", "height and width of the images in pixels; default 32", .integer = &s.size},
        {"crop", "height and width of the views in pixels; default 32", .integer = &s.crop},
        {"blur", "the chain for large images: colour strength 1, blur", .flag = &s.blur},
        {"planar", "images are three planes, as in CIFAR's files; without: R, G, B of a pixel together, as decoded",
         .flag = &s.planar},
        {"images", "a step, two views each; default 0: as many as give half a million pixels of views",
         .integer = &s.images},
        {"steps", "that are timed, behind two that are not; default 7", .integer = &s.steps},
        {"json", "print one JSON object", .flag = &s.json},
        {"serve", "make steps as told on standard input", .flag = &s.serve},
    };
    workload w = {0};
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (s.size < 1 || s.crop < 1 || s.crop > 4096 || s.size > 4096 || s.images < 0 || s.steps < 1) {
        fprintf(stderr, "%s: --size and --crop must be 1 .. 4096, --images 0 or more, --steps 1 or more\n", argv[0]);
        return 2;
    }
    if (s.images == 0) s.images = 1 + 250000 / (s.crop * s.crop);
    TRY(make_workload(&s, &w));
    TRY(s.serve ? serve(&s, &w) : report(&s, &w));
end:
    destroy_workload(&w);
    return bench_finish(argv[0], status);
}
