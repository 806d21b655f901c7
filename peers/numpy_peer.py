"""numpy as a contender.

An op is a row of `Peer.OPS`: a function that gets the step, its arrays and scratch, once at load, and
returns a function without arguments that computes. Results go to preallocated arrays (`out=`), as a user
who cares about speed would write it.
"""

import ctypes
import os

import numpy as np

from worker.errors import Unsupported
from worker.machine import mapped, short_hash
from worker.program import Library, hidden_scores


def gemm(step, args, outs, scratch):
    """D = alpha A B + beta C."""
    a, b, d = args[0], args[1], outs[0]
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
    return lambda: np.copyto(outs[0], args[0])


def triad(step, args, outs, scratch):
    """a = b + scale c."""
    scale = step["scale"]

    def run():
        np.multiply(args[1], scale, out=outs[0])
        np.add(args[0], outs[0], out=outs[0])

    return run


def add(step, args, outs, scratch):
    """z = x + y; also a bias, which numpy repeats over the rows."""
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
    return lambda: gelu_tanh(args[0], outs[0])


def mask(scratch, rows, columns):
    """The scores that a causal mask hides."""
    return scratch.keep(("mask", rows, columns), lambda: hidden_scores(rows, columns))


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
    row = scratch.array(x.shape[:-1] + (1,), x.dtype)
    lse = outs[1] if step["log_sum_exp"] else None
    hidden = mask(scratch, x.shape[-2], x.shape[-1]) if step["causal"] else None
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
    o, lse = outs[0], outs[1] if step["log_sum_exp"] else None
    scores = scratch.array(q.shape[:-1] + (k.shape[-2],), q.dtype)
    row = scratch.array(q.shape[:-1] + (1,), q.dtype)
    hidden = mask(scratch, q.shape[-2], k.shape[-2]) if step["causal"] else None
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


class Peer(Library):
    """numpy on one lane."""

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

    def __init__(self, backend, lane):
        super().__init__(backend, lane)
        np.seterr(all="ignore")

    def check(self, step, values):
        if step["op"] == "gelu" and step["form"] != "tanh":
            raise Unsupported("numpy has no error function; gelu is served in its tanh form")
        # AdamW's fourth output is its first in bf16.
        types = {values[value]["dtype"] for value in step["args"] + step["outs"][:3]}
        if step["op"] != "copy" and types not in ({"f32"}, {"f64"}):
            raise Unsupported(f"numpy serves {step['op']} in f32 and f64, not in {', '.join(sorted(types))}")

    def identity(self):
        found = {"name": "numpy", "version": np.__version__, "origin": "pip:numpy", "hash": "", "threads": 1}
        path = mapped("openblas", "mkl_rt", "blis")
        if path is None:
            return dict(found, notes=self.notes(blas="none that this program knows"))
        blas = Blas(path)
        found["origin"], found["hash"] = blas.origin(), short_hash(path)
        found["threads"] = blas.threads() or self.lane["threads"]
        said = {"config": blas.text("openblas_get_config"), "core": blas.text("openblas_get_corename")}
        return dict(found, notes=self.notes(**said))


class Blas:
    """The library that numpy multiplies with, by its file."""

    def __init__(self, path):
        self.path, self.handle = path, ctypes.CDLL(path)

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
