/*
 * Frames of a camera, collected in memory, pre-train a network by the SimCLR recipe.
 *
 *     pretrain_from_memory [FRAMES [OUT.safetensors]]
 *
 * Shows a data set that the host fills itself: BGR pixels with padded rows, as cameras and OpenCV give them, are
 * described by strides, not converted. The camera here draws its frames.
 */
#include "synthetic.h"

#include <stdio.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((status = (call)) != SSLCV_OK) goto end;                                                                   \
    } while (0)

enum { WIDTH = 48, HEIGHT = 48, ROW_BYTES = 160 }; /* rows of 48 * 3 bytes, padded to a multiple of 32 */

/* Called for each frame; the pixels are copied, so the camera may reuse its buffer. */
static sslcv_status push_frame(sslcv_dataset *frames, const unsigned char *bgr)
{
    sslcv_tensor image;
    sslcv_status status;

    TRY(sslcv_tensor_init_pixels(&image, SSLCV_U8, bgr, WIDTH, HEIGHT, 3, ROW_BYTES, SSLCV_PIXELS_BGR));
    TRY(sslcv_dataset_add_images(frames, &image, NULL, NULL));
end:
    return status;
}

static sslcv_status collect_frames(sslcv_context *context, int64_t count, sslcv_dataset **out)
{
    unsigned char frame[HEIGHT * ROW_BYTES];
    uint64_t random = 1;
    sslcv_dataset *frames = NULL;
    sslcv_dataset_options options;
    sslcv_status status;

    TRY(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    TRY(sslcv_dataset_create(context, &options, &frames));
    for (int64_t i = 0; i < count; i++) {
        synthetic_draw(frame, WIDTH, ROW_BYTES, i % SYNTHETIC_CLASSES, &random);
        TRY(push_frame(frames, frame));
    }
    *out = frames;
    frames = NULL;
end:
    sslcv_dataset_destroy(frames);
    return status;
}

static sslcv_status make_backbone(sslcv_context *context, sslcv_backbone **backbone)
{
    sslcv_backbone_options options;
    sslcv_status status;

    TRY(sslcv_backbone_options_init(&options, sizeof options, SSLCV_BACKBONE_RESNET18));
    options.stem = SSLCV_STEM_CIFAR; /* the frames are small */
    options.width = 0.25;
    TRY(sslcv_backbone_create(context, &options, backbone));
end:
    return status;
}

static int32_t show(void *user, sslcv_trainer *trainer, const sslcv_progress *p)
{
    (void)user;
    (void)trainer;
    printf("epoch %lld of %lld: loss %.4f, spread of the embeddings %.2f\n", (long long)p->epoch + 1,
           (long long)p->num_epochs, p->loss, p->embedding_std);
    return 0;
}

int main(int argc, char **argv)
{
    const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 96;
    const char *out = argc > 2 ? argv[2] : "camera.safetensors";
    const char *metadata[2] = {"source", "camera 1"};
    sslcv_context *context = NULL;
    sslcv_dataset *frames = NULL;
    sslcv_backbone *backbone = NULL;
    sslcv_trainer *trainer = NULL;
    sslcv_state *weights = NULL;
    sslcv_method_options method;
    sslcv_hook hook;
    sslcv_save_options save;
    sslcv_status status;

    TRY(sslcv_context_create(NULL, &context));
    TRY(collect_frames(context, count, &frames));
    TRY(make_backbone(context, &backbone));

    TRY(sslcv_method_options_init(&method, sizeof method));
    method.dataset = frames;
    method.backbones = &backbone;
    method.num_backbones = 1;
    method.preset = "cifar";
    method.settings = "temperature=0.5 epochs=3 batch=32";
    TRY(sslcv_method_create(context, "simclr", &method, &trainer));
    TRY(sslcv_hook_init(&hook, sizeof hook));
    hook.call = show;
    hook.events = SSLCV_EVENT_EPOCH_END;
    TRY(sslcv_trainer_add_hook(trainer, &hook));
    TRY(sslcv_trainer_run(trainer, 0));

    TRY(sslcv_backbone_get_state(backbone, &weights)); /* the trainer has trained the one that it was given */
    TRY(sslcv_save_options_init(&save, sizeof save));
    save.metadata = metadata;
    save.num_metadata = 1;
    TRY(sslcv_state_save(weights, out, &save));
    printf("wrote %s\n", out);

end:
    if (status != SSLCV_OK) fprintf(stderr, "%s: %s\n", sslcv_status_string(status), sslcv_last_error());
    sslcv_state_destroy(weights);
    sslcv_trainer_destroy(trainer);
    sslcv_backbone_destroy(backbone);
    sslcv_dataset_destroy(frames);
    sslcv_context_destroy(context);
    return status == SSLCV_OK ? 0 : 1;
}
