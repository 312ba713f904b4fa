#!/usr/bin/env python3
"""What a tenant's run takes while another tenant's program runs away beside it.

usage: bench/neighbour.py [--rows N] [--rounds N] [KIND...]     (default 200,000 rows, 7 rounds, all kinds of
                                                                 tests/harness/runaways.py; needs build/release)

One worker, two tenants. Alone and beside turn by turn, so that a machine that changes its pace counts for both: prints
the median time of the neighbour's run (from `run now` to its end) alone and beside each kind, and the ratio. Goal: at
most 1.10.
"""
import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
os.environ.setdefault("MR_BUILD", str(ROOT / "build/release"))
sys.path.insert(0, str(ROOT / "tests"))
from harness.cluster import Cluster, wait_for  # noqa: E402
from harness.runaways import EATERS, RUNAWAYS, text, write_tenant  # noqa: E402

COPIES = """
import os, pathlib
own = pathlib.Path(os.environ["SOURCE_PATH"], os.environ["CLIENT_ID"])
for file in (own / "in").iterdir():
    (own / "out" / file.name).write_bytes(file.read_bytes())
"""


def timed(cluster, file):
    cluster.cli("upload", "neighbour", file)
    begun = time.monotonic()
    cluster.cli("run", "now", "neighbour", "--wait")
    return time.monotonic() - begun


def beside(cluster, folder, file):
    """Timed from the moment the wild program has begun."""
    cluster.cli("upload", "wild", folder / "wild.csv")
    cluster.cli("run", "now", "wild")
    wait_for("the wild program runs", lambda: cluster.json("run", "list", "wild")[0]["state"] != "CLAIMING")
    took = timed(cluster, file)
    wait_for("the wild run ends", lambda: cluster.json("run", "list", "wild")[0]["finished_at"], 120)
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=" ".join(RUNAWAYS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, Cluster() as cluster:
        folder = pathlib.Path(place)
        cluster.start()
        write_tenant(folder / "neighbour", "neighbour", COPIES, deadline=600)
        cluster.cli("tenant", "apply", folder / "neighbour")
        file = folder / "rows.csv"
        file.write_text("serial,key,text\n" + "".join(f"{n},{n},row {n}\n" for n in range(options.rows)))
        (folder / "wild.csv").write_text("serial,key,text\n1,1,wild\n")
        timed(cluster, file)
        print(f"{'beside':12} {'alone s':>8} {'beside s':>9} {'ratio':>6}")
        for kind in options.kinds or RUNAWAYS:
            write_tenant(folder / "wild", "wild", text(kind), deadline=2, memory="96Mi" if kind in EATERS else "8Gi")
            cluster.cli("tenant", "apply", folder / "wild")
            times = [(timed(cluster, file), beside(cluster, folder, file)) for _ in range(options.rounds)]
            alone, with_it = (statistics.median(column) for column in zip(*times))
            print(f"{kind:12} {alone:8.3f} {with_it:9.3f} {with_it / alone:6.2f}", flush=True)


if __name__ == "__main__":
    main()
