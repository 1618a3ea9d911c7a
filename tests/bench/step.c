/*
 * Time of one training step, and where it goes.
 *
 *     step [--arch resnet18] [--batch 128] [--size 32] [--stem cifar] [--width 1] [--precision f32] [--steps 7]
 *          [--frozen 0] [--json | --serve]
 *
 * The step is SimCLR's: two views of a batch of images in one pass through backbone and projection head
 * (D -> D -> 128, batch norm behind both layers), NT-Xent, backward through both, one SGD step with momentum and weight
 * decay. The views are made beforehand: no decoding, no augmentation. They lie in plain NCHW order, as a loader hands
 * them over; copying them to where the first convolution reads them is part of the step.
 *
 * With --frozen K the first K stages of the backbone rest, as in fine-tuning: 1 is the stem, 5 all of a ResNet.
 *
 * It uses public calls, and looks into the tapes (layers.h) for the time of each layer and the implementation that
 * runs it. A convolution, norm or pooling that fell back to a reference or GEMM implementation makes it exit with 1.
 *
 * With --serve it works as told on standard input: serve.h.
 */
#include "layers.h"

enum { WARM_UP = 2, LOOK_STEPS = 2 };

typedef struct settings {
    bench_settings net;
    int64_t steps, frozen;
    int json, serve;
} settings;

/* ---- the step ---- */

enum phase { BACKBONE_FORWARD, PROJECTION_FORWARD, LOSS, PROJECTION_BACKWARD, BACKBONE_BACKWARD, UPDATE, NUM_PHASES };

static const char *const phase_names[NUM_PHASES] = {"backbone forward",    "projection forward", "NT-Xent",
                                                    "projection backward", "backbone backward",  "SGD"};

typedef struct workload {
    const settings *settings;
    sslcv_context *context;
    sslcv_backbone *backbone;
    sslcv_head *projection;
    sslcv_state *states[2]; /* of both */
    sslcv_tape *backbone_tape, *projection_tape;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
    float *gradient;
    sslcv_tensor images; /* (V N, 3, H, W): all first views, then all second views */
    int64_t batch;
    double value;               /* of the last step's loss */
    double seconds[NUM_PHASES]; /* spent since they were last cleared */
} workload;

static void destroy_workload(workload *w)
{
    sslcv_optimizer_destroy(w->optimizer);
    sslcv_loss_destroy(w->loss);
    sslcv_tape_destroy(w->projection_tape);
    sslcv_tape_destroy(w->backbone_tape);
    sslcv_state_destroy(w->states[1]);
    sslcv_state_destroy(w->states[0]);
    sslcv_head_destroy(w->projection);
    sslcv_backbone_destroy(w->backbone);
    sslcv_context_destroy(w->context);
    free(w->gradient);
    free(w->images.data);
}

static sslcv_status make_workload(const settings *s, workload *w)
{
    sslcv_status status;
    int i;

    w->settings = s;
    w->batch = s->net.batch;
    TRY(bench_make_context(&s->net, &w->context));
    TRY(bench_make_backbone(&s->net, w->context, &w->backbone));
    TRY(sslcv_backbone_freeze(w->backbone, (int32_t)s->frozen));
    TRY(bench_make_projection(w->context, w->backbone, &w->projection));
    TRY(bench_make_objective(w->context, &w->loss, &w->optimizer));
    TRY(sslcv_backbone_get_state(w->backbone, &w->states[0]));
    TRY(sslcv_head_get_state(w->projection, &w->states[1]));
    for (i = 0; i < 2; i++) TRY(sslcv_optimizer_add(w->optimizer, w->states[i], SSLCV_ROLE_PARAMETERS, NULL));
    TRY(sslcv_tape_create(w->context, &w->backbone_tape));
    TRY(sslcv_tape_create(w->context, &w->projection_tape));
    TRY(bench_make_images(BENCH_NUM_VIEWS * w->batch, s->net.size, &w->images));
    w->gradient = malloc((size_t)(BENCH_NUM_VIEWS * w->batch * BENCH_EMBEDDING_DIM) * sizeof(float));
    if (!w->gradient) status = SSLCV_ERR_OUT_OF_MEMORY;
end:
    return status;
}

/* Adds the time since *start to a phase, and starts the next. */
static void charge(workload *w, enum phase phase, double *start)
{
    const double now = bench_clock();

    w->seconds[phase] += now - *start;
    *start = now;
}

