//! The training loop drawn: golden circles are what is kept, as large as their bytes; grey boxes are what is done,
//! with its time and what it waits for. A loop that only goes forward is inference.

use super::word;
use crate::compare::profile::{Limit, Spent};
use crate::program::{Phase, State};
use crate::report::html::inert;
use crate::units::{Bytes, si};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt::Write as _;

/// One loop: a program on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingLoop {
    /// What was run, and on what.
    pub title: String,
    /// Bytes held by state.
    pub bytes: BTreeMap<State, u64>,
    /// Each phase: nanoseconds, and what most of its time at the roof is spent on.
    pub phases: Vec<(Phase, f64, Option<Limit>)>,
}

impl TrainingLoop {
    /// From the steps of a profile.
    pub fn of(title: String, bytes: &BTreeMap<State, u64>, steps: &[Spent]) -> Self {
        let mut sums: BTreeMap<Phase, (f64, [f64; 2])> = BTreeMap::new();
        for step in steps {
            let (ns, limits) = sums.entry(step.phase).or_default();
            *ns += step.ns;
            match step.limit {
                Some(Limit::Compute) => limits[0] += step.least_ns.unwrap_or(0.0),
                Some(Limit::Memory) => limits[1] += step.least_ns.unwrap_or(0.0),
                None => {}
            }
        }
        let limit = |[compute, memory]: [f64; 2]| match compute + memory > 0.0 {
            true => Some(if compute > memory { Limit::Compute } else { Limit::Memory }),
            false => None,
        };
        let phases = sums.into_iter().map(|(phase, (ns, limits))| (phase, ns, limit(limits))).collect();
        Self { title, bytes: bytes.clone(), phases }
    }

    /// Whether it goes back at all.
    fn trains(&self) -> bool {
        self.phases.iter().any(|(phase, ..)| matches!(phase, Phase::Backward | Phase::Update))
    }
}

/// Pixels of a loop's panel, and of the circle on which its nodes stand.
const PANEL: [f64; 2] = [460.0, 470.0];
const CENTRE: [f64; 2] = [235.0, 255.0];
const RADIUS: f64 = 125.0;
/// Radii of the smallest and of the largest state, and half the sides of a phase's box.
const SMALLEST: f64 = 16.0;
const LARGEST: f64 = 46.0;
const BOX: [f64; 2] = [52.0, 26.0];

/// A place on the circle, in turns clockwise from the top; `out` times the radius away from the middle.
fn place(turn: f64, out: f64) -> [f64; 2] {
    let angle = TAU * (turn - 0.25);
    [CENTRE[0] + out * RADIUS * angle.cos(), CENTRE[1] + out * RADIUS * angle.sin()]
}

/// Where a state stands.
fn of_state(state: State) -> Option<[f64; 2]> {
    Some(match state {
        State::Parameter => place(0.0, 1.0),
        State::Activation => place(1.0 / 3.0, 1.0),
        State::Gradient => place(2.0 / 3.0, 1.0),
        State::Batch => place(0.125, 1.5),
        State::Optimizer => place(0.9, 1.55),
        State::Workspace => place(0.5, 0.0),
    })
}

/// Where a phase stands; transfers have no place in the loop.
fn of_phase(phase: Phase) -> Option<[f64; 2]> {
    match phase {
        Phase::Forward => Some(place(1.0 / 6.0, 1.0)),
        Phase::Backward => Some(place(0.5, 1.0)),
        Phase::Update => Some(place(5.0 / 6.0, 1.0)),
        Phase::Transfer => None,
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Batch => "batch",
        State::Parameter => "parameters",
        State::Activation => "activations",
        State::Gradient => "gradients",
        State::Optimizer => "optimizer",
        State::Workspace => "workspace",
    }
}

/// What a phase reads and writes.
const ARROWS: [(State, Phase, bool); 9] = [
    (State::Batch, Phase::Forward, true),
    (State::Parameter, Phase::Forward, true),
    (State::Activation, Phase::Forward, false),
    (State::Activation, Phase::Backward, true),
    (State::Gradient, Phase::Backward, false),
    (State::Gradient, Phase::Update, true),
    (State::Parameter, Phase::Update, false),
    (State::Optimizer, Phase::Update, true),
    (State::Optimizer, Phase::Update, false),
];

