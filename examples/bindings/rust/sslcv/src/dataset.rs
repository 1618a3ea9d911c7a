//! Indexed images, and the views that are made of them.

use std::path::Path;
use std::ptr::{null, NonNull};

use sslcv_sys as sys;

use crate::error::{c_path, c_string, call, create, destroy, text, until_not_found, Error, Result};
use crate::tensor::{Array, Element, TensorRef};
use crate::Context;

/// Indexed images. May be shared between threads, as "@threads" of its functions says.
pub struct Dataset {
    pub(crate) raw: NonNull<sys::sslcv_dataset>,
}

// SAFETY: all of sslcv_dataset_*() is "@threads Any" without callbacks of the host, which this type does not take.
unsafe impl Send for Dataset {}
unsafe impl Sync for Dataset {}

pub type DatasetInfo = sys::sslcv_dataset_info;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Path, or empty.
    pub name: String,
    pub label: Option<i64>,
}

impl Dataset {
    fn make(context: &Context, kind: u32, set: impl FnOnce(&mut sys::sslcv_dataset_options)) -> Result<Self> {
        // SAFETY: init fills what is zeroed; the texts that set() points to are copied while their owners live.
        unsafe {
            let mut options: sys::sslcv_dataset_options = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_dataset_options_init(&mut options, size, kind as i32))?;
            set(&mut options);
            let raw = create(|out| sys::sslcv_dataset_create(context.as_ptr(), &options, out))?;
            Ok(Dataset { raw })
        }
    }

    /// Empty; `add_images()` and `add_file()` fill it.
    pub fn list(context: &Context) -> Result<Self> {
        Self::make(context, sys::SSLCV_DATASET_LIST, |_| ())
    }

    /// All images below a folder; with `labels` the first folder level names the class.
    pub fn folder(context: &Context, path: impl AsRef<Path>, labels: bool) -> Result<Self> {
        let path = c_path(path.as_ref())?;
        Self::make(context, sys::SSLCV_DATASET_FOLDER, |options| {
            options.path = path.as_ptr();
            options.label_folders = labels.into();
        })
    }

    /// One image (C, H, W) or several (N, C, H, W): u8, u16 or f32. They are copied. Gives the index of the first.
    pub fn add_images(&self, images: TensorRef<'_>, labels: Option<&[i64]>) -> Result<i64> {
        let shape = images.shape();
        let count = if shape.len() == 4 { shape[0] } else { 1 };
        if labels.is_some_and(|labels| labels.len() != count) {
            return Err(Error::invalid(format!("as many labels as images must be given: {count}")));
        }
        let labels = labels.map_or(null(), |labels| labels.as_ptr());
        // SAFETY: borrowed for the call; labels has an entry for each image.
        let mut index = 0;
        call(|| unsafe { sys::sslcv_dataset_add_images(self.raw.as_ptr(), &images.raw, labels, &mut index) })?;
        Ok(index)
    }

    /// A file of JPEG, PNG, BMP, PGM or PPM, read when needed.
    pub fn add_file(&self, path: impl AsRef<Path>, label: Option<i64>) -> Result<i64> {
        let path = c_path(path.as_ref())?;
        let label = label.unwrap_or(-1);
        // SAFETY: the path is copied.
        let mut index = 0;
        call(|| unsafe {
            sys::sslcv_dataset_add_file(self.raw.as_ptr(), path.as_ptr(), null(), 0, label, &mut index)
        })?;
        Ok(index)
    }

    pub fn info(&self) -> Result<DatasetInfo> {
        // SAFETY: a struct of plain values with its size.
        unsafe {
            let mut info: DatasetInfo = std::mem::zeroed();
            info.struct_size = std::mem::size_of_val(&info);
            call(|| sys::sslcv_dataset_get_info(self.raw.as_ptr(), &mut info))?;
            Ok(info)
        }
    }

    pub fn sample(&self, index: i64) -> Result<Sample> {
        // SAFETY: a struct of plain values with its size; the name lives as long as the data set.
        unsafe {
            let mut sample: sys::sslcv_sample = std::mem::zeroed();
            sample.struct_size = std::mem::size_of_val(&sample);
            call(|| sys::sslcv_dataset_get_sample(self.raw.as_ptr(), index, &mut sample))?;
            Ok(Sample { name: text(sample.name), label: (sample.label >= 0).then_some(sample.label) })
        }
    }

    pub fn samples(&self) -> impl Iterator<Item = Result<Sample>> + '_ {
        until_not_found(|index| self.sample(index))
    }

    /// Names of the classes.
    pub fn classes(&self) -> impl Iterator<Item = Result<String>> + '_ {
        until_not_found(|label| {
            let mut name = null();
            // SAFETY: the name lives as long as the data set.
            unsafe {
                call(|| sys::sslcv_dataset_get_class(self.raw.as_ptr(), label, &mut name))?;
                Ok(text(name))
            }
        })
    }

    /// The pixels of a sample, (C, H, W), in the type that they are stored in.
    pub fn read<T: Element>(&self, index: i64) -> Result<Array<T>> {
        // SAFETY: the tensor describes memory of its shape, or asks.
        Array::filled(|tensor| unsafe { sys::sslcv_dataset_read(self.raw.as_ptr(), index, tensor) })
    }

    /// Chosen samples as a data set that shares the pixels.
    pub fn subset(&self, indices: &[i64]) -> Result<Self> {
        let count = indices.len() as i64;
        // SAFETY: the indices are copied.
        let raw = create(|out| unsafe { sys::sslcv_dataset_subset(self.raw.as_ptr(), indices.as_ptr(), count, out) })?;
        Ok(Dataset { raw })
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: a reference of ours, given back once.
        destroy(|| unsafe { sys::sslcv_dataset_destroy(self.raw.as_ptr()) });
    }
}

