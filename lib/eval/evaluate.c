/* sslcv_probe_evaluate(): embed, fit, score, judge; sslcv_classifier_evaluate(): embed, judge. */
#include "core/context.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "eval/embed.h"
#include "eval/metrics.h"
#include "eval/probe.h"

#include <string.h>

/* The labelled samples of a data set, ascending. */
typedef struct labelled_set {
    sslcv__features features;
    float *values;    /* (n, d) */
    int64_t *labels;  /* n */
    int64_t *samples; /* n: indices in the data set */
} labelled_set;

static void free_set(sslcv_context *context, labelled_set *set)
{
    sslcv__free(context, set->values);
    sslcv__free(context, set->labels);
    sslcv__free(context, set->samples);
}

/* Close the gaps that samples without a label leave. */
static int64_t keep_labelled(labelled_set *set, int64_t n, int64_t d, int64_t first)
{
    int64_t kept = 0, i;

    for (i = 0; i < n; i++) {
        if (set->labels[i] < 0) continue;
        if (kept != i) memcpy(set->values + kept * d, set->values + i * d, (size_t)d * sizeof *set->values);
        set->labels[kept] = set->labels[i];
        set->samples[kept++] = first + i;
    }
    return kept;
}

static sslcv_status embed_set(sslcv_context *context, const sslcv_embed_options *options, const char *name,
                              labelled_set *set)
{
    sslcv_tensor tensor = {.data = NULL};
    int64_t n, d;
    sslcv_status status;

    SSLCV__TRY(sslcv_embed(options, &tensor, NULL));
    n = tensor.shape[0];
    d = tensor.shape[1];
    SSLCV__TRY(sslcv__alloc_array(context, sslcv__tensor_count(&tensor), sizeof(float), (void **)&set->values));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(int64_t), (void **)&set->labels));
    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof(int64_t), (void **)&set->samples));
    tensor.data = set->values;
    SSLCV__TRY(sslcv_embed(options, &tensor, set->labels));
    set->features = (sslcv__features){name, set->values, keep_labelled(set, n, d, options->first), d};
    if (set->features.n == 0) {
        status = sslcv__fail(SSLCV_ERR_LIMIT, "none of the %lld samples of %s has a label", (long long)n, name);
    }
end:
    return status;
}

static int share_samples(const sslcv_embed_options *a, const sslcv_embed_options *b)
{
    return a->dataset == b->dataset && a->first < b->first + b->count && b->first < a->first + a->count;
}

/* Would both give the same features? */
static int are_equal(const sslcv_embed_options *a, const sslcv_embed_options *b)
{
    return a->dataset == b->dataset && a->augmenter == b->augmenter && a->branches == b->branches &&
           a->num_branches == b->num_branches && a->first == b->first && a->count == b->count && a->seed == b->seed &&
           a->epoch == b->epoch && a->mean_positions == b->mean_positions;
}

/* For each row of test the row of train that is the same sample, -1: none. Both ascend. */
static void match_samples(const labelled_set *train, const labelled_set *test, int64_t *rows)
{
    int64_t at = 0, i;

    for (i = 0; i < test->features.n; i++) {
        while (at < train->features.n && train->samples[at] < test->samples[i]) at++;
        rows[i] = at < train->features.n && train->samples[at] == test->samples[i] ? at : -1;
    }
}

static sslcv_status read_both(const sslcv_probe *probe, const sslcv_embed_options *train,
                              const sslcv_embed_options *test, sslcv_embed_options *train_read,
                              sslcv_embed_options *test_read)
{
    sslcv_context *context;
    sslcv_status status;

    SSLCV__TRY(sslcv__embed_read(train, "train", train_read, &context));
    SSLCV__TRY(sslcv__check_context(train_read->dataset, probe->object.context, "train.dataset"));
    SSLCV__TRY(sslcv__embed_read(test, "test", test_read, &context));
    SSLCV__TRY(sslcv__check_context(test_read->dataset, probe->object.context, "test.dataset"));
    if (probe->options.kind != SSLCV_PROBE_KNN && share_samples(train_read, test_read)) {
        return sslcv__invalid("test has samples of train: %lld and %lld more, and %lld and %lld more, of one data set; "
                              "this probe is judged on others",
                              (long long)train_read->first, (long long)train_read->count - 1,
                              (long long)test_read->first, (long long)test_read->count - 1);
    }
end:
    return status;
}

