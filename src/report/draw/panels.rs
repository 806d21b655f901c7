//! Points and lines over two axes, in one or more panels.

use super::axis::{Range, tick_text};
use super::canvas::{Anchor, Canvas, Type};
use super::ink::Ink;
use super::labels::{self, Box};
use crate::report::palette::Role;
use crate::report::scene::{Band, Dash, Look, Panel, Roof, Series};

/// Height of a legend's or a head's line.
const LINE: f64 = 18.0;
/// Room between a text and what it belongs to.
const PAD: f64 = 8.0;
/// Room at the right edge of a panel without labels.
const EDGE: f64 = 8.0;
/// Distance between panels.
const GUTTER: f64 = 28.0;
/// Radius of a marker.
const RADIUS: f64 = 4.0;
/// Narrowest panel that has room for labels at its right edge.
const LABELLED: f64 = 420.0;
/// Largest share of a panel that they may take.
const NAMES: f64 = 0.4;
/// Points from which on a line has no markers: it is a curve, whose points are nobody's measurement.
const CURVE: usize = 25;

/// A panel with its place.
struct Placed<'a> {
    panel: &'a Panel,
    x: Range,
    y: Range,
    /// Left, top, right, bottom of the plotted area.
    area: (f64, f64, f64, f64),
    /// Left edge and upper edge of the panel.
    corner: (f64, f64),
    direct: bool,
}

/// Where everything goes, found before anything is drawn.
pub(super) struct Layout<'a> {
    placed: Vec<Placed<'a>>,
    legend: Vec<(f64, f64, &'a Series)>,
    height: f64,
}

impl<'a> Layout<'a> {
    /// Lays `panels` out in `width` pixels, two beside each other where there is room.
    pub(super) fn new(panels: &'a [Panel], width: f64) -> Self {
        let columns = if panels.len() > 1 && width >= 700.0 { 2 } else { 1 };
        let each = (width - GUTTER * (columns - 1) as f64) / columns as f64;
        let names = panels.iter().flat_map(|panel| &panel.series);
        let longest = names.map(|series| Type::LABEL.width(&series.label)).fold(0.0, f64::max);
        let direct = each >= LABELLED && longest < each * NAMES;
        let legend = if direct { Vec::new() } else { legend(panels, width) };
        let top = legend.last().map_or(0.0, |key| key.1 + PAD);
        let high = if columns == 2 { 250.0 } else { (width * 0.5).clamp(240.0, 400.0) };
        let pitch = high + 62.0 + if panels.iter().any(|panel| !panel.title.is_empty()) { LINE } else { 0.0 };
        let place = |(number, panel): (usize, &'a Panel)| {
            let corner =
                ((number % columns) as f64 * (each + GUTTER), top + (number / columns) as f64 * pitch);
            Placed::new(panel, corner, each, pitch, direct)
        };
        let placed: Vec<_> = panels.iter().enumerate().map(place).collect();
        let rows = panels.len().div_ceil(columns);
        Self { placed, legend, height: top + rows as f64 * pitch }
    }

    /// Height of the whole drawing.
    pub(super) fn height(&self) -> f64 {
        self.height
    }

    /// Draws it, moved down by `offset`.
    pub(super) fn draw(&self, canvas: &mut Canvas, offset: f64) {
        for (x, y, series) in &self.legend {
            let Look { role, marker, dash } = series.look;
            let middle = (x + 9.0, offset + y - 4.0);
            if series.joined {
                canvas.line((*x, middle.1), (x + 18.0, middle.1), Ink::dashed(role, dash), 1.8);
            }
            if !is_curve(series) {
                canvas.marker(marker, middle, RADIUS, role);
            }
            canvas.text(&series.label, (x + 24.0, offset + y), Anchor::Start, Type::NOTE);
        }
        for placed in &self.placed {
            placed.draw(canvas, offset);
        }
    }
}

fn is_curve(series: &Series) -> bool {
    series.joined && series.points.len() >= CURVE
}

/// One entry for each series of any panel, in rows.
fn legend(panels: &[Panel], width: f64) -> Vec<(f64, f64, &Series)> {
    let mut entries: Vec<(f64, f64, &Series)> = Vec::new();
    let (mut x, mut y) = (0.0, 12.0);
    for series in panels.iter().flat_map(|panel| &panel.series) {
        if series.label.is_empty() || entries.iter().any(|entry| entry.2.label == series.label) {
            continue;
        }
        let needs = 24.0 + Type::NOTE.width(&series.label);
        if x > 0.0 && x + needs > width {
            (x, y) = (0.0, y + LINE);
        }
        entries.push((x, y, series));
        x += needs + 14.0;
    }
    entries
}

