// o = softmax(scale q k^T) v without ever holding all scores (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018; Dao and others, "FlashAttention", 2022). A workgroup has QUERIES queries of one head and goes through
// the keys by tiles of KEYS. For each query it keeps the largest score so far, the sum of exp(s - most) and the weighted
// sum of v; a larger score scales both down. Depths and widths up to DEPTH; zeros stand in.
struct Numbers { queries: u32, keys: u32, depth: u32, width: u32, heads: u32, causal: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> q: array<X>;
@group(0) @binding(1) var<storage, read> k: array<X>;
@group(0) @binding(2) var<storage, read> v: array<X>;
@group(0) @binding(3) var<storage, read_write> o: array<X>;
@group(0) @binding(4) var<storage, read_write> log_sum_exp: array<f32>;
@group(0) @binding(5) var<uniform> numbers: Numbers;

// An odd step spreads rows over banks.
const STEP: u32 = DEPTH + 1u;
const EACH: u32 = QUERIES * DEPTH / GROUP;
var<workgroup> here_q: array<f32, QUERIES * STEP>;
// Keys, then their values.
var<workgroup> here: array<f32, KEYS * STEP>;
var<workgroup> weights: array<f32, QUERIES * KEYS>;

// Keys that a query sees.
fn visible(query: u32) -> u32 {
  if (numbers.causal > 0u) { return query + 1u + numbers.keys - numbers.queries; }
  return numbers.keys;
}

@compute @workgroup_size(GROUP)
fn attention(thread: Thread) {
  let tiles = (numbers.queries + QUERIES - 1u) / QUERIES;
  let head = group_number(thread) / tiles;
  if (head >= numbers.heads) { return; }
  let query0 = group_number(thread) % tiles * QUERIES;
  let first_q = head * numbers.queries;
  let first_k = head * numbers.keys;
  for (var i = thread.lane; i < QUERIES * DEPTH; i += GROUP) {
    let row = query0 + i / DEPTH;
    var value = 0.0;
    if (row < numbers.queries && i % DEPTH < numbers.depth) { value = f32(q[(first_q + row) * numbers.depth + i % DEPTH]); }
    here_q[i / DEPTH * STEP + i % DEPTH] = value;
  }
  // A thread's answers are columns of one query, GROUP / QUERIES apart.
  let query = thread.lane / (GROUP / QUERIES);
  let column0 = thread.lane % (GROUP / QUERIES);
  var answer: array<f32, EACH>;
  var most = LOWEST;
  var sum = 0.0;
  let end = min(visible(query0 + QUERIES - 1u), numbers.keys);
  for (var key0 = 0u; key0 < end; key0 += KEYS) {
    // Everybody is done with the last tile.
    workgroupBarrier();
    for (var i = thread.lane; i < KEYS * DEPTH; i += GROUP) {
      let row = key0 + i / DEPTH;
      var value = 0.0;
      if (row < numbers.keys && i % DEPTH < numbers.depth) { value = f32(k[(first_k + row) * numbers.depth + i % DEPTH]); }
      here[i / DEPTH * STEP + i % DEPTH] = value;
    }
    workgroupBarrier();
    for (var i = thread.lane; i < QUERIES * KEYS; i += GROUP) {
      let row = i / KEYS * STEP;
      let other = i % KEYS * STEP;
      var score = 0.0;
      for (var at = 0u; at < DEPTH; at += 1u) { score = fma(here_q[row + at], here[other + at], score); }
      let key = key0 + i % KEYS;
      let is_seen = key < numbers.keys && key < visible(query0 + i / KEYS);
      weights[i] = select(LOWEST, score * numbers.scale, is_seen);
    }
    workgroupBarrier();
    for (var i = thread.lane; i < KEYS * DEPTH; i += GROUP) {
      let row = key0 + i / DEPTH;
      var value = 0.0;
      if (row < numbers.keys && i % DEPTH < numbers.width) { value = f32(v[(first_k + row) * numbers.width + i % DEPTH]); }
      here[i / DEPTH * STEP + i % DEPTH] = value;
    }
    var larger = most;
    for (var key = 0u; key < KEYS; key += 1u) { larger = max(larger, weights[query * KEYS + key]); }
    let shrink = exp(most - larger);
    most = larger;
    // Everybody has seen the scores of its query and brought its values.
    workgroupBarrier();
    for (var key = column0; key < KEYS; key += GROUP / QUERIES) {
      let score = weights[query * KEYS + key];
      weights[query * KEYS + key] = select(exp(score - most), 0.0, score == LOWEST);
    }
    workgroupBarrier();
    sum *= shrink;
    for (var j = 0u; j < EACH; j += 1u) { answer[j] *= shrink; }
    for (var key = 0u; key < KEYS; key += 1u) {
      let weight = weights[query * KEYS + key];
      sum += weight;
      for (var j = 0u; j < EACH; j += 1u) {
        answer[j] = fma(weight, here[key * STEP + column0 + j * (GROUP / QUERIES)], answer[j]);
      }
    }
  }
  if (query0 + query >= numbers.queries) { return; }
  let row = first_q + query0 + query;
  for (var j = 0u; j < EACH; j += 1u) {
    let column = column0 + j * (GROUP / QUERIES);
    if (column < numbers.width) { o[row * numbers.width + column] = X(answer[j] / sum); }
  }
  if (LOG && column0 == 0u) { log_sum_exp[row] = most + log(sum); }
}
