/*
 * Sequences of calls in any order: wrong moments, NULL, handles of other types and contexts, objects given back in any
 * order, callbacks that fail, memory that runs out. Each call gives a status; in the end all memory has come back and
 * every callback table was destroyed once.
 */
#include "calls_make.h"
#include "calls_train.h"
#include "calls_use.h"

static void give_back(calls *c)
{
    const kind k = (kind)take_below(&c->in, KINDS);
    void **slot = &c->slots[k][take_below(&c->in, SLOTS)];

    destroy(k, *slot);
    *slot = NULL;
}

static void retain(calls *c)
{
    const kind k = (kind)take_below(&c->in, KINDS);
    void *handle = pick(c, k);
    int slot;

    if (sslcv_retain(handle) != SSLCV_OK) {
        REQUIRE(!handle);
        return;
    }
    for (slot = 0; slot < SLOTS * KINDS; slot++) {
        if (c->slots[slot / SLOTS][slot % SLOTS] == handle) break;
    }
    destroy((kind)(slot / SLOTS), handle);
}

static void cancel(calls *c)
{
    const int32_t on = (int32_t)take_below(&c->in, 3);

    sane(sslcv_context_cancel(pick(c, CONTEXT), on));
}

/** So many bytes more, from now on. */
static void starve(calls *c)
{
    c->memory.limit = c->memory.bytes + ((size_t)1 << take_below(&c->in, 22));
}

static void feed(calls *c)
{
    c->memory.limit = 16 << 20;
}

static void set_answer(calls *c)
{
    c->answer = take(&c->in, 2);
}

static void (*const operations[])(calls *c) = {
    give_back,
    retain,
    cancel,
    starve,
    feed,
    set_answer,
    make_context,
    make_backbone,
    make_head,
    make_custom_head,
    make_loss,
    make_custom_loss,
    make_optimizer,
    make_augmenter,
    make_dataset,
    make_host_dataset,
    make_subset,
    make_loader,
    make_tape,
    make_trainer,
    make_method,
    make_probe,
    clone_backbone,
    clone_head,
    get_state,
    open_state,
    add_view,
    add_images,
    add_branch,
    add_loss,
    set_loss,
    add_hook,
    step,
    step_views,
    run,
    set_labels,
    keep_best,
    take_best,
    look_at_trainer,
    take_parts,
    metrics,
    watch,
    forward,
    backward,
    compute,
    tune_loss,
    optimize,
    state_values,
    state_flat,
    state_lerp,
    state_file,
    freeze,
    reset_head,
    read_sample,
    next_batch,
    embed,
    fit_probe,
    look_at,
};

enum { OPERATIONS = sizeof operations / sizeof *operations };

/** Makes what most calls need, in slots 0: an input that begins so gets to them sooner. */
static void furnish(calls *c)
{
    static const uint8_t makers[] = {
        0,                 /* values */
        0,  0, 0, 0,       /* backbone of context 0, with one stage */
        0,  0, 0,          /* head of 16 -> 4 */
        1,  0, 1,          /* head of 4 -> 4 */
        0,  0, 0,          /* loss: info_nce */
        0,  7, 1,          /* loss: with a bank */
        0,  0, 0,          /* optimizer: SGD */
        0,  0,             /* tape */
        0,  0, 0, 0,       /* probe: k-NN */
        1,  0, 0,          /* state of the head */
        8,  0, 0, 0, 0, 0, /* trainer, batches of 2 */
        20, 0, 0,          /* its branch: two views through the head */
        0,  0, 0, 0, 0,    /* its loss */
    };
    static void (*const in_turn[])(calls * c) = {refresh_values, make_backbone,  make_head, make_head,  make_loss,
                                                 make_loss,      make_optimizer, make_tape, make_probe, get_state,
                                                 make_trainer,   add_branch,     add_loss};
    const fuzz_input rest = c->in;
    size_t i;

    c->slots[DATASET][0] = world_dataset(c->slots[CONTEXT][0]);
    c->slots[AUGMENTER][0] = world_augmenter(c->slots[CONTEXT][0]);
    c->in = (fuzz_input){makers, sizeof makers};
    for (i = 0; i < sizeof in_turn / sizeof *in_turn; i++) in_turn[i](c);
    REQUIRE(c->in.left == 0 && c->slots[TRAINER][0]);
    c->in = rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    calls c = {.in = {data, size}};
    int count, slot;

    c.slots[CONTEXT][0] = fuzz_context(&c.memory, 16 << 20);
    if (take(&c.in, 1) & 1) furnish(&c);
    for (count = 0; count < MAX_CALLS && c.in.left > 0; count++) {
        const int64_t which = take_below(&c.in, OPERATIONS);

        refresh_values(&c);
        operations[which](&c);
    }
    /* Whichever way round; the last bytes have said what is left. */
    for (slot = 0; slot < SLOTS * KINDS; slot++) {
        const int at = size & 1 ? slot : SLOTS * KINDS - 1 - slot;

        destroy((kind)(at / SLOTS), c.slots[at / SLOTS][at % SLOTS]);
    }
    REQUIRE(c.memory.bytes == 0);
    REQUIRE(c.hosts == 0);
    return 0;
}
