"""Schedules with real processes: missed times, suspend, backfill, programs that overlap, and a run that is replaced.

What a test cannot wait for, the hour that passes, is set in the coordinator's database while it is down.
"""
import datetime
import json
import os
import pathlib
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

UTC = datetime.timezone.utc
HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime.now(UTC)
MINUTE = (NOW.minute + 30) % 60  # not due by itself while this test runs
TICK = NOW.replace(minute=MINUTE, second=0, microsecond=0)  # the last due time
TICK -= HOUR if TICK > NOW else 0 * HOUR
SCHEDULE = f"{MINUTE} * * * *"


def run_id(due):
    return due.strftime("%Y%m%dT%H%M%SZ")


def due_text(due):
    return due.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def write_tenant(folder, name, **agreement):
    """Its program puts DUE_TIME beside each number, and waits while HOLD/{its file} exists."""
    (folder / name / "program").mkdir(parents=True)
    (folder / name / "agreement.json").write_text(json.dumps({
        "client": name, "schedule": SCHEDULE, "attempts": 1, **agreement,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}}}))
    (folder / name / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": name, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbers", "fields": [
            {"name": "number", "type": "int"}, {"name": "due", "type": "string"}]}, "primary_key": ["number"]}))
    program = folder / name / "program/run"
    program.write_text(f"""#!/bin/sh
set -e
cd "$SOURCE_PATH/$CLIENT_ID"
for file in in/*; do
    name=$(basename "$file")
    echo $$ >"{folder}/started.$name"
    while [ -e "{folder}/hold.$name" ]; do sleep 0.05; done
done
echo number,due >out/rows.csv
cat in/* | sed "s/$/,$DUE_TIME/" >>out/rows.csv
""")
    program.chmod(0o755)
    return folder / name


class Scheduled:
    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder

    def apply(self, name, **agreement):
        self.cluster.cli("tenant", "apply", write_tenant(self.folder, name, **agreement))

    def upload(self, name, file, *numbers):
        path = self.folder / file
        path.write_text("".join(f"{number}\n" for number in numbers))
        self.cluster.cli("upload", name, path)

    def hold(self, file):
        (self.folder / f"hold.{file}").touch()

    def let_go(self, file):
        (self.folder / f"hold.{file}").unlink()

    def started(self, file):
        return (self.folder / f"started.{file}").exists()

    def become_due(self, name, since):
        """The next due time is `since`, in the past."""
        self.cluster.coordinator.stop()
        with sqlite3.connect(self.cluster.data / "coordinator.db") as db:
            changed = db.execute("UPDATE tenants SET next_due_ms = ? WHERE tenant = ?", (int(since.timestamp()) * 1000, name))
            assert changed.rowcount == 1
        db.close()
        self.cluster.coordinator.start()
        wait_for("the coordinator answers", self.cluster.ready)

    def states(self, name):
        """run_id: state, oldest first."""
        return {run["run_id"]: run["state"] for run in reversed(self.cluster.json("run", "list", name))}

    def wait_states(self, name, expected):
        wait_for(f"the runs of {name} are {expected}", lambda: self.states(name) == expected)

    def rows(self, name):
        answer = self.cluster.json("query", name, "SELECT number, due FROM numbers ORDER BY number")
        return [(row["number"], row["due"]) for row in answer]


def missed_times_are_caught_up_in_order(s):
    s.apply("all_of_them", catchup="all")
    s.upload("all_of_them", "all.csv", 1, 2)
    s.become_due("all_of_them", TICK - 2 * HOUR)
    s.wait_states("all_of_them", {run_id(TICK - 2 * HOUR): "COMPLETED", run_id(TICK - HOUR): "SKIPPED", run_id(TICK): "SKIPPED"})
    assert s.rows("all_of_them") == [(1, due_text(TICK - 2 * HOUR)), (2, due_text(TICK - 2 * HOUR))], s.rows("all_of_them")


def a_suspended_schedule_waits(s):
    s.apply("suspended", suspend=True)
    s.upload("suspended", "suspended.csv", 1)
    s.become_due("suspended", TICK - 2 * HOUR)
    shown = s.cluster.json("schedule", "show", "suspended")
    assert (shown["suspended"], shown["next"]) == (True, []), shown
    assert s.states("suspended") == {}
    assert "3 due times were missed" in s.cluster.cli("schedule", "resume", "suspended")
    s.wait_states("suspended", {run_id(TICK): "COMPLETED"})
    shown = s.cluster.json("schedule", "show", "suspended")
    assert shown["note"] == f"2 due times before {run_id(TICK)} passed over: catchup is latest", shown
    assert "suspended" in s.cluster.cli("schedule", "suspend", "suspended")
    who = [entry["what"] for entry in s.cluster.json("audit", "suspended")]
    assert "suspend_schedule" in who and "resume_schedule" in who, who


