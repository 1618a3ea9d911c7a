/**
 * Where the time of a pass goes: what the tapes tell of their layers, and what limits them. All that this folder takes
 * from the inside of the library stands here.
 */
#ifndef SSLCV__BENCH_LAYERS_H
#define SSLCV__BENCH_LAYERS_H

#include "networks.h"
#include "serve.h"

#include "nn/tape.h"

enum { BENCH_MAX_KINDS = 64 };

/** Time of the layers of one kind in one direction, summed over a network. */
typedef struct bench_kind {
    const char *network, *layer, *direction;
    double seconds;
} bench_kind;

/** One pass of one convolution. */
typedef struct bench_convolution {
    char layer[64], shape[64];
    const char *direction, *implementation;
    double seconds, gflop; /* multiplications and additions of a direct convolution, whatever the algorithm */
} bench_convolution;

/** What else a library primitive runs, and by what. */
typedef struct bench_operation {
    const char *network, *layer, *direction, *implementation;
} bench_operation;

/** Seconds and operations are those of one step; texts live as long as the tapes' plans. */
typedef struct bench_layers {
    bench_kind kinds[BENCH_MAX_KINDS];
    bench_operation operations[BENCH_MAX_KINDS];
    bench_convolution *convolutions;
    int num_kinds, num_operations;
    int64_t num_convolutions;
    int num_slow; /* that a reference or GEMM implementation runs */
    double step;  /* of all, the sum of: */
    double in_convolutions, memory_bound, other;
    double gflop; /* in convolutions */
} bench_layers;

/** Count the time of each layer of the tape's plan from now on, or stop counting. */
static inline void bench_watch(sslcv_tape *tape, int on)
{
    sslcv__plan_set_timing(tape->current, on);
}

static inline int bench_is_slow(const char *implementation)
{
    return strstr(implementation, "ref") != NULL || strstr(implementation, "gemm") != NULL;
}

/* Reorders around a convolution and sums of gradients in front of it are counted with it, but multiply nothing. */
static inline int bench_is_convolution(const sslcv__step_info *info)
{
    return strcmp(info->layer, "convolution") == 0 &&
           (strcmp(info->direction, "forward") == 0 || strcmp(info->direction, "backward data") == 0 ||
            strcmp(info->direction, "backward weights") == 0);
}

/* The rest of a network reads and writes more than it computes, but for matrix products. */
static inline int bench_is_memory_bound(const sslcv__step_info *info)
{
    return !bench_is_convolution(info) && strcmp(info->layer, "linear") != 0;
}

static inline void bench_add_kind(bench_layers *l, const char *network, const sslcv__step_info *info, double seconds)
{
    bench_kind *kind = l->kinds;
    const char *layer = info->layer;

    if (strcmp(layer, "convolution") == 0 && strcmp(info->direction, "backward") == 0) layer = "sum of gradients";
    while (kind < l->kinds + l->num_kinds && (strcmp(kind->network, network) != 0 || strcmp(kind->layer, layer) != 0 ||
                                              strcmp(kind->direction, info->direction) != 0)) {
        kind++;
    }
    if (kind == l->kinds + BENCH_MAX_KINDS) return;
    if (kind == l->kinds + l->num_kinds) {
        l->num_kinds++;
        kind->network = network;
        kind->layer = layer;
        kind->direction = info->direction;
        kind->seconds = 0.0;
    }
    kind->seconds += seconds;
}

static inline void bench_add_operation(bench_layers *l, const char *network, const sslcv__step_info *info)
{
    const bench_operation wanted = {network, info->layer, info->direction, info->implementation};
    int i;

    if (strcmp(info->implementation, "own") == 0 || bench_is_convolution(info)) return;
    for (i = 0; i < l->num_operations; i++) {
        const bench_operation *seen = &l->operations[i];

        if (strcmp(seen->network, network) == 0 && strcmp(seen->layer, info->layer) == 0 &&
            strcmp(seen->direction, info->direction) == 0 && strcmp(seen->implementation, info->implementation) == 0) {
            return;
        }
    }
    if (l->num_operations < BENCH_MAX_KINDS) l->operations[l->num_operations++] = wanted;
}

