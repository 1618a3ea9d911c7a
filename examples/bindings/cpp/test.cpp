// sslcv.hpp: the whole way from pictures to features, each kind of callback, and what happens when one throws.
#include <sslcv/sslcv.hpp>

#include <atomic>
#include <cmath>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

namespace
{

const int64_t size = 16, pictures = 64;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) throw std::logic_error(std::to_string(__LINE__) + ": " #condition);                          \
    } while (0)

/** What the call throws, or a failure of the test. */
template <class E, class F> E thrown(F &&call)
{
    try {
        call();
    } catch (const E &error) {
        return error;
    }
    throw std::logic_error("nothing was thrown");
}

struct host_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** Stripes in one of two directions and three colours, with noise. */
std::vector<uint8_t> draw()
{
    std::vector<uint8_t> pixels(pictures * 3 * size * size);
    std::mt19937 random(1);
    size_t i = 0;
    for (int64_t n = 0; n < pictures; n++) {
        for (int64_t c = 0; c < 3; c++) {
            for (int64_t p = 0; p < size * size; p++) {
                const int64_t along = n % 2 ? p % size : p / size;
                pixels[i++] = static_cast<uint8_t>(60 + random() % 80 + (c == n % 3 && along % 8 < 4 ? 60 : 0));
            }
        }
    }
    return pixels;
}

struct rig {
    sslcv::context context;
    std::vector<uint8_t> pixels = draw();
    std::vector<int64_t> labels;
    sslcv::dataset photos;

    static sslcv::context make_context()
    {
        sslcv::context_options options;
        options.threads = 1;
        options.seed = 7;
        return sslcv::context(options);
    }
    rig() : context(make_context()), photos(context)
    {
        for (int64_t n = 0; n < pictures; n++) labels.push_back(n % 4);
        photos.add({pixels.data(), {pictures, 3, size, size}}, labels);
    }
    sslcv::backbone backbone() const
    {
        sslcv::backbone_options options(SSLCV_BACKBONE_RESNET18);
        options.stem = SSLCV_STEM_CIFAR;
        options.width = 0.125;
        options.seed = 3;
        return sslcv::backbone(context, options);
    }
    sslcv::trainer trainer(const sslcv::dataset *other = nullptr) const
    {
        const sslcv::backbone network = backbone();
        sslcv::method_options options;
        options.dataset = other ? other->get() : photos.get();
        options.settings = "batch=16 size=16 epochs=2";
        options.seed = 5;
        options.use({&network});
        return sslcv::trainer(context, "simclr", options);
    }
    sslcv::array features(const sslcv::dataset &images, const sslcv::backbone &network) const
    {
        const sslcv::augmenter view(context, "eval-cifar", size);
        sslcv::branch branch({0}, network);
        branch.flags = 0;
        return sslcv::embedding(images, view, {&branch}).features();
    }
    /** Picture n as the library takes it. */
    sslcv::tensor picture(int64_t n) const
    {
        return {&pixels[static_cast<size_t>(n * 3 * size * size)], {3, size, size}};
    }
};

void pretrain_embed_save_reload()
{
    const rig r;
    sslcv::trainer trainer = r.trainer();
    std::vector<double> losses;
    trainer.add_hook([&](const sslcv_progress &now) { losses.push_back(now.loss); });
    const sslcv::array before = r.features(r.photos, trainer.get_backbone());
    trainer.run();
    CHECK(losses.size() == 8 && std::isfinite(losses.back()));
    const sslcv::array after = r.features(r.photos, trainer.get_backbone());
    CHECK(after.rows() == pictures && after.columns() == 64 && after.row(1).size() == 64);
    CHECK(after.values != before.values);
    trainer.get_backbone().get_state().save("cpp.safetensors", sslcv::save_options(), {{"who", "test.cpp"}});
    const sslcv::backbone again = sslcv::backbone::load(r.context, "cpp.safetensors");
    CHECK(r.features(r.photos, again).values == after.values);
    std::stringstream memory;
    again.get_state().save(memory);
    CHECK(r.features(r.photos, sslcv::backbone::load(r.context, memory)).values == after.values);
}

