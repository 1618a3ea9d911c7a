/**
 * @file method.h
 * Recipes: the published methods by name. A recipe is a trainer composed with public calls only.
 *
 *     sslcv_method_options_init(&options, sizeof options);
 *     options.dataset = dataset;
 *     options.preset = "cifar";
 *     options.settings = "temperature=0.2 epochs=100";
 *     sslcv_method_create(context, "moco-v2", &options, &trainer);
 *     sslcv_trainer_run(trainer, 0);
 *
 * Names: "simclr", "moco-v1", "moco-v2", "byol", "simsiam", "swav", "barlow-twins", "vicreg", "dino", "cpc",
 * "cpc-v2", "cmc", "pirl", "deepcluster", "deepcluster-v2", "supervised"; and "finetune", which goes on from one of
 * these: a classifier on options.backbones[0].
 * docs/methods/ has a page for each: what it is, its branches, its settings and where their defaults come from.
 */
#ifndef SSLCV_METHOD_H
#define SSLCV_METHOD_H

#include "trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_method_options {
    size_t                 struct_size;
    sslcv_dataset         *dataset;         /* kept alive; NULL: only sslcv_trainer_step_views(), and settings must then
                                               have steps_per_epoch and, for "supervised" and "finetune", classes, for
                                               "cmc" and "pirl" bank_size */
    sslcv_backbone *const *backbones;       /* to be trained or fine-tuned; NULL (default): made as the preset says */
    int64_t                num_backbones;   /* 0 (default), or as many as the method has encoders: 1;
                                               "cmc": one for each view, in their order, 2 .. 8 */
    sslcv_augmenter       *augmenter;       /* NULL (default): the preset's views */
    const char            *preset;          /* "cifar" (default) or "imagenet": sizes, schedule, optimizer as
                                               published */
    const char            *settings;        /* "name=value" pairs, parted by blanks, that override the preset; NULL:
                                               none. Numbers with a point, whatever the locale */
    const char            *checkpoint_path; /* as in sslcv_trainer_options */
    uint64_t               seed;            /* of networks, order and augmentation; 0: from the context */
    int32_t                resume;          /* as in sslcv_trainer_options */
    int32_t                reserved;        /* 0 */
} sslcv_method_options;

/**
 * Name of a recipe.
 *
 * @param index From 0.
 * @return Constant text; NULL past the last.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API const char *sslcv_method_name(int64_t index);

/**
 * What can be set in a recipe: a line "name=default  meaning; source" for each setting. All have epochs, batch, size,
 * learning_rate and weight_decay.
 *
 * @param method Name.
 * @param preset As in the options; NULL: "cifar".
 * @param text   NULL asks for the size.
 * @param size   Bytes in text.
 * @param needed Out: bytes, with the ending 0; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such method or preset; the message lists them); SSLCV_ERR_LIMIT (size).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_method_settings(const char *method, const char *preset, char *text, int64_t size,
                                             int64_t *needed);

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_method_options_init(sslcv_method_options *options, size_t struct_size);

/**
 * Make the trainer of a recipe. It differs in nothing from one composed by hand: hooks, losses and monitors can be
 * added, parts be taken out (sslcv_trainer_get_backbone() ...).
 *
 * @param context Not NULL.
 * @param method  Name.
 * @param options Not NULL; texts are copied.
 * @param trainer Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such method, preset or setting; the message lists them; or an augmenter
 *         with fewer views than the method takes); SSLCV_ERR_LIMIT (settings that contradict each other or the data
 *         set: a queue that does not hold a batch, more crops than views, no labels to learn from, a bank smaller than
 *         the data set).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_method_create(sslcv_context *context, const char *method,
                                           const sslcv_method_options *options, sslcv_trainer **trainer);

#ifdef __cplusplus
}
#endif
#endif
