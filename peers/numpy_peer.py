"""numpy as a contender: the worker protocol (docs/worker-protocol.md) in Python.

Reads one JSON object a line on stdin and answers each with one line on stdout. Whatever else prints goes
to stderr. It times with its own clock and never grades itself: the parent checks every answer.

An op is a row of OPS: a function that gets the step, its arrays and scratch, once at load, and returns a
function without arguments that computes. Results go to preallocated arrays (`out=`), as a user who cares
about speed would write it. Adding an op here needs its row in src/backends/peer.rs too.
"""

import ctypes
import hashlib
import json
import math
import os
import signal
import sys
import time

PROTOCOL = 1
MOST_EACH = 4096  # longest each_ns of a sample
STEPS_OF_CLOCK = 100  # a sample lasts so many steps of the clock
MOST_WITHOUT_TIME = 1 << 20
CHUNK = 1 << 18  # elements made at once when inputs are filled

try:
    import numpy as np
except ImportError as error:
    np, NO_NUMPY = None, str(error)


class Refused(Exception):
    """The request makes no sense here."""


class Unsupported(Exception):
    """The program, or one of its sizes, cannot run here."""


# --- inputs: SplitMix64's output function over a counter -------------------------------------------

GAMMA = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def mix(z):
    """The output function, for an array of uint64 (which wraps by itself) or a Python integer below 2^64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def bits(seed, value, first, count):
    """64 random bits for each of the elements `first` .. `first + count` of value number `value`."""
    key = mix((seed + (value + 1) * GAMMA) & WORD)
    index = np.arange(first + 1, first + 1 + count, dtype=np.uint64)
    return mix(np.uint64(key) + index * np.uint64(GAMMA))


def fill(array, how, seed, value):
    """Fills `array` with the elements of value number `value`."""
    flat = array.reshape(-1)
    for first in range(0, flat.size, CHUNK):
        part = flat[first : first + CHUNK]
        unit = (bits(seed, value, first, part.size) >> np.uint64(40)).astype(np.float64) / float(1 << 24)
        if how["fill"] == "uniform":
            made = how["low"] + (how["high"] - how["low"]) * unit
        else:
            made = how["low"] + np.floor(unit * (float(how["high"]) - float(how["low"]) + 1.0))
        store(made, part)


def check_generator():
    """The published vectors: SplitMix64 from state 0, and three elements of three values."""
    state = np.arange(1, 4, dtype=np.uint64) * np.uint64(GAMMA)
    wanted = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [int(x) for x in mix(state)] == wanted, "the generator is broken"
    for (seed, value, index), want in VECTORS.items():
        assert int(bits(seed, value, index, 1)[0]) == want, "the generator is broken"


VECTORS = {
    (0, 0, 0): 0xA706DD2F4D197E6F,
    (7, 3, 1000000): 0x8BD04F52FDFCC383,
    (WORD, 1 << 32, 12345678901): 0x5736C2D054E5FD25,
}

# --- elements ---------------------------------------------------------------------------------------


def storage(dtype):
    """The numpy type that holds elements of `dtype`; bf16 as its 16 bits."""
    names = {"f64": "f8", "f32": "f4", "f16": "f2", "bf16": "u2", "i32": "i4", "i8": "i1", "u8": "u1"}
    return np.dtype("<" + names[dtype])


def to_bf16(values):
    """The 16 bits of each f32 rounded to bf16, to nearest even."""
    word = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((word + (np.uint32(0x7FFF) + ((word >> 16) & np.uint32(1)))) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def store(values, array):
    """Rounds `values` into `array`, whose uint16 elements mean bf16."""
    if array.dtype == np.float16:
        values = values.astype(np.float32)  # the generator rounds 16-bit types from f32
    array[...] = to_bf16(values) if array.dtype == np.uint16 else values.astype(array.dtype)


def spoil(array):
    """An element that nobody writes will show."""
    if array.dtype == np.uint16:
        array.fill(0x7FC0)
    elif array.dtype.kind == "f":
        array.fill(np.nan)
    else:
        array.fill(np.iinfo(array.dtype).min)


# --- ops --------------------------------------------------------------------------------------------


def need(fits, why):
    """Refuses a program whose shapes make no sense."""
    if not fits:
        raise Refused(f"the program is wrong: {why}")


def shapes(*arrays):
    """Refuses arrays of different shapes."""
    need(len({array.shape for array in arrays}) == 1, "values of one step differ in shape")


def gemm(step, args, outs, scratch):
    """D = alpha A B + beta C."""
    a, b, d = args[0], args[1], outs[0]
    (m, k), (rows, n) = a.shape[-2:][:: -1 if step["trans_a"] else 1], b.shape[-2:][:: -1 if step["trans_b"] else 1]
    need(k == rows and d.shape == a.shape[:-2] + (m, n), "the matrices of a product do not fit together")
    need(b.ndim == 2 or b.shape[:-2] == a.shape[:-2], "A and B differ in their leading axes")
    if step["trans_a"]:
        a = a.swapaxes(-1, -2)
    elif b.ndim == 2:
        # Products that share B are one product with more rows.
        a, d = a.reshape(-1, a.shape[-1]), d.reshape(-1, d.shape[-1])
    if step["trans_b"]:
        b = b.swapaxes(-1, -2)
    alpha, beta = step["alpha"], step["beta"]
    if beta == 0.0:
        if alpha == 1.0:
            return lambda: np.matmul(a, b, out=d)

        def scaled():
            np.matmul(a, b, out=d)
            np.multiply(d, alpha, out=d)

        return scaled
    c, old = args[2].reshape(d.shape), scratch.array(d.shape, d.dtype)

    def general():
        np.matmul(a, b, out=d)
        np.multiply(d, alpha, out=d)
        np.multiply(c, beta, out=old)
        np.add(d, old, out=d)

    return general


def copy(step, args, outs, scratch):
    """y = x."""
    shapes(args[0], outs[0])
    return lambda: np.copyto(outs[0], args[0])


def triad(step, args, outs, scratch):
    """a = b + scale c."""
    shapes(*args, outs[0])
    scale = step["scale"]

    def run():
        np.multiply(args[1], scale, out=outs[0])
        np.add(args[0], outs[0], out=outs[0])

    return run


def add(step, args, outs, scratch):
    """z = x + y; also a bias, which numpy repeats over the rows."""
    shapes(args[0], outs[0])
    need(args[1].shape == args[0].shape[-args[1].ndim :], "what is added has another shape")
    return lambda: np.add(args[0], args[1], out=outs[0])


def gelu_tanh(x, y):
    """y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), where y is not x."""
    np.multiply(x, x, out=y)
    np.multiply(y, 0.044715, out=y)
    np.add(y, 1.0, out=y)
    np.multiply(y, x, out=y)
    np.multiply(y, 0.7978845608028654, out=y)
    np.tanh(y, out=y)
    np.add(y, 1.0, out=y)
    np.multiply(y, x, out=y)
    np.multiply(y, 0.5, out=y)


def gelu(step, args, outs, scratch):
    """The tanh form; numpy has no erf."""
    if step["form"] != "tanh":
        raise Unsupported("numpy has no error function; gelu is served in its tanh form")
    shapes(args[0], outs[0])
    return lambda: gelu_tanh(args[0], outs[0])


def softmax_rows(x, y, hidden, row, lse):
    """y = exp(x) / sum exp(x) over the last axis; `row` is scratch of one number a row. x may be y."""
    if hidden is not None:
        np.copyto(y, x)
        np.copyto(y, -np.inf, where=hidden)
        x = y
    np.max(x, axis=-1, keepdims=True, out=row)
    np.subtract(x, row, out=y)
    if lse is not None:
        np.copyto(lse, row[..., 0])
    np.exp(y, out=y)
    np.sum(y, axis=-1, keepdims=True, out=row)
    np.divide(y, row, out=y)
    if lse is not None:
        np.log(row, out=row)
        np.add(lse, row[..., 0], out=lse)


def softmax(step, args, outs, scratch):
    """y = softmax(scale x), and each row's log-sum-exp."""
    x, y = args[0], outs[0]
    shapes(x, y)
    row = scratch.array(x.shape[:-1] + (1,), x.dtype)
    lse = outs[1] if step["log_sum_exp"] else None
    hidden = scratch.mask(x.shape[-2], x.shape[-1]) if step["causal"] else None
    scale = step["scale"]
    if scale == 1.0:
        return lambda: softmax_rows(x, y, hidden, row, lse)

    def run():
        np.multiply(x, scale, out=y)
        softmax_rows(y, y, hidden, row, lse)

    return run


