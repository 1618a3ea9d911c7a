/*
 * Memory that runs out in what allocates by malloc() instead of the context's allocator: libjpeg, liblbfgs,
 * DLPack structures, the C library's own streams and folders. malloc() and its like are replaced for this program. They
 * count and fail only between arm() and disarm(), on that thread, and never for libgomp, which ends the process when it
 * gets none, nor for oneDNN. Under AddressSanitizer, which replaces them too, there is nothing to fail.
 */
#define _GNU_SOURCE /* dladdr */
#include "out_of_memory_support.h"

#include <dlfcn.h>
#include <errno.h>

#if defined __SANITIZE_ADDRESS__ || !defined __GLIBC__
#define IS_REPLACED 0
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define IS_REPLACED 0
#endif
#endif
#ifndef IS_REPLACED
#define IS_REPLACED 1
#endif

#define HAVE (&w->have)
#define OUT  (&w->out)

static _Thread_local struct {
    int armed, once;
    int64_t calls, fail_at, out;
} heap;

#if IS_REPLACED

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *memory);
void *memalign(size_t alignment, size_t bytes);

static int fails(const void *caller)
{
    Dl_info where;
    int64_t call;

    if (!heap.armed) return 0;
    if (dladdr(caller, &where) && (strstr(where.dli_fname, "libgomp") || strstr(where.dli_fname, "libdnnl") ||
                                   strstr(where.dli_fname, "libstdc++"))) {
        return 0;
    }
    call = heap.calls++;
    if (heap.fail_at < 0 || (heap.once ? call != heap.fail_at : call < heap.fail_at)) return 0;
    errno = ENOMEM;
    return 1;
}

static void *counted(void *memory)
{
    if (heap.armed && memory) heap.out++;
    return memory;
}

#pragma GCC visibility push(default) /* so that shared libraries come here too */

void *malloc(size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, bytes));
}

void *realloc(void *memory, size_t bytes)
{
    void *moved;

    if (fails(__builtin_return_address(0))) return NULL;
    moved = __libc_realloc(memory, bytes);
    return memory ? moved : counted(moved);
}

void *memalign(size_t alignment, size_t bytes)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, bytes));
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    if (fails(__builtin_return_address(0))) return ENOMEM;
    *memory = counted(__libc_memalign(alignment, bytes));
    return *memory ? 0 : ENOMEM;
}

/* What the context's allocator calls: never fails here. */
void *aligned_alloc(size_t alignment, size_t bytes)
{
    return counted(__libc_memalign(alignment, bytes));
}

void free(void *memory)
{
    if (heap.armed && memory) heap.out--;
    __libc_free(memory);
}

#pragma GCC visibility pop

#endif

static void arm(int64_t fail_at, int once)
{
    heap.calls = heap.out = 0;
    heap.fail_at = fail_at;
    heap.once = once;
    heap.armed = 1;
}

static void disarm(void)
{
    heap.armed = 0;
}

/* ---- one scenario ---- */

/* Where the C library cannot open a file for want of memory, that is an IO error with the system's text. */
static void expect_failure(const world *w, const scenario *s, sslcv_status status, int64_t n, int64_t held)
{
    ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY ||
                      (status == SSLCV_ERR_IO && strstr(sslcv_last_error(), "allocate memory")),
                  "%s: malloc %d fails, and it gives %s (%s)", s->function, (int)n, sslcv_status_string(status),
                  sslcv_last_error());
    ck_assert_msg(memcmp(&w->out, &w->before, sizeof w->out) == 0, "%s: malloc %d fails, and an output is written",
                  s->function, (int)n);
    ck_assert_msg(w->memory.out == held, "%s: malloc %d fails, and %d blocks leak", s->function, (int)n,
                  (int)(w->memory.out - held));
    /* KEEPS: oneDNN has a cache of its own. */
    ck_assert_msg((s->flags & KEEPS) || heap.out == 0, "%s: malloc %d fails, and %d blocks of malloc leak", s->function,
                  (int)n, (int)heap.out);
}

