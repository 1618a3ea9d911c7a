/*
 * A host that forks: before and after the library has computed, with and without exec. Each child has a time limit, so
 * that one that hangs is told apart from one that fails.
 *
 *     fork
 */
#define _POSIX_C_SOURCE 200809L
#include "../../examples/synthetic.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PICTURES = 16, SIZE = 16, ROWS = 12, DIM = 8, SECONDS = 30 };

/** Things made before the fork; all calls that compute are tried with them. */
typedef struct things {
    sslcv_context *context;
    sslcv_dataset *pictures;
    sslcv_augmenter *views;
    sslcv_trainer *trainer;
    sslcv_backbone *backbone;
    sslcv_tape *tape;
    sslcv_loss *info_nce, *swapped;
    sslcv_probe *probe;
    sslcv_loader *loader;
} things;

static int failures;

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) return status;                                                              \
    } while (0)

static sslcv_tensor tensor_of(void *data, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = {rows, columns};
    sslcv_tensor tensor = {0};

    sslcv_tensor_init(&tensor, SSLCV_F32, data, 2, shape);
    return tensor;
}

static float numbers[2 * ROWS * DIM];
static int64_t classes[ROWS];

static void make_numbers(void)
{
    int i;

    for (i = 0; i < 2 * ROWS * DIM; i++) numbers[i] = (float)((i * 7919) % 101) / 101 - 0.5f;
    for (i = 0; i < ROWS; i++) classes[i] = i % 3;
}

/* ---- calls ---- */

static sslcv_status step(things *t)
{
    sslcv_progress progress = {.struct_size = sizeof progress};

    return sslcv_trainer_step(t->trainer, &progress);
}

static sslcv_status run(things *t)
{
    return sslcv_trainer_run(t->trainer, 1);
}