/* Fit on train, judge on test. shared: some samples are in both. */
static sslcv_status fit_and_judge(sslcv_probe *probe, const labelled_set *train, const labelled_set *test, int shared,
                                  sslcv_metrics *metrics)
{
    sslcv_context *context = probe->object.context;
    const int64_t n = test->features.n;
    int64_t *exclude = NULL; /* n */
    float *values = NULL;    /* (n, classes) */
    sslcv__features scores = {"scores", NULL, n, 0};
    int64_t classes = 0, i;
    sslcv_status status;

    for (i = 0; i < n; i++) {
        if (test->labels[i] >= classes) classes = test->labels[i] + 1;
    }
    SSLCV__TRY(sslcv__probe_fit(probe, &train->features, train->labels, classes));
    if (shared) {
        SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *exclude, (void **)&exclude));
        match_samples(train, test, exclude);
    }
    scores.d = probe->fit.num_classes;
    SSLCV__TRY(sslcv__alloc_array(context, n, scores.d * (int64_t)sizeof *values, (void **)&values));
    SSLCV__TRY(sslcv__probe_score(probe, &test->features, exclude, values));
    scores.data = values;
    SSLCV__TRY(sslcv__metrics_compute(context, &scores, test->labels, metrics, NULL));
end:
    sslcv__free(context, exclude);
    sslcv__free(context, values);
    return status;
}

sslcv_status sslcv_probe_evaluate(sslcv_probe *probe, const sslcv_embed_options *train, const sslcv_embed_options *test,
                                  sslcv_metrics *metrics)
{
    sslcv_metrics full = {.struct_size = sizeof full};
    sslcv_embed_options train_read, test_read;
    labelled_set train_set = {.values = NULL}, test_set = {.values = NULL};
    const labelled_set *judged = &train_set;
    sslcv_context *context;
    sslcv_status status = sslcv__check(probe, SSLCV__PROBE, "probe");

    if (status == SSLCV_OK) status = sslcv__struct_check("metrics", metrics, sizeof full);
    if (status == SSLCV_OK) status = read_both(probe, train, test, &train_read, &test_read);
    if (status != SSLCV_OK) return status;
    context = probe->object.context;
    SSLCV__TRY(embed_set(context, &train_read, "train", &train_set));
    if (!are_equal(&train_read, &test_read)) {
        SSLCV__TRY(embed_set(context, &test_read, "test", &test_set));
        judged = &test_set;
    }
    SSLCV__TRY(fit_and_judge(probe, &train_set, judged, share_samples(&train_read, &test_read), &full));
    SSLCV__TRY(sslcv__struct_fill("metrics", metrics, sizeof full, &full, sizeof full));
end:
    free_set(context, &train_set);
    free_set(context, &test_set);
    return status;
}

sslcv_status sslcv_classifier_evaluate(const sslcv_embed_options *test, sslcv_metrics *metrics)
{
    sslcv_metrics full = {.struct_size = sizeof full};
    sslcv_embed_options read;
    sslcv_context *context = NULL;
    labelled_set set = {.values = NULL};
    sslcv_status status;

    SSLCV__TRY(sslcv__struct_check("metrics", metrics, sizeof full));
    SSLCV__TRY(sslcv__embed_read(test, "test", &read, &context));
    SSLCV__TRY(embed_set(context, &read, "test", &set));
    SSLCV__TRY(sslcv__metrics_compute(context, &set.features, set.labels, &full, NULL));
    SSLCV__TRY(sslcv__struct_fill("metrics", metrics, sizeof full, &full, sizeof full));
end:
    if (context) free_set(context, &set);
    return status;
}
