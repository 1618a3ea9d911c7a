/*
 * Everything that the headers allow in several threads at once, done in several threads at once: by default with two
 * compute threads each, and the results compared with those of one thread after the other, bit for bit; with --serial
 * with one, for ThreadSanitizer, which does not see how libgomp makes threads wait for each other.
 *
 *     race [--serial] [--only NAME]
 */
#define _POSIX_C_SOURCE 200809L
#include "../../examples/synthetic.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PICTURES = 24, SIZE = 16, THREADS = 8, ROUNDS = 3, DIM = 512, MOST = 1 << 18, VALUES = 1024 };

static int32_t compute_threads = 2;
static int failures;
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static void failed(const char *what, int line)
{
    pthread_mutex_lock(&telling);
    printf("%s, line %d: %s\n", what, line, sslcv_last_error());
    failures++;
    pthread_mutex_unlock(&telling);
}

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != SSLCV_OK) {                                                                                      \
            failed(#call, __LINE__);                                                                                   \
            goto end;                                                                                                  \
        }                                                                                                              \
    } while (0)

#define TRUE(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            failed(#condition, __LINE__);                                                                              \
            goto end;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* ---- what threads share ---- */

typedef struct shared {
    sslcv_context *context;
    sslcv_dataset *pictures;
    sslcv_augmenter *random, *plain;
    sslcv_backbone *backbone;
    sslcv_probe *knn, *linear;
    float *features; /* (PICTURES, feature_dim) */
    int64_t feature_dim;
    int64_t labels[PICTURES];
} shared;

/* One thread's share: what it gives, to be compared with what it gave alone. */
typedef struct job {
    shared *s;
    int number;
    float values[VALUES];
} job;

static sslcv_context *make_context(void)
{
    sslcv_context_options options;
    sslcv_context *context = NULL;

    OK(sslcv_context_options_init(&options, sizeof options));
    options.threads = compute_threads;
    options.loader_threads = 2;
    options.seed = 5;
    options.precision = SSLCV_PRECISION_F32;
    OK(sslcv_context_create(&options, &context));
end:
    return context;
}

