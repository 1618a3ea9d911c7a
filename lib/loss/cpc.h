/**
 * Inside of CPC's loss: cpc.c is the kind, its parameters and memory, cpc_score.c what a direction costs.
 */
#ifndef SSLCV__LOSS_CPC_H
#define SSLCV__LOSS_CPC_H

#include "loss/loss.h"

enum { SSLCV__CPC_SCORE_SCALE = 0, SSLCV__CPC_NUMBERS }; /* numbers */
enum { SSLCV__CPC_ENCODINGS = 0, SSLCV__CPC_CONTEXTS };  /* inputs */

typedef struct sslcv__cpc {
    sslcv_loss loss;
    sslcv_cpc_options o;    /* context_dim and seed resolved */
    int64_t offsets;        /* how many */
    int64_t width;          /* of queries and keys */
    int64_t predictor;      /* parameters of one, with bias */
    int64_t direction;      /* those of a direction: predictors, then its target projection */
    sslcv__variable *draws; /* i64: calls that remembered; NULL: nothing is drawn */
} sslcv__cpc;

/** A drawn candidate, seen from its key. */
typedef struct sslcv__cpc_link {
    int32_t row;
    float weight; /* dL/ds, times score scale */
} sslcv__cpc_link;

/** Working memory of a job, one block. M: rows of the largest step; K: N * P keys; S: candidates of a row. */
typedef struct sslcv__cpc_memory {
    int32_t *from, *to;     /* (M) places of context and target, rows of the inputs */
    float *contexts;        /* (M, context_dim), gathered; then their gradients */
    float *queries;         /* (M, width) */
    float *diff_queries;    /* (M, width) */
    float *keys;            /* (K, width), with target_dim */
    float *diff_keys;       /* likewise */
    float *diff_encodings;  /* (K, dim) */
    float *diff_contexts;   /* (K, directions * context_dim) */
    float *diff_parameters; /* all, in the order of the variables */
    double *losses;         /* (M) */
    int32_t *firsts;        /* (M) 1: the positive is ranked before all others */
    float *scores;          /* (M, S) drawn; (block, K) else */
    int32_t *drawn;         /* (M, S) places, the positive first */
    int64_t *starts;        /* (K + 1) of a key's links */
    sslcv__cpc_link *links; /* (M, S) */
    int64_t block;          /* rows at a time when nothing is drawn */
} sslcv__cpc_memory;

/** Over all steps. */
typedef struct sslcv__cpc_totals {
    double loss; /* sum of L_k */
    int64_t first, rows;
} sslcv__cpc_totals;

/** Rows of one sample in the step of a direction and an offset. */
int64_t sslcv__cpc_rows(const sslcv__cpc *self, int64_t direction, int64_t offset);

/**
 * The place among the loss's variables of a predictor's weight or, with index = offsets, of the target projection's. A
 * bias is the next one.
 */
int64_t sslcv__cpc_weight(const sslcv__cpc *self, int64_t direction, int64_t index);

/**
 * All steps of a direction: losses, and gradients where job wants them.
 *
 * @param share What a step's mean loss counts in the value.
 * @param work  diff_encodings and diff_contexts are added to.
 * @param sums  Added to.
 */
sslcv_status sslcv__cpc_score(const sslcv__cpc *self, int64_t direction, double share, const sslcv__cpc_memory *work,
                              sslcv__loss_job *job, sslcv__cpc_totals *sums);

#endif