static void run_library_scenario(const scenario *s)
{
    static world w;
    int64_t n, calls, held, failures = 0;
    uint64_t result;
    int once;

    begin_world(&w, s);
    arm(-1, 1);
    OK(s->call(&w));
    disarm();
    calls = heap.calls;
    result = digest_world(&w);
    end_world(&w, s);
    ck_assert(calls > 0 || !IS_REPLACED);
    for (once = 0; once < 2; once++) {
        for (n = 0; n < calls; n += calls / 200 + 1) {
            sslcv_status status;

            begin_world(&w, s);
            held = w.memory.out;
            failures++;
            arm(n, once);
            status = s->call(&w);
            disarm();
            if (status != SSLCV_OK) {
                expect_failure(&w, s, status, n, held);
                OK(s->call(&w));
            }
            ck_assert_msg(digest_world(&w) == result, "%s: malloc %d fails, and it gives something else", s->function,
                          (int)n);
            end_world(&w, s);
        }
    }
    if (getenv("SSLCV_TEST_COUNTS"))
        printf("%s: %d allocations, %d failures\n", s->function, (int)calls, (int)failures);
}

/* ---- what they do ---- */

/* As OK(), but Check takes memory where it asserts. */
#define SURE(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != SSLCV_OK) abort();                                                                               \
    } while (0)

/* The files are made once: syncing them takes longer than all the rest. */
static void have_state_files(world *w)
{
    const sslcv_state_entry entry = {sizeof entry, "layer.weight", {3, 5}, 2, SSLCV_F32, SSLCV_ROLE_WEIGHT, 0};
    const char *const metadata[] = {"author", "nobody"};
    sslcv_save_options o;

    OK(sslcv_state_create(HAVE->context, &HAVE->state));
    OK(sslcv_state_add(HAVE->state, &entry, NULL));
    if (access(in_folder("s.npz"), R_OK) == 0) return;
    OK(sslcv_save_options_init(&o, sizeof o));
    o.metadata = metadata;
    o.num_metadata = 1;
    OK(sslcv_state_save(HAVE->state, in_folder("s.safetensors"), &o));
    OK(sslcv_save_options_init(&o, sizeof o));
    o.format = SSLCV_FORMAT_NPZ;
    OK(sslcv_state_save(HAVE->state, in_folder("s.npz"), &o));
}

