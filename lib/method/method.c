#include "method/method.h"

#include "core/object.h"
#include "core/options.h"

#include <stdio.h>
#include <string.h>

static const sslcv__method *const methods[] = {
    &sslcv__method_simclr,  &sslcv__method_moco_v1,     &sslcv__method_moco_v2,        &sslcv__method_byol,
    &sslcv__method_simsiam, &sslcv__method_swav,        &sslcv__method_barlow_twins,   &sslcv__method_vicreg,
    &sslcv__method_dino,    &sslcv__method_cpc,         &sslcv__method_cpc_v2,         &sslcv__method_cmc,
    &sslcv__method_pirl,    &sslcv__method_deepcluster, &sslcv__method_deepcluster_v2, &sslcv__method_supervised,
    &sslcv__method_finetune};
static const char *const presets[SSLCV__NUM_PRESETS] = {"cifar", "imagenet"};
enum { NUM_METHODS = sizeof methods / sizeof methods[0] };

static const sslcv_method_options defaults = {.struct_size = sizeof(sslcv_method_options)};

const char *sslcv_method_name(int64_t index)
{
    return index >= 0 && index < NUM_METHODS ? methods[index]->name : NULL;
}

/* "a, b, c" */
static void list_methods(char *text, size_t size)
{
    size_t used = 0;
    int i;

    text[0] = 0;
    for (i = 0; i < NUM_METHODS && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s\"%s\"", i ? ", " : "", methods[i]->name);
    }
}

static sslcv_status find(const char *name, const char *preset, const sslcv__method **method, int32_t *preset_index)
{
    char list[512];
    int i;

    if (!name) return sslcv__null("method");
    for (i = 0; i < NUM_METHODS && strcmp(methods[i]->name, name) != 0; i++) continue;
    if (i == NUM_METHODS) {
        list_methods(list, sizeof list);
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "there is no method \"%s\"; there are %s", name, list);
    }
    *method = methods[i];
    for (i = 0; i < SSLCV__NUM_PRESETS && strcmp(presets[i], preset ? preset : presets[0]) != 0; i++) continue;
    if (i == SSLCV__NUM_PRESETS) {
        return sslcv__fail(SSLCV_ERR_NOT_FOUND, "there is no preset \"%s\"; there are \"%s\", \"%s\"", preset,
                           presets[0], presets[1]);
    }
    *preset_index = i;
    return SSLCV_OK;
}

/* With text NULL it only counts. Returns the bytes, without an ending 0. */
static int64_t write_settings(const sslcv__method *method, int32_t preset, char *text, int64_t size)
{
    int64_t used = 0, i;

    for (i = 0; i < method->num_settings; i++) {
        const sslcv__setting *s = &method->settings[i];
        const int length = snprintf(text ? text + used : NULL, text ? (size_t)(size - used) : 0, "%s=%s  %s\n", s->name,
                                    s->initial[preset], s->meaning);

        if (length > 0) used += length;
    }
    return used;
}

sslcv_status sslcv_method_settings(const char *method, const char *preset, char *text, int64_t size, int64_t *needed)
{
    const sslcv__method *found;
    int32_t preset_index;
    int64_t bytes;
    const sslcv_status status = find(method, preset, &found, &preset_index);

    if (status != SSLCV_OK) return status;
    bytes = write_settings(found, preset_index, NULL, 0) + 1;
    if (text && size < bytes) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "size is %lld; must be at least %lld", (long long)size, (long long)bytes);
    }
    if (text) write_settings(found, preset_index, text, size);
    if (needed) *needed = bytes;
    return SSLCV_OK;
}

sslcv_status sslcv_method_options_init(sslcv_method_options *options, size_t struct_size)
{
    return sslcv__options_init("method_options", options, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

static sslcv_status check_options(sslcv_context *context, const sslcv_method_options *o)
{
    sslcv_status status = SSLCV_OK;

    if (o->dataset) {
        SSLCV__TRY(sslcv__check(o->dataset, SSLCV__DATASET, "method.dataset"));
        SSLCV__TRY(sslcv__check_context(o->dataset, context, "method.dataset"));
    }
    if (o->num_backbones < 0 || o->num_backbones > SSLCV__RECIPE_ENCODERS) {
        return sslcv__invalid("method.num_backbones is %lld; must be 0 .. %d", (long long)o->num_backbones,
                              SSLCV__RECIPE_ENCODERS);
    }
    if (o->num_backbones > 0) { /* that the others are there, only a method that takes them can tell */
        if (!o->backbones) return sslcv__null("method.backbones");
        SSLCV__TRY(sslcv__check(o->backbones[0], SSLCV__BACKBONE, "method.backbones[0]"));
    }
    if (o->augmenter) SSLCV__TRY(sslcv__check(o->augmenter, SSLCV__AUGMENTER, "method.augmenter"));
    if (o->reserved != 0) status = sslcv__fail(SSLCV_ERR_UNSUPPORTED, "method.reserved is not 0");
end:
    return status;
}

sslcv_status sslcv_method_create(sslcv_context *context, const char *method, const sslcv_method_options *options,
                                 sslcv_trainer **trainer)
{
    sslcv_method_options o = defaults;
    sslcv__recipe recipe = {0};
    sslcv__settings settings;
    const sslcv__method *found;
    int32_t preset;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(context, SSLCV__CONTEXT, "context"));
    if (!options) return sslcv__null("options");
    if (!trainer) return sslcv__null("trainer");
    SSLCV__TRY(sslcv__options_read("method_options", options, sizeof defaults, &o, sizeof o));
    SSLCV__TRY(find(method, o.preset, &found, &preset));
    SSLCV__TRY(check_options(context, &o));
    SSLCV__TRY(sslcv__settings_read(found, preset, o.settings, &settings));
    SSLCV__TRY(sslcv__recipe_begin(context, &o, &settings, &recipe));
    SSLCV__TRY(found->compose(&recipe));
    *trainer = recipe.trainer;
    recipe.trainer = NULL;
end:
    sslcv__recipe_free(&recipe);
    return status;
}
