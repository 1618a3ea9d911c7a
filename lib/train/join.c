/* What the passes of a link give and take: (V, N, P, D), put together and taken apart. */
#include "train/trainer.h"

#include "core/checked.h"
#include "core/tensor.h"

#include <string.h>

void sslcv__set_axes(sslcv_tensor *tensor, void *data, int64_t v, int64_t n, int64_t p, int64_t d)
{
    const int64_t shape[4] = {v, n, p, d};

    sslcv__tensor_set(tensor, SSLCV_F32, data, 4, shape);
}

int sslcv__gives_map(const sslcv__branch *branch, const sslcv__link *link)
{
    return link->backbone && (branch->flags & SSLCV_PASS_MAP);
}

/* P and D of what a pass gives for so many samples, all its views counted: rows (M, D), maps (M, D, h, w), or the axes
   of a head. */
static void positions_of(const sslcv_tensor *given, int is_map, int64_t samples, int64_t *p, int64_t *d)
{
    *d = is_map ? given->shape[1] : given->shape[given->ndim - 1];
    *p = sslcv__tensor_count(given) / (samples * *d);
}

/* (images, from, to) to (images, to, from): maps keep their pixels together, embeddings their dimensions. */
static void turn(const float *src, float *dst, int64_t images, int64_t from, int64_t to)
{
    int64_t n, i, k;

    for (n = 0; n < images; n++, src += from * to, dst += from * to) {
        for (k = 0; k < to; k++) {
            for (i = 0; i < from; i++) dst[k * from + i] = src[i * to + k];
        }
    }
}

static sslcv_status differ(const sslcv__branch *branch, const sslcv__train_pass *a, const int64_t first[2],
                           const sslcv__train_pass *b, const int64_t second[2])
{
    return sslcv__invalid("view %lld gives %lld positions of %lld values, view %lld %lld of %lld; must be equal in a "
                          "branch",
                          (long long)branch->views[a->members[0]], (long long)first[0], (long long)first[1],
                          (long long)branch->views[b->members[0]], (long long)second[0], (long long)second[1]);
}

sslcv_status sslcv__join(sslcv_trainer *trainer, const sslcv__branch *branch, sslcv__link *link, int64_t samples,
                         sslcv__tape_getter get, sslcv__buffer *joined, sslcv_tensor *out)
{
    const sslcv__train_pass *first = &link->passes[0];
    const int is_map = sslcv__gives_map(branch, link);
    int64_t each, total, pd[2], next[2], i, k;
    sslcv_tensor given;
    sslcv_status status;

    SSLCV__TRY(get(first->tape, &given));
    positions_of(&given, is_map, first->count * samples, &pd[0], &pd[1]);
    link->pixels = is_map ? given.shape[2] * given.shape[3] : 1;
    if (link->num_passes == 1 && !is_map) {
        sslcv__set_axes(out, given.data, branch->num_views, samples, pd[0], pd[1]);
        return SSLCV_OK;
    }
    each = samples * pd[0] * pd[1];
    if (!sslcv__multiply(each, branch->num_views, &total)) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the output of a branch is too large");
    }
    SSLCV__TRY(sslcv__buffer_reserve(trainer->object.context, joined, total));
    for (i = 0; i < link->num_passes; i++) {
        const sslcv__train_pass *pass = &link->passes[i];

        SSLCV__TRY(get(pass->tape, &given));
        positions_of(&given, is_map, pass->count * samples, &next[0], &next[1]);
        if (memcmp(pd, next, sizeof pd) != 0) return differ(branch, first, pd, pass, next);
        for (k = 0; k < pass->count; k++) {
            const float *src = (const float *)given.data + k * each;
            float *dst = joined->data + pass->members[k] * each;

            if (is_map) {
                turn(src, dst, samples * pd[0] / link->pixels, pd[1], link->pixels);
            } else {
                memcpy(dst, src, (size_t)each * sizeof *dst);
            }
        }
    }
    sslcv__set_axes(out, joined->data, branch->num_views, samples, pd[0], pd[1]);
end:
    return status;
}

sslcv_status sslcv__split(sslcv_trainer *trainer, const sslcv__branch *branch, const sslcv__train_pass *pass,
                          sslcv__link *link, const sslcv_tensor *gradient, sslcv_tensor *out)
{
    const int64_t samples = gradient->shape[1], p = gradient->shape[2], d = gradient->shape[3];
    const int64_t each = samples * p * d;
    const float *all = gradient->data;
    const int is_map = sslcv__gives_map(branch, link);
    const int together = pass->members[pass->count - 1] - pass->members[0] == pass->count - 1;
    sslcv_status status;
    int64_t k;

    if (together && !is_map) {
        /* A tensor that is read is never written, though its data is not const. */
        sslcv__set_axes(out, (float *)gradient->data + pass->members[0] * each, pass->count, samples, p, d);
        return SSLCV_OK;
    }
    status = sslcv__buffer_reserve(trainer->object.context, &link->split, pass->count * each);
    if (status != SSLCV_OK) return status;
    for (k = 0; k < pass->count; k++) {
        float *dst = link->split.data + k * each;

        if (is_map) {
            turn(all + pass->members[k] * each, dst, samples * p / link->pixels, link->pixels, d);
        } else {
            memcpy(dst, all + pass->members[k] * each, (size_t)each * sizeof *dst);
        }
    }
    sslcv__set_axes(out, link->split.data, pass->count, samples, p, d);
    return SSLCV_OK;
}
