/* CPC and CPC-v2: composition, first losses, resuming, who sees what, the average of the weights. */
#include "recipe_cpc_support.h"

#include <unistd.h>

/* ---- composition ---- */

START_TEST(test_composition)
{
    static const char *const texts[] = {
        "branch 0: view 0 -> backbone 0 (joined)\n"
        "branch 1: branch 0 -> head 0 (pixelcnn 16-16, joined)\n"
        "loss 0: 1 * cpc(branch 0, branch 1)\n"
        "backbone 0: 3 channels -> 16, 11256 parameters\n"
        "head 0: pixelcnn 16 -> 16, 25360 parameters\n"
        "learning rate: constant from 0.0002\n"
        "run: 4 epochs of 3 steps of 8 images\n",
        "branch 0: view 0 -> backbone 0 (joined)\n"
        "branch 1: branch 0 -> head 0 (pixelcnn 16-16, joined)\n"
        "loss 0: 1 * cpc(branch 0, branch 1)\n",
        "branch 0: view 0 -> backbone 0 (joined)\n"
        "branch 1: branch 0 -> head 0 (pixelcnn 16-64, joined)\n"
        "loss 0: 1 * cpc(branch 0, branch 1)\n",
        "branch 0: view 0 -> backbone 0 (joined)\n"
        "branch 1: branch 0 -> head 0 (cpc_v2 16-64, joined)\n"
        "branch 2: view 0 -> momentum backbone 0 (joined), fixed statistics; not used, not run, its copies follow\n"
        "loss 0: 1 * cpc(branch 0, branch 1)\n"};
    rig r = make_row(_i, "");
    const sslcv_optimizer_options *o = &r.trainer->options.optimizer->options;
    const int is_published = _i == V2_IMAGENET;

    check_composition(&r, texts[_i]);
    ck_assert_int_eq(o->kind, SSLCV_OPTIMIZER_ADAM);
    ck_assert(o->beta1 == (is_published ? 0.8 : 0.9) && o->beta2 == 0.999 && o->epsilon == 1e-8);
    ck_assert(o->clip_norm == (is_published ? 0.01 : 0.0) && o->weight_decay == 0.0);
    ck_assert(r.trainer->learning_rate.value == (is_published ? 4e-4 : 2e-4));
    ck_assert(loss_number(&r, "score_scale") == (is_published ? 0.1 : 1.0));
    ck_assert_int_eq(r.trainer->options.ema_when == SSLCV_EMA_AFTER_STEP, is_published);
    ck_assert(!is_published || r.trainer->ema_momentum.value == 0.9999);
    free_recipe(&r);
}
END_TEST

static int has_tensor(rig *r, const char *name)
{
    sslcv_state *state;
    int64_t index;
    sslcv_status status;

    OK(sslcv_trainer_get_state(r->trainer, &state));
    status = sslcv_state_find(state, name, &index);
    sslcv_state_destroy(state);
    return status == SSLCV_OK;
}

/* Offsets and directions are told by the weights that the loss learns. */
START_TEST(test_predictors)
{
    static const struct {
        int64_t first, last, directions;
        const char *target;
    } losses[] = {{2, 6, 1, NULL}, {2, 6, 1, NULL}, {2, 4, 4, NULL}, {3, 3, 4, "loss.0.target.3.weight"}};
    rig r = make_row(_i, "");
    char name[96];
    int64_t d, k;

    for (d = 0; d < 4; d++) {
        for (k = 1; k < 8; k++) {
            snprintf(name, sizeof name, "loss.0.predictor.%lld.%lld.weight", (long long)d, (long long)k);
            ck_assert_int_eq(has_tensor(&r, name),
                             d < losses[_i].directions && k >= losses[_i].first && k <= losses[_i].last);
        }
    }
    ck_assert_int_eq(has_tensor(&r, "loss.0.target.3.weight"), losses[_i].target != NULL);
    free_recipe(&r);
}
END_TEST

/* All scores are small at first, so all candidates alike. */
START_TEST(test_first_loss)
{
    rig r = make_row(_i, "");
    const double loss = step(&r);

    CLOSE(loss, log(rows[_i].candidates), 0.03);
    CLOSE(metric(&r, "loss.0.mi_bound"), 0.0, 0.03);
    free_recipe(&r);
}
END_TEST

