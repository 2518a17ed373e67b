//! Made portraits: people drawn by a seed, for tests and examples.
//!
//! A seed means the same pictures for ever: the numbers come from ChaCha8, and only sums, products, quotients and roots
//! are made of them.

use trainyard_trainkit::{Chance, real};

use crate::Rendered;
use crate::rendered::byte;

/// Somebody who does not exist.
///
/// ```
/// use trainyard_portrait::made::Person;
///
/// let photo = Person::new(7).photo(0, 128);
/// assert_eq!(photo, Person::new(7).photo(0, 128));
/// assert_ne!(photo, Person::new(7).photo(1, 128), "in another pose and light");
/// assert_ne!(photo, Person::new(8).photo(0, 128), "somebody else");
/// ```
#[derive(Debug, Clone)]
pub struct Person {
    seed: u64,
    skin: Colour,
    hair: Colour,
    eyes: Colour,
    shirt: Colour,
    wall: Colour,
    /// Half the face, across and down, in halves of a side.
    face: [f64; 2],
    /// How far the hair reaches beyond the face, and how far down beside it.
    hair_beyond: f64,
    hair_down: f64,
    eyes_apart: f64,
    mouth: f64,
}

type Colour = [f64; 3];

impl Person {
    /// The one of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, PERSON);
        let skin = SKINS[chance.below(SKINS.len())];
        let hair = HAIRS[chance.below(HAIRS.len())];
        let eyes = EYES[chance.below(EYES.len())];
        let mut any = |least: f64, most: f64| least + (most - least) * chance.unit();
        Self {
            seed,
            skin,
            hair,
            eyes,
            shirt: [any(0.1, 0.9), any(0.1, 0.9), any(0.1, 0.9)],
            wall: [any(0.3, 0.9), any(0.3, 0.9), any(0.3, 0.9)],
            face: [any(0.36, 0.46), any(0.5, 0.6)],
            hair_beyond: any(0.06, 0.14),
            hair_down: any(-0.2, 0.6),
            eyes_apart: any(0.15, 0.2),
            mouth: any(0.12, 0.2),
        }
    }

    /// A photo of so many pixels a side (1 to 4,096), in a pose and a light of its own.
    ///
    /// # Panics
    /// Never: it has as many pixels as it says.
    #[must_use]
    pub fn photo(&self, number: u32, side: u32) -> Rendered {
        let side = side.clamp(1, 4_096);
        let mut chance = Chance::new(self.seed, PHOTOS + u64::from(number));
        let mut any = |most: f64| most * (2.0 * chance.unit() - 1.0);
        let pose = Pose {
            at: [any(0.12), 0.05 + any(0.08)],
            turn: any(0.15),
            looks: [any(0.1), any(0.05)],
            smile: any(1.0),
            light: [any(0.3), any(0.15)],
            bright: 1.0 + any(0.12),
        };
        let side_real = f64::from(side);
        let soft = 3.0 / side_real.max(48.0);
        let count = usize::try_from(side).unwrap_or(1);
        let mut pixels = Vec::with_capacity(count * count * 3);
        for row in 0..count {
            for column in 0..count {
                let [x, y] = [column, row].map(|at| (real(at) + 0.5) / side_real * 2.0 - 1.0);
                let colour = self.at(&pose, x, y, soft);
                pixels.extend(colour.map(|value| byte(trainyard_trainkit::narrow(value))));
            }
        }
        Rendered::new(side, side, pixels).expect("as many as that")
    }

    /// The colour at a place, from -1 to 1 across and down.
    fn at(&self, pose: &Pose, x: f64, y: f64, soft: f64) -> Colour {
        let lit = pose.bright * (1.0 + pose.light[0] * x + pose.light[1] * y);
        let mut colour = self.wall.map(|value| value * (0.9 + 0.1 * x * x));
        // What follows turns with the head.
        let [dx, dy] = [x - pose.at[0], y - pose.at[1]];
        let [u, v] = [dx + pose.turn * dy, dy - pose.turn * dx];
        let [across, down] = self.face;
        let mut paint = |cover: f64, with: Colour| {
            (0..3).for_each(|at| colour[at] += (with[at] - colour[at]) * cover.clamp(0.0, 1.0));
        };
        // Shoulders stay where they are, and behind them what hair hangs down.
        let hair = [across + self.hair_beyond, down + self.hair_beyond];
        let hangs = soft_below(v, self.hair_down, soft);
        paint(
            oval(u, v + 0.06, hair, soft).max(oval(u, v - 0.2, [hair[0], hair[1]], soft)) * hangs,
            self.hair,
        );
        paint(oval(x - pose.at[0] / 2.0, y - 1.15, [0.85, 0.5], soft), self.shirt);
        paint(oval(u, v - down, [0.17, 0.25], soft), self.skin.map(|value| value * 0.85));
        paint(oval(u, v, [across, down], soft), self.skin);
        // A fringe over the forehead.
        paint(oval(u, v + down * 0.95, [across * 0.95, down * 0.4], soft), self.hair);
        let [look_x, look_y] = pose.looks;
        for side in [-1.0, 1.0] {
            let eye = u - look_x - side * self.eyes_apart;
            let height = v + 0.06 - look_y;
            paint(oval(eye, height + 0.1, [0.085, 0.018], soft), self.hair.map(|value| value * 0.8));
            paint(oval(eye, height, [0.08, 0.045], soft), [0.96, 0.96, 0.97]);
            paint(oval(eye - look_x * 0.2, height, [0.04, 0.042], soft), self.eyes);
            paint(oval(eye - look_x * 0.2, height, [0.018, 0.02], soft), [0.05; 3]);
        }
        paint(
            oval(u - 1.3 * look_x, v - 0.1 - look_y, [0.045, 0.09], soft),
            self.skin.map(|value| value * 0.88),
        );
        let bend = pose.smile * 0.6 * (u - look_x) * (u - look_x) / self.mouth;
        paint(oval(u - look_x, v - 0.3 - look_y + bend, [self.mouth, 0.035], soft), [0.72, 0.3, 0.32]);
        colour.map(|value| value * lit)
    }
}

/// How one photo of a person differs from another.
struct Pose {
    at: [f64; 2],
    turn: f64,
    looks: [f64; 2],
    smile: f64,
    light: [f64; 2],
    bright: f64,
}

/// 1 within an ellipse, 0 outside, and a soft edge.
fn oval(x: f64, y: f64, [across, down]: [f64; 2], soft: f64) -> f64 {
    let far = ((x / across) * (x / across) + (y / down) * (y / down)).sqrt();
    step((1.0 - far) * across.min(down) / soft + 0.5)
}

/// 1 above a line, 0 below.
fn soft_below(y: f64, line: f64, soft: f64) -> f64 {
    step((line - y) / soft + 0.5)
}

fn step(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

const SKINS: [Colour; 5] =
    [[0.95, 0.8, 0.7], [0.88, 0.68, 0.55], [0.75, 0.55, 0.42], [0.55, 0.38, 0.28], [0.38, 0.26, 0.2]];
const HAIRS: [Colour; 6] =
    [[0.08; 3], [0.25, 0.15, 0.08], [0.5, 0.3, 0.15], [0.85, 0.7, 0.4], [0.6, 0.22, 0.1], [0.75, 0.75, 0.77]];
const EYES: [Colour; 4] = [[0.3, 0.18, 0.1], [0.25, 0.45, 0.7], [0.3, 0.5, 0.3], [0.4, 0.4, 0.42]];

// Uses of the seed.
const PERSON: u64 = 0;
const PHOTOS: u64 = 1;
