//! Backbone and head.

use std::path::Path;
use std::ptr::null;

use sslcv_sys as sys;

use crate::error::{c_path, call, optional, text, until_not_found, Result};
use crate::{Context, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    ResNet18 = sys::SSLCV_BACKBONE_RESNET18 as isize,
    ResNet34 = sys::SSLCV_BACKBONE_RESNET34 as isize,
    ResNet50 = sys::SSLCV_BACKBONE_RESNET50 as isize,
    ResNet101 = sys::SSLCV_BACKBONE_RESNET101 as isize,
    AlexNet = sys::SSLCV_BACKBONE_ALEXNET as isize,
    AlexNetHalf = sys::SSLCV_BACKBONE_ALEXNET_HALF as isize,
}

/// Values of `BackboneOptions::stem`.
pub mod stem {
    use sslcv_sys as sys;
    pub const IMAGENET: i32 = sys::SSLCV_STEM_IMAGENET as i32;
    pub const CIFAR: i32 = sys::SSLCV_STEM_CIFAR as i32;
    pub const GIM: i32 = sys::SSLCV_STEM_GIM as i32;
}

/// Values of `norm` in options.
pub mod norm {
    use sslcv_sys as sys;
    pub const NONE: i32 = sys::SSLCV_NORM_NONE as i32;
    pub const BATCH: i32 = sys::SSLCV_NORM_BATCH as i32;
    pub const GROUP: i32 = sys::SSLCV_NORM_GROUP as i32;
    pub const LAYER: i32 = sys::SSLCV_NORM_LAYER as i32;
}

// Structs of plain numbers are the C ones, which the headers describe; create() puts struct_size right.
pub type BackboneOptions = sys::sslcv_backbone_options;
pub type BackboneInfo = sys::sslcv_backbone_info;
pub type MlpOptions = sys::sslcv_mlp_options;

handle! {
    /// The network that is to be learnt.
    ///
    /// Like all that share networks, it stays on its thread: a trainer and a backbone that it trains must not be used
    /// from two.
    ///
    /// ```compile_fail
    /// fn sendable<T: Send>() {}
    /// sendable::<sslcv::Backbone>();
    /// ```
    Backbone, sslcv_backbone, sslcv_backbone_destroy
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub name: String,
    pub dim: i64,
}

impl Backbone {
    /// Random weights; `set` changes the defaults.
    pub fn new(context: &Context, architecture: Architecture, set: impl FnOnce(&mut BackboneOptions)) -> Result<Self> {
        // SAFETY: init fills what is zeroed; no pointers within.
        unsafe {
            let mut options: BackboneOptions = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_backbone_options_init(&mut options, size, architecture as i32))?;
            set(&mut options);
            options.struct_size = size;
            Self::wrap(|out| sys::sslcv_backbone_create(context.as_ptr(), &options, out))
        }
    }

    /// From a file of weights or a checkpoint, which tells the architecture. `prefix` as for [`State::load`].
    pub fn load(context: &Context, path: impl AsRef<Path>, prefix: Option<&str>) -> Result<Self> {
        let path = c_path(path.as_ref())?;
        let prefix = prefix.map(crate::error::c_string).transpose()?;
        // SAFETY: init fills what is zeroed; texts are borrowed for the call.
        unsafe {
            let mut options: sys::sslcv_load_options = std::mem::zeroed();
            call(|| sys::sslcv_load_options_init(&mut options, std::mem::size_of_val(&options)))?;
            options.prefix = optional(&prefix);
            Self::wrap(|out| sys::sslcv_backbone_load(context.as_ptr(), path.as_ptr(), &options, out))
        }
    }

    /// An independent one with the same weights.
    pub fn try_clone(&self) -> Result<Self> {
        // SAFETY: the handle lives.
        Self::wrap(|out| unsafe { sys::sslcv_backbone_clone(self.raw.as_ptr(), out) })
    }

    pub fn state(&self) -> Result<State> {
        // SAFETY: the handle lives; the state keeps it.
        State::wrap(|out| unsafe { sys::sslcv_backbone_get_state(self.raw.as_ptr(), out) })
    }

    pub fn info(&self) -> Result<BackboneInfo> {
        // SAFETY: a struct of plain values with its size.
        unsafe {
            let mut info: BackboneInfo = std::mem::zeroed();
            info.struct_size = std::mem::size_of_val(&info);
            call(|| sys::sslcv_backbone_get_info(self.raw.as_ptr(), &mut info))?;
            Ok(info)
        }
    }

    pub fn stages(&self) -> impl Iterator<Item = Result<Stage>> + '_ {
        until_not_found(|index| {
            let (mut name, mut dim) = (null(), 0);
            // SAFETY: constant text.
            unsafe {
                call(|| sys::sslcv_backbone_get_stage(self.raw.as_ptr(), index, &mut name, &mut dim))?;
                Ok(Stage { name: text(name), dim })
            }
        })
    }

    /// The first stages do not learn; 0: all do.
    pub fn freeze(&mut self, num_stages: i32) -> Result<()> {
        // SAFETY: the handle lives.
        call(|| unsafe { sys::sslcv_backbone_freeze(self.raw.as_ptr(), num_stages) })
    }
}

handle! {
    /// What stands between features and loss.
    Head, sslcv_head, sslcv_head_destroy
}

impl Head {
    /// Projection, predictor or classifier; `set` must give `in_dim`.
    pub fn mlp(context: &Context, set: impl FnOnce(&mut MlpOptions)) -> Result<Self> {
        // SAFETY: init fills what is zeroed; no pointers within.
        unsafe {
            let mut options: MlpOptions = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_mlp_options_init(&mut options, size))?;
            set(&mut options);
            options.struct_size = size;
            Self::wrap(|out| sys::sslcv_head_create_mlp(context.as_ptr(), &options, out))
        }
    }

    pub fn state(&self) -> Result<State> {
        // SAFETY: the handle lives; the state keeps it.
        State::wrap(|out| unsafe { sys::sslcv_head_get_state(self.raw.as_ptr(), out) })
    }
}
