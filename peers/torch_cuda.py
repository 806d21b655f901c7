"""PyTorch on an NVIDIA card, op by op as in eager mode: values live on the card, whose clock is CUDA's events.

f32 products are f32: TF32 is off but in those that may be in it. `CUTGPU_TORCH_DEVICE=cpu` computes on the processor
instead, which proves this script where there is no card; that has no clock of its own.
"""

import os

import torch

import torch_peer
import torch_training as training
from worker.errors import Unsupported
from worker.machine import now

# A kernel that only waits holds the card back while launches are queued behind it: so many of its cycles a nanosecond,
# for half as long again as queueing took before. Beyond some thousand launches the host would wait for the card.
CYCLES, GATE = 2, 1.5
LAUNCHES = 256
LONGEST_GATE = 10**8  # nanoseconds
USUAL_LAUNCH = 10_000  # nanoseconds of the host, until it has been seen
# Integer products and steps of training, but for these two, are the processor's.
LEFT_OUT = {"gemm_i8", "quantize", "dequantize", *training.OPS} - {"cast", "embedding"}


def gemm(step, args, outs, scratch):
    """D = alpha A B + beta C; TF32 is a setting for whatever is launched next."""
    launch = torch_peer.gemm(step, args, outs, scratch)
    if step.get("factors") != "tf32":
        return launch
    products = torch.backends.cuda.matmul

    def rounded():
        products.allow_tf32 = True
        try:
            launch()
        finally:
            products.allow_tf32 = False

    return rounded


class Peer(torch_peer.Peer):
    """PyTorch on one card, by the number that the backend's name ends in."""

    PACKINGS = ("plain",)
    OPS = {op: call for op, call in torch_peer.Peer.OPS.items() if op not in LEFT_OUT} | {"gemm": gemm}
    PACKED = {}
    HAS_DEVICES = True
    is_host_memory = False
    # More than a gigabyte, which each start would read: the version has to do.
    LIBRARY, digest = "libtorch_cuda", staticmethod(lambda path: "")

    def __init__(self, backend, lane):
        name = os.environ.get("CUTGPU_TORCH_DEVICE") or f"cuda:{backend.rpartition('/')[2]}"
        self.device = torch.device(name)
        self.has_clock = self.device.type == "cuda"
        if self.has_clock:
            if not torch.cuda.is_available():
                why = "finds no card that it can use" if torch.version.cuda else "was built without CUDA"
                raise Unsupported(f"this PyTorch ({torch.__version__}) {why}")
            if self.device.index >= torch.cuda.device_count():
                raise Unsupported(f"PyTorch sees {torch.cuda.device_count()} cards, and this would be one more")
            torch.cuda.set_device(self.device)
        products = torch.backends.cuda.matmul
        products.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        products.allow_bf16_reduced_precision_reduction = products.allow_fp16_reduced_precision_reduction = False
        self.forget()
        super().__init__(backend, lane)

    def forget(self):
        self.carried, self.pristine, self.host, self.results = set(), {}, [], {}
        self.launch_ns = USUAL_LAUNCH
        if self.has_clock:
            # Whoever computes beside this one finds the memory free.
            torch.cuda.empty_cache()

    def room(self):
        return (torch.cuda.mem_get_info(self.device)[0], "the card has free") if self.has_clock else None

    def held(self, reset_peak):
        if not self.has_clock:
            return None
        if reset_peak:
            torch.cuda.reset_peak_memory_stats(self.device)
        free, total = torch.cuda.mem_get_info(self.device)
        now, peak = torch.cuda.memory_allocated(self.device), torch.cuda.max_memory_allocated(self.device)
        return {"resident": now, "peak": max(peak, 1), "taken": total - free}

    def load(self, program, seed, sets, keep_all):
        self.carried = {carry["input"] for carry in program["carries"]}
        return super().load(program, seed, sets, keep_all)

    def empty(self, shape, dtype):
        return torch.empty(shape, dtype=dtype, device=self.device)

    def array(self, shape, dtype):
        return self.empty(shape, self.TYPES[dtype])

    def at_host(self, array):
        """A copy in host memory, page-locked where a card reads it."""
        copy = array.detach().to("cpu", copy=True)
        return copy.pin_memory() if self.has_clock else copy

    def view(self, array):
        return super().view(array.to("cpu", copy=True))

    def settle(self, array, view, place):
        made = torch.from_numpy(view)
        array.copy_(made.view(torch.bfloat16) if array.dtype == torch.bfloat16 else made)
        if place[1] in self.carried:
            self.pristine[place] = self.at_host(array)

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
        values = loaded.program["values"]
        is_brought = lambda value: values[value]["state"] == "batch" and value not in self.carried
        batch = [value for value in range(len(values)) if loaded.is_input(value) and is_brought(value)]
        self.host = [
            {value: self.at_host(loaded.array(number, 0, value)) for value in batch} for number in range(loaded.sets)
        ]
        self.results = {value: self.at_host(loaded.array(0, 0, value)) for value in loaded.program["outputs"]}
        return super().prepare(loaded)

    def upload(self, loaded, number):
        turn = loaded.next_turn(number)
        for value, array in self.host[number].items():
            loaded.array(number, turn, value).copy_(array, non_blocking=True)

    def download(self, loaded, number):
        for value, array in self.results.items():
            array.copy_(loaded.array(number, loaded.turn[number] or 0, value), non_blocking=True)

    def wait(self):
        if self.has_clock:
            torch.cuda.synchronize()

    def device_time(self, loaded, first, iters):
        steps, total = max(len(loaded.program["steps"]), 1), 0.0
        most = max(LAUNCHES // steps, 1)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for start in range(0, iters, most):
            count = min(most, iters - start)
            gate = min(self.launch_ns * steps * count * GATE, LONGEST_GATE)
            torch.cuda._sleep(int(gate * CYCLES))
            begin.record()
            moment = now()
            for number in range(start, start + count):
                loaded.execute((first + number) % loaded.sets)
            self.launch_ns = (now() - moment) / (steps * count)
            end.record()
            end.synchronize()
            total += begin.elapsed_time(end) * 1e6
        return total

    def identity(self):
        said = super().identity()
        said["threads"] = 1
        said["notes"]["tf32"] = "off but in products that may be in it; attention in f32 may take three of it for one"
        if self.has_clock:
            said["name"] = f"PyTorch on {torch.cuda.get_device_properties(self.device).name}"
            cudnn = torch.backends.cudnn.version()
            said["notes"].update(cuda=str(torch.version.cuda), cudnn=str(cudnn), launches="hidden behind a gate")
        return said
