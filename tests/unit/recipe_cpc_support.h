/** What the suites of CPC's recipes share: both recipes and both presets, small. */
#ifndef SSLCV__TESTS_RECIPE_CPC_SUPPORT_H
#define SSLCV__TESTS_RECIPE_CPC_SUPPORT_H

#include "recipe_support.h"

#define NARROW "batch=8 width=0.0625 architecture=resnet18 prefetch=0 epochs=4"

/* Both recipes, both presets, as small as the grids allow: patches of 4, 8, 4 and 20 pixels. */
static const struct row {
    const char *method, *preset, *settings;
    int64_t rows, dim;
    double candidates; /* of a prediction */
} rows[] = {{"cpc", "cifar", NARROW " size=16", 7, 16, 17},
            {"cpc", "imagenet", NARROW " size=32", 7, 16, 17},
            {"cpc-v2", "cifar", NARROW " size=12", 5, 16, 17},
            {"cpc-v2", "imagenet", NARROW " size=65", 6, 16, 8 * 36}};

enum { NUM_ROWS = sizeof rows / sizeof rows[0], CIFAR = 0, V2_IMAGENET = 3, PATCH = 4, GRID = 7, PLACES = GRID * GRID };

static inline rig make_row(int i, const char *more)
{
    char settings[512];

    snprintf(settings, sizeof settings, "%s %s", rows[i].settings, more);
    return make_recipe(rows[i].method, rows[i].preset, settings);
}

#endif
