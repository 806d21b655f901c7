//! What a chart shows, free of pixels: one [`Scene`] a chart, drawn alike in the page, as SVG and as PNG.

use super::palette::Role;

/// One chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Stem of its files and its anchor in the page: lower case, digits and dashes.
    pub name: String,
    /// What it shows, as a sentence that says the finding.
    pub finding: String,
    /// How to read it: quantity, conditions, what a whisker is.
    pub about: String,
    /// Who measured or published it, and when.
    pub source: String,
    /// The drawing.
    pub plot: Plot,
    /// The same numbers as text: for readers that cannot see the drawing, and for copying.
    pub table: Numbers,
}

/// The numbers of a chart as a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Rows, as long as the heads.
    pub rows: Vec<Vec<String>>,
}

/// Kinds of drawings.
#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    /// Horizontal bars.
    Bars(Bars),
    /// Points and lines over two axes, in one or more panels.
    Panels(Vec<Panel>),
}

/// How values become lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    Linear,
    /// Equal ratios are equally long; values must be positive.
    Log,
}

/// How a tick is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Three digits and a decimal prefix: `250 G`.
    Prefix,
    /// A ratio: `2×`.
    Times,
    /// A share of 1: `50 %`.
    Percent,
    /// US dollars: `$0.25`.
    Dollars,
    /// Bytes with a binary prefix: `32 KiB`.
    Binary,
    /// Months since 1970 began: `2026-09`.
    Month,
    /// A plain number.
    Plain,
}

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Quantity and unit: `rate, FLOP/s`.
    pub label: String,
    /// How values become lengths.
    pub scale: Scale,
    /// How ticks are written.
    pub format: Format,
    /// Values that must be in view although no data is there.
    pub include: Vec<f64>,
}

/// How a surface is filled: what was not measured must never look as if it were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Measured here.
    Solid,
    /// Derived from a datasheet or a price: outlined and hatched.
    Hatched,
    /// Unverified: outlined only.
    Outline,
    /// Not drawn: what lies between the origin and a range.
    Nothing,
}

/// Shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Filled circle.
    Disc,
    /// Filled square.
    Square,
    /// Filled triangle, point up.
    Triangle,
    /// Filled square on its corner.
    Diamond,
    /// Open circle.
    Ring,
    /// Diagonal cross.
    Cross,
    /// Open square.
    Frame,
    /// Filled triangle, point down.
    Wedge,
}

/// All markers, in the order that series take them.
pub const MARKERS: [Marker; 8] = [
    Marker::Disc,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::Ring,
    Marker::Cross,
    Marker::Frame,
    Marker::Wedge,
];

/// Pattern of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dash {
    /// Unbroken.
    #[default]
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// Dashes and dots.
    DashDot,
}

/// All patterns, in the order that series take them.
pub const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::DashDot, Dash::Dotted];

/// How one contender looks in every chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colour.
    pub role: Role,
    /// Shape of its points.
    pub marker: Marker,
    /// Pattern of its lines.
    pub dash: Dash,
}

impl Look {
    /// The look of series `number`: no two of the first 32 agree.
    pub fn series(number: usize) -> Self {
        let round = number / MARKERS.len();
        Self {
            role: Role::Series((number % usize::from(super::palette::SERIES)) as u8),
            marker: MARKERS[(number + round) % MARKERS.len()],
            dash: DASHES[(number + round) % DASHES.len()],
        }
    }
}

/// Horizontal bars in groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// The one quantity.
    pub axis: Axis,
    /// Where bars begin: 0 on a linear axis, 1 for ratios on a logarithmic one. None on a logarithmic axis
    /// without a natural beginning, where a bar's length would mean nothing: dots on stems are drawn.
    pub origin: Option<f64>,
    /// Groups, top to bottom.
    pub groups: Vec<BarGroup>,
    /// Values worth a line across the chart.
    pub lines: Vec<Reference>,
    /// Ranges worth a band.
    pub bands: Vec<Band>,
    /// What the fills and colours mean, where labels beside the bars do not say.
    pub legend: Vec<Key>,
}

/// Bars that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct BarGroup {
    /// Head above the bars; empty for none.
    pub label: String,
    /// Remark beside the head.
    pub note: String,
    /// Bars, top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar, perhaps of several parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Its name, left of it.
    pub label: String,
    /// Its value as text, right of it.
    pub value: String,
    /// Lengths laid end to end, starting at the origin.
    pub parts: Vec<Part>,
    /// Ends of its interval.
    pub interval: Option<(f64, f64)>,
}

/// A length of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Where it ends, on the axis.
    pub until: f64,
    /// Colour.
    pub role: Role,
    /// Filling.
    pub fill: Fill,
}

/// A value worth a line across the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Where.
    pub at: f64,
    /// What it is.
    pub label: String,
}

/// A range of values worth a band across the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Lower end.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// What it is.
    pub label: String,
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// What it means.
    pub label: String,
    /// Colour.
    pub role: Role,
    /// Filling.
    pub fill: Fill,
}

/// Points and lines over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Head above it; empty for none.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Up.
    pub y: Axis,
    /// Data.
    pub series: Vec<Series>,
    /// Ceilings and other lines that are no contender's data.
    pub roofs: Vec<Roof>,
    /// Ranges of `x` worth a band behind the data.
    pub bands: Vec<Band>,
}

/// One contender's points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Direct label at its end, and name in the legend; empty for a line that bounds another.
    pub label: String,
    /// Colour, marker, dash.
    pub look: Look,
    /// Points are joined in order; a line of very many has no markers.
    pub joined: bool,
    /// Data.
    pub points: Vec<Point>,
}

/// One point with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Interval of `y`.
    pub interval: Option<(f64, f64)>,
    /// Label beside it where there is room; empty for none.
    pub label: String,
}

/// A line that bounds or guides.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// What it is, written along it.
    pub label: String,
    /// Corners.
    pub points: Vec<(f64, f64)>,
    /// Measured here (unbroken) or taken from a datasheet (dashed).
    pub measured: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_differ_in_more_than_colour() {
        let looks: Vec<Look> = (0..32).map(Look::series).collect();
        for (number, look) in looks.iter().enumerate() {
            assert!(!looks[..number].contains(look), "series {number} repeats an earlier look");
            let next = Look::series(number + 1);
            assert_ne!((look.marker, look.role), (next.marker, next.role));
            assert_ne!(look.marker, next.marker);
        }
    }
}
