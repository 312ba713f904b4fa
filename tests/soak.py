#!/usr/bin/env python3
"""The random-kill soak: a cluster at work while anything that may happen to it does, and a verdict at the end.

    tests/soak.py --kills 300                      # 10 to 15 minutes
    tests/soak.py --kills 300 --seed 7             # the same choices again (the machine's timing is never the same)
    tests/soak.py --kills 5000 --minutes 240

Two tenants upload numbered rows, some of them bad, run on schedules and by hand, cancel runs and change their agreements. Meanwhile coordinator, workers, tasks
and programs are killed at random times and at armed fault points, frozen for a moment, the folders' disks become full,
and the coordinator is restored from old copies of its database. When the kills are done, all files must arrive by
themselves. The verdict is independent of Millrace: the store equals a reading of the files by Python (the last upload of a
key wins), each row's serial number stands exactly once in topic and dead letters, the ledger equals Python's counts,
nothing is left in in/ and runs/. Exit 0 when all is right; else 1, and the folder with all logs is kept.

Full disks need a mount namespace of its own (root, or a kernel with user namespaces); --no-disk-full leaves them out.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import checks  # noqa: E402
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.havoc import Havoc, Points  # noqa: E402
from harness.numbered import Numbered  # noqa: E402

DISK_BYTES = 256 << 20
SETTLE_S = 180


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300, help="how many processes are killed (default 300)")
    parser.add_argument("--minutes", type=float, help="how long the kills take (default: 2.2 s each)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the choices of a former run")
    parser.add_argument("--no-disk-full", action="store_true", help="leave full disks out")
    parser.add_argument("--no-restore", action="store_true", help="leave restored copies out")
    options = parser.parse_args(arguments)
    options.seed = random.randrange(1 << 31) if options.seed is None else options.seed
    options.minutes = options.kills * 2.2 / 60 if options.minutes is None else options.minutes
    return options


# --- full disks: small file systems of our own ----------------------------------------------------------------------

def enter_namespace(options):
    """Starts again in a mount namespace of its own; where that is not allowed, as in a chroot, disks do not fill up."""
    if os.environ.get("MR_SOAK_NAMESPACE"):
        return
    own = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        own += ["--user", "--map-root-user"]
    if subprocess.run([*own, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("full disks are left out: they need a mount namespace of one's own (unshare --mount)", flush=True)
        options.no_disk_full = True
        return
    os.execvpe("unshare", [*own, sys.executable, *sys.argv], {**os.environ, "MR_SOAK_NAMESPACE": "1"})


def mount_disks(cluster):
    disks = [cluster.data / name for name in ("staging", "bus", "store")]
    for disk in disks:
        disk.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True)
    return disks


# --- the incidents, one after the other ------------------------------------------------------------------------------

class Soak:
    def __init__(self, options, cluster, points, tenants, disks):
        self.options, self.cluster, self.points, self.tenants = options, cluster, points, tenants
        self.rng = random.Random(options.seed)
        self.havoc = Havoc(cluster, points, self.rng, disks)
        self.begun, self.kills, self.reached, self.told = time.monotonic(), 0, set(), 0.0
        self.what = [(self.havoc.kill, 40), (lambda: points.arm(self.rng), 35), (self.havoc.freeze, 8)]
        if not options.no_restore:
            self.what += [(self.havoc.copy_state, 5), (self.havoc.restore_state, 4)]
        if disks:
            self.what += [(self.havoc.fill_disk, 4)]

    def seconds(self):
        return time.monotonic() - self.begun

    def say(self, text):
        print(f"{self.seconds():7.1f} s  {text}", flush=True)

    def count_hits(self):
        for name in self.points.hits(patience_s=20):
            self.kills += 1
            self.reached.add(name)
            self.say(f"killed at {name}")

    def progress(self):
        if self.seconds() - self.told > 15:
            self.told = self.seconds()
            rows = sum(tenant.rows for tenant in self.tenants)
            self.say(f"--- {self.kills} of {self.options.kills} kills, {rows} rows uploaded")

    def run(self):
        """Incidents at random times, such that the kills take the minutes that were asked for."""
        while self.kills < self.options.kills:
            left_s = max(0.0, self.options.minutes * 60 - self.seconds())
            pause = left_s / (self.options.kills - self.kills)
            time.sleep(min(max(0.05, self.rng.expovariate(1 / pause) if pause > 0 else 0), 10))
            incident = self.rng.choices([what for what, _ in self.what], [weight for _, weight in self.what])[0]
            told = incident()
            if told is not None:
                self.kills += told.startswith("killed")
                self.say(told)
            self.count_hits()
            self.progress()
            for tenant in self.tenants:
                tenant.check()


def settle(cluster, tenants):
    """Nothing happens any more: what is left arrives by itself."""
    def done():
        return all(tenant.settled() for tenant in tenants) and not cluster.runs_left()
    try:
        wait_for("all files have arrived, in/ and runs/ are empty", done, SETTLE_S)
    except AssertionError:
        for tenant in tenants:
            print(cluster.try_cli("run", "list", tenant.name).stdout)
        print(cluster.try_cli("status").stdout, *cluster.runs_left(), sep="\n")
        raise


def soak(options, cluster, points, folder):
    disks = [] if options.no_disk_full else mount_disks(cluster)
    tenants = [Numbered(cluster, folder, "soak-a", program=True, schedule="* * * * *", partitions=2, sinks=1, seed=options.seed),
               Numbered(cluster, folder, "soak-b", program=False, schedule="*/2 * * * *", partitions=1, sinks=2, seed=options.seed)]
    cluster.start(supervise=True)
    for tenant in tenants:
        tenant.apply()
    stop = threading.Event()
    threads = [threading.Thread(target=tenant.work, args=(stop,), daemon=True) for tenant in tenants]
    for thread in threads:
        thread.start()
    work = Soak(options, cluster, points, tenants, disks)
    work.run()
    points.hits(patience_s=-1)
    stop.set()
    for thread in threads:
        thread.join(60)
    work.say(f"--- {work.kills} kills done, at {len(work.reached)} different points; the rest arrives")
    settle(cluster, tenants)
    for tenant in tenants:
        tenant.verdict()
        work.say(f"{tenant.name}: {tenant.rows} rows in {len(tenant.files)} files: store, topic and ledger are right")


def main(arguments=None):
    options = parse(arguments)
    if not options.no_disk_full:
        enter_namespace(options)
    print(f"seed {options.seed}: {options.kills} kills in {options.minutes:.1f} minutes", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-soak-"))
    points = Points(folder / "marks")
    try:
        with Cluster(workers=2, settings={"worker_grace_ms": 500}, environment=points.environment()) as cluster:
            soak(options, cluster, points, folder)
    except BaseException:
        print(f"repeat with --seed {options.seed}; inputs are kept in {folder}")
        raise
    shutil.rmtree(folder)
    print(f"{options.kills} kills: rows right, topic right, ledger exact")


if __name__ == "__main__":
    main()
