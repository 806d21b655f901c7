"""PyTorch on the processor as a contender, op by op as in eager mode.

An op is a row of `Peer.OPS`: a function that gets the step, its tensors and scratch, once at load, and
returns a function without arguments that computes. Results go to preallocated tensors (`out=`) where
PyTorch can do that; where it returns new ones, the answer's tensor takes over their memory.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

import torch_training as training
from torch_common import adopt, as_stored, images, views, wide
from worker.errors import Unsupported
from worker.machine import mapped, short_hash
from worker.program import Library, hidden_scores


def matrices(step, args, outs):
    """A, B, C or None, and D as two or three axes, so that one call multiplies them; transposed as stored."""
    a, b, d, c = args[0], args[1], outs[0], args[2] if len(args) > 2 else None
    flat = b.dim() == 2 and (a.dim() == 2 or not step["trans_a"])
    # Products that share B are one product with more rows.
    axes = (lambda x: x.reshape(-1, x.shape[-1])) if flat else (lambda x: x.reshape(-1, *x.shape[-2:]))
    a, d, c = axes(a), axes(d), None if c is None else axes(c)
    if not flat:
        b = b.expand(a.shape[0], *b.shape) if b.dim() == 2 else axes(b)
    return (a.mT if step["trans_a"] else a), (b.mT if step["trans_b"] else b), c, d


def gemm(step, args, outs, scratch):
    """D = alpha A B + beta C."""
    operands = views(args + outs, lambda: matrices(step, args, outs))
    alpha, beta, is_flat = step["alpha"], step["beta"], operands()[0].dim() == 2
    multiply, general = (torch.mm, torch.addmm) if is_flat else (torch.bmm, torch.baddbmm)

    def plain():
        a, b, _, d = operands()
        multiply(a, b, out=d)

    def scaled():
        a, b, c, d = operands()
        # What is times 0 is not read.
        general(d if c is None else c, a, b, beta=beta, alpha=alpha, out=d)

    return plain if alpha == 1.0 and beta == 0.0 else scaled


def gemm_i8(step, args, outs, scratch):
    """D = A B in integers."""
    a, b, _, d = matrices(step, args, outs)
    if a.dim() == 2:
        return lambda: torch._int_mm(a, b, out=d)
    products = list(zip(a, b, d))

    def run():
        for x, y, z in products:
            torch._int_mm(x, y, out=z)

    return run


def copy(step, args, outs, scratch):
    """y = x."""
    return lambda: outs[0].copy_(args[0])


def triad(step, args, outs, scratch):
    """a = b + scale c."""
    return lambda: torch.add(args[0], args[1], alpha=step["scale"], out=outs[0])


def add(step, args, outs, scratch):
    """z = x + y; also a bias, which PyTorch repeats over the rows."""
    return lambda: torch.add(args[0], args[1], out=outs[0])


def gelu(step, args, outs, scratch):
    """y = gelu(x)."""
    form = {"erf": "none", "tanh": "tanh"}[step["form"]]
    return lambda: torch.ops.aten.gelu.out(args[0], approximate=form, out=outs[0])


def bias_gelu(step, args, outs, scratch):
    """y = gelu(x + bias), the sum in y's own memory."""
    bend = gelu(step, outs, outs, scratch)

    def run():
        torch.add(args[0], args[1], out=outs[0])
        bend()

    return run


def mask(scratch, rows, columns, like):
    """What is added to scores under a causal mask, as `like` holds them; none where it hides nothing."""

    def made():
        hides = torch.from_numpy(hidden_scores(rows, columns)).to(like.device)
        return torch.zeros(rows, columns, dtype=like.dtype, device=like.device).masked_fill_(hides, -torch.inf)

    return scratch.keep(("mask", rows, columns, like.dtype), made) if rows > 1 else None


