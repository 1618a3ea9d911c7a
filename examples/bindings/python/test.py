"""python3 test.py INCLUDE_FOLDER, with the library in SSLCV_LIBRARY; writes into the current folder."""
import gc
import importlib.util
import io
import os
import re
import subprocess
import sys
import threading
import unittest
import weakref
from ctypes import sizeof

import numpy as np
import sslcv
from sslcv import _c
from sslcv._library import kept

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 else os.path.join(HERE, "../../../include"))
SIZE = 16
rng = np.random.default_rng(1)


def drawn(count=64):
    """Stripes in one of four directions and colours, with noise."""
    y, x = np.mgrid[:SIZE, :SIZE]
    images = rng.integers(60, 140, (count, 3, SIZE, SIZE))
    for n, image in enumerate(images):
        image[n % 3] += 60 * ((x if n % 2 else y) % 8 < 4)
    return images.astype(np.uint8)


class Case(unittest.TestCase):
    def setUp(self):
        gc.collect()
        self.before = len(kept)
        self.context = sslcv.Context(threads=1, seed=7)
        self.images = drawn()
        self.dataset = sslcv.Dataset.of(self.context, self.images, [n % 4 for n in range(64)])

    def tearDown(self):
        """Nothing that Python lent is kept once all handles are gone."""
        self.__dict__ = {k: v for k, v in self.__dict__.items() if k.startswith("_") or k == "before"}
        gc.collect()
        self.assertEqual(len(kept), self.before)

    def backbone(self):
        return sslcv.Backbone(self.context, sslcv.Architecture.RESNET18, stem=sslcv.Stem.CIFAR, width=0.125, seed=3)

    def trainer(self, epochs=2, **options):
        return sslcv.Trainer.of(self.context, "simclr", [self.backbone()], dataset=options.pop("dataset", self.dataset),
                                settings="batch=16 size=%d epochs=%d" % (SIZE, epochs), seed=5, **options)

    def features(self, backbone):
        return sslcv.Embed(self.dataset, sslcv.Augmenter(self.context, "eval-cifar", SIZE), backbone).features()


