//! The same photo as if it had been taken a moment later.

use trainyard_trainkit::{Chance, narrow, real};

/// How a view differs from its photo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    is_mirrored: bool,
    /// The tangent of half the angle by which it is turned.
    turn: f32,
    zoom: f32,
    /// In halves of a side.
    shift: [f32; 2],
    contrast: f32,
    light: f32,
}

impl View {
    /// Any view.
    pub(crate) fn drawn(chance: &mut Chance) -> Self {
        let is_mirrored = chance.below(2) == 1;
        Self { is_mirrored, ..Self::near(chance) }
    }

    /// One that is not mirrored.
    pub(crate) fn near(chance: &mut Chance) -> Self {
        let mut within = |most: f64| narrow(most * (2.0 * chance.unit() - 1.0));
        Self {
            is_mirrored: false,
            turn: within(TURN),
            zoom: 1.0 + within(ZOOM),
            shift: [within(SHIFT), within(SHIFT)],
            contrast: 1.0 + within(CONTRAST),
            light: 1.0 + within(LIGHT),
        }
    }

    /// The photo in this view. Where it looks beyond the edge, the edge goes on.
    pub(crate) fn of(&self, photo: &[f32], side: usize, view: &mut Vec<f32>) {
        let square = self.turn * self.turn;
        let (cos, sin) = ((1.0 - square) / (1.0 + square), 2.0 * self.turn / (1.0 + square));
        let half = narrow(real(side)) / 2.0;
        let last = half * 2.0 - 1.0;
        for row in 0..side {
            let y = (narrow(real(row)) + 0.5) / half - 1.0;
            for column in 0..side {
                let x = (narrow(real(column)) + 0.5) / half - 1.0;
                let x = if self.is_mirrored { -x } else { x };
                let from_x = (cos * x - sin * y) * self.zoom + self.shift[0];
                let from_y = (sin * x + cos * y) * self.zoom + self.shift[1];
                let place = |from: f32| ((from + 1.0) * half - 0.5).clamp(0.0, last);
                let (left, right, beside) = between(place(from_x), side);
                let (top, bottom, below) = between(place(from_y), side);
                let corner = |row: usize, column: usize| &photo[(row * side + column) * 3..][..3];
                let (a, b) = (corner(top, left), corner(top, right));
                let (c, d) = (corner(bottom, left), corner(bottom, right));
                for colour in 0..3 {
                    let above = a[colour] + (b[colour] - a[colour]) * beside;
                    let under = c[colour] + (d[colour] - c[colour]) * beside;
                    let value = above + (under - above) * below;
                    let value = ((value - 0.5) * self.contrast + 0.5) * self.light;
                    view.push(value.clamp(0.0, 1.0));
                }
            }
        }
    }
}

/// The pixels on either side of a place, and how far it is on the way.
fn between(place: f32, side: usize) -> (usize, usize, f32) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the picture")]
    let first = place as usize;
    (first, (first + 1).min(side - 1), place - narrow(real(first)))
}

/// A turn by 5 degrees, 2 tan(x/2).
const TURN: f64 = 0.0437;
const ZOOM: f64 = 0.07;
/// 3 % of a side.
const SHIFT: f64 = 0.06;
const CONTRAST: f64 = 0.15;
const LIGHT: f64 = 0.15;

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: View =
        View { is_mirrored: false, turn: 0.0, zoom: 1.0, shift: [0.0; 2], contrast: 1.0, light: 1.0 };

    fn photo(side: usize) -> Vec<f32> {
        let mut chance = Chance::new(3, 0);
        (0..side * side * 3).map(|_| narrow(chance.unit())).collect()
    }

    fn view(view: View, photo: &[f32], side: usize) -> Vec<f32> {
        let mut seen = Vec::new();
        view.of(photo, side, &mut seen);
        seen
    }

    #[test]
    fn a_view_that_differs_in_nothing_is_the_photo() {
        let photo = photo(17);
        let seen = view(STILL, &photo, 17);
        assert!(seen.iter().zip(&photo).all(|(seen, photo)| (seen - photo).abs() < 1e-4));
    }

    #[test]
    fn a_mirrored_view_is_mirrored() {
        let photo = photo(16);
        let seen = view(View { is_mirrored: true, ..STILL }, &photo, 16);
        for (at, seen) in seen.chunks_exact(3).enumerate() {
            let (row, column) = (at / 16, at % 16);
            let expected = &photo[(row * 16 + 15 - column) * 3..][..3];
            assert!(seen.iter().zip(expected).all(|(seen, photo)| (seen - photo).abs() < 1e-4), "{at}");
        }
    }

    #[test]
    fn a_quarter_turn_turns_and_a_shift_shifts() {
        let photo = photo(16);
        let turned = view(View { turn: 1.0, ..STILL }, &photo, 16);
        let shifted = view(View { shift: [2.0 / 16.0, 0.0], ..STILL }, &photo, 16);
        for row in 0..16 {
            for column in 0..15 {
                let at = (row * 16 + column) * 3;
                let from = (column * 16 + 15 - row) * 3;
                assert!((turned[at] - photo[from]).abs() < 1e-3, "{row} {column}");
                assert!((shifted[at] - photo[at + 3]).abs() < 1e-3, "{row} {column}");
            }
        }
    }

    #[test]
    fn drawn_views_differ_and_stay_within_bounds() {
        let photo = photo(12);
        for seed in 0..20 {
            let mut chance = Chance::new(seed, 5);
            let [one, other] =
                [View::drawn(&mut chance), View::near(&mut chance)].map(|drawn| view(drawn, &photo, 12));
            assert_ne!(one, other, "seed {seed}");
            assert!(one.iter().all(|value| (0.0..=1.0).contains(value)), "seed {seed}");
        }
    }
}
