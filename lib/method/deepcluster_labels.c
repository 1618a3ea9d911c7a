/*
 * Labels of an epoch of DeepCluster (Caron et al. 2018; facebookresearch/deepcluster, main.py and clustering.py):
 *
 *     plain view -> backbone -> heads    whitening, unit length    k-means -> labels; the top layer begins anew
 *
 * In evaluation mode, as there. Clusters have no names that last from epoch to epoch, so neither weights nor momentum
 * of the layer that tells them apart may: sslcv_head_reset() draws the ones and drops the other.
 */
#include "method/deepcluster.h"

#include "core/memory.h"

#include <sslcv/probe.h>

enum { PURPOSE_CLUSTERS, PURPOSE_WEIGHTS };

/** What one epoch finds. */
typedef struct labelling {
    int64_t count;         /* samples */
    int64_t *assignments;  /* (count) */
    int64_t *before;       /* (2, count): "trainer.labels", of the last epoch and of the next */
    sslcv_tensor features; /* (count, d) */
    sslcv_tensor reduced;  /* (count, dims) */
    sslcv_tensor centroids;
    double objective, used, nmi;
} labelling;

static void free_labelling(sslcv_context *context, labelling *l)
{
    sslcv__free(context, l->assignments);
    sslcv__free(context, l->before);
    sslcv__free(context, l->features.data);
    sslcv__free(context, l->reduced.data);
    sslcv__free(context, l->centroids.data);
}

/* ---- the run's state ---- */

static sslcv_status read_state(sslcv_trainer *trainer, const char *name, sslcv_tensor *tensor)
{
    sslcv_state *state = NULL;
    int64_t index;
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_get_state(trainer, &state));
    SSLCV__TRY(sslcv_state_find(state, name, &index));
    SSLCV__TRY(sslcv_state_get(state, index, SSLCV_STATE_VALUE, tensor));
end:
    sslcv_state_destroy(state);
    return status;
}

/* The last steps are those of splitmix64, so that seeds that lie side by side lead to streams that do not. */
sslcv_status sslcv__deepcluster_seed(sslcv_trainer *trainer, int64_t epoch, int64_t purpose, uint64_t *seed)
{
    int64_t run;
    uint64_t mixed;
    sslcv_tensor tensor;
    sslcv_status status;

    SSLCV__TRY(sslcv_tensor_init(&tensor, SSLCV_I64, &run, 0, NULL));
    SSLCV__TRY(read_state(trainer, "trainer.seed", &tensor));
    mixed = (uint64_t)run + UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(4 * epoch + purpose + 1);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    mixed ^= mixed >> 31;
    *seed = mixed ? mixed : 1;
end:
    return status;
}

/* ---- features ---- */

static sslcv_status new_rows(sslcv_context *context, int64_t rows, int64_t columns, sslcv_tensor *tensor)
{
    const int64_t shape[2] = {rows, columns};
    void *data = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv_tensor_init(tensor, SSLCV_F32, NULL, 2, shape));
    SSLCV__TRY(sslcv__alloc_array(context, rows, columns * (int64_t)sizeof(float), &data));
    tensor->data = data;
end:
    return status;
}

static sslcv_status embed_branch(const sslcv__clustering *c, const sslcv_branch *branch, labelling *l)
{
    sslcv_embed_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_embed_options_init(&o, sizeof o));
    o.dataset = c->dataset;
    o.augmenter = c->augmenter;
    o.branches = &branch;
    o.num_branches = 1;
    o.batch_size = c->batch_size;
    SSLCV__TRY(sslcv_embed(&o, &l->features, NULL)); /* data is NULL: asks for the shape */
    l->count = l->features.shape[0];
    SSLCV__TRY(new_rows(c->context, l->count, l->features.shape[1], &l->features));
    SSLCV__TRY(sslcv_embed(&o, &l->features, NULL));
end:
    return status;
}

