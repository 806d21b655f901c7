//! Products: which tile, which kernel, and parts of the depth where there are too few tiles.
//!
//! A stage of DEPTH brings (TILE_ROWS + TILE_COLUMNS) DEPTH elements for TILE_ROWS TILE_COLUMNS DEPTH multiply-adds, so
//! that memory is read 1 / TILE_ROWS + 1 / TILE_COLUMNS times for each of them; a thread reads ROWS + COLUMNS elements
//! of workgroup memory for ROWS COLUMNS multiply-adds and keeps as many sums in registers. Larger tiles read less and
//! leave fewer workgroups: which is best is found by `cutgpu tune`.

use super::Binding::{Input, NoInput, Output};
use super::Number::{F32, I32};
use super::{Binding, Float, Launch, Number, Plan, Shapes, THREADS, count, counts, float};
use crate::backends::Unsupported;
use crate::backends::wgpu::kernels::{GEMM, GEMM_I8, GEMM_MATRICES, GEMM_PARTS, GEMM_Q8, GEMM_Q8_BYTES};
use crate::ops::{Gemm, GemmDims, GemmI8, GemmQ8};
use crate::tensor::DType;

/// What a workgroup makes of a product.
#[derive(Debug)]
pub(in crate::backends::wgpu) struct Tile {
    /// Its name in records.
    pub(in crate::backends::wgpu) name: &'static str,
    /// Rows and columns.
    size: [u64; 2],
    /// Rows and columns of a thread; columns are whole fours.
    each: [u64; 2],
    /// Depths that are brought at once.
    depth: u64,
}

impl Tile {
    fn threads(&self) -> u64 {
        self.size[0] / self.each[0] * (self.size[1] / self.each[1])
    }

    /// Tiles of a product.
    pub(super) fn count(&self, m: usize, n: usize) -> u64 {
        (m as u64).div_ceil(self.size[0]) * (n as u64).div_ceil(self.size[1])
    }

    /// With the constants that kernels know it by.
    pub(super) fn set(&self, launch: Launch) -> Launch {
        let launch = launch.constant("GROUP", self.threads()).constant("LANES", self.threads());
        let launch = launch.constant("TILE_ROWS", self.size[0]).constant("TILE_COLUMNS", self.size[1]);
        let launch = launch.constant("ROWS", self.each[0]).constant("COLUMNS", self.each[1]);
        launch.constant("DEPTH", self.depth)
    }
}

const fn tile(name: &'static str, size: [u64; 2], each: [u64; 2], depth: u64) -> Tile {
    Tile { name, size, each, depth }
}

/// Every tile, the smallest first.
pub(in crate::backends::wgpu) const TILES: &[Tile] = &[
    tile("16x64", [16, 64], [2, 4], 16),
    tile("32x32", [32, 32], [4, 4], 16),
    tile("64x64", [64, 64], [4, 4], 16),
    tile("64x64x32", [64, 64], [8, 4], 32),
    tile("128x64", [128, 64], [8, 4], 16),
    tile("128x128", [128, 128], [8, 8], 8),
    tile("128x128x16", [128, 128], [8, 8], 16),
];

/// The tile where nobody has tuned.
pub(super) const USUAL: &str = "64x64";

/// Tiles that keep a large card busy: fewer, and a smaller tile or parts of the depth are worth their cost.
const BUSY: u64 = 128;
/// Least depth of a part, and most parts.
const LEAST_PART: usize = 256;
const MOST_PARTS: usize = 64;

/// The tile of this name; the usual one where there is none.
fn named(name: &str) -> &'static Tile {
    let usual = TILES.iter().find(|tile| tile.name == USUAL);
    TILES.iter().find(|tile| tile.name == name).or(usual).unwrap_or(&TILES[0])
}

/// The adapter's tile, or a smaller one where few of it cover the product.
pub(super) fn chosen(shapes: &Shapes, m: usize, n: usize, batch: usize) -> &'static Tile {
    let tile = named(shapes.can.tile);
    if shapes.can.only {
        return tile;
    }
    if (m as u64) <= TILES[0].size[0] {
        return &TILES[0];
    }
    let is_busy = tile.count(m, n).saturating_mul(batch as u64) >= BUSY;
    if is_busy || tile.size[0] * tile.size[1] <= TILES[1].size[0] * TILES[1].size[1] {
        tile
    } else {
        &TILES[1]
    }
}

