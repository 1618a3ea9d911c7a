/** Trainers: by recipe, or composed of branches, losses and an optimizer. */
import {
    addHook,
    assign,
    blank,
    c,
    call,
    cString,
    Handle,
    inMemory,
    make,
    options,
    sizedText,
    text,
    untilNotFound,
    withMemory,
} from './native.js';
import { int64s, plain } from './arrays.js';
import { State, Backbone, Role } from './network.js';

/** @typedef {import('./native.js').Hold} Hold */
/** @typedef {import('./data.js').Context} Context */
/** @typedef {import('./data.js').Dataset} Dataset */
/** @typedef {import('./data.js').Augmenter} Augmenter */
/** @typedef {import('./network.js').Head} Head */
/** @typedef {import('./network.js').Loss} Loss */
export const Event = Object.freeze({ EPOCH_BEGIN: 1, STEP: 2, EPOCH_END: 4, COLLAPSE: 8 });
export const OptimizerKind = Object.freeze({ SGD: 1, LARS: 2, LARS_CLASSIC: 3, LARC: 4, ADAM: 5, ADAMW: 6 });
export const ScheduleKind = Object.freeze({ CONSTANT: 0, COSINE: 1, LINEAR: 2, STEPS: 3 });

export class Optimizer extends Handle {
    /** @param {Context} context @param {number} kind @param {object} [given] */
    constructor(context, kind, given = {}) {
        super('optimizer', make('optimizer_create', context.pointer, assign(options('optimizer', kind), given)));
    }

    /** These roles of a state learn. @param {State} state @param {number} [roles] */
    add(state, roles = Role.PARAMETERS) {
        call('optimizer_add', this.pointer, state.pointer, roles, null);
    }
}

/** A number that changes over a run. @param {number} kind @param {number} value @param {object} [given] */
export function schedule(kind, value, given = {}) {
    return assign(options('schedule', kind, value), given);
}

/** Names of the recipes. @returns {string[]} */
export function methods() {
    const names = [];
    for (let name = c.method_name(0); name !== null; name = c.method_name(names.length)) names.push(name);
    return names;
}

/**
 * What can be set in a recipe: a line each.
 * @param {string} method
 * @param {string | null} [preset]
 * @returns {string}
 */
export const methodSettings = (method, preset = null) => sizedText('method_settings', method, preset);

/**
 * Views through a backbone and heads.
 * @typedef {{ views?: number[], backbone?: Backbone, heads?: Head[], source?: number, stage?: string,
 *     momentum?: boolean, detach?: boolean, flags?: number }} Branch
 */

/** @param {Hold} hold @param {Branch} given */
export function describeBranch(hold, { views = [], backbone, heads = [], stage, ...rest }) {
    const all = assign(options('branch'), rest);
    all.views = views.length ? hold(int64s(views)) : null;
    all.num_views = views.length;
    all.backbone = backbone?.pointer ?? null;
    all.heads = heads.length ? hold(BigUint64Array.from(heads, (head) => head.pointer ?? 0n)) : null;
    all.num_heads = heads.length;
    all.stage = hold(cString(stage));
    return all;
}

/** @param {any} raw */
const progressOf = (raw) => /** @type {Progress} */ (plain(raw));

/**
 * @typedef {{ event: number, step: number, num_steps: number, epoch: number, num_epochs: number, loss: number,
 *     learning_rate: number, embedding_std: number, images_per_second: number, seconds: number,
 *     seconds_left: number }} Progress
 */

/** The trainer as a hook sees it, during its call: it can be looked at, not stepped. */
class Running {
    /** @type {any} */ #pointer;

    /** @param {any} pointer */
    constructor(pointer) {
        this.#pointer = pointer;
    }

    end() {
        this.#pointer = null;
    }

