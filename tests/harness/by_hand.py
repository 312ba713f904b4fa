"""Source and sink tasks run by hand, without a cluster: their input, their configuration, their restarts."""
import collections
import csv
import hashlib
import json
import os
import random
import re
import subprocess
import threading
import time

from .cluster import BUILD

TASK = BUILD.resolve() / "task/millrace-task"
PRELOAD = os.environ.get("MR_PRELOAD", str(BUILD.resolve() / "tests/libdrop_unsynced.so"))
ROWS, FILES, DEADLINE_S = 3000, 3, 120
TENANT, TOPIC = "killed", "killed.rows"

SCHEMA = {"type": "record", "name": "rows", "fields": [
    {"name": "key", "type": "string"}, {"name": "serial", "type": "long"}, {"name": "number", "type": "int"},
    {"name": "real", "type": "double"}, {"name": "text", "type": ["null", "string"]}]}
COLUMNS = [field["name"] for field in SCHEMA["fields"]]
NAMES = ["serial", "text", "key", "real", "number"]  # as the files have them


# --- input, and what must become of it ------------------------------------------------------------------------------

class Input:
    """Files with quoted newlines, doubled quotes, rows that the source rejects and rows that the sink rejects."""

    def __init__(self, folder, file_type="csv"):
        self.folder, self.file_type = folder, file_type
        (folder / "claimed").mkdir(parents=True)
        rng, serial, files = random.Random(7), 0, []
        for number in range(FILES):
            path = folder / f"claimed/part-{number}.{file_type}"
            rows = [self.row(rng, serial + 1 + i) for i in range(ROWS // FILES)]
            serial += len(rows)
            with open(path, "w", newline="", encoding="utf-8") as out:
                self.write(out, rows, "\r\n" if number == 1 else "\n")
            data = path.read_bytes()
            files.append({"dataset": "rows", "name": path.name, "path": f"claimed/{path.name}", "size": len(data),
                          "sha256": hashlib.sha256(data).hexdigest()})
        self.manifest = json.dumps({"run_uid": "run-1", "files": files}).encode()
        (folder / "manifest-1.json").write_bytes(self.manifest)
        self.read_again(files)

    def write(self, out, rows, line_end):
        if self.file_type == "csv":
            writer = csv.writer(out, lineterminator=line_end)
            writer.writerow(NAMES)
            writer.writerows(rows)
            return
        for row in rows:
            values = {name: value for name, value in zip(NAMES, row) if value != ""}
            out.write(json.dumps(values, ensure_ascii=row[0] % 2 == 0) + line_end * (1 + row[0] % 5 // 4))

    def rows_of(self, path):
        with open(path, newline="", encoding="utf-8") as lines:
            if self.file_type == "csv":
                yield from csv.DictReader(lines)
            else:
                yield from (json.loads(line) for line in lines if line.strip())

    @staticmethod
    def row(rng, serial):
        text = rng.choice(["plain", "with, comma", 'with "quotes"', "two\nlines", "three\n\nlines, \"all\"", "žluťoučký", ""])
        number = "not a number" if serial % 53 == 7 else rng.randrange(-1000, 1000)
        real = "NaN" if serial % 71 == 3 else rng.randrange(1000) / 8
        return [serial, text, f"key {rng.randrange(ROWS // 3)}", real, number]

    def read_again(self, files):
        self.good, self.source_rejects, self.sink_rejects = set(), set(), set()
        self.table = {}
        for file in files:
            for row in self.rows_of(self.folder / file["path"]):
                serial = int(row["serial"])
                if row["number"] == "not a number":
                    self.source_rejects.add(serial)
                    continue
                self.good.add(serial)
                if row["real"] == "NaN":
                    self.sink_rejects.add(serial)
                    continue
                self.table[row["key"]] = (row["key"], serial, int(row["number"]), float(row["real"]), row.get("text") or None)


# --- the processes --------------------------------------------------------------------------------------------------

def preload(library=PRELOAD):
    linked = subprocess.run(["ldd", TASK], capture_output=True, text=True, check=True).stdout
    sanitizers = re.findall(r"=> (\S*lib[at]san\S*)", linked)  # their runtime must come first
    return ":".join(sanitizers + [str(library)])


class Trial:
    def __init__(self, folder, data, partitions, sink=None):
        self.folder, self.data, self.partitions = folder, data, partitions
        self.epochs = collections.Counter()
        self.faults = folder / "faults"  # not below what the preload takes back
        self.faults.mkdir(parents=True)
        self.durable = folder / "durable"
        self.durable.mkdir()
        self.sink = sink or {"connector.class": "sqlite", "store.dir": self.durable / "store", "key.space": "space"}
        self.deadline = time.monotonic() + DEADLINE_S

    def properties(self, kind, **more):
        digest = hashlib.sha256(self.data.manifest).hexdigest()
        values = {"kind": kind, "name": f"rows.{kind}", "epoch": self.epochs[kind], "tenant": TENANT, "tenant.uid": "uid-1",
                  "dataset": "rows", "bus.dir": self.durable / "bus", "topic": TOPIC, "topic.partitions": self.partitions,
                  "schema": json.dumps(SCHEMA), "schema.id": 1, "primary.key": '["key"]'}
        if kind == "source":
            values |= {"run.uid": "run-1", "run.seq": 1, "connector.class": "files", "key.schema.id": 2, "files.type": self.data.file_type,
                       "files.root": self.data.folder, "files.manifest": self.data.folder / "manifest-1.json",
                       "files.manifest.sha256": digest}
        else:
            values |= {**self.sink, "until.end": "true"}
        return write_properties(self.folder / f"{kind}.properties", values | more)

    def start(self, kind, fault, **more):
        """Runs a task once, in a new epoch; its exit code."""
        self.epochs[kind] += 1
        environment = {**os.environ, "MR_FAULT_DIR": str(self.faults), **fault}
        if PRELOAD:
            environment |= {"MR_PRELOAD_ROOT": str(self.durable), "LD_PRELOAD": preload()}
        log = self.folder / f"{kind}.log"
        with open(log, "ab") as out:
            return subprocess.run([TASK, "--config", self.properties(kind, **more)], stderr=out, env=environment,
                                  timeout=DEADLINE_S, check=False).returncode

    def once(self, kind, fault, **more):
        """Whether it ended by itself; it may only be killed otherwise."""
        code = self.start(kind, fault, **more)
        assert code in (0, -9), f"{kind} ended with {code}:\n{(self.folder / f'{kind}.log').read_text()[-3000:]}"
        return code == 0

    def until_done(self, kind, fault, **more):
        while not self.once(kind, fault, **more):
            assert time.monotonic() < self.deadline, f"{kind} is not done in time"

    def side_by_side(self, fault):
        """The sink starts again whenever it has caught up, until the source is done."""
        failures = []

        def source():
            try:
                self.until_done("source", fault)
            except BaseException as failure:  # noqa: BLE001 - handed to the main thread
                failures.append(failure)
        thread = threading.Thread(target=source)
        thread.start()
        while thread.is_alive():
            self.once("sink", fault)
        thread.join()
        if failures:
            raise failures[0]
        self.until_done("sink", fault)

    def inspect(self, kind):
        config = write_properties(self.folder / "inspect.properties", {
            "bus.dir": self.durable / "bus", "tenant": TENANT, "topic": TOPIC, "schema": json.dumps(SCHEMA)})
        done = subprocess.run([TASK, "--inspect", kind, "--config", config], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def write_properties(path, values):
    lines = [f"{key}=" + str(value).replace("\\", "\\\\").replace("\n", "\\n") for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n")
    return path
