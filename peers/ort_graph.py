"""A program as one ONNX model: each step is a node, or a few where ONNX has no single one."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from worker.inputs import storage
from worker.program import hidden_scores

OPSET = 23  # old enough for every ONNX Runtime that has these ops
IR_VERSION = 11  # what came with it
MICROSOFT = "com.microsoft"  # ops that ONNX Runtime adds to the standard


class Graph:
    """Nodes under construction. `fixed` are inputs whose elements the model may rely on."""

    def __init__(self, program, kept, fixed):
        self.program, self.kept, self.fixed = program, kept, fixed
        self.nodes, self.constants, self.shapes = [], {}, {}
        self.read = {value for step in program["steps"] for value in step["args"]}
        for step in program["steps"]:
            args, outs = ([self.name(value) for value in step[side]] for side in ("args", "outs"))
            OPS[step["op"]](self, step, args, outs)

    def name(self, value):
        """A value's name in the model; empty where nobody wants it, so that it is not computed."""
        made = self.program["values"][value]["input"] is None
        return f"v{value}" if not made or value in self.read or value in self.kept else ""

    def shape(self, value):
        """A value's extents in the model."""
        return self.shapes.get(value, self.program["values"][value]["shape"])

    def node(self, op, inputs, outputs=None, domain="", **attributes):
        """Adds a node; returns the name of its first output, a new one where none is given."""
        outputs = [f"n{len(self.nodes)}"] if outputs is None else outputs
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def constant(self, array):
        """The name of a constant tensor."""
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def number(self, value, dtype=np.float32):
        """The name of a constant number."""
        return self.constant(np.array(value, dtype))

    def inputs(self):
        """Values that an execution is given, in order."""
        given = (value for value in sorted(self.read) if self.program["values"][value]["input"] is not None)
        return [value for value in given if value not in self.fixed]

    def outputs(self):
        """Values that an execution leaves, in order."""
        made = {value for step in self.program["steps"] for value in step["outs"]}
        return sorted(made & self.kept)

    def info(self, value):
        """What the model says of a value that crosses its border."""
        return helper.make_tensor_value_info(self.name(value), self.type_of(value), self.shape(value))

    def type_of(self, value):
        return helper.np_dtype_to_tensor_dtype(storage(self.program["values"][value]["dtype"]))

    def model(self):
        """The model's bytes. The elements of fixed inputs are left out: a session gets them beside it."""
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        constants += [self.external(value) for value in sorted(self.fixed & self.read)]
        graph = helper.make_graph(
            self.nodes, "program", list(map(self.info, self.inputs())), list(map(self.info, self.outputs())), constants
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()

    def external(self, value):
        """A constant whose elements are elsewhere."""
        tensor = TensorProto(name=self.name(value), data_type=self.type_of(value), dims=self.shape(value))
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="beside the model")
        return tensor


def gemm(graph, step, args, outs):
    """D = alpha A B + beta C."""
    flips = {"transA": int(step["trans_a"]), "transB": int(step["trans_b"])}
    alpha, beta = step["alpha"], step["beta"]
    is_plain = alpha == 1.0 and not any(flips.values())
    if is_plain and beta == 0.0:
        graph.node("MatMul", args, outs)
    elif all(len(graph.shape(value)) == 2 for value in step["args"]):
        graph.node("Gemm", args, outs, alpha=alpha, beta=beta, **flips)
    elif beta == 0.0:
        graph.node("FusedMatMul", args, outs, MICROSOFT, alpha=alpha, **flips)
    else:
        product = graph.node("FusedMatMul", args[:2], None, MICROSOFT, alpha=alpha, **flips)
        graph.node("Add", [product, graph.node("Mul", [args[2], graph.number(beta)])], outs)


def gemm_i8(graph, step, args, outs):
    """D = (A - zero_a)(B - zero_b)."""
    factors, zeros = [], []
    for name, value, side in zip(args, step["args"], "ab"):
        axes = list(range(len(graph.shape(value))))
        turned = axes[:-2] + [axes[-1], axes[-2]]
        factors.append(graph.node("Transpose", [name], perm=turned) if step[f"trans_{side}"] else name)
        dtype = storage(graph.program["values"][value]["dtype"])
        zeros.append(graph.number(step[f"zero_{side}"], dtype))
    # Without zero points ONNX Runtime has less to subtract.
    wanted = zeros if step["zero_a"] or step["zero_b"] else []
    graph.node("MatMulInteger", factors + wanted, outs)


def copy(graph, step, args, outs):
    """y = x. From an input to an output there is nothing to leave out."""
    graph.node("Identity", args, outs)


def triad(graph, step, args, outs):
    """a = b + scale c."""
    graph.node("Add", [args[0], graph.node("Mul", [args[1], graph.number(step["scale"])])], outs)


def add(graph, step, args, outs):
    """z = x + y; also a bias, which ONNX repeats over the rows."""
    graph.node("Add", args, outs)


def gelu(graph, step, args, outs):
    """y = gelu(x)."""
    # Of the tanh form ONNX Runtime's own op is faster than the standard's.
    op, domain = {"erf": ("Gelu", ""), "tanh": ("FastGelu", MICROSOFT)}[step["form"]]
    graph.node(op, args, outs, domain)


def bias_gelu(graph, step, args, outs):
    """y = gelu(x + bias)."""
    graph.node({"erf": "BiasGelu", "tanh": "FastGelu"}[step["form"]], args, outs, MICROSOFT)


def mask(rows, columns):
    """What is added to scores under a causal mask."""
    hides = np.zeros((rows, columns), np.float32)
    hides[hidden_scores(rows, columns)] = -np.inf
    return hides


