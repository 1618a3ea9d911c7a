/* The trainer step by step: learning, views of the host, failures, figures. */
#include "trainer_support.h"

#include <pthread.h>

/* ---- learning ---- */

START_TEST(test_loss_falls)
{
    const rig_options o = {.epochs = 8, .seed = 7};
    double losses[24];
    sslcv_head *classifier;
    sslcv_branch b;
    int64_t index;
    rig r;

    make_rig(&r, &o);
    classifier = make_head(r.context, 32, CLASSES, 1, 13);
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = view_2;
    b.num_views = 1;
    b.backbone = r.backbone;
    b.stage = "layer3"; /* deep enough to tell quadrants apart */
    b.heads = &classifier;
    b.num_heads = 1;
    OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
    sslcv_head_destroy(classifier);
    add_loss(&r, r.labels, index, 1.0);
    steps(&r, 24, losses);
    ck_assert_msg(losses[23] < 0.3 * losses[0], "from %g to %g", losses[0], losses[23]);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "all 8 epochs are done");
    OK(sslcv_trainer_run(r.trainer, 0));
    free_rig(&r);
}
END_TEST

START_TEST(test_contrast_falls)
{
    const rig_options o = {.epochs = 12, .seed = 7};
    double losses[36];
    rig r;

    make_simclr(&r, &o);
    steps(&r, 36, losses);
    ck_assert_msg(losses[33] + losses[34] + losses[35] < losses[0] + losses[1] + losses[2] - 0.3, "from %g to %g",
                  losses[0], losses[35]);
    free_rig(&r);
}
END_TEST

START_TEST(test_same_for_any_loader_threads)
{
    const int32_t threads[] = {0, 1, 4};
    double losses[3][5];
    rig r;
    int i;

    for (i = 0; i < 3; i++) {
        const rig_options o = {.epochs = 4, .seed = 7, .loader_threads = threads[i]};

        make_simclr(&r, &o);
        steps(&r, 5, losses[i]);
        free_rig(&r);
    }
    ck_assert_mem_eq(losses[0], losses[1], sizeof losses[0]);
    ck_assert_mem_eq(losses[0], losses[2], sizeof losses[0]);
}
END_TEST

START_TEST(test_seed_matters)
{
    rig_options o = plain;
    double a[1], b[1];
    rig r;

    make_simclr(&r, &o);
    steps(&r, 1, a);
    free_rig(&r);
    o.seed = 8;
    make_simclr(&r, &o);
    steps(&r, 1, b);
    free_rig(&r);
    ck_assert(a[0] != b[0]);
}
END_TEST

START_TEST(test_last_batch_kept)
{
    const rig_options o = {.epochs = 2, .seed = 7, .keep_last = 1}; /* 9 + 9 + 6 */
    sslcv_progress progress;
    sslcv_context_info info;
    int64_t bytes = 0;
    rig r;
    int i;

    make_simclr(&r, &o);
    progress.struct_size = sizeof progress;
    info.struct_size = sizeof info;
    for (i = 0; i < 6; i++) {
        OK(sslcv_trainer_step(r.trainer, &progress));
        ck_assert_int_eq(progress.num_steps, 6);
        ck_assert_int_eq(progress.epoch, i / 3);
        OK(sslcv_context_get_info(r.context, &info));
        if (i == 3) bytes = info.bytes;
    }
    ck_assert_int_eq(info.bytes, bytes);
    free_rig(&r);
}
END_TEST

