/**
 * What all losses share. A kind is one file and one block of losses.h: a table of what it is and a few functions, and
 * an object that begins with sslcv_loss. loss.c does the rest: it checks a call, brings it into the form of a job,
 * takes memory, and keeps the order
 *
 *     open -> check -> score -> is the value finite? -> differentiate -> remember
 *      |                 |                                   |              |
 *      |                 writes to the job's memory only     outputs,       queue, bank, Z, centre
 *      once: the kind's state                                gradients
 *
 * so that a call that fails has written nothing: whatever can fail happens in score, and what differentiate and
 * remember need of it waits in the job's memory.
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
    int32_t wants_diff;       /* 1: some input has a diff */
    int32_t wants_parameters; /* 1: so do the loss's own parameters: a kind with has_parameters, a call with diffs */
    int64_t step, epoch;
    const int64_t *ids;    /* (N), >= 0; NULL: not needed */
    const int64_t *labels; /* (N); NULL: none */
    const float *targets;  /* (N, num_targets); NULL: none */
    int64_t num_targets;
    double scale;
    int32_t flags; /* SSLCV_CALL_* */
    int32_t reserved;
    void *memory; /* as many bytes as memory_bytes() said, at a multiple of 64; the same in all functions of a call */
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
    int32_t needs_ids, needs_labels, has_parameters;
    int32_t takes_tensors; /* 1: hosts may add tensors to the loss's state */
    /** Shapes, ids and labels that this kind can take. Inputs may still hold NaN. */
    sslcv_status (*check)(const sslcv_loss *loss, const sslcv__loss_job *job);
    /** Of a checked job; or of one that has shapes alone, before a run. */
    sslcv_status (*memory_bytes)(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes);
    /** Value and metrics, from finite inputs. Writes to the job and its memory only. */
    sslcv_status (*score)(const sslcv_loss *loss, sslcv__loss_job *job);
    /** Fill every diff that is not NULL, and with wants_parameters add to the parameters' gradients, times scale. */
    void (*differentiate)(const sslcv_loss *loss, const sslcv__loss_job *job);

    /* What follows may be NULL. */

    /** What open() will take, beside numbers. */
    sslcv_status (*state_bytes)(const sslcv_loss *loss, int64_t *bytes);
    /** Add the kind's variables and give them their first values; once, before the first use. A failure frees them. */
    sslcv_status (*open)(sslcv_loss *loss);
    /** Once per successful call that remembers, after differentiate. */
    void (*remember)(sslcv_loss *loss, const sslcv__loss_job *job);
    sslcv_status (*begin_epoch)(sslcv_loss *loss, int64_t epoch);
    /** Of what the object holds beside variables and memory. */
    void (*release)(sslcv_loss *loss);
} sslcv__loss_kind;

struct sslcv_loss {
    sslcv__object object;
    const sslcv__loss_kind *kind;
    sslcv__variables variables;               /* one f64 for each number, then the kind's */
    double *numbers[SSLCV__LOSS_MAX_NUMBERS]; /* their values, in the order of kind->numbers */
    double metrics[SSLCV__LOSS_MAX_METRICS];  /* of the last call */
    void *memory;                             /* grown to the largest job, kept */
    int64_t memory_bytes;
    int64_t epoch; /* begun last; -1: none */
    int32_t opened;
    int32_t reserved;
};

/**
 * Make a loss of a kind; its numbers are 0.
 *
 * @param bytes Of the object that begins with sslcv_loss; zeroed behind that.
 */
sslcv_status sslcv__loss_create(sslcv_context *context, const sslcv__loss_kind *kind, int64_t bytes, void *out);

/** Before whatever reads or changes the kind's state: opens it, once. SSLCV_ERR_LIMIT: larger than physical memory. */
sslcv_status sslcv__loss_open(sslcv_loss *loss);

/**
 * Lay out a job's memory: place one array behind the last, at a multiple of 64 bytes.
 *
 * @param base   NULL: only count.
 * @param offset In, out: bytes so far.
 * @param array  Out: address of a pointer, untouched with base NULL.
 * @return 0: too large for int64_t.
 */
int sslcv__loss_place(void *base, int64_t *offset, int64_t count, int64_t size, void *array);

/** sslcv_status of a layout: SSLCV_ERR_LIMIT naming the kind when it did not fit. */
sslcv_status sslcv__loss_placed(const sslcv_loss *loss, const sslcv__loss_job *job, int fits);

/** Rows of an input: views * samples * positions. */
static inline int64_t sslcv__loss_rows(const sslcv__loss_input *input)
{
    return input->views * input->samples * input->positions;
}

/** From now on hosts add no tensors: an optimizer and checkpoints hold those that there are. */
void sslcv__loss_close(sslcv_loss *loss);

/** The pairs of views of sslcv/loss.h: does view v of input 0, which has that many views, meet view w of input 1? */
static inline int sslcv__loss_is_pair(int64_t views, int64_t v, int64_t w)
{
    return views == 1 || v != w;
}

/** How many pairs there are: each view of input 1 meets all views of input 0 but that of its own number. */
static inline int64_t sslcv__loss_count_pairs(int64_t views, int64_t other_views)
{
    return views == 1 ? 1 : (views - 1) * other_views;
}

/** A part of check(): every input has one position. */
sslcv_status sslcv__loss_check_positions(const sslcv_loss *loss, const sslcv__loss_job *job);

/** A part of check(): inputs 0 and 1 can form pairs of views: one position, equal dimensions, W <= V. */
sslcv_status sslcv__loss_check_pairs(const sslcv_loss *loss, const sslcv__loss_job *job);

/** Set a number by its place in kind->numbers; checks its range. */
sslcv_status sslcv__loss_set_number(sslcv_loss *loss, int64_t index, double value);

/**
 * Take the memory that calls of these shapes need, before the first of them.
 *
 * @param inputs num_inputs tensors, of which only shapes are read.
 */
sslcv_status sslcv__loss_reserve(sslcv_loss *loss, const sslcv_tensor *inputs, int64_t num_inputs);

#endif
