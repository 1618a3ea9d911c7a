//! Trainers: by recipe, or composed of branches, losses and an optimizer.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::os::raw::c_void;
use std::path::Path;
use std::ptr::{null, null_mut, NonNull};

use sslcv_sys as sys;

use crate::error::{c_path, c_string, call, guard, optional, sized_text, text, until_not_found, Error, Result, Status};
use crate::loss::Metric;
use crate::{Augmenter, Backbone, Context, Dataset, Head, Loss, State};

pub type Progress = sys::sslcv_progress;
pub type OptimizerOptions = sys::sslcv_optimizer_options;
pub type Schedule = sys::sslcv_schedule;

/// Names of the recipes for [`Trainer::method`].
pub fn methods() -> impl Iterator<Item = String> {
    (0..).map_while(|index| {
        // SAFETY: constant text; NULL past the last.
        let name = unsafe { sys::sslcv_method_name(index) };
        (!name.is_null()).then(|| unsafe { text(name) })
    })
}

/// What can be set in a recipe: a line "name=default  meaning; source" each.
pub fn method_settings(method: &str, preset: Option<&str>) -> Result<String> {
    let (method, preset) = (c_string(method)?, preset.map(c_string).transpose()?);
    // SAFETY: NULL asks; else the buffer has the bytes that were told.
    sized_text(|buffer, size, needed| unsafe {
        sys::sslcv_method_settings(method.as_ptr(), optional(&preset), buffer, size, needed)
    })
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    EpochBegin = sys::SSLCV_EVENT_EPOCH_BEGIN as isize,
    Step = sys::SSLCV_EVENT_STEP as isize,
    EpochEnd = sys::SSLCV_EVENT_EPOCH_END as isize,
    Collapse = sys::SSLCV_EVENT_COLLAPSE as isize,
}

/// Views through a backbone and heads; flags as `sslcv_branch` has them.
#[derive(Clone, Copy)]
pub struct Branch<'a> {
    /// An earlier branch that this one goes on from; `None`: views.
    pub source: Option<i64>,
    pub views: &'a [i64],
    pub backbone: Option<&'a Backbone>,
    pub heads: &'a [&'a Head],
    pub stage: Option<&'a str>,
    pub momentum: bool,
    pub detach: bool,
}

impl<'a> Branch<'a> {
    pub fn new(views: &'a [i64], backbone: &'a Backbone) -> Self {
        Branch {
            source: None,
            views,
            backbone: Some(backbone),
            heads: &[],
            stage: None,
            momentum: false,
            detach: false,
        }
    }

    /// Hands the C struct to `function`; what it points to lives that long.
    pub(crate) fn with_raw<T>(
        &self, evaluate: bool, function: impl FnOnce(&sys::sslcv_branch) -> Result<T>,
    ) -> Result<T> {
        let stage = self.stage.map(c_string).transpose()?;
        let heads: Vec<_> = self.heads.iter().map(|head| head.raw.as_ptr()).collect();
        // SAFETY: init fills what is zeroed.
        let mut raw: sys::sslcv_branch = unsafe { std::mem::zeroed() };
        call(|| unsafe { sys::sslcv_branch_init(&mut raw, std::mem::size_of_val(&raw)) })?;
        raw.source = self.source.unwrap_or(raw.source);
        raw.views = if self.views.is_empty() { null() } else { self.views.as_ptr() };
        raw.num_views = self.views.len() as i64;
        raw.backbone = self.backbone.map_or(null_mut(), |backbone| backbone.raw.as_ptr());
        raw.heads = if heads.is_empty() { null() } else { heads.as_ptr() };
        raw.num_heads = heads.len() as i64;
        raw.stage = optional(&stage);
        raw.momentum = self.momentum.into();
        raw.detach = self.detach.into();
        if evaluate {
            raw.flags = 0;
        }
        function(&raw)
    }
}

handle! {
    /// Updates parameters from their gradients.
    Optimizer, sslcv_optimizer, sslcv_optimizer_destroy
}

