//! Facts as bytes, and back.
//!
//! ```text
//! version   2 bytes, little end first
//! checksum  4 bytes, little end first: CRC-32 (IEEE) of the version and everything after the checksum
//! classes   the job classes that the facts refer to, each once     ┐ version 1: postcard of types of its own,
//! facts     how many, then one after the other                     ┘ see `record/v1`
//! ```
//!
//! Versions that were ever released decode for ever. A version that this release does not know is refused by name.
//! Decoding goes through the core's checked constructors, so what comes out is as valid as what a program can make,
//! whatever the bytes.
//!
//! ```
//! use trainyard_core::{Event, Fact, Timestamp};
//! use trainyard_journal::codec;
//!
//! let facts = [Fact { at: Timestamp::from_millis(7), event: Event::Ticked }];
//! let mut bytes = codec::encode(&facts)?;
//! assert_eq!(codec::decode(&bytes)?, facts);
//!
//! *bytes.last_mut().unwrap() ^= 1;
//! assert_eq!(codec::decode(&bytes).unwrap_err().to_string(), "the checksum does not match");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use trainyard_core::{Class, Fact};

use crate::record::{Invalid, v1};

/// The longest encoded record, in bytes.
pub const RECORD_BYTES_MAX: usize = 256 << 20;

/// The most facts one record may hold.
pub const RECORD_FACTS_MAX: usize = 1 << 20;

/// The version that this release writes.
pub const VERSION: u16 = 1;

const HEADER: usize = 6;

/// Writes facts as one record.
///
/// # Errors
/// [`EncodeError`] when they are more than a record may hold.
pub fn encode(facts: &[Fact]) -> Result<Vec<u8>, EncodeError> {
    if facts.len() > RECORD_FACTS_MAX {
        return Err(EncodeError(()));
    }
    Encoder::take(facts, usize::MAX)?.0.finish()
}

/// Writes facts as several records of about `bytes` bytes each, in order; for snapshots, which have no bound of
/// their own. A record holds at least one fact.
pub fn encode_parts(facts: &[Fact], bytes: usize) -> impl Iterator<Item = Result<Vec<u8>, EncodeError>> {
    let mut left = facts;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let part = Encoder::take(left, bytes).and_then(|(encoder, taken)| {
            left = &left[taken..];
            encoder.finish()
        });
        if part.is_err() {
            left = &[];
        }
        Some(part)
    })
}

/// Reads one record.
///
/// # Errors
/// [`DecodeError`] when it is of an unknown version, or not what was written.
pub fn decode(bytes: &[u8]) -> Result<Vec<Fact>, DecodeError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(DecodeError(Defect::TooLong { bytes: bytes.len() }));
    }
    let Some((&[v0, v1, c0, c1, c2, c3], body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(DecodeError(Defect::Truncated));
    };
    if checksum([v0, v1], body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(DecodeError(Defect::Checksum));
    }
    match u16::from_le_bytes([v0, v1]) {
        VERSION => decode_v1(body),
        version => Err(DecodeError(Defect::UnknownVersion { version })),
    }
}

fn decode_v1(bytes: &[u8]) -> Result<Vec<Fact>, DecodeError> {
    let (count, mut rest) = take::<u32>(bytes)?;
    let mut classes: Vec<Arc<Class>> = Vec::new();
    for _ in 0..count {
        let (class, after) = take::<v1::Class<'_>>(rest)?;
        classes.push(Arc::new(class.restore()?));
        rest = after;
    }
    let (count, mut rest) = take::<u32>(rest)?;
    if usize::try_from(count).map_or(true, |count| count > RECORD_FACTS_MAX) {
        return Err(DecodeError(Defect::TooMany { facts: count }));
    }
    let mut facts = Vec::new();
    for _ in 0..count {
        let (fact, after) = take::<v1::Fact<'_>>(rest)?;
        facts.push(fact.restore(&classes)?);
        rest = after;
    }
    if rest.is_empty() { Ok(facts) } else { Err(DecodeError(Defect::Rest { bytes: rest.len() })) }
}

fn take<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|error| {
        DecodeError(if error == postcard::Error::DeserializeUnexpectedEnd {
            Defect::Truncated
        } else {
            Defect::Malformed(error)
        })
    })
}

