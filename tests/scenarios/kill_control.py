"""Kills coordinator, worker and tasks at every fault point, each followed by nothing but waiting.

One supervised cluster serves the whole matrix: all points are named in MR_FAULT_KILL, and a point whose mark
exists in MR_FAULT_DIR is not armed. For each point its mark is removed, a file is uploaded and run (or what else
leads there: SPECIAL), and when the work is done the mark must be back: the process was killed there. After each
point rows and ledger are right, and nothing is left in in/ or runs/.

Names of points as arguments pick those. power_cut_control.py does the same to the coordinator alone, which then loses
what it had not synced.
"""
import json
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.by_hand import preload  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.havoc import FOLDERS, fault_points  # noqa: E402

LONG = True
# Killed at by another scenario, which it names.
ELSEWHERE = {
    "bus_before_retain_commit": "kill_data_path.py",
}
TENANT = "killed"
TEXT = [{"name": "text", "type": "string"}]
ROWS = 400
FINAL = ("COMPLETED", "COMPLETED_WITH_REJECTS", "SKIPPED", "CANCELLED", "ABANDONED")


def points(folders):
    return set(fault_points(folders)) - set(ELSEWHERE)


def write_tenant(folder, name, fields):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": name, "schedule": "0 0 1 1 *", "data_retention_period_days": 1, "attempts": 5,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": name.replace("-", "_"), "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbered", "fields": [
            {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, *fields]},
        "primary_key": ["key"], "topic.partitions": 2}))
    run = folder / "program/run"
    run.write_text('#!/bin/sh\nset -e\ncd "$SOURCE_PATH/$CLIENT_ID"\nls in | grep -q slow && sleep 1\ncp in/* out/\n')
    run.chmod(0o755)


def write_file(path, first):
    """ROWS good rows with serial numbers from `first`, and two that do not fit."""
    with open(path, "w") as out:
        out.write("serial,key,text\n")
        for serial in range(first, first + ROWS):
            out.write(f'{serial},{serial % 300},"row, {serial}"\n')
        out.write(f"{first},not-a-number,x\n{first},1\n")


