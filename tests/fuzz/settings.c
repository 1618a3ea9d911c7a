/* Settings of recipes, as texts from a file or a form: a trainer, or a status. Also names and presets that are none. */
#include "fuzz.h"

/** Small, so that what takes time is the settings. */
static sslcv_backbone *make_backbone(sslcv_context *context)
{
    sslcv_backbone_options options;
    sslcv_backbone *backbone;

    MUST(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR;
    options.num_stages = 2;
    options.width = 1.0 / 64;
    MUST(sslcv_backbone_create(context, &options, &backbone));
    return backbone;
}

/** What a recipe says of itself fits into what it asks for, and not into less. */
static void read_settings(const char *method, const char *preset)
{
    int64_t needed = -1;
    char *text;

    if (!sane(sslcv_method_settings(method, preset, NULL, 0, &needed))) {
        REQUIRE(needed == -1);
        return;
    }
    REQUIRE(needed > 0 && needed < 1 << 16);
    text = malloc((size_t)needed);
    REQUIRE(text);
    REQUIRE(sslcv_method_settings(method, preset, text, needed - 1, NULL) == SSLCV_ERR_LIMIT);
    MUST(sslcv_method_settings(method, preset, text, needed, NULL));
    REQUIRE(strlen(text) == (size_t)needed - 1);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1);
    const char *method = sslcv_method_name((int64_t)take(&in, 1) % 18);
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 2 << 20);
    sslcv_backbone *backbones[2] = {NULL, NULL};
    sslcv_method_options options;
    sslcv_trainer *trainer = NULL;
    char *text = take_text(&in);

    MUST(sslcv_method_options_init(&options, sizeof options));
    options.settings = text;
    options.preset = flags & 1 ? "imagenet" : "cifar";
    if (flags & 2) options.preset = text;
    if (flags & 4) method = text;
    if (method) read_settings(method, options.preset);
    backbones[0] = make_backbone(context);
    if (flags & 8) backbones[1] = make_backbone(context);
    options.backbones = backbones;
    options.num_backbones = flags & 8 ? 2 : 1;
    if (sane(sslcv_method_create(context, method, &options, &trainer))) {
        int64_t needed = -1;

        REQUIRE(trainer);
        if (sane(sslcv_trainer_describe(trainer, NULL, 0, &needed))) REQUIRE(needed > 0);
        sslcv_trainer_destroy(trainer);
    } else {
        REQUIRE(!trainer);
    }
    sslcv_backbone_destroy(backbones[0]);
    sslcv_backbone_destroy(backbones[1]);
    free(text);
    fuzz_end(context, &memory);
    return 0;
}
