/** What the suites of lib/nn/state*.c share: a window onto an object with variables. */
#ifndef SSLCV__TESTS_STATE_SUPPORT_H
#define SSLCV__TESTS_STATE_SUPPORT_H

#include "file_support.h"

#include "core/memory.h"
#include "core/tensor.h"
#include "dnn/dnn.h"
#include "nn/state.h"

/** What a backbone or loss is to a state: an object with variables. */
typedef struct owner {
    sslcv__object object;
    sslcv__variables set;
    int reads, writes;
    sslcv_status refuse; /* of after_write */
} owner;

static sslcv_context *context;
static host memory;
static owner *object;
static sslcv_state *window;
static sslcv__layout *blocked; /* of (32, 16, 3, 3) */
static const int64_t conv_shape[4] = {32, 16, 3, 3};
enum { CONV = 32 * 16 * 3 * 3, FLAT = CONV + 5 + 2 };

static inline void release_owner(void *self)
{
    sslcv__variables_free(&((owner *)self)->set);
}

static inline sslcv_status count_read(sslcv__object *self)
{
    ((owner *)(void *)self)->reads++;
    return SSLCV_OK;
}

static inline sslcv_status count_write(sslcv__object *self)
{
    ((owner *)(void *)self)->writes++;
    return ((owner *)(void *)self)->refuse;
}

/** The layout that oneDNN wants for the weights of some convolution. */
static inline sslcv__layout *make_blocked(void)
{
    const sslcv__conv_shape shape = {2, 16, 8, 8, 32, 3, 3, 1, 1, SSLCV_F32, 0};
    sslcv__layout *layout, *plain;
    sslcv__op *op;

    OK(sslcv__op_conv_forward(context, &shape, NULL, &op));
    OK(sslcv__layout_copy(context, sslcv__op_layout(op, SSLCV__WEIGHTS), &layout));
    sslcv__op_free(context, op);
    OK(sslcv__layout_plain(context, SSLCV_F32, 4, conv_shape, &plain));
    ck_assert_msg(!sslcv__layout_equal(layout, plain), "the convolution takes plain weights: the test tests nothing");
    sslcv__layout_free(context, plain);
    return layout;
}

/** conv: f32 weight, blocked; bias: f32 (5); mean: f64 buffer (2); steps: i64 scalar. */
static inline owner *make_owner(const sslcv__layout *layout)
{
    const int64_t five = 5, two = 2;
    owner *made;

    OK(sslcv__object_create(context, SSLCV__HEAD, sizeof *made, release_owner, &made));
    sslcv__variables_init(&made->set, context);
    OK(sslcv__variables_add(&made->set, "conv", SSLCV_F32, SSLCV_ROLE_WEIGHT, 4, conv_shape, layout, NULL));
    OK(sslcv__variables_add(&made->set, "bias", SSLCV_F32, SSLCV_ROLE_BIAS, 1, &five, NULL, NULL));
    OK(sslcv__variables_add(&made->set, "mean", SSLCV_F64, SSLCV_ROLE_BUFFER, 1, &two, NULL, NULL));
    OK(sslcv__variables_add(&made->set, "steps", SSLCV_I64, SSLCV_ROLE_BUFFER, 0, NULL, NULL, NULL));
    return made;
}

static inline sslcv_state *make_window(owner *of)
{
    sslcv_state *made;

    OK(sslcv__state_create(context, &of->object, &made));
    OK(sslcv__state_append(made, "a.", &of->set));
    return made;
}

static inline void setup(void)
{
    memory = (host){0};
    context = make_context(&memory);
    blocked = make_blocked();
    object = make_owner(blocked);
    window = make_window(object);
}

static inline void teardown(void)
{
    sslcv__release(object);
    sslcv_state_destroy(window);
    sslcv__layout_free(context, blocked);
    sslcv_context_destroy(context);
    ck_assert_int_eq(memory.out, 0);
}

static inline sslcv_tensor tensor_of(int32_t dtype, void *data, int32_t ndim, const int64_t *shape)
{
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, dtype, data, ndim, shape));
    return tensor;
}

#endif
