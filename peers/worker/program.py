"""A loaded program, and what a library must do for it."""

import itertools
import os
import sys

import numpy as np

from worker.errors import Unsupported
from worker.inputs import check_generator, fill, spoil, storage
from worker.machine import now, waiting
from worker.shapes import check_shapes, fits, sound


class Library:
    """A library set up for one lane. A peer module's `Peer` is one."""

    PACKINGS = ("plain",)  # layouts of parameters that it can make
    OPS = {}  # name of an op: a function that prepares a step, see `call`
    empty = staticmethod(np.empty)  # makes an array for scratch from a shape and the library's `dtype`

    def __init__(self, backend, lane):
        check_generator()
        self.backend, self.lane = backend, lane

    def load(self, program, seed, sets, keep_all):
        """A program, ready to execute."""
        sound(program)
        fits(program, sets, self.room())
        return Loaded(self, program, seed, sets, keep_all)

    def identity(self):
        """Who computes: name, version, origin, hash, threads, notes."""
        raise NotImplementedError

    def notes(self, **known):
        """Notes of an identity: what is known, and what every Python worker knows."""
        replaced = os.environ.get("CUTGPU_REPLACED")
        python = ".".join(map(str, sys.version_info[:3]))
        return {name: str(said) for name, said in dict(known, python=python, replaced=replaced).items() if said}

    def array(self, shape, dtype):
        """An array of the library for a value's elements."""
        return np.empty(shape, storage(dtype))

    def view(self, array):
        """The elements of an array, contiguous, as numpy stores them (`inputs.storage`)."""
        return array

    def settle(self, array, view, place):
        """What was written to a view becomes the array's, where the view is a copy; `place` is its set and value."""

    def recall(self, array, place):
        """Whether the array holds again what was settled at a place before."""
        return False

    def spoil(self, array):
        """An element that nobody writes will show."""
        spoil(self.view(array))

    # What a device with memory of its own does besides. On the host's memory none of it is called.
    HAS_DEVICES = False  # backends are called by the family's name and a number
    is_host_memory = True
    has_clock = False

    def upload(self, loaded, number):
        """Copies what a batch brings to the device."""
        raise NotImplementedError

    def download(self, loaded, number):
        """Copies the outputs to the host."""
        raise NotImplementedError

    def wait(self):
        """Until the device has done what it was asked."""
        raise NotImplementedError

    def device_time(self, loaded, first, iters):
        """Nanoseconds by the device's own clock of so many executions, the first on the set of that number."""
        raise NotImplementedError

    def room(self):
        """Bytes of memory that values may take, and whose it is; none for the machine's."""
        return None

    def held(self, reset_peak):
        """`resident`, `peak` and `taken` of a device's own memory; none for the machine's."""
        return None

    def forget(self):
        """Drops what was kept beside a loaded program."""

    def check(self, step, values):
        """Raises `Unsupported` where a step has values of a type that its op is not served in."""

    def in_place(self, step):
        """Pairs (output, argument) of a step that may be one memory."""
        return ()

    def prepare(self, loaded):
        """For each set and turn the functions without arguments that one execution calls in order."""
        steps = loaded.program["steps"]
        return [
            [[self.call(loaded, step, number, turn) for step in steps] for turn in range(loaded.turns)]
            for number in range(loaded.sets)
        ]

    def call(self, loaded, step, number, turn):
        """One step of a set and turn, with everything done that can be done once."""
        args = [loaded.array(number, turn, value) for value in step["args"]]
        outs = [loaded.array(number, turn, value) for value in step["outs"]]
        loaded.scratch.begin_step()
        return self.OPS[step["op"]](step, args, outs, loaded.scratch)


class Scratch:
    """Arrays that hold nothing between two steps, so that all steps share them."""

    def __init__(self, make):
        self.make, self.kept, self.taken = make, {}, {}

    def begin_step(self):
        """Lets the next step take the arrays of the last one."""
        self.taken = {}

    def array(self, shape, dtype):
        """An array of the library, of the library's own `dtype`."""
        key = (tuple(shape), str(dtype))
        number = self.taken[key] = self.taken.get(key, 0) + 1
        return self.keep(key + (number,), lambda: self.make(shape, dtype=dtype))

    def keep(self, key, make):
        """What `make` made when `key` was new, which no step writes."""
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def bytes(self):
        return sum(array.nbytes for array in self.kept.values())


def hidden_scores(rows, columns):
    """Where row r of a causal mask must not look: true right of column r + columns - rows."""
    return np.arange(columns)[None, :] > np.arange(rows)[:, None] + (columns - rows)