static sslcv_status forward(things *t)
{
    static float pixels[2 * 3 * SIZE * SIZE];
    const int64_t shape[4] = {2, 3, SIZE, SIZE};
    sslcv_tensor images;
    sslcv_pass pass;
    sslcv_status status;

    TRY(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    TRY(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = SSLCV_PASS_GRADIENT;
    return sslcv_backbone_forward(t->backbone, &images, &pass, t->tape);
}

static sslcv_status backward(things *t)
{
    sslcv_tensor output;
    sslcv_status status;

    TRY(sslcv_tape_output(t->tape, &output));
    return sslcv_tape_backward(t->tape, &output);
}

static sslcv_status embed(things *t)
{
    static float features[PICTURES * 2048];
    int64_t view = 0;
    sslcv_embed_options options;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_tensor out;
    sslcv_status status;

    TRY(sslcv_backbone_get_info(t->backbone, &info));
    TRY(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = t->backbone;
    branch.flags = 0;
    TRY(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = t->pictures;
    options.augmenter = t->views;
    options.branches = &branches;
    options.num_branches = 1;
    out = tensor_of(features, PICTURES, info.feature_dim);
    return sslcv_embed(&options, &out, NULL);
}

static sslcv_status compute_loss(sslcv_loss *loss)
{
    const int64_t shape[4] = {2, ROWS, 1, DIM};
    sslcv_tensor input;
    sslcv_loss_call call;
    sslcv_status status;

    TRY(sslcv_tensor_init(&input, SSLCV_F32, numbers, 4, shape));
    TRY(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.num_inputs = 1;
    return sslcv_loss_compute(loss, &call);
}

static sslcv_status info_nce(things *t)
{
    return compute_loss(t->info_nce);
}

/* Sinkhorn. */
static sslcv_status swapped(things *t)
{
    return compute_loss(t->swapped);
}

static sslcv_status fit(things *t)
{
    const sslcv_tensor features = tensor_of(numbers, ROWS, DIM);

    return sslcv_probe_fit(t->probe, &features, classes);
}

static sslcv_status predict(things *t)
{
    static float values[ROWS * 3];
    const sslcv_tensor features = tensor_of(numbers, ROWS, DIM);
    sslcv_tensor scores = tensor_of(values, ROWS, 3);

    return sslcv_probe_predict(t->probe, &features, &scores);
}

static sslcv_status kmeans(things *t)
{
    static float values[3 * DIM];
    int64_t assignments[ROWS];
    const sslcv_tensor features = tensor_of(numbers, ROWS, DIM);
    sslcv_tensor centroids = tensor_of(values, 3, DIM);
    sslcv_kmeans_options options;
    sslcv_status status;

    TRY(sslcv_kmeans_options_init(&options, sizeof options));
    options.clusters = 3;
    return sslcv_kmeans(t->context, &features, &options, &centroids, assignments, NULL);
}

static sslcv_status whiten(things *t)
{
    static float values[ROWS * 2];
    const sslcv_tensor features = tensor_of(numbers, ROWS, DIM);
    sslcv_tensor reduced = tensor_of(values, ROWS, 2);

    return sslcv_pca_whiten(t->context, &features, 0, &reduced);
}

static sslcv_status nearest(things *t)
{
    int64_t indices[ROWS * 2];
    float similarities[ROWS * 2];
    const sslcv_tensor features = tensor_of(numbers, ROWS, DIM);

    return sslcv_nearest(t->context, &features, &features, 2, indices, similarities);
}

static sslcv_status next_batch(things *t)
{
    sslcv_batch batch = {.struct_size = sizeof batch};

    return sslcv_loader_next(t->loader, &batch);
}

/* Neither OpenMP nor a thread: allowed in any child. */
static sslcv_status augment(things *t)
{
    static float pixels[3 * SIZE * SIZE], view[3 * SIZE * SIZE];
    const int64_t shape[3] = {3, SIZE, SIZE};
    sslcv_tensor image, out;
    sslcv_status status;

    TRY(sslcv_tensor_init(&image, SSLCV_F32, pixels, 3, shape));
    TRY(sslcv_tensor_init(&out, SSLCV_F32, view, 3, shape));
    return sslcv_augmenter_apply(t->views, &image, 1, 0, 0, 0, &out);
}

static const struct {
    const char *name;
    sslcv_status (*call)(things *t);
} calls[] = {{"sslcv_trainer_step", step},
             {"sslcv_trainer_run", run},
             {"sslcv_backbone_forward", forward},
             {"sslcv_tape_backward", backward},
             {"sslcv_embed", embed},
             {"sslcv_loss_compute", info_nce},
             {"swapped loss", swapped},
             {"sslcv_probe_fit", fit},
             {"sslcv_probe_predict", predict},
             {"sslcv_kmeans", kmeans},
             {"sslcv_pca_whiten", whiten},
             {"sslcv_nearest", nearest},
             {"sslcv_loader_next", next_batch},
             {"sslcv_augmenter_apply", augment}};
enum { NUM_CALLS = sizeof calls / sizeof calls[0] };

/* ---- life ---- */

static void destroy(things *t)
{
    sslcv_loader_destroy(t->loader);
    sslcv_probe_destroy(t->probe);
    sslcv_loss_destroy(t->swapped);
    sslcv_loss_destroy(t->info_nce);
    sslcv_tape_destroy(t->tape);
    sslcv_backbone_destroy(t->backbone);
    sslcv_trainer_destroy(t->trainer);
    sslcv_augmenter_destroy(t->views);
    sslcv_dataset_destroy(t->pictures);
    sslcv_context_destroy(t->context);
}

static sslcv_status make_losses(things *t)
{
    sslcv_info_nce_options info_nce_options;
    sslcv_swapped_options swapped_options;
    sslcv_status status;

    TRY(sslcv_info_nce_options_init(&info_nce_options, sizeof info_nce_options));
    TRY(sslcv_loss_create_info_nce(t->context, &info_nce_options, &t->info_nce));
    TRY(sslcv_swapped_options_init(&swapped_options, sizeof swapped_options));
    swapped_options.dim = DIM;
    swapped_options.num_prototypes = 5;
    return sslcv_loss_create_swapped(t->context, &swapped_options, &t->swapped);
}

static sslcv_status make_networks(things *t)
{
    sslcv_method_options method;
    sslcv_status status;

    TRY(sslcv_method_options_init(&method, sizeof method));
    method.dataset = t->pictures;
    method.settings = "width=0.25 batch=8 size=16 epochs=4";
    TRY(sslcv_method_create(t->context, "simclr", &method, &t->trainer));
    TRY(sslcv_trainer_get_backbone(t->trainer, 0, 0, &t->backbone));
    return sslcv_tape_create(t->context, &t->tape);
}

static sslcv_status make(things *t, int32_t threads)
{
    sslcv_context_options options;
    sslcv_loader_options loader;
    sslcv_probe_options probe;
    int64_t view, views;
    sslcv_status status;

    TRY(sslcv_context_options_init(&options, sizeof options));
    options.threads = threads;
    options.loader_threads = 2;
    options.precision = SSLCV_PRECISION_F32;
    TRY(sslcv_context_create(&options, &t->context));
    TRY(synthetic_dataset(t->context, PICTURES, SIZE, 1, &t->pictures));
    TRY(sslcv_augmenter_create(t->context, &t->views));
    TRY(sslcv_augmenter_add_preset(t->views, "eval-cifar", SIZE, &view, &views));
    TRY(make_networks(t));
    TRY(make_losses(t));
    TRY(sslcv_probe_options_init(&probe, sizeof probe, SSLCV_PROBE_LINEAR));
    probe.epochs = 1;
    TRY(sslcv_probe_create(t->context, &probe, &t->probe));
    TRY(sslcv_loader_options_init(&loader, sizeof loader));
    loader.dataset = t->pictures;
    loader.augmenter = t->views;
    loader.batch_size = 4;
    return sslcv_loader_create(t->context, &loader, &t->loader);
}

static void failed(const char *what)
{
    printf("%s: %s\n", what, sslcv_last_error());
    failures++;
}

static void all_work(things *t, const char *when)
{
    char what[100];
    int i;

    for (i = 0; i < NUM_CALLS; i++) {
        snprintf(what, sizeof what, "%s, %s", when, calls[i].name);
        if (calls[i].call(t) != SSLCV_OK) failed(what);
    }
}

/* ---- children ---- */

/* 0: as it should be. */
typedef int child_function(things *t, int call);

static int works(things *t, int call)
{
    sslcv_status status = SSLCV_OK;

    if (calls[call].call == backward) status = forward(t);
    if (calls[call].call == predict) status = fit(t);
    return status == SSLCV_OK && calls[call].call(t) == SSLCV_OK ? 0 : 1;
}

static int is_refused(things *t, int call)
{
    const sslcv_status status = calls[call].call(t);
    int right = status == SSLCV_ERR_STATE && strstr(sslcv_last_error(), "is a fork of process");

    if (calls[call].call == augment) right = status == SSLCV_OK;
    if (right) destroy(t);
    return right ? 0 : 1;
}

/* A context that the child makes itself: what computes is refused, the rest works. */
static int new_is_refused(things *t, int call)
{
    things own = {0};
    sslcv_status status = make(&own, 2);
    int right;

    (void)t;
    if (status != SSLCV_OK) return strstr(sslcv_last_error(), "is a fork of process") ? 0 : 1;
    status = calls[call].call(&own);
    if (calls[call].call == augment || calls[call].call == next_batch) {
        right = status == SSLCV_OK;
    } else if (calls[call].call == backward || calls[call].call == predict) {
        right = status == SSLCV_ERR_STATE; /* there is nothing to go back from, or to predict by */
    } else {
        right = status == SSLCV_ERR_STATE && strstr(sslcv_last_error(), "is a fork of process");
    }
    destroy(&own);
    return right ? 0 : 1;
}

static int makes_and_works(things *t, int call)
{
    things own = {0};

    (void)t;
    if (make(&own, 2) != SSLCV_OK || works(&own, call) != 0) return 1;
    destroy(&own);
    return 0;
}

static int starts_a_program(things *t, int call)
{
    (void)t;
    (void)call;
    execlp("true", "true", (char *)NULL);
    return 1;
}

static void child(const char *what, child_function *function, things *t, int call)
{
    int status = 0;
    pid_t process;

    fflush(stdout);
    process = fork();
    if (process == 0) {
        alarm(SECONDS);
        status = function(t, call);
        if (status != 0) printf("in the child: %s\n", sslcv_last_error());
        fflush(stdout);
        _exit(status);
    }
    waitpid(process, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    printf("%s, %s: %s\n", what, calls[call].name, WIFSIGNALED(status) ? "hangs or crashes" : "is not as it should be");
    failures++;
}

int main(void)
{
    things t = {0};
    int i;

    make_numbers();
    /* Before anything has been computed: a child may, with what was made before the fork and what it makes itself. */
    for (i = 0; i < NUM_CALLS; i++) child("fork first", makes_and_works, &t, i);
    if (make(&t, 2) != SSLCV_OK) {
        failed("make");
        return 1;
    }
    all_work(&t, "in the parent");
    if (forward(&t) != SSLCV_OK) failed("forward"); /* for the children's backward */
    for (i = 0; i < NUM_CALLS; i++) child("compute, then fork", is_refused, &t, i);
    for (i = 0; i < NUM_CALLS; i++) child("compute, then fork, a new context", new_is_refused, &t, i);
    child("fork and exec", starts_a_program, &t, 0);
    all_work(&t, "in the parent, after forks");
    destroy(&t);
    printf("fork: %d children, %d failures\n", 3 * NUM_CALLS + 1, failures);
    return failures > 0;
}
