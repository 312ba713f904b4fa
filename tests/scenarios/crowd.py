"""A hundred tenants, all due at once: every run is done, every row counted, and no process is left."""
import pathlib
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.crowd import Crowd  # noqa: E402

TENANTS = 100


def let_the_time_come(cluster):
    """The test cannot wait for New Year: the coordinator has been away for it."""
    cluster.coordinator.stop()
    db = sqlite3.connect(cluster.data / "coordinator.db")
    with db:
        assert db.execute("UPDATE tenants SET next_due_ms = 1").rowcount == TENANTS
    db.close()
    cluster.coordinator.start()
    wait_for("the coordinator answers", lambda: cluster.try_cli("status").returncode == 0)


def main():
    with Cluster(workers=2, settings={"log.level": "warn"}) as cluster:
        cluster.start()
        crowd = Crowd(cluster, TENANTS)
        crowd.apply("0 0 1 1 *")
        crowd.upload()
        let_the_time_come(cluster)
        took, _ = crowd.wait_complete(time.time(), 120)
        crowd.check()
        wait_for("idle tenants have no process", lambda: not crowd.processes(), 20)
    print(f"{TENANTS} runs due at once, all done within {took:.1f} s")


if __name__ == "__main__":
    main()
