/* Networks and losses of a composition, each once however often it is used, and the handles that the host asks for. */
#include "train/trainer.h"

#include "core/memory.h"
#include "loss/loss.h"
#include "model/backbone.h"
#include "model/head.h"

#include <string.h>

/* ---- collected ---- */

sslcv__part *sslcv__find_part(const sslcv__parts *parts, const void *handle)
{
    int64_t i;

    for (i = 0; i < parts->count; i++) {
        if (parts->items[i].handle == handle) return &parts->items[i];
    }
    return NULL;
}

static sslcv_status add_part(sslcv_context *context, sslcv__parts *parts, void *handle, sslcv__part **part)
{
    sslcv_status status;

    *part = sslcv__find_part(parts, handle);
    if (*part) return SSLCV_OK;
    status = sslcv__grow_array(context, parts->count, parts->count + 1, sizeof **part, (void **)&parts->items);
    if (status != SSLCV_OK) return status;
    *part = &parts->items[parts->count++];
    (*part)->handle = handle;
    return SSLCV_OK;
}

/* What a branch does to its networks or to their copies. */
static sslcv_status add_networks(sslcv_trainer *trainer, const sslcv__branch *branch)
{
    const int trains = branch->used && (branch->flags & SSLCV_PASS_TRAIN);
    sslcv_status status = SSLCV_OK;
    sslcv__part *part;
    int64_t i;

    for (i = 0; i < branch->num_links; i++) {
        const sslcv__link *link = &branch->links[i];

        SSLCV__TRY(add_part(trainer->object.context, link->backbone ? &trainer->backbones : &trainer->heads,
                            link->backbone ? (void *)link->backbone : (void *)link->head, &part));
        if (branch->learns) part->learns = 1;
        if (trains && !branch->momentum) part->trains = 1;
        if (trains && branch->momentum) part->copy_trains = 1;
        if (branch->momentum) part->copied = 1;
    }
end:
    return status;
}

sslcv_status sslcv__trainer_collect_parts(sslcv_trainer *trainer)
{
    sslcv_status status = SSLCV_OK;
    sslcv__part *part;
    int64_t i;

    for (i = 0; i < trainer->num_branches; i++) SSLCV__TRY(add_networks(trainer, &trainer->branches[i]));
    for (i = 0; i < trainer->num_criteria; i++) {
        SSLCV__TRY(add_part(trainer->object.context, &trainer->losses, trainer->criteria[i].loss, &part));
        part->learns = 1;
    }
    for (i = 0; i < trainer->backbones.count; i++) {
        SSLCV__TRY(sslcv_backbone_get_state(trainer->backbones.items[i].handle, &trainer->backbones.items[i].state));
    }
    for (i = 0; i < trainer->heads.count; i++) {
        SSLCV__TRY(sslcv_head_get_state(trainer->heads.items[i].handle, &trainer->heads.items[i].state));
        sslcv__head_close(trainer->heads.items[i].handle);
    }
    for (i = 0; i < trainer->losses.count; i++) {
        SSLCV__TRY(sslcv_loss_get_state(trainer->losses.items[i].handle, &trainer->losses.items[i].state));
        sslcv__loss_close(trainer->losses.items[i].handle);
    }
    status = sslcv__trainer_make_copies(trainer);
end:
    return status;
}

void sslcv__trainer_free_parts(sslcv_trainer *trainer)
{
    sslcv__parts *const all[] = {&trainer->backbones, &trainer->heads, &trainer->losses};
    int64_t i, k;

    for (k = 0; k < 3; k++) {
        for (i = 0; i < all[k]->count; i++) {
            sslcv__release(all[k]->items[i].state);
            sslcv__release(all[k]->items[i].copy_state);
            sslcv__release(all[k]->items[i].copy);
            sslcv__release(all[k]->items[i].kept);
        }
        sslcv__free(trainer->object.context, all[k]->items);
        memset(all[k], 0, sizeof *all[k]);
    }
}

/* ---- for the host ---- */

static sslcv_status find_branch(const sslcv_trainer *trainer, int64_t index, int32_t momentum)
{
    const sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");

    if (status != SSLCV_OK) return status;
    if (momentum != 0 && momentum != 1) return sslcv__invalid("momentum is %d; must be 0 or 1", momentum);
    if (index >= 0 && index < trainer->num_branches) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "branch is %lld; the trainer has %lld branches", (long long)index,
                       (long long)trainer->num_branches);
}

/* The momentum copy of a network, with all that a network has. */
static sslcv_status find_copy(sslcv_trainer *trainer, const sslcv__parts *parts, const void *network, int64_t branch,
                              void **copy)
{
    const sslcv__part *part;
    sslcv_status status;

    SSLCV__TRY(sslcv__trainer_fix(trainer));
    part = sslcv__find_part(parts, network);
    if (!part->copy) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND,
                           "the network of branch %lld has no momentum copy: no branch runs through "
                           "it",
                           (long long)branch);
    }
    SSLCV__TRY(sslcv__copy_complete(part->copy_state));
    *copy = part->copy;
end:
    return status;
}

sslcv_status sslcv_trainer_get_backbone(sslcv_trainer *trainer, int64_t branch, int32_t momentum,
                                        sslcv_backbone **backbone)
{
    sslcv_status status = find_branch(trainer, branch, momentum);
    void *found;

    if (status != SSLCV_OK) return status;
    if (!backbone) return sslcv__null("backbone");
    found = trainer->branches[branch].links[0].backbone;
    if (!found) return sslcv__fail(SSLCV_ERR_NOT_FOUND, "branch %lld has no backbone", (long long)branch);
    if (momentum) status = find_copy(trainer, &trainer->backbones, found, branch, &found);
    if (status != SSLCV_OK) return status;
    sslcv__retain(found);
    *backbone = found;
    return SSLCV_OK;
}

sslcv_status sslcv_trainer_get_head(sslcv_trainer *trainer, int64_t branch, int64_t index, int32_t momentum,
                                    sslcv_head **head)
{
    sslcv_status status = find_branch(trainer, branch, momentum);
    const sslcv__branch *b;
    int64_t first;
    void *found;

    if (status != SSLCV_OK) return status;
    if (!head) return sslcv__null("head");
    b = &trainer->branches[branch];
    first = b->links[0].backbone ? 1 : 0;
    if (index < 0 || index >= b->num_links - first) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "index is %lld; branch %lld has %lld heads", (long long)index,
                           (long long)branch, (long long)(b->num_links - first));
    }
    found = b->links[first + index].head;
    if (momentum) status = find_copy(trainer, &trainer->heads, found, branch, &found);
    if (status != SSLCV_OK) return status;
    sslcv__retain(found);
    *head = found;
    return SSLCV_OK;
}

sslcv_status sslcv_trainer_get_loss(sslcv_trainer *trainer, int64_t index, sslcv_loss **loss)
{
    const sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");

    if (status != SSLCV_OK) return status;
    if (!loss) return sslcv__null("loss");
    if (index < 0 || index >= trainer->num_criteria) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "index is %lld; the trainer has %lld losses", (long long)index,
                           (long long)trainer->num_criteria);
    }
    sslcv__retain(trainer->criteria[index].loss);
    *loss = trainer->criteria[index].loss;
    return SSLCV_OK;
}
