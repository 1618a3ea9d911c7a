/* Memory that runs out in the functions of context, tensor, state and io. */
#include "out_of_memory_support.h"

#include <zlib.h>

#define HAVE (&w->have)
#define OUT  (&w->out)

/* ---- context ---- */

static sslcv_status create_context(world *w)
{
    const sslcv_allocator allocator = {sizeof allocator, &w->memory, host_allocate, host_deallocate, NULL};
    sslcv_context_options o;

    OK(sslcv_context_options_init(&o, sizeof o));
    o.allocator = &allocator;
    return sslcv_context_create(&o, &OUT->made.context);
}

static sslcv_status create_tuned_context(world *w)
{
    const sslcv_allocator allocator = {sizeof allocator, &w->memory, host_allocate, host_deallocate, NULL};
    sslcv_context_options o;

    OK(sslcv_context_options_init(&o, sizeof o));
    o.allocator = &allocator;
    o.tuning_path = in_folder("tuning");
    return sslcv_context_create(&o, &OUT->made.context);
}

static sslcv_status describe_context(world *w)
{
    sslcv_context_info info = {.struct_size = sizeof info};

    return sslcv_context_get_info(HAVE->context, &info);
}

static sslcv_status retain(world *w)
{
    OK(sslcv_retain(HAVE->context));
    OUT->made.context = HAVE->context;
    return SSLCV_OK;
}

CALL(cancel, sslcv_context_cancel(HAVE->context, 0))

/* ---- state ---- */

static sslcv_state *make_state(sslcv_context *context, float first)
{
    static const char *const names[] = {"layer.weight", "layer.bias", "mean"};
    static const int32_t roles[] = {SSLCV_ROLE_WEIGHT, SSLCV_ROLE_BIAS, SSLCV_ROLE_BUFFER};
    sslcv_state_entry entry = {.struct_size = sizeof entry, .shape = {3, 5}, .dtype = SSLCV_F32};
    float values[15];
    sslcv_tensor tensor;
    sslcv_state *state;
    int64_t index, i;

    for (i = 0; i < 15; i++) values[i] = first + (float)i;
    OK(sslcv_state_create(context, &state));
    for (i = 0; i < 3; i++) {
        entry.name = names[i];
        entry.ndim = i == 0 ? 2 : 1;
        entry.role = roles[i];
        OK(sslcv_state_add(state, &entry, &index));
        OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, entry.ndim, entry.shape));
        OK(sslcv_state_set(state, index, SSLCV_STATE_VALUE, &tensor));
    }
    return state;
}

static void have_state(world *w)
{
    HAVE->state = make_state(HAVE->context, 1.0f);
}

static void have_states(world *w)
{
    have_state(w);
    w->second = make_state(HAVE->context, 30.0f);
}

static sslcv_status add(world *w)
{
    const sslcv_state_entry entry = {sizeof entry, "late", {4, 4}, 2, SSLCV_F32, SSLCV_ROLE_WEIGHT, 0};

    return sslcv_state_add(HAVE->state, &entry, OUT->integers);
}

static sslcv_status describe_entry(world *w)
{
    sslcv_state_entry entry = {.struct_size = sizeof entry};

    return sslcv_state_get_entry(HAVE->state, 0, &entry);
}

static sslcv_status get(world *w)
{
    const int64_t shape[2] = {3, 5};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, OUT->floats, 2, shape));
    return sslcv_state_get(HAVE->state, 0, SSLCV_STATE_VALUE, &tensor);
}

static sslcv_status set(world *w)
{
    const int64_t shape[2] = {3, 5};
    float values[15] = {2.0f};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, values, 2, shape));
    return sslcv_state_set(HAVE->state, 0, SSLCV_STATE_VALUE, &tensor);
}

static sslcv_status get_flat(world *w)
{
    return sslcv_state_get_flat(HAVE->state, SSLCV_ROLE_ALL, OUT->floats, 1 << 13, OUT->integers);
}

static sslcv_status set_flat(world *w)
{
    const float values[21] = {4.0f};

    return sslcv_state_set_flat(HAVE->state, SSLCV_ROLE_ALL, values, 21);
}

CALL(create_state, sslcv_state_create(HAVE->context, &OUT->made.state))
CALL(find, sslcv_state_find(HAVE->state, "mean", OUT->integers))
CALL(point, sslcv_state_data(HAVE->state, 0, SSLCV_STATE_VALUE, &OUT->tensor))
CALL(point_at_gradient, sslcv_state_data(HAVE->state, 0, SSLCV_STATE_GRADIENT, &OUT->tensor))
CALL(lerp, sslcv_state_lerp(HAVE->state, w->second, 0.5, SSLCV_ROLE_ALL))
CALL(freeze, sslcv_state_freeze(HAVE->state, "layer", 1))

