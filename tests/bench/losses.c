/*
 * Time of one loss: value, every gradient, and what it remembers. pytorch_losses.py does the same work.
 *
 *     losses --loss NAME [--queue 65536] [--bank 50000] [--dtype f32] [--seconds 0.2] [--steps 7] [--serve]
 *
 *     nt-xent       2 views of 512 x 128, temperature 0.5
 *     moco          256 x 128 against a queue, 0.07
 *     nce           256 x 128 against 4,096 drawn rows of a bank, 0.07; one term, constant Z (InstDisc)
 *     sinkhorn      the codes alone: 512 x 3,000 scores, 3 iterations; a function inside the library
 *     swav          2 views of 256 x 128, 3,000 prototypes
 *     cpc           grids of 7 x 7 of 32 images, 256 dimensions, 5 offsets, 16 negatives
 *     barlow-twins  2 views of 256 x 2,048
 *     vicreg        likewise
 *     dino          2 views of 64 x 65,536, student and teacher
 *
 * A call takes milliseconds, so a step makes as many as fill --seconds, behind some that are not counted, and its time
 * is their mean. Arrays are filled by a formula, the same in Python: the values of the first call can be compared.
 */
#include "networks.h"
#include "serve.h"

#include "core/compute.h"
#include "loss/sinkhorn.h"

#include <math.h>

enum { MAX_INPUTS = 2, SAMPLES_STRIDE = 7919 };

static const double uncounted_seconds = 0.05;

typedef struct workload workload;

/* What is measured. */
typedef struct loss_case {
    const char *name;
    sslcv_status (*make)(workload *w); /* w->loss, or what call() needs */
    sslcv_status (*call)(workload *w);
    int num_inputs;
    unsigned gradient_inputs; /* bit i: input i receives a gradient */
    int64_t shape[4];         /* of each input: V, N, P, D */
} loss_case;

struct workload {
    bench_settings net;
    const loss_case *what;
    int64_t queue, bank, steps, calls, num_ids, dtype;
    double seconds, mean, first_value;
    sslcv_context *context;
    sslcv_loss *loss;
    sslcv_loss_call call;
    sslcv_tensor inputs[MAX_INPUTS], diffs[MAX_INPUTS];
    float *memory[2 * MAX_INPUTS];
    int64_t *ids;
    struct {
        sslcv__sinkhorn problem;
        float *codes;
        int64_t *largest;
        double *mass;
        void *memory;
    } codes; /* of sinkhorn */
};

/* ---- arrays ---- */

static int64_t count_of(const loss_case *what)
{
    return what->shape[0] * what->shape[1] * what->shape[2] * what->shape[3];
}

/* Uniform in scale * -0.5 .. 0.5; which: each array has numbers of its own. */
static void fill(float *out, int64_t count, int which, double scale)
{
    const double first = 1e8 * which + 1.0;
    int64_t i;

    for (i = 0; i < count; i++) {
        const double x = 43758.5453123 * sin(12.9898 * (first + (double)i));

        out[i] = (float)(scale * (x - floor(x) - 0.5));
    }
}

static sslcv_status make_arrays(workload *w)
{
    const loss_case *what = w->what;
    const int64_t count = count_of(what);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int i;

    for (i = 0; i < what->num_inputs; i++) {
        const int wanted = what->gradient_inputs >> i & 1;
        float *input = w->memory[2 * i] = malloc((size_t)count * sizeof(float));
        float *diff = w->memory[2 * i + 1] = wanted ? malloc((size_t)count * sizeof(float)) : NULL;

        if (!input || (wanted && !diff)) goto end;
        fill(input, count, i, 1.0);
        TRY(sslcv_tensor_init(&w->inputs[i], SSLCV_F32, input, 4, what->shape));
        w->diffs[i] = w->inputs[i];
        w->diffs[i].data = diff;
    }
    w->ids = calloc((size_t)what->shape[1], sizeof *w->ids);
    status = w->ids ? SSLCV_OK : SSLCV_ERR_OUT_OF_MEMORY;
end:
    return status;
}

