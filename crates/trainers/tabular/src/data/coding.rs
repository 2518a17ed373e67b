//! Fields as numbers.

use std::collections::HashMap;

use super::schema::{Feature, Fields};

/// How the fields of a column become numbers.
#[derive(Debug)]
pub(crate) enum Coding {
    Numbers,
    /// The place of each text in the dictionary, and the one for all others.
    Texts(HashMap<Box<str>, f32>, f32),
}

impl Coding {
    pub(crate) fn of(feature: &Feature) -> Self {
        match &feature.fields {
            Fields::Numbers => Self::Numbers,
            Fields::Texts(texts) => {
                let place = |place| f32::from(u16::try_from(place).expect("dictionaries are short"));
                let places = texts.iter().enumerate().map(|(nth, text)| (Box::from(&**text), place(nth)));
                Self::Texts(places.collect(), place(texts.len()))
            }
        }
    }

    /// The number for a field, as [`Rows`](crate::Rows) tells it; `None` for a text among numbers.
    pub(crate) fn code(&self, field: &str) -> Option<f32> {
        if is_missing(field) {
            return Some(f32::NAN);
        }
        match self {
            Self::Numbers => number(field),
            Self::Texts(places, other) => Some(places.get(field).copied().unwrap_or(*other)),
        }
    }
}

/// Whether there is nothing in a field, or only spaces.
pub(crate) fn is_missing(field: &str) -> bool {
    field.trim_ascii().is_empty()
}

/// The number in a field, spaces around it or not; `None` when it is none, or infinite. What is beyond `f32` becomes
/// the largest there is.
pub(crate) fn number(field: &str) -> Option<f32> {
    let number: f64 = field.trim_ascii().parse().ok().filter(|number: &f64| number.is_finite())?;
    let (min, max) = (f64::from(f32::MIN), f64::from(f32::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds, and rounded")]
    let rounded = number.clamp(min, max) as f32;
    Some(rounded)
}
