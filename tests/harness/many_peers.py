"""Many connections at once, and a client that must not notice them."""
import json
import pathlib
import resource
import threading
import time
import urllib.request


def allow_files(count):
    """For this process and those it starts; needs root where the hard limit is below."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), max(hard, count)))


def send(sock, data):
    try:
        sock.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        pass  # it has heard enough


def waited_for_cpu(process):
    """Seconds that the coordinator's loop and this thread were ready to run and others ran."""
    loop = pathlib.Path(f"/proc/{process.child.pid}/task/{process.child.pid}/schedstat").read_text().split()
    ours = pathlib.Path("/proc/thread-self/schedstat").read_text().split()
    return (int(loop[1]) + int(ours[1])) / 1e9


class GoodClient(threading.Thread):
    """Asks for the status all the time; each answer must come within a second of time that the machine had for it."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.ended, self.took, self.problems = cluster, threading.Event(), [], []

    def run(self):
        while not self.ended.wait(0.05):
            begun = time.monotonic() - waited_for_cpu(self.cluster.coordinator)
            try:
                with urllib.request.urlopen(self.cluster.url + "/status", timeout=10) as answer:
                    assert "healthy" in json.loads(answer.read())
            except OSError as problem:
                self.problems.append(problem)
            self.took.append(time.monotonic() - waited_for_cpu(self.cluster.coordinator) - begun)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        print(f"  {len(self.took)} answers to a good client, the slowest after {max(self.took, default=0) * 1000:.0f} ms")
        assert not self.problems, self.problems[:3]
        assert len(self.took) > 3 and max(self.took) < 1, sorted(self.took)[-5:]


def files_of(process):
    return len(list(pathlib.Path(f"/proc/{process.child.pid}/fd").iterdir()))