/* A network's window: kept in oneDNN's layout. */
static void have_window(world *w)
{
    have_backbone(w);
    OK(sslcv_backbone_get_state(HAVE->backbone, &HAVE->state));
}

static void have_two_windows(world *w)
{
    sslcv_backbone *other;

    have_window(w);
    OK(sslcv_backbone_clone(HAVE->backbone, &other));
    OK(sslcv_backbone_get_state(other, &w->second));
    sslcv_backbone_destroy(other);
}

static sslcv_status get_window(world *w)
{
    const int64_t shape[4] = {8, 3, 3, 3};
    sslcv_tensor tensor;

    OK(sslcv_tensor_init(&tensor, SSLCV_F32, OUT->floats, 4, shape));
    return sslcv_state_get(HAVE->state, 0, SSLCV_STATE_VALUE, &tensor);
}

static sslcv_status set_window(world *w)
{
    const int64_t shape[4] = {8, 3, 3, 3};
    const sslcv_tensor tensor = have_values(w, 4, shape);

    return sslcv_state_set(HAVE->state, 0, SSLCV_STATE_VALUE, &tensor);
}

static sslcv_status set_window_flat(world *w)
{
    int64_t count;
    const int64_t shape[1] = {1 << 14};
    const sslcv_tensor tensor = have_values(w, 1, shape);

    OK(sslcv_state_get_flat(HAVE->state, SSLCV_ROLE_PARAMETERS, NULL, 0, &count));
    ck_assert_int_le(count, 1 << 14);
    return sslcv_state_set_flat(HAVE->state, SSLCV_ROLE_PARAMETERS, tensor.data, count);
}

/* ---- files ---- */

static sslcv_status save(world *w, int32_t format, const char *name)
{
    const char *const metadata[] = {"author", "nobody"};
    sslcv_save_options o;

    OK(sslcv_save_options_init(&o, sizeof o));
    o.format = format;
    o.prefix = "net.";
    o.generations = 1;
    if (format == SSLCV_FORMAT_SAFETENSORS) {
        o.metadata = metadata;
        o.num_metadata = 1;
    }
    if (format == SSLCV_FORMAT_NPY) {
        o.prefix = NULL;
        o.roles = SSLCV_ROLE_BUFFER;
    }
    return sslcv_state_save(HAVE->state, in_folder(name), &o);
}

