"""Kills source and sink, run by hand, at every fault point of their path, and starts them again until they are done.

For every point: a fresh bus and store; the source with that point armed, started again with epoch + 1 until it ends; the
sink likewise. Then the store's table equals an independent reading of the files after upserts, a scan of the topic finds
each row, told by its serial number, exactly once in data or in the source's dead letters, the sink's dead letters are
there exactly once, and the counts in the positions equal independent counts. A point at which nothing died fails.

With one partition source and sink run one after the other; with four at the same time. MR_PRELOAD (default: the library
of the build folder) loses at the kill what was not synced; MR_PRELOAD= runs without. MR_POINTS=a,b picks points.
"""
import collections
import csv
import hashlib
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan")).resolve()
TASK = BUILD / "task/millrace-task"
PRELOAD = os.environ.get("MR_PRELOAD", str(BUILD / "tests/libdrop_unsynced.so"))
LONG = True
ROWS, FILES, DEADLINE_S = 3000, 3, 120
TENANT, TOPIC = "killed", "killed.rows"
# Steps of other kinds of task; the cluster's scenarios and the unit tests reach them.
ELSEWHERE = re.compile(r"^(program|seal|fence|scripted)_")
# Reached only with retention, by a sink that is started once more.
RETENTION = {"bus_before_retain_commit"}

SCHEMA = {"type": "record", "name": "rows", "fields": [
    {"name": "key", "type": "string"}, {"name": "serial", "type": "long"}, {"name": "number", "type": "int"},
    {"name": "real", "type": "double"}, {"name": "text", "type": ["null", "string"]}]}
COLUMNS = [field["name"] for field in SCHEMA["fields"]]


def points():
    """(name, whether it makes a step fail instead of killing)"""
    found = set()
    for folder in ("bus", "connectors", "task"):
        for path in (ROOT / folder).rglob("*.c"):
            if not path.name.endswith("_test.c"):
                found.update((name, bool(fails)) for fails, name in
                             re.findall(r'MR_FAULT(_FAILS)?\("(\w+)"\)', path.read_text()))
    chosen = set(filter(None, os.environ.get("MR_POINTS", "").split(",")))
    return sorted(point for point in found
                  if not ELSEWHERE.match(point[0]) and (not chosen or point[0] in chosen))


# --- input, and what must become of it ------------------------------------------------------------------------------

