/*
 * The demo: a small network learns to see from images without labels, in about three minutes on two cores.
 *
 *     demo [--data FOLDER] [--out FOLDER] [--quick | --minutes N]
 *
 * It pre-trains a ResNet-18 of a quarter of the width by SimCLR on Fashion-MNIST, then asks what a few labels are worth
 * on top of what it has learnt, against raw pixels, an untrained network, and a network trained on those labels alone.
 * It prints one table, and writes weights, curves, a map, neighbours and a page that shows them.
 *
 * Without --minutes the number of steps is fixed, so that two runs on one machine give the same figures.
 */
#include "page.h"
#include "projection.h"
#include "study.h"
#include "terminal.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { ROW_PIXELS, ROW_RANDOM, ROW_PRETRAINED, ROW_SUPERVISED };
enum { MAP_POINTS = 2000 };

static const double shares[PAGE_SHARES] = {0.01, 0.1, 1.0};

/** The command line. */
typedef struct settings {
    const char *data, *out;
    double minutes; /* 0: as many steps as the plan says */
    int32_t quick;
} settings;

/** What has been found so far, and what the page needs it to live for. */
typedef struct findings {
    page page;
    curve loss, smooth_loss, knn;
    char share_names[PAGE_SHARES][48];
    char summary[512];
    double plane[MAP_POINTS * 2];
    int64_t map_labels[MAP_POINTS];
    unsigned char pixels[PAGE_QUERIES][1 + PAGE_NEIGHBOURS][STUDY_SIDE * STUDY_SIDE];
    bar bar;
    double last_knn;
    int32_t out_of_memory;
} findings;

static study experiment; /* for the signal handler */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    study_cancel(&experiment);
}

/* ---- command line ---- */

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--data FOLDER] [--out FOLDER] [--quick | --minutes N]\n"
            "  --data FOLDER   with the four IDX files of Fashion-MNIST, as they are or .gz\n"
            "  --out FOLDER    for what it writes; default build/demo\n"
            "  --quick         a fraction of the work, in well under a minute\n"
            "  --minutes N     as much work as takes about N minutes here\n",
            program);
    return 2;
}

static int read_arguments(int argc, char **argv, settings *s)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;

        if (strcmp(argv[i], "--quick") == 0) {
            s->quick = 1;
        } else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            s->data = argv[++i];
        } else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            s->out = argv[++i];
        } else if (strcmp(argv[i], "--minutes") == 0 && i + 1 < argc) {
            s->minutes = strtod(argv[++i], &end);
            if (*end || !(s->minutes > 0 && s->minutes <= 10000)) return -1;
        } else {
            return -1;
        }
    }
    return s->quick && s->minutes > 0 ? -1 : 0;
}

static void explain_missing_data(const settings *s)
{
    fprintf(stderr,
            "Fashion-MNIST is not at %s.\n"
            "On Debian and Ubuntu:  apt-get install dataset-fashion-mnist\n"
            "Elsewhere: the four files {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz from\n"
            "https://github.com/zalandoresearch/fashion-mnist, and --data FOLDER\n",
            s->data ? s->data : "/usr/share/datasets/fashion-mnist");
}

/* Make a folder and those above it. */
static int make_folder(const char *path)
{
    char part[4096];
    const size_t length = strlen(path);

    if (length >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return -1;
    }
    return 0;
}

/* ---- the parts of the run ---- */

/* Scale the plan to the time given: what one step takes is tried first. Judging takes its time whatever the plan. */
static sslcv_status fit_into(double minutes, study *s)
{
    const double judging = 35;          /* seconds on the machine for which the plan was made */
    const double supervised_part = 0.9; /* the time of a supervised step, for three shares, in steps of pre-training */
    study_plan *plan = &s->plan;
    const double images = (double)(plan->pretrain_images * plan->pretrain_epochs);
    double step, scale;
    sslcv_status status;

    TRY(study_measure(s, &step));
    scale = (60 * minutes - judging) / (step * (images / 256 + supervised_part * (double)plan->supervised_steps));
    if (scale < 0.05) scale = 0.05;
    plan->pretrain_epochs = (int64_t)ceil(scale * images / (double)plan->train_images);
    plan->pretrain_images = (int64_t)(scale * images / (double)plan->pretrain_epochs);
    plan->supervised_steps = (int64_t)ceil(scale * (double)plan->supervised_steps);
end:
    return status;
}

static sslcv_status name_shares(study *s, findings *f)
{
    sslcv_status status = SSLCV_OK;

    for (int i = 0; i < PAGE_SHARES; i++) {
        char digits[32];
        int64_t count;

        TRY(study_count_labels(s, shares[i], &count));
        snprintf(f->share_names[i], sizeof f->share_names[i], "%.0f %% (%s)", 100 * shares[i],
                 with_commas(count, digits));
        f->page.share_names[i] = f->share_names[i];
    }
end:
    return status;
}

