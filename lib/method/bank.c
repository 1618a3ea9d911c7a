/* What the recipes with a bank of embeddings share, CMC and PIRL. Public calls only. */
#include "method/method.h"

static sslcv_status count_samples(const sslcv__recipe *recipe, int64_t *count)
{
    sslcv_dataset_info info = {.struct_size = sizeof info};
    const sslcv_status status = sslcv_dataset_get_info(recipe->options->dataset, &info);

    *count = info.count;
    return status;
}

/* Rows: as set, or one a sample. */
static sslcv_status choose_size(const sslcv__recipe *recipe, int64_t *size)
{
    const char *name = recipe->settings->method;
    int64_t samples = 0;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "bank_size", 0, INT32_MAX, size));
    if (recipe->options->dataset) SSLCV__TRY(count_samples(recipe, &samples));
    if (*size == 0) *size = samples;
    if (*size == 0) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "%s.bank_size is 0, and there is no data set to tell; must be the number of "
                           "samples",
                           name);
    }
    if (*size < samples) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.bank_size is %lld; must be at least %lld, the samples of the data set",
                           name, (long long)*size, (long long)samples);
    }
end:
    return status;
}

sslcv_status sslcv__recipe_bank(sslcv__recipe *recipe, sslcv_nce_bank_options *options)
{
    static const char *const estimators[] = {"nce", "softmax", NULL}, *const no_yes[] = {"no", "yes", NULL};
    const sslcv__settings *settings = recipe->settings;
    sslcv_status status;

    SSLCV__TRY(choose_size(recipe, &options->num_samples));
    SSLCV__TRY(sslcv__settings_word(settings, "loss", estimators, &options->estimator));
    SSLCV__TRY(sslcv__settings_real(settings, "temperature", 1e-6, 1e6, &options->temperature));
    SSLCV__TRY(sslcv__settings_integer(settings, "negatives", 1, INT32_MAX, &options->num_negatives));
    SSLCV__TRY(sslcv__settings_real(settings, "bank_momentum", 0.0, 1.0, &options->bank_momentum));
    SSLCV__TRY(sslcv__settings_word(settings, "exclude_self", no_yes, &options->exclude_self));
    SSLCV__TRY(sslcv__settings_integer(settings, "out_dim", 1, INT32_MAX, &options->dim));
    options->seed = sslcv__recipe_seed(recipe->options, SSLCV__SEED_LOSS);
    SSLCV__TRY(sslcv_loss_create_nce_bank(recipe->context, options, &recipe->loss));
end:
    return status;
}
