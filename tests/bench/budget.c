/*
 * A training step within a memory budget: the step of step.c, made by the public trainer.
 *
 *     budget [--budget BYTES] [--micro-batch N] [--arch resnet18] [--batch 128] ... [--steps 5] [--serve]
 *
 * Prints what the trainer chose to stay within the budget, what it planned, and what the process really took. Public
 * headers only. Exits with 1 where no plan fits; the message then says what would.
 */
#include "networks.h"
#include "serve.h"

#include <inttypes.h>

typedef struct workload {
    bench_settings net;
    int64_t budget, micro_batch, steps;
    sslcv_context *context;
    sslcv_trainer *trainer;
    sslcv_tensor images[BENCH_NUM_VIEWS];
    sslcv_memory memory;
    int64_t parameters;
} workload;

static void destroy_workload(workload *w)
{
    int i;

    sslcv_trainer_destroy(w->trainer);
    sslcv_context_destroy(w->context);
    for (i = 0; i < BENCH_NUM_VIEWS; i++) free(w->images[i].data);
}

static sslcv_status make_trainer(workload *w, sslcv_optimizer *optimizer)
{
    sslcv_trainer_options options;
    sslcv_schedule rate;
    sslcv_status status;

    TRY(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_CONSTANT, 0.06));
    TRY(sslcv_trainer_options_init(&options, sizeof options));
    options.optimizer = optimizer;
    options.learning_rate = &rate;
    options.batch_size = w->net.batch;
    options.steps_per_epoch = 1000;
    options.memory_budget = w->budget;
    options.micro_batch = w->micro_batch;
    TRY(sslcv_trainer_create(w->context, &options, &w->trainer));
end:
    return status;
}

static sslcv_status compose(workload *w, sslcv_backbone *backbone, sslcv_head *projection, sslcv_loss *loss)
{
    const int64_t views[BENCH_NUM_VIEWS] = {0, 1};
    sslcv_branch branch;
    int64_t index;
    sslcv_status status;

    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = views;
    branch.num_views = BENCH_NUM_VIEWS;
    branch.backbone = backbone;
    branch.heads = &projection;
    branch.num_heads = 1;
    TRY(sslcv_trainer_add_branch(w->trainer, &branch, &index));
    TRY(sslcv_trainer_add_loss(w->trainer, loss, &index, 1, 1.0, NULL));
end:
    return status;
}

static sslcv_status make_workload(workload *w)
{
    sslcv_backbone *backbone = NULL;
    sslcv_head *projection = NULL;
    sslcv_loss *loss = NULL;
    sslcv_optimizer *optimizer = NULL;
    sslcv_state *states[2] = {NULL, NULL};
    sslcv_status status;
    int i;

    TRY(bench_make_context(&w->net, &w->context));
    TRY(bench_make_backbone(&w->net, w->context, &backbone));
    TRY(bench_make_projection(w->context, backbone, &projection));
    TRY(bench_make_objective(w->context, &loss, &optimizer));
    w->parameters = bench_count_parameters(backbone, projection);
    TRY(sslcv_backbone_get_state(backbone, &states[0]));
    TRY(sslcv_head_get_state(projection, &states[1]));
    for (i = 0; i < 2; i++) TRY(sslcv_optimizer_add(optimizer, states[i], SSLCV_ROLE_PARAMETERS, NULL));
    TRY(make_trainer(w, optimizer));
    TRY(compose(w, backbone, projection, loss));
    for (i = 0; i < BENCH_NUM_VIEWS; i++) TRY(bench_make_images(w->net.batch, w->net.size, &w->images[i]));
end:
    sslcv_state_destroy(states[1]);
    sslcv_state_destroy(states[0]);
    sslcv_optimizer_destroy(optimizer);
    sslcv_loss_destroy(loss);
    sslcv_head_destroy(projection);
    sslcv_backbone_destroy(backbone);
    return status;
}

static sslcv_status make_step(void *user)
{
    workload *w = user;
    sslcv_view_batch batch;
    sslcv_status status;

    TRY(sslcv_view_batch_init(&batch, sizeof batch));
    batch.views = w->images;
    batch.num_views = BENCH_NUM_VIEWS;
    status = sslcv_trainer_step_views(w->trainer, &batch, NULL);
end:
    return status;
}

/* What the trainer chose; known once a step has told it the shape of the views. */
static sslcv_status choose(workload *w)
{
    w->memory.struct_size = sizeof w->memory;
    return sslcv_trainer_get_memory(w->trainer, &w->memory);
}

static sslcv_status look(void *user, json_t *out)
{
    workload *w = user;
    sslcv_status status;

    TRY(choose(w));
    json_object_set_new(out, "memory",
                        json_pack("{s:I, s:I, s:I, s:I}", "budget", (json_int_t)w->budget, "planned",
                                  (json_int_t)w->memory.total, "micro_batch", (json_int_t)w->memory.micro_batch,
                                  "recomputed_stages", (json_int_t)w->memory.recomputed_stages));
end:
    return status;
}

static sslcv_status serve(workload *w)
{
    bench_server server = {w, w->context, NULL, make_step, look, NULL};
    sslcv_status status;

    server.about = bench_describe(w->context, "row", BENCH_NUM_VIEWS * w->net.batch);
    if (!server.about) return SSLCV_ERR_OUT_OF_MEMORY;
    json_object_set_new(server.about, "parameters", json_integer(w->parameters));
    json_object_set_new(server.about, "budget", json_integer(w->budget));
    status = bench_serve(&server);
    json_decref(server.about);
    return status;
}

static sslcv_status report(workload *w)
{
    int64_t i;
    sslcv_status status;

    for (i = 0; i < w->steps; i++) {
        const double start = bench_clock();

        TRY(make_step(w));
        printf("step %" PRId64 ": %.4f s\n", i + 1, bench_clock() - start);
    }
    TRY(choose(w));
    printf("budget %.1f MiB (0: none): planned %.1f MiB, %" PRId64 " of %" PRId64 " images a pass, %" PRId64
           " stages computed again\n",
           bench_mib(w->budget), bench_mib(w->memory.total), w->memory.micro_batch, w->net.batch,
           w->memory.recomputed_stages);
    printf("held by the library %.1f MiB, peak of the process %.1f MiB\n", bench_mib(bench_held(w->context)),
           bench_mib(bench_peak()));
end:
    return status;
}

int main(int argc, char **argv)
{
    workload w = {.net = {BENCH_DEFAULTS}, .steps = 5};
    int as_told = 0;
    const bench_option options[] = {
        BENCH_OPTIONS(&w.net, "images a step, two views each; default 128"),
        {"budget", "bytes; default 0: no limit", .integer = &w.budget},
        {"micro-batch", "images a pass; default 0: as the budget asks for", .integer = &w.micro_batch},
        {"steps", "default 5", .integer = &w.steps},
        {"serve", "make steps as told on standard input", .flag = &as_told},
    };
    sslcv_status status;

    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (w.net.batch < 2 || w.net.size < 1 || w.steps < 1 || w.budget < 0 || w.micro_batch < 0) {
        fprintf(stderr, "%s: --batch must be 2 or more, --size and --steps 1 or more\n", argv[0]);
        return 2;
    }
    TRY(make_workload(&w));
    TRY(as_told ? serve(&w) : report(&w));
end:
    destroy_workload(&w);
    return bench_finish(argv[0], status);
}
