"""Writes sslcv/_c.py and sslcv/types.py from the library's headers: python3 generate.py INCLUDE_FOLDER [OUT_FOLDER]

The headers are regular enough for a few patterns, so no C parser is needed; what a pattern does not know stops it.
_c.py has structs and prototypes as ctypes wants them, types.py what a caller of the package sees: enumerations, the
keyword arguments that stand for the fields of options, and the data classes for structs that the library fills.
"""
import os
import re
import sys

HEADERS = ("status context tensor state augment dataset tape backbone head loss losses optim trainer method probe io "
           "onnx version")
SCALARS = {"int32_t": "i32", "int64_t": "i64", "uint64_t": "u64", "size_t": "usize", "double": "f64", "float": "f32",
           "sslcv_status": "i32"}
# Given by the package, or by an argument of its own where it is used.
HIDDEN = {"struct_size", "reserved", "user", "callbacks", "stream", "metadata", "num_metadata", "allocator", "log",
          "log_user", "log_destroy", "call", "destroy", "num_views", "num_heads", "num_backbones", "num_branches"}
FLAGS = {"sslcv_role", "sslcv_event", "sslcv_pass_flag", "sslcv_call_flag"}
POSITIONAL = {"sslcv_loader_options": {"dataset", "augmenter"}, "sslcv_transform": {"kind"},
              "sslcv_embed_options": {"dataset", "augmenter", "branches"}, "sslcv_schedule": {"kind", "value"},
              "sslcv_dataset_options": {"kind", "count"},
              "sslcv_backbone_options": {"architecture"}, "sslcv_optimizer_options": {"kind"},
              "sslcv_probe_options": {"kind"}, "sslcv_figure_options": {"figure"},
              "sslcv_trainer_options": {"optimizer", "learning_rate"}, "sslcv_branch": {"views", "backbone", "heads"},
              "sslcv_kmeans_options": {"clusters"}, "sslcv_method_options": {"backbones"}}
BY_HAND = {"sslcv_tensor", "sslcv_allocator", "sslcv_stream", "sslcv_batch", "sslcv_state_entry", "sslcv_load_report",
           "sslcv_loss_call", "sslcv_view_batch"}


def camel(name):
    return "".join(part.capitalize() for part in re.sub("^sslcv_", "", name).split("_"))


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)


