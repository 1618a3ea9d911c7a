/*
 * With p(x, y) the share of samples that have x in one labelling and y in the other:
 *
 *     I = sum p(x, y) log( p(x, y) / (p(x) p(y)) ) = H(x) + H(y) - H(x, y),    H = -sum p log p
 *
 * The pairs are sorted, so that equal ones stand together, whatever numbers the labels are.
 */
#include "cluster/nmi.h"

#include "core/memory.h"

#include <math.h>
#include <stdlib.h>

typedef struct pair {
    int64_t x, y;
} pair;

static int compare(const void *left, const void *right)
{
    const pair *a = left, *b = right;

    if (a->x != b->x) return a->x < b->x ? -1 : 1;
    return (a->y > b->y) - (a->y < b->y);
}

/* n H + constant: log n enters once in the end. */
static double part(int64_t count)
{
    return count > 0 ? (double)count * log((double)count) : 0.0;
}

/* Of runs of equal x and of equal pairs: sum of count log count. Sorts. */
static void add_runs(pair *pairs, int64_t n, double *of_x, double *of_pairs)
{
    int64_t x_run = 0, run = 0, i;

    qsort(pairs, (size_t)n, sizeof *pairs, compare);
    *of_x = *of_pairs = 0.0;
    for (i = 0; i < n; i++) {
        const int same_x = i > 0 && pairs[i].x == pairs[i - 1].x, same = same_x && pairs[i].y == pairs[i - 1].y;

        if (!same_x) {
            *of_x += part(x_run);
            x_run = 0;
        }
        if (!same) {
            *of_pairs += part(run);
            run = 0;
        }
        x_run++;
        run++;
    }
    *of_x += part(x_run);
    *of_pairs += part(run);
}

static void turn_round(pair *pairs, int64_t n)
{
    int64_t i;

    for (i = 0; i < n; i++) pairs[i] = (pair){pairs[i].y, pairs[i].x};
}

sslcv_status sslcv__nmi(sslcv_context *context, const int64_t *a, const int64_t *b, int64_t n, double *value)
{
    pair *pairs = NULL;
    double of_x, of_y, of_pairs, total, entropies, mutual;
    int64_t count = 0, i;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, n, sizeof *pairs, (void **)&pairs));
    for (i = 0; i < n; i++) {
        if (a[i] >= 0 && b[i] >= 0) pairs[count++] = (pair){a[i], b[i]};
    }
    *value = NAN;
    if (count == 0) goto end;
    add_runs(pairs, count, &of_x, &of_pairs);
    turn_round(pairs, count);
    add_runs(pairs, count, &of_y, &of_pairs);
    /* n H = n log n - sum of count log count */
    total = part(count);
    entropies = (total - of_x) + (total - of_y);
    mutual = total - of_x - of_y + of_pairs;
    *value = entropies <= 0.0 ? 1.0 : fmin(1.0, fmax(0.0, 2.0 * mutual / entropies));
end:
    sslcv__free(context, pairs);
    return status;
}
