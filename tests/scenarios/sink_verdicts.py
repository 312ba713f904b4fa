"""A sink that answers every verdict, in every order: each record is delivered or a dead letter, and counted once.

The scripted sink (connectors/README.md) plays a store without transactions, so a record may be delivered more than once,
but never after a later record of its key, and never when it was rejected.
"""
import collections
import json
import os
import pathlib
import sqlite3
import sys
import tempfile

os.environ.setdefault("MR_PRELOAD", "")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.by_hand import TENANT, Input, Trial  # noqa: E402

REJECT = {"every": 11, "verdict": "rejected", "reason": "the store says no"}
QUEUE = {"verdict": "queued"}
# name: (rules, is a record rejected?, does the sink keep the order of its keys?)
CASES = {
    "everything is done at once": ([], None, True),
    "queued, answered in order": ([QUEUE], None, True),
    "queued, answered backwards": ([{"flush": "reverse"}, QUEUE], None, False),
    "queued, answered at random": ([{"flush": "random"}, QUEUE], None, False),
    "every seventh is retried once": ([{"every": 7, "attempt": 1, "verdict": "retry", "after_ms": 3}], None, True),
    "every fifth is retried three times": (
        [{"every": 5, "attempt": n, "verdict": "retry", "after_ms": 3, "reason": f"busy {n}"} for n in (1, 2, 3)], None, True),
    "retried without a time": ([{"offset": 20, "attempt": 1, "verdict": "retry"}], None, True),
    "queued and then retried": (
        [{"every": 6, "attempt": 1, "verdict": "queued", "then": "retry", "after_ms": 3}, QUEUE], None, True),
    "disconnected now and then": ([{"every": 400, "attempt": 1, "verdict": "disconnected", "reason": "gone"}], None, True),
    "queued and then disconnected": (
        [{"every": 400, "attempt": 1, "verdict": "queued", "then": "disconnected"}, QUEUE], None, True),
    "the write itself fails": ([{"every": 500, "attempt": 1, "verdict": "error", "reason": "broken"}], None, True),
    "every eleventh is rejected": ([REJECT], 11, True),
    "queued and then rejected, backwards": (
        [{"flush": "reverse"}, {"every": 11, "verdict": "queued", "then": "rejected", "reason": "no"}, QUEUE], 11, False),
    "all of it": (
        [{"flush": "random"}, REJECT, {"every": 400, "attempt": 1, "verdict": "disconnected"},
         {"every": 13, "attempt": 1, "verdict": "retry", "after_ms": 2},
         {"every": 17, "attempt": 1, "verdict": "queued", "then": "retry", "after_ms": 2}, {"every": 2, "verdict": "queued"}],
        11, False),
}


def counts(trial):
    totals = collections.Counter()
    with sqlite3.connect(f"file:{trial.durable}/bus/{TENANT}.db?mode=ro", uri=True) as db:
        for (text,) in db.execute("SELECT metadata FROM sinks"):
            for run in json.loads(text)["runs"]:
                totals.update({name: run[name] for name in ("delivered", "rejected", "abandoned")})
    return totals["delivered"], totals["rejected"], totals["abandoned"]


def check(trial, every, keeps_order):
    records = trial.inspect("topic")
    key_of = {(r["partition"], r["offset"]): r["values"]["key"] for r in records}
    rejected = {place for place in key_of if every and place[1] % every == 0}
    letters = [(r["record_partition"], r["record_offset"]) for r in trial.inspect("rejected") if "sink" in r]
    stored = [json.loads(line) for line in (trial.folder / "stored").read_text().splitlines()]
    delivered = [(line["partition"], line["offset"]) for line in stored]
    assert set(delivered) == key_of.keys() - rejected, (
        f"delivered {len(set(delivered))} of {len(key_of) - len(rejected)}; too many: {list(set(delivered) & rejected)[:3]}")
    assert sorted(letters) == sorted(rejected), f"{len(letters)} dead letters, {len(rejected)} rejected"
    assert counts(trial) == (len(key_of) - len(rejected), len(rejected), 0), counts(trial)
    last, highest = {}, {}
    for place in delivered:
        last[key_of[place]] = place
        highest[key_of[place]] = max(place, highest.get(key_of[place], place))
    assert not keeps_order or last == highest, (
        f"older records were delivered last: {[(k, last[k], highest[k]) for k in last if last[k] != highest[k]][:3]}")


def prepare(folder, data, rules, partitions):
    (folder).mkdir()
    (folder / "script.json").write_text(json.dumps(rules))
    trial = Trial(folder, data, partitions, sink={
        "connector.class": "scripted", "script": folder / "script.json", "scripted.output": folder / "stored"})
    trial.until_done("source", {})
    return trial


def rejecting_all_stops(base, data):
    """A store that takes nothing for one reason is broken: nothing is committed away."""
    trial = prepare(base / "all-rejected", data, [{"verdict": "rejected", "reason": "read-only"}], 1)
    code = trial.start("sink", {}, **{"max.same.rejects": 500})
    log = (trial.folder / "sink.log").read_text()
    assert code == 1 and "500 records in a row" in log and "read-only" in log, f"exit {code}: {log}"
    assert [r for r in trial.inspect("rejected") if "sink" in r] == [] and counts(trial) == (0, 0, 0), "it was committed away"


def kills_lose_and_double_nothing(base, data):
    """Where the store keeps no position, one transaction of the bus holds dead letters, position and counts."""
    rules, every, _ = CASES["all of it"]
    for point in ("sink_after_fetch:1", "sink_after_fetch:3", "sink_after_flush:1", "bus_before_commit:2", "bus_after_commit:2",
                  "sink_after_commit:1"):
        trial = prepare(base / point.replace(":", "-"), data, rules, 3)
        trial.until_done("sink", {"MR_FAULT_KILL": point})
        assert (trial.faults / f"{point.split(':')[0]}.killed").exists(), f"{point} was not reached"
        check(trial, every, False)


def undecodable_records_are_dead_letters(base, data):
    trial = prepare(base / "undecodable", data, [], 3)
    trial.until_done("sink", {}, **{"schema.id": 9})
    letters = [r for r in trial.inspect("rejected") if "sink" in r]
    assert {letter["stage"] for letter in letters} == {"decode"} and "schema id 1" in letters[0]["reason"], letters[0]
    assert len(letters) == len(data.good) and counts(trial) == (0, len(data.good), 0), counts(trial)


def older_epochs_are_fenced(base, data):
    trial = prepare(base / "fenced", data, [], 1)
    for kind in ("source", "sink"):
        trial.epochs[kind] = 7
        trial.until_done(kind, {})
        trial.epochs[kind] = 4
        code = trial.start(kind, {})
        assert code == 4, f"an older {kind} ended with {code}"


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-verdicts-") as name:
        base = pathlib.Path(name)
        data = Input(base / "run")
        for number, (case, (rules, every, keeps_order)) in enumerate(CASES.items()):
            for partitions in (1, 3):
                trial = prepare(base / f"{number}-{partitions}", data, rules, partitions)
                trial.until_done("sink", {})
                check(trial, every, keeps_order)
            print(f"ok {case}", flush=True)
        kills_lose_and_double_nothing(base, data)
        undecodable_records_are_dead_letters(base, data)
        rejecting_all_stops(base, data)
        older_epochs_are_fenced(base, data)
    print("every verdict is handled")


if __name__ == "__main__":
    sys.exit(main())
