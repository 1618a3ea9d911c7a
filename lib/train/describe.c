/* The composition as text. */
#include "train/trainer.h"

#include "core/options.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- text ---- */

void sslcv__text_add(sslcv__text *text, const char *format, ...)
{
    const int64_t room = text->text && text->size > text->needed ? text->size - text->needed : 0;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(room ? text->text + text->needed : NULL, (size_t)room, format, arguments);
    va_end(arguments);
    if (length > 0) text->needed += length;
}

/* Six significant digits; printf writes the locale's decimal point. */
void sslcv__text_number(sslcv__text *text, double value)
{
    long long digits;
    int exponent, decimals = 0;

    if (!isfinite(value) || value == 0.0) {
        sslcv__text_add(text, isfinite(value) ? "0" : isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    if (value < 0) sslcv__text_add(text, "-");
    value = fabs(value);
    exponent = (int)floor(log10(value));
    digits = llround(value / pow(10.0, exponent) * 1e5); /* 100000 .. 1000000 */
    for (decimals = 5; decimals > 0 && digits % 10 == 0; decimals--) digits /= 10;
    if (exponent < -4 || exponent > 5) {
        sslcv__text_add(text, "%llde%d", digits, exponent - decimals);
        return;
    }
    for (; exponent > decimals; decimals++) digits *= 10;
    decimals -= exponent; /* behind the point */
    if (decimals == 0) {
        sslcv__text_add(text, "%lld", digits);
    } else {
        long long whole = digits, fraction, scale = 1;
        int i;

        for (i = 0; i < decimals; i++) scale *= 10;
        fraction = whole % scale;
        sslcv__text_add(text, "%lld.%0*lld", whole / scale, decimals, fraction);
    }
}

/* ---- the composition ---- */

/* Is this link, counted over all branches, the first with its network? */
static int is_first(const sslcv_trainer *trainer, int64_t branch, int64_t link, const void *network)
{
    int64_t i, k;

    for (i = 0; i <= branch; i++) {
        for (k = 0; k < (i < branch ? trainer->branches[i].num_links : link); k++) {
            const sslcv__link *earlier = &trainer->branches[i].links[k];

            if (earlier->backbone == network || earlier->head == network) return 0;
        }
    }
    return 1;
}

/* Backbones and heads are numbered as they first appear. */
static int64_t network_number(const sslcv_trainer *trainer, const sslcv__link *wanted)
{
    int64_t i, k, count = 0;

    for (i = 0; i < trainer->num_branches; i++) {
        for (k = 0; k < trainer->branches[i].num_links; k++) {
            const sslcv__link *link = &trainer->branches[i].links[k];

            if (link->backbone == wanted->backbone && link->head == wanted->head) return count;
            if (!link->backbone == !wanted->backbone) {
                count += is_first(trainer, i, k, link->backbone ? (void *)link->backbone : (void *)link->head);
            }
        }
    }
    return count;
}

static int64_t loss_number(const sslcv_trainer *trainer, const sslcv_loss *loss)
{
    int64_t i, k, count = 0;

    for (i = 0; trainer->criteria[i].loss != loss; i++) {
        for (k = 0; k < i && trainer->criteria[k].loss != trainer->criteria[i].loss; k++) continue;
        count += k == i;
    }
    return count;
}

static const char *grouping_name(int32_t grouping)
{
    return grouping == SSLCV_GROUPING_BY_VIEW ? "by view" : "joined";
}

static void write_branch(const sslcv_trainer *trainer, int64_t index, sslcv__text *text)
{
    const sslcv__branch *branch = &trainer->branches[index];
    const char *copy = branch->momentum ? "momentum " : "";
    sslcv_head_info head;
    int64_t i;

    sslcv__text_add(text, "branch %lld: ", (long long)index);
    if (branch->source >= 0) {
        sslcv__text_add(text, "branch %lld%s", (long long)branch->source, branch->detach ? " detached" : "");
    } else {
        for (i = 0; i < branch->num_views; i++) {
            sslcv__text_add(text, "%s%lld",
                            i                       ? ","
                            : branch->num_views > 1 ? "views "
                                                    : "view ",
                            (long long)branch->views[i]);
        }
    }
    head.struct_size = sizeof head;
    for (i = 0; i < branch->num_links; i++) {
        const sslcv__link *link = &branch->links[i];

        if (link->backbone) {
            sslcv__text_add(text, " -> %sbackbone %lld (%s%s%s)", copy, (long long)network_number(trainer, link),
                            branch->stage ? branch->stage : "", branch->stage ? ", " : "",
                            grouping_name(branch->grouping));
        } else if (sslcv_head_get_info(link->head, &head) == SSLCV_OK) {
            sslcv__text_add(text, " -> %shead %lld (%s %lld-%lld, %s)", copy, (long long)network_number(trainer, link),
                            head.kind, (long long)head.in_dim, (long long)head.out_dim,
                            grouping_name(branch->head_grouping));
        }
    }
    sslcv__text_add(text, "%s%s%s", branch->flags & SSLCV_PASS_TRAIN ? "" : ", fixed statistics",
                    branch->flags & SSLCV_PASS_GRADIENT || branch->momentum ? "" : ", no gradient",
                    branch->flags & SSLCV_PASS_MAP ? ", map" : "");
    if (branch->flags & SSLCV_PASS_SHUFFLE) sslcv__text_add(text, ", shuffled");
    if (branch->bn_splits > 1) sslcv__text_add(text, ", batch norm over %d groups", branch->bn_splits);
}

static void write_loss(const sslcv_trainer *trainer, int64_t index, sslcv__text *text)
{
    const sslcv__criterion *criterion = &trainer->criteria[index];
    sslcv_loss_info info;
    int64_t i;

    info.struct_size = sizeof info;
    info.kind = "";
    sslcv_loss_get_info(criterion->loss, &info);
    sslcv__text_add(text, "loss %lld: ", (long long)loss_number(trainer, criterion->loss));
    sslcv__text_number(text, criterion->weight);
    sslcv__text_add(text, " * %s(", info.kind);
    for (i = 0; i < criterion->num_inputs; i++) {
        sslcv__text_add(text, "%sbranch %lld", i ? ", " : "", (long long)criterion->branches[i]);
    }
    sslcv__text_add(text, ")");
}

void sslcv__trainer_write_composition(const sslcv_trainer *trainer, sslcv__text *text)
{
    int64_t i;

    sslcv__text_add(text, "batches of %lld%s", (long long)trainer->options.batch_size,
                    trainer->options.drop_last ? "" : ", last one kept");
    for (i = 0; i < trainer->num_branches; i++) {
        sslcv__text_add(text, "; ");
        write_branch(trainer, i, text);
    }
    for (i = 0; i < trainer->num_criteria; i++) {
        sslcv__text_add(text, "; ");
        write_loss(trainer, i, text);
    }
}

/* ---- for people ---- */

static void write_shapes(const sslcv__branch *branch, sslcv__text *text)
{
    const sslcv_tensor *output = &branch->output;
    int32_t i;

    if (!branch->used) {
        sslcv__text_add(text, "; not used, not run%s", branch->momentum ? ", its copies follow" : "");
    } else if (output->ndim > 0) {
        sslcv__text_add(text, "; gives");
        for (i = 0; i < output->ndim; i++) sslcv__text_add(text, " %s%lld", i ? "x " : "", (long long)output->shape[i]);
    }
}

static void write_schedule(const char *name, const sslcv_schedule *schedule, sslcv__text *text)
{
    static const char *const kinds[] = {"constant", "cosine", "linear", "steps"};

    sslcv__text_add(text, "%s: %s from ", name, kinds[schedule->kind]);
    sslcv__text_number(text, schedule->value);
    if (schedule->kind == SSLCV_SCHEDULE_COSINE || schedule->kind == SSLCV_SCHEDULE_LINEAR) {
        sslcv__text_add(text, " to ");
        sslcv__text_number(text, schedule->end_value);
    }
    if (schedule->warmup_epochs > 0) {
        sslcv__text_add(text, ", after a warm-up of ");
        sslcv__text_number(text, schedule->warmup_epochs);
        sslcv__text_add(text, " epochs");
    }
    sslcv__text_add(text, schedule->by_epoch ? ", by epoch\n" : "\n");
}

static void write_parts(const sslcv_trainer *trainer, sslcv__text *text)
{
    sslcv_backbone_info backbone;
    sslcv_head_info head;
    int64_t i;

    backbone.struct_size = sizeof backbone;
    for (i = 0; i < trainer->backbones.count; i++) {
        if (sslcv_backbone_get_info(trainer->backbones.items[i].handle, &backbone) != SSLCV_OK) continue;
        sslcv__text_add(text, "backbone %lld: %lld channels -> %lld, %lld parameters", (long long)i,
                        (long long)backbone.channels, (long long)backbone.feature_dim,
                        (long long)backbone.num_parameters);
        if (backbone.frozen_stages) sslcv__text_add(text, ", %d stages frozen", backbone.frozen_stages);
        sslcv__text_add(text, "\n");
    }
    head.struct_size = sizeof head;
    for (i = 0; i < trainer->heads.count; i++) {
        if (sslcv_head_get_info(trainer->heads.items[i].handle, &head) != SSLCV_OK) continue;
        sslcv__text_add(text, "head %lld: %s %lld -> %lld, %lld parameters\n", (long long)i, head.kind,
                        (long long)head.in_dim, (long long)head.out_dim, (long long)head.num_parameters);
    }
}

static void write_memory(const sslcv_trainer *trainer, sslcv__text *text)
{
    sslcv_memory memory;

    if (trainer->stepped) {
        sslcv__trainer_held_memory(trainer, &memory);
    } else if (trainer->is_foretold) {
        memory = trainer->memory;
    } else {
        return;
    }
    sslcv__text_add(text, "memory: ");
    sslcv__text_number(text, (double)memory.total / 1048576.0);
    sslcv__text_add(text, " MiB, of these activations ");
    sslcv__text_number(text, (double)memory.activations / 1048576.0);
    sslcv__text_add(text, " MiB");
    sslcv__trainer_write_choice(trainer, text);
    sslcv__text_add(text, "\n");
}

void sslcv__trainer_write_choice(const sslcv_trainer *trainer, sslcv__text *text)
{
    const sslcv__choice *choice = &trainer->choice;
    const char *name;
    int64_t i;

    if (sslcv__num_slices(trainer->batch, choice->micro_batch) > 1) {
        sslcv__text_add(text, "; gradients cached, %lld of %lld images a pass", (long long)choice->micro_batch,
                        (long long)trainer->batch);
    }
    if (choice->recompute < SSLCV__RECOMPUTE_STAGE) return;
    sslcv__text_add(text, "; computed again in backward: norms");
    for (i = 0; i < trainer->backbones.count; i++) {
        int64_t stage;

        for (stage = 0; sslcv_backbone_get_stage(trainer->backbones.items[i].handle, stage, &name, NULL) == SSLCV_OK;
             stage++) {
            if (choice->recompute & SSLCV__RECOMPUTE_STAGE << stage) sslcv__text_add(text, ", %s", name);
        }
        break; /* bits mean the same stages in all backbones */
    }
}

static void write_description(const sslcv_trainer *trainer, sslcv__text *text)
{
    int64_t i;

    for (i = 0; i < trainer->num_branches; i++) {
        write_branch(trainer, i, text);
        if (trainer->fixed) write_shapes(&trainer->branches[i], text);
        sslcv__text_add(text, "\n");
    }
    for (i = 0; i < trainer->num_criteria; i++) {
        write_loss(trainer, i, text);
        sslcv__text_add(text, "\n");
    }
    write_parts(trainer, text);
    write_schedule("learning rate", &trainer->learning_rate, text);
    if (trainer->options.weight_decay) write_schedule("weight decay", &trainer->weight_decay, text);
    if (sslcv__trainer_has_copies(trainer)) {
        write_schedule(trainer->options.ema_when == SSLCV_EMA_AFTER_STEP ? "momentum copies, behind the step"
                                                                         : "momentum copies, before the branches",
                       &trainer->ema_momentum, text);
    }
    sslcv__text_add(text, "run: %lld epochs of %lld steps", (long long)trainer->options.epochs,
                    (long long)sslcv__trainer_epoch_steps(trainer));
    if (trainer->options.dataset) sslcv__text_add(text, " of %lld images", (long long)trainer->options.batch_size);
    sslcv__text_add(text, "\n");
    write_memory(trainer, text);
}

sslcv_status sslcv_trainer_describe(sslcv_trainer *trainer, char *text, int64_t size, int64_t *needed)
{
    sslcv__text written = {0};
    const sslcv_status status = sslcv__check(trainer, SSLCV__TRAINER, "trainer");

    if (status != SSLCV_OK) return status;
    write_description(trainer, &written);
    if (text && size < written.needed + 1) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "size is %lld; must be at least %lld", (long long)size,
                           (long long)written.needed + 1);
    }
    if (text) {
        written.text = text;
        written.size = size;
        written.needed = 0;
        write_description(trainer, &written);
    }
    if (needed) *needed = written.needed + 1;
    return SSLCV_OK;
}
