//! A flame graph: the workload, its phases, their ops and the steps of each, as wide as they are long.

use super::word;
use crate::compare::profile::Spent;
use crate::program::Phase;
use crate::report::html::inert;
use crate::units::si;
use std::fmt::Write as _;

/// Pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 22.0;
const MARGIN: f64 = 10.0;
/// What a letter is wide, and the narrowest frame that is drawn.
const LETTER: f64 = 6.6;
const THINNEST: f64 = 0.3;

/// A frame: where it stands, and what it says.
struct Frame {
    depth: usize,
    begin: f64,
    ns: f64,
    name: String,
    colour: &'static str,
}

fn colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Forward => "#9fc9e8",
        Phase::Backward => "#f3b98a",
        Phase::Update => "#a9d8b8",
        Phase::Transfer => "#cdb8e0",
    }
}

/// Steps in the order of phase, op and program, so that what belongs together is one frame.
fn frames(workload: &str, steps: &[Spent]) -> Vec<Frame> {
    let mut sorted: Vec<&Spent> = steps.iter().collect();
    sorted.sort_by(|a, b| (a.phase, &a.op).cmp(&(b.phase, &b.op)));
    let sum = |steps: &[&Spent]| steps.iter().map(|step| step.ns).sum::<f64>();
    let mut frames =
        vec![Frame { depth: 0, begin: 0.0, ns: sum(&sorted), name: workload.to_string(), colour: "#d8dee6" }];
    let mut begin = 0.0;
    for phase in sorted.chunk_by(|a, b| a.phase == b.phase) {
        let colour = colour(phase[0].phase);
        frames.push(Frame {
            depth: 1,
            begin,
            ns: sum(phase),
            name: word(phase[0].phase).to_string(),
            colour,
        });
        for op in phase.chunk_by(|a, b| a.op == b.op) {
            frames.push(Frame { depth: 2, begin, ns: sum(op), name: op[0].op.clone(), colour });
            for step in op {
                frames.push(Frame { depth: 3, begin, ns: step.ns, name: step.what.clone(), colour });
                begin += step.ns;
            }
        }
    }
    frames
}

/// The picture, a complete SVG file.
pub fn flame(workload: &str, steps: &[Spent]) -> String {
    let frames = frames(workload, steps);
    let total = frames[0].ns.max(1.0);
    let deepest = frames.iter().map(|frame| frame.depth).max().unwrap_or(0);
    let (width, height) = (WIDTH + 2.0 * MARGIN, (deepest + 1) as f64 * ROW + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>Time of {}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        inert(workload)
    );
    for Frame { depth, begin, ns, name, colour } in &frames {
        let (x, wide) = (MARGIN + begin / total * WIDTH, ns / total * WIDTH);
        if wide < THINNEST {
            continue;
        }
        // The root stands below, as flames do.
        let y = MARGIN + (deepest - depth) as f64 * ROW;
        let share = 100.0 * ns / total;
        let letters = (wide / LETTER) as usize;
        let shown: String =
            if letters < 3 { String::new() } else { name.chars().take(letters - 1).collect() };
        let _ = writeln!(
            svg,
            "<g><title>{0}: {1}s, {share:.1} %</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{wide:.2}\" \
             height=\"{2}\" fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"0.5\"/><text x=\"{3:.2}\" \
             y=\"{4}\" fill=\"#16202c\">{5}</text></g>",
            inert(name),
            si(ns / 1e9),
            ROW - 1.0,
            x + 3.0,
            y + 15.0,
            inert(&shown),
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn frames_are_as_wide_as_their_parts() {
        let frames = frames("w", &example());
        for parent in &frames {
            let within = |child: &&Frame| {
                child.depth == parent.depth + 1
                    && child.begin >= parent.begin
                    && child.begin + child.ns <= parent.begin + parent.ns + 1e-9
            };
            let parts: f64 = frames.iter().filter(within).map(|child| child.ns).sum();
            assert!(parent.depth == 3 || (parts - parent.ns).abs() < 1e-9, "{}", parent.name);
        }
    }

    #[test]
    fn the_picture_is_xml_and_what_came_from_outside_is_escaped() {
        let svg = flame("<w> & \"x\"", &example());
        assert!(resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).is_ok(), "{svg}");
        assert!(svg.contains("&lt;w&gt; &amp;") && !svg.contains("<w>"));
    }
}