def softmax(step, args, outs, scratch):
    """y = softmax(scale x), and each row's log-sum-exp."""
    x, y = args[0], outs[0]
    is_plain = step["scale"] == 1.0 and not step["causal"] and not step["log_sum_exp"]
    if is_plain and x.dtype == y.dtype:
        return lambda: torch.softmax(x, -1, out=y)
    scores = scratch.array(x.shape, wide(x))
    weights = y if y.dtype == scores.dtype else scratch.array(x.shape, scores.dtype)
    hides = mask(scratch, *x.shape[-2:], scores) if step["causal"] else None

    def run():
        scores.copy_(x).mul_(step["scale"]) if x.dtype != scores.dtype else torch.mul(x, step["scale"], out=scores)
        if hides is not None:
            scores.add_(hides)
        torch.softmax(scores, -1, out=weights)
        if weights is not y:
            y.copy_(weights)
        if step["log_sum_exp"]:
            torch.logsumexp(scores, -1, out=outs[1])

    return run


def layer_norm(step, args, outs, scratch):
    """y = (x - mean) rstd gain + bias, mean and rstd; the last two in the type of gain and bias."""
    x, eps = args[0], step["eps"]
    # A card takes them in the type of x.
    widened = wide if x.device.type == "cpu" else lambda row: row.dtype
    gain, bias = (scratch.array(row.shape, widened(row)) if row.dtype != widened(row) else row for row in args[1:])

    def run():
        if gain is not args[1]:
            gain.copy_(args[1])
            bias.copy_(args[2])
        for out, answer in zip(outs, torch.native_layer_norm(x, x.shape[-1:], gain, bias, eps)):
            adopt(out, answer)

    return run


def attention(step, args, outs, scratch):
    """o = softmax(scale q k^T) v, and each row's log-sum-exp where it is wanted."""
    # Every matrix a batch of its own with one head: then answers lie as the program wants them.
    heads = views(args, lambda: [x.reshape(-1, 1, *x.shape[-2:]) for x in args])
    scale, queries, keys = step["scale"], args[0].shape[-2], args[1].shape[-2]
    # PyTorch's own mask lets query r see keys up to r.
    is_causal = step["causal"] and queries == keys
    hides = mask(scratch, queries, keys, args[0]) if step["causal"] and not is_causal else None
    if not step["log_sum_exp"]:

        def one():
            answer = F.scaled_dot_product_attention(*heads(), hides, is_causal=is_causal, scale=scale)
            adopt(outs[0], answer.contiguous())

        return one
    # What F.scaled_dot_product_attention calls, and drops the sums of.
    both = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def run():
        for out, answer in zip(outs, both(*heads(), 0.0, is_causal, attn_mask=hides, scale=scale)):
            adopt(out, answer)

    return run


def adamw(step, args, outs, scratch):
    """One step of AdamW, in place where p, m and v are carried."""
    new = outs[:3]
    old = [args[0], args[2], args[3]]
    copies = [(out, arg) for out, arg in zip(new, old) if out is not arg]
    p, m, v = ([tensor] for tensor in new)
    count, grad = [torch.tensor(float(step["step"]), device=args[0].device)], [args[1]]
    names = {"lr": "rate", "beta1": "beta1", "beta2": "beta2", "weight_decay": "weight_decay", "eps": "eps"}
    settings = {theirs: step[ours] for theirs, ours in names.items()}

    def run():
        for out, arg in copies:
            out.copy_(arg)
        torch._fused_adamw_(p, grad, m, v, [], count, amsgrad=False, maximize=False, **settings)
        if step["p16"]:
            outs[3].copy_(new[0])

    return run


def sgd_momentum(step, args, outs, scratch):
    """One step with momentum, in place where p and v are carried."""
    new, old = outs[:2], [args[0], args[2]]
    copies = [(out, arg) for out, arg in zip(new, old) if out is not arg]
    p, v = ([tensor] for tensor in new)
    grad = [args[1]]
    settings = {"lr": step["rate"], "momentum": step["momentum"], "weight_decay": step["weight_decay"]}
    settings.update(dampening=0.0, nesterov=False, maximize=False, is_first_step=False)

    def run():
        for out, arg in copies:
            out.copy_(arg)
        torch._fused_sgd_(p, grad, v, **settings)
        if step["p16"]:
            outs[2].copy_(new[0])

    return run


