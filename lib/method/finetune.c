/*
 * Fine-tuning: a classifier on a given network, and as many of its stages as are to learn with it.
 *
 *     0: {0} -> backbone -> linear classifier     cross_entropy(0)
 *
 * A protocol is a text of settings that stands between the table and the host's: published fine-tuning by name. The
 * table itself is "transfer" (Ericsson et al. 2021).
 */
#include "method/method.h"

#include <math.h>

static const sslcv__setting settings_table[] = {
    {"epochs", {"20", "20"}, "passes over the data set, where steps is 0 or not set beside it"},
    {"batch", {"64", "64"}, "images a step; Ericsson et al. 64"},
    {"size", {"32", "224"}, "height and width of the view in pixels"},
    {"learning_rate", {"0.01", "0.01"}, "of the backbone; Ericsson et al. choose from 1e-1 .. 1e-4"},
    {"head_learning_rate", {"0", "0"}, "of the classifier; 0: as learning_rate"},
    {"weight_decay", {"0", "0"}, "of all parameters; Ericsson et al. choose from 0, 1e-6 .. 1e-3 over the rate"},
    {"protocol",
     {"transfer", "transfer"},
     "what is not set: transfer, swav-1, swav-10, barlow-twins-1, vicreg-1, simclr-v2-1 or vissl; docs/methods"},
    {"steps", {"5000", "5000"}, "of the run, rounded up to whole epochs; 0: as epochs; Ericsson et al. 5000"},
    {"frozen_stages", {"kept", "kept"}, "first stages that rest: 0, 1 .. or all; kept: as the backbone has it"},
    {"rate_scaling", {"none", "none"}, "of both rates: none; linear: batch / 256; root: square root of batch"},
    {"schedule", {"cosine", "cosine"}, "cosine by step, cosine-by-epoch, steps or constant"},
    {"first_drop", {"0.6", "0.6"}, "steps: share of the run after which the rate falls"},
    {"second_drop", {"0.8", "0.8"}, "steps: and again; 1: not"},
    {"drop", {"0.1", "0.1"}, "steps: factor on the rate"},
    {"warmup_epochs", {"0", "0"}, "linear from 0"},
    {"optimizer", {"sgd", "sgd"}, "sgd, or lars as SimCLR's: classic, the classifier not adapted"},
    {"momentum", {"0.9", "0.9"}, "of the optimizer"},
    {"nesterov", {"1", "1"}, "sgd: 1 or 0; Ericsson et al. 1"},
    {"init_std", {"0.01", "0.01"}, "of the classifier's first weights; 0: uniform as torchvision's"},
    {"drop_last", {"0", "0"}, "1: leave out an epoch's last samples that fill no batch"},
    {"classes", {"0", "0"}, "0: as the data set has"},
    SSLCV__SETTINGS_COMMON("resnet18", "resnet50")};

/* In the order of protocol_names. Rates of SwAV, Barlow Twins and VICReg are for a batch of 256, unscaled. */
static const char *const protocols[] = {
    "",
    "steps=0 epochs=20 batch=256 learning_rate=0.02 head_learning_rate=5 schedule=steps drop=0.2 nesterov=0",
    "steps=0 epochs=20 batch=256 learning_rate=0.01 head_learning_rate=0.2 schedule=steps drop=0.2 nesterov=0",
    "steps=0 epochs=20 batch=256 learning_rate=0.005 head_learning_rate=0.5 schedule=cosine-by-epoch nesterov=0",
    "steps=0 epochs=20 batch=256 learning_rate=0.03 head_learning_rate=0.08 schedule=cosine-by-epoch nesterov=0",
    "steps=0 epochs=60 batch=1024 learning_rate=0.005 rate_scaling=root optimizer=lars nesterov=0",
    ("steps=0 epochs=70 batch=256 learning_rate=0.05 rate_scaling=linear schedule=steps first_drop=0.42857142857142855 "
     "second_drop=1")};
static const char *const protocol_names[] = {"transfer", "swav-1",      "swav-10", "barlow-twins-1",
                                             "vicreg-1", "simclr-v2-1", "vissl",   NULL};

/* ---- settings ---- */

