//! Texts that carry their own authority: claims with a signature that only the holder of a key can make. Nothing of
//! them is stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;

/// Makes and checks signatures (HMAC-SHA256) of claims: a few bytes of a layout that its user chooses.
///
/// The claims can be read by whoever has the text. What they say is the user's business too, such as until when they
/// are good.
///
/// ```
/// use trainyard_http::secret::Secret;
/// use trainyard_http::signed::Signer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Secret::new("32 bytes of chance")?;
/// let signer = Signer::new(&key, "tickets 1");
/// let signed = signer.sign(b"seat 12");
/// assert_eq!(signer.verify::<7>(&signed), Some(*b"seat 12"));
/// assert_eq!(Signer::new(&key, "vouchers 1").verify::<7>(&signed), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Signs with this key.
    ///
    /// `domain` says what the signatures are for, in which layout: it keeps them apart from whatever else the key
    /// signs, and one layout from the next.
    ///
    /// # Panics
    ///
    /// If `domain` holds a NUL, which stands between it and the claims.
    #[must_use]
    pub fn new(key: &Secret, domain: &str) -> Signer {
        assert!(!domain.contains('\0'), "a domain holds no NUL: {domain:?}");
        let mut mac = Hmac::new_from_slice(key.expose().as_bytes()).expect("a key may have any length");
        mac.update(domain.as_bytes());
        mac.update(b"\0");
        Signer(mac)
    }

    /// The claims and their signature, as text that stands in a URL or a header as it is: URL-safe base64, four
    /// characters for three bytes.
    #[must_use]
    pub fn sign(&self, claims: &[u8]) -> String {
        let signed = [claims, &self.tag(claims).finalize().into_bytes()].concat();
        URL_SAFE_NO_PAD.encode(signed)
    }

    /// The claims of so many bytes, if they were signed with this key for this domain.
    ///
    /// A text of another length is refused unread, so no more memory is taken than the claims need. The signature is
    /// compared in constant time, before anything of the claims is handed out.
    #[must_use]
    pub fn verify<const BYTES: usize>(&self, signed: &str) -> Option<[u8; BYTES]> {
        if signed.len() != text_bytes(BYTES) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(signed).ok()?;
        let (claims, tag) = bytes.split_first_chunk::<BYTES>()?;
        self.tag(claims).verify_slice(tag).ok()?;
        Some(*claims)
    }

    fn tag(&self, claims: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(claims);
        mac
    }
}

const TAG_BYTES: usize = 32;

/// How long a text with so many bytes of claims is: base64 without padding.
const fn text_bytes(claims_bytes: usize) -> usize {
    ((claims_bytes + TAG_BYTES) * 8).div_ceil(6)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer(key: &str) -> Signer {
        Signer::new(&Secret::new(key).unwrap(), "tests 1")
    }

    proptest! {
        #[test]
        fn what_is_signed_is_good(claims in any::<[u8; 24]>()) {
            let signed = signer("key").sign(&claims);
            prop_assert_eq!(signer("key").verify(&signed), Some(claims));
            prop_assert_eq!(signer("kez").verify::<24>(&signed), None);
            let other = Signer::new(&Secret::new("key").unwrap(), "tests 2");
            prop_assert_eq!(other.verify::<24>(&signed), None);
        }

        #[test]
        fn any_altered_character_is_refused(
            claims in any::<[u8; 24]>(),
            place in 0..text_bytes(24),
            byte in 0_u8..128,
        ) {
            let mut signed = signer("key").sign(&claims).into_bytes();
            prop_assume!(signed[place] != byte);
            signed[place] = byte;
            let altered = String::from_utf8(signed).unwrap();
            prop_assert_eq!(signer("key").verify::<24>(&altered), None);
        }

        #[test]
        fn another_length_is_refused(claims in any::<[u8; 24]>(), cut in 0..text_bytes(24), text in ".{0,90}") {
            let signer = signer("key");
            let signed = signer.sign(&claims);
            prop_assert_eq!(signer.verify::<24>(&signed[..cut]), None);
            prop_assert_eq!(signer.verify::<24>(&format!("{signed}A")), None);
            prop_assert_eq!(signer.verify::<23>(&signed), None);
            prop_assert_eq!(signer.verify::<25>(&signed), None);
            prop_assert_eq!(signer.verify::<24>(&text), None);
        }
    }

    /// What was handed out is good for ever. The text was made by another implementation of HMAC.
    #[test]
    fn the_bytes_stay_as_they_are() {
        let signed = "c2VhdCAxMqKdVuRzV5WZeHqy0bdUwMJiS_QcHD_hxZ3s3ZWtnkFu";
        assert_eq!(Signer::new(&Secret::new("key").unwrap(), "tickets 1").sign(b"seat 12"), signed);
    }

    #[test]
    fn nothing_of_the_key_is_shown() {
        assert_eq!(format!("{:?}", signer("key")), "Signer(..)");
    }

    #[test]
    #[should_panic(expected = "a domain holds no NUL")]
    fn a_domain_cannot_run_into_the_claims() {
        drop(Signer::new(&Secret::new("key").unwrap(), "a\0b"));
    }
}
