//! The whole path on drawn pictures, and what must hold at the border of the two languages.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use sslcv::*;

const SIDE: usize = 16;
const COUNT: usize = 64;
const SETTINGS: &str = "epochs=2 batch=16 size=16 temperature=0.5";

fn context() -> Context {
    let options = ContextOptions { threads: Some(1), loader_threads: Some(1), seed: 7, ..Default::default() };
    Context::new(options).unwrap()
}

/// Stripes of two directions with noise; the direction is the label.
fn pictures(context: &Context) -> Dataset {
    let mut noise = 1u32;
    let mut pixels = Vec::with_capacity(COUNT * 3 * SIDE * SIDE);
    for n in 0..COUNT {
        for p in 0..3 * SIDE * SIDE {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (p % SIDE, p / SIDE % SIDE);
            let stripe = if n % 2 == 0 { x } else { y } / 4 % 2;
            pixels.push((stripe * 180) as u8 + (noise >> 26) as u8);
        }
    }
    let dataset = Dataset::list(context).unwrap();
    let labels: Vec<i64> = (0..COUNT as i64).map(|n| n % 2).collect();
    dataset.add_images(TensorRef::new(&pixels, &[COUNT, 3, SIDE, SIDE]).unwrap(), Some(&labels)).unwrap();
    dataset
}

fn backbone(context: &Context) -> Backbone {
    let small = |options: &mut BackboneOptions| {
        options.width = 0.125;
        options.stem = stem::CIFAR;
        options.seed = 3;
    };
    Backbone::new(context, Architecture::ResNet18, small).unwrap()
}

fn simclr(context: &Context, dataset: &Dataset, backbone: &Backbone) -> Trainer {
    let options = MethodOptions {
        dataset: Some(dataset),
        backbones: &[backbone],
        settings: Some(SETTINGS),
        seed: 5,
        ..Default::default()
    };
    Trainer::method(context, "simclr", &options).unwrap()
}

fn embed(context: &Context, dataset: &Dataset, backbone: &Backbone) -> Features {
    let mut augmenter = Augmenter::new(context).unwrap();
    let views: Vec<i64> = augmenter.add_preset("eval-cifar", SIDE as i64).unwrap().collect();
    Embedding::new(dataset, &augmenter, Branch::new(&views, backbone)).run().unwrap()
}

fn weights(backbone: &Backbone) -> Vec<f32> {
    backbone.state().unwrap().get_flat(role::ALL).unwrap()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sslcv-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast_ref::<&str>().map(|text| text.to_string()).unwrap_or_else(|| *panic.downcast::<String>().unwrap())
}

