#![doc = include_str!("../../README.md")]

/// A handle that stays on its thread.
macro_rules! handle {
    ($(#[$about:meta])* $name:ident, $raw:ident, $destroy:ident) => {
        $(#[$about])*
        pub struct $name {
            pub(crate) raw: std::ptr::NonNull<sslcv_sys::$raw>,
        }

        impl $name {
            pub(crate) fn wrap(make: impl FnOnce(*mut *mut sslcv_sys::$raw) -> sslcv_sys::sslcv_status,
            ) -> crate::Result<Self> {
                Ok($name { raw: crate::error::create(make)? })
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: a reference of ours, given back once.
                crate::error::destroy(|| unsafe { sslcv_sys::$destroy(self.raw.as_ptr()) });
            }
        }
    };
}

mod context;
mod dataset;
mod error;
mod loss;
mod network;
mod probe;
mod state;
mod tensor;
mod trainer;

pub use context::{Context, ContextInfo, ContextOptions, LogLevel, Precision};
pub use dataset::{Augmenter, Dataset, DatasetInfo, Sample, ViewInfo};
pub use error::{Error, Result, Status};
pub use loss::{InfoNceOptions, Loss, Metric};
pub use network::{norm, stem, Architecture, Backbone, BackboneInfo, BackboneOptions, Head, MlpOptions, Stage};
pub use probe::{Embedding, Features, Metrics, Probe};
pub use state::{role, Entry, LoadReport, State};
pub use tensor::{Array, Element, PixelOrder, TensorRef};
pub use trainer::{
    method_settings, methods, schedule, Branch, Event, MethodOptions, Optimizer, OptimizerOptions, Progress, Running,
    Schedule, Trainer, TrainerOptions,
};

/// Of the library that is running: "0.1.0".
pub fn version() -> &'static str {
    // SAFETY: constant text.
    unsafe { std::ffi::CStr::from_ptr(sslcv_sys::sslcv_version_string()) }.to_str().unwrap_or("")
}
