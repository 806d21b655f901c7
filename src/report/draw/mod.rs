//! From a scene to SVG: the only drawing engine. plotters writes the SVG, this module decides where
//! everything goes.

mod axis;
mod bars;
mod canvas;
mod ink;
mod labels;
mod panels;

use ink::Target;
pub(super) use ink::classes;

use super::palette::{Role, Theme};
use super::scene::{Plot, Scene};
use canvas::{Anchor, Canvas, Type};
pub(super) use canvas::{FAMILY, REGULAR, SEMIBOLD};

/// Width of the drawing in the page, in CSS pixels.
pub const WIDE: f64 = 920.0;
/// Width of the second drawing in the page, for phones.
pub const NARROW: f64 = 350.0;
/// Width of a file.
const FILE: f64 = 1000.0;
/// Margin inside a file.
const MARGIN: f64 = 28.0;

const TITLE: Type = Type { size: 19.0, role: Role::Ink, bold: true };
const ABOUT: Type = Type { size: 12.5, role: Role::Muted, bold: false };

/// Why a chart cannot be drawn: a fault of this program, not of its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("chart {chart} could not be drawn: {why}; please report this")]
pub struct DrawError {
    chart: String,
    why: String,
}

enum Layout<'a> {
    Bars(bars::Layout<'a>),
    Panels(panels::Layout<'a>),
}

impl<'a> Layout<'a> {
    fn new(plot: &'a Plot, width: f64) -> Self {
        match plot {
            Plot::Bars(bars) => Self::Bars(bars::Layout::new(bars, width)),
            Plot::Panels(panels) => Self::Panels(panels::Layout::new(panels, width)),
        }
    }

    fn height(&self) -> f64 {
        match self {
            Self::Bars(layout) => layout.height(),
            Self::Panels(layout) => layout.height(),
        }
    }

    fn draw(&self, canvas: &mut Canvas, y: f64) {
        match self {
            Self::Bars(layout) => layout.draw(canvas, y),
            Self::Panels(layout) => layout.draw(canvas, y),
        }
    }
}

/// The drawing alone, for the page, which writes title and source itself.
pub fn inline(scene: &Scene, width: f64) -> Result<String, DrawError> {
    let layout = Layout::new(&scene.plot, width);
    finished(scene, canvas::paint(width, layout.height(), |canvas| layout.draw(canvas, 0.0)), Target::Page)
}

/// The whole chart with title and source, for a file.
pub fn file(scene: &Scene, theme: Theme) -> Result<String, DrawError> {
    let width = FILE - 2.0 * MARGIN;
    let title = TITLE.wrap(&scene.finding, width);
    let about = ABOUT.wrap(&scene.about, width);
    let source = Type::NOTE.wrap(&scene.source, width);
    let layout = Layout::new(&scene.plot, width);
    let head = MARGIN + 25.0 * title.len() as f64 + 17.0 * about.len() as f64 + 20.0;
    let foot = head + layout.height() + 22.0;
    let height = foot + 15.0 * source.len() as f64 + MARGIN - 12.0;
    let svg = canvas::paint(FILE, height, |canvas| {
        canvas.rect((0.0, 0.0), (FILE, height), Role::Paper);
        canvas.shifted(MARGIN, |canvas| {
            let mut y = MARGIN - 8.0;
            for (lines, look, pitch) in [(&title, TITLE, 25.0), (&about, ABOUT, 17.0)] {
                for line in lines {
                    y += pitch;
                    canvas.text(line, (0.0, y), Anchor::Start, look);
                }
                y += 4.0;
            }
            layout.draw(canvas, head);
            for (number, line) in source.iter().enumerate() {
                canvas.text(line, (0.0, foot + 15.0 * number as f64), Anchor::Start, Type::NOTE);
            }
        });
    });
    finished(scene, svg, Target::File(theme))
}

fn finished(scene: &Scene, drawn: Result<String, String>, target: Target) -> Result<String, DrawError> {
    let drawn = drawn.map_err(|why| DrawError { chart: scene.name.clone(), why })?;
    Ok(ink::finish(&drawn, target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::png::Rasteriser;
    use crate::report::scene::*;

    fn axis(label: &str, scale: Scale, format: Format) -> Axis {
        Axis { label: label.to_string(), scale, format, include: Vec::new() }
    }

    fn scene(plot: Plot) -> Scene {
        let [finding, about, source] = ["A finding & more", "How to read <this>", "Measured today"];
        let [finding, about, source] = [finding, about, source].map(str::to_string);
        Scene { name: "test".to_string(), finding, about, source, plot, table: Numbers::default() }
    }

    fn bars(values: &[f64]) -> Scene {
        let bar = |&until: &f64| Bar {
            label: format!("bar {until}"),
            value: format!("{until}×"),
            parts: vec![Part { until, role: Role::Series(0), fill: Fill::Hatched }],
            interval: Some((until * 0.9, until * 1.1)),
        };
        let group = BarGroup {
            label: "group".to_string(),
            note: String::new(),
            bars: values.iter().map(bar).collect(),
        };
        scene(Plot::Bars(Bars {
            axis: axis("speed-up", Scale::Log, Format::Times),
            origin: Some(1.0),
            groups: vec![group],
            lines: vec![Reference { at: 2.0, label: "line".to_string() }],
            bands: vec![Band { from: 0.98, to: 1.02, label: "band".to_string() }],
            legend: Vec::new(),
        }))
    }

    fn points(values: &[(f64, f64)]) -> Scene {
        let point =
            |&(x, y): &(f64, f64)| Point { x, y, interval: Some((y * 0.5, y * 2.0)), label: "p".to_string() };
        let series = Series {
            label: "series".to_string(),
            look: Look::series(0),
            joined: true,
            points: values.iter().map(point).collect(),
        };
        let roof = Roof { label: "roof".to_string(), points: vec![(0.0, 9.0), (1e9, 9.0)], measured: false };
        scene(Plot::Panels(vec![Panel {
            title: "panel".to_string(),
            x: axis("size", Scale::Log, Format::Plain),
            y: axis("rate", Scale::Log, Format::Prefix),
            series: vec![series],
            roofs: vec![roof],
            bands: vec![Band { from: 2.0, to: f64::INFINITY, label: "band".to_string() }],
        }]))
    }

    #[test]
    fn no_value_breaks_a_drawing() {
        let wild = [0.0, -1.0, 1e300, 1e-300, f64::NAN, f64::INFINITY, 3.0];
        let pairs: Vec<_> = wild.iter().map(|&value| (value, value)).collect();
        for scene in [bars(&wild), bars(&[]), points(&pairs), points(&[]), points(&[(5.0, 5.0)])] {
            for svg in [
                inline(&scene, WIDE).unwrap(),
                inline(&scene, NARROW).unwrap(),
                file(&scene, Theme::Light).unwrap(),
            ] {
                let drawn = svg
                    .replace(">NaN×<", "")
                    .replace(">bar NaN<", "")
                    .replace(">inf×<", "")
                    .replace(">bar inf<", "");
                assert!(!drawn.contains("NaN") && !drawn.contains("inf\""), "{drawn}");
                assert_eq!(svg.matches("<svg").count(), 1);
            }
        }
    }

    #[test]
    fn a_file_says_what_it_shows_and_becomes_a_picture() {
        let svg = file(&bars(&[2.0, 30.0]), Theme::Dark).unwrap();
        for wanted in ["A finding &amp; more", "How to read &lt;this&gt;", "Measured today", "speed-up"] {
            assert!(svg.contains(wanted), "{wanted} is absent from {svg}");
        }
        let png = Rasteriser::default().png(&svg).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{} bytes", png.len());
        let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
        assert_eq!(f64::from(width), 2.0 * FILE);
    }
}
