/**
 * Self-supervised learning for computer vision, by libsslcv. Not OpenSSL.
 *
 * Handles have close(); what is not closed is given back when it is collected. Arrays go in and come out as typed
 * arrays with a shape. Options are objects with the names that the headers have; what is left out has its default.
 */
import { c } from './native.js';

export { Augmenter, Context, Dataset, LogLevel } from './data.js';
export {
    BackendError,
    CancelledError,
    FormatError,
    InvalidArgumentError,
    IoError,
    LimitError,
    NotFoundError,
    NumericError,
    OutOfMemoryError,
    SslcvError,
    StateError,
    UnsupportedError,
} from './native.js';
export { Architecture, Backbone, Head, Loss, Norm, Role, State, Stem } from './network.js';
export { embed, Probe } from './probe.js';
export {
    Event,
    methods,
    methodSettings,
    Optimizer,
    OptimizerKind,
    schedule,
    ScheduleKind,
    Trainer,
} from './trainer.js';

/** Version of the library that is running. @returns {string} */
export const version = () => c.version_string();
