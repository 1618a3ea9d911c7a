"""The context: threads, seed, precision, log. Everything else is made from one."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _c
from ._library import Handle, ask, dropping, guarded, kept, lib, options
from .types import ContextInfo, LogLevel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .types import ContextOptions


@guarded(_c.LogFn, None)
def _log(user: int, level: int, text: bytes) -> None:
    kept[user](LogLevel(level), text.decode("utf-8", "replace"))


class Context(Handle):
    """Context(threads=1, seed=42, log=print). log(level, line) must not call the library; it is kept for as long as
    any object of the context lives."""

    _kind = "context"

    def __init__(self, *, log: Optional[Callable[[LogLevel, str], Any]] = None,
                 **fields: Unpack[ContextOptions]) -> None:
        o = options(_c.ContextOptions, lib.sslcv_context_options_init, fields)
        key = None
        if log is not None:
            key = kept.keep(log)
            o.log, o.log_user, o.log_destroy = _log, key, dropping(_c.ContextOptionsLogDestroyFn)
        try:
            super().__init__(lib.sslcv_context_create, o)
        finally:
            if self.closed:
                kept.drop(key)

    @property
    def info(self) -> ContextInfo:
        return ask(_c.ContextInfo, ContextInfo, lib.sslcv_context_get_info, self.pointer)

    def cancel(self, on: bool = True) -> None:
        """Ask all long calls of this context to stop with Cancelled; from any thread. Stays on until cleared."""
        lib.sslcv_context_cancel(self.pointer, on)


def version() -> str:
    text: bytes = lib.sslcv_version_string()
    return text.decode()


def version_number() -> int:
    """major * 1000000 + minor * 1000 + patch."""
    number: int = lib.sslcv_version()
    return number


def build_info() -> "dict[str, str]":
    """How the library was built: compiler, onednn and so on."""
    lines: str = lib.sslcv_build_info().decode()
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
