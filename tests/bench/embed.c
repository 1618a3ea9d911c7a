/*
 * Time of embedding a batch of images: one pass through the backbone in evaluation mode, without gradient.
 *
 *     embed [--arch resnet18] [--batch 256] [--size 32] [--stem cifar] [--precision f32] [--steps 7] [--json | --serve]
 *
 * Images lie in plain NCHW order, and the features come out as rows. As step.c, it exits with 1 when an operation fell
 * back to a reference or GEMM implementation.
 */
#include "layers.h"

enum { WARM_UP = 2, LOOK_STEPS = 3 };

typedef struct workload {
    bench_settings net;
    sslcv_context *context;
    sslcv_backbone *backbone;
    sslcv_state *state;
    sslcv_tape *tape;
    sslcv_pass pass;
    sslcv_tensor images, features;
} workload;

static void destroy_workload(workload *w)
{
    sslcv_tape_destroy(w->tape);
    sslcv_state_destroy(w->state);
    sslcv_backbone_destroy(w->backbone);
    sslcv_context_destroy(w->context);
    free(w->images.data);
}

static sslcv_status make_workload(workload *w)
{
    sslcv_status status;

    TRY(bench_make_context(&w->net, &w->context));
    TRY(bench_make_backbone(&w->net, w->context, &w->backbone));
    TRY(sslcv_backbone_get_state(w->backbone, &w->state));
    TRY(sslcv_tape_create(w->context, &w->tape));
    TRY(sslcv_pass_init(&w->pass, sizeof w->pass));
    w->pass.flags = 0; /* evaluation */
    TRY(bench_make_images(w->net.batch, w->net.size, &w->images));
end:
    return status;
}

static sslcv_status embed(void *user)
{
    workload *w = user;
    sslcv_status status;

    TRY(sslcv_backbone_forward(w->backbone, &w->images, &w->pass, w->tape));
    TRY(sslcv_tape_output(w->tape, &w->features));
end:
    return status;
}

static sslcv_status measure(workload *w, int64_t steps, bench_layers *layers, double *median)
{
    double *seconds = malloc((size_t)steps * sizeof *seconds), sum = 0.0;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    if (!seconds) goto end;
    bench_watch(w->tape, 1);
    for (i = 0; i < steps; i++) {
        const double start = bench_clock();

        TRY(embed(w));
        seconds[i] = bench_clock() - start;
        sum += seconds[i];
    }
    bench_watch(w->tape, 0);
    *median = bench_median(seconds, steps);
    TRY(bench_look(layers, &w->net, w->tape, "backbone", w->state, w->net.batch, steps));
    bench_look_end(layers, sum / (double)steps);
end:
    free(seconds);
    return status;
}

static sslcv_status look(void *user, json_t *out)
{
    bench_layers layers = {0};
    double median;
    sslcv_status status;

    TRY(measure(user, LOOK_STEPS, &layers, &median));
    bench_layers_json(&layers, out);
end:
    free(layers.convolutions);
    return status;
}

static json_t *describe(const workload *w)
{
    json_t *about = bench_describe(w->context, "image", w->net.batch);

    if (!about) return NULL;
    json_object_update_new(about, json_pack("{s:s, s:f, s:I, s:I}", "architecture", w->net.architecture, "width",
                                            w->net.width, "size", (json_int_t)w->net.size, "parameters",
                                            (json_int_t)bench_count_parameters(w->backbone, NULL)));
    return about;
}

static void print_report(const workload *w, const bench_layers *layers, double median)
{
    printf("%s, %s stem, width %g, %s: %lld images of 3x%lldx%lld in %.4f s, %.1f images/s\n", w->net.architecture,
           w->net.stem, w->net.width, w->net.precision, (long long)w->net.batch, (long long)w->net.size,
           (long long)w->net.size, median, (double)w->net.batch / median);
    bench_print_kinds(layers);
    bench_print_operations(layers);
    printf("\nplanned memory %.1f MiB, peak of the process %.1f MiB\n", bench_mib(bench_held(w->context)),
           bench_mib(bench_peak()));
}

static void print_json(const workload *w, const bench_layers *layers, double median)
{
    json_t *root = describe(w);

    json_object_set_new(root, "median_seconds", json_real(median));
    bench_layers_json(layers, root);
    json_object_set_new(root, "planned_bytes", json_integer(bench_held(w->context)));
    json_object_set_new(root, "peak_bytes", json_integer(bench_peak()));
    bench_print_json(root, JSON_INDENT(1));
    json_decref(root);
}

static sslcv_status serve(workload *w)
{
    const bench_server server = {w, w->context, describe(w), embed, look, NULL};
    const sslcv_status status = bench_serve(&server);

    json_decref(server.about);
    return status;
}

int main(int argc, char **argv)
{
    workload w = {.net = {BENCH_DEFAULTS}};
    int64_t steps = 7;
    int json = 0, as_told = 0, i;
    const bench_option options[] = {
        BENCH_OPTIONS(&w.net, "images in a pass; default 256"),
        {"steps", "passes that are timed, behind two that are not; default 7", .integer = &steps},
        {"json", "print one JSON object", .flag = &json},
        {"serve", "embed as told on standard input", .flag = &as_told},
    };
    bench_layers layers = {0};
    double median = 0.0;
    sslcv_status status;

    w.net.batch = 256;
    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (w.net.batch < 1 || w.net.size < 1 || steps < 1) {
        fprintf(stderr, "%s: --batch, --size and --steps must be 1 or more\n", argv[0]);
        return 2;
    }
    TRY(make_workload(&w));
    if (as_told) {
        TRY(serve(&w));
        goto end;
    }
    for (i = 0; i < WARM_UP; i++) TRY(embed(&w));
    TRY(measure(&w, steps, &layers, &median));
    (json ? print_json : print_report)(&w, &layers, median);
end:
    free(layers.convolutions);
    destroy_workload(&w);
    if (status != SSLCV_OK) return bench_finish(argv[0], status);
    return layers.num_slow > 0 ? 1 : 0;
}