void errors_have_status_and_message()
{
    sslcv::context_options options;
    options.threads = -1;
    const sslcv::error error = thrown<sslcv::error>([&] { sslcv::context context(options); });
    CHECK(error.status() == SSLCV_ERR_INVALID_ARGUMENT);
    CHECK(std::string(error.what()).find("threads is -1; must be 0 .. 4096") != std::string::npos);
    CHECK(sslcv::last_error() == error.what());
    const rig r;
    CHECK(thrown<sslcv::error>([&] { r.photos.get_sample(pictures); }).status() == SSLCV_ERR_NOT_FOUND);
    CHECK(thrown<sslcv::error>([&] { sslcv::state::open(r.context, "nowhere"); }).status() == SSLCV_ERR_NOT_FOUND);
    std::stringstream damaged("this is no file of tensors, whatever it says");
    CHECK(thrown<sslcv::error>([&] { sslcv::state::open(r.context, damaged); }).status() == SSLCV_ERR_FORMAT);
    CHECK(sslcv::status_name(SSLCV_ERR_FORMAT) == "format" || !sslcv::status_name(SSLCV_ERR_FORMAT).empty());
}

void cancelled_runs_go_on()
{
    rig r;
    sslcv::trainer whole = r.trainer(), part = r.trainer();
    whole.run();
    part.add_hook([](const sslcv_progress &now) { return now.step != 2; });
    CHECK(thrown<sslcv::error>([&] { part.run(); }).status() == SSLCV_ERR_CANCELLED);
    part.add_hook([&](const sslcv_progress &now) {
        if (now.step == 4) std::thread([&] { r.context.cancel(); }).join();
    });
    CHECK(thrown<sslcv::error>([&] { part.run(); }).status() == SSLCV_ERR_CANCELLED);
    CHECK(r.context.get_info().cancelled == 1);
    r.context.cancel(false);
    part.add_hook([](sslcv::trainer &its, const sslcv_progress &now) {
        its.set_metric("mine", 1.5);
        if (now.step == 6) throw host_error("in a hook");
    });
    CHECK(thrown<host_error>([&] { part.run(); }).what() == std::string("in a hook"));
    part.run();
    CHECK(part.get_backbone().get_state().get_flat() == whole.get_backbone().get_state().get_flat());
    bool found = false;
    for (const sslcv::metric &metric : part.metrics()) found = found || (metric.name == "mine" && metric.value == 1.5);
    CHECK(found);
    const auto alive = std::make_shared<int>(0);
    const auto hook = [alive](const sslcv_progress &) {};
    part.add_hook(hook);
    CHECK(alive.use_count() == 3);
    thrown<sslcv::error>([&] { part.add_hook(hook, SSLCV_EVENT_STEP, 0); }); // refused, and so freed
    CHECK(alive.use_count() == 3);
    part = std::move(whole);
    CHECK(alive.use_count() == 2);
}

