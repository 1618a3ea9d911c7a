"""Trainers: composed by hand or by recipe, with optimizer, schedules, hooks; scalars of a run; ONNX models of what it has trained."""
from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import _c
from ._library import (Handle, HasStruct, ask, dropping, fill, guarded, interrupted, kept, lib, options, sized, text_of,
                       told, utf8)
from .arrays import longs, tensor_of
from .context import Context
from .losses import Loss, named_figures
from .networks import Backbone, Head
from .state import State, _Target
from .types import Event, Memory, OptimizerKind, Progress, Role, ScalarsFormat, ScheduleKind

if TYPE_CHECKING:
    from .data import Path
    from .state import Target
    from typing_extensions import Unpack

    from .types import (BranchOptions, MethodOptions, OnnxOptions, OptimizerGroupOptions, OptimizerOptions,
                        ScheduleOptions, TrainerOptions)


class Schedule(HasStruct):
    """A number that changes over a run: Schedule(0.03, ScheduleKind.COSINE, warmup_epochs=10)."""

    def __init__(self, value: float, kind: int = ScheduleKind.CONSTANT, **fields: Unpack[ScheduleOptions]) -> None:
        if "milestones" in fields and "num_milestones" not in fields:
            fields["num_milestones"] = len(fields["milestones"])
        self.struct = options(_c.Schedule, lib.sslcv_schedule_init, fields, kind, value)

    def at(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        value = _c.f64()
        lib.sslcv_schedule_value(self.struct, step, steps_per_epoch, epochs, value)
        return value.value


class Optimizer(Handle):
    _kind = "optimizer"

    def __init__(self, context: Context, kind: int = OptimizerKind.SGD, **fields: Unpack[OptimizerOptions]) -> None:
        super().__init__(lib.sslcv_optimizer_create, context.pointer,
                         options(_c.OptimizerOptions, lib.sslcv_optimizer_options_init, fields, kind))

    def add(self, state: State, roles: int = Role.PARAMETERS, **group: Unpack[OptimizerGroupOptions]) -> None:
        """Let it update tensors of a state, treated as the group says."""
        lib.sslcv_optimizer_add(self.pointer, state.pointer, roles,
                                options(_c.OptimizerGroup, lib.sslcv_optimizer_group_init, group))

    def step(self, learning_rate: float, weight_decay: float = -1.0) -> None:
        lib.sslcv_optimizer_step(self.pointer, learning_rate, weight_decay)

    @property
    def state(self) -> State:
        return State._made(lib.sslcv_optimizer_get_state, self.pointer)


class Branch(HasStruct):
    """Branch([0, 1], backbone, [head]): these views, through this backbone, then through these heads; or from an
    earlier branch: Branch(source=0, heads=[head])."""

    def __init__(self, views: Sequence[int] = (), backbone: Optional[Backbone] = None, heads: Sequence[Head] = (),
                 **fields: Unpack[BranchOptions]) -> None:
        more: Dict[str, Any] = {"backbone": backbone, "num_views": len(views), "num_heads": len(heads)}
        if views:
            more["views"] = views
        if heads:
            more["heads"] = heads
        self.struct = options(_c.Branch, lib.sslcv_branch_init, {**fields, **more})


Hook = Callable[["Trainer", Progress], Any]


@guarded(_c.HookCallFn)
def _call_hook(user: int, trainer: int, progress: Any) -> int:
    with Trainer._lent(trainer) as lent:
        return 1 if kept[user](lent, told(progress.contents, Progress)) is True else 0


@guarded(_c.HookCallFn)
def _listen(user: int, trainer: int, progress: Any) -> int:
    """Nothing: but Python notices Ctrl-C only where its code runs."""
    return 1 if interrupted() else 0


class Trainer(Handle):
    """Composed from branches and losses, or Trainer.of("simclr", ...): then step() or run()."""

    _kind = "trainer"

    def __init__(self, context: Context, optimizer: Optimizer, learning_rate: Schedule,
                 **fields: Unpack[TrainerOptions]) -> None:
        o = options(_c.TrainerOptions, lib.sslcv_trainer_options_init,
                    {**fields, "optimizer": optimizer, "learning_rate": learning_rate})
        super().__init__(lib.sslcv_trainer_create, context.pointer, o)
        self._add(_listen, None, Event.STEP, 1)

    @classmethod
    def of(cls, context: Context, method: str, backbones: Sequence[Backbone] = (),
           **fields: Unpack[MethodOptions]) -> Trainer:
        """The trainer of a published method: Trainer.of(context, "simclr", dataset=photos, settings="epochs=100")."""
        o = options(_c.MethodOptions, lib.sslcv_method_options_init, fields)
        if backbones:
            fill(o, {"backbones": backbones, "num_backbones": len(backbones)})
        trainer = cls._made(lib.sslcv_method_create, context.pointer, method.encode(), o)
        trainer._add(_listen, None, Event.STEP, 1)
        return trainer

    # ---- compose ----

    def add_branch(self, branch: Branch) -> int:
        index = _c.i64()
        lib.sslcv_trainer_add_branch(self.pointer, branch.struct, index)
        return index.value

    def add_loss(self, loss: Loss, branches: Sequence[int], weight: float = 1.0) -> int:
        held, pointer = longs(branches)
        index = _c.i64()
        lib.sslcv_trainer_add_loss(self.pointer, loss.pointer, pointer, len(held), weight, index)
        return index.value

    def set_loss(self, index: int, loss: Loss) -> None:
        lib.sslcv_trainer_set_loss(self.pointer, index, loss.pointer)

    def add_hook(self, hook: Hook, events: int = Event.STEP, every: int = 1) -> None:
        """hook(trainer, progress); True stops the call with Cancelled, what it raises is raised by the call. It is kept
        as long as the trainer is: a hook that refers to the Trainer object itself, not to its argument, keeps it until
        it is closed."""
        key = kept.keep(hook)
        try:
            self._add(_call_hook, key, events, every)
        except BaseException:
            kept.drop(key)
            raise

    def _add(self, call: Any, key: Optional[int], events: int, every: int) -> None:
        table = options(_c.Hook, lib.sslcv_hook_init, {"events": events, "every": every})
        table.user, table.call, table.destroy = key, call, dropping(_c.HookDestroyFn)
        lib.sslcv_trainer_add_hook(self.pointer, table)

    # ---- train ----

    def step(self) -> Progress:
        return ask(_c.Progress, Progress, lib.sslcv_trainer_step, self.pointer)

    def step_views(self, views: Sequence[Any], patches: Optional[Sequence[int]] = None, ids: Any = None,
                   labels: Any = None, targets: Any = None) -> Progress:
        """One step on arrays (N * P, C, H, W), None where no branch uses a view. targets: (N, C), instead of
        labels."""
        tensors = (_c.Tensor * len(views))(*(_c.Tensor() if v is None else tensor_of(v) for v in views))
        per_sample = patches or [1] * len(views)
        samples = next((t.shape[0] // max(p, 1) for t, p in zip(tensors, per_sample) if t.data), 0)
        held = [longs(values, count) if values is not None else (None, None)
                for values, count in ((patches, len(views)), (ids, samples), (labels, samples))]
        batch, progress = options(_c.ViewBatch, lib.sslcv_view_batch_init, {}), sized(_c.Progress)
        batch.views, batch.num_views = tensors, len(views)
        batch.patches, batch.ids, batch.labels = (pointer for _, pointer in held)
        if targets is not None:
            targets = np.ascontiguousarray(targets, np.float32)
            batch.targets = ctypes.pointer(tensor_of(targets))
        lib.sslcv_trainer_step_views(self.pointer, batch, progress)
        return told(progress, Progress)

    def run(self, max_steps: int = 0) -> None:
        """Until all epochs are done, or so many steps. After Cancelled, KeyboardInterrupt or what a hook raised, run()
        goes on where it was."""
        lib.sslcv_trainer_run(self.pointer, max_steps)

    def set_labels(self, labels: Any) -> None:
        """Pseudo-labels from the next epoch on; None: the data set's again."""
        held, pointer = longs(labels) if labels is not None else ((), None)
        lib.sslcv_trainer_set_labels(self.pointer, pointer, len(held))

    def keep_best(self, metric: str, smallest: bool = False) -> None:
        lib.sslcv_trainer_keep_best(self.pointer, metric.encode(), smallest)

    def take_best(self) -> Tuple[float, int]:
        """Give the networks the weights kept; metric and epoch."""
        value, epoch = _c.f64(), _c.i64()
        lib.sslcv_trainer_take_best(self.pointer, value, epoch)
        return value.value, epoch.value

    # ---- look ----

    def metrics(self) -> Dict[str, float]:
        return dict(named_figures(lib.sslcv_trainer_get_metric, self.pointer))

    def set_metric(self, name: str, value: float) -> None:
        lib.sslcv_trainer_set_metric(self.pointer, name.encode(), value)

    @property
    def memory(self) -> Memory:
        return ask(_c.Memory, Memory, lib.sslcv_trainer_get_memory, self.pointer)

    def describe(self) -> str:
        return text_of(lib.sslcv_trainer_describe, self.pointer)

    @property
    def state(self) -> State:
        """Everything that an exact resume needs: trainer.state.save("checkpoint")."""
        return State._made(lib.sslcv_trainer_get_state, self.pointer)

    def backbone(self, branch: int = 0, momentum: bool = False) -> Backbone:
        return Backbone._made(lib.sslcv_trainer_get_backbone, self.pointer, branch, momentum)

    def head(self, branch: int = 0, index: int = 0, momentum: bool = False) -> Head:
        return Head._made(lib.sslcv_trainer_get_head, self.pointer, branch, index, momentum)

    def loss(self, index: int = 0) -> Loss:
        return Loss._made(lib.sslcv_trainer_get_loss, self.pointer, index)


# ---- methods ----

class Setting(NamedTuple):
    name: str
    default: str
    meaning: str


def methods() -> List[str]:
    """Names of the published methods."""
    names: List[str] = []
    while True:
        name: Optional[bytes] = lib.sslcv_method_name(len(names))
        if name is None:
            return names
        names.append(name.decode())


def settings(method: str, preset: Optional[str] = None) -> List[Setting]:
    """What can be set in a method's settings text."""
    found = []
    for line in text_of(lib.sslcv_method_settings, method.encode(), utf8(preset)).splitlines():
        head, _, meaning = line.partition("  ")
        name, _, default = head.partition("=")
        found.append(Setting(name, default, meaning.strip()))
    return found


# ---- ONNX ----

def save_onnx(branch: Branch, target: Target, **fields: Unpack[OnnxOptions]) -> None:
    """To a path, which appears whole or not at all, or to an open file."""
    o = options(_c.OnnxOptions, lib.sslcv_onnx_options_init, fields)
    with _Target(target, o) as stream:
        lib.sslcv_onnx_save(branch.struct, stream.path, o)


# ---- scalars ----

class Scalars(Handle):
    """Figures by step, for TensorBoard or as JSON lines."""

    _kind = "scalars"

    def __init__(self, context: Context, path: Path, format: int = ScalarsFormat.JSON_LINES) -> None:
        super().__init__(lib.sslcv_scalars_open, context.pointer, format, utf8(path))

    def add(self, step: int, name: str, value: float) -> None:
        lib.sslcv_scalars_add(self.pointer, step, name.encode(), value)

    def watch(self, trainer: Trainer, steps: int = 1) -> None:
        lib.sslcv_scalars_watch(self.pointer, trainer.pointer, steps)