static int embed_into(shared *s, float *features, int64_t *labels)
{
    int64_t view = 0;
    const int64_t shape[2] = {PICTURES, s->feature_dim};
    sslcv_embed_options options;
    sslcv_branch branch;
    const sslcv_branch *branches = &branch;
    sslcv_tensor out;

    OK(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = s->backbone;
    branch.flags = 0;
    OK(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = s->pictures;
    options.augmenter = s->plain;
    options.branches = &branches;
    options.num_branches = 1;
    options.batch_size = 7;
    OK(sslcv_tensor_init(&out, SSLCV_F32, features, 2, shape));
    OK(sslcv_embed(&options, &out, labels));
    return 0;
end:
    return 1;
}

static int make_shared(shared *s)
{
    sslcv_backbone_options network;
    sslcv_backbone_info info = {.struct_size = sizeof info};
    sslcv_probe_options probe;
    sslcv_tensor features;
    int64_t view, views, shape[2] = {PICTURES, 0};

    memset(s, 0, sizeof *s);
    if (!(s->context = make_context())) return 1;
    OK(synthetic_dataset(s->context, PICTURES, SIZE, 1, &s->pictures));
    OK(sslcv_augmenter_create(s->context, &s->random));
    OK(sslcv_augmenter_add_preset(s->random, "simclr-cifar", SIZE, &view, &views));
    OK(sslcv_augmenter_create(s->context, &s->plain));
    OK(sslcv_augmenter_add_preset(s->plain, "eval-cifar", SIZE, &view, &views));
    OK(sslcv_backbone_options_init(&network, sizeof network, SSLCV_BACKBONE_RESNET18));
    network.width = 0.125;
    network.stem = SSLCV_STEM_CIFAR;
    OK(sslcv_backbone_create(s->context, &network, &s->backbone));
    OK(sslcv_backbone_get_info(s->backbone, &info));
    shape[1] = s->feature_dim = info.feature_dim;
    TRUE(info.feature_dim <= DIM);
    TRUE((s->features = malloc(PICTURES * DIM * sizeof(float))) != NULL);
    if (embed_into(s, s->features, s->labels) != 0) goto end;
    OK(sslcv_tensor_init(&features, SSLCV_F32, s->features, 2, shape));
    OK(sslcv_probe_options_init(&probe, sizeof probe, SSLCV_PROBE_KNN));
    probe.neighbors = 5;
    OK(sslcv_probe_create(s->context, &probe, &s->knn));
    OK(sslcv_probe_fit(s->knn, &features, s->labels));
    OK(sslcv_probe_options_init(&probe, sizeof probe, SSLCV_PROBE_LINEAR));
    probe.epochs = 2;
    OK(sslcv_probe_create(s->context, &probe, &s->linear));
    OK(sslcv_probe_fit(s->linear, &features, s->labels));
    return 0;
end:
    return 1;
}

static void destroy_shared(shared *s)
{
    sslcv_context_destroy(s->context); /* first: what was made from it keeps it */
    sslcv_probe_destroy(s->linear);
    sslcv_probe_destroy(s->knn);
    sslcv_backbone_destroy(s->backbone);
    sslcv_augmenter_destroy(s->plain);
    sslcv_augmenter_destroy(s->random);
    sslcv_dataset_destroy(s->pictures);
    free(s->features);
}

static void take_values(job *j, int at, const float *from, int count)
{
    memcpy(j->values + at, from, (size_t)count * sizeof *from);
}

/* Runs the same work alone and at once, and compares. */
static void at_once(const char *what, shared *s, void *(*work)(void *), int count)
{
    static job alone[THREADS], together[THREADS];
    pthread_t threads[THREADS];
    int i;

    memset(alone, 0, sizeof alone);
    memset(together, 0, sizeof together);
    for (i = 0; i < count; i++) {
        alone[i].s = together[i].s = s;
        alone[i].number = together[i].number = i;
        work(&alone[i]);
    }
    for (i = 0; i < count; i++) pthread_create(&threads[i], NULL, work, &together[i]);
    for (i = 0; i < count; i++) pthread_join(threads[i], NULL);
    for (i = 0; i < count; i++) {
        if (memcmp(alone[i].values, together[i].values, sizeof alone[i].values) == 0) continue;
        printf("%s: thread %d has other results than alone\n", what, i);
        failures++;
    }
}

/* ---- work ---- */

/* A trainer of its own, with loader threads, on a context of its own. */
static void *train(void *of)
{
    job *j = of;
    sslcv_context *context = make_context();
    sslcv_dataset *pictures = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_method_options options;
    sslcv_progress progress = {.struct_size = sizeof progress};
    int i;

    if (!context) return NULL;
    OK(synthetic_dataset(context, PICTURES, SIZE, 1, &pictures));
    OK(sslcv_method_options_init(&options, sizeof options));
    options.dataset = pictures;
    options.settings = "width=0.125 batch=8 size=16 epochs=4";
    options.seed = 3 + (uint64_t)j->number;
    OK(sslcv_method_create(context, j->number % 2 ? "byol" : "simclr", &options, &trainer));
    for (i = 0; i < ROUNDS; i++) {
        OK(sslcv_trainer_step(trainer, &progress));
        j->values[i] = (float)progress.loss;
    }
end:
    sslcv_context_destroy(context);
    sslcv_dataset_destroy(pictures);
    sslcv_trainer_destroy(trainer);
    return NULL;
}

/* One network for all, a tape for each. */
static void *forward(void *of)
{
    job *j = of;
    static const int64_t shape[4] = {2, 3, SIZE, SIZE};
    float pixels[2 * 3 * SIZE * SIZE];
    sslcv_tape *tape = NULL;
    sslcv_tensor images, output;
    sslcv_pass pass;
    int i, round;

    for (i = 0; i < 2 * 3 * SIZE * SIZE; i++) pixels[i] = (float)((i * (j->number + 3)) % 17) / 17 - 0.5f;
    OK(sslcv_tape_create(j->s->context, &tape));
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_pass_init(&pass, sizeof pass));
    pass.flags = 0;
    for (round = 0; round < ROUNDS; round++) {
        OK(sslcv_backbone_forward(j->s->backbone, &images, &pass, tape));
        OK(sslcv_tape_output(tape, &output));
        take_values(j, round * 128, output.data, (int)(j->s->feature_dim < 64 ? j->s->feature_dim : 64));
    }
end:
    sslcv_tape_destroy(tape);
    return NULL;
}

static void *embed(void *of)
{
    job *j = of;
    float *features = calloc(PICTURES * DIM, sizeof *features);
    int64_t labels[PICTURES];

    if (features && embed_into(j->s, features, labels) == 0) take_values(j, 0, features, VALUES);
    free(features);
    return NULL;
}

static void *predict(void *of)
{
    job *j = of;
    float values[PICTURES * SYNTHETIC_CLASSES];
    const int64_t shape[2] = {PICTURES, j->s->feature_dim}, scores_shape[2] = {PICTURES, SYNTHETIC_CLASSES};
    sslcv_tensor features, scores;
    int round;

    OK(sslcv_tensor_init(&features, SSLCV_F32, j->s->features, 2, shape));
    OK(sslcv_tensor_init(&scores, SSLCV_F32, values, 2, scores_shape));
    for (round = 0; round < ROUNDS; round++) {
        OK(sslcv_probe_predict(j->number % 2 ? j->s->knn : j->s->linear, &features, &scores));
        take_values(j, round * PICTURES * SYNTHETIC_CLASSES, values, PICTURES * SYNTHETIC_CLASSES);
    }
end:
    return NULL;
}

static unsigned char host_pixels[PICTURES][3 * SIZE * SIZE];

static void draw_host_images(void)
{
    int i, k;

    for (i = 0; i < PICTURES; i++) {
        for (k = 0; k < 3 * SIZE * SIZE; k++) host_pixels[i][k] = (unsigned char)(k * (i + 3) * 7);
    }
}

static void *augment(void *of)
{
    job *j = of;
    static const int64_t shape[3] = {3, SIZE, SIZE};
    float view[3 * SIZE * SIZE];
    sslcv_tensor image, out;
    int64_t sample;

    OK(sslcv_tensor_init(&image, SSLCV_U8, host_pixels[j->number], 3, shape));
    OK(sslcv_tensor_init(&out, SSLCV_F32, view, 3, shape));
    for (sample = 0; sample < 20; sample++) {
        OK(sslcv_augmenter_apply(j->s->random, &image, 1, j->number, sample, sample % 2, &out));
        take_values(j, (int)sample * 32, view, 32);
    }
end:
    return NULL;
}

/* Loader threads that call back into the host, and failures that they report. */
static int32_t host_image(void *user, int64_t index, sslcv_tensor *image)
{
    static const int64_t shape[3] = {3, SIZE, SIZE};

    (void)user;
    if (index % 5 == 4) return 1; /* cannot be read: counted, and another one comes in its place */
    return sslcv_tensor_init(image, SSLCV_U8, host_pixels[index], 3, shape) != SSLCV_OK;
}

static void drop_image(void *user, int64_t index, const sslcv_tensor *image)
{
    (void)user;
    (void)index;
    (void)image;
}

static void *load(void *of)
{
    job *j = of;
    sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks};
    sslcv_dataset_options options;
    sslcv_loader_options loading;
    sslcv_batch batch = {.struct_size = sizeof batch};
    sslcv_dataset *pictures = NULL;
    sslcv_loader *loader = NULL;
    sslcv_tensor views;
    const int64_t view = 0;
    int i;

    callbacks.load = host_image;
    callbacks.unload = drop_image;
    callbacks.flags = SSLCV_CALLBACK_ANY_THREAD;
    OK(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_CALLBACK));
    options.count = PICTURES;
    options.callbacks = &callbacks;
    OK(sslcv_dataset_create(j->s->context, &options, &pictures));
    OK(sslcv_loader_options_init(&loading, sizeof loading));
    loading.dataset = pictures;
    loading.augmenter = j->s->random;
    loading.batch_size = 5;
    loading.seed = 2;
    OK(sslcv_loader_create(j->s->context, &loading, &loader));
    for (i = 0; i < 9; i++) {
        OK(sslcv_loader_next(loader, &batch));
        OK(sslcv_loader_get_views(loader, &view, 1, &views));
        take_values(j, i * 64, views.data, 64);
    }
