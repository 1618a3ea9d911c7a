"""The reference from the public headers: manual pages, or HTML.

    generate.py man|html FOLDER HEADER...

Its output is made of the headers alone, and so is its date: that of the newest, or SOURCE_DATE_EPOCH.
"""
import os
import re
import sys
import time

import headers
import manual
import web


def main(kind, folder, *paths):
    reference = headers.Reference(sorted(paths))
    with open(next(path for path in paths if path.endswith("version.h")), encoding="utf-8") as file:
        version = ".".join(re.findall(r"#define SSLCV_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", file.read()))
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or max(os.stat(path).st_mtime for path in paths))
    date = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    count = {"man": manual, "html": web}[kind].make(reference, folder, version, date)
    print(f"{kind}: {count} pages in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
