/*
 * A host that loads the library at run time, as plugins do: opens it, works, closes it, opens it again; beside another
 * copy of it in one process, loaded locally and into a name space of its own.
 *
 *     copies FOLDER WORK [COPY]
 *
 * WORK: work.c bound to the library; COPY: the same bound to another copy of it. Prints findings.
 */
#define _GNU_SOURCE
#include "work.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef struct plugin {
    void *handle;
    guest_work_function *work;
    guest_error_function *error;
    int (*make)(void **context, void **augmenter);
    void (*destroy)(void *context, void *augmenter);
    int (*refuses)(void *context, void *augmenter);
} plugin;

static int failures;

static void expect(int condition, const char *what)
{
    if (condition) return;
    printf("%s: failed\n", what);
    failures++;
}

static void *symbol(void *handle, const char *name)
{
    void *address = dlsym(handle, name);

    if (!address) printf("%s\n", dlerror());
    return address;
}

/* Objects and functions have one size here; C has no cast between the two. */
#define FUNCTION(of, name)                                                                                             \
    do {                                                                                                               \
        void *address = symbol((of)->handle, "guest_" #name);                                                          \
        memcpy(&(of)->name, &address, sizeof address);                                                                 \
        if (!address) return 1;                                                                                        \
    } while (0)

static int bind(plugin *p, void *handle)
{
    p->handle = handle;
    if (!handle) {
        printf("%s\n", dlerror());
        return 1;
    }
    FUNCTION(p, work);
    FUNCTION(p, error);
    FUNCTION(p, make);
    FUNCTION(p, destroy);
    FUNCTION(p, refuses);
    return 0;
}

static int is_mapped(const char *name)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;

    while (maps && fgets(line, sizeof line, maps)) found |= strstr(line, name) != NULL;
    if (maps) fclose(maps);
    return found;
}

static void work(const plugin *p, const char *folder, const float *expected, float *values, const char *what)
{
    const guest_options options = {2, 2, folder, NULL, NULL};

    if (p->work(&options, values) != 0) {
        printf("%s: %s\n", what, p->error());
        failures++;
    }
    if (expected) expect(memcmp(values, expected, GUEST_VALUES * sizeof *values) == 0, what);
}

static void beside(const plugin *p, const plugin *other, const char *folder, const float *expected)
{
    float values[GUEST_VALUES] = {0};
    void *context = NULL, *augmenter = NULL;

    expect(p->make(&context, &augmenter) == 0, "a context of the first copy");
    work(other, folder, expected, values, "the other copy");
    expect(other->refuses(context, augmenter) == 0, "handles of the first are refused by the other");
    expect(p->refuses(context, augmenter) != 0, "and taken by the first");
    expect(p->make(&context, &augmenter) == 0, "another context of the first copy");
    p->destroy(context, augmenter);
    work(p, folder, expected, values, "the first copy again");
}

int main(int argc, char **argv)
{
    float first[GUEST_VALUES] = {0}, values[GUEST_VALUES] = {0};
    plugin p = {0}, other = {0};
    int i;

    if (argc < 3) return 2;
    for (i = 0; i < 3; i++) {
        if (bind(&p, dlopen(argv[2], RTLD_NOW | RTLD_LOCAL)) != 0) return 1;
        expect(dlsym(RTLD_DEFAULT, "sslcv_context_create") == NULL, "names stay local");
        work(&p, argv[1], i ? first : NULL, i ? values : first, "opened again");
        expect(dlclose(p.handle) == 0, "dlclose");
        expect(!is_mapped("libsslcv"), "the library is gone after dlclose");
    }
    if (argc > 3) {
        if (bind(&p, dlopen(argv[2], RTLD_NOW | RTLD_LOCAL)) != 0) return 1;
        if (bind(&other, dlopen(argv[3], RTLD_NOW | RTLD_LOCAL)) != 0) return 1;
        expect(p.work != other.work, "two copies");
        beside(&p, &other, argv[1], first);
        dlclose(other.handle);
        work(&p, argv[1], first, values, "the first copy, with the other one gone");
        if (bind(&other, dlmopen(LM_ID_NEWLM, argv[3], RTLD_NOW | RTLD_LOCAL)) != 0) return 1;
        beside(&p, &other, argv[1], first);
        dlclose(p.handle);
    }
    printf("left after dlclose:%s%s\n", is_mapped("libdnnl") ? " oneDNN" : "", is_mapped("libgomp") ? " libgomp" : "");
    return failures > 0;
}
