#include "onnx/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <onnx.pb-c.h>

#include "core/checked.h"
#include "core/memory.h"
#include "nn/state.h"

/* The package's name in front of all that is generated keeps it apart from other users of onnx.proto in a process. */
typedef Sslcv__Onnx__ModelProto model_message;
typedef Sslcv__Onnx__GraphProto graph_message;
typedef Sslcv__Onnx__OperatorSetIdProto opset_message;
typedef Sslcv__Onnx__NodeProto node_message;
typedef Sslcv__Onnx__AttributeProto attribute_message;
typedef Sslcv__Onnx__TensorProto tensor_message;
typedef Sslcv__Onnx__ValueInfoProto value_message;
typedef Sslcv__Onnx__TypeProto type_message;
typedef Sslcv__Onnx__TypeProto__Tensor tensor_type_message;
typedef Sslcv__Onnx__TensorShapeProto shape_message;
typedef Sslcv__Onnx__TensorShapeProto__Dimension axis_message;
typedef Sslcv__Onnx__StringStringEntryProto entry_message;

enum { CHUNK = 16384, MAX_TEXT = 512, MAX_ATTRIBUTES = 8, MAX_BYTES = INT32_MAX };

/** Memory of the model: texts and messages, many and small. */
typedef struct chunk {
    struct chunk *next;
    int64_t used, size; /* bytes behind this head */
} chunk;

/** An initializer whose values are a variable's; variable NULL: they are in the message. */
typedef struct weight {
    const sslcv__variable *variable;
    const double *scales;
} weight;

struct sslcv__onnx_model {
    sslcv_context *context;
    chunk *chunks;
    model_message message;
    graph_message graph;
    opset_message opset;
    weight *weights; /* one for each initializer */
    int64_t node_capacity, initializer_capacity, weight_capacity, metadata_capacity;
    float *values; /* of one variable */
};

/* ---- memory ---- */

static const int64_t chunk_head = 64;

sslcv_status sslcv__onnx_memory(sslcv__onnx_model *model, int64_t count, int64_t size, void **memory)
{
    chunk *c = model->chunks;
    int64_t bytes;
    sslcv_status status;

    if (!sslcv__multiply(count, size, &bytes) || bytes > INT64_MAX / 2) {
        return sslcv__fail(SSLCV_ERR_LIMIT, "an ONNX model of such networks is too large");
    }
    bytes = (bytes + 15) / 16 * 16;
    if (!c || c->size - c->used < bytes) {
        const int64_t fresh = bytes > CHUNK ? bytes : CHUNK;

        status = sslcv__alloc(model->context, chunk_head + fresh, (void **)&c);
        if (status != SSLCV_OK) return status;
        *c = (chunk){.next = model->chunks, .size = fresh};
        model->chunks = c;
    }
    *memory = (char *)c + chunk_head + c->used;
    memset(*memory, 0, (size_t)bytes);
    c->used += bytes;
    return SSLCV_OK;
}

static sslcv_status copy_bytes(sslcv__onnx_model *model, const void *from, int64_t count, int64_t size, void **copy)
{
    const sslcv_status status = sslcv__onnx_memory(model, count, size, copy);

    if (status == SSLCV_OK && count > 0) memcpy(*copy, from, (size_t)(count * size));
    return status;
}

static sslcv_status copy_text(sslcv__onnx_model *model, const char *text, char **copy)
{
    return copy_bytes(model, text, (int64_t)strlen(text) + 1, 1, (void **)copy);
}

sslcv_status sslcv__onnx_text(sslcv__onnx_model *model, char **text, const char *format, ...)
{
    char buffer[MAX_TEXT];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return copy_text(model, buffer, text);
}

