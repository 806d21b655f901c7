"""What the ops of PyTorch share."""

import torch

WIDE = {torch.float64: torch.float64}  # in what a type is computed; float32 where it is not named


def wide(tensor):
    """The type of statistics and of arithmetic on a tensor's elements."""
    return WIDE.get(tensor.dtype, torch.float32)


def adopt(out, answer):
    """`out` becomes a tensor that PyTorch made, without a copy. Views of it keep the old memory.

    While a graph is traced it is copied: the compiler knows that nobody needs both.
    """
    if getattr(out, "is_traced", False):
        out.view(answer.shape).copy_(answer)
        return
    out.data = answer if answer.shape == out.shape else answer.view(out.shape)


def views(tensors, make):
    """A function that gives what `make` makes of tensors: made once, or anew where one of them adopts memory."""
    if any(getattr(tensor, "adopts", False) for tensor in tensors):
        return make
    made = make()
    return lambda: made


def images(step, tensor):
    """Channels second, as PyTorch has them, wherever they lie."""
    return tensor.permute(0, 3, 1, 2) if step["layout"] == "nhwc" else tensor


def as_stored(step, answer):
    """The answer as the program has it; a copy only where PyTorch chose another layout."""
    return (answer.permute(0, 2, 3, 1) if step["layout"] == "nhwc" else answer).contiguous()