/* Overwrites a tensor of the loss, so that PyTorch can begin with the same one. */
static sslcv_status set_tensor(workload *w, const char *name, int which, double scale)
{
    sslcv_state *state = NULL;
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor;
    float *values = NULL;
    int64_t index, count = 1;
    sslcv_status status;
    int i;

    TRY(sslcv_loss_get_state(w->loss, &state));
    TRY(sslcv_state_find(state, name, &index));
    TRY(sslcv_state_get_entry(state, index, &entry));
    for (i = 0; i < entry.ndim; i++) count *= entry.shape[i];
    values = malloc((size_t)count * sizeof *values);
    if (!values) {
        status = SSLCV_ERR_OUT_OF_MEMORY;
        goto end;
    }
    fill(values, count, which, scale);
    TRY(sslcv_tensor_init(&tensor, SSLCV_F32, values, entry.ndim, entry.shape));
    TRY(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
end:
    free(values);
    sslcv_state_destroy(state);
    return status;
}

/* ---- the losses ---- */

static sslcv_status compute(workload *w)
{
    return sslcv_loss_compute(w->loss, &w->call);
}

static sslcv_status make_nt_xent(workload *w)
{
    sslcv_info_nce_options options;
    sslcv_status status;

    TRY(sslcv_info_nce_options_init(&options, sizeof options));
    options.temperature = 0.5;
    TRY(sslcv_loss_create_info_nce(w->context, &options, &w->loss));
end:
    return status;
}

static sslcv_status make_moco(workload *w)
{
    sslcv_info_nce_options options;
    sslcv_status status;

    TRY(sslcv_info_nce_options_init(&options, sizeof options));
    options.temperature = 0.07;
    options.queue_size = w->queue;
    TRY(sslcv_loss_create_info_nce(w->context, &options, &w->loss));
end:
    return status;
}

static sslcv_status make_nce(workload *w)
{
    sslcv_nce_bank_options options;
    sslcv_status status;

    TRY(sslcv_nce_bank_options_init(&options, sizeof options));
    options.num_samples = w->bank;
    options.num_inputs = 1;
    options.num_negatives = 4096;
    options.pairing = SSLCV_BANK_SINGLE;
    options.bank_dtype = (int32_t)w->dtype;
    TRY(sslcv_loss_create_nce_bank(w->context, &options, &w->loss));
    w->num_ids = w->bank;
end:
    return status;
}

/* Another batch of samples each time, spread over the bank. */
static sslcv_status compute_with_ids(workload *w)
{
    const int64_t samples = w->what->shape[1];
    int64_t i;

    for (i = 0; i < samples; i++) w->ids[i] = (w->calls * samples + i) * SAMPLES_STRIDE % w->num_ids;
    return sslcv_loss_compute(w->loss, &w->call);
}

static sslcv_status make_swav(workload *w)
{
    sslcv_swapped_options options;
    sslcv_status status;

    TRY(sslcv_swapped_options_init(&options, sizeof options));
    TRY(sslcv_loss_create_swapped(w->context, &options, &w->loss));
    TRY(set_tensor(w, "prototypes.weight", MAX_INPUTS, 1.0));
end:
    return status;
}

static sslcv_status make_cpc(workload *w)
{
    sslcv_cpc_options options;
    char name[64];
    int64_t k;
    sslcv_status status;

    TRY(sslcv_cpc_options_init(&options, sizeof options));
    options.dim = w->what->shape[3];
    TRY(sslcv_loss_create_cpc(w->context, &options, &w->loss));
    for (k = options.first_offset; k <= options.last_offset; k++) {
        snprintf(name, sizeof name, "predictor.0.%lld.weight", (long long)k);
        TRY(set_tensor(w, name, MAX_INPUTS + (int)k, 1.0 / sqrt((double)options.dim)));
    }
end:
    return status;
}

static sslcv_status make_barlow_twins(workload *w)
{
    return sslcv_loss_create_barlow_twins(w->context, NULL, &w->loss);
}

static sslcv_status make_vicreg(workload *w)
{
    return sslcv_loss_create_vicreg(w->context, NULL, &w->loss);
}

static sslcv_status make_dino(workload *w)
{
    return sslcv_loss_create_dino(w->context, NULL, &w->loss);
}

/* The function is not public: the frame that a call of the loss would open is opened here. */
static sslcv_status run_sinkhorn(workload *w)
{
    sslcv__compute frame = {0};
    sslcv_status status;

    TRY(sslcv__compute_begin(w->context, &frame));
    sslcv__sinkhorn_run(&w->codes.problem);
end:
    sslcv__compute_end(&frame);
    return status;
}

/* Its value: the mean of the scores under the codes. */
static sslcv_status make_sinkhorn(workload *w)
{
    const int64_t rows = w->what->shape[1], columns = w->what->shape[3], count = rows * columns;
    sslcv__sinkhorn *problem = &w->codes.problem;
    int64_t bytes, i;
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;

    if (!sslcv__sinkhorn_bytes(rows, columns, &bytes)) goto end;
    problem->scores = w->inputs[0].data;
    problem->codes = w->codes.codes = malloc((size_t)count * sizeof(float));
    problem->largest = w->codes.largest = malloc((size_t)rows * sizeof(int64_t));
    problem->mass = w->codes.mass = malloc((size_t)columns * sizeof(double));
    problem->memory = w->codes.memory = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    if (!w->codes.codes || !w->codes.largest || !w->codes.mass || !w->codes.memory) goto end;
    problem->rows = rows;
    problem->columns = columns;
    problem->iterations = 3;
    problem->epsilon = 0.05;
    problem->bound = 1.0; /* as in the loss, whose rows are unit ones */
    TRY(run_sinkhorn(w));
    for (i = 0; i < count; i++) w->call.value += (double)problem->codes[i] * problem->scores[i] / (double)rows;
end:
    return status;
}

static const loss_case cases[] = {
    {"nt-xent", make_nt_xent, compute, 1, 1, {2, 512, 1, 128}},
    {"moco", make_moco, compute, 2, 1, {1, 256, 1, 128}},
    {"nce", make_nce, compute_with_ids, 1, 1, {1, 256, 1, 128}},
    {"sinkhorn", make_sinkhorn, run_sinkhorn, 1, 0, {1, 512, 1, 3000}},
    {"swav", make_swav, compute, 1, 1, {2, 256, 1, 128}},
    {"cpc", make_cpc, compute, 2, 3, {1, 32, 49, 256}},
    {"barlow-twins", make_barlow_twins, compute, 1, 1, {2, 256, 1, 2048}},
    {"vicreg", make_vicreg, compute, 1, 1, {2, 256, 1, 2048}},
    {"dino", make_dino, compute, 2, 1, {2, 64, 1, 65536}},
};

enum { NUM_CASES = sizeof cases / sizeof cases[0] };

/* ---- measuring ---- */

static void destroy_workload(workload *w)
{
    size_t i;

    sslcv_loss_destroy(w->loss);
    sslcv_context_destroy(w->context);
    for (i = 0; i < sizeof w->memory / sizeof w->memory[0]; i++) free(w->memory[i]);
    free(w->ids);
    free(w->codes.codes);
    free(w->codes.largest);
    free(w->codes.mass);
    free(w->codes.memory);
}

static sslcv_status call_once(workload *w)
{
    sslcv_status status;

    TRY(w->what->call(w));
    w->calls++;
end:
    return status;
}

static sslcv_status make_workload(workload *w)
{
    sslcv_status status;

    TRY(bench_make_context(&w->net, &w->context));
    TRY(make_arrays(w));
    TRY(sslcv_loss_call_init(&w->call, sizeof w->call));
    TRY(w->what->make(w));
    w->call.inputs = w->inputs;
    w->call.diff_inputs = w->diffs;
    w->call.num_inputs = w->what->num_inputs;
    w->call.ids = w->num_ids > 0 ? w->ids : NULL;
    TRY(call_once(w));
    w->first_value = w->call.value;
end:
    return status;
}

/* Calls until so many seconds are over, at least one. */
static sslcv_status call_for(workload *w, double seconds, double *mean)
{
    const double start = bench_clock();
    const int64_t before = w->calls;
    double elapsed = 0.0;
    sslcv_status status;

    do {
        TRY(call_once(w));
        elapsed = bench_clock() - start;
    } while (elapsed < seconds);
    *mean = elapsed / (double)(w->calls - before);
end:
    return status;
}

static sslcv_status step(void *user)
{
    workload *w = user;
    double unused;
    sslcv_status status;

    TRY(call_for(w, uncounted_seconds, &unused));
    TRY(call_for(w, w->seconds, &w->mean));
end:
    return status;
}

/* Of queue, bank and the like, with working memory. */
static int64_t loss_bytes(const workload *w)
{
    sslcv_loss_info info = {.struct_size = sizeof info};

    return w->loss && sslcv_loss_get_info(w->loss, &info) == SSLCV_OK ? info.bytes : 0;
}

static sslcv_status look(void *user, json_t *out)
{
    const workload *w = user;

    json_object_set_new(out, "loss_bytes", json_integer(loss_bytes(w)));
    return SSLCV_OK;
}

static sslcv_status serve(workload *w)
{
    bench_server server = {w, w->context, bench_describe(w->context, "call", 1), step, look, &w->mean};
    sslcv_status status;

    if (!server.about) return SSLCV_ERR_OUT_OF_MEMORY;
    json_object_set_new(server.about, "loss", json_string(w->what->name));
    json_object_set_new(server.about, "value", json_real(w->first_value));
    json_object_set_new(server.about, "rows", json_integer(w->num_ids > 0 ? w->bank : w->queue));
    status = bench_serve(&server);
    json_decref(server.about);
    return status;
}

static sslcv_status report(workload *w)
{
    double *means = calloc((size_t)w->steps, sizeof *means);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    if (!means) goto end;
    for (i = 0; i < w->steps; i++) {
        TRY(step(w));
        means[i] = w->mean;
        printf("%s%.3f", i ? " " : "ms a call: ", 1e3 * means[i]);
    }
    printf("\n%s: median %.3f ms; value of the first call %.7g\n", w->what->name, 1e3 * bench_median(means, w->steps),
           w->first_value);
    printf("the loss holds %.1f MiB, peak of the process %.1f MiB\n", bench_mib(loss_bytes(w)),
           bench_mib(bench_peak()));
end:
    free(means);
    return status;
}

int main(int argc, char **argv)
{
    workload w = {.net = {BENCH_DEFAULTS}, .queue = 65536, .bank = 50000, .seconds = 0.2, .steps = 7};
    const char *name = "nt-xent", *dtype = "f32", *names[NUM_CASES];
    int as_told = 0, i;
    const bench_option options[] = {
        {"loss", "which; default nt-xent", .text = &name},
        {"queue", "rows of moco's queue; default 65536", .integer = &w.queue},
        {"bank", "rows of nce's bank; default 50000", .integer = &w.bank},
        {"dtype", "of the bank: f32 (default) or bf16", .text = &dtype},
        {"seconds", "of calls in a step; default 0.2", .real = &w.seconds},
        {"steps", "default 7", .integer = &w.steps},
        {"threads", "default 0: the processors that this process may use", .integer = &w.net.threads},
        {"serve", "make steps as told on standard input", .flag = &as_told},
    };
    static const char *const dtypes[] = {"f32", "bf16"};
    static const int32_t dtype_of[] = {SSLCV_F32, SSLCV_BF16};
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    for (i = 0; i < NUM_CASES; i++) names[i] = cases[i].name;
    w.what = &cases[bench_find_word(names, NUM_CASES, name)];
    w.dtype = dtype_of[bench_find_word(dtypes, 2, dtype)];
    if (w.steps < 1 || !(w.seconds >= 0.0)) {
        fprintf(stderr, "%s: --steps must be 1 or more, --seconds 0 or more\n", argv[0]);
        return 2;
    }
    TRY(make_workload(&w));
    TRY(as_told ? serve(&w) : report(&w));
end:
    destroy_workload(&w);
    return bench_finish(argv[0], status);
}