class Headers:
    """structs: {name: [(field, C type)]}, enums: [(name, [(member, value)])], functions: {name: (result, [types])},
    callbacks: {name: (result, [types])}; a C type is "const char *" or ("array", type, count) or ("fn", name)."""

    def __init__(self, folder):
        self.structs, self.enums, self.functions, self.callbacks, self.opaque = {}, [], {}, {}, set()
        self.constants, self.inits = {}, {}
        for header in HEADERS.split():
            with open(os.path.join(folder, "sslcv", header + ".h"), encoding="utf-8") as file:
                self.read(without_comments(file.read()))

    def read(self, text):
        text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for name, body in re.findall(r"\benum\s+(sslcv_\w+)?\s*\{(.*?)\}", text, re.S):
            members = [(m.strip().split("=")[0].strip(), int(m.split("=")[1], 0)) for m in body.split(",") if m.strip()]
            self.enums.append((name, members))
            self.constants.update(members)
        for name in re.findall(r"typedef struct (sslcv_\w+)\s+\1;", text):
            self.opaque.add(name)
        for result, name, args in re.findall(r"typedef (\w+) \(\*(sslcv_\w+)\)\((.*?)\);", text, re.S):
            self.callbacks[name] = (result, self.parameters(args))
        for name, body in re.findall(r"typedef struct (sslcv_\w+) \{(.*?)\} \1;", text, re.S):
            self.structs[name] = self.fields(name, body)
        for result, name, args in re.findall(r"SSLCV_API ([\w ]+\*?)\s*(sslcv_\w+)\((.*?)\);", text, re.S):
            self.functions[name] = (" ".join(result.split()), self.parameters(args))
            if name.endswith("_init") and "options" not in self.inits.get(name, ""):
                self.inits[name] = self.functions[name][1][0].split()[0]

    def parameters(self, text):
        text = " ".join(text.split())
        return [] if text == "void" else [self.split(part)[0] for part in text.split(",")]

    @staticmethod
    def split(declaration):
        """ "const int64_t *labels" -> ("const int64_t *", "labels")."""
        kind, name = re.fullmatch(r"(.*?[\s*])(\w+)", " ".join(declaration.split())).groups()
        return kind.strip(), name

    def fields(self, struct, body):
        fields = []
        for part in filter(None, (" ".join(p.split()) for p in body.split(";"))):
            function = re.fullmatch(r"(void \*|\w+) ?\(\*(\w+)\)\((.*)\)", part)
            if function:
                result, name, args = function.groups()
                self.callbacks[struct + "_" + name] = (result, self.parameters(args))
                fields.append((name, ("fn", struct + "_" + name)))
                continue
            first, *more = part.split(",")
            array = re.fullmatch(r"(\w+) (\w+)\[(\w+)\]", first.strip())
            if array:
                kind, name, count = array.groups()
                fields.append((name, ("array", kind, self.constants.get(count) or int(count))))
                continue
            kind, name = self.split(first)
            fields.extend((n.strip(), kind) for n in [name] + more)
        return fields

    # ---- as ctypes ----

    def ctype(self, kind):
        if isinstance(kind, tuple):
            if kind[0] == "fn":
                return camel(kind[1]) + "Fn"
            return ("c_char" if kind[1] == "char" else self.ctype(kind[1])) + " * " + str(kind[2])
        plain = " ".join(kind.replace("const", " ").replace("*", " * ").split())
        base, stars = plain.split(" ")[0], plain.count("*")
        if base == "char":
            return {1: "text", 2: "POINTER(text)"}[stars]
        if base == "void" or base in self.opaque:
            return {1: "ptr", 2: "POINTER(ptr)"}[stars]
        if base in self.callbacks:
            return camel(base) + ("" if base.endswith("_fn") else "Fn")
        name = SCALARS[base] if base in SCALARS else camel(base) if base in self.structs else None
        if name is None:
            raise SystemExit("generate.py does not know the type " + kind)
        for _ in range(stars):
            name = "POINTER(%s)" % name
        return name

    def prototype(self, result, arguments):
        result = "None" if result == "void" else self.ctype(result)
        return ", ".join([result] + [self.ctype(a) for a in arguments])

    # ---- as Python sees them ----

    def hint(self, field, kind):
        """Of a field of options; None where Python does not set it so."""
        if field in HIDDEN or isinstance(kind, tuple) and kind[0] == "fn":
            return None
        if isinstance(kind, tuple):
            return "str" if kind[1] == "char" else "Sequence[%s]" % self.hint("", kind[1])
        base, stars = kind.replace("const", "").replace("*", " ").split()[0], kind.count("*")
        if base == "char":
            return "Union[str, PathLike[str], None]" if stars == 1 else None
        if stars == 0:
            return "float" if base in ("double", "float") else "int"
        inner = "int" if base in SCALARS else '"%s"' % camel(base)
        return "Sequence[%s]" % inner if stars == 2 or base in SCALARS else 'Optional[%s]' % inner


def wrap(head, parts, tail, width=120):
    """head + parts joined by ", " + tail, broken below the opening bracket."""
    lines, line = [], head
    for index, part in enumerate(parts):
        piece = part + ("," if index + 1 < len(parts) else tail)
        if len(line) + 1 + len(piece) > width and line.strip():
            lines.append(line.rstrip())
            line = " " * len(head)
        line += piece + " "
    return "\n".join(lines + [line.rstrip()])


