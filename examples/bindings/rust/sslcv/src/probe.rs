//! Features of a data set, and how good they are.

use std::ptr::{null_mut, NonNull};

use sslcv_sys as sys;

use crate::error::{call, create, destroy, Error, Result};
use crate::tensor::{shape_of, Array, TensorRef};
use crate::{Augmenter, Branch, Context, Dataset};

pub type Metrics = sys::sslcv_metrics;

/// What is embedded: these branches, joined, of these samples.
#[derive(Clone, Copy)]
pub struct Embedding<'a> {
    pub dataset: &'a Dataset,
    pub augmenter: &'a Augmenter,
    pub branch: Branch<'a>,
    pub first: i64,
    /// 0: to the end.
    pub count: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// (n, d)
    pub values: Array<f32>,
    /// n; -1: none.
    pub labels: Vec<i64>,
}

impl<'a> Embedding<'a> {
    pub fn new(dataset: &'a Dataset, augmenter: &'a Augmenter, branch: Branch<'a>) -> Self {
        Embedding { dataset, augmenter, branch, first: 0, count: 0 }
    }

    fn with_raw<T>(&self, function: impl FnOnce(&sys::sslcv_embed_options) -> Result<T>) -> Result<T> {
        self.branch.with_raw(true, |branch| {
            let branches: [*const sys::sslcv_branch; 1] = [branch];
            // SAFETY: init fills what is zeroed; all pointers are borrowed for the call.
            let mut options: sys::sslcv_embed_options = unsafe { std::mem::zeroed() };
            call(|| unsafe { sys::sslcv_embed_options_init(&mut options, std::mem::size_of_val(&options)) })?;
            options.dataset = self.dataset.raw.as_ptr();
            options.augmenter = self.augmenter.raw.as_ptr();
            options.branches = branches.as_ptr();
            options.num_branches = 1;
            options.first = self.first;
            options.count = self.count;
            function(&options)
        })
    }

    /// Runs the images through the networks, as they are, and takes what comes out.
    pub fn run(&self) -> Result<Features> {
        self.with_raw(|options| {
            // SAFETY: data NULL asks; then memory of that shape, and a label for each of its rows.
            unsafe {
                let mut raw: sys::sslcv_tensor = std::mem::zeroed();
                call(|| sys::sslcv_embed(options, &mut raw, null_mut()))?;
                let shape = shape_of(&raw);
                let mut values = Array::zeros(&shape)?;
                let mut labels = vec![-1; shape[0]];
                // Another thread may add samples between the calls: the count is held to what has been asked.
                let options = sys::sslcv_embed_options { count: shape[0] as i64, ..*options };
                let mut raw = values.raw_mut()?;
                call(|| sys::sslcv_embed(&options, &mut raw, labels.as_mut_ptr()))?;
                Ok(Features { values, labels })
            }
        })
    }
}

/// A classifier on features.
pub struct Probe {
    raw: NonNull<sys::sslcv_probe>,
}

// SAFETY: what predicts is "@threads Several at once", what fits takes &mut; a probe uses no network.
unsafe impl Send for Probe {}
unsafe impl Sync for Probe {}

impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: a reference of ours, given back once.
        destroy(|| unsafe { sys::sslcv_probe_destroy(self.raw.as_ptr()) });
    }
}

fn labels_fit(features: &TensorRef<'_>, labels: &[i64]) -> Result<()> {
    match features.shape().first() {
        Some(&rows) if rows == labels.len() => Ok(()),
        _ => Err(Error::invalid(format!("{} labels for the shape {:?}", labels.len(), features.shape()))),
    }
}

impl Probe {
    /// Nearest neighbours by cosine, votes weighted by exp(similarity / temperature).
    pub fn knn(context: &Context, neighbours: i64, temperature: f64) -> Result<Self> {
        // SAFETY: init fills what is zeroed; no pointers are set.
        unsafe {
            let mut options: sys::sslcv_probe_options = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_probe_options_init(&mut options, size, sys::SSLCV_PROBE_KNN as i32))?;
            options.neighbors = neighbours;
            options.temperature = temperature;
            let raw = create(|out| sys::sslcv_probe_create(context.as_ptr(), &options, out))?;
            Ok(Probe { raw })
        }
    }

    /// Rows with label -1 are left out.
    pub fn fit(&mut self, features: TensorRef<'_>, labels: &[i64]) -> Result<()> {
        labels_fit(&features, labels)?;
        // SAFETY: a label for each row; borrowed for the call.
        call(|| unsafe { sys::sslcv_probe_fit(self.raw.as_ptr(), &features.raw, labels.as_ptr()) })
    }

    /// (n, classes); larger is likelier.
    pub fn predict(&self, features: TensorRef<'_>) -> Result<Array<f32>> {
        // SAFETY: the tensor describes memory of its shape, or asks.
        Array::filled(|scores| unsafe { sys::sslcv_probe_predict(self.raw.as_ptr(), &features.raw, scores) })
    }

    /// Embeds both, fits on one, judges on the other.
    pub fn evaluate(&mut self, train: &Embedding<'_>, test: &Embedding<'_>) -> Result<Metrics> {
        train.with_raw(|train| {
            test.with_raw(|test| {
                // SAFETY: a struct of plain values with its size; the rest is borrowed for the call.
                unsafe {
                    let mut metrics: Metrics = std::mem::zeroed();
                    metrics.struct_size = std::mem::size_of_val(&metrics);
                    call(|| sys::sslcv_probe_evaluate(self.raw.as_ptr(), train, test, &mut metrics))?;
                    Ok(metrics)
                }
            })
        })
    }
}
