/* Memory that runs out in the functions that embed, judge and cluster; and while recipes are made. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

enum { ROWS = 40, DIM = 6, CLASSES = 3 };

static sslcv_tensor features(int seed)
{
    static float values[2][ROWS * DIM];
    const int64_t shape[2] = {ROWS, DIM};
    sslcv_tensor tensor;
    int64_t i;

    golden_input(seed, ROWS * DIM, values[seed]);
    for (i = 0; i < ROWS; i++) values[seed][i * DIM + i % CLASSES] += 1.0f;
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, values[seed], 2, shape));
    return tensor;
}

static const int64_t *labels(void)
{
    static int64_t values[ROWS];
    int i;

    for (i = 0; i < ROWS; i++) values[i] = i % CLASSES;
    return values;
}

static sslcv_tensor result(world *w, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = {rows, columns};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, OUT->floats, 2, shape));
    return tensor;
}

static sslcv_metrics poisoned_metrics(void)
{
    sslcv_metrics m;

    memset(&m, POISON, sizeof m);
    m.struct_size = sizeof m;
    return m;
}

static sslcv_status took_metrics(world *w, sslcv_status status, const sslcv_metrics *m)
{
    const sslcv_metrics before = poisoned_metrics();

    if (status == SSLCV_OK)
        OUT->numbers[0] = m->top1;
    else
        ck_assert_mem_eq(m, &before, sizeof before);
    return status;
}

/* ---- arrays ---- */

static sslcv_status nearest(world *w)
{
    const sslcv_tensor a = features(0), b = features(1);

    return sslcv_nearest(HAVE->context, &a, &b, 3, OUT->integers, OUT->floats);
}

static sslcv_status cluster(world *w, int32_t spherical)
{
    const sslcv_tensor a = features(0);
    sslcv_tensor centroids = result(w, CLASSES, DIM);
    sslcv_kmeans_options o;

    OK(sslcv_kmeans_options_init(&o, sizeof o));
    o.clusters = CLASSES;
    o.seed = 3;
    o.spherical = spherical;
    return sslcv_kmeans(HAVE->context, &a, &o, &centroids, OUT->integers, OUT->numbers);
}

static sslcv_status whiten(world *w)
{
    const sslcv_tensor a = features(0);
    sslcv_tensor reduced = result(w, ROWS, 4);

    return sslcv_pca_whiten(HAVE->context, &a, 1, &reduced);
}

static sslcv_status compare_labels(world *w)
{
    static const int64_t others[ROWS] = {1, 2, 2};

    return sslcv_nmi(HAVE->context, labels(), others, ROWS, OUT->numbers);
}

static sslcv_status spread(world *w)
{
    const sslcv_tensor a = features(0);
    sslcv_spread s, before;
    sslcv_status status;

    memset(&s, POISON, sizeof s);
    s.struct_size = sizeof s;
    memcpy(&before, &s, sizeof s);
    status = sslcv_spread_compute(HAVE->context, &a, &s);
    if (status == SSLCV_OK)
        OUT->numbers[0] = s.effective_rank;
    else
        ck_assert_mem_eq(&s, &before, sizeof s);
    return status;
}

static sslcv_status judge(world *w)
{
    sslcv_metrics m = poisoned_metrics();
    const sslcv_tensor a = features(0);

    return took_metrics(w, sslcv_metrics_compute(HAVE->context, &a, labels(), &m, OUT->integers), &m);
}

static sslcv_status figure(world *w, int32_t kind)
{
    static float targets[ROWS * DIM];
    const int64_t shape[2] = {ROWS, DIM};
    const sslcv_tensor a = features(0);
    const int by_targets = kind >= SSLCV_FIGURE_AP_11;
    sslcv_figure_options o;
    sslcv_figure_value v, before;
    sslcv_tensor t;
    sslcv_status status;
    int i;

    for (i = 0; i < ROWS * DIM; i++) targets[i] = (float)(i % 5 == 0);
    OK(sslcv_tensor_init(&t, SSLCV_F32, targets, 2, shape));
    OK(sslcv_figure_options_init(&o, sizeof o, kind));
    o.draws = 20;
    memset(&v, POISON, sizeof v);
    v.struct_size = sizeof v;
    memcpy(&before, &v, sizeof v);
    status = sslcv_figure_compute(HAVE->context, &a, by_targets ? NULL : labels(), by_targets ? &t : NULL, &o, &v,
                                  OUT->numbers);
    if (status == SSLCV_OK)
        OUT->numbers[32] = v.low;
    else
        ck_assert_mem_eq(&v, &before, sizeof v);
    return status;
}