/* Colours tell the classes, and so three of four candidates can be told apart; on views of which nothing is drawn. */
START_TEST(test_learns)
{
    static const struct {
        const char *views, *settings;
        int64_t size;
        double drop; /* half of what was measured */
    } cases[] = {{"cpc-eval-cifar", "learning_rate=0.003", 16, 0.3},
                 {"cpc-eval", "learning_rate=0.003", 32, 0.28},
                 {"cpc-v2-eval-cifar", "learning_rate=0.003", 12, 0.33},
                 {"cpc-v2-eval", "learning_rate=0.001", 65, 0.7}};
    char settings[256];
    double first = 0.0, last = 0.0;
    sslcv_method_options o;
    rig r;
    int i;

    r.context = make_f32_context();
    r.dataset = make_dataset(r.context, 3, 1);
    snprintf(settings, sizeof settings, "batch=%d epochs=24 width=0.0625 architecture=resnet18 prefetch=0 %s", SAMPLES,
             cases[_i].settings);
    OK(sslcv_method_options_init(&o, sizeof o));
    OK(sslcv_augmenter_create(r.context, &o.augmenter));
    OK(sslcv_augmenter_add_preset(o.augmenter, cases[_i].views, cases[_i].size, NULL, NULL));
    o.dataset = r.dataset;
    o.preset = rows[_i].preset;
    o.settings = settings;
    o.seed = 21;
    OK(sslcv_method_create(r.context, rows[_i].method, &o, &r.trainer));
    for (i = 0; i < 24; i++) {
        last = step(&r);
        if (i == 0) first = last;
    }
    ck_assert_msg(last < first - cases[_i].drop, "from %g to %g", first, last);
    sslcv_augmenter_destroy(o.augmenter);
    free_recipe(&r);
}
END_TEST

/* Stopped within an epoch, taken up by new objects; draws and the average of the weights go on. */
START_TEST(test_resumes)
{
    char path[] = "/tmp/sslcv_cpc_XXXXXX";
    const int file = mkstemp(path);
    double losses[3];
    weights last;
    sslcv_state *state;
    rig r = make_row(_i, "ema_momentum=0.7"), s = make_row(_i, "ema_momentum=0.7");
    int i;

    ck_assert_int_ge(file, 0);
    close(file);
    for (i = 0; i < 4; i++) step(&r);
    OK(sslcv_trainer_get_state(r.trainer, &state));
    OK(sslcv_state_save(state, path, NULL));
    sslcv_state_destroy(state);
    for (i = 0; i < 3; i++) losses[i] = step(&r);
    last = read_prefix(&r, "", SSLCV_ROLE_ALL);
    free_recipe(&r);
    OK(sslcv_trainer_get_state(s.trainer, &state));
    OK(sslcv_state_load(state, path, NULL, NULL));
    sslcv_state_destroy(state);
    for (i = 0; i < 3; i++) ck_assert_msg(step(&s) == losses[i], "step %d differs", 4 + i);
    ck_assert(equal(last, read_prefix(&s, "", SSLCV_ROLE_ALL)));
    free_recipe(&s);
    unlink(path);
}
END_TEST

/* Copies follow behind the step; the branch is not run, and nothing of the training changes. */
START_TEST(test_average)
{
    rig r = make_row(CIFAR, "ema_momentum=0.25"), plain = make_row(CIFAR, "");
    weights before = read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS), after, average;
    sslcv_backbone *backbone;
    int64_t i;

    ck_assert(step(&r) == step(&plain));
    after = read_prefix(&r, "backbone.", SSLCV_ROLE_PARAMETERS);
    average = read_prefix(&r, "momentum.backbone.", SSLCV_ROLE_PARAMETERS);
    ck_assert_int_eq(average.count, after.count);
    for (i = 0; i < after.count; i++) CLOSE(average.values[i], 0.25 * before.values[i] + 0.75 * after.values[i], 1e-6);
    ck_assert(equal(after, read_prefix(&plain, "backbone.", SSLCV_ROLE_PARAMETERS)));
    OK(sslcv_trainer_get_backbone(r.trainer, 2, 1, &backbone));
    sslcv_backbone_destroy(backbone);
    free(before.values);
    free(average.values);
    free_recipe(&r);
    free_recipe(&plain);
}
END_TEST

