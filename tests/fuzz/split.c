/* Published lists of samples from strangers, and shares, folds and seeds of any value. What is chosen is in order. */
#include "folders.h"

enum { SAMPLES = 9 };

static sslcv_dataset *make_samples(sslcv_context *context)
{
    static const char *const names[SAMPLES] = {"a/1.png", "a/2.png", "b/1.png",      "#3", "b/n01440764_10026.JPEG",
                                               "c d.png", "a/2.png", "\xc3\xa9.png", "x"};
    static const int64_t labels[SAMPLES] = {0, 0, 1, 1, 2, -1, 0, 2, 1};
    sslcv_dataset_options options;
    sslcv_dataset *dataset;
    int i;

    MUST(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    MUST(sslcv_dataset_create(context, &options, &dataset));
    for (i = 0; i < SAMPLES; i++) MUST(sslcv_dataset_add_file(dataset, names[i], NULL, 0, labels[i], NULL));
    return dataset;
}

/** Ascending, none twice; saved as a list, that list chooses them again. */
static void check_choice(sslcv_dataset *dataset, const int64_t *indices, int64_t count)
{
    sslcv_split_options options;
    int64_t again[SAMPLES], i, found = -1;
    char path[128];

    for (i = 0; i < count; i++)
        REQUIRE(indices[i] >= 0 && indices[i] < SAMPLES && (i == 0 || indices[i] > indices[i - 1]));
    if (count == 0) return;
    path_of(path, "saved");
    MUST(sslcv_dataset_save_list(dataset, indices, count, path));
    MUST(sslcv_split_options_init(&options, sizeof options));
    options.list_path = path;
    MUST(sslcv_dataset_split(dataset, &options, again, SAMPLES, &found));
    REQUIRE(found == count && memcmp(again, indices, (size_t)count * sizeof *again) == 0);
}

/** No name and no number has a zero. Behind gzip's first byte they mean nothing. */
static int has_zero(const fuzz_input *list)
{
    return list->left > 0 && list->bytes[0] != 0x1f && memchr(list->bytes, 0, list->left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1);
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 4 << 20);
    sslcv_dataset *dataset = make_samples(context);
    sslcv_split_options options;
    int64_t indices[SAMPLES + 1], capacity = SAMPLES, count = -1, needed = -1;
    uint64_t bits;
    char path[128];

    MUST(sslcv_split_options_init(&options, sizeof options));
    if (flags & 1) options.complement = (int32_t)take(&in, 1);
    if (flags & 2) options.balanced = (int32_t)take(&in, 1);
    if (flags & 4) options.per_class = (int64_t)take(&in, flags & 128 ? 8 : 1);
    if (flags & 8) options.folds = (int64_t)take(&in, flags & 128 ? 8 : 1);
    if (flags & 8) options.fold = (int64_t)take(&in, flags & 128 ? 8 : 1);
    if (flags & 16) options.seed = take(&in, 2);
    if (flags & 32) {
        bits = take(&in, 8);
        memcpy(&options.fraction, &bits, sizeof bits);
    }
    if (flags & 64) {
        path_of(path, "list");
        options.list_path = path;
        write_file("list", in.bytes, in.left);
    }
    if (sane(sslcv_dataset_split(dataset, &options, NULL, 0, &needed))) {
        REQUIRE(!(flags & 64) || !has_zero(&in));
        REQUIRE(needed >= 0 && needed <= SAMPLES);
        indices[needed] = -77;
        capacity = needed;
        MUST(sslcv_dataset_split(dataset, &options, indices, capacity, &count));
        REQUIRE(count == needed && indices[needed] == -77);
        check_choice(dataset, indices, count);
    } else {
        REQUIRE(needed == -1);
    }
    sslcv_dataset_destroy(dataset);
    fuzz_end(context, &memory);
    return 0;
}
