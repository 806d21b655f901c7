//! Strokes, fills and text in CSS pixels on plotters' SVG backend.
//!
//! plotters' coordinates are whole numbers, which makes sloped lines bumpy. So everything is drawn ten
//! times too large and the root's width and height are set back afterwards; the view box stays.

use super::ink::Ink;
use crate::host::plain;
use crate::report::palette::Role;
use crate::report::scene::Marker;
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, ShapeStyle, TextStyle, register_font};
use std::sync::Once;

/// Units of the drawing in one CSS pixel.
pub(super) const UNITS: f64 = 10.0;
/// plotters' SVG backend divides font sizes by this.
const FONT_DIVISOR: f64 = 1.24;
/// Family of the embedded fonts.
pub(in crate::report) const FAMILY: &str = "Inter";
/// Weight 400 of the embedded font.
pub(in crate::report) const REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.ttf");
/// Weight 600 of the embedded font.
pub(in crate::report) const SEMIBOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf");

/// Which end of a text stands at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// Size in CSS pixels, colour and weight of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) role: Role,
    pub(super) bold: bool,
}

impl Type {
    /// Names beside data.
    pub(super) const LABEL: Self = Self { size: 12.0, role: Role::Ink, bold: false };
    /// Heads of groups and panels.
    pub(super) const HEAD: Self = Self { size: 12.5, role: Role::Ink, bold: true };
    /// Ticks, units and remarks.
    pub(super) const NOTE: Self = Self { size: 11.0, role: Role::Muted, bold: false };

    fn font(self) -> FontDesc<'static> {
        static FONTS: Once = Once::new();
        FONTS.call_once(|| {
            // An embedded font that is no font fails every drawing test; there is nothing to do here.
            let _ = register_font(FAMILY, FontStyle::Normal, REGULAR);
            let _ = register_font(FAMILY, FontStyle::Bold, SEMIBOLD);
        });
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::new(FontFamily::Name(FAMILY), self.size * UNITS * FONT_DIVISOR, style)
    }

    /// Width of a text in CSS pixels.
    pub(super) fn width(self, text: &str) -> f64 {
        self.font().box_size(text).map_or(0.0, |(width, _)| f64::from(width) / UNITS)
    }

    /// `text`, or as much of it as fits into `width` with an ellipsis.
    pub(super) fn shorten(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_string();
        }
        let mut letters: Vec<char> = text.chars().collect();
        while letters.pop().is_some() {
            let shorter: String = letters.iter().collect::<String>().trim_end().to_string() + "…";
            if self.width(&shorter) <= width {
                return shorter;
            }
        }
        String::new()
    }

    /// `text` broken between words into lines of at most `width`.
    pub(super) fn wrap(self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(self.shorten(word, width)),
            }
        }
        lines
    }
}

/// A place to draw; the first failure is kept and returned at the end.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    /// Added to every x.
    left: f64,
    failure: Option<String>,
}

/// An SVG of the given size in CSS pixels, still in sentinel colours, with whatever `draw` put on it.
pub(super) fn paint(width: f64, height: f64, draw: impl FnOnce(&mut Canvas)) -> Result<String, String> {
    let mut svg = String::new();
    let size = ((width * UNITS).round() as u32, (height * UNITS).round() as u32);
    let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size), left: 0.0, failure: None };
    draw(&mut canvas);
    let ended = canvas.backend.present().map_err(|error| error.to_string());
    let failure = canvas.failure.take();
    drop(canvas);
    match (failure, ended) {
        (Some(failure), _) | (None, Err(failure)) => Err(failure),
        (None, Ok(())) => Ok(svg),
    }
}

fn shape(ink: Ink, stroke: f64) -> ShapeStyle {
    ink.colour().stroke_width((stroke * UNITS).round() as u32)
}