class Input:
    """Files with quoted newlines, doubled quotes, rows that the source rejects and rows that the sink rejects."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "claimed").mkdir(parents=True)
        rng, serial, files = random.Random(7), 0, []
        for number in range(FILES):
            path = folder / f"claimed/part-{number}.csv"
            with open(path, "w", newline="", encoding="utf-8") as out:
                writer = csv.writer(out, lineterminator="\r\n" if number == 1 else "\n")
                writer.writerow(["serial", "text", "key", "real", "number"])
                for _ in range(ROWS // FILES):
                    serial += 1
                    writer.writerow(self.row(rng, serial))
            data = path.read_bytes()
            files.append({"dataset": "rows", "name": path.name, "path": f"claimed/{path.name}", "size": len(data),
                          "sha256": hashlib.sha256(data).hexdigest()})
        self.manifest = json.dumps({"run_uid": "run-1", "files": files}).encode()
        (folder / "manifest-1.json").write_bytes(self.manifest)
        self.read_again(files)

    @staticmethod
    def row(rng, serial):
        text = rng.choice(["plain", "with, comma", 'with "quotes"', "two\nlines", "three\n\nlines, \"all\"", "žluťoučký", ""])
        number = "not a number" if serial % 53 == 7 else rng.randrange(-1000, 1000)
        real = "NaN" if serial % 71 == 3 else rng.randrange(1000) / 8
        return [serial, text, f"key {rng.randrange(ROWS // 3)}", real, number]

    def read_again(self, files):
        self.good, self.source_rejects, self.sink_rejects = set(), set(), set()
        self.table = {}
        for file in files:
            with open(self.folder / file["path"], newline="", encoding="utf-8") as lines:
                for row in csv.DictReader(lines):
                    serial = int(row["serial"])
                    if row["number"] == "not a number":
                        self.source_rejects.add(serial)
                        continue
                    self.good.add(serial)
                    if row["real"] == "NaN":
                        self.sink_rejects.add(serial)
                        continue
                    self.table[row["key"]] = (row["key"], serial, int(row["number"]), float(row["real"]), row["text"] or None)


# --- the processes --------------------------------------------------------------------------------------------------

def preload():
    linked = subprocess.run(["ldd", TASK], capture_output=True, text=True, check=True).stdout
    sanitizers = re.findall(r"=> (\S*lib[at]san\S*)", linked)  # their runtime must come first
    return ":".join(sanitizers + [PRELOAD])


class Trial:
    def __init__(self, folder, data, partitions):
        self.folder, self.data, self.partitions = folder, data, partitions
        self.epochs = collections.Counter()
        self.faults = folder / "faults"  # not below what the preload takes back
        self.faults.mkdir(parents=True)
        self.durable = folder / "durable"
        self.durable.mkdir()
        self.deadline = time.monotonic() + DEADLINE_S

    def properties(self, kind, **more):
        digest = hashlib.sha256(self.data.manifest).hexdigest()
        values = {"kind": kind, "name": f"rows.{kind}", "epoch": self.epochs[kind], "tenant": TENANT, "tenant.uid": "uid-1",
                  "dataset": "rows", "bus.dir": self.durable / "bus", "topic": TOPIC, "topic.partitions": self.partitions,
                  "schema": json.dumps(SCHEMA), "schema.id": 1, "primary.key": '["key"]'}
        if kind == "source":
            values |= {"run.uid": "run-1", "run.seq": 1, "connector.class": "files", "key.schema.id": 2,
                       "files.root": self.data.folder, "files.manifest": self.data.folder / "manifest-1.json",
                       "files.manifest.sha256": digest}
        else:
            values |= {"connector.class": "sqlite", "store.dir": self.durable / "store", "key.space": "space", "until.end": "true"}
        return write_properties(self.folder / f"{kind}.properties", values | more)

    def once(self, kind, fault, **more):
        self.epochs[kind] += 1
        environment = {**os.environ, "MR_FAULT_DIR": str(self.faults), **fault}
        if PRELOAD:
            environment |= {"MR_PRELOAD_ROOT": str(self.durable), "LD_PRELOAD": preload()}
        log = self.folder / f"{kind}.log"
        with open(log, "ab") as out:
            code = subprocess.run([TASK, "--config", self.properties(kind, **more)], stderr=out, env=environment,
                                  timeout=DEADLINE_S, check=False).returncode
        assert code in (0, -9), f"{kind} ended with {code}:\n{log.read_text()[-3000:]}"
        return code == 0

    def until_done(self, kind, fault, **more):
        while not self.once(kind, fault, **more):
            assert time.monotonic() < self.deadline, f"{kind} is not done in time"

    def side_by_side(self, fault):
        """The sink starts again whenever it has caught up, until the source is done."""
        failures = []

        def source():
            try:
                self.until_done("source", fault)
            except BaseException as failure:  # noqa: BLE001 - handed to the main thread
                failures.append(failure)
        thread = threading.Thread(target=source)
        thread.start()
        while thread.is_alive():
            self.once("sink", fault)
        thread.join()
        if failures:
            raise failures[0]
        self.until_done("sink", fault)

    def inspect(self, kind):
        config = write_properties(self.folder / "inspect.properties", {
            "bus.dir": self.durable / "bus", "tenant": TENANT, "topic": TOPIC, "schema": json.dumps(SCHEMA)})
        done = subprocess.run([TASK, "--inspect", kind, "--config", config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def write_properties(path, values):
    lines = [f"{key}=" + str(value).replace("\\", "\\\\").replace("\n", "\\n") for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


# --- what must be true ----------------------------------------------------------------------------------------------

def same(what, found, wanted):
    if found != wanted:
        more, less = collections.Counter(found) - collections.Counter(wanted), collections.Counter(wanted) - collections.Counter(found)
        raise AssertionError(f"{what}: too many {list(more.items())[:5]}, missing {list(less.items())[:5]}")


def check_store(trial):
    with sqlite3.connect(f"file:{trial.durable}/store/{TENANT}/space.db?mode=ro", uri=True) as db:
        rows = {row[0]: row for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM rows")}
    assert rows == trial.data.table, (
        f"store: {len(rows)} rows, expected {len(trial.data.table)}; differing: "
        f"{[(rows.get(k), trial.data.table.get(k)) for k in rows.keys() | trial.data.table.keys() if rows.get(k) != trial.data.table.get(k)][:3]}")


def check_topic(trial):
    data = trial.data
    records, letters = trial.inspect("topic"), trial.inspect("rejected")
    same("topic", sorted(record["values"]["serial"] for record in records), sorted(data.good))
    same("the source's dead letters", sorted(int(letter["raw"].split(",")[0]) for letter in letters if "file" in letter),
         sorted(data.source_rejects))
    serial_at = {(record["partition"], record["offset"]): record["values"]["serial"] for record in records}
    same("the sink's dead letters", sorted(serial_at[letter["record_partition"], letter["record_offset"]]
                                           for letter in letters if "sink" in letter), sorted(data.sink_rejects))
    assert all(letter.get("run") == "run-1" for letter in letters), "a dead letter does not name its run"
    for partition in {record["partition"] for record in records}:
        opened = [record["offset"] for record in records if record["partition"] == partition and "run" in record]
        first = min(record["offset"] for record in records if record["partition"] == partition)
        assert opened == [first], f"partition {partition}: the run is opened at {opened}, its first record is {first}"
    return records


def counts_of(metadata):
    totals = collections.Counter()
    for text in metadata:
        for run in json.loads(text)["runs"]:
            assert (run["seq"], run["uid"]) == (1, "run-1"), run
            totals.update({name: run[name] for name in ("delivered", "rejected", "abandoned")})
    return {name: totals[name] for name in ("delivered", "rejected", "abandoned")}


def check_counts(trial, records):
    data = trial.data
    with sqlite3.connect(f"file:{trial.durable}/bus/{TENANT}.db?mode=ro", uri=True) as db:
        (position,) = [json.loads(value) for (value,) in db.execute("SELECT value FROM positions")]
        copies = [text for (text,) in db.execute("SELECT metadata FROM sinks")]
    with sqlite3.connect(f"file:{trial.durable}/store/{TENANT}/space.db?mode=ro", uri=True) as db:
        stored = [text for (text,) in db.execute("SELECT metadata FROM millrace_positions")]
    counts = position["counts"]
    wanted = {"read": len(data.good) + len(data.source_rejects), "filtered": 0, "rejected": len(data.source_rejects),
              "produced": len(data.good), "rejected_files": 0}
    assert {name: counts[name] for name in wanted} == wanted, f"source counts {counts}, counted {wanted}"
    assert position["ended"] and not position["over_rejected"], position
    delivered = {"delivered": len(data.good) - len(data.sink_rejects), "rejected": len(data.sink_rejects), "abandoned": 0}
    assert counts_of(stored) == delivered, f"counts in the store {counts_of(stored)}, counted {delivered}"
    assert counts_of(copies) == delivered, f"counts on the bus {counts_of(copies)}, counted {delivered}"
    ranges = {partition: (first, end) for partition, first, end in position["ranges"]}
    for partition in {record["partition"] for record in records}:
        offsets = [record["offset"] for record in records if record["partition"] == partition]
        assert ranges.pop(partition) == (min(offsets), max(offsets) + 1), f"range of partition {partition}"
    assert not ranges, f"ranges without rows: {ranges}"


def fault_of(name, fails, reach):
    return {"MR_FAULT_FAIL" if fails else "MR_FAULT_KILL": f"{name}:{reach}"}


def try_point(folder, data, partitions, name, fails, reach):
    """False when nothing died at that reach of the point."""
    trial = Trial(folder, data, partitions)
    fault = fault_of(name, fails, reach)
    if partitions == 1:
        trial.until_done("source", fault)
        trial.until_done("sink", fault)
    else:
        trial.side_by_side(fault)
    check_store(trial)
    check_counts(trial, check_topic(trial))
    if name in RETENTION:
        trial.until_done("sink", fault, **{"retention.ms": 0})
        assert trial.inspect("topic") == [], "retention left records that are delivered"
        check_store(trial)
    return (trial.faults / f"{name}.{'failed' if fails else 'killed'}").exists()


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-kill-") as name:
        base = pathlib.Path(name)
        data = Input(base / "run")
        for point, fails in points():
            for partitions in (1, 4):
                begun = time.monotonic()
                reaches = [2, 1] if partitions == 4 else [1]
                for reach in reaches:
                    if try_point(base / f"{point}-{partitions}-{reach}", data, partitions, point, fails, reach):
                        break
                else:
                    raise AssertionError(f"{point}: never reached by source or sink with {partitions} partitions")
                print(f"ok {point} partitions={partitions} reach={reach} {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