/* Height and width of the map that a convolution of a ResNet writes: its name tells the stage. */
static inline int64_t bench_output_side(const bench_settings *s, const char *weight)
{
    const int imagenet = strcmp(s->stem, "imagenet") == 0;
    const int bottleneck = strcmp(s->architecture, "resnet50") == 0 || strcmp(s->architecture, "resnet101") == 0;
    int64_t side = s->size;
    int stage, block = 0, layer = 0, k;

    if (imagenet) side = (side - 1) / 2 + 1;
    if (sscanf(weight, "layer%d.%d.conv%d", &stage, &block, &layer) < 2) return side; /* the stem */
    if (imagenet) side = (side - 1) / 2 + 1;
    for (k = 2; k <= stage; k++) {
        if (k == stage && bottleneck && block == 0 && layer == 1) break; /* its stride comes with its second */
        side = (side - 1) / 2 + 1;
    }
    return side;
}

static inline sslcv_status bench_add_convolution(bench_layers *l, const bench_settings *s, const sslcv_state *state,
                                                 int64_t rows, const sslcv__step_info *info, double seconds)
{
    bench_convolution *c = &l->convolutions[l->num_convolutions];
    const int64_t side = bench_output_side(s, info->variable);
    sslcv_state_entry weight = {.struct_size = sizeof weight};
    int64_t index;
    sslcv_status status;

    TRY(sslcv_state_find(state, info->variable, &index));
    TRY(sslcv_state_get_entry(state, index, &weight)); /* (out, in, height, width) */
    snprintf(c->layer, sizeof c->layer, "%s", info->variable);
    snprintf(c->shape, sizeof c->shape, "%lld -> %lldx%lldx%lld, %lldx%lld", (long long)weight.shape[1],
             (long long)weight.shape[0], (long long)side, (long long)side, (long long)weight.shape[2],
             (long long)weight.shape[3]);
    c->direction = info->direction;
    c->implementation = info->implementation;
    c->seconds = seconds;
    c->gflop = 2e-9 * (double)(rows * side * side) *
               (double)(weight.shape[0] * weight.shape[1] * weight.shape[2] * weight.shape[3]);
    l->gflop += c->gflop;
    l->num_convolutions++;
end:
    return status;
}

/**
 * Add what a watched tape has counted.
 *
 * @param rows  Images in a pass.
 * @param steps Passes since the watch began.
 */
static inline sslcv_status bench_look(bench_layers *l, const bench_settings *s, const sslcv_tape *tape,
                                      const char *network, const sslcv_state *state, int64_t rows, int64_t steps)
{
    const int64_t count = sslcv__plan_num_steps(tape->current);
    bench_convolution *grown = realloc(l->convolutions, (size_t)(l->num_convolutions + count) * sizeof *grown);
    sslcv_status status = SSLCV_ERR_OUT_OF_MEMORY;
    int64_t i;

    if (!grown) goto end;
    l->convolutions = grown;
    status = SSLCV_OK;
    for (i = 0; i < count; i++) {
        sslcv__step_info info;
        double seconds;

        sslcv__plan_get_step(tape->current, i, &info);
        seconds = info.seconds / (double)steps;
        bench_add_kind(l, network, &info, seconds);
        bench_add_operation(l, network, &info);
        l->num_slow += bench_is_slow(info.implementation);
        if (bench_is_memory_bound(&info)) l->memory_bound += seconds;
        if (!bench_is_convolution(&info)) continue;
        l->in_convolutions += seconds;
        TRY(bench_add_convolution(l, s, state, rows, &info, seconds));
    }
end:
    return status;
}

