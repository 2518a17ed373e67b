//! Bounded words: subjects, kinds, queues and their like.

use std::fmt;
use std::sync::Arc;

/// A word that cannot be used as a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Names have at least one byte.
    #[error("a {what} cannot be empty")]
    Empty {
        /// Which sort of name was asked for.
        what: &'static str,
    },
    /// Names have a bound, so that a log of a million of them has one too.
    #[error("a {what} of {bytes} bytes is longer than {max} bytes")]
    TooLong {
        /// Which sort of name was asked for.
        what: &'static str,
        /// How long the word is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A control character would break logs and terminals.
    #[error("a {what} cannot hold the control character at byte {at}")]
    Control {
        /// Which sort of name was asked for.
        what: &'static str,
        /// Where the character stands.
        at: usize,
    },
}

fn check(what: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > max {
        return Err(NameError::TooLong { what, bytes: text.len(), max });
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(NameError::Control { what, at }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[doc = concat!("\n\n1 to ", stringify!($max), " bytes of UTF-8 without control characters. Cheap to clone.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest one, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// Takes a word in.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, too long, or holds a control character.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text, Self::BYTES_MAX)?;
                Ok(Self(text))
            }

            /// The word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// The thing that gets trained, by a key the host never uses twice, such as `index/<uuid>`. What people
    /// call it is a label elsewhere: a deleted and re-created index is another subject.
    Subject, "subject", 256
}
name! {
    /// What sort of training a job is; trainers are registered under it.
    Kind, "kind", 64
}
name! {
    /// A line that jobs wait in.
    QueueName, "queue name", 64
}
name! {
    /// A set of models of which one is active.
    Registry, "registry", 256
}
name! {
    /// Something that nodes have a number of, such as `gpu` or `memory_mib`.
    Resource, "resource", 64
}
name! {
    /// A word by which a request sent twice is known as one.
    IdempotencyKey, "idempotency key", 128
}
name! {
    /// A measured quantity, such as `loss`.
    Metric, "metric", 64
}
name! {
    /// What a candidate is called, such as the code of its algorithm.
    Label, "label", 64
}

impl From<&Subject> for Registry {
    /// The subject's own registry.
    fn from(subject: &Subject) -> Self {
        Self(Arc::clone(&subject.0))
    }
}

/// Words for people: a cause, a reason, a hold. At most 1,024 bytes; what is longer is cut at a character.
///
/// ```
/// use trainyard_core::Reason;
///
/// assert_eq!(Reason::new("disk full").as_str(), "disk full");
/// assert_eq!(Reason::new("x".repeat(5_000)).as_str().len(), Reason::BYTES_MAX);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(Arc<str>);

impl Reason {
    /// The longest one, in bytes.
    pub const BYTES_MAX: usize = 1_024;

    /// Takes a text in, cut to its bound.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        Self(text[..text.floor_char_boundary(Self::BYTES_MAX)].into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        assert_eq!(Kind::new(""), Err(NameError::Empty { what: "kind" }));
        assert!(Kind::new("k".repeat(64)).is_ok());
        assert_eq!(
            Kind::new("k".repeat(65)).unwrap_err().to_string(),
            "a kind of 65 bytes is longer than 64 bytes"
        );
        assert_eq!(Subject::new("a\nb"), Err(NameError::Control { what: "subject", at: 1 }));
        assert_eq!(Subject::new("index/ü 1").unwrap().as_str(), "index/ü 1");
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        let text = format!("{}é", "x".repeat(Reason::BYTES_MAX - 1));
        assert_eq!(Reason::new(text).as_str().len(), Reason::BYTES_MAX - 1);
    }
}
