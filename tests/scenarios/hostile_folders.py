"""What a program can leave in out/, and what can befall a file in in/: told in words, nothing followed, nothing lost.

Each case is a run whose program does it. What is refused fails the attempt with the name and the reason, and the uploaded
files are kept; what is only odd is loaded. Then files of in/ are removed, changed and replaced before a run claims
them: the run goes on with the others and says so. Names of cases as arguments pick those.

Mounts live in a mount namespace of the scenario's own; without one those cases are left out.
"""
import concurrent.futures
import json
import os
import pathlib
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks, own_mounts  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402

TENANTS, NEIGHBOUR = 4, "neighbour"  # several share the cases: a run takes its second
SECRET = "id\n4711\n"
# Done in out/, after a good file was put there. The good one must not be loaded either where the rest is refused.
REFUSED = {
    "link-outside": ("ln -s /etc/passwd odd.csv", "out/odd.csv: is a symbolic link"),
    "link-neighbour": ("ln -s {neighbour} odd.csv", "out/odd.csv: is a symbolic link"),
    "link-nowhere": ("ln -s odd.csv odd.csv", "out/odd.csv: is a symbolic link"),
    "hard-link-neighbour": ("ln {neighbour} odd.csv", "out/odd.csv: has more than one hard link"),
    "hard-link-claimed": ('ln "$SOURCE_PATH"/../claimed/* odd.csv', "out/odd.csv: has more than one hard link"),
    "pipe": ("mkfifo odd.csv", "out/odd.csv: is a device, socket or pipe"),
    "device": ("mknod odd.csv c 1 5", "out/odd.csv: is a device, socket or pipe"),
    "socket": ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"odd.csv\")'",
               "out/odd.csv: is a device, socket or pipe"),
    "folder": ("mkdir sub && echo 1 >sub/a.csv", "out/sub: is a folder"),
    "deep-folder": ("python3 -c 'import os\nfor i in range(3000): os.mkdir(\"d\"); os.chdir(\"d\")'", "out/d: is a folder",
                    "filled its folder"),  # too deep to be measured
    "sparse": ("truncate -s 3G odd.csv", "out/odd.csv has holes"),
    "not-utf8": ("touch \"$(printf 'a\\377b.csv')\"", "out/a\\xffb.csv has a name that is not UTF-8"),
    "newline": ("touch \"$(printf 'a\\nb.csv')\"", "out/a\\x0ab.csv has a control character in its name"),
    "out-is-link": ("cd .. && rm -r out && ln -s /etc out", "is, or lies behind, a symbolic link"),
    "out-is-neighbours": ("cd .. && rm -r out && ln -s {neighbours} out", "is, or lies behind, a symbolic link"),
    "out-is-file": ("cd .. && rm -r out && touch out", "is, or lies in, what is not a folder"),
    "out-is-gone": ("cd .. && rm -r out", "the program's out folder"),
    "out-is-mount": ("cd .. && mount -t tmpfs -o size=1m tmpfs out && cp in/* out/", "is mounted there"),
    "file-is-mount": ("touch odd.csv && mount --bind {neighbour} odd.csv", "is mounted there"),
}
TAKEN = {
    "no-permissions": "chmod 000 good.csv .",
    "long-name": f"mv good.csv {'n' * 251}.csv",
    "hidden-name": "mv good.csv .good.csv",
    "odd-text": "mv good.csv 'quo\"te ünder $(touch x) *.csv'",
    "empty": ": >empty.csv",
}


def write_tenant(folder, name, program):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": name, "schedule": "0 0 1 1 *", "data_retention_period_days": 1, "attempts": 1,
        "resources": {"requests": {"memory": "16Mi", "cpu": "100m"}, "limits": {"memory": "512Mi", "cpu": "500m"}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": name, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "numbered", "fields": [{"name": "id", "type": "long"}]},
        "primary_key": ["id"]}))
    run = folder / "program/run"
    run.write_text(program)
    run.chmod(0o755)


def program(neighbour):
    """Does what the name of the uploaded file says."""
    paths = {"neighbour": neighbour, "neighbours": neighbour.parent}
    cases = {name: case[0].format(**paths) for name, case in REFUSED.items()} | TAKEN
    lines = [f"{name}.csv)\n{command}\n;;\n" for name, command in cases.items()]
    return ('#!/bin/sh\nset -e\ncd "$SOURCE_PATH/$CLIENT_ID/out"\ncp ../in/* good.csv\n'
            'case "$(ls ../in)" in\n' + "".join(lines) + "esac\n")


