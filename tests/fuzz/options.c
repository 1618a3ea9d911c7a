/*
 * Every options struct with any values, of any size: an object, or a status. An input is
 *
 *     subject | kind | flags | size | overwritten fields: place (2 bytes), how (1 byte), value ...
 *
 * Fields are written over the defaults, at their alignment. Pointers and the counts that go with them are set to what is
 * there afterwards, as no library can tell a wrong one. The struct then goes into a block of exactly the size that it
 * claims, behind which a sanitizer sees what is read.
 */
#include "options_judging.h"
#include "options_networks.h"
#include "options_training.h"

enum { MOST = 1024, BEYOND = 32 };

#define SUBJECT(name)                                                                                                  \
    {                                                                                                                  \
        sizeof(sslcv_##name), init_##name, NULL, use_##name, NULL                                                      \
    }
#define SUBJECT_FIXED(name)                                                                                            \
    {                                                                                                                  \
        sizeof(sslcv_##name), init_##name, fix_##name, use_##name, NULL                                                \
    }
#define SUBJECT_MADE(name)                                                                                             \
    {                                                                                                                  \
        sizeof(sslcv_##name), init_##name, fix_##name, use_##name, drop_##name                                         \
    }

static const subject subjects[] = {
    SUBJECT_FIXED(backbone_options),
    SUBJECT_FIXED(mlp_options),
    SUBJECT_FIXED(patch_mlp_options),
    SUBJECT_FIXED(prototypes_options),
    SUBJECT_FIXED(pixelcnn_options),
    SUBJECT_FIXED(cpc_v2_options),
    SUBJECT_FIXED(head_callbacks),
    SUBJECT(info_nce_options),
    SUBJECT_FIXED(nce_bank_options),
    SUBJECT(swapped_options),
    SUBJECT_FIXED(cluster_options),
    SUBJECT_FIXED(cpc_options),
    SUBJECT(cosine_options),
    SUBJECT(barlow_twins_options),
    SUBJECT(vicreg_options),
    SUBJECT(dino_options),
    SUBJECT(cross_entropy_options),
    SUBJECT(binary_cross_entropy_options),
    SUBJECT_FIXED(loss_callbacks),
    SUBJECT_FIXED(loss_call),
    SUBJECT(optimizer_options),
    SUBJECT(optimizer_group),
    SUBJECT(schedule),
    SUBJECT_FIXED(dataset_options),
    {sizeof(sslcv_dataset_callbacks), init_zeros, fix_callbacks, use_dataset_callbacks, NULL},
    SUBJECT_MADE(loader_options),
    SUBJECT_FIXED(transform),
    SUBJECT_MADE(trainer_options),
    SUBJECT_MADE(branch),
    SUBJECT_FIXED(hook),
    SUBJECT_FIXED(method_options),
    SUBJECT_FIXED(pass),
    SUBJECT_MADE(embed_options),
    SUBJECT_FIXED(probe_options),
    SUBJECT_FIXED(figure_options),
    SUBJECT_FIXED(kmeans_options),
    SUBJECT_FIXED(save_options),
    SUBJECT_FIXED(load_options),
    {sizeof(sslcv_state_entry), init_zeros, fix_state_entry, use_state_entry, NULL},
    SUBJECT_FIXED(context_options),
    SUBJECT_FIXED(view_batch),
};

enum { SUBJECTS = sizeof subjects / sizeof *subjects };

/** A field's new value, of *width bytes. */
static uint64_t take_value(fuzz_input *in, int *width)
{
    static const double reals[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e-30, 1e30, 1e300, HUGE_VAL, -HUGE_VAL, NAN};
    static const int64_t wholes[] = {0,         1,         -1,        2,         INT32_MAX,     INT32_MIN,  INT64_MAX,
                                     INT64_MIN, 1LL << 31, 1LL << 32, 1LL << 62, INT64_MAX / 4, UINT32_MAX, 65536};
    const int64_t how = take_below(in, 8);
    double real;
    uint64_t bits;

    *width = how == 0 ? 1 : how == 1 || how == 2 ? 4 : 8;
    if (how < 2) return take(in, *width);
    if (how == 2 || how == 3) return (uint64_t)(int64_t)(int8_t)take(in, 1);
    if (how == 4) return (uint64_t)wholes[take_below(in, sizeof wholes / sizeof *wholes)];
    if (how == 5) return take(in, 8);
    real = how == 6 ? reals[take_below(in, sizeof reals / sizeof *reals)] : (double)(int8_t)take(in, 1) / 16;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

/** Little-endian, as the machines are that oneDNN 2.6 knows. */
static void overwrite(fuzz_input *in, uint8_t *options, size_t size)
{
    while (in->left > 3) {
        const size_t place = (size_t)take(in, 2) % size;
        int width;
        const uint64_t value = take_value(in, &width);
        const size_t at = place / (size_t)width * (size_t)width;

        if (at >= sizeof(size_t) && at + (size_t)width <= size) memcpy(options + at, &value, (size_t)width);
    }
}

/** A block of the size that it claims, filled by init where that takes it. */
static uint8_t *init_block(const subject *s, size_t size, int32_t kind)
{
    uint8_t *block = malloc(size ? size : 1);
    size_t told;

    REQUIRE(block);
    if (!sane(s->init(block, size, kind))) return block;
    if (s->init == init_zeros && size < sizeof told) return block;
    REQUIRE(size >= sizeof told);
    memcpy(&told, block, sizeof told);
    REQUIRE(told == size);
    return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t room[MOST / sizeof(uint64_t)];
    uint8_t *full = (uint8_t *)room, *block;
    fuzz_input in = {data, size};
    const subject *s = &subjects[take_below(&in, SUBJECTS)];
    const int32_t kind = (int8_t)take(&in, 1);
    const uint64_t flags = take(&in, 1), other = take(&in, 1);
    const size_t claimed = other < 192 ? s->size : other < 224 ? s->size + other - 192 : (size_t)take(&in, 1);
    fuzz_memory memory;
    const rig r = {fuzz_context(&memory, 2 << 20), flags};

    REQUIRE(s->size + BEYOND <= sizeof room && claimed <= sizeof room);
    memset(room, 0, sizeof room);
    free(init_block(s, claimed, kind));
    block = init_block(s, s->size, kind);
    if (s->init(full, s->size, kind) != SSLCV_OK) MUST(s->init(full, s->size, 1));
    overwrite(&in, full, s->size + (claimed > s->size ? BEYOND : 0));
    if (s->fix) s->fix(full, &r);
    memcpy(full, &claimed, sizeof claimed);
    free(block);
    block = malloc(claimed > sizeof claimed ? claimed : sizeof claimed);
    REQUIRE(block);
    memcpy(block, full, claimed > sizeof claimed ? claimed : sizeof claimed);
    s->use(block, &r);
    if (s->drop) s->drop(full);
    free(block);
    fuzz_end(r.context, &memory);
    return 0;
}
