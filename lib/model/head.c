/* What all heads share. */
#include "model/head.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/context.h"
#include "core/options.h"
#include "core/tensor.h"
#include "nn/state.h"

/* ---- life ---- */

static void release_head(void *self)
{
    sslcv_head *head = self;

    sslcv__custom_head_free(head);
    sslcv__net_free(&head->net);
}

sslcv_status sslcv__head_create(sslcv_context *context, const sslcv__head_kind *kind,
                                const sslcv__head_options *options, int64_t in_dim, uint64_t seed, sslcv_head **out)
{
    sslcv_head *head = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__object_create(context, SSLCV__HEAD, sizeof *head, release_head, &head));
    head->kind = kind;
    head->options = *options;
    head->in_dim = in_dim;
    SSLCV__TRY(sslcv__net_init(&head->net, context, 1, in_dim));
    SSLCV__TRY(kind->build(head, seed));
    *out = head;
    head = NULL;
end:
    sslcv__release(head);
    return status;
}

sslcv_status sslcv__head_create_seeded(sslcv_context *context, const sslcv__head_kind *kind,
                                       const sslcv__head_options *options, int64_t in_dim, uint64_t seed,
                                       sslcv_head **out)
{
    return sslcv__head_create(context, kind, options, in_dim, sslcv__context_seed(context, seed), out);
}

sslcv_status sslcv__head_check_create(sslcv_context *context, const void *options, sslcv_head **out)
{
    const sslcv_status status = sslcv__check(context, SSLCV__CONTEXT, "context");

    if (status != SSLCV_OK) return status;
    if (!options) return sslcv__null("options");
    return out ? SSLCV_OK : sslcv__null("head");
}

void sslcv_head_destroy(sslcv_head *head)
{
    sslcv__destroy(head, SSLCV__HEAD);
}

/* Tensors of the host, which building the graph does not make. */
static sslcv_status add_missing(sslcv_head *head, const sslcv__variables *set)
{
    sslcv_status status = SSLCV_OK;
    int64_t i;

    for (i = head->net.variables.count; i < set->count && status == SSLCV_OK; i++) {
        const sslcv__variable *v = set->items[i];

        status =
            sslcv__variables_add(&head->net.variables, v->name, v->dtype, v->role, v->ndim, v->shape, v->layout, NULL);
    }
    return status;
}

sslcv_status sslcv_head_clone(const sslcv_head *head, sslcv_head **copy)
{
    sslcv_head *made = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(head, SSLCV__HEAD, "head"));
    if (!copy) return sslcv__null("copy");
    SSLCV__TRY(sslcv__head_create(head->object.context, head->kind, &head->options, head->in_dim, 0, &made));
    SSLCV__TRY(add_missing(made, &head->net.variables));
    sslcv__net_copy_values(&made->net, &head->net);
    *copy = made;
    made = NULL;
end:
    sslcv__release(made);
    return status;
}

sslcv_status sslcv_head_reset(sslcv_head *head, uint64_t seed)
{
    sslcv_head *fresh = NULL; /* complete before anything changes */
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(head, SSLCV__HEAD, "head"));
    if (seed == 0) return sslcv__invalid("seed is 0; must be another number");
    SSLCV__TRY(sslcv__head_create(head->object.context, head->kind, &head->options, head->in_dim, seed, &fresh));
    for (i = 0; i < head->net.variables.count; i++) {
        sslcv__variable *const *from = fresh->net.variables.items;

        sslcv__variable_reset(head->net.variables.items[i], i < fresh->net.variables.count ? from[i]->value : NULL);
    }
end:
    sslcv__release(fresh);
    return status;
}

void sslcv__head_close(sslcv_head *head)
{
    head->net.variables.closed = 1;
}

/* ---- looking ---- */

void sslcv__head_describe(const sslcv_head *head, char *text, size_t size)
{
    char options[192];

    head->kind->describe(head, options, sizeof options);
    snprintf(text, size, "%s %s", head->kind->name, options);
}

sslcv_status sslcv_head_get_state(sslcv_head *head, sslcv_state **out)
{
    sslcv_state *state = NULL;
    char text[224];
    sslcv_status status;

    SSLCV__TRY(sslcv__check(head, SSLCV__HEAD, "head"));
    if (!out) return sslcv__null("state");
    SSLCV__TRY(sslcv__state_create(head->object.context, &head->object, &state));
    sslcv__head_describe(head, text, sizeof text);
    SSLCV__TRY(sslcv__state_add_metadata(state, "sslcv.head", text));
    SSLCV__TRY(sslcv__state_append(state, "", &head->net.variables));
    if (head->custom) state->grows = &head->net.variables;
    *out = state;
    state = NULL;
end:
    sslcv__release(state);
    return status;
}