fn checksum(version: [u8; 2], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version);
    hasher.update(body);
    hasher.finalize()
}

/// Facts on their way to being a record.
#[derive(Default)]
struct Encoder<'a> {
    classes: v1::Classes<'a>,
    facts: u32,
    body: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Takes facts until they have so many bytes, and says how many it took.
    fn take(facts: &'a [Fact], bytes: usize) -> Result<(Self, usize), EncodeError> {
        let mut encoder = Self::default();
        let mut taken = 0;
        for fact in facts.iter().take(RECORD_FACTS_MAX) {
            let mirror = v1::Fact::of(fact, &mut encoder.classes);
            encoder.body = put(encoder.body, &mirror)?;
            taken += 1;
            if encoder.body.len() >= bytes {
                break;
            }
            if encoder.body.len() > RECORD_BYTES_MAX {
                return Err(EncodeError(()));
            }
        }
        encoder.facts = u32::try_from(taken).map_err(|_| EncodeError(()))?;
        Ok((encoder, taken))
    }

    fn finish(self) -> Result<Vec<u8>, EncodeError> {
        let Self { classes, facts, body } = self;
        let version = VERSION.to_le_bytes();
        let mut record = Vec::with_capacity(HEADER + 64 + body.len());
        record.extend_from_slice(&version);
        record.extend_from_slice(&[0; 4]);
        let classes = classes.iter();
        record = put(record, &u32::try_from(classes.len()).map_err(|_| EncodeError(()))?)?;
        for class in classes {
            record = put(record, &class)?;
        }
        record = put(record, &facts)?;
        record.extend_from_slice(&body);
        if record.len() > RECORD_BYTES_MAX {
            return Err(EncodeError(()));
        }
        let checksum = checksum(version, &record[HEADER..]);
        record[2..HEADER].copy_from_slice(&checksum.to_le_bytes());
        Ok(record)
    }
}

fn put<T: Serialize>(onto: Vec<u8>, value: &T) -> Result<Vec<u8>, EncodeError> {
    postcard::serialize_with_flavor(value, Onto(onto)).map_err(|_| EncodeError(()))
}

/// Appends to what is there already.
struct Onto(Vec<u8>);

impl Flavor for Onto {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Facts that are more than a record may hold: [`RECORD_FACTS_MAX`] facts, [`RECORD_BYTES_MAX`] bytes, or 65,536
/// entries in one list of a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a record holds at most {RECORD_FACTS_MAX} facts, {RECORD_BYTES_MAX} bytes and 65536 entries in a list"
)]
pub struct EncodeError(());

/// Why bytes are not a record.
#[derive(Debug)]
pub struct DecodeError(Defect);

#[derive(Debug)]
enum Defect {
    TooLong { bytes: usize },
    TooMany { facts: u32 },
    Truncated,
    Checksum,
    UnknownVersion { version: u16 },
    Malformed(postcard::Error),
    Value(Invalid),
    Rest { bytes: usize },
}

impl DecodeError {
    /// The version of the record, when it is one that this release does not know.
    #[must_use]
    pub fn unknown_version(&self) -> Option<u16> {
        match self.0 {
            Defect::UnknownVersion { version } => Some(version),
            Defect::TooLong { .. }
            | Defect::TooMany { .. }
            | Defect::Truncated
            | Defect::Checksum
            | Defect::Malformed(_)
            | Defect::Value(_)
            | Defect::Rest { .. } => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Defect::TooLong { bytes } => write!(f, "{bytes} bytes are longer than {RECORD_BYTES_MAX} bytes"),
            Defect::TooMany { facts } => write!(f, "{facts} facts are more than {RECORD_FACTS_MAX}"),
            Defect::Truncated => f.write_str("the record ends too early"),
            Defect::Checksum => f.write_str("the checksum does not match"),
            Defect::UnknownVersion { version } => {
                write!(f, "version {version} is unknown, the newest known one is {VERSION}")
            }
            Defect::Malformed(error) => write!(f, "the record is malformed: {error}"),
            Defect::Value(invalid) => write!(f, "the record holds an invalid value: {invalid}"),
            Defect::Rest { bytes } => write!(f, "{bytes} bytes follow the last fact"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<Invalid> for DecodeError {
    fn from(invalid: Invalid) -> Self {
        Self(Defect::Value(invalid))
    }
}
