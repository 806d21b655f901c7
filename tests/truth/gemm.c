/* The clock of a plain C program around cblas_sgemm, to hold cutgpu's against.
 * gemm LIBRARY N: prints nanoseconds of one N x N x N product, the median over samples of about 30 ms.
 * The library is opened at run time; its names may have a prefix and a suffix. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef void (*sgemm32)(int, int, int, int32_t, int32_t, int32_t, float, const float *, int32_t, const float *, int32_t,
                        float, float *, int32_t);
typedef void (*sgemm64)(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t,
                        float, float *, int64_t);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static float *filled(size_t count, unsigned seed) {
    float *data = aligned_alloc(4096, (count * sizeof(float) + 4095) / 4096 * 4096);
    srand(seed);
    for (size_t i = 0; data && i < count; i++) data[i] = 2.0f * rand() / (float)RAND_MAX - 1.0f;
    return data;
}

static sgemm32 narrow;
static sgemm64 wide;
static int n;
static float *a, *b, *c;

static void product(void) {
    if (wide)
        wide(101, 111, 111, n, n, n, 1.0f, a, n, b, n, 0.0f, c, n);
    else
        narrow(101, 111, 111, n, n, n, 1.0f, a, n, b, n, 0.0f, c, n);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: gemm LIBRARY N\n"), 2;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    narrow = (sgemm32)dlsym(library, "cblas_sgemm");
    if (!narrow) narrow = (sgemm32)dlsym(library, "scipy_cblas_sgemm");
    if (!narrow) wide = (sgemm64)dlsym(library, "scipy_cblas_sgemm64_");
    if (!narrow && !wide) wide = (sgemm64)dlsym(library, "cblas_sgemm64_");
    if (!narrow && !wide) return fprintf(stderr, "%s has no cblas_sgemm\n", argv[1]), 1;
    n = atoi(argv[2]);
    size_t count = (size_t)n * n;
    a = filled(count, 1), b = filled(count, 2), c = filled(count, 3);
    if (!a || !b || !c) return fprintf(stderr, "no memory\n"), 1;
    double start = now();
    int calls = 0;
    while (now() - start < 5e8) product(), calls++;
    int iters = (int)(3e7 / (5e8 / calls)) + 1;
    double samples[41];
    for (int s = 0; s < 41; s++) {
        double before = now();
        for (int i = 0; i < iters; i++) product();
        samples[s] = (now() - before) / iters;
    }
    qsort(samples, 41, sizeof(double), by_value);
    printf("%.1f\n", samples[20]);
    return 0;
}
