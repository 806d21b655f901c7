// What Hopper's cards alone have (PTX ISA, "mbarrier", "Data Movement", "Asynchronous Warpgroup Level Matrix
// Instructions"): copies of whole tiles by the tensor memory accelerator, barriers that count their bytes, and products
// that a group of four warps starts and waits for. As in ptx.cuh, the tests' emulator has functions of the same names.
#pragma once
#include "ptx.cuh"
#ifndef CUDA_ON_CPU

// What the accelerator must know of an array; the driver encodes it.
struct __align__(64) TensorMap { unsigned long long words[16]; };
// A parameter that a kernel hands to the accelerator.
#define TENSOR_MAP(NAME) const __grid_constant__ TensorMap NAME

// Counts arrivals and bytes; each time that all have come it turns to its next phase, 0 or 1.
struct Barrier { unsigned long long word; };

DEVICE void barrier_init(Barrier* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Lets the accelerator see barriers that were just made.
DEVICE void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
// Arrives; the phase ends no sooner than so many bytes have come.
DEVICE void barrier_expect(Barrier* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
DEVICE void barrier_arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Waits until the phase `phase` is over; the one before the first is.
DEVICE void barrier_wait(Barrier* barrier, unsigned phase) {
  asm volatile(
      "{\n.reg .pred over;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
      "@!over bra again;\n}" ::"r"(shared_address(barrier)), "r"(phase)
      : "memory");
}
// Brings the tile at x, y, z of an array of three axes, zeros where the array ends, and counts its bytes.
DEVICE void tile_async(void* to, const TensorMap& map, int x, int y, int z, Barrier* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(
          shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z)
      : "memory");
}

// Where a product finds an operand in shared memory, in rows of 128 bytes that were swizzled as they were brought:
// bytes from one group of 64 lines to the next, where lines are neighbours in a row, and between groups of eight rows.
DEVICE unsigned long long operand_at(const void* start, unsigned group_bytes, unsigned rows_bytes) {
  const auto part = [](unsigned bytes) { return (unsigned long long)(bytes >> 4 & 0x3fffu); };
  return part(shared_address(start)) | part(group_bytes) << 16 | part(rows_bytes) << 32 | 1ull << 62;
}
// Lets products see what threads wrote to shared memory.
DEVICE void operands_ready() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
// Before the first product, and after anybody else wrote to the sums.
DEVICE void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Closes a batch of products.
DEVICE void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until all batches but the last `PENDING` are done.
template <int PENDING>
DEVICE void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// c += a b on 64 lines and 8 x COLUMNS columns, 16 deep or 32 bytes, fragments as those of mma for each warp's
// 16 lines. An operand of 16 bits lies with its depth along a row, or ACROSS rows.
#define FOUR(HOW, C) HOW(C[0]), HOW(C[1]), HOW(C[2]), HOW(C[3])
#define PRODUCT_128(HOW, KIND, REST)                                                                                  \
  asm volatile("{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"                                                         \
               "wgmma.mma_async.sync.aligned.m64n128" KIND " {"                                                       \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                     \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                     \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"                       \
               "}, %64, %65, add" REST ";\n}"                                                                         \
               : FOUR(HOW, c[0]), FOUR(HOW, c[1]), FOUR(HOW, c[2]), FOUR(HOW, c[3]), FOUR(HOW, c[4]),                 \
                 FOUR(HOW, c[5]), FOUR(HOW, c[6]), FOUR(HOW, c[7]), FOUR(HOW, c[8]), FOUR(HOW, c[9]),                 \
                 FOUR(HOW, c[10]), FOUR(HOW, c[11]), FOUR(HOW, c[12]), FOUR(HOW, c[13]), FOUR(HOW, c[14]),            \
                 FOUR(HOW, c[15])                                                                                     \
               : "l"(a), "l"(b), "n"(ACROSS_A), "n"(ACROSS_B))
#define PRODUCT_256(HOW, KIND, REST)                                                                                  \
  asm volatile("{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"                                                         \
               "wgmma.mma_async.sync.aligned.m64n256" KIND " {"                                                       \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                     \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                     \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                     \
               "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                     \
               "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                     \
               "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "         \
               "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"       \
               "}, %128, %129, add" REST ";\n}"                                                                       \
               : FOUR(HOW, c[0]), FOUR(HOW, c[1]), FOUR(HOW, c[2]), FOUR(HOW, c[3]), FOUR(HOW, c[4]),                 \
                 FOUR(HOW, c[5]), FOUR(HOW, c[6]), FOUR(HOW, c[7]), FOUR(HOW, c[8]), FOUR(HOW, c[9]),                 \
                 FOUR(HOW, c[10]), FOUR(HOW, c[11]), FOUR(HOW, c[12]), FOUR(HOW, c[13]), FOUR(HOW, c[14]),            \
                 FOUR(HOW, c[15]), FOUR(HOW, c[16]), FOUR(HOW, c[17]), FOUR(HOW, c[18]), FOUR(HOW, c[19]),            \
                 FOUR(HOW, c[20]), FOUR(HOW, c[21]), FOUR(HOW, c[22]), FOUR(HOW, c[23]), FOUR(HOW, c[24]),            \
                 FOUR(HOW, c[25]), FOUR(HOW, c[26]), FOUR(HOW, c[27]), FOUR(HOW, c[28]), FOUR(HOW, c[29]),            \
                 FOUR(HOW, c[30]), FOUR(HOW, c[31])                                                                   \
               : "l"(a), "l"(b), "n"(ACROSS_A), "n"(ACROSS_B))

template <bool ACROSS_A, bool ACROSS_B, int COLUMNS>
DEVICE void product_bf16(float (&c)[COLUMNS][4], unsigned long long a, unsigned long long b) {
  if constexpr (COLUMNS == 32) PRODUCT_256("+f", "k16.f32.bf16.bf16", ", 1, 1, %130, %131");
  else PRODUCT_128("+f", "k16.f32.bf16.bf16", ", 1, 1, %66, %67");
}
template <bool ACROSS_A, bool ACROSS_B, int COLUMNS>
DEVICE void product_f16(float (&c)[COLUMNS][4], unsigned long long a, unsigned long long b) {
  if constexpr (COLUMNS == 32) PRODUCT_256("+f", "k16.f32.f16.f16", ", 1, 1, %130, %131");
  else PRODUCT_128("+f", "k16.f32.f16.f16", ", 1, 1, %66, %67");
}
// Signed bytes, which lie along rows.
DEVICE void product_i8(int (&c)[32][4], unsigned long long a, unsigned long long b) {
  constexpr bool ACROSS_A = false, ACROSS_B = false;
  PRODUCT_256("+r", "k32.s32.s8.s8", "");
}

#endif
