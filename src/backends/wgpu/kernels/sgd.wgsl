// v' = momentum v + (g + decay p); p' = p - rate v', in place, F at a time: state in f32, gradients in V.
struct Numbers { count: u32, rate: f32, momentum: f32, decay: f32 }
@group(0) @binding(0) var<storage, read_write> p: array<F>;
@group(0) @binding(1) var<storage, read> g: array<V>;
@group(0) @binding(2) var<storage, read_write> v: array<F>;
@group(0) @binding(3) var<uniform> numbers: Numbers;

@compute @workgroup_size(GROUP)
fn sgd(thread: Thread) {
  let i = thread_number(thread);
  if (i >= numbers.count) { return; }
  let speed = numbers.momentum * v[i] + (F(g[i]) + numbers.decay * p[i]);
  v[i] = speed;
  p[i] = p[i] - numbers.rate * speed;
}
