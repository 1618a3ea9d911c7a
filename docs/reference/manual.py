"""Manual pages: sslcv(7); in section 3 a page for each function, structure and callback, and one for each header.

Plain man(7) macros, which groff and mandoc both know.
"""
import os
import re
import textwrap

import headers
from headers import blocks, brief, flow, results

WIDTH = 78
LIBRARY = [".SH LIBRARY", "Self-supervised learning for computer vision (libsslcv, \\-lsslcv)"]


def code(text):
    """Text in which each character is itself: hyphens are minus signs, and so on."""
    for plain, escaped in (("\\", "\\e"), ("-", "\\-"), ("^", "\\(ha"), ("~", "\\(ti"), ("`", "\\(ga"), ("'", "\\(aq")):
        text = text.replace(plain, escaped)
    return re.sub(r"^\.", r"\\&.", text, flags=re.M)


def filled(text):
    """Escaped text in lines of source. A break that was meant ("\\n") is one on the page too."""
    lines = [textwrap.wrap(part, WIDTH, break_long_words=False, break_on_hyphens=False) for part in text.split("\n")]
    return "\n.br\n".join("\n".join(escape_first(line) for line in part) for part in lines)


def escape_first(line):
    return "\\&" + line if line[:1] in ".'" else line


def bold(text):
    return f"\\fB{code(text)}\\fP"