class Tables(unittest.TestCase):
    def test_tables_are_those_of_the_headers(self):
        os.makedirs("tables", exist_ok=True)
        subprocess.run([sys.executable, HERE + "/generate.py", INCLUDE, "tables"], check=True)
        for name in ("_c.py", "types.py"):
            with open("tables/" + name) as new, open(HERE + "/sslcv/" + name) as old:
                self.assertEqual(new.read(), old.read(), "run generate.py: %s is not current" % name)

    def test_sizes_and_offsets_are_the_compiler_s(self):
        lines, expected = [], []
        with open(HERE + "/../../../tests/abi/layout.c") as file:
            structs = re.findall(r"LAST\((sslcv_\w+),", file.read())
        for struct in structs:
            ours = getattr(_c, "".join(part.capitalize() for part in struct[6:].split("_")))
            lines.append('printf("%s %%zu\\n", sizeof(%s));' % (struct, struct))
            expected.append("%s %d" % (struct, sizeof(ours)))
            for name, *_ in ours._fields_:
                field = getattr(ours, name)
                lines.append('printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));'
                             % (struct, name, struct, name, struct, name))
                expected.append("%s.%s %d %d" % (struct, name, field.offset, field.size))
        with open("layout.c", "w") as file:
            file.write("\n".join(["#include <sslcv/sslcv.h>", "#include <stdio.h>", "int main(void)", "{", *lines,
                                  "return 0;", "}", ""]))
        compiler = os.environ.get("CC", "cc").split()
        try:
            subprocess.run(compiler + ["-I" + INCLUDE, "layout.c", "-o", "layout"], check=True)
        except FileNotFoundError:
            self.skipTest("no C compiler")
        self.assertGreater(len(structs), 50)
        self.assertEqual(subprocess.run("./layout", stdout=subprocess.PIPE, text=True).stdout.splitlines(), expected)

    def test_every_function_is_here_and_used(self):
        with open(HERE + "/../../../lib/sslcv.map") as file:
            self.assertEqual(set(re.findall(r"^    (sslcv_\w+);", file.read(), re.M)), set(_c.PROTOTYPES))
        text = ""
        for name in os.listdir(HERE + "/sslcv"):
            if name.endswith(".py") and name not in ("_c.py", "types.py"):
                with open(HERE + "/sslcv/" + name) as file:
                    text += file.read()
        used = set(re.findall(r"\bsslcv_\w+", text))
        used |= {"sslcv_%s_destroy" % kind for kind in re.findall(r'_kind = "(\w+)"', text)}
        for kind, part in re.findall(r'_of\(context, "(\w+)", _c\.\w+, fields\)()', text):
            used |= {"sslcv_%s_options_init" % kind, "sslcv_head_create_" + kind, "sslcv_loss_create_" + kind}
        # Python has better: numpy, exceptions.
        self.assertEqual(set(_c.PROTOTYPES) - used, {"sslcv_tensor_init", "sslcv_dtype_size", "sslcv_status_string",
                                                     "sslcv_last_error_copy"})
        for name in _c.PROTOTYPES:
            self.assertTrue(callable(getattr(sslcv.lib, name)))
        self.assertEqual(len(re.findall(r'_kind = "\w+"', text)), 13)

    def test_types(self):
        if importlib.util.find_spec("mypy") is None:
            self.skipTest("no mypy")
        subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir=mypy", HERE + "/sslcv"], check=True,
                       stdout=sys.stderr)

    def test_readme_and_example_run(self):
        with open(HERE + "/README.md") as file:
            program = re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)
        self.assertLessEqual(len([line for line in program.splitlines() if line]), 20)
        for args in (["-c", program], [HERE + "/custom_loss.py"]):
            run = subprocess.run([sys.executable] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            self.assertRegex(run.stdout, r"like the first: \[ *0 |gains \[")
        self.assertTrue(os.path.getsize("backbone.safetensors") > 0)


class Story(Case):
    def test_pretrain_embed_save_reload(self):
        trainer, seen = self.trainer(), []
        trainer.add_hook(lambda t, now: seen.append((now.step, now.loss)))
        untrained = self.features(trainer.backbone())
        trainer.run()
        self.assertEqual([step for step, _ in seen], list(range(1, 9)))
        self.assertTrue(all(np.isfinite(loss) for _, loss in seen))
        backbone = trainer.backbone()
        features = self.features(backbone)
        self.assertEqual((features.shape, features.dtype), ((64, 64), np.float32))
        self.assertFalse(np.array_equal(features, untrained))
        backbone.save("backbone.safetensors")
        again = sslcv.Backbone.load(self.context, "backbone.safetensors")
        np.testing.assert_array_equal(self.features(again), features)
        out = np.empty((64, 64), np.float32)
        embed = sslcv.Embed(self.dataset, sslcv.Augmenter(self.context, "eval-cifar", SIZE), again)
        got, labels = embed.labelled(out)
        self.assertIs(got, out)
        np.testing.assert_array_equal(out, features)
        np.testing.assert_array_equal(labels, np.arange(64) % 4)
        with self.assertRaises(ValueError):
            embed.features(np.empty((64, 63), np.float32))

    def test_error_messages(self):
        with self.assertRaisesRegex(sslcv.InvalidArgument, r"threads is -1; must be 0 \.\. 4096") as caught:
            sslcv.Context(threads=-1)
        self.assertEqual(caught.exception.status, sslcv.StatusCode.ERR_INVALID_ARGUMENT)
        self.assertIsInstance(caught.exception, ValueError)
        with self.assertRaisesRegex(sslcv.NotFound, "simclr"):
            sslcv.Trainer.of(self.context, "sim-clear", dataset=self.dataset)
        with open("damaged.safetensors", "wb") as file:
            file.write(b"\xff" * 40)
        with self.assertRaises(sslcv.FormatError):
            sslcv.State.open(self.context, "damaged.safetensors")
        with self.assertRaises(TypeError):
            sslcv.Context(thread=1)
        closed = self.backbone()
        closed.close()
        closed.close()
        with self.assertRaisesRegex(ValueError, "Backbone is closed"):
            closed.info

    def test_cancel_and_resume(self):
        """By a hook, by the context from another thread, by Ctrl-C: the run goes on, and ends as one left alone."""
        whole = self.trainer()
        whole.run()
        part = self.trainer()
        part.add_hook(lambda t, now: now.step == 2)
        with self.assertRaises(sslcv.Cancelled):
            part.run()
        in_hook = threading.Event()

        def wait(t, now):
            if now.step == 4:
                thread = threading.Thread(target=self.context.cancel)
                thread.start()
                thread.join()
                in_hook.set()
        part.add_hook(wait)
        with self.assertRaises(sslcv.Cancelled):
            part.run()
        self.assertTrue(in_hook.is_set() and self.context.info.cancelled)
        self.context.cancel(False)

        def interrupt(t, now):
            if now.step == 5:
                os.kill(os.getpid(), 2)
        part.add_hook(interrupt)
        with self.assertRaises(KeyboardInterrupt):
            part.run()
        part.run()
        np.testing.assert_array_equal(part.backbone().state.get_flat(), whole.backbone().state.get_flat())

    def test_ctrl_c_needs_no_hook(self):
        trainer = self.trainer(epochs=200)
        timer = threading.Timer(0.5, os.kill, (os.getpid(), 2))
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            trainer.run()
        timer.join()
        self.assertGreater(trainer.step().step, 1)

    def test_checkpoint_resumes_in_another_trainer(self):
        whole = self.trainer()
        whole.run()
        part = self.trainer()
        part.run(3)
        checkpoint = io.BytesIO()
        part.state.save(checkpoint)
        checkpoint.seek(0)
        other = self.trainer()
        other.state.load(checkpoint)
        other.run()
        np.testing.assert_array_equal(other.backbone().state.get_flat(), whole.backbone().state.get_flat())


class Callbacks(Case):
    def test_hook_that_raises(self):
        trainer = self.trainer()

        def fail(t, now):
            if now.step == 3:
                raise ZeroDivisionError("in a hook")
        trainer.add_hook(fail)
        with self.assertRaisesRegex(ZeroDivisionError, "in a hook") as caught:
            trainer.run()
        self.assertIsInstance(caught.exception.__cause__, sslcv.Cancelled)
        trainer.run()
        with self.assertRaises(sslcv.StateError):  # an error of the library inside a hook comes out as itself
            again = self.trainer()
            again.add_hook(lambda t, now: t.step())
            again.run()

    def test_custom_loss_learns_and_raises(self):
        def squares(state, call):
            z = call.inputs[0]
            call.diff_inputs[0][:] = 2 * z * call.scale
            return float((z ** 2).sum())
        loss = sslcv.Loss.custom(self.context, squares)
        z = rng.standard_normal((2, 4, 3)).astype(np.float32)
        value, (gradient,) = loss(z)
        self.assertAlmostEqual(value, float((z ** 2).sum()), 4)
        np.testing.assert_allclose(gradient, 2 * z, rtol=1e-6)
        trainer = self.trainer()
        trainer.set_loss(0, loss)
        first = trainer.step().loss
        for _ in range(4):
            last = trainer.step().loss
        self.assertNotEqual(first, last)
        failing = sslcv.Loss.custom(self.context, lambda state, call: 1 / 0)
        with self.assertRaises(ZeroDivisionError):
            failing(z)
        with self.assertRaises(AttributeError):
            call = sslcv.Loss.custom(self.context, lambda state, call: call.nothing)
            trainer = self.trainer()
            trainer.set_loss(0, call)
            trainer.step()
        with self.assertRaises(ValueError):  # what the library reads cannot be written
            sslcv.Loss.custom(self.context, lambda state, call: call.inputs[0].fill(0))(z)

    def test_names_that_are_no_utf8(self):
        folder = os.path.abspath("names")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(os.fsencode(folder), b"caf\xe9.pgm"), "wb") as file:
            file.write(b"P5 2 2 255\n\0\1\2\3")
        dataset = sslcv.Dataset(self.context, sslcv.DatasetKind.FOLDER, path=folder)
        name = dataset.sample(0).name
        self.assertEqual(name.encode("utf-8", "surrogateescape"), b"caf\xe9.pgm")
        again = sslcv.Dataset(self.context, sslcv.DatasetKind.LIST)
        again.add_file(os.path.join(folder, name))
        self.assertEqual(again[0].shape, dataset[0].shape)

    def test_dataset_of_a_function(self):
        loaded, refs = [], []

        def load(index):
            if index == 5:
                raise KeyError("image 5")
            loaded.append(index)
            image = self.images[index].copy()
            refs.append(weakref.ref(image))
            return image
        fragile = sslcv.Dataset.callback(self.context, 64, load, lambda index: index % 4, on_error=sslcv.OnError.FAIL)
        self.assertEqual((len(fragile), fragile.info.num_classes, fragile.sample(6).label), (64, 4, 2))
        np.testing.assert_array_equal(fragile[3], self.images[3])
        self.assertTrue(refs and all(ref() is None for ref in refs), "images are let go when the library lets them go")
        with self.assertRaisesRegex(KeyError, "image 5"):
            fragile[5]
        with self.assertRaises(IndexError):
            fragile[64]
        view = sslcv.Augmenter(self.context, "eval-cifar", SIZE)
        backbone = self.backbone()
        with self.assertRaises(KeyError) as caught:
            sslcv.Embed(fragile, view, backbone).features()
        self.assertIsInstance(caught.exception.__cause__, sslcv.Error)
        patient = sslcv.Dataset.callback(self.context, 64, load)
        features = sslcv.Embed(patient, view, backbone).features()
        self.assertEqual(patient.info.failed, 1)
        np.testing.assert_array_equal(features[6], self.features(backbone)[6])
        with self.assertRaises(KeyError):
            sslcv.Dataset.callback(self.context, 4, load, lambda index: {}[index])

        asked = []

        def interrupted(index):
            asked.append(index)
            if len(asked) == 3:
                raise KeyboardInterrupt
            return self.images[index]
        with self.assertRaises(KeyboardInterrupt):
            sslcv.Embed(sslcv.Dataset.callback(self.context, 64, interrupted), view, backbone).features()
        self.assertEqual(len(asked), 3)  # although the data set would go on with another image

    def test_dataset_on_any_thread(self):
        context = sslcv.Context(threads=1, loader_threads=2)
        threads = set()

        def load(index):
            threads.add(threading.get_ident())
            return self.images[index]
        dataset = sslcv.Dataset.callback(context, 64, load, any_thread=True)
        loader = sslcv.Loader(context, dataset, sslcv.Augmenter(context, "simclr-cifar", SIZE), batch_size=16)
        batches = list(loader)
        self.assertEqual([b.index for b in batches], [0, 1, 2, 3])
        self.assertEqual(sorted(np.concatenate([b.ids for b in batches])), list(range(64)))
        self.assertEqual(loader.views(0, 1).shape, (32, 3, SIZE, SIZE))
        self.assertTrue(threads - {threading.get_ident()}, "loader threads load")

    def test_custom_transform(self):
        def invert(src, dst, random):
            dst[:] = 1 - src
        augmenter = sslcv.Augmenter(self.context)
        view = augmenter.add_view([sslcv.Transform(sslcv.TransformKind.CUSTOM, invert)])
        np.testing.assert_allclose(augmenter.apply(self.images[0], view), 1 - self.images[0] / 255, atol=1e-6)
        failing = sslcv.Augmenter(self.context)
        failing.add_view([sslcv.Transform(sslcv.TransformKind.CUSTOM, lambda *_: {}["transform"])])
        with self.assertRaisesRegex(KeyError, "transform"):
            failing.apply(self.images[0], 0)

    def test_custom_head(self):
        passes = []

        def forward(state, src, dst, how):
            passes.append(how)
            dst[:] = src[..., :2] * state.data("scale")

        def backward(state, src, dst, diff_dst, diff_src, how):
            self.assertEqual(how, passes[-1])
            diff_src[:] = 0
            diff_src[..., :2] = diff_dst * state.data("scale")
            gradient = state.data("scale", sslcv.StatePart.GRADIENT)
            gradient += (diff_dst * src[..., :2]).sum(axis=(0, 1, 2))
        head = sslcv.Head.custom(self.context, 3, 2, forward, backward)
        head.state.add("scale", (2,), role=sslcv.Role.WEIGHT)
        head.state["scale"] = [2, 3]
        x, tape = rng.standard_normal((5, 3)).astype(np.float32), sslcv.Tape(self.context)
        head.forward(x, tape)
        np.testing.assert_allclose(tape.output(), x[:, :2] * [2, 3], rtol=1e-6)
        tape.backward(np.ones((5, 2), np.float32))
        np.testing.assert_allclose(tape.diff_input(), [[2, 3, 0]] * 5)
        np.testing.assert_allclose(head.state.get("scale", sslcv.StatePart.GRADIENT), x[:, :2].sum(0), rtol=1e-5)
        for how in ({}, {"random": 7, "bn_splits": 5}, {"flags": 0}):
            head.forward(x, tape, **how)
        train = sslcv.PassFlag.TRAIN | sslcv.PassFlag.GRADIENT
        self.assertEqual(passes[2:], [(train, 5, 7), (sslcv.PassFlag(0), 1, 0)])
        self.assertEqual(passes[0][:2], (train, 1))
        self.assertNotIn(0, [passes[0].random, passes[1].random])
        self.assertNotEqual(passes[0].random, passes[1].random)
        with self.assertRaises(ZeroDivisionError):
            sslcv.Head.custom(self.context, 3, 2, lambda *_: 1 / 0, backward).forward(x, tape)

    def test_streams_that_raise(self):
        class Broken(io.BytesIO):
            def write(self, data):
                raise OSError("disk on fire")
        with self.assertRaisesRegex(OSError, "disk on fire"):
            self.backbone().save(Broken())

    def test_log(self):
        lines = []
        context = sslcv.Context(threads=1, log=lambda level, line: lines.append((level, line)), log_level=4)
        self.assertEqual(len(kept), self.before + 1)
        state = sslcv.State(context)
        self.assertTrue(lines and isinstance(lines[0][0], sslcv.LogLevel))
        context.close()
        self.assertEqual(len(kept), self.before + 1)  # state needs the context, and so its log
        state.close()
        self.assertEqual(len(kept), self.before)
        with self.assertRaises(sslcv.Error):
            sslcv.Context(log=print, threads=-1)
        seen, sys.unraisablehook = [], lambda what: seen.append(what.exc_type)
        try:
            sslcv.Context(threads=1, log=lambda level, line: 1 / 0)
        finally:
            sys.unraisablehook = sys.__unraisablehook__
        self.assertEqual(seen[:1], [ZeroDivisionError])


