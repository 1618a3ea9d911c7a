/**
 * @file optim.h
 * The optimizer, and the schedule: a number that changes over a run (learning rate, weight decay).
 *
 *     sslcv_optimizer_options_init(&options, sizeof options, SSLCV_OPTIMIZER_SGD);
 *     sslcv_optimizer_create(context, &options, &optimizer);
 *     sslcv_optimizer_add(optimizer, backbone_state, SSLCV_ROLE_PARAMETERS, NULL);
 *     ... forward, loss, backward ...
 *     sslcv_schedule_value(&schedule, step, steps_per_epoch, epochs, &rate);
 *     sslcv_optimizer_step(optimizer, rate, -1.0);
 *
 * Updates run in place on parameters in oneDNN's layout. A group is (some tensors of a state) x (how to treat them).
 *
 * With w the tensor, g its gradient, v its momentum, lr, mu and d (weight decay):
 *
 *     SGD           g <- g + d w;           v <- mu v + g;         w <- w - lr v
 *     LARS          g <- g + d w;           v <- mu v + r g;       w <- w - lr v     r = trust |w| / |g|
 *     LARS_CLASSIC  g <- g + d w;           v <- mu v + lr r g;    w <- w - v        likewise
 *     LARC          g <- a (g + d w);       v <- mu v + g;         w <- w - lr v
 *                                                                  a = trust |w| / (|g| + d |w| + 1e-8)
 *     ADAM          g <- g + d w;           m <- b1 m + (1 - b1) g;  s <- b2 s + (1 - b2) g^2
 *                                           w <- w - lr m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + epsilon)
 *     ADAMW         w <- w - lr d w, then as ADAM without decay
 *
 * Norms are those of a whole tensor. If |w| or |g| is 0, r is 1, and LARC takes g as it is, without decay. With
 * nesterov the step goes by g + mu v (of LARS and LARC: the scaled g) instead of v.
 */
#ifndef SSLCV_OPTIM_H
#define SSLCV_OPTIM_H

#include "state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sslcv_optimizer sslcv_optimizer;

enum sslcv_optimizer_kind {
    SSLCV_OPTIMIZER_SGD          = 1, /* momentum as PyTorch's; coupled weight decay */
    SSLCV_OPTIMIZER_LARS         = 2, /* learning rate outside the momentum buffer (BYOL, Barlow Twins, VICReg) */
    SSLCV_OPTIMIZER_LARS_CLASSIC = 3, /* learning rate inside it (SimCLR's code) */
    SSLCV_OPTIMIZER_LARC         = 4, /* trust ratio on the gradient (SwAV, DeepCluster-v2) */
    SSLCV_OPTIMIZER_ADAM         = 5, /* coupled weight decay */
    SSLCV_OPTIMIZER_ADAMW        = 6
};

/** Fields that a kind does not read must stay as init has set them. */
typedef struct sslcv_optimizer_options {
    size_t  struct_size;
    int32_t kind;          /* set by init */
    int32_t nesterov;      /* SGD, LARS, LARC: 1 or 0 (default) */
    double  momentum;      /* SGD, LARS, LARC: 0 .. 1; default 0.9 */
    double  weight_decay;  /* >= 0; default by kind: 1e-4; ADAMW 0.01 */
    double  beta1, beta2;  /* Adam: 0 <= beta < 1; default 0.9, 0.999 */
    double  epsilon;       /* Adam: >= 1e-30; default 1e-8 */
    double  trust;         /* LARS, LARC: eta, > 0; default 0.001 */
    double  clip_norm;     /* > 0: scale all gradients to at most this global L2 norm; 0 (default): off */
    int32_t decay_roles;   /* roles that decay; default PARAMETERS, for LARS and LARS_CLASSIC WEIGHT only */
    int32_t adapt_roles;   /* LARS, LARC: roles whose tensors get r or a; default WEIGHT, for LARC PARAMETERS */
    int32_t trust_clip;    /* LARS, LARC: 1: min(r / lr, 1) in r's place, so that the rate is min(r, lr) and never
                              exceeds the learning rate (apex, solo-learn); default 0 */
    int32_t clip_each;     /* 1: clip_norm is the limit of each tensor's gradient alone (DINO); default 0 */
} sslcv_optimizer_options;

typedef struct sslcv_optimizer_group {
    size_t  struct_size;
    double  rate_scale;    /* factor on the learning rate, >= 0; default 1 */
    double  weight_decay;  /* of tensors in decay_roles; < 0 (default): the optimizer's */
    double  momentum;      /* 0 .. 1, not for Adam; < 0 (default): the optimizer's */
    int32_t fixed_rate;    /* 1: keep the learning rate of the first step (SimSiam's predictor); default 0 */
    int32_t adapt;         /* LARS, LARC: 1 or 0; -1 (default): by adapt_roles */
    int64_t freeze_steps;  /* >= 0: so many first steps of the optimizer, counted on by checkpoints, in which the
                              tensors rest (DINO's last layer); default 0 */
} sslcv_optimizer_group;

/**
 * Set the defaults.
 *
 * @param options     Out: not NULL.
 * @param struct_size sizeof *options as the caller knows it.
 * @param kind        SSLCV_OPTIMIZER_SGD ...
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_options_init(sslcv_optimizer_options *options, size_t struct_size, int32_t kind);

/**
 * Make an optimizer without tensors.
 *
 * @param context   Not NULL.
 * @param options   Not NULL.
 * @param optimizer Out: owned.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_create(sslcv_context *context, const sslcv_optimizer_options *options,
                                              sslcv_optimizer **optimizer);

/**
 * Give back the caller's reference; NULL is accepted.
 *
 * @param optimizer NULL or a handle.
 * @threads One thread at a time per handle.
 * @since   0.1
 */