sslcv_status sslcv_head_get_info(const sslcv_head *head, sslcv_head_info *info)
{
    sslcv_head_info full = {0};
    const sslcv_status status = sslcv__check(head, SSLCV__HEAD, "head");

    if (status != SSLCV_OK) return status;
    full.kind = head->kind->name;
    full.in_dim = head->in_dim;
    full.out_dim = head->out_dim;
    full.num_parameters = sslcv__net_num_parameters(&head->net);
    return sslcv__struct_fill("head_info", info, sizeof full, &full, sizeof full);
}

/* ---- passes ---- */

sslcv_status sslcv__head_check_axes(const sslcv_head *head, int64_t p, int64_t d)
{
    if (d != head->in_dim) {
        return sslcv__invalid("input has D = %lld; the head takes %lld", (long long)d, (long long)head->in_dim);
    }
    if (head->in_patches != 0 && p != head->in_patches) {
        return sslcv__invalid("input has P = %lld patches; the head, %s, takes %lld", (long long)p, head->kind->name,
                              (long long)head->in_patches);
    }
    return SSLCV_OK;
}

static sslcv_status check_input(const sslcv_head *head, const sslcv_tensor *input)
{
    sslcv_status status;

    if (!input) return sslcv__null("input");
    SSLCV__TRY(sslcv__tensor_check(input, "input"));
    if (input->dtype != SSLCV_F32) {
        return sslcv__invalid("input is %s; must be f32", sslcv__dtype_name(input->dtype));
    }
    if (input->ndim < 2 || input->ndim > 4) {
        return sslcv__invalid("input has %d dimensions; must be (N, D), (V, N, D) or (V, N, P, D)", input->ndim);
    }
    SSLCV__TRY(sslcv__head_check_axes(head, input->ndim == 4 ? input->shape[2] : 1, input->shape[input->ndim - 1]));
    if (sslcv__tensor_count(input) == 0) return sslcv__invalid("input has no row in it");
end:
    return status;
}

sslcv_status sslcv_head_forward(sslcv_head *head, const sslcv_tensor *input, const sslcv_pass *pass, sslcv_tape *tape)
{
    sslcv_pass p;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(head, SSLCV__HEAD, "head"));
    SSLCV__TRY(sslcv__check(tape, SSLCV__TAPE, "tape"));
    SSLCV__TRY(sslcv__check_context(tape, head->object.context, "tape"));
    SSLCV__TRY(check_input(head, input));
    SSLCV__TRY(sslcv__pass_read(pass, &p));
    if (p.stage) return sslcv__invalid("pass.stage is \"%s\"; heads have no stages, it must be NULL", p.stage);
    p.flags &= ~(SSLCV_PASS_MAP | SSLCV_PASS_INPUT_GRADIENT);
    status = sslcv__tape_forward(tape, &head->object, &head->net, input, "input", &p, head->net.num_nodes - 1);
end:
    return status;
}

/* ---- for kinds ---- */

sslcv_status sslcv__head_check_dim(const char *kind, const char *name, int64_t value, int64_t least, int64_t most)
{
    if (value >= least && value <= most) return SSLCV_OK;
    return sslcv__invalid("%s.%s is %lld; must be %lld .. %lld", kind, name, (long long)value, (long long)least,
                          (long long)most);
}

sslcv_status sslcv__head_linear_layer(sslcv_head *head, const sslcv__head_linear *linear, uint64_t seed, int32_t *node)
{
    const int64_t fan_in = linear->fan_in ? linear->fan_in : head->net.nodes[*node].channels;
    const double uniform = 1.0 / sqrt((double)fan_in);
    const int normal = linear->std > 0.0;
    const sslcv__node *made;
    sslcv_status status;

    SSLCV__TRY(sslcv__net_linear(&head->net, *node, linear->name, linear->channels, linear->bias, node));
    if (seed == 0) return SSLCV_OK;
    made = &head->net.nodes[*node];
    SSLCV__TRY(sslcv__net_draw(&head->net, made->weight, seed, normal, normal ? linear->std : uniform));
    if (linear->bias && !normal) SSLCV__TRY(sslcv__net_draw(&head->net, made->bias, seed, 0, uniform));
end:
    return status;
}