static sslcv_status embed(const sslcv__clustering *c, sslcv_trainer *trainer, labelling *l)
{
    sslcv_head *heads[SSLCV__RECIPE_HEADS] = {NULL};
    sslcv_backbone *backbone = NULL;
    sslcv_branch branch;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    for (i = 0; i < c->num_heads; i++) SSLCV__TRY(sslcv_trainer_get_head(trainer, 0, i, 0, &heads[i]));
    SSLCV__TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &c->view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.heads = heads;
    branch.num_heads = c->num_heads;
    branch.flags = c->flags;
    SSLCV__TRY(embed_branch(c, &branch, l));
end:
    for (i = 0; i < SSLCV__RECIPE_HEADS; i++) sslcv_head_destroy(heads[i]);
    sslcv_backbone_destroy(backbone);
    return status;
}

/*
 * Fewer directions where the features have not so many: units that are 0 for all images have no variance. Where not
 * even one is left all images look the same to the network, and there is nothing to cluster.
 */
static sslcv_status reduce(const sslcv__clustering *c, labelling *l)
{
    int64_t dims = c->dims;
    sslcv_status status;

    if (dims > l->features.shape[1]) dims = l->features.shape[1];
    if (dims > l->count - 1) dims = l->count - 1;
    for (;; dims /= 2) {
        SSLCV__TRY(new_rows(c->context, l->count, dims, &l->reduced));
        status = sslcv_pca_whiten(c->context, &l->features, 1, &l->reduced);
        if (status != SSLCV_ERR_NUMERIC) break;
        if (dims == 1) {
            return sslcv__fail(SSLCV_ERR_NUMERIC,
                               "deepcluster has collapsed: the features of all %lld images are the same",
                               (long long)l->count);
        }
        sslcv__free(c->context, l->reduced.data);
        l->reduced.data = NULL;
    }
    sslcv__free(c->context, l->features.data); /* the largest array: not beside those of k-means */
    l->features.data = NULL;
end:
    return status;
}

/* ---- clusters ---- */

static sslcv_status cluster(const sslcv__clustering *c, sslcv_trainer *trainer, int64_t epoch, labelling *l)
{
    sslcv_kmeans_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_kmeans_options_init(&o, sizeof o));
    o.clusters = c->clusters;
    o.iterations = c->iterations;
    SSLCV__TRY(sslcv__deepcluster_seed(trainer, epoch, PURPOSE_CLUSTERS, &o.seed));
    SSLCV__TRY(new_rows(c->context, c->clusters, l->reduced.shape[1], &l->centroids));
    SSLCV__TRY(sslcv__alloc_array(c->context, l->count, sizeof *l->assignments, (void **)&l->assignments));
    SSLCV__TRY(sslcv_kmeans(c->context, &l->reduced, &o, &l->centroids, l->assignments, &l->objective));
end:
    return status;
}

static sslcv_status count_used(const sslcv__clustering *c, labelling *l)
{
    int64_t *members = NULL, used = 0, i;
    const sslcv_status status = sslcv__alloc_array(c->context, c->clusters, sizeof *members, (void **)&members);

    if (status != SSLCV_OK) return status;
    for (i = 0; i < l->count; i++) used += members[l->assignments[i]]++ == 0;
    l->used = (double)used / (double)c->clusters;
    sslcv__free(c->context, members);
    return SSLCV_OK;
}

/* How many who were together are together again; 0 in the first epoch, which has none before it. */
static sslcv_status compare(const sslcv__clustering *c, sslcv_trainer *trainer, int64_t epoch, labelling *l)
{
    const int64_t shape[2] = {2, l->count};
    sslcv_tensor tensor;
    sslcv_status status = SSLCV_OK;

    if (epoch == 0) return SSLCV_OK;
    SSLCV__TRY(sslcv__alloc_array(c->context, l->count, 2 * (int64_t)sizeof *l->before, (void **)&l->before));
    SSLCV__TRY(sslcv_tensor_init(&tensor, SSLCV_I64, l->before, 2, shape));
    SSLCV__TRY(read_state(trainer, "trainer.labels", &tensor));
    if (l->before[0] < 0) return SSLCV_OK; /* of the data set: the host has taken the clusters away */
    SSLCV__TRY(sslcv_nmi(c->context, l->before, l->assignments, l->count, &l->nmi));
end:
    return status;
}