static void have_backbone_file(world *w)
{
    if (access(in_folder("b.safetensors"), R_OK) == 0) return;
    have_backbone(w);
    OK(sslcv_backbone_get_state(HAVE->backbone, &w->second));
    OK(sslcv_state_save(w->second, in_folder("b.safetensors"), NULL));
    sslcv_backbone_destroy(HAVE->backbone);
    HAVE->backbone = NULL;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* A file of tests/golden/images.txt. */
static void write_golden(const char *name)
{
    static char line[1 << 16];
    static unsigned char bytes[1 << 14];
    FILE *file = fopen("tests/golden/images.txt", "r");
    size_t count = 0;
    const char *hex;
    int axes[4], at;

    ck_assert_ptr_nonnull(file);
    do {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    } while (strncmp(line, name, strlen(name)) != 0);
    fclose(file);
    ck_assert_int_eq(sscanf(line, "%*s %d %d %d %d %n", &axes[0], &axes[1], &axes[2], &axes[3], &at), 4);
    for (hex = line + at; *hex != ' '; hex += 2)
        bytes[count++] = (unsigned char)(16 * hex_digit(hex[0]) + hex_digit(hex[1]));
    write_file(in_folder(name), bytes, count);
}

static void have_pictures(world *w, const char *name)
{
    sslcv_dataset_options o;

    mkdir(in_folder("photos"), 0755);
    write_golden(name);
    rename(in_folder(name), in_folder("photos/a"));
    o = dataset_options(SSLCV_DATASET_LIST, NULL);
    HAVE->dataset = make_dataset(HAVE->context, &o);
    OK(sslcv_dataset_add_file(HAVE->dataset, in_folder("photos/a"), NULL, 0, 0, NULL));
}

static void have_jpeg(world *w)
{
    have_pictures(w, "rgb.jpg");
}

static void have_folder(world *w)
{
    (void)w;
    mkdir(in_folder("folder"), 0755);
    mkdir(in_folder("folder/a"), 0755);
    write_ppm("folder/a/x.ppm", 4, 4, 1);
}

static sslcv_status read_picture(world *w)
{
    const int64_t shape[3] = {3, 19, 34};
    sslcv_tensor image;

    SURE(sslcv_tensor_init(&image, SSLCV_U8, OUT->floats, 3, shape));
    return sslcv_dataset_read(HAVE->dataset, 0, &image);
}

static sslcv_status open_folder(world *w)
{
    sslcv_dataset_options o;

    SURE(sslcv_dataset_options_init(&o, sizeof o, SSLCV_DATASET_FOLDER));
    o.path = in_folder("folder");
    return sslcv_dataset_create(HAVE->context, &o, &OUT->made.dataset);
}

static void have_logistic(world *w)
{
    sslcv_probe_options o;

    OK(sslcv_probe_options_init(&o, sizeof o, SSLCV_PROBE_LOGISTIC));
    o.c_count = 2;
    o.seed = 4;
    OK(sslcv_probe_create(HAVE->context, &o, &HAVE->probe));
}

static sslcv_status fit(world *w)
{
    enum { ROWS = 20, DIM = 3 };
    static float values[ROWS * DIM];
    static int64_t labels[ROWS];
    const int64_t shape[2] = {ROWS, DIM};
    sslcv_tensor features;
    int i;

    golden_input(6, ROWS * DIM, values);
    for (i = 0; i < ROWS; i++) labels[i] = i % 2;
    SURE(sslcv_tensor_init(&features, SSLCV_F32, values, 2, shape));
    return sslcv_probe_fit(HAVE->probe, &features, labels);
}

/* The structure is given back at once: its address is no result. */
static sslcv_status lend(world *w)
{
    struct {
        char tensor[56];
        void (*deleter)(void *);
    } const *view;
    const int64_t shape[1] = {4};
    sslcv_tensor tensor;
    void *made = w;
    sslcv_status status;

    SURE(sslcv_tensor_init(&tensor, SSLCV_F32, OUT->floats, 1, shape));
    status = sslcv_tensor_to_dlpack(&tensor, NULL, NULL, 0, &made);
    if (status != SSLCV_OK) {
        if (made != (void *)w) abort();
        return status;
    }
    view = made;
    view->deleter(made);
    return SSLCV_OK;
}

CALL(load_npz, sslcv_state_load(HAVE->state, in_folder("s.npz"), NULL, NULL))
CALL(open_npz, sslcv_state_open(HAVE->context, in_folder("s.npz"), NULL, &OUT->made.state))
CALL(load_backbone, sslcv_backbone_load(HAVE->context, in_folder("b.safetensors"), NULL, &OUT->made.backbone))

static const scenario scenarios[] = {
    {"sslcv_backbone_load", have_backbone_file, load_backbone, KEEPS, 0},
    {"sslcv_dataset_create", have_folder, open_folder, 0, 0},
    {"sslcv_tensor_to_dlpack", NULL, lend, 0, 0},
    {"sslcv_state_load", have_state_files, load_npz, 0, 0},
    {"sslcv_state_open", have_state_files, open_npz, 0, 0},
#ifdef SSLCV__LIBJPEG
    {"sslcv_dataset_read", have_jpeg, read_picture, 0, 0},
#endif
#ifdef SSLCV__LIBLBFGS
    {"sslcv_probe_fit", have_logistic, fit, 0, 0},
#endif
};

START_TEST(runs)
{
    run_library_scenario(&scenarios[_i]);
}
END_TEST

int main(void)
{
    return run_scenarios("out_of_memory_libraries", runs, (int)(sizeof scenarios / sizeof scenarios[0]));
}