/* What the host has said of the run's length wins over the protocol's: steps over epochs, but epochs over its steps. */
static sslcv_status choose_length(sslcv__recipe *recipe, const sslcv__settings *host)
{
    static const char *const epochs[] = {"epochs", NULL};
    sslcv_trainer_options *run = &recipe->run;
    sslcv_dataset_info info = {.struct_size = sizeof info};
    int64_t steps, each = run->steps_per_epoch;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "steps", 0, INT32_MAX, &steps));
    if (steps > 0 && sslcv__settings_given(host, "steps")) {
        SSLCV__TRY(sslcv__settings_refuse(host, epochs, "steps is set too"));
    }
    if (steps == 0 || sslcv__settings_given(host, "epochs")) return SSLCV_OK;
    if (recipe->options->dataset) {
        SSLCV__TRY(sslcv_dataset_get_info(recipe->options->dataset, &info));
        each = info.count / run->batch_size + (!run->drop_last && info.count % run->batch_size != 0);
    }
    if (each > 0) run->epochs = (steps - 1) / each + 1; /* else the trainer says what is missing */
end:
    return status;
}

/* The run again, with the protocol's settings beneath the host's. settings: outlives the recipe's making. */
static sslcv_status read_protocol(sslcv__recipe *recipe, sslcv__settings *settings)
{
    const sslcv__settings *host = recipe->settings;
    int64_t drop_last;
    int32_t protocol;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(host, "protocol", protocol_names, &protocol));
    SSLCV__TRY(sslcv__settings_under(&sslcv__method_finetune, host, protocols[protocol], settings));
    SSLCV__TRY(sslcv__recipe_begin(recipe->context, recipe->options, settings, recipe));
    SSLCV__TRY(sslcv__settings_integer(settings, "drop_last", 0, 1, &drop_last));
    recipe->run.drop_last = (int32_t)drop_last;
    SSLCV__TRY(choose_length(recipe, host));
end:
    return status;
}

/* ---- optimizer ---- */

/* Of a share of the run; thirds and the like are meant to be whole epochs, which rounding must not miss by a step. */
static double milestone(const sslcv__recipe *recipe, double share)
{
    const double epochs = share * (double)recipe->run.epochs, whole = nearbyint(epochs);

    return fabs(epochs - whole) < 1e-6 ? whole : epochs;
}

static sslcv_status set_drops(sslcv__recipe *recipe, int32_t kind)
{
    const sslcv__settings *settings = recipe->settings;
    double first, second, drop;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_real(settings, "first_drop", 0.0, 1.0, &first));
    SSLCV__TRY(sslcv__settings_real(settings, "second_drop", 0.0, 1.0, &second));
    SSLCV__TRY(sslcv__settings_real(settings, "drop", 0.0, 1.0, &drop));
    if (kind != SSLCV_SCHEDULE_STEPS) return SSLCV_OK;
    if (second < first) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "finetune.second_drop is %g; must be >= first_drop, %g", second, first);
    }
    recipe->rate.gamma = drop;
    recipe->rate.num_milestones = 2;
    recipe->rate.milestones[0] = milestone(recipe, first);
    recipe->rate.milestones[1] = milestone(recipe, second);
end:
    return status;
}

/* rate: of what the learning rates are relative to; in learning_rate. */
static sslcv_status make_schedule(sslcv__recipe *recipe, double rate)
{
    static const char *const schedules[] = {"cosine", "cosine-by-epoch", "steps", "constant", NULL};
    static const int32_t kinds[] = {SSLCV_SCHEDULE_COSINE, SSLCV_SCHEDULE_COSINE, SSLCV_SCHEDULE_STEPS,
                                    SSLCV_SCHEDULE_CONSTANT};
    static const char *const scalings[] = {"none", "linear", "root", NULL};
    const double batch = (double)recipe->run.batch_size;
    int32_t schedule, scaling;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "schedule", schedules, &schedule));
    SSLCV__TRY(sslcv__settings_word(recipe->settings, "rate_scaling", scalings, &scaling));
    recipe->learning_rate = scaling == 2 ? rate * sqrt(batch) : rate;
    SSLCV__TRY(sslcv__recipe_rate(recipe, kinds[schedule], scaling == 1 ? 256 : 0));
    recipe->rate.by_epoch = schedule == 1;
    SSLCV__TRY(set_drops(recipe, kinds[schedule]));
end:
    return status;
}