def softmax(graph, step, args, outs):
    """y = softmax(scale x), and each row's log-sum-exp."""
    scores = args[0]
    if step["scale"] != 1.0:
        scores = graph.node("Mul", [scores, graph.number(step["scale"])])
    if step["causal"]:
        scores = graph.node("Add", [scores, graph.constant(mask(*graph.shape(step["args"][0])[-2:]))])
    graph.node("Softmax", [scores], outs[:1], axis=-1)
    if step["log_sum_exp"] and outs[1]:
        last = graph.number([-1], np.int64)
        graph.node("ReduceLogSumExp", [scores, last], outs[1:], keepdims=0)


def layer_norm(graph, step, args, outs):
    """y = (x - mean) rstd gain + bias, mean and rstd."""
    for value in step["outs"][1:]:
        graph.shapes[value] = graph.shape(value) + [1]
    wanted = outs if any(outs[1:]) else outs[:1]
    graph.node("LayerNormalization", args, wanted, axis=-1, epsilon=step["eps"])


def attention(graph, step, args, outs):
    """o = softmax(scale q k^T) v, every matrix a batch of its own with one head."""
    (queries, keys) = (graph.shape(value)[-2] for value in step["args"][:2])
    attributes = {"num_heads": 1, "scale": step["scale"]}
    # ONNX Runtime's own mask lets query r see keys up to r.
    if step["causal"] and queries == keys:
        attributes["unidirectional"] = 1
    elif step["causal"] and queries > 1:
        bias = graph.constant(mask(queries, keys)[None, None])
        args = args + ["", "", bias]
    graph.node("MultiHeadAttention", args, outs[:1], MICROSOFT, **attributes)


def quantize(graph, step, args, outs):
    """q = round(x / scale) + zero, saturated, of one scale for all; where it is not given, it is computed first."""
    dtype = storage(graph.program["values"][step["outs"][0]]["dtype"])
    zero = graph.number(step["zero"], dtype)
    if step["scale"] is not None:
        graph.node("QuantizeLinear", [args[0], graph.number(step["scale"]), zero], outs)
        return
    below, above = (step["zero"], 255 - step["zero"]) if dtype == np.uint8 else (127, 127)
    ends = [("ReduceMax", above), ("ReduceMin", -below)]
    sides = [graph.node("Div", [graph.node(op, args, keepdims=0), graph.number(room)]) for op, room in ends if room]
    scale = graph.node("Max", sides, outs[1:] if outs[1] else None)
    graph.node("QuantizeLinear", [args[0], scale, zero], outs[:1])


def dequantize(graph, step, args, outs):
    """y = scale_a scale_b x + bias."""
    x = graph.node("Cast", args[:1], to=TensorProto.FLOAT)
    scale = args[1]
    if graph.shape(step["args"][1]):
        scale = graph.node("Unsqueeze", [scale, graph.number([-1], np.int64)])
    scaled = graph.node("Mul", [x, scale])
    if step["bias"]:
        graph.node("Add", [graph.node("Mul", [scaled, args[2]]), args[3]], outs)
    else:
        graph.node("Mul", [scaled, args[2]], outs)


def conv2d(graph, step, args, outs):
    """y = x convolved with w, plus a bias for each channel."""
    rows, columns = step["padding"]
    graph.node("Conv", args, outs, pads=[rows, columns] * 2, strides=step["stride"])


def relu(graph, step, args, outs):
    """y = max(x, 0)."""
    graph.node("Relu", args, outs)


def bias_relu(graph, step, args, outs):
    """y = max(x + bias, 0)."""
    graph.node("Relu", [graph.node("Add", args)], outs)


def tanh(graph, step, args, outs):
    """y = tanh(x)."""
    graph.node("Tanh", args, outs)


def embedding(graph, step, args, outs):
    """Rows of a table."""
    graph.node("Gather", args, outs, axis=0)


def add_layer_norm(graph, step, args, outs):
    """Layer normalisation of x + r: y, the sum, mean and rstd."""
    y, total, mean, rstd = outs
    for value in step["outs"][2:]:
        graph.shapes[value] = graph.shape(value) + [1]
    wanted = [y, mean, rstd, total]
    while not wanted[-1]:
        wanted.pop()
    graph.node("SkipLayerNormalization", args, wanted, MICROSOFT, epsilon=step["eps"])


def max_pool(graph, step, args, outs):
    """The largest of each window."""
    window = [step["window"]] * 2
    graph.node("MaxPool", args, outs, kernel_shape=window, strides=window)


def rearrange(graph, step, args, outs):
    """The same elements with their axes in another order."""

    def shaped(name, shape, outputs=None):
        return graph.node("Reshape", [name, graph.number(shape, np.int64)], outputs)

    whole = args[0] if len(args) == 1 else graph.node("Concat", [shaped(name, [-1]) for name in args], axis=0)
    turned = graph.node("Transpose", [shaped(whole, step["split"])], perm=step["order"])
    if len(outs) == 1:
        shaped(turned, step["output"], outs)
        return
    pieces = [f"{out}_piece" for out in outs]
    graph.node("Split", [shaped(turned, [len(outs)] + step["output"])], pieces, axis=0, num_outputs=len(outs))
    for piece, out in zip(pieces, outs):
        shaped(piece, step["output"], [out])


OPS = {
    "relu": relu,
    "bias_relu": bias_relu,
    "tanh": tanh,
    "embedding": embedding,
    "add_layer_norm": add_layer_norm,
    "max_pool": max_pool,
    "rearrange": rearrange,
    "gemm": gemm,
    "gemm_i8": gemm_i8,
    "copy": copy,
    "triad": triad,
    "add": add,
    "bias_add": add,
    "gelu": gelu,
    "bias_gelu": bias_gelu,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "attention": attention,
    "quantize": quantize,
    "dequantize": dequantize,
    "conv2d": conv2d,
}
