//! Threads, seed, precision, log; every other handle is made from one.

use std::os::raw::{c_char, c_void};
use std::ptr::NonNull;
use std::sync::Arc;

use sslcv_sys as sys;

use crate::error::{c_string, call, create, destroy, guard, guard_log, optional, text, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    Auto = sys::SSLCV_PRECISION_AUTO as isize,
    F32 = sys::SSLCV_PRECISION_F32 as isize,
    Bf16 = sys::SSLCV_PRECISION_BF16 as isize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Error = sys::SSLCV_LOG_ERROR as isize,
    Warning = sys::SSLCV_LOG_WARNING as isize,
    Info = sys::SSLCV_LOG_INFO as isize,
    Debug = sys::SSLCV_LOG_DEBUG as isize,
}

type Log = dyn Fn(LogLevel, &str) + Send + Sync;

/// What a context is made with.
#[derive(Default)]
pub struct ContextOptions {
    /// Compute threads; `None`: the processors that this process may use.
    pub threads: Option<i32>,
    /// Threads that decode and augment; `None`: as `threads`; 0: the calling thread does it.
    pub loader_threads: Option<i32>,
    pub precision: Option<Precision>,
    pub seed: u64,
    pub tuning_path: Option<String>,
    pub log_level: Option<LogLevel>,
    /// Receives the library's lines, on whatever thread is inside it. Must not call the library: that panics.
    pub log: Option<Box<Log>>,
}

#[derive(Debug, Clone)]
pub struct ContextInfo {
    pub threads: i32,
    pub loader_threads: i32,
    pub precision: i32,
    pub cancelled: bool,
    pub cpu: String,
    /// Memory held by the context and all that was made from it.
    pub bytes: i64,
}

/// Cheap to clone. May be used by several threads: the headers say so of each function that takes one.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    raw: NonNull<sys::sslcv_context>,
}

// SAFETY: "@threads Any" at sslcv_context_cancel(), _get_info() and the functions that create; the last clone destroys.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: a reference of ours, given back once.
        destroy(|| unsafe { sys::sslcv_context_destroy(self.raw.as_ptr()) });
    }
}

unsafe extern "C" fn write_log(user: *mut c_void, level: i32, line: *const c_char) {
    guard_log(|| {
        let log = &*user.cast::<Box<Log>>();
        let level = match level {
            ..=1 => LogLevel::Error,
            2 => LogLevel::Warning,
            3 => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        log(level, &text(line));
    });
}

unsafe extern "C" fn drop_log(user: *mut c_void) {
    guard(|| drop(Box::from_raw(user.cast::<Box<Log>>())));
}

impl Context {
    pub fn new(options: ContextOptions) -> Result<Self> {
        let tuning_path = options.tuning_path.as_deref().map(c_string).transpose()?;
        let has_log = options.log.is_some();
        // SAFETY: init fills what is zeroed; texts outlive the calls; the log is C's from success on, until drop_log().
        unsafe {
            let mut raw: sys::sslcv_context_options = std::mem::zeroed();
            call(|| sys::sslcv_context_options_init(&mut raw, std::mem::size_of_val(&raw)))?;
            raw.threads = options.threads.unwrap_or(raw.threads);
            raw.loader_threads = options.loader_threads.unwrap_or(raw.loader_threads);
            raw.precision = options.precision.map_or(raw.precision, |precision| precision as i32);
            raw.seed = options.seed;
            raw.tuning_path = optional(&tuning_path);
            raw.log_level = options.log_level.map_or(raw.log_level, |level| level as i32);
            if let Some(log) = options.log {
                raw.log = Some(write_log);
                raw.log_user = Box::into_raw(Box::new(log)).cast();
                raw.log_destroy = Some(drop_log);
            }
            let made = create(|out| sys::sslcv_context_create(&raw, out));
            if made.is_err() && has_log {
                drop(Box::from_raw(raw.log_user.cast::<Box<Log>>()));
            }
            Ok(Context(Arc::new(Inner { raw: made? })))
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::sslcv_context {
        self.0.raw.as_ptr()
    }

    /// Asks every long call on this context to stop, from any thread; on until it is cleared by `false`.
    pub fn cancel(&self, on: bool) {
        // SAFETY: the handle lives.
        unsafe { sys::sslcv_context_cancel(self.as_ptr(), on.into()) };
    }

    pub fn info(&self) -> Result<ContextInfo> {
        // SAFETY: a struct of plain values with its size; cpu lives as long as the context.
        unsafe {
            let mut info: sys::sslcv_context_info = std::mem::zeroed();
            info.struct_size = std::mem::size_of_val(&info);
            call(|| sys::sslcv_context_get_info(self.as_ptr(), &mut info))?;
            Ok(ContextInfo {
                threads: info.threads,
                loader_threads: info.loader_threads,
                precision: info.precision,
                cancelled: info.cancelled != 0,
                cpu: text(info.cpu),
                bytes: info.bytes,
            })
        }
    }
}
