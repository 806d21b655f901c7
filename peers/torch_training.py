"""The ops of training by PyTorch: what autograd calls for them in eager mode.

As in `torch_peer`: a function gets a step, its tensors and scratch, and returns one without arguments that computes.
"""

import torch
import torch.nn.functional as F

from torch_common import adopt, as_stored, images, views

aten = torch.ops.aten
FORMS = {"erf": "none", "tanh": "tanh"}


def relu(step, args, outs, scratch):
    """y = max(x, 0)."""
    return lambda: torch.clamp_min(args[0], 0.0, out=outs[0])


def bias_relu(step, args, outs, scratch):
    """y = max(x + bias, 0)."""
    return lambda: torch.add(args[0], args[1], out=outs[0]).clamp_min_(0.0)


def relu_grad(step, args, outs, scratch):
    """dx = dy where y > 0."""
    return lambda: aten.threshold_backward.grad_input(args[0], args[1], 0.0, grad_input=outs[0])


def tanh(step, args, outs, scratch):
    """y = tanh(x)."""
    return lambda: torch.tanh(args[0], out=outs[0])


def tanh_grad(step, args, outs, scratch):
    """dx = dy (1 - y^2)."""
    return lambda: aten.tanh_backward.grad_input(args[0], args[1], grad_input=outs[0])


def gelu_grad(step, args, outs, scratch):
    """dx = dy gelu'(x)."""
    form = FORMS[step["form"]]
    return lambda: aten.gelu_backward.grad_input(args[0], args[1], approximate=form, grad_input=outs[0])


def bias_gelu_grad(step, args, outs, scratch):
    """dx = dy gelu'(x + bias), the sum in dx's own memory."""
    form = FORMS[step["form"]]
    total = scratch.array(args[1].shape, args[1].dtype)

    def run():
        torch.add(args[1], args[2], out=total)
        aten.gelu_backward.grad_input(args[0], total, approximate=form, grad_input=outs[0])

    return run


def scale(step, args, outs, scratch):
    """y = factor x."""
    return lambda: torch.mul(args[0], step["factor"], out=outs[0])


def cast(step, args, outs, scratch):
    """y = x in another type."""
    return lambda: outs[0].copy_(args[0])


def column_sum(step, args, outs, scratch):
    """Sums of columns."""
    return lambda: torch.sum(args[0].reshape(-1, args[0].shape[-1]), 0, out=outs[0])


def channel_sum(step, args, outs, scratch):
    """Sums of the channels of images."""
    return lambda: torch.sum(args[0], (0, 2, 3), out=outs[0])


def embedding(step, args, outs, scratch):
    """Rows of a table."""

    def run():
        table, ids = args
        torch.index_select(table, 0, ids.reshape(-1), out=outs[0].view(-1, table.shape[-1]))

    return run


def embedding_grad(step, args, outs, scratch):
    """The table's gradient."""
    return lambda: adopt(outs[0], aten.embedding_dense_backward(args[0], args[1], step["rows"], -1, False))


def cross_entropy(step, args, outs, scratch):
    """Losses, and log-sum-exps."""

    def run():
        logits = args[0].reshape(-1, args[0].shape[-1])
        labels = args[1].reshape(-1).long()
        torch.logsumexp(logits, -1, out=outs[1].view(-1))
        chosen = logits.gather(1, labels.clamp_min(0).unsqueeze(1)).squeeze(1)
        torch.sub(outs[1].view(-1), chosen, out=outs[0].view(-1))
        outs[0].view(-1).masked_fill_(labels < 0, 0.0)

    return run


def cross_entropy_grad(step, args, outs, scratch):
    """scale (exp(x - lse) - (1 at the label)); zeros where the label is -1."""

    def run():
        logits = args[0].reshape(-1, args[0].shape[-1])
        labels = args[1].reshape(-1, 1).long()
        slope = outs[0].view(logits.shape)
        torch.sub(logits, args[2].reshape(-1, 1), out=slope)
        slope.exp_()
        slope.scatter_add_(1, labels.clamp_min(0), torch.full_like(labels, -1, dtype=slope.dtype))
        slope.mul_(torch.where(labels < 0, 0.0, step["scale"]))

    return run


def softmax_grad(step, args, outs, scratch):
    """dx = scale y (dy - sum of dy y)."""

    def run():
        aten._softmax_backward_data.out(args[0], args[1], -1, args[1].dtype, grad_input=outs[0])
        if step["scale"] != 1.0:
            outs[0].mul_(step["scale"])

    return run


def statistics(tensors):
    """Mean and rstd as the forward pass of PyTorch leaves them."""
    return [tensor.unsqueeze(-1) for tensor in tensors]


def layer_norm_grad(step, args, outs, scratch):
    """The gradient of layer norm's x."""
    wanted = [True, False, False]

    def run():
        dy, x, *rest = args
        mean, rstd = statistics(rest[:2])
        answer = aten.native_layer_norm_backward(dy, x, x.shape[-1:], mean, rstd, rest[2], None, wanted)
        adopt(outs[0], answer[0])

    return run


def layer_norm_param_grad(step, args, outs, scratch):
    """The gradients of layer norm's gain and bias."""
    row = torch.ones(args[1].shape[-1:])
    wanted = [False, True, True]

    def run():
        dy, x, *rest = args
        mean, rstd = statistics(rest)
        answer = aten.native_layer_norm_backward(dy, x, x.shape[-1:], mean, rstd, row, row, wanted)
        for out, gradient in zip(outs, answer[1:]):
            adopt(out, gradient)

    return run