def layer_norm(step, args, outs, scratch):
    """y = (x - mean) rstd gain + bias, mean and rstd."""
    x, gain, bias = args
    y, mean, rstd = outs
    shapes(x, y)
    need(gain.shape == bias.shape == x.shape[-1:], "gain and bias have another shape than a row")
    eps, square = step["eps"], scratch.array(x.shape, x.dtype)

    def run():
        np.mean(x, axis=-1, out=mean)
        np.subtract(x, mean[..., None], out=y)
        np.multiply(y, y, out=square)
        np.mean(square, axis=-1, out=rstd)
        np.add(rstd, eps, out=rstd)
        np.sqrt(rstd, out=rstd)
        np.reciprocal(rstd, out=rstd)
        np.multiply(y, rstd[..., None], out=y)
        np.multiply(y, gain, out=y)
        np.add(y, bias, out=y)

    return run


def attention(step, args, outs, scratch):
    """o = softmax(scale q k^T) v, and each row's log-sum-exp."""
    q, k, v = args
    o, lse = outs
    need(q.shape[-1] == k.shape[-1] and k.shape[:-1] == v.shape[:-1], "q, k and v do not fit together")
    need(o.shape == q.shape[:-1] + v.shape[-1:], "the answer has another shape than its rows")
    scores = scratch.array(q.shape[:-1] + (k.shape[-2],), q.dtype)
    row = scratch.array(q.shape[:-1] + (1,), q.dtype)
    hidden = scratch.mask(q.shape[-2], k.shape[-2]) if step["causal"] else None
    keys, scale = k.swapaxes(-1, -2), step["scale"]

    def run():
        np.matmul(q, keys, out=scores)
        np.multiply(scores, scale, out=scores)
        softmax_rows(scores, scores, hidden, row, lse)
        np.matmul(scores, v, out=o)

    return run


