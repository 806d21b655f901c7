"""Refuses programs that make no sense before anything is allocated for them."""

import math
import os

from worker.errors import Refused
from worker.inputs import storage


def need(fits, why):
    """Refuses a program whose parts do not fit together."""
    if not fits:
        raise Refused(f"the program is wrong: {why}")


def sound(program):
    """Refuses a program whose ids lead nowhere."""
    count = len(program["values"])
    ids = list(program["outputs"])
    for step in program["steps"]:
        ids += step["args"] + step["outs"]
    for carry in program["carries"]:
        ids += [carry["produced"], carry["input"]]
    need(all(0 <= value < count for value in ids), f"it names a value beyond its {count}")


def fits(program, sets, room=None):
    """Refuses what the memory can never hold, before the attempt makes a machine swap: this machine's, or `room`."""
    sizes = (storage(value["dtype"]).itemsize * math.prod(value["shape"]) for value in program["values"])
    wanted = sum(sizes) * sets
    has, whose = room or (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "this machine has")
    if wanted > has:
        raise MemoryError(f"the values take {wanted / 1e9:.3g} GB and {whose} {has / 1e9:.3g} GB")


def alike(step, args, outs):
    """All values of the step have one shape."""
    need(all(shape == args[0] for shape in args + outs), "values of one step differ in shape")


def first_alike(step, args, outs):
    """The answer has the shape of the first argument."""
    need(args[0] == outs[0], "values of one step differ in shape")


def added(step, args, outs):
    """What is added has the answer's shape, or that of its rows."""
    first_alike(step, args, outs)
    need(args[1] == args[0][len(args[0]) - len(args[1]) :], "what is added has another shape")


def product(step, args, outs):
    """A `[.., m, k]`, B `[.., k, n]` or `[k, n]`, and D `[.., m, n]`."""
    a, b, d = args[0], args[1], outs[0]
    need(len(a) >= 2 and len(b) >= 2, "the factors of a product need two axes or more")
    (m, k), (rows, n) = turned(a, step["trans_a"]), turned(b, step["trans_b"])
    need(k == rows and d == a[:-2] + [m, n], "the matrices of a product do not fit together")
    need(len(b) == 2 or b[:-2] == a[:-2], "A and B differ in their leading axes")
    need(len(args) == 2 or args[2] == d, "C and D differ in shape")


def turned(shape, transposed):
    """Rows and columns of a matrix that may be stored transposed."""
    return shape[:-3:-1] if transposed else shape[-2:]


def normal(step, args, outs):
    """Rows, with a gain and a bias of one row."""
    first_alike(step, args, outs)
    need(args[1] == args[2] == args[0][-1:], "gain and bias have another shape than a row")
    need(all(out == args[0][:-1] for out in outs[1:]), "mean and deviation are one number a row")


def scores(step, args, outs):
    """q `[.., queries, depth]`, k `[.., keys, depth]`, v `[.., keys, width]` and o `[.., queries, width]`."""
    q, k, v = args
    need(q[-1] == k[-1] and k[:-1] == v[:-1], "q, k and v do not fit together")
    need(outs[0] == q[:-1] + v[-1:], "the answer has another shape than its rows")


def quantized(step, args, outs):
    """q of the shape of x, and one scale for all, for each row, or for 32 elements of it."""
    first_alike(step, args, outs)
    lead, columns = args[0][:-1], args[0][-1]
    scales = {"tensor": [], "row": lead, "block": lead + [columns // 32]}[step["granularity"]]
    need(step["granularity"] != "block" or columns % 32 == 0, "blocks of 32 do not fill the rows")
    need(outs[1:] == ([scales] if step["scale"] is None else []), "the scales have another shape")


def dequantized(step, args, outs):
    """Rows, with one scale for all or for each of them, one for all columns or for each, and a bias of one row."""
    first_alike(step, args, outs)
    x, scale_a, scale_b, *bias = args
    need(scale_a in ([], x[:-1]) and scale_b in ([], x[-1:]), "the scales have another shape")
    need(bias == ([x[-1:]] if step["bias"] else []), "the bias has another shape than a row")


def convolved(step, args, outs):
    """Images, weights `[out, in, rows, columns]`, perhaps a bias, and images of as many channels as the weights say."""
    x, w, *bias = args
    channels, rows, columns = (3, 1, 2) if step["layout"] == "nhwc" else (1, 2, 3)
    need(len(x) == len(w) == 4 and x[channels] == w[1], "images and weights do not fit together")
    need(bias == ([w[:1]] if step["bias"] else []), "the bias has another shape than the channels")
    y = [x[0]] * 4
    y[channels] = w[0]
    for axis, (own, kernel) in enumerate(((rows, w[2]), (columns, w[3]))):
        y[own] = (x[own] + 2 * step["padding"][axis] - kernel) // step["stride"][axis] + 1
    need(outs[0] == y, "the answer has another shape than its images")


RULES = {
    "gemm": product,
    "gemm_i8": product,
    "copy": alike,
    "triad": alike,
    "add": added,
    "bias_add": added,
    "bias_gelu": added,
    "gelu": alike,
    "softmax": first_alike,
    "layer_norm": normal,
    "attention": scores,
    "adamw": alike,
    "sgd_momentum": alike,
    "quantize": quantized,
    "dequantize": dequantized,
    "conv2d": convolved,
}


def check_shapes(step, values):
    """Refuses a step whose values do not fit together."""
    shapes = [[values[value]["shape"] for value in step[side]] for side in ("args", "outs")]
    RULES.get(step["op"], lambda *_: None)(step, *shapes)