def past_times_are_filled_in(s):
    s.apply("backfilled")
    s.upload("backfilled", "backfilled.csv", 7)
    span = ("--from", due_text(TICK - 2 * HOUR), "--to", due_text(TICK))
    would = s.cluster.json("schedule", "backfill", "backfilled", *span, "--dry-run")
    assert [run["due"] for run in would["runs"]] == [due_text(TICK - n * HOUR) for n in (2, 1, 0)], would
    assert s.states("backfilled") == {}
    assert s.cluster.json("schedule", "backfill", "backfilled", *span)["runs"] == would["runs"]
    s.wait_states("backfilled", {run_id(TICK - 2 * HOUR): "COMPLETED", run_id(TICK - HOUR): "SKIPPED", run_id(TICK): "SKIPPED"})
    assert s.rows("backfilled") == [(7, due_text(TICK - 2 * HOUR))]
    assert s.cluster.json("schedule", "backfill", "backfilled", *span)["runs"] == []
    refused = s.cluster.try_cli("schedule", "backfill", "backfilled", "--from", "yesterday", "--to", due_text(TICK))
    assert refused.returncode == 1 and "a time in UTC is expected" in refused.stderr, refused


def programs_overlap_and_rows_keep_their_order(s):
    s.apply("overlapping", concurrency_policy="allow")
    s.hold("slow.csv")
    s.upload("overlapping", "slow.csv", 1, 2)
    s.cluster.cli("run", "now", "overlapping")
    wait_for("the slow program runs", lambda: s.started("slow.csv"))
    s.upload("overlapping", "quick.csv", 3)
    s.become_due("overlapping", TICK)
    quick = run_id(TICK)
    wait_for("the quick program has ended", lambda: s.states("overlapping").get(quick) == "SOURCE")
    assert s.states("overlapping")["manual-1"] == "PROGRAM"
    waiting = s.cluster.json("run", "show", "overlapping", quick)["reason"]
    assert waiting == "reading waits for run manual-1, which was claimed earlier", waiting
    s.let_go("slow.csv")
    s.wait_states("overlapping", {"manual-1": "COMPLETED", quick: "COMPLETED"})
    assert s.rows("overlapping") == [(1, ""), (2, ""), (3, due_text(TICK))], s.rows("overlapping")
    assert checks.ledger_sums(s.cluster, "overlapping")["in_flight"] == 0
    runs = [line["run"] for line in s.cluster.json("ledger", "overlapping")]
    assert runs == ["manual-1", quick], runs


def a_run_that_is_due_replaces_another(s):
    s.apply("replacing", concurrency_policy="replace")
    s.hold("first.csv")
    s.upload("replacing", "first.csv", 1)
    s.cluster.cli("run", "now", "replacing")
    wait_for("the program runs", lambda: s.started("first.csv"))
    pid = int((s.folder / "started.first.csv").read_text())
    (s.folder / "started.first.csv").unlink()
    s.upload("replacing", "second.csv", 2)
    s.become_due("replacing", TICK)
    wait_for("the next program runs", lambda: s.started("first.csv"))
    assert not pathlib.Path(f"/proc/{pid}").exists(), "the former program runs on"
    s.let_go("first.csv")
    s.wait_states("replacing", {"manual-1": "CANCELLED", run_id(TICK): "COMPLETED"})
    reason = s.cluster.json("run", "show", "replacing", "manual-1")["reason"]
    assert reason == f"replaced by run {run_id(TICK)}, which was due", reason
    assert s.rows("replacing") == [(1, due_text(TICK)), (2, due_text(TICK))]
    assert {file["run_id"] for file in s.cluster.json("files", "replacing")} == {run_id(TICK)}


def times_are_shown_before_they_come(s):
    shown = s.cluster.cli("schedule", "next", "30 3 * * *", "--time-zone", "Europe/Helsinki", "--from", "2026-03-28T00:00:00Z",
                          "--count", "3")
    assert "at 3:30 every day, Europe/Helsinki" in shown, shown
    assert [line.split()[-1] for line in shown.splitlines()[-3:]] == [
        "2026-03-28T01:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"], shown
    for words, problem in ((["0 0 * * MUN"], "column 9, field day of week: there is no name \"MUN\", did you mean SUN?"),
                           (["@daily", "--time-zone", "Europe/Helsinky"], "did you mean Europe/Helsinki?")):
        refused = s.cluster.try_cli("schedule", "next", *words)
        assert refused.returncode == 1 and problem in refused.stderr, refused
    folder = write_tenant(s.folder, "elsewhere", time_zone="Mars/Base")
    refused = s.cluster.try_cli("tenant", "validate", folder)
    assert refused.returncode == 1 and 'field "time_zone": there is no time zone "Mars/Base"' in refused.stderr, refused


def main():
    with tempfile.TemporaryDirectory(prefix="millrace-schedules-") as name, \
            Cluster(workers=1, settings={"worker_grace_ms": 300}) as cluster:
        os.chmod(name, 0o755)
        s = Scheduled(cluster, pathlib.Path(name))
        cluster.start()
        for case in (times_are_shown_before_they_come, missed_times_are_caught_up_in_order, a_suspended_schedule_waits,
                     past_times_are_filled_in, programs_overlap_and_rows_keep_their_order, a_run_that_is_due_replaces_another):
            case(s)
            print(case.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
