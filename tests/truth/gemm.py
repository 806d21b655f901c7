"""numpy's clock around its own product, to hold cutgpu's against.

gemm.py N prints nanoseconds of one N x N x N product, the median over samples of about 30 ms.
gemm.py --library prints the path of the BLAS that numpy brings along.
"""

import glob
import os
import sys
import time

import numpy


def library():
    beside = os.path.join(os.path.dirname(os.path.dirname(numpy.__file__)), "numpy.libs")
    found = sorted(glob.glob(os.path.join(beside, "*openblas*")))
    if not found:
        sys.exit("this numpy brings no OpenBLAS of its own")
    return found[0]


def median_ns(n):
    random = numpy.random.default_rng(1)
    a, b = (random.uniform(-1, 1, (n, n)).astype(numpy.float32) for _ in range(2))
    c = numpy.empty((n, n), numpy.float32)
    start, calls = time.perf_counter_ns(), 0
    while time.perf_counter_ns() - start < 5e8:
        numpy.matmul(a, b, out=c)
        calls += 1
    iters = int(3e7 / (5e8 / calls)) + 1
    samples = []
    for _ in range(41):
        before = time.perf_counter_ns()
        for _ in range(iters):
            numpy.matmul(a, b, out=c)
        samples.append((time.perf_counter_ns() - before) / iters)
    return sorted(samples)[20]


if sys.argv[1:] == ["--library"]:
    print(library())
else:
    print(median_ns(int(sys.argv[1])))