static void pack(const char *name, const char *packed)
{
    size_t size;
    char *bytes = read_file(in_folder(name), &size);
    gzFile file = gzopen(in_folder(packed), "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
    free(bytes);
}

static void have_files(world *w)
{
    HAVE->state = make_state(HAVE->context, 7.0f);
    OK(save(w, SSLCV_FORMAT_SAFETENSORS, "s.safetensors"));
    OK(save(w, SSLCV_FORMAT_NPZ, "s.npz"));
    OK(save(w, SSLCV_FORMAT_NPY, "s.npy"));
    pack("s.safetensors", "s.gz");
    sslcv_state_destroy(HAVE->state);
    have_state(w);
    memset(&OUT->info, 0, sizeof OUT->info);
    OUT->info.report.struct_size = sizeof OUT->info.report;
    OUT->info.report.text = OUT->text;
    OUT->info.report.text_size = sizeof OUT->text;
}

static sslcv_status load(world *w, const char *name)
{
    sslcv_load_options o;

    OK(sslcv_load_options_init(&o, sizeof o));
    if (strcmp(name, "s.npy") == 0) {
        o.roles = SSLCV_ROLE_BUFFER;
    } else {
        o.prefix = "net.";
    }
    return sslcv_state_load(HAVE->state, in_folder(name), &o, &OUT->info.report);
}

CALL(save_safetensors, save(w, SSLCV_FORMAT_SAFETENSORS, "o.safetensors"))
CALL(save_npz, save(w, SSLCV_FORMAT_NPZ, "o.npz"))
CALL(save_npy, save(w, SSLCV_FORMAT_NPY, "o.npy"))
CALL(load_safetensors, load(w, "s.safetensors"))
CALL(load_npz, load(w, "s.npz"))
CALL(load_npy, load(w, "s.npy"))
CALL(load_gzip, load(w, "s.gz"))
CALL(open_safetensors, sslcv_state_open(HAVE->context, in_folder("s.safetensors"), NULL, &OUT->made.state))
CALL(open_npz, sslcv_state_open(HAVE->context, in_folder("s.npz"), NULL, &OUT->made.state))
CALL(open_gzip, sslcv_state_open(HAVE->context, in_folder("s.gz"), NULL, &OUT->made.state))

/* ---- scalars ---- */

static sslcv_status open_scalars(world *w, int32_t format, sslcv_scalars **scalars)
{
    return sslcv_scalars_open(HAVE->context, format,
                              in_folder(format == SSLCV_SCALARS_TENSORBOARD ? "run" : "run.json"), scalars);
}

static void have_events(world *w)
{
    OK(open_scalars(w, SSLCV_SCALARS_TENSORBOARD, &HAVE->scalars));
}

static void have_lines(world *w)
{
    OK(open_scalars(w, SSLCV_SCALARS_JSON_LINES, &HAVE->scalars));
}

CALL(open_events, open_scalars(w, SSLCV_SCALARS_TENSORBOARD, &OUT->made.scalars))
CALL(open_lines, open_scalars(w, SSLCV_SCALARS_JSON_LINES, &OUT->made.scalars))
CALL(add_scalar, sslcv_scalars_add(HAVE->scalars, 3, "loss", 0.5))

static const scenario scenarios[] = {
    {"sslcv_context_create", NULL, create_context, 0, 0},
    {"sslcv_context_create", NULL, create_tuned_context, 0, 0},
    {"sslcv_context_get_info", NULL, describe_context, ALLOCATES_NOTHING, 0},
    {"sslcv_context_cancel", NULL, cancel, ALLOCATES_NOTHING, 0},
    {"sslcv_retain", NULL, retain, ALLOCATES_NOTHING, 0},
    {"sslcv_state_create", NULL, create_state, 0, 0},
    {"sslcv_state_add", have_state, add, 0, 0},
    {"sslcv_state_get_entry", have_state, describe_entry, ALLOCATES_NOTHING, 0},
    {"sslcv_state_find", have_state, find, ALLOCATES_NOTHING, 0},
    {"sslcv_state_data", have_state, point, ALLOCATES_NOTHING, 0},
    {"sslcv_state_data", have_state, point_at_gradient, ALLOCATES_NOTHING, 0},
    {"sslcv_state_get", have_state, get, 0, 0},
    {"sslcv_state_get", have_window, get_window, 0, 0},
    {"sslcv_state_set", have_state, set, 0, 0},
    {"sslcv_state_set", have_window, set_window, 0, 0},
    {"sslcv_state_get_flat", have_state, get_flat, 0, 0},
    {"sslcv_state_get_flat", have_window, get_flat, 0, 0},
    {"sslcv_state_set_flat", have_state, set_flat, 0, 0},
    {"sslcv_state_set_flat", have_window, set_window_flat, 0, 0},
    {"sslcv_state_lerp", have_states, lerp, ALLOCATES_NOTHING, 0},
    {"sslcv_state_lerp", have_two_windows, lerp, ALLOCATES_NOTHING, 0},
    {"sslcv_state_freeze", have_state, freeze, ALLOCATES_NOTHING, 0},
    {"sslcv_state_freeze", have_window, freeze, ALLOCATES_NOTHING, 0},
    {"sslcv_state_save", have_state, save_safetensors, 0, 0},
    {"sslcv_state_save", have_state, save_npz, 0, 0},
    {"sslcv_state_save", have_state, save_npy, 0, 0},
    {"sslcv_state_save", have_window, save_safetensors, 0, 0},
    {"sslcv_state_load", have_files, load_safetensors, 0, 0},
    {"sslcv_state_load", have_files, load_npz, 0, 0},
    {"sslcv_state_load", have_files, load_npy, 0, 0},
    {"sslcv_state_load", have_files, load_gzip, 0, 0},
    {"sslcv_state_open", have_files, open_safetensors, 0, 0},
    {"sslcv_state_open", have_files, open_npz, 0, 0},
    {"sslcv_state_open", have_files, open_gzip, 0, 0},
    {"sslcv_scalars_open", NULL, open_events, 0, 0},
    {"sslcv_scalars_open", NULL, open_lines, 0, 0},
    {"sslcv_scalars_add", have_events, add_scalar, ALLOCATES_NOTHING, 0},
    {"sslcv_scalars_add", have_lines, add_scalar, 0, 0},
};

SCENARIO_SUITE("out_of_memory_state")
