"""Trains a model that PyTorch's own modules and autograd make, from parameters and a batch that cutgpu gives.

usage: torch_check.py MODEL UPDATE STEPS <parameters and batch >answers

Both streams are safetensors. UPDATE is the update's op as cutgpu's programs have it, in JSON. The answers are `losses`
(the mean loss before each step, all steps on the one batch), for each parameter `NAME.grad` at the first step and
`NAME'` after the last. Nothing here knows the program's steps: agreement is of two derivations.

Names of cutgpu's parameters and where they stand in a module (matrices are [in, out] there and [out, in] here):

    mlp   first, second                        nn.Linear: weight, bias
    bert  embedding.words, .positions, .kinds  nn.Embedding: weight, the rows alike
          embedding.norm.gain, .bias           nn.LayerNorm: weight, bias
          layerN.attention.qkv                 self_attn.in_proj: queries, keys, values behind each other
          layerN.attention.out                 self_attn.out_proj
          layerN.norm1, layerN.norm2           norm1, norm2
          layerN.up, layerN.down               linear1, linear2
          pooler, classifier                   nn.Linear
"""

import json
import re
import struct
import sys

import torch
from torch import nn

HEAD = 64  # width of a head of BERT
TYPES = {"F32": torch.float32, "I32": torch.int32}


def unpack(data):
    """Tensors by name."""
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in about["data_offsets"])
        raw = torch.frombuffer(bytearray(data[start:end]), dtype=TYPES[about["dtype"]])
        tensors[name] = raw.view(about["shape"])
    return tensors


def pack(tensors):
    """The bytes of float32 tensors by name."""
    header, raw, end = {}, [], 0
    for name, tensor in tensors.items():
        raw.append(tensor.detach().contiguous().numpy().tobytes())
        start, end = end, end + len(raw[-1])
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return b"".join([struct.pack("<Q", len(text)), text, *raw])


class Mlp(nn.Module):
    """Two layers with a rectifier between them."""

    def __init__(self, given):
        super().__init__()
        pixels, hidden = given["first.weight"].shape
        self.first = nn.Linear(pixels, hidden)
        self.second = nn.Linear(hidden, given["second.bias"].numel())

    def forward(self, given):
        return self.second(torch.relu(self.first(given["pixels"])))


class Bert(nn.Module):
    """BERT with a classifier on its pooled first token, as its paper has it, without dropout."""

    def __init__(self, given):
        super().__init__()
        width = given["pooler.bias"].numel()
        tables = ("words", "positions", "kinds")
        self.tables = nn.ModuleDict({name: nn.Embedding(*given[f"embedding.{name}"].shape) for name in tables})
        self.norm = nn.LayerNorm(width, eps=1e-12)
        count = sum(bool(re.fullmatch(r"layer\d+\.up\.bias", name)) for name in given)
        hidden = given["layer0.up.bias"].numel()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, width // HEAD, hidden, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(count)
        )
        self.pooler = nn.Linear(width, width)
        self.classifier = nn.Linear(width, given["classifier.bias"].numel())

    def forward(self, given):
        batch = given["labels"].numel()
        words, kinds = (given[name].view(batch, -1) for name in ("words", "kinds"))
        positions = torch.arange(words.shape[1])
        x = self.tables["words"](words) + self.tables["kinds"](kinds) + self.tables["positions"](positions)
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


MODELS = {"mlp": Mlp, "bert": Bert}
PLACES = [
    (r"embedding\.norm", "norm"),
    (r"embedding\.(\w+)", r"tables.\1.weight"),
    (r"layer(\d+)\.attention\.qkv\.(weight|bias)", r"layers.\1.self_attn.in_proj_\2"),
    (r"layer(\d+)\.attention\.out", r"layers.\1.self_attn.out_proj"),
    (r"layer(\d+)\.up", r"layers.\1.linear1"),
    (r"layer(\d+)\.down", r"layers.\1.linear2"),
    (r"layer(\d+)\.", r"layers.\1."),
]


def place(name):
    """Where a parameter of cutgpu's stands in a module."""
    for pattern, found in PLACES:
        moved, count = re.subn("^" + pattern, found, name)
        if count:
            name = moved
            break
    return re.sub(r"\.gain$", ".weight", name)


def is_turned(name, tensor):
    """Whether the two sides store it transposed: matrices, but for tables, whose rows are rows on both."""
    return tensor.dim() == 2 and not name.startswith("embedding.")


def optimizer(update, parameters):
    """The optimizer of an update, and what has to be done before each of its steps."""
    if update["op"] == "sgd_momentum":
        settings = {"momentum": update["momentum"], "weight_decay": update["weight_decay"]}
        return torch.optim.SGD(parameters, update["rate"], **settings), lambda: None
    betas, decay = (update["beta1"], update["beta2"]), update["weight_decay"]
    made = torch.optim.AdamW(parameters, update["rate"], betas, update["eps"], decay)

    def count():
        # The program's step has one number, by which moments are corrected; PyTorch's counts up by itself.
        for parameter in parameters:
            state = made.state[parameter]
            if not state:
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] = torch.tensor(float(update["step"] - 1))

    return made, count


def main(model, update, steps):
    given = unpack(sys.stdin.buffer.read())
    given = {name: tensor.long() if tensor.dtype == torch.int32 else tensor for name, tensor in given.items()}
    module = MODELS[model](given)
    ours = dict(module.named_parameters())
    pairs = {name: ours.pop(place(name)) for name in given if place(name) in ours}
    if ours:
        raise SystemExit(f"nothing was given for {', '.join(ours)}")
    with torch.no_grad():
        for name, parameter in pairs.items():
            parameter.copy_(given[name].t() if is_turned(name, parameter) else given[name])
    made, count = optimizer(json.loads(update), list(pairs.values()))
    turn = lambda name, tensor: tensor.t() if is_turned(name, tensor) else tensor
    answers, losses = {}, []
    for step in range(int(steps)):
        loss = nn.functional.cross_entropy(module(given), given["labels"])
        made.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            answers.update({f"{name}.grad": turn(name, p.grad).clone() for name, p in pairs.items()})
        count()
        made.step()
    answers.update({f"{name}'": turn(name, p) for name, p in pairs.items()})
    answers["losses"] = torch.tensor(losses)
    sys.stdout.buffer.write(pack(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