#[test]
fn pretrains_embeds_saves_reloads() {
    let context = context();
    let dataset = pictures(&context);
    let network = backbone(&context);
    let before = weights(&network);
    let mut trainer = simclr(&context, &dataset, &network);
    let losses = Rc::new(RefCell::new(Vec::new()));
    let seen = losses.clone();
    let watch = move |running: &Running<'_>, progress: &Progress| {
        seen.borrow_mut().push(progress.loss);
        assert!(running.metrics().map(Result::unwrap).any(|metric| metric.name == "loss.0"));
        running.set_metric("own", 1.5).unwrap();
        Continue(())
    };
    trainer.add_hook(&[Event::EpochEnd], 1, watch).unwrap();
    trainer.run(0).unwrap();
    assert_eq!(losses.borrow().len(), 2);
    assert!(losses.borrow().iter().all(|loss| loss.is_finite() && *loss > 0.0));
    assert!(trainer.metrics().map(Result::unwrap).any(|metric| metric.name == "own" && metric.value == 1.5));
    assert!(trainer.describe().unwrap().contains("info_nce"));
    assert_ne!(before, weights(&network));

    let features = embed(&context, &dataset, &network);
    assert_eq!(features.values.shape(), [COUNT, 64]);
    assert_eq!(features.labels[..3], [0, 1, 0]);
    assert_eq!(features.values.rows().len(), COUNT);

    let folder = Folder::new("reload");
    let path = folder.0.join("backbone.safetensors");
    network.state().unwrap().save(&path).unwrap();
    let reloaded = Backbone::load(&context, &path, None).unwrap();
    assert_eq!(features, embed(&context, &dataset, &reloaded));
    let other = Backbone::new(&context, Architecture::ResNet18, |options| {
        options.width = 0.125;
        options.stem = stem::CIFAR;
    });
    let other = other.unwrap();
    assert_ne!(features, embed(&context, &dataset, &other));
    let report = other.state().unwrap().load(&path, None).unwrap();
    assert_eq!((report.missing, report.unexpected, report.layout.as_str()), (0, 0, "sslcv"));
    assert_eq!(features, embed(&context, &dataset, &other));

    let mut probe = Probe::knn(&context, 5, 0.1).unwrap();
    probe.fit(features.values.view(), &features.labels).unwrap();
    let scores = probe.predict(features.values.view()).unwrap();
    assert_eq!(scores.shape(), [COUNT, 2]);
    let right = scores.rows().zip(&features.labels).filter(|(row, &label)| (row[1] > row[0]) == (label == 1)).count();
    assert!(right > COUNT * 3 / 4, "{right} of {COUNT}");
    let mut augmenter = Augmenter::new(&context).unwrap();
    augmenter.add_preset("eval-cifar", SIDE as i64).unwrap();
    let all = Embedding::new(&dataset, &augmenter, Branch::new(&[0], &network));
    let metrics = probe.evaluate(&all, &all).unwrap();
    assert_eq!(metrics.count, COUNT as i64);
    assert!(metrics.top1 > 0.75);
}

#[test]
fn failures_say_what_is_wrong() {
    let context = context();
    let error = Loss::info_nce(&context, |options| options.temperature = -0.1).err().unwrap();
    assert_eq!(error.status, Status::InvalidArgument);
    assert!(error.message.contains("temperature is -0.1"), "{error}");
    let error = Dataset::folder(&context, "/nowhere/at/all", false).err().unwrap();
    assert_eq!(error.status, Status::NotFound);
    assert!(error.message.contains("/nowhere/at/all"), "{error}");
    let error = Trainer::method(&context, "simclear", &MethodOptions::default()).err().unwrap();
    assert!(error.message.contains("simclr"), "{error}");
    assert!(methods().any(|name| name == "moco-v2"));
    assert!(method_settings("simclr", None).unwrap().contains("temperature=0.5"));

    let error = TensorRef::new(&[0u8; 11], &[3, 2, 2]).err().unwrap();
    assert!(error.message.contains("11 values"), "{error}");
    assert!(TensorRef::new(&[0u8; 0], &[usize::MAX, 2]).is_err());
    let image = [0u8; 12];
    let error = Dataset::list(&context).unwrap().add_images(TensorRef::new(&image, &[3, 2, 2]).unwrap(), Some(&[]));
    assert!(error.is_err());
    assert!(Dataset::folder(&context, "a\0b", false).is_err());
}

#[test]
fn a_hook_stops_and_the_next_run_goes_on() {
    let context = context();
    let dataset = pictures(&context);
    let (whole, parts) = (backbone(&context), backbone(&context));
    simclr(&context, &dataset, &whole).run(0).unwrap();

    let mut trainer = simclr(&context, &dataset, &parts);
    let steps = Rc::new(Cell::new(0));
    let count = steps.clone();
    let stop_at_three = move |_: &Running<'_>, progress: &Progress| {
        count.set(progress.step);
        if progress.step == 3 {
            Break(())
        } else {
            Continue(())
        }
    };
    trainer.add_hook(&[Event::Step], 1, stop_at_three).unwrap();
    assert_eq!(trainer.run(0).unwrap_err().status, Status::Cancelled);
    assert_eq!(steps.get(), 3);
    assert!(trainer.run_until_stopped(0).unwrap());
    assert_eq!(steps.get(), 8);
    assert_eq!(weights(&whole), weights(&parts));
    assert_eq!(trainer.step().unwrap_err().status, Status::State);
}

