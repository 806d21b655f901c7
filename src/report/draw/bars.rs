//! Horizontal bars. On a wide drawing names stand left of the bars, on a narrow one above them.

use super::axis::{Range, tick_text};
use super::canvas::{Anchor, Canvas, Type};
use super::ink::Ink;
use crate::report::palette::Role;
use crate::report::scene::{Band, Bar, Bars, Dash, Fill, Key, Marker, Part, Reference};

/// Thickness of a bar.
const THICK: f64 = 13.0;
/// Distance between bars of a group.
const PITCH: f64 = 19.0;
/// Height of a line of text.
const LINE: f64 = 16.0;
/// Room between groups.
const GAP: f64 = 12.0;
/// Room between a text and what it belongs to.
const PAD: f64 = 8.0;
/// Largest share of the width that names may take before they move above the bars.
const NAMES: f64 = 0.3;

/// Where everything goes, found before anything is drawn.
pub(super) struct Layout<'a> {
    bars: &'a Bars,
    range: Range,
    width: f64,
    left: f64,
    right: f64,
    top: f64,
    stacked: bool,
    keys: Vec<(f64, f64, &'a Key)>,
    marks: Vec<(f64, f64, String)>,
}

impl<'a> Layout<'a> {
    /// Lays `bars` out in `width` pixels.
    pub(super) fn new(bars: &'a Bars, width: f64) -> Self {
        let each = || bars.groups.iter().flat_map(|group| &group.bars);
        let names = each().map(|bar| Type::LABEL.width(&bar.label)).fold(0.0, f64::max);
        let values = each().map(|bar| Type::LABEL.width(&bar.value)).fold(0.0, f64::max);
        let stacked = names > width * NAMES || width < 500.0;
        let (left, right) = match stacked {
            true => (4.0, width - 10.0),
            false => (names + PAD, width - values - 2.0 * PAD),
        };
        let range = Range::around(&bars.axis, each().flat_map(extent).chain(bars.origin));
        let keys = place_keys(&bars.legend, width);
        let mut layout = Self { bars, range, width, left, right, top: 0.0, stacked, keys, marks: Vec::new() };
        layout.top = layout.keys.last().map_or(0.0, |(_, y, _)| y + PAD);
        layout.place_marks();
        layout
    }

    /// Height of the whole drawing.
    pub(super) fn height(&self) -> f64 {
        self.bottom() + 2.0 * LINE + 6.0
    }

    fn pitch(&self) -> f64 {
        if self.stacked { LINE + PITCH } else { PITCH }
    }

    fn bottom(&self) -> f64 {
        let heads = self.bars.groups.iter().filter(|group| !group.label.is_empty()).count() as f64;
        let count = self.bars.groups.iter().map(|group| group.bars.len()).sum::<usize>() as f64;
        let gaps = self.bars.groups.len().saturating_sub(1) as f64;
        self.top + heads * (LINE + 4.0) + count * self.pitch() + gaps * GAP + 6.0
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.range.share(value) * (self.right - self.left)
    }

    fn origin(&self) -> f64 {
        self.bars.origin.map_or(self.left, |origin| self.x(origin))
    }

    /// Labels of bands and lines above the bars, each on a line of its own where they would touch.
    fn place_marks(&mut self) {
        let bands = self
            .bars
            .bands
            .iter()
            .map(|Band { from, to, label }| (middle(self.x(*from), self.x(*to)), label));
        let lines = self.bars.lines.iter().map(|Reference { at, label }| (self.x(*at), label));
        let mut marks: Vec<(f64, f64, String)> = Vec::new();
        for (x, label) in bands.chain(lines).filter(|(_, label)| !label.is_empty()) {
            let label = Type::NOTE.shorten(label, self.width);
            let half = Type::NOTE.width(&label) / 2.0;
            let x = x.clamp(half.min(self.width / 2.0), (self.width - half).max(self.width / 2.0));
            let free = |y: f64| {
                let touches = |(other, at, text): &(f64, f64, String)| {
                    *at == y && (other - x).abs() < half + Type::NOTE.width(text) / 2.0 + PAD
                };
                !marks.iter().any(touches)
            };
            let row = (0..20).map(f64::from).find(|row| free(*row)).unwrap_or(0.0);
            marks.push((x, row, label));
        }
        let rows = marks.iter().map(|mark| mark.1 + 1.0).fold(0.0, f64::max);
        let top = self.top;
        self.marks =
            marks.into_iter().map(|(x, row, text)| (x, top + (rows - row) * 15.0 - 4.0, text)).collect();
        self.top += rows * 15.0;
    }