/// Parts of the depth `k`, and depths of each, where `tiles` workgroups are too few.
pub(super) fn parts(tiles: u64, k: usize) -> (usize, usize) {
    let wanted = (BUSY / tiles.max(1)).clamp(1, MOST_PARTS as u64) as usize;
    let slab = k.div_ceil(wanted).max(LEAST_PART).min(k.max(1));
    (k.div_ceil(slab).max(1), slab)
}

/// How far the next product's B is.
fn stride_b(dims: &GemmDims) -> Result<Number, Unsupported> {
    count(if dims.shared_b { 0 } else { dims.k * dims.n })
}

pub(super) fn gemm(shapes: &Shapes, op: &Gemm) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    if op.accumulate != DType::F32 {
        return Err(Unsupported(format!(
            "wgpu accumulates products in f32 only, not in {}",
            op.accumulate.name()
        )));
    }
    let input = float("gemm", shapes.args[0].dtype, shapes.can)?;
    let output = float("gemm", op.output, shapes.can)?;
    if let Some(plan) = matrices(shapes, op, &dims, input, output)? {
        return Ok(plan);
    }
    let tile = chosen(shapes, dims.m, dims.n, dims.batch);
    let tiles = tile.count(dims.m, dims.n) * dims.batch as u64;
    let (parts, slab) = parts(tiles, dims.k);
    let c = if op.beta == 0.0 { NoInput } else { Input(2) };
    let launch = tile.set(Launch::new(&GEMM, "product", tiles * parts as u64));
    let launch = launch.alias("X", input).flag("TRANS_A", op.trans_a).flag("TRANS_B", op.trans_b);
    let launch = launch.flag("LEFT_ALONG", !op.trans_a).flag("RIGHT_ALONG", op.trans_b);
    let sizes = counts([dims.m, dims.n, dims.k, dims.batch * parts, parts, slab])?;
    let sizes = sizes.into_iter().chain([stride_b(&dims)?]);
    let factors = [F32(op.alpha as f32), F32(op.beta as f32)];
    if parts == 1 {
        let launch = launch.alias("Y", output).flag("ADD_C", op.beta != 0.0);
        let numbers = sizes.chain(factors).collect();
        return Ok(launch.bind(vec![Input(0), Input(1), c, Output(0)]).give(numbers).plan());
    }
    let mut plan = Plan::default();
    let elements = dims.batch * dims.m * dims.n;
    let sums = plan.buffer(parts * elements);
    let launch = launch.alias("Y", Float::F32).flag("ADD_C", false);
    let numbers = sizes.chain([F32(1.0), F32(0.0)]).collect();
    plan.launches.push(launch.bind(vec![Input(0), Input(1), NoInput, sums]).give(numbers));
    plan.launches.push(add_parts(&dims, parts, op, output, sums, c)?);
    Ok(plan)
}

/// The sum of the parts, which lie one behind the other.
fn add_parts(
    dims: &GemmDims,
    parts: usize,
    op: &Gemm,
    output: Float,
    sums: Binding,
    c: Binding,
) -> Result<Launch, Unsupported> {
    let each = dims.m * dims.n;
    let elements = dims.batch * each;
    let numbers =
        vec![count(elements)?, count(parts)?, count(each.max(1))?, F32(op.alpha as f32), F32(op.beta as f32)];
    let launch = Launch::over(&GEMM_PARTS, "gemm_parts", elements as u64);
    let launch = launch.alias("Y", output).flag("ADD_C", op.beta != 0.0);
    Ok(launch.bind(vec![sums, c, Output(0)]).give(numbers))
}

/// By cooperative matrices, where the adapter has them and the product is made for them.
fn matrices(
    shapes: &Shapes,
    op: &Gemm,
    dims: &GemmDims,
    input: Float,
    output: Float,
) -> Result<Option<Plan>, Unsupported> {
    let whole = [dims.m, dims.n, dims.k].iter().all(|extent| extent.is_multiple_of(16) && *extent > 0);
    let plain = !op.trans_a && !op.trans_b && op.alpha == 1.0 && op.beta == 0.0;
    if !(shapes.can.matrices && whole && plain && (input, output) == (Float::F16, Float::F32)) {
        return Ok(None);
    }
    let tiles = (dims.m / 16 * (dims.n / 16) * dims.batch) as u64;
    let mut launch =
        Launch::new(&GEMM_MATRICES, "gemm_matrices", tiles).constant("GROUP", 32).constant("LANES", 32);
    (launch.wants.f16, launch.wants.matrices) = (true, true);
    let numbers =
        counts([dims.m, dims.n, dims.k, dims.batch])?.into_iter().chain([stride_b(dims)?]).collect();
    Ok(Some(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan()))
}

