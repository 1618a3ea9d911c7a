/* Wrong use of transforms and augmenters: refused, with what is wrong. */
#include "augment_support.h"

START_TEST(transform_errors)
{
    sslcv_transform t;

    FAILS(sslcv_transform_init(NULL, sizeof t, 1), SSLCV_ERR_INVALID_ARGUMENT, "transform is NULL");
    FAILS(sslcv_transform_init(&t, 8, 1), SSLCV_ERR_INVALID_ARGUMENT, "transform.struct_size is 8");
    FAILS(sslcv_transform_init(&t, sizeof t, 99), SSLCV_ERR_INVALID_ARGUMENT, "transform.kind is 99");
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "transform is NULL");
#define WRONG(kind, change, text)                                                                                      \
    t = sized(kind, 8, 8);                                                                                             \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_RESIZE, t.kind = 0, "transform.kind is 0");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.padding = 1, "resize.padding is set, but resize does not read it");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.probability = .5, "resize.probability is set");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.mean[15] = 1, "resize.mean is set");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.height = 0, "resize.height is 0; must be 1 .. 65536");
    WRONG(SSLCV_TRANSFORM_RESIZE, t.interpolation = 3, "resize.interpolation is 3; must be 0 .. 2");
    WRONG(SSLCV_TRANSFORM_CENTER_CROP, t.width = 65537, "center_crop.width is 65537");
    WRONG(SSLCV_TRANSFORM_RANDOM_CROP, t.padding = -1, "random_crop.padding is -1; must be 0 .. 65536");
    WRONG(SSLCV_TRANSFORM_RANDOM_CROP, t.height = 0, "random_crop.height is 0");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.min = 0, "random_resized_crop.min is 0; must be > 0 and <= 1");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.max = 1.5, "random_resized_crop.max is 1.5; must be > 0 and <= 1");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.ratio_min = 2, "random_resized_crop.ratio_min is 2");
    WRONG(SSLCV_TRANSFORM_RANDOM_RESIZED_CROP, t.min = NAN, "random_resized_crop.min is nan");
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = 1, "horizontal_flip.height is set");
#undef WRONG
#define WRONG(kind, change, text)                                                                                      \
    t = transform(kind);                                                                                               \
    change;                                                                                                            \
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &t), SSLCV_ERR_INVALID_ARGUMENT, text)
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = 1.01, "horizontal_flip.probability is 1.01; must be 0 .. 1");
    WRONG(SSLCV_TRANSFORM_HORIZONTAL_FLIP, t.probability = NAN, "horizontal_flip.probability is nan");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.hue = .6, "color_jitter.hue is 0.6; must be 0 .. 0.5");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.brightness = -.1, "color_jitter.brightness is -0.1");
    WRONG(SSLCV_TRANSFORM_COLOR_JITTER, t.contrast = INFINITY, "color_jitter.contrast is inf");
    WRONG(SSLCV_TRANSFORM_GRAYSCALE, t.count = 2, "grayscale.count is 2; must be 0 .. 1");
    WRONG(SSLCV_TRANSFORM_GAUSSIAN_BLUR, t.min = 3, "gaussian_blur.min is 3; must be 0 .. 2");
    WRONG(SSLCV_TRANSFORM_SOLARIZE, t.max = .4, "solarize.min is 0.5");
    WRONG(SSLCV_TRANSFORM_SELECT_CHANNELS, (void)0, "select_channels.count is 0; must be 1 .. 16");
    WRONG(SSLCV_TRANSFORM_SELECT_CHANNELS, (t.first = 15, t.count = 2), "select_channels.count is 2; must be 1 .. 1");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.std[2] = 0, "normalize.std is 0; must be > 0");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.mean[2] = NAN, "normalize.mean is nan");
    WRONG(SSLCV_TRANSFORM_NORMALIZE, t.callbacks = (void *)&t, "normalize.callbacks is set");
#undef WRONG
}
END_TEST