class Arrays(Case):
    def test_strides_go_in_without_a_copy(self):
        wide = rng.integers(0, 256, (20, 24, 3), np.uint8)
        picture = wide[2:18, ::-1][:, :16]
        sslcv_tensor = sslcv.tensor_of(picture.transpose(2, 0, 1))
        self.assertEqual(sslcv_tensor.data, picture.ctypes.data)
        dataset = sslcv.Dataset(self.context)
        before = len(dataset)
        self.assertEqual(dataset.add(picture.transpose(2, 0, 1), [1]), before)
        self.assertEqual(dataset.add_pixels(wide, sslcv.PixelOrder.BGR), before + 1)
        np.testing.assert_array_equal(dataset[0], picture.transpose(2, 0, 1))
        np.testing.assert_array_equal(dataset[1], wide[:, :, ::-1].transpose(2, 0, 1))
        self.assertEqual(list(dataset.labels()), [1, -1])
        with self.assertRaises(TypeError):
            sslcv.tensor_of(np.zeros(3, complex))

    def test_state_memory(self):
        state = sslcv.State(self.context)
        state.add("a", (2, 3))
        view = state.data("a")
        state["a"] = np.arange(6).reshape(2, 3).astype(np.float64)
        np.testing.assert_array_equal(view, np.arange(6).reshape(2, 3))
        there = weakref.ref(state)
        del state
        gc.collect()
        self.assertIsNotNone(there(), "the array keeps the state")
        view += 1
        self.assertEqual(view[1, 2], 6)
        del view
        gc.collect()
        self.assertIsNone(there())

    def test_dlpack(self):
        state = sslcv.State(self.context)
        state.add("a", (2, 3))
        lent = state.lend("a")
        array = np.from_dlpack(lent)
        self.assertEqual(array.ctypes.data, state.data("a").ctypes.data)
        del lent, state
        gc.collect()
        self.assertEqual(array.sum(), 0)
        kept_now = len(kept)
        del array
        gc.collect()
        self.assertEqual(len(kept), kept_now - 1)
        state = sslcv.State(self.context)
        state.add("b", (4,), dtype=sslcv.Dtype.BF16)
        capsule = state.lend("b").__dlpack__(max_version=(1, 1))
        del capsule  # taken by nobody
        self.assertEqual(len(kept), kept_now - 1)

        class Only:
            """Something of another library that NumPy does not know."""

            def __init__(self, array):
                self.array = array

            def __dlpack__(self):
                return self.array.__dlpack__()
        values = np.arange(6, dtype=np.float32).reshape(2, 3)
        tensor = sslcv.tensor_of(Only(values))
        self.assertEqual((tensor.data, tuple(tensor.shape[:2])), (values.ctypes.data, (2, 3)))

    def test_borrowed_views(self):
        loader = sslcv.Loader(self.context, self.dataset, sslcv.Augmenter(self.context, "eval-cifar", SIZE),
                              batch_size=16, sampler=sslcv.Sampler.IN_ORDER)
        loader.next()
        kept_copy, borrowed = loader.views(0), loader.views(0, copy=False)
        np.testing.assert_array_equal(kept_copy, borrowed)
        self.assertFalse(borrowed.flags.writeable)
        self.assertTrue(kept_copy.flags.owndata)


