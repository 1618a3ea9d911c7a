/*
 * Any method on any data set: a small command line tool.
 *
 *     pretrain --list METHOD          what can be set in it, and the defaults of --preset; all: of all methods
 *     pretrain --method simclr --data cifar10:DIR --out runs/simclr --epochs 200
 *     pretrain                        pictures drawn in memory, seconds of work
 *
 *     --method NAME      default simclr
 *     --data PATH        a folder; or cifar10:DIR  cifar100:DIR  idx:IMAGES  idx:IMAGES,LABELS (MNIST and its kin)
 *     --test PATH        labelled images for the k-NN, likewise; default: CIFAR's test images, else those of --data
 *     --out DIR          default pretrain-run
 *     --preset NAME      cifar (default) for small images, imagenet
 *     --settings TEXT    "name=value name=value": see --list
 *     --epochs N, --size N    short for these two settings
 *     --knn N            judge by k-NN after every N epochs, where there are labels; default 1; 0: never
 *
 * DIR then holds events for TensorBoard (tensorboard --logdir runs), the same figures in scalars.jsonl
 * (pandas.read_json("scalars.jsonl", lines=True)), the checkpoint, and at the end backbone.safetensors. Ctrl-C stops
 * after the current step and saves; the same command then goes on where it stopped, to the same bits.
 */
#include "images.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { KNN_IMAGES = 5000, KNN_NEIGHBOURS = 200, NETWORKS = 8, BAR = 24 };

typedef struct arguments {
    const char *method, *data, *test, *out, *preset, *settings, *epochs, *size, *knn, *list;
} arguments;

static sslcv_context *context; /* a signal handler has no argument for it */

static int read_arguments(int argc, char **argv, arguments *a)
{
    const struct {
        const char *name, **value;
    } options[] = {{"--method", &a->method}, {"--data", &a->data},         {"--test", &a->test}, {"--out", &a->out},
                   {"--preset", &a->preset}, {"--settings", &a->settings}, {"--knn", &a->knn},   {"--size", &a->size},
                   {"--epochs", &a->epochs}, {"--list", &a->list}};
    const size_t count = sizeof options / sizeof options[0];
    size_t k;

    for (int i = 1; i < argc; i += 2) {
        for (k = 0; k < count && strcmp(argv[i], options[k].name) != 0; k++) continue;
        if (k == count || i + 1 == argc) {
            fprintf(stderr, "%s: %s; see the head of pretrain.c\n", argv[i], k < count ? "lacks a value" : "no option");
            return 0;
        }
        *options[k].value = argv[i + 1];
    }
    return 1;
}

static sslcv_status list_settings(const char *method, const char *preset)
{
    char text[16384];
    const sslcv_status status = sslcv_method_settings(method, preset, text, sizeof text, NULL);

    if (status == SSLCV_OK) printf("%s\n%s\n", method, text);
    return status;
}

/* ---- hooks ---- */

/* At most so many of the images, the same share of every class. */
static sslcv_status choose(sslcv_dataset *images, int64_t most, sslcv_dataset **chosen)
{
    sslcv_dataset_info info = {sizeof info, 0, 0, 0, 0, 0, 0};
    int64_t count;
    sslcv_status status;

    TRY(sslcv_dataset_get_info(images, &info));
    TRY(choose_share(images, info.count > most ? (double)most / (double)info.count : 1, 0, 0, chosen, NULL, &count));
end:
    return status;
}

/* Height and width of the views: as set; 0: as published, which is what presets of views take it for as well. */
static int64_t view_size(const arguments *a)
{
    const char *text = a->settings;

    if (a->size) return atol(a->size);
    while (text && (text = strstr(text, "size=")) != NULL) {
        if (text == a->settings || text[-1] == ' ') return atol(text + 5);
        text += 5; /* "queue_size=" */
    }
    return 0;
}