def adamw(step, args, outs, scratch):
    """One step of AdamW."""
    p, g, m, v = args
    new_p, new_m, new_v = outs[:3]
    shapes(*args, *outs)
    rate, beta1, beta2, eps = step["rate"], step["beta1"], step["beta2"], step["eps"]
    kept = 1.0 - rate * step["weight_decay"]
    correct1, correct2 = 1.0 - beta1 ** step["step"], 1.0 - beta2 ** step["step"]
    update = scratch.array(p.shape, p.dtype)
    if step["p16"]:
        # Rounded to bf16 as in `to_bf16`, without new arrays.
        word, half = new_p.view(np.uint32), scratch.array(p.shape, np.uint32)

    def run():
        np.multiply(g, 1.0 - beta1, out=update)
        np.multiply(m, beta1, out=new_m)
        np.add(new_m, update, out=new_m)
        np.multiply(g, g, out=update)
        np.multiply(update, 1.0 - beta2, out=update)
        np.multiply(v, beta2, out=new_v)
        np.add(new_v, update, out=new_v)
        np.divide(new_v, correct2, out=update)
        np.sqrt(update, out=update)
        np.add(update, eps, out=update)
        np.divide(new_m, update, out=update)
        np.multiply(update, rate / correct1, out=update)
        np.multiply(p, kept, out=new_p)
        np.subtract(new_p, update, out=new_p)
        if step["p16"]:
            np.right_shift(word, 16, out=half)
            np.bitwise_and(half, 1, out=half)
            np.add(half, 0x7FFF, out=half)
            np.add(half, word, out=half)
            np.right_shift(half, 16, out=half)
            np.copyto(outs[3], half, casting="unsafe")

    return run


OPS = {
    "gemm": gemm,
    "copy": copy,
    "triad": triad,
    "add": add,
    "bias_add": add,
    "gelu": gelu,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "attention": attention,
    "adamw": adamw,
}

