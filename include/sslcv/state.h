/**
 * @file state.h
 * State: the named tensors of an object, in a fixed order. One notion for weights, checkpoints and exchange.
 *
 *     sslcv_state *state;
 *     sslcv_backbone_get_state(backbone, &state);
 *     sslcv_state_save(state, "backbone.safetensors", NULL);
 *     sslcv_state_destroy(state);
 *
 * Backbone, head, loss, optimizer and trainer each give theirs: a window onto the object, which it keeps alive, not a
 * copy. Reading a parameter reorders it from oneDNN's layout to the plain one; writing does the reverse.
 *
 *   what for                           how
 *   weights in and out                 sslcv_state_save(), sslcv_state_load() on a backbone's or head's state
 *   checkpoint, exact resume           the same on a trainer's state: it has everything, also step and random keys
 *   federated averaging                sslcv_state_get_flat(), sslcv_state_set_flat()
 *   momentum (EMA) copies              sslcv_state_lerp() between two states with equal names
 *   any safetensors, npz or npy file   sslcv_state_open(), or sslcv_state_create() and sslcv_state_add()
 *
 * Names are those of torchvision for backbones ("layer1.0.conv1.weight"); a trainer puts "backbone.0.", "head.0.",
 * "loss.0." (numbered in the order of their first use), "optimizer." and "trainer." in front.
 */
#ifndef SSLCV_STATE_H
#define SSLCV_STATE_H

#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_state sslcv_state;

/** What a tensor is. One bit each, so that a set of roles is a sum. Optimizer groups and EMA choose by role. */
enum sslcv_role {
    SSLCV_ROLE_WEIGHT     = 1, /* convolution and linear weights, prototypes */
    SSLCV_ROLE_BIAS       = 2,
    SSLCV_ROLE_NORM       = 4, /* scale and shift of normalisation layers */
    SSLCV_ROLE_BUFFER     = 8, /* everything not learnt by gradient: running statistics, counters, slots */
    SSLCV_ROLE_PARAMETERS = 7,
    SSLCV_ROLE_ALL        = 15
};

enum sslcv_state_part { SSLCV_STATE_VALUE = 0, SSLCV_STATE_GRADIENT = 1 };

typedef struct sslcv_state_entry {
    size_t      struct_size;
    const char *name;                  /* out: valid as long as the state handle; in: copied */
    int64_t     shape[SSLCV_MAX_DIMS]; /* plain shape: OIHW for convolutions, (out, in) for linear layers */
    int32_t     ndim;
    int32_t     dtype;                 /* of the plain form: SSLCV_F32 for parameters */
    int32_t     role;                  /* one SSLCV_ROLE_* bit */
    int32_t     frozen;                /* 1: gets no gradient and no optimizer update */
} sslcv_state_entry;

/* ---- the window ---- */

