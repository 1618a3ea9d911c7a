/*
 * Checkpoints from strangers, or from a disk that has gone bad: loaded into a trainer that has made a step. All or
 * nothing; and a trainer that took one goes on, whatever positions, counters and queues it has been told.
 */
#include "states.h"
#include "world.h"

enum { SAMPLES = WORLD_SAMPLES, DIM = WORLD_DIM, LOSSES = 6, MOST_FILE = 64 << 10 };

/** Clusters are made of what has passed. */
static void pass_data(sslcv_loss *cluster)
{
    static const int64_t shape[3] = {2, SAMPLES, DIM}, ids[SAMPLES] = {0, 1, 2, 3, 4, 5};
    float rows[2 * SAMPLES * DIM];
    sslcv_loss_call call;
    sslcv_tensor input;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) rows[i] = (float)(i * 7 % 11) - 5;
    MUST(sslcv_tensor_init(&input, SSLCV_F32, rows, 3, shape));
    MUST(sslcv_loss_call_init(&call, sizeof call));
    call.inputs = &input;
    call.num_inputs = 1;
    call.ids = ids;
    MUST(sslcv_loss_compute(cluster, &call));
}

/** Every loss that remembers, so that what it remembers can be wrong. */
static void make_losses(sslcv_context *context, sslcv_loss *losses[LOSSES])
{
    sslcv_info_nce_options info_nce;
    sslcv_nce_bank_options bank;
    sslcv_swapped_options swapped;
    sslcv_cluster_options cluster;
    sslcv_dino_options dino;

    MUST(sslcv_info_nce_options_init(&info_nce, sizeof info_nce));
    info_nce.queue_size = 4;
    info_nce.dim = DIM;
    MUST(sslcv_loss_create_info_nce(context, &info_nce, &losses[0]));
    MUST(sslcv_nce_bank_options_init(&bank, sizeof bank));
    bank.num_samples = SAMPLES;
    bank.num_negatives = 2;
    bank.dim = DIM;
    MUST(sslcv_loss_create_nce_bank(context, &bank, &losses[1]));
    MUST(sslcv_dino_options_init(&dino, sizeof dino));
    dino.dim = DIM;
    MUST(sslcv_loss_create_dino(context, &dino, &losses[2]));
    MUST(sslcv_swapped_options_init(&swapped, sizeof swapped));
    swapped.dim = DIM;
    swapped.num_prototypes = 3;
    swapped.queue_size = 4;
    swapped.queue_start_epoch = 0;
    MUST(sslcv_loss_create_swapped(context, &swapped, &losses[3]));
    MUST(sslcv_cluster_options_init(&cluster, sizeof cluster));
    cluster.num_samples = SAMPLES;
    cluster.dim = DIM;
    cluster.num_prototypes = 2;
    cluster.num_sets = 1;
    cluster.iterations = 1;
    MUST(sslcv_loss_create_cluster(context, &cluster, &losses[4]));
    pass_data(losses[4]);
    MUST(sslcv_loss_create_cross_entropy(context, NULL, &losses[5]));
}

static void compose(sslcv_context *context, sslcv_trainer *trainer, sslcv_loss *losses[LOSSES])
{
    static const int64_t views[2] = {0, 1}, pair[2] = {0, 1}, both[2] = {2, 1};
    sslcv_head *head = world_head(context);
    sslcv_branch branch;
    int i;

    for (i = 0; i < 3; i++) {
        MUST(sslcv_branch_init(&branch, sizeof branch));
        branch.views = views + (i == 1);
        branch.num_views = i < 2 ? 1 : 2;
        branch.heads = &head;
        branch.num_heads = 1;
        branch.momentum = i == 1;
        if (i == 1) branch.flags = SSLCV_PASS_TRAIN;
        MUST(sslcv_trainer_add_branch(trainer, &branch, NULL));
    }
    sslcv_head_destroy(head);
    for (i = 0; i < LOSSES; i++) {
        const int64_t one = i == 5 ? 0 : 2;

        if (i == 2) {
            MUST(sslcv_trainer_add_loss(trainer, losses[i], both, 2, 1, NULL));
        } else {
            MUST(sslcv_trainer_add_loss(trainer, losses[i], i < 2 ? pair : &one, i < 2 ? 2 : 1, 1, NULL));
        }
        sslcv_loss_destroy(losses[i]);
    }
}

