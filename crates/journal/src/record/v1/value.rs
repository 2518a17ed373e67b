//! Small values that the others are made of.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trainyard_core as core;
use uuid::Uuid;

pub(super) use crate::record::Invalid;

/// An id: 16 bytes, big end first.
#[derive(Clone, Copy)]
pub(crate) struct Id(pub(crate) Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
        } else {
            self.0.as_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(|bytes| Self(Uuid::from_bytes(bytes)))
    }
}

/// A moment: milliseconds since 1970.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Moment(i64);

impl Moment {
    pub(crate) const fn of(moment: core::Timestamp) -> Self {
        Self(moment.as_millis())
    }

    pub(crate) const fn restore(self) -> core::Timestamp {
        core::Timestamp::from_millis(self.0)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_newtype_struct("Moment", &self.0);
        }
        match self.in_calendar() {
            Some(text) => serializer.serialize_str(str::from_utf8(&text).unwrap_or_default()),
            None => serializer.collect_str(self),
        }
    }
}

impl Moment {
    /// As RFC 3339 says it, or `None` outside the years that have a name there. Digit by digit, since every fact
    /// that is written is shown: the formatter would take longer than all the rest.
    fn in_calendar(self) -> Option<[u8; 24]> {
        let at = self.restore().to_offset_date_time()?;
        let year = u16::try_from(at.year()).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, mut number: u16| {
            for digit in text[..end].iter_mut().rev() {
                if !digit.is_ascii_digit() || number == 0 {
                    break;
                }
                *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        put(4, year);
        put(7, u8::from(at.month()).into());
        put(10, at.day().into());
        put(13, at.hour().into());
        put(16, at.minute().into());
        put(19, at.second().into());
        put(23, at.millisecond());
        Some(text)
    }
}

impl fmt::Display for Moment {
    /// As RFC 3339 says it, or in milliseconds outside the years that have a name there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_calendar() {
            Some(text) => f.write_str(str::from_utf8(&text).unwrap_or_default()),
            None => write!(f, "{}ms", self.0),
        }
    }
}

/// A length of time: whole seconds, and nanoseconds beyond them.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Span(u64, u32);

impl Span {
    pub(crate) const fn of(wait: Duration) -> Self {
        Self(wait.as_secs(), wait.subsec_nanos())
    }

    pub(crate) const fn restore(self) -> Result<Duration, Invalid> {
        if self.1 < 1_000_000_000 {
            Ok(Duration::new(self.0, self.1))
        } else {
            Err(Invalid::Other("a second has fewer than 1,000,000,000 nanoseconds"))
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:?}", Duration::new(self.0, self.1)))
        } else {
            (self.0, self.1).serialize(serializer)
        }
    }
}

/// A finite number.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Number(f64);

impl Number {
    pub(crate) const fn of(score: core::Score) -> Self {
        Self(score.get())
    }

    pub(crate) fn restore(self) -> Result<core::Score, Invalid> {
        Ok(core::Score::new(self.0)?)
    }
}

/// Parameters, as bytes.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn of(parameters: &'a core::Parameters) -> Self {
        Self(parameters.as_bytes())
    }

    pub(crate) fn restore(self) -> Result<core::Parameters, Invalid> {
        Ok(core::Parameters::new(self.0)?)
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{} bytes", self.0.len()))
        } else {
            serializer.serialize_newtype_struct("Bytes", &Raw(self.0))
        }
    }
}

struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A reason or a reference. What was cut when it was made is never too long here.
pub(crate) fn reason(text: &str) -> Result<core::Reason, Invalid> {
    if text.len() > core::Reason::BYTES_MAX {
        return Err(Invalid::Other("a reason is longer than it may be"));
    }
    Ok(core::Reason::new(text))
}

/// Up to `MAX` values. Longer lists are neither written nor read, so that what a few bytes of a broken record ask
/// for has a bound.
#[derive(Clone)]
pub(crate) struct List<T, const MAX: usize>(pub(crate) Vec<T>);

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.len() > MAX {
            return Err(S::Error::custom("a list is longer than it may be"));
        }
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for value in &self.0 {
            seq.serialize_element(value)?;
        }
        seq.end()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let length = seq.size_hint().unwrap_or(0);
        if length > MAX {
            return Err(A::Error::custom("a list is longer than it may be"));
        }
        // The length is only claimed; what is there decides how much memory it gets.
        let mut values = Vec::with_capacity(length.min(64));
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(List(values))
    }
}
