/*
 * A method that the library lacks, written outside of it in under 80 lines of code: NNCLR, "With a Little Help from My
 * Friends", Dwibedi et al. 2021.
 *
 *     own_method
 *
 * As in SimCLR a view must find its partner among those of the batch. But what looks for it is not the view's own
 * embedding z but n(z), the nearest to it among the last embeddings of other images: so images that look alike become
 * positives too, beyond what crops and colours can do. Gradients go to the predictions p and through these only:
 *
 *     branch 0: views {0, 1} -> backbone -> projection z
 *     branch 1: branch 0 -> predictor p
 *
 *     L = mean over both orders of views, over N, of
 *         -log( exp(cos(n(z_i), p'_i) / 0.1) / sum over k of exp(cos(n(z_i), p'_k) / 0.1) )     p': of the other view
 *
 * These branches are SimSiam's. A new method is often a new loss with some recipe's branches, and so one replaces the
 * loss; where branches differ too, compose_branches.c shows how they are made. The queue of embeddings is a tensor of
 * the loss's state, and the place in it follows from the step: a checkpoint has all that an exact resume needs.
 */
#include "synthetic.h"

#include <stdio.h>
#include <string.h>

#define TRY(call)                                                                                                      \
    if ((status = (call)) != SSLCV_OK) goto end

enum { BATCH = 32, ROWS = 2 * BATCH, DIM = 64, SLOTS = 8, QUEUE = SLOTS * BATCH }; /* published: 4096, 256, 24 slots */

static sslcv_context *context;

/* Inputs: 0 predictions, 1 projections; both (2, BATCH, 1, DIM). */
static int32_t compute(void *user, sslcv_state *state, sslcv_loss_call *call)
{
    sslcv_loss *info_nce = user;
    sslcv_tensor queue, z = call->inputs[1], inputs[2] = {z, call->inputs[0]}, gradients[2] = {{0}};
    sslcv_loss_call inner = *call;
    float neighbours[ROWS][DIM], (*rows)[DIM];
    int64_t nearest[ROWS];
    sslcv_status status;

    TRY(sslcv_state_data(state, 0, SSLCV_STATE_VALUE, &queue));
    TRY(sslcv_tensor_init(&z, SSLCV_F32, z.data, 2, (const int64_t[]){ROWS, DIM}));
    TRY(sslcv_nearest(context, &queue, &z, 1, nearest, NULL));
    rows = queue.data;
    for (int i = 0; i < ROWS; i++) memcpy(neighbours[i], rows[nearest[i]], sizeof *rows);

    inputs[0].data = neighbours; /* InfoNCE: these are its queries, the predictions its keys */
    inner.inputs = inputs;
    if (call->diff_inputs) gradients[1] = call->diff_inputs[0]; /* none for neighbours */
    if (call->diff_inputs) inner.diff_inputs = gradients;
    TRY(sslcv_loss_compute(info_nce, &inner));
    call->value = inner.value;
    if (call->step % 4 == 0) printf("step %2d: loss %.3f\n", (int)call->step, call->value);
    /* View 0 takes the place of the oldest. */
    if (call->flags & SSLCV_CALL_REMEMBER) memcpy(rows[call->step % SLOTS * BATCH], z.data, BATCH * sizeof *rows);
end:
    return status != SSLCV_OK;
}

static sslcv_status replace_loss(sslcv_trainer *trainer, sslcv_loss **info_nce)
{
    const sslcv_state_entry entry = {sizeof entry, "queue", {QUEUE, DIM}, 2, SSLCV_F32, SSLCV_ROLE_BUFFER, 0};
    sslcv_loss_callbacks callbacks;
    sslcv_loss *loss = NULL;
    sslcv_state *state = NULL;
    sslcv_tensor queue;
    uint64_t random = 1;
    sslcv_status status;

    TRY(sslcv_loss_create_info_nce(context, NULL, info_nce));     /* temperature 0.1 */
    TRY(sslcv_loss_callbacks_init(&callbacks, sizeof callbacks)); /* a gradient for input 0 */
    callbacks.user = *info_nce;
    callbacks.compute = compute;
    callbacks.num_inputs = 2;
    TRY(sslcv_loss_create_custom(context, &callbacks, &loss));
    TRY(sslcv_loss_get_state(loss, &state));
    TRY(sslcv_state_add(state, &entry, NULL));
    TRY(sslcv_state_data(state, 0, SSLCV_STATE_VALUE, &queue));
    for (int i = 0; i < QUEUE * DIM; i++) ((float *)queue.data)[i] = (float)synthetic_random(&random, 2001) - 1000.0f;
    TRY(sslcv_trainer_set_loss(trainer, 0, loss));
end:
    sslcv_state_destroy(state);
    sslcv_loss_destroy(loss); /* the trainer keeps it */
    return status;
}

int main(void)
{
    sslcv_method_options options;
    sslcv_dataset *images = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_loss *info_nce = NULL;
    sslcv_status status;

    TRY(sslcv_context_create(NULL, &context));
    TRY(synthetic_dataset(context, 128, 32, 1, &images));
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = images;
    options.settings = "epochs=6 batch=32 width=0.25 hidden_dim=128 out_dim=64 predictor_dim=128";
    TRY(sslcv_method_create(context, "simsiam", &options, &trainer));
    TRY(replace_loss(trainer, &info_nce));
    TRY(sslcv_trainer_run(trainer, 0));
end:
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    sslcv_trainer_destroy(trainer);
    sslcv_loss_destroy(info_nce);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