class Scratch:
    """Arrays that hold nothing between two steps, so that all steps share them."""

    def __init__(self):
        self.kept, self.taken = {}, {}

    def begin_step(self):
        """Lets the next step take the arrays of the last one."""
        self.taken = {}

    def array(self, shape, dtype):
        key = (tuple(shape), np.dtype(dtype).str)
        number = self.taken[key] = self.taken.get(key, 0) + 1
        return self.keep(key + (number,), lambda: np.zeros(shape, dtype))

    def mask(self, rows, columns):
        """Where row r must not look: true right of column r + columns - rows."""
        def made():
            return np.arange(columns)[None, :] > np.arange(rows)[:, None] + (columns - rows)

        return self.keep(("mask", rows, columns), made)

    def keep(self, key, make):
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def bytes(self):
        return sum(array.nbytes for array in self.kept.values())


# --- a loaded program ---------------------------------------------------------------------------------


class Loaded:
    """A program with its arrays, one list a set, and its calls, one list a set and turn.

    A carried pair swaps its two arrays after every execution, so nothing is copied; `turn` counts that.
    """

    def __init__(self, program, seed, sets):
        self.program, self.seed, self.sets = program, seed, sets
        self.scratch = Scratch()
        values = program["values"]
        self.turns = 2 if program["carries"] else 1
        self.turn = [None] * sets
        self.arrays = [
            [np.empty(value["shape"], storage(value["dtype"])) for value in values] for _ in range(sets)
        ]
        for number in range(sets):
            for value in range(len(values)):
                self.restore(number, value)
        self.calls = [
            [[self.call(step, number, turn) for step in program["steps"]] for turn in range(self.turns)]
            for number in range(sets)
        ]

    def array(self, number, turn, value):
        """The array that `value` has in `turn`."""
        for carry in self.program["carries"] if turn else ():
            if value == carry["produced"]:
                value = carry["input"]
            elif value == carry["input"]:
                value = carry["produced"]
        return self.arrays[number][value]

    def call(self, step, number, turn):
        values = self.program["values"]
        if step["op"] not in OPS:
            raise Unsupported(f"numpy serves no {step['op']} here")
        # AdamW's fourth output is its first in bf16.
        types = {values[value]["dtype"] for value in step["args"] + step["outs"][:3]}
        if step["op"] != "copy" and types not in ({"f32"}, {"f64"}):
            raise Unsupported(f"numpy serves {step['op']} in f32 and f64, not in {', '.join(sorted(types))}")
        args = [self.array(number, turn, value) for value in step["args"]]
        outs = [self.array(number, turn, value) for value in step["outs"]]
        self.scratch.begin_step()
        return OPS[step["op"]](step, args, outs, self.scratch)

    def restore(self, number, value):
        """An input from the seed; anything else to what nobody computes."""
        how = self.program["values"][value]["input"]
        array = self.arrays[number][value]
        if how is None:
            spoil(array)
        else:
            fill(array, how, self.seed, value + (number << 32))

    def reset(self):
        """Carried inputs from the seed, and no result of an earlier execution."""
        carries = self.program["carries"]
        kept = {c["input"] for c in carries} | {c["produced"] for c in carries} | set(self.program["outputs"])
        for number in range(self.sets):
            if self.turn[number] is not None:
                for value in kept:
                    if value in {c["input"] for c in carries} or self.program["values"][value]["input"] is None:
                        self.restore(number, value)
            self.turn[number] = None

    def execute(self, number):
        """One execution on a set."""
        turn = self.turn[number]
        turn = 0 if turn is None else (turn + 1) % self.turns
        self.turn[number] = turn
        for call in self.calls[number][turn]:
            call()

    def read(self, value, number, offset, count):
        """Little-endian bytes of some elements."""
        array = self.array(number, self.turn[number] or 0, value)
        return array.reshape(-1)[offset : offset + count].tobytes()

    def bytes(self):
        """Bytes held by state."""
        held = {}
        for number in range(self.sets):
            for value, array in zip(self.program["values"], self.arrays[number]):
                held[value["state"]] = held.get(value["state"], 0) + array.nbytes
        if self.scratch.bytes():
            held["workspace"] = held.get("workspace", 0) + self.scratch.bytes()
        return held


def sound(program):
    """Refuses a program whose ids lead nowhere."""
    count = len(program["values"])
    ids = list(program["outputs"])
    for step in program["steps"]:
        ids += step["args"] + step["outs"]
    for carry in program["carries"]:
        ids += [carry["produced"], carry["input"]]
    if any(not 0 <= value < count for value in ids):
        raise Refused(f"the program is wrong: it names a value beyond its {count}")