/// The tile of integers: words of four depths.
const BYTES: Tile = tile("64x64 bytes", [64, 64], [4, 4], 8);

pub(super) fn gemm_i8(shapes: &Shapes, op: &GemmI8) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    let is_unsigned = shapes.args[0].dtype == DType::U8;
    let whole = dims.k.is_multiple_of(4);
    let launch = BYTES.set(Launch::new(&GEMM_I8, "gemm_i8", BYTES.count(dims.m, dims.n) * dims.batch as u64));
    let launch = launch.constant("FLIP", if is_unsigned { 0x8080_8080 } else { 0 });
    let launch = launch.flag("WORDS_A", whole && !op.trans_a).flag("WORDS_B", whole && op.trans_b);
    let launch = launch.flag("TRANS_A", op.trans_a).flag("TRANS_B", op.trans_b);
    let zero_a = if is_unsigned { op.zero_a - 128 } else { op.zero_a };
    let sizes = counts([dims.m, dims.n, dims.k, dims.batch])?.into_iter().chain([stride_b(&dims)?]);
    let numbers = sizes.chain([I32(zero_a), I32(op.zero_b)]).collect();
    Ok(launch.bind(vec![Input(0), Input(1), Output(0)]).give(numbers).plan())
}

/// Rows that a weight is read once for, and threads of a column.
const Q8_ROWS: usize = 4;
const Q8_LANES: u64 = 32;

pub(super) fn gemm_q8(shapes: &Shapes, op: &GemmQ8) -> Result<Plan, Unsupported> {
    let dims = op.dims(shapes.args).map_err(super::wrong)?;
    if !shapes.can.f16 {
        return Err(Unsupported(
            "this adapter has no scales in f16: its shaders do not compute with it".into(),
        ));
    }
    let last = shapes.args.len() - 1;
    let groups = (dims.n as u64).div_ceil(THREADS / Q8_LANES) * dims.m.div_ceil(Q8_ROWS) as u64;
    let source = if op.quantized_a { &GEMM_Q8_BYTES } else { &GEMM_Q8 };
    let mut launch = Launch::new(source, "gemm_q8", groups).constant("LANES", Q8_LANES);
    launch = launch.constant("ROWS", Q8_ROWS as u64);
    launch.wants.f16 = true;
    let scales_a = if op.quantized_a { Input(1) } else { NoInput };
    if op.quantized_a {
        launch = launch.alias("S", float("gemm_q8", shapes.args[1].dtype, shapes.can)?);
    }
    let bindings = vec![Input(0), scales_a, Input(last - 1), Input(last), Output(0)];
    Ok(launch.bind(bindings).give(counts([dims.m, dims.n, dims.k])?).plan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::wgpu::launch::Can;
    use crate::tensor::ValueSpec;

    #[test]
    fn tiles_fit_every_adapter() {
        for tile in TILES.iter().chain([&BYTES]) {
            assert!(tile.threads() <= 256 && tile.each[1].is_multiple_of(4), "{tile:?}");
            assert_eq!(tile.size[0] % tile.each[0] + tile.size[1] % tile.each[1], 0, "{tile:?}");
            assert!(4 * tile.depth * (tile.size[0] + tile.size[1]) + 1024 <= 17 << 10, "{tile:?}");
        }
        assert!(TILES.iter().any(|tile| tile.name == USUAL));
    }

    #[test]
    fn workgroups_cover_a_product_once() {
        let spec = |rows, columns| ValueSpec::new(&[rows, columns], DType::F32);
        for (m, n, k, launches, groups) in [
            (4096, 4096, 4096, 1, 64 * 64),
            (7, 2048, 4096, 2, 32 * 4),
            (1, 1, 1, 1, 1),
            (65, 33, 300, 2, 3 * 2 * 2),
        ] {
            let args = [spec(m, k), spec(k, n)];
            let shapes = Shapes { args: &args, can: &Can::MOST };
            let plan = gemm(&shapes, &Gemm::plain(DType::F32)).unwrap();
            assert_eq!((plan.launches.len(), plan.launches[0].groups), (launches, groups), "{m} {n} {k}");
        }
    }
}
