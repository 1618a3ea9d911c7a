//! The named tensors of an object: weights and checkpoints.

use std::path::Path;
use std::ptr::null_mut;

use sslcv_sys as sys;

use crate::error::{c_path, c_string, call, optional, text, until_not_found, Result};
use crate::tensor::{Array, Element, TensorRef};
use crate::Context;

handle! {
    /// A window onto the tensors of an object, which it keeps alive; or a file's, opened by itself.
    State, sslcv_state, sslcv_state_destroy
}

/// What a tensor is; a set of them is a sum.
pub mod role {
    use sslcv_sys as sys;
    pub const WEIGHT: i32 = sys::SSLCV_ROLE_WEIGHT as i32;
    pub const BIAS: i32 = sys::SSLCV_ROLE_BIAS as i32;
    pub const NORM: i32 = sys::SSLCV_ROLE_NORM as i32;
    pub const BUFFER: i32 = sys::SSLCV_ROLE_BUFFER as i32;
    pub const PARAMETERS: i32 = sys::SSLCV_ROLE_PARAMETERS as i32;
    pub const ALL: i32 = sys::SSLCV_ROLE_ALL as i32;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: i32,
    pub role: i32,
    pub frozen: bool,
}

/// What a load found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    pub matched: i64,
    pub missing: i64,
    pub unexpected: i64,
    /// The naming that was recognised: "torchvision", "moco" ...
    pub layout: String,
}

impl State {
    /// Any safetensors, npz or npy file.
    pub fn open(context: &Context, path: impl AsRef<Path>) -> Result<Self> {
        let path = c_path(path.as_ref())?;
        // SAFETY: the path is borrowed for the call; NULL: defaults.
        Self::wrap(|out| unsafe { sys::sslcv_state_open(context.as_ptr(), path.as_ptr(), std::ptr::null(), out) })
    }

    /// Safetensors; the file appears whole or not at all.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        // SAFETY: likewise.
        call(|| unsafe { sys::sslcv_state_save(self.raw.as_ptr(), path.as_ptr(), std::ptr::null()) })
    }

    /// All or nothing. `prefix`: only names that begin so, without it; `None`: the known ones are tried.
    pub fn load(&mut self, path: impl AsRef<Path>, prefix: Option<&str>) -> Result<LoadReport> {
        let path = c_path(path.as_ref())?;
        let prefix = prefix.map(c_string).transpose()?;
        // SAFETY: init fills what is zeroed; texts are borrowed for the call; no buffer for the report's lines.
        unsafe {
            let mut options: sys::sslcv_load_options = std::mem::zeroed();
            call(|| sys::sslcv_load_options_init(&mut options, std::mem::size_of_val(&options)))?;
            options.prefix = optional(&prefix);
            let mut report: sys::sslcv_load_report = std::mem::zeroed();
            report.struct_size = std::mem::size_of_val(&report);
            call(|| sys::sslcv_state_load(self.raw.as_ptr(), path.as_ptr(), &options, &mut report))?;
            Ok(LoadReport {
                matched: report.matched,
                missing: report.missing,
                unexpected: report.unexpected,
                layout: text(report.layout.as_ptr()),
            })
        }
    }

    pub fn entry(&self, index: i64) -> Result<Entry> {
        // SAFETY: a struct of plain values with its size; the name lives as long as the handle.
        unsafe {
            let mut entry: sys::sslcv_state_entry = std::mem::zeroed();
            entry.struct_size = std::mem::size_of_val(&entry);
            call(|| sys::sslcv_state_get_entry(self.raw.as_ptr(), index, &mut entry))?;
            Ok(Entry {
                name: text(entry.name),
                shape: entry.shape[..entry.ndim as usize].iter().map(|&d| d as usize).collect(),
                dtype: entry.dtype,
                role: entry.role,
                frozen: entry.frozen != 0,
            })
        }
    }

    /// In an order that never changes.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry>> + '_ {
        until_not_found(|index| self.entry(index))
    }

    pub fn find(&self, name: &str) -> Result<i64> {
        let name = c_string(name)?;
        let mut index = 0;
        // SAFETY: the text is borrowed for the call.
        call(|| unsafe { sys::sslcv_state_find(self.raw.as_ptr(), name.as_ptr(), &mut index) })?;
        Ok(index)
    }

    /// A copy of a tensor's values.
    pub fn get<T: Element>(&self, index: i64) -> Result<Array<T>> {
        let part = sys::SSLCV_STATE_VALUE as i32;
        // SAFETY: the tensor describes memory of its shape, or asks.
        Array::filled(|tensor| unsafe { sys::sslcv_state_get(self.raw.as_ptr(), index, part, tensor) })
    }

    pub fn set(&mut self, index: i64, values: TensorRef<'_>) -> Result<()> {
        let part = sys::SSLCV_STATE_VALUE as i32;
        // SAFETY: borrowed for the call.
        call(|| unsafe { sys::sslcv_state_set(self.raw.as_ptr(), index, part, &values.raw) })
    }

    /// All floating tensors of these roles, one after the other: for federated averaging.
    pub fn get_flat(&self, roles: i32) -> Result<Vec<f32>> {
        let mut count = 0;
        // SAFETY: NULL asks for the size; else the buffer has it.
        unsafe {
            call(|| sys::sslcv_state_get_flat(self.raw.as_ptr(), roles, null_mut(), 0, &mut count))?;
            let mut values = vec![0.0; usize::try_from(count).expect("a size")];
            call(|| sys::sslcv_state_get_flat(self.raw.as_ptr(), roles, values.as_mut_ptr(), count, &mut count))?;
            Ok(values)
        }
    }

    pub fn set_flat(&mut self, roles: i32, values: &[f32]) -> Result<()> {
        let count = values.len() as i64;
        // SAFETY: borrowed for the call.
        call(|| unsafe { sys::sslcv_state_set_flat(self.raw.as_ptr(), roles, values.as_ptr(), count) })
    }
}