void a_loss_of_ones_own()
{
    const rig r;
    const auto alive = std::make_shared<int>(0);
    std::vector<float> z = {1, 2, 3, 4}, diff(4);
    {
        sslcv::loss_functions functions;
        functions.compute = [alive](sslcv::state &state, sslcv_loss_call &call) {
            const auto weight = state.data(0).values<float>();
            const auto in = sslcv::tensor(call.inputs[0]).values<const float>();
            call.value = 0;
            for (size_t i = 0; i < in.size(); i++) {
                call.value += weight[0] * in[i] * in[i];
                if (call.diff_inputs) {
                    sslcv::tensor(call.diff_inputs[0]).values<float>()[i] =
                        static_cast<float>(2 * call.scale) * weight[0] * in[i];
                }
            }
        };
        sslcv::loss squares = sslcv::loss::custom(r.context, functions);
        sslcv::state state = squares.get_state();
        state.add("weight", {1}, SSLCV_ROLE_WEIGHT);
        const float three = 3;
        state.set_values(*state.find("weight"), {&three, {1}});
        CHECK(squares.compute({z.data(), {2, 2}}, {diff.data(), {2, 2}}) == 90);
        CHECK((diff == std::vector<float>{6, 12, 18, 24}));
        sslcv::trainer trainer = r.trainer();
        trainer.set_loss(0, squares);
        CHECK(trainer.step().loss > 0);
        functions.compute = [](sslcv::state &, sslcv_loss_call &) { throw host_error("in a loss"); };
        thrown<host_error>([&] { sslcv::loss::custom(r.context, functions).compute({z.data(), {2, 2}}); });
        functions.num_inputs = 99; // refused: the table is not taken, and what is behind it is freed here
        thrown<sslcv::error>([&] { sslcv::loss::custom(r.context, functions); });
        CHECK(alive.use_count() == 2);
    }
    CHECK(alive.use_count() == 1);
}

void a_head_of_ones_own()
{
    const rig r;
    sslcv::head_functions functions;
    uint64_t random = 0;
    functions.forward = [&](sslcv::state &, const sslcv::tensor &in, sslcv::tensor &out, const sslcv_pass &how) {
        random = how.random;
        for (int64_t i = 0; i < in.count(); i++) out.values<float>()[size_t(i)] = 2 * in.values<float>()[size_t(i)];
    };
    functions.backward = [&](sslcv::state &, const sslcv::tensor &, const sslcv::tensor &,
                             const sslcv::tensor &diff_out, sslcv::tensor &diff_in, const sslcv_pass &how) {
        CHECK(how.random == random && random != 0);
        for (int64_t i = 0; i < diff_in.count(); i++) {
            diff_in.values<float>()[size_t(i)] = 2 * diff_out.values<float>()[size_t(i)];
        }
    };
    sslcv::head doubles = sslcv::head::custom(r.context, 3, 3, functions);
    sslcv::tape tape(r.context);
    const std::vector<float> x = {1, 2, 3};
    doubles.forward({x.data(), {1, 3}}, tape);
    CHECK(tape.output().values<float>()[2] == 6);
    tape.backward({x.data(), {1, 3}});
    CHECK(tape.diff_input().values<float>()[1] == 4);
    functions.forward = [](sslcv::state &, const sslcv::tensor &, sslcv::tensor &, const sslcv_pass &) {
        throw host_error("head");
    };
    thrown<host_error>([&] { sslcv::head::custom(r.context, 3, 3, functions).forward({x.data(), {1, 3}}, tape); });
}