    metrics() {
        return metricsOf(this.#pointer);
    }

    /** Publishes a figure. @param {string} name @param {number} value */
    setMetric(name, value) {
        call('trainer_set_metric', this.#pointer, name, value);
    }
}

/** @param {any} trainer @returns {Record<string, number>} */
function metricsOf(trainer) {
    return Object.fromEntries(
        untilNotFound((index) => {
            const [name, value] = [[null], [0]];
            call('trainer_get_metric', trainer, index, name, value);
            return [text(name[0]), value[0]];
        }),
    );
}

export class Trainer extends Handle {
    /**
     * A published recipe by name.
     * @param {Context} context
     * @param {string} method
     * @param {{ dataset?: Dataset, backbones?: Backbone[], augmenter?: Augmenter, preset?: string,
     *     settings?: Record<string, string | number> | string, checkpoint_path?: string, seed?: number | bigint,
     *     resume?: boolean }} given
     */
    static method(
        context,
        method,
        { dataset, backbones = [], augmenter, preset, settings, checkpoint_path, ...given },
    ) {
        const line =
            typeof settings === 'object'
                ? Object.entries(settings)
                      .map((pair) => pair.join('='))
                      .join(' ')
                : settings;
        return withMemory((hold) => {
            const all = assign(options('method'), given);
            all.dataset = dataset?.pointer ?? null;
            all.backbones = backbones.length
                ? hold(BigUint64Array.from(backbones, (backbone) => backbone.pointer ?? 0n))
                : null;
            all.num_backbones = backbones.length;
            all.augmenter = augmenter?.pointer ?? null;
            if (preset !== undefined) all.preset = hold(cString(preset));
            all.settings = hold(cString(line));
            all.checkpoint_path = hold(cString(checkpoint_path));
            return new Trainer('trainer', make('method_create', context.pointer, method, all));
        });
    }

    /**
     * Without branches: add them, then losses.
     * @param {Context} context
     * @param {{ dataset?: Dataset, augmenter?: Augmenter, optimizer: Optimizer, learning_rate: object,
     *     checkpoint_path?: string } & Record<string, any>} given
     */
    static compose(context, { dataset, augmenter, optimizer, learning_rate, checkpoint_path, ...given }) {
        return withMemory((hold) => {
            const all = assign(options('trainer'), given);
            all.dataset = dataset?.pointer ?? null;
            all.augmenter = augmenter?.pointer ?? null;
            all.optimizer = optimizer.pointer;
            all.learning_rate = hold(inMemory('sslcv_schedule', learning_rate));
            all.checkpoint_path = hold(cString(checkpoint_path));
            return new Trainer('trainer', make('trainer_create', context.pointer, all));
        });
    }

    /** @param {Branch} branch @returns {number} its index */
    addBranch(branch) {
        return withMemory((hold) => Number(make('trainer_add_branch', this.pointer, describeBranch(hold, branch))));
    }

    /** @param {Loss} loss @param {number[]} branches @param {number} [weight] @returns {number} its index */
    addLoss(loss, branches, weight = 1) {
        return withMemory((hold) =>
            Number(
                make('trainer_add_loss', this.pointer, loss.pointer, hold(int64s(branches)), branches.length, weight),
            ),
        );
    }

    /**
     * Calls a function at these events (a sum of Event), at each every-th. Where it returns false the call that stepped
     * throws CancelledError, where it throws that call throws the same; the next call goes on.
     * @param {number} events
     * @param {(progress: Progress, running: Running) => boolean | void} hook
     * @param {number} [every]
     */
    addHook(events, hook, every = 1) {
        addHook(this.pointer, events, every, (/** @type {any} */ trainer, /** @type {any} */ progress) => {
            const running = new Running(trainer);
            try {
                return hook(progressOf(progress), running);
            } finally {
                running.end();
            }
        });
    }

    /** One step on the next batch. */
    step() {
        const progress = blank('sslcv_progress');
        call('trainer_step', this.pointer, progress);
        return progressOf(progress);
    }

    /**
     * To the end, or maxSteps far (0: no such limit). Nothing else runs meanwhile; a stopped run goes on where it was.
     * @param {number} [maxSteps]
     */
    run(maxSteps = 0) {
        call('trainer_run', this.pointer, maxSteps);
    }

    /**
     * Steps to the end of the last epoch; timers and sockets have their turn between two. Without checkpoints.
     */
    async *steps() {
        let progress;
        do {
            progress = this.step();
            yield progress;
            await new Promise((resolve) => setImmediate(resolve));
        } while (progress.step < progress.num_steps);
    }

    /** Figures of the last step. */
    metrics() {
        return metricsOf(this.pointer);
    }

    /** The composition, as text for people. @returns {string} */
    describe() {
        return sizedText('trainer_describe', this.pointer);
    }

    /** A checkpoint: everything that the run is. */
    state() {
        return new State('state', make('trainer_get_state', this.pointer));
    }

    /** @param {number} branch @param {boolean} [momentum] */
    backbone(branch, momentum = false) {
        return new Backbone('backbone', make('trainer_get_backbone', this.pointer, branch, Number(momentum)));
    }
}
