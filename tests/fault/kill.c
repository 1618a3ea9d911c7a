/*
 * Runs with checkpoints, killed again and again: does the next one go on from a whole checkpoint, and end with the bits
 * of a run that nobody disturbed?
 *
 *     kill [--kills 200] [--seed 1] [--method NAME] [--verbose]
 *
 * A run is a process of its own: this program once more, with --run. Where it dies is drawn: before the n-th of its
 * calls that touch a file (in the middle of it, if it writes), of those that neither read nor write, of those that
 * sync, link or rename, or at some moment by the clock. Two of three deaths by a call are power cuts: then bytes that
 * were not synced are lost, and in half of these also names whose folder was not.
 *
 * After each death: the checkpoint is whole, and not older than the last one that the run had saved. At the end: the
 * checkpoint and the one before have the bits of the undisturbed run, nothing else is left, and of the scalars no more
 * lines are broken than processes died.
 */
#include "faults.h"

#include "../../examples/synthetic.h"
#include "../bench/bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SAMPLES = 24, SIDE = 16, MOST_DEATHS = 8, PATH_BYTES = 300 };

/* Each remembers something else from step to step. Six epochs, a checkpoint after each. */
static const char *const methods[][2] = {
    {"simclr", "out_dim=32"},
    {"moco-v2", "out_dim=32 queue_size=48 bn_splits=1"}, /* momentum copies, a queue */
    {"swav", "out_dim=32 prototypes=16"},                /* prototypes that rest */
    {"dino", "hidden_dim=64 out_dim=32 prototypes=32"},  /* momentum copies, a centre */
    {"cmc", "negatives=8"},                              /* two networks, two banks, Z */
    {"pirl", "size=18 negatives=8"},                     /* a bank */
    {"deepcluster", "clusters=4"},                       /* k-means, labels, a top layer that is drawn anew */
    {"deepcluster-v2", "out_dim=32 prototypes=4"},       /* spherical k-means over a memory */
};
enum { NUM_METHODS = sizeof methods / sizeof methods[0] };

static const char common[] = "batch=12 epochs=6 width=0.0625 prefetch=0";

/* ---- the run: a process that may die ---- */

/* The epoch that has begun: the checkpoints of all before it are saved. */
static int32_t note_epoch(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    char text[32];
    const int length = snprintf(text, sizeof text, "%d\n", (int)progress->epoch);

    (void)trainer;
    return pwrite(*(const int *)user, text, (size_t)length, 0) != length;
}

static sslcv_status train(const char *method, const char *folder, int notes)
{
    sslcv_context *context = NULL;
    sslcv_dataset *dataset = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_scalars *lines = NULL;
    sslcv_context_options threads;
    sslcv_method_options o;
    sslcv_hook hook;
    char path[PATH_BYTES], settings[256];
    const char *own = "";
    sslcv_status status;
    int i;

    for (i = 0; i < NUM_METHODS; i++) {
        if (strcmp(methods[i][0], method) == 0) own = methods[i][1];
    }
    snprintf(settings, sizeof settings, "%s %s %s", common, strstr(own, "size=18") ? "" : "size=16", own);
    snprintf(path, sizeof path, "%s/run", folder);
    TRY(sslcv_context_options_init(&threads, sizeof threads));
    threads.threads = 1;
    threads.loader_threads = 0;
    TRY(sslcv_context_create(&threads, &context));
    TRY(synthetic_dataset(context, SAMPLES, SIDE + 2, 1, &dataset));
    TRY(sslcv_method_options_init(&o, sizeof o));
    o.dataset = dataset;
    o.settings = settings;
    o.checkpoint_path = path;
    o.seed = 21;
    o.resume = 1;
    TRY(sslcv_method_create(context, method, &o, &trainer));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = &notes;
    hook.call = note_epoch;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
    snprintf(path, sizeof path, "%s/scalars", folder);
    TRY(sslcv_scalars_open(context, SSLCV_SCALARS_JSON_LINES, path, &lines));
    TRY(sslcv_scalars_watch(lines, trainer, 1));
    TRY(sslcv_trainer_run(trainer, 0));
end:
    sslcv_scalars_destroy(lines);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(dataset);
    sslcv_context_destroy(context);
    return status;
}

