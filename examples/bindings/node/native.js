/**
 * The C interface by koffi: structs, functions, failures, callbacks. index.js makes classes of it.
 *
 * Every pointer in a struct is a number here, taken from memory that the caller keeps for the call. So koffi copies
 * structs, and arrays go as they are.
 */
import koffi from 'koffi';

const lib = koffi.load(process.env.SSLCV_LIBRARY ?? 'libsslcv.so.0');

/**
 * Structs as the headers have them, pointers as void *. test/layout.test.js compares them with a C compiler's.
 */
export const structs = {
    sslcv_tensor: 'void *data; int64_t shape[8], strides[8]; int32_t ndim, dtype;',
    sslcv_context_options: `size_t struct_size; int32_t threads, loader_threads, precision, winograd; uint64_t seed;
        void *allocator, *log, *log_user; int32_t log_level, reserved; void *tuning_path,
        *log_destroy;`,
    sslcv_context_info: `size_t struct_size; int32_t threads, loader_threads, precision, cancelled; void *cpu;
        int64_t bytes;`,
    sslcv_dataset_options: `size_t struct_size; int32_t kind, part, label_folders, on_error, channels, cache;
        void *path, *labels_path; int64_t count, num_classes, max_pixels, max_file_bytes, max_cache_bytes;
        void *callbacks; int64_t min_side;`,
    sslcv_dataset_info: 'size_t struct_size; int64_t count, num_classes, channels, height, width, failed;',
    sslcv_sample: 'size_t struct_size; void *name; int64_t label;',
    sslcv_backbone_options: `size_t struct_size; int32_t architecture, stem, norm, zero_init_residual, project_all,
        num_stages, preactivation, reserved; int64_t channels, stem_channels, image_size; double width, norm_epsilon,
        norm_momentum; uint64_t seed;`,
    sslcv_backbone_info: `size_t struct_size; int64_t channels, feature_dim, num_parameters; int32_t num_stages,
        frozen_stages, architecture, stem, norm, preactivation; double width; int64_t stem_channels, image_size;`,
    sslcv_mlp_options: `size_t struct_size; int64_t in_dim, hidden_dim, out_dim; double dropout, init_std;
        uint64_t seed; int32_t num_layers, norm, last_norm, activation, bias, last_bias, normalize, reserved;`,
    sslcv_state_entry: `size_t struct_size; void *name; int64_t shape[8]; int32_t ndim, dtype, role, frozen;`,
    sslcv_load_options: `size_t struct_size; int32_t partial, adapt_input, roles, reserved; void *prefix;
        int64_t max_bytes; void *stream;`,
    sslcv_load_report: `size_t struct_size; int64_t matched, missing, unexpected, adapted; void *text;
        int64_t text_size, text_needed; char layout[32];`,
    sslcv_info_nce_options: `size_t struct_size; double temperature; int64_t queue_size, dim; uint64_t seed;
        int32_t reduction, reserved;`,
    sslcv_loss_call: `size_t struct_size; void *inputs, *diff_inputs; int64_t num_inputs; void *ids, *labels, *targets;
        int64_t step, epoch; double scale; int32_t flags, reserved; double value;`,
    sslcv_optimizer_options: `size_t struct_size; int32_t kind, nesterov; double momentum, weight_decay, beta1, beta2,
        epsilon, trust, clip_norm; int32_t decay_roles, adapt_roles, trust_clip, clip_each;`,
    sslcv_schedule: `size_t struct_size; int32_t kind, by_epoch; double value, end_value, warmup_start, warmup_epochs;
        int32_t warmup_reaches, num_milestones; double gamma, milestones[8];`,
    sslcv_branch: `size_t struct_size; int64_t source; void *views; int64_t num_views; void *backbone, *heads;
        int64_t num_heads; void *stage; int32_t flags, bn_splits, grouping, head_grouping, momentum, detach;`,
    sslcv_trainer_options: `size_t struct_size; void *dataset, *augmenter, *optimizer, *learning_rate, *weight_decay,
        *ema_momentum, *checkpoint_path; int64_t batch_size, epochs, steps_per_epoch, prefetch, memory_budget,
        micro_batch, checkpoint_epochs; double checkpoint_seconds; uint64_t seed; int32_t sampler, drop_last, ema_when,
        ema_random_init, resume, generations;`,
    sslcv_progress: `size_t struct_size; int32_t event, reserved; int64_t step, num_steps, epoch, num_epochs;
        double loss, learning_rate, embedding_std, images_per_second, seconds, seconds_left;`,
    sslcv_hook: 'size_t struct_size; void *user, *call, *destroy; int64_t every; int32_t events, reserved;',
    sslcv_method_options: `size_t struct_size; void *dataset, *backbones; int64_t num_backbones; void *augmenter,
        *preset, *settings, *checkpoint_path; uint64_t seed; int32_t resume, reserved;`,
    sslcv_embed_options: `size_t struct_size; void *dataset, *augmenter, *branches; int64_t num_branches, batch_size,
        first, count; uint64_t seed; int64_t epoch; int32_t mean_positions, reserved;`,
    sslcv_probe_options: `size_t struct_size; int32_t kind, standardize; int64_t neighbors; double temperature;
        int64_t epochs, batch_size; void *learning_rate; double weight_decay, momentum; uint64_t seed; double c_first,
        c_last; int64_t c_count; double validation; int64_t iterations; double tolerance, first_spread, larc;
        int32_t nesterov, figure;`,
    sslcv_metrics: `size_t struct_size; int64_t count, num_classes; double top1, top5, mean_per_class, top1_low,
        top1_high;`,
};

