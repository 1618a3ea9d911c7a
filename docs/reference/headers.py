"""Reads the public headers: what they declare, with the comments that stand before and beside it.

The headers keep to a form that tests/tools/check_headers.sh checks, so this is a reader of that form, not of C. What it
does not know stops it, so that nothing is left out in silence.
"""
import re


class Item:
    """What a header declares. doc: lines of the comment before it; the rest depends on the kind."""

    def __init__(self, kind, name, doc, section, **more):
        self.kind, self.name, self.section = kind, name, section
        self.doc, self.tags = split_tags(doc)
        self.header = None
        self.__dict__.update(more)


class Header:
    def __init__(self, name, doc):
        self.name, self.doc, self.items, self.includes = name, doc, [], []

    @property
    def page(self):
        return "sslcv" if self.name == "sslcv.h" else "sslcv_" + self.name

    def of(self, *kinds):
        return [item for item in self.items if item.kind in kinds]


# ---- comments ----

def comment_lines(text):
    """The lines within a comment, without its frame and without the indentation that they share."""
    lines = [re.sub(r"^ ?\* ?", "", line) if i else line for i, line in enumerate(text[3:-2].split("\n"))]
    lines = [line.rstrip() for line in lines]
    lines[0] = lines[0].strip()
    return [line for i, line in enumerate(lines) if line or 0 < i < len(lines) - 1]


def split_tags(lines):
    """Body lines, and {tag: [(names, lines)]}: "@param a, b text" has the names a and b."""
    body, tags, into = [], {}, None
    for line in lines:
        match = re.match(r"@(param|return|threads|since|file)\s*(.*)", line)
        if not match:
            (body if into is None else into).append(line)
            continue
        tag, rest, names = match[1], match[2], []
        if tag == "param":
            names = re.match(r"\w+(?:, \w+)*", rest)[0]
            rest = rest[len(names):]
            names = names.split(", ")
        # As far in as it stands, so that flow() knows where the line ends.
        into = [" " * (len(line) - len(rest)) + rest.strip()]
        tags.setdefault(tag, []).append((names, into))
    while body and not body[-1]:
        body.pop()
    return body, tags


def flow(lines):
    """One text of several lines. A line that ends early, at the end of a sentence, was ended on purpose: "\\n"."""
    text = ""
    for line in lines:
        word = line.split()[0] if line.split() else ""
        early = text and len(before) + 1 + len(word) < 117 and before[-1:] in ".;:"
        text += ("\n" if early else " " if text else "") + line.strip()
        before = line
    return text


def hanging_list(lines):
    """[(term, text)] of lines like "Term   text" whose texts begin in one column, or None."""
    first = re.match(r" *\S(?:.*?\S)??  +(?=\S)", lines[0])
    if not first:
        return None
    column, items = first.end(), []
    for line in lines:
        head, text = line[:column], line[column:]
        if not text or text[0] == " " and not items or not head.endswith(" ") or re.search(r"\S {3,}\S", text):
            return None
        if head.strip():
            items.append((head.strip(), []))
        items[-1][1].append(line if not head.strip() else " " * column + text)
    return [(term, flow(text)) for term, text in items]


def blocks(lines):
    """[("text", text) | ("code", lines) | ("list", [(term, text)])] of a comment's body."""
    result, i = [], 0
    while i < len(lines):
        if not lines[i]:
            i += 1
            continue
        end = i
        while end < len(lines) and lines[end]:
            end += 1
        group = lines[i:end]
        items = None if group[0].startswith("    ") else hanging_list(group)
        if items:
            result.append(("list", items))
            i = end
            continue
        indented = group[0].startswith(" ")
        count = 1
        while count < len(group) and group[count].startswith(" ") == indented:
            count += 1
        if indented:
            margin = min(len(line) - len(line.lstrip()) for line in group[:count])
            result.append(("code", [line[margin:] for line in group[:count]]))
        else:
            result.append(("text", flow(group[:count])))
        i += count
    return result


def sentence(text):
    """The first sentence, without its full stop."""
    return re.split(r"(?<![ .])\.(?: |$)", text.replace("\n", " "), maxsplit=1)[0].rstrip(".")


# ---- declarations ----

