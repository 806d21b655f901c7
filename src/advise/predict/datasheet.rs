//! Seconds on a device that nobody measured here: its datasheet's roofs, and the shares of such roofs that public
//! measurements of others reached. The interval is as wide as those shares differ.

use super::load::Load;
use crate::catalog::{Basis, Class, Device};
use crate::compare::Interval;

/// Shares of the dense bf16 peak that the best large products reach: "maximum achievable matmul FLOPS" of S. Bekman's
/// "Machine Learning Engineering" (github.com/stas00/ml-engineering), by the start of a device's id.
pub const BEST_PRODUCTS: &[(&str, f64)] =
    &[("h100", 0.80), ("a100", 0.87), ("b200", 0.78), ("instinct-mi300x", 0.51), ("instinct-mi355x", 0.68)];

/// Of a card without such a measurement: the geometric mean of the others, which lie between 0.51 and 0.87.
const OTHER_PRODUCTS: f64 = 0.71;

/// Share of the dense peak that a whole model's forward pass reached at the low end: reading a prompt of 512 tokens
/// with a model of 7e9 parameters of 4 bits in llama.cpp, on seven cards of the instances that SpareCores measured,
/// reached 0.13 to 0.36 of the 16-bit peak.
const LEAST_OPERATIONS: f64 = 0.13;

/// Shares of peak bandwidth that writing tokens with the models of 7e9 and 70e9 parameters reached on the same
/// instances: cards from 0.34 to 0.78, processors from 0.32 to 0.75.
pub const BANDWIDTH: [f64; 2] = [0.32, 0.78];

/// Shares of a processor's peak arithmetic: a prompt on 192 cores reached 0.16, and large products on few cores 0.8.
const PROCESSOR: [f64; 2] = [0.16, 0.8];

/// Seconds that starting one kernel takes on a card; writing a token with a model of 135e6 parameters, whose bytes
/// take under a millisecond, took 2.3 to 3.3 ms for some 360 kernels on the same instances.
const LAUNCH: [f64; 2] = [2e-6, 9e-6];
/// Seconds that handing one op to all cores takes on a processor.
const HAND_OUT: [f64; 2] = [2e-6, 20e-6];

/// Seconds of one execution, from the best shares to the least; the centre is their geometric middle.
pub(super) fn seconds(device: &Device, loads: &[Load]) -> Result<Interval, String> {
    let bandwidth = device.bandwidth_gb_s.filter(|fact| fact.basis != Basis::Unverified);
    let bandwidth = bandwidth.ok_or("no source confirms its memory bandwidth")?.value * 1e9;
    let [low, high] = [true, false].map(|best| at(device, loads, bandwidth, best));
    let (low, high) = (low?, high?);
    Ok(Interval { low, centre: (low * high).sqrt(), high })
}

/// Seconds by the best shares, or by the least.
fn at(device: &Device, loads: &[Load], bandwidth: f64, best: bool) -> Result<f64, String> {
    let end = usize::from(best);
    let [arithmetic, start] = match device.class {
        class if class.is_gpu() => [[LEAST_OPERATIONS, products(&device.id)][end], LAUNCH[1 - end]],
        Class::UnifiedMemory => [[LEAST_OPERATIONS, OTHER_PRODUCTS][end], LAUNCH[1 - end]],
        _ => [PROCESSOR[end], HAND_OUT[1 - end]],
    };
    let mut seconds = 0.0;
    for load in loads {
        let operations = match load.flops > 0.0 {
            true => load.flops / (peak(device, load.precision)? * arithmetic),
            false => 0.0,
        };
        seconds += load.count * (operations.max(load.bytes() / (bandwidth * BANDWIDTH[end])) + start);
    }
    Ok(seconds)
}

fn products(id: &str) -> f64 {
    let known = BEST_PRODUCTS.iter().find(|(start, _)| id.starts_with(start));
    known.map_or(OTHER_PRODUCTS, |(_, share)| *share)
}