for (const [name, text] of Object.entries(structs)) {
    /** @type {Record<string, any>} */
    const fields = {};
    for (const line of text
        .split(';')
        .map((part) => part.trim())
        .filter(Boolean)) {
        const [first, ...others] = line.split(',').map((part) => part.trim());
        const at = first.lastIndexOf(' ');
        for (const declarator of [first.slice(at + 1), ...others]) {
            const [, star, field, , length] = /** @type {string[]} */ (/^(\*?)(\w+)(\[(\d+)\])?$/.exec(declarator));
            const type = star ? 'void *' : first.slice(0, at);
            fields[field] = length ? koffi.array(type, Number(length)) : type;
        }
    }
    koffi.struct(name, fields);
}

/** "init name": the options of that kind; else the C prototype behind the name. */
const prototypes = `
    str version_string()
    str status_string(int32_t status)
    str last_error()
    int32_t context_options_init(_Out_ sslcv_context_options *options, size_t size)
    int32_t context_create(sslcv_context_options *options, _Out_ void **context)
    int32_t context_cancel(void *context, int32_t on)
    int32_t context_get_info(void *context, _Inout_ sslcv_context_info *info)
    int32_t tensor_init(_Out_ sslcv_tensor *tensor, int32_t dtype, void *data, int32_t ndim, void *shape)
    int32_t dataset_options_init(_Out_ sslcv_dataset_options *options, size_t size, int32_t kind)
    int32_t dataset_create(void *context, sslcv_dataset_options *options, _Out_ void **dataset)
    int32_t dataset_add_images(void *dataset, sslcv_tensor *image, void *labels, void *index)
    int32_t dataset_add_file(void *dataset, str path, void *bytes, int64_t size, int64_t label, void *index)
    int32_t dataset_get_info(void *dataset, _Inout_ sslcv_dataset_info *info)
    int32_t dataset_get_sample(void *dataset, int64_t index, _Inout_ sslcv_sample *sample)
    int32_t dataset_get_class(void *dataset, int64_t label, _Out_ void **name)
    int32_t dataset_read(void *dataset, int64_t index, _Inout_ sslcv_tensor *image)
    int32_t dataset_subset(void *dataset, void *indices, int64_t count, _Out_ void **subset)
    int32_t augmenter_create(void *context, _Out_ void **augmenter)
    int32_t augmenter_add_preset(void *augmenter, str preset, int64_t size, _Out_ int64_t *first, _Out_ int64_t *count)
    int32_t backbone_options_init(_Out_ sslcv_backbone_options *options, size_t size, int32_t architecture)
    int32_t backbone_create(void *context, sslcv_backbone_options *options, _Out_ void **backbone)
    int32_t backbone_load(void *context, str path, sslcv_load_options *options, _Out_ void **backbone)
    int32_t backbone_clone(void *backbone, _Out_ void **copy)
    int32_t backbone_get_info(void *backbone, _Inout_ sslcv_backbone_info *info)
    int32_t backbone_get_state(void *backbone, _Out_ void **state)
    int32_t mlp_options_init(_Out_ sslcv_mlp_options *options, size_t size)
    int32_t head_create_mlp(void *context, sslcv_mlp_options *options, _Out_ void **head)
    int32_t head_get_state(void *head, _Out_ void **state)
    int32_t load_options_init(_Out_ sslcv_load_options *options, size_t size)
    int32_t state_open(void *context, str path, sslcv_load_options *options, _Out_ void **state)
    int32_t state_save(void *state, str path, void *options)
    int32_t state_load(void *state, str path, sslcv_load_options *options, _Inout_ sslcv_load_report *report)
    int32_t state_get_entry(void *state, int64_t index, _Inout_ sslcv_state_entry *entry)
    int32_t state_find(void *state, str name, _Out_ int64_t *index)
    int32_t state_get(void *state, int64_t index, int32_t part, _Inout_ sslcv_tensor *tensor)
    int32_t state_set(void *state, int64_t index, int32_t part, sslcv_tensor *tensor)
    int32_t state_get_flat(void *state, int32_t roles, void *buffer, int64_t capacity, _Out_ int64_t *count)
    int32_t state_set_flat(void *state, int32_t roles, void *buffer, int64_t count)
    int32_t info_nce_options_init(_Out_ sslcv_info_nce_options *options, size_t size)
    int32_t loss_create_info_nce(void *context, sslcv_info_nce_options *options, _Out_ void **loss)
    int32_t loss_call_init(_Out_ sslcv_loss_call *call, size_t size)
    int32_t loss_compute(void *loss, _Inout_ sslcv_loss_call *call)
    int32_t optimizer_options_init(_Out_ sslcv_optimizer_options *options, size_t size, int32_t kind)
    int32_t optimizer_create(void *context, sslcv_optimizer_options *options, _Out_ void **optimizer)
    int32_t optimizer_add(void *optimizer, void *state, int32_t roles, void *group)
    int32_t schedule_init(_Out_ sslcv_schedule *schedule, size_t size, int32_t kind, double value)
    int32_t branch_init(_Out_ sslcv_branch *branch, size_t size)
    int32_t hook_init(_Out_ sslcv_hook *hook, size_t size)
    int32_t trainer_options_init(_Out_ sslcv_trainer_options *options, size_t size)
    int32_t trainer_create(void *context, sslcv_trainer_options *options, _Out_ void **trainer)
    int32_t trainer_add_branch(void *trainer, sslcv_branch *branch, _Out_ int64_t *index)
    int32_t trainer_add_loss(void *trainer, void *loss, void *branches, int64_t count, double weight, _Out_ int64_t *index)
    int32_t trainer_add_hook(void *trainer, sslcv_hook *hook)
    int32_t trainer_step(void *trainer, _Inout_ sslcv_progress *progress)
    int32_t trainer_run(void *trainer, int64_t max_steps)
    int32_t trainer_describe(void *trainer, void *text, int64_t size, _Out_ int64_t *needed)
    int32_t trainer_get_metric(void *trainer, int64_t index, _Out_ void **name, _Out_ double *value)
    int32_t trainer_set_metric(void *trainer, str name, double value)
    int32_t trainer_get_state(void *trainer, _Out_ void **state)
    int32_t trainer_get_backbone(void *trainer, int64_t branch, int32_t momentum, _Out_ void **backbone)
    str method_name(int64_t index)
    int32_t method_settings(str method, str preset, void *text, int64_t size, _Out_ int64_t *needed)
    int32_t method_options_init(_Out_ sslcv_method_options *options, size_t size)
    int32_t method_create(void *context, str method, sslcv_method_options *options, _Out_ void **trainer)
    int32_t embed_options_init(_Out_ sslcv_embed_options *options, size_t size)
    int32_t embed(sslcv_embed_options *options, _Inout_ sslcv_tensor *features, void *labels)
    int32_t probe_options_init(_Out_ sslcv_probe_options *options, size_t size, int32_t kind)
    int32_t probe_create(void *context, sslcv_probe_options *options, _Out_ void **probe)
    int32_t probe_fit(void *probe, sslcv_tensor *features, void *labels)
    int32_t probe_predict(void *probe, sslcv_tensor *features, _Inout_ sslcv_tensor *scores)
    int32_t probe_evaluate(void *probe, sslcv_embed_options *train, sslcv_embed_options *test, _Inout_ sslcv_metrics *m)
    void context_destroy(void *handle)
    void dataset_destroy(void *handle)
    void augmenter_destroy(void *handle)
    void backbone_destroy(void *handle)
    void head_destroy(void *handle)
    void state_destroy(void *handle)
    void loss_destroy(void *handle)
    void optimizer_destroy(void *handle)
    void trainer_destroy(void *handle)
    void probe_destroy(void *handle)`;