def quantize(step, args, outs, scratch):
    """q = round(x / scale) + zero, saturated; scales that are not given are computed first."""
    per, given, zero = step["granularity"], step["scale"], step["zero"]
    groups = {"tensor": (1, -1), "row": (-1, args[0].shape[-1]), "block": (-1, 32)}[per]
    x, q = args[0].reshape(groups), outs[0].view(groups)
    low, high = (0, 255) if q.dtype == torch.uint8 else (-128, 127)
    below, above = (zero, 255 - zero) if q.dtype == torch.uint8 else (127, 127)
    steps = scratch.array(x.shape, torch.float32)

    def largest():
        if below == above:
            return x.abs().amax(-1, keepdim=True) / above
        least, most = torch.aminmax(x, dim=-1, keepdim=True)
        return torch.maximum(most / above if above else most * 0, least / -below if below else least * 0)

    def run():
        if given is not None:
            torch.mul(x, 1 / given, out=steps)
        else:
            scale = largest()
            outs[1].copy_(scale.view(outs[1].shape))
            torch.mul(x, torch.where(scale > 0, 1 / scale, 0), out=steps)
        steps.round_()
        if zero:
            steps.add_(zero)
        q.copy_(steps.clamp_(low, high))

    return run


def dequantize(step, args, outs, scratch):
    """y = scale_a scale_b x + bias."""
    (x, scale_a, scale_b), y = args[:3], outs[0]
    scale_a = scale_a.unsqueeze(-1) if scale_a.dim() else scale_a

    def run():
        torch.mul(x, scale_a, out=y)
        torch.addcmul(args[3], y, scale_b, out=y) if step["bias"] else y.mul_(scale_b)

    return run


def laid_out(loaded, key, reordered):
    """Weights that oneDNN laid out once, by this key."""
    try:
        return loaded.pack(key, reordered)
    except RuntimeError as why:
        raise Unsupported(f"this PyTorch packs no weights here: {str(why).splitlines()[0]}") from None


def packed_gemm(loaded, step, number, turn):
    """D = A B, B laid out for oneDNN once."""
    args, outs = ([loaded.array(number, turn, value) for value in step[side]] for side in ("args", "outs"))
    operands = views(args, lambda: matrices(step, args, outs))
    a, b, _, _ = operands()

    def reordered():
        weight = torch.ops.mkldnn._reorder_linear_weight(b.t().contiguous(), a.shape[0])
        return weight, torch.ops.mkldnn._nbytes(weight)

    weight = laid_out(loaded, (number, step["args"][1], step["trans_b"]), reordered)
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda: adopt(outs[0], linear(operands()[0], weight, None, "none", [], ""))


def conv2d(step, args, outs, scratch):
    """y = x convolved with w, plus a bias for each channel."""
    operands = views(args, lambda: (images(step, args[0]), args[1], args[2] if step["bias"] else None))
    walk = {"stride": step["stride"], "padding": step["padding"]}
    return lambda: adopt(outs[0], as_stored(step, F.conv2d(*operands(), **walk)))


def packed_conv2d(loaded, step, number, turn):
    """The same, w laid out for oneDNN once."""
    args, outs = ([loaded.array(number, turn, value) for value in step[side]] for side in ("args", "outs"))
    walk = (step["padding"], step["stride"], [1, 1], 1)
    operands = views(args, lambda: (images(step, args[0]), args[2] if step["bias"] else None))

    def reordered():
        weight = torch.ops.mkldnn._reorder_convolution_weight(args[1], *walk, operands()[0].shape)
        return weight, torch.ops.mkldnn._nbytes(weight)

    weight = laid_out(loaded, (number, step["args"][1], step["layout"]), reordered)
    convolve = torch.ops.mkldnn._convolution_pointwise

    def run():
        x, bias = operands()
        adopt(outs[0], as_stored(step, convolve(x, weight, bias, *walk, "none", [], "")))

    return run