/* What the loader gives, handed in by the host: the same step. */
START_TEST(test_step_views_like_step)
{
    sslcv_loader_options lo;
    sslcv_loader *loader;
    sslcv_batch batch;
    sslcv_tensor views[2];
    sslcv_progress progress;
    static float copy[2][BATCH * PIXELS];
    double one[3];
    rig r, s;
    int i, k;

    make_simclr(&r, &plain);
    steps(&r, 3, one);
    make_simclr(&s, &plain);
    OK(sslcv_loader_options_init(&lo, sizeof lo));
    lo.dataset = s.dataset;
    lo.augmenter = s.augmenter;
    lo.batch_size = BATCH;
    lo.seed = 7;
    OK(sslcv_loader_create(s.context, &lo, &loader));
    batch.struct_size = sizeof batch;
    progress.struct_size = sizeof progress;
    for (i = 0; i < 3; i++) {
        OK(sslcv_loader_next(loader, &batch));
        if (i == 1) { /* and once the trainer itself, in between */
            OK(sslcv_trainer_step(s.trainer, &progress));
        } else {
            for (k = 0; k < 2; k++) {
                const int64_t view = k;

                OK(sslcv_loader_get_views(loader, &view, 1, &views[k]));
                memcpy(copy[k], views[k].data, sizeof copy[k]);
                views[k].data = copy[k];
            }
            OK(step_views(s.trainer, views, 2, &progress));
        }
        ck_assert_msg(progress.loss == one[i], "step %d: %.17g, not %.17g", i, progress.loss, one[i]);
    }
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    sslcv_loader_destroy(loader);
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* Views of two shapes: JOINED makes two passes, as BY_VIEW does. Channels-last arrays serve as they are. */
START_TEST(test_shapes_and_strides)
{
    const rig_options o = {.epochs = 4, .seed = 7, .no_data = 1};
    static host_views v;
    static float interleaved[BATCH * PIXELS];
    double loss[2];
    sslcv_progress progress;
    sslcv_branch b;
    int64_t index, n, c, y, x;
    rig r;
    int i;

    progress.struct_size = sizeof progress;
    for (i = 0; i < 2; i++) {
        make_rig(&r, &o);
        make_views(&v, SIDE);
        v.tensors[1].shape[2] = v.tensors[1].shape[3] = SIDE / 2; /* its upper left corner */
        OK(sslcv_branch_init(&b, sizeof b));
        b.views = views_01;
        b.num_views = 2;
        b.backbone = r.backbone;
        b.stage = STAGE;
        b.heads = &r.projection;
        b.num_heads = 1;
        b.grouping = i;
        OK(sslcv_trainer_add_branch(r.trainer, &b, &index));
        add_loss(&r, r.contrast, index, 1.0);
        if (i == 1) {
            for (n = 0; n < BATCH; n++) {
                for (c = 0; c < CHANNELS; c++) {
                    for (y = 0; y < SIDE; y++) {
                        for (x = 0; x < SIDE; x++) {
                            interleaved[((n * SIDE + y) * SIDE + x) * CHANNELS + c] =
                                v.pixels[0][((n * CHANNELS + c) * SIDE + y) * SIDE + x];
                        }
                    }
                }
            }
            v.tensors[0].data = interleaved;
            v.tensors[0].strides[1] = 1;
            v.tensors[0].strides[2] = SIDE * CHANNELS;
            v.tensors[0].strides[3] = CHANNELS;
        }
        OK(step_views(r.trainer, v.tensors, 2, &progress));
        OK(step_views(r.trainer, v.tensors, 2, &progress));
        loss[i] = progress.loss;
        free_rig(&r);
    }
    ck_assert(loss[0] == loss[1]);
}
END_TEST

START_TEST(test_step_views_errors)
{
    const rig_options o = {.epochs = 1, .seed = 7, .no_data = 1};
    static host_views v;
    rig r;

    make_simclr(&r, &o);
    make_views(&v, SIDE);
    FAILS(sslcv_trainer_step(r.trainer, NULL), SSLCV_ERR_STATE, "no data set");
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_STATE, "no data set");
    FAILS(step_views(r.trainer, NULL, 2, NULL), SSLCV_ERR_INVALID_ARGUMENT, "views is NULL");
    FAILS(step_views(r.trainer, v.tensors, 1, NULL), SSLCV_ERR_INVALID_ARGUMENT, "num_views is 1; the branches use 2");
    v.tensors[1].data = NULL;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_INVALID_ARGUMENT, "view 1");
    make_views(&v, SIDE);
    v.tensors[1].shape[0] = BATCH - 1;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_INVALID_ARGUMENT,
          "views[1] has 7 images; the others have 8");
    make_views(&v, SIDE);
    v.tensors[0].ndim = 3;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_INVALID_ARGUMENT, "views[0]");
    make_views(&v, SIDE);
    v.tensors[1].dtype = SSLCV_U8;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_INVALID_ARGUMENT, "f32");
    make_views(&v, SIDE);
    OK(step_views_with(r.trainer, v.tensors, 3, NULL, NULL, v.labels, NULL));
    OK(step_views(r.trainer, v.tensors, 3, NULL));
    OK(step_views(r.trainer, v.tensors, 3, NULL));
    FAILS(step_views(r.trainer, v.tensors, 3, NULL), SSLCV_ERR_STATE, "all 1 epochs");
    free_rig(&r);
}
END_TEST

