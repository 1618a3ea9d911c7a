/* Folders of CIFAR's binary files from strangers: whichever are there, of whatever size, plain and by gzip. */
#include "folders.h"
#include "streams.h"

/**
 * As the input says: nothing, so many bytes that repeat the rest of the input, or the rest of it; by gzip or told to be
 * so by its name.
 */
static void put_file(fuzz_input *in, const char *name)
{
    const uint64_t flags = take(in, 1);
    const size_t size = (size_t)take(in, 2) % 8192;
    char with_ending[64];
    file f = {0};
    size_t i;

    REQUIRE(snprintf(with_ending, sizeof with_ending, "%s.gz", name) < (int)sizeof with_ending);
    no_file(name);
    no_file(with_ending);
    if (!(flags & 1)) return;
    if (flags & 2 || in->left == 0) {
        file_put(&f, in->bytes, in->left);
    } else {
        for (i = 0; i < size; i++) file_put(&f, in->bytes + i % in->left, 1);
    }
    if (flags & 4) {
        const file plain = f;
        f = file_deflated(plain.bytes, plain.size, 15 + 16);
        free(plain.bytes);
    }
    write_file(flags & 8 ? with_ending : name, f.bytes, f.size);
    file_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    const uint64_t flags = take(&in, 1);
    const int hundred = flags & 1;
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 4 << 20);
    sslcv_dataset_options options;
    sslcv_dataset *dataset = NULL;

    MUST(
        sslcv_dataset_options_init(&options, sizeof options, hundred ? SSLCV_DATASET_CIFAR100 : SSLCV_DATASET_CIFAR10));
    options.path = folder_path();
    options.part = (int32_t)(flags >> 1 & 3);
    options.max_file_bytes = flags & 8 ? 4096 : 1 << 16;
    put_file(&in, hundred ? "train.bin" : "data_batch_1.bin");
    put_file(&in, hundred ? "test.bin" : "test_batch.bin");
    put_file(&in, hundred ? "fine_label_names.txt" : "batches.meta.txt");
    if (sane(sslcv_dataset_create(context, &options, &dataset))) read_all(dataset);
    sslcv_dataset_destroy(dataset);
    fuzz_end(context, &memory);
    return 0;
}