/**
 * Make an empty state of its own, to build a file from tensors.
 *
 * @param context Not NULL.
 * @param state   Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_create(sslcv_context *context, sslcv_state **state);

/**
 * Give back the handle; the object behind it lives on. NULL is accepted.
 *
 * @param state NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_state_destroy(sslcv_state *state);

/**
 * Describe one tensor; count upwards until NOT_FOUND to see them all. The order is fixed for one architecture and set
 * of options, in all versions of the library.
 *
 * @param state Not NULL.
 * @param index From 0.
 * @param entry In: struct_size. Out: the rest.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (index past the end).
 * @threads Any while nobody adds.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_get_entry(const sslcv_state *state, int64_t index, sslcv_state_entry *entry);

/**
 * Find a tensor by its whole name.
 *
 * @param state Not NULL.
 * @param name  UTF-8.
 * @param index Out.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND.
 * @threads Any while nobody adds.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_find(const sslcv_state *state, const char *name, int64_t *index);

/**
 * Add a tensor of zeros to a state made by sslcv_state_create() or sslcv_state_open(), or to that of a custom loss
 * before a trainer begins with it.
 *
 * @param state Not NULL.
 * @param entry name (not empty, no other of the state's), shape, ndim, dtype, role (one bit), frozen; parameters are
 *              SSLCV_F32. Copied.
 * @param index Out: may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_STATE (the state is a window onto an object whose tensors are fixed).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_add(sslcv_state *state, const sslcv_state_entry *entry, int64_t *index);

/**
 * Point at the memory of a tensor of a state made by sslcv_state_create() or sslcv_state_open(), or of a custom loss:
 * dense, row-major, writable.
 *
 * @param state  Not NULL.
 * @param index  As in sslcv_state_get_entry().
 * @param part   SSLCV_STATE_VALUE, or SSLCV_STATE_GRADIENT for parameters: add to it. Ask for the gradient before each
 *               time you add: the first request after an optimizer step sets it to zero.
 * @param tensor Out: borrowed, valid as long as the state.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND; SSLCV_ERR_STATE (a tensor of an object, kept in oneDNN's layout: use get and
 *         set).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_data(sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor);

/**
 * Copy a tensor out, whole, in plain layout.
 *
 * @param state  Not NULL.
 * @param index  As in sslcv_state_get_entry().
 * @param part   SSLCV_STATE_VALUE or SSLCV_STATE_GRADIENT. The gradient is that gathered since the last optimizer step.
 * @param tensor In: memory of the entry's shape, any strides; of the entry's dtype, or any floating one when that is
 *               floating; or data NULL to ask.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND.
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_get(const sslcv_state *state, int64_t index, int32_t part, sslcv_tensor *tensor);

/**
 * Overwrite a tensor. Frozen tensors can be set.
 *
 * @param state  Not NULL.
 * @param index  As in sslcv_state_get_entry().
 * @param part   SSLCV_STATE_VALUE or SSLCV_STATE_GRADIENT.
 * @param tensor The entry's shape, any strides; the entry's dtype, or any floating one when that is floating.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND; SSLCV_ERR_NUMERIC (NaN or infinity for a parameter or gradient).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_set(sslcv_state *state, int64_t index, int32_t part, const sslcv_tensor *tensor);

/**
 * Copy all floating tensors of the given roles into one buffer, one after the other in the state's order.
 *
 * @param state    Not NULL.
 * @param roles    Sum of SSLCV_ROLE_* bits.
 * @param buffer   NULL to ask for the size.
 * @param capacity Floats in buffer.
 * @param count    Out: floats written, or needed when buffer is NULL; may be NULL.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (capacity too small; nothing written).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_get_flat(const sslcv_state *state, int32_t roles, float *buffer, int64_t capacity,
                                            int64_t *count);

/**
 * The reverse of sslcv_state_get_flat().
 *
 * @param state  Not NULL.
 * @param roles  As in get.
 * @param buffer Floats in the same order.
 * @param count  Must be exactly the number that get reports.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (NaN or infinity for a parameter; nothing written).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_set_flat(sslcv_state *state, int32_t roles, const float *buffer, int64_t count);

/**
 * Move one state towards another: target <- momentum * target + (1 - momentum) * source, on tensors of the given roles.
 * EMA encoders use SSLCV_ROLE_PARAMETERS; momentum 0 with SSLCV_ROLE_ALL copies.
 *
 * @param target   Not NULL.
 * @param source   Has every tensor that target has within the roles, with the same name, shape and dtype; may have
 *                 more. Of the same context.
 * @param momentum 0 .. 1. At 1 nothing changes, at 0 the copy is bitwise.
 * @param roles    Sum of SSLCV_ROLE_* bits, of target; tensors that are not floating are copied.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (source lacks a tensor); SSLCV_ERR_STATE (a fork of a process that has
 *         computed).
 * @threads One thread at a time per object.
 * @since   0.1 (MoCo, He et al. 2020, eq. 2)
 */
SSLCV_API sslcv_status sslcv_state_lerp(sslcv_state *target, const sslcv_state *source, double momentum, int32_t roles);

/**
 * Freeze or thaw all parameters whose name begins with a prefix: no gradient, no weight decay, no momentum. To freeze
 * whole stages with their batch norm in evaluation mode, use sslcv_backbone_freeze().
 *
 * @param state  Not NULL.
 * @param prefix "" matches all.
 * @param frozen 1 or 0.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no parameter's name begins so).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_freeze(sslcv_state *state, const char *prefix, int32_t frozen);

/* ---- files: safetensors, npz and npy, see docs/checkpoint-format.md ---- */

