// Executes CUDA C on a processor: included before an unchanged kernel, which is then plain C++17.
//
// A thread of a block is a fiber; blocks run one after another. A fiber runs until it must wait for its block
// or its warp, and the order of fibers is random, so that what needs a barrier goes wrong without one. Shared
// memory is poisoned before each block and ends at a page that nobody may touch. Asynchronous copies are done
// as late as their wait allows, or at once, or at random. What cannot go on ends the process with a sentence.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sys/mman.h>
#include <type_traits>
#include <utility>
#include <vector>

#define CUDA_ON_CPU
#define DEVICE static inline
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define SHARED_MEMORY(NAME) unsigned char* const NAME = emulator::shared_memory
#define TENSOR_MAP(NAME) const TensorMap NAME

struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return {x, y}; }
using std::max;
using std::min;

struct TensorMap;
struct Barrier;

namespace emulator {

constexpr size_t STACK = 64 * 1024;
constexpr size_t PAGE = 4096;
constexpr int WARP = 32;

struct Dim { unsigned x, y, z; };
struct Copy { void* to; const void* from; int size, bytes; };
struct Tile { unsigned char* to; const TensorMap* map; int at[3]; Barrier* barrier; };

// What all lanes of a warp do together, once each has brought its operand.
using Together = void (*)(void** operands);

enum State { READY, AT_BARRIER, IN_WARP, LOOKING, DONE };

struct Thread {
  void* stack_pointer;
  Dim index;
  int number;
  State state;
  Together together;
  void* operand;
  std::vector<std::vector<Copy>> groups;  // closed groups of copies that are not done
  std::vector<Copy> open;
  std::vector<std::vector<std::function<void()>>> batches;  // of products, kept by the first lane of a warp
  std::vector<std::function<void()>> products;
};

static unsigned char* shared_memory;
static Thread* current;
static std::vector<Thread> threads;
static std::vector<Tile> tiles;  // on their way to shared memory
static void* scheduler_stack;
static Dim block_index, block_dim, grid_dim;
static void (*body)(void*);
static void* body_argument;
static uint64_t random_state = 1;
enum Mode { LATE, AT_ONCE, ANY };
static Mode copy_mode = LATE;

static inline unsigned random_number() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (unsigned)(random_state >> 32);
}

[[noreturn]] static inline void fail(const char* what) {
  fprintf(stderr, "emulator: %s (block %u %u %u, thread %d)\n", what, block_index.x, block_index.y, block_index.z,
          current ? current->number : -1);
  _Exit(3);
}