/* Room for one more in an array of pointers to messages. */
static sslcv_status grow(sslcv__onnx_model *model, size_t count, int64_t *capacity, void *array, int64_t size)
{
    const int64_t n = (int64_t)count, room = n ? 2 * n : 16;
    void *fresh, *old;
    sslcv_status status;

    if (n < *capacity) return SSLCV_OK;
    memcpy(&old, array, sizeof old);
    SSLCV__TRY(sslcv__onnx_memory(model, room, size, &fresh));
    if (n > 0) memcpy(fresh, old, (size_t)(n * size));
    memcpy(array, &fresh, sizeof fresh);
    *capacity = room;
end:
    return status;
}

#define GROW(model, count, capacity, array) grow(model, count, capacity, &(array), sizeof *(array))

/* ---- life ---- */

sslcv_status sslcv__onnx_create(sslcv_context *context, int32_t opset, sslcv__onnx_model **out)
{
    sslcv__onnx_model *model = NULL;
    sslcv_status status;

    SSLCV__TRY(sslcv__alloc_array(context, 1, sizeof *model, (void **)&model));
    model->context = context;
    sslcv__onnx__model_proto__init(&model->message);
    sslcv__onnx__graph_proto__init(&model->graph);
    sslcv__onnx__operator_set_id_proto__init(&model->opset);
    model->message.has_ir_version = 1;
    model->message.ir_version = opset <= 11 ? 6 : opset <= 14 ? 7 : 8; /* that which came with the opset */
    SSLCV__TRY(copy_text(model, "sslcv", &model->message.producer_name));
    SSLCV__TRY(copy_text(model, sslcv_version_string(), &model->message.producer_version));
    model->message.graph = &model->graph;
    SSLCV__TRY(copy_text(model, "features", &model->graph.name));
    model->opset.has_version = 1;
    model->opset.version = opset;
    SSLCV__TRY(copy_text(model, "", &model->opset.domain));
    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof(void *), (void **)&model->message.opset_import));
    model->message.opset_import[0] = &model->opset;
    model->message.n_opset_import = 1;
    *out = model;
    model = NULL;
end:
    sslcv__onnx_free(model);
    return status;
}

void sslcv__onnx_free(sslcv__onnx_model *model)
{
    chunk *c, *next;

    if (!model) return;
    for (c = model->chunks; c; c = next) {
        next = c->next;
        sslcv__free(model->context, c);
    }
    sslcv__free(model->context, model->values);
    sslcv__free(model->context, model);
}

sslcv_status sslcv__onnx_metadata(sslcv__onnx_model *model, const char *key, const char *value)
{
    model_message *m = &model->message;
    entry_message *entry;
    sslcv_status status;

    SSLCV__TRY(GROW(model, m->n_metadata_props, &model->metadata_capacity, m->metadata_props));
    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *entry, (void **)&entry));
    sslcv__onnx__string_string_entry_proto__init(entry);
    SSLCV__TRY(copy_text(model, key, &entry->key));
    SSLCV__TRY(copy_text(model, value, &entry->value));
    m->metadata_props[m->n_metadata_props++] = entry;
end:
    return status;
}

/* ---- inputs and outputs ---- */

static sslcv_status make_axis(sslcv__onnx_model *model, const sslcv__onnx_axis *axis, axis_message **out)
{
    axis_message *made;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *made, (void **)&made));
    sslcv__onnx__tensor_shape_proto__dimension__init(made);
    if (axis->size > 0) {
        made->value_case = SSLCV__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        made->dim_value = axis->size;
    } else {
        made->value_case = SSLCV__ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        SSLCV__TRY(copy_text(model, axis->name, &made->dim_param));
    }
    *out = made;
end:
    return status;
}