end:
    sslcv_dataset_destroy(pictures);
    sslcv_loader_destroy(loader); /* its threads are in the middle of the next batches */
    return NULL;
}

/* Contexts and all that is made from them, in parallel. */
static void *create(void *of)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        shared own;

        if (make_shared(&own) == 0 && i == ROUNDS - 1) take_values(of, 0, own.features, VALUES);
        destroy_shared(&own);
    }
    return NULL;
}

/* References of the same handles taken and given back, the last one by whichever thread. */
static void *retain(void *of)
{
    job *j = of;
    void *const handles[] = {j->s->context, j->s->pictures, j->s->backbone, j->s->knn, j->s->plain};
    sslcv_context_info info = {.struct_size = sizeof info};
    sslcv_tape *tape = NULL;
    int i, k;

    for (i = 0; i < 200; i++) {
        for (k = 0; k < 5; k++) OK(sslcv_retain(handles[(k + j->number) % 5]));
        OK(sslcv_tape_create(j->s->context, &tape));
        OK(sslcv_context_get_info(j->s->context, &info));
        sslcv_probe_destroy(j->s->knn);
        sslcv_augmenter_destroy(j->s->plain);
        sslcv_context_destroy(j->s->context);
        sslcv_tape_destroy(tape);
        sslcv_backbone_destroy(j->s->backbone);
        sslcv_dataset_destroy(j->s->pictures);
    }
end:
    return NULL;
}

