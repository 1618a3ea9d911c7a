/**
 * What all losses share. A kind is one file and one block of losses.h: a table of what it is and three functions, and
 * an object that begins with sslcv_loss. loss.c does the rest: it checks a call, brings it into the form of a job,
 * takes memory, and keeps the order
 *
 *     check -> score -> is the value finite? -> differentiate
 *
 * so that a call that fails has written nothing.
 */
#ifndef SSLCV__LOSS_H
#define SSLCV__LOSS_H

#include <sslcv/losses.h>

#include "core/object.h"
#include "nn/variable.h"

enum { SSLCV__LOSS_MAX_INPUTS = 16, SSLCV__LOSS_MAX_NUMBERS = 8, SSLCV__LOSS_MAX_METRICS = 8 };

/** An option that may change during a run: lives in a variable of its name, so that checkpoints have it. */
typedef struct sslcv__loss_number {
    const char *name;
    double low, high;    /* range, both ends included */
    const char *allowed; /* the same as text: "> 0" */
} sslcv__loss_number;

/** One input with all four axes, absent ones 1. */
typedef struct sslcv__loss_input {
    int64_t views, samples, positions, dim;
    const float *data; /* (V, N, P, D) */
    float *diff;       /* likewise, to be filled; NULL: not wanted */
} sslcv__loss_input;

/** One call, checked. */
typedef struct sslcv__loss_job {
    sslcv__loss_input inputs[SSLCV__LOSS_MAX_INPUTS];
    int64_t num_inputs;
    int64_t samples;    /* N of all inputs */
    int32_t wants_diff; /* 1: some input has a diff */
    int32_t reserved;
    const int64_t *labels; /* (N); NULL: none */
    const float *targets;  /* (N, num_targets); NULL: none */
    int64_t num_targets;
    double scale;
    void *memory; /* as many bytes as memory_bytes() said; the same in score and differentiate */
    double value; /* out, of score */
    double metrics[SSLCV__LOSS_MAX_METRICS]; /* likewise */
} sslcv__loss_job;

typedef struct sslcv__loss_kind {
    const char *name;
    const sslcv__loss_number *numbers;
    int64_t num_numbers;
    const char *const *metrics;
    int64_t num_metrics;
    int64_t min_inputs, max_inputs;
    uint64_t gradient_inputs; /* bit i: input i receives a gradient */
    int32_t needs_ids, needs_labels;
    /** Shapes and labels that this kind can take. Inputs may still hold NaN. */
    sslcv_status (*check)(const sslcv_loss *loss, const sslcv__loss_job *job);
    /** Of a checked job. */
    sslcv_status (*memory_bytes)(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes);
    /** Value and metrics, from finite inputs. Writes to the job and its memory only. */
    sslcv_status (*score)(const sslcv_loss *loss, sslcv__loss_job *job);
    /** Fill every diff that is not NULL, times scale. */
    void (*differentiate)(const sslcv_loss *loss, const sslcv__loss_job *job);
} sslcv__loss_kind;

struct sslcv_loss {
    sslcv__object object;
    const sslcv__loss_kind *kind;
    sslcv__variables variables;               /* one f64 for each number */
    double *numbers[SSLCV__LOSS_MAX_NUMBERS]; /* their values, in the order of kind->numbers */
    double metrics[SSLCV__LOSS_MAX_METRICS];  /* of the last call */
    void *memory;                             /* grown to the largest job, kept */
    int64_t memory_bytes;
};

/**
 * Make a loss of a kind; its numbers are 0.
 *
 * @param bytes Of the object that begins with sslcv_loss; zeroed behind that.
 */
sslcv_status sslcv__loss_create(sslcv_context *context, const sslcv__loss_kind *kind, int64_t bytes, void *out);

/** Set a number by its place in kind->numbers; checks its range. */
sslcv_status sslcv__loss_set_number(sslcv_loss *loss, int64_t index, double value);

/**
 * Take the memory that calls of these shapes need, before the first of them.
 *
 * @param inputs num_inputs tensors, of which only shapes are read.
 */
sslcv_status sslcv__loss_reserve(sslcv_loss *loss, const sslcv_tensor *inputs, int64_t num_inputs);

#endif