void images_of_ones_own()
{
    rig r;
    std::atomic<int> loaded{0}, unloaded{0};
    const auto alive = std::make_shared<int>(0);
    sslcv::image_source source;
    source.load = [&, alive](int64_t n) {
        if (n == 5) throw host_error("picture 5");
        loaded++;
        return r.picture(n);
    };
    source.unload = [&](int64_t, const sslcv::tensor &) { unloaded++; };
    source.label = [](int64_t n) { return n % 4; };
    sslcv::dataset_options strict(SSLCV_DATASET_CALLBACK);
    strict.on_error = SSLCV_ON_ERROR_FAIL;
    {
        const sslcv::backbone network = r.backbone();
        sslcv::dataset fragile = sslcv::dataset::callback(r.context, pictures, source, strict);
        CHECK(fragile.get_info().num_classes == 4 && fragile.get_sample(6).label == 2);
        CHECK(std::string(thrown<host_error>([&] { r.features(fragile, network); }).what()) == "picture 5");
        std::vector<uint8_t> pixels(3 * size * size);
        CHECK(fragile.describe(6).extents()[1] == size);
        fragile.read(6, {pixels.data(), {3, size, size}});
        CHECK(std::equal(pixels.begin(), pixels.end(), r.picture(6).values<uint8_t>().begin()));
        sslcv::dataset patient = sslcv::dataset::callback(r.context, pictures, source);
        const sslcv::array features = r.features(patient, network), all = r.features(r.photos, network);
        CHECK(patient.get_info().failed == 1);
        CHECK(std::equal(features.row(6).begin(), features.row(6).end(), all.row(6).begin()));
        source.label = [](int64_t) -> int64_t { throw host_error("label"); };
        thrown<host_error>([&] { sslcv::dataset::callback(r.context, pictures, source); });
    }
    CHECK(loaded > 0 && loaded == unloaded);
    source = {};
    CHECK(alive.use_count() == 1);

    sslcv::augmenter inverted(r.context);
    inverted.add(inverted.add_view(), [](const sslcv::tensor &src, sslcv::tensor &dst, uint64_t) {
        for (int64_t i = 0; i < src.count(); i++) dst.values<float>()[size_t(i)] = 1 - src.values<float>()[size_t(i)];
    });
    const sslcv::array view = inverted.apply(r.picture(0), 0);
    CHECK(std::abs(view.values[7] - (1 - static_cast<float>(r.pixels[7]) / 255)) < 1e-6f);
    sslcv::augmenter failing(r.context);
    failing.add(failing.add_view(),
                [](const sslcv::tensor &, sslcv::tensor &, uint64_t) { throw host_error("transform"); });
    thrown<host_error>([&] { failing.apply(r.picture(0), 0); });
}

void a_log_lives_as_long_as_its_context()
{
    const auto lines = std::make_shared<int>(0);
    {
        sslcv::context_options options;
        options.log_level = SSLCV_LOG_DEBUG;
        sslcv::context loud(options, [lines](int32_t, std::string_view line) {
            *lines += !line.empty();
            throw host_error("nobody sees this");
        });
        const sslcv::state state(loud);
        loud = rig::make_context();
        CHECK(lines.use_count() == 2 && *lines > 0);
        options.threads = -1;
        thrown<sslcv::error>([&] { sslcv::context(options, [lines](int32_t, std::string_view) {}); });
        CHECK(lines.use_count() == 2);
    }
    CHECK(lines.use_count() == 1);
}

void lists_are_iterated()
{
    const rig r;
    int count = 0, entries = 0, batches = 0;
    for (const std::string_view name : sslcv::methods()) count += name == "simclr" || name == "dino";
    CHECK(count == 2);
    CHECK(sslcv::method_settings("simclr").find("epochs=") != std::string::npos);
    std::string stages;
    for (const sslcv::stage &stage : r.backbone().stages()) stages += std::string(stage.name) + " ";
    CHECK(stages == "stem layer1 layer2 layer3 layer4 ");
    for (const sslcv_state_entry &entry : r.backbone().get_state().entries()) entries += entry.ndim >= 0;
    CHECK(entries > 60);
    count = 0;
    for (const sslcv_view_info &view : sslcv::augmenter(r.context, "dino", 32).views()) count += view.rows == 1;
    for (const sslcv_sample &sample : r.photos.samples()) count += sample.label == 1;
    for (const std::string_view name : r.photos.classes()) count += name.empty();
    CHECK(count == 10 + 16 + 4);
    sslcv::loader_options options;
    options.batch_size = 16;
    sslcv::loader loader(r.context, r.photos, sslcv::augmenter(r.context, "simclr-cifar", size), options);
    for (const sslcv_batch &batch : loader.epoch()) {
        CHECK(batch.size == 16 && loader.get_views({0, 1}).shape[0] == 32);
        batches++;
    }
    CHECK(batches == 4 && loader.next().epoch == 1);
}