CALL(cluster_euclidean, cluster(w, 0))
CALL(cluster_spherical, cluster(w, 1))
CALL(share_found, figure(w, SSLCV_FIGURE_MEAN_PER_CLASS))
CALL(precision, figure(w, SSLCV_FIGURE_AP_AREA))

/* ---- embedding ---- */

static sslcv_status embed_options(world *w, sslcv_embed_options *o)
{
    static const int64_t view[] = {2};
    static sslcv_branch branch;
    static const sslcv_branch *list[] = {&branch};

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = view;
    branch.num_views = 1;
    branch.backbone = HAVE->backbone;
    branch.heads = &HAVE->head;
    branch.num_heads = 1;
    branch.flags = 0;
    OK(sslcv_embed_options_init(o, sizeof *o));
    o->dataset = HAVE->dataset;
    o->augmenter = HAVE->augmenter;
    o->branches = list;
    o->num_branches = 1;
    o->batch_size = OOM_BATCH;
    return SSLCV_OK;
}

static void have_network(world *w)
{
    have_dataset(w);
    have_augmenter(w);
    have_backbone(w);
    have_head(w);
}

static sslcv_status embed(world *w)
{
    sslcv_tensor rows = result(w, OOM_SAMPLES, 4);
    sslcv_embed_options o;

    OK(embed_options(w, &o));
    return sslcv_embed(&o, &rows, OUT->integers);
}

static sslcv_status embed_to_file(world *w)
{
    sslcv_embed_options o;

    OK(embed_options(w, &o));
    return sslcv_embed_to_file(&o, in_folder("rows.npy"), in_folder("labels.npy"));
}

static sslcv_status judge_classifier(world *w)
{
    sslcv_metrics m = poisoned_metrics();
    sslcv_embed_options o;

    OK(embed_options(w, &o));
    return took_metrics(w, sslcv_classifier_evaluate(&o, &m), &m);
}

/* ---- probes ---- */

static sslcv_status create_probe(world *w, int32_t kind, sslcv_probe **probe)
{
    sslcv_probe_options o;

    OK(sslcv_probe_options_init(&o, sizeof o, kind));
    if (kind == SSLCV_PROBE_KNN) o.neighbors = 3;
    if (kind == SSLCV_PROBE_LINEAR) o.epochs = 3, o.batch_size = 8;
    if (kind == SSLCV_PROBE_LOGISTIC) o.c_count = 3;
    if (kind != SSLCV_PROBE_KNN) o.seed = 4, o.standardize = SSLCV_STANDARDIZE_SPREAD;
    return sslcv_probe_create(HAVE->context, &o, probe);
}

static sslcv_status fit(world *w)
{
    const sslcv_tensor a = features(0);

    return sslcv_probe_fit(HAVE->probe, &a, labels());
}

static sslcv_status fit_rows(world *w)
{
    static float targets[ROWS * 2];
    static const int64_t validation[] = {1, 5, 6, 11, 12, 30, 33};
    const int64_t shape[2] = {ROWS, 2};
    const sslcv_tensor a = features(0);
    sslcv_tensor t;
    int i;

    for (i = 0; i < ROWS * 2; i++) targets[i] = (float)(i % 3 == 0);
    OK(sslcv_tensor_init(&t, SSLCV_F32, targets, 2, shape));
    return sslcv_probe_fit_rows(HAVE->probe, &a, NULL, &t, validation, 7);
}

static sslcv_status predict(world *w)
{
    const sslcv_tensor a = features(1);
    sslcv_tensor scores = result(w, ROWS, CLASSES);

    return sslcv_probe_predict(HAVE->probe, &a, &scores);
}