#[test]
fn another_thread_stops_it() {
    let context = context();
    let dataset = pictures(&context);
    let network = backbone(&context);
    let mut trainer = simclr(&context, &dataset, &network);
    let canceller = context.clone();
    std::thread::spawn(move || canceller.cancel(true)).join().unwrap();
    assert!(context.info().unwrap().cancelled);
    assert_eq!(trainer.step().unwrap_err().status, Status::Cancelled);
    context.cancel(false);
    assert_eq!(trainer.step().unwrap().step, 1);
}

#[test]
fn a_panic_does_not_pass_through_c() {
    let context = context();
    let dataset = pictures(&context);
    let network = backbone(&context);
    let mut trainer = simclr(&context, &dataset, &network);
    let once = |_: &Running<'_>, progress: &Progress| {
        assert!(progress.step != 2, "step {}", progress.step);
        Continue(())
    };
    trainer.add_hook(&[Event::Step], 1, once).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| trainer.run(0))).unwrap_err();
    assert_eq!(message(panic), "step 2");
    trainer.run(0).unwrap();

    // Within a hook a call may panic in its turn: it is the same panic at every border.
    let nested = context.clone();
    let mut trainer = simclr(&context, &dataset, &network);
    let hook = move |_: &Running<'_>, _: &Progress| {
        let dataset = pictures(&nested);
        let network = backbone(&nested);
        let mut inner = simclr(&nested, &dataset, &network);
        inner.add_hook(&[Event::Step], 1, |_, _| panic!("deep")).unwrap();
        inner.step().unwrap();
        Continue(())
    };
    trainer.add_hook(&[Event::Step], 1, hook).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| trainer.step())).unwrap_err();
    assert_eq!(message(panic), "deep");
}

#[test]
fn the_log_is_heard_and_may_panic() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let inside = lines.clone();
    let quiet = Arc::new(Mutex::new(None));
    let trap = quiet.clone();
    let log = move |level: LogLevel, line: &str| {
        inside.lock().unwrap().push((level, line.to_owned()));
        let act: Option<fn()> = *trap.lock().unwrap();
        if let Some(act) = act {
            act();
        }
    };
    let folder = Folder::new("log");
    std::fs::write(folder.0.join("broken.png"), b"no picture").unwrap();
    std::fs::write(folder.0.join("fine.ppm"), [b"P6 16 16 255\n".to_vec(), vec![9; 768]].concat()).unwrap();
    let options = ContextOptions {
        threads: Some(1),
        log_level: Some(LogLevel::Debug),
        log: Some(Box::new(log)),
        ..Default::default()
    };
    let context = Context::new(options).unwrap();
    let dataset = Dataset::folder(&context, &folder.0, false).unwrap();
    let network = backbone(&context);
    embed(&context, &dataset, &network);
    assert!(lines.lock().unwrap().iter().any(|(_, line)| line.contains("broken.png")), "{lines:?}");

    let fresh = || Dataset::folder(&context, &folder.0, false).unwrap();
    *quiet.lock().unwrap() = Some((|| panic!("in the log")) as fn());
    let panic = catch_unwind(AssertUnwindSafe(|| embed(&context, &fresh(), &network))).unwrap_err();
    assert_eq!(message(panic), "in the log");
    let calls = || drop(methods().map(|name| method_settings(&name, None)).next());
    *quiet.lock().unwrap() = Some(calls as fn());
    let panic = catch_unwind(AssertUnwindSafe(|| embed(&context, &fresh(), &network))).unwrap_err();
    assert_eq!(message(panic), "a log must not call the library");
    *quiet.lock().unwrap() = None;
    embed(&context, &fresh(), &network);

    drop((context, dataset));
    assert_eq!(Arc::strong_count(&lines), 2, "the network keeps the context");
    drop(network);
    assert_eq!(Arc::strong_count(&lines), 1);
    let inside = lines.clone();
    let log = Box::new(move |_: LogLevel, _: &str| drop(inside.lock()));
    assert!(Context::new(ContextOptions { threads: Some(-1), log: Some(log), ..Default::default() }).is_err());
    assert_eq!(Arc::strong_count(&lines), 1, "a log that was refused is given back");
}

