//! Comparing what a caller presents with what it should be, without telling how close it came.

use std::fmt;

use constant_time_eq::{constant_time_eq_32, constant_time_eq_n};
use sha2::{Digest as _, Sha256};

/// A password, token or key that the program was given.
///
/// It is never printed: `Debug` is redacted, and there is no `Display` and no `Serialize`.
///
/// ```
/// use trainyard_http::secret::Secret;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = Secret::new("correct horse")?;
/// assert!(secret.matches(b"correct horse"));
/// assert!(!secret.matches(b"correct hors"));
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Secret {
    text: String,
    digest: Digest,
    framed: Framed,
}

impl Secret {
    /// Takes the secret over.
    ///
    /// # Errors
    ///
    /// [`EmptySecret`] when it is empty: that would open the door to everyone.
    pub fn new(text: impl Into<String>) -> Result<Secret, EmptySecret> {
        let text = text.into();
        if text.is_empty() {
            return Err(EmptySecret);
        }
        let digest = Digest::of(text.as_bytes());
        let framed = Framed::of(text.as_bytes()).unwrap_or(Framed::NONE);
        Ok(Secret { text, digest, framed })
    }

    /// Whether `presented` is the secret. Takes the same time wherever they differ, and tells nothing about
    /// the secret's length.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        // Which way is taken depends on what is presented alone.
        match Framed::of(presented) {
            Some(framed) => self.framed.is(&framed),
            None => self.digest.matches(presented),
        }
    }

    /// What may be stored in its place.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The secret itself, for those who must send it or sign with it. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A short text and its length in so many bytes, whatever the length is: two of them are compared in less time than the
/// digest of one takes.
#[derive(Clone)]
struct Framed([u8; 1 + Framed::BYTES_MAX]);

impl Framed {
    /// A key in hexadecimal digits fits in.
    const BYTES_MAX: usize = 64;
    /// What no text is like.
    const NONE: Self = Self([u8::MAX; 1 + Self::BYTES_MAX]);

    /// `None` when the text is too long.
    fn of(text: &[u8]) -> Option<Self> {
        let mut framed = [0; 1 + Self::BYTES_MAX];
        framed[0] = u8::try_from(text.len()).ok()?;
        framed.get_mut(1..=text.len())?.copy_from_slice(text);
        Some(Self(framed))
    }

    /// Takes the same time wherever they differ.
    fn is(&self, other: &Self) -> bool {
        constant_time_eq_n(&self.0, &other.0)
    }
}

/// The secret is the empty string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret cannot be empty")]
pub struct EmptySecret;

/// The SHA-256 of a secret with enough chance in it (a token, not a password): what a store keeps.
///
/// Comparison, `==` included, takes the same time wherever two digests differ.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Digest {
        Digest(Sha256::digest(secret).into())
    }

    /// Reads what [`to_hex`](Digest::to_hex) wrote; upper case is fine.
    ///
    /// # Errors
    ///
    /// [`MalformedDigest`] when `text` is not 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Digest, MalformedDigest> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(MalformedDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).ok_or(MalformedDigest);
            let number = value(pair[0])? << 4 | value(pair[1])?;
            *byte = u8::try_from(number).map_err(|_| MalformedDigest)?;
        }
        Ok(Digest(bytes))
    }

    /// 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether this is the digest of `presented`.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        *self == Digest::of(presented)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq_32(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct MalformedDigest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone() {
        let secret = Secret::new("s3cret").unwrap();
        assert!(secret.matches(b"s3cret"));
        for other in [&b""[..], b"s3cre", b"s3cret ", b"S3cret", b"\xff"] {
            assert!(!secret.matches(other));
        }
        assert_eq!(Secret::new("").unwrap_err(), EmptySecret);
    }

    #[test]
    fn a_secret_of_any_length_matches_itself_alone() {
        let text = |bytes: usize| "x".repeat(bytes);
        let max = Framed::BYTES_MAX;
        for bytes in [1, max - 1, max, max + 1, 254, 255, 256, 1_000] {
            let secret = Secret::new(text(bytes)).unwrap();
            assert!(secret.matches(text(bytes).as_bytes()), "{bytes}");
            for other in [0, 1, bytes - 1, bytes + 1, max, max + 1, 255, 256].map(text) {
                assert_eq!(secret.matches(other.as_bytes()), other.len() == bytes, "{bytes}");
            }
            for place in [0, bytes / 2, bytes - 1] {
                let mut other = text(bytes).into_bytes();
                other[place] = b'y';
                assert!(!secret.matches(&other), "{bytes}, {place}");
            }
            assert!(!secret.matches(&vec![0; bytes]) && !secret.matches(&vec![u8::MAX; bytes]), "{bytes}");
            let longer = [text(bytes).as_bytes(), b"\0"].concat();
            assert!(!secret.matches(&longer), "{bytes}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::new("s3cret").unwrap();
        let printed = format!("{secret:?} {:#?} {:?}", Some(&secret), secret.digest());
        assert!(!printed.contains("s3cret"));
        assert!(!printed.contains(&secret.digest().to_hex()[..8]));
    }

    #[test]
    fn a_digest_survives_hex() {
        let digest = Digest::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_hex(), hex);
        assert_eq!(Digest::from_hex(hex), Ok(digest));
        assert_eq!(Digest::from_hex(&hex.to_uppercase()), Ok(digest));
        assert!(digest.matches(b"abc"));
        for bad in ["", &hex[1..], &hex.replace('b', "g"), &"ä".repeat(32)] {
            assert_eq!(Digest::from_hex(bad), Err(MalformedDigest));
        }
    }
}