/* --run METHOD FOLDER KILL_AT AMONG POWER: notes go to FOLDER.notes; at the end the number of calls. */
static int run(char **arguments)
{
    char path[PATH_BYTES];
    int64_t calls = 0;
    sslcv_status status;
    int notes, i;

    snprintf(path, sizeof path, "%s.notes", arguments[1]);
    notes = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    fault_begin(arguments[1]);
    fault.kill_at = strtoll(arguments[2], NULL, 10);
    fault.kill_among = arguments[3][0] - '0';
    fault.power = arguments[4][0] - '0';
    fault.farewell = notes;
    status = train(arguments[0], arguments[1], notes);
    for (i = 0; i < FAULT_CALLS; i++) calls += fault_count[i];
    dprintf(notes, "calls %lld %lld %lld\n", (long long)calls,
            (long long)(calls - fault_count[FAULT_READ] - fault_count[FAULT_WRITE]),
            (long long)(fault_count[FAULT_SYNC] + fault_count[FAULT_LINK] + fault_count[FAULT_RENAME]));
    return bench_finish("run", status);
}

/* ---- who kills ---- */

typedef struct killer {
    const char *program;
    char folder[64]; /* of the run */
    char whole[64];  /* of the undisturbed run */
    int verbose;
    uint64_t random;
    int64_t calls[3]; /* of the undisturbed run: all, those that neither read nor write, those that order */
    double seconds;
    int64_t deaths, by_call[FAULT_CALLS + 1]; /* the last: by the clock */
    int64_t power[3], late;                   /* late: that came too late, as the run was over */
    int64_t failures;
} killer;

static int64_t draw(killer *k, int64_t below)
{
    k->random = k->random * 6364136223846793005u + 1442695040888963407u;
    return below > 0 ? (int64_t)((k->random >> 33) % (uint64_t)below) : 0;
}

static void complain(killer *k, const char *method, const char *text, const char *more)
{
    printf("%s: %s %s\n", method, text, more);
    k->failures++;
}

/* Wait status. seconds >= 0: killed after that. */
static int spawn(const killer *k, const char *method, const char *folder, int64_t kill_at, int among, int power,
                 double seconds)
{
    char at[32], among_text[2] = {(char)('0' + among), 0}, power_text[2] = {(char)('0' + power), 0};
    struct timespec pause = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        snprintf(at, sizeof at, "%lld", (long long)kill_at);
        execl(k->program, k->program, "--run", method, folder, at, among_text, power_text, (char *)NULL);
        _exit(127);
    }
    if (seconds >= 0.0) {
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
    }
    waitpid(child, &status, 0);
    return status;
}

