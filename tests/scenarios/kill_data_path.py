"""Kills source and sink, run by hand, at every fault point of their path, and starts them again until they are done.

For every point: a fresh bus and store; the source with that point armed, started again with epoch + 1 until it ends; the
sink likewise. Then the store's table equals an independent reading of the files after upserts, a scan of the topic finds
each row, told by its serial number, exactly once in data or in the source's dead letters, the sink's dead letters are
there exactly once, and the counts in the positions equal independent counts. A point at which nothing died fails.

With one partition the files are CSV, and source and sink run one after the other; with four they are NDJSON, and both run at the
same time. MR_PRELOAD (default: the library
of the build folder) loses at the kill what was not synced; MR_PRELOAD= runs without. MR_POINTS=a,b picks points.
"""
import collections
import json
import os
import pathlib
import re
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.by_hand import COLUMNS, TENANT, Input, Trial  # noqa: E402
from harness.cluster import ROOT  # noqa: E402

LONG = True
# Steps of other kinds of task; the cluster's scenarios and the unit tests reach them.
ELSEWHERE = re.compile(r"^(program|seal|fence|release|replay|scripted)_")
# Reached only with retention, by a sink that is started once more.
RETENTION = {"bus_before_retain_commit"}


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
    same("the source's dead letters", sorted(int(re.search(r"\d+", letter["raw"]).group()) for letter in letters if "file" in letter),
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
        inputs = {1: Input(base / "run-csv"), 4: Input(base / "run-ndjson", "ndjson")}
        for point, fails in points():
            for partitions in (1, 4):
                begun = time.monotonic()
                reaches = [2, 1] if partitions == 4 else [1]
                for reach in reaches:
                    if try_point(base / f"{point}-{partitions}-{reach}", inputs[partitions], partitions, point, fails, reach):
                        break
                else:
                    raise AssertionError(f"{point}: never reached by source or sink with {partitions} partitions")
                print(f"ok {point} partitions={partitions} reach={reach} {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