/* ---- not finite ---- */

/* Values that overflow inside: batch norm has recorded them when the loss finds out. All is put back. */
START_TEST(test_numeric_failure_changes_nothing)
{
    static host_views v;
    sslcv_progress progress;
    sslcv_trainer *failed;
    weights before;
    int64_t i;
    rig r, s;

    make_simclr(&r, &plain);
    make_views(&v, SIDE);
    progress.struct_size = sizeof progress;
    OK(step_views(r.trainer, v.tensors, 2, &progress));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    for (i = 0; i < BATCH * PIXELS; i++) v.pixels[0][i] = i % 2 ? 3e38f : -3e38f;
    progress.loss = -1.0;
    FAILS(step_views(r.trainer, v.tensors, 2, &progress), SSLCV_ERR_NUMERIC, "");
    ck_assert(progress.loss == -1.0);
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    v.pixels[1][5] = NAN;
    FAILS(step_views(r.trainer, v.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "");
    ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));

    /* The fourth step, the first of the next epoch, is as in a run that has stood there all the time. */
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_int_eq(progress.step, 4);
    ck_assert_int_eq(progress.epoch, 1);
    make_simclr(&s, &plain);
    failed = s.trainer;
    make_views(&v, SIDE);
    OK(step_views(failed, v.tensors, 2, NULL));
    v.pixels[1][5] = NAN;
    FAILS(step_views(failed, v.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "");
    FAILS(step_views(failed, v.tensors, 2, NULL), SSLCV_ERR_NUMERIC, "");
    OK(sslcv_trainer_step(failed, NULL));
    ck_assert(equal(read_backbone(&r, SSLCV_ROLE_ALL), read_backbone(&s, SSLCV_ROLE_ALL)));
    free_rig(&s);
    free_rig(&r);
}
END_TEST

/* ---- data that fails or grows ---- */

typedef struct flaky {
    float *images;
    int32_t calls;
    int32_t fail_at; /* this call of load fails */
    int32_t reserved;
} flaky;

static int32_t load_flaky(void *user, int64_t index, sslcv_tensor *image)
{
    const int64_t shape[3] = {CHANNELS, SIDE, SIDE};
    flaky *f = user;

    if (++f->calls == f->fail_at) return 1;
    return sslcv_tensor_init(image, SSLCV_F32, f->images + index * PIXELS, 3, shape) != SSLCV_OK;
}