impl Optimizer {
    /// `kind` is one of `sslcv_sys::SSLCV_OPTIMIZER_*`; `set` changes its defaults.
    pub fn new(context: &Context, kind: u32, set: impl FnOnce(&mut OptimizerOptions)) -> Result<Self> {
        // SAFETY: init fills what is zeroed; no pointers within.
        unsafe {
            let mut options: OptimizerOptions = std::mem::zeroed();
            let size = std::mem::size_of_val(&options);
            call(|| sys::sslcv_optimizer_options_init(&mut options, size, kind as i32))?;
            set(&mut options);
            options.struct_size = size;
            Self::wrap(|out| sys::sslcv_optimizer_create(context.as_ptr(), &options, out))
        }
    }

    /// These roles of a state learn.
    pub fn add(&mut self, state: &State, roles: i32) -> Result<()> {
        // SAFETY: handles live; NULL: defaults.
        call(|| unsafe { sys::sslcv_optimizer_add(self.raw.as_ptr(), state.raw.as_ptr(), roles, null()) })
    }
}

/// A number that changes over a run; `kind` is one of `sslcv_sys::SSLCV_SCHEDULE_*`.
pub fn schedule(kind: u32, value: f64) -> Result<Schedule> {
    // SAFETY: init fills what is zeroed.
    let mut schedule: Schedule = unsafe { std::mem::zeroed() };
    let size = std::mem::size_of_val(&schedule);
    call(|| unsafe { sys::sslcv_schedule_init(&mut schedule, size, kind as i32, value) })?;
    Ok(schedule)
}

/// What a trainer composed by hand is made with; `None` and 0 are the defaults.
#[derive(Default, Clone, Copy)]
pub struct TrainerOptions<'a> {
    pub dataset: Option<&'a Dataset>,
    pub augmenter: Option<&'a Augmenter>,
    pub learning_rate: Option<&'a Schedule>,
    pub checkpoint_path: Option<&'a Path>,
    pub resume: bool,
    pub batch_size: i64,
    pub epochs: i64,
    pub seed: u64,
}

/// What a recipe is made with.
#[derive(Default, Clone, Copy)]
pub struct MethodOptions<'a> {
    pub dataset: Option<&'a Dataset>,
    pub backbones: &'a [&'a Backbone],
    pub augmenter: Option<&'a Augmenter>,
    /// "cifar" or "imagenet".
    pub preset: Option<&'a str>,
    /// "name=value" pairs, parted by blanks.
    pub settings: Option<&'a str>,
    pub checkpoint_path: Option<&'a Path>,
    pub resume: bool,
    pub seed: u64,
}

handle! {
    /// A run: networks, losses, optimizer, data set.
    Trainer, sslcv_trainer, sslcv_trainer_destroy
}

/// The trainer, as a hook sees it: it can be looked at, not stepped.
pub struct Running<'a> {
    raw: NonNull<sys::sslcv_trainer>,
    call: PhantomData<&'a ()>,
}

type Hook = dyn FnMut(&Running<'_>, &Progress) -> ControlFlow<()>;
// The cell is the proof that a hook is not entered again from within itself.
type HookCell = RefCell<Box<Hook>>;

unsafe extern "C" fn call_hook(
    user: *mut c_void, trainer: *mut sys::sslcv_trainer, progress: *const sys::sslcv_progress,
) -> i32 {
    let flow = guard(|| {
        let running = Running { raw: NonNull::new(trainer).expect("a trainer"), call: PhantomData };
        let mut hook = (*user.cast::<HookCell>()).borrow_mut();
        (*hook)(&running, &*progress)
    });
    (flow != Some(ControlFlow::Continue(()))).into()
}

unsafe extern "C" fn drop_hook(user: *mut c_void) {
    guard(|| drop(Box::from_raw(user.cast::<HookCell>())));
}

fn metrics(trainer: NonNull<sys::sslcv_trainer>) -> impl Iterator<Item = Result<Metric>> {
    until_not_found(move |index| {
        let (mut name, mut value) = (null(), 0.0);
        // SAFETY: the trainer outlives the iterator, which its callers tie to it; the name lives as long.
        unsafe {
            call(|| sys::sslcv_trainer_get_metric(trainer.as_ptr(), index, &mut name, &mut value))?;
            Ok(Metric { name: text(name), value })
        }
    })
}

impl Running<'_> {
    /// Figures of the last step.
    pub fn metrics(&self) -> impl Iterator<Item = Result<Metric>> + '_ {
        metrics(self.raw)
    }

    /// Publishes a figure.
    pub fn set_metric(&self, name: &str, value: f64) -> Result<()> {
        let name = c_string(name)?;
        // SAFETY: allowed inside hooks; the name is copied.
        call(|| unsafe { sys::sslcv_trainer_set_metric(self.raw.as_ptr(), name.as_ptr(), value) })
    }
}