static sslcv_status make_optimizer(sslcv__recipe *recipe, int32_t *is_lars)
{
    static const char *const optimizers[] = {"sgd", "lars", NULL};
    sslcv_optimizer_options o;
    int64_t nesterov;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "optimizer", optimizers, is_lars));
    SSLCV__TRY(
        sslcv_optimizer_options_init(&o, sizeof o, *is_lars ? SSLCV_OPTIMIZER_LARS_CLASSIC : SSLCV_OPTIMIZER_SGD));
    SSLCV__TRY(sslcv__settings_integer(recipe->settings, "nesterov", 0, 1, &nesterov));
    if (*is_lars && nesterov) {
        return sslcv__invalid("finetune.nesterov is 1; must be 0 with optimizer=lars");
    }
    o.nesterov = (int32_t)nesterov;
    SSLCV__TRY(sslcv__recipe_optimizer(recipe, &o));
end:
    return status;
}

/* The schedule is the backbone's; the classifier's rate is a factor on it. A backbone that only rests is no measure. */
static sslcv_status make_rates(sslcv__recipe *recipe, int32_t is_lars)
{
    sslcv_optimizer_group backbone, head;
    double rate = recipe->learning_rate, head_rate, base;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_real(recipe->settings, "head_learning_rate", 0.0, 1e6, &head_rate));
    if (head_rate == 0.0) head_rate = rate;
    base = rate > 0.0 ? rate : head_rate;
    SSLCV__TRY(make_schedule(recipe, base));
    SSLCV__TRY(sslcv_optimizer_group_init(&head, sizeof head));
    if (base > 0.0) head.rate_scale = head_rate / base;
    if (is_lars) {
        head.adapt = 0;
        head.weight_decay = 0.0;
    }
    SSLCV__TRY(sslcv__recipe_group(recipe, 0, SSLCV_ROLE_PARAMETERS, &head));
    if (rate == 0.0) { /* else the trainer adds what learns of it */
        SSLCV__TRY(sslcv_optimizer_group_init(&backbone, sizeof backbone));
        backbone.rate_scale = 0.0;
        SSLCV__TRY(sslcv__recipe_group(recipe, SSLCV__RECIPE_BACKBONE, SSLCV_ROLE_PARAMETERS, &backbone));
    }
end:
    return status;
}

/* ---- freezing ---- */

/* stages: -1: as they are. */
static sslcv_status read_frozen(const sslcv__recipe *recipe, int32_t *stages)
{
    static const char *const words[] = {"kept", "all", "0", "1", "2", "3", "4", "5", "6", "7", "8", NULL};
    sslcv_backbone_info info = {.struct_size = sizeof info};
    int32_t word;
    sslcv_status status;

    SSLCV__TRY(sslcv__settings_word(recipe->settings, "frozen_stages", words, &word));
    SSLCV__TRY(sslcv_backbone_get_info(recipe->backbone, &info));
    *stages = word == 0 ? -1 : word == 1 ? (int32_t)info.num_stages : word - 2;
    if (*stages > info.num_stages) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "finetune.frozen_stages is %d; the backbone has %lld stages", *stages,
                           (long long)info.num_stages);
    }
    if (*stages == info.frozen_stages) *stages = -1; /* also of a backbone whose trainer has begun */
end:
    return status;
}

static sslcv_status compose(sslcv__recipe *recipe)
{
    const sslcv__settings *host = recipe->settings;
    sslcv__settings settings;
    int64_t classes;
    int32_t is_lars, stages;
    double init_std;
    sslcv_status status;

    SSLCV__TRY(read_protocol(recipe, &settings));
    SSLCV__TRY(sslcv__recipe_classes(recipe, &classes));
    SSLCV__TRY(sslcv__settings_real(recipe->settings, "init_std", 0.0, 1e6, &init_std));
    SSLCV__TRY(sslcv_loss_create_cross_entropy(recipe->context, NULL, &recipe->loss));
    SSLCV__TRY(make_optimizer(recipe, &is_lars));
    SSLCV__TRY(sslcv__recipe_augment(recipe, "finetune-cifar", "finetune"));
    SSLCV__TRY(sslcv__recipe_backbone(recipe, 0));
    SSLCV__TRY(read_frozen(recipe, &stages));
    SSLCV__TRY(sslcv__recipe_classifier(recipe, classes, init_std));
    SSLCV__TRY(make_rates(recipe, is_lars));
    SSLCV__TRY(sslcv__recipe_finish(recipe, 1, SSLCV_GROUPING_JOINED));
    if (stages >= 0) status = sslcv_backbone_freeze(recipe->backbone, stages); /* last: a failure leaves it alone */
end:
    recipe->settings = host;
    return status;
}

const sslcv__method sslcv__method_finetune = {"finetune", settings_table,
                                              (int64_t)(sizeof settings_table / sizeof settings_table[0]), compose};