class Matrix:
    def __init__(self, cluster, folder, marks):
        self.cluster, self.folder, self.marks = cluster, folder, marks
        self.files, self.copies = [], 0

    def mark(self, name):
        return self.marks / f"{name}.killed"

    def new_file(self, word=""):
        file = self.folder / f"{len(self.files):03d}{word}.csv"
        write_file(file, first=len(self.files) * ROWS)
        self.files.append(file)
        return file

    def until_accepted(self, what, *words):
        """A command is given again until it is answered: the coordinator may be killed in the middle of it."""

        def accepted():
            done = self.cluster.try_cli(*words)
            assert done.returncode not in (2, 3, 4), done.stderr
            return done.returncode == 0
        wait_for(what, accepted, 30)

    def show(self, *words):
        """The answer, or None while the coordinator is away."""
        done = self.cluster.try_cli(*words, "--output", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def restart_coordinator(self, *statements):
        """Changes its database while it is down: the time that a test cannot wait for."""
        self.cluster.coordinator.stop()
        db = sqlite3.connect(self.cluster.data / "coordinator.db", isolation_level=None)
        for statement in statements:
            assert db.execute(statement).rowcount > 0, statement
        db.close()
        self.cluster.coordinator.start(supervise=True)

    def upload(self, tenant, file):
        """Until it is accepted; the same Idempotency-Key each time makes it one upload."""
        request = urllib.request.Request(f"{self.cluster.url}/upload-file/{tenant}?name={file.name}", data=file.read_bytes(),
                                         headers={"Idempotency-Key": f"upload-{file.name}", "Content-Type": "text/csv"})

        def accepted():
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status in (200, 201)
            except urllib.error.HTTPError as refused:
                raise AssertionError(f"{file.name}: {refused.code} {refused.read().decode()}")
            except OSError:
                return False
        wait_for(f"{file.name} is uploaded", accepted, 60)

    def idle(self, tenant=TENANT):
        runs = self.show("run", "list", tenant)
        if not runs:
            return False
        assert all(run["state"] != "FAILED" for run in runs), runs
        return all(run["state"] in FINAL for run in runs) and not self.cluster.runs_left()

    def wait_idle(self, tenant=TENANT):
        wait_for(f"all runs of {tenant} are done, in/ and runs/ are empty", lambda: self.idle(tenant), 60)

    def run_file(self, tenant=TENANT, file=None):
        self.upload(tenant, file or self.new_file())
        self.until_accepted("run now", "run", "now", tenant)
        self.wait_idle(tenant)

    def wait_no_sink(self):
        wait_for("the sink is stopped", lambda: all(worker["tasks"] == 0 for worker in self.show("worker", "list") or [{"tasks": 1}]), 20)


# --- what leads to a point -------------------------------------------------------------------------------------------

def run_a_file(m, arm):
    arm()
    m.run_file()


def start_a_sink(m, arm):
    """A sink runs on for some seconds after its last row."""
    m.wait_no_sink()
    run_a_file(m, arm)


def stop_a_sink(m, arm):
    run_a_file(m, arm)
    m.wait_no_sink()


def run_the_first_file(m, arm):
    """Of a tenant that has neither bus nor store."""
    name = f"first-{len(m.files)}"
    folder, file = m.folder / name, m.folder / f"{name}.csv"
    write_tenant(folder, name, TEXT)
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    write_file(file, first=0)
    arm()
    m.run_file(name, file)
    checks.ledger_exact(m.cluster, name, folder / "dataset.json", [file])
    checks.rows_equal(m.cluster, name, folder / "dataset.json", [file])
    m.run_file()


def apply_another_program(m, arm):
    program = m.folder / "tenant/program/run"
    program.write_text(program.read_text() + "# changed\n")
    arm()
    m.until_accepted("tenant apply", "tenant", "apply", m.folder / "tenant")
    m.run_file()


def cancel_before_the_source(m, arm):
    m.upload(TENANT, m.new_file("-slow"))
    m.until_accepted("run now", "run", "now", TENANT)
    run = m.show("run", "list", TENANT)[0]["run_id"]
    wait_for("the program runs", lambda: m.show("run", "show", TENANT, run)["state"] == "PROGRAM")
    arm()
    m.cluster.try_cli("run", "cancel", TENANT, run)
    wait_for("the run is cancelled", lambda: (m.show("run", "show", TENANT, run) or {}).get("state") == "CANCELLED")
    m.run_file()


def become_due(m, arm):
    m.upload(TENANT, m.new_file())
    arm()
    m.restart_coordinator(f"UPDATE tenants SET next_due_ms = 1 WHERE tenant = '{TENANT}'")
    wait_for("a scheduled run", lambda: any(run["trigger"] == "schedule" for run in m.show("run", "list", TENANT) or []))
    m.wait_idle()


def replace_a_run(m, arm):
    """A run is due while the program of another one still sleeps."""
    name = f"replaced-{len(list(m.folder.iterdir()))}"
    folder, files = m.folder / name, [m.folder / f"{name}-{number}.csv" for number in range(2)]
    write_tenant(folder, name, TEXT)
    agreement = json.loads((folder / "agreement.json").read_text())
    (folder / "agreement.json").write_text(json.dumps({**agreement, "concurrency_policy": "replace"}))
    program = folder / "program/run"
    program.write_text(program.read_text().replace("ls in", '[ -z "$DUE_TIME" ] && sleep 60\nls in'))
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    for number, file in enumerate(files):
        write_file(file, first=number * ROWS)
    m.upload(name, files[0])
    m.until_accepted("run now", "run", "now", name)
    wait_for("the program runs", lambda: any(task["state"] == "RUNNING" for task in m.show("run", "show", name, "manual-1")["tasks"]))
    m.upload(name, files[1])
    arm()
    m.restart_coordinator(f"UPDATE tenants SET next_due_ms = 1 WHERE tenant = '{name}'")
    wait_for("the run is replaced", lambda: any(run["trigger"] == "schedule" for run in m.show("run", "list", name) or []))
    m.wait_idle(name)
    due, manual = m.show("run", "list", name)
    assert (manual["state"], manual["reason"]) == ("CANCELLED", f"replaced by run {due['run_id']}, which was due"), manual
    assert due["files"] == 2, due
    checks.ledger_exact(m.cluster, name, folder / "dataset.json", files)
    checks.topic_exact(m.cluster, name, folder / "dataset.json", files)


def grow_old(m, arm):
    m.run_file()
    done = m.cluster.staging / f"tenants/{TENANT}/done"
    assert list(done.iterdir())
    arm()
    m.restart_coordinator(f"UPDATE runs SET finished_ms = finished_ms - 2 * 86400000 WHERE tenant = '{TENANT}' AND files > 0")
    wait_for("what runs left in done/ is removed", lambda: not list(done.iterdir()))
    m.run_file()


def delete_a_tenant(m, arm):
    write_tenant(m.folder / "brief", "brief", TEXT)
    m.until_accepted("tenant apply", "tenant", "apply", m.folder / "brief")
    arm()
    m.cluster.try_cli("tenant", "delete", "brief")
    wait_for("the tenant is gone", lambda: m.cluster.try_cli("tenant", "show", "brief").returncode == 3)
    assert not (m.cluster.staging / "tenants/brief").exists()
    m.run_file()


def reject_in_the_sink(m, arm):
    """A store cannot hold NaN where null is not allowed."""
    folder, file = m.folder / "unfit", m.folder / "unfit.csv"
    write_tenant(folder, "unfit", [{"name": "value", "type": "double"}])
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    file.write_text("serial,key,value\n" + "".join(f"{n},{n},{'NaN' if n in (7, 70) else n}\n" for n in range(100)))
    arm()
    m.run_file("unfit", file)
    sums = checks.ledger_sums(m.cluster, "unfit")
    assert (sums["read"], sums["delivered"], sums["rejected_sink"], sums["in_flight"]) == (100, 98, 2, 0), sums
    assert len(m.cluster.json("rejected", "list", "unfit")) == 2


def replay_the_rejected(m, arm):
    """What could not be read is read again: all of it fails once more, in a run with a line of its own."""
    folder, file = m.folder / "replayed", m.folder / "replayed.csv"
    write_tenant(folder, "replayed", TEXT)
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    write_file(file, first=0)
    m.run_file("replayed", file)
    arm()
    m.until_accepted("rejected replay", "rejected", "replay", "replayed")
    m.wait_idle("replayed")
    lines = [(line["read"], line["rejected_source"], line["delivered"]) for line in m.cluster.json("ledger", "replayed")]
    assert lines == [(ROWS + 2, 2, ROWS), (2, 2, 0)], lines
    assert len(m.cluster.json("rejected", "list", "replayed")) == 4


def remove_a_sink(m, arm):
    """One that could not deliver, because somebody holds its store: what it left on the bus is not kept for it."""
    name = f"two-sinks-{len(list(m.folder.iterdir()))}"
    folder, file = m.folder / name, m.folder / f"{name}-first.csv"
    write_tenant(folder, name, TEXT)
    one = json.loads((folder / "agreement.json").read_text())
    one["data_retention_period_days"] = 0
    two = dict(one, sinks=[{"name": "store", "class": "sqlite"}, {"name": "copy", "class": "sqlite", "table": "copies"}])
    (folder / "agreement.json").write_text(json.dumps(two))
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    write_file(file, first=0)
    m.run_file(name, file)
    m.wait_no_sink()
    store = sqlite3.connect(m.cluster.data / f"store/{name}/{name.replace('-', '_')}.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    more = m.folder / f"{name}-more.csv"
    write_file(more, first=ROWS)
    m.upload(name, more)
    m.until_accepted("run now", "run", "now", name)
    wait_for("rows are delivered by nobody", lambda: (m.show("run", "list", name) or [{}])[0].get("state") == "DELIVERING")
    assert checks.topic_records(m.cluster, name, f"{name}.rows")
    (folder / "agreement.json").write_text(json.dumps(one))
    arm()
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    store.close()
    m.wait_idle(name)
    registered = f"file:{m.cluster.data}/bus/{name}.db?mode=ro"
    with sqlite3.connect(registered, uri=True) as bus:
        wait_for("the removed sink is unregistered",
                 lambda: bus.execute("SELECT count(*) FROM sinks WHERE connector = 'rows-copy'").fetchone() == (0,))
    m.wait_no_sink()  # a sink removes what is old when it comes to rest, and then now and then
    last = m.folder / f"{name}-last.csv"
    write_file(last, first=2 * ROWS)
    m.run_file(name, last)
    wait_for("what is delivered is removed", lambda: not checks.topic_records(m.cluster, name, f"{name}.rows"))
    assert checks.ledger_sums(m.cluster, name)["in_flight"] == 0


def abandon_in_the_source(m, arm):
    """Somebody holds the bus for a moment, so that the run stays in SOURCE until it is abandoned."""
    folder, small, large = m.folder / "given-up", m.folder / "small.csv", m.folder / "large.csv"
    write_tenant(folder, "given-up", TEXT)
    m.until_accepted("tenant apply", "tenant", "apply", folder)
    write_file(small, first=0)
    m.run_file("given-up", small)
    with open(large, "w") as out:
        out.write("serial,key,text\n" + "".join(f"{n},{n},row {n}\n" for n in range(ROWS, 300_000)))
    m.upload("given-up", large)
    m.until_accepted("run now", "run", "now", "given-up")
    run = m.show("run", "list", "given-up")[0]["run_id"]
    wait_for("rows are read", lambda: m.show("run", "show", "given-up", run)["state"] == "SOURCE")
    bus = sqlite3.connect(m.cluster.data / "bus/given-up.db", isolation_level=None, timeout=10)
    bus.execute("BEGIN IMMEDIATE")
    arm()
    m.until_accepted("run abandon", "run", "abandon", "given-up", run)
    bus.close()
    wait_for("the run is abandoned", lambda: m.show("run", "show", "given-up", run)["state"] == "ABANDONED")
    m.wait_idle("given-up")
    wait_for("its sink is past it", lambda: checks.ledger_sums(m.cluster, "given-up")["in_flight"] == 0)
    sums, records = checks.ledger_sums(m.cluster, "given-up"), checks.topic_records(m.cluster, "given-up", "given-up.rows")
    assert sums["produced"] == len(records) < 300_000, (sums, len(records))
    assert sums["delivered"] + sums["abandoned"] == sums["produced"], sums


def restore_an_old_copy(m, arm):
    """The copy knows neither the tenant nor its run nor the file that waits."""
    m.copies += 1
    name, folder = f"later-{m.copies}", m.folder / f"copy-{m.copies}"
    m.run_file()
    m.cluster.copy_state(folder)
    write_tenant(m.folder / name, name, TEXT)
    files = [m.folder / f"{name}-{number}.csv" for number in range(2)]
    for number, file in enumerate(files):
        write_file(file, first=number * ROWS)
    m.until_accepted("tenant apply", "tenant", "apply", m.folder / name)
    m.run_file(name, files[0])
    m.upload(name, files[1])
    arm()
    m.cluster.restore_state(folder)
    m.until_accepted("run now", "run", "now", name)
    m.wait_idle(name)
    m.wait_idle()
    checks.topic_exact(m.cluster, name, m.folder / name / "dataset.json", files)
    checks.ledger_exact(m.cluster, name, m.folder / name / "dataset.json", files)


SPECIAL = {
    "bus_file_made": run_the_first_file,
    "cancel_renamed": cancel_before_the_source,
    "fence_committed": abandon_in_the_source,
    "import_run_recorded": restore_an_old_copy,
    "import_tenant_recorded": restore_an_old_copy,
    "import_upload_recorded": restore_an_old_copy,
    "program_before_rename": apply_another_program,
    "release_committed": remove_a_sink,
    "replace_before_discard": replace_a_run,
    "replace_handed_on": replace_a_run,
    "replay_committed": replay_the_rejected,
    "retention_discarded": grow_old,
    "schedule_advanced": become_due,
    "sink_dead_letters_written": reject_in_the_sink,
    "sink_released_unrecorded": remove_a_sink,
    "sqlite_after_fenced": start_a_sink,
    "sqlite_file_made": run_the_first_file,
    "sqlite_before_fenced": start_a_sink,
    "task_sink_opened": start_a_sink,
    "tenant_discarded": delete_a_tenant,
    "worker_stop_sent": stop_a_sink,
}


def try_point(m, name):
    begun = time.monotonic()
    SPECIAL.get(name, run_a_file)(m, m.mark(name).unlink)
    hit = m.mark(name).exists()
    m.mark(name).touch()
    print(f"{name:32} {'killed' if hit else 'NOT REACHED'} {time.monotonic() - begun:6.1f} s", flush=True)
    if m.files:
        checks.ledger_exact(m.cluster, TENANT, m.folder / "tenant/dataset.json", m.files)
    return hit


def lose_unsynced(cluster):
    """Its kill is a power cut: the preload takes back what no fsync has covered."""
    cluster.coordinator.environment = dict(cluster.environment, LD_PRELOAD=preload(), MR_PRELOAD_ROOT=str(cluster.data),
                                           ASAN_OPTIONS="verify_asan_link_order=0")


def main(folders=FOLDERS, prepare=lambda cluster: None):
    wanted = sys.argv[1:] or sorted(points(folders))
    with tempfile.TemporaryDirectory(prefix="millrace-kill-") as name:
        folder = pathlib.Path(name)
        marks = folder / "marks"
        marks.mkdir()
        for point in wanted:
            (marks / f"{point}.killed").touch()
        write_tenant(folder / "tenant", TENANT, TEXT)
        environment = {"MR_FAULT_DIR": str(marks), "MR_FAULT_KILL": ",".join(wanted)}
        with Cluster(workers=1, settings={"worker_grace_ms": 500}, environment=environment) as cluster:
            prepare(cluster)
            cluster.start(supervise=True)
            cluster.cli("tenant", "apply", folder / "tenant")
            matrix = Matrix(cluster, folder, marks)
            missed = [point for point in wanted if not try_point(matrix, point)]
            if not matrix.files:
                matrix.run_file()
            checks.rows_equal(cluster, TENANT, folder / "tenant/dataset.json", matrix.files)
            checks.topic_exact(cluster, TENANT, folder / "tenant/dataset.json", matrix.files)
    assert not missed, f"never reached: {missed}"
    print(f"{len(wanted)} points, each killed once: rows, topic and ledger are right")


if __name__ == "__main__":
    main()