impl Trainer {
    /// A published recipe by name.
    pub fn method(context: &Context, method: &str, options: &MethodOptions<'_>) -> Result<Self> {
        let method = c_string(method)?;
        let preset = options.preset.map(c_string).transpose()?;
        let settings = options.settings.map(c_string).transpose()?;
        let checkpoint_path = options.checkpoint_path.map(c_path).transpose()?;
        let backbones: Vec<_> = options.backbones.iter().map(|backbone| backbone.raw.as_ptr()).collect();
        // SAFETY: init fills what is zeroed; texts and arrays are copied by the call, handles kept alive.
        unsafe {
            let mut raw: sys::sslcv_method_options = std::mem::zeroed();
            call(|| sys::sslcv_method_options_init(&mut raw, std::mem::size_of_val(&raw)))?;
            raw.dataset = options.dataset.map_or(null_mut(), |dataset| dataset.raw.as_ptr());
            raw.backbones = if backbones.is_empty() { null() } else { backbones.as_ptr() };
            raw.num_backbones = backbones.len() as i64;
            raw.augmenter = options.augmenter.map_or(null_mut(), |augmenter| augmenter.raw.as_ptr());
            if preset.is_some() {
                raw.preset = optional(&preset);
            }
            raw.settings = optional(&settings);
            raw.checkpoint_path = optional(&checkpoint_path);
            raw.resume = options.resume.into();
            raw.seed = options.seed;
            Self::wrap(|out| sys::sslcv_method_create(context.as_ptr(), method.as_ptr(), &raw, out))
        }
    }

    /// Without branches: add them, then losses.
    pub fn new(context: &Context, optimizer: &Optimizer, options: &TrainerOptions<'_>) -> Result<Self> {
        let checkpoint_path = options.checkpoint_path.map(c_path).transpose()?;
        // SAFETY: init fills what is zeroed; texts and schedules are copied by the call, handles kept alive.
        unsafe {
            let mut raw: sys::sslcv_trainer_options = std::mem::zeroed();
            call(|| sys::sslcv_trainer_options_init(&mut raw, std::mem::size_of_val(&raw)))?;
            let mut rate = options.learning_rate.copied();
            if let Some(rate) = &mut rate {
                rate.struct_size = std::mem::size_of::<Schedule>();
                raw.learning_rate = rate;
            }
            raw.dataset = options.dataset.map_or(null_mut(), |dataset| dataset.raw.as_ptr());
            raw.augmenter = options.augmenter.map_or(null_mut(), |augmenter| augmenter.raw.as_ptr());
            raw.optimizer = optimizer.raw.as_ptr();
            raw.checkpoint_path = optional(&checkpoint_path);
            raw.resume = options.resume.into();
            raw.seed = options.seed;
            if options.batch_size != 0 {
                raw.batch_size = options.batch_size;
            }
            if options.epochs != 0 {
                raw.epochs = options.epochs;
            }
            Self::wrap(|out| sys::sslcv_trainer_create(context.as_ptr(), &raw, out))
        }
    }

    pub fn add_branch(&mut self, branch: &Branch<'_>) -> Result<i64> {
        let mut index = 0;
        branch.with_raw(false, |raw| {
            // SAFETY: arrays are copied, handles kept alive.
            call(|| unsafe { sys::sslcv_trainer_add_branch(self.raw.as_ptr(), raw, &mut index) })
        })?;
        Ok(index)
    }