impl Canvas<'_> {
    fn units(&self, (x, y): (f64, f64)) -> (i32, i32) {
        (((x + self.left) * UNITS).round() as i32, (y * UNITS).round() as i32)
    }

    /// Draws with everything moved to the right.
    pub(super) fn shifted(&mut self, right: f64, draw: impl FnOnce(&mut Self)) {
        self.left += right;
        draw(self);
        self.left -= right;
    }

    fn keep<E: std::fmt::Display>(&mut self, done: Result<(), E>) {
        if let Err(error) = done {
            self.failure.get_or_insert(error.to_string());
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, stroke: f64) {
        let (from, to) = (self.units(from), self.units(to));
        let done = self.backend.draw_line(from, to, &shape(ink, stroke));
        self.keep(done);
    }

    /// A line through several points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], ink: Ink, stroke: f64) {
        let points: Vec<_> = points.iter().map(|&point| self.units(point)).collect();
        let done = self.backend.draw_path(points, &shape(ink, stroke));
        self.keep(done);
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, from: (f64, f64), to: (f64, f64), role: Role) {
        let (left, right) = (from.0.min(to.0), from.0.max(to.0));
        let (top, bottom) = (from.1.min(to.1), from.1.max(to.1));
        let (from, to) = (self.units((left, top)), self.units((right, bottom)));
        let done = self.backend.draw_rect(from, to, &shape(Ink::of(role), 0.0), true);
        self.keep(done);
    }

    /// The edges of a rectangle.
    pub(super) fn frame(&mut self, from: (f64, f64), to: (f64, f64), role: Role, stroke: f64) {
        let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
        self.path(&corners, Ink::of(role), stroke);
    }

    /// Parallel diagonals inside a rectangle, as one line that runs along the edges between them.
    pub(super) fn hatch(&mut self, from: (f64, f64), to: (f64, f64), role: Role) {
        const STEP: f64 = 8.0;
        let (width, height) = (to.0 - from.0, to.1 - from.1);
        let mut points = Vec::new();
        let mut foot = STEP - height;
        while foot < width {
            let low = (from.0 + foot.max(0.0), to.1 + foot.min(0.0));
            let over = (foot + height - width).max(0.0);
            let high = (from.0 + foot + height - over, from.1 + over);
            if (points.len() / 2) % 2 == 0 {
                points.extend([low, high]);
            } else {
                points.extend([high, low]);
            }
            foot += STEP;
        }
        if points.len() > 1 {
            self.path(&points, Ink::of(role), 1.0);
        }
    }

    /// A filled polygon.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], role: Role) {
        let points: Vec<_> = points.iter().map(|&point| self.units(point)).collect();
        let done = self.backend.fill_polygon(points, &shape(Ink::of(role), 0.0));
        self.keep(done);
    }

    /// A text whose base line stands at `at.1`, outlined in paper. Text from outside cannot steer the
    /// order of reading, and holds no character that XML forbids.
    pub(super) fn text(&mut self, text: &str, at: (f64, f64), anchor: Anchor, look: Type) {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let colour = Ink::outlined(look.role).colour();
        let style = TextStyle::from(look.font()).color(&colour).pos(Pos::new(horizontal, VPos::Bottom));
        let at = self.units(at);
        let done = self.backend.draw_text(&plain(text), &style, at);
        self.keep(done);
    }

    /// A marker of a series, `radius` from its middle to its edge.
    pub(super) fn marker(&mut self, marker: Marker, (x, y): (f64, f64), radius: f64, role: Role) {
        let r = radius;
        match marker {
            Marker::Disc => self.circle((x, y), r, role, true),
            Marker::Ring => {
                self.circle((x, y), r, Role::Paper, true);
                self.circle((x, y), r, role, false);
            }
            Marker::Square => self.rect((x - r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), role),
            Marker::Frame => {
                self.rect((x - r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), Role::Paper);
                self.frame((x - r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), role, 1.6);
            }
            Marker::Triangle => {
                self.polygon(
                    &[(x, y - r * 1.2), (x + r * 1.1, y + r * 0.8), (x - r * 1.1, y + r * 0.8)],
                    role,
                );
            }
            Marker::Wedge => {
                self.polygon(
                    &[(x, y + r * 1.2), (x + r * 1.1, y - r * 0.8), (x - r * 1.1, y - r * 0.8)],
                    role,
                );
            }
            Marker::Diamond => {
                let r = r * 1.25;
                self.polygon(&[(x, y - r), (x + r, y), (x, y + r), (x - r, y)], role);
            }
            Marker::Cross => {
                self.line((x - r, y - r), (x + r, y + r), Ink::of(role), 2.0);
                self.line((x - r, y + r), (x + r, y - r), Ink::of(role), 2.0);
            }
        }
    }

    fn circle(&mut self, (x, y): (f64, f64), radius: f64, role: Role, fill: bool) {
        let radius = (radius * UNITS).round() as u32;
        let middle = self.units((x, y));
        let done = self.backend.draw_circle(middle, radius, &shape(Ink::of(role), 1.6), fill);
        self.keep(done);
    }

    /// A bar's end marks: a line with a cap at each end.
    pub(super) fn whisker(&mut self, from: (f64, f64), to: (f64, f64), role: Role) {
        const CAP: f64 = 3.0;
        let (dx, dy) = if from.0 == to.0 { (CAP, 0.0) } else { (0.0, CAP) };
        let points = [
            (from.0 - dx, from.1 - dy),
            (from.0 + dx, from.1 + dy),
            from,
            to,
            (to.0 - dx, to.1 - dy),
            (to.0 + dx, to.1 + dy),
        ];
        self.path(&points, Ink::of(role), 1.3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_fonts_measure_text() {
        let width = Type::LABEL.width("speed-up × 10⁻³ µs");
        assert!((90.0..140.0).contains(&width), "{width}");
        assert!(Type::HEAD.width("speed-up") > Type::LABEL.width("speed-up"));
    }

    #[test]
    fn text_is_wrapped_and_shortened_to_a_width() {
        let lines = Type::LABEL.wrap("three short words and a long one", 70.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| Type::LABEL.width(line) <= 70.0), "{lines:?}");
        assert_eq!(lines.join(" "), "three short words and a long one");
        let short = Type::LABEL.shorten("an exceedingly long label", 60.0);
        assert!(short.ends_with('…') && Type::LABEL.width(&short) <= 60.0, "{short}");
        assert_eq!(Type::LABEL.shorten("x", 60.0), "x");
    }

    #[test]
    fn a_hatch_stays_inside_its_rectangle() {
        let svg = paint(100.0, 40.0, |canvas| canvas.hatch((10.0, 10.0), (60.0, 24.0), Role::Ink)).unwrap();
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut count = 0;
        for point in points.split_whitespace() {
            let (x, y) = point.split_once(',').unwrap();
            assert!((100..=600).contains(&x.parse::<i32>().unwrap()), "{point}");
            assert!((100..=240).contains(&y.parse::<i32>().unwrap()), "{point}");
            count += 1;
        }
        assert!(count > 10);
    }
}