void several_labels_an_image()
{
    const rig r;
    sslcv::trainer_options options;
    const sslcv::schedule rate(0.1);
    const sslcv::optimizer sgd(r.context, sslcv::optimizer_options(SSLCV_OPTIMIZER_SGD));
    options.optimizer = sgd.get();
    options.learning_rate = &rate;
    options.epochs = 1;
    options.steps_per_epoch = 2;
    sslcv::trainer trainer(r.context, options);
    const sslcv::backbone network = r.backbone();
    sslcv::mlp_options linear;
    linear.in_dim = network.get_info().feature_dim;
    linear.out_dim = 4;
    linear.num_layers = 1;
    const sslcv::head classes(r.context, linear);
    const sslcv::branch branch({0}, network, {&classes});
    trainer.add_loss(sslcv::loss(r.context, sslcv::binary_cross_entropy_options()), {trainer.add_branch(branch)});
    std::vector<float> pixels(8 * 3 * size * size), yes(8 * 4);
    for (size_t i = 0; i < pixels.size(); i++) pixels[i] = static_cast<float>(i * 37 % 101) / 101;
    for (size_t i = 0; i < yes.size(); i++) yes[i] = i % 3 == 0;
    const sslcv::tensor view(pixels.data(), {8, 3, size, size}), targets(yes.data(), {8, 4});
    const double first = trainer.step_views({view}, {}, {}, {}, &targets).loss;
    CHECK(trainer.step_views({view}, {}, {}, {}, &targets).loss < first);
}

void composed_by_hand()
{
    const rig r;
    sslcv::trainer_options options;
    const sslcv::schedule rate(0.05, SSLCV_SCHEDULE_COSINE);
    const sslcv::augmenter views(r.context, "simclr-cifar", size);
    const sslcv::optimizer sgd(r.context, sslcv::optimizer_options(SSLCV_OPTIMIZER_SGD));
    options.dataset = r.photos.get();
    options.augmenter = views.get();
    options.optimizer = sgd.get();
    options.learning_rate = &rate;
    options.batch_size = 16;
    options.epochs = 1;
    sslcv::trainer trainer(r.context, options);
    const sslcv::backbone network = r.backbone();
    sslcv::mlp_options projection;
    projection.in_dim = network.get_info().feature_dim;
    projection.out_dim = 8;
    const sslcv::head head(r.context, projection);
    std::vector<sslcv::branch> branches;
    branches.emplace_back(std::initializer_list<int64_t>{0, 1}, network, std::vector<const sslcv::head *>{&head});
    branches.reserve(8); // moves it
    const int64_t first = trainer.add_branch(branches[0]);
    trainer.add_loss(sslcv::loss(r.context, sslcv::info_nce_options()), {first});
    const sslcv::augmenter view(r.context, "eval-cifar", size);
    sslcv::branch plain({0}, network);
    plain.flags = 0;
    sslcv::probe_options knn(SSLCV_PROBE_KNN);
    knn.neighbors = 5;
    const sslcv::embedding all(r.photos, view, {&plain});
    sslcv::probe(r.context, knn).watch(trainer, "knn", all, all);
    trainer.keep_best("knn.top1");
    sslcv::scalars(r.context, "scalars.jsonl").watch(trainer);
    CHECK(trainer.describe().find("branch") != std::string::npos);
    trainer.run();
    CHECK(trainer.take_best().first > 0 && trainer.get_memory().total > 0);
    CHECK(trainer.get_head().get_info().out_dim == 8 && trainer.get_loss().get_info().kind == std::string("info_nce"));

    const sslcv::array features = all.features();
    const sslcv::neighbours near = sslcv::nearest(r.context, features.view(), features.view(), 3);
    CHECK(near.indices[0] == 0 && near.indices[3] == 1);
    sslcv::kmeans_options four;
    four.clusters = 4;
    const sslcv::clusters groups = sslcv::kmeans(r.context, features.view(), four);
    CHECK(sslcv::nmi(r.context, groups.assignments, groups.assignments) > 0.999);
    CHECK(sslcv::pca_whiten(r.context, features.view(), 2).columns() == 2);
    sslcv::probe linear = sslcv::probe::preset(r.context, "moco");
    linear.fit(features.view(), r.labels);
    const sslcv::array scores = linear.predict(features.view());
    std::vector<int64_t> confusion;
    CHECK(sslcv::compute_metrics(r.context, scores.view(), r.labels, &confusion).count == pictures);
    CHECK(confusion.size() == 16);
    thrown<std::invalid_argument>([&] { linear.fit(features.view(), {0, 1}); });
    CHECK(sslcv::compute_figure(r.context, scores.view(), r.labels, sslcv::figure_options(SSLCV_FIGURE_TOP_K)).count ==
          pictures);
    CHECK(sslcv::compute_spread(r.context, features.view()).effective_rank >= 1);
}