enum sslcv_format {
    SSLCV_FORMAT_SAFETENSORS = 0,
    SSLCV_FORMAT_NPZ         = 1, /* NumPy's archive, not compressed: NAME.npy for every tensor; no metadata */
    SSLCV_FORMAT_NPY         = 2  /* states of exactly one tensor; neither its name nor metadata */
};

/** A byte stream of the host, for files that are not files. Called only on the thread inside save, load or open. */
typedef struct sslcv_stream {
    size_t  struct_size;
    void   *user;
    int64_t (*read)(void *user, void *buffer, int64_t size);        /* bytes read, may be fewer than size; 0 at the
                                                                       end, negative on failure */
    int64_t (*write)(void *user, const void *buffer, int64_t size); /* bytes taken, 1 .. size; negative on failure */
} sslcv_stream;

typedef struct sslcv_save_options {
    size_t              struct_size;
    int32_t             dtype;        /* of parameters: 0 (default) as they are, SSLCV_F32, BF16, F16 */
    int32_t             roles;        /* default SSLCV_ROLE_ALL */
    int32_t             generations;  /* earlier files kept as path.1, path.2 ...; 0 .. 9, default 0 */
    int32_t             format;       /* SSLCV_FORMAT_*; default SAFETENSORS */
    const char         *prefix;       /* put before every name; default NULL */
    const char *const  *metadata;     /* 2 * num_metadata texts: key, value, key, value ...; UTF-8, keys that do not
                                         begin with "sslcv."; for SAFETENSORS only; default NULL */
    int64_t             num_metadata;
    const sslcv_stream *stream;       /* used when path is NULL */
} sslcv_save_options;

typedef struct sslcv_load_options {
    size_t              struct_size;
    int32_t             partial;      /* 0 (default): missing names are an error; 1: at least one must match */
    int32_t             adapt_input;  /* SSLCV_ADAPT_*: a backbone's first convolution with another number of input
                                         channels; default NONE: an error */
    int32_t             roles;        /* default SSLCV_ROLE_ALL */
    int32_t             reserved;     /* 0 */
    const char         *prefix;       /* take only names that begin so, and strip it; NULL (default): of the known ones
                                         ("module.", "encoder_q.", "backbone.", "backbone.0." ..., docs/weights.md)
                                         that with which most names match; "": none. What stands behind it may be
                                         numbered as the children of an nn.Sequential (lightly) */
    int64_t             max_bytes;    /* refuse larger files, and archives whose tensors are larger; default 16 GiB */
    const sslcv_stream *stream;       /* used when path is NULL */
} sslcv_load_options;

enum sslcv_adapt {
    SSLCV_ADAPT_NONE   = 0,
    SSLCV_ADAPT_MEAN   = 1, /* mean over the file's channels for each of ours, scaled to keep the sum */
    SSLCV_ADAPT_REPEAT = 2, /* the file's channels in turn, scaled by theirs / ours */
    SSLCV_ADAPT_FIRST  = 3  /* the file's first channels; any of ours beyond them stay as they are */
};

/** What a load found. */
typedef struct sslcv_load_report {
    size_t  struct_size;
    int64_t matched;      /* out: tensors loaded */
    int64_t missing;      /* out: ours, not in the file */
    int64_t unexpected;   /* out: the file's, not ours */
    int64_t adapted;      /* out: loaded with another channel count */
    char   *text;         /* in: buffer for "missing NAME\n", "unexpected NAME\n", "adapted NAME\n"; NULL: none */
    int64_t text_size;    /* in: bytes in text; the text is cut at a whole line and ends with 0 */
    int64_t text_needed;  /* out: bytes for all lines and the ending 0 */
    char    layout[32];   /* out: naming that was recognised: "sslcv", "torchvision" (timm's too), "moco", "swav",
                             "vissl", "solo-learn", "mmselfsup", "lightly", "deepcluster"; "prefix": the caller's;
                             "plain": names as ours, source unknown; "": nothing matched */
} sslcv_load_report;