impl<'a> Placed<'a> {
    fn new(panel: &'a Panel, corner: (f64, f64), width: f64, pitch: f64, direct: bool) -> Self {
        let points = || panel.series.iter().flat_map(|series| &series.points);
        let roofs = || panel.roofs.iter().flat_map(|roof| &roof.points);
        // Roofs bound the height, not the width: they may run on beyond the data.
        let x = Range::around(&panel.x, points().map(|point| point.x));
        let heights = points().flat_map(|point| {
            let (low, high) = point.interval.unwrap_or((point.y, point.y));
            [low, point.y, high]
        });
        let y =
            Range::around(&panel.y, heights.chain(roofs().filter(|roof| x.holds(roof.0)).map(|roof| roof.1)));
        let ticks = y.ticks(6).into_iter().map(|tick| Type::NOTE.width(&tick_text(tick, panel.y.format)));
        let left = corner.0 + ticks.fold(0.0, f64::max) + PAD;
        let names = panel.series.iter().map(|series| Type::LABEL.width(&series.label)).fold(0.0, f64::max);
        let right = corner.0 + width - if direct { names + 20.0 } else { EDGE };
        let top = corner.1 + if panel.title.is_empty() { 20.0 } else { 20.0 + LINE };
        let bottom = corner.1 + pitch - 44.0;
        Self { panel, x, y, area: (left, top, right, bottom), corner, direct }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (left, top, right, bottom) = self.area;
        (left + self.x.share(x) * (right - left), bottom - self.y.share(y) * (bottom - top))
    }

    fn draw(&self, canvas: &mut Canvas, offset: f64) {
        let shifted = Placed {
            area: (self.area.0, self.area.1 + offset, self.area.2, self.area.3 + offset),
            corner: (self.corner.0, self.corner.1 + offset),
            panel: self.panel,
            ..*self
        };
        shifted.draw_bands(canvas);
        shifted.draw_axes(canvas);
        let mut taken: Vec<Box> = shifted.points().map(|at| Box::around(at, RADIUS + 1.0)).collect();
        let roofs = shifted.panel.roofs.iter().map(|roof| shifted.in_view(roof));
        taken.extend(roofs.flat_map(|points| labels::level_pieces(&points)));
        for roof in &shifted.panel.roofs {
            shifted.draw_roof(canvas, roof, &mut taken);
        }
        for series in &shifted.panel.series {
            shifted.draw_series(canvas, series);
        }
        shifted.draw_point_labels(canvas, &mut taken);
        if shifted.direct {
            shifted.draw_series_labels(canvas);
        }
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.panel.series.iter().flat_map(|series| &series.points).map(|point| self.at(point.x, point.y))
    }

    fn draw_bands(&self, canvas: &mut Canvas) {
        let (left, top, right, bottom) = self.area;
        for Band { from, to, label } in &self.panel.bands {
            let [from, to] = [from, to].map(|end| self.at(*end, self.y.low).0);
            canvas.rect((from, top), (to, bottom), Role::Band);
            let label = Type::NOTE.shorten(label, right - left);
            let half = Type::NOTE.width(&label) / 2.0;
            let middle = ((from + to) / 2.0).clamp(left + half, (right - half).max(left + half));
            canvas.text(&label, (middle, top + 12.0), Anchor::Middle, Type::NOTE);
        }
    }

    fn draw_axes(&self, canvas: &mut Canvas) {
        let (left, top, right, bottom) = self.area;
        let (x, y) = (&self.panel.x, &self.panel.y);
        if !self.panel.title.is_empty() {
            let title = Type::HEAD.shorten(&self.panel.title, right - self.corner.0);
            canvas.text(&title, (self.corner.0, self.corner.1 + 12.0), Anchor::Start, Type::HEAD);
        }
        canvas.text(&y.label, (self.corner.0, top - 9.0), Anchor::Start, Type::NOTE);
        for tick in self.y.ticks(6) {
            let at = self.at(self.x.low, tick).1;
            canvas.line((left, at), (right, at), Ink::of(Role::Grid), 1.0);
            canvas.text(&tick_text(tick, y.format), (left - PAD + 2.0, at + 4.0), Anchor::End, Type::NOTE);
        }
        let mut free = f64::NEG_INFINITY;
        for tick in self.x_ticks() {
            let (at, text) = (self.at(tick, self.y.low).0, tick_text(tick, x.format));
            let half = Type::NOTE.width(&text) / 2.0;
            canvas.line((at, bottom), (at, bottom + 4.0), Ink::of(Role::Axis), 1.0);
            if at - half > free {
                let middle = at.min(right + EDGE - half);
                canvas.text(&text, (middle, bottom + 16.0), Anchor::Middle, Type::NOTE);
                free = at + half + 7.0;
            }
        }
        canvas.line((left, bottom), (right, bottom), Ink::of(Role::Axis), 1.0);
        let label = Type::NOTE.shorten(&x.label, right - left);
        canvas.text(&label, ((left + right) / 2.0, bottom + 33.0), Anchor::Middle, Type::NOTE);
    }