/* Views as the method's, but with nothing drawn. Those of most are the whole image. */
static sslcv_status add_plain_views(sslcv_augmenter *augmenter, const arguments *a, int64_t *first, int64_t *count)
{
    static const struct {
        const char *method, *preset;
        int64_t unused; /* first views of the preset, from which the others are cut */
    } others[] = {{"cmc", "cmc-eval", 1}, {"cpc", "cpc-eval", 0}, {"cpc-v2", "cpc-v2-eval", 0}};
    const char *preset = "eval";
    int64_t unused = 0;
    char name[64];
    sslcv_status status;

    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        if (strcmp(a->method, others[k].method) != 0) continue;
        preset = others[k].preset;
        unused = others[k].unused;
    }
    snprintf(name, sizeof name, "%s%s", preset, strcmp(a->preset, "cifar") == 0 ? "-cifar" : "");
    TRY(sslcv_augmenter_add_preset(augmenter, name, view_size(a), first, count));
    *first += unused;
    *count -= unused;
end:
    return status;
}

/** The networks that a method leaves behind, each with its view. */
typedef struct networks {
    int64_t count, views[NETWORKS];
    sslcv_backbone *backbones[NETWORKS];
    sslcv_branch branches[NETWORKS];
    const sslcv_branch *pointers[NETWORKS];
} networks;

static void release_networks(networks *n)
{
    for (int64_t i = 0; i < n->count; i++) sslcv_backbone_destroy(n->backbones[i]);
    n->count = 0;
}

/* Each backbone of the branches once, in their order: CMC has one for each of its views. */
static sslcv_status take_networks(sslcv_trainer *trainer, int64_t first_view, networks *n)
{
    sslcv_backbone *backbone = NULL;
    int64_t k;
    sslcv_status status = SSLCV_OK;

    for (int64_t i = 0; i < NETWORKS; i++) {
        if (sslcv_trainer_get_backbone(trainer, i, 0, &backbone) != SSLCV_OK) continue; /* the branch has none */
        for (k = 0; k < n->count && n->backbones[k] != backbone; k++) continue;
        if (k < n->count) {
            sslcv_backbone_destroy(backbone);
            continue;
        }
        n->backbones[n->count++] = backbone;
        TRY(sslcv_branch_init(&n->branches[k], sizeof n->branches[k]));
        n->views[k] = first_view + k;
        n->branches[k].views = &n->views[k];
        n->branches[k].num_views = 1;
        n->branches[k].backbone = backbone;
        n->branches[k].flags = 0; /* evaluation */
        n->pointers[k] = &n->branches[k];
    }
end:
    return status;
}

/* Does each network see as many channels as its view has? image_channels: of views that follow the image. */
static int fits(const networks *n, const sslcv_augmenter *augmenter, int64_t image_channels)
{
    sslcv_backbone_info network;
    sslcv_view_info view;

    network.struct_size = sizeof network;
    view.struct_size = sizeof view;
    for (int64_t i = 0; i < n->count; i++) {
        if (sslcv_augmenter_get_view(augmenter, n->views[i], &view) != SSLCV_OK) return 0;
        if (sslcv_backbone_get_info(n->backbones[i], &network) != SSLCV_OK) return 0;
        if (network.channels != (view.channels ? view.channels : image_channels)) return 0;
    }
    return 1;
}

static sslcv_status make_knn(const sslcv_dataset_info *info, sslcv_probe **probe)
{
    sslcv_probe_options options;
    sslcv_status status;

    TRY(sslcv_probe_options_init(&options, sizeof options, SSLCV_PROBE_KNN));
    options.neighbors = info->count / info->num_classes / 2; /* well below the images of a class */
    if (options.neighbors < 1) options.neighbors = 1;
    if (options.neighbors > KNN_NEIGHBOURS) options.neighbors = KNN_NEIGHBOURS;
    TRY(sslcv_probe_create(context, &options, probe));
end:
    return status;
}