/* A batch that cannot be read is asked for again, and the run is as if it had been readable at once. */
START_TEST(test_data_failure)
{
    static float images[SAMPLES * PIXELS];
    static int64_t labels[SAMPLES];
    sslcv_dataset_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load_flaky};
    flaky f = {.images = images, .fail_at = 13};
    sslcv_dataset_options d;
    double one[5], two[5];
    rig_options o = plain;
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 5, one);
    free_rig(&r);

    fill_images(images, labels, SAMPLES);
    callbacks.user = &f;
    make_rig(&r, &o);
    sslcv_trainer_destroy(r.trainer);
    sslcv_dataset_destroy(r.dataset);
    OK(sslcv_dataset_options_init(&d, sizeof d, SSLCV_DATASET_CALLBACK));
    d.count = SAMPLES;
    d.callbacks = &callbacks;
    d.on_error = SSLCV_ON_ERROR_FAIL;
    OK(sslcv_dataset_create(r.context, &d, &r.dataset));
    OK(make_trainer(&r, &o));
    compose_simclr(&r);
    steps(&r, 1, two);
    FAILS(sslcv_trainer_run(r.trainer, 0), SSLCV_ERR_IO, "");
    steps(&r, 4, two + 1);
    ck_assert_mem_eq(one, two, sizeof one);
    free_rig(&r);
}
END_TEST

static int32_t add_images(void *user, sslcv_trainer *trainer, const sslcv_progress *progress)
{
    static float images[BATCH * PIXELS];
    const int64_t shape[4] = {BATCH, CHANNELS, SIDE, SIDE};
    recorder *log = user;
    sslcv_tensor tensor;

    (void)trainer;
    if (progress->epoch > 0) return 0;
    golden_input(9, BATCH * PIXELS, images);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, images, 4, shape));
    OK(sslcv_dataset_add_images(log->rig->dataset, &tensor, NULL, NULL));
    return 0;
}

START_TEST(test_data_grows)
{
    const rig_options o = {.epochs = 2, .seed = 7};
    recorder all = {.text = ""}, grow = {.text = ""};
    rig r;

    make_simclr(&r, &o);
    add_hook(&r, &all, record, 7, 1);
    add_hook(&r, &grow, add_images, SSLCV_EVENT_EPOCH_END, 1);
    OK(sslcv_trainer_run(r.trainer, 0));
    ck_assert_str_eq(all.text, "b0 s1 s2 s3 e0 b1 s4 s5 s6 s7 e1 ");
    free_rig(&r);
}
END_TEST

/* ---- two at once ---- */

static void *train_alone(void *user)
{
    rig r;

    make_simclr(&r, &plain);
    steps(&r, 3, user);
    free_rig(&r);
    return NULL;
}

START_TEST(test_two_threads)
{
    double losses[3][3];
    pthread_t threads[2];
    int i;

    train_alone(losses[2]);
    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, train_alone, losses[i]), 0);
    for (i = 0; i < 2; i++) ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_mem_eq(losses[0], losses[2], sizeof losses[0]);
    ck_assert_mem_eq(losses[1], losses[2], sizeof losses[1]);
}
END_TEST

/* ---- looking ---- */