START_TEST(augmenter_errors)
{
    sslcv_view_info info = {.struct_size = sizeof info};
    const sslcv_transform flip = transform(SSLCV_TRANSFORM_HORIZONTAL_FLIP);
    const int64_t unknown[3] = {3, 0, 0};
    sslcv_augmenter *made = NULL;
    int64_t view = 77, shape[4];

    FAILS(sslcv_augmenter_create(NULL, &made), SSLCV_ERR_INVALID_ARGUMENT, "context is NULL");
    FAILS(sslcv_augmenter_create(context, NULL), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_add_view((sslcv_augmenter *)(void *)context, -1, &view), SSLCV_ERR_INVALID_ARGUMENT,
          "augmenter is not a live augmenter handle");
    FAILS(sslcv_augmenter_add_view(augmenter, 1, &view), SSLCV_ERR_INVALID_ARGUMENT, "source is 1");
    FAILS(sslcv_augmenter_add_view(augmenter, -2, &view), SSLCV_ERR_INVALID_ARGUMENT, "source is -2");
    FAILS(sslcv_augmenter_add_transform(augmenter, 1, &flip), SSLCV_ERR_INVALID_ARGUMENT, "view is 1; must be 0 .. 0");
    FAILS(sslcv_augmenter_get_view(augmenter, 1, &info), SSLCV_ERR_NOT_FOUND, "view is 1; the augmenter has 1 views");
    FAILS(sslcv_augmenter_get_view(augmenter, -1, &info), SSLCV_ERR_NOT_FOUND, "view is -1");
    FAILS(sslcv_augmenter_get_view(augmenter, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "view_info is NULL");
    FAILS(sslcv__augmenter_view_shape(augmenter, 0, unknown, shape), SSLCV_ERR_INVALID_ARGUMENT,
          "the shape of view 0 depends on the images'");
    ck_assert(made == NULL && view == 77);
    sslcv__augmenter_fix(augmenter);
    FAILS(sslcv_augmenter_add_transform(augmenter, 0, &flip), SSLCV_ERR_STATE, "augmenter has been used");
    FAILS(sslcv_augmenter_add_view(augmenter, -1, &view), SSLCV_ERR_STATE, "augmenter has been used");
    sslcv_augmenter_destroy(NULL);
}
END_TEST

START_TEST(apply_errors)
{
    const sslcv_tensor source = planar(SSLCV_U8, pixels, 3, H, W);
    sslcv_transform crop = sized(SSLCV_TRANSFORM_RANDOM_CROP, 16, 8);
    sslcv_tensor bad, result = planar(SSLCV_F32, out, 3, H, W);
    float broken[SIZE];
    int64_t view;

    memset(out, 0x55, sizeof out);
    FAILS(sslcv_augmenter_apply(NULL, &source, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, NULL, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, NULL), SSLCV_ERR_INVALID_ARGUMENT, "out is NULL");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, -1, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "epoch is -1");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, -5, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "sample is -5");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 9, &result), SSLCV_ERR_NOT_FOUND, "view is 9");
    bad = source, bad.dtype = SSLCV_F64;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "must be u8, u16");
    bad = source, bad.ndim = 2;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.ndim is 2");
    bad = source, bad.data = NULL;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.data");
    bad = source, bad.shape[0] = 17;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "17 channels");
    bad = source, bad.shape[1] = 0;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_INVALID_ARGUMENT, "image.shape[1]");
    bad = result, bad.shape[2] = 9;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &bad), SSLCV_ERR_INVALID_ARGUMENT, "out.shape[2] is 9");
    bad = result, bad.strides[1] = 11;
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &bad), SSLCV_ERR_INVALID_ARGUMENT, "out is not dense");
    memcpy(broken, image, sizeof broken);
    broken[SIZE - 1] = NAN;
    bad = planar(SSLCV_F32, broken, 3, H, W);
    OK(sslcv_augmenter_add_view(augmenter, SSLCV_SOURCE_IMAGE, &view));
    OK(sslcv_augmenter_add_transform(augmenter, view, &crop));
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_NUMERIC, "not finite");
    broken[SIZE - 1] = 0.0f;
    broken[5] = -INFINITY;
    FAILS(sslcv_augmenter_apply(augmenter, &bad, 1, 0, 0, 0, &result), SSLCV_ERR_NUMERIC, "not finite");
    FAILS(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, view, &result), SSLCV_ERR_INVALID_ARGUMENT,
          "random_crop takes 16 x 8 of an image of 12 x 10 with padding 0");
    ck_assert_int_eq(((uint8_t *)out)[77], 0x55);
    OK(sslcv_augmenter_apply(augmenter, &source, 1, 0, 0, 0, &result)); /* an empty chain: the image as f32 */
    ck_assert_mem_eq(out, image, sizeof image);
}
END_TEST

START_TEST(preset_errors)
{
    int64_t first = 77;

    FAILS(sslcv_augmenter_add_preset(NULL, "eval", 0, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "augmenter is NULL");
    FAILS(sslcv_augmenter_add_preset(augmenter, NULL, 0, NULL, NULL), SSLCV_ERR_INVALID_ARGUMENT, "preset is NULL");
    FAILS(sslcv_augmenter_add_preset(augmenter, "moco", 0, &first, NULL), SSLCV_ERR_NOT_FOUND,
          "there is no preset \"moco\"; there are simclr, simclr-cifar, moco-v1, moco-v2");
    ck_assert_ptr_nonnull(strstr(sslcv_last_error(), "cpc-eval, cpc-eval-cifar")); /* all of them */
    FAILS(sslcv_augmenter_add_preset(augmenter, "eval", -1, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT, "size is -1");
    FAILS(sslcv_augmenter_add_preset(augmenter, "eval", 57345, &first, NULL), SSLCV_ERR_INVALID_ARGUMENT, "57344");
    ck_assert_int_eq(first, 77);
    ck_assert_int_eq(sslcv__augmenter_num_views(augmenter), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("augment_errors");
    TCase *errors = add_case(suite, "errors");

    tcase_add_test(errors, transform_errors);
    tcase_add_test(errors, augmenter_errors);
    tcase_add_test(errors, apply_errors);
    tcase_add_test(errors, preset_errors);
    return run_suite(suite);
}
