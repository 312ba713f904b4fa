"""What may happen to a cluster at any moment: processes killed at random times and at armed fault points, frozen ones,
full disks, a coordinator that is restored from an old copy of its database.

Every method is one incident; it returns a word for the log, or None when there was nothing to do it to.
"""
import os
import pathlib
import re
import shutil
import signal
import time

from .cluster import ROOT

FOLDERS = ("coordinator", "worker", "task", "bus", "connectors")
COPIES = 6


def fault_points(folders=FOLDERS):
    """Names of all points where a process may be killed, by reading the sources."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.c")):
            if not path.name.endswith("_test.c"):
                yield from re.findall(r'MR_FAULT\("(\w+)"\)', path.read_text())


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Points:
    """Fault points that are armed one by one: a point is armed while its mark does not exist."""

    def __init__(self, marks):
        self.marks, self.names = marks, sorted(set(fault_points()))
        self.armed = {}
        marks.mkdir()
        for name in self.names:
            self.mark(name).touch()

    def environment(self):
        return {"MR_FAULT_DIR": str(self.marks), "MR_FAULT_KILL": ",".join(self.names)}

    def mark(self, name):
        return self.marks / f"{name}.killed"

    def arm(self, rng):
        name = rng.choice([name for name in self.names if name not in self.armed])
        self.armed[name] = time.monotonic()
        self.mark(name).unlink()
        return f"armed {name}"

    def hits(self, patience_s):
        """Points at which a process was killed since the last call; those that nobody comes by are given up."""
        hit = [name for name in self.armed if self.mark(name).exists()]
        for name in [name for name, since in self.armed.items() if time.monotonic() - since > patience_s and name not in hit]:
            self.mark(name).touch()
            del self.armed[name]
        for name in hit:
            del self.armed[name]
        return hit


class Havoc:
    def __init__(self, cluster, points, rng, disks=()):
        self.cluster, self.points, self.rng, self.disks = cluster, points, rng, disks
        self.copies, self.number = [], 0

    # --- who there is ---

    def tasks(self):
        return [pid for worker in self.cluster.workers for pid in children(worker.child.pid)]

    def programs(self):
        return [pid for task in self.tasks() for pid in children(task)]

    def anyone(self):
        """A pid and what it is; all kinds are equally likely, whatever their numbers."""
        kinds = [("coordinator", [self.cluster.coordinator.child.pid]),
                 ("worker", [worker.child.pid for worker in self.cluster.workers]),
                 ("task", self.tasks()), ("program", self.programs())]
        kind, pids = self.rng.choice([(kind, pids) for kind, pids in kinds if pids])
        return kind, self.rng.choice(pids)

    # --- incidents ---

    def kill(self):
        kind, pid = self.anyone()
        return f"killed {kind} {pid}" if send(pid, signal.SIGKILL) else None

    def freeze(self):
        kind, pid = self.anyone()
        seconds = self.rng.choice((0.1, 0.5, 1.5, 4.0))
        if not send(pid, signal.SIGSTOP):
            return None
        time.sleep(seconds)
        send(pid, signal.SIGCONT)
        return f"froze {kind} {pid} for {seconds} s"

    def copy_state(self):
        folder = self.cluster.folder / f"copy-{self.number}"
        self.number += 1
        self.cluster.copy_state(folder)
        self.copies.append((time.monotonic(), folder))
        if len(self.copies) > COPIES:
            old = self.copies.pop(self.rng.randrange(len(self.copies)))
            shutil.rmtree(old[1])
        return f"killed coordinator, copied its database to {folder.name}"

    def restore_state(self):
        if not self.copies:
            return None
        taken, folder = self.rng.choice(self.copies)
        self.cluster.restore_state(folder)
        # Copies of the time that has just been undone belong to no past of this coordinator any more.
        self.copies = [copy for copy in self.copies if copy[0] <= taken]
        return f"killed coordinator, restored {folder.name}, {time.monotonic() - taken:.0f} s old"

    def fill_disk(self):
        """Nothing can be written to one of the folders for a while."""
        if not self.disks:
            return None
        disk = self.rng.choice(self.disks)
        ballast, seconds = disk / "ballast", self.rng.choice((0.3, 1.0, 3.0))
        with open(ballast, "wb", buffering=0) as out:
            try:
                while True:
                    out.write(bytes(1 << 20))
            except OSError:
                pass
            try:
                while True:
                    out.write(bytes(4096))
            except OSError:
                pass
        time.sleep(seconds)
        ballast.unlink()
        return f"filled {disk.name} for {seconds} s"
