/* Gives files to a target, one after the other: the corpus without a fuzzing engine. */
#include "fuzz.h"

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        FILE *from = fopen(argv[i], "rb");
        uint8_t *data;
        long size;

        if (!from || fseek(from, 0, SEEK_END) != 0 || (size = ftell(from)) < 0) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        rewind(from);
        data = malloc(size ? (size_t)size : 1); /* of this size, so that reading beyond it is seen */
        if (!data || fread(data, 1, (size_t)size, from) != (size_t)size) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        fclose(from);
        fprintf(stderr, "%s\n", argv[i]); /* the last one is that which failed */
        LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
    }
    printf("%d inputs\n", argc - 1);
    return EXIT_SUCCESS;
}