class Tenant:
    def __init__(self, cluster, folder, name, neighbour):
        self.cluster, self.folder, self.name, self.loaded, self.next_id = cluster, folder / name, name, set(), 1
        write_tenant(self.folder / "tenant", name, program(neighbour))
        cluster.cli("tenant", "apply", self.folder / "tenant")

    def upload(self, name):
        """A file with one row; its id."""
        path = self.folder / name
        path.write_text(f"id\n{self.next_id}\n")
        self.cluster.cli("upload", self.name, path)
        self.next_id += 1
        return self.next_id - 1

    def run(self):
        """The run, once it is over."""
        self.cluster.cli("run", "now", self.name)
        return wait_for("the run is over", self.over, 60)

    def over(self):
        run = self.cluster.json("run", "list", self.name)[0]
        return run if run["state"] in ("COMPLETED", "COMPLETED_WITH_REJECTS", "FAILED") else None

    def stored(self):
        path = self.cluster.data / "store" / self.name / f"{self.name}.db"
        if not path.exists():
            return set()
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return {row[0] for row in db.execute("SELECT id FROM numbered")}


def refused(case, name):
    case.upload(f"{name}.csv")
    run = case.run()
    reasons = REFUSED[name][1:]
    assert run["state"] == "FAILED" and any(reason in run["reason"] for reason in reasons), run
    kept = case.cluster.staging / "tenants" / case.name / "failed" / run["run_uid"] / "claimed" / f"{name}.csv"
    assert kept.is_file() and kept.stat().st_nlink == 1, f"{name}: the uploaded file is not kept"
    assert case.stored() == case.loaded, f"{name}: something was loaded"


def taken(case, name):
    case.loaded.add(case.upload(f"{name}.csv"))
    run = case.run()
    assert run["state"] == "COMPLETED", run
    assert case.stored() == case.loaded, name


def befallen(case):
    """Files of in/ after their upload: removed, cut, and replaced by a link, a hard link and a pipe."""
    write_tenant(case.folder / "plain", case.name, '#!/bin/sh\ncd "$SOURCE_PATH/$CLIENT_ID"\ncp in/* out/\n')
    case.cluster.cli("tenant", "apply", case.folder / "plain")
    outside = case.folder / "outside.csv"
    outside.write_text("id\n4712\n")
    folder = case.cluster.staging / "tenants" / case.name / "in"
    names = [f"{what}.csv" for what in ("cut", "gone", "hard-link", "link", "pipe")]
    for name in names:
        case.upload(name)
        (folder / name).unlink()
    case.loaded.add(case.upload("untouched.csv"))
    (folder / "cut.csv").write_text("id\n")
    os.link(outside, folder / "hard-link.csv")
    (folder / "link.csv").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.csv")
    run = case.run()
    assert run["state"] == "COMPLETED_WITH_REJECTS" and ", ".join(names) in run["reason"], run
    assert case.stored() == case.loaded
    states = {file["name"]: file["state"] for file in case.cluster.json("files", case.name)}
    assert all(states[name] == "failed" for name in names) and states["untouched.csv"] == "done", states
    kept = case.cluster.staging / "tenants" / case.name / "done" / run["run_uid"] / "refused"
    assert sorted(p.name for p in kept.iterdir()) == [name for name in names if name != "gone.csv"]


def all_cases(case, names):
    for name in names:
        refused(case, name) if name in REFUSED else taken(case, name)


def main(may_mount):
    wanted = sys.argv[1:]
    if not may_mount:
        print("left out: cases that mount; that needs root and a mount namespace of one's own (unshare -m)")
    with tempfile.TemporaryDirectory() as name, Cluster(workers=1) as cluster:
        folder = pathlib.Path(name)
        secret = cluster.staging / "tenants" / NEIGHBOUR / "in/secret.csv"
        cluster.start()
        write_tenant(folder / "neighbour", NEIGHBOUR, "#!/bin/sh\n")
        cluster.cli("tenant", "apply", folder / "neighbour")
        (folder / "secret.csv").write_text(SECRET)
        cluster.cli("upload", NEIGHBOUR, folder / "secret.csv")
        before = secret.stat()
        names = [name for name in [*REFUSED, *TAKEN] if (not wanted or name in wanted) and
                 (may_mount or not name.endswith("-is-mount"))]
        tenants = [Tenant(cluster, folder, f"hostile_{number}", secret) for number in range(TENANTS)]
        with concurrent.futures.ThreadPoolExecutor(TENANTS) as pool:
            for done in [pool.submit(all_cases, case, names[i::TENANTS]) for i, case in enumerate(tenants)]:
                done.result()
        if not wanted or "befallen" in wanted:
            befallen(tenants[0])
        after = secret.stat()
        assert secret.read_text() == SECRET and (after.st_ino, after.st_mode, after.st_mtime_ns) == (
            before.st_ino, before.st_mode, before.st_mtime_ns), "the neighbour's file was touched"
        for case in tenants:
            sums = checks.ledger_sums(cluster, case.name)
            assert sums["read"] == sums["delivered"] == len(case.loaded), sums
        wait_for("all is well", lambda: cluster.json("status")["healthy"], 20)
        wait_for("nothing is left in runs/", lambda: not list((cluster.staging / "runs").iterdir()))
    print(f"{len([name for name in names if name in REFUSED])} kinds of hostile entries refused by name, {len(TAKEN)} odd ones taken, nothing touched outside")


if __name__ == "__main__":
    main(own_mounts.enter())
