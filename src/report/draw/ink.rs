//! Sentinel colours: while drawing, a colour names a role and a dash; afterwards it becomes a CSS
//! variable (in the page) or a literal colour (in a file).

use super::canvas::{FAMILY, Type, UNITS};
use crate::report::palette::{Role, Theme};
use crate::report::scene::{DASHES, Dash};
use plotters::style::RGBColor;
use std::fmt::Write;

/// Red channel of every sentinel.
const MARK: u8 = 0xA5;

/// Added to the blue channel of outlined texts.
const OUTLINED: u8 = 16;

/// What a stroke is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub(super) role: Role,
    pub(super) dash: Dash,
    /// Of a text: with an outline of paper, so that no line runs through it.
    pub(super) outlined: bool,
}

impl Ink {
    /// Unbroken, in the colour of a role.
    pub(super) fn of(role: Role) -> Self {
        Self { role, dash: Dash::Solid, outlined: false }
    }

    /// A broken line in the colour of a role.
    pub(super) fn dashed(role: Role, dash: Dash) -> Self {
        Self { role, dash, outlined: false }
    }

    /// A text that is legible on lines.
    pub(super) fn outlined(role: Role) -> Self {
        Self { role, dash: Dash::Solid, outlined: true }
    }

    /// Its sentinel.
    pub(super) fn colour(self) -> RGBColor {
        let dash = DASHES.iter().position(|dash| *dash == self.dash).unwrap_or(0) as u8;
        RGBColor(MARK, self.role.index(), dash + if self.outlined { OUTLINED } else { 0 })
    }

    fn from_sentinel(colour: &str) -> Option<Self> {
        let code = u32::from_str_radix(colour.strip_prefix('#')?, 16).ok()?;
        let [_, mark, role, dash] = code.to_be_bytes();
        let role = (mark == MARK).then(|| Role::from_index(role))??;
        let outlined = dash >= OUTLINED;
        let dash = *DASHES.get(usize::from(dash % OUTLINED))?;
        Some(Self { role, dash, outlined })
    }
}

/// Lengths of strokes and gaps in units of the drawing.
fn pattern(dash: Dash) -> Option<&'static str> {
    match dash {
        Dash::Solid => None,
        Dash::Dashed => Some("70 40"),
        Dash::Dotted => Some("20 35"),
        Dash::DashDot => Some("80 35 20 35"),
    }
}

/// Where a drawing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Inside the page: colours are CSS variables, the font is the page's.
    Page,
    /// A file of its own in literal colours.
    File(Theme),
}

impl Target {
    fn paint(self, role: Role) -> String {
        match self {
            Self::Page => format!("var(--{})", role.variable()),
            Self::File(theme) => role.colour(theme).to_string(),
        }
    }
}

/// Rewrites what plotters wrote: sentinels become colours and dashes, the root gets its size in CSS
/// pixels, texts in the page get classes, and what is said by default is dropped.
pub(super) fn finish(drawn: &str, target: Target) -> String {
    let mut svg = String::with_capacity(drawn.len());
    let mut is_root = true;
    for piece in drawn.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        svg.push('<');
        write_tag(&mut svg, tag, is_root, target);
        svg.push('>');
        svg.push_str(text.trim_matches('\n'));
        is_root = false;
    }
    svg
}

fn write_tag(svg: &mut String, tag: &str, is_root: bool, target: Target) {
    let (name, attributes) = parse(tag);
    svg.push_str(if ["polyline", "polygon"].contains(&name) { "path" } else { name });
    let class = if target == Target::Page { class(name, &attributes) } else { None };
    // Writing to a String cannot fail.
    if let Some(class) = &class {
        let _ = write!(svg, " class=\"{class}\"");
    }
    for (attribute, value) in attributes {
        if attribute == "points" {
            let _ = write!(svg, " d=\"{}\"", path(value, name == "polygon"));
        } else if !class.as_ref().is_some_and(|class| is_in_class(class, name, attribute, value)) {
            write_attribute(svg, attribute, value, is_root, target);
        }
    }
    if tag.ends_with('/') {
        svg.push('/');
    }
}