def attention_grad(step, args, outs, scratch):
    """dq, dk and dv by the log-sum-exp."""
    heads = views(args, lambda: [x.reshape(-1, 1, *x.shape[-2:]) for x in args[:5]])
    both = aten._scaled_dot_product_flash_attention_for_cpu_backward

    def run():
        dy, q, k, v, y = heads()
        lse = args[5].reshape(-1, 1, args[5].shape[-1])
        answers = both(dy, q, k, v, y, lse, 0.0, step["causal"], scale=step["scale"])
        for out, answer in zip(outs, answers):
            adopt(out, answer)

    return run


def convolution_backward(step, dy, x, w, wanted):
    """dx, dw and the bias's gradient, as far as they are wanted."""
    walk = (step["stride"], step["padding"], [1, 1], False, [0, 0], 1)
    return aten.convolution_backward(dy, x, w, None, *walk, wanted)


def conv2d_input_grad(step, args, outs, scratch):
    """dx, from dy and w."""

    def run():
        dy, w = images(step, args[0]), args[1]
        # Only the shape of x matters.
        shape = (dy.shape[0], w.shape[1], *step["size"])
        x = w.new_empty(1).expand(shape)
        dx = convolution_backward(step, dy, x, w, [True, False, False])[0]
        adopt(outs[0], as_stored(step, dx))

    return run


def conv2d_weight_grad(step, args, outs, scratch):
    """dw, from dy and x."""

    def run():
        dy, x = images(step, args[0]), images(step, args[1])
        w = x.new_empty(1).expand((dy.shape[1], x.shape[1], *step["kernel"]))
        adopt(outs[0], convolution_backward(step, dy, x, w, [False, True, False])[1].contiguous())

    return run


def chosen(x):
    """Where the places of the largest of x's windows are kept from the forward to the backward pass."""
    if not hasattr(x, "places"):
        x.places = {}
    return x.places


def max_pool(step, args, outs, scratch):
    """The largest of each window, and where it was, as the backward pass wants it."""
    places, window = chosen(args[0]), step["window"]

    def run():
        y, places["of"] = F.max_pool2d(images(step, args[0]), window, return_indices=True)
        adopt(outs[0], as_stored(step, y))

    return run


def max_pool_grad(step, args, outs, scratch):
    """dy at the largest of each window."""
    places, window = chosen(args[1]), step["window"]
    walk = ([window, window], [window, window], [0, 0], [1, 1], False)

    def run():
        dy, x = images(step, args[0]), images(step, args[1])
        of = places.get("of")
        if of is None:
            # No forward pass has left them: then y may be anything.
            most, of = F.max_pool2d(x, window, return_indices=True)
            dy = torch.where(most == images(step, args[2]), dy, 0.0)
        answer = aten.max_pool2d_with_indices_backward(dy, x, *walk, of)
        adopt(outs[0], as_stored(step, answer))

    return run


def rearrange(step, args, outs, scratch):
    """The same elements with their axes in another order."""
    split, order = step["split"], step["order"]

    def run():
        whole = (args[0] if len(args) == 1 else torch.stack(args)).reshape(split).permute(order)
        if len(outs) == 1:
            outs[0].view(whole.shape).copy_(whole)
            return
        parts = whole if whole.shape[0] == len(outs) else whole.reshape(len(outs), -1)
        for out, part in zip(outs, parts):
            out.view(part.shape).copy_(part)

    return run


def put_rows(step, args, outs, scratch):
    """New rows of a matrix, in place where it is carried."""
    first = step["at"]

    def run():
        if outs[0] is not args[0]:
            outs[0].copy_(args[0])
        outs[0].narrow(-2, first, args[1].shape[-2]).copy_(args[1])

    return run


OPS = {
    "rearrange": rearrange,
    "put_rows": put_rows,
    "relu": relu,
    "bias_relu": bias_relu,
    "relu_grad": relu_grad,
    "tanh": tanh,
    "tanh_grad": tanh_grad,
    "gelu_grad": gelu_grad,
    "bias_gelu_grad": bias_gelu_grad,
    "scale": scale,
    "cast": cast,
    "column_sum": column_sum,
    "channel_sum": channel_sum,
    "embedding": embedding,
    "embedding_grad": embedding_grad,
    "cross_entropy": cross_entropy,
    "cross_entropy_grad": cross_entropy_grad,
    "softmax_grad": softmax_grad,
    "layer_norm_grad": layer_norm_grad,
    "layer_norm_param_grad": layer_norm_param_grad,
    "attention_grad": attention_grad,
    "conv2d_input_grad": conv2d_input_grad,
    "conv2d_weight_grad": conv2d_weight_grad,
    "max_pool": max_pool,
    "max_pool_grad": max_pool_grad,
}
# Ops whose results take over memory that PyTorch made.
ADOPT = (
    "embedding_grad",
    "layer_norm_grad",
    "layer_norm_param_grad",
    "attention_grad",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "max_pool",
    "max_pool_grad",
)


def why_not(step, args, outs):
    """Why PyTorch does not serve an op of training here; None where it does."""
    op = step["op"]
    floats = {value["dtype"] for value in args + outs if value["dtype"] != "i32"}
    if op == "cast":
        return None
    if floats != {"f32"}:
        return f"PyTorch serves {op} here in f32, not in {', '.join(sorted(floats))}"
    if op == "attention_grad":
        q, k, v = (value["shape"] for value in args[1:4])
        if q[-1] != v[-1] or (step["causal"] and q[-2] != k[-2]):
            return "PyTorch's gradient of attention wants v as wide as k, and as many queries as keys under a mask"
    return None