static sslcv_status make_value(sslcv__onnx_model *model, const char *name, const sslcv__onnx_axis *axes, int32_t ndim,
                               value_message ***out)
{
    struct parts {
        value_message *list[1];
        value_message value;
        type_message type;
        tensor_type_message tensor;
        shape_message shape;
    } * parts;
    int32_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *parts, (void **)&parts));
    sslcv__onnx__value_info_proto__init(&parts->value);
    sslcv__onnx__type_proto__init(&parts->type);
    sslcv__onnx__type_proto__tensor__init(&parts->tensor);
    sslcv__onnx__tensor_shape_proto__init(&parts->shape);
    parts->list[0] = &parts->value;
    SSLCV__TRY(copy_text(model, name, &parts->value.name));
    parts->value.type = &parts->type;
    parts->type.value_case = SSLCV__ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    parts->type.tensor_type = &parts->tensor;
    parts->tensor.has_elem_type = 1;
    parts->tensor.elem_type = SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    parts->tensor.shape = &parts->shape;
    SSLCV__TRY(sslcv__onnx_memory(model, ndim, sizeof(void *), (void **)&parts->shape.dim));
    for (i = 0; i < ndim; i++) SSLCV__TRY(make_axis(model, &axes[i], &parts->shape.dim[i]));
    parts->shape.n_dim = (size_t)ndim;
    *out = parts->list;
end:
    return status;
}

sslcv_status sslcv__onnx_input(sslcv__onnx_model *model, const char *name, const sslcv__onnx_axis *axes, int32_t ndim)
{
    model->graph.n_input = 1; /* written only once all is there */
    return make_value(model, name, axes, ndim, &model->graph.input);
}

sslcv_status sslcv__onnx_output(sslcv__onnx_model *model, const char *name, const sslcv__onnx_axis *axes, int32_t ndim)
{
    model->graph.n_output = 1;
    return make_value(model, name, axes, ndim, &model->graph.output);
}

/* ---- nodes ---- */

sslcv_status sslcv__onnx_node(sslcv__onnx_model *model, const char *kind, const char *const *inputs, const char *output)
{
    graph_message *g = &model->graph;
    node_message *node;
    size_t i, count = 0;
    sslcv_status status;

    while (inputs[count]) count++;
    SSLCV__TRY(GROW(model, g->n_node, &model->node_capacity, g->node));
    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *node, (void **)&node));
    sslcv__onnx__node_proto__init(node);
    SSLCV__TRY(copy_text(model, kind, &node->op_type));
    SSLCV__TRY(copy_text(model, output, &node->name));
    SSLCV__TRY(sslcv__onnx_memory(model, (int64_t)count, sizeof(char *), (void **)&node->input));
    for (i = 0; i < count; i++) SSLCV__TRY(copy_text(model, inputs[i], &node->input[i]));
    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof(char *), (void **)&node->output));
    SSLCV__TRY(sslcv__onnx_memory(model, MAX_ATTRIBUTES, sizeof(void *), (void **)&node->attribute));
    node->output[0] = node->name;
    node->n_input = count;
    node->n_output = 1;
    g->node[g->n_node++] = node;
end:
    return status;
}

static node_message *last_node(sslcv__onnx_model *model)
{
    return model->graph.node[model->graph.n_node - 1];
}

sslcv_status sslcv__onnx_rename_last(sslcv__onnx_model *model, const char *output)
{
    return copy_text(model, output, &last_node(model)->output[0]);
}

static sslcv_status add_attribute(sslcv__onnx_model *model, const char *name,
                                  Sslcv__Onnx__AttributeProto__AttributeType type, attribute_message **out)
{
    node_message *node = last_node(model);
    attribute_message *attribute;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *attribute, (void **)&attribute));
    sslcv__onnx__attribute_proto__init(attribute);
    SSLCV__TRY(copy_text(model, name, &attribute->name));
    attribute->has_type = 1;
    attribute->type = type;
    node->attribute[node->n_attribute++] = attribute;
    *out = attribute;
end:
    return status;
}

sslcv_status sslcv__onnx_float(sslcv__onnx_model *model, const char *name, float value)
{
    attribute_message *attribute;
    sslcv_status status;

    SSLCV__TRY(add_attribute(model, name, SSLCV__ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, &attribute));
    attribute->has_f = 1;
    attribute->f = value;
end:
    return status;
}

