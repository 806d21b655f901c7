"""The conversation with the parent: requests, answers, and the clock of a sample."""

import importlib
import json
import math
import os

from worker.errors import Refused, Unsupported
from worker.machine import die_with_parent, now, precision, private_streams, resident, run_delays, steal, waiting

PROTOCOL = 1
MOST_EACH = 4096  # longest each_ns of a sample
STEPS_OF_CLOCK = 100  # a sample lasts so many steps of the clock
MOST_WITHOUT_TIME = 1 << 20
MOST_PROFILED = 1000
ASKS = ("hello", "load", "verify", "calibrate", "sample", "profile", "probe", "read", "memory", "free", "quit")


class Session:
    """What a worker holds between requests."""

    def __init__(self, backend, module):
        self.backend, self.module = backend, module
        self.library, self.loaded, self.peak_is_known = None, None, True

    def hello(self, ask):
        lane = ask["lane"]
        if ask["protocol"] != PROTOCOL:
            raise Refused(f"this worker speaks protocol {PROTOCOL}, not {ask['protocol']}")
        if self.library is not None:
            raise Refused(f"{self.backend} is open already: a worker serves one backend")
        family, _, number = str(ask["backend"]).rpartition("/")
        is_device = family == self.backend and number.isdigit()
        if ask["backend"] != self.backend and not is_device:
            raise Refused(f"this worker is {self.backend}, not {ask['backend']}")
        if not 1 <= lane["threads"] <= 4096:
            raise Refused(f"{lane['threads']} threads: 1 to 4096 are possible")
        peer = self.found()
        if peer.HAS_DEVICES != is_device:
            raise Refused(f"{self.backend} {'wants the number of a device' if peer.HAS_DEVICES else 'has one device only'}")
        if lane.get("packing", "plain") not in peer.PACKINGS:
            raise Refused(f"{self.backend} lays out nothing anew; ask for the packing `plain`")
        library = peer(ask["backend"], lane)
        hello = {"reply": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "identity": library.identity(),
                 "clock_precision_ns": precision()}
        self.library = library
        return hello

    def found(self):
        """The library's class, once what it wraps has been loaded."""
        try:
            # Not earlier: its chatter goes to the log now, and its absence can be answered.
            return importlib.import_module(self.module).Peer
        except (ImportError, OSError) as error:
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Unsupported(f"this Python cannot load what {self.backend} needs ({what}); "
                              "`make peers` fetches it") from None

    def load(self, ask):
        self.loaded = None
        if self.library is None:
            raise Refused("say hello first")
        self.library.forget()
        if not 1 <= ask["sets"] <= 1 << 16:
            raise Refused(f"{ask['sets']} input sets: 1 to {1 << 16} are possible")
        begin = now()
        try:
            self.loaded = self.library.load(ask["program"], ask["seed"], ask["sets"], ask["keep_all"])
        except (ValueError, IndexError) as why:
            raise Refused(f"the program is wrong: {why}") from None
        return {"reply": "loaded", "load_ns": float(now() - begin), "packing_ns": float(self.loaded.packing_ns),
                "packing_bytes": self.loaded.packed_bytes(), "bytes": self.loaded.bytes(),
                "host_memory": self.library.is_host_memory}

    def held(self):
        if self.loaded is None:
            raise Refused("no program is loaded")
        return self.loaded

    def verify(self, ask):
        loaded = self.held()
        loaded.reset()
        for number in range(loaded.sets):
            loaded.execute(number)
        if not loaded.library.is_host_memory:
            loaded.library.wait()
        return {"reply": "done"}

    def sample(self, ask):
        if not 0 < ask["iters"] < 1 << 64:
            raise Refused(f"a sample of {ask['iters']} executions makes no sense")
        return dict(self.timed(ask["scope"], ask["sync"] == "each", ask["iters"]), reply="sample")

    def timed(self, scope, each, iters):
        loaded = self.held()
        library = loaded.library
        if scope == "device" and not library.has_clock:
            raise Unsupported(f"{self.backend} has no clock of its own")
        loaded.reset()
        execute, wait = loaded.execute, None
        if not library.is_host_memory:
            library.wait()
            wait, execute = library.wait, loaded.round_trip if scope == "end_to_end" else execute
        delays, stolen = run_delays(), steal()
        if scope == "device":
            ns, kept = by_device(loaded, each, iters)
        else:
            ns, kept = by_host(execute, wait, loaded.sets, each, iters)
        waited = sum(delay - delays.get(thread, 0) for thread, delay in run_delays().items())
        sample = {"ns": float(ns), "run_delay_ns": max(waited, 0), "steal_ns": max(steal() - stolen, 0)}
        return dict(sample, each_ns=kept) if each else sample

    def calibrate(self, ask):
        wanted = max(float(ask["min_ns"]), STEPS_OF_CLOCK * precision(), 1.0)
        iters = 1
        while True:
            took = self.timed(ask["scope"], ask["sync"] == "each", iters)["ns"]
            if took >= wanted:
                each = took / iters
                return {"reply": "calibrated", "iters": int(-(-wanted // each)), "each_ns": each}
            if took == 0.0 and iters >= MOST_WITHOUT_TIME:
                raise Unsupported(f"the clock stood still over {iters} executions")
            iters *= int(min(max(-(-wanted // max(took, 1.0)), 2), 16))

    def profile(self, ask):
        loaded, times = self.held(), ask["times"]
        if not 1 <= times <= MOST_PROFILED:
            raise Refused(f"{times} profiled executions: 1 to {MOST_PROFILED} are possible")
        loaded.reset()
        if len(loaded.steps(0)) != len(loaded.program["steps"]):
            raise Unsupported(f"{self.backend} runs a program in one piece")

        def execute():
            loaded.execute(0)

        if not loaded.library.is_host_memory:
            execute = waiting(execute, loaded.library.wait)
        execute()
        whole, steps = [], []
        for _ in range(times):
            begin = now()
            execute()
            whole.append(float(now() - begin))
            steps.append(loaded.steps(0))
        return {"reply": "profiled", "whole_ns": whole, "steps_ns": steps}

    def probe(self, ask):
        raise Refused(f"{self.backend} has no peak probes")

    def read(self, ask):
        loaded, value, count = self.held(), ask["value"], ask["len"]
        values = loaded.program["values"]
        if not 0 <= value < len(values) or not 0 <= ask["set"] < loaded.sets:
            raise Refused(f"there is no value {value}, or no set {ask['set']}")
        elements = math.prod(values[value]["shape"])
        if ask["offset"] < 0 or count < 0 or ask["offset"] + count > elements:
            raise Refused(f"value {value} has {elements} elements, not {count} from {ask['offset']} on")
        try:
            with open(ask["path"], "wb") as file:
                file.write(loaded.read(value, ask["set"], ask["offset"], count))
        except OSError as error:
            raise Refused(f"cannot write the value's file: {error.strerror}") from None
        return {"reply": "done"}

    def memory(self, ask):
        if ask["reset_peak"]:
            try:
                with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
                    file.write("5")
            except OSError:
                # A mark that could not be restarted covers the wrong time.
                self.peak_is_known = False
        held = self.library.held(ask["reset_peak"]) if self.library else None
        if held is None:
            held = {"resident": resident("VmRSS"), "peak": resident("VmHWM") if self.peak_is_known else 0}
        return {"reply": "memory", "bytes": self.loaded.bytes() if self.loaded else {}, **held}

    def free(self, ask):
        self.loaded = None
        if self.library is not None:
            self.library.forget()
        return {"reply": "done"}

    quit = free

    def answer(self, line):
        """One reply to one line, and whether the conversation goes on."""
        try:
            ask = json.loads(line)
            name = ask["ask"]
            if name not in ASKS:
                raise Refused(f"this line is no request of the worker protocol: {name!r}")
            return getattr(self, name)(ask), name != "quit"
        except Refused as why:
            return {"reply": "refused", "why": str(why)}, True
        except Unsupported as why:
            return {"reply": "fault", "fault": "unsupported", "message": str(why)}, True
        except MemoryError as why:
            return {"reply": "fault", "fault": "out_of_memory", "message": str(why) or "there was none"}, True
        except (ValueError, KeyError, TypeError, RecursionError) as why:
            what = f"this line is no request of the worker protocol: {type(why).__name__} {why}"
            return {"reply": "refused", "why": what}, True
        except Exception as why:
            return fault_of(why), True


def by_host(execute, wait, sets, each, iters):
    """Nanoseconds of so many executions by the host's clock, and with a wait after each of every n-th."""
    kept, stride = [], -(-iters // MOST_EACH)
    begin = last = now()
    if each:
        for number in range(iters):
            execute(number % sets)
            if wait:
                wait()
            moment = now()
            if number % stride == stride - 1:
                kept.append(float(moment - last))
            last = moment
    else:
        for number in range(iters):
            execute(number % sets)
        if wait:
            wait()
        last = now()
    return last - begin, kept


def by_device(loaded, each, iters):
    """The same by the device's own clock."""
    if not each:
        return loaded.library.device_time(loaded, 0, iters), []
    stride = -(-iters // MOST_EACH)
    times = [loaded.library.device_time(loaded, number, 1) for number in range(iters)]
    return sum(times), [float(took) for took in times[stride - 1 :: stride]]


def fault_of(error):
    """What a library's own error means: memory that it did not get, by whatever class it says so, or a fault."""
    message = " ".join(str(error).split())[:400] or type(error).__name__
    is_memory = any(word in message.lower() for word in ("allocate", "bad_alloc", "out of memory"))
    # After an error of CUDA's every later call of the process fails.
    is_lost = not is_memory and "CUDA error" in message
    kind = "out_of_memory" if is_memory else "device_lost" if is_lost else "library"
    return {"reply": "fault", "fault": kind, "message": message}


def main(backend, module):
    """Serves `backend` by the class `Peer` of a module until stdin ends or the parent says so."""
    die_with_parent()
    asks, replies = private_streams()
    session, going = Session(backend, module), True
    while going:
        line = asks.readline()
        if not line:
            break
        reply, going = session.answer(line)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    # Nothing is left to save, and a large library takes seconds to take itself down.
    os._exit(0)
