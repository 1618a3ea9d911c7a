/* Every function of the library that can run out of memory has a scenario in one of test_out_of_memory_*.c. */
#include "support.h"

#include <glob.h>
#include <stdio.h>

/* Functions without one, each with its reason. Those that end with _init() fill the caller's struct, and those that end
   with _destroy() give back: neither can fail for memory, nor takes any. */
static const char *const without[] = {
    "sslcv_build_info",           /* constant text */
    "sslcv_version",              /* a number */
    "sslcv_version_string",       /* constant text */
    "sslcv_status_string",        /* constant text */
    "sslcv_last_error",           /* a buffer of the thread */
    "sslcv_last_error_copy",      /* into a buffer of the caller's */
    "sslcv_dtype_size",           /* a number */
    "sslcv_tensor_init_pixels",   /* fills the caller's struct */
    "sslcv_tensor_from_dlpack",   /* fills the caller's struct */
    "sslcv_probe_options_preset", /* fills the caller's struct */
    "sslcv_schedule_value",       /* a pure function */
    "sslcv_method_name",          /* constant text */
    "sslcv_method_settings",      /* into a buffer of the caller's; has no context to take memory from */
};

static int ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);

    return length > tail && strcmp(name + length - tail, end) == 0;
}

static int is_without(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof without / sizeof without[0]; i++) {
        if (strcmp(name, without[i]) == 0) return 1;
    }
    return ends_with(name, "_init") || ends_with(name, "_destroy");
}

/* What a row of a table begins with. */
static int has_scenario(const char *name, const glob_t *suites)
{
    char row[320], line[512];
    size_t i;
    int found = 0;

    snprintf(row, sizeof row, "{\"%s\", ", name);
    for (i = 0; i < suites->gl_pathc && !found; i++) {
        FILE *file = fopen(suites->gl_pathv[i], "r");

        ck_assert_ptr_nonnull(file);
        while (!found && fgets(line, sizeof line, file)) found = strstr(line, row) != NULL;
        fclose(file);
    }
    return found;
}

START_TEST(all_functions_have_a_scenario)
{
    FILE *map = fopen("lib/sslcv.map", "r");
    char line[256], name[256];
    glob_t suites;
    int count = 0;

    ck_assert_msg(map != NULL, "lib/sslcv.map is not there: tests run in the repository's root");
    ck_assert_int_eq(glob("tests/unit/test_out_of_memory_*.c", 0, NULL, &suites), 0);
    while (fgets(line, sizeof line, map)) {
        if (sscanf(line, " %255[a-z0-9_];", name) != 1 || strncmp(name, "sslcv_", 6) != 0) continue;
        ck_assert_msg(has_scenario(name, &suites) != is_without(name), "%s: %s", name,
                      is_without(name) ? "has a scenario, and a reason for none" : "has no scenario");
        count++;
    }
    ck_assert_int_gt(count, 150);
    globfree(&suites);
    fclose(map);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("out_of_memory_complete");
    TCase *tcase = tcase_create("tables");

    tcase_add_test(tcase, all_functions_have_a_scenario);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