class Peer(Library):
    """PyTorch on one lane."""

    PACKINGS = ("plain", "packed")
    OPS = {
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
        "adamw": adamw,
        "sgd_momentum": sgd_momentum,
        "quantize": quantize,
        "dequantize": dequantize,
        "conv2d": conv2d,
        **training.OPS,
    }
    PACKED = {"gemm": packed_gemm, "conv2d": packed_conv2d}
    TYPES = {
        "f64": torch.float64,
        "f32": torch.float32,
        "bf16": torch.bfloat16,
        "f16": torch.float16,
        "i32": torch.int32,
        "i8": torch.int8,
        "u8": torch.uint8,
    }
    empty = staticmethod(torch.empty)

    def __init__(self, backend, lane):
        super().__init__(backend, lane)
        torch.set_num_threads(lane["threads"])
        torch.set_num_interop_threads(1)
        torch.set_grad_enabled(False)

    def array(self, shape, dtype):
        return torch.empty(shape, dtype=self.TYPES[dtype])

    def view(self, array):
        return (array.view(torch.uint16) if array.dtype == torch.bfloat16 else array).numpy()

    def check(self, step, values):
        op = step["op"]
        args, outs = ([values[value] for value in step[side]] for side in ("args", "outs"))
        if op in training.OPS:
            why = training.why_not(step, args, outs)
            if why:
                raise Unsupported(why)
            return
        # The last output of an optimizer is its first in bf16; statistics of 16-bit rows are f32.
        compared = args + outs[: {"adamw": 3, "sgd_momentum": 2, "softmax": 0}.get(op, 1)]
        types = {value["dtype"] for value in compared}
        narrow = types & {"bf16", "f16"}
        if op == "gemm_i8" and (step["zero_a"] or step["zero_b"]):
            raise Unsupported("PyTorch multiplies 8-bit integers without zero points only")
        if op == "bias_gelu" and narrow:
            raise Unsupported("PyTorch rounds the sum of 16-bit types before it bends it")
        if op == "gemm" and step["accumulate"] != ("f32" if narrow else args[0]["dtype"]):
            raise Unsupported("PyTorch adds products of 16 and 32 bits in f32")
        if op == "attention" and step["log_sum_exp"] and args[1]["shape"][-1] != args[2]["shape"][-1]:
            raise Unsupported("PyTorch gives the log-sum-exp only where v is as wide as k")
        if op == "attention" and step["log_sum_exp"] and narrow:
            # Its exponentials of 16-bit attention have fewer digits than a sum in f32.
            raise Unsupported("PyTorch gives the log-sum-exp of 16-bit attention to fewer digits than f32 has")
        if op not in ("copy", "gemm_i8", "quantize", "dequantize") and len(types) > 1:
            raise Unsupported(f"PyTorch serves {op} in one type, not in {', '.join(sorted(types))}")

    def in_place(self, step):
        return {"adamw": ((0, 0), (1, 2), (2, 3)), "sgd_momentum": ((0, 0), (1, 2)), "put_rows": ((0, 0),)}.get(step["op"], ())

    def packs(self, loaded, step):
        """Whether a step's weights are laid out anew."""
        return step["op"] in self.PACKED and self.lane.get("packing") == "packed" and loaded.is_fixed(step["args"][1])

    def prepare(self, loaded):
        for step in loaded.program["steps"]:
            if step["op"] in ("layer_norm", "attention", "conv2d", *training.ADOPT) or self.packs(loaded, step):
                for tensor in (loaded.array(*place) for place in loaded.places(step["outs"])):
                    tensor.adopts = True
        return super().prepare(loaded)

    def call(self, loaded, step, number, turn):
        if self.packs(loaded, step):
            return self.PACKED[step["op"]](loaded, step, number, turn)
        return super().call(loaded, step, number, turn)

    LIBRARY, digest = "libtorch_cpu", staticmethod(short_hash)

    def identity(self):
        path = mapped(self.LIBRARY)
        said = torch.__config__.show()
        lines = [line.strip(" -") for line in said.splitlines()]
        libraries = {
            "mkl": next((line for line in lines if "Math Kernel Library" in line), None),
            "onednn": next((line for line in lines if "MKL-DNN" in line or "oneDNN" in line), None),
            "openmp": next((line for line in lines if line.startswith("OpenMP")), None),
        }
        return {
            "name": "PyTorch",
            "version": torch.__version__,
            "origin": f"pip:torch/{os.path.basename(path)}" if path else "pip:torch",
            "hash": self.digest(path) if path else "",
            "threads": torch.get_num_threads(),
            "notes": self.notes(capability=torch.backends.cpu.get_cpu_capability(), mode="eager", **libraries),
        }