/// Operations a second at `precision`. A maker lists one of the two 16-bit types where both have one rate.
fn peak(device: &Device, precision: &str) -> Result<f64, String> {
    let names: &[&str] = match precision {
        "bf16" => &["bf16", "f16"],
        "i8" => &["i8"],
        "tf32" => &["tf32", "f32"],
        "f8e4m3" => &["f8e4m3"],
        _ => &["f32"],
    };
    let rate = names.iter().find_map(|name| device.rate(name));
    rate.map(|rate| rate.value * 1e12).ok_or(format!("no source confirms its rate in {precision}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// Medians of SpareCores' llama.cpp runs (sparecores.com, Q4_K_M), tokens a second: a prompt of 512 tokens and 128
    /// written ones with LLaMA 7B, and written ones with a model of 70e9 parameters, 0 where it does not fit. One
    /// instance of each card, or the processors of the catalogue that its instances have.
    const MEASURED: &[(&str, f64, f64, f64)] = &[
        ("t4", 1257.0, 37.0, 0.0),
        ("l4", 2633.0, 54.0, 0.0),
        ("a10", 3700.0, 95.0, 0.0),
        ("v100-sxm2-16gb", 2880.0, 119.5, 0.0),
        ("l40s", 9476.0, 136.0, 15.9),
        ("a100-pcie-80gb", 5049.0, 161.0, 24.5),
        ("h100-pcie-80gb", 7412.0, 202.0, 29.0),
        ("rtx-pro-6000-blackwell", 13565.0, 222.0, 31.0),
        ("epyc-9755", 0.0, 87.0, 10.8),
        ("epyc-9654", 0.0, 47.0, 6.1),
        ("graviton4-96c-c8g-24xlarge", 0.0, 42.0, 5.6),
    ];
    /// Bytes of the two models' weights, and parameters of the smaller.
    const WEIGHTS: [f64; 2] = [4.08e9, 42.5e9];
    const PARAMETERS: f64 = 6.74e9;

    fn shares() -> (Vec<f64>, Vec<f64>) {
        let catalog = Catalog::embedded().unwrap();
        let (mut bandwidth, mut prompt) = (Vec::new(), Vec::new());
        for (id, pp, small, large) in MEASURED {
            let device = catalog.device(id).unwrap();
            let peak_bytes = device.bandwidth_gb_s.unwrap().value * 1e9;
            let of = [*small, *large].into_iter().zip(WEIGHTS).filter(|(rate, _)| *rate > 0.0);
            bandwidth.extend(of.map(|(rate, bytes)| rate * bytes / peak_bytes));
            // A card whose rate no source confirms tells nothing.
            prompt.extend(
                peak(device, "bf16").ok().filter(|_| *pp > 0.0).map(|peak| 2.0 * PARAMETERS * pp / peak),
            );
        }
        (bandwidth, prompt)
    }

    fn ends(shares: &[f64]) -> [f64; 2] {
        [shares.iter().copied().fold(f64::INFINITY, f64::min), shares.iter().copied().fold(0.0, f64::max)]
    }

    #[test]
    fn the_shares_are_those_of_the_public_table() {
        let (bandwidth, prompt) = shares();
        let (bandwidth, prompt) = (ends(&bandwidth), ends(&prompt));
        for (found, wanted) in bandwidth.into_iter().zip(BANDWIDTH) {
            assert!((found / wanted - 1.0).abs() < 0.02, "{bandwidth:?}");
        }
        assert!((prompt[0] / LEAST_OPERATIONS - 1.0).abs() < 0.05 && prompt[1] < 0.5, "{prompt:?}");
        let logs: f64 = BEST_PRODUCTS.iter().map(|(_, share)| share.ln()).sum();
        let mean = (logs / BEST_PRODUCTS.len() as f64).exp();
        assert!((mean / OTHER_PRODUCTS - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn an_instance_is_predicted_by_the_others() {
        let (shares, _) = shares();
        let (mut inside, mut errors) = (0, Vec::new());
        for (place, share) in shares.iter().enumerate() {
            let mut others = shares.clone();
            others.remove(place);
            let [low, high] = ends(&others);
            inside += usize::from((low..=high).contains(share));
            errors.push(((low * high).sqrt() / share - 1.0).abs());
        }
        errors.sort_by(f64::total_cmp);
        // Only the two ends of the table lie outside of what the rest of it says.
        assert!(inside + 2 >= shares.len(), "{inside} of {}", shares.len());
        assert!(errors[errors.len() / 2] < 0.25, "{errors:?}");
    }

    fn gemv() -> Vec<Load> {
        let load = Load {
            count: 10.0,
            place: Default::default(),
            flops: 2e9,
            cost: 1.0,
            precision: "f32",
            traffic: vec![[4e9, 4e9]],
            writes: false,
        };
        vec![load]
    }

    #[test]
    fn an_estimate_never_beats_the_datasheet_and_wants_confirmed_facts() {
        let catalog = Catalog::embedded().unwrap();
        let card = catalog.device("h100-sxm5-80gb").unwrap();
        let seconds = seconds(card, &gemv()).unwrap();
        let bound = 10.0 * 4e9 / 3.35e12;
        assert!(
            seconds.low > bound && seconds.low < seconds.centre && seconds.centre < seconds.high,
            "{seconds:?}"
        );
        for (id, says) in [
            ("geforce-rtx-5060-ti-16gb", "memory bandwidth"),
            ("cloud-cpu-16-vcpu-64-gb-verda", "memory bandwidth"),
        ] {
            let said = super::seconds(catalog.device(id).unwrap(), &gemv()).unwrap_err();
            assert!(said.contains("no source confirms") && said.contains(says), "{said}");
        }
        let half = Load { precision: "bf16", ..gemv()[0].clone() };
        let said = super::seconds(catalog.device("geforce-rtx-3090").unwrap(), &[half]).unwrap_err();
        assert!(said.contains("bf16"), "{said}");
    }
}
