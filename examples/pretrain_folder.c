/*
 * SimCLR by recipe on a folder of images.
 *
 *     pretrain_folder FOLDER OUT.safetensors ["SETTINGS"]      e.g. "epochs=100 batch=128"
 *     pretrain_folder                                          pictures drawn in memory, a minute's work in seconds
 *
 * Shows a recipe, a progress line from a hook, and stopping: Ctrl-C ends the run after the current step and saves a
 * checkpoint beside OUT; the same command goes on where it stopped, to the same bits as if it had never been stopped.
 */
#include "synthetic.h"

#include <signal.h>
#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

static sslcv_context *context; /* a signal handler has no argument for it */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    sslcv_context_cancel(context, 1);
}

static int32_t show(void *user, sslcv_trainer *trainer, const sslcv_progress *p)
{
    (void)trainer;
    fprintf((FILE *)user, "\rstep %lld/%lld  loss %.4f  spread %.2f  %.0f images/s  %.0f s left ", (long long)p->step,
            (long long)p->num_steps, p->loss, p->embedding_std, p->images_per_second, p->seconds_left);
    fflush((FILE *)user);
    return 0;
}

static sslcv_status open_images(const char *folder, sslcv_dataset **images)
{
    sslcv_dataset_options options;
    sslcv_status status;

    if (!folder) return synthetic_dataset(context, 64, 32, 1, images);
    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_FOLDER));
    options.path = folder;
    TRY(sslcv_dataset_create(context, &options, images));
end:
    return status;
}

/* Without a backbone the recipe makes a ResNet-18; a quarter of its width is enough for the drawn pictures. */
static sslcv_status small_backbone(sslcv_backbone **backbone)
{
    sslcv_backbone_options options;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR;
    options.width = 0.25;
    TRY(sslcv_backbone_create(context, &options, backbone));
end:
    return status;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 2 ? argv[1] : NULL;
    const char *out = argc > 2 ? argv[2] : "pretrain_folder.safetensors";
    const char *settings = argc > 3 ? argv[3] : folder ? NULL : "epochs=2 batch=32";
    char checkpoint[4096];
    sslcv_dataset *images = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_state *weights = NULL;
    sslcv_method_options method;
    sslcv_hook hook;
    sslcv_status status = SSLCV_OK;

    if (argc == 2 || argc > 4 ||
        snprintf(checkpoint, sizeof checkpoint, "%s.checkpoint", out) >= (int)sizeof checkpoint) {
        fprintf(stderr, "usage: %s [FOLDER OUT.safetensors [\"SETTINGS\"]]\n", argv[0]);
        return 2;
    }
    TRY(sslcv_context_create(NULL, &context));
    signal(SIGINT, on_interrupt);
    TRY(open_images(folder, &images));
    if (!folder) TRY(small_backbone(&backbone));

    TRY(sslcv_method_options_init(&method, sizeof method));
    method.dataset = images;
    method.settings = settings;
    method.checkpoint_path = checkpoint;
    method.resume = 1;
    if (backbone) {
        method.backbones = &backbone;
        method.num_backbones = 1;
    }
    TRY(sslcv_method_create(context, "simclr", &method, &trainer));

    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.user = stdout;
    hook.call = show;
    TRY(sslcv_trainer_add_hook(trainer, &hook));

    status = sslcv_trainer_run(trainer, 0);
    printf("\n");
    if (status == SSLCV_ERR_CANCELLED) printf("stopped; %s is saved, the same command goes on\n", checkpoint);
    if (status != SSLCV_OK) goto end;

    sslcv_backbone_destroy(backbone);
    backbone = NULL;
    TRY(sslcv_trainer_get_backbone(trainer, 0, 0, &backbone));
    TRY(sslcv_backbone_get_state(backbone, &weights));
    TRY(sslcv_state_save(weights, out, NULL));
    printf("wrote %s\n", out);

end:
    if (status != SSLCV_OK && status != SSLCV_ERR_CANCELLED) {
        fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    }
    signal(SIGINT, SIG_DFL); /* the handler's context goes now */
    sslcv_state_destroy(weights);
    sslcv_backbone_destroy(backbone);
    sslcv_trainer_destroy(trainer);
    sslcv_dataset_destroy(images);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