sslcv_status sslcv__onnx_integer(sslcv__onnx_model *model, const char *name, int64_t value)
{
    attribute_message *attribute;
    sslcv_status status;

    SSLCV__TRY(add_attribute(model, name, SSLCV__ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, &attribute));
    attribute->has_i = 1;
    attribute->i = value;
end:
    return status;
}

sslcv_status sslcv__onnx_integers(sslcv__onnx_model *model, const char *name, const int64_t *values, int64_t count)
{
    attribute_message *attribute;
    sslcv_status status;

    SSLCV__TRY(add_attribute(model, name, SSLCV__ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS, &attribute));
    SSLCV__TRY(copy_bytes(model, values, count, sizeof *values, (void **)&attribute->ints));
    attribute->n_ints = (size_t)count;
end:
    return status;
}

/* ---- initializers ---- */

/* NULL in *out: there is one of that name. Its values are the caller's to set, at once. */
static sslcv_status add_tensor(sslcv__onnx_model *model, const char *name, int32_t type, int32_t ndim,
                               const int64_t *shape, tensor_message **out)
{
    graph_message *g = &model->graph;
    tensor_message *tensor;
    size_t i;
    sslcv_status status;

    *out = NULL;
    for (i = 0; i < g->n_initializer; i++) {
        if (strcmp(g->initializer[i]->name, name) == 0) return SSLCV_OK;
    }
    SSLCV__TRY(GROW(model, g->n_initializer, &model->initializer_capacity, g->initializer));
    SSLCV__TRY(GROW(model, g->n_initializer, &model->weight_capacity, model->weights));
    SSLCV__TRY(sslcv__onnx_memory(model, 1, sizeof *tensor, (void **)&tensor));
    sslcv__onnx__tensor_proto__init(tensor);
    SSLCV__TRY(copy_text(model, name, &tensor->name));
    SSLCV__TRY(copy_bytes(model, shape, ndim, sizeof *shape, (void **)&tensor->dims));
    tensor->n_dims = (size_t)ndim;
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->has_raw_data = 1;
    model->weights[g->n_initializer] = (weight){0};
    g->initializer[g->n_initializer++] = tensor;
    *out = tensor;
end:
    return status;
}

static sslcv_status set_values(sslcv__onnx_model *model, tensor_message *tensor, const void *values, int64_t count,
                               int64_t size)
{
    const sslcv_status status = copy_bytes(model, values, count, size, (void **)&tensor->raw_data.data);

    if (status == SSLCV_OK) tensor->raw_data.len = (size_t)(count * size);
    return status;
}

sslcv_status sslcv__onnx_floats(sslcv__onnx_model *model, const char *name, int32_t ndim, const int64_t *shape,
                                const float *values)
{
    tensor_message *tensor;
    int64_t count;
    sslcv_status status;

    if (!sslcv__product(shape, ndim, &count)) return sslcv__fail(SSLCV_ERR_LIMIT, "%s is too large", name);
    SSLCV__TRY(add_tensor(model, name, SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, ndim, shape, &tensor));
    if (tensor) SSLCV__TRY(set_values(model, tensor, values, count, sizeof *values));
end:
    return status;
}

sslcv_status sslcv__onnx_int64s(sslcv__onnx_model *model, const char *name, int64_t count, const int64_t *values)
{
    tensor_message *tensor;
    sslcv_status status;

    SSLCV__TRY(add_tensor(model, name, SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, &tensor));
    if (tensor) SSLCV__TRY(set_values(model, tensor, values, count, sizeof *values));
end:
    return status;
}

sslcv_status sslcv__onnx_constant(sslcv__onnx_model *model, const char *name, int64_t count, float value)
{
    float *values;
    int64_t i;
    sslcv_status status;

    SSLCV__TRY(sslcv__onnx_memory(model, count, sizeof *values, (void **)&values));
    for (i = 0; i < count; i++) values[i] = value;
    status = sslcv__onnx_floats(model, name, 1, &count, values);
end:
    return status;
}