    pub fn add_loss(&mut self, loss: &Loss, branches: &[i64], weight: f64) -> Result<i64> {
        let (count, mut index) = (branches.len() as i64, 0);
        // SAFETY: the array is copied, the loss kept alive.
        call(|| unsafe {
            let loss = loss.raw.as_ptr();
            sys::sslcv_trainer_add_loss(self.raw.as_ptr(), loss, branches.as_ptr(), count, weight, &mut index)
        })?;
        Ok(index)
    }

    /// Calls `hook` at these events, at each `every`-th. Where it breaks, the call that stepped fails with
    /// [`Status::Cancelled`], and the next one goes on. Where it panics, that call panics with the same.
    pub fn add_hook(
        &mut self, events: &[Event], every: i64, hook: impl FnMut(&Running<'_>, &Progress) -> ControlFlow<()> + 'static,
    ) -> Result<()> {
        let hook: Box<HookCell> = Box::new(RefCell::new(Box::new(hook)));
        // SAFETY: the box is C's from success on, until drop_hook(). As neither trainers nor what keeps them alive
        // leave their thread, it is called and dropped on this one.
        unsafe {
            let mut raw: sys::sslcv_hook = std::mem::zeroed();
            call(|| sys::sslcv_hook_init(&mut raw, std::mem::size_of_val(&raw)))?;
            raw.call = Some(call_hook);
            raw.destroy = Some(drop_hook);
            raw.events = events.iter().fold(0, |sum, &event| sum | event as i32);
            raw.every = every;
            raw.user = Box::into_raw(hook).cast();
            let added = call(|| sys::sslcv_trainer_add_hook(self.raw.as_ptr(), &raw));
            if added.is_err() {
                drop(Box::from_raw(raw.user.cast::<HookCell>()));
            }
            added
        }
    }

    /// One step on the next batch.
    pub fn step(&mut self) -> Result<Progress> {
        // SAFETY: a struct of plain values with its size.
        unsafe {
            let mut progress: Progress = std::mem::zeroed();
            progress.struct_size = std::mem::size_of_val(&progress);
            call(|| sys::sslcv_trainer_step(self.raw.as_ptr(), &mut progress))?;
            Ok(progress)
        }
    }

    /// To the end of the last epoch, or `max_steps` far (0: no such limit). After a stop it goes on where it was.
    pub fn run(&mut self, max_steps: i64) -> Result<()> {
        // SAFETY: the handle lives.
        call(|| unsafe { sys::sslcv_trainer_run(self.raw.as_ptr(), max_steps) })
    }

    /// The same, where being stopped is no failure: tells whether all was done.
    pub fn run_until_stopped(&mut self, max_steps: i64) -> Result<bool> {
        match self.run(max_steps) {
            Err(Error { status: Status::Cancelled, .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Figures of the last step.
    pub fn metrics(&self) -> impl Iterator<Item = Result<Metric>> + '_ {
        metrics(self.raw)
    }

    /// The composition, as text for people.
    pub fn describe(&mut self) -> Result<String> {
        // SAFETY: NULL asks; else the buffer has the bytes that were told.
        sized_text(|buffer, size, needed| unsafe {
            sys::sslcv_trainer_describe(self.raw.as_ptr(), buffer, size, needed)
        })
    }

    /// A checkpoint: everything that the run is.
    pub fn state(&mut self) -> Result<State> {
        // SAFETY: the handle lives; the state keeps it.
        State::wrap(|out| unsafe { sys::sslcv_trainer_get_state(self.raw.as_ptr(), out) })
    }

    pub fn backbone(&self, branch: i64, momentum: bool) -> Result<Backbone> {
        let momentum = momentum.into();
        // SAFETY: the handle lives.
        Backbone::wrap(|out| unsafe { sys::sslcv_trainer_get_backbone(self.raw.as_ptr(), branch, momentum, out) })
    }
}
