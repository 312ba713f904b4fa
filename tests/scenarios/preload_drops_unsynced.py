"""The fsync-dropping preload itself: what was not synced is gone after the kill, what was synced stays."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("MR_BUILD", ROOT / "build/asan")).resolve() / "tests/libdrop_unsynced.so"

CHILD = """
import os, signal
def put(name, data, sync):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY)
    os.write(fd, data)
    if sync: os.fsync(fd)
    return fd
def sync_folder(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
put("kept", b"kept", True)
os.rename("old-kept", "new-kept")
sync_folder(".")
put("created-but-folder-not-synced", b"x", True)
fd = os.open("grown", os.O_RDWR)
os.pwrite(fd, b"LOST", 0); os.pwrite(fd, b"MORE", 8)
os.rename("old-lost", "new-lost")
os.rename("replacement", "replaced")
os.unlink("removed")
os.mkdir("folder")
os.kill(os.getpid(), signal.SIGKILL)
"""

EXPECTED = {"kept": b"kept", "new-kept": b"1", "grown": b"12345678", "old-lost": b"2", "replacement": b"3",
            "replaced": b"4", "removed": b"5"}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, data in {"old-kept": b"1", "grown": b"12345678", "old-lost": b"2", "replacement": b"3",
                           "replaced": b"4", "removed": b"5"}.items():
            (folder / file).write_bytes(data)
        environment = dict(os.environ, MR_PRELOAD_ROOT=name, LD_PRELOAD=preload())
        child = subprocess.run([sys.executable, "-c", CHILD], cwd=folder, env=environment, stderr=subprocess.PIPE)
        assert child.returncode == -9, child
        found = {p.name: p.read_bytes() if p.is_file() else "folder" for p in folder.iterdir()}
        assert found == EXPECTED, found
    print("unsynced changes were lost, synced ones stayed")


def preload():
    return str(LIBRARY)


if __name__ == "__main__":
    main()