START_TEST(test_metrics)
{
    static const char *const names[] = {"loss",          "loss.0",        "loss.0.top1",     "loss.0.mi_bound",
                                        "learning_rate", "embedding_std", "embedding_cosine"};
    const char *name;
    double value, losses[2];
    size_t i;
    rig r;

    make_simclr(&r, &plain);
    FAILS(sslcv_trainer_get_metric(r.trainer, 0, &name, &value), SSLCV_ERR_NOT_FOUND, "there are 0 metrics");
    FAILS(sslcv_trainer_set_metric(r.trainer, "loss", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"loss\"");
    FAILS(sslcv_trainer_set_metric(r.trainer, "loss.7", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"loss.7\"");
    FAILS(sslcv_trainer_set_metric(r.trainer, "", 1.0), SSLCV_ERR_INVALID_ARGUMENT, "name is \"\"");
    steps(&r, 2, losses);
    OK(sslcv_trainer_set_metric(r.trainer, "knn.top1", 0.25));
    OK(sslcv_trainer_set_metric(r.trainer, "knn.top1", 0.5));
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        OK(sslcv_trainer_get_metric(r.trainer, (int64_t)i, &name, &value));
        ck_assert_str_eq(name, names[i]);
        if (i < 2) ck_assert(value == losses[1]);
        if (i == 5) ck_assert_msg(value > 0.2 && value < 1.2, "%g", value);
        if (i == 6) ck_assert_msg(value > -0.5 && value < 1.0, "%g", value);
    }
    OK(sslcv_trainer_get_metric(r.trainer, 7, &name, &value));
    ck_assert_str_eq(name, "knn.top1");
    ck_assert(value == 0.5);
    FAILS(sslcv_trainer_get_metric(r.trainer, 8, &name, &value), SSLCV_ERR_NOT_FOUND, "index is 8");
    free_rig(&r);
}
END_TEST

/* A success leaves the thread's last message alone. */
START_TEST(test_success_says_nothing)
{
    double losses[2];
    sslcv_loss *loss;
    rig r;

    make_simclr(&r, &plain);
    FAILS(sslcv_trainer_get_loss(r.trainer, 9, &loss), SSLCV_ERR_NOT_FOUND, "index is 9");
    steps(&r, 2, losses);
    ck_assert_ptr_nonnull(strstr(sslcv_last_error(), "index is 9"));
    free_rig(&r);
}
END_TEST

START_TEST(test_progress)
{
    sslcv_progress progress;
    rig r;

    make_simclr(&r, &plain);
    progress.struct_size = sizeof progress;
    OK(sslcv_trainer_step(r.trainer, &progress));
    ck_assert_int_eq(progress.event, SSLCV_EVENT_STEP);
    ck_assert_int_eq(progress.step, 1);
    ck_assert_int_eq(progress.num_steps, 12);
    ck_assert_int_eq(progress.epoch, 0);
    ck_assert_int_eq(progress.num_epochs, 4);
    CLOSE(progress.learning_rate, 0.1, 1e-12);
    ck_assert(progress.images_per_second > 0 && progress.seconds > 0 && progress.seconds_left > 0);
    CLOSE(progress.seconds_left, 11 * BATCH / progress.images_per_second, 1e-6);
    OK(sslcv_trainer_step(r.trainer, &progress));
    CLOSE(progress.learning_rate, 0.05 * (1 + cos(3.14159265358979 / 12)), 1e-12);
    progress.struct_size = 4;
    FAILS(sslcv_trainer_step(r.trainer, &progress), SSLCV_ERR_INVALID_ARGUMENT, "progress.struct_size");
    free_rig(&r);
}
END_TEST

START_TEST(test_memory)
{
    sslcv_memory memory, planned = {.struct_size = sizeof planned};
    sslcv_context_info info;
    sslcv_backbone_info net;
    sslcv_head_info head;
    int64_t bytes;
    rig r;

    make_simclr(&r, &plain);
    memory.struct_size = sizeof memory;
    OK(sslcv_trainer_get_memory(r.trainer, &planned));
    OK(sslcv_trainer_run(r.trainer, 1));
    OK(sslcv_trainer_get_memory(r.trainer, &memory));
    ck_assert_int_eq(planned.total, memory.total);
    net.struct_size = sizeof net;
    head.struct_size = sizeof head;
    OK(sslcv_backbone_get_info(r.backbone, &net));
    OK(sslcv_head_get_info(r.projection, &head));
    bytes = 4 * (net.num_parameters + head.num_parameters);
    ck_assert(memory.gradients >= bytes && memory.parameters > memory.gradients);
    ck_assert(memory.optimizer >= bytes && memory.losses > 0 && memory.activations > 0 && memory.scratch > 0);
    ck_assert(memory.loader >= 2 * BATCH * PIXELS * 4);
    ck_assert_int_eq(memory.total, memory.parameters + memory.gradients + memory.optimizer + memory.losses +
                                       memory.activations + memory.scratch + memory.loader);
    info.struct_size = sizeof info;
    OK(sslcv_context_get_info(r.context, &info));
    ck_assert(memory.total < info.bytes);
    bytes = info.bytes;
    OK(sslcv_trainer_run(r.trainer, 11));
    OK(sslcv_context_get_info(r.context, &info));
    ck_assert_int_eq(info.bytes, bytes); /* steps allocate nothing */
    free_rig(&r);
}
END_TEST

/* Only the stem: quick to plan again and again. */
static void init_branch(rig *r, sslcv_branch *branch)
{
    OK(sslcv_branch_init(branch, sizeof *branch));
    branch->views = views_01;
    branch->num_views = 2;
    branch->backbone = r->backbone;
    branch->stage = "stem";
    branch->heads = &r->projection;
    branch->num_heads = 1;
}

/* Composing, then one step, with an allocator that fails at the n-th request. What failed can be asked for again. */
START_TEST(test_out_of_memory)
{
    budget b = {-1, 0};
    const sslcv_allocator allocator = {sizeof allocator, &b, allocate, deallocate, NULL};
    rig_options o = plain;
    double losses[2], loss = 0.0;
    sslcv_progress progress;
    weights before;
    int64_t n, branch = 0;
    sslcv_branch given;
    sslcv_status status;
    rig r;

    make_rig(&r, &plain);
    init_branch(&r, &given);
    OK(sslcv_trainer_add_branch(r.trainer, &given, NULL));
    add_loss(&r, r.contrast, 0, 1.0);
    steps(&r, 1, losses);
    free_rig(&r);

    o.allocator = &allocator;
    make_rig(&r, &o);
    init_branch(&r, &given);
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_add_branch(r.trainer, &given, NULL);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_add_loss(r.trainer, r.contrast, &branch, 1, 1.0, NULL);
        if (status == SSLCV_OK) break;
        ck_assert_int_eq(status, SSLCV_ERR_OUT_OF_MEMORY);
    }
    b.left = -1;
    before = read_backbone(&r, SSLCV_ROLE_ALL);
    progress.struct_size = sizeof progress;
    for (n = 0;; n++) {
        b.left = n;
        status = sslcv_trainer_step(r.trainer, &progress);
        b.left = -1;
        if (status == SSLCV_OK) break;
        ck_assert_msg(status == SSLCV_ERR_OUT_OF_MEMORY, "%s at %lld", sslcv_last_error(), (long long)n);
        if (n % 16 == 0) ck_assert(equal(before, read_backbone(&r, SSLCV_ROLE_ALL)));
        if (n % 16 == 0) before = read_backbone(&r, SSLCV_ROLE_ALL);
    }
    free(before.values);
    loss = progress.loss;
    ck_assert_msg(loss == losses[0], "%.17g, not %.17g", loss, losses[0]);
    free_rig(&r);
    ck_assert_int_eq(b.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer_step");
    TCase *tests = tcase_create("trainer_step");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_loss_falls);
    tcase_add_test(tests, test_contrast_falls);
    tcase_add_test(tests, test_same_for_any_loader_threads);
    tcase_add_test(tests, test_seed_matters);
    tcase_add_test(tests, test_last_batch_kept);
    tcase_add_test(tests, test_step_views_like_step);
    tcase_add_test(tests, test_shapes_and_strides);
    tcase_add_test(tests, test_step_views_errors);
    tcase_add_test(tests, test_numeric_failure_changes_nothing);
    tcase_add_test(tests, test_data_failure);
    tcase_add_test(tests, test_data_grows);
    tcase_add_test(tests, test_two_threads);
    tcase_add_test(tests, test_metrics);
    tcase_add_test(tests, test_progress);
    tcase_add_test(tests, test_success_says_nothing);
    tcase_add_test(tests, test_memory);
    tcase_add_test(tests, test_out_of_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