struct Told(Rc<Cell<i32>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn closures_live_as_long_as_they_may_be_called() {
    let dropped = Rc::new(Cell::new(0));
    let context = context();
    let dataset = pictures(&context);
    let network = backbone(&context);
    let mut trainer = simclr(&context, &dataset, &network);
    drop((context, dataset)); // the order does not matter
    let told = Told(dropped.clone());
    let hook = move |_: &Running<'_>, _: &Progress| {
        let _keep = &told;
        Continue(())
    };
    trainer.add_hook(&[Event::Step], 1, hook).unwrap();
    trainer.step().unwrap();
    let state = trainer.state().unwrap();
    drop(trainer);
    assert_eq!(dropped.get(), 0, "the state keeps the trainer");
    assert!(state.entries().map(Result::unwrap).any(|entry| entry.name == "backbone.0.conv1.weight"));
    drop(state);
    assert_eq!(dropped.get(), 1);
    weights(&network);

    let context = self::context();
    let mut trainer = simclr(&context, &pictures(&context), &backbone(&context));
    let told = Told(dropped.clone());
    let hook = move |_: &Running<'_>, _: &Progress| {
        let _keep = &told;
        Continue(())
    };
    assert!(trainer.add_hook(&[Event::Step], -1, hook).is_err());
    assert_eq!(dropped.get(), 2, "a hook that was refused is given back");
}

#[test]
fn composes_by_hand() {
    let context = context();
    let dataset = pictures(&context);
    let network = backbone(&context);
    let dim = network.info().unwrap().feature_dim;
    let head = Head::mlp(&context, |options| {
        options.in_dim = dim;
        options.out_dim = 16;
    });
    let head = head.unwrap();
    let loss = Loss::info_nce(&context, |options| options.temperature = 0.5).unwrap();
    let mut optimizer = Optimizer::new(&context, sslcv_sys::SSLCV_OPTIMIZER_SGD, |_| ()).unwrap();
    optimizer.add(&network.state().unwrap(), role::PARAMETERS).unwrap();
    optimizer.add(&head.state().unwrap(), role::PARAMETERS).unwrap();
    let mut augmenter = Augmenter::new(&context).unwrap();
    let views: Vec<i64> = augmenter.add_preset("simclr-cifar", SIDE as i64).unwrap().collect();
    assert_eq!(augmenter.views().map(Result::unwrap).map(|view| view.height).collect::<Vec<_>>(), [16, 16]);
    let rate = schedule(sslcv_sys::SSLCV_SCHEDULE_COSINE, 0.05).unwrap();
    let options = TrainerOptions {
        dataset: Some(&dataset),
        augmenter: Some(&augmenter),
        learning_rate: Some(&rate),
        batch_size: 16,
        epochs: 1,
        ..Default::default()
    };
    let mut trainer = Trainer::new(&context, &optimizer, &options).unwrap();
    let branch = trainer.add_branch(&Branch { heads: &[&head], ..Branch::new(&views, &network) }).unwrap();
    trainer.add_loss(&loss, &[branch], 1.0).unwrap();
    trainer.run(0).unwrap();
    let same = trainer.backbone(branch, false).unwrap();
    assert_eq!(weights(&network), weights(&same));
    assert_eq!(network.stages().map(Result::unwrap).last().unwrap().dim, dim);

    let image = dataset.read::<u8>(0).unwrap();
    assert_eq!(image.shape(), [3, SIDE, SIDE]);
    assert_eq!(augmenter.apply(image.view(), 1, 0, 0, 1).unwrap().shape(), [3, SIDE, SIDE]);
    assert!(dataset.read::<f32>(0).is_err(), "of another type");
    assert_eq!(dataset.subset(&[5, 3]).unwrap().samples().map(|sample| sample.unwrap().label.unwrap()).sum::<i64>(), 2);
}

