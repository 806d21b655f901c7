//! Places for labels where they cover neither data nor each other.

use super::canvas::Type;

/// An area of the drawing that is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Box {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Box {
    /// A square around a point.
    pub(super) fn around((x, y): (f64, f64), radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    /// What a text covers whose base line starts at `at`.
    pub(super) fn text(text: &str, (x, y): (f64, f64), look: Type) -> Self {
        Self { left: x - 2.0, top: y - look.size, right: x + look.width(text) + 2.0, bottom: y + 3.0 }
    }

    fn touches(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn inside(&self, (left, top, right, bottom): (f64, f64, f64, f64)) -> bool {
        self.left >= left - 2.0
            && self.right <= right + 2.0
            && self.top >= top - 14.0
            && self.bottom <= bottom
    }

    fn is_free(&self, area: (f64, f64, f64, f64), taken: &[Self]) -> bool {
        self.inside(area) && !taken.iter().any(|other| self.touches(other))
    }
}

/// A start for the base line of a label right of, left of, above or below a point; none where all four
/// are taken.
pub(super) fn beside(
    label: &str,
    (x, y): (f64, f64),
    away: f64,
    area: (f64, f64, f64, f64),
    taken: &[Box],
) -> Option<(f64, f64)> {
    let width = Type::NOTE.width(label);
    let starts = [
        (x + away, y + 4.0),
        (x - away - width, y + 4.0),
        (x - width / 2.0, y - away),
        (x - width / 2.0, y + away + 9.0),
    ];
    starts.into_iter().find(|start| Box::text(label, *start, Type::NOTE).is_free(area, taken))
}

/// The part of the line from `a` to `b` that lies inside `area` (Liang and Barsky's clipping).
pub(super) fn clip(
    a: (f64, f64),
    b: (f64, f64),
    (left, top, right, bottom): (f64, f64, f64, f64),
) -> Option<[(f64, f64); 2]> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (step, room) in [(-dx, a.0 - left), (dx, right - a.0), (-dy, a.1 - top), (dy, bottom - a.1)] {
        if step == 0.0 && room < 0.0 {
            return None;
        }
        if step < 0.0 {
            from = from.max(room / step);
        } else if step > 0.0 {
            to = to.min(room / step);
        }
    }
    (from < to).then(|| [from, to].map(|share| (a.0 + share * dx, a.1 + share * dy)))
}

/// What the level pieces of a broken line cover.
pub(super) fn level_pieces(points: &[(f64, f64)]) -> Vec<Box> {
    let pieces = points.windows(2).filter(|piece| is_level(piece[0], piece[1]));
    pieces
        .map(|piece| Box {
            left: piece[0].0.min(piece[1].0),
            right: piece[0].0.max(piece[1].0),
            top: piece[0].1.min(piece[1].1) - 1.0,
            bottom: piece[0].1.max(piece[1].1) + 1.0,
        })
        .collect()
}

fn is_level(a: (f64, f64), b: (f64, f64)) -> bool {
    (a.1 - b.1).abs() < 0.05 * (b.0 - a.0).abs()
}

/// A start for the base line of a label on a broken line, above level pieces and right of rising ones;
/// shortened or left out where there is no room.
pub(super) fn along(
    label: &str,
    points: &[(f64, f64)],
    area: (f64, f64, f64, f64),
    taken: &[Box],
) -> Option<((f64, f64), String)> {
    let label = Type::NOTE.shorten(label, area.2 - area.0);
    let width = Type::NOTE.width(&label);
    let pieces = points.windows(2).rev();
    let starts = pieces.flat_map(|piece| {
        let ((x0, y0), (x1, y1)) = (piece[0], piece[1]);
        let is_level = is_level(piece[0], piece[1]);
        (0..=20).map(move |step| {
            // A level piece is labelled at its right end, a rising one near its middle.
            let from_middle = if step % 2 == 0 { f64::from(step) } else { -f64::from(step) } / 44.0;
            let share = if is_level { 1.0 - f64::from(step) / 20.0 } else { 0.5 + from_middle };
            let (x, y) = (x0 + share * (x1 - x0), y0 + share * (y1 - y0));
            if is_level { (x - width, y - 5.0) } else { (x + 8.0, y + 10.0) }
        })
    });
    let start =
        starts.into_iter().find(|start| Box::text(&label, *start, Type::NOTE).is_free(area, taken))?;
    Some((start, label))
}