extern "C" void emulator_switch(void** save, void* load);
__asm__(R"(
.text
.local emulator_switch
.type emulator_switch,@function
emulator_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");

static inline void pause(State state) {
  Thread* self = current;
  self->state = state;
  emulator_switch(&self->stack_pointer, scheduler_stack);
}

static void thread_main() {
  body(body_argument);
  pause(DONE);
  __builtin_trap();
}

static inline void prepare(Thread& thread, int number, char* stack) {
  thread.number = number;
  thread.state = READY;
  const unsigned n = number, x = block_dim.x, y = block_dim.y;
  thread.index = {n % x, n / x % y, n / (x * y)};
  thread.groups.clear();
  thread.open.clear();
  thread.batches.clear();
  thread.products.clear();
  uint64_t* top = (uint64_t*)(stack + STACK);
  *--top = 0;
  *--top = (uint64_t)&thread_main;
  for (int saved = 0; saved < 6; ++saved) *--top = 0;
  thread.stack_pointer = top;
}

// Runs a warp until each of its lanes waits for the block or is done.
static inline bool run_warp(int first, int lanes) {
  bool moved = false;
  for (;;) {
    const int start = random_number() % lanes, direction = random_number() % 2 ? 1 : lanes - 1;
    bool ran = false;
    for (int i = 0; i < lanes; ++i) {
      Thread& thread = threads[first + (start + i * direction) % lanes];
      if (thread.state != READY) continue;
      current = &thread;
      emulator_switch(&scheduler_stack, thread.stack_pointer);
      ran = true;
      moved |= thread.state != LOOKING;
    }
    if (ran) continue;
    void* operands[WARP] = {};
    Together together = nullptr;
    int waiting = 0;
    for (int lane = 0; lane < lanes; ++lane) {
      Thread& thread = threads[first + lane];
      if (thread.state != IN_WARP) continue;
      current = &thread;
      if (waiting++ && thread.together != together) fail("lanes of a warp wait for different operations");
      together = thread.together;
      operands[lane] = thread.operand;
    }
    if (!waiting) return moved;
    if (waiting != WARP) fail("a lane is missing from its warp's operation");
    together(operands);
    for (int lane = 0; lane < lanes; ++lane) threads[first + lane].state = READY;
    moved = true;
  }
}

static inline void bring_any_tile();

static inline void run_block(char* stacks) {
  const int count = (int)threads.size(), warps = (count + WARP - 1) / WARP;
  for (int number = 0; number < count; ++number) prepare(threads[number], number, stacks + number * STACK);
  std::vector<int> order(warps);
  for (int warp = 0; warp < warps; ++warp) order[warp] = warp;
  for (long idle = 0;;) {
    for (int left = warps; left > 1; --left) std::swap(order[left - 1], order[random_number() % left]);
    bool moved = false;
    for (int warp : order) moved |= run_warp(warp * WARP, min(WARP, count - warp * WARP));
    int done = 0, barrier = 0, looking = 0;
    for (Thread& thread : threads) {
      done += thread.state == DONE;
      barrier += thread.state == AT_BARRIER;
      looking += thread.state == LOOKING;
    }
    if (done == count) {
      if (!tiles.empty()) fail("a block ended before a tile had come");
      return;
    }
    if (barrier + done == count) {
      if (done) fail("threads ended that others wait for at a barrier");
      for (Thread& thread : threads) thread.state = READY;
    }
    // A tile comes when nobody can go on without it.
    if (!moved && !tiles.empty()) {
      bring_any_tile();
      moved = true;
    }
    idle = moved ? 0 : idle + 1;
    if (idle > 1000) fail("nobody can go on");
    if (looking)
      for (Thread& thread : threads) if (thread.state == LOOKING) thread.state = READY;
  }
}

// Memory whose end is the last byte before a page that nobody may touch, up to `align`.
static inline unsigned char* fenced(size_t bytes, size_t align) {
  const size_t room = (bytes + align + PAGE - 1) / PAGE * PAGE;
  char* start = (char*)mmap(nullptr, room + 256 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) fail("no memory");
  mprotect(start + room, 256 * PAGE, PROT_NONE);
  return (unsigned char*)start + room - (bytes + align - 1) / align * align;
}

template <class Body>
static void launch(const unsigned* grid, const unsigned* block, size_t shared_bytes, Body&& run) {
  grid_dim = {grid[0], grid[1], grid[2]};
  block_dim = {block[0], block[1], block[2]};
  const size_t count = (size_t)block[0] * block[1] * block[2];
  static char* stacks = nullptr;
  if (!stacks) stacks = (char*)mmap(nullptr, 1024 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (count > 1024) fail("a block has more than 1024 threads");
  threads.resize(count);
  shared_memory = fenced(shared_bytes, 1024);
  body_argument = (void*)&run;
  body = [](void* p) { (*(std::remove_reference_t<Body>*)p)(); };
  const uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2];
  const uint64_t start = random_number() % blocks;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t number = (start + i) % blocks;
    block_index = {(unsigned)(number % grid[0]), (unsigned)(number / grid[0] % grid[1]), (unsigned)(number / grid[0] / grid[1])};
    memset(shared_memory, 0xff, (shared_bytes + 1023) / 1024 * 1024);
    run_block(stacks);
  }
  munmap((void*)((uintptr_t)shared_memory / PAGE * PAGE), (shared_bytes + 1023) / PAGE * PAGE + 256 * PAGE);
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), const unsigned* grid, const unsigned* block, size_t shared_bytes, void** arguments, std::index_sequence<I...>) {
  launch(grid, block, shared_bytes, [&] { kernel(*(std::remove_reference_t<A>*)arguments[I]...); });
}
// As cuLaunchKernel: `arguments` holds the address of each parameter.
template <class... A>
static void launch_kernel(void (*kernel)(A...), const unsigned* grid, const unsigned* block, size_t shared_bytes, void** arguments) {
  call(kernel, grid, block, shared_bytes, arguments, std::index_sequence_for<A...>());
}

template <class Operand>
static inline void with_warp(Together together, Operand& operand) {
  current->together = together;
  current->operand = &operand;
  pause(IN_WARP);
}

static inline int lane() { return current->number % WARP; }

struct Shuffle { uint64_t value; int source; uint64_t answer; };
static void shuffle_together(void** operands) {
  for (int lane = 0; lane < WARP; ++lane) {
    Shuffle* mine = (Shuffle*)operands[lane];
    mine->answer = ((Shuffle*)operands[mine->source])->value;
  }
}
template <class T>
static inline T shuffle(unsigned mask, T value, int source) {
  if (mask != 0xffffffffu) fail("a shuffle of a part of a warp");
  Shuffle operand = {0, source >= 0 && source < WARP ? source : lane(), 0};
  memcpy(&operand.value, &value, sizeof value);
  with_warp(shuffle_together, operand);
  memcpy(&value, &operand.answer, sizeof value);
  return value;
}

