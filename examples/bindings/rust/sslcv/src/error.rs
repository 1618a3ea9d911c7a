//! Failures, and panics that must not pass through C.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{null_mut, NonNull};

use sslcv_sys as sys;

/// What kind of failure; docs/errors.md says what to do about each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    InvalidArgument,
    OutOfMemory,
    Io,
    Format,
    Unsupported,
    State,
    Limit,
    Backend,
    Cancelled,
    Numeric,
    NotFound,
    /// One that a newer library has.
    Other(i32),
}

impl Status {
    fn new(code: i32) -> Self {
        match code {
            sys::SSLCV_ERR_INVALID_ARGUMENT => Status::InvalidArgument,
            sys::SSLCV_ERR_OUT_OF_MEMORY => Status::OutOfMemory,
            sys::SSLCV_ERR_IO => Status::Io,
            sys::SSLCV_ERR_FORMAT => Status::Format,
            sys::SSLCV_ERR_UNSUPPORTED => Status::Unsupported,
            sys::SSLCV_ERR_STATE => Status::State,
            sys::SSLCV_ERR_LIMIT => Status::Limit,
            sys::SSLCV_ERR_BACKEND => Status::Backend,
            sys::SSLCV_ERR_CANCELLED => Status::Cancelled,
            sys::SSLCV_ERR_NUMERIC => Status::Numeric,
            sys::SSLCV_ERR_NOT_FOUND => Status::NotFound,
            other => Status::Other(other),
        }
    }
}

/// A failed call: its outputs are untouched, its handles usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub status: Status,
    /// One line with the value that was wrong and what is allowed.
    pub message: String,
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error { status: Status::InvalidArgument, message: message.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

thread_local! {
    // Callbacks come on the thread that is inside the library, so this is where the call that they interrupt looks.
    static PANIC: RefCell<Option<Box<dyn Any + Send>>> = const { RefCell::new(None) };
    static IN_LOG: Cell<bool> = const { Cell::new(false) };
}

/// Runs the body of a callback. A panic is kept for `call()` and `None` returned: the callback then asks C to stop.
pub(crate) fn guard<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(panic) => {
            // The first one tells what happened; a later one in the same call is what came of it. Dropping a payload
            // may panic in its turn, so that one is leaked.
            PANIC.with(|kept| match &mut *kept.borrow_mut() {
                Some(_) => std::mem::forget(panic),
                none => *none = Some(panic),
            });
            None
        }
    }
}

/// As `guard()`, for the log, which the library does not allow to call it.
pub(crate) fn guard_log(body: impl FnOnce()) {
    let before = IN_LOG.with(|flag| flag.replace(true));
    guard(body);
    IN_LOG.with(|flag| flag.set(before));
}

fn resume() {
    // Handles may be dropped when the thread's own values are gone: then no callback of theirs was kept either.
    if let Some(panic) = PANIC.try_with(|kept| kept.borrow_mut().take()).ok().flatten() {
        resume_unwind(panic);
    }
}

/// Every call of the library that may fail goes through here.
pub(crate) fn call(function: impl FnOnce() -> sys::sslcv_status) -> Result<()> {
    assert!(!IN_LOG.with(Cell::get), "a log must not call the library");
    let status = function();
    // A panic is more than the cancellation that it led to.
    resume();
    if status == sys::SSLCV_OK {
        return Ok(());
    }
    // SAFETY: never NULL, ends with 0, and stays until this thread's next failure.
    let message = unsafe { CStr::from_ptr(sys::sslcv_last_error()) };
    Err(Error { status: Status::new(status), message: message.to_string_lossy().into_owned() })
}

/// A function that makes a handle.
pub(crate) fn create<T>(function: impl FnOnce(*mut *mut T) -> sys::sslcv_status) -> Result<NonNull<T>> {
    let mut handle = null_mut();
    call(|| function(&mut handle))?;
    Ok(NonNull::new(handle).expect("a handle comes with success"))
}

/// Every `sslcv_*_destroy()`: the closures that go with the last owner may panic as they are dropped.
pub(crate) fn destroy(function: impl FnOnce()) {
    if IN_LOG.with(Cell::get) {
        return; // not allowed there: it leaks, which is safe
    }
    function();
    if !std::thread::panicking() {
        resume();
    }
}

/// Counts upwards until there is no more.
pub(crate) fn until_not_found<T>(mut get: impl FnMut(i64) -> Result<T>) -> impl Iterator<Item = Result<T>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let index = next?;
        let item = get(index);
        next = item.is_ok().then(|| index + 1); // nothing comes after a failure
        match item {
            Err(error) if error.status == Status::NotFound => None,
            item => Some(item),
        }
    })
}

pub(crate) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} has a zero byte within")))
}

pub(crate) fn c_path(path: &std::path::Path) -> Result<CString> {
    c_string(path.to_str().ok_or_else(|| Error::invalid(format!("{path:?} is not UTF-8")))?)
}

pub(crate) fn optional(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

/// # Safety
/// NULL or a text that ends with 0.
pub(crate) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    CStr::from_ptr(pointer).to_string_lossy().into_owned()
}

/// Two calls: one asks for the size.
pub(crate) fn sized_text(mut get: impl FnMut(*mut c_char, i64, *mut i64) -> sys::sslcv_status) -> Result<String> {
    let mut needed = 0;
    call(|| get(null_mut(), 0, &mut needed))?;
    let mut buffer = vec![0u8; usize::try_from(needed).expect("a size")];
    call(|| get(buffer.as_mut_ptr().cast(), needed, &mut needed))?;
    buffer.truncate(buffer.iter().position(|&byte| byte == 0).unwrap_or(buffer.len()));
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}