def fits(program, sets):
    """Refuses what this machine's memory can never hold, before the attempt makes it swap."""
    sizes = (storage(value["dtype"]).itemsize * math.prod(value["shape"]) for value in program["values"])
    wanted = sum(sizes) * sets
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if wanted > physical:
        raise MemoryError(f"the values take {wanted / 1e9:.3g} GB and this machine has {physical / 1e9:.3g} GB")


# --- clocks, waits and memory -----------------------------------------------------------------------

now = time.perf_counter_ns


def precision():
    """Smallest difference of two readings of the clock that is not zero."""
    readings = [now() for _ in range(1000)]
    steps = [later - earlier for earlier, later in zip(readings, readings[1:]) if later > earlier]
    return float(min(steps, default=1))


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


# --- numpy's BLAS -------------------------------------------------------------------------------------


class Blas:
    """The library that numpy multiplies with, found among the files that this process has mapped."""

    def __init__(self):
        paths = {line.split(maxsplit=5)[-1] for line in text("/proc/self/maps").splitlines() if "/" in line}
        known = [p for p in sorted(paths) if any(w in os.path.basename(p) for w in ("openblas", "mkl_rt", "blis"))]
        self.path = known[0] if known else None
        self.handle = ctypes.CDLL(self.path) if self.path else None

    def function(self, name):
        """`name` under whatever decoration the build gave it."""
        for prefix in ("", "scipy_"):
            for suffix in ("", "64_", "_64", "_"):
                found = getattr(self.handle, prefix + name + suffix, None)
                if found is not None:
                    return found
        return None

    def text(self, name):
        found = self.function(name)
        if found is None:
            return None
        found.restype = ctypes.c_char_p
        return found().decode("ascii", "replace").strip()

    def threads(self):
        for name in ("openblas_get_num_threads", "MKL_Get_Max_Threads", "bli_thread_get_num_threads"):
            found = self.function(name)
            if found is not None:
                return int(found())
        return None

    def origin(self):
        """`pip:package/file` or `system:file`, never a path."""
        folder, name = os.path.split(self.path)
        package = os.path.basename(folder)
        if "site-packages" in folder or package.endswith(".libs"):
            return f"pip:{package.removesuffix('.libs')}/{name}"
        return f"system:{name}"


def identity(lane):
    """Who computes."""
    blas = Blas()
    notes = {"python": ".".join(map(str, sys.version_info[:3]))}
    found = {"name": "numpy", "version": np.__version__, "origin": "pip:numpy", "hash": "", "threads": 1}
    if blas.path is None:
        notes["blas"] = "none that this program knows"
    else:
        with open(blas.path, "rb") as file:
            found["hash"] = hashlib.sha256(file.read()).hexdigest()[:16]
        found["origin"], found["threads"] = blas.origin(), blas.threads() or lane["threads"]
        config, core = blas.text("openblas_get_config"), blas.text("openblas_get_corename")
        notes.update({name: said for name, said in (("config", config), ("core", core)) if said})
    replaced = os.environ.get("CUTGPU_REPLACED")
    notes.update({"replaced": replaced} if replaced else {})
    return dict(found, notes=notes)


# --- the conversation -----------------------------------------------------------------------------------