handle! {
    /// Views of an image, each a chain of transforms. This crate has the published ones, by name.
    Augmenter, sslcv_augmenter, sslcv_augmenter_destroy
}

pub type ViewInfo = sys::sslcv_view_info;

impl Augmenter {
    pub fn new(context: &Context) -> Result<Self> {
        // SAFETY: the context lives.
        Self::wrap(|out| unsafe { sys::sslcv_augmenter_create(context.as_ptr(), out) })
    }

    /// Appends the views of a preset for crops of `size` pixels (0: as published) and tells their indices.
    pub fn add_preset(&mut self, preset: &str, size: i64) -> Result<std::ops::Range<i64>> {
        let preset = c_string(preset)?;
        let (mut first, mut count) = (0, 0);
        // SAFETY: the text is borrowed for the call.
        call(|| unsafe {
            sys::sslcv_augmenter_add_preset(self.raw.as_ptr(), preset.as_ptr(), size, &mut first, &mut count)
        })?;
        Ok(first..first + count)
    }

    pub fn views(&self) -> impl Iterator<Item = Result<ViewInfo>> + '_ {
        until_not_found(|view| {
            // SAFETY: a struct of plain values with its size.
            unsafe {
                let mut info: ViewInfo = std::mem::zeroed();
                info.struct_size = std::mem::size_of_val(&info);
                call(|| sys::sslcv_augmenter_get_view(self.raw.as_ptr(), view, &mut info))?;
                Ok(info)
            }
        })
    }

    /// One view of one image, as a loader would make it: (C, H, W), or (P, C, H, W) of patches.
    pub fn apply(&self, image: TensorRef<'_>, seed: u64, epoch: i64, sample: i64, view: i64) -> Result<Array<f32>> {
        // SAFETY: the tensor describes memory of its shape, or asks.
        Array::filled(|out| unsafe {
            sys::sslcv_augmenter_apply(self.raw.as_ptr(), &image.raw, seed, epoch, sample, view, out)
        })
    }
}
