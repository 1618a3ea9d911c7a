#include "eval/metrics.h"

#include "core/memory.h"
#include "core/object.h"
#include "core/options.h"

#include <math.h>

sslcv_status sslcv__scores_check(const sslcv__features *scores, const int64_t *labels, int64_t *count)
{
    const int64_t classes = scores->d;
    int64_t i, c;

    *count = 0;
    for (i = 0; i < scores->n; i++) {
        if (labels[i] < -1 || labels[i] >= classes) {
            return sslcv__invalid("labels[%lld] is %lld; must be -1 .. %lld, as scores has %lld classes", (long long)i,
                                  (long long)labels[i], (long long)classes - 1, (long long)classes);
        }
        if (labels[i] < 0) continue;
        for (c = 0; c < classes; c++) {
            if (isnan(scores->data[i * classes + c])) {
                return sslcv__fail(SSLCV_ERR_NUMERIC, "%s[%lld][%lld] is NaN", scores->name, (long long)i,
                                   (long long)c);
            }
        }
        (*count)++;
    }
    if (*count == 0) return sslcv__invalid("labels has no entry other than -1 among %lld", (long long)scores->n);
    return SSLCV_OK;
}

int64_t sslcv__scores_rank(const float *scores, int64_t classes, int64_t label)
{
    int64_t rank = 0, c;

    for (c = 0; c < classes; c++) rank += scores[c] > scores[label] || (scores[c] == scores[label] && c < label);
    return rank;
}

static int64_t best_of(const float *scores, int64_t classes)
{
    int64_t best = 0, c;

    for (c = 1; c < classes; c++) {
        if (scores[c] > scores[best]) best = c;
    }
    return best;
}

/*
 * The percentile bootstrap draws test sets of n rows with replacement and takes the 2.5 % and 97.5 % quantiles of their
 * accuracies. For a mean of zeros and ones the number of hits in such a set is binomial (n, hits / n), so the limit of
 * infinitely many draws is known: its quantiles. The probabilities follow from the largest one, at hits, by
 *
 *     P(k + 1) / P(k) = (n - k) / (k + 1) * hits / (n - hits)
 */
static void bootstrap(int64_t hits, int64_t n, double *low, double *high)
{
    const double odds = (double)hits / (double)(n - hits), negligible = 1e-20;
    double weight = 1, total = 1, sum;
    int64_t first = hits, k;

    *low = *high = (double)hits / (double)n;
    if (hits == 0 || hits == n) return;
    for (k = hits; k < n && weight > negligible; k++) {
        weight *= (double)(n - k) / (double)(k + 1) * odds;
        total += weight;
    }
    for (weight = 1; first > 0 && weight > negligible; first--) {
        weight *= (double)first / (double)(n - first + 1) / odds;
        total += weight;
    }
    for (sum = weight, k = first; sum < 0.025 * total; sum += weight, k++) {
        weight *= (double)(n - k) / (double)(k + 1) * odds;
    }
    *low = (double)k / (double)n;
    for (; sum < 0.975 * total; sum += weight, k++) weight *= (double)(n - k) / (double)(k + 1) * odds;
    *high = (double)k / (double)n;
}

/* Mean over the classes that occur. counts: (2, classes) = rows, hits. */
static double mean_recall(const int64_t *counts, int64_t classes)
{
    int64_t present = 0, c;
    double sum = 0;

    for (c = 0; c < classes; c++) {
        if (counts[c] == 0) continue;
        sum += (double)counts[classes + c] / (double)counts[c];
        present++;
    }
    return sum / (double)present;
}

sslcv_status sslcv__metrics_compute(sslcv_context *context, const sslcv__features *scores, const int64_t *labels,
                                    sslcv_metrics *metrics, int64_t *confusion)
{
    const int64_t classes = scores->d;
    int64_t *counts = NULL; /* (2, classes): rows, hits */
    int64_t count, hits = 0, hits5 = 0, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__scores_check(scores, labels, &count));
    SSLCV__TRY(sslcv__alloc_array(context, 2 * classes, sizeof *counts, (void **)&counts));
    for (i = 0; confusion && i < classes * classes; i++) confusion[i] = 0;
    for (i = 0; i < scores->n; i++) {
        const float *row = scores->data + i * classes;
        int64_t rank;

        if (labels[i] < 0) continue;
        rank = sslcv__scores_rank(row, classes, labels[i]);
        hits += rank == 0;
        hits5 += rank < 5;
        counts[labels[i]]++;
        counts[classes + labels[i]] += rank == 0;
        if (confusion) confusion[labels[i] * classes + best_of(row, classes)]++;
    }
    metrics->count = count;
    metrics->num_classes = classes;
    metrics->top1 = (double)hits / (double)count;
    metrics->top5 = (double)hits5 / (double)count;
    metrics->mean_per_class = mean_recall(counts, classes);
    bootstrap(hits, count, &metrics->top1_low, &metrics->top1_high);
end:
    sslcv__free(context, counts);
    return status;
}

sslcv_status sslcv_metrics_compute(sslcv_context *context, const sslcv_tensor *scores, const int64_t *labels,
                                   sslcv_metrics *metrics, int64_t *confusion)
{
    sslcv_metrics full = {.struct_size = sizeof full};
    sslcv__features read;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    SSLCV__TRY(sslcv__features_read(scores, "scores", &read));
    if (!labels) return sslcv__null("labels");
    SSLCV__TRY(sslcv__struct_check("metrics", metrics, sizeof full));
    SSLCV__TRY(sslcv__metrics_compute(context, &read, labels, &full, confusion));
    SSLCV__TRY(sslcv__struct_fill("metrics", metrics, sizeof full, &full, sizeof full));
end:
    return status;
}