/* Publishes "knn.top1" ... after every so many epochs: each image is judged by all others of its set. */
static sslcv_status watch_knn(sslcv_trainer *trainer, sslcv_dataset *images, const arguments *a)
{
    sslcv_dataset_info info = {sizeof info, 0, 0, 0, 0, 0, 0};
    sslcv_dataset *chosen = NULL;
    sslcv_augmenter *augmenter = NULL;
    sslcv_probe *probe = NULL;
    networks judged;
    sslcv_embed_options embed;
    int64_t first, count;
    sslcv_status status;

    judged.count = 0;
    TRY(sslcv_dataset_get_info(images, &info));
    TRY(sslcv_augmenter_create(context, &augmenter));
    TRY(add_plain_views(augmenter, a, &first, &count));
    TRY(take_networks(trainer, first, &judged));
    if (info.num_classes < 2 || judged.count > count || !fits(&judged, augmenter, info.channels ? info.channels : 3)) {
        printf("no k-NN: the images have no labels, or the networks see other channels than theirs\n");
        goto end;
    }
    TRY(choose(images, KNN_IMAGES, &chosen));
    TRY(sslcv_dataset_get_info(chosen, &info));
    TRY(sslcv_embed_options_init(&embed, sizeof embed));
    embed.dataset = chosen;
    embed.augmenter = augmenter;
    embed.branches = judged.pointers;
    embed.num_branches = judged.count;
    TRY(make_knn(&info, &probe));
    TRY(sslcv_probe_watch(probe, trainer, "knn", &embed, &embed, atol(a->knn)));
end:
    sslcv_probe_destroy(probe);
    release_networks(&judged);
    sslcv_augmenter_destroy(augmenter);
    sslcv_dataset_destroy(chosen);
    return status;
}

/* Value of a metric; -1: there is none. */
static double metric(const sslcv_trainer *trainer, const char *wanted)
{
    const char *name;
    double value;

    for (int64_t i = 0; sslcv_trainer_get_metric(trainer, i, &name, &value) == SSLCV_OK; i++) {
        if (strcmp(name, wanted) == 0) return value;
    }
    return -1.0;
}

/* A bar that moves, on stderr, five times a second; a line for each epoch, on stdout. */
static int32_t show(void *user, sslcv_trainer *trainer, const sslcv_progress *p)
{
    double *shown = user; /* seconds into the run */
    const int filled = (int)(BAR * p->step / p->num_steps);
    const long left = (long)(p->seconds_left + 0.5);

    if (p->event == SSLCV_EVENT_EPOCH_END) {
        fprintf(stderr, "\r%79s\r", "");
        printf("epoch %lld/%lld  loss %.4f  spread %.2f", (long long)p->epoch + 1, (long long)p->num_epochs, p->loss,
               p->embedding_std);
        if (metric(trainer, "knn.top1") >= 0.0) printf("  last k-NN %.1f %%", 100.0 * metric(trainer, "knn.top1"));
        printf("\n");
        fflush(stdout);
    } else if (p->seconds - *shown >= 0.2) {
        *shown = p->seconds;
        fprintf(stderr, "\r[%.*s%*s] loss %.4f  rate %.3g  %.0f images/s  %ld:%02ld:%02ld left ", filled,
                "########################", BAR - filled, "", p->loss, p->learning_rate, p->images_per_second,
                left / 3600, left / 60 % 60, left % 60);
    }
    return 0;
}

/* Hooks run in this order: what publishes, what writes, what shows. */
static sslcv_status add_hooks(sslcv_trainer *trainer, sslcv_dataset *judged, const arguments *a, double *shown)
{
    sslcv_scalars *events = NULL, *lines = NULL;
    char path[4096];
    sslcv_hook hook;
    sslcv_status status;

    if (atol(a->knn) > 0) TRY(watch_knn(trainer, judged, a));
    TRY(sslcv_scalars_open(context, SSLCV_SCALARS_TENSORBOARD, a->out, &events)); /* makes the folder */
    TRY(sslcv_scalars_watch(events, trainer, 1));
    snprintf(path, sizeof path, "%s/scalars.jsonl", a->out);
    TRY(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &lines));
    TRY(sslcv_scalars_watch(lines, trainer, 1));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = shown;
    hook.call = show;
    hook.events = SSLCV_EVENT_STEP | SSLCV_EVENT_EPOCH_END;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
end:
    sslcv_scalars_destroy(lines); /* the trainer keeps them */
    sslcv_scalars_destroy(events);
    return status;
}

/* ---- the whole ---- */

/* Async-signal-safe, as sslcv_context_cancel() is. A second Ctrl-C ends the process as ever. */
static void on_interrupt(int signal_number)
{
    sslcv_context_cancel(context, 1);
    signal(signal_number, SIG_DFL);
}