/// The loops side by side, a complete SVG file. Circles of all of them are drawn to one scale.
pub fn training_loops(loops: &[TrainingLoop]) -> String {
    let [width, height] = [PANEL[0] * loops.len().max(1) as f64, PANEL[1]];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\" fill=\"#16202c\" \
         role=\"img\">\n<title>The training loop, measured</title>\n<defs><marker id=\"head\" viewBox=\"0 0 8 8\" \
         refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" \
         fill=\"#7a8798\"/></marker></defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let most = loops.iter().flat_map(|each| each.bytes.values()).copied().max().unwrap_or(1).max(1);
    for (number, each) in loops.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", number as f64 * PANEL[0]);
        draw(&mut svg, each, most as f64);
        svg += "</g>\n";
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, each: &TrainingLoop, most: f64) {
    let total: f64 = each.phases.iter().map(|(_, ns, _)| ns).sum();
    text(svg, [PANEL[0] / 2.0, 26.0], "bold", &each.title);
    let what = if each.trains() { "a training step" } else { "inference" };
    text(svg, [PANEL[0] / 2.0, 46.0], "normal", &format!("{what}, {}s each time", si(total / 1e9)));
    let radius = |bytes: u64| SMALLEST + (LARGEST - SMALLEST) * (bytes as f64 / most).sqrt();
    for (state, phase, reads) in ARROWS {
        let bytes = each.bytes.get(&state).copied().filter(|bytes| *bytes > 0);
        let runs = each.phases.iter().any(|(other, ..)| *other == phase);
        if let (Some(bytes), Some(from), Some(to), true) = (bytes, of_state(state), of_phase(phase), runs) {
            arrow(svg, from, radius(bytes), to, reads);
        }
    }
    for (&state, &bytes) in each.bytes.iter().filter(|(_, bytes)| **bytes > 0) {
        let Some([x, y]) = of_state(state) else { continue };
        let r = radius(bytes);
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\" fill=\"#f2c14e\" stroke=\"#8a5a00\"/>"
        );
        text(svg, [x, y - 1.0], "normal", name(state));
        text(svg, [x, y + 14.0], "bold", &Bytes(bytes).to_string());
    }
    for (phase, ns, limit) in &each.phases {
        let Some([x, y]) = of_phase(*phase) else { continue };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" rx=\"4\" fill=\"#d8dee6\" stroke=\"#566273\"/>",
            x - BOX[0],
            y - BOX[1],
            2.0 * BOX[0],
            2.0 * BOX[1]
        );
        text(svg, [x, y - 9.0], "normal", word(*phase));
        text(svg, [x, y + 6.0], "bold", &format!("{}s", si(ns / 1e9)));
        let waits = match limit {
            Some(Limit::Compute) => "by arithmetic",
            Some(Limit::Memory) => "by memory",
            None => "",
        };
        text(svg, [x, y + 20.0], "normal", waits);
    }
}

/// Between a state's circle and a phase's box; towards the phase where it `reads`.
fn arrow(svg: &mut String, state: [f64; 2], radius: f64, phase: [f64; 2], reads: bool) {
    let [dx, dy] = [phase[0] - state[0], phase[1] - state[1]];
    let length = dx.hypot(dy).max(1.0);
    // Two arrows between the same nodes stand apart.
    let [aside_x, aside_y] =
        if reads { [-dy / length * 5.0, dx / length * 5.0] } else { [dy / length * 5.0, -dx / length * 5.0] };
    let inside = (BOX[0] / (dx.abs() / length).max(1e-9)).min(BOX[1] / (dy.abs() / length).max(1e-9));
    let at = |share: f64| [state[0] + dx * share + aside_x, state[1] + dy * share + aside_y];
    let ends = [at((radius + 3.0) / length), at(1.0 - (inside + 4.0) / length)];
    let [from, to] = if reads { ends } else { [ends[1], ends[0]] };
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#7a8798\" stroke-width=\"1.6\" \
         marker-end=\"url(#head)\"/>",
        from[0], from[1], to[0], to[1]
    );
}

fn text(svg: &mut String, [x, y]: [f64; 2], weight: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"{weight}\" stroke=\"#ffffff\" stroke-width=\"3\" \
         paint-order=\"stroke\">{}</text>",
        inert(text)
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn phases_are_added_up_and_only_what_there_is_is_drawn() {
        let bytes = BTreeMap::from([(State::Batch, 4096), (State::Parameter, 1 << 20), (State::Gradient, 0)]);
        let training = TrainingLoop::of("mlp <x>".to_string(), &bytes, &example());
        let limit = Some(Limit::Memory);
        assert_eq!(training.phases, [(Phase::Forward, 6025.0, limit), (Phase::Backward, 10.0, limit)]);
        let svg = training_loops(&[training.clone(), training]);
        assert!(resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).is_ok(), "{svg}");
        for (part, count) in
            [("<circle", 4), ("rx=\"4\"", 4), ("gradients", 0), ("update", 0), ("1.05 MB", 2)]
        {
            assert_eq!(svg.matches(part).count(), count, "{part}");
        }
        assert!(svg.contains("mlp &lt;x&gt;") && svg.contains("a training step, 6.0"), "{svg}");
        let forward: Vec<_> = example().into_iter().filter(|step| step.phase == Phase::Forward).collect();
        let inference = TrainingLoop::of("mlp".to_string(), &bytes, &forward);
        assert!(training_loops(&[inference]).contains("inference, 6.0"));
    }
}
