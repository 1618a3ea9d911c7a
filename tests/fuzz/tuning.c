/* Files of convolution algorithms, which processes share: lines that are none are skipped, whatever they are. */
#include "folders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_memory memory = {0, 4 << 20};
    const sslcv_allocator allocator = {sizeof allocator, &memory, fuzz_allocate, fuzz_deallocate, NULL};
    sslcv_context_options options;
    sslcv_context *context = NULL;
    sslcv_status status;
    char path[128];

    path_of(path, "tuning");
    write_file("tuning", data, size);
    MUST(sslcv_context_options_init(&options, sizeof options));
    options.threads = 1;
    options.allocator = &allocator;
    options.tuning_path = path;
    status = sslcv_context_create(&options, &context);
    REQUIRE(sane(status) == (context != NULL));
    sslcv_context_destroy(context);
    REQUIRE(memory.bytes == 0);
    return 0;
}