static sslcv_status judge_features(study *s, findings *f, int row, const study_features *train,
                                   const study_features *test)
{
    double *accuracy = f->page.accuracy[row];
    char result[64];
    sslcv_status status = SSLCV_OK;

    for (int i = 0; i < PAGE_SHARES; i++) TRY(study_probe(s, train, test, shares[i], &accuracy[i]));
    snprintf(result, sizeof result, "%.1f %%  %.1f %%  %.1f %%", 100 * accuracy[0], 100 * accuracy[1],
             100 * accuracy[2]);
    bar_end(&f->bar, result);
end:
    return status;
}

static sslcv_status judge_linear(study *s, findings *f, int row, const char *title)
{
    study_features train = {0}, test = {0};
    sslcv_status status;

    bar_begin(&f->bar, title);
    TRY(study_embed(s, row == ROW_PIXELS ? STUDY_PIXELS : STUDY_MAP, &train, &test));
    TRY(judge_features(s, f, row, &train, &test));
end:
    study_features_free(&test);
    study_features_free(&train);
    return status;
}

/* Called after each step of the pre-training. */
static void watch(void *user, const study_progress *p)
{
    findings *f = user;
    const sslcv_progress *step = p->step;
    const double last = f->smooth_loss.count ? f->smooth_loss.y[f->smooth_loss.count - 1] : step->loss;
    char details[128];
    int length;

    f->out_of_memory |= curve_add(&f->loss, (double)step->step, step->loss);
    f->out_of_memory |= curve_add(&f->smooth_loss, (double)step->step, 0.9 * last + 0.1 * step->loss);
    if (p->knn_new) {
        f->out_of_memory |= curve_add(&f->knn, (double)step->step, 100 * p->knn);
        f->last_knn = p->knn;
    }
    length = snprintf(details, sizeof details, "loss %.2f  spread %.2f  ", step->loss, step->embedding_std);
    if (p->knn >= 0) {
        length += snprintf(details + length, sizeof details - (size_t)length, "k-NN %.1f %%  ", 100 * p->knn);
    }
    snprintf(details + length, sizeof details - (size_t)length, "%.0f images/s  %d:%02d left", step->images_per_second,
             (int)step->seconds_left / 60, (int)step->seconds_left % 60);
    bar_show(&f->bar, (double)step->step / (double)step->num_steps, details);
}

static sslcv_status pretrain(study *s, findings *f)
{
    char result[64];
    sslcv_status status;

    bar_begin(&f->bar, "pre-training, no labels");
    TRY(study_pretrain(s, watch, f));
    snprintf(result, sizeof result, "k-NN %.1f %%", 100 * f->last_knn);
    bar_end(&f->bar, result);
    if (f->out_of_memory) status = SSLCV_ERR_OUT_OF_MEMORY;
end:
    return status;
}

/* The first test image of each class, and what is nearest to it among the training images. */
static sslcv_status find_neighbours(study *s, findings *f, const study_features *train, const study_features *test)
{
    int64_t queries[PAGE_QUERIES], indices[PAGE_QUERIES * PAGE_NEIGHBOURS];
    float similarities[PAGE_QUERIES * PAGE_NEIGHBOURS];
    sslcv_status status;

    for (int64_t c = 0; c < PAGE_QUERIES; c++) {
        queries[c] = 0;
        while (queries[c] + 1 < test->values.shape[0] && test->labels[queries[c]] != c) queries[c]++;
    }
    TRY(study_nearest(s, train, test, queries, PAGE_QUERIES, PAGE_NEIGHBOURS, indices, similarities));
    for (int64_t c = 0; c < PAGE_QUERIES; c++) {
        for (int64_t i = 0; i <= PAGE_NEIGHBOURS; i++) {
            page_picture *picture = &f->page.pictures[c][i];
            const int64_t index = i ? indices[c * PAGE_NEIGHBOURS + i - 1] : queries[c];

            picture->pixels = f->pixels[c][i];
            picture->label = i ? train->labels[index] : test->labels[index];
            picture->similarity = i ? (double)similarities[c * PAGE_NEIGHBOURS + i - 1] : 1;
            TRY(study_picture(i ? s->train : s->test, index, picture->pixels));
        }
    }
end:
    return status;
}

static sslcv_status look_around(study *s, findings *f)
{
    study_features train = {0}, test = {0};
    sslcv_status status;

    bar_begin(&f->bar, "map and neighbours");
    TRY(study_embed(s, STUDY_VECTOR, &train, &test));
    TRY(find_neighbours(s, f, &train, &test));
    memcpy(f->map_labels, test.labels, sizeof f->map_labels);
    if (project_on_plane(test.values.data, MAP_POINTS, test.values.shape[1], f->plane, &f->page.map_share)) {
        status = SSLCV_ERR_OUT_OF_MEMORY;
        goto end;
    }
    bar_end(&f->bar, "");
end:
    study_features_free(&test);
    study_features_free(&train);
    return status;
}

