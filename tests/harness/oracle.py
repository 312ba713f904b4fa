#!/usr/bin/env python3
"""An independent reading of CSV files under a dataset.json: what must be in the table, and the counts.

It shares nothing with Millrace: Python's csv module reads, and the last row of each primary key wins, in the order of the
files as given. The csv module does not tell "" from an empty cell, nor does it mind a quote that is never closed: files
where that matters need an expectation of their own.

    expected = oracle.read("dataset.json", ["a.csv", "b.csv"])
    expected.rows[("HNI", "1000", 17919)]     # the row as sqlite3 returns it, columns in the schema's order

    tests/harness/oracle.py dataset.json a.csv b.csv           # counts and a digest, as JSON
    tests/harness/oracle.py --rows dataset.json a.csv          # the table, a JSON array per line, sorted
"""
import argparse
import collections
import csv
import hashlib
import json
import re
import struct
import sys

csv.field_size_limit(1 << 30)

WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|[+-]?Infinity", re.ASCII)


class DoesNotFit(Exception):
    pass


def string(text):
    if "\0" in text:
        raise DoesNotFit
    try:
        text.encode("utf-8")  # bytes that were not UTF-8 came in as lone surrogates
    except UnicodeEncodeError as error:
        raise DoesNotFit from error
    return text


def whole(bits):
    def convert(text):
        if not WHOLE.fullmatch(text) or not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
            raise DoesNotFit
        return int(text)
    return convert


def double(text):
    if not REAL.fullmatch(text):
        raise DoesNotFit
    value = float(text)
    if value in (float("inf"), float("-inf")) and "Inf" not in text:
        raise DoesNotFit
    return value


def single(text):
    try:
        return struct.unpack("f", struct.pack("f", double(text)))[0]
    except OverflowError as error:
        raise DoesNotFit from error


def boolean(text):
    known = {"true": 1, "1": 1, "false": 0, "0": 0}
    if text.lower() not in known:
        raise DoesNotFit
    return known[text.lower()]


CONVERT = {"string": string, "int": whole(32), "long": whole(64), "double": double, "float": single, "boolean": boolean,
           "bytes": lambda text: text.encode("utf-8", "surrogateescape")}


class Column:
    def __init__(self, field):
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        kinds = [kind["type"] if isinstance(kind, dict) else kind for kind in kinds]
        self.name, self.nullable = field["name"], "null" in kinds
        self.convert = CONVERT[next(kind for kind in kinds if kind != "null")]
        self.optional, self.default = self.nullable or "default" in field, field.get("default")

    def value(self, text, nulls):
        return None if self.nullable and text in nulls else self.convert(text)


class Expected:
    """rows: key to row, after upserts. occurrences: how often each good row was read. read = good + rejected."""

    def __init__(self, dataset):
        schema = dataset["schema"]
        self.key_space, self.table = dataset["key_space"], dataset.get("table", schema["name"])
        self.fields = [Column(field) for field in schema["fields"]]
        self.columns = [field.name for field in self.fields]
        self.key_indexes = [self.columns.index(name) for name in dataset["primary_key"]]
        self.rows, self.occurrences = {}, collections.Counter()
        self.read = self.good = self.rejected = self.rejected_files = 0

    def add(self, row):
        self.good += 1
        self.occurrences[row] += 1
        self.rows[tuple(row[i] for i in self.key_indexes)] = row

    def table_rows(self):
        """Sorted by key; the same whatever the order of arrival of the keys."""
        return [self.rows[key] for key in sorted(self.rows)]

    def digest(self):
        text = hashlib.sha256()
        for row in self.table_rows():
            text.update(json.dumps(row, ensure_ascii=False, default=bytes.hex).encode() + b"\n")
        return text.hexdigest()


def places(expected, header):
    """Where each field stands in a row, None where it is left out; None instead of all when a required one is missing."""
    found = []
    for field in expected.fields:
        same = [i for i, name in enumerate(header) if name == field.name]
        same = same or [i for i, name in enumerate(header) if name.lower() == field.name.lower()]
        if len(same) > 1 or (not same and not field.optional):
            return None
        found.append(same[0] if same else None)
    return found


def read_file(expected, path, dialect, has_header, nulls):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        if lines.read(1) != "\ufeff":
            lines.seek(0)
        reader = csv.reader(lines, **dialect)
        rows = (row for row in reader if row)
        header = next(rows, None) if has_header else expected.columns
        if header is None:
            return
        where = places(expected, header)
        if where is None:
            expected.rejected_files += 1
            return
        for cells in rows:
            expected.read += 1
            try:
                if len(cells) != len(header):
                    raise DoesNotFit
                expected.add(tuple(field.default if at is None else field.value(cells[at], nulls)
                                   for field, at in zip(expected.fields, where)))
            except DoesNotFit:
                expected.rejected += 1


def is_true(value):
    return value in (True, "true")


def read(dataset_path, files):
    with open(dataset_path, encoding="utf-8") as file:
        dataset = json.load(file)
    expected = Expected(dataset)
    quote = dataset.get("csv.quote", '"')
    dialect = {"delimiter": dataset.get("csv.delimiter", ",")}
    dialect.update({"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE})
    nulls = {"", *dataset.get("csv.null.values", [])}
    for path in files:
        read_file(expected, path, dialect, is_true(dataset.get("csv.first.row.as.header", True)), nulls)
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", action="store_true", help="print the table instead of counts")
    parser.add_argument("dataset")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    expected = read(options.dataset, options.files)
    if options.rows:
        for row in expected.table_rows():
            print(json.dumps(row, ensure_ascii=False, default=bytes.hex))
        return
    counts = {name: getattr(expected, name) for name in ("key_space", "table", "read", "good", "rejected", "rejected_files")}
    print(json.dumps({**counts, "rows": len(expected.rows), "sha256": expected.digest()}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