/// Name and attributes of a tag.
fn parse(tag: &str) -> (&str, Vec<(&str, &str)>) {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = Vec::new();
    while let Some((key, tail)) = rest.split_once("=\"") {
        let (value, tail) = tail.split_once('"').unwrap_or((tail, ""));
        attributes.push((key.trim(), value));
        rest = tail;
    }
    (name, attributes)
}

/// The data of a path through `points` (`x,y x,y ..`): one absolute point and steps from it, which are
/// shorter than the points.
fn path(points: &str, is_closed: bool) -> String {
    let pairs = points.split_whitespace().filter_map(|point| point.split_once(','));
    let mut corners: Vec<(i64, i64)> = Vec::new();
    for (x, y) in pairs.filter_map(|(x, y)| Some((x.parse::<i64>().ok()?, y.parse::<i64>().ok()?))) {
        // A level step that goes on is one step.
        if let [.., a, b] = corners[..]
            && a.1 == b.1
            && b.1 == y
            && (b.0 - a.0).signum() == (x - b.0).signum()
        {
            corners.pop();
        }
        corners.push((x, y));
    }
    let mut data = String::new();
    let mut last: Option<(i64, i64)> = None;
    for (x, y) in corners {
        // Writing to a String cannot fail.
        let _ = match last.map(|last| (x - last.0, y - last.1)) {
            None => write!(data, "M{x} {y}"),
            Some((0, dy)) => write!(data, "v{dy}"),
            Some((dx, 0)) => write!(data, "h{dx}"),
            Some((dx, dy)) if dy < 0 => write!(data, "l{dx}{dy}"),
            Some((dx, dy)) => write!(data, "l{dx} {dy}"),
        };
        last = Some((x, y));
    }
    data + if is_closed { "z" } else { "" }
}

/// Whether an element's class says what an attribute would.
fn is_in_class(class: &str, tag: &str, attribute: &str, value: &str) -> bool {
    match attribute {
        _ if tag == "text" => !["x", "y"].contains(&attribute),
        "fill" if value == "none" => true,
        "fill" | "stroke" => Ink::from_sentinel(value).is_some_and(|ink| ink.dash == Dash::Solid),
        // What is only filled has no stroke.
        "stroke-width" => value == "10" || class.starts_with('f'),
        _ => false,
    }
}

/// Classes of an element in the page, as [`classes`] and `assets/report.css` know them: for a text its
/// look, `m` or `e` for its anchor and `o` for an outline of paper; for a shape `f` or `k` with a role's
/// number for its fill or stroke. None where there is no class for it.
fn class(tag: &str, attributes: &[(&str, &str)]) -> Option<String> {
    let value = |wanted: &str| attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    if tag != "text" {
        let ink = |name| Ink::from_sentinel(value(name)?).filter(|ink| ink.dash == Dash::Solid);
        let fill = ink("fill").map(|ink| format!("f{}", ink.role.index()));
        return fill.or_else(|| ink("stroke").map(|ink| format!("k{}", ink.role.index())));
    }
    let ink = Ink::from_sentinel(value("fill")?)?;
    let size = value("font-size")?.parse::<f64>().ok()? / UNITS;
    let bold = value("font-weight").is_some();
    let is = |look: Type| (look.size - size).abs() < 0.01 && look.role == ink.role && look.bold == bold;
    let looks = [(Type::LABEL, "l"), (Type::NOTE, "n"), (Type::HEAD, "h")];
    let mut class = looks.into_iter().find(|(look, _)| is(*look))?.1.to_string();
    class += match value("text-anchor") {
        Some("middle") => " m",
        Some("end") => " e",
        _ => "",
    };
    Some(class + if ink.outlined { " o" } else { "" })
}

/// The rules behind the classes of drawings in the page.
pub(in crate::report) fn classes() -> String {
    let texts = [(Type::LABEL, "l"), (Type::NOTE, "n"), (Type::HEAD, "h")].map(|(look, class)| {
        let weight = if look.bold { ";font-weight:600" } else { "" };
        format!(".{class}{{font-size:{}px;fill:var(--{}){weight}}}", look.size * UNITS, look.role.variable())
    });
    let inks = Role::all().map(|role| {
        let (number, variable) = (role.index(), role.variable());
        format!(".f{number}{{fill:var(--{variable})}}.k{number}{{fill:none;stroke:var(--{variable})}}")
    });
    texts.into_iter().chain(inks).collect::<String>() + "\n"
}

