/**
 * The bank loss in two files: nce_bank.c has options, state and the order of a call, nce_bank_score.c goes over the
 * rows. And for tests: its draws, given or told.
 */
#ifndef SSLCV__NCE_BANK_H
#define SSLCV__NCE_BANK_H

#include "loss/bank.h"
#include "loss/draws.h"
#include "loss/loss.h"

enum { SSLCV__NCE_TEMPERATURE, SSLCV__NCE_BANK_MOMENTUM, SSLCV__NCE_BALANCE, SSLCV__NCE_EPSILON, SSLCV__NCE_NUMBERS };
enum { SSLCV__NCE_TOP1, SSLCV__NCE_MI_BOUND, SSLCV__NCE_Z, SSLCV__NCE_METRICS };
enum { SSLCV__NCE_MAX_TERMS = SSLCV__LOSS_MAX_INPUTS * (SSLCV__LOSS_MAX_INPUTS - 1) };
enum { SSLCV__NCE_CALLS, SSLCV__NCE_SEED }; /* of "draws" */

typedef struct sslcv__nce_term {
    int32_t input, bank;
} sslcv__nce_term;

typedef struct sslcv__nce_bank {
    sslcv_loss        loss;
    sslcv__loss_kind  kind; /* with this loss's number of inputs */
    int64_t           num_samples, num_inputs, num_negatives, dim, num_banks, num_terms, num_z;
    uint64_t          seed;
    int32_t           estimator, unit_init, bank_dtype;
    int32_t           single;                       /* 1: a stream of draws for each term, else one for all */
    sslcv__nce_term   terms[SSLCV__NCE_MAX_TERMS];  /* in the order of "z" */
    int32_t           order[SSLCV__NCE_MAX_TERMS];  /* of a stream that serves all: by bank */
    sslcv__draws      draws;
    const int64_t    *given;                        /* of a test, instead */
    sslcv__bank       banks[SSLCV__LOSS_MAX_INPUTS];
    double           *z;                            /* (num_z), 0: not yet; NCE */
    int64_t          *drawn;                        /* SSLCV__NCE_CALLS, SEED */
} sslcv__nce_bank;

/** One term of one sample while its rows pass. */
typedef struct sslcv__nce_tally {
    double  loss;  /* NCE: of the drawn rows so far */
    double  sum;   /* SOFTMAX: of exp(s - top / t) */
    float   top;   /* largest u . m_j so far */
    float   own;   /* u . m_0 */
    int64_t ahead; /* drawn rows, other than the own one, that score as high as m_0 */
} sslcv__nce_tally;

/** Working memory of a job. */
typedef struct sslcv__nce_work {
    float            *unit[SSLCV__LOSS_MAX_INPUTS]; /* (N, D) */
    float            *diff[SSLCV__LOSS_MAX_INPUTS]; /* with respect to them, then to the inputs */
    double           *norms[SSLCV__LOSS_MAX_INPUTS];
    double           *losses;  /* (terms, N); of a pass for Z: log of the sum of exp(s) */
    int32_t          *first;   /* (N), terms whose m_0 is first */
    double           *z;       /* (num_z), of this call */
    double           *log_z;   /* likewise: log(Z K / n) */
    float            *sums;    /* (parts, terms, stride): weighted rows */
    sslcv__nce_tally *tallies; /* (parts, terms) */
    int64_t           parts;   /* of the batch, at most one for each thread */
    int64_t           stride;  /* D, rounded up */
} sslcv__nce_work;

/** One pass over the rows that a call's samples meet; what stays the same for all of them. */
typedef struct sslcv__nce_pass {
    const sslcv__nce_bank *self;
    const sslcv__loss_job *job;
    const sslcv__nce_work *work;
    uint64_t               key;                /* of the draws */
    double                 inverse_temperature;
    double                 epsilon;            /* epsilon n / K */
    int32_t                finds_z;            /* 1: only sums of exp(s) are wanted */
    int32_t                reserved;
    double                 weights[SSLCV__NCE_MAX_TERMS];
} sslcv__nce_pass;

/** Go over the rows: losses, first and diff (by unit rows) of the working memory. Inside a compute frame; threads. */
void sslcv__nce_bank_pass(const sslcv__nce_pass *pass);

/** Z of this call, as remembered, or found now by a pass. SSLCV_ERR_NUMERIC: no double. */
sslcv_status sslcv__nce_bank_find_z(sslcv__nce_pass *pass);

/** Value and metrics, behind a pass. */
void sslcv__nce_bank_results(const sslcv__nce_pass *pass, sslcv__loss_job *job);

/** Rows of one group of draws. @return How many; 0 behind the last group. */
int64_t sslcv__nce_bank_take(const sslcv__nce_pass *pass, int64_t sample, int64_t stream, int64_t group, int32_t *rows);

/* ---- for tests ---- */

/** Streams of draws: 1 when all terms meet the same rows, else one for each term. */
int64_t sslcv__nce_bank_streams(const sslcv_loss *loss);

/**
 * Rows to meet instead of drawn ones, from the next call on.
 *
 * @param rows (streams, N, num_negatives), borrowed; NULL: draw again.
 */
void sslcv__nce_bank_set_draws(sslcv_loss *loss, const int64_t *rows);

/** The rows that the next call with these ids will draw. @param rows Out: (streams, samples, num_negatives). */
sslcv_status sslcv__nce_bank_get_draws(sslcv_loss *loss, const int64_t *ids, int64_t samples, int64_t *rows);

#endif