    /// The sizes that were measured, where they are few; else round values.
    fn x_ticks(&self) -> Vec<f64> {
        let mut measured: Vec<f64> =
            self.panel.series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
        measured.sort_by(f64::total_cmp);
        measured.dedup();
        let joined = self.panel.series.iter().any(|series| series.joined);
        if joined && measured.len() <= 12 {
            return measured;
        }
        self.x.ticks((((self.area.2 - self.area.0) / 60.0) as usize).max(2))
    }

    /// Corners of the part of a roof that is in view.
    fn in_view(&self, roof: &Roof) -> Vec<(f64, f64)> {
        let (left, top, right, bottom) = self.area;
        let far = |&(x, y): &(f64, f64)| {
            (left + self.x.unclipped(x) * (right - left), bottom - self.y.unclipped(y) * (bottom - top))
        };
        let corners: Vec<_> = roof.points.iter().map(far).collect();
        let pieces = corners.windows(2).filter_map(|ends| labels::clip(ends[0], ends[1], self.area));
        let mut points: Vec<(f64, f64)> = pieces.flatten().collect();
        points.dedup();
        points
    }

    fn draw_roof(&self, canvas: &mut Canvas, roof: &Roof, taken: &mut Vec<Box>) {
        let points = self.in_view(roof);
        if points.len() < 2 {
            return;
        }
        let dash = if roof.measured { Dash::Solid } else { Dash::Dashed };
        canvas.path(&points, Ink::dashed(Role::Axis, dash), 1.4);
        if let Some((at, label)) = labels::along(&roof.label, &points, self.area, taken) {
            canvas.text(&label, at, Anchor::Start, Type::NOTE);
            taken.push(Box::text(&label, at, Type::NOTE));
        }
    }

    fn draw_series(&self, canvas: &mut Canvas, series: &Series) {
        let Look { role, marker, dash } = series.look;
        let at: Vec<_> = series.points.iter().map(|point| self.at(point.x, point.y)).collect();
        if series.joined && at.len() > 1 {
            canvas.path(&at, Ink::dashed(role, dash), 1.8);
        }
        for (point, &(x, y)) in series.points.iter().zip(&at) {
            if let Some((low, high)) = point.interval {
                let (low, high) = (self.at(point.x, low).1, self.at(point.x, high).1);
                // A whisker shorter than its marker is noise on the page.
                if low - high > 2.0 * RADIUS {
                    canvas.whisker((x, low), (x, high), role);
                }
            }
            if !is_curve(series) {
                canvas.marker(marker, (x, y), RADIUS, role);
            }
        }
    }

    /// Labels of single points, where there is room for them.
    fn draw_point_labels(&self, canvas: &mut Canvas, taken: &mut Vec<Box>) {
        for point in self.panel.series.iter().flat_map(|series| &series.points) {
            if point.label.is_empty() {
                continue;
            }
            let middle = self.at(point.x, point.y);
            if let Some(at) = labels::beside(&point.label, middle, RADIUS + 4.0, self.area, taken) {
                canvas.text(&point.label, at, Anchor::Start, Type::NOTE);
                taken.push(Box::text(&point.label, at, Type::NOTE));
            }
        }
    }

    /// Names at the right edge, each at the height of its last point as far as they leave each other
    /// room.
    fn draw_series_labels(&self, canvas: &mut Canvas) {
        let (_, top, right, bottom) = self.area;
        let ends: Vec<_> = self
            .panel
            .series
            .iter()
            .filter(|series| !series.label.is_empty())
            .filter_map(|series| {
                let last = series.points.last()?;
                Some((series, self.at(last.x, last.y)))
            })
            .collect();
        // Names of scattered points are a list; names of lines stand where the lines end.
        let wanted: Vec<f64> =
            ends.iter().map(|(series, end)| if series.joined { end.1 } else { top + 6.0 }).collect();
        let heights = labels::spread(&wanted, 15.0, top, bottom);
        for ((series, end), y) in ends.into_iter().zip(heights) {
            let Look { role, marker, .. } = series.look;
            if !series.joined {
                canvas.marker(marker, (right + 9.0, y), RADIUS, role);
            } else if (y - end.1).abs() > 1.0 || right - end.0 > 14.0 {
                canvas.path(
                    &[(end.0 + RADIUS + 2.0, end.1), (right + 4.0, y), (right + 14.0, y)],
                    Ink::of(role),
                    0.8,
                );
            }
            canvas.text(&series.label, (right + 18.0, y + 4.0), Anchor::Start, Type::LABEL);
        }
    }
}
