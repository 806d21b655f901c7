"""What a worker learns of its machine: clock, waits, memory, files; and its place between parent and library."""

import ctypes
import hashlib
import os
import signal
import time

# --- clock, waits and memory -------------------------------------------------------------------------

now = time.perf_counter_ns


def precision():
    """Smallest difference of two readings of the clock that is not zero."""
    readings = [now() for _ in range(1000)]
    steps = [later - earlier for earlier, later in zip(readings, readings[1:]) if later > earlier]
    return float(min(steps, default=1))


def waiting(call, wait):
    """A call, and the wait for what it asked a device for."""

    def run():
        call()
        wait()

    return run


def text(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def run_delays():
    """Nanoseconds that each thread was ready to run and had no core."""
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return {}
    lines = {thread: text(f"/proc/self/task/{thread}/schedstat").split() for thread in threads}
    return {thread: int(fields[1]) for thread, fields in lines.items() if len(fields) > 1}


def steal():
    """Nanoseconds that the hypervisor took from this machine."""
    fields = text("/proc/stat").partition("\n")[0].split()
    return int(fields[8]) * (10**9 // os.sysconf("SC_CLK_TCK")) if len(fields) > 8 else 0


def resident(name):
    """Bytes in a row of /proc/self/status, 0 where there is none."""
    for line in text("/proc/self/status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


# --- files -----------------------------------------------------------------------------------------------


def mapped(*words):
    """The first file, by path, that this process has mapped and whose name has one of the words in it."""
    paths = {line.split(maxsplit=5)[-1] for line in text("/proc/self/maps").splitlines() if "/" in line}
    named = (path for path in sorted(paths) if any(word in os.path.basename(path) for word in words))
    return next(named, None)


def short_hash(path):
    """The first 16 hex digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()[:16]


# --- between parent and library --------------------------------------------------------------------------


def private_streams():
    """Requests and answers on descriptors of their own: what a library prints goes to stderr."""
    asks, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(asks, "rb"), os.fdopen(replies, "w", encoding="utf-8")


def die_with_parent():
    """The kernel ends this process when its parent ends (Linux)."""
    set_parent_death_signal = 1
    try:
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    except (OSError, AttributeError):
        pass