void a_model_for_others()
{
    const rig r;
    const sslcv::backbone network = r.backbone();
    const sslcv::branch branch({0}, network);
    std::ostringstream model;
    if (std::string(sslcv_build_info()).find("protobuf-c=none") != std::string::npos) {
        thrown<sslcv::error>([&] { sslcv::save_onnx(branch, model); });
        return;
    }
    sslcv::save_onnx(branch, model);
    CHECK(model.str().find("layer4.1.conv2.weight") != std::string::npos);
    sslcv::onnx_options options;
    options.opset = 3;
    thrown<sslcv::error>([&] { sslcv::save_onnx(branch, "network.onnx", options); });
}

void handles_in_any_order()
{
    sslcv::context context = rig::make_context();
    sslcv::dataset photos(context);
    sslcv::dataset second = sslcv::share(photos);
    const std::vector<uint8_t> pixel(3 * 4 * 4);
    second.add({pixel.data(), {3, 4, 4}});
    CHECK(photos.size() == 1);
    context = rig::make_context();
    photos = sslcv::dataset(context);
    CHECK(second.size() == 1 && photos.size() == 0);
    int released = 0;
    const std::vector<float> row = {1, 2, 3};
    void *dlpack = sslcv::tensor(row.data(), {3}).to_dlpack([&] { released++; });
    CHECK(sslcv::tensor::from_dlpack(dlpack).values<float>()[2] == 3);
    struct managed { // DLManagedTensor, as far as its deleter
        unsigned char tensor[48];
        void *owner;
        void (*deleter)(managed *);
    };
    static_cast<managed *>(dlpack)->deleter(static_cast<managed *>(dlpack));
    CHECK(released == 1);
}

} // namespace

int main()
{
    const std::pair<const char *, void (*)()> tests[] = {
        {"pretrain_embed_save_reload", pretrain_embed_save_reload},
        {"errors_have_status_and_message", errors_have_status_and_message},
        {"cancelled_runs_go_on", cancelled_runs_go_on},
        {"a_loss_of_ones_own", a_loss_of_ones_own},
        {"a_head_of_ones_own", a_head_of_ones_own},
        {"images_of_ones_own", images_of_ones_own},
        {"a_log_lives_as_long_as_its_context", a_log_lives_as_long_as_its_context},
        {"lists_are_iterated", lists_are_iterated},
        {"several_labels_an_image", several_labels_an_image},
        {"composed_by_hand", composed_by_hand},
        {"a_model_for_others", a_model_for_others},
        {"handles_in_any_order", handles_in_any_order},
    };
    int count = 0, failures = 0;
    for (const auto &[name, test] : tests) {
        try {
            count++;
            test();
        } catch (const std::exception &error) {
            std::cout << name << ": " << error.what() << '\n';
            failures++;
        }
    }
    std::cout << "bindings/cpp: " << count << " tests, " << failures << " failures\n";
    return failures > 0;
}