class Manual:
    def __init__(self, reference, version, date):
        self.reference, self.version, self.date = reference, version, date
        self.pages = {}

    # ---- text ----

    def reference_to(self, name, owner):
        """How a name of the library stands in a text."""
        if isinstance(owner, headers.Header):
            return f"\\fB{code(name)}\\fP" if owner.name == "sslcv.h" else f"\\fB{code(owner.page)}\\fP(3)"
        plain = name.replace("()", "")
        if owner.kind in ("function", "struct", "callback"):
            return f"\\fB{code(plain)}\\fP(3)"
        return f"\\fB{code(plain)}\\fP"

    def text(self, text, page=None):
        """page: the item whose page it is, which does not refer to itself."""
        out = ""
        for piece, owner in self.reference.pieces(text):
            if owner is None:
                out += piece.replace("\\", "\\e")
            elif owner is page:
                out += f"\\fB{code(piece)}\\fP"
            else:
                out += self.reference_to(piece, owner)
        return filled(out)

    def body(self, lines, page=None):
        out = []
        for kind, content in blocks(lines):
            if kind == "text":
                out += [".PP", self.text(content, page)]
            elif kind == "code":
                out += [".PP", ".in +4n", ".nf"] + [code(line) if line else "\\&" for line in content] + [".fi", ".in"]
            else:
                for term, text in content:
                    out += [".TP", f"\\fB{code(term)}\\fP", self.text(text, page)]
        # A heading brings its own distance.
        return out[1:] if out[:1] == [".PP"] else out

    def entries(self, items, page=None):
        """A list of (already escaped term, text)."""
        out = []
        for term, text in items:
            out += [".TP", term, self.text(text, page) if text else "\\&"]
        return out

    # ---- pages ----

    def add(self, name, section, lines):
        head = f'.TH {name} {section} {self.date} "sslcv {self.version}" "sslcv manual"'
        comment = '.\\" Made from the public headers by docs/reference/generate.py.'
        self.pages[f"man{section}/{name}.{section}"] = "\n".join([comment, head, ".nh", ".ad l"] + lines) + "\n"

    def alias(self, name, target):
        self.pages[f"man3/{name}.3"] = f".so man3/{target}.3\n"

    def name(self, item):
        text = brief(item, self.reference)
        return [".SH NAME", f"{code(item.name)} \\- {code(text)}"] + LIBRARY + \
               [".SH SYNOPSIS", ".nf", ".B #include <sslcv/sslcv.h>", ".PP"]

    def see_also(self, item, names):
        names = sorted(set(names) - {item.name})
        pages = [f".BR {code(name)} (3)" for name in names + [item.header.page]] + [".BR sslcv (7)"]
        return [".SH SEE ALSO"] + [page + " ," for page in pages[:-1]] + pages[-1:]

    def named(self, item):
        """Pages that an item's comment names."""
        tags = [line for entries in item.tags.values() for _, lines in entries for line in lines]
        members = [comment for _, comment in getattr(item, "members", [])]
        text = " ".join(item.doc + tags + members)
        return [owner.name for _, owner in self.reference.pieces(text)
                if isinstance(owner, headers.Item) and owner.kind in ("function", "struct", "callback")]

    def types(self, item):
        """Structures and callbacks among a function's parameters."""
        words = re.findall(r"sslcv_\w+", " ".join(kind for kind, _ in item.parameters))
        return [word for word in words if word in self.reference.symbols
                and self.reference.symbols[word].kind in ("struct", "callback")]

    def example(self, item):
        """The program at the head of the header, where it calls this function."""
        for kind, content in blocks(item.header.doc):
            if kind == "code" and any(re.search(rf"\b{item.name}\(", line) for line in content):
                return [".SH EXAMPLE", ".nf"] + [code(line) if line else "\\&" for line in content] + [".fi"]
        return []

    def prototype(self, item):
        """The declaration with parameters in italics, broken as C programmers do."""
        star = "" if item.result.endswith("*") else " "
        callback = item.kind == "callback"
        start = f"typedef {item.result}{star}(*{item.name})(" if callback else f"{item.result}{star}{item.name}("
        lines, length = [bold(start)], len(start)
        for i, (kind, name) in enumerate(item.parameters):
            kind, suffix = re.match(r"([^\[]*)(.*)", kind).groups()
            suffix += "," if i + 1 < len(item.parameters) else ");"
            size = len(kind + name + suffix)
            if i and length + 1 + size > 72: # in 80 columns, indented by 7
                lines.append(bold(" " * len(start)))
                length = len(start)
            elif i:
                lines[-1] += " "
                length += 1
            lines[-1] += bold(kind) + f"\\fI{code(name)}\\fP" + bold(suffix)
            length += size
        if not item.parameters:
            lines[-1] += bold("void);")
        return lines + [".fi"]

    def function(self, item):
        """A function's page, or a callback's."""
        out = self.name(item) + self.prototype(item) + [".SH DESCRIPTION"] + self.body(item.doc, item)
        entries = [(", ".join(f"\\fI{code(name)}\\fP" for name in names), flow(lines))
                   for names, lines in item.tags.get("param", [])]
        if entries:
            out += [".SH PARAMETERS"] + self.entries(entries, item)
        if "return" in item.tags:
            out += [".SH RETURN VALUE"] + self.returned(item, item.tags["return"][0][1])
        if "threads" in item.tags:
            out += [".SH THREADS", self.text(flow(item.tags["threads"][0][1]), item)]
        out += self.example(item)
        if "since" in item.tags:
            out += [".SH SINCE", self.text("sslcv " + flow(item.tags["since"][0][1]), item)]
        handle = re.findall(r"sslcv_\w+", item.parameters[0][0] if item.parameters else "")
        related = [f"{handle[0]}_{verb}" for verb in ("create", "destroy")] if handle else []
        related = [name for name in related if name in self.reference.symbols]
        status = ["sslcv_last_error"] if item.result == "sslcv_status" else []
        users = [f.name for f in self.reference.users(item)] if item.kind == "callback" else []
        out += self.see_also(item, self.named(item) + self.types(item) + related + status + users)
        self.add(item.name, 3, out)

    callback = function

    def returned(self, item, lines):
        if item.result != "sslcv_status":
            return [self.text(flow(lines), item)]
        common = ("On failure sslcv_last_error() has the message. SSLCV_ERR_INVALID_ARGUMENT, SSLCV_ERR_OUT_OF_MEMORY "
                  "and SSLCV_ERR_BACKEND may come from any function; status.h has what else holds for all.")
        found = results(lines)
        if found is None:
            return [self.text(flow(lines), item), ".PP", self.text(common, item)]
        terms = [(", ".join(code if code == "otherwise" else f"\\fB{code}\\fP" for code in codes), text)
                 for codes, text in found]
        return self.entries(terms, item) + [".PP", self.text(common, item)]

    def struct(self, item):
        out = self.name(item) + [f"\\fBtypedef struct {item.name} {{\\fP"]
        out += [f"\\fB    {code(member)};\\fP" for member, _ in item.members]
        out += [f"\\fB}} {item.name};\\fP", ".fi"]
        if item.doc:
            out += [".SH DESCRIPTION"] + self.body(item.doc, item)
        fields = [(f"\\fB{code(member)}\\fP", comment) for member, comment in item.members]
        out += [".SH FIELDS"] + self.entries(fields, item)
        users = [f.name for f in self.reference.users(item)]
        self.add(item.name, 3, out + self.see_also(item, self.named(item) + users))

    def constants(self, header):
        out = []
        for item in sorted(header.of("enum"), key=lambda item: bool(item.name)):
            out += [f".SS {code(item.name)}"] * bool(item.name) + self.body(item.doc)
            out += self.entries([(f"\\fB{code(member)}\\fP", comment) for member, comment in item.members])
        return out

    def header(self, header):
        first = blocks(header.doc)[0][1]
        title = headers.shorter(headers.sentence(first))
        out = [".SH NAME", f"{code(header.page)} \\- {code(title[:1].lower() + title[1:])}"] + LIBRARY
        out += [".SH SYNOPSIS", ".B #include <sslcv/sslcv.h>", ".SH DESCRIPTION"] + self.body(header.doc, header)
        section = None
        for item in header.of("function"):
            if section is None:
                out.append(".SH FUNCTIONS")
            if item.section != section and item.section:
                out.append(f".SS {code(item.section[:1].upper() + item.section[1:])}")
            section = item.section
            out += [".TP", f".BR {code(item.name)} (3)", code(brief(item, self.reference))]
        listed = header.of("handle", "struct", "callback", "type")
        if listed:
            out.append(".SH TYPES")
        for item in listed:
            if item.kind in ("struct", "callback"):
                out += [".TP", f".BR {code(item.name)} (3)", code(brief(item, self.reference))]
            else:
                what = "a handle" if item.kind == "handle" else code(item.source)
                out += [".TP", f".B {code(item.name)}", what]
                self.alias(item.name, header.page)
        if header.of("enum"):
            out += [".SH CONSTANTS"] + self.constants(header)
            for item in header.of("enum"):
                if item.name:
                    self.alias(item.name, header.page)
        others = [other.page for other in self.reference.headers if other is not header and other.name != "sslcv.h"
                  and (f'"{other.name}"' in header.includes or f'"{header.name}"' in other.includes)]
        out += [".SH SEE ALSO"] + [f".BR {code(page)} (3) ," for page in sorted(others)] + [".BR sslcv (7)"]
        self.add(header.page, 3, out)

    def overview(self):
        header = self.reference.by_name["sslcv.h"]
        out = [".SH NAME", "sslcv \\- self\\-supervised learning for computer vision: the whole interface"] + LIBRARY
        out += [".SH SYNOPSIS", ".nf", ".B #include <sslcv/sslcv.h>", ".PP",
               "\\fBcc\\fP \\fIprogram.c\\fP \\fB$(pkg\\-config \\-\\-cflags \\-\\-libs sslcv)\\fP", ".fi",
               ".SH DESCRIPTION"]
        out += self.body(header.doc, header) + [".SH HEADERS", "One includes all the others:"]
        for other in self.reference.headers:
            if other is not header:
                title = headers.shorter(headers.sentence(blocks(other.doc)[0][1]))
                out += [".TP", f".BR {code(other.page)} (3)", code(title)]
        self.add("sslcv", 7, out + [".SH SEE ALSO", f".BR {code('sslcv_last_error')} (3),", ".BR pkg-config (1)"])


def make(reference, folder, version, date):
    manual = Manual(reference, version, date)
    for header in reference.headers:
        if header.name == "sslcv.h":
            manual.overview()
            continue
        manual.header(header)
        for item in header.items:
            if item.kind in ("function", "struct", "callback"):
                getattr(manual, item.kind)(item)
    for name, text in manual.pages.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return len(manual.pages)
