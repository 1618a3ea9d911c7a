/**
 * A head of the host: two callbacks, and tensors that the host adds to the head's state.
 *
 *     table (shared, counted) <---- head, its copies ----> variables <---- state for the callbacks
 *                                                                               keeps nothing alive: no cycle
 *
 * The graph is one node that calls the host. The host adds to gradients of parameters in place, so what was there is
 * kept aside, and put back when the call fails.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/callback.h"
#include "core/checked.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/tensor.h"
#include "model/head.h"
#include "nn/kernels.h"
#include "nn/state.h"

enum { MAX_PATCHES = 1 << 20 };

/** The host's table. */
typedef struct sslcv__head_host {
    atomic_int references;
    int32_t is_ours;        /* from a creation that succeeded: the last one calls destroy */
    sslcv_context *context; /* borrowed: every head that holds the table has a reference */
    sslcv_head_callbacks callbacks;
} sslcv__head_host;

typedef struct sslcv__custom_head {
    sslcv__head_host *host;
    sslcv_state *state; /* handed to callbacks */
    sslcv__host_layer layer;
    void *kept; /* gradients before a backward pass: a flag for each variable, then values */
    int64_t kept_bytes;
} sslcv__custom_head;

static void release_host(sslcv__head_host *host)
{
    if (!host || atomic_fetch_sub(&host->references, 1) != 1) return;
    if (host->is_ours && host->callbacks.destroy) host->callbacks.destroy(host->callbacks.user);
    sslcv__free(host->context, host);
}

void sslcv__custom_head_free(sslcv_head *head)
{
    sslcv__custom_head *custom = head->custom;

    if (!custom) return;
    sslcv__release(custom->state);
    release_host(custom->host);
    sslcv__free(head->object.context, custom->kept);
    sslcv__free(head->object.context, custom);
}

/* ---- gradients ---- */

/* Where the values begin behind the flags: at a multiple of 64, not 0. */
static int64_t flags_bytes(const sslcv__variables *set)
{
    return (set->count * (int64_t)sizeof(int32_t) / 64 + 1) * 64;
}

static sslcv_status keep_gradients(sslcv_head *head)
{
    const sslcv__variables *set = &head->net.variables;
    sslcv__custom_head *custom = head->custom;
    int64_t bytes = flags_bytes(set), i;
    int32_t *had;
    char *values;

    for (i = 0; i < set->count; i++) {
        if (set->items[i]->gradient && !sslcv__add(bytes, set->items[i]->stored_bytes, &bytes)) {
            return sslcv__fail(SSLCV_ERR_LIMIT, "the gradients of a custom head are too large");
        }
    }
    if (bytes > custom->kept_bytes) {
        void *fresh;
        const sslcv_status status = sslcv__alloc(head->object.context, bytes, &fresh);

        if (status != SSLCV_OK) return status;
        sslcv__free(head->object.context, custom->kept);
        custom->kept = fresh;
        custom->kept_bytes = bytes;
    }
    had = custom->kept;
    values = (char *)custom->kept + flags_bytes(set);
    for (i = 0; i < set->count; i++) {
        const sslcv__variable *v = set->items[i];

        had[i] = v->has_gradient;
        if (!v->gradient) continue;
        if (v->has_gradient) memcpy(values, v->gradient, (size_t)v->stored_bytes);
        values += v->stored_bytes;
    }
    return SSLCV_OK;
}

/* count: variables when they were kept. The host may have added more, of which nothing is to stay. */
static void restore_gradients(const sslcv_head *head, int64_t count)
{
    const sslcv__variables *set = &head->net.variables;
    const sslcv__variables before = {.count = count};
    const int32_t *had = head->custom->kept;
    const char *values = (const char *)head->custom->kept + flags_bytes(&before);
    int64_t i;

    for (i = 0; i < set->count; i++) {
        sslcv__variable *v = set->items[i];

        v->has_gradient = i < count ? had[i] : 0;
        if (!v->gradient || i >= count) continue;
        if (v->has_gradient) memcpy(v->gradient, values, (size_t)v->stored_bytes);
        values += v->stored_bytes;
    }
}

static sslcv_status check_gradients(const sslcv_head *head)
{
    int64_t i;

    for (i = 0; i < head->net.variables.count; i++) {
        const sslcv__variable *v = head->net.variables.items[i];

        if (v->has_gradient && !sslcv__all_finite(v->gradient, v->count)) {
            return sslcv__fail(SSLCV_ERR_NUMERIC, "a custom head left NaN or infinity in the gradient of %s", v->name);
        }
    }
    return SSLCV_OK;
}

/* ---- calls ---- */

static void clear(const sslcv_tensor *tensor)
{
    memset(tensor->data, 0, (size_t)sslcv__tensor_count(tensor) * sizeof(float));
}

static sslcv_status check_array(const sslcv_tensor *tensor, const char *what)
{
    if (sslcv__all_finite(tensor->data, sslcv__tensor_count(tensor))) return SSLCV_OK;
    return sslcv__fail(SSLCV_ERR_NUMERIC, "a custom head left NaN or infinity in %s", what);
}

