//! Colours by role, for a light and a dark page. A role is never told by colour alone: series also have
//! a marker, a dash and a direct label.

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Background.
    Paper,
    /// Raised background: tables' heads, code.
    Panel,
    /// Main text.
    Ink,
    /// Second text: units, notes, ticks.
    Muted,
    /// Hairlines behind data.
    Grid,
    /// Axes and reference lines.
    Axis,
    /// The band in which two results count as equal.
    Band,
    /// Something is as it should be.
    Good,
    /// Something wants care.
    Warn,
    /// Something is wrong.
    Bad,
    /// One of several series, taken modulo [`SERIES`].
    Series(u8),
}

/// Number of distinct series colours.
pub const SERIES: u8 = 8;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// White paper.
    Light,
    /// Dark paper.
    Dark,
}

/// Name of the CSS variable, light colour, dark colour.
type Entry = (&'static str, &'static str, &'static str);

const BASE: [Entry; 10] = [
    ("paper", "#ffffff", "#12161c"),
    ("panel", "#f4f6f9", "#1a2029"),
    ("ink", "#16202c", "#e6ebf2"),
    ("muted", "#566273", "#a3afbf"),
    ("grid", "#e3e8ee", "#28303b"),
    ("axis", "#7a8798", "#77859a"),
    ("band", "#e4ecf4", "#243142"),
    ("good", "#14734a", "#4cc38a"),
    ("warn", "#8a5a00", "#e2b04a"),
    ("bad", "#b3261e", "#ff8a80"),
];

const SERIES_COLOURS: [Entry; SERIES as usize] = [
    ("s0", "#0072b2", "#56b4e9"),
    ("s1", "#b84f00", "#f0a060"),
    ("s2", "#007a5a", "#2bc79a"),
    ("s3", "#8b4a9c", "#cf9fe2"),
    ("s4", "#b0305c", "#f58fb0"),
    ("s5", "#756100", "#d3c05c"),
    ("s6", "#596a80", "#9db0c8"),
    ("s7", "#00708c", "#58c7dc"),
];

impl Role {
    /// All roles, in a fixed order.
    pub fn all() -> impl Iterator<Item = Role> {
        use Role::*;
        let base = [Paper, Panel, Ink, Muted, Grid, Axis, Band, Good, Warn, Bad];
        base.into_iter().chain((0..SERIES).map(Series))
    }

    /// A small number that names the role.
    pub(super) fn index(self) -> u8 {
        match self {
            Self::Series(number) => BASE.len() as u8 + number % SERIES,
            other => Self::all().position(|role| role == other).unwrap_or(0) as u8,
        }
    }

    /// The role of a number from [`Self::index`].
    pub(super) fn from_index(index: u8) -> Option<Self> {
        Self::all().nth(index.into())
    }

    fn entry(self) -> Entry {
        let index = usize::from(self.index());
        BASE.iter().chain(&SERIES_COLOURS).nth(index).copied().unwrap_or(BASE[2])
    }

    /// Name of its CSS variable, without the dashes.
    pub fn variable(self) -> &'static str {
        self.entry().0
    }

    /// Its colour as `#rrggbb`.
    pub fn colour(self, theme: Theme) -> &'static str {
        let (_, light, dark) = self.entry();
        match theme {
            Theme::Light => light,
            Theme::Dark => dark,
        }
    }
}

/// The declarations of all variables for a theme: `--paper:#ffffff;...`.
pub fn variables(theme: Theme) -> String {
    Role::all().map(|role| format!("--{}:{};", role.variable(), role.colour(theme))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of `#rrggbb` (WCAG 2.2, "relative luminance").
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_agrees_with_published_pairs() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
        assert!((contrast("#ffffff", "#0072b2") - 5.19).abs() < 0.01);
        assert!((contrast("#ffffff", "#f0e442") - 1.32).abs() < 0.01);
    }

    #[test]
    fn text_has_4_5_to_1_and_graphics_3_to_1_on_every_background() {
        use Role::*;
        for theme in [Theme::Light, Theme::Dark] {
            for paper in [Paper, Panel, Band] {
                for (role, least) in Role::all().filter_map(|role| match role {
                    Series(_) | Axis if paper == Band => Some((role, 3.0)),
                    Ink | Muted | Good | Warn | Bad | Series(_) => Some((role, 4.5)),
                    Axis => Some((role, 3.0)),
                    _ => None,
                }) {
                    let got = contrast(paper.colour(theme), role.colour(theme));
                    assert!(got >= least, "{role:?} on {paper:?}, {theme:?}: {got:.2} < {least}");
                }
            }
        }
    }

    #[test]
    fn an_index_names_its_role() {
        for role in Role::all() {
            assert_eq!(Role::from_index(role.index()), Some(role));
        }
        assert_eq!(Series(SERIES).index(), Series(0).index());
        use Role::Series;
        assert_eq!(Role::from_index(200), None);
    }
}
