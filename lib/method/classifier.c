/* What recipes that learn from labels share: how many classes, and the layer that tells them. Public calls only. */
#include "method/method.h"

sslcv_status sslcv__recipe_classes(const sslcv__recipe *recipe, int64_t *classes)
{
    const sslcv_method_options *options = recipe->options;
    const char *method = recipe->settings->method;
    sslcv_dataset_info info;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "classes", 0, INT32_MAX, classes));
    info.struct_size = sizeof info;
    info.num_classes = 0;
    if (options->dataset) SSLCV__TRY(sslcv_dataset_get_info(options->dataset, &info));
    if (options->dataset && info.num_classes == 0) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "the data set has no labels; \"%s\" learns from them", method);
    }
    if (*classes == 0) *classes = info.num_classes;
    if (*classes < 2) {
        return sslcv__invalid("%s.classes is %lld; must be >= 2%s", method, (long long)*classes,
                              options->dataset ? "" : ", and be given without a data set");
    }
    if (*classes < info.num_classes) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "%s.classes is %lld; the data set has %lld", method, (long long)*classes,
                           (long long)info.num_classes);
    }
end:
    return status;
}

sslcv_status sslcv__recipe_classifier(sslcv__recipe *recipe, int64_t classes, double init_std)
{
    sslcv_mlp_options o;
    sslcv_status status;

    SSLCV__TRY(sslcv_mlp_options_init(&o, sizeof o));
    o.num_layers = 1;
    o.in_dim = recipe->feature_dim;
    o.out_dim = classes;
    o.init_std = init_std;
    SSLCV__TRY(sslcv__recipe_mlp(recipe, &o, 0));
end:
    return status;
}