fn write_attribute(svg: &mut String, name: &str, value: &str, is_root: bool, target: Target) {
    // Writing to a String cannot fail.
    let _ = match (name, Ink::from_sentinel(value)) {
        ("stroke", Some(ink)) => {
            let dashes =
                pattern(ink.dash).map_or(String::new(), |lengths| format!(" stroke-dasharray=\"{lengths}\""));
            write!(svg, " stroke=\"{}\"{dashes}", target.paint(ink.role))
        }
        ("fill", Some(ink)) if ink.outlined => write!(
            svg,
            " fill=\"{}\" stroke=\"{}\" stroke-width=\"50\" stroke-linejoin=\"round\" paint-order=\"stroke\"",
            target.paint(ink.role),
            target.paint(Role::Paper)
        ),
        (_, Some(ink)) => write!(svg, " {name}=\"{}\"", target.paint(ink.role)),
        ("width" | "height", None) if is_root => {
            let units: f64 = value.parse().unwrap_or_default();
            write!(svg, " {name}=\"{}\"", units / UNITS)
        }
        // Base lines are placed by hand; full opacity, no stroke and the left anchor go without saying.
        ("dy", _) | ("opacity", _) | ("stroke", _) => Ok(()),
        ("xmlns", _) if target == Target::Page => Ok(()),
        ("text-anchor", _) if value == "start" => Ok(()),
        ("stroke-width", _) if value == "0" => Ok(()),
        ("font-family", _) if target == Target::Page => Ok(()),
        ("font-family", _) => write!(svg, " font-family=\"{FAMILY}, system-ui, sans-serif\""),
        ("font-size", _) => {
            write!(svg, " font-size=\"{}\"", value.parse::<f64>().unwrap_or_default().round())
        }
        ("font-weight", _) => write!(svg, " font-weight=\"600\""),
        _ => write!(svg, " {name}=\"{value}\""),
    };
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Anchor, paint};
    use super::*;

    fn drawn() -> String {
        paint(100.0, 50.0, |canvas| {
            canvas.line((0.0, 0.0), (10.0, 5.04), Ink::dashed(Role::Series(2), Dash::Dashed), 1.5);
            canvas.rect((1.0, 1.0), (3.0, 2.0), Role::Band);
            canvas.path(&[(1.0, 1.0), (1.0, 3.0), (4.0, 2.0)], Ink::of(Role::Axis), 1.0);
            canvas.polygon(&[(1.0, 1.0), (3.0, 1.0), (2.0, 2.0)], Role::Band);
            canvas.text("a < b \"&\" 'c'", (5.0, 20.0), Anchor::End, Type::HEAD);
        })
        .unwrap()
    }

    #[test]
    fn sentinels_become_variables_in_the_page() {
        assert_eq!(
            finish(&drawn(), Target::Page),
            "<svg width=\"100\" height=\"50\" viewBox=\"0 0 1000 500\">\
             <line stroke=\"var(--s2)\" stroke-dasharray=\"70 40\" stroke-width=\"15\" x1=\"0\" y1=\"0\" x2=\"100\" y2=\"50\"/>\
             <rect class=\"f6\" x=\"10\" y=\"10\" width=\"20\" height=\"10\"/>\
             <path class=\"k5\" d=\"M10 10v20l30-10\"/>\
             <path class=\"f6\" d=\"M10 10h20l-10 10z\"/>\
             <text class=\"h e o\" x=\"50\" y=\"200\">\
             a &lt; b &quot;&amp;&quot; &apos;c&apos;</text></svg>"
        );
    }

    #[test]
    fn files_have_literal_colours_and_a_font() {
        for (theme, colour) in [(Theme::Light, "#007a5a"), (Theme::Dark, "#2bc79a")] {
            let svg = finish(&drawn(), Target::File(theme));
            assert!(svg.contains(&format!("stroke=\"{colour}\"")), "{svg}");
            assert!(svg.contains("font-family=\"Inter, system-ui, sans-serif\""), "{svg}");
            assert!(!svg.contains("#A5") && !svg.contains("var("), "{svg}");
        }
    }
}