class Loaded:
    """A program with its arrays, one list a set, and its calls, one list a set and turn.

    A carried pair swaps its two arrays after every execution, so nothing is copied; `turn` counts that.
    Where a step updates in place and nobody wants the old elements, both are one array.
    """

    def __init__(self, library, program, seed, sets, keep_all):
        self.library, self.program, self.seed, self.sets, self.keep_all = library, program, seed, sets, keep_all
        values = program["values"]
        for step in program["steps"]:
            if step["op"] not in library.OPS:
                raise Unsupported(f"{library.backend} serves no {step['op']}")
            check_shapes(step, values)
            library.check(step, values)
        self.scratch = Scratch(library.empty)
        self.packing_ns, self.packed = 0.0, {}
        shared = [] if keep_all else self.shared()
        self.aliases = {carry["produced"]: carry["input"] for carry in shared}
        self.swapped = [carry for carry in program["carries"] if carry not in shared]
        self.turns = 2 if self.swapped else 1
        self.turn = [None] * sets
        self.arrays = [
            [library.array(value["shape"], value["dtype"]) for value in values] for _ in range(sets)
        ]
        for number, arrays in enumerate(self.arrays):
            for produced, value in self.aliases.items():
                arrays[produced] = arrays[value]
            for value in range(len(values)):
                self.restore(number, value)
        self.calls = library.prepare(self)

    def shared(self):
        """The carries whose two values may be one array: updated in place, and nobody reads the old elements."""
        steps, shared = self.program["steps"], []
        for place, step in enumerate(steps):
            for out, arg in self.library.in_place(step):
                carry = {"produced": step["outs"][out], "input": step["args"][arg]}
                later = any(carry["input"] in other["args"] for other in steps[place + 1 :])
                once = step["args"].count(carry["input"]) == 1 and carry["input"] not in self.program["outputs"]
                if carry in self.program["carries"] and once and not later:
                    shared.append(carry)
        return shared

    def array(self, number, turn, value):
        """The array that `value` has in `turn`."""
        for carry in self.swapped if turn else ():
            if value == carry["produced"]:
                value = carry["input"]
            elif value == carry["input"]:
                value = carry["produced"]
        return self.arrays[number][value]

    def places(self, values):
        """Every set and turn of some values, for `array`."""
        return itertools.product(range(self.sets), range(self.turns), values)

    def is_fixed(self, value):
        """Whether a value may be laid out anew at load: a parameter that the program does not update."""
        carried = any(carry["input"] == value for carry in self.program["carries"])
        return self.program["values"][value]["state"] == "parameter" and self.is_input(value) and not carried

    def is_input(self, value):
        return self.program["values"][value]["input"] is not None

    def pack(self, key, make):
        """What `make` lays out when `key` is new: a copy and its bytes. The time that it takes is counted."""
        if key not in self.packed:
            begin = now()
            self.packed[key] = make()
            self.packing_ns += now() - begin
        return self.packed[key][0]

    def packed_bytes(self):
        return sum(size for _, size in self.packed.values())

    def restore(self, number, value):
        """An input from the seed; anything else to what nobody computes."""
        if value in self.aliases:
            return
        library, array, place = self.library, self.arrays[number][value], (number, value)
        if not self.is_input(value):
            library.spoil(array)
        elif not library.recall(array, place):
            view = library.view(array)
            fill(view, self.program["values"][value]["input"], self.seed, value + (number << 32))
            library.settle(array, view, place)

    def reset(self):
        """Carried inputs from the seed, and no result of an earlier execution."""
        carries = self.program["carries"]
        inputs = {carry["input"] for carry in carries}
        kept = inputs | {carry["produced"] for carry in carries} | set(self.program["outputs"])
        for number in range(self.sets):
            if self.turn[number] is not None:
                for value in kept:
                    if value in inputs or not self.is_input(value):
                        self.restore(number, value)
            self.turn[number] = None

    def next_turn(self, number):
        """The turn of the next execution on a set."""
        turn = self.turn[number]
        return 0 if turn is None else (turn + 1) % self.turns

    def next_calls(self, number):
        """The calls of the next execution on a set."""
        self.turn[number] = self.next_turn(number)
        return self.calls[number][self.turn[number]]

    def execute(self, number):
        """One execution on a set."""
        for call in self.next_calls(number):
            call()

    def round_trip(self, number):
        """The same, with what a batch brings and what the caller wants back."""
        self.library.upload(self, number)
        self.execute(number)
        self.library.download(self, number)

    def steps(self, number):
        """One execution on a set: nanoseconds of each step."""
        calls = self.next_calls(number)
        if not self.library.is_host_memory:
            calls = [waiting(call, self.library.wait) for call in calls]
        ends = [now()]
        for call in calls:
            call()
            ends.append(now())
        return [float(end - begin) for begin, end in zip(ends, ends[1:])]

    def read(self, value, number, offset, count):
        """Little-endian bytes of some elements."""
        view = self.library.view(self.array(number, self.turn[number] or 0, value))
        return view.reshape(-1)[offset : offset + count].tobytes()

    def bytes(self):
        """Bytes held by state."""
        held = {}
        for arrays in self.arrays:
            for number, (value, array) in enumerate(zip(self.program["values"], arrays)):
                if number not in self.aliases:
                    held[value["state"]] = held.get(value["state"], 0) + array.nbytes
        if self.packed:
            held["parameter"] = held.get("parameter", 0) + self.packed_bytes()
        if self.scratch.bytes():
            held["workspace"] = held.get("workspace", 0) + self.scratch.bytes()
        return held
