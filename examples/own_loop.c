/*
 * A training loop of the host's own, without the trainer: loader, forward passes, loss, backward passes, optimizer.
 *
 *     own_loop [EPOCHS]
 *
 * Shows the lowest of the three levels. A host takes it when the loop must do something that no trainer foresees. This
 * is SimCLR: two views of each image go through one network and one projection, and InfoNCE pulls them together.
 */
#include "synthetic.h"

#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { BATCH = 32, DIM = 32 };

/** What is trained, and what a step leaves behind. */
typedef struct model {
    sslcv_backbone *backbone;
    sslcv_head *projection;
    sslcv_tape *backbone_tape, *projection_tape;
    sslcv_loss *loss;
    sslcv_optimizer *optimizer;
} model;

static void destroy_model(model *m)
{
    sslcv_optimizer_destroy(m->optimizer);
    sslcv_loss_destroy(m->loss);
    sslcv_tape_destroy(m->projection_tape);
    sslcv_tape_destroy(m->backbone_tape);
    sslcv_head_destroy(m->projection);
    sslcv_backbone_destroy(m->backbone);
}

static sslcv_status make_networks(sslcv_context *context, model *m)
{
    sslcv_backbone_options net;
    sslcv_backbone_info info = {0};
    sslcv_mlp_options mlp;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.25;
    TRY(sslcv_backbone_create(context, &net, &m->backbone));
    info.struct_size = sizeof info;
    TRY(sslcv_backbone_get_info(m->backbone, &info));
    TRY(sslcv_mlp_options_init(&mlp, sizeof mlp));
    mlp.in_dim = info.feature_dim;
    mlp.out_dim = DIM;
    TRY(sslcv_head_create_mlp(context, &mlp, &m->projection));
    TRY(sslcv_tape_create(context, &m->backbone_tape));
    TRY(sslcv_tape_create(context, &m->projection_tape));
end:
    return status;
}

static sslcv_status make_objective(sslcv_context *context, model *m)
{
    sslcv_info_nce_options nce;
    sslcv_optimizer_options sgd;
    sslcv_state *states[2] = {NULL, NULL};
    sslcv_status status;

    TRY(sslcv_info_nce_options_init(&nce, sizeof nce));
    nce.temperature = 0.5;
    TRY(sslcv_loss_create_info_nce(context, &nce, &m->loss));
    TRY(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    sgd.weight_decay = 5e-4;
    TRY(sslcv_optimizer_create(context, &sgd, &m->optimizer));
    TRY(sslcv_backbone_get_state(m->backbone, &states[0]));
    TRY(sslcv_head_get_state(m->projection, &states[1]));
    for (int i = 0; i < 2; i++) TRY(sslcv_optimizer_add(m->optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
end:
    sslcv_state_destroy(states[1]);
    sslcv_state_destroy(states[0]);
    return status;
}

/* images: (2 * batch, 3, H, W), all first views, then all second views. gradient: room for 2 * batch * DIM floats. */
static sslcv_status train_step(model *m, const sslcv_tensor *images, int64_t batch, double rate, float *gradient,
                               double *value)
{
    const int64_t shape[3] = {2, batch, DIM};
    sslcv_tensor features, embeddings, z, diff_z, diff_features;
    sslcv_loss_call call;
    sslcv_status status;

    TRY(sslcv_backbone_forward(m->backbone, images, NULL, m->backbone_tape));
    TRY(sslcv_tape_output(m->backbone_tape, &features)); /* (2 N, D) */
    TRY(sslcv_head_forward(m->projection, &features, NULL, m->projection_tape));
    TRY(sslcv_tape_output(m->projection_tape, &embeddings)); /* (2 N, DIM) */

    TRY(sslcv_tensor_init(&z, SSLCV_F32, embeddings.data, 3, shape)); /* the same memory as (views, samples, DIM) */
    TRY(sslcv_tensor_init(&diff_z, SSLCV_F32, gradient, 3, shape));
    TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &z;
    call.diff_inputs = &diff_z;
    call.num_inputs = 1;
    TRY(sslcv_loss_compute(m->loss, &call));

    TRY(sslcv_tape_backward(m->projection_tape, &diff_z));
    TRY(sslcv_tape_diff_input(m->projection_tape, &diff_features));
    TRY(sslcv_tape_backward(m->backbone_tape, &diff_features));
    TRY(sslcv_optimizer_step(m->optimizer, rate, -1.0));
    *value = call.value;
end:
    return status;
}

static sslcv_status train(model *m, sslcv_loader *loader, int64_t epochs)
{
    static const int64_t both[2] = {0, 1};
    float gradient[2 * BATCH * DIM];
    sslcv_schedule schedule;
    sslcv_batch batch = {0};
    double rate, value;
    sslcv_status status;

    TRY(sslcv_schedule_init(&schedule, sizeof schedule, SSLCV_SCHEDULE_COSINE, 0.06));
    batch.struct_size = sizeof batch;
    for (int64_t step = 0;; step++) {
        sslcv_tensor images;

        TRY(sslcv_loader_next(loader, &batch)); /* without end, so we count */
        if (batch.epoch == epochs) break;
        TRY(sslcv_loader_get_views(loader, both, 2, &images));
        TRY(sslcv_schedule_value(&schedule, step, batch.count, epochs, &rate));
        TRY(train_step(m, &images, batch.size, rate, gradient, &value));
        if (batch.index + 1 == batch.count) {
            printf("epoch %lld: loss %.4f, learning rate %.4f\n", (long long)batch.epoch + 1, value, rate);
        }
    }
end:
    return status;
}

int main(int argc, char **argv)
{
    const long epochs = argc > 1 ? strtol(argv[1], NULL, 10) : 3;
    sslcv_context *context = NULL;
    sslcv_dataset *images = NULL;
    sslcv_augmenter *augmenter = NULL;
    sslcv_loader *loader = NULL;
    sslcv_loader_options load;
    model m = {0};
    sslcv_status status;

    if (epochs < 1) {
        fprintf(stderr, "usage: %s [EPOCHS]\n", argv[0]);
        return 2;
    }
    TRY(sslcv_context_create(NULL, &context));
    TRY(synthetic_dataset(context, 96, 32, 1, &images));
    TRY(sslcv_augmenter_create(context, &augmenter));
    TRY(sslcv_augmenter_add_preset(augmenter, "simclr-cifar", 32, NULL, NULL)); /* views 0 and 1 */
    TRY(sslcv_loader_options_init(&load, sizeof load));
    load.dataset = images;
    load.augmenter = augmenter;
    load.batch_size = BATCH;
    TRY(sslcv_loader_create(context, &load, &loader));
    TRY(make_networks(context, &m));
    TRY(make_objective(context, &m));
    TRY(train(&m, loader, epochs));

end:
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    destroy_model(&m);
    sslcv_loader_destroy(loader);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