static sslcv_status reset_top(const sslcv__clustering *c, sslcv_trainer *trainer, int64_t epoch)
{
    sslcv_head *top = NULL;
    uint64_t seed;
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_get_head(trainer, 0, c->top, 0, &top));
    SSLCV__TRY(sslcv__deepcluster_seed(trainer, epoch, PURPOSE_WEIGHTS, &seed));
    SSLCV__TRY(sslcv_head_reset(top, seed));
end:
    sslcv_head_destroy(top);
    return status;
}

static sslcv_status publish(sslcv_trainer *trainer, const labelling *l)
{
    sslcv_status status;

    SSLCV__TRY(sslcv_trainer_set_metric(trainer, "clusters.objective", l->objective));
    SSLCV__TRY(sslcv_trainer_set_metric(trainer, "clusters.used", l->used));
    SSLCV__TRY(sslcv_trainer_set_metric(trainer, "clusters.nmi", l->nmi));
    SSLCV__TRY(sslcv_trainer_set_metric(trainer, "clusters.dims", (double)l->reduced.shape[1]));
end:
    return status;
}

/* Without labels no step is made: those of the last epoch must not serve a top layer that does not know them. */
static sslcv_status take_labels_away(const sslcv__clustering *c, sslcv_trainer *trainer)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    int64_t *none = NULL, i;
    sslcv_status status;

    SSLCV__TRY(sslcv_dataset_get_info(c->dataset, &info));
    SSLCV__TRY(sslcv__alloc_array(c->context, info.count, sizeof *none, (void **)&none));
    for (i = 0; i < info.count; i++) none[i] = -1;
    SSLCV__TRY(sslcv_trainer_set_labels(trainer, none, info.count));
end:
    sslcv__free(c->context, none);
    return status;
}

/* ---- the hook ---- */

static int32_t begin_epoch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    const sslcv__clustering *c = user;
    labelling l = {0};
    sslcv_status status;

    SSLCV__TRY(take_labels_away(c, trainer));
    SSLCV__TRY(embed(c, trainer, &l));
    SSLCV__TRY(reduce(c, &l));
    SSLCV__TRY(cluster(c, trainer, progress->epoch, &l));
    SSLCV__TRY(count_used(c, &l));
    SSLCV__TRY(compare(c, trainer, progress->epoch, &l));
    SSLCV__TRY(reset_top(c, trainer, progress->epoch));
    SSLCV__TRY(publish(trainer, &l));
    SSLCV__TRY(sslcv_trainer_set_labels(trainer, l.assignments, l.count));
end:
    free_labelling(c->context, &l);
    return status != SSLCV_OK;
}

static void destroy(void *user)
{
    sslcv__clustering *c = user;
    sslcv_context *context = c->context;

    sslcv_augmenter_destroy(c->augmenter);
    sslcv_dataset_destroy(c->dataset);
    sslcv__free(context, c);
    sslcv_context_destroy(context);
}

sslcv_status sslcv__deepcluster_watch(sslcv_trainer *trainer, const sslcv__clustering *clustering)
{
    sslcv__clustering *c = NULL;
    sslcv_hook hook;
    sslcv_status status;

    SSLCV__TRY(sslcv_hook_init(&hook, sizeof hook));
    SSLCV__TRY(sslcv__alloc_array(clustering->context, 1, sizeof *c, (void **)&c));
    *c = *clustering;
    sslcv_retain(c->context); /* handles of ours: it cannot fail */
    sslcv_retain(c->dataset);
    sslcv_retain(c->augmenter);
    hook.user = c;
    hook.call = begin_epoch;
    hook.destroy = destroy;
    hook.events = SSLCV_EVENT_EPOCH_BEGIN;
    status = sslcv_trainer_add_hook(trainer, &hook);
    if (status != SSLCV_OK) destroy(c);
end:
    return status;
}