static sslcv_status forward(void *self, const sslcv_tensor *in, sslcv_tensor *out, const sslcv_pass *pass)
{
    const sslcv_head *head = self;
    const sslcv_head_callbacks *host = &head->custom->host->callbacks;
    const sslcv_tensor given = *out; /* the host's is its own to change */
    sslcv__callback callback;
    int32_t answer;
    sslcv_status status;

    SSLCV__TRY(sslcv__state_follow(head->custom->state));
    clear(out);
    sslcv__callback_begin(&callback);
    answer = host->forward(host->user, head->custom->state, in, out, pass);
    SSLCV__TRY(sslcv__callback_answer(&callback, "forward of a custom head", answer));
    status = check_array(&given, "its output");
end:
    return status;
}

static sslcv_status backward(void *self, const sslcv_tensor *in, const sslcv_tensor *out, const sslcv_tensor *diff_out,
                             sslcv_tensor *diff_in, const sslcv_pass *pass)
{
    sslcv_head *head = self;
    const sslcv_head_callbacks *host = &head->custom->host->callbacks;
    const sslcv_tensor given = *diff_in;
    const int64_t count = head->net.variables.count;
    sslcv__callback callback;
    int32_t answer;
    sslcv_status status;

    SSLCV__TRY(sslcv__state_follow(head->custom->state));
    SSLCV__TRY(keep_gradients(head));
    clear(diff_in);
    sslcv__callback_begin(&callback);
    answer = host->backward(host->user, head->custom->state, in, out, diff_out, diff_in, pass);
    status = sslcv__callback_answer(&callback, "backward of a custom head", answer);
    if (status == SSLCV_OK) status = check_array(&given, "diff_in");
    if (status == SSLCV_OK) status = check_gradients(head);
    if (status != SSLCV_OK) restore_gradients(head, count);
end:
    return status;
}

/* ---- creation ---- */

/* Values are the host's, zeros at first, whatever the seed. */
static sslcv_status build(sslcv_head *head, uint64_t seed)
{
    sslcv__head_host *host = head->options.host;
    sslcv__custom_head *custom;
    int32_t node;
    sslcv_status status;

    (void)seed;
    head->out_dim = host->callbacks.out_dim;
    head->out_patches = host->callbacks.out_patches;
    SSLCV__TRY(sslcv__alloc_array(head->object.context, 1, sizeof *custom, (void **)&custom));
    head->custom = custom;
    custom->host = host;
    atomic_fetch_add(&host->references, 1);
    custom->layer = (sslcv__host_layer){head, head->out_patches, forward, backward};
    SSLCV__TRY(sslcv__state_create(head->object.context, NULL, &custom->state));
    custom->state->grows = &head->net.variables;
    status = sslcv__net_host(&head->net, 0, &custom->layer, head->out_dim, &node);
end:
    return status;
}

static void describe(const sslcv_head *head, char *text, size_t size)
{
    snprintf(text, size, "%lld-%lld patches=%lld", (long long)head->in_dim, (long long)head->out_dim,
             (long long)head->out_patches);
}

static const sslcv__head_kind kind = {"custom", build, describe};

static sslcv_status check_callbacks(const sslcv_head_callbacks *c)
{
    sslcv_status status;

    if (!c->forward) return sslcv__null("head_callbacks.forward");
    if (!c->backward) return sslcv__null("head_callbacks.backward");
    SSLCV__TRY(sslcv__head_check_dim("head_callbacks", "in_dim", c->in_dim, 1, SSLCV__HEAD_MAX_DIM));
    SSLCV__TRY(sslcv__head_check_dim("head_callbacks", "out_dim", c->out_dim, 1, SSLCV__HEAD_MAX_DIM));
    SSLCV__TRY(sslcv__head_check_dim("head_callbacks", "out_patches", c->out_patches, 0, MAX_PATCHES));
end:
    return status;
}

static const sslcv_head_callbacks defaults = {.struct_size = sizeof defaults};

sslcv_status sslcv_head_callbacks_init(sslcv_head_callbacks *callbacks, size_t struct_size)
{
    return sslcv__options_init("head_callbacks", callbacks, struct_size, sizeof defaults, &defaults, sizeof defaults);
}

sslcv_status sslcv_head_create_custom(sslcv_context *context, const sslcv_head_callbacks *callbacks, sslcv_head **out)
{
    sslcv_head_callbacks c = defaults;
    sslcv__head_options o = {.host = NULL};
    sslcv__head_host *host = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__head_check_create(context, callbacks, out));
    SSLCV__TRY(sslcv__options_read("head_callbacks", callbacks, sizeof defaults, &c, sizeof c));
    SSLCV__TRY(check_callbacks(&c));
    SSLCV__TRY(sslcv__alloc_array(context, 1, sizeof *host, (void **)&host));
    atomic_init(&host->references, 1);
    host->context = context;
    host->callbacks = c;
    o.host = host;
    SSLCV__TRY(sslcv__head_create(context, &kind, &o, c.in_dim, 0, out));
    host->is_ours = 1;
end:
    release_host(host);
    return status;
}
