//! From embeddings to a value and its gradients.

use std::ptr::null;

use sslcv_sys as sys;

use crate::error::{c_string, call, text, until_not_found, Result};
use crate::tensor::{Array, TensorRef};
use crate::{Context, State};

pub type InfoNceOptions = sys::sslcv_info_nce_options;

handle! {
    /// An objective, with what it remembers or learns.
    Loss, sslcv_loss, sslcv_loss_destroy
}

/// A figure and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    pub value: f64,
}

impl Loss {
    /// SimCLR's and MoCo's; `set` changes the defaults.
    pub fn info_nce(context: &Context, set: impl FnOnce(&mut InfoNceOptions)) -> Result<Self> {
        // SAFETY: init fills what is zeroed; no pointers within.
        unsafe {
            let mut options: InfoNceOptions = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_info_nce_options_init(&mut options, size))?;
            set(&mut options);
            options.struct_size = size;
            Self::wrap(|out| sys::sslcv_loss_create_info_nce(context.as_ptr(), &options, out))
        }
    }

    /// Value, and the gradient of each input (zeros where the loss takes it for a constant).
    pub fn compute(&mut self, inputs: &[TensorRef<'_>]) -> Result<(f64, Vec<Array<f32>>)> {
        let mut gradients =
            inputs.iter().map(|input| Array::zeros(&input.shape())).collect::<Result<Vec<Array<f32>>>>()?;
        let inputs: Vec<_> = inputs.iter().map(|input| input.raw).collect();
        let mut diff_inputs = gradients.iter_mut().map(Array::raw_mut).collect::<Result<Vec<_>>>()?;
        // SAFETY: init fills what is zeroed; as many gradients as inputs, each of its shape; borrowed for the call.
        unsafe {
            let mut call_options: sys::sslcv_loss_call = std::mem::zeroed();
            call(|| sys::sslcv_loss_call_init(&mut call_options, std::mem::size_of_val(&call_options)))?;
            call_options.inputs = inputs.as_ptr();
            call_options.diff_inputs = diff_inputs.as_mut_ptr();
            call_options.num_inputs = inputs.len() as i64;
            call(|| sys::sslcv_loss_compute(self.raw.as_ptr(), &mut call_options))?;
            Ok((call_options.value, gradients))
        }
    }

    /// A number of the options, by its name.
    pub fn set(&mut self, field: &str, value: f64) -> Result<()> {
        let field = c_string(field)?;
        // SAFETY: the text is borrowed for the call.
        call(|| unsafe { sys::sslcv_loss_set(self.raw.as_ptr(), field.as_ptr(), value) })
    }

    /// Figures of the last call.
    pub fn metrics(&self) -> impl Iterator<Item = Result<Metric>> + '_ {
        until_not_found(|index| {
            let (mut name, mut value) = (null(), 0.0);
            // SAFETY: constant text.
            unsafe {
                call(|| sys::sslcv_loss_get_metric(self.raw.as_ptr(), index, &mut name, &mut value))?;
                Ok(Metric { name: text(name), value })
            }
        })
    }

    pub fn state(&mut self) -> Result<State> {
        // SAFETY: the handle lives; the state keeps it.
        State::wrap(|out| unsafe { sys::sslcv_loss_get_state(self.raw.as_ptr(), out) })
    }
}