def members(body, separator):
    """[(declaration, comment)] of a struct's or enum's body. A comment is on what it stands behind, else before."""
    result, current, lead, own, last, depth = [], "", [], [], 0, 0

    def close():
        if current.strip():
            result.append([" ".join(current.split()), lead + own])

    for token in re.finditer(r"/\*.*?\*/|.", body, re.S):
        text = token[0]
        if text.startswith("/*"):
            comment = " ".join(text[2:-2].lstrip("*").split())
            behind = last and "\n" not in body[last:token.start()]
            if not behind:
                lead.append(comment)
            elif current.strip():
                own.append(comment)
            else:
                result[-1][1].append(comment)
            last = token.end() if behind else last
            continue
        depth += (text in "([") - (text in ")]")
        if text == separator and not depth:
            close()
            current, lead, own = "", [], []
        else:
            current += text
        if not text.isspace():
            last = token.end()
    close()
    return [(declaration, " ".join(comments)) for declaration, comments in result]


def parameters(text):
    """[(type, name)]; the type as it stands before the name, what follows the name behind it."""
    if text.strip() == "void":
        return []
    result = []
    for part in text.split(","):
        match = re.match(r"(.*?)(\w+)((?:\[\w*\])*)$", " ".join(part.split()))
        result.append((match[1] + match[3], match[2]))
    return result


PATTERNS = [
    ("handle", re.compile(r"typedef struct (\w+) +(\w+);")),
    ("struct", re.compile(r"typedef struct (\w+) \{(.*?)\n\} \1;", re.S)),
    ("callback", re.compile(r"typedef ([^;{]*?)\(\*(\w+)\)\(([^;]*)\);", re.S)),
    ("type", re.compile(r"typedef (\w+) (\w+);")),
    ("enum", re.compile(r"enum ?(\w*) \{(.*?)\};", re.S)),
    ("function", re.compile(r"SSLCV_API ([^;(]*?)(\w+)\(([^;]*)\);", re.S)),
]
SKIPPED = re.compile(r'#[^\n]*(?:\\\n[^\n]*)*|extern "C" \{|\}|/\*(?! ----).*?\*/', re.S)


def item_at(text, position, doc, section):
    for kind, pattern in PATTERNS:
        match = pattern.match(text, position)
        if not match:
            continue
        more = {"source": match[0]}
        if kind == "handle":
            name = match[2]
        elif kind == "struct":
            name, more["members"] = match[1], members(match[2], ";")
        elif kind == "enum":
            name, more["members"] = match[1], members(match[2], ",")
        elif kind == "type":
            name = match[2]
        else:
            name, more["result"], more["parameters"] = match[2], " ".join(match[1].split()), parameters(match[3])
            if match[1].endswith("*"):
                more["result"] = more["result"].rstrip("*").strip() + " " + "*" * match[1].count("*")
        return Item(kind, name, doc, section, **more), match.end()
    return None, position