sslcv_status sslcv__onnx_variable(sslcv__onnx_model *model, const char *name, int32_t ndim, const int64_t *shape,
                                  const sslcv__variable *variable, const double *scales)
{
    tensor_message *tensor;
    weight *w;
    sslcv_status status;

    SSLCV__TRY(add_tensor(model, name, SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, ndim, shape, &tensor));
    if (!tensor) return SSLCV_OK;
    w = &model->weights[model->graph.n_initializer - 1];
    w->variable = variable;
    w->scales = scales;
    tensor->raw_data.len = (size_t)variable->count * sizeof(float);
end:
    return status;
}

/* ---- writing ---- */

/* The values of an initializer, valid until the next call. */
static sslcv_status read_values(sslcv__onnx_model *model, size_t index, const void **values)
{
    const weight *w = &model->weights[index];
    const int64_t count = w->variable ? w->variable->count : 0;
    int64_t i;
    sslcv_status status;

    *values = model->graph.initializer[index]->raw_data.data;
    if (!w->variable) return SSLCV_OK;
    SSLCV__TRY(sslcv__variable_read(model->context, w->variable, SSLCV_STATE_VALUE, model->values));
    for (i = 0; w->scales && i < count; i++) {
        const double scale = w->scales[i / (count / w->variable->shape[0])];

        model->values[i] = (float)(scale * (double)model->values[i]);
    }
    *values = model->values;
end:
    return status;
}

/*
 * The messages name a place for the values of a variable that is no memory of values: its record in weights. protobuf-c
 * hands it on to append(), which takes the values from the variable. Nothing else looks at it.
 */
static int64_t place_values(sslcv__onnx_model *model)
{
    int64_t largest = 0;
    size_t i;

    for (i = 0; i < model->graph.n_initializer; i++) {
        const weight *w = &model->weights[i];

        if (!w->variable) continue;
        model->graph.initializer[i]->raw_data.data = (uint8_t *)&model->weights[i];
        if (w->variable->count > largest) largest = w->variable->count;
    }
    return largest;
}

sslcv_status sslcv__onnx_check(sslcv__onnx_model *model)
{
    const int64_t largest = place_values(model);
    size_t i;
    sslcv_status status;

    if (sslcv__onnx__model_proto__get_packed_size(&model->message) > MAX_BYTES) {
        return sslcv__fail(SSLCV_ERR_LIMIT,
                           "the ONNX model would have more than 2^31 - 1 bytes, the limit of its format");
    }
    SSLCV__TRY(sslcv__alloc_array(model->context, largest, sizeof(float), (void **)&model->values));
    for (i = 0; i < model->graph.n_initializer; i++) {
        const tensor_message *tensor = model->graph.initializer[i];
        const void *values;

        if (tensor->data_type != SSLCV__ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) continue;
        SSLCV__TRY(read_values(model, i, &values));
        SSLCV__TRY(sslcv__state_check_finite(SSLCV_F32, values, (int64_t)(tensor->raw_data.len / sizeof(float)),
                                             tensor->name));
    }
end:
    return status;
}

typedef struct writer {
    ProtobufCBuffer base; /* first: protobuf-c knows of no more */
    sslcv__onnx_model *model;
    sslcv__sink *to;
    size_t next; /* initializer whose values come next, of those in variables */
    sslcv_status status;
} writer;

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
    writer *w = (writer *)buffer;
    const size_t count = w->model->graph.n_initializer;
    const void *values = data;

    if (w->status != SSLCV_OK) return;
    while (w->next < count && !w->model->weights[w->next].variable) w->next++;
    if (w->next < count && data == w->model->graph.initializer[w->next]->raw_data.data) {
        w->status = read_values(w->model, w->next++, &values);
    }
    if (w->status == SSLCV_OK) w->status = sslcv__save_put(w->to, values, (int64_t)size);
}

sslcv_status sslcv__onnx_write(sslcv__onnx_model *model, sslcv__sink *to)
{
    writer w = {.base = {append}, .model = model, .to = to};

    sslcv__onnx__model_proto__pack_to_buffer(&model->message, &w.base);
    return w.status;
}
