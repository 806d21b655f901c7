// The emulator's part for Hopper. What hopper.cuh has: tiles, barriers, products of groups of warps.

// An array as the accelerator sees it, innermost axis first, rows of a tile swizzled over 128 bytes.
struct TensorMap {
  const unsigned char* start;
  uint64_t element_bytes, extents[3], strides[2];
  uint32_t tile[3];
  uint64_t unused[7];
};
static_assert(sizeof(TensorMap) == 128, "as long as the driver's");

struct Barrier {
  int16_t arrivals, pending;
  uint32_t bytes_and_phase;  // bytes that are to come, and the phase in the lowest bit
};

namespace emulator {

static inline void turn_if_over(Barrier* barrier) {
  if (barrier->pending < 0) fail("more arrive at a barrier than it waits for");
  if (barrier->pending || barrier->bytes_and_phase >> 1) return;
  barrier->pending = barrier->arrivals;
  barrier->bytes_and_phase ^= 1;
}

// Bits 4 to 6 of an address by bits 7 to 9.
static inline size_t swizzled(size_t byte) { return byte ^ (byte >> 3 & 0x70); }

static inline void bring(const Tile& tile) {
  const TensorMap& map = *tile.map;
  const size_t to = tile.to - shared_memory;
  size_t byte = 0;
  for (unsigned z = 0; z < map.tile[2]; ++z)
    for (unsigned y = 0; y < map.tile[1]; ++y)
      for (unsigned x = 0; x < map.tile[0]; ++x, byte += map.element_bytes) {
        const uint64_t at[3] = {tile.at[0] + (uint64_t)x, tile.at[1] + (uint64_t)y, tile.at[2] + (uint64_t)z};
        unsigned char* target = shared_memory + swizzled(to + byte);
        if (at[0] < map.extents[0] && at[1] < map.extents[1] && at[2] < map.extents[2])
          memcpy(target, map.start + at[0] * map.element_bytes + at[1] * map.strides[0] + at[2] * map.strides[1], map.element_bytes);
        else memset(target, 0, map.element_bytes);
      }
  if (tile.barrier->bytes_and_phase >> 1 < byte) fail("a tile that its barrier does not expect");
  tile.barrier->bytes_and_phase -= (uint32_t)byte << 1;
  turn_if_over(tile.barrier);
}
static inline void bring_any_tile() {
  std::swap(tiles[random_number() % tiles.size()], tiles.back());
  const Tile tile = tiles.back();
  tiles.pop_back();
  bring(tile);
}

// The element at a line and a depth of an operand that `operand_at` described.
static inline unsigned short operand_element(uint64_t operand, bool across, int line, int depth) {
  const auto bytes = [&](int from) { return (size_t)(operand >> from & 0x3fffu) << 4; };
  const size_t group_bytes = bytes(16), rows_bytes = bytes(32);
  const int row = across ? depth : line, column = across ? line : depth;
  size_t byte = bytes(0) + row / 8 * rows_bytes + row % 8 * 128 + column % 64 * 2;
  if (across) byte += column / 64 * group_bytes;
  unsigned short element;
  memcpy(&element, shared_memory + swizzled(byte), 2);
  return element;
}

struct GroupProduct {
  float* c;
  uint64_t a, b;
  int columns;
  bool across_a, across_b;
  float (*element)(unsigned);
};
// One warp's sixteen lines.
static inline void multiply_now(const std::vector<GroupProduct>& lanes, int warp) {
  const GroupProduct& first = lanes[0];
  static float a[16][16], b[256][16];
  for (int k = 0; k < 16; ++k) {
    for (int row = 0; row < 16; ++row) a[row][k] = first.element(operand_element(first.a, first.across_a, 16 * warp + row, k));
    for (int column = 0; column < 8 * first.columns; ++column) b[column][k] = first.element(operand_element(first.b, first.across_b, column, k));
  }
  for (int lane = 0; lane < WARP; ++lane)
    for (int i = 0; i < 4 * first.columns; ++i) {
      const int row = lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      float sum = lanes[lane].c[i];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[column][k];
      lanes[lane].c[i] = sum;
    }
}
static void group_product_together(void** operands) {
  std::vector<GroupProduct> lanes;
  for (int lane = 0; lane < WARP; ++lane) lanes.push_back(*(GroupProduct*)operands[lane]);
  for (const GroupProduct& lane : lanes)
    if (lane.a != lanes[0].a || lane.b != lanes[0].b) fail("lanes multiply different operands");
  Thread& first = threads[current->number / WARP * WARP];
  const int warp = first.number / WARP % 4;
  if (copy_mode == AT_ONCE || (copy_mode == ANY && random_number() % 2)) multiply_now(lanes, warp);
  else first.products.push_back([lanes, warp] { multiply_now(lanes, warp); });
}
static void products_commit_together(void**) {
  Thread& first = threads[current->number / WARP * WARP];
  first.batches.push_back(std::move(first.products));
  first.products.clear();
}
static void products_wait_together(void** operands) {
  auto& batches = threads[current->number / WARP * WARP].batches;
  while (batches.size() > (size_t)*(int*)operands[0]) {
    for (const auto& product : batches.front()) product();
    batches.erase(batches.begin());
  }
}
template <int COLUMNS>
static inline void group_product(float (*element)(unsigned), float (&c)[COLUMNS][4], uint64_t a, uint64_t b, bool across_a, bool across_b) {
  GroupProduct operand = {&c[0][0], a, b, COLUMNS, across_a, across_b, element};
  with_warp(group_product_together, operand);
}

}  // namespace emulator

