/**
 * @file loss.h
 * The loss: from arrays of embeddings to a value and its gradients. It owns what an objective remembers or learns:
 * queue, bank, Z, prototypes, centre, CPC's predictors; numbers that a run may change; figures of the last call.
 *
 *     sslcv_info_nce_options_init(&options, sizeof options);
 *     options.temperature = 0.5;
 *     sslcv_loss_create_info_nce(context, &options, &loss);
 *     sslcv_tensor_init(&z, SSLCV_F32, embeddings, 3, (int64_t[]){2, n, 128});
 *     sslcv_tensor_init(&dz, SSLCV_F32, gradients, 3, (int64_t[]){2, n, 128});
 *     sslcv_loss_call_init(&call, sizeof call);
 *     call.inputs = &z; call.diff_inputs = &dz; call.num_inputs = 1;
 *     sslcv_loss_compute(loss, &call);                          call.value, gradients
 *
 * Here is what all losses share, and the loss of the host's own; losses.h has the built-in kinds, each with its options
 * and its create function. Nothing but creation differs between kinds.
 *
 * Inputs have the axes (V, N, P, D) of sslcv.h; N is the same for all inputs of a call. Pairs of views of two inputs
 * with V and W <= V views: with V = 1 the only one; with V > 1 every view v of the first with every view w of the
 * second, w != v. Everything is computed in f32 or better. Order within a call: score against what is remembered, then
 * remember. A call that fails remembers nothing. A loss used alone and one inside a trainer do the same.
 */
#ifndef SSLCV_LOSS_H
#define SSLCV_LOSS_H

#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_loss sslcv_loss;

/** One evaluation: what a caller hands to sslcv_loss_compute(), and what a custom loss receives. */
typedef struct sslcv_loss_call {
    size_t              struct_size;
    const sslcv_tensor *inputs;      /* num_inputs dense f32 arrays */
    sslcv_tensor       *diff_inputs; /* num_inputs arrays to be filled (not added to), each as its input; data NULL:
                                        that one not wanted; NULL: value only */
    int64_t             num_inputs;
    const int64_t      *ids;         /* N sample indices; NULL when the loss does not need them */
    const int64_t      *labels;      /* N class labels, -1: none; NULL likewise */
    const sslcv_tensor *targets;     /* (N, C) dense f32: soft targets instead of labels; else NULL */
    int64_t             step;        /* from 0, over the whole run; freezing and hard codes go by it */
    int64_t             epoch;       /* from 0 */
    double              scale;       /* gradients are multiplied by it, the value is not; default 1 */
    int32_t             flags;       /* SSLCV_CALL_*; default REMEMBER */
    int32_t             reserved;    /* 0 */
    double              value;       /* out: the loss, mean over samples */
} sslcv_loss_call;

enum sslcv_call_flag {
    SSLCV_CALL_REMEMBER = 1 /* update queue, bank, Z, centre; without: leave the loss as it is, gradients apart */
};

/**
 * A loss of the host. Parameters and memory are tensors added to its state (sslcv_state_add()): they are then saved,
 * optimised and resumed with the rest. Called on the thread that called the library, inside that call; callbacks may
 * call the library, but not this loss. They use their state's tensors by sslcv_state_data().
 */
typedef struct sslcv_loss_callbacks {
    size_t   struct_size;
    void    *user;
    /** Inputs come with all four axes (V, N, P, D), finite. Fill call->value and every diff_inputs[i] whose data is not
        NULL, times call->scale; add to the gradients in state, unless diff_inputs is NULL; change memory in state last,
        and only with SSLCV_CALL_REMEMBER. Non-zero: stop with SSLCV_ERR_CANCELLED. */
    int32_t (*compute)(void *user, sslcv_state *state, sslcv_loss_call *call);
    /** Before the first step of each epoch: schedules, re-clustering. May be NULL. Non-zero: stop. */
    int32_t (*begin_epoch)(void *user, sslcv_state *state, int64_t epoch);
    void    (*destroy)(void *user);    /* when the loss ends; may be NULL */
    int64_t  num_inputs;               /* how many it takes, 1 .. 16 */
    uint64_t gradient_inputs;          /* bit i: input i receives a gradient */
    int32_t  needs_ids;                /* 1 or 0 */
    int32_t  needs_labels;             /* 1: labels or targets; 0 */
} sslcv_loss_callbacks;

