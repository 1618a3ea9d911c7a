/* The loop, written with public calls: a host that wants another one writes its own. */
#include "train/trainer.h"

#include <errno.h>
#include <unistd.h>

/* What cannot be looked at counts as there: to begin anew beside it would end in its loss. */
static int is_there(const char *path)
{
    return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static sslcv_status load_checkpoint(sslcv_trainer *trainer)
{
    sslcv_state *state = NULL;
    sslcv_status status = SSLCV_OK;

    if (!trainer->options.resume || trainer->resumed || trainer->step > 0) return SSLCV_OK;
    if (is_there(trainer->checkpoint_path)) {
        SSLCV__TRY(sslcv_trainer_get_state(trainer, &state));
        SSLCV__TRY(sslcv_state_load(state, trainer->checkpoint_path, NULL, NULL));
    }
    trainer->resumed = 1;
end:
    sslcv_state_destroy(state);
    return status;
}

static sslcv_status save_checkpoint(sslcv_trainer *trainer)
{
    sslcv_save_options options;
    sslcv_state *state = NULL;
    sslcv_status status;

    if (!trainer->checkpoint_path) return SSLCV_OK;
    trainer->unsaved = 1;
    SSLCV__TRY(sslcv_save_options_init(&options, sizeof options));
    options.generations = trainer->options.generations;
    SSLCV__TRY(sslcv_trainer_get_state(trainer, &state));
    SSLCV__TRY(sslcv_state_save(state, trainer->checkpoint_path, &options));
    trainer->unsaved = 0;
end:
    sslcv_state_destroy(state);
    return status;
}

/* Behind a step: is it time to save? */
static int is_due(const sslcv_trainer *trainer, int64_t epoch_before, double last_save)
{
    const sslcv_trainer_options *o = &trainer->options;

    if (trainer->epoch != epoch_before) {
        if (trainer->epoch >= o->epochs) return 1;
        if (o->checkpoint_epochs > 0 && trainer->epoch % o->checkpoint_epochs == 0) return 1;
    }
    return o->checkpoint_seconds > 0.0 && sslcv__clock() - last_save >= o->checkpoint_seconds;
}

sslcv_status sslcv_trainer_run(sslcv_trainer *trainer, int64_t max_steps)
{
    double last_save = sslcv__clock();
    int64_t steps, epoch;
    sslcv_status status;

    SSLCV__TRY(sslcv__check(trainer, SSLCV__TRAINER, "trainer"));
    if (max_steps < 0) return sslcv__invalid("max_steps is %lld; must be >= 0", (long long)max_steps);
    if (trainer->inside) return sslcv__fail(SSLCV_ERR_STATE, "a hook must not run its trainer");
    SSLCV__TRY(load_checkpoint(trainer));
    if (trainer->unsaved) SSLCV__TRY(save_checkpoint(trainer));
    trainer->speed.began = last_save;
    for (steps = 0; trainer->epoch < trainer->options.epochs && (max_steps == 0 || steps < max_steps); steps++) {
        epoch = trainer->epoch;
        status = sslcv_trainer_step(trainer, NULL);
        if (status == SSLCV_ERR_CANCELLED) {
            const sslcv_status saved = save_checkpoint(trainer);

            return saved == SSLCV_OK ? status : saved;
        }
        if (status != SSLCV_OK) goto end;
        if (!is_due(trainer, epoch, last_save)) continue;
        SSLCV__TRY(save_checkpoint(trainer));
        last_save = sslcv__clock();
    }
end:
    return status;
}