static sslcv_status make_step(void *user)
{
    workload *w = user;
    const int64_t shape[3] = {BENCH_NUM_VIEWS, w->batch, BENCH_EMBEDDING_DIM};
    sslcv_tensor features, embeddings, z, diff_z, diff_features;
    sslcv_loss_call call;
    double start = bench_clock();
    sslcv_status status;

    TRY(sslcv_backbone_forward(w->backbone, &w->images, NULL, w->backbone_tape));
    TRY(sslcv_tape_output(w->backbone_tape, &features)); /* (V N, D) */
    charge(w, BACKBONE_FORWARD, &start);
    TRY(sslcv_head_forward(w->projection, &features, NULL, w->projection_tape));
    TRY(sslcv_tape_output(w->projection_tape, &embeddings)); /* (V N, 128) */
    charge(w, PROJECTION_FORWARD, &start);
    TRY(sslcv_tensor_init(&z, SSLCV_F32, embeddings.data, 3, shape));
    TRY(sslcv_tensor_init(&diff_z, SSLCV_F32, w->gradient, 3, shape));
    TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &z;
    call.diff_inputs = &diff_z;
    call.num_inputs = 1;
    TRY(sslcv_loss_compute(w->loss, &call));
    charge(w, LOSS, &start);
    TRY(sslcv_tape_backward(w->projection_tape, &diff_z));
    TRY(sslcv_tape_diff_input(w->projection_tape, &diff_features)); /* (V N, D) */
    charge(w, PROJECTION_BACKWARD, &start);
    TRY(sslcv_tape_backward(w->backbone_tape, &diff_features));
    charge(w, BACKBONE_BACKWARD, &start);
    TRY(sslcv_optimizer_step(w->optimizer, 0.06, -1.0));
    charge(w, UPDATE, &start);
    w->value = call.value;
end:
    return status;
}

/* ---- looking at it ---- */

typedef struct findings {
    double *steps; /* seconds of each, in their order */
    double median;
    int64_t count;
    bench_layers layers;
} findings;

static void free_findings(findings *f)
{
    free(f->layers.convolutions);
    free(f->steps);
}

/* Makes steps, and looks at them. */
static sslcv_status measure(workload *w, int64_t steps, findings *f)
{
    const bench_settings *net = &w->settings->net;
    const int64_t rows = BENCH_NUM_VIEWS * w->batch;
    double *sorted = malloc((size_t)steps * sizeof *sorted), sum = 0.0;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    f->steps = malloc((size_t)steps * sizeof *f->steps);
    if (!f->steps || !sorted) goto end;
    f->count = steps;
    bench_watch(w->backbone_tape, 1);
    bench_watch(w->projection_tape, 1);
    memset(w->seconds, 0, sizeof w->seconds);
    for (i = 0; i < steps; i++) {
        const double start = bench_clock();

        TRY(make_step(w));
        sorted[i] = f->steps[i] = bench_clock() - start;
        sum += f->steps[i];
    }
    bench_watch(w->backbone_tape, 0);
    bench_watch(w->projection_tape, 0);
    f->median = bench_median(sorted, steps);
    TRY(bench_look(&f->layers, net, w->backbone_tape, "backbone", w->states[0], rows, steps));
    TRY(bench_look(&f->layers, net, w->projection_tape, "projection", w->states[1], rows, steps));
    bench_look_end(&f->layers, sum / (double)steps);
end:
    free(sorted);
    return status;
}

/* Bytes of the tapes' activations and scratchpad. */
static void tape_memory(const workload *w, int64_t *activations, int64_t *scratch)
{
    int64_t head_activations, head_scratch;

    sslcv__tape_memory(w->backbone_tape, activations, scratch);
    sslcv__tape_memory(w->projection_tape, &head_activations, &head_scratch);
    *activations += head_activations;
    *scratch += head_scratch;
}

/* ---- reports ---- */

static void print_phases(const workload *w, const findings *f)
{
    int k;

    printf("\n%-42s %10s %9s\n", "phase of the step, mean", "ms", "share");
    for (k = 0; k < NUM_PHASES; k++) {
        bench_print_line(phase_names[k], w->seconds[k] / (double)f->count, f->layers.step);
    }
}

