/*
 * Labels that take the place of the data set's: those of this epoch, and those of the next, which are the same but
 * between a call in the middle of an epoch and its end. Both are a tensor of the trainer's state, "trainer.labels":
 *
 *     row 0   what the loader hands out, and orders samples by
 *     row 1   what becomes row 0 before an epoch's first batch
 *
 * It is there from the first labels given on, and always where samples are drawn by class, so that such a checkpoint
 * finds its like in a new process. A row that begins with DATASET stands for the labels of the data set.
 */
#include "train/trainer.h"

#include "data/dataset.h"
#include "data/loader.h"

#include <string.h>

enum { DATASET = -2 };

static int64_t *row_of(const sslcv_trainer *trainer, int64_t row)
{
    return (int64_t *)trainer->labels->value + row * trainer->labels->shape[1];
}

static void fill(int64_t *row, const int64_t *labels, int64_t count)
{
    int64_t i;

    for (i = 0; i < count; i++) row[i] = labels ? labels[i] : DATASET;
}

/* count: samples in the data set. */
static sslcv_status make_labels(sslcv_trainer *trainer, int64_t count)
{
    const int64_t shape[2] = {2, count};
    sslcv_status status;

    if (trainer->labels) return SSLCV_OK;
    status =
        sslcv__variables_add(&trainer->own, "labels", SSLCV_I64, SSLCV_ROLE_BUFFER, 2, shape, NULL, &trainer->labels);
    if (status != SSLCV_OK) return status;
    fill(row_of(trainer, 0), NULL, count);
    fill(row_of(trainer, 1), NULL, count);
    return SSLCV_OK;
}

sslcv_status sslcv__trainer_fix_labels(sslcv_trainer *trainer)
{
    const sslcv_trainer_options *o = &trainer->options;

    if (!o->dataset || o->sampler != SSLCV_SAMPLER_BY_CLASS) return SSLCV_OK;
    return make_labels(trainer, sslcv__dataset_count(o->dataset));
}

void sslcv__trainer_give_labels(sslcv_trainer *trainer)
{
    const int64_t *row = trainer->labels ? row_of(trainer, 0) : NULL;

    if (!trainer->loader || !row) return;
    sslcv__loader_set_labels(trainer->loader, row[0] == DATASET ? NULL : row, trainer->labels->shape[1]);
}

void sslcv__trainer_begin_labels(sslcv_trainer *trainer)
{
    size_t bytes;

    if (!trainer->labels) return;
    bytes = (size_t)trainer->labels->shape[1] * sizeof(int64_t);
    if (memcmp(row_of(trainer, 0), row_of(trainer, 1), bytes) == 0) return;
    memcpy(row_of(trainer, 0), row_of(trainer, 1), bytes);
    sslcv__trainer_give_labels(trainer);
}

static sslcv_status check_labels(const sslcv_trainer *trainer, const int64_t *labels, int64_t count)
{
    int64_t samples, i;

    if (!trainer->options.dataset) {
        return sslcv__fail(SSLCV_ERR_STATE, "the trainer has no data set; labels come with its views");
    }
    samples = sslcv__dataset_count(trainer->options.dataset);
    if (labels && count != samples) {
        return sslcv__invalid("count is %lld; must be %lld, the samples of the data set", (long long)count,
                              (long long)samples);
    }
    if (labels && trainer->labels && count != trainer->labels->shape[1]) {
        return sslcv__fail(SSLCV_ERR_STATE, "the data set has grown from %lld to %lld samples since labels were kept",
                           (long long)trainer->labels->shape[1], (long long)count);
    }
    for (i = 0; labels && i < count; i++) {
        if (labels[i] < -1) {
            return sslcv__invalid("labels[%lld] is %lld; must be -1 or more", (long long)i, (long long)labels[i]);
        }
    }
    return SSLCV_OK;
}

sslcv_status sslcv_trainer_set_labels(sslcv_trainer *trainer, const int64_t *labels, int64_t count)
{
    sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");

    if (status != SSLCV_OK) return status;
    status = check_labels(trainer, labels, count);
    if (status != SSLCV_OK || (!labels && !trainer->labels)) return status;
    status = make_labels(trainer, count);
    if (status == SSLCV_OK) fill(row_of(trainer, 1), labels, trainer->labels->shape[1]);
    return status;
}