class Whole(Case):
    """Each remaining part once."""

    def test_enumerations_iterate(self):
        self.assertIn("simclr", sslcv.methods())
        self.assertIn(("epochs", "200"), [(s.name, s.default) for s in sslcv.settings("simclr")])
        backbone = self.backbone()
        self.assertEqual([stage.name for stage in backbone], ["stem", "layer1", "layer2", "layer3", "layer4"])
        names = backbone.state.names()
        self.assertEqual(names[0], "conv1.weight")
        self.assertIn("conv1.weight", backbone.state)
        self.assertNotIn("nothing", backbone.state)
        self.assertEqual(len(list(sslcv.Augmenter(self.context, "dino", 32))), 10)
        self.assertEqual(len(sslcv.transform_kinds()), 31)
        self.assertIn("onednn", sslcv.build_info())
        self.assertEqual(sslcv.version_number(), 1000)
        self.assertEqual(self.context.info.threads, 1)

    def test_flat_view_and_lerp(self):
        a, b = self.backbone(), self.backbone().clone()
        b.state.set_flat(a.state.get_flat() + 1)
        a.state.lerp(b.state, 0.5)
        np.testing.assert_allclose(a.state.get_flat(), b.state.get_flat() - 0.5, atol=1e-6)
        with self.assertRaises(sslcv.InvalidArgument):
            b.state.set_flat(np.zeros(3))

    def test_files(self):
        backbone = self.backbone()
        backbone.state.save("meta.safetensors", metadata={"who": "test", "wh\u00e4t": "\u00e4"}, dtype=sslcv.Dtype.F16)
        report = backbone.state.load("meta.safetensors")
        self.assertEqual((report.missing, report.layout), (0, "sslcv"))
        backbone.state.save("all.npz", format=sslcv.Format.NPZ)
        ours = sslcv.arrays(self.context, "all.npz")
        with np.load("all.npz") as theirs:
            np.testing.assert_array_equal(theirs["conv1.weight"], ours["conv1.weight"])
        other = sslcv.State(self.context)
        other.add("unknown", (1,))
        other.save("other.safetensors")
        with self.assertRaises(sslcv.NotFound) as caught:
            backbone.state.load("other.safetensors")
        self.assertGreater(caught.exception.report.missing, 0)

    def test_onnx(self):
        branch = sslcv.Branch([0], self.backbone())
        if "protobuf-c=none" in sslcv.build_info():
            with self.assertRaises(sslcv.Unsupported):
                sslcv.save_onnx(branch, "network.onnx")
            return
        sslcv.save_onnx(branch, "network.onnx", height=SIZE, width=SIZE)
        model = io.BytesIO()
        sslcv.save_onnx(branch, model, height=SIZE, width=SIZE)
        with open("network.onnx", "rb") as file:
            self.assertEqual(file.read(), model.getvalue())
        self.assertIn(b"layer4.1.conv2.weight", model.getvalue())
        with self.assertRaises(sslcv.InvalidArgument):
            sslcv.save_onnx(branch, "network.onnx", opset=3)

    def test_composed_trainer_and_watchers(self):
        augmenter = sslcv.Augmenter(self.context, "simclr-cifar", SIZE)
        backbone = self.backbone()
        head = sslcv.Head.mlp(self.context, in_dim=backbone.info.feature_dim, out_dim=16)
        optimizer = sslcv.Optimizer(self.context, sslcv.OptimizerKind.ADAMW)
        rate = sslcv.Schedule(0.01, sslcv.ScheduleKind.STEPS, milestones=[1], gamma=0.5)
        self.assertEqual([rate.at(step, 4, 2) for step in (0, 4)], [0.01, 0.005])
        trainer = sslcv.Trainer(self.context, optimizer, rate, dataset=self.dataset, augmenter=augmenter, batch_size=16,
                                epochs=1)
        branch = trainer.add_branch(sslcv.Branch([0, 1], backbone, [head]))
        trainer.add_loss(sslcv.Loss.info_nce(self.context, temperature=0.2), [branch])
        classes = sslcv.Head.mlp(self.context, in_dim=backbone.info.feature_dim, out_dim=4, num_layers=1)
        trainer.add_branch(sslcv.Branch([0], backbone, [classes]))
        trainer.add_loss(sslcv.Loss.cross_entropy(self.context), [1])
        eval_view = sslcv.Augmenter(self.context, "eval-cifar", SIZE)
        embed = sslcv.Embed(self.dataset, eval_view, backbone)
        probe = sslcv.Probe(self.context, sslcv.ProbeKind.KNN, neighbors=5)
        probe.watch(trainer, "knn", embed, embed)
        scores = sslcv.Embed(self.dataset, eval_view, backbone, heads=[classes])
        scores.watch(trainer, "val")
        trainer.keep_best("val.top1")
        scalars = sslcv.Scalars(self.context, "scalars.jsonl")
        scalars.watch(trainer)
        self.assertIn("branch", trainer.describe())
        self.assertGreater(trainer.memory.total, 0)
        del embed, eval_view, probe, optimizer, augmenter, head  # in any order
        gc.collect()
        trainer.run()
        self.assertIn("knn.top1", trainer.metrics())
        value, epoch = trainer.take_best()
        self.assertEqual((value, epoch), (trainer.metrics()["val.top1"], 0))
        self.assertEqual(trainer.loss().info.kind, "info_nce")
        self.assertEqual(trainer.head().info.out_dim, 16)
        self.assertGreaterEqual(scores.classify().count, 64)
        scalars.add(100, "mine", 2.5)
        scalars.close()
        with open("scalars.jsonl") as file:
            self.assertIn('"mine":2.5', file.read())

    def test_step_views_without_a_dataset(self):
        trainer = sslcv.Trainer.of(self.context, "simclr", [self.backbone()],
                                   settings="batch=8 size=%d epochs=1 steps_per_epoch=4" % SIZE)
        views = rng.standard_normal((2, 8, 3, SIZE, SIZE)).astype(np.float32)
        self.assertEqual(trainer.step_views(list(views)).step, 1)
        trainer.set_metric("mine", 1.5)
        self.assertEqual(trainer.metrics()["mine"], 1.5)
        with self.assertRaisesRegex(ValueError, "7 numbers; must be 8"):
            trainer.step_views(list(views), labels=range(7))

    def test_several_labels_an_image(self):
        def trainer(loss):
            backbone = self.backbone()
            classes = sslcv.Head.mlp(self.context, in_dim=backbone.info.feature_dim, out_dim=4, num_layers=1, seed=3)
            made = sslcv.Trainer(self.context, sslcv.Optimizer(self.context, sslcv.OptimizerKind.SGD),
                                 sslcv.Schedule(0.1, sslcv.ScheduleKind.CONSTANT), epochs=1, steps_per_epoch=2)
            made.add_loss(loss, [made.add_branch(sslcv.Branch([0], backbone, [classes]))])
            return made

        views = [rng.standard_normal((8, 3, SIZE, SIZE)).astype(np.float32)]
        yes = rng.integers(0, 2, (8, 4))
        binary = trainer(sslcv.Loss.binary_cross_entropy(self.context))
        losses = [binary.step_views(views, targets=yes).loss for _ in range(2)]
        self.assertLess(losses[1], losses[0])
        labels = [n % 4 for n in range(8)]
        soft, hard = (trainer(sslcv.Loss.cross_entropy(self.context)) for _ in range(2))
        self.assertEqual(soft.step_views(views, targets=np.tile(np.eye(4), (2, 1))).loss,
                         hard.step_views(views, labels=labels).loss)
        with self.assertRaisesRegex(ValueError, "labels and targets"):
            soft.step_views(views, labels=labels, targets=yes)

    def test_backbone_passes(self):
        backbone, tape = self.backbone(), sslcv.Tape(self.context)
        images = rng.standard_normal((4, 3, SIZE, SIZE)).astype(np.float32)
        backbone.forward(images, tape, flags=0, stage="layer2")
        self.assertEqual(tape.output().shape, (4, 16))
        backbone.forward(images, tape)
        tape.backward(np.ones_like(tape.output()))
        gradient = backbone.state.get("conv1.weight", sslcv.StatePart.GRADIENT)
        self.assertGreater(np.abs(gradient).max(), 0)
        backbone.freeze(1)
        self.assertEqual(backbone.info.frozen_stages, 1)
        self.assertTrue(next(iter(backbone.state)).frozen)

    def test_choices_and_figures(self):
        fold = self.dataset.split(folds=4, fold=0)
        self.assertEqual(len(fold), 16)
        self.dataset.subset(fold)[15]
        rows = rng.standard_normal((64, 8)).astype(np.float32)
        labels = np.arange(64) % 4
        rows[:, 0] += 8 * labels
        probe = sslcv.Probe(self.context, sslcv.ProbeKind.LINEAR, epochs=50)
        probe.fit(rows, labels)
        scores = probe.predict(rows)
        metrics, confusion = sslcv.metrics(self.context, scores, labels)
        self.assertEqual(confusion.trace(), round(metrics.top1 * 64))
        result = sslcv.figure(self.context, scores, labels, draws=50)
        self.assertEqual((result.value.value, len(result.per_class)), (metrics.top1, 4))
        short = labels[:63]
        for call in (lambda: probe.fit(rows, short), lambda: sslcv.metrics(self.context, scores, short),
                     lambda: sslcv.figure(self.context, scores, short), lambda: sslcv.nmi(self.context, labels, short),
                     lambda: sslcv.Loss.cross_entropy(self.context)(scores, labels=short),
                     lambda: sslcv.Dataset.of(self.context, self.images, short)):
            with self.assertRaisesRegex(ValueError, "63 numbers; must be 64"):
                call()
        indices, similarities = sslcv.nearest(self.context, rows, rows[:2], 3)
        self.assertEqual(list(indices[:, 0]), [0, 1])
        clusters = sslcv.kmeans(self.context, rows, 4, seed=1)
        self.assertGreater(sslcv.nmi(self.context, clusters.assignments, labels), 0.5)
        white = sslcv.pca_whiten(self.context, rows, 3)
        np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(3), atol=0.05)
        self.assertGreater(sslcv.spread(self.context, rows).effective_rank, 1)
        self.assertEqual(sslcv.Probe.preset(self.context, "moco").info.num_classes, 0)

    def test_handles_in_any_order(self):
        for order in range(6):
            context = sslcv.Context(threads=1)
            handles = [context, sslcv.Dataset.of(context, self.images), sslcv.Augmenter(context, "simclr-cifar", SIZE)]
            handles.append(sslcv.Loader(context, *handles[1:], batch_size=16))
            state = sslcv.Head.mlp(context, in_dim=4, out_dim=4).state
            for handle in handles[order % 4:] + handles[:order % 4]:
                handle.close()
            self.assertEqual(state["layers.0.weight" if "layers.0.weight" in state else 0].shape[-1], 4)


if __name__ == "__main__":
    result = unittest.main(exit=False, argv=sys.argv[:1] + sys.argv[1:]).result
    skipped = "".join(", left out: %s" % reason for _, reason in result.skipped)
    print("bindings/python: %d tests%s, %d failures"
          % (result.testsRun, skipped, len(result.failures) + len(result.errors)))
    sys.exit(0 if result.wasSuccessful() else 1)