static sslcv_status print_report(const workload *w, const findings *f)
{
    const bench_settings *s = &w->settings->net;
    const double images = (double)w->batch / f->median;
    sslcv_context_info info = {.struct_size = sizeof info};
    int64_t activations, scratch, i;
    sslcv_status status;

    TRY(sslcv_context_get_info(w->context, &info));
    tape_memory(w, &activations, &scratch);
    printf("%s, %s stem, width %g, projection to %d: %lld parameters, %s\n", s->architecture, s->stem, s->width,
           BENCH_EMBEDDING_DIM, (long long)bench_count_parameters(w->backbone, w->projection), s->precision);
    printf("%lld images of 3x%lldx%lld a step, two views each: %lld rows\n", (long long)w->batch, (long long)s->size,
           (long long)s->size, (long long)(BENCH_NUM_VIEWS * w->batch));
    printf("sslcv %s, instruction set %s, %d threads\n", sslcv_version_string(), info.cpu, (int)info.threads);
    for (i = 0; i < f->count; i++) printf("step %lld: %.4f s\n", (long long)i + 1, f->steps[i]);
    printf("median: %.4f s a step, %.1f images/s = %.1f rows/s; loss %.4f\n", f->median, images,
           BENCH_NUM_VIEWS * images, w->value);
    print_phases(w, f);
    bench_print_kinds(&f->layers);
    bench_print_operations(&f->layers);
    printf("\nplanned memory %.1f MiB, of it activations %.1f MiB, scratchpad %.1f MiB; peak of the process %.1f MiB\n",
           bench_mib(info.bytes), bench_mib(activations), bench_mib(scratch), bench_mib(bench_peak()));
end:
    return status;
}

static json_t *describe(const workload *w)
{
    const bench_settings *s = &w->settings->net;
    json_t *about = bench_describe(w->context, "row", BENCH_NUM_VIEWS * w->batch);

    if (!about) return NULL;
    json_object_update_new(about,
                           json_pack("{s:s, s:f, s:I, s:I, s:I}", "architecture", s->architecture, "width", s->width,
                                     "size", (json_int_t)s->size, "images_per_step", (json_int_t)w->batch, "parameters",
                                     (json_int_t)bench_count_parameters(w->backbone, w->projection)));
    return about;
}

static void print_json(const workload *w, const findings *f)
{
    json_t *root = describe(w), *steps = json_array(), *phases = json_object();
    int64_t activations, scratch, i;
    int k;

    tape_memory(w, &activations, &scratch);
    for (i = 0; i < f->count; i++) json_array_append_new(steps, json_real(f->steps[i]));
    for (k = 0; k < NUM_PHASES; k++) {
        json_object_set_new(phases, phase_names[k], json_real(w->seconds[k] / (double)f->count));
    }
    json_object_set_new(root, "seconds", steps);
    json_object_set_new(root, "median_seconds", json_real(f->median));
    json_object_set_new(root, "phases", phases);
    bench_layers_json(&f->layers, root);
    json_object_set_new(root, "planned_bytes", json_integer(bench_held(w->context)));
    json_object_set_new(root, "activation_bytes", json_integer(activations));
    json_object_set_new(root, "scratch_bytes", json_integer(scratch));
    json_object_set_new(root, "peak_bytes", json_integer(bench_peak()));
    bench_print_json(root, JSON_INDENT(1));
    json_decref(root);
}

static sslcv_status look(void *user, json_t *out)
{
    findings f = {0};
    sslcv_status status;

    TRY(measure(user, LOOK_STEPS, &f));
    bench_layers_json(&f.layers, out);
end:
    free_findings(&f);
    return status;
}

static sslcv_status serve(workload *w)
{
    const bench_server server = {w, w->context, describe(w), make_step, look, NULL};
    const sslcv_status status = bench_serve(&server);

    json_decref(server.about);
    return status;
}

int main(int argc, char **argv)
{
    settings s = {.net = {BENCH_DEFAULTS}, .steps = 7};
    const bench_option options[] = {
        BENCH_OPTIONS(&s.net, "images a step, two views each; default 128"),
        {"steps", "that are timed, behind two that are not; default 7", .integer = &s.steps},
        {"frozen", "first stages that rest; default 0", .integer = &s.frozen},
        {"json", "print one JSON object", .flag = &s.json},
        {"serve", "make steps as told on standard input", .flag = &s.serve},
    };
    workload w = {0};
    findings f = {0};
    sslcv_status status;
    int i;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (s.net.batch < 2 || s.net.size < 1 || s.steps < 1) {
        fprintf(stderr, "%s: --batch must be 2 or more, --size and --steps 1 or more\n", argv[0]);
        return 2;
    }
    TRY(make_workload(&s, &w));
    if (s.serve) {
        TRY(serve(&w));
        goto end;
    }
    for (i = 0; i < WARM_UP; i++) TRY(make_step(&w));
    TRY(measure(&w, s.steps, &f));
    if (s.json) {
        print_json(&w, &f);
    } else {
        TRY(print_report(&w, &f));
    }
end:
    free_findings(&f);
    destroy_workload(&w);
    if (status != SSLCV_OK) return bench_finish(argv[0], status);
    return f.layers.num_slow > 0 ? 1 : 0;
}
