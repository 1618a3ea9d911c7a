/** Calls on the parts: networks, losses, states, data, judging. */
#ifndef SSLCV__FUZZ_CALLS_USE_H
#define SSLCV__FUZZ_CALLS_USE_H

#include "calls.h"
#include "streams.h"

/* ---- networks and losses ---- */

static void forward(calls *c)
{
    sslcv_tape *tape = pick(c, TAPE);
    const sslcv_tensor input = pick_tensor(c);
    sslcv_tensor output;
    sslcv_pass pass;
    sslcv_status status;

    MUST(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = (int32_t)take_below(&c->in, 33);
    pass.bn_splits = 1 + (int32_t)take_below(&c->in, 3);
    if (take_below(&c->in, 2)) {
        status = sslcv_backbone_forward(pick(c, BACKBONE), &input, &pass, tape);
    } else {
        status = sslcv_head_forward(pick(c, HEAD), &input, &pass, tape);
    }
    if (!sane(status)) return;
    MUST(sslcv_tape_output(tape, &output));
    REQUIRE(output.ndim >= 1 && output.dtype == SSLCV_F32);
}

static void backward(calls *c)
{
    sslcv_tape *tape = pick(c, TAPE);
    sslcv_tensor diff = pick_tensor(c), input;

    if (take_below(&c->in, 2)) sslcv_tape_output(tape, &diff);
    if (sane(sslcv_tape_backward(tape, &diff))) sane(sslcv_tape_diff_input(tape, &input));
}

static void compute(calls *c)
{
    sslcv_loss *loss = pick(c, LOSS);
    const sslcv_tensor first = pick_tensor(c), second = pick_tensor(c), inputs[2] = {first, second};
    static float diffs[2][VALUES];
    sslcv_tensor diff_inputs[2] = {inputs[0], inputs[1]};
    const uint64_t how = take(&c->in, 1);
    sslcv_loss_call call;

    MUST(sslcv_loss_call_init(&call, sizeof call));
    diff_inputs[0].data = diffs[0];
    diff_inputs[1].data = how & 1 ? diffs[1] : NULL;
    call.inputs = inputs;
    call.diff_inputs = how & 2 ? diff_inputs : NULL;
    call.num_inputs = (int64_t)(how >> 2 & 1) + 1;
    call.ids = how & 8 ? whole : NULL;
    call.labels = how & 16 ? whole : NULL;
    call.step = (int64_t)(how >> 5 & 1);
    call.flags = how & 64 ? 0 : SSLCV_CALL_REMEMBER;
    sane(sslcv_loss_compute(loss, &call));
}

static void tune_loss(calls *c)
{
    static const char *const fields[4] = {"temperature", "nothing", "", NULL};
    sslcv_loss *loss = pick(c, LOSS);
    const char *name;
    double value;

    switch (take_below(&c->in, 3)) {
    case 0: sane(sslcv_loss_set(loss, fields[take_below(&c->in, 4)], values.f32[1])); break;
    case 1: sane(sslcv_loss_begin_epoch(loss, take_below(&c->in, 4) - 1)); break;
    default: sane(sslcv_loss_get_metric(loss, take_below(&c->in, 4), &name, &value)); break;
    }
}

static void optimize(calls *c)
{
    sslcv_optimizer *optimizer = pick(c, OPTIMIZER);

    if (take_below(&c->in, 2)) {
        sane(sslcv_optimizer_step(optimizer, values.f32[0], -1));
    } else {
        sslcv_state *state = pick(c, STATE);
        sane(sslcv_optimizer_add(optimizer, state, (int32_t)take_below(&c->in, 9), NULL));
    }
}

static void freeze(calls *c)
{
    static const char *const prefixes[4] = {"", "0.", "conv1", "x"};

    if (take_below(&c->in, 2)) {
        sslcv_backbone *backbone = pick(c, BACKBONE);
        sane(sslcv_backbone_freeze(backbone, (int32_t)take_below(&c->in, 4)));
    } else {
        sslcv_state *state = pick(c, STATE);
        const char *prefix = prefixes[take_below(&c->in, 4)];
        sane(sslcv_state_freeze(state, prefix, (int32_t)take_below(&c->in, 3)));
    }
}

static void reset_head(calls *c)
{
    sane(sslcv_head_reset(pick(c, HEAD), take(&c->in, 1)));
}

/* ---- states ---- */

static void state_values(calls *c)
{
    sslcv_state *state = pick(c, STATE);
    const int64_t index = take_below(&c->in, 12);
    const int32_t part = (int32_t)take_below(&c->in, 3);
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    sslcv_tensor tensor = {0}, borrowed;
    int64_t bytes, i;

    if (sane(sslcv_state_get(state, index, part, &tensor))) {
        bytes = sslcv_dtype_size(tensor.dtype);
        for (i = 0; i < tensor.ndim; i++) bytes *= tensor.shape[i];
        tensor.data = bytes <= (int64_t)sizeof values ? values.f32 : NULL;
        if (tensor.data && take_below(&c->in, 2)) sane(sslcv_state_set(state, index, part, &tensor));
        sane(sslcv_state_get(state, index, part, &tensor));
    }
    if (sane(sslcv_state_get_entry(state, index, &entry))) REQUIRE(strlen(entry.name) < 256);
    sane(sslcv_state_data(state, index, part, &borrowed));
    entry.name = "added";
    entry.ndim = (int32_t)take_below(&c->in, 3);
    entry.shape[0] = entry.shape[1] = 2;
    entry.dtype = SSLCV_F32;
    entry.role = 1 << take_below(&c->in, 5);
    entry.frozen = 0;
    sane(sslcv_state_add(state, &entry, NULL));
}

static void state_flat(calls *c)
{
    sslcv_state *state = pick(c, STATE);
    const int32_t roles = (int32_t)take_below(&c->in, 17);
    int64_t count = -77;

    if (!sane(sslcv_state_get_flat(state, roles, NULL, 0, &count))) {
        REQUIRE(count == -77);
        return;
    }
    if (count > VALUES) return;
    sane(sslcv_state_set_flat(state, roles, values.f32, count - take_below(&c->in, 2)));
    sane(sslcv_state_get_flat(state, roles, values.f32, VALUES, NULL));
}

static void state_lerp(calls *c)
{
    sslcv_state *target = pick(c, STATE);
    const sslcv_state *from = pick(c, STATE);
    const double momentum = (double)take_below(&c->in, 3) / 2;

    sane(sslcv_state_lerp(target, from, momentum, (int32_t)take_below(&c->in, 17)));
}

/** From one state into another, by a file. */
static void state_file(calls *c)
{
    const sslcv_state *from = pick(c, STATE);
    sslcv_state *to = pick(c, STATE);
    file f = {0};
    sslcv_stream stream = file_stream(&f, 0);
    sslcv_save_options save;
    sslcv_load_options load;

    MUST(sslcv_save_options_init(&save, sizeof save));
    save.stream = &stream;
    save.format = (int32_t)take_below(&c->in, 3);
    if (sane(sslcv_state_save(from, NULL, &save))) {
        stream = file_stream(&f, 0);
        MUST(sslcv_load_options_init(&load, sizeof load));
        load.stream = &stream;
        load.partial = (int32_t)take_below(&c->in, 2);
        sane(sslcv_state_load(to, NULL, &load, NULL));
    }
    file_free(&f);
}

/* ---- data ---- */

static void add_view(calls *c)
{
    sslcv_augmenter *augmenter = pick(c, AUGMENTER);
    sslcv_transform transform;

    switch (take_below(&c->in, 3)) {
    case 0: sane(sslcv_augmenter_add_view(augmenter, take_below(&c->in, 4) - 1, NULL)); break;
    case 1:
        MUST(sslcv_transform_init(&transform, sizeof transform, 1 + (int32_t)take_below(&c->in, 31)));
        transform.height = transform.width = take_below(&c->in, 6);
        sane(sslcv_augmenter_add_transform(augmenter, take_below(&c->in, 4), &transform));
        break;
    default:
        sane(sslcv_augmenter_add_preset(augmenter, take_below(&c->in, 2) ? "eval-cifar" : "simclr-cifar", 4, NULL,
                                        NULL));
        break;
    }
}

static void add_images(calls *c)
{
    sslcv_dataset *dataset = pick(c, DATASET);
    const sslcv_tensor images = pick_tensor(c);

    if (take_below(&c->in, 4)) {
        sane(sslcv_dataset_add_images(dataset, &images, take_below(&c->in, 4) ? whole : NULL, NULL));
    } else {
        sane(sslcv_dataset_add_file(dataset, NULL, "P5 4 4 255\n0123456789abcdef", take_below(&c->in, 28), whole[0], NULL));
    }
}

static void read_sample(calls *c)
{
    sslcv_dataset *dataset = pick(c, DATASET);
    const int64_t index = take_below(&c->in, 9);
    sslcv_sample sample = {.struct_size = sizeof sample};
    sslcv_tensor image = {0};
    int64_t chosen[64], count;
    sslcv_split_options split;

    sane(sslcv_dataset_get_sample(dataset, index, &sample));
    if (sane(sslcv_dataset_read(dataset, index, &image))) {
        image.data = image.shape[0] * image.shape[1] * image.shape[2] <= VALUES ? values.f32 : NULL;
        sane(sslcv_dataset_read(dataset, index, &image));
    }
    MUST(sslcv_split_options_init(&split, sizeof split));
    split.fraction = 0.5;
    sane(sslcv_dataset_split(dataset, &split, chosen, 64, &count));
}

static void next_batch(calls *c)
{
    sslcv_loader *loader = pick(c, LOADER);
    sslcv_batch batch = {.struct_size = sizeof batch};
    const int64_t first = take_below(&c->in, 4), second = take_below(&c->in, 4), views[2] = {first, second};
    sslcv_tensor images;

    if (take_below(&c->in, 8) == 0) {
        const int64_t epoch = take_below(&c->in, 3);
        sane(sslcv_loader_seek(loader, epoch, take_below(&c->in, 4)));
    }
    if (sane(sslcv_loader_next(loader, &batch))) REQUIRE(batch.size >= 1 && batch.index < batch.count);
    sane(sslcv_loader_get_views(loader, views, 1 + take_below(&c->in, 2), &images));
}

/* ---- judging ---- */

static void embed(calls *c)
{
    static const int64_t views[2] = {0, 1};
    sslcv_head *head = pick(c, HEAD);
    sslcv_branch branch;
    const sslcv_branch *branches[1] = {&branch};
    sslcv_embed_options options;
    sslcv_metrics metrics = {.struct_size = sizeof metrics};
    sslcv_tensor features = {0};

    MUST(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = 1 + take_below(&c->in, 2);
    branch.flags = take_below(&c->in, 8) ? 0 : SSLCV_PASS_MAP;
    branch.backbone = take_below(&c->in, 2) ? pick(c, BACKBONE) : NULL;
    branch.heads = &head;
    branch.num_heads = take_below(&c->in, 2);
    MUST(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = pick(c, DATASET);
    options.augmenter = pick(c, AUGMENTER);
    options.branches = branches;
    options.num_branches = 1;
    options.batch_size = 1 + take_below(&c->in, 4);
    if (sane(sslcv_embed(&options, &features, NULL)) && features.shape[0] * features.shape[1] <= VALUES) {
        features.data = values.f32;
        sane(sslcv_embed(&options, &features, whole));
    }
    sane(sslcv_classifier_evaluate(&options, &metrics));
    sane(sslcv_probe_evaluate(pick(c, PROBE), &options, &options, &metrics));
}

static void fit_probe(calls *c)
{
    sslcv_probe *probe = pick(c, PROBE);
    const sslcv_tensor features = pick_tensor(c), queries = pick_tensor(c);
    sslcv_tensor scores = {0};
    sslcv_spread spread = {.struct_size = sizeof spread};
    int64_t nearest[VALUES];
    sslcv_context *context;

    sane(sslcv_probe_fit(probe, &features, whole));
    sane(sslcv_probe_predict(probe, &queries, &scores));
    sane(sslcv_spread_compute(pick(c, CONTEXT), &features, &spread));
    context = pick(c, CONTEXT);
    sane(sslcv_nearest(context, &features, &queries, 1 + take_below(&c->in, 3), nearest, NULL));
}

/** Whatever there is to ask, of any handle. */
static void look_at(calls *c)
{
    sslcv_context_info context = {.struct_size = sizeof context};
    sslcv_backbone_info backbone = {.struct_size = sizeof backbone};
    sslcv_head_info head = {.struct_size = sizeof head};
    sslcv_loss_info loss = {.struct_size = sizeof loss};
    sslcv_dataset_info dataset = {.struct_size = sizeof dataset};
    sslcv_view_info view = {.struct_size = sizeof view};
    sslcv_probe_info probe = {.struct_size = sizeof probe};
    const char *name;
    sslcv_backbone *network;
    sslcv_augmenter *augmenter;

    if (sane(sslcv_context_get_info(pick(c, CONTEXT), &context))) REQUIRE(context.bytes >= 0);
    sane(sslcv_backbone_get_info(pick(c, BACKBONE), &backbone));
    network = pick(c, BACKBONE);
    sane(sslcv_backbone_get_stage(network, take_below(&c->in, 4), &name, NULL));
    sane(sslcv_head_get_info(pick(c, HEAD), &head));
    if (sane(sslcv_loss_get_info(pick(c, LOSS), &loss))) REQUIRE(loss.bytes >= 0);
    sane(sslcv_dataset_get_info(pick(c, DATASET), &dataset));
    augmenter = pick(c, AUGMENTER);
    sane(sslcv_augmenter_get_view(augmenter, take_below(&c->in, 4), &view));
    sane(sslcv_probe_get_info(pick(c, PROBE), &probe));
}

#endif