/* ---- who sees what, through networks that have learnt ---- */

enum { PIXELS = 3 * PATCH * PATCH };

/** Networks of a recipe, and what they make of 49 patches: encodings and contexts. */
typedef struct seen {
    float z[PLACES * 16], c[PLACES * 64];
    int64_t dim, context_dim;
} seen;

static void look(rig *r, float *patches, seen *s)
{
    const int64_t shape[4] = {PLACES, 3, PATCH, PATCH};
    sslcv_tensor images, z, grid, c;
    sslcv_backbone *backbone;
    sslcv_head *head;
    sslcv_tape *tapes[2];
    int i;

    for (i = 0; i < 2; i++) OK(sslcv_tape_create(r->context, &tapes[i]));
    OK(sslcv_trainer_get_backbone(r->trainer, 0, 0, &backbone));
    OK(sslcv_trainer_get_head(r->trainer, 1, 0, 0, &head));
    OK(sslcv_tensor_init(&images, SSLCV_F32, patches, 4, shape));
    OK(sslcv_backbone_forward(backbone, &images, NULL, tapes[0]));
    OK(sslcv_tape_output(tapes[0], &z));
    s->dim = z.shape[1];
    memcpy(s->z, z.data, (size_t)(PLACES * s->dim) * sizeof *s->z);
    OK(sslcv_tensor_init(&grid, SSLCV_F32, s->z, 4, (const int64_t[4]){1, 1, PLACES, s->dim}));
    OK(sslcv_head_forward(head, &grid, NULL, tapes[1]));
    OK(sslcv_tape_output(tapes[1], &c));
    s->context_dim = c.shape[3];
    memcpy(s->c, c.data, (size_t)(PLACES * s->context_dim) * sizeof *s->c);
    sslcv_head_destroy(head);
    sslcv_backbone_destroy(backbone);
    for (i = 0; i < 2; i++) sslcv_tape_destroy(tapes[i]);
}

static int rows_differ(const float *a, const float *b, int64_t row, int64_t dim)
{
    return memcmp(a + row * GRID * dim, b + row * GRID * dim, (size_t)(GRID * dim) * sizeof *a) != 0;
}

/* Another row of patches changes its contexts and those below, and none above. */
START_TEST(test_causality)
{
    static const char *const contexts[] = {"context=pixelcnn", "context=residual hidden_dim=8"};
    static float patches[PLACES * PIXELS];
    static seen before, after;
    rig r = make_row(CIFAR, contexts[_i]);
    int64_t row, i, k;

    for (i = 0; i < 3; i++) step(&r);
    golden_input(3, PLACES * PIXELS, patches);
    look(&r, patches, &before);
    for (row = 0; row < GRID; row++) {
        for (i = 0; i < GRID * PIXELS; i++) patches[row * GRID * PIXELS + i] += 0.5f;
        look(&r, patches, &after);
        for (k = 0; k < GRID; k++) {
            ck_assert_int_eq(rows_differ(before.z, after.z, k, before.dim), k == row);
            if (k <= row) ck_assert_int_eq(rows_differ(before.c, after.c, k, before.context_dim), k == row);
        }
        before = after;
    }
    free_recipe(&r);
}
END_TEST

/* Batch norm tells each patch about all others; layer norm and none do not. */
START_TEST(test_patches_stand_alone)
{
    static const char *const norms[] = {"norm=none", "norm=layer", "norm=batch"};
    static float patches[PLACES * PIXELS];
    static seen before, after;
    rig r = make_row(CIFAR, norms[_i]);
    int64_t i, others = 0;

    for (i = 0; i < 3; i++) step(&r);
    golden_input(3, PLACES * PIXELS, patches);
    look(&r, patches, &before);
    for (i = 0; i < PIXELS; i++) patches[10 * PIXELS + i] += 0.5f;
    look(&r, patches, &after);
    for (i = 0; i < PLACES; i++) {
        const int differs =
            memcmp(before.z + i * before.dim, after.z + i * after.dim, (size_t)before.dim * sizeof *before.z) != 0;

        if (i == 10) ck_assert(differs);
        others += i != 10 && differs;
    }
    ck_assert_int_eq(others > 0, _i == 2);
    free_recipe(&r);
}
END_TEST