static sslcv_trainer *make_trainer(sslcv_context *context)
{
    static const int64_t labels[SAMPLES] = {2, 1, 0, 3, 1, 0};
    const sslcv_schedule rate = world_rate();
    sslcv_trainer_options options = world_trainer_options(&rate);
    sslcv_loss *losses[LOSSES];
    sslcv_trainer *trainer;

    options.dataset = world_dataset(context);
    options.augmenter = world_augmenter(context);
    options.optimizer = world_optimizer(context);
    MUST(sslcv_trainer_create(context, &options, &trainer));
    sslcv_optimizer_destroy(options.optimizer);
    sslcv_augmenter_destroy(options.augmenter);
    sslcv_dataset_destroy(options.dataset);
    make_losses(context, losses);
    compose(context, trainer, losses);
    MUST(sslcv_trainer_keep_best(trainer, "loss", 1));
    MUST(sslcv_trainer_set_labels(trainer, labels, SAMPLES));
    return trainer;
}

/**
 * A good file with places of its tensors overwritten, of its header where the first bit says so: place (2 bytes), how (1
 * byte), then so many bytes, or one byte that becomes a counter of 8: a small number, or one as near to an end of all
 * numbers.
 */
static file patched(fuzz_input *in, const file *good)
{
    file f = {0};
    uint64_t header;

    file_put(&f, good->bytes, good->size);
    memcpy(&header, f.bytes, sizeof header);
    while (in->left > 3) {
        const uint64_t where = take(in, 2), how = take(in, 1);
        const size_t first = where & 0x8000 ? 0 : sizeof header + (size_t)header;
        size_t place = first + (size_t)(where & 0x7fff) % (f.size - first), count = (size_t)how % 17;

        if (how >= 128) {
            const int64_t near = (int8_t)take(in, 1);
            const int64_t counter = how < 240 ? near : near < 0 ? INT64_MAX + near + 1 : INT64_MIN + near;

            place = place / sizeof counter * sizeof counter; /* as tensors of 8 bytes are */
            if (f.size - place >= sizeof counter) memcpy(f.bytes + place, &counter, sizeof counter);
            continue;
        }
        if (count > in->left) count = in->left;
        if (count > f.size - place) count = f.size - place;
        memcpy(f.bytes + place, in->bytes, count);
        in->bytes += count;
        in->left -= count;
    }
    return f;
}

/** The checkpoint as the input has it. Checksums are made right, or no changed file would get beyond them. */
static file stranger(fuzz_input *in, const file *good)
{
    const uint64_t flags = take(in, 1);
    file f = {0}, mended;

    if (flags & 1) {
        f = patched(in, good);
    } else {
        file_put(&f, in->bytes, in->left);
    }
    if ((flags & 2) || f.size < 8) return f;
    mended = file_mended(f.bytes + 8, f.size - 8);
    file_free(&f);
    return mended;
}

static void go_on(sslcv_trainer *trainer)
{
    sslcv_progress progress = {.struct_size = sizeof progress};
    double value;
    int64_t epoch;
    int i;

    for (i = 0; i < 4; i++) {
        if (sane(sslcv_trainer_step(trainer, &progress))) REQUIRE(progress.step >= 1);
    }
    sane(sslcv_trainer_take_best(trainer, &value, &epoch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    fuzz_memory memory;
    sslcv_context *context = fuzz_context(&memory, 8 << 20);
    sslcv_trainer *trainer = make_trainer(context);
    sslcv_load_options options;
    sslcv_state *state;
    sslcv_stream stream;
    file good, f, after;

    MUST(sslcv_trainer_step(trainer, NULL));
    MUST(sslcv_trainer_get_state(trainer, &state));
    good = saved(state, SSLCV_FORMAT_SAFETENSORS);
    REQUIRE(good.bytes && good.size < MOST_FILE);
    f = stranger(&in, &good);
    file_trim(&f);
    stream = file_stream(&f, 0);
    options = load_options(&stream);
    if (sane(sslcv_state_load(state, NULL, &options, NULL))) {
        go_on(trainer);
    } else {
        after = saved(state, SSLCV_FORMAT_SAFETENSORS);
        REQUIRE(after.size == good.size && memcmp(after.bytes, good.bytes, good.size) == 0);
        file_free(&after);
        MUST(sslcv_trainer_step(trainer, NULL));
    }
    file_free(&f);
    file_free(&good);
    sslcv_state_destroy(state);
    sslcv_trainer_destroy(trainer);
    fuzz_end(context, &memory);
    return 0;
}
