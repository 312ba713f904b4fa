"""The coordinator is restored from copies of its database that were made at various moments.

In each case a copy is made at some moment of a file's life, things go on to their end, and the copy is restored. What has
happened since is then known again: rows, topic and ledger are right, runs and files are the ones that there were (by id,
state and counts), and nothing is done twice.
"""
import contextlib
import json
import os
import pathlib
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

TENANT, ROWS = "kept", 300
FINAL = ("COMPLETED", "COMPLETED_WITH_REJECTS", "SKIPPED", "CANCELLED", "FAILED", "ABANDONED")
PROGRAM = """#!/bin/sh
cd "$SOURCE_PATH/$CLIENT_ID"
case $(echo in/*) in *bad*) [ -e /%s ] || exit 1;; *slow*) sleep 1;; esac
cp in/* out/
"""


class Case:
    def __init__(self, cluster, folder):
        self.cluster, self.folder, self.number, self.serial = cluster, folder, 0, 0
        self.files, self.abandoned = {TENANT: []}, {"given"}
        self.mend = folder / "mended"  # from then on the program takes bad files
        self.write_tenant(TENANT, [])

    def write_tenant(self, name, columns):
        folder = self.folder / name
        (folder / "program").mkdir(parents=True, exist_ok=True)
        (folder / "agreement.json").write_text(json.dumps({"client": name, "schedule": "0 0 1 1 *", "attempts": 1}))
        (folder / "dataset.json").write_text(json.dumps({
            "name": "rows", "file_type": "csv", "key_space": name, "topic.partitions": 2, "primary_key": ["key"],
            "schema": {"type": "record", "name": "numbered", "fields": [
                {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, *columns]}}))
        run = folder / "program/run"
        run.write_text(PROGRAM % self.mend)
        run.chmod(0o755)
        return folder

    def upload(self, word="", tenant=TENANT):
        self.number += 1
        path = self.folder / f"{self.number:03d}{word}.csv"
        with open(path, "w") as out:
            out.write("serial,key\n")
            for serial in range(self.serial, self.serial + ROWS):
                out.write(f"{serial},{serial % 250 if serial % 100 else 'not-a-number'}\n")
        self.serial += ROWS
        self.cluster.cli("upload", tenant, path)
        self.files.setdefault(tenant, []).append(path)
        return path

    def run_now(self, tenant=TENANT):
        return json.loads(self.cluster.cli("run", "now", tenant, "--output", "json"))["run_id"]

    def state(self, run):
        return self.cluster.json("run", "show", TENANT, run)["state"]

    def wait_state(self, run, state):
        wait_for(f"{run} is {state}", lambda: self.state(run) == state)

    def copy(self):
        self.number += 1
        folder = self.folder / f"copy-{self.number}"
        self.cluster.copy_state(folder)
        self.wait_answer()
        return folder

    def wait_answer(self):
        wait_for("the coordinator answers", lambda: self.cluster.try_cli("status").returncode == 0)

    def wait_idle(self):
        def idle():
            runs = [run for tenant in self.files for run in self.cluster.json("run", "list", tenant)]
            return all(run["state"] in FINAL for run in runs) and not list((self.cluster.staging / "runs").iterdir())
        wait_for("all runs are done", idle, 60)

    def known(self):
        """What people see of runs and files."""
        result = {}
        for tenant in self.files:
            keys = ("run_id", "run_uid", "state", "files", "delivered", "rejected", "abandoned", "due", "finished_at")
            result[tenant] = (
                [{key: run[key] for key in keys} for run in reversed(self.cluster.json("run", "list", tenant)) if run["files"]
                 and run["state"] != "CANCELLED"],
                self.cluster.json("files", tenant), self.cluster.json("ledger", tenant))
        return result

    def check(self):
        for tenant, files in self.files.items():
            dataset = self.folder / tenant / "dataset.json"
            if tenant not in self.abandoned:  # how much of it was delivered is not said by its files
                checks.rows_equal(self.cluster, tenant, dataset, files)
                checks.topic_exact(self.cluster, tenant, dataset, files)

    def restore(self, folder):
        """Nothing is different afterwards."""
        self.wait_idle()
        before = self.known()
        self.cluster.restore_state(folder)
        self.wait_answer()
        self.wait_idle()
        after = self.known()
        for tenant in before:
            for mine, theirs in zip(before[tenant], after[tenant]):
                assert mine == theirs, f"{tenant}:\n" + "\n".join(
                    f"- {line}" for line in mine if line not in theirs) + "\n" + "\n".join(
                    f"+ {line}" for line in theirs if line not in mine)
        self.check()
        run = self.run_now()
        assert run not in [line["run_id"] for line in before[TENANT][0]], run
        self.wait_idle()

    @contextlib.contextmanager
    def held(self, path):
        """Somebody else writes to this SQLite file all the time."""
        db = sqlite3.connect(path, isolation_level=None, timeout=20)
        db.execute("BEGIN IMMEDIATE")
        yield
        db.close()


def before_the_upload(case):
    copy = case.copy()
    case.upload()
    case.run_now()
    return copy


def twice_before_the_upload(case):
    copy = case.copy()
    for _ in range(2):
        case.upload()
        case.run_now()
        case.wait_idle()
    return copy


def with_a_file_that_waits(case):
    """The file was uploaded after the copy and nobody has run it yet; its dataset, hash and id are known again."""
    copy = case.copy()
    case.upload()
    before = case.cluster.json("files", TENANT)
    case.cluster.restore_state(copy)
    case.wait_answer()
    assert case.cluster.json("files", TENANT) == before
    case.run_now()
    case.wait_idle()
    return copy


def with_a_file_without_a_note(case):
    """The file system kept no extended attribute: file_pattern and the file itself tell."""
    copy = case.copy()
    file = case.upload()
    before = case.cluster.json("files", TENANT)
    os.removexattr(case.cluster.staging / f"tenants/{TENANT}/in/{file.name}", "user.millrace.upload")
    case.cluster.restore_state(copy)
    case.wait_answer()
    after = case.cluster.json("files", TENANT)
    for name in ("name", "dataset", "size_bytes", "sha256", "state"):
        assert [line[name] for line in before] == [line[name] for line in after], (name, after)
    case.run_now()
    case.wait_idle()
    return copy


def between_upload_and_claim(case):
    case.upload()
    copy = case.copy()
    case.run_now()
    return copy


def in_the_program(case):
    case.upload("slow")
    run = case.run_now()
    case.wait_state(run, "PROGRAM")
    return case.copy()


def in_the_source(case):
    case.upload()
    with case.held(case.cluster.data / f"bus/{TENANT}.db"):
        run = case.run_now()
        case.wait_state(run, "SOURCE")
        return case.copy()


def while_delivering(case):
    case.upload()
    with case.held(case.cluster.data / f"store/{TENANT}/{TENANT}.db"):
        run = case.run_now()
        case.wait_state(run, "DELIVERING")
        return case.copy()


def after_it_was_completed(case):
    case.upload()
    case.run_now()
    case.wait_idle()
    return case.copy()


def in_the_middle_of_it_all(case):
    """Restored at once, while a later run is in its source and an earlier one is delivered."""
    copy = case.copy()
    with case.held(case.cluster.data / f"store/{TENANT}/{TENANT}.db"):
        case.upload()
        run = case.run_now()
        case.wait_state(run, "DELIVERING")
        case.upload("slow")
        later = case.run_now()
        case.wait_state(later, "PROGRAM")
        case.upload()
        case.cluster.restore_state(copy)
        case.wait_answer()
    case.run_now()
    case.wait_idle()
    wait_for("all files have arrived", lambda: all(
        file["state"] == "done" for file in case.cluster.json("files", TENANT)))
    return copy


def with_two_runs_that_are_read_again(case):
    """One was delivered while the next one was in its source: both enter their source, one after the other."""
    copy = case.copy()
    with case.held(case.cluster.data / f"store/{TENANT}/{TENANT}.db"):
        case.upload()
        first = case.run_now()
        case.wait_state(first, "DELIVERING")
        with case.held(case.cluster.data / f"bus/{TENANT}.db"):
            case.upload()
            second = case.run_now()
            case.wait_state(second, "SOURCE")
            case.cluster.restore_state(copy)
            case.wait_answer()
    case.wait_state(second, "COMPLETED_WITH_REJECTS")
    return copy


def cancelled_since(case):
    file = case.upload("slow")
    run = case.run_now()
    case.wait_state(run, "PROGRAM")
    copy = case.copy()
    case.cluster.cli("run", "cancel", TENANT, run)
    case.wait_state(run, "CANCELLED")
    assert (case.cluster.staging / f"tenants/{TENANT}/in/{file.name}").exists()
    case.cluster.restore_state(copy)
    case.wait_answer()
    assert case.state(run) == "CANCELLED"
    case.run_now()
    return copy


def abandoned_since(case):
    """What its sink had delivered by then is told by result.json, though the sink has forgotten it."""
    case.cluster.cli("tenant", "apply", case.write_tenant("given", []))
    case.upload(tenant="given")
    case.run_now("given")
    case.wait_idle()
    path = case.cluster.data / "store/given/given.db"
    with case.held(path):
        case.upload(tenant="given")
        run = case.run_now("given")
        wait_for("it is delivered", lambda: case.cluster.json("run", "show", "given", run)["state"] == "DELIVERING")
        copy = case.copy()
        case.cluster.cli("run", "abandon", "given", run)
    # Not by what workers report: right after the copy they have not, and the counts of the sink are not there yet.
    wait_for("its sink is past it", lambda: not case.cluster.json("status")["tasks"])
    return copy


def failed_and_retried_since(case):
    copy = case.copy()
    case.upload("bad")
    run = case.run_now()
    case.wait_state(run, "FAILED")
    case.cluster.restore_state(copy)
    case.wait_answer()
    case.wait_state(run, "FAILED")
    case.mend.touch()
    case.cluster.cli("run", "retry", TENANT, run)
    case.wait_idle()
    return copy


def a_new_tenant_since(case):
    copy = case.copy()
    case.cluster.cli("tenant", "apply", case.write_tenant("newer", []))
    case.upload(tenant="newer")
    case.run_now("newer")
    return copy


def a_new_agreement_since(case):
    case.cluster.cli("tenant", "apply", case.write_tenant("changed", []))
    copy = case.copy()
    case.cluster.cli("tenant", "apply", case.write_tenant("changed", [{"name": "more", "type": ["null", "int"]}]))
    case.upload(tenant="changed")
    case.run_now("changed")
    case.wait_idle()
    case.restore(copy)
    assert case.cluster.json("tenant", "show", "changed")["version"] == 2
    return copy


CASES = [before_the_upload, twice_before_the_upload, with_a_file_that_waits, with_a_file_without_a_note,
         between_upload_and_claim, in_the_program, in_the_source, while_delivering, after_it_was_completed,
         in_the_middle_of_it_all, with_two_runs_that_are_read_again, cancelled_since, abandoned_since,
         failed_and_retried_since, a_new_tenant_since, a_new_agreement_since]


def main():
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="millrace-restored-") as name:
        with Cluster(workers=1, settings={"worker_grace_ms": 500}) as cluster:
            case = Case(cluster, pathlib.Path(name))
            cluster.start(supervise=True)
            cluster.cli("tenant", "apply", case.folder / TENANT)
            case.upload()
            case.run_now()
            case.wait_idle()
            for restored in [one for one in CASES if not wanted or one.__name__ in wanted]:
                begun = time.monotonic()
                case.restore(restored(case))
                print(f"{restored.__name__:28} {time.monotonic() - begun:5.1f} s", flush=True)
    print("whatever the copy knew: rows, topic and ledger are right, runs and files are the same")


if __name__ == "__main__":
    main()
