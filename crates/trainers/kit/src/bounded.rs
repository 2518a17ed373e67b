use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a list of `MAX` things at most, for `#[serde(deserialize_with = "..")]`: things may take far more memory than
/// the bytes that they are read from, and what counts them may be forged.
///
/// # Errors
/// When there is one more, which is the last that is read; and those of the things.
pub fn at_most<'de, const MAX: usize, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    from.deserialize_seq(AtMost::<MAX, T>(PhantomData))
}

struct AtMost<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for AtMost<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAX} things at most")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut things = Vec::new();
        while let Some(thing) = from.next_element()? {
            if things.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            things.push(thing);
        }
        Ok(things)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static READ: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts how often it is read.
    #[derive(Debug)]
    struct Counted;

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            READ.set(READ.get() + 1);
            u8::deserialize(from).map(|_| Self)
        }
    }

    #[derive(Debug, Deserialize)]
    struct Things(#[serde(deserialize_with = "at_most::<3, _, _>")] Vec<Counted>);

    #[test]
    fn so_many_are_read_and_none_more() {
        for count in 0..=3 {
            let bytes = postcard::to_allocvec(&vec![7_u8; count]).unwrap();
            assert_eq!(postcard::from_bytes::<Things>(&bytes).unwrap().0.len(), count);
        }
        READ.set(0);
        let bytes = postcard::to_allocvec(&vec![7_u8; 100_000]).unwrap();
        postcard::from_bytes::<Things>(&bytes).unwrap_err();
        assert_eq!(READ.get(), 4);
    }
}