class Session:
    """What a worker holds between requests."""

    def __init__(self):
        self.loaded, self.opened, self.peak_is_known = None, False, True

    def hello(self, ask):
        if ask["protocol"] != PROTOCOL:
            raise Refused(f"this worker speaks protocol {PROTOCOL}, not {ask['protocol']}")
        if self.opened:
            raise Refused("peer/numpy is open already: a worker serves one backend")
        if ask["backend"] != "peer/numpy":
            raise Refused(f"this worker is peer/numpy, not {ask['backend']}")
        if ask["lane"].get("packing", "plain") != "plain":
            raise Refused("numpy lays out nothing anew; ask for the packing `plain`")
        if not 1 <= ask["lane"]["threads"] <= 4096:
            raise Refused(f"{ask['lane']['threads']} threads: 1 to 4096 are possible")
        if np is None:
            raise Unsupported(f"this Python cannot load numpy ({NO_NUMPY}); `make peers` fetches it")
        check_generator()
        np.seterr(all="ignore")
        who = identity(ask["lane"])
        self.opened = True
        return {"reply": "hello", "protocol": PROTOCOL, "pid": os.getpid(), "identity": who,
                "clock_precision_ns": precision()}

    def load(self, ask):
        self.loaded = None
        if not self.opened:
            raise Refused("say hello first")
        if not 1 <= ask["sets"] <= 1 << 16:
            raise Refused(f"{ask['sets']} input sets: 1 to {1 << 16} are possible")
        sound(ask["program"])
        fits(ask["program"], ask["sets"])
        begin = now()
        try:
            self.loaded = Loaded(ask["program"], ask["seed"], ask["sets"])
        except (ValueError, IndexError) as why:
            raise Refused(f"the program is wrong: {why}") from None
        return {"reply": "loaded", "load_ns": float(now() - begin), "packing_ns": 0.0, "packing_bytes": 0,
                "bytes": self.loaded.bytes(), "host_memory": True}

    def held(self):
        if self.loaded is None:
            raise Refused("no program is loaded")
        return self.loaded

    def verify(self, ask):
        loaded = self.held()
        loaded.reset()
        for number in range(loaded.sets):
            loaded.execute(number)
        return {"reply": "done"}

    def sample(self, ask):
        if not 0 < ask["iters"] < 1 << 64:
            raise Refused(f"a sample of {ask['iters']} executions makes no sense")
        if ask["scope"] == "device":
            raise Unsupported("numpy has no clock of its own")
        return dict(self.timed(ask["sync"] == "each", ask["iters"]), reply="sample")

    def timed(self, each, iters):
        loaded = self.held()
        loaded.reset()
        sets, execute = loaded.sets, loaded.execute
        stride = -(-iters // MOST_EACH)
        kept = []
        delays, stolen = run_delays(), steal()
        begin = last = now()
        if each:
            for number in range(iters):
                execute(number % sets)
                moment = now()
                if number % stride == stride - 1:
                    kept.append(float(moment - last))
                last = moment
        else:
            for number in range(iters):
                execute(number % sets)
            last = now()
        waited = sum(delay - delays.get(thread, 0) for thread, delay in run_delays().items())
        sample = {"ns": float(last - begin), "run_delay_ns": max(waited, 0), "steal_ns": max(steal() - stolen, 0)}
        return dict(sample, each_ns=kept) if each else sample

    def calibrate(self, ask):
        if ask["scope"] == "device":
            raise Unsupported("numpy has no clock of its own")
        wanted = max(float(ask["min_ns"]), STEPS_OF_CLOCK * precision(), 1.0)
        iters = 1
        while True:
            took = self.timed(ask["sync"] == "each", iters)["ns"]
            if took >= wanted:
                each = took / iters
                return {"reply": "calibrated", "iters": int(-(-wanted // each)), "each_ns": each}
            if took == 0.0 and iters >= MOST_WITHOUT_TIME:
                raise Unsupported(f"the clock stood still over {iters} executions")
            iters *= int(min(max(-(-wanted // max(took, 1.0)), 2), 16))

    def probe(self, ask):
        raise Refused("numpy has no peak probes")

    def read(self, ask):
        loaded, value, count = self.held(), ask["value"], ask["len"]
        values = loaded.program["values"]
        if not 0 <= value < len(values) or not 0 <= ask["set"] < loaded.sets:
            raise Refused(f"there is no value {value}, or no set {ask['set']}")
        elements = loaded.arrays[0][value].size
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
        return {"reply": "memory", "bytes": self.loaded.bytes() if self.loaded else {},
                "resident": resident("VmRSS"), "peak": resident("VmHWM") if self.peak_is_known else 0}

    def free(self, ask):
        self.loaded = None
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
            return {"reply": "fault", "fault": "out_of_memory", "message": str(why) or "numpy had none"}, True
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as why:
            what = f"this line is no request of the worker protocol: {type(why).__name__} {why}"
            return {"reply": "refused", "why": what}, True


ASKS = ("hello", "load", "verify", "calibrate", "sample", "probe", "read", "memory", "free", "quit")


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


def main():
    die_with_parent()
    asks, replies = private_streams()
    session, going = Session(), True
    while going:
        line = asks.readline()
        if not line:
            break
        reply, going = session.answer(line)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
