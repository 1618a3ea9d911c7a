/** The cluster loss in two files: cluster.c has options, state and clustering, cluster_score.c a call. */
#ifndef SSLCV__CLUSTER_H
#define SSLCV__CLUSTER_H

#include "loss/loss.h"

enum { SSLCV__CLUSTER_TEMPERATURE };
enum {
    SSLCV__CLUSTER_TOP1,
    SSLCV__CLUSTER_OBJECTIVE, /* from here on: of the last clustering, as in its figures */
    SSLCV__CLUSTER_USED,
    SSLCV__CLUSTER_NMI,
    SSLCV__CLUSTER_METRICS,
    SSLCV__CLUSTER_FIGURES = SSLCV__CLUSTER_METRICS - SSLCV__CLUSTER_OBJECTIVE
};

typedef struct sslcv__cluster {
    sslcv_loss            loss;
    sslcv_cluster_options options;
    int64_t              *seed;       /* of the run */
    double               *figures;    /* (SSLCV__CLUSTER_FIGURES) of the last clustering */
    float               **memory;     /* (memory_views) of (num_samples, dim); a row of zeros: none yet */
    float               **prototypes; /* (num_sets) of (K, dim) */
    int64_t             **labels;     /* (num_sets) of (num_samples), -1: none */
} sslcv__cluster;

/* Functions of the kind: loss.h. */
sslcv_status sslcv__cluster_check(const sslcv_loss *loss, const sslcv__loss_job *job);
sslcv_status sslcv__cluster_memory_bytes(const sslcv_loss *loss, const sslcv__loss_job *job, int64_t *bytes);
sslcv_status sslcv__cluster_score(const sslcv_loss *loss, sslcv__loss_job *job);
void         sslcv__cluster_differentiate(const sslcv_loss *loss, const sslcv__loss_job *job);
void         sslcv__cluster_remember(sslcv_loss *loss, const sslcv__loss_job *job);

#endif
