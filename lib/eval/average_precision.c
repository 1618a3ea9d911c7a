#include "eval/figures.h"

enum { LAST_THRESHOLD = 10 };

/*
 * From the last rank to the first, so that the largest precision from here on is known. Going there, recall falls: a
 * threshold above it has met all ranks that reach it, and takes what is largest so far.
 */
double sslcv__average_precision(const unsigned char *hits, const int32_t *order, const int32_t *weights, int64_t n,
                                double positives, int32_t figure)
{
    double found = 0, ranks = 0, best = 0, eleven = 0, area = 0;
    int threshold = LAST_THRESHOLD;
    int64_t i;

    for (i = 0; i < n; i++) {
        const int32_t weight = weights ? weights[order[i]] : 1;

        ranks += weight;
        found += hits[i] ? weight : 0;
    }
    for (i = n - 1; i >= 0; i--) {
        const int32_t weight = weights ? weights[order[i]] : 1;

        if (hits[i] && weight > 0) {
            for (; threshold >= 0 && threshold * 0.1 > found / positives; threshold--) eleven += best;
            best = found / ranks > best ? found / ranks : best;
            area += weight / positives * best;
            found -= weight;
        }
        ranks -= weight;
    }
    eleven += (threshold + 1) * best;
    return figure == SSLCV_FIGURE_AP_11 ? eleven / (LAST_THRESHOLD + 1) : area;
}