    /// Draws it with its upper left corner at the canvas's, moved down by `y`.
    pub(super) fn draw(&self, canvas: &mut Canvas, offset: f64) {
        self.draw_legend(canvas, offset);
        self.draw_background(canvas, offset);
        let mut y = offset + self.top + 6.0;
        for (number, group) in self.bars.groups.iter().enumerate() {
            y += if number > 0 { GAP } else { 0.0 };
            if !group.label.is_empty() {
                self.draw_head(canvas, &group.label, &group.note, y);
                y += LINE + 4.0;
            }
            for bar in &group.bars {
                self.draw_bar(canvas, bar, y);
                y += self.pitch();
            }
        }
    }

    fn draw_legend(&self, canvas: &mut Canvas, offset: f64) {
        for (x, y, key) in &self.keys {
            let (from, to) = ((*x, offset + y - 9.0), (x + 14.0, offset + y));
            match self.bars.origin {
                Some(_) => draw_part(canvas, from, to, key.role, key.fill),
                None => draw_dot(canvas, *x, (x + 10.0, offset + y - 4.0), key.role, key.fill),
            }
            canvas.text(&key.label, (x + 19.0, offset + y), Anchor::Start, Type::NOTE);
        }
    }

    /// Bands, grid, reference lines and the axis.
    fn draw_background(&self, canvas: &mut Canvas, offset: f64) {
        let (top, bottom) = (offset + self.top, offset + self.bottom());
        for band in &self.bars.bands {
            canvas.rect((self.x(band.from), top), (self.x(band.to), bottom), Role::Band);
        }
        let most = ((self.right - self.left) / 62.0) as usize;
        let mut free = f64::NEG_INFINITY;
        for tick in self.range.ticks(most.max(2)) {
            let (x, text) = (self.x(tick), tick_text(tick, self.bars.axis.format));
            let half = Type::NOTE.width(&text) / 2.0;
            canvas.line((x, top), (x, bottom), Ink::of(Role::Grid), 1.0);
            if x - half > free {
                let at = x.clamp(half, self.width - half);
                canvas.text(&text, (at, bottom + 14.0), Anchor::Middle, Type::NOTE);
                free = x + half + 6.0;
            }
        }
        for Reference { at, .. } in &self.bars.lines {
            let ink = Ink::dashed(Role::Axis, Dash::Dashed);
            canvas.line((self.x(*at), top), (self.x(*at), bottom), ink, 1.2);
        }
        let origin = self.origin();
        canvas.line((origin, top), (origin, bottom), Ink::of(Role::Axis), 1.0);
        for (x, y, text) in &self.marks {
            canvas.text(text, (*x, offset + y), Anchor::Middle, Type::NOTE);
        }
        let label = Type::NOTE.shorten(&self.bars.axis.label, self.width);
        let x = middle(self.left, self.right).max(Type::NOTE.width(&label) / 2.0);
        canvas.text(&label, (x, bottom + 31.0), Anchor::Middle, Type::NOTE);
    }