/* The tensor of one name becomes what another is; of another trainer. */
static void take_tensor(rig *to, const char *name, rig *from, const char *other)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};
    weights w = read_tensor(from, other);
    sslcv_state *state;
    sslcv_tensor tensor;
    int64_t index;

    OK(sslcv_trainer_get_state(to->trainer, &state));
    OK(sslcv_state_find(state, name, &index));
    OK(sslcv_state_get_entry(state, index, &entry));
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, w.values, entry.ndim, entry.shape));
    OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    sslcv_state_destroy(state);
    free(w.values);
}

static double step_on(rig *r, float *patches, int64_t images)
{
    const int64_t shape[4] = {images * PLACES, 3, PATCH, PATCH}, count = PLACES;
    sslcv_progress progress = {.struct_size = sizeof progress};
    sslcv_tensor view;

    OK(sslcv_tensor_init(&view, SSLCV_F32, patches, 4, shape));
    OK(step_views_with(r->trainer, &view, 1, &count, NULL, NULL, &progress));
    return progress.loss;
}

/* With the grid turned, direction d sees what d + 1 saw; with the weights of that, all together have the same loss. */
START_TEST(test_turned_grids)
{
    enum { IMAGES = 2 };
    static float patches[IMAGES * PLACES * PIXELS], turned[IMAGES * PLACES * PIXELS];
    static const char settings[] = "directions=4 negatives=0 last_offset=3 score_scale=20";
    rig plain = make_row(CIFAR, settings), same = make_row(CIFAR, settings), other = make_row(CIFAR, settings);
    char to[96], from[96];
    double loss;
    int64_t n, y, x, k;
    int d;

    golden_input(4, IMAGES * PLACES * PIXELS, patches);
    for (n = 0; n < IMAGES; n++) {
        for (y = 0; y < GRID; y++) {
            for (x = 0; x < GRID; x++) { /* counter-clockwise: the last column becomes the first row */
                memcpy(turned + ((n * GRID + y) * GRID + x) * PIXELS,
                       patches + ((n * GRID + x) * GRID + GRID - 1 - y) * PIXELS, PIXELS * sizeof *turned);
            }
        }
    }
    for (d = 0; d < 4; d++) {
        for (k = 2; k <= 3; k++) {
            snprintf(to, sizeof to, "loss.0.predictor.%d.%lld.weight", d, (long long)k);
            snprintf(from, sizeof from, "loss.0.predictor.%d.%lld.weight", (d + 1) % 4, (long long)k);
            take_tensor(&other, to, &plain, from);
        }
    }
    loss = step_on(&plain, patches, IMAGES);
    CLOSE(step_on(&other, turned, IMAGES), loss, 1e-5);
    ck_assert(fabs(step_on(&same, turned, IMAGES) - loss) > 1e-3);
    free_recipe(&plain);
    free_recipe(&same);
    free_recipe(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe_cpc");
    TCase *cpc = tcase_create("cpc");

    tcase_set_timeout(cpc, 180);
    tcase_add_loop_test(cpc, test_composition, 0, NUM_ROWS);
    tcase_add_loop_test(cpc, test_predictors, 0, NUM_ROWS);
    tcase_add_loop_test(cpc, test_first_loss, 0, NUM_ROWS);
    tcase_add_loop_test(cpc, test_learns, 0, NUM_ROWS);
    tcase_add_loop_test(cpc, test_resumes, 0, NUM_ROWS);
    tcase_add_test(cpc, test_average);
    tcase_add_loop_test(cpc, test_causality, 0, 2);
    tcase_add_loop_test(cpc, test_patches_stand_alone, 0, 3);
    tcase_add_test(cpc, test_turned_grids);
    suite_add_tcase(suite, cpc);
    return run_suite(suite);
}
