"""The reference as HTML: a page for each header, an index of all names, and the overview of sslcv.h in front."""
import os
import shutil
from html import escape

import headers
from headers import blocks, brief, flow, results


class Web:
    def __init__(self, reference, version, date):
        self.reference, self.version, self.date = reference, version, date
        self.pages = {}

    # ---- text ----

    def address(self, owner):
        if isinstance(owner, headers.Header):
            return self.file(owner)
        return f"{self.file(owner.header)}#{self.anchor(owner)}"

    @staticmethod
    def file(header):
        return "index.html" if header.name == "sslcv.h" else header.name[:-2] + ".html"

    @staticmethod
    def anchor(item):
        # An enum without a name goes by its first constant.
        return item.name or item.members[0][0].split(" ")[0]

    def link(self, owner, text):
        """A constant has an anchor of its own; "SSLCV_PASS_*" leads to the enum."""
        constant = text if text in self.reference.constants else None
        address = f"{self.file(owner.header)}#{constant}" if constant else self.address(owner)
        return f'<a href="{address}">{escape(text)}</a>'

    def text(self, text, code=False, item=None):
        """item: what it declares, which needs no link to itself."""
        out = "".join(escape(piece) if owner in (None, item) else self.link(owner, piece)
                      for piece, owner in self.reference.pieces(text))
        return out if code else out.replace("\n", "<br>\n")

    def code(self, text, item=None):
        return f"<pre>{self.text(text, True, item)}</pre>"

    def body(self, lines):
        out = []
        for kind, content in blocks(lines):
            if kind == "text":
                out.append(f"<p>{self.text(content)}</p>")
            elif kind == "code":
                out.append(self.code("\n".join(content)))
            else:
                out.append(self.definitions([(self.text(term), text) for term, text in content]))
        return out

    def definitions(self, items, kind=""):
        """A list of (term as HTML, text)."""
        rows = [f"<dt>{term}</dt><dd>{self.text(text)}</dd>" for term, text in items]
        return f"<dl{kind}>\n" + "\n".join(rows) + "\n</dl>"

    # ---- items ----

    def heading(self, item, title=None):
        anchor = self.anchor(item)
        # The first constant of an enum without a name has that anchor already.
        mark = f' id="{anchor}"' if item.name else ""
        return f"<h3{mark}>{escape(title or anchor)}</h3>"

    def function(self, item):
        source = item.source
        if source.startswith("SSLCV_API "):
            source = source[10:].replace("\n" + " " * 10, "\n")
        out = [self.heading(item), self.code(source, item)] + self.body(item.doc)
        rows = [("<code>" + "</code>, <code>".join(map(escape, names)) + "</code>", flow(lines))
                for names, lines in item.tags.get("param", [])]
        if rows:
            out += ["<h4>Parameters</h4>", self.definitions(rows)]
        if "return" in item.tags:
            lines = item.tags["return"][0][1]
            found = results(lines) if item.result == "sslcv_status" else None
            out.append("<h4>Returns</h4>")
            if found:
                out.append(self.definitions([(", ".join(map(self.text, codes)), text) for codes, text in found]))
            else:
                out.append(f"<p>{self.text(flow(lines))}</p>")
        for tag, title in (("threads", "Threads"), ("since", "Since")):
            if tag in item.tags:
                out.append(f"<p><b>{title}</b> {self.text(flow(item.tags[tag][0][1]))}</p>")
        return out

    callback = function

    def struct(self, item):
        out = [self.heading(item)] + self.body(item.doc)
        out.append(self.definitions([(f"<code>{self.text(member, code=True)}</code>", text)
                                     for member, text in item.members], ' class="fields"'))
        users = [self.link(f, f.name + "()") for f in self.reference.users(item)]
        return out + ([f"<p><b>Used by</b> {', '.join(users)}</p>"] if users else [])

    def enum(self, item):
        rows = []
        for member, text in item.members:
            name = member.split(" ")[0]
            rows.append((f'<code id="{name}">{escape(member)}</code>', text))
        title = f"enum {item.name}" if item.name else "Constants"
        return [self.heading(item, title)] + self.body(item.doc) + [self.definitions(rows, ' class="fields"')]

    def handle(self, item):
        users = [self.link(f, f.name + "()") for f in self.reference.users(item)]
        return [self.heading(item), self.code(item.source, item)] + self.body(item.doc) + \
               [f"<p><b>Used by</b> {', '.join(users)}</p>"]

    def type(self, item):
        return [self.heading(item), self.code(item.source, item)] + self.body(item.doc)

    # ---- pages ----

    def add(self, name, title, content):
        menu = ['<a href="index.html">sslcv</a>'] + [
            f'<a href="{self.file(header)}">{header.name}</a>'
            for header in self.reference.headers if header.name != "sslcv.h"] + ['<a href="names.html">names</a>']
        self.pages[name] = "\n".join([
            "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">', f"<title>{escape(title)}</title>",
            '<link rel="stylesheet" href="reference.css">', "</head>", "<body>", "<nav>", "\n".join(menu), "</nav>",
            "<main>"] + content + [
            f"<footer>sslcv {self.version}, {self.date}. Not OpenSSL.</footer>", "</main>", "</body>", "</html>", ""])

    def summary(self, header):
        """All names of a header with a line on each, by section."""
        out, section = [], None
        rows = []
        for item in header.of("function", "struct", "callback"):
            if item.section != section:
                if rows:
                    out.append(self.definitions(rows, ' class="summary"'))
                rows, section = [], item.section
                if section:
                    out.append(f"<h4>{escape(section[:1].upper() + section[1:])}</h4>")
            rows.append((self.link(item, item.name + ("()" if item.kind == "function" else "")),
                         brief(item, self.reference)))
        return out + ([self.definitions(rows, ' class="summary"')] if rows else [])

    def header(self, header):
        out = [f"<h1>sslcv/{header.name}</h1>"] + self.body(header.doc) + ["<h2>Contents</h2>"] + self.summary(header)
        section = None
        for item in header.items:
            if item.section != section or item is header.items[0]:
                section = item.section
                out.append(f"<h2>{escape(section[:1].upper() + section[1:]) if section else 'Declarations'}</h2>")
            out += ["<section>"] + getattr(self, item.kind)(item) + ["</section>"]
        self.add(self.file(header), f"sslcv/{header.name}", out)

    def overview(self):
        header = self.reference.by_name["sslcv.h"]
        out = ["<h1>sslcv: self-supervised learning for computer vision</h1>"] + self.body(header.doc)
        out.append("<h2>Headers</h2>")
        rows = [(self.link(other, other.name), headers.sentence(blocks(other.doc)[0][1]))
                for other in self.reference.headers if other is not header]
        self.add("index.html", "sslcv", out + [self.definitions(rows, ' class="summary"')])

    def names(self):
        entries = [(item.name, self.link(item, item.name)) for item in self.reference.symbols.values()]
        entries += [(name, self.link(item, name)) for name, item in self.reference.constants.items()]
        out = ["<h1>Names</h1>", '<ul class="names">']
        out += [f"<li>{link}</li>" for _, link in sorted(entries)] + ["</ul>"]
        self.add("names.html", "sslcv: names", out)


def make(reference, folder, version, date):
    web = Web(reference, version, date)
    web.overview()
    web.names()
    for header in reference.headers:
        if header.name != "sslcv.h":
            web.header(header)
    os.makedirs(folder, exist_ok=True)
    for name, text in web.pages.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    shutil.copyfile(os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference.css"),
                    os.path.join(folder, "reference.css"))
    return len(web.pages)