def read_header(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    name = path.replace("\\", "/").split("/")[-1]
    header, doc, section, position = None, [], "", 0
    while position < len(text):
        if text[position].isspace():
            # A comment before an empty line belongs to nothing.
            if text.startswith("\n\n", position):
                doc = []
            position += 1
            continue
        comment = re.compile(r"/\*\*.*?\*/", re.S).match(text, position)
        title = re.compile(r"/\* ---- (.*?) ---- \*/").match(text, position)
        if comment:
            doc, position = comment_lines(comment[0]), comment.end()
            if header is None:
                body, tags = split_tags(doc)
                header, doc = Header(name, tags["file"][0][1][1:]), []
            continue
        if title:
            section, position = title[1], title.end()
            continue
        item, end = item_at(text, position, doc, section)
        if item:
            item.header = header
            header.items.append(item)
        else:
            skipped = SKIPPED.match(text, position)
            if not skipped:
                raise SystemExit(f"{path}: not understood: {text[position:position + 60]!r}")
            end = skipped.end()
        doc, position = [], end
    header.includes = re.findall(r'^#include ("\S+")', text, re.M)
    return header


class Reference:
    """All headers, and where each name is declared."""

    def __init__(self, paths):
        self.headers = [read_header(path) for path in paths]
        # In the order in which the umbrella includes them, which goes from simple to advanced.
        umbrella = next(path for path in paths if path.endswith("sslcv.h"))
        with open(umbrella, encoding="utf-8") as file:
            order = ["sslcv.h"] + re.findall(r'^#include "(.*)"', file.read(), re.M)
        self.headers.sort(key=lambda header: order.index(header.name) if header.name in order else len(order))
        self.by_name = {header.name: header for header in self.headers}
        self.symbols, self.constants = {}, {}
        for header in self.headers:
            for item in header.items:
                if item.name:
                    self.symbols[item.name] = item
                for member, _ in item.members if item.kind == "enum" else []:
                    self.constants[member.split(" ")[0]] = item

    def functions(self):
        return [item for header in self.headers for item in header.of("function")]

    def users(self, item):
        """Functions with a parameter of this type, or whose result it is."""
        word = re.compile(rf"\b{item.name}\b")
        return [f for f in self.functions()
                if word.search(f.result) or any(word.search(kind) for kind, _ in f.parameters)]

    def owner(self, name):
        """The item or header that a word of a comment names, or None. "SSLCV_PASS_*" is the first that begins so."""
        if name in self.by_name:
            return self.by_name[name]
        if name.endswith("*"):
            return next((item for constant, item in self.constants.items() if constant.startswith(name[:-1])), None)
        return self.symbols.get(name) or self.constants.get(name)

    def pieces(self, text):
        """[(text, item or header or None)]: a comment's text, cut at what names something of the library."""
        result, end = [], 0
        for match in re.finditer(r"\bsslcv_[a-z0-9_]+\b(?:\(\))?|\bSSLCV_[A-Z0-9_]+\*?|(?<![\w/.])[a-z]+\.h\b", text):
            owner = self.owner(match[0].replace("()", ""))
            if owner:
                result += [(text[end:match.start()], None), (match[0], owner)]
                end = match.end()
        return result + [(text[end:], None)]


def shorter(text, limit=76):
    """What stands before the last break of a long sentence that leaves a whole, at a comma only if it is very long."""
    for breaks, longest in ((r"[:;] | \(", limit), (r", ", 120)):
        ends = [match.start() for match in re.finditer(breaks, text[:longest]) if match.start() >= 20]
        whole = [text[:end] for end in ends if text[:end].count("(") == text[:end].count(")")]
        if len(text) > longest and whole:
            return whole[-1]
    return text


def brief(item, reference):
    """A line on what an item is."""
    first = blocks(item.doc)[:1]
    text = shorter(sentence(first[0][1]).rstrip(":")) if first and first[0][0] == "text" else ""
    if item.kind == "function" and text == "Set the defaults":
        return f"set the defaults of {re.sub(r'[ *]', '', item.parameters[0][0])}"
    if not text and item.kind == "struct":
        users = [f for f in reference.users(item) if not f.name.endswith("_init")]
        what = "options" if item.name.endswith("_options") else "structure"
        text = f"{what} of {users[0].name}()" if users else f"{what} of {item.header.name}"
    # "Make a trainer" becomes "make a trainer"; "InfoNCE" and "SGD" stay.
    return text[:1].lower() + text[1:] if re.match(r"[A-Z]([a-z]+)?\b", text) else text


def results(lines):
    """[(codes, text)] of a function's @return that lists statuses, else None: each status with when it is returned."""
    text = " ".join(" ".join(lines).split())
    clauses, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        ends = letter == ";" or letter == "." and text[i - 1] not in " ."
        if not depth and ends and (i + 1 == len(text) or text[i + 1] == " "):
            clauses.append(text[start:i].strip())
            start = i + 1
    clauses += [text[start:].strip()] * bool(text[start:].strip())
    found = []
    for clause in clauses:
        match = re.match(r"(SSLCV_(?:OK|ERR_\w+)(?:, (?:SSLCV)?_[A-Z_]+)*)(.*)$", clause)
        if match:
            condition = match[2].strip()
            whole = re.match(r"\([^()]*(\([^()]*\)[^()]*)*\)$", condition)
            inner = condition[1:-1] if whole else condition.lstrip(",: ")
            found.append((match[1].split(", "), [inner] if inner else []))
        elif not found:
            return None
        elif re.match(r"(else|otherwise|as) ?", clause) and found[-1][0] != ["otherwise"]:
            found.append((["otherwise"], [re.sub(r"^(else|otherwise) ", "", clause)]))
        else:
            found[-1][1].append(clause)
    return [(codes, ". ".join(part[:1].upper() + part[1:] if i else part for i, part in enumerate(parts)))
            for codes, parts in found]