static sslcv_status train_supervised(study *s, findings *f)
{
    double *accuracy = f->page.accuracy[ROW_SUPERVISED];
    char result[64];
    sslcv_status status = SSLCV_OK;

    bar_begin(&f->bar, "trained on the labels alone");
    for (int i = 0; i < PAGE_SHARES; i++) TRY(study_supervised(s, shares[i], &accuracy[i]));
    snprintf(result, sizeof result, "%.1f %%  %.1f %%  %.1f %%", 100 * accuracy[0], 100 * accuracy[1],
             100 * accuracy[2]);
    bar_end(&f->bar, result);
end:
    return status;
}

/* ---- what is left at the end ---- */

static void print_table(const page *p)
{
    printf("\nRight answers on the 10,000 test images, by labels used:\n\n%-30s", "");
    for (int i = 0; i < PAGE_SHARES; i++) printf("%16s", p->share_names[i]);
    printf("\n");
    for (int row = 0; row < PAGE_ROWS; row++) {
        printf("%-30s", p->row_names[row]);
        for (int i = 0; i < PAGE_SHARES; i++) printf("%14.1f %%", 100 * p->accuracy[row][i]);
        printf("\n");
    }
    printf("\n");
}

static void describe_page(const study *s, findings *f)
{
    page *p = &f->page;
    char digits[32];

    p->row_names[ROW_PIXELS] = "raw pixels";
    p->row_names[ROW_RANDOM] = "random network";
    p->row_names[ROW_PRETRAINED] = "pre-trained without labels";
    p->row_names[ROW_SUPERVISED] = "trained on the labels alone";
    snprintf(f->summary, sizeof f->summary,
             "A small network has looked at %s pictures of clothes, each %lld time%s, and was told nothing about them: "
             "it learnt to recognise a picture in two changed copies of it (SimCLR).",
             with_commas(s->plan.pretrain_images, digits), (long long)s->plan.pretrain_epochs,
             s->plan.pretrain_epochs == 1 ? "" : "s");
    p->summary = f->summary;
    p->loss = (chart){"Contrastive loss", "step", "loss", &f->loss, &f->smooth_loss, 0};
    p->knn = (chart){"k-NN score", "step", "right answers, %", NULL, &f->knn, 1};
    p->map = (chart_map){f->plane, f->map_labels, MAP_POINTS, STUDY_CLASSES, study_class_name};
    p->side = STUDY_SIDE;
    p->class_name = study_class_name;
}

static sslcv_status write_results(study *s, const findings *f, const char *folder)
{
    char path[4096];
    sslcv_status status;

    if (make_folder(folder) != 0 || page_write(&f->page, folder) != 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return SSLCV_ERR_IO;
    }
    snprintf(path, sizeof path, "%s/backbone.safetensors", folder);
    TRY(study_save(s, path));
    printf(
        "%s/ has index.html, which shows it all, the weights (backbone.safetensors), loss.svg, knn.svg, map.svg and\n"
        "neighbours.png\n",
        folder);
end:
    return status;
}

static sslcv_status run(study *s, findings *f, const settings *arguments)
{
    sslcv_status status;

    if (arguments->minutes > 0) TRY(fit_into(arguments->minutes, s));
    TRY(name_shares(s, f));
    TRY(judge_linear(s, f, ROW_PIXELS, "linear classifier on raw pixels"));
    TRY(judge_linear(s, f, ROW_RANDOM, "... on an untrained network"));
    TRY(pretrain(s, f));
    TRY(judge_linear(s, f, ROW_PRETRAINED, "linear classifier on the network"));
    TRY(train_supervised(s, f));
    TRY(look_around(s, f));
    describe_page(s, f);
    print_table(&f->page);
    TRY(write_results(s, f, arguments->out));
end:
    return status;
}

int main(int argc, char **argv)
{
    static const study_plan full = {60000, 60000, 3, 400}, quick = {20000, 20000, 1, 80};
    settings arguments = {NULL, "build/demo", 0, 0};
    findings *f = NULL;
    sslcv_status status;

    if (read_arguments(argc, argv, &arguments) != 0) return usage(argv[0]);
    f = calloc(1, sizeof *f);
    if (!f) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    printf("sslcv %s: learning to see without labels, on Fashion-MNIST\n\n", sslcv_version_string());
    status = study_open(&experiment, arguments.data, arguments.quick ? &quick : &full);
    if (status == SSLCV_ERR_NOT_FOUND) {
        explain_missing_data(&arguments);
    } else {
        signal(SIGINT, on_interrupt);
        if (status == SSLCV_OK) status = run(&experiment, f, &arguments);
        signal(SIGINT, SIG_DFL);
        if (status == SSLCV_ERR_CANCELLED)
            fprintf(stderr, "\nstopped: %s\n", sslcv_last_error());
        else if (status != SSLCV_OK) {
            fprintf(stderr, "\n%s: %s\n", sslcv_status_string(status), sslcv_last_error());
        }
    }
    curve_free(&f->knn);
    curve_free(&f->smooth_loss);
    curve_free(&f->loss);
    free(f);
    study_close(&experiment);
    return status == SSLCV_OK ? 0 : 1;
}
