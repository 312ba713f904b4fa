#!/usr/bin/env python3
"""A thousand tenants with schedules on one machine: start, status, due times, all runs of one minute, and idling.

    cmake --preset release && cmake --build --preset release
    bench/scale.py                 # about six minutes
    bench/scale.py --tenants 100
"""
import argparse
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("MR_BUILD", str(ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests"))
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.crowd import Crowd, next_minute  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def restart(crowd):
    """From exec to the first answer."""
    cluster = crowd.cluster
    cluster.coordinator.stop()
    begun = time.monotonic()
    cluster.coordinator.start()

    def answers():
        try:
            return crowd.status()
        except OSError:
            return None
    wait_for("the coordinator answers", answers, 30)
    return time.monotonic() - begun


def alone(cluster, tenants):
    """How late the run of one more tenant begins, which is due in a minute of its own."""
    one = Crowd(cluster, tenants + 1)
    one.names = one.names[-1:]
    due, schedule = next_minute(2)
    one.apply(schedule)
    one.upload()
    one.wait_complete(due, 60)
    return one.lateness()[0]


def say(what, text):
    print(f"{what:44} {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000)
    options = parser.parse_args()
    with Cluster(workers=1, settings={"log.level": "warn"}) as cluster:
        cluster.start()
        crowd = Crowd(cluster, options.tenants)
        due, schedule = next_minute(15 + options.tenants * 0.12)
        begun = time.monotonic()
        crowd.apply(schedule)
        say(f"{options.tenants} tenants applied", f"{time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        crowd.upload()
        say("a file uploaded for each", f"{time.monotonic() - begun:.1f} s")
        say("start of the coordinator (goal 1 s)", f"{restart(crowd) * 1000:.0f} ms")
        times = sorted(crowd.status()[1] for _ in range(100))
        say("status, idle (goal 100 ms)", f"median {statistics.median(times) * 1000:.1f} ms, maximum {times[-1] * 1000:.1f} ms")
        assert time.time() < due, "the tenants were not there in time: the machine is too slow for this"
        before = cpu_seconds(cluster.coordinator)
        took, times = crowd.wait_complete(due, 600)
        crowd.check()
        late = sorted(crowd.lateness())
        say("a run begins after it is due (goal 100 ms)", f"median {statistics.median(late) * 1000:.0f} ms, maximum {late[-1] * 1000:.0f} ms")
        say("all runs of that minute done (goal 180 s)", f"{took:.1f} s")
        say("status meanwhile (goal 100 ms)", f"median {statistics.median(times) * 1000:.1f} ms, maximum {max(times) * 1000:.1f} ms")
        say("CPU of the coordinator for it", f"{cpu_seconds(cluster.coordinator) - before:.1f} s")
        begun = time.monotonic()
        wait_for("no process is left", lambda: not crowd.processes(), 30)
        say("idle tenants have no process", f"{time.monotonic() - begun:.1f} s later")
        before = [cpu_seconds(process) for process in (cluster.coordinator, *cluster.workers)]
        time.sleep(10)
        spent = sum(cpu_seconds(process) for process in (cluster.coordinator, *cluster.workers)) - sum(before)
        say("CPU of coordinator and worker while idle", f"{spent / 10 * 100:.2f} %")
        say("resident memory of the coordinator", f"{cluster.coordinator.resident_kb() / 1024:.1f} MiB")
        say("a run that is due alone begins (goal 100 ms)", f"{alone(cluster, options.tenants) * 1000:.0f} ms after its time")
        say("start of the coordinator with its history", f"{restart(crowd) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