/* What does not stop a run: images that cannot be read, a full disk behind the scalars. */
static void print_log(void *user, int32_t level, const char *text)
{
    if (level <= SSLCV_LOG_WARNING) fprintf((FILE *)user, "\n%s\n", text);
}

static sslcv_status make_trainer(const arguments *a, sslcv_dataset *images, sslcv_trainer **trainer)
{
    const char *settings = a->settings ? a->settings : a->data ? "" : "epochs=2 batch=32 width=0.25";
    sslcv_method_options options;
    char text[4096], checkpoint[4096];
    sslcv_status status;

    snprintf(text, sizeof text, "%s%s%s%s%s", settings, a->epochs ? " epochs=" : "", a->epochs ? a->epochs : "",
             a->size ? " size=" : "", a->size ? a->size : "");
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.safetensors", a->out);
    TRY(sslcv_method_options_init(&options, sizeof options));
    options.dataset = images;
    options.preset = a->preset;
    options.settings = text;
    options.checkpoint_path = checkpoint;
    options.resume = 1;
    TRY(sslcv_method_create(context, a->method, &options, trainer));
end:
    return status;
}

/* backbone.safetensors; a second network, where there is one, as backbone1.safetensors. */
static sslcv_status save_backbones(sslcv_trainer *trainer, const char *folder)
{
    sslcv_state *weights = NULL;
    char path[4096], number[8] = "";
    networks all;
    sslcv_status status;

    all.count = 0;
    TRY(take_networks(trainer, 0, &all));
    for (int64_t i = 0; i < all.count; i++) {
        if (i > 0) snprintf(number, sizeof number, "%d", (int)i);
        snprintf(path, sizeof path, "%s/backbone%s.safetensors", folder, number);
        TRY(sslcv_backbone_get_state(all.backbones[i], &weights));
        TRY(sslcv_state_save(weights, path, NULL));
        sslcv_state_destroy(weights);
        weights = NULL;
        printf("wrote %s\n", path);
    }
end:
    sslcv_state_destroy(weights);
    release_networks(&all);
    return status;
}

static sslcv_status pretrain(const arguments *a)
{
    const int is_cifar = a->data && strncmp(a->data, "cifar", 5) == 0;
    const char *test = a->test ? a->test : is_cifar ? a->data : NULL;
    sslcv_dataset *images = NULL, *test_images = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_context_options options;
    double shown = 0.0;
    sslcv_status status;

    TRY(sslcv_context_options_init(&options, sizeof options));
    options.log = print_log;
    options.log_user = stderr;
    TRY(sslcv_context_create(&options, &context));
    signal(SIGINT, on_interrupt);
    TRY(a->data ? open_images(context, a->data, SSLCV_PART_TRAIN, &images)
                : synthetic_dataset(context, 64, 32, 1, &images));
    if (test) TRY(open_images(context, test, SSLCV_PART_TEST, &test_images));
    TRY(make_trainer(a, images, &trainer));
    TRY(add_hooks(trainer, test ? test_images : images, a, &shown));
    TRY(sslcv_trainer_run(trainer, 0));
    TRY(save_backbones(trainer, a->out));
end:
    signal(SIGINT, SIG_DFL); /* the handler's context goes now */
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(test_images);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(context);
    return status;
}

int main(int argc, char **argv)
{
    arguments a = {"simclr", NULL, NULL, "pretrain-run", "cifar", NULL, NULL, NULL, "1", NULL};
    const char *name;
    sslcv_status status = SSLCV_OK;

    if (!read_arguments(argc, argv, &a)) return 2;
    if (!a.list) {
        status = pretrain(&a);
    } else if (strcmp(a.list, "all") != 0) {
        status = list_settings(a.list, a.preset);
    } else {
        for (int64_t i = 0; status == SSLCV_OK && (name = sslcv_method_name(i)) != NULL; i++) {
            status = list_settings(name, a.preset);
        }
    }
    if (status != SSLCV_OK) fprintf(stderr, "\n%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    if (status == SSLCV_ERR_CANCELLED) fprintf(stderr, "what is done is in %s; the same command goes on\n", a.out);
    return status == SSLCV_OK ? 0 : 1;
}
