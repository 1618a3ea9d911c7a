/* Settings of published linear probes; docs/probes.md says whose, and what a fixed embedding leaves out. */
#include "eval/probe.h"

#include "core/options.h"

#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 3 };

typedef struct preset {
    const char *name;
    int64_t epochs, batch_size;
    double rate; /* of this batch size */
    double weight_decay;
    double steps[MAX_STEPS]; /* epochs at which the rate falls; none: a cosine to 0 */
    double gamma;
    double first_spread, larc;
    int32_t nesterov, standardize;
} preset;

#define PER_256(rate, batch) ((rate) * (batch) / 256)

static const preset presets[] = {
    {"moco", 100, 256, 30, 0, {60, 80}, 0.1, 0.01, 0, 0, 0},
    {"swav", 100, 256, 0.3, 1e-6, {0}, 0, 0.01, 0, 0, 0},
    {"simclr", 90, 4096, PER_256(0.1, 4096), 1e-6, {0}, 0, 0, 0, 1, 0},
    {"simclr-cifar", 100, 512, PER_256(0.1, 512), 0, {0}, 0, 0, 0, 1, 0},
    {"byol", 80, 1024, PER_256(0.2, 1024), 0, {0}, 0, 0, 0, 1, 0},
    {"simsiam", 90, 4096, PER_256(0.1, 4096), 0, {0}, 0, 0.01, 0.001, 0, 0},
    {"barlow-twins", 100, 256, 0.3, 1e-6, {0}, 0, 0.01, 0, 0, 0},
    {"vicreg", 100, 256, 0.02, 1e-6, {0}, 0, 0.01, 0, 0, 0},
    {"cmc", 60, 256, 30, 0, {30, 40, 50}, 0.2, 0.01, 0, 0, 0},
    {"cmc-alexnet", 60, 256, 0.1, 0, {30, 40, 50}, 0.2, 0.01, 0, 0, 0},
    {"pirl", 28, 256, 0.01, 5e-4, {8, 16, 24}, 0.1, 0.01, 0, 1, SSLCV_STANDARDIZE_SPREAD},
    {"lightly", 90, 256, 0.1, 0, {0}, 0, 0, 0, 0, 0},
    {"solo-learn", 100, 256, 0.3, 0, {60, 80}, 0.1, 0, 0, 0, 0},
};

enum { NUM_PRESETS = sizeof presets / sizeof *presets };

static sslcv_status find_preset(const char *name, const preset **found)
{
    char text[300];
    size_t used = 0, i;

    if (!name) return sslcv__null("name");
    for (i = 0; i < NUM_PRESETS; i++) {
        *found = &presets[i];
        if (strcmp(name, presets[i].name) == 0) return SSLCV_OK;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\"", i ? ", " : "", presets[i].name);
    }
    return sslcv__fail(SSLCV_ERR_NOT_FOUND, "there is no probe \"%.40s\"; there are %s", name, text);
}

static sslcv_status make_schedule(const preset *p, sslcv_schedule *schedule)
{
    int32_t kind = p->steps[0] > 0 ? SSLCV_SCHEDULE_STEPS : SSLCV_SCHEDULE_COSINE, i;
    const sslcv_status status = sslcv_schedule_init(schedule, sizeof *schedule, kind, p->rate);

    if (status != SSLCV_OK || kind != SSLCV_SCHEDULE_STEPS) return status;
    schedule->gamma = p->gamma;
    for (i = 0; i < MAX_STEPS && p->steps[i] > 0; i++) schedule->milestones[i] = p->steps[i];
    schedule->num_milestones = i;
    return SSLCV_OK;
}

sslcv_status sslcv_probe_options_preset(sslcv_probe_options *options, size_t struct_size, sslcv_schedule *learning_rate,
                                        const char *name)
{
    sslcv_probe_options full;
    sslcv_schedule schedule;
    const preset *p = NULL; /* compilers do not see that it is set */
    sslcv_status status;

    SSLCV__TRY(find_preset(name, &p));
    if (!options) return sslcv__null("probe_options");
    SSLCV__TRY(sslcv__struct_check("learning_rate", learning_rate, sizeof schedule));
    SSLCV__TRY(make_schedule(p, &schedule));
    SSLCV__TRY(sslcv_probe_options_init(&full, sizeof full, SSLCV_PROBE_LINEAR));
    full.epochs = p->epochs;
    full.batch_size = p->batch_size;
    full.weight_decay = p->weight_decay;
    full.first_spread = p->first_spread;
    full.larc = p->larc;
    full.nesterov = p->nesterov;
    full.standardize = p->standardize;
    full.learning_rate = learning_rate;
    SSLCV__TRY(sslcv__options_init("probe_options", options, struct_size, sizeof full, &full, sizeof full));
    status = sslcv__struct_fill("learning_rate", learning_rate, sizeof schedule, &schedule, sizeof schedule);
end:
    return status;
}
