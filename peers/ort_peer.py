"""ONNX Runtime's processor provider as a contender: a program is one model, an execution one run.

Inputs and outputs are bound to the program's own memory. In the packed lane parameters are constants of
the model, which ONNX Runtime lays out for its kernels when it loads; in the plain lane they are inputs.
"""

import os

import onnx
import onnxruntime

from ort_graph import OPS, Graph
from worker.errors import Unsupported
from worker.machine import mapped, resident, short_hash
from worker.program import Library

PROVIDERS = ["CPUExecutionProvider"]

# Optimizations that are left out: each replaces fast kernels by a slower one on a processor.
LEFT_OUT = {"peer/ort": [], "peer/ort-tuned": ["SkipLayerNormFusion", "MatMulAddFusion"]}

ERRORS = 3  # severity of what is logged


class Peer(Library):
    """ONNX Runtime on one lane."""

    PACKINGS = ("plain", "packed")
    OPS = OPS

    def options(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.lane["threads"]
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = ERRORS
        return options

    def session(self, graph, arrays):
        """A model ready to run; `arrays` are the program's values, for constants."""
        options = self.options()
        fixed = {graph.name(value): arrays[value] for value in sorted(graph.fixed & graph.read)}
        if fixed:
            elements = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in fixed.values()]
            options.add_external_initializers(list(fixed), elements)
        return onnxruntime.InferenceSession(
            graph.model(), options, providers=PROVIDERS, disabled_optimizers=LEFT_OUT[self.backend]
        )

    def check(self, step, values):
        types = {values[value]["dtype"] for value in step["args"] + step["outs"]}
        if step["op"] == "quantize" and step["granularity"] != "tensor":
            raise Unsupported("ONNX Runtime is asked to quantise by one scale for all")
        if step["op"] == "embedding":
            types.discard("i32")
        if step["op"] not in ("copy", "gemm_i8", "quantize", "dequantize") and types != {"f32"}:
            raise Unsupported(f"{self.backend} serves {step['op']} in f32, not in {', '.join(sorted(types))}")
        if step["op"] == "copy" and "bf16" in types:
            raise Unsupported(f"{self.backend} has no type bf16 in numpy")
        if step["op"] in ("conv2d", "max_pool") and step["layout"] != "nchw":
            raise Unsupported("ONNX Runtime takes images with channels first")
        if step["op"] == "attention" and (step["log_sum_exp"] or len(values[step["args"][0]]["shape"]) != 3):
            raise Unsupported("ONNX Runtime's attention takes three axes and gives no log-sum-exp")

    def prepare(self, loaded):
        count = len(loaded.program["values"])
        carries = loaded.program["carries"]
        kept = set(range(count)) if loaded.keep_all else set(loaded.program["outputs"])
        kept |= {carry["produced"] for carry in carries}
        is_packed = self.lane.get("packing") == "packed"
        fixed = {value for value in range(count) if is_packed and loaded.is_fixed(value)}
        graph, calls = Graph(loaded.program, kept, fixed), []
        session = None if is_packed else self.session(graph, [])
        for number in range(loaded.sets):
            if is_packed:
                session = self.packed_session(graph, loaded, number)
            calls.append([[self.bound(session, graph, loaded, number, turn)] for turn in range(loaded.turns)])
        return calls

    def packed_session(self, graph, loaded, number):
        """A session of one set. It packs when it is made, so that its whole making and growth are counted."""

        def made():
            before = resident("VmRSS")
            session = self.session(graph, loaded.arrays[number])
            return session, max(resident("VmRSS") - before, 0)

        return loaded.pack(number, made)

    def bound(self, session, graph, loaded, number, turn):
        """A run on the arrays of one set and turn."""
        binding = session.io_binding()
        for bind, values in ((binding.bind_input, graph.inputs()), (binding.bind_output, graph.outputs())):
            for value in values:
                array = loaded.array(number, turn, value)
                bind(graph.name(value), "cpu", 0, array.dtype, graph.shape(value), array.ctypes.data)
        return lambda: session.run_with_iobinding(binding)

    def threads(self):
        """What a session says, made for the question: it also proves that one can be made."""
        step = {"op": "copy", "args": [0], "outs": [1]}
        values = [{"shape": [1], "dtype": "f32", "input": how} for how in ({}, None)]
        graph = Graph({"values": values, "steps": [step]}, {1}, set())
        return self.session(graph, []).get_session_options().intra_op_num_threads

    def identity(self):
        path = mapped("onnxruntime_pybind11_state")
        return {
            "name": "ONNX Runtime",
            "version": onnxruntime.__version__,
            "origin": f"pip:onnxruntime/{os.path.basename(path)}" if path else "pip:onnxruntime",
            "hash": short_hash(path) if path else "",
            "threads": self.threads(),
            "notes": self.notes(
                provider=" ".join(PROVIDERS),
                optimization="all",
                left_out=" ".join(LEFT_OUT[self.backend]),
                spinning="allowed",
                execution="sequential",
                onnx=onnx.__version__,
            ),
        }