static void read_notes(const char *folder, char *text, size_t size)
{
    char path[PATH_BYTES];
    FILE *file;
    size_t length = 0;

    snprintf(path, sizeof path, "%s.notes", folder);
    file = fopen(path, "r");
    if (file) {
        length = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[length] = 0;
}

/* Epochs in the checkpoint; 0: there is none; -1: it cannot be read. */
static int64_t saved_epochs(sslcv_context *context, const char *folder)
{
    sslcv_state *state = NULL;
    sslcv_tensor tensor;
    char path[PATH_BYTES];
    int64_t index, epochs = -1;
    sslcv_status status;

    snprintf(path, sizeof path, "%s/run", folder);
    if (access(path, F_OK) != 0) return 0;
    TRY(sslcv_state_open(context, path, NULL, &state));
    TRY(sslcv_state_find(state, "trainer.epoch", &index));
    TRY(sslcv_state_data(state, index, SSLCV_STATE_VALUE, &tensor));
    epochs = *(const int64_t *)tensor.data;
end:
    sslcv_state_destroy(state);
    return epochs;
}

static int equal_files(const char *a, const char *b, const char *name)
{
    char path[2][PATH_BYTES];
    FILE *files[2];
    int equal = 1, c = 0;

    snprintf(path[0], PATH_BYTES, "%s/%s", a, name);
    snprintf(path[1], PATH_BYTES, "%s/%s", b, name);
    files[0] = fopen(path[0], "rb");
    files[1] = fopen(path[1], "rb");
    while (files[0] && files[1] && equal && c != EOF) {
        c = getc(files[0]);
        equal = c == getc(files[1]);
    }
    equal = equal && files[0] && files[1];
    if (files[0]) fclose(files[0]);
    if (files[1]) fclose(files[1]);
    return equal;
}

static int count_files(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int count = 0;

    while (folder && (entry = readdir(folder)) != NULL) count += entry->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

static void empty(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    char name[PATH_BYTES];

    while (folder && (entry = readdir(folder)) != NULL) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') unlink(name);
    }
    if (folder) closedir(folder);
}

static int broken_lines(const char *folder)
{
    char path[PATH_BYTES], line[4096];
    FILE *file;
    int broken = 0;

    snprintf(path, sizeof path, "%s/scalars", folder);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        const size_t length = strlen(line);

        broken += length < 3 || strncmp(line, "{\"step\":", 8) != 0 || strcmp(line + length - 2, "}\n") != 0;
    }
    if (file) fclose(file);
    return broken;
}

/* ---- one run, to its end ---- */

static int run_whole(killer *k, const char *method)
{
    const double start = bench_clock();
    char notes[256], *calls;
    long long counts[3] = {0};
    int i;

    empty(k->whole);
    if (spawn(k, method, k->whole, -1, 0, 0, -1.0) != 0) {
        complain(k, method, "the undisturbed run fails", "");
        return 0;
    }
    k->seconds = bench_clock() - start;
    read_notes(k->whole, notes, sizeof notes);
    calls = strstr(notes, "calls ");
    if (!calls || sscanf(calls, "calls %lld %lld %lld", &counts[0], &counts[1], &counts[2]) != 3 || counts[2] < 18) {
        complain(k, method, "the undisturbed run counts too few calls:", notes);
        return 0;
    }
    for (i = 0; i < 3; i++) k->calls[i] = counts[i];
    return 1;
}

static void count_death(killer *k, const char *notes, int power)
{
    const char *in = strstr(notes, "dies in ");
    int call = FAULT_CALLS;

    while (in && call > 0 && strncmp(in + 8, fault_names[call - 1], strlen(fault_names[call - 1])) != 0) call--;
    k->by_call[in && call > 0 ? call - 1 : FAULT_CALLS]++;
    k->power[power]++;
    k->deaths++;
}

/* Dies once, perhaps. 1: it was through. */
static int run_to_death(killer *k, sslcv_context *context, const char *method, int64_t *known)
{
    const int drawn = (int)draw(k, 8), by_clock = drawn == 7, among = drawn < 2 ? 0 : drawn < 4 ? 1 : 2;
    const int power = by_clock ? 0 : (int)draw(k, 3);
    const int64_t at = by_clock ? -1 : draw(k, k->calls[among]);
    const double seconds = by_clock ? k->seconds * (double)draw(k, 1000) / 1000.0 : -1.0;
    const int status = spawn(k, method, k->folder, at, among, power, seconds);
    int64_t promised, epochs;
    char notes[256], text[128];

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        k->late++;
        return 1;
    }
    read_notes(k->folder, notes, sizeof notes);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        complain(k, method, "a run fails, after", notes);
        return 1;
    }
    count_death(k, notes, power);
    promised = strtoll(notes, NULL, 10);
    epochs = saved_epochs(context, k->folder);
    snprintf(text, sizeof text, "%d epochs are there, %d were before, %d were saved; power %d, %.40s", (int)epochs,
             (int)*known, (int)promised, power, notes);
    if (k->verbose) printf("%s: call %d among %d: %s", method, (int)at, among, text);
    if (epochs < 0) complain(k, method, "the checkpoint is damaged:", sslcv_last_error());
    if (epochs >= 0 && (epochs < promised || epochs < *known)) complain(k, method, "a checkpoint is lost:", text);
    *known = epochs;
    return 0;
}

