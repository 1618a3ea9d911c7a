/** The two DeepClusters: what is done before an epoch, as hooks made of public calls. */
#ifndef SSLCV__DEEPCLUSTER_H
#define SSLCV__DEEPCLUSTER_H

#include "method/method.h"

/** How "deepcluster" finds its labels. */
typedef struct sslcv__clustering {
    sslcv_context *context; /* the hook keeps references of these three */
    sslcv_dataset *dataset;
    sslcv_augmenter *augmenter;
    int64_t view; /* that is embedded */
    int64_t batch_size;
    int64_t num_heads; /* of branch 0, those in front of what is clustered */
    int64_t top;       /* of branch 0, the head that begins anew */
    int64_t clusters, dims, iterations;
    int32_t flags; /* of the embedding branch: 0 or SSLCV_PASS_MAP */
    int32_t reserved;
} sslcv__clustering;

/**
 * Before each epoch: embed the data set, whiten, cluster, make the clusters the epoch's labels, and give the top layer
 * new weights. Publishes "clusters.objective", "clusters.used", "clusters.nmi" and "clusters.dims". What it draws
 * depends on the run's seed and the epoch alone, and what it compares with is in the checkpoint, so a run that resumes
 * goes on bit for bit. Where it fails the epoch has no labels, and its steps are refused.
 */
sslcv_status sslcv__deepcluster_watch(sslcv_trainer *trainer, const sslcv__clustering *clustering);

/** Not 0: of the run's seed, as its checkpoint has it, the epoch, and a purpose. */
sslcv_status sslcv__deepcluster_seed(sslcv_trainer *trainer, int64_t epoch, int64_t purpose, uint64_t *seed);

#endif
