"""PyTorch on an NVIDIA card, op by op as in eager mode: values live on the card, whose clock is CUDA's events.

f32 products are f32: TF32 is switched off. `CUTGPU_TORCH_DEVICE=cpu` computes on the processor instead, which proves
this script where there is no card; that has no clock of its own.
"""

import os

import torch

import torch_peer
import torch_training as training
from worker.errors import Unsupported

# A kernel that only waits holds the card back while launches are queued behind it: so many of its cycles a nanosecond.
CYCLES = 2
LONGEST_GATE = 5 * 10**8  # nanoseconds
# Integer products and steps of training, but for these two, are the processor's.
LEFT_OUT = {"gemm_i8", "quantize", "dequantize", *training.OPS} - {"cast", "embedding"}


class Peer(torch_peer.Peer):
    """PyTorch on one card, by the number that the backend's name ends in."""

    PACKINGS = ("plain",)
    OPS = dict(torch_peer.Peer.OPS)
    for left_out in LEFT_OUT:
        del OPS[left_out]
    PACKED = {}
    is_host_memory = False

    def __init__(self, backend, lane):
        name = os.environ.get("CUTGPU_TORCH_DEVICE") or f"cuda:{backend.rpartition('/')[2]}"
        self.device = torch.device(name)
        if self.device.type == "cuda":
            if not torch.cuda.is_available():
                built = torch.version.cuda
                why = "finds no card that it can use" if built else "was built without CUDA"
                raise Unsupported(f"this PyTorch ({torch.__version__}) {why}")
            if self.device.index >= torch.cuda.device_count():
                raise Unsupported(f"PyTorch sees {torch.cuda.device_count()} cards, and this would be one more")
            torch.cuda.set_device(self.device)
        self.has_clock = self.device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        for product in ("bf16", "fp16"):
            setattr(torch.backends.cuda.matmul, f"allow_{product}_reduced_precision_reduction", False)
        self.queued_ns = 0
        super().__init__(backend, lane)

    def empty(self, shape, dtype):
        return torch.empty(shape, dtype=dtype, device=self.device)

    def array(self, shape, dtype):
        return self.empty(shape, self.TYPES[dtype])

    def view(self, array):
        return super().view(array.cpu())

    def load(self, program, seed, sets, keep_all):
        self.carried, self.pristine = {carry["input"] for carry in program["carries"]}, {}
        return super().load(program, seed, sets, keep_all)

    def settle(self, array, view, place):
        host = torch.from_numpy(view)
        array.copy_(host.view(torch.bfloat16) if array.dtype == torch.bfloat16 else host)
        if place[1] in self.carried:
            self.pristine[place] = array.clone()

    def recall(self, array, place):
        if place in self.pristine:
            array.copy_(self.pristine[place])
        return place in self.pristine

    def spoil(self, array):
        array.fill_(torch.nan if array.is_floating_point() else torch.iinfo(array.dtype).min)

    def check(self, step, values):
        super().check(step, values)
        if step["op"] == "attention" and step["log_sum_exp"]:
            raise Unsupported("PyTorch is not asked for the log-sum-exp on a card")

    def prepare(self, loaded):
        # The host's side of transfers: what a batch brings, and where outputs go.
        pinned = self.device.type == "cuda"
        values = loaded.program["values"]
        batch = [value for value, of in enumerate(values) if of["state"] == "batch" and loaded.is_input(value)]
        self.host = [
            {value: loaded.array(number, 0, value).to("cpu", copy=True) for value in batch}
            for number in range(loaded.sets)
        ]
        self.results = {value: loaded.array(0, 0, value).to("cpu", copy=True) for value in loaded.program["outputs"]}
        if pinned:
            self.host = [{value: array.pin_memory() for value, array in arrays.items()} for arrays in self.host]
            self.results = {value: array.pin_memory() for value, array in self.results.items()}
        return super().prepare(loaded)

    def upload(self, loaded, number):
        for value, array in self.host[number].items():
            loaded.array(number, loaded.next_turn(number), value).copy_(array, non_blocking=True)

    def download(self, loaded, number):
        for value, array in self.results.items():
            array.copy_(loaded.array(number, loaded.turn[number] or 0, value), non_blocking=True)

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def device_time(self, run):
        """Nanoseconds of what `run` queues, by the card's clock; launches are queued behind a gate."""
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(int(min(self.queued_ns + 10**6, LONGEST_GATE) * CYCLES))
        first.record()
        self.queued_ns = self.clocked(run)
        last.record()
        last.synchronize()
        return first.elapsed_time(last) * 1e6

    def identity(self):
        said = super().identity()
        if self.device.type == "cuda":
            about = torch.cuda.get_device_properties(self.device)
            said["name"] = f"PyTorch on {about.name}"
            cudnn = torch.backends.cudnn.version()
            said["notes"].update(cuda=str(torch.version.cuda), cudnn=str(cudnn), launches="hidden behind a gate")
        said["threads"] = 1
        said["notes"]["tf32"] = "off"
        return said