    fn draw_head(&self, canvas: &mut Canvas, label: &str, note: &str, y: f64) {
        let label = Type::HEAD.shorten(label, self.width);
        canvas.text(&label, (0.0, y + 12.0), Anchor::Start, Type::HEAD);
        let start = Type::HEAD.width(&label) + PAD;
        let note = Type::NOTE.shorten(note, self.width - start);
        if !note.is_empty() {
            canvas.text(&note, (start, y + 12.0), Anchor::Start, Type::NOTE);
        }
    }

    fn draw_bar(&self, canvas: &mut Canvas, bar: &Bar, y: f64) {
        let top = if self.stacked { y + LINE } else { y + (PITCH - THICK) / 2.0 };
        let (above, below, center) = (top, top + THICK, top + THICK / 2.0);
        let mut from = self.origin();
        for Part { until, role, fill } in &bar.parts {
            let end = self.x(*until);
            if self.bars.origin.is_none() {
                draw_dot(canvas, from, (end, center), *role, *fill);
            } else {
                // A hair's breadth shows that there is something.
                let (left, right) = (from.min(end), from.max(end).max(from.min(end) + 1.0));
                draw_part(canvas, (left, above), (right, below), *role, *fill);
            }
            from = end;
        }
        if let Some((low, high)) = bar.interval {
            canvas.whisker((self.x(low), center), (self.x(high), center), Role::Ink);
        }
        if self.stacked {
            let room = self.width - Type::LABEL.width(&bar.value) - PAD;
            let label = Type::LABEL.shorten(&bar.label, room);
            canvas.text(&label, (self.left, y + 12.0), Anchor::Start, Type::LABEL);
            canvas.text(&bar.value, (self.width, y + 12.0), Anchor::End, Type::LABEL);
        } else {
            canvas.text(&bar.label, (self.left - PAD, center + 4.3), Anchor::End, Type::LABEL);
            let end = extent(bar).into_iter().map(|value| self.x(value)).fold(self.origin(), f64::max);
            canvas.text(&bar.value, (end + PAD, center + 4.3), Anchor::Start, Type::LABEL);
        }
    }
}

fn middle(a: f64, b: f64) -> f64 {
    (a + b) / 2.0
}

/// Every value that must be in view for a bar.
fn extent(bar: &Bar) -> Vec<f64> {
    let ends = bar.parts.iter().map(|part| part.until);
    ends.chain(bar.interval.into_iter().flat_map(|(low, high)| [low, high])).collect()
}

/// A filled piece in the manner of its fill.
fn draw_part(canvas: &mut Canvas, from: (f64, f64), to: (f64, f64), role: Role, fill: Fill) {
    match fill {
        Fill::Solid => canvas.rect(from, to, role),
        Fill::Hatched => {
            canvas.hatch(from, to, role);
            canvas.frame(from, to, role, 1.3);
        }
        Fill::Outline => canvas.frame(from, to, role, 1.3),
        Fill::Nothing => {}
    }
}

/// A dot on a stem in the manner of its fill.
fn draw_dot(canvas: &mut Canvas, from: f64, to: (f64, f64), role: Role, fill: Fill) {
    let (marker, dash) = match fill {
        Fill::Solid => (Marker::Disc, Dash::Solid),
        Fill::Hatched => (Marker::Ring, Dash::Dotted),
        Fill::Outline => (Marker::Frame, Dash::Dotted),
        Fill::Nothing => return,
    };
    canvas.line((from, to.1), (to.0, to.1), Ink::dashed(role, dash), 1.4);
    canvas.marker(marker, to, 4.5, role);
}

/// Legend entries in rows: left end and base line of each.
fn place_keys(legend: &[Key], width: f64) -> Vec<(f64, f64, &Key)> {
    let (mut x, mut y) = (0.0, 12.0);
    let mut placed = Vec::new();
    for key in legend {
        let needs = 19.0 + Type::NOTE.width(&key.label);
        if x > 0.0 && x + needs > width {
            (x, y) = (0.0, y + LINE + 2.0);
        }
        placed.push((x, y, key));
        x += needs + 2.0 * PAD;
    }
    placed
}
