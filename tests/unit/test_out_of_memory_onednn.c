/*
 * oneDNN that fails. What it allocates inside itself passes no allocator and cannot be made to fail; so its functions
 * fail, at each call in turn, for want of memory and otherwise. The linker leads the library's calls here first
 * (--wrap, in the Makefile). Objects of oneDNN are counted, so that one that is never destroyed is seen.
 */
#include "out_of_memory_support.h"

#include <oneapi/dnnl/dnnl.h>

#define HAVE (&w->have)
#define OUT  (&w->out)

static struct {
    int64_t calls, fail_at, objects;
    dnnl_status_t status;
} dnn;

static int fails(void)
{
    return dnn.calls++ == dnn.fail_at;
}

static dnnl_status_t made(dnnl_status_t status)
{
    if (status == dnnl_success) dnn.objects++;
    return status;
}

/* prototype and call of a function that makes an object, or does something */
#define WRAP(name, count, parameters, arguments)                                                                       \
    dnnl_status_t __real_dnnl_##name parameters;                                                                       \
    dnnl_status_t __wrap_dnnl_##name parameters;                                                                       \
    dnnl_status_t __wrap_dnnl_##name parameters                                                                        \
    {                                                                                                                  \
        return fails() ? dnn.status : count(__real_dnnl_##name arguments);                                             \
    }
#define WRAP_DESTROY(name, type)                                                                                       \
    dnnl_status_t __real_dnnl_##name##_destroy(type object);                                                           \
    dnnl_status_t __wrap_dnnl_##name##_destroy(type object);                                                           \
    dnnl_status_t __wrap_dnnl_##name##_destroy(type object)                                                            \
    {                                                                                                                  \
        dnn.objects--;                                                                                                 \
        return __real_dnnl_##name##_destroy(object);                                                                   \
    }

WRAP(engine_create, made, (dnnl_engine_t * engine, dnnl_engine_kind_t kind, size_t index), (engine, kind, index))
WRAP_DESTROY(engine, dnnl_engine_t)
WRAP(stream_create, made, (dnnl_stream_t * stream, dnnl_engine_t engine, unsigned flags), (stream, engine, flags))
WRAP_DESTROY(stream, dnnl_stream_t)
WRAP(primitive_attr_create, made, (dnnl_primitive_attr_t * attributes), (attributes))
WRAP_DESTROY(primitive_attr, dnnl_primitive_attr_t)
WRAP(primitive_create, made, (dnnl_primitive_t * primitive, const_dnnl_primitive_desc_t description),
     (primitive, description))
WRAP_DESTROY(primitive, dnnl_primitive_t)
WRAP_DESTROY(primitive_desc, dnnl_primitive_desc_t)
WRAP_DESTROY(memory, dnnl_memory_t)
WRAP(primitive_execute, (dnnl_status_t),
     (const_dnnl_primitive_t primitive, dnnl_stream_t stream, int count, const dnnl_exec_arg_t *arguments),
     (primitive, stream, count, arguments))
WRAP(memory_set_data_handle, (dnnl_status_t), (dnnl_memory_t memory, void *handle), (memory, handle))
WRAP(sgemm, (dnnl_status_t),
     (char a_is, char b_is, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k, float alpha, const float *a, dnnl_dim_t lda,
      const float *b, dnnl_dim_t ldb, float beta, float *c, dnnl_dim_t ldc),
     (a_is, b_is, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
#if DNNL_VERSION_MAJOR == 2
WRAP(memory_create, made,
     (dnnl_memory_t * memory, const dnnl_memory_desc_t *description, dnnl_engine_t engine, void *handle),
     (memory, description, engine, handle))
WRAP(primitive_desc_create, made,
     (dnnl_primitive_desc_t * out, const_dnnl_op_desc_t description, const_dnnl_primitive_attr_t attributes,
      dnnl_engine_t engine, const_dnnl_primitive_desc_t hint),
     (out, description, attributes, engine, hint))
WRAP(reorder_primitive_desc_create, made,
     (dnnl_primitive_desc_t * out, const dnnl_memory_desc_t *from, dnnl_engine_t from_engine,
      const dnnl_memory_desc_t *to, dnnl_engine_t to_engine, const_dnnl_primitive_attr_t attributes),
     (out, from, from_engine, to, to_engine, attributes))
#endif

/* ---- one scenario ---- */

static void begin(world *w, const scenario *s)
{
    dnn.fail_at = -1;
    dnn.objects = 0;
    begin_world(w, s);
    dnn.calls = 0;
}

static void end(world *w, const scenario *s)
{
    end_world(w, s);
    ck_assert_msg(DNNL_VERSION_MAJOR != 2 || dnn.objects == 0, "%s: %d objects of oneDNN are never destroyed",
                  s->function, (int)dnn.objects);
}

static void run_onednn_scenario(const scenario *s)
{
    static const dnnl_status_t statuses[] = {dnnl_out_of_memory, dnnl_runtime_error};
    static world w;
    int64_t n, calls, step, failures = 0;
    uint64_t result;
    int k;

    begin(&w, s);
    OK(s->call(&w));
    calls = dnn.calls;
    result = digest_world(&w);
    end(&w, s);
    ck_assert_msg(calls > 0, "%s: oneDNN is not called", s->function);
    step = calls <= s->most ? 1 : calls / s->most + 1;
    for (k = 0; k < 2; k++) {
        dnn.status = statuses[k];
        for (n = 0; n < calls; n += step) {
            sslcv_status status;

            begin(&w, s);
            failures++;
            dnn.fail_at = n;
            status = s->call(&w);
            dnn.fail_at = -1;
            if (status != SSLCV_OK) {
                ck_assert_msg(status == (k == 0 ? SSLCV_ERR_OUT_OF_MEMORY : SSLCV_ERR_BACKEND),
                              "%s: oneDNN's call %d fails, and it gives %s (%s)", s->function, (int)n,
                              sslcv_status_string(status), sslcv_last_error());
                ck_assert_msg((s->flags & WRITES_EARLY) || memcmp(&w.out, &w.before, sizeof w.out) == 0,
                              "%s: oneDNN's call %d fails, and an output is written", s->function, (int)n);
                OK(s->call(&w));
            } else {
                ck_assert_msg(s->flags & ABSORBS, "%s: oneDNN's call %d fails, and it succeeds", s->function, (int)n);
            }
            ck_assert_msg(digest_world(&w) == result, "%s: oneDNN's call %d fails, and then it gives something else",
                          s->function, (int)n);
            end(&w, s);
        }
    }
    if (getenv("SSLCV_TEST_COUNTS")) printf("%s: %d calls, %d failures\n", s->function, (int)calls, (int)failures);
}

/* ---- what calls oneDNN ---- */

static sslcv_status pass(world *w, int32_t flags)
{
    const int64_t shape[4] = {4, 3, OOM_SIDE, OOM_SIDE};
    const sslcv_tensor images = have_values(w, 4, shape);
    sslcv_pass p;

    OK(sslcv_pass_init(&p, sizeof p));
    p.flags = flags;
    return sslcv_backbone_forward(HAVE->backbone, &images, &p, HAVE->tape);
}

static void have_network(world *w)
{
    have_backbone(w);
    have_tape(w);
}

static void have_imagenet_network(world *w)
{
    sslcv_backbone_options o = small_backbone();

    o.stem = SSLCV_STEM_IMAGENET;
    o.norm = SSLCV_NORM_NONE;
    OK(sslcv_backbone_create(HAVE->context, &o, &HAVE->backbone));
    have_tape(w);
}

static sslcv_status create_backbone(world *w)
{
    const sslcv_backbone_options o = small_backbone();

    return sslcv_backbone_create(HAVE->context, &o, &OUT->made.backbone);
}

static void have_window(world *w)
{
    have_backbone(w);
    OK(sslcv_backbone_get_state(HAVE->backbone, &HAVE->state));
}

static sslcv_status get_flat(world *w)
{
    return sslcv_state_get_flat(HAVE->state, SSLCV_ROLE_ALL, OUT->floats, 1 << 13, OUT->integers);
}

/* Of a training step that fails nothing stays but momentum copies, which this trainer has none of. */
static void have_trainer(world *w)
{
    static const int64_t views[] = {0, 1}, first[] = {0};
    sslcv_optimizer_options sgd;
    sslcv_trainer_options o;
    sslcv_schedule rate;
    sslcv_branch b;

    have_dataset(w);
    have_augmenter(w);
    have_backbone(w);
    have_head(w);
    OK(sslcv_loss_create_info_nce(HAVE->context, NULL, &HAVE->loss));
    OK(sslcv_optimizer_options_init(&sgd, sizeof sgd, SSLCV_OPTIMIZER_SGD));
    OK(sslcv_optimizer_create(HAVE->context, &sgd, &HAVE->optimizer));
    OK(sslcv_schedule_init(&rate, sizeof rate, SSLCV_SCHEDULE_CONSTANT, 0.1));
    OK(sslcv_trainer_options_init(&o, sizeof o));
    o.dataset = HAVE->dataset;
    o.augmenter = HAVE->augmenter;
    o.optimizer = HAVE->optimizer;
    o.learning_rate = &rate;
    o.batch_size = OOM_BATCH;
    o.prefetch = 0;
    o.seed = 5;
    OK(sslcv_trainer_create(HAVE->context, &o, &HAVE->trainer));
    OK(sslcv_branch_init(&b, sizeof b));
    b.views = views;
    b.num_views = 2;
    b.backbone = HAVE->backbone;
    b.heads = &HAVE->head;
    b.num_heads = 1;
    OK(sslcv_trainer_add_branch(HAVE->trainer, &b, NULL));
    OK(sslcv_trainer_add_loss(HAVE->trainer, HAVE->loss, first, 1, 1.0, NULL));
}

static sslcv_tensor features(void)
{
    static float values[40 * 6];
    const int64_t shape[2] = {40, 6};
    sslcv_tensor tensor;

    golden_input(0, 40 * 6, values);
    OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, 2, shape));
    return tensor;
}

static sslcv_status whiten(world *w)
{
    const int64_t shape[2] = {40, 4};
    const sslcv_tensor a = features();
    sslcv_tensor reduced;

    OK(sslcv_tensor_init(&reduced, SSLCV_F32, OUT->floats, 2, shape));
    return sslcv_pca_whiten(HAVE->context, &a, 0, &reduced);
}

static sslcv_status cluster(world *w)
{
    const int64_t shape[2] = {3, 6};
    const sslcv_tensor a = features();
    sslcv_tensor centroids;
    sslcv_kmeans_options o;

    OK(sslcv_kmeans_options_init(&o, sizeof o));
    o.clusters = 3;
    o.seed = 3;
    OK(sslcv_tensor_init(&centroids, SSLCV_F32, OUT->floats, 2, shape));
    return sslcv_kmeans(HAVE->context, &a, &o, &centroids, OUT->integers, OUT->numbers);
}

CALL(train, pass(w, SSLCV_PASS_TRAIN | SSLCV_PASS_GRADIENT))
CALL(evaluate, pass(w, 0))
CALL(step, sslcv_trainer_step(HAVE->trainer, NULL))

static const scenario scenarios[] = {
    {"sslcv_backbone_create", NULL, create_backbone, 0, 100},
    {"sslcv_state_get_flat", have_window, get_flat, WRITES_EARLY, 100},
    {"sslcv_backbone_forward", have_network, train, 0, 100},
    {"sslcv_backbone_forward", have_network, evaluate, 0, 100},
    {"sslcv_backbone_forward", have_imagenet_network, train, 0, 100},
    {"sslcv_trainer_step", have_trainer, step, 0, 150},
    {"sslcv_pca_whiten", NULL, whiten, WRITES_EARLY, 100},
    {"sslcv_kmeans", NULL, cluster, 0, 100},
};

START_TEST(runs)
{
    run_onednn_scenario(&scenarios[_i]);
}
END_TEST

int main(void)
{
    return run_scenarios("out_of_memory_onednn", runs, (int)(sizeof scenarios / sizeof scenarios[0]));
}