/** @type {Record<string, (...args: any[]) => any>} Functions without their "sslcv_". */
export const c = {};
for (const line of prototypes.trim().split('\n')) {
    const name = /** @type {RegExpExecArray} */ (/(\w+)\(/.exec(line))[1];
    c[name] = lib.func(line.trim().replace(`${name}(`, `sslcv_${name}(`));
}

// ---- failures ----

/** A failed call. Its outputs are untouched, its handles usable. */
export class SslcvError extends Error {
    /** @param {string} message @param {number} [status] */
    constructor(message, status = -1) {
        super(message);
        this.name = new.target.name;
        /** SSLCV_ERR_* */
        this.status = status;
    }
}
export class InvalidArgumentError extends SslcvError {}
export class OutOfMemoryError extends SslcvError {}
export class IoError extends SslcvError {}
export class FormatError extends SslcvError {}
export class UnsupportedError extends SslcvError {}
export class StateError extends SslcvError {}
export class LimitError extends SslcvError {}
export class BackendError extends SslcvError {}
export class CancelledError extends SslcvError {}
export class NumericError extends SslcvError {}
export class NotFoundError extends SslcvError {}

const classes = [
    SslcvError,
    InvalidArgumentError,
    OutOfMemoryError,
    IoError,
    FormatError,
    UnsupportedError,
    StateError,
    LimitError,
    BackendError,
    CancelledError,
    NumericError,
    NotFoundError,
];

/** What a callback has thrown: it must not pass through C. @type {{error: any} | null} */
let thrown = null;

/** @template T @param {() => T} body @param {T} failed @returns {T} */
function guard(body, failed) {
    try {
        return body();
    } catch (error) {
        thrown ??= { error }; // the first one tells what happened
        return failed;
    }
}

function rethrow() {
    if (thrown) {
        const { error } = thrown;
        thrown = null;
        throw error;
    }
}

/** Calls a function that returns a status. @param {string} name @param {...any} values */
export function call(name, ...values) {
    const status = c[name](...values);
    rethrow();
    if (status !== 0) throw new (classes[-status] ?? SslcvError)(c.last_error(), status);
}

/**
 * What comes through the out pointer, which is the last argument.
 * @param {string} name
 * @param {...any} values
 */
export function make(name, ...values) {
    const out = [null];
    call(name, ...values, out);
    return out[0];
}

/**
 * Counts upwards until there is no more.
 * @template T
 * @param {(index: number) => T} get
 * @returns {Generator<T>}
 */
export function* untilNotFound(get) {
    for (let index = 0; ; index++) {
        let item;
        try {
            item = get(index);
        } catch (error) {
            if (error instanceof NotFoundError) return;
            throw error;
        }
        yield item;
    }
}

// ---- memory ----

/** Options with their defaults. @param {string} kind @param {...any} values @returns {any} */
export function options(kind, ...values) {
    const type =
        { branch: 'branch', hook: 'hook', schedule: 'schedule', loss_call: 'loss_call' }[kind] ?? `${kind}_options`;
    const result = {};
    call(`${type}_init`, result, koffi.sizeof(`sslcv_${type}`), ...values);
    return result;
}

/** Changes options by the caller's, whose names must be known. @param {any} to @param {any} from */
export function assign(to, from) {
    for (const [name, value] of Object.entries(from ?? {})) {
        if (!(name in to) || name === 'struct_size') throw new InvalidArgumentError(`there is no option ${name}`);
        to[name] = typeof value === 'boolean' ? Number(value) : value;
    }
    return to;
}

/** Every field 0, struct_size set: for what the library fills. @param {string} name @returns {any} */
export function blank(name) {
    const size = koffi.sizeof(name);
    const value = koffi.decode(Buffer.alloc(size), name);
    if ('struct_size' in value) value.struct_size = size;
    return value;
}

/** A struct in memory, for a pointer to it. @param {string} name @param {any} value */
export function inMemory(name, value) {
    const memory = Buffer.alloc(koffi.sizeof(name));
    koffi.encode(memory, name, value);
    return memory;
}

/** Ends with 0; null stays null. @param {string | null | undefined} text */
export function cString(text) {
    if (text == null) return null;
    if (text.includes('\0')) throw new InvalidArgumentError(`${JSON.stringify(text)} has a zero byte within`);
    return Buffer.from(`${text}\0`);
}

/**
 * Memory that C may use while the body runs: hold() keeps it and tells where it is.
 * @typedef {(memory: ArrayBufferView | null) => bigint | null} Hold
 */

/** @template T @param {(hold: Hold) => T} body @returns {T} */
export function withMemory(body) {
    /** @type {ArrayBufferView[]} */
    const held = [];
    try {
        return body((memory) => {
            if (memory === null) return null;
            held.push(memory);
            return koffi.address(memory);
        });
    } finally {
        held.length = 0;
    }
}

/** @param {bigint | null} pointer */
export function text(pointer) {
    return pointer === null ? '' : koffi.decode.string(pointer);
}

/** Two calls: one asks for the size. @param {string} name @param {...any} values */
export function sizedText(name, ...values) {
    const needed = make(name, ...values, null, 0);
    const buffer = Buffer.alloc(Number(needed));
    make(name, ...values, buffer, buffer.length);
    return buffer.toString('utf8', 0, buffer.indexOf(0));
}

// ---- handles ----

/** One reference: what to do when it ends. @typedef {{ kind: string, pointer: any }} Reference */

/** @param {Reference} reference */
function giveBack(reference) {
    const { kind, pointer } = reference;
    if (pointer === null) return;
    reference.pointer = null;
    c[`${kind}_destroy`](pointer);
    rethrow();
}

const collected = new FinalizationRegistry(giveBack);

/** What all handles share. */
export class Handle {
    /** @type {Reference} */ #reference;

    /** @param {string} kind @param {any} pointer */
    constructor(kind, pointer) {
        this.#reference = { kind, pointer };
        collected.register(this, this.#reference, this);
    }

    /** For C; null when closed, which calls refuse. */
    get pointer() {
        return this.#reference.pointer;
    }

    /**
     * Gives back the reference; again: nothing. Objects keep alive what they use, so the order does not matter.
     */
    close() {
        collected.unregister(this);
        giveBack(this.#reference);
    }
}
// "using" of newer runtimes.
const dispose = /** @type {any} */ (Symbol).dispose;
if (dispose) Object.defineProperty(Handle.prototype, dispose, { value: Handle.prototype.close });

// ---- callbacks ----

/*
 * C gets a number for a function, and three functions of ours that look it up. The library calls on the thread that is
 * inside it, so here on the only one that may run JavaScript.
 */
/** @type {Map<bigint, Function>} */
const functions = new Map();
let lastNumber = 0n;

/** @param {string} prototype @param {Function} callback */
function register(prototype, callback) {
    return koffi.register(callback, koffi.pointer(koffi.proto(prototype)));
}

const writeLog = register(
    'void sslcv_js_log(void *user, int32_t level, str line)',
    /** @type {any} */ (
        (/** @type {bigint} */ user, /** @type {number} */ level, /** @type {string} */ line) =>
            guard(() => functions.get(user)?.(level, line), undefined)
    ),
);

const callHook = register(
    'int32_t sslcv_js_hook(void *user, void *trainer, void *progress)',
    (/** @type {bigint} */ user, /** @type {bigint} */ trainer, /** @type {bigint} */ progress) =>
        guard(() => {
            const result = functions.get(user)?.(trainer, koffi.decode(progress, 'sslcv_progress'));
            if (typeof result?.then === 'function')
                throw new TypeError('a hook must not be async: the library waits for it');
            return result === false ? 1 : 0;
        }, 1),
);

const drop = register('void sslcv_js_drop(void *user)', (/** @type {bigint} */ user) => functions.delete(user));

/**
 * Gives C a function; it is taken back at once when the call fails that takes it.
 * @param {Function} callback
 * @param {(user: bigint) => any} take
 */
function lend(callback, take) {
    const user = ++lastNumber;
    functions.set(user, callback);
    try {
        return take(user);
    } catch (error) {
        functions.delete(user);
        throw error;
    }
}

/** @param {any} all options @param {((level: number, line: string) => void) | undefined} log */
export function createContext(all, log) {
    if (!log) return make('context_create', all);
    return lend(log, (user) => make('context_create', { ...all, log: writeLog, log_user: user, log_destroy: drop }));
}

/** @param {any} trainer @param {number} events @param {number} every @param {Function} hook */
export function addHook(trainer, events, every, hook) {
    lend(hook, (user) => {
        call('trainer_add_hook', trainer, { ...options('hook'), user, call: callHook, destroy: drop, events, every });
    });
}

/** Functions that C may still call: for tests. */
export const liveCallbacks = () => functions.size;
export const sizeof = koffi.sizeof;
export const offsetof = koffi.offsetof;