DEVICE void barrier_init(Barrier* barrier, unsigned arrivals) { *barrier = {(int16_t)arrivals, (int16_t)arrivals, 0}; }
DEVICE void barriers_ready() {}
DEVICE void barrier_arrive(Barrier* barrier) {
  --barrier->pending;
  emulator::turn_if_over(barrier);
}
DEVICE void barrier_expect(Barrier* barrier, unsigned bytes) {
  barrier->bytes_and_phase += bytes << 1;
  barrier_arrive(barrier);
}
DEVICE void barrier_wait(Barrier* barrier, unsigned phase) {
  while ((barrier->bytes_and_phase & 1) == phase) emulator::pause(emulator::LOOKING);
}
DEVICE void tile_async(void* to, const TensorMap& map, int x, int y, int z, Barrier* barrier) {
  if (((unsigned char*)to - emulator::shared_memory) % 1024) emulator::fail("a swizzled tile is not aligned");
  emulator::tiles.push_back({(unsigned char*)to, &map, {x, y, z}, barrier});
  if (emulator::copy_mode == emulator::AT_ONCE || (emulator::copy_mode == emulator::ANY && emulator::random_number() % 2))
    emulator::bring_any_tile();
}
DEVICE unsigned long long operand_at(const void* start, unsigned group_bytes, unsigned rows_bytes) {
  const uint64_t at = (const unsigned char*)start - emulator::shared_memory;
  return at >> 4 | (uint64_t)group_bytes >> 4 << 16 | (uint64_t)rows_bytes >> 4 << 32 | 1ull << 62;
}
DEVICE void products_begin() {}
DEVICE void products_commit() {
  int nothing;
  emulator::with_warp(emulator::products_commit_together, nothing);
}
template <int PENDING>
DEVICE void products_wait() {
  int pending = PENDING;
  emulator::with_warp(emulator::products_wait_together, pending);
}
template <bool ACROSS_A, bool ACROSS_B, int COLUMNS>
DEVICE void product_bf16(float (&c)[COLUMNS][4], unsigned long long a, unsigned long long b) {
  emulator::group_product(emulator::from_bf16, c, a, b, ACROSS_A, ACROSS_B);
}
template <bool ACROSS_A, bool ACROSS_B, int COLUMNS>
DEVICE void product_f16(float (&c)[COLUMNS][4], unsigned long long a, unsigned long long b) {
  emulator::group_product(emulator::from_f16, c, a, b, ACROSS_A, ACROSS_B);
}