def write_c(headers):
    out = ['"""ctypes\' view of the headers. Written by generate.py; do not edit."""',
           "from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32, c_int64,",
           "                    c_size_t, c_uint64, c_void_p)", "from typing import Any, Dict, Tuple", "",
           "i32, i64, u64, usize, f32, f64 = c_int32, c_int64, c_uint64, c_size_t, c_float, c_double",
           "ptr, text = c_void_p, c_char_p", ""]
    for struct in headers.structs:
        out += ["", "class %s(Structure):" % camel(struct)]
        for name, kind in headers.structs[struct]:
            plain = isinstance(kind, str) and kind in SCALARS
            out.append("    %s: %s" % (name, ("float" if kind in ("double", "float") else "int") if plain else "Any"))
        out.append("")
    for name, (result, arguments) in headers.callbacks.items():
        prefix = camel(name) + ("" if name.endswith("_fn") else "Fn")
        out.append(wrap("%s = CFUNCTYPE(" % prefix, headers.prototype(result, arguments).split(", "), ")"))
    out.append("")
    for struct, fields in headers.structs.items():
        pairs = ['("%s", %s)' % (name, headers.ctype(kind)) for name, kind in fields]
        out.append(wrap("%s._fields_ = [" % camel(struct), pairs, "]"))
    out += ["", "# name: (result, arguments)", "PROTOTYPES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {"]
    for name, (result, arguments) in sorted(headers.functions.items()):
        kinds = headers.prototype(result, arguments).split(", ")
        rest = kinds[1:] + ([""] if len(kinds) == 2 else [])
        rest = ", ".join(rest).replace(", ", ",~").split("~")
        out.append(wrap('    "%s": (%s, (' % (name, kinds[0]), [p.rstrip(",") for p in rest if p] or [""],
                        ",))," if len(kinds) == 2 else ")),"))
    return "\n".join(out + ["}", ""])


def member_names(members):
    prefix = os.path.commonprefix([name for name, _ in members]) if len(members) > 1 else members[0][0]
    cut = prefix.rfind("_") + 1
    return [(name[cut:], value) for name, value in members]


def write_types(headers):
    out = ['"""Enumerations, options, results; the headers explain them. Written by generate.py; do not edit."""',
           "from dataclasses import dataclass", "from enum import IntEnum, IntFlag", "from os import PathLike",
           "from typing import TYPE_CHECKING, Optional, Sequence, TypedDict, Union", "",
           "if TYPE_CHECKING:",
           "    from .data import Augmenter, Dataset", "    from .networks import Backbone, Head",
           "    from .training import Branch, Optimizer, Schedule", ""]
    for name, members in headers.enums:
        if not name:
            out += ["%s = %d" % (member.replace("SSLCV_", ""), value) for member, value in members]
    for name, members in headers.enums:
        if name:
            out += ["", "", "class %s(%s):" % (camel(name), "IntFlag" if name in FLAGS else "IntEnum")]
            out += ["    %s = %d" % pair for pair in member_names(members)]
    with_init = list(headers.inits.values())
    out += ["", "", "# ---- options: keyword arguments; a field that is not given has its default ----"]
    for struct in with_init:
        if "callbacks" in struct or struct in BY_HAND:
            continue
        hints = [(n, headers.hint(n, k)) for n, k in headers.structs[struct] if n not in POSITIONAL.get(struct, ())]
        suffix = "" if struct.endswith("_options") else "Options"
        out += ["", "", "class %s(TypedDict, total=False):" % (camel(struct) + suffix)]
        out += ["    %s: %s" % (n, h) for n, h in hints if h] or ["    pass"]
    out += ["", "", "# ---- results ----"]
    for struct, fields in headers.structs.items():
        if struct in with_init or struct in BY_HAND or "callbacks" in struct:
            continue
        out += ["", "", "@dataclass(frozen=True)", "class %s:" % camel(struct)]
        for name, kind in fields:
            if name not in ("struct_size", "reserved"):
                base = kind.replace("const", "").split()[0]
                out.append("    %s: %s" % (name, "str" if base == "char" else "float" if base == "double" else "int"))
    return "\n".join(out + [""])


def main():
    headers = Headers(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "sslcv")
    for name, text in (("_c.py", write_c(headers)), ("types.py", write_types(headers))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