/* Each thread owns a reference of everything, and gives it back in an order of its own. */
static void *give_back(void *of)
{
    job *j = of;
    int k;

    for (k = 0; k < 5; k++) {
        switch ((k * (j->number % 2 ? 2 : 3) + j->number) % 5) {
        case 0: sslcv_context_destroy(j->s->context); break;
        case 1: sslcv_dataset_destroy(j->s->pictures); break;
        case 2: sslcv_backbone_destroy(j->s->backbone); break;
        case 3: sslcv_probe_destroy(j->s->knn); break;
        default: sslcv_augmenter_destroy(j->s->plain);
        }
    }
    return NULL;
}

static void last_references(void)
{
    shared s;
    pthread_t threads[THREADS];
    job jobs[THREADS];
    int i;

    if (make_shared(&s) != 0) return;
    sslcv_probe_destroy(s.linear);
    sslcv_augmenter_destroy(s.random);
    for (i = 0; i < THREADS; i++) {
        jobs[i].s = &s;
        jobs[i].number = i;
        if (i == 0) continue; /* the reference of the maker */
        OK(sslcv_retain(s.context));
        OK(sslcv_retain(s.pictures));
        OK(sslcv_retain(s.backbone));
        OK(sslcv_retain(s.knn));
        OK(sslcv_retain(s.plain));
    }
    for (i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, give_back, &jobs[i]);
    for (i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
end:
    free(s.features);
}

/* ---- cancel ---- */

static sslcv_context *volatile to_cancel;

static void cancel_by_signal(int number)
{
    (void)number;
    sslcv_context_cancel(to_cancel, 1);
}

static void *cancel_soon(void *by_signal)
{
    const struct timespec pause = {0, 50 * 1000 * 1000};

    nanosleep(&pause, NULL);
    if (by_signal) {
        kill(getpid(), SIGUSR1);
    } else {
        sslcv_context_cancel(to_cancel, 1);
    }
    return NULL;
}

static void cancel(int by_signal)
{
    struct sigaction action = {0}, before;
    sslcv_dataset *pictures = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_method_options options;
    pthread_t thread;

    if (!(to_cancel = make_context())) return;
    action.sa_handler = cancel_by_signal;
    sigaction(SIGUSR1, &action, &before);
    OK(synthetic_dataset(to_cancel, PICTURES, SIZE, 1, &pictures));
    OK(sslcv_method_options_init(&options, sizeof options));
    options.dataset = pictures;
    options.settings = "width=0.125 batch=8 size=16 epochs=100000";
    OK(sslcv_method_create(to_cancel, "simclr", &options, &trainer));
    pthread_create(&thread, NULL, cancel_soon, by_signal ? to_cancel : NULL);
    TRUE(sslcv_trainer_run(trainer, 0) == SSLCV_ERR_CANCELLED);
    pthread_join(thread, NULL);
    OK(sslcv_context_cancel(to_cancel, 0));
    OK(sslcv_trainer_run(trainer, 1));
end:
    sigaction(SIGUSR1, &before, NULL);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(pictures);
    sslcv_context_destroy(to_cancel);
}

int main(int argc, char **argv)
{
    const char *only = "";
    shared s;
    int i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--serial") == 0) compute_threads = 1;
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
    }
#define RUN(name, what)                                                                                                \
    do {                                                                                                               \
        if (only[0] && strcmp(only, name) != 0) break;                                                                 \
        what;                                                                                                          \
    } while (0)
    draw_host_images();
    if (make_shared(&s) != 0) return 1;
    RUN("train", at_once("two trainers", &s, train, 2));
    RUN("forward", at_once("forward", &s, forward, THREADS));
    RUN("embed", at_once("embed", &s, embed, THREADS));
    RUN("predict", at_once("predict", &s, predict, THREADS));
    RUN("augment", at_once("augment", &s, augment, THREADS));
    RUN("load", at_once("load", &s, load, 4));
    RUN("create", at_once("create", &s, create, 4));
    RUN("retain", at_once("retain", &s, retain, THREADS));
    destroy_shared(&s);
    RUN("last", last_references());
    RUN("cancel", cancel(0));
    RUN("signal", cancel(1));
    printf("race: %d compute threads, %d failures\n", (int)compute_threads, failures);
    return failures > 0;
}
