/* Memory that runs out while each recipe is made. */
#include "out_of_memory_support.h"

#define HAVE (&w->have)
#define OUT  (&w->out)

enum { SIDE = 16, SAMPLES = 8 };

static int recipe; /* the one that runs */

static void have_pictures(world *w)
{
    const int64_t shape[4] = {SAMPLES, 3, SIDE, SIDE}, labels[SAMPLES] = {0, 1, 0, 1, 0, 1, 0, 1};
    float *pixels = malloc(sizeof(float) * SAMPLES * 3 * SIDE * SIDE);
    sslcv_tensor images;
    int64_t i;

    golden_input(3, SAMPLES * 3 * SIDE * SIDE, pixels);
    for (i = 0; i < SAMPLES * 3 * SIDE * SIDE; i++) pixels[i] += 0.5f;
    HAVE->dataset = make_list(HAVE->context);
    OK(sslcv_tensor_init(&images, SSLCV_F32, pixels, 4, shape));
    OK(sslcv_dataset_add_images(HAVE->dataset, &images, labels, NULL));
    free(pixels);
}

/* Recipes whose settings make no network as small as this one. */
static int is_given(const char *name)
{
    return strcmp(name, "finetune") == 0 || strncmp(name, "cpc", 3) == 0;
}

/* Small, and with all that each recipe remembers. */
static const char *settings(const char *name)
{
    static const struct {
        const char *name, *settings;
    } all[] = {
        {"moco-v1", "queue_size=16 bn_splits=2"},
        {"moco-v2", "queue_size=16 bn_splits=2"},
        {"swav", "prototypes=4 queue_size=8 queue_start_epoch=0"},
        {"dino", "prototypes=8"},
        {"cmc", "negatives=4"},
        {"pirl", "negatives=4"},
        {"deepcluster", "clusters=2"},
        {"deepcluster-v2", "prototypes=2"},
    };
    static char text[256];
    size_t i;

    snprintf(text, sizeof text, "batch=4 epochs=1%s", strncmp(name, "cpc", 3) == 0 ? "" : " prefetch=0 size=16");
    if (!is_given(name)) strcat(text, " width=0.0625");
    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(name, all[i].name) == 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %s", all[i].settings);
    }
    return text;
}

static sslcv_status make(world *w, sslcv_trainer **trainer)
{
    const char *name = sslcv_method_name(recipe);
    sslcv_method_options o;

    OK(sslcv_method_options_init(&o, sizeof o));
    o.dataset = HAVE->dataset;
    o.settings = settings(name);
    o.seed = 3;
    if (HAVE->backbone) {
        o.backbones = &HAVE->backbone;
        o.num_backbones = 1;
    }
    return sslcv_method_create(HAVE->context, name, &o, trainer);
}

static void have_pictures_and_network(world *w)
{
    have_pictures(w);
    if (is_given(sslcv_method_name(recipe))) have_backbone(w);
}

CALL(create, make(w, &OUT->made.trainer))

static const scenario creation = {"sslcv_method_create", have_pictures_and_network, create, 0, 20};

START_TEST(recipes_are_made)
{
    recipe = _i;
    run_scenario(&creation);
}
END_TEST

int main(void)
{
    int count = 0;

    while (sslcv_method_name(count)) count++;
    return run_scenarios("out_of_memory_methods", recipes_are_made, count);
}
