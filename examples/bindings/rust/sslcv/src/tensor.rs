//! Arrays: views of slices going in, arrays of one's own coming out.

use std::marker::PhantomData;

use sslcv_sys as sys;

use crate::error::{call, Error, Result};

mod sealed {
    pub trait Sealed {}
}

/// What slices may hold.
pub trait Element: Copy + Default + sealed::Sealed {
    const DTYPE: i32;
}

macro_rules! elements {
    ($($type:ty: $dtype:ident)*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: i32 = sys::$dtype as i32;
        }
    )* };
}
elements!(f32: SSLCV_F32  f64: SSLCV_F64  u8: SSLCV_U8  u16: SSLCV_U16  i32: SSLCV_I32  i64: SSLCV_I64);

/// How channels lie in an interleaved picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelOrder {
    AsStored = sys::SSLCV_PIXELS_AS_STORED as isize,
    Rgb = sys::SSLCV_PIXELS_RGB as isize,
    Bgr = sys::SSLCV_PIXELS_BGR as isize,
}

/// A slice seen as an array. Nothing is copied.
#[derive(Clone, Copy)]
pub struct TensorRef<'a> {
    pub(crate) raw: sys::sslcv_tensor,
    slice: PhantomData<&'a [u8]>,
}

fn dims(shape: &[usize]) -> Result<Vec<i64>> {
    let fits = |&n: &usize| i64::try_from(n).map_err(|_| Error::invalid(format!("{n} is too large a dimension")));
    shape.iter().map(fits).collect()
}

fn product(shape: &[usize]) -> Result<usize> {
    let all = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    all.ok_or_else(|| Error::invalid(format!("{shape:?} is too large a shape")))
}

impl<'a> TensorRef<'a> {
    /// A dense array, rows before columns.
    pub fn new<T: Element>(data: &'a [T], shape: &[usize]) -> Result<Self> {
        if product(shape)? != data.len() {
            return Err(Error::invalid(format!("{} values do not fill the shape {shape:?}", data.len())));
        }
        Self::describe(T::DTYPE, data.as_ptr().cast_mut().cast(), shape)
    }

    /// A picture whose channels lie together, as cameras give it, seen as (channels, height, width).
    pub fn interleaved<T: Element>(
        pixels: &'a [T], width: usize, height: usize, channels: usize, order: PixelOrder,
    ) -> Result<Self> {
        if product(&[width, height, channels])? != pixels.len() {
            return Err(Error::invalid(format!("{} values are no {width} x {height} x {channels}", pixels.len())));
        }
        let size = dims(&[width, height, channels])?;
        // SAFETY: only describes; the length was checked.
        unsafe {
            let mut raw: sys::sslcv_tensor = std::mem::zeroed();
            let start = pixels.as_ptr().cast();
            call(|| {
                let order = order as i32;
                sys::sslcv_tensor_init_pixels(&mut raw, T::DTYPE, start, size[0], size[1], size[2], 0, order)
            })?;
            Ok(TensorRef { raw, slice: PhantomData })
        }
    }

    fn describe(dtype: i32, data: *mut std::os::raw::c_void, shape: &[usize]) -> Result<Self> {
        let dims = dims(shape)?;
        let ndim = i32::try_from(shape.len()).map_err(|_| Error::invalid("too many dimensions"))?;
        // SAFETY: only describes; dims has ndim entries.
        unsafe {
            let mut raw: sys::sslcv_tensor = std::mem::zeroed();
            call(|| sys::sslcv_tensor_init(&mut raw, dtype, data, ndim, dims.as_ptr()))?;
            Ok(TensorRef { raw, slice: PhantomData })
        }
    }

    pub fn shape(&self) -> Vec<usize> {
        shape_of(&self.raw)
    }
}

pub(crate) fn shape_of(raw: &sys::sslcv_tensor) -> Vec<usize> {
    raw.shape[..raw.ndim as usize].iter().map(|&d| d as usize).collect()
}

/// A dense array that owns its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Element> Array<T> {
    pub fn zeros(shape: &[usize]) -> Result<Self> {
        let mut data = Vec::new();
        let count = product(shape)?;
        data.try_reserve_exact(count).map_err(|_| Error::invalid(format!("no memory for the shape {shape:?}")))?;
        data.resize(count, T::default());
        Ok(Array { shape: shape.to_vec(), data })
    }

    /// What a function fills that is asked for shape and type first.
    pub(crate) fn filled(mut fill: impl FnMut(*mut sys::sslcv_tensor) -> sys::sslcv_status) -> Result<Self> {
        // SAFETY: zeroed is data NULL, which asks.
        let mut raw: sys::sslcv_tensor = unsafe { std::mem::zeroed() };
        call(|| fill(&mut raw))?;
        let mut array = Self::zeros(&shape_of(&raw))?;
        let mut raw = array.raw_mut()?;
        call(|| fill(&mut raw))?;
        Ok(array)
    }

    /// To be filled by C, for as long as the array is left alone.
    pub(crate) fn raw_mut(&mut self) -> Result<sys::sslcv_tensor> {
        let data = self.data.as_mut_ptr().cast();
        Ok(TensorRef::describe(T::DTYPE, data, &self.shape)?.raw)
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn data(&self) -> &[T] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    pub fn view(&self) -> TensorRef<'_> {
        TensorRef::new(&self.data, &self.shape).expect("it was made from this shape")
    }

    /// Along the first axis.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let size: usize = self.shape.iter().skip(1).product();
        self.data.chunks_exact(size.max(1))
    }
}
