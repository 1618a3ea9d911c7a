/*
 * From C++11: SimCLR on pictures in memory, then the features, with handles that free themselves and errors that throw.
 *
 *     pretrain [EPOCHS]
 *
 * Shows that a few lines make the C interface comfortable: one template for handles, one function for failures. No
 * exception may leave a callback: it would unwind through C, so the callback keeps it and stops the run.
 */
#include <sslcv/sslcv.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

class Error : public std::runtime_error
{
  public:
    explicit Error(sslcv_status s)
        : std::runtime_error(std::string(sslcv_status_string(s)) + ": " + sslcv_last_error()), status(s)
    {
    }
    sslcv_status status;
};

void check(sslcv_status status)
{
    if (status != SSLCV_OK) throw Error(status);
}

/* Handle<sslcv_context> and so on: owns one reference. Any order of destruction will do. */
struct Destroy {
    void operator()(sslcv_context *handle) const
    {
        sslcv_context_destroy(handle);
    }
    void operator()(sslcv_dataset *handle) const
    {
        sslcv_dataset_destroy(handle);
    }
    void operator()(sslcv_augmenter *handle) const
    {
        sslcv_augmenter_destroy(handle);
    }
    void operator()(sslcv_backbone *handle) const
    {
        sslcv_backbone_destroy(handle);
    }
    void operator()(sslcv_trainer *handle) const
    {
        sslcv_trainer_destroy(handle);
    }
};
template <class T> using Handle = std::unique_ptr<T, Destroy>;

/* make<sslcv_dataset>(sslcv_dataset_create, context.get(), &options): the handle comes through the last argument. */
template <class T, class Function, class... Arguments> Handle<T> make(Function create, Arguments... arguments)
{
    T *handle = nullptr;
    check(create(arguments..., &handle));
    return Handle<T>(handle);
}

Handle<sslcv_dataset> draw_pictures(sslcv_context *context, int count, int size)
{
    sslcv_dataset_options options;
    check(sslcv_dataset_options_init(&options, sizeof options, SSLCV_DATASET_LIST));
    Handle<sslcv_dataset> pictures = make<sslcv_dataset>(sslcv_dataset_create, context, &options);

    std::mt19937 random(1);
    std::vector<unsigned char> pixels(static_cast<std::size_t>(size * size * 3));
    for (int i = 0; i < count; i++) {
        for (std::size_t p = 0; p < pixels.size(); p++) { /* stripes of two directions with noise */
            const std::size_t x = p / 3 % static_cast<std::size_t>(size), y = p / 3 / static_cast<std::size_t>(size);
            pixels[p] = static_cast<unsigned char>(((i % 2 ? x : y) / 4 % 2) * 180 + random() % 60);
        }
        sslcv_tensor image;
        check(sslcv_tensor_init_pixels(&image, SSLCV_U8, pixels.data(), size, size, 3, 0, SSLCV_PIXELS_RGB));
        check(sslcv_dataset_add_image(pictures.get(), &image, nullptr));
    }
    return pictures;
}

/* Any callable as a hook, and what it threw. */
struct Hook {
    std::function<void(const sslcv_progress &)> call;
    std::exception_ptr thrown;
};

extern "C" int32_t call_hook(void *user, sslcv_trainer *, const sslcv_progress *progress)
{
    Hook *hook = static_cast<Hook *>(user);
    try {
        hook->call(*progress);
        return 0;
    } catch (...) {
        hook->thrown = std::current_exception();
        return 1; /* sslcv_trainer_run() returns SSLCV_ERR_CANCELLED */
    }
}

void run(sslcv_trainer *trainer, Hook &hook)
{
    sslcv_hook options;
    check(sslcv_hook_init(&options, sizeof options));
    options.user = &hook;
    options.call = call_hook;
    options.events = SSLCV_EVENT_EPOCH_END;
    check(sslcv_trainer_add_hook(trainer, &options));
    const sslcv_status status = sslcv_trainer_run(trainer, 0);
    if (hook.thrown) std::rethrow_exception(hook.thrown);
    check(status);
}

/* Rows of features, one for each picture. */
std::vector<float> embed(sslcv_context *context, sslcv_dataset *pictures, sslcv_backbone *backbone, int size,
                         int64_t &dim)
{
    Handle<sslcv_augmenter> augmenter = make<sslcv_augmenter>(sslcv_augmenter_create, context);
    int64_t view;
    check(sslcv_augmenter_add_preset(augmenter.get(), "eval", size, &view, nullptr));
    sslcv_branch branch;
    check(sslcv_branch_init(&branch, sizeof branch));
    branch.views = &view;
    branch.num_views = 1;
    branch.backbone = backbone;
    branch.flags = 0;
    const sslcv_branch *branches = &branch;
    sslcv_embed_options options;
    check(sslcv_embed_options_init(&options, sizeof options));
    options.dataset = pictures;
    options.augmenter = augmenter.get();
    options.branches = &branches;
    options.num_branches = 1;

    sslcv_tensor features;
    features.data = nullptr;
    check(sslcv_embed(&options, &features, nullptr)); /* only asks for the shape */
    dim = features.shape[1];
    std::vector<float> values(static_cast<std::size_t>(features.shape[0] * dim));
    features.data = values.data();
    check(sslcv_embed(&options, &features, nullptr));
    return values;
}

void pretrain(int epochs)
{
    const int size = 32;
    Handle<sslcv_context> context = make<sslcv_context>(sslcv_context_create, nullptr);
    Handle<sslcv_dataset> pictures = draw_pictures(context.get(), 64, size);

    sslcv_backbone_options net;
    check(sslcv_backbone_options_init(&net, sizeof net, SSLCV_BACKBONE_RESNET18));
    net.stem = SSLCV_STEM_CIFAR;
    net.width = 0.25;
    Handle<sslcv_backbone> backbone = make<sslcv_backbone>(sslcv_backbone_create, context.get(), &net);

    const std::string settings = "batch=32 epochs=" + std::to_string(epochs);
    sslcv_backbone *const backbones[] = {backbone.get()};
    sslcv_method_options method;
    check(sslcv_method_options_init(&method, sizeof method));
    method.dataset = pictures.get();
    method.backbones = backbones;
    method.num_backbones = 1;
    method.settings = settings.c_str();
    Handle<sslcv_trainer> trainer = make<sslcv_trainer>(sslcv_method_create, context.get(), "simclr", &method);

    Hook hook;
    hook.call = [](const sslcv_progress &p) {
        std::cout << "epoch " << p.epoch + 1 << " of " << p.num_epochs << ": loss " << p.loss << '\n';
    };
    run(trainer.get(), hook);

    int64_t dim = 0;
    const std::vector<float> features = embed(context.get(), pictures.get(), backbone.get(), size, dim);
    std::cout << features.size() / static_cast<std::size_t>(dim) << " pictures, " << dim << " features each\n";
}

} // namespace

int main(int argc, char **argv)
{
    try {
        pretrain(argc > 1 ? std::max(1, std::atoi(argv[1])) : 2);
        return 0;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
