"""Programs that run away, each in its own way, and what must become of them.

Should Millrace fail to end one, it ends by itself: each
is bounded, well beyond what it may do (the fork bomb by tokens in a pipe). MARK in the environment of all their processes tells them apart.
"""
import json
import os

MARK = "MILLRACE_RUNAWAY"
EATERS = ("greedy", "growing", "many")  # of memory

HEAD = """
import os, pathlib, signal, sys, time
own = pathlib.Path(os.environ["SOURCE_PATH"], os.environ["CLIENT_ID"])
def linger(seconds=60):
    while seconds > 0:
        time.sleep(1)
        seconds -= 1
def daemonise():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            return True
        os._exit(0)
    os.wait()
    return False
def good():
    for file in (own / "in").iterdir():
        (own / "out" / file.name).write_bytes(file.read_bytes())
"""

# name: (program, words that the run's reason holds; None: the run succeeds)
RUNAWAYS = {
    "exits": ('print("it broke"); sys.exit(3)', "ended with exit code 3; last output: it broke"),
    "late": ("[os.fork() for _ in range(3)]; linger()", "ran past its deadline of 2 s, ended with 8 processes"),
    "deaf": ("signal.signal(signal.SIGTERM, signal.SIG_IGN); linger()", "ran past its deadline of 2 s, ended with 1 process"),
    "stopped": ("os.kill(os.getpid(), signal.SIGSTOP)", "ran past its deadline of 2 s, ended with 1 process"),
    "daemon": ("""
if daemonise():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    out = os.open(own / "out/more.csv", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(out, b"serial,key,text\\n")
    for _ in range(100000):
        os.write(out, b"-1,-1,late\\n")
    linger()
while not (own / "out/more.csv").exists():
    time.sleep(0.01)
good()""", None),
    "left": ("""
if daemonise():
    linger()
good()""", None),
    "bomb": ("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tokens, given = os.pipe()
os.write(given, b"x" * 600)
os.close(given)
while os.read(tokens, 1):
    if os.fork() == 0:
        os.setsid()
linger()""", "had more than 40 processes at a time (resources.limits.processes)"),
    "greedy": ("held = bytearray(1 << 30)", "MemoryError"),
    "growing": ("""
held = []
while len(held) < 200:
    held.append(b"x" * (1 << 20))
    time.sleep(0.01)
linger()""", "memory limit 96 MiB exceeded"),
    "many": ("""
for _ in range(20):
    if os.fork() == 0:
        held = b"x" * (10 << 20)
        linger()
linger()""", "memory limit 96 MiB exceeded"),
    "writes": ("""
block = b"x" * (1 << 20)
for number in range(2000):
    (own / "out" / str(number)).write_bytes(block)
linger()""", "filled its folder with more than 16 MiB (resources.limits.disk)"),
    "large": ("""
with open(own / "out/large", "wb") as out:
    for _ in range(2000):
        out.write(b"x" * (1 << 20))""", "File too large"),
    "prints": ("""
block = b"x" * 1023 + b"\\n"
for _ in range(1 << 20):
    sys.stdout.buffer.write(block)
good()""", None),
    "descriptors": ("""
os.closerange(0, 256)
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    sys.exit(5)""", "ended with exit code 5"),
    "parricide": ("os.kill(os.getppid(), signal.SIGKILL); linger()", "its task was killed by signal 9"),
}


def text(name):
    return HEAD + RUNAWAYS[name][0] + "\n"


def mark(name):
    """Also where two tests run at the same time."""
    return f"{name}-{os.getpid()}"


def write_tenant(folder, name, program, attempts=1, deadline=20, memory="8Gi"):
    (folder / "program").mkdir(parents=True, exist_ok=True)
    (folder / "agreement.json").write_text(json.dumps({
        "client": name, "schedule": "0 0 1 1 *", "attempts": attempts,
        "resources": {"requests": {"memory": "32Mi", "cpu": "50m"},
                      "limits": {"memory": memory, "cpu": "100m", "disk": "16Mi", "processes": 40}},
        "program": {"command": ["sh", "-c", 'exec python3 "$PROGRAM_DIR/main.py"'],
                    "deadline_seconds": deadline, "env": {MARK: mark(name)}}}))
    (folder / "dataset.json").write_text(json.dumps({
        "name": "rows", "file_type": "csv", "key_space": name, "csv.first.row.as.header": True,
        "schema": {"type": "record", "name": "rows", "fields": [
            {"name": "serial", "type": "long"}, {"name": "key", "type": "int"}, {"name": "text", "type": "string"}]},
        "primary_key": ["serial"]}))
    (folder / "program/main.py").write_text(program)