static inline void copy_now(const Copy& copy) {
  memcpy(copy.to, copy.from, copy.bytes);
  memset((char*)copy.to + copy.bytes, 0, copy.size - copy.bytes);
}
static inline void copy_async(void* to, const void* from, int size, int bytes) {
  if ((uintptr_t)to % size || (bytes && (uintptr_t)from % size)) fail("an asynchronous copy is not aligned");
  const Copy copy = {to, from, size, bytes};
  if (copy_mode == AT_ONCE || (copy_mode == ANY && random_number() % 2)) copy_now(copy);
  else current->open.push_back(copy);
}
static inline void copies_wait(size_t pending) {
  auto& groups = current->groups;
  while (groups.size() > pending) {
    for (const Copy& copy : groups.front()) copy_now(copy);
    groups.erase(groups.begin());
  }
}

static inline float from_bf16(unsigned bits) {
  const unsigned wide = bits << 16;
  float x;
  memcpy(&x, &wide, 4);
  return x;
}
static inline float from_f16(unsigned bits) {
  const unsigned sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 1023u;
  float x;
  if (exponent == 0) x = ldexpf((float)fraction, -24);
  else if (exponent == 31) x = fraction ? NAN : INFINITY;
  else x = ldexpf((float)(fraction | 1024u), (int)exponent - 25);
  return sign ? -x : x;
}

struct Matrices { const void* row; unsigned* r; };
template <bool TRANSPOSED>
static void matrices_together(void** operands) {
  unsigned short matrix[4][8][8];
  for (int lane = 0; lane < WARP; ++lane) {
    const void* row = ((Matrices*)operands[lane])->row;
    if ((uintptr_t)row % 16) fail("a row of a matrix is not aligned");
    memcpy(matrix[lane / 8][lane % 8], row, 16);
  }
  for (int lane = 0; lane < WARP; ++lane)
    for (int j = 0; j < 4; ++j) {
      const int a = lane / 4, b = lane % 4 * 2;
      const unsigned low = TRANSPOSED ? matrix[j][b][a] : matrix[j][a][b];
      const unsigned high = TRANSPOSED ? matrix[j][b + 1][a] : matrix[j][a][b + 1];
      ((Matrices*)operands[lane])->r[j] = low | high << 16;
    }
}

template <class C>
struct Product { C* c; unsigned a[4], b[2]; };

// The product of one warp: `widths` elements stand in 32 bits, each read by `element`.
template <class C, class Sum, int PACKED, class A, class B>
static inline void multiply(void** operands, A&& element_a, B&& element_b) {
  constexpr int HALF = 4 * PACKED;
  Sum a[16][2 * HALF], b[8][2 * HALF];
  for (int lane = 0; lane < WARP; ++lane) {
    const Product<C>* p = (const Product<C>*)operands[lane];
    const int group = lane / 4, first = lane % 4 * PACKED;
    for (int i = 0; i < PACKED; ++i) {
      for (int part = 0; part < 4; ++part)
        a[group + part % 2 * 8][first + part / 2 * HALF + i] = element_a(p->a[part], i);
      for (int part = 0; part < 2; ++part) b[group][first + part * HALF + i] = element_b(p->b[part], i);
    }
  }
  for (int lane = 0; lane < WARP; ++lane) {
    C* c = ((const Product<C>*)operands[lane])->c;
    for (int part = 0; part < 4; ++part) {
      const Sum* row = a[lane / 4 + part / 2 * 8];
      const Sum* column = b[lane % 4 * 2 + part % 2];
      Sum sum = c[part];
      for (int k = 0; k < 2 * HALF; ++k) sum += row[k] * column[k];
      c[part] = sum;
    }
  }
}
static void mma_bf16_together(void** operands) {
  auto element = [](unsigned word, int i) { return from_bf16(word >> 16 * i & 0xffffu); };
  multiply<float, float, 2>(operands, element, element);
}
static void mma_f16_together(void** operands) {
  auto element = [](unsigned word, int i) { return from_f16(word >> 16 * i & 0xffffu); };
  multiply<float, float, 2>(operands, element, element);
}
static inline int signed_byte(unsigned word, int i) { return (int8_t)(word >> 8 * i); }
static inline int unsigned_byte(unsigned word, int i) { return (uint8_t)(word >> 8 * i); }
static void mma_i8_together(void** operands) { multiply<int, int, 4>(operands, signed_byte, signed_byte); }
static void mma_u8_together(void** operands) { multiply<int, int, 4>(operands, unsigned_byte, signed_byte); }