/// Heights as near to the wanted ones as a distance of `apart` between any two allows, in the same
/// order, inside `top..bottom` where that is possible.
pub(super) fn spread(wanted: &[f64], apart: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    // Blocks of labels that touch: the sum of what its members want for its first label, and its size.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for &number in &order {
        blocks.push((wanted[number], 1));
        while let [.., (above, count), (below, more)] = blocks[..] {
            let (first, second) = (above / count as f64, below / more as f64);
            if first + count as f64 * apart <= second {
                break;
            }
            blocks.truncate(blocks.len() - 2);
            blocks.push((above + below - (more * count) as f64 * apart, count + more));
        }
    }
    let mut heights = vec![0.0; wanted.len()];
    let mut numbers = order.into_iter();
    let mut free = top;
    let mut left = wanted.len();
    for (sum, count) in blocks {
        let latest = bottom - (left as f64 - 1.0) * apart;
        let mut y = (sum / count as f64).min(latest).max(free);
        for number in numbers.by_ref().take(count) {
            heights[number] = y;
            y += apart;
        }
        free = y;
        left -= count;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_spread_apart_and_keep_their_order() {
        for wanted in [
            vec![10.0, 11.0, 12.0, 80.0],
            vec![50.0, 50.0, 50.0],
            vec![99.0, 98.0, 97.0, 1.0],
            vec![30.0],
            vec![],
        ] {
            let got = spread(&wanted, 15.0, 0.0, 100.0);
            let mut sorted = got.clone();
            sorted.sort_by(f64::total_cmp);
            assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 14.99), "{got:?}");
            assert!(got.iter().all(|y| (0.0..=100.0).contains(y)), "{got:?}");
            for (a, b) in (0..got.len()).flat_map(|a| (0..got.len()).map(move |b| (a, b))) {
                assert!(wanted[a] >= wanted[b] || got[a] < got[b], "{wanted:?} {got:?}");
            }
        }
        assert_eq!(spread(&[20.0, 60.0], 15.0, 0.0, 100.0), [20.0, 60.0], "labels with room stay");
    }

    #[test]
    fn a_line_is_cut_at_the_edges_of_its_area() {
        let area = (0.0, 0.0, 10.0, 10.0);
        for (a, b, wanted) in [
            ((-5.0, -5.0), (5.0, 5.0), Some([(0.0, 0.0), (5.0, 5.0)])),
            ((2.0, 3.0), (8.0, 3.0), Some([(2.0, 3.0), (8.0, 3.0)])),
            ((5.0, -10.0), (5.0, 20.0), Some([(5.0, 0.0), (5.0, 10.0)])),
            ((-5.0, 3.0), (-1.0, 3.0), None),
            ((-5.0, 12.0), (20.0, 12.0), None),
        ] {
            assert_eq!(clip(a, b, area), wanted, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_label_avoids_what_is_taken_and_gives_up_where_all_is() {
        let area = (0.0, 0.0, 200.0, 100.0);
        let at = (100.0, 50.0);
        let right = beside("512", at, 8.0, area, &[]).unwrap();
        assert!(right.0 > at.0);
        let taken = [Box::around((115.0, 50.0), 6.0)];
        assert!(beside("512", at, 8.0, area, &taken).unwrap().0 < at.0);
        assert_eq!(beside("512", at, 8.0, area, &[Box::around(at, 200.0)]), None);
    }
}
