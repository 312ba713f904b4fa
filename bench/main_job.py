#!/usr/bin/env python3
"""Tenant A's CSV to the embedded bus to the embedded store, exactly once, beside `sqlite3 .import` in the same run.

usage: bench/main_job.py [--rows N] [--runs N] [--keep DIR]     (default 2,000,000 rows, 3 runs; needs build/release)

The peer imports the same file into a rowid table with the same primary key (repeated keys are skipped with errors,
which it cannot upsert). Prints, per run, CPU seconds, elapsed seconds and peak RSS of each process, and the ratio.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TASK = ROOT / "build/release/task/millrace-task"


def measure(command, **options):
    """(CPU seconds, elapsed seconds, peak RSS in MiB) of one process."""
    begun = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], **options)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[0]} failed: {status}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begun, usage.ru_maxrss / 1024


def properties(path, values):
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return path


def write_manifest(folder, csv):
    digest = hashlib.sha256()
    with open(csv, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"run_uid": "bench", "files": [
        {"dataset": "speed-tracking-data", "name": csv.name, "path": csv.name, "size": csv.stat().st_size,
         "sha256": digest.hexdigest()}]}))
    return manifest, hashlib.sha256(manifest.read_bytes()).hexdigest()


def ours(folder, csv, dataset):
    manifest, manifest_hash = write_manifest(folder, csv)
    work = folder / "ours"
    shutil.rmtree(work, ignore_errors=True)
    (work / "bus").mkdir(parents=True)
    (work / "store").mkdir()
    common = {"tenant": "client_a", "tenant.uid": "0" * 32, "dataset": dataset["name"], "task": 0, "epoch": 1,
              "bus": "embedded", "bus.dir": work / "bus", "topic": f"client_a.{dataset['name']}", "topic.partitions": 1,
              "schema": json.dumps(dataset["schema"]), "schema.id": 1, "primary.key": json.dumps(dataset["primary_key"])}
    source = properties(work / "source.properties", {
        **common, "kind": "source", "name": "source", "key.schema.id": 2, "connector.class": "files", "run.uid": "bench",
        "run.seq": 1, "files.root": folder, "files.manifest": manifest, "files.manifest.sha256": manifest_hash})
    sink = properties(work / "sink.properties", {
        **common, "kind": "sink", "name": "sink", "connector.class": "sqlite", "store.dir": work / "store",
        "key.space": dataset["key_space"], "table": dataset["schema"]["name"], "until.end": "true"})
    result = {}
    for name, config in (("source", source), ("sink", sink)):
        with open(work / f"{name}.log", "w") as log:
            result[name] = measure([TASK, "--config", config], stderr=log)
    return result


def peer(folder, csv, dataset):
    database = folder / "peer.db"
    for suffix in ("", "-wal", "-shm"):
        pathlib.Path(f"{database}{suffix}").unlink(missing_ok=True)
    types = {"string": "TEXT", "int": "INTEGER", "double": "REAL"}
    columns = ", ".join(f"{f['name']} {types[f['type']]} NOT NULL" for f in dataset["schema"]["fields"])
    script = (f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;\n"
              f"CREATE TABLE analytics({columns}, PRIMARY KEY({', '.join(dataset['primary_key'])}));\n"
              f".import --csv --skip 1 {csv} analytics\n")
    return measure(["sqlite3", database], stdin=feed(folder, script), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def feed(folder, text):
    path = folder / "peer.sql"
    path.write_text(text)
    return open(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    dataset = json.loads((ROOT / "tenants/client_a/dataset.json").read_text())
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-", dir="/var/tmp"))
    folder.mkdir(exist_ok=True)
    csv = folder / "rows.csv"
    if not csv.exists():
        subprocess.run([ROOT / "tenants/generate.py", "a", "--rows", str(options.rows), "--seed", "1", "--output", csv],
                       check=True)
    print(f"{options.rows} rows, {csv.stat().st_size / 1e6:.0f} MB")
    ratios = []
    for run in range(1, options.runs + 1):
        mine, theirs = ours(folder, csv, dataset), peer(folder, csv, dataset)
        cpu = mine["source"][0] + mine["sink"][0]
        ratios.append(cpu / theirs[0])
        for name, (seconds, elapsed, peak) in (*mine.items(), ("sqlite3 .import", theirs)):
            print(f"run {run}  {name:16} {seconds:6.2f} CPU s  {seconds * 1e6 / options.rows:5.2f} CPU s/M  "
                  f"{elapsed:6.2f} s  {peak:6.1f} MiB peak")
        print(f"run {run}  ratio of CPU seconds, ours / peer: {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (goal: at most 0.70)")
    if options.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