/** Behind the last tape: what is left of the seconds of a step. */
static inline void bench_look_end(bench_layers *l, double step)
{
    l->step = step;
    l->other = step - l->in_convolutions - l->memory_bound;
}

/** What limits the step, as "limits": what run.py shows. */
static inline json_t *bench_limits_json(const bench_layers *l)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "step", l->step, "convolutions", l->in_convolutions, "memory_bound",
                     l->memory_bound, "other", l->other, "convolution_gflop", l->gflop);
}

/** The same, and every layer: adds to an object. */
static inline void bench_layers_json(const bench_layers *l, json_t *out)
{
    json_t *kinds = json_array(), *convolutions = json_array();
    int64_t i;

    for (i = 0; i < l->num_kinds; i++) {
        const bench_kind *kind = &l->kinds[i];

        json_array_append_new(kinds, json_pack("{s:s, s:s, s:s, s:f}", "network", kind->network, "layer", kind->layer,
                                               "direction", kind->direction, "seconds", kind->seconds));
    }
    for (i = 0; i < l->num_convolutions; i++) {
        const bench_convolution *c = &l->convolutions[i];

        json_array_append_new(convolutions, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f}", "layer", c->layer, "shape",
                                                      c->shape, "direction", c->direction, "implementation",
                                                      c->implementation, "seconds", c->seconds, "gflop", c->gflop));
    }
    json_object_set_new(out, "limits", bench_limits_json(l));
    json_object_set_new(out, "layers", kinds);
    json_object_set_new(out, "convolutions", convolutions);
    json_object_set_new(out, "slow_operations", json_integer(l->num_slow));
}

/* ---- for people ---- */

static inline void bench_print_line(const char *name, double seconds, double whole)
{
    printf("%-42s %10.2f %7.1f %%\n", name, 1e3 * seconds, 100.0 * seconds / whole);
}

static inline void bench_print_kinds(const bench_layers *l)
{
    char name[128];
    int i;

    printf("\n%-42s %10s %9s\n", "layer and direction, mean", "ms", "share");
    for (i = 0; i < l->num_kinds; i++) {
        snprintf(name, sizeof name, "%s: %s, %s", l->kinds[i].network, l->kinds[i].layer, l->kinds[i].direction);
        bench_print_line(name, l->kinds[i].seconds, l->step);
    }
    printf("\n%-42s %10s %9s\n", "what limits the step", "ms", "share");
    bench_print_line("convolutions", l->in_convolutions, l->step);
    bench_print_line("passes bound by memory", l->memory_bound, l->step);
    bench_print_line("everything else", l->other, l->step);
    printf("convolutions: %.1f GFLOP a step as direct ones, %.0f GFLOP/s\n", l->gflop, l->gflop / l->in_convolutions);
}

static inline void bench_print_operations(const bench_layers *l)
{
    int64_t i;

    printf("\n%-30s %-30s %-16s %-28s %8s %8s\n", "convolution", "shape, kernel", "direction", "implementation", "ms",
           "GFLOP/s");
    for (i = 0; i < l->num_convolutions; i++) {
        const bench_convolution *c = &l->convolutions[i];

        printf("%-30s %-30s %-16s %-28s %8.2f %8.0f%s\n", c->layer, c->shape, c->direction, c->implementation,
               1e3 * c->seconds, c->gflop / c->seconds, bench_is_slow(c->implementation) ? "  <- slow" : "");
    }
    printf("\nother operations of oneDNN\n");
    for (i = 0; i < l->num_operations; i++) {
        const bench_operation *o = &l->operations[i];

        printf("%-12s %-14s %-16s %s%s\n", o->network, o->layer, o->direction, o->implementation,
               bench_is_slow(o->implementation) ? "  <- slow" : "");
    }
    if (l->num_slow > 0) printf("%d operations fell back to a reference or GEMM implementation\n", l->num_slow);
}

#endif