template <class C>
static inline void product(Together together, C (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Product<C> operand = {c, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  with_warp(together, operand);
}
static void nothing_together(void**) {}

}  // namespace emulator

#define threadIdx (emulator::current->index)
#define blockIdx emulator::block_index
#define blockDim emulator::block_dim
#define gridDim emulator::grid_dim

DEVICE void __syncthreads() { emulator::pause(emulator::AT_BARRIER); }
DEVICE void __syncwarp() {
  int nothing;
  emulator::with_warp(emulator::nothing_together, nothing);
}
template <class T>
DEVICE T __shfl_xor_sync(unsigned mask, T value, int bits) { return emulator::shuffle(mask, value, emulator::lane() ^ bits); }
template <class T>
DEVICE T __shfl_sync(unsigned mask, T value, int source) { return emulator::shuffle(mask, value, source); }
DEVICE int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
DEVICE float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
DEVICE float rsqrtf(float x) { return 1.0f / sqrtf(x); }
DEVICE int __float2int_rn(float x) { return (int)lrintf(x); }
DEVICE unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = (uint64_t)y << 32 | x;
  unsigned answer = 0;
  for (int i = 0; i < 4; ++i) answer |= (unsigned)(bytes >> 8 * (selector >> 4 * i & 7u) & 0xffu) << 8 * i;
  return answer;
}

// The functions of ptx.cuh.
DEVICE float f16_to_float(unsigned short bits) { return emulator::from_f16(bits); }
DEVICE unsigned short float_to_f16(float x) {
  const unsigned bits = (unsigned)__float_as_int(x), sign = bits >> 16 & 0x8000u;
  const float size = fabsf(x);
  if (x != x) return (unsigned short)(sign | 0x7e00u);
  if (size == 0.0f) return (unsigned short)sign;
  if (size >= 65520.0f) return (unsigned short)(sign | 0x7c00u);
  int exponent;
  frexpf(size, &exponent);
  const int unit = max(exponent - 11, -24);  // the exponent of the last bit that is kept
  const unsigned steps = (unsigned)lrintf(ldexpf(size, -unit));
  return (unsigned short)(sign | (steps + ((unsigned)(unit + 24) << 10)));
}
DEVICE void copy16_async(void* to, const void* from, int bytes) { emulator::copy_async(to, from, 16, bytes); }
DEVICE void copy4_async(void* to, const void* from, int bytes) { emulator::copy_async(to, from, 4, bytes); }
DEVICE void copies_commit() {
  emulator::current->groups.push_back(std::move(emulator::current->open));
  emulator::current->open.clear();
}
template <int PENDING>
DEVICE void copies_wait() { emulator::copies_wait(PENDING); }
DEVICE void load_matrices(unsigned (&r)[4], const void* row) {
  emulator::Matrices operand = {row, r};
  emulator::with_warp(emulator::matrices_together<false>, operand);
}
DEVICE void load_matrices_transposed(unsigned (&r)[4], const void* row) {
  emulator::Matrices operand = {row, r};
  emulator::with_warp(emulator::matrices_together<true>, operand);
}
DEVICE void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { emulator::product(emulator::mma_bf16_together, c, a, b0, b1); }
DEVICE void mma_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { emulator::product(emulator::mma_f16_together, c, a, b0, b1); }
DEVICE void mma_i8(int (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { emulator::product(emulator::mma_i8_together, c, a, b0, b1); }
DEVICE void mma_u8(int (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) { emulator::product(emulator::mma_u8_together, c, a, b0, b1); }
DEVICE int dot_i8(int a, int b, int c) {
  for (int i = 0; i < 4; ++i) c += emulator::signed_byte((unsigned)a, i) * emulator::signed_byte((unsigned)b, i);
  return c;
}
DEVICE int dot_u8(int a, int b, int c) {
  for (int i = 0; i < 4; ++i) c += emulator::unsigned_byte((unsigned)a, i) * emulator::signed_byte((unsigned)b, i);
  return c;
}

#include "hopper.h"

// Seed of the order of threads, and when copies are done.
extern "C" void emulator_setup(uint64_t seed, int mode) {
  emulator::random_state = seed * 0x9E3779B97F4A7C15ull + 1;
  emulator::copy_mode = (emulator::Mode)mode;
}
