"""PyTorch on the processor, compiled: all steps up to the optimizer are one graph for `torch.compile`.

The graph is what `torch_peer`'s own calls leave when they are traced, so that an op is told once. The optimizer
stays the fused one of eager mode, as beside a compiled model. A load that keeps every value runs in eager mode:
its answers are what the compiled load is held to.
"""

import shutil

import torch
from torch.fx.experimental.proxy_tensor import make_fx

import torch_peer
from worker.errors import Unsupported
from worker.program import Scratch

OPTIMIZERS = ("adamw", "sgd_momentum")


class Peer(torch_peer.Peer):
    """PyTorch on one lane, by its compiler."""

    PACKINGS = ("plain",)

    def prepare(self, loaded):
        if loaded.keep_all:
            return super().prepare(loaded)
        if not any(shutil.which(name) for name in ("g++", "clang++")):
            raise Unsupported("torch.compile wants a C++ compiler: install g++")
        program = loaded.program
        steps = program["steps"]
        ends = [place for place, step in enumerate(steps) if step["op"] in OPTIMIZERS]
        end = ends[0] if ends else len(steps)
        graph = Graph(self, program, end)
        if not graph.results:
            raise Unsupported("nothing comes before the optimizer that torch.compile could work on")
        for number in range(loaded.sets):
            for value in graph.inner:
                # Nobody asks for what the graph keeps to itself.
                loaded.arrays[number][value] = self.array((0,), program["values"][value]["dtype"])
            for value in graph.results:
                loaded.arrays[number][value].adopts = True
        return [
            [
                [graph.call(loaded, number, turn)]
                + [self.call(loaded, step, number, turn) for step in steps[end:]]
                for turn in range(loaded.turns)
            ]
            for number in range(loaded.sets)
        ]

    def identity(self):
        said = super().identity()
        said["notes"]["mode"] = "torch.compile, optimizers fused"
        return said


class Graph:
    """The steps of a program before `end`, compiled: from `inputs` to `results`."""

    def __init__(self, library, program, end):
        self.library, self.values, self.steps = library, program["values"], program["steps"][:end]
        made = [value for step in self.steps for value in step["outs"]]
        read = {value for step in self.steps for value in step["args"]}
        later = {value for step in program["steps"][end:] for value in step["args"]}
        kept = later | set(program["outputs"]) | {carry["produced"] for carry in program["carries"]}
        self.inputs = sorted(read - set(made))
        self.results = [value for value in made if value in kept]
        self.inner = [value for value in made if value not in kept]
        self.compiled = None

    def trace(self, *tensors):
        """The results from the inputs, by the calls of eager mode on new tensors."""
        arrays, scratch = dict(zip(self.inputs, tensors)), Scratch(torch.empty)
        for step in self.steps:
            for value in step["outs"]:
                spec = self.values[value]
                arrays[value] = self.library.array(spec["shape"], spec["dtype"])
                arrays[value].is_traced = True
            scratch.begin_step()
            args, outs = ([arrays[value] for value in step[side]] for side in ("args", "outs"))
            self.library.OPS[step["op"]](step, args, outs, scratch)()
        return [arrays[value] for value in self.results]

    def call(self, loaded, number, turn):
        """One execution; what it makes takes the place of the results."""
        tensors = [loaded.array(number, turn, value) for value in self.inputs]
        if self.compiled is None:
            traced = make_fx(self.trace, tracing_mode="fake")(*tensors)
            self.compiled = torch.compile(traced, fullgraph=True, dynamic=False)
            # The compiler works at the first call: here, not under the clock.
            self.compiled(*tensors)
        outs = [loaded.array(number, turn, value) for value in self.results]
        compiled = self.compiled

        def run():
            for out, answer in zip(outs, compiled(*tensors)):
                torch_peer.adopt(out, answer)

        return run
