/*
 * Time of one training step, and where it goes.
 *
 *     step [--arch resnet18] [--batch 128] [--size 32] [--stem cifar] [--width 1] [--steps 7] [--json | --serve]
 *
 * The step is SimCLR's: two views of a batch of images in one pass through backbone and projection head
 * (D -> D -> 128, batch norm behind both layers), NT-Xent, backward through both, one SGD step with momentum and weight
 * decay. The views are made beforehand: no decoding, no augmentation. They lie in plain NCHW order, as a loader hands
 * them over; copying them to where the first convolution reads them is part of the step.
 *
 * It uses public calls, and looks into the tapes for the time of each layer and the implementation that oneDNN chose.
 * A convolution, norm or pooling that fell back to a reference or GEMM implementation makes it exit with 1.
 *
 * With --serve it reads commands from standard input, one a line, and answers each with one line: "step" makes a step
 * and prints its seconds, "memory" prints peak bytes of the process and bytes that the library planned, "quit" ends.
 */
#include "bench.h"

#include <jansson.h>

#include "model/backbone.h"
#include "nn/plan_build.h"

enum { EMBEDDING_DIM = 128, NUM_VIEWS = 2, WARM_UP = 2, MAX_KINDS = 64 };

typedef struct settings {
    const char *architecture, *stem;
    int64_t batch, size, steps, threads;
    double width;
    int json, serve;
} settings;

/* ---- the step ---- */

enum phase { BACKBONE_FORWARD, PROJECTION_FORWARD, LOSS, PROJECTION_BACKWARD, BACKBONE_BACKWARD, UPDATE, NUM_PHASES };

static const char *const phase_names[NUM_PHASES] = {"backbone forward",    "projection forward", "NT-Xent",
                                                    "projection backward", "backbone backward",  "SGD"};

typedef struct workload {
    sslcv_context *context;
    sslcv_backbone *backbone;
    sslcv_head *projection;
    sslcv_tape *backbone_tape, *projection_tape;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
    float *pixels, *gradient;
    sslcv_tensor images; /* (V N, 3, H, W): all first views, then all second views */
    int64_t batch;
    int64_t num_parameters;
    double value;               /* of the last step's loss */
    double seconds[NUM_PHASES]; /* spent since they were last cleared */
} workload;

static void destroy_workload(workload *w)
{
    sslcv_optimizer_destroy(w->optimizer);
    sslcv_loss_destroy(w->loss);
    sslcv_tape_destroy(w->projection_tape);
    sslcv_tape_destroy(w->backbone_tape);
    sslcv_head_destroy(w->projection);
    sslcv_backbone_destroy(w->backbone);
    sslcv_context_destroy(w->context);
    free(w->gradient);
    free(w->pixels);
}

static int find_word(const char *const *words, int count, const char *word)
{
    int i;

    for (i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0) return i;
    }
    fprintf(stderr, "\"%s\" is none of", word);
    for (i = 0; i < count; i++) fprintf(stderr, " %s", words[i]);
    fputc('\n', stderr);
    exit(2);
}

static sslcv_status make_networks(const settings *s, workload *w)
{
    static const char *const architectures[] = {"resnet18", "resnet34", "resnet50", "resnet101"};
    static const char *const stems[] = {"imagenet", "cifar"};
    sslcv_backbone_options net;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_head_info head_info = {.struct_size = sizeof head_info};
    sslcv_mlp_options mlp;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&net, sizeof net,
                                    SSLCV_BACKBONE_RESNET18 + find_word(architectures, 4, s->architecture)));
    net.stem = find_word(stems, 2, s->stem);
    net.zero_init_residual = 0;
    net.width = s->width;
    TRY(sslcv_backbone_create(w->context, &net, &w->backbone));
    TRY(sslcv_backbone_get_info(w->backbone, &info));
    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = EMBEDDING_DIM;
    mlp.bias = mlp.last_bias = 0;
    mlp.last_norm = SSLCV_LAST_NORM_BATCH;
    TRY(sslcv_head_create_mlp(w->context, &mlp, &w->projection));
    TRY(sslcv_head_get_info(w->projection, &head_info));
    w->num_parameters = info.num_parameters + head_info.num_parameters;
    TRY(sslcv_tape_create(w->context, &w->backbone_tape));
    TRY(sslcv_tape_create(w->context, &w->projection_tape));
end:
    return status;
}