typedef struct sslcv_loss_info {
    size_t      struct_size;
    const char *kind;             /* constant text: "info_nce", "nce_bank" ... "custom"; names as in losses.h */
    int32_t     needs_ids;
    int32_t     needs_labels;     /* 1: labels or targets */
    int64_t     min_inputs, max_inputs;
    uint64_t    gradient_inputs;  /* bit i: input i receives a gradient */
    int64_t     bytes;            /* queue, banks and the like, known from creation though taken at the first use, and
                                     working memory, which grows with the largest call and is kept */
} sslcv_loss_info;

/**
 * Set the defaults: nothing called, one input that receives a gradient.
 *
 * @param callbacks   Out: not NULL.
 * @param struct_size sizeof *callbacks as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_callbacks_init(sslcv_loss_callbacks *callbacks, size_t struct_size);

/**
 * Make a loss of the host.
 *
 * @param context   Not NULL.
 * @param callbacks Not NULL; copied.
 * @param loss      Out: owned.
 * @return SSLCV_OK. On failure callbacks->destroy is not called.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_create_custom(sslcv_context *context, const sslcv_loss_callbacks *callbacks,
                                                sslcv_loss **loss);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param loss NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_loss_destroy(sslcv_loss *loss);

/**
 * Describe it.
 *
 * @param loss Not NULL.
 * @param info In: struct_size. Out: the rest.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_get_info(const sslcv_loss *loss, sslcv_loss_info *info);

/**
 * Its tensors: "queue", "bank.0", "prototypes.weight", "predictor.0.2.weight" ..., as losses.h has them; and for each
 * number that sslcv_loss_set() takes a buffer of that name, one f64 without axes; state.h. Takes the memory of queue
 * and banks, if no call has yet.
 *
 * @param loss  Not NULL.
 * @param state Out: owned, keeps the loss alive.
 * @return SSLCV_OK; SSLCV_ERR_LIMIT (a bank larger than this machine's memory).
 * @threads One thread at a time per loss.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_get_state(sslcv_loss *loss, sslcv_state **state);

/**
 * Set the defaults: no inputs, scale 1, flags REMEMBER.
 *
 * @param call        Out: not NULL.
 * @param struct_size sizeof *call as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_call_init(sslcv_loss_call *call, size_t struct_size);

/**
 * Tell the loss that an epoch begins: "cluster" re-clusters, custom losses move their schedules. Trainers do this
 * themselves.
 *
 * @param loss  Not NULL.
 * @param epoch From 0; asking twice for the same epoch does nothing.
 * @return SSLCV_OK; SSLCV_ERR_STATE ("cluster" that remembers fewer samples than it has prototypes);
 *         SSLCV_ERR_CANCELLED (custom, cluster).
 * @threads One thread at a time per loss.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_begin_epoch(sslcv_loss *loss, int64_t epoch);

/**
 * Value and gradients. Gradients of the loss's own parameters are added to those in its state, unless diff_inputs is
 * NULL. Working memory is taken by the first call of a size; later ones of that size or below allocate nothing.
 *
 * @param loss Not NULL.
 * @param call In: inputs. Out: value, diff_inputs. Borrowed for the call.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (NaN or infinity in an input, in targets or in the value; nothing remembered,
 *         call untouched); SSLCV_ERR_LIMIT (a bank larger than this machine's memory); SSLCV_ERR_CANCELLED (custom).
 * @threads One thread at a time per loss.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_compute(sslcv_loss *loss, sslcv_loss_call *call);

/**
 * Change a number during a run, from a hook or between calls: any field of type double in the kind's options. It is
 * kept in checkpoints.
 *
 * @param loss  Not NULL.
 * @param field Name of the option's field, e.g. "temperature".
 * @param value In that field's range.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (no such field in this kind).
 * @threads One thread at a time per loss.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_set(sslcv_loss *loss, const char *field, double value);

/**
 * Readable figures of the last call, 0 before the first: "top1" (share of anchors or rows whose positive or label is
 * ranked first; a tie is not first), "mi_bound" (log of the number of candidates - loss, in nats: a lower bound of the
 * mutual information of two views), "assignment_entropy" and others. They differ by kind; losses.h says which it has.
 * Those of the embeddings themselves, whatever the loss: sslcv_spread_compute() in probe.h.
 *
 * @param loss  Not NULL.
 * @param index From 0.
 * @param name  Out: constant text.
 * @param value Out.
 * @return SSLCV_OK; SSLCV_ERR_NOT_FOUND (past the last).
 * @threads One thread at a time per loss.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_loss_get_metric(const sslcv_loss *loss, int64_t index, const char **name, double *value);

#ifdef __cplusplus
}
#endif
#endif
