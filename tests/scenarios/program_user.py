"""Programs run as an account of their own: what it may do, and that nothing of Millrace is open to it."""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import checks  # noqa: E402
from harness.cluster import BUILD, Cluster, wait_for  # noqa: E402

USER, UID = "nobody", 65534

PROGRAM = """
import os, pathlib, signal, sys
data, own = pathlib.Path(os.environ["DATA"]), pathlib.Path(os.environ["SOURCE_PATH"], os.environ["CLIENT_ID"])
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
assert os.getresuid() == (65534,) * 3 and set(os.getresgid()) != {0}, (os.getresuid(), os.getresgid())
assert status["Groups"].split() == [] and status["NoNewPrivs"].strip() == "1", status
assert status["CapEff"].strip("\\t0") == "", status["CapEff"]
run = own.parent.parent
staging, tenant = data / "staging", data / "staging/tenants" / os.environ["CLIENT_ID"]
for what, attempt in {
    "list data": lambda: os.listdir(data), "list staging": lambda: os.listdir(staging), "list runs": lambda: os.listdir(staging / "runs"),
    "list its run": lambda: os.listdir(run), "list tenants": lambda: os.listdir(staging / "tenants"),
    "read its claimed file": lambda: (run / "claimed/rows.csv").read_bytes(), "read run.json": lambda: (run / "run.json").read_bytes(),
    "read another's file": lambda: (staging / "tenants/other/in/secret.csv").read_bytes(),
    "stat another's file": lambda: (staging / "tenants/other/in/secret.csv").stat(),
    "read the state": lambda: (data / "coordinator.db").read_bytes(), "write the state": lambda: open(data / "coordinator.db", "ab"),
    "list the bus": lambda: os.listdir(data / "bus"), "read the store": lambda: os.listdir(data / "store"),
    "reach the coordinator": lambda: __import__("socket").socket(1).connect(str(data / "rpc.sock")),
    "write the manifest": lambda: (run / "manifest-9.json").write_bytes(b""), "write the log": lambda: open(run / "program.log", "ab"),
    "change the program": lambda: open(os.environ["PROGRAM_DIR"] + "/run.py", "ab"),
    "add to the program": lambda: open(os.environ["PROGRAM_DIR"] + "/more", "wb"),
    "kill its task": lambda: os.kill(os.getppid(), signal.SIGKILL),
}.items():
    try:
        attempt()
    except (PermissionError, FileNotFoundError) as refused:
        assert isinstance(refused, PermissionError) or what == "read its claimed file", (what, refused)
    else:
        sys.exit("it could " + what)
print("all refused", file=open("/dev/stdout", "w"))
(own.parent / "work").mkdir()
(own.parent / "work/file").write_text("x")
for file in (own / "in").iterdir():
    file.rename(own / "out" / file.name)
"""


def write_tenant(folder, name, data):
    (folder / "program").mkdir(parents=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": name, "schedule": "0 0 1 1 *", "attempts": 1,
        "program": {"command": ["sh", "-c", 'exec python3 "$PROGRAM_DIR/run.py"'], "env": {"DATA": str(data)}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": name, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "rows", "fields": [{"name": "id", "type": "int"}, {"name": "text", "type": "string"}]},
        "primary_key": ["id"]}))
    (folder / "program/run.py").write_text(PROGRAM)


def check_run(cluster, folder):
    for name in ("own", "other"):
        write_tenant(folder / name, name, cluster.data)
        cluster.cli("tenant", "apply", folder / name)
    file, secret = folder / "rows.csv", folder / "secret.csv"
    file.write_text("id,text\n" + "".join(f"{n},row\n" for n in range(100)))
    secret.write_text("id,text\n1,secret\n")
    cluster.cli("upload", "other", secret)
    cluster.cli("upload", "own", file)
    done = cluster.try_cli("run", "now", "own", "--wait")
    assert done.returncode == 0, cluster.json("run", "list", "own")[0]
    assert "all refused" in cluster.cli("run", "logs", "own", cluster.json("run", "list", "own")[0]["run_id"])
    checks.rows_equal(cluster, "own", folder / "own/dataset.json", [file])
    left = [p for p in cluster.staging.rglob("*") if p.lstat().st_uid != os.getuid()]
    assert not left, f"still the program's: {left}"
    sealed = list(cluster.staging.glob("tenants/own/done/*/sealed-*/rows.csv"))
    assert len(sealed) == 1 and stat.S_IMODE(sealed[0].stat().st_mode) == 0o400, sealed


def check_runaway(cluster, folder):
    """What it leaves behind is another user's and ended all the same."""
    (folder / "own/program/run.py").write_text(
        "import os, sys, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\nsys.exit(3)\n")
    cluster.cli("tenant", "apply", folder / "own")
    cluster.cli("upload", "own", folder / "rows.csv")
    done = cluster.try_cli("run", "now", "own", "--wait")
    run = cluster.json("run", "show", "own", cluster.json("run", "list", "own")[0]["run_id"])
    assert done.returncode == 1 and "ended with exit code 3, ended with 5 processes" in run["reason"], run["reason"]


def refusal(folder, *options):
    command = [BUILD / "worker/millrace-worker", "--coordinator", f"ipc://{folder}/rpc.sock", "--state.dir", folder / "state",
               "--task.binary", BUILD / "task/millrace-task", *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2, done
    return done.stderr


def check_refusals(folder):
    closed = folder / "closed"
    (closed / "staging").mkdir(parents=True)
    closed.chmod(0o700)
    said = refusal(folder, "--program.user", USER, "--staging.dir", closed / "staging")
    assert f"it may not search {closed} (chmod o+x {closed}" in said, said
    said = refusal(folder, "--program.user", "no-such-account", "--staging.dir", folder)
    assert "there is no such account" in said and "useradd" in said, said
    assert "is root" in refusal(folder, "--program.user", "root", "--staging.dir", folder)


def main():
    if os.getuid() != 0:
        print("skipped: only root can run programs as another user")
        return
    if not os.stat("/").st_mode & 0o001:
        print("skipped: other users may not even search / (a chroot of mode 0700?)")
        return
    with tempfile.TemporaryDirectory() as place, Cluster(workers=0) as cluster:
        folder = pathlib.Path(place)
        folder.chmod(0o755)
        cluster.folder.chmod(0o711)
        check_refusals(folder)
        worker = cluster.add_worker("worker-1", **{"program.user": USER})
        cluster.start()
        assert "program.user" not in worker.log.read_text()
        for check in (check_run, check_runaway):
            check(cluster, folder)
            print(check.__name__, "ok", flush=True)
        plain = cluster.add_worker("worker-2")
        plain.start()
        wait_for("a root worker says that programs run as root", lambda: "programs of tenants run as root" in plain.log.read_text())


if __name__ == "__main__":
    main()