static void run_killed(killer *k, sslcv_context *context, const char *method, int64_t most)
{
    const int64_t before = k->deaths;
    int64_t known = 0;
    char text[64];
    int over = 0;

    empty(k->folder);
    while (!over && k->deaths - before < most && k->failures == 0) {
        over = run_to_death(k, context, method, &known);
    }
    if (k->failures) return;
    if (!over && spawn(k, method, k->folder, -1, 0, 0, -1.0) != 0) {
        complain(k, method, "a run fails behind the last death", "");
        return;
    }
    if (!equal_files(k->folder, k->whole, "run")) complain(k, method, "ends with other bits", "");
    if (!equal_files(k->folder, k->whole, "run.1")) complain(k, method, "the earlier checkpoint has other bits", "");
    snprintf(text, sizeof text, "%d files", count_files(k->folder));
    if (count_files(k->folder) != 3) complain(k, method, "something is left behind:", text);
    if (broken_lines(k->folder) > k->deaths - before) complain(k, method, "more scalars are broken than", "processes");
}

static void print_figures(const killer *k, double seconds)
{
    int call;

    printf("kill: %lld deaths in %.0f s:", (long long)k->deaths, seconds);
    for (call = 0; call < FAULT_CALLS; call++) {
        if (k->by_call[call]) printf(" %lld in %s,", (long long)k->by_call[call], fault_names[call]);
    }
    printf(" %lld by the clock; of all, %lld power cuts that take bytes, %lld that take names too; %lld came too late; "
           "%lld failures\n",
           (long long)k->by_call[FAULT_CALLS], (long long)k->power[1], (long long)k->power[2], (long long)k->late,
           (long long)k->failures);
}

int main(int argc, char **argv)
{
    killer k = {.program = argv[0], .folder = "/tmp/sslcv-kill-XXXXXX", .whole = "/tmp/sslcv-whole-XXXXXX"};
    int64_t kills = 200, seed = 1, share, i;
    const char *method = NULL;
    const bench_option options[] = {
        {"kills", "default 200", .integer = &kills},
        {"seed", "of the moments; default 1", .integer = &seed},
        {"method", "one of the eight; default: all", .text = &method},
        {"verbose", "tell each death", .flag = &k.verbose},
    };
    sslcv_context *context = NULL;
    const double start = bench_clock();
    char path[PATH_BYTES];

    if (argc == 7 && strcmp(argv[1], "--run") == 0) return run(argv + 2);
    bench_parse(argc, argv, options, (int)(sizeof options / sizeof options[0]));
    if (sslcv_context_create(NULL, &context) != SSLCV_OK || !mkdtemp(k.folder) || !mkdtemp(k.whole)) return 1;
    k.random = (uint64_t)seed;
    for (i = 0; i < NUM_METHODS && k.failures == 0; i++) {
        if (method && strcmp(methods[i][0], method) != 0) continue;
        share = method ? kills : kills * (i + 1) / NUM_METHODS;
        if (!run_whole(&k, methods[i][0])) break;
        while (k.deaths < share && k.failures == 0) {
            const int64_t left = share - k.deaths;

            run_killed(&k, context, methods[i][0], left < MOST_DEATHS ? left : MOST_DEATHS);
        }
    }
    print_figures(&k, bench_clock() - start);
    sslcv_context_destroy(context);
    for (i = 0; i < 2; i++) {
        const char *folder = i ? k.whole : k.folder;

        if (k.failures && i == 0) {
            printf("what it left is in %s\n", folder);
            continue;
        }
        empty(folder);
        rmdir(folder);
        snprintf(path, sizeof path, "%s.notes", folder);
        unlink(path);
    }
    return k.failures > 0;
}
