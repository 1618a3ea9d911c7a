// Made by generate.sh with bindgen 0.60.1: do not edit.

use std::os::raw::{c_char, c_int, c_uint, c_void};

pub const SSLCV_VERSION_MAJOR: u32 = 0;
pub const SSLCV_VERSION_MINOR: u32 = 1;
pub const SSLCV_VERSION_PATCH: u32 = 0;
pub const SSLCV_VERSION: u32 = 1000;
extern "C" {
    pub fn sslcv_version() -> i32;
    pub fn sslcv_version_string() -> *const c_char;
    pub fn sslcv_build_info() -> *const c_char;
}
pub type sslcv_status = i32;
pub const SSLCV_OK: sslcv_status_code = 0;
pub const SSLCV_ERR_INVALID_ARGUMENT: sslcv_status_code = -1;
pub const SSLCV_ERR_OUT_OF_MEMORY: sslcv_status_code = -2;
pub const SSLCV_ERR_IO: sslcv_status_code = -3;
pub const SSLCV_ERR_FORMAT: sslcv_status_code = -4;
pub const SSLCV_ERR_UNSUPPORTED: sslcv_status_code = -5;
pub const SSLCV_ERR_STATE: sslcv_status_code = -6;
pub const SSLCV_ERR_LIMIT: sslcv_status_code = -7;
pub const SSLCV_ERR_BACKEND: sslcv_status_code = -8;
pub const SSLCV_ERR_CANCELLED: sslcv_status_code = -9;
pub const SSLCV_ERR_NUMERIC: sslcv_status_code = -10;
pub const SSLCV_ERR_NOT_FOUND: sslcv_status_code = -11;
pub type sslcv_status_code = c_int;
extern "C" {
    pub fn sslcv_status_string(status: sslcv_status) -> *const c_char;
    pub fn sslcv_last_error() -> *const c_char;
    pub fn sslcv_last_error_copy(buffer: *mut c_char, size: usize) -> usize;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_context {
    _unused: [u8; 0],
}
pub const SSLCV_PRECISION_AUTO: sslcv_precision = 0;
pub const SSLCV_PRECISION_F32: sslcv_precision = 1;
pub const SSLCV_PRECISION_BF16: sslcv_precision = 2;
pub type sslcv_precision = c_uint;
pub const SSLCV_LOG_ERROR: sslcv_log_level = 1;
pub const SSLCV_LOG_WARNING: sslcv_log_level = 2;
pub const SSLCV_LOG_INFO: sslcv_log_level = 3;
pub const SSLCV_LOG_DEBUG: sslcv_log_level = 4;
pub type sslcv_log_level = c_uint;
pub type sslcv_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, text: *const c_char)>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_allocator {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub allocate: Option<unsafe extern "C" fn(user: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void>,
    pub deallocate: Option<unsafe extern "C" fn(user: *mut c_void, memory: *mut c_void, bytes: usize)>,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_context_options {
    pub struct_size: usize,
    pub threads: i32,
    pub loader_threads: i32,
    pub precision: i32,
    pub winograd: i32,
    pub seed: u64,
    pub allocator: *const sslcv_allocator,
    pub log: sslcv_log_fn,
    pub log_user: *mut c_void,
    pub log_level: i32,
    pub reserved: i32,
    pub tuning_path: *const c_char,
    pub log_destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_context_info {
    pub struct_size: usize,
    pub threads: i32,
    pub loader_threads: i32,
    pub precision: i32,
    pub cancelled: i32,
    pub cpu: *const c_char,
    pub bytes: i64,
}
extern "C" {
    pub fn sslcv_context_options_init(options: *mut sslcv_context_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_context_create(
        options: *const sslcv_context_options, context: *mut *mut sslcv_context,
    ) -> sslcv_status;
    pub fn sslcv_context_destroy(context: *mut sslcv_context);
    pub fn sslcv_retain(handle: *mut c_void) -> sslcv_status;
    pub fn sslcv_context_cancel(context: *mut sslcv_context, on: i32) -> sslcv_status;
    pub fn sslcv_context_get_info(context: *const sslcv_context, info: *mut sslcv_context_info) -> sslcv_status;
}
pub const SSLCV_MAX_DIMS: _bindgen_ty_1 = 8;
pub type _bindgen_ty_1 = c_uint;
pub const SSLCV_F32: sslcv_dtype = 1;
pub const SSLCV_BF16: sslcv_dtype = 2;
pub const SSLCV_F16: sslcv_dtype = 3;
pub const SSLCV_F64: sslcv_dtype = 4;
pub const SSLCV_U8: sslcv_dtype = 5;
pub const SSLCV_U16: sslcv_dtype = 6;
pub const SSLCV_I32: sslcv_dtype = 7;
pub const SSLCV_I64: sslcv_dtype = 8;
pub const SSLCV_BOOL: sslcv_dtype = 9;
pub type sslcv_dtype = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_tensor {
    pub data: *mut c_void,
    pub shape: [i64; 8usize],
    pub strides: [i64; 8usize],
    pub ndim: i32,
    pub dtype: i32,
}
pub const SSLCV_PIXELS_AS_STORED: sslcv_pixel_order = 0;
pub const SSLCV_PIXELS_RGB: sslcv_pixel_order = 1;
pub const SSLCV_PIXELS_BGR: sslcv_pixel_order = 2;
pub type sslcv_pixel_order = c_uint;
extern "C" {
    pub fn sslcv_dtype_size(dtype: i32) -> i64;
    pub fn sslcv_tensor_init(
        tensor: *mut sslcv_tensor, dtype: i32, data: *mut c_void, ndim: i32, shape: *const i64,
    ) -> sslcv_status;
    pub fn sslcv_tensor_init_pixels(
        tensor: *mut sslcv_tensor, dtype: i32, pixels: *const c_void, width: i64, height: i64, channels: i64,
        row_bytes: i64, order: i32,
    ) -> sslcv_status;
    pub fn sslcv_tensor_from_dlpack(dlpack: *const c_void, versioned: i32, tensor: *mut sslcv_tensor) -> sslcv_status;
}
pub type sslcv_release_fn = Option<unsafe extern "C" fn(owner: *mut c_void)>;
extern "C" {
    pub fn sslcv_tensor_to_dlpack(
        tensor: *const sslcv_tensor, owner: *mut c_void, release: sslcv_release_fn, versioned: i32,
        dlpack: *mut *mut c_void,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_state {
    _unused: [u8; 0],
}
pub const SSLCV_ROLE_WEIGHT: sslcv_role = 1;
pub const SSLCV_ROLE_BIAS: sslcv_role = 2;
pub const SSLCV_ROLE_NORM: sslcv_role = 4;
pub const SSLCV_ROLE_BUFFER: sslcv_role = 8;
pub const SSLCV_ROLE_PARAMETERS: sslcv_role = 7;
pub const SSLCV_ROLE_ALL: sslcv_role = 15;
pub type sslcv_role = c_uint;
pub const SSLCV_STATE_VALUE: sslcv_state_part = 0;
pub const SSLCV_STATE_GRADIENT: sslcv_state_part = 1;
pub type sslcv_state_part = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_state_entry {
    pub struct_size: usize,
    pub name: *const c_char,
    pub shape: [i64; 8usize],
    pub ndim: i32,
    pub dtype: i32,
    pub role: i32,
    pub frozen: i32,
}
extern "C" {
    pub fn sslcv_state_create(context: *mut sslcv_context, state: *mut *mut sslcv_state) -> sslcv_status;
    pub fn sslcv_state_destroy(state: *mut sslcv_state);
    pub fn sslcv_state_get_entry(state: *const sslcv_state, index: i64, entry: *mut sslcv_state_entry) -> sslcv_status;
    pub fn sslcv_state_find(state: *const sslcv_state, name: *const c_char, index: *mut i64) -> sslcv_status;
    pub fn sslcv_state_add(state: *mut sslcv_state, entry: *const sslcv_state_entry, index: *mut i64) -> sslcv_status;
    pub fn sslcv_state_data(state: *mut sslcv_state, index: i64, part: i32, tensor: *mut sslcv_tensor) -> sslcv_status;
    pub fn sslcv_state_get(state: *const sslcv_state, index: i64, part: i32, tensor: *mut sslcv_tensor)
        -> sslcv_status;
    pub fn sslcv_state_set(state: *mut sslcv_state, index: i64, part: i32, tensor: *const sslcv_tensor)
        -> sslcv_status;
    pub fn sslcv_state_get_flat(
        state: *const sslcv_state, roles: i32, buffer: *mut f32, capacity: i64, count: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_state_set_flat(state: *mut sslcv_state, roles: i32, buffer: *const f32, count: i64) -> sslcv_status;
    pub fn sslcv_state_lerp(
        target: *mut sslcv_state, source: *const sslcv_state, momentum: f64, roles: i32,
    ) -> sslcv_status;
    pub fn sslcv_state_freeze(state: *mut sslcv_state, prefix: *const c_char, frozen: i32) -> sslcv_status;
}
pub const SSLCV_FORMAT_SAFETENSORS: sslcv_format = 0;
pub const SSLCV_FORMAT_NPZ: sslcv_format = 1;
pub const SSLCV_FORMAT_NPY: sslcv_format = 2;
pub type sslcv_format = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_stream {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub read: Option<unsafe extern "C" fn(user: *mut c_void, buffer: *mut c_void, size: i64) -> i64>,
    pub write: Option<unsafe extern "C" fn(user: *mut c_void, buffer: *const c_void, size: i64) -> i64>,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_save_options {
    pub struct_size: usize,
    pub dtype: i32,
    pub roles: i32,
    pub generations: i32,
    pub format: i32,
    pub prefix: *const c_char,
    pub metadata: *const *const c_char,
    pub num_metadata: i64,
    pub stream: *const sslcv_stream,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_load_options {
    pub struct_size: usize,
    pub partial: i32,
    pub adapt_input: i32,
    pub roles: i32,
    pub reserved: i32,
    pub prefix: *const c_char,
    pub max_bytes: i64,
    pub stream: *const sslcv_stream,
}
pub const SSLCV_ADAPT_NONE: sslcv_adapt = 0;
pub const SSLCV_ADAPT_MEAN: sslcv_adapt = 1;
pub const SSLCV_ADAPT_REPEAT: sslcv_adapt = 2;
pub const SSLCV_ADAPT_FIRST: sslcv_adapt = 3;
pub type sslcv_adapt = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_load_report {
    pub struct_size: usize,
    pub matched: i64,
    pub missing: i64,
    pub unexpected: i64,
    pub adapted: i64,
    pub text: *mut c_char,
    pub text_size: i64,
    pub text_needed: i64,
    pub layout: [c_char; 32usize],
}
extern "C" {
    pub fn sslcv_save_options_init(options: *mut sslcv_save_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_load_options_init(options: *mut sslcv_load_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_state_save(
        state: *const sslcv_state, path: *const c_char, options: *const sslcv_save_options,
    ) -> sslcv_status;
    pub fn sslcv_state_load(
        state: *mut sslcv_state, path: *const c_char, options: *const sslcv_load_options,
        report: *mut sslcv_load_report,
    ) -> sslcv_status;
    pub fn sslcv_state_open(
        context: *mut sslcv_context, path: *const c_char, options: *const sslcv_load_options,
        state: *mut *mut sslcv_state,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_augmenter {
    _unused: [u8; 0],
}
pub const SSLCV_SOURCE_IMAGE: _bindgen_ty_2 = -1;
pub type _bindgen_ty_2 = c_int;
pub const SSLCV_MAX_CHANNELS: _bindgen_ty_3 = 16;
pub type _bindgen_ty_3 = c_uint;
pub const SSLCV_TRANSFORM_RANDOM_RESIZED_CROP: sslcv_transform_kind = 1;
pub const SSLCV_TRANSFORM_RANDOM_CROP: sslcv_transform_kind = 2;
pub const SSLCV_TRANSFORM_CENTER_CROP: sslcv_transform_kind = 3;
pub const SSLCV_TRANSFORM_RESIZE: sslcv_transform_kind = 4;
pub const SSLCV_TRANSFORM_HORIZONTAL_FLIP: sslcv_transform_kind = 5;
pub const SSLCV_TRANSFORM_VERTICAL_FLIP: sslcv_transform_kind = 6;
pub const SSLCV_TRANSFORM_ROTATE90: sslcv_transform_kind = 7;
pub const SSLCV_TRANSFORM_COLOR_JITTER: sslcv_transform_kind = 8;
pub const SSLCV_TRANSFORM_GRAYSCALE: sslcv_transform_kind = 9;
pub const SSLCV_TRANSFORM_GAUSSIAN_BLUR: sslcv_transform_kind = 10;
pub const SSLCV_TRANSFORM_SOLARIZE: sslcv_transform_kind = 11;
pub const SSLCV_TRANSFORM_POSTERIZE: sslcv_transform_kind = 12;
pub const SSLCV_TRANSFORM_SHARPNESS: sslcv_transform_kind = 13;
pub const SSLCV_TRANSFORM_AUTOCONTRAST: sslcv_transform_kind = 14;
pub const SSLCV_TRANSFORM_RANDOM_WINDOW: sslcv_transform_kind = 15;
pub const SSLCV_TRANSFORM_CONVERT_COLOR: sslcv_transform_kind = 16;
pub const SSLCV_TRANSFORM_SELECT_CHANNELS: sslcv_transform_kind = 17;
pub const SSLCV_TRANSFORM_DROP_CHANNELS: sslcv_transform_kind = 18;
pub const SSLCV_TRANSFORM_SOBEL: sslcv_transform_kind = 19;
pub const SSLCV_TRANSFORM_NORMALIZE: sslcv_transform_kind = 20;
pub const SSLCV_TRANSFORM_PATCHES: sslcv_transform_kind = 21;
pub const SSLCV_TRANSFORM_CUSTOM: sslcv_transform_kind = 22;
pub const SSLCV_TRANSFORM_SHEAR_X: sslcv_transform_kind = 23;
pub const SSLCV_TRANSFORM_SHEAR_Y: sslcv_transform_kind = 24;
pub const SSLCV_TRANSFORM_TRANSLATE_X: sslcv_transform_kind = 25;
pub const SSLCV_TRANSFORM_TRANSLATE_Y: sslcv_transform_kind = 26;
pub const SSLCV_TRANSFORM_ROTATE: sslcv_transform_kind = 27;
pub const SSLCV_TRANSFORM_EQUALIZE: sslcv_transform_kind = 28;
pub const SSLCV_TRANSFORM_AUTOAUGMENT: sslcv_transform_kind = 29;
pub const SSLCV_TRANSFORM_ELASTIC: sslcv_transform_kind = 30;
pub const SSLCV_TRANSFORM_TONE_CURVE: sslcv_transform_kind = 31;
pub type sslcv_transform_kind = c_uint;
pub const SSLCV_INTERPOLATION_BILINEAR: sslcv_interpolation = 0;
pub const SSLCV_INTERPOLATION_BICUBIC: sslcv_interpolation = 1;
pub const SSLCV_INTERPOLATION_NEAREST: sslcv_interpolation = 2;
pub type sslcv_interpolation = c_uint;
pub const SSLCV_COLOR_LAB: sslcv_color_space = 1;
pub const SSLCV_COLOR_YDBDR: sslcv_color_space = 2;
pub const SSLCV_COLOR_YCBCR: sslcv_color_space = 3;
pub type sslcv_color_space = c_uint;
pub const SSLCV_PLACEMENT_OVERLAP: sslcv_placement = 0;
pub const SSLCV_PLACEMENT_CELL: sslcv_placement = 1;
pub type sslcv_placement = c_uint;
pub const SSLCV_CALLBACK_ANY_THREAD: _bindgen_ty_4 = 1;
pub type _bindgen_ty_4 = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_transform_callbacks {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub apply: Option<
        unsafe extern "C" fn(user: *mut c_void, src: *const sslcv_tensor, dst: *mut sslcv_tensor, random: u64) -> i32,
    >,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
    pub flags: i32,
    pub reserved: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_transform {
    pub struct_size: usize,
    pub kind: i32,
    pub interpolation: i32,
    pub probability: f64,
    pub height: i64,
    pub width: i64,
    pub rows: i64,
    pub columns: i64,
    pub padding: i64,
    pub first: i64,
    pub count: i64,
    pub min: f64,
    pub max: f64,
    pub ratio_min: f64,
    pub ratio_max: f64,
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    pub hue: f64,
    pub mean: [f64; 16usize],
    pub std: [f64; 16usize],
    pub color_space: i32,
    pub placement: i32,
    pub shuffle: i32,
    pub with_previous: i32,
    pub callbacks: *const sslcv_transform_callbacks,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_view_info {
    pub struct_size: usize,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    pub rows: i64,
    pub columns: i64,
}
extern "C" {
    pub fn sslcv_augmenter_create(context: *mut sslcv_context, augmenter: *mut *mut sslcv_augmenter) -> sslcv_status;
    pub fn sslcv_augmenter_destroy(augmenter: *mut sslcv_augmenter);
    pub fn sslcv_augmenter_add_view(augmenter: *mut sslcv_augmenter, source: i64, view: *mut i64) -> sslcv_status;
    pub fn sslcv_transform_init(transform: *mut sslcv_transform, struct_size: usize, kind: i32) -> sslcv_status;
    pub fn sslcv_augmenter_add_transform(
        augmenter: *mut sslcv_augmenter, view: i64, transform: *const sslcv_transform,
    ) -> sslcv_status;
    pub fn sslcv_augmenter_add_preset(
        augmenter: *mut sslcv_augmenter, preset: *const c_char, size: i64, first: *mut i64, count: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_augmenter_get_view(
        augmenter: *const sslcv_augmenter, view: i64, info: *mut sslcv_view_info,
    ) -> sslcv_status;
    pub fn sslcv_augmenter_apply(
        augmenter: *mut sslcv_augmenter, image: *const sslcv_tensor, seed: u64, epoch: i64, sample: i64, view: i64,
        out: *mut sslcv_tensor,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_dataset {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loader {
    _unused: [u8; 0],
}
pub const SSLCV_DATASET_LIST: sslcv_dataset_kind = 1;
pub const SSLCV_DATASET_FOLDER: sslcv_dataset_kind = 2;
pub const SSLCV_DATASET_CIFAR10: sslcv_dataset_kind = 3;
pub const SSLCV_DATASET_CIFAR100: sslcv_dataset_kind = 4;
pub const SSLCV_DATASET_IDX: sslcv_dataset_kind = 5;
pub const SSLCV_DATASET_CALLBACK: sslcv_dataset_kind = 6;
pub type sslcv_dataset_kind = c_uint;
pub const SSLCV_PART_ALL: sslcv_dataset_part = 0;
pub const SSLCV_PART_TRAIN: sslcv_dataset_part = 1;
pub const SSLCV_PART_TEST: sslcv_dataset_part = 2;
pub type sslcv_dataset_part = c_uint;
pub const SSLCV_ON_ERROR_SUBSTITUTE: sslcv_on_error = 0;
pub const SSLCV_ON_ERROR_FAIL: sslcv_on_error = 1;
pub type sslcv_on_error = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_dataset_callbacks {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub load: Option<unsafe extern "C" fn(user: *mut c_void, index: i64, image: *mut sslcv_tensor) -> i32>,
    pub unload: Option<unsafe extern "C" fn(user: *mut c_void, index: i64, image: *const sslcv_tensor)>,
    pub get_label: Option<unsafe extern "C" fn(user: *mut c_void, index: i64, label: *mut i64) -> i32>,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
    pub flags: i32,
    pub reserved: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_dataset_options {
    pub struct_size: usize,
    pub kind: i32,
    pub part: i32,
    pub label_folders: i32,
    pub on_error: i32,
    pub channels: i32,
    pub cache: i32,
    pub path: *const c_char,
    pub labels_path: *const c_char,
    pub count: i64,
    pub num_classes: i64,
    pub max_pixels: i64,
    pub max_file_bytes: i64,
    pub max_cache_bytes: i64,
    pub callbacks: *const sslcv_dataset_callbacks,
    pub min_side: i64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_dataset_info {
    pub struct_size: usize,
    pub count: i64,
    pub num_classes: i64,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    pub failed: i64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_sample {
    pub struct_size: usize,
    pub name: *const c_char,
    pub label: i64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_split_options {
    pub struct_size: usize,
    pub fraction: f64,
    pub per_class: i64,
    pub folds: i64,
    pub fold: i64,
    pub list_path: *const c_char,
    pub seed: u64,
    pub balanced: i32,
    pub complement: i32,
}
extern "C" {
    pub fn sslcv_dataset_options_init(
        options: *mut sslcv_dataset_options, struct_size: usize, kind: i32,
    ) -> sslcv_status;
    pub fn sslcv_dataset_create(
        context: *mut sslcv_context, options: *const sslcv_dataset_options, dataset: *mut *mut sslcv_dataset,
    ) -> sslcv_status;
    pub fn sslcv_dataset_destroy(dataset: *mut sslcv_dataset);
    pub fn sslcv_dataset_add_images(
        dataset: *mut sslcv_dataset, image: *const sslcv_tensor, labels: *const i64, index: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_dataset_add_file(
        dataset: *mut sslcv_dataset, path: *const c_char, bytes: *const c_void, size: i64, label: i64, index: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_dataset_get_info(dataset: *const sslcv_dataset, info: *mut sslcv_dataset_info) -> sslcv_status;
    pub fn sslcv_dataset_get_sample(
        dataset: *const sslcv_dataset, index: i64, sample: *mut sslcv_sample,
    ) -> sslcv_status;
    pub fn sslcv_dataset_get_class(dataset: *const sslcv_dataset, label: i64, name: *mut *const c_char)
        -> sslcv_status;
    pub fn sslcv_dataset_read(dataset: *mut sslcv_dataset, index: i64, image: *mut sslcv_tensor) -> sslcv_status;
    pub fn sslcv_split_options_init(options: *mut sslcv_split_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_dataset_split(
        dataset: *const sslcv_dataset, options: *const sslcv_split_options, indices: *mut i64, capacity: i64,
        count: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_dataset_save_list(
        dataset: *const sslcv_dataset, indices: *const i64, count: i64, path: *const c_char,
    ) -> sslcv_status;
    pub fn sslcv_dataset_subset(
        dataset: *mut sslcv_dataset, indices: *const i64, count: i64, subset: *mut *mut sslcv_dataset,
    ) -> sslcv_status;
}
pub const SSLCV_SAMPLER_SHUFFLED: sslcv_sampler = 0;
pub const SSLCV_SAMPLER_IN_ORDER: sslcv_sampler = 1;
pub const SSLCV_SAMPLER_BY_CLASS: sslcv_sampler = 2;
pub type sslcv_sampler = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loader_options {
    pub struct_size: usize,
    pub dataset: *mut sslcv_dataset,
    pub augmenter: *mut sslcv_augmenter,
    pub batch_size: i64,
    pub prefetch: i64,
    pub seed: u64,
    pub sampler: i32,
    pub drop_last: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_batch {
    pub struct_size: usize,
    pub size: i64,
    pub epoch: i64,
    pub index: i64,
    pub count: i64,
    pub ids: *const i64,
    pub labels: *const i64,
}
extern "C" {
    pub fn sslcv_loader_options_init(options: *mut sslcv_loader_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loader_create(
        context: *mut sslcv_context, options: *const sslcv_loader_options, loader: *mut *mut sslcv_loader,
    ) -> sslcv_status;
    pub fn sslcv_loader_destroy(loader: *mut sslcv_loader);
    pub fn sslcv_loader_next(loader: *mut sslcv_loader, batch: *mut sslcv_batch) -> sslcv_status;
    pub fn sslcv_loader_get_views(
        loader: *mut sslcv_loader, views: *const i64, num_views: i64, images: *mut sslcv_tensor,
    ) -> sslcv_status;
    pub fn sslcv_loader_seek(loader: *mut sslcv_loader, epoch: i64, index: i64) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_tape {
    _unused: [u8; 0],
}
pub const SSLCV_PASS_TRAIN: sslcv_pass_flag = 1;
pub const SSLCV_PASS_GRADIENT: sslcv_pass_flag = 2;
pub const SSLCV_PASS_SHUFFLE: sslcv_pass_flag = 4;
pub const SSLCV_PASS_MAP: sslcv_pass_flag = 8;
pub const SSLCV_PASS_INPUT_GRADIENT: sslcv_pass_flag = 16;
pub type sslcv_pass_flag = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_pass {
    pub struct_size: usize,
    pub flags: i32,
    pub bn_splits: i32,
    pub random: u64,
    pub stage: *const c_char,
}
extern "C" {
    pub fn sslcv_pass_init(pass: *mut sslcv_pass, struct_size: usize) -> sslcv_status;
    pub fn sslcv_tape_create(context: *mut sslcv_context, tape: *mut *mut sslcv_tape) -> sslcv_status;
    pub fn sslcv_tape_destroy(tape: *mut sslcv_tape);
    pub fn sslcv_tape_output(tape: *const sslcv_tape, output: *mut sslcv_tensor) -> sslcv_status;
    pub fn sslcv_tape_backward(tape: *mut sslcv_tape, diff_output: *const sslcv_tensor) -> sslcv_status;
    pub fn sslcv_tape_diff_input(tape: *const sslcv_tape, diff_input: *mut sslcv_tensor) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_backbone {
    _unused: [u8; 0],
}
pub const SSLCV_BACKBONE_RESNET18: sslcv_architecture = 1;
pub const SSLCV_BACKBONE_RESNET34: sslcv_architecture = 2;
pub const SSLCV_BACKBONE_RESNET50: sslcv_architecture = 3;
pub const SSLCV_BACKBONE_RESNET101: sslcv_architecture = 4;
pub const SSLCV_BACKBONE_ALEXNET: sslcv_architecture = 5;
pub const SSLCV_BACKBONE_ALEXNET_HALF: sslcv_architecture = 6;
pub type sslcv_architecture = c_uint;
pub const SSLCV_STEM_IMAGENET: sslcv_stem = 0;
pub const SSLCV_STEM_CIFAR: sslcv_stem = 1;
pub const SSLCV_STEM_GIM: sslcv_stem = 2;
pub type sslcv_stem = c_uint;
pub const SSLCV_NORM_NONE: sslcv_norm = 0;
pub const SSLCV_NORM_BATCH: sslcv_norm = 1;
pub const SSLCV_NORM_GROUP: sslcv_norm = 2;
pub const SSLCV_NORM_LAYER: sslcv_norm = 3;
pub type sslcv_norm = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_backbone_options {
    pub struct_size: usize,
    pub architecture: i32,
    pub stem: i32,
    pub norm: i32,
    pub zero_init_residual: i32,
    pub project_all: i32,
    pub num_stages: i32,
    pub preactivation: i32,
    pub reserved: i32,
    pub channels: i64,
    pub stem_channels: i64,
    pub image_size: i64,
    pub width: f64,
    pub norm_epsilon: f64,
    pub norm_momentum: f64,
    pub seed: u64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_backbone_info {
    pub struct_size: usize,
    pub channels: i64,
    pub feature_dim: i64,
    pub num_parameters: i64,
    pub num_stages: i32,
    pub frozen_stages: i32,
    pub architecture: i32,
    pub stem: i32,
    pub norm: i32,
    pub preactivation: i32,
    pub width: f64,
    pub stem_channels: i64,
    pub image_size: i64,
}
extern "C" {
    pub fn sslcv_backbone_options_init(
        options: *mut sslcv_backbone_options, struct_size: usize, architecture: i32,
    ) -> sslcv_status;
    pub fn sslcv_backbone_create(
        context: *mut sslcv_context, options: *const sslcv_backbone_options, backbone: *mut *mut sslcv_backbone,
    ) -> sslcv_status;
    pub fn sslcv_backbone_load(
        context: *mut sslcv_context, path: *const c_char, options: *const sslcv_load_options,
        backbone: *mut *mut sslcv_backbone,
    ) -> sslcv_status;
    pub fn sslcv_backbone_destroy(backbone: *mut sslcv_backbone);
    pub fn sslcv_backbone_clone(backbone: *const sslcv_backbone, copy: *mut *mut sslcv_backbone) -> sslcv_status;
    pub fn sslcv_backbone_get_state(backbone: *mut sslcv_backbone, state: *mut *mut sslcv_state) -> sslcv_status;
    pub fn sslcv_backbone_get_info(backbone: *const sslcv_backbone, info: *mut sslcv_backbone_info) -> sslcv_status;
    pub fn sslcv_backbone_get_stage(
        backbone: *const sslcv_backbone, index: i64, name: *mut *const c_char, dim: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_backbone_freeze(backbone: *mut sslcv_backbone, num_stages: i32) -> sslcv_status;
    pub fn sslcv_backbone_forward(
        backbone: *mut sslcv_backbone, images: *const sslcv_tensor, pass: *const sslcv_pass, tape: *mut sslcv_tape,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_head {
    _unused: [u8; 0],
}
pub const SSLCV_ACTIVATION_RELU: sslcv_activation = 0;
pub const SSLCV_ACTIVATION_GELU: sslcv_activation = 1;
pub type sslcv_activation = c_uint;
pub const SSLCV_LAST_NORM_NONE: sslcv_last_norm = 0;
pub const SSLCV_LAST_NORM_BATCH: sslcv_last_norm = 1;
pub const SSLCV_LAST_NORM_NO_SHIFT: sslcv_last_norm = 2;
pub const SSLCV_LAST_NORM_PLAIN: sslcv_last_norm = 3;
pub type sslcv_last_norm = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_mlp_options {
    pub struct_size: usize,
    pub in_dim: i64,
    pub hidden_dim: i64,
    pub out_dim: i64,
    pub dropout: f64,
    pub init_std: f64,
    pub seed: u64,
    pub num_layers: i32,
    pub norm: i32,
    pub last_norm: i32,
    pub activation: i32,
    pub bias: i32,
    pub last_bias: i32,
    pub normalize: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_mlp_options_init(options: *mut sslcv_mlp_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_mlp(
        context: *mut sslcv_context, options: *const sslcv_mlp_options, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_patch_mlp_options {
    pub struct_size: usize,
    pub in_dim: i64,
    pub num_patches: i64,
    pub hidden_dim: i64,
    pub patch_dim: i64,
    pub out_dim: i64,
    pub seed: u64,
    pub num_layers: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_patch_mlp_options_init(options: *mut sslcv_patch_mlp_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_patch_mlp(
        context: *mut sslcv_context, options: *const sslcv_patch_mlp_options, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_prototypes_options {
    pub struct_size: usize,
    pub in_dim: i64,
    pub out_dim: i64,
    pub seed: u64,
}
extern "C" {
    pub fn sslcv_prototypes_options_init(options: *mut sslcv_prototypes_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_prototypes(
        context: *mut sslcv_context, options: *const sslcv_prototypes_options, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_pixelcnn_options {
    pub struct_size: usize,
    pub in_dim: i64,
    pub hidden_dim: i64,
    pub out_dim: i64,
    pub rows: i64,
    pub columns: i64,
    pub seed: u64,
    pub num_layers: i32,
    pub directions: i32,
}
extern "C" {
    pub fn sslcv_pixelcnn_options_init(options: *mut sslcv_pixelcnn_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_pixelcnn(
        context: *mut sslcv_context, options: *const sslcv_pixelcnn_options, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_cpc_v2_options {
    pub struct_size: usize,
    pub in_dim: i64,
    pub hidden_dim: i64,
    pub rows: i64,
    pub columns: i64,
    pub seed: u64,
    pub num_blocks: i32,
    pub directions: i32,
}
extern "C" {
    pub fn sslcv_cpc_v2_options_init(options: *mut sslcv_cpc_v2_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_cpc_v2(
        context: *mut sslcv_context, options: *const sslcv_cpc_v2_options, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_head_callbacks {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub forward: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            state: *mut sslcv_state,
            in_: *const sslcv_tensor,
            out: *mut sslcv_tensor,
            pass: *const sslcv_pass,
        ) -> i32,
    >,
    pub backward: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            state: *mut sslcv_state,
            in_: *const sslcv_tensor,
            out: *const sslcv_tensor,
            diff_out: *const sslcv_tensor,
            diff_in: *mut sslcv_tensor,
            pass: *const sslcv_pass,
        ) -> i32,
    >,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
    pub in_dim: i64,
    pub out_dim: i64,
    pub out_patches: i64,
}
extern "C" {
    pub fn sslcv_head_callbacks_init(callbacks: *mut sslcv_head_callbacks, struct_size: usize) -> sslcv_status;
    pub fn sslcv_head_create_custom(
        context: *mut sslcv_context, callbacks: *const sslcv_head_callbacks, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_head_info {
    pub struct_size: usize,
    pub kind: *const c_char,
    pub in_dim: i64,
    pub out_dim: i64,
    pub num_parameters: i64,
}
extern "C" {
    pub fn sslcv_head_destroy(head: *mut sslcv_head);
    pub fn sslcv_head_clone(head: *const sslcv_head, copy: *mut *mut sslcv_head) -> sslcv_status;
    pub fn sslcv_head_get_state(head: *mut sslcv_head, state: *mut *mut sslcv_state) -> sslcv_status;
    pub fn sslcv_head_get_info(head: *const sslcv_head, info: *mut sslcv_head_info) -> sslcv_status;
    pub fn sslcv_head_reset(head: *mut sslcv_head, seed: u64) -> sslcv_status;
    pub fn sslcv_head_forward(
        head: *mut sslcv_head, input: *const sslcv_tensor, pass: *const sslcv_pass, tape: *mut sslcv_tape,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loss {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loss_call {
    pub struct_size: usize,
    pub inputs: *const sslcv_tensor,
    pub diff_inputs: *mut sslcv_tensor,
    pub num_inputs: i64,
    pub ids: *const i64,
    pub labels: *const i64,
    pub targets: *const sslcv_tensor,
    pub step: i64,
    pub epoch: i64,
    pub scale: f64,
    pub flags: i32,
    pub reserved: i32,
    pub value: f64,
}
pub const SSLCV_CALL_REMEMBER: sslcv_call_flag = 1;
pub type sslcv_call_flag = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loss_callbacks {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub compute:
        Option<unsafe extern "C" fn(user: *mut c_void, state: *mut sslcv_state, call: *mut sslcv_loss_call) -> i32>,
    pub begin_epoch: Option<unsafe extern "C" fn(user: *mut c_void, state: *mut sslcv_state, epoch: i64) -> i32>,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
    pub num_inputs: i64,
    pub gradient_inputs: u64,
    pub needs_ids: i32,
    pub needs_labels: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_loss_info {
    pub struct_size: usize,
    pub kind: *const c_char,
    pub needs_ids: i32,
    pub needs_labels: i32,
    pub min_inputs: i64,
    pub max_inputs: i64,
    pub gradient_inputs: u64,
    pub bytes: i64,
}
extern "C" {
    pub fn sslcv_loss_callbacks_init(callbacks: *mut sslcv_loss_callbacks, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_custom(
        context: *mut sslcv_context, callbacks: *const sslcv_loss_callbacks, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
    pub fn sslcv_loss_destroy(loss: *mut sslcv_loss);
    pub fn sslcv_loss_get_info(loss: *const sslcv_loss, info: *mut sslcv_loss_info) -> sslcv_status;
    pub fn sslcv_loss_get_state(loss: *mut sslcv_loss, state: *mut *mut sslcv_state) -> sslcv_status;
    pub fn sslcv_loss_call_init(call: *mut sslcv_loss_call, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_begin_epoch(loss: *mut sslcv_loss, epoch: i64) -> sslcv_status;
    pub fn sslcv_loss_compute(loss: *mut sslcv_loss, call: *mut sslcv_loss_call) -> sslcv_status;
    pub fn sslcv_loss_set(loss: *mut sslcv_loss, field: *const c_char, value: f64) -> sslcv_status;
    pub fn sslcv_loss_get_metric(
        loss: *const sslcv_loss, index: i64, name: *mut *const c_char, value: *mut f64,
    ) -> sslcv_status;
}
pub const SSLCV_REDUCTION_MEAN: sslcv_reduction = 0;
pub const SSLCV_REDUCTION_SUM: sslcv_reduction = 1;
pub type sslcv_reduction = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_info_nce_options {
    pub struct_size: usize,
    pub temperature: f64,
    pub queue_size: i64,
    pub dim: i64,
    pub seed: u64,
    pub reduction: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_info_nce_options_init(options: *mut sslcv_info_nce_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_info_nce(
        context: *mut sslcv_context, options: *const sslcv_info_nce_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
pub const SSLCV_BANK_CORE: sslcv_bank_pairing = 0;
pub const SSLCV_BANK_FULL: sslcv_bank_pairing = 1;
pub const SSLCV_BANK_SINGLE: sslcv_bank_pairing = 2;
pub type sslcv_bank_pairing = c_uint;
pub const SSLCV_ESTIMATOR_NCE: sslcv_bank_estimator = 0;
pub const SSLCV_ESTIMATOR_SOFTMAX: sslcv_bank_estimator = 1;
pub type sslcv_bank_estimator = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_nce_bank_options {
    pub struct_size: usize,
    pub num_samples: i64,
    pub num_inputs: i64,
    pub num_negatives: i64,
    pub dim: i64,
    pub temperature: f64,
    pub bank_momentum: f64,
    pub balance: f64,
    pub epsilon: f64,
    pub seed: u64,
    pub pairing: i32,
    pub estimator: i32,
    pub shared_z: i32,
    pub exclude_self: i32,
    pub unit_init: i32,
    pub bank_dtype: i32,
    pub row_weights: *const f64,
}
extern "C" {
    pub fn sslcv_nce_bank_options_init(options: *mut sslcv_nce_bank_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_nce_bank(
        context: *mut sslcv_context, options: *const sslcv_nce_bank_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_swapped_options {
    pub struct_size: usize,
    pub dim: i64,
    pub num_prototypes: i64,
    pub code_views: i64,
    pub temperature: f64,
    pub epsilon: f64,
    pub iterations: i64,
    pub queue_size: i64,
    pub queue_start_epoch: i64,
    pub freeze_steps: i64,
    pub hard_steps: i64,
    pub seed: u64,
}
extern "C" {
    pub fn sslcv_swapped_options_init(options: *mut sslcv_swapped_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_swapped(
        context: *mut sslcv_context, options: *const sslcv_swapped_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_cluster_options {
    pub struct_size: usize,
    pub num_samples: i64,
    pub dim: i64,
    pub num_prototypes: i64,
    pub num_sets: i64,
    pub memory_views: i64,
    pub iterations: i64,
    pub temperature: f64,
    pub seed: u64,
}
extern "C" {
    pub fn sslcv_cluster_options_init(options: *mut sslcv_cluster_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_cluster(
        context: *mut sslcv_context, options: *const sslcv_cluster_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_cpc_options {
    pub struct_size: usize,
    pub dim: i64,
    pub context_dim: i64,
    pub rows: i64,
    pub columns: i64,
    pub first_offset: i64,
    pub last_offset: i64,
    pub num_negatives: i64,
    pub target_dim: i64,
    pub score_scale: f64,
    pub seed: u64,
    pub directions: i32,
    pub reduction: i32,
}
extern "C" {
    pub fn sslcv_cpc_options_init(options: *mut sslcv_cpc_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_cpc(
        context: *mut sslcv_context, options: *const sslcv_cpc_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_cosine_options {
    pub struct_size: usize,
    pub squared: i32,
    pub reduction: i32,
}
extern "C" {
    pub fn sslcv_cosine_options_init(options: *mut sslcv_cosine_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_cosine(
        context: *mut sslcv_context, options: *const sslcv_cosine_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_barlow_twins_options {
    pub struct_size: usize,
    pub off_diagonal: f64,
}
extern "C" {
    pub fn sslcv_barlow_twins_options_init(
        options: *mut sslcv_barlow_twins_options, struct_size: usize,
    ) -> sslcv_status;
    pub fn sslcv_loss_create_barlow_twins(
        context: *mut sslcv_context, options: *const sslcv_barlow_twins_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_vicreg_options {
    pub struct_size: usize,
    pub weight_invariance: f64,
    pub weight_variance: f64,
    pub weight_covariance: f64,
}
extern "C" {
    pub fn sslcv_vicreg_options_init(options: *mut sslcv_vicreg_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_vicreg(
        context: *mut sslcv_context, options: *const sslcv_vicreg_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_dino_options {
    pub struct_size: usize,
    pub dim: i64,
    pub student_temperature: f64,
    pub teacher_temperature: f64,
    pub center_momentum: f64,
}
extern "C" {
    pub fn sslcv_dino_options_init(options: *mut sslcv_dino_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_loss_create_dino(
        context: *mut sslcv_context, options: *const sslcv_dino_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_cross_entropy_options {
    pub struct_size: usize,
    pub label_smoothing: f64,
}
extern "C" {
    pub fn sslcv_cross_entropy_options_init(
        options: *mut sslcv_cross_entropy_options, struct_size: usize,
    ) -> sslcv_status;
    pub fn sslcv_loss_create_cross_entropy(
        context: *mut sslcv_context, options: *const sslcv_cross_entropy_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_binary_cross_entropy_options {
    pub struct_size: usize,
    pub reduction: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_binary_cross_entropy_options_init(
        options: *mut sslcv_binary_cross_entropy_options, struct_size: usize,
    ) -> sslcv_status;
    pub fn sslcv_loss_create_binary_cross_entropy(
        context: *mut sslcv_context, options: *const sslcv_binary_cross_entropy_options, loss: *mut *mut sslcv_loss,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_optimizer {
    _unused: [u8; 0],
}
pub const SSLCV_OPTIMIZER_SGD: sslcv_optimizer_kind = 1;
pub const SSLCV_OPTIMIZER_LARS: sslcv_optimizer_kind = 2;
pub const SSLCV_OPTIMIZER_LARS_CLASSIC: sslcv_optimizer_kind = 3;
pub const SSLCV_OPTIMIZER_LARC: sslcv_optimizer_kind = 4;
pub const SSLCV_OPTIMIZER_ADAM: sslcv_optimizer_kind = 5;
pub const SSLCV_OPTIMIZER_ADAMW: sslcv_optimizer_kind = 6;
pub type sslcv_optimizer_kind = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_optimizer_options {
    pub struct_size: usize,
    pub kind: i32,
    pub nesterov: i32,
    pub momentum: f64,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub trust: f64,
    pub clip_norm: f64,
    pub decay_roles: i32,
    pub adapt_roles: i32,
    pub trust_clip: i32,
    pub clip_each: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_optimizer_group {
    pub struct_size: usize,
    pub rate_scale: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub fixed_rate: i32,
    pub adapt: i32,
    pub freeze_steps: i64,
}
extern "C" {
    pub fn sslcv_optimizer_options_init(
        options: *mut sslcv_optimizer_options, struct_size: usize, kind: i32,
    ) -> sslcv_status;
    pub fn sslcv_optimizer_create(
        context: *mut sslcv_context, options: *const sslcv_optimizer_options, optimizer: *mut *mut sslcv_optimizer,
    ) -> sslcv_status;
    pub fn sslcv_optimizer_destroy(optimizer: *mut sslcv_optimizer);
    pub fn sslcv_optimizer_group_init(group: *mut sslcv_optimizer_group, struct_size: usize) -> sslcv_status;
    pub fn sslcv_optimizer_add(
        optimizer: *mut sslcv_optimizer, state: *mut sslcv_state, roles: i32, group: *const sslcv_optimizer_group,
    ) -> sslcv_status;
    pub fn sslcv_optimizer_step(optimizer: *mut sslcv_optimizer, learning_rate: f64, weight_decay: f64)
        -> sslcv_status;
    pub fn sslcv_optimizer_get_state(optimizer: *mut sslcv_optimizer, state: *mut *mut sslcv_state) -> sslcv_status;
}
pub const SSLCV_SCHEDULE_CONSTANT: sslcv_schedule_kind = 0;
pub const SSLCV_SCHEDULE_COSINE: sslcv_schedule_kind = 1;
pub const SSLCV_SCHEDULE_LINEAR: sslcv_schedule_kind = 2;
pub const SSLCV_SCHEDULE_STEPS: sslcv_schedule_kind = 3;
pub type sslcv_schedule_kind = c_uint;
pub const SSLCV_MAX_MILESTONES: _bindgen_ty_5 = 8;
pub type _bindgen_ty_5 = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_schedule {
    pub struct_size: usize,
    pub kind: i32,
    pub by_epoch: i32,
    pub value: f64,
    pub end_value: f64,
    pub warmup_start: f64,
    pub warmup_epochs: f64,
    pub warmup_reaches: i32,
    pub num_milestones: i32,
    pub gamma: f64,
    pub milestones: [f64; 8usize],
}
extern "C" {
    pub fn sslcv_schedule_init(
        schedule: *mut sslcv_schedule, struct_size: usize, kind: i32, value: f64,
    ) -> sslcv_status;
    pub fn sslcv_schedule_value(
        schedule: *const sslcv_schedule, step: i64, steps_per_epoch: i64, epochs: i64, value: *mut f64,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_trainer {
    _unused: [u8; 0],
}
pub const SSLCV_SOURCE_VIEWS: _bindgen_ty_6 = -1;
pub type _bindgen_ty_6 = c_int;
pub const SSLCV_GROUPING_JOINED: sslcv_grouping = 0;
pub const SSLCV_GROUPING_BY_VIEW: sslcv_grouping = 1;
pub type sslcv_grouping = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_branch {
    pub struct_size: usize,
    pub source: i64,
    pub views: *const i64,
    pub num_views: i64,
    pub backbone: *mut sslcv_backbone,
    pub heads: *const *mut sslcv_head,
    pub num_heads: i64,
    pub stage: *const c_char,
    pub flags: i32,
    pub bn_splits: i32,
    pub grouping: i32,
    pub head_grouping: i32,
    pub momentum: i32,
    pub detach: i32,
}
pub const SSLCV_EMA_BEFORE_FORWARD: sslcv_ema_when = 0;
pub const SSLCV_EMA_AFTER_STEP: sslcv_ema_when = 1;
pub type sslcv_ema_when = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_trainer_options {
    pub struct_size: usize,
    pub dataset: *mut sslcv_dataset,
    pub augmenter: *mut sslcv_augmenter,
    pub optimizer: *mut sslcv_optimizer,
    pub learning_rate: *const sslcv_schedule,
    pub weight_decay: *const sslcv_schedule,
    pub ema_momentum: *const sslcv_schedule,
    pub checkpoint_path: *const c_char,
    pub batch_size: i64,
    pub epochs: i64,
    pub steps_per_epoch: i64,
    pub prefetch: i64,
    pub memory_budget: i64,
    pub micro_batch: i64,
    pub checkpoint_epochs: i64,
    pub checkpoint_seconds: f64,
    pub seed: u64,
    pub sampler: i32,
    pub drop_last: i32,
    pub ema_when: i32,
    pub ema_random_init: i32,
    pub resume: i32,
    pub generations: i32,
}
pub const SSLCV_EVENT_EPOCH_BEGIN: sslcv_event = 1;
pub const SSLCV_EVENT_STEP: sslcv_event = 2;
pub const SSLCV_EVENT_EPOCH_END: sslcv_event = 4;
pub const SSLCV_EVENT_COLLAPSE: sslcv_event = 8;
pub type sslcv_event = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_progress {
    pub struct_size: usize,
    pub event: i32,
    pub reserved: i32,
    pub step: i64,
    pub num_steps: i64,
    pub epoch: i64,
    pub num_epochs: i64,
    pub loss: f64,
    pub learning_rate: f64,
    pub embedding_std: f64,
    pub images_per_second: f64,
    pub seconds: f64,
    pub seconds_left: f64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_view_batch {
    pub struct_size: usize,
    pub views: *const sslcv_tensor,
    pub num_views: i64,
    pub patches: *const i64,
    pub ids: *const i64,
    pub labels: *const i64,
    pub targets: *const sslcv_tensor,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_hook {
    pub struct_size: usize,
    pub user: *mut c_void,
    pub call: Option<
        unsafe extern "C" fn(user: *mut c_void, trainer: *mut sslcv_trainer, progress: *const sslcv_progress) -> i32,
    >,
    pub destroy: Option<unsafe extern "C" fn(user: *mut c_void)>,
    pub every: i64,
    pub events: i32,
    pub reserved: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_memory {
    pub struct_size: usize,
    pub parameters: i64,
    pub gradients: i64,
    pub optimizer: i64,
    pub momentum_copies: i64,
    pub losses: i64,
    pub activations: i64,
    pub scratch: i64,
    pub loader: i64,
    pub total: i64,
    pub micro_batch: i64,
    pub recomputed_stages: i64,
}
extern "C" {
    pub fn sslcv_trainer_options_init(options: *mut sslcv_trainer_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_trainer_create(
        context: *mut sslcv_context, options: *const sslcv_trainer_options, trainer: *mut *mut sslcv_trainer,
    ) -> sslcv_status;
    pub fn sslcv_trainer_destroy(trainer: *mut sslcv_trainer);
    pub fn sslcv_branch_init(branch: *mut sslcv_branch, struct_size: usize) -> sslcv_status;
    pub fn sslcv_trainer_add_branch(
        trainer: *mut sslcv_trainer, branch: *const sslcv_branch, index: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_trainer_add_loss(
        trainer: *mut sslcv_trainer, loss: *mut sslcv_loss, branches: *const i64, num_branches: i64, weight: f64,
        index: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_trainer_set_loss(trainer: *mut sslcv_trainer, index: i64, loss: *mut sslcv_loss) -> sslcv_status;
    pub fn sslcv_hook_init(hook: *mut sslcv_hook, struct_size: usize) -> sslcv_status;
    pub fn sslcv_trainer_add_hook(trainer: *mut sslcv_trainer, hook: *const sslcv_hook) -> sslcv_status;
    pub fn sslcv_trainer_step(trainer: *mut sslcv_trainer, progress: *mut sslcv_progress) -> sslcv_status;
    pub fn sslcv_view_batch_init(batch: *mut sslcv_view_batch, struct_size: usize) -> sslcv_status;
    pub fn sslcv_trainer_step_views(
        trainer: *mut sslcv_trainer, batch: *const sslcv_view_batch, progress: *mut sslcv_progress,
    ) -> sslcv_status;
    pub fn sslcv_trainer_run(trainer: *mut sslcv_trainer, max_steps: i64) -> sslcv_status;
    pub fn sslcv_trainer_set_labels(trainer: *mut sslcv_trainer, labels: *const i64, count: i64) -> sslcv_status;
    pub fn sslcv_trainer_keep_best(trainer: *mut sslcv_trainer, metric: *const c_char, smallest: i32) -> sslcv_status;
    pub fn sslcv_trainer_take_best(trainer: *mut sslcv_trainer, value: *mut f64, epoch: *mut i64) -> sslcv_status;
    pub fn sslcv_trainer_get_memory(trainer: *mut sslcv_trainer, memory: *mut sslcv_memory) -> sslcv_status;
    pub fn sslcv_trainer_describe(
        trainer: *mut sslcv_trainer, text: *mut c_char, size: i64, needed: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_trainer_get_metric(
        trainer: *const sslcv_trainer, index: i64, name: *mut *const c_char, value: *mut f64,
    ) -> sslcv_status;
    pub fn sslcv_trainer_set_metric(trainer: *mut sslcv_trainer, name: *const c_char, value: f64) -> sslcv_status;
    pub fn sslcv_trainer_get_state(trainer: *mut sslcv_trainer, state: *mut *mut sslcv_state) -> sslcv_status;
    pub fn sslcv_trainer_get_backbone(
        trainer: *mut sslcv_trainer, branch: i64, momentum: i32, backbone: *mut *mut sslcv_backbone,
    ) -> sslcv_status;
    pub fn sslcv_trainer_get_head(
        trainer: *mut sslcv_trainer, branch: i64, index: i64, momentum: i32, head: *mut *mut sslcv_head,
    ) -> sslcv_status;
    pub fn sslcv_trainer_get_loss(trainer: *mut sslcv_trainer, index: i64, loss: *mut *mut sslcv_loss) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_method_options {
    pub struct_size: usize,
    pub dataset: *mut sslcv_dataset,
    pub backbones: *const *mut sslcv_backbone,
    pub num_backbones: i64,
    pub augmenter: *mut sslcv_augmenter,
    pub preset: *const c_char,
    pub settings: *const c_char,
    pub checkpoint_path: *const c_char,
    pub seed: u64,
    pub resume: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_method_name(index: i64) -> *const c_char;
    pub fn sslcv_method_settings(
        method: *const c_char, preset: *const c_char, text: *mut c_char, size: i64, needed: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_method_options_init(options: *mut sslcv_method_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_method_create(
        context: *mut sslcv_context, method: *const c_char, options: *const sslcv_method_options,
        trainer: *mut *mut sslcv_trainer,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_embed_options {
    pub struct_size: usize,
    pub dataset: *mut sslcv_dataset,
    pub augmenter: *mut sslcv_augmenter,
    pub branches: *const *const sslcv_branch,
    pub num_branches: i64,
    pub batch_size: i64,
    pub first: i64,
    pub count: i64,
    pub seed: u64,
    pub epoch: i64,
    pub mean_positions: i32,
    pub reserved: i32,
}
extern "C" {
    pub fn sslcv_embed_options_init(options: *mut sslcv_embed_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_embed(
        options: *const sslcv_embed_options, features: *mut sslcv_tensor, labels: *mut i64,
    ) -> sslcv_status;
    pub fn sslcv_embed_to_file(
        options: *const sslcv_embed_options, features_path: *const c_char, labels_path: *const c_char,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_probe {
    _unused: [u8; 0],
}
pub const SSLCV_PROBE_KNN: sslcv_probe_kind = 1;
pub const SSLCV_PROBE_LINEAR: sslcv_probe_kind = 2;
pub const SSLCV_PROBE_LOGISTIC: sslcv_probe_kind = 3;
pub type sslcv_probe_kind = c_uint;
pub const SSLCV_STANDARDIZE_NONE: sslcv_standardize = 0;
pub const SSLCV_STANDARDIZE_SPREAD: sslcv_standardize = 1;
pub const SSLCV_STANDARDIZE_LENGTH: sslcv_standardize = 2;
pub type sslcv_standardize = c_uint;
pub const SSLCV_FIGURE_TOP_K: sslcv_figure = 1;
pub const SSLCV_FIGURE_MEAN_PER_CLASS: sslcv_figure = 2;
pub const SSLCV_FIGURE_AP_11: sslcv_figure = 3;
pub const SSLCV_FIGURE_AP_AREA: sslcv_figure = 4;
pub type sslcv_figure = c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_probe_options {
    pub struct_size: usize,
    pub kind: i32,
    pub standardize: i32,
    pub neighbors: i64,
    pub temperature: f64,
    pub epochs: i64,
    pub batch_size: i64,
    pub learning_rate: *const sslcv_schedule,
    pub weight_decay: f64,
    pub momentum: f64,
    pub seed: u64,
    pub c_first: f64,
    pub c_last: f64,
    pub c_count: i64,
    pub validation: f64,
    pub iterations: i64,
    pub tolerance: f64,
    pub first_spread: f64,
    pub larc: f64,
    pub nesterov: i32,
    pub figure: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_probe_info {
    pub struct_size: usize,
    pub num_classes: i64,
    pub dim: i64,
    pub count: i64,
    pub c: f64,
    pub objective: f64,
    pub validation: f64,
    pub iterations: i64,
    pub converged: i32,
    pub reserved: i32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_metrics {
    pub struct_size: usize,
    pub count: i64,
    pub num_classes: i64,
    pub top1: f64,
    pub top5: f64,
    pub mean_per_class: f64,
    pub top1_low: f64,
    pub top1_high: f64,
}
extern "C" {
    pub fn sslcv_probe_options_init(options: *mut sslcv_probe_options, struct_size: usize, kind: i32) -> sslcv_status;
    pub fn sslcv_probe_options_preset(
        options: *mut sslcv_probe_options, struct_size: usize, learning_rate: *mut sslcv_schedule, name: *const c_char,
    ) -> sslcv_status;
    pub fn sslcv_probe_create(
        context: *mut sslcv_context, options: *const sslcv_probe_options, probe: *mut *mut sslcv_probe,
    ) -> sslcv_status;
    pub fn sslcv_probe_destroy(probe: *mut sslcv_probe);
    pub fn sslcv_probe_fit(probe: *mut sslcv_probe, features: *const sslcv_tensor, labels: *const i64) -> sslcv_status;
    pub fn sslcv_probe_fit_rows(
        probe: *mut sslcv_probe, features: *const sslcv_tensor, labels: *const i64, targets: *const sslcv_tensor,
        validation: *const i64, num_validation: i64,
    ) -> sslcv_status;
    pub fn sslcv_probe_get_info(probe: *const sslcv_probe, info: *mut sslcv_probe_info) -> sslcv_status;
    pub fn sslcv_probe_predict(
        probe: *const sslcv_probe, features: *const sslcv_tensor, scores: *mut sslcv_tensor,
    ) -> sslcv_status;
    pub fn sslcv_probe_evaluate(
        probe: *mut sslcv_probe, train: *const sslcv_embed_options, test: *const sslcv_embed_options,
        metrics: *mut sslcv_metrics,
    ) -> sslcv_status;
    pub fn sslcv_probe_watch(
        probe: *mut sslcv_probe, trainer: *mut sslcv_trainer, name: *const c_char, train: *const sslcv_embed_options,
        test: *const sslcv_embed_options, epochs: i64,
    ) -> sslcv_status;
    pub fn sslcv_classifier_evaluate(test: *const sslcv_embed_options, metrics: *mut sslcv_metrics) -> sslcv_status;
    pub fn sslcv_classifier_watch(
        trainer: *mut sslcv_trainer, name: *const c_char, test: *const sslcv_embed_options, epochs: i64,
    ) -> sslcv_status;
    pub fn sslcv_metrics_compute(
        context: *mut sslcv_context, scores: *const sslcv_tensor, labels: *const i64, metrics: *mut sslcv_metrics,
        confusion: *mut i64,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_figure_options {
    pub struct_size: usize,
    pub figure: i32,
    pub reserved: i32,
    pub k: i64,
    pub draws: i64,
    pub level: f64,
    pub seed: u64,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_figure_value {
    pub struct_size: usize,
    pub count: i64,
    pub classes: i64,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}
extern "C" {
    pub fn sslcv_figure_options_init(
        options: *mut sslcv_figure_options, struct_size: usize, figure: i32,
    ) -> sslcv_status;
    pub fn sslcv_figure_compute(
        context: *mut sslcv_context, scores: *const sslcv_tensor, labels: *const i64, targets: *const sslcv_tensor,
        options: *const sslcv_figure_options, value: *mut sslcv_figure_value, per_class: *mut f64,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_spread {
    pub struct_size: usize,
    pub std: f64,
    pub cosine: f64,
    pub effective_rank: f64,
}
extern "C" {
    pub fn sslcv_spread_compute(
        context: *mut sslcv_context, features: *const sslcv_tensor, spread: *mut sslcv_spread,
    ) -> sslcv_status;
    pub fn sslcv_nearest(
        context: *mut sslcv_context, features: *const sslcv_tensor, queries: *const sslcv_tensor, k: i64,
        indices: *mut i64, similarities: *mut f32,
    ) -> sslcv_status;
    pub fn sslcv_nmi(
        context: *mut sslcv_context, a: *const i64, b: *const i64, n: i64, value: *mut f64,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_kmeans_options {
    pub struct_size: usize,
    pub clusters: i64,
    pub iterations: i64,
    pub seed: u64,
    pub spherical: i32,
    pub warm_start: i32,
}
extern "C" {
    pub fn sslcv_kmeans_options_init(options: *mut sslcv_kmeans_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_kmeans(
        context: *mut sslcv_context, features: *const sslcv_tensor, options: *const sslcv_kmeans_options,
        centroids: *mut sslcv_tensor, assignments: *mut i64, objective: *mut f64,
    ) -> sslcv_status;
    pub fn sslcv_pca_whiten(
        context: *mut sslcv_context, features: *const sslcv_tensor, normalize: i32, reduced: *mut sslcv_tensor,
    ) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_scalars {
    _unused: [u8; 0],
}
pub const SSLCV_SCALARS_TENSORBOARD: sslcv_scalars_format = 1;
pub const SSLCV_SCALARS_JSON_LINES: sslcv_scalars_format = 2;
pub type sslcv_scalars_format = c_uint;
extern "C" {
    pub fn sslcv_scalars_open(
        context: *mut sslcv_context, format: i32, path: *const c_char, scalars: *mut *mut sslcv_scalars,
    ) -> sslcv_status;
    pub fn sslcv_scalars_destroy(scalars: *mut sslcv_scalars);
    pub fn sslcv_scalars_add(scalars: *mut sslcv_scalars, step: i64, name: *const c_char, value: f64) -> sslcv_status;
    pub fn sslcv_scalars_watch(scalars: *mut sslcv_scalars, trainer: *mut sslcv_trainer, steps: i64) -> sslcv_status;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct sslcv_onnx_options {
    pub struct_size: usize,
    pub height: i64,
    pub width: i64,
    pub batch: i64,
    pub fold_norm: i32,
    pub opset: i32,
    pub stream: *const sslcv_stream,
}
extern "C" {
    pub fn sslcv_onnx_options_init(options: *mut sslcv_onnx_options, struct_size: usize) -> sslcv_status;
    pub fn sslcv_onnx_save(
        branch: *const sslcv_branch, path: *const c_char, options: *const sslcv_onnx_options,
    ) -> sslcv_status;
}