SSLCV_API void sslcv_optimizer_destroy(sslcv_optimizer *optimizer);

/**
 * Set the defaults.
 *
 * @param group       Out: not NULL.
 * @param struct_size sizeof *group as the caller knows it.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_group_init(sslcv_optimizer_group *group, size_t struct_size);

/**
 * Let it update tensors of a state. A tensor belongs to the group that was added first; a trainer adds whatever its
 * branches and losses train and no group holds yet, with the defaults. Memory for momentum and second moments is taken
 * here.
 *
 * @param optimizer Not NULL.
 * @param state     Of a backbone, head or loss; kept alive. Frozen tensors rest while they are frozen.
 * @param roles     Sum of SSLCV_ROLE_* bits among PARAMETERS.
 * @param group     NULL: defaults; copied.
 * @return SSLCV_OK; SSLCV_ERR_STATE (after the first step).
 * @threads One thread at a time per optimizer.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_add(sslcv_optimizer *optimizer, sslcv_state *state, int32_t roles,
                                           const sslcv_optimizer_group *group);

/**
 * Update every tensor from its gradient, then clear the gradients. Tensors that are frozen, by their state or in the
 * first freeze_steps steps, or have got no gradient since the last step, rest: no decay, no momentum, no part in
 * clip_norm. A step allocates nothing.
 *
 * @param optimizer     Not NULL.
 * @param learning_rate >= 0.
 * @param weight_decay  >= 0: instead of the option's from now on; negative: unchanged.
 * @return SSLCV_OK; SSLCV_ERR_NUMERIC (a gradient is not finite: nothing updated, gradients cleared).
 * @threads One thread at a time per optimizer and per network.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_step(sslcv_optimizer *optimizer, double learning_rate, double weight_decay);

/**
 * Its tensors: "step" (i64, steps done), "first_rate" and "weight_decay" (f64), and for each tensor NAME that it
 * updates "NAME.momentum" (unless momentum is 0), and for Adam "NAME.second_moment" and "NAME.step" (i64); state.h.
 * NAME is that of the state that was added; where an earlier group has it already, "group.K." stands in front, K from 0
 * in the order of sslcv_optimizer_add().
 *
 * @param optimizer Not NULL.
 * @param state     Out: owned; the tensors of groups added so far.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_optimizer_get_state(sslcv_optimizer *optimizer, sslcv_state **state);

/* ---- schedule ---- */

enum sslcv_schedule_kind {
    SSLCV_SCHEDULE_CONSTANT = 0,
    SSLCV_SCHEDULE_COSINE   = 1, /* from value to end_value */
    SSLCV_SCHEDULE_LINEAR   = 2, /* from value to end_value */
    SSLCV_SCHEDULE_STEPS    = 3  /* times gamma at each milestone */
};

enum { SSLCV_MAX_MILESTONES = 8 }; /* never changes */

typedef struct sslcv_schedule {
    size_t  struct_size;
    int32_t kind;           /* SSLCV_SCHEDULE_*; default CONSTANT */
    int32_t by_epoch;       /* 1: changes between epochs only; 0 (default): every step */
    double  value;          /* after warm-up */
    double  end_value;      /* at the end; default 0 */
    double  warmup_start;   /* default 0 */
    double  warmup_epochs;  /* >= 0, need not be whole; linear from warmup_start to value; default 0 */
    int32_t warmup_reaches; /* 1: the last warm-up step already has value (SwAV); 0 (default): the step after it */
    int32_t num_milestones; /* 0 .. SSLCV_MAX_MILESTONES */
    double  gamma;          /* default 0.1 */
    double  milestones[SSLCV_MAX_MILESTONES]; /* epochs, ascending; reached when epoch >= milestone */
} sslcv_schedule;

/**
 * Set the defaults.
 *
 * @param schedule    Out: not NULL.
 * @param struct_size sizeof *schedule as the caller knows it.
 * @param kind        SSLCV_SCHEDULE_*.
 * @param value       Its value.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_schedule_init(sslcv_schedule *schedule, size_t struct_size, int32_t kind, double value);

/**
 * The scheduled number at one step. A pure function; a run of more epochs is another schedule. With t the step, W the
 * steps of warm-up and T those of the whole run (by_epoch: t, W and T in epochs, t rounded down), before W
 *
 *     warmup_start + (value - warmup_start) * t / W             warmup_reaches: / (W - 1), not beyond value
 *
 * and from W on, with f = (t - W) / (T - W)
 *
 *     COSINE   end_value + (value - end_value) * (1 + cos(pi f)) / 2
 *     LINEAR   value + (end_value - value) * f
 *     STEPS    value * gamma^(milestones reached)
 *
 * @param schedule        Not NULL.
 * @param step            From 0, over the whole run; beyond its end the value of its end.
 * @param steps_per_epoch >= 1.
 * @param epochs          Length of the run, >= 1.
 * @param value           Out.
 * @return SSLCV_OK.
 * @threads Any.
 * @since   0.1
 */
SSLCV_API sslcv_status sslcv_schedule_value(const sslcv_schedule *schedule, int64_t step, int64_t steps_per_epoch,
                                            int64_t epochs, double *value);

#ifdef __cplusplus
}
#endif
#endif
