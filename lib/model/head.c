/* What all heads share. A kind is a file of its own that builds a graph over rows. */
#include "model/head.h"

#include <stdio.h>

#include "core/options.h"
#include "core/tensor.h"
#include "nn/state.h"

void sslcv_head_destroy(sslcv_head *head)
{
    sslcv__destroy(head, SSLCV__HEAD);
}

sslcv_status sslcv_head_clone(const sslcv_head *head, sslcv_head **copy)
{
    sslcv_head *made;
    sslcv_status status = sslcv__check(head, SSLCV__HEAD, "head");

    if (status != SSLCV_OK) return status;
    if (!copy) return sslcv__null("copy");
    status = sslcv_head_create_mlp(head->object.context, &head->options, &made);
    if (status != SSLCV_OK) return status;
    sslcv__net_copy_values(&made->net, &head->net);
    *copy = made;
    return SSLCV_OK;
}

void sslcv__head_describe(const sslcv_head *head, char *text, size_t size)
{
    const sslcv_mlp_options *o = &head->options;

    snprintf(text, size, "%s %lld-%lld-%lld layers=%d norm=%d last_norm=%d bias=%d last_bias=%d normalize=%d",
             head->kind, (long long)o->in_dim, (long long)o->hidden_dim, (long long)o->out_dim, o->num_layers, o->norm,
             o->last_norm, o->bias, o->last_bias, o->normalize);
}

sslcv_status sslcv_head_get_state(sslcv_head *head, sslcv_state **out)
{
    sslcv_state *state;
    char text[160];
    sslcv_status status = sslcv__check(head, SSLCV__HEAD, "head");

    if (status != SSLCV_OK) return status;
    if (!out) return sslcv__null("state");
    status = sslcv__state_create(head->object.context, &head->object, &state);
    if (status != SSLCV_OK) return status;
    sslcv__head_describe(head, text, sizeof text);
    status = sslcv__state_add_metadata(state, "sslcv.head", text);
    if (status == SSLCV_OK) status = sslcv__state_append(state, "", &head->net.variables);
    if (status == SSLCV_OK) {
        *out = state;
    } else {
        sslcv__release(state);
    }
    return status;
}

sslcv_status sslcv_head_get_info(const sslcv_head *head, sslcv_head_info *info)
{
    sslcv_head_info full = {0};
    const sslcv_status status = sslcv__check(head, SSLCV__HEAD, "head");

    if (status != SSLCV_OK) return status;
    full.kind = head->kind;
    full.in_dim = head->options.in_dim;
    full.out_dim = head->options.out_dim;
    full.num_parameters = sslcv__net_num_parameters(&head->net);
    return sslcv__struct_fill("head_info", info, sizeof full, &full, sizeof full);
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
    if (input->shape[input->ndim - 1] != head->options.in_dim) {
        return sslcv__invalid("input has D = %lld; the head takes %lld", (long long)input->shape[input->ndim - 1],
                              (long long)head->options.in_dim);
    }
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