/**
 * Set the defaults.
 *
 * @param options     Not NULL.
 * @param struct_size sizeof *options.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_save_options_init(sslcv_save_options *options, size_t struct_size);

/**
 * Set the defaults.
 *
 * @param options     Not NULL.
 * @param struct_size sizeof *options.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_load_options_init(sslcv_load_options *options, size_t struct_size);

/**
 * Write a state. A file appears whole or not at all: it is written beside, synced, then renamed. What a process that
 * was killed in there has left behind, the next save to that path removes.
 *
 * @param state   Not NULL. A trainer's state is a checkpoint.
 * @param path    UTF-8; NULL: options->stream.
 * @param options NULL: defaults.
 * @return SSLCV_OK; SSLCV_ERR_IO (the file that was there is intact; or the new one has taken its place, but the
 *         folder could not be synced); SSLCV_ERR_NUMERIC (NaN or infinity in a
 *         parameter, also when it is too large for options->dtype; nothing written); SSLCV_ERR_LIMIT (names and
 *         metadata of more than 100,000,000 bytes, or 65,533 keys of metadata; or a name of more than 65,531 bytes in an npz);
 *         SSLCV_ERR_UNSUPPORTED (npz and npy: bf16, which NumPy lacks, or metadata of the host's; npy: not exactly one
 *         tensor).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_save(const sslcv_state *state, const char *path, const sslcv_save_options *options);

/**
 * Read a file into a state, all or nothing: on failure no tensor has changed.
 *
 * Names of the file that the state lacks are no error, except for a trainer's state. A missing "num_batches_tracked"
 * is none either: files of PyTorch before 0.4.1 do not have it, and it stays as it is; one of shape (1) is taken as the
 * scalar that it should be. An npy file has no name: it is for states of which the roles choose exactly one tensor, and
 * prefix is not read. Where layout is "solo-learn" and the stem 3x3, a warning is logged: that library pads it by 2.
 *
 * @param state   Not NULL. A trainer's state takes only a checkpoint of a trainer composed alike; partial, roles and
 *                adapt_input keep their defaults there.
 * @param path    safetensors, npz or npy, told by content; also compressed by gzip; UTF-8; NULL: options->stream.
 * @param options NULL: defaults.
 * @param report  NULL, or in: struct_size and text buffer; out: the rest, filled also when the load fails for names or
 *                shapes.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such file; or nothing matches; or names missing and partial is 0);
 *         SSLCV_ERR_IO; SSLCV_ERR_FORMAT (damaged; or a tensor has another shape or dtype than ours; or a checkpoint of
 *         another kind of trainer); SSLCV_ERR_UNSUPPORTED (a dtype that this library does not know in a tensor of
 *         ours; an npz that is encrypted or compressed by another method than deflate); SSLCV_ERR_NUMERIC (NaN or
 *         infinity for a parameter); SSLCV_ERR_LIMIT (max_bytes, or 65,536 keys of metadata).
 * @threads One thread at a time per object.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_load(sslcv_state *state, const char *path, const sslcv_load_options *options,
                                        sslcv_load_report *report);

/**
 * Read any safetensors, npz or npy file into a new state of its own. Tensors have the file's order and dtypes, and the
 * role SSLCV_ROLE_BUFFER, as a file does not tell roles. That of an npy file is named "arr_0", as numpy.savez() names
 * an array without a name.
 *
 * @param context Not NULL.
 * @param path    As in sslcv_state_load(); NULL: options->stream.
 * @param options prefix (NULL: every name, as it is), max_bytes and stream are used; NULL: defaults.
 * @param state   Out: owned.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such file, or no name with that prefix); SSLCV_ERR_IO; SSLCV_ERR_FORMAT;
 *         SSLCV_ERR_UNSUPPORTED (a dtype that this library does not know, or more than SSLCV_MAX_DIMS axes; an npz that
 *         is encrypted or compressed by another method than deflate); SSLCV_ERR_LIMIT (max_bytes, or 65,536 keys
 *         of metadata).
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_state_open(sslcv_context *context, const char *path, const sslcv_load_options *options,
                                        sslcv_state **state);

#ifdef __cplusplus
}
#endif
#endif
