/*
 * The experiment that the demo shows: data, networks, training and judging. Everything that calls the library is in
 * study.c and views.c; the other files print and draw.
 *
 * Functions return the library's status; sslcv_last_error() has the message.
 */
#ifndef STUDY_H
#define STUDY_H

#include <sslcv/sslcv.h>

enum { STUDY_SIDE = 28, STUDY_CLASSES = 10 };

/** How much is done. */
typedef struct study_plan {
    int64_t train_images;     /* of the 60,000: those that labels are taken from */
    int64_t pretrain_images;  /* the first of them, without labels */
    int64_t pretrain_epochs;  /* passes over them */
    int64_t supervised_steps; /* for each share of the labels */
} study_plan;

typedef struct study {
    sslcv_context *context;
    sslcv_dataset *train, *test;
    sslcv_backbone *network; /* the one that is pre-trained */
    study_plan plan;
} study;

/** Rows of features with their labels. */
typedef struct study_features {
    sslcv_tensor values; /* (count, dim) f32, dense */
    int64_t *labels;     /* count */
} study_features;

/** What has been seen up to a step of the pre-training. */
typedef struct study_progress {
    const sslcv_progress *step;
    double knn;      /* 0 .. 1: share of right answers of a k-NN vote; -1: not yet known */
    int32_t knn_new; /* 1: measured at this step */
} study_progress;

typedef void (*study_watch)(void *user, const study_progress *progress);

/** Open the data in a folder; path is NULL for where Debian's package puts it. On failure call study_close(), too. */
sslcv_status study_open(study *s, const char *path, const study_plan *plan);
void study_close(study *s);

/** Stop what runs, with SSLCV_ERR_CANCELLED; for signal handlers. */
void study_cancel(study *s);

/** Seconds that one step of pre-training takes here, tried on a network that is thrown away. */
sslcv_status study_measure(study *s, double *seconds);

/** SimCLR on the training images, labels unused but for the k-NN score that watch receives. */
sslcv_status study_pretrain(study *s, study_watch watch, void *user);

/** Train a new network of the same kind on a share of the labels, and judge it. */
sslcv_status study_supervised(study *s, double share, double *accuracy);

/** What stands for an image. */
typedef enum study_kind {
    STUDY_PIXELS, /* its pixels */
    STUDY_MAP,    /* the network's map after layer2, for the linear classifier */
    STUDY_VECTOR  /* the network's last features, averaged over the image, for looking alike */
} study_kind;

/** Features of the training and of the test images, by the network as it is now. */
sslcv_status study_embed(study *s, study_kind kind, study_features *train, study_features *test);
void study_features_free(study_features *features);

/** Fit a linear classifier on a share of the labels, and judge it on the test images. */
sslcv_status study_probe(study *s, const study_features *train, const study_features *test, double share,
                         double *accuracy);

/** Training images with that share of the labels. */
sslcv_status study_count_labels(study *s, double share, int64_t *count);

/** The k training images most alike to each of some test images: indices and similarities, count * k. */
sslcv_status study_nearest(study *s, const study_features *train, const study_features *test, const int64_t *queries,
                           int64_t count, int64_t k, int64_t *indices, float *similarities);

/** Grey values of an image, STUDY_SIDE * STUDY_SIDE bytes; and the name of a class. */
sslcv_status study_picture(sslcv_dataset *dataset, int64_t index, unsigned char *pixels);
const char *study_class_name(int64_t label);

sslcv_status study_save(study *s, const char *path);

#endif