/* What it then predicts is the result; that is no part of the call, so nothing fails there. */
static sslcv_status fit_and_predict(world *w)
{
    const sslcv_status status = fit(w);
    const long long calls = w->memory.calls;

    w->memory.fail_at = -1;
    if (status == SSLCV_OK) OK(predict(w));
    w->memory.calls = calls;
    return status;
}

static sslcv_status evaluate(world *w)
{
    sslcv_metrics m = poisoned_metrics();
    sslcv_embed_options train, test;

    OK(embed_options(w, &train));
    test = train;
    train.count = 8;
    test.first = 8;
    return took_metrics(w, sslcv_probe_evaluate(HAVE->probe, &train, &test, &m), &m);
}

static sslcv_status describe_probe(world *w)
{
    sslcv_probe_info info = {.struct_size = sizeof info};

    return sslcv_probe_get_info(HAVE->probe, &info);
}

#define PROBE(name, kind)                                                                                              \
    CALL(create_##name, create_probe(w, kind, &OUT->made.probe))                                                       \
    static void have_##name(world *w)                                                                                  \
    {                                                                                                                  \
        OK(create_probe(w, kind, &HAVE->probe));                                                                       \
    }                                                                                                                  \
    static void have_fitted_##name(world *w)                                                                           \
    {                                                                                                                  \
        have_##name(w);                                                                                                \
        OK(fit(w));                                                                                                    \
    }
PROBE(knn, SSLCV_PROBE_KNN)
PROBE(linear, SSLCV_PROBE_LINEAR)
PROBE(logistic, SSLCV_PROBE_LOGISTIC)

static void have_knn_and_network(world *w)
{
    have_knn(w);
    have_network(w);
}

static void have_linear_and_network(world *w)
{
    have_linear(w);
    have_network(w);
}

static const scenario scenarios[] = {
    {"sslcv_nearest", NULL, nearest, 0, 0},
    {"sslcv_kmeans", NULL, cluster_euclidean, 0, 0},
    {"sslcv_kmeans", NULL, cluster_spherical, 0, 0},
    {"sslcv_pca_whiten", NULL, whiten, 0, 0},
    {"sslcv_nmi", NULL, compare_labels, 0, 0},
    {"sslcv_spread_compute", NULL, spread, 0, 0},
    {"sslcv_metrics_compute", NULL, judge, 0, 0},
    {"sslcv_figure_compute", NULL, share_found, 0, 0},
    {"sslcv_figure_compute", NULL, precision, 0, 0},
    {"sslcv_embed", have_network, embed, WRITES_EARLY, 100},
    {"sslcv_embed_to_file", have_network, embed_to_file, 0, 60},
    {"sslcv_classifier_evaluate", have_network, judge_classifier, 0, 60},
    {"sslcv_probe_create", NULL, create_knn, 0, 0},
    {"sslcv_probe_create", NULL, create_linear, 0, 0},
    {"sslcv_probe_create", NULL, create_logistic, 0, 0},
    {"sslcv_probe_fit", have_knn, fit_and_predict, 0, 0},
    {"sslcv_probe_fit", have_linear, fit_and_predict, 0, 0},
    {"sslcv_probe_fit", have_fitted_linear, fit_and_predict, 0, 0},
    {"sslcv_probe_fit", have_logistic, fit_and_predict, 0, 100},
    {"sslcv_probe_fit_rows", have_logistic, fit_rows, 0, 100},
    {"sslcv_probe_predict", have_fitted_knn, predict, 0, 0},
    {"sslcv_probe_predict", have_fitted_linear, predict, 0, 0},
    {"sslcv_probe_predict", have_fitted_logistic, predict, 0, 0},
    {"sslcv_probe_get_info", have_fitted_logistic, describe_probe, ALLOCATES_NOTHING, 0},
    {"sslcv_probe_evaluate", have_knn_and_network, evaluate, 0, 60},
    {"sslcv_probe_evaluate", have_linear_and_network, evaluate, 0, 60},
};

SCENARIO_SUITE("out_of_memory_eval")