static sslcv_status make_objective(workload *w)
{
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;
    sslcv_state *states[2] = {NULL, NULL};
    sslcv_status status;
    int i;

    TRY(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    TRY(sslcv_loss_create_info_nce(w->context, &nce, &w->loss));
    TRY(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    TRY(sslcv_optimizer_create(w->context, &sgd, &w->optimizer));
    TRY(sslcv_backbone_get_state(w->backbone, &states[0]));
    TRY(sslcv_head_get_state(w->projection, &states[1]));
    for (i = 0; i < 2; i++) TRY(sslcv_optimizer_add(w->optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
end:
    sslcv_state_destroy(states[1]);
    sslcv_state_destroy(states[0]);
    return status;
}

/* Uniform with mean 0 and deviation 1, as normalised images have. */
static void fill_pixels(float *pixels, size_t count)
{
    uint64_t state = 1;
    size_t i;

    for (i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        pixels[i] = 3.4641016f * ((float)(state >> 40) / 16777216.0f - 0.5f);
    }
}

static sslcv_status make_workload(const settings *s, workload *w)
{
    const int64_t shape[4] = {NUM_VIEWS * s->batch, 3, s->size, s->size};
    const size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    sslcv_context_options options;
    sslcv_status status;

    TRY(sslcv_context_options_init(&options, sizeof options));
    options.threads = (int32_t)s->threads;
    options.seed = 1;
    TRY(sslcv_context_create(&options, &w->context));
    TRY(make_networks(s, w));
    TRY(make_objective(w));
    w->batch = s->batch;
    w->pixels = malloc(count * sizeof(float));
    w->gradient = malloc((size_t)shape[0] * EMBEDDING_DIM * sizeof(float));
    if (!w->pixels || !w->gradient) return SSLCV_ERR_OUT_OF_MEMORY;
    fill_pixels(w->pixels, count);
    TRY(sslcv_tensor_init(&w->images, SSLCV_F32, w->pixels, 4, shape));
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

static sslcv_status make_step(workload *w)
{
    const int64_t shape[3] = {NUM_VIEWS, w->batch, EMBEDDING_DIM};
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

static void watch_layers(workload *w, int on)
{
    sslcv__plan_set_timing(w->backbone_tape->current, on);
    sslcv__plan_set_timing(w->projection_tape->current, on);
}

/* ---- what was seen ---- */

/** Time by layer and direction, summed over a network. */
typedef struct kind_time {
    const char *network, *layer, *direction;
    double seconds;
} kind_time;

typedef struct findings {
    double *steps; /* seconds of each, in their order */
    double median;
    int64_t count;
    kind_time kinds[MAX_KINDS];
    int num_kinds;
    int num_slow; /* steps of a plan that a reference or GEMM implementation runs */
} findings;

static int is_slow(const char *implementation)
{
    return strstr(implementation, "ref") != NULL || strstr(implementation, "gemm") != NULL;
}

static void add_kind(findings *f, const char *network, const char *layer, const sslcv__step_info *info)
{
    int i;

    for (i = 0; i < f->num_kinds; i++) {
        if (strcmp(f->kinds[i].network, network) == 0 && strcmp(f->kinds[i].layer, layer) == 0 &&
            strcmp(f->kinds[i].direction, info->direction) == 0) {
            break;
        }
    }
    if (i == MAX_KINDS) return;
    if (i == f->num_kinds) {
        f->num_kinds++;
        f->kinds[i].network = network;
        f->kinds[i].layer = layer;
        f->kinds[i].direction = info->direction;
        f->kinds[i].seconds = 0.0;
    }
    f->kinds[i].seconds += info->seconds / (double)f->count;
}

/* Where several layers read one result, their gradients are added: no part of the layer that this is done for. */
static const char *layer_of(const sslcv__step *step, const sslcv__step_info *info)
{
    return step->kind == SSLCV__STEP_SUM ? "sum of gradients" : info->layer;
}

static void look(const workload *w, findings *f)
{
    static const char *const networks[2] = {"backbone", "projection"};
    const sslcv__plan *plans[2] = {w->backbone_tape->current, w->projection_tape->current};
    int64_t i;
    int k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < sslcv__plan_num_steps(plans[k]); i++) {
            sslcv__step_info info;

            sslcv__plan_get_step(plans[k], i, &info);
            add_kind(f, networks[k], layer_of(&plans[k]->steps[i], &info), &info);
            f->num_slow += is_slow(info.implementation);
        }
    }
}

static sslcv_status measure(const settings *s, workload *w, findings *f)
{
    double *sorted = malloc((size_t)s->steps * sizeof *sorted);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    f->steps = malloc((size_t)s->steps * sizeof *f->steps);
    if (!f->steps || !sorted) goto end;
    for (i = 0; i < WARM_UP; i++) TRY(make_step(w));
    watch_layers(w, 1);
    memset(w->seconds, 0, sizeof w->seconds);
    for (i = 0; i < s->steps; i++) {
        const double start = bench_clock();

        TRY(make_step(w));
        f->steps[i] = bench_clock() - start;
    }
    watch_layers(w, 0);
    f->count = s->steps;
    memcpy(sorted, f->steps, (size_t)f->count * sizeof *sorted);
    f->median = bench_median(sorted, f->count);
    look(w, f);
end:
    free(sorted);
    return status;
}

/* Bytes that the library holds, all of it planned by the first step; of these the tapes' activations and scratchpad. */
static sslcv_status planned_memory(const workload *w, int64_t *total, int64_t *activations, int64_t *scratch)
{
    sslcv_context_info info = {.struct_size = sizeof info};
    int64_t head_activations, head_scratch;
    const sslcv_status status = sslcv_context_get_info(w->context, &info);

    if (status != SSLCV_OK) return status;
    sslcv__tape_memory(w->backbone_tape, activations, scratch);
    sslcv__tape_memory(w->projection_tape, &head_activations, &head_scratch);
    *activations += head_activations;
    *scratch += head_scratch;
    *total = info.bytes;
    return SSLCV_OK;
}

/* ---- convolutions ---- */

typedef struct conv_row {
    char name[64], shape[64];
    const char *direction, *implementation;
    double milliseconds, gflops; /* of a step; per second, counted as a direct convolution whatever the algorithm */
} conv_row;

/* Returns 0 for steps that are none: also reorders around one and sums of its gradients. */
static int get_conv(const sslcv__plan *plan, int64_t index, int64_t count, conv_row *row)
{
    const sslcv__step *step = &plan->steps[index];
    sslcv__conv_shape c;
    sslcv__step_info info;
    int64_t out_height, out_width;
    double flops;

    if (step->node->kind != SSLCV__NODE_CONVOLUTION || !step->op || strcmp(step->direction, "reorder") == 0) return 0;
    sslcv__plan_get_step(plan, index, &info);
    sslcv__plan_conv_shape(plan, step->node, &c);
    out_height = sslcv__conv_out_size(c.in_height, c.kernel_height, c.stride, c.padding);
    out_width = sslcv__conv_out_size(c.in_width, c.kernel_width, c.stride, c.padding);
    flops = 2.0 * (double)(c.batch * c.out_channels * out_height * out_width * c.in_channels) *
            (double)(c.kernel_height * c.kernel_width);
    snprintf(row->name, sizeof row->name, "%s", info.variable);
    snprintf(row->shape, sizeof row->shape, "%lldx%lldx%lld -> %lldx%lldx%lld, %lldx%lld/%lld",
             (long long)c.in_channels, (long long)c.in_height, (long long)c.in_width, (long long)c.out_channels,
             (long long)out_height, (long long)out_width, (long long)c.kernel_height, (long long)c.kernel_width,
             (long long)c.stride);
    row->direction = info.direction;
    row->implementation = info.implementation;
    row->milliseconds = 1e3 * info.seconds / (double)count;
    row->gflops = info.seconds > 0.0 ? 1e-9 * flops * (double)count / info.seconds : 0.0;
    return 1;
}

static void print_convolutions(const workload *w, const findings *f)
{
    const sslcv__plan *plan = w->backbone_tape->current;
    conv_row row;
    int64_t i;

    printf("\n%-30s %-34s %-16s %-28s %8s %8s\n", "convolution", "shape, kernel/stride", "direction", "implementation",
           "ms", "GFLOP/s");
    for (i = 0; i < sslcv__plan_num_steps(plan); i++) {
        if (!get_conv(plan, i, f->count, &row)) continue;
        printf("%-30s %-34s %-16s %-28s %8.2f %8.0f%s\n", row.name, row.shape, row.direction, row.implementation,
               row.milliseconds, row.gflops, is_slow(row.implementation) ? "  <- slow" : "");
    }
}

/* Has an earlier step of the plan the same layer, direction and implementation? */
static int seen_before(const sslcv__plan *plan, int64_t index, const sslcv__step_info *info)
{
    sslcv__step_info other;
    int64_t i;

    for (i = 0; i < index; i++) {
        sslcv__plan_get_step(plan, i, &other);
        if (strcmp(other.layer, info->layer) == 0 && strcmp(other.direction, info->direction) == 0 &&
            strcmp(other.implementation, info->implementation) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What else oneDNN runs as a primitive, and by what: one line for each that differs. */
static void print_others(const char *network, const sslcv__plan *plan)
{
    sslcv__step_info info;
    conv_row row;
    int64_t i;

    for (i = 0; i < sslcv__plan_num_steps(plan); i++) {
        if (!plan->steps[i].op || get_conv(plan, i, 1, &row)) continue;
        sslcv__plan_get_step(plan, i, &info);
        if (seen_before(plan, i, &info)) continue;
        printf("%-12s %-14s %-16s %s%s\n", network, info.layer, info.direction, info.implementation,
               is_slow(info.implementation) ? "  <- slow" : "");
    }
}

/* ---- reports ---- */

static void print_line(const char *name, double seconds, double whole)
{
    printf("%-42s %10.2f %7.1f %%\n", name, 1e3 * seconds, 100.0 * seconds / whole);
}

static void print_times(const workload *w, const findings *f)
{
    double whole = 0.0, layers = 0.0;
    char name[128];
    int64_t i;
    int k;

    for (i = 0; i < f->count; i++) whole += f->steps[i] / (double)f->count;
    printf("\n%-42s %10s %9s\n", "phase of the step, mean", "ms", "share");
    for (k = 0; k < NUM_PHASES; k++) print_line(phase_names[k], w->seconds[k] / (double)f->count, whole);
    printf("\n%-42s %10s %9s\n", "layer and direction, mean", "ms", "share");
    for (k = 0; k < f->num_kinds; k++) {
        snprintf(name, sizeof name, "%s: %s, %s", f->kinds[k].network, f->kinds[k].layer, f->kinds[k].direction);
        print_line(name, f->kinds[k].seconds, whole);
        layers += f->kinds[k].seconds;
    }
    print_line("outside of layers (loss, SGD, input)", whole - layers, whole);
}

static sslcv_status print_report(const settings *s, const workload *w, const findings *f)
{
    const double images = (double)s->batch / f->median;
    sslcv_context_info info = {.struct_size = sizeof info};
    int64_t total, activations, scratch, i;
    sslcv_status status;

    TRY(sslcv_context_get_info(w->context, &info));
    TRY(planned_memory(w, &total, &activations, &scratch));
    printf("%s, %s stem, width %g, projection to %d: %lld parameters, f32\n", s->architecture, s->stem, s->width,
           EMBEDDING_DIM, (long long)w->num_parameters);
    printf("%lld images of 3x%lldx%lld a step, two views each: %lld rows\n", (long long)s->batch, (long long)s->size,
           (long long)s->size, (long long)(NUM_VIEWS * s->batch));
    printf("sslcv %s, instruction set %s, %d threads\n", sslcv_version_string(), info.cpu, (int)info.threads);
    for (i = 0; i < f->count; i++) printf("step %lld: %.4f s\n", (long long)i + 1, f->steps[i]);
    printf("median: %.4f s a step, %.1f images/s = %.1f rows/s; loss %.4f\n", f->median, images, NUM_VIEWS * images,
           w->value);
    print_times(w, f);
    print_convolutions(w, f);
    printf("\nother operations of oneDNN\n");
    print_others("backbone", w->backbone_tape->current);
    print_others("projection", w->projection_tape->current);
    printf("\nplanned memory %.1f MiB, of it activations %.1f MiB, scratchpad %.1f MiB; peak of the process %.1f MiB\n",
           bench_mib(total), bench_mib(activations), bench_mib(scratch), bench_mib(bench_peak()));
    if (f->num_slow > 0) printf("%d operations fell back to a reference or GEMM implementation\n", f->num_slow);
end:
    return status;
}

static json_t *describe(const settings *s, const workload *w)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    if (sslcv_context_get_info(w->context, &info) != SSLCV_OK) return NULL;
    return json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:i, s:s, s:s}", "library", "sslcv", "version",
                     sslcv_version_string(), "architecture", s->architecture, "width", s->width, "images_per_step",
                     (json_int_t)s->batch, "rows_per_step", (json_int_t)(NUM_VIEWS * s->batch), "size",
                     (json_int_t)s->size, "parameters", (json_int_t)w->num_parameters, "threads", (int)info.threads,
                     "instruction_set", info.cpu, "build", sslcv_build_info());
}

static json_t *convolutions_json(const workload *w, const findings *f)
{
    const sslcv__plan *plan = w->backbone_tape->current;
    json_t *list = json_array();
    conv_row row;
    int64_t i;

    for (i = 0; i < sslcv__plan_num_steps(plan); i++) {
        if (!get_conv(plan, i, f->count, &row)) continue;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "layer", row.name, "shape", row.shape,
                                              "direction", row.direction, "implementation", row.implementation, "ms",
                                              row.milliseconds, "gflops", row.gflops));
    }
    return list;
}

static sslcv_status print_json(const settings *s, const workload *w, const findings *f)
{
    json_t *root = describe(s, w), *steps = json_array(), *phases = json_object(), *kinds = json_array();
    int64_t total, activations, scratch, i;
    const sslcv_status status = planned_memory(w, &total, &activations, &scratch);
    int k;

    if (status != SSLCV_OK || !root) goto end;
    for (i = 0; i < f->count; i++) json_array_append_new(steps, json_real(f->steps[i]));
    for (k = 0; k < NUM_PHASES; k++) {
        json_object_set_new(phases, phase_names[k], json_real(1e3 * w->seconds[k] / (double)f->count));
    }
    for (k = 0; k < f->num_kinds; k++) {
        json_array_append_new(kinds, json_pack("{s:s, s:s, s:s, s:f}", "network", f->kinds[k].network, "layer",
                                               f->kinds[k].layer, "direction", f->kinds[k].direction, "ms",
                                               1e3 * f->kinds[k].seconds));
    }
    json_object_set(root, "seconds", steps);
    json_object_set(root, "phases_ms", phases);
    json_object_set(root, "layers", kinds);
    json_object_set_new(root, "convolutions", convolutions_json(w, f));
    json_object_set_new(root, "median_seconds", json_real(f->median));
    json_object_set_new(root, "images_per_second", json_real((double)s->batch / f->median));
    json_object_set_new(root, "rows_per_second", json_real((double)(NUM_VIEWS * s->batch) / f->median));
    json_object_set_new(root, "planned_bytes", json_integer(total));
    json_object_set_new(root, "activation_bytes", json_integer(activations));
    json_object_set_new(root, "scratch_bytes", json_integer(scratch));
    json_object_set_new(root, "peak_bytes", json_integer(bench_peak()));
    json_object_set_new(root, "slow_operations", json_integer(f->num_slow));
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    putchar('\n');
end:
    json_decref(kinds);
    json_decref(phases);
    json_decref(steps);
    json_decref(root);
    return status;
}

/* ---- serving ---- */

static sslcv_status serve(const settings *s, workload *w)
{
    json_t *about = describe(s, w);
    int64_t total, activations, scratch;
    char line[64];
    sslcv_status status = SSLCV_OK;

    if (about) json_dumpf(about, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(about);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "step\n") == 0) {
            const double start = bench_clock();

            TRY(make_step(w));
            printf("%.6f\n", bench_clock() - start);
        } else if (strcmp(line, "memory\n") == 0) {
            TRY(planned_memory(w, &total, &activations, &scratch));
            printf("%lld %lld\n", (long long)bench_peak(), (long long)total);
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
    settings s = {.architecture = "resnet18", .stem = "cifar", .batch = 128, .size = 32, .steps = 7, .width = 1.0};
    const bench_option options[] = {
        {"arch", "resnet18, resnet34, resnet50 or resnet101; default resnet18", .text = &s.architecture},
        {"stem", "cifar (default) or imagenet", .text = &s.stem},
        {"batch", "images a step, two views each; default 128", .integer = &s.batch},
        {"size", "height and width of the views in pixels; default 32", .integer = &s.size},
        {"width", "factor on all channels; default 1", .real = &s.width},
        {"steps", "that are timed, behind two that are not; default 7", .integer = &s.steps},
        {"threads", "default 0: the processors that this process may use", .integer = &s.threads},
        {"json", "print one JSON object", .flag = &s.json},
        {"serve", "make steps as told on standard input", .flag = &s.serve},
    };
    workload w = {0};
    findings f = {0};
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (s.batch < 2 || s.size < 1 || s.steps < 1) {
        fprintf(stderr, "%s: --batch must be 2 or more, --size and --steps 1 or more\n", argv[0]);
        return 2;
    }
    TRY(make_workload(&s, &w));
    if (s.serve) {
        TRY(serve(&s, &w));
    } else {
        TRY(measure(&s, &w, &f));
        TRY(s.json ? print_json(&s, &w, &f) : print_report(&s, &w, &f));
    }
end:
    free(f.steps);
    destroy_workload(&w);
    if (status != SSLCV_OK) return bench_finish(argv[0], status);
    return f.num_slow > 0 ? 1 : 0;
}
