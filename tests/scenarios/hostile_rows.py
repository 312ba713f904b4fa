"""Rows that nobody should write: the good ones are stored, each other one is a dead letter with its bytes, place and reason.

The files are made from a list of what each row is and what must become of it; lines, byte ranges and hashes are counted here,
with nothing of Millrace. One row is 100 MB long: the source that reads it stays small."""
import base64
import hashlib
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.by_hand import TASK, write_properties  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

KEPT, BOUND = 64 * 1024, 1024 * 1024
SCHEMA = {"type": "record", "name": "readings", "fields": [
    {"name": "id", "type": "int"}, {"name": "speed", "type": "double"}, {"name": "name", "type": "string"},
    {"name": "note", "type": ["null", "string"], "default": None}]}
HEADER = b"id,speed,name,note\n"
OPEN = "a quote is not closed"
OPEN_AND_TEXT = "text follows a closing quote"
OPEN_OR_LONG = "a quote is not closed, or the row is longer than the maximum"
PEAK = """import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], check=False).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""


def stored(*row):
    return row, None


def rejected(reason):
    return None, reason


def rows():
    """(bytes without the line end, line end, what must become of them)."""
    nl, crlf = b"\n", b"\r\n"
    yield b"1,1.5,one,", nl, stored(1, 1.5, "one", None)
    yield b"2,1.5,two", nl, rejected("3 cells, the header has 4")
    yield b"3,1.5,three,,", crlf, rejected("5 cells, the header has 4")
    yield b"4", nl, rejected("1 cell, the header has 4")
    yield b"", nl, None
    yield b"5x,1.5,five,", nl, rejected('column id: "5x" is not an int')
    yield b"2147483647,1e3,most,x", crlf, stored(2147483647, 1000.0, "most", "x")
    yield b"2147483648,1.5,over,", nl, rejected('column id: "2147483648" is out of range for an int')
    yield b"-99999999999999999999,1.5,under,", nl, rejected('column id: "-99999999999999999999" is out of range for an int')
    yield b"6,fast,six,", nl, rejected('column speed: "fast" is not a double')
    yield b"7,1e999,seven,", nl, rejected('column speed: "1e999" is out of range for a double')
    yield b",1.5,nobody,", nl, rejected('column id: "" is not an int')
    yield b'8,1.5,"open,', nl, rejected(OPEN_AND_TEXT)
    yield b"9,1.5,nine,after it", nl, stored(9, 1.5, "nine", "after it")
    yield b'10,1.5,"closed"x,', nl, rejected(OPEN_AND_TEXT)
    yield b'11,1.5,"two\nlines",', crlf, stored(11, 1.5, "two\nlines", None)
    yield b'12,1.5,in"side,""', nl, stored(12, 1.5, 'in"side', "")
    yield b"13,1.5,bad \xff\xfe,", nl, rejected('column name: "bad \\xFF\\xFE" is not valid UTF-8')
    yield b"14,1.5,\xed\xa0\x80,", nl, rejected('column name: "\\xED\\xA0\\x80" is not valid UTF-8')
    yield b"15,1.5,nul\0,", nl, rejected('column name: "nul\\x00" is not valid UTF-8, or holds a NUL')
    yield b"16\0,1.5,x,", nl, rejected('column id: "16\\x00" is not an int')
    yield b"17,1.5," + b"y" * 70000 + b",,", nl, rejected("5 cells, the header has 4")
    yield b"18,1.5," + b"z" * (BOUND - 8) + b",", nl, stored(18, 1.5, "z" * (BOUND - 8), None)
    yield b"19,1.5," + b"z" * (BOUND - 7) + b",", crlf, rejected("the row is longer than the maximum")
    yield b"20,1.5," + b"w" * 100_000_000 + b",", crlf, rejected("the row is longer than the maximum")
    yield b'21,1.5,"never closed', nl, rejected(OPEN_OR_LONG)
    for i in range(22, 30022):  # over 1 MiB without a quote
        yield b"%d,0.5,a name that is long enough to pass the bound," % i, nl, stored(
            i, 0.5, "a name that is long enough to pass the bound", None)
    yield b'30022,1.5,x,"open at the end', b"\n", rejected(OPEN)
    yield b"30023,1.5,last,", b"", stored(30023, 1.5, "last", None)


class File:
    """What rows() says, as a file, its table and its dead letters."""

    def __init__(self, path):
        self.path, self.table, self.letters, self.read = path, {}, [], 0
        line, at = 2, len(HEADER)
        with open(path, "wb") as out:
            out.write(HEADER)
            for data, line_end, outcome in rows():
                out.write(data + line_end)
                end = at + len(data) + len(line_end)
                if outcome is not None:
                    self.read += 1
                    row, reason = outcome
                    if row is not None:
                        self.table[row[0]] = row
                    else:
                        self.letters.append(self.letter(data, line, at, end, reason))
                line, at = line + data.count(b"\n") + 1, end
        self.size = at

    @staticmethod
    def letter(data, line, first, end, reason):
        letter = {"line": line, "bytes": f"{first}-{end}", "reason": reason, "value": data[:KEPT]}
        if len(data) > KEPT:
            letter |= {"length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return letter


def write_tenant(folder, client, **agreement):
    folder.mkdir()
    (folder / "agreement.json").write_text(json.dumps({"client": client, "schedule": "0 0 1 1 *", **agreement}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "readings", "file_type": "csv", "key_space": f"space_{client}", "schema": SCHEMA, "primary_key": ["id"],
        "max_file_size_mb": 200}))
    return folder


def letters_of(cluster, tenant):
    found = []
    for letter in cluster.json("rejected", "list", tenant, "--limit", 1000):
        assert letter["stage"] == "convert" and "sink" not in letter, letter
        value = base64.b64decode(letter["raw_base64"]) if "raw_base64" in letter else letter["raw"].encode()
        found.append({name: letter[name] for name in ("line", "bytes", "reason", "length", "sha256") if name in letter}
                     | {"value": value})
    return found


def shown(letter):
    return {**letter, "value": letter["value"][:60]}


def check_letters(cluster, tenant, wanted):
    found = letters_of(cluster, tenant)
    for mine, theirs in zip(wanted, found):
        assert mine == theirs, f"expected {shown(mine)}\nfound    {shown(theirs)}"
    assert len(found) == len(wanted), f"{len(found)} dead letters, expected {len(wanted)}"


def table_of(cluster, tenant):
    path = cluster.data / "store" / tenant / f"space_{tenant}.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return {row[0]: row for row in db.execute("SELECT id, speed, name, note FROM readings")}


def check_good_rows(cluster, folder, file):
    """All good rows are stored, all others are dead letters, and the ledger has both."""
    write_tenant(folder, "sturdy")
    cluster.cli("tenant", "apply", folder)
    cluster.cli("upload", "sturdy", file.path)
    cluster.cli("run", "now", "sturdy", "--wait", timeout=300)
    (run,) = cluster.json("run", "list", "sturdy")
    assert run["state"] == "COMPLETED_WITH_REJECTS", run
    found = table_of(cluster, "sturdy")
    assert found == file.table, f"{len(found)} rows, expected {len(file.table)}"
    check_letters(cluster, "sturdy", file.letters)
    sums = checks.ledger_sums(cluster, "sturdy")
    assert (sums["read"], sums["rejected_source"], sums["delivered"]) == (
        file.read, len(file.letters), len(file.table)), sums


def check_files_without_rows(cluster, folder):
    """An empty file, one with a header only, one with a byte order mark only: no rows, no error. A column that is missing: the
    file is rejected, told once, and kept."""
    write_tenant(folder, "empty", max_rejected_percent=0)
    cluster.cli("tenant", "apply", folder)
    contents = {"empty.csv": b"", "header.csv": HEADER, "mark.csv": b"\xef\xbb\xbf", "lines.csv": b"\n\r\n\n"}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        cluster.cli("upload", "empty", folder / name)
    cluster.cli("run", "now", "empty", "--wait")
    (run,) = cluster.json("run", "list", "empty")
    assert run["state"] == "COMPLETED", run
    (line,) = cluster.json("ledger", "empty")
    assert line["read"] == 0, line

    lacking = b"id,name\n1,x\n2,y\n"
    (folder / "lacking.csv").write_bytes(lacking)
    (folder / "good.csv").write_bytes(HEADER + b"5,0.5,five,\n")
    for name in ("lacking.csv", "good.csv"):
        cluster.cli("upload", "empty", folder / name)
    cluster.cli("run", "now", "empty", "--wait")
    run = cluster.json("run", "list", "empty")[0]
    assert run["state"] == "COMPLETED_WITH_REJECTS", run
    assert table_of(cluster, "empty") == {5: (5, 0.5, "five", None)}
    assert letters_of(cluster, "empty") == [], "rows of a file that cannot be read are not dead letters"
    text = json.dumps(cluster.json("run", "show", "empty", run["run_id"]))
    assert text.count("lacking.csv: the header has no column speed") == 1, text
    kept = list((cluster.staging / "tenants/empty/done").glob("*/claimed/lacking.csv"))
    assert [path.read_bytes() for path in kept] == [lacking], kept


def check_too_many_rejects(cluster, folder):
    """Above max_rejected_percent the run fails; none of its rows is delivered and its file is kept."""
    write_tenant(folder, "strict", max_rejected_percent=30)
    cluster.cli("tenant", "apply", folder)
    good = HEADER + b"".join(b"%d,0.5,n,\n" % i for i in range(7)) + b"x,1,n,\n" * 3
    bad = good + b"y,1,n,\n"
    (folder / "rows.csv").write_bytes(good)
    cluster.cli("upload", "strict", folder / "rows.csv")
    cluster.cli("run", "now", "strict", "--wait")
    assert len(table_of(cluster, "strict")) == 7
    (folder / "more.csv").write_bytes(bad.replace(b"0.5", b"9.5"))
    cluster.cli("upload", "strict", folder / "more.csv")
    done = cluster.try_cli("run", "now", "strict", "--wait")
    assert done.returncode == 1, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert cluster.json("run", "list", "strict")[0]["state"] == "FAILED"
    assert {row[1] for row in table_of(cluster, "strict").values()} == {0.5}, "rows of a failed run are delivered"
    kept = wait_for("the file is kept", lambda: list(
        (cluster.staging / "tenants/strict/failed").glob("*/claimed/more.csv")))
    assert kept[0].read_bytes() == bad.replace(b"0.5", b"9.5")


def check_memory(folder, file):
    """A source by hand, for its peak: the long row is read in pieces."""
    digest = hashlib.sha256(file.path.read_bytes()).hexdigest()
    manifest = json.dumps({"run_uid": "run-1", "files": [{"dataset": "readings", "name": file.path.name, "path": file.path.name,
                                                          "size": file.size, "sha256": digest}]}).encode()
    (folder / "manifest.json").write_bytes(manifest)
    config = write_properties(folder / "source.properties", {
        "kind": "source", "name": "readings.source", "epoch": 1, "tenant": "sturdy", "tenant.uid": "uid-1",
        "dataset": "readings", "bus.dir": folder / "bus", "topic": "sturdy.readings", "topic.partitions": 1,
        "schema": json.dumps(SCHEMA), "schema.id": 1, "primary.key": '["id"]', "run.uid": "run-1", "run.seq": 1,
        "connector.class": "files", "key.schema.id": 2, "files.root": file.path.parent,
        "files.manifest": folder / "manifest.json", "files.manifest.sha256": hashlib.sha256(manifest).hexdigest()})
    environment = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=1"}  # what is freed is to count as free
    # Not a child of this process: the peak of a child begins with its parent's.
    done = subprocess.run([sys.executable, "-c", PEAK, TASK, "--config", config], capture_output=True, text=True,
                          env=environment, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout)
    assert peak < 60 * 1024, f"the source took {peak} KiB"
    return peak


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-rows-") as name, Cluster() as cluster:
        folder = pathlib.Path(name)
        file = File(folder / "hostile.csv")
        cluster.start()
        check_good_rows(cluster, folder / "sturdy", file)
        check_files_without_rows(cluster, folder / "empty")
        check_too_many_rejects(cluster, folder / "strict")
        peak = check_memory(folder, file)
    print(f"{len(file.table)} rows stored, {len(file.letters)} rejected as they should be; peak of the source {peak} KiB")


if __name__ == "__main__":
    main()