#[test]
fn a_gradient_is_that_of_its_value() {
    let context = context();
    let mut loss = Loss::info_nce(&context, |options| options.temperature = 0.5).unwrap();
    let mut z: Vec<f32> = (0..16).map(|i| ((i * 37 % 17) as f32 - 8.0) / 5.0).collect();
    let shape = [2, 4, 2];
    let (_, gradients) = loss.compute(&[TensorRef::new(&z, &shape).unwrap()]).unwrap();
    let step = 1e-2;
    z[5] += step;
    let (above, _) = loss.compute(&[TensorRef::new(&z, &shape).unwrap()]).unwrap();
    z[5] -= 2.0 * step;
    let (below, _) = loss.compute(&[TensorRef::new(&z, &shape).unwrap()]).unwrap();
    let slope = (above - below) / f64::from(2.0 * step);
    assert!((slope - f64::from(gradients[0].data()[5])).abs() < 1e-3, "{slope} {}", gradients[0].data()[5]);
    assert!(loss.metrics().map(Result::unwrap).any(|metric| metric.name == "top1"));
    loss.set("temperature", 0.2).unwrap();
    assert_eq!(loss.set("warmth", 0.2).unwrap_err().status, Status::NotFound);
}

#[test]
fn folders_and_interleaved_pictures() {
    let folder = Folder::new("pictures");
    for class in ["cat", "dog"] {
        std::fs::create_dir_all(folder.0.join(class)).unwrap();
        let picture = [b"P6 16 16 255\n".to_vec(), vec![9; 768]].concat();
        std::fs::write(folder.0.join(class).join("1.ppm"), picture).unwrap();
    }
    let context = context();
    let dataset = Dataset::folder(&context, &folder.0, true).unwrap();
    assert_eq!(dataset.classes().map(Result::unwrap).collect::<Vec<_>>(), ["cat", "dog"]);
    assert_eq!(dataset.sample(1).unwrap(), Sample { name: "dog/1.ppm".into(), label: Some(1) });

    let list = Dataset::list(&context).unwrap();
    let bgr = [1u8, 2, 3, 4, 5, 6]; // two pixels
    list.add_images(TensorRef::interleaved(&bgr, 2, 1, 3, PixelOrder::Bgr).unwrap(), None).unwrap();
    list.add_file(folder.0.join("cat/1.ppm"), None).unwrap();
    assert_eq!(list.read::<u8>(0).unwrap().data(), [3, 6, 2, 5, 1, 4]);
    assert_eq!(list.info().unwrap().count, 2);
    assert!(TensorRef::interleaved(&bgr, 2, 2, 3, PixelOrder::Bgr).is_err());
}

#[test]
fn threads_share_context_and_pictures() {
    fn shared<T: Send + Sync>(_: &T) {}
    let context = context();
    let dataset = Arc::new(pictures(&context));
    shared(&context);
    shared(&dataset);
    shared(&Probe::knn(&context, 5, 0.1).unwrap());
    let one = |context: Context, dataset: Arc<Dataset>| {
        let network = backbone(&context);
        simclr(&context, &dataset, &network).run(4).unwrap();
        weights(&network)
    };
    let other = {
        let (context, dataset) = (context.clone(), dataset.clone());
        std::thread::spawn(move || one(context, dataset))
    };
    let here = one(context, dataset);
    assert_eq!(here, other.join().unwrap());
}
