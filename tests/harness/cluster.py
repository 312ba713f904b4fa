"""A cluster of real processes on one machine, for scenarios: a coordinator, workers, and the CLI against them.

    with Cluster(workers=2) as cluster:
        cluster.start()
        cluster.cli("tenant", "apply", "tenants/client_a")

Everything lives in one temporary folder; close() ends every process, and fails the scenario if one of them left a
sanitizer's report in its log or a child behind. MR_BUILD names the build folder (default build/asan).
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan"))
PRELOAD = BUILD / "tests/libdrop_unsynced.so"
FREES_AT_ONCE = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}  # where memory is measured
SANITIZER_MARKS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def wait_for(what, condition, seconds=30.0):
    """The first true value of condition(), polled; fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """One binary that is started, and under supervision started again whenever it ends."""

    def __init__(self, name, command, log, environment):
        self.name, self.command, self.log, self.environment = name, command, log, environment
        self.child, self.starts, self.supervised = None, 0, False
        self.guard, self.lock = None, threading.Lock()

    def start(self, supervise=False):
        with self.lock:
            self.supervised = supervise
            self._spawn()
        if supervise:
            self.guard = threading.Thread(target=self._supervise, daemon=True)
            self.guard.start()

    def _spawn(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=self.environment, start_new_session=True)
        self.starts += 1

    def _supervise(self):
        while True:
            self.child.wait()
            with self.lock:
                if not self.supervised:
                    return
                self._spawn()

    def kill(self, number=signal.SIGKILL):
        self.child.send_signal(number)

    def resident_kb(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    @contextlib.contextmanager
    def down(self):
        """Killed, and not started again before the end of the block."""
        with self.lock:
            self.child.kill()
            self.child.wait()
            yield
            if self.guard is None:
                self._spawn()

    def stop(self, seconds=15):
        """Ends it in order; its exit status."""
        with self.lock:
            self.supervised = False
        if self.child is None:
            return 0
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.terminate()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM")


class Cluster:
    def __init__(self, workers=1, settings=None, environment=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-"))
        suppressions = f"suppressions={ROOT / 'tests/lsan.supp'}:print_suppressions=0"
        self.environment = dict(os.environ, LSAN_OPTIONS=suppressions, **(environment or {}))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data, self.staging = self.folder / "data", self.folder / "data/staging"
        self._properties("coordinator", {"data.dir": self.data, "listen": f"127.0.0.1:{self.port}",
                                         "task.binary": BUILD / "task/millrace-task", **(settings or {})})
        self.coordinator = self._process("coordinator", "coordinator/millrace-coordinator")
        self.workers = []
        for number in range(1, workers + 1):
            self.add_worker(f"worker-{number}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.close()
        except AssertionError as problem:
            if kind is None:
                raise
            print(problem)
        finally:
            if kind is None and not os.environ.get("MR_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)
            else:
                print(f"kept: {self.folder}")

    def _properties(self, name, values):
        path = self.folder / f"{name}.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        return path

    def _process(self, name, binary):
        command = [str(BUILD / binary), "--config", str(self.folder / f"{name}.properties")]
        return Process(name, command, self.folder / f"{name}.log", self.environment)

    def add_worker(self, name, environment=None, **settings):
        self._properties(name, {"name": name, "coordinator": f"ipc://{self.data}/rpc.sock", "staging.dir": self.staging,
                                "state.dir": self.folder / f"{name}.state",
                                "task.binary": BUILD / "task/millrace-task", **settings})
        worker = self._process(name, "worker/millrace-worker")
        worker.environment = dict(self.environment, **(environment or {}))
        self.workers.append(worker)
        return worker

    def start(self, supervise=False):
        self.coordinator.start(supervise)
        for worker in self.workers:
            worker.start(supervise)
        wait_for("workers are alive", self.ready, 30)

    def ready(self):
        done = self.try_cli("worker", "list", "--output", "json")
        if done.returncode != 0:
            return False
        alive = [w for w in json.loads(done.stdout) if w["state"] == "alive"]
        return len(alive) == len(self.workers)

    def try_cli(self, *words, timeout=120):
        environment = dict(self.environment, MILLRACE_COORDINATOR=self.url)
        for name in [n for n in environment if n.startswith("MR_FAULT") or n == "LD_PRELOAD"]:
            del environment[name]
        return subprocess.run([str(BUILD / "cli/millrace"), *map(str, words)], capture_output=True, text=True, cwd=ROOT,
                              env=environment, timeout=timeout)

    def cli(self, *words, timeout=120):
        """Standard output of a command that must succeed."""
        done = self.try_cli(*words, timeout=timeout)
        assert done.returncode == 0, f"millrace {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words, timeout=120):
        return json.loads(self.cli(*words, "--output", "json", timeout=timeout))

    def runs_left(self):
        """Names still below in/ or runs/: nothing, when all work is done."""
        left = [p for p in (self.staging / "runs").glob("*")] if (self.staging / "runs").exists() else []
        return left + [p for p in self.staging.glob("tenants/*/in/*")]

    def copy_state(self, folder):
        """Copies the coordinator's database as it is at this moment: the coordinator is killed for it."""
        folder.mkdir()
        with self.coordinator.down():
            for file in self.data.glob("coordinator.db*"):
                shutil.copy(file, folder)

    def restore_state(self, folder):
        """Kills the coordinator; the next one starts with the copy."""
        with self.coordinator.down():
            for file in self.data.glob("coordinator.db*"):
                file.unlink()
            for file in folder.iterdir():
                shutil.copy(file, self.data)

    def close(self):
        for process in [*self.workers, self.coordinator]:
            process.stop()
        problems = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace")
            if any(mark in text for mark in SANITIZER_MARKS):
                problems.append(f"{log.name}: a sanitizer complains:\n{text[-6000:]}")
        left = [p for p in self._processes() if p != os.getpid()]
        for pid in left:
            problems.append(f"left behind: process {pid}: {self._command(pid)}")
            os.kill(pid, signal.SIGKILL)
        assert not problems, "\n".join(problems)

    def _processes(self):
        """Processes whose command line or environment names this cluster's folder."""
        mark = str(self.folder).encode()
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if mark in (entry / "cmdline").read_bytes() or mark in (entry / "environ").read_bytes():
                        yield int(entry.name)
                except OSError:
                    pass

    @staticmethod
    def _command(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return "gone"
