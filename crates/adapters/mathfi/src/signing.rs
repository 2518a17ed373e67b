//! Tokens and signed URLs: who may do what until when, under a signature. Nothing of it is stored.

use std::fmt;

use trainyard_core::Timestamp;
use trainyard_http::secret::Secret;
use trainyard_http::signed;
use uuid::Uuid;

/// Makes and checks signatures. The key is kept by the embedding service, so what was signed is good over a restart.
#[derive(Debug, Clone)]
pub(crate) struct Signer(signed::Signer);

/// What a signature is for. One for one purpose is refused for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To ask for anything as this user.
    Token,
    /// To put data into this dataset.
    Upload,
    /// To read the result of this prediction.
    Result,
}

/// What is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) purpose: Purpose,
    /// Of the user, the dataset or the prediction.
    pub(crate) id: Uuid,
    /// Of the user; 0 for what has none.
    pub(crate) stamp: u64,
    /// Good while the time is earlier.
    pub(crate) until: Timestamp,
    /// So that no two are alike.
    pub(crate) nonce: Uuid,
}

/// What has been signed with nothing of it shown by `Debug`.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(key: &Secret) -> Self {
        Self(signed::Signer::new(key, DOMAIN))
    }

    /// The claims and their signature in URL-safe base64.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.0.sign(&claims.to_bytes())
    }

    /// The claims, if they were signed with this key, for this purpose, and are still good.
    ///
    /// The signature is compared in constant time, and before anything else of the claims is looked at.
    pub(crate) fn verify(&self, purpose: Purpose, signed: &str, now: Timestamp) -> Option<Claims> {
        let claims = Claims::of_bytes(&self.0.verify(signed)?)?;
        (claims.purpose == purpose && now < claims.until).then_some(claims)
    }
}

/// Keeps these signatures apart from whatever else the key may sign, and one layout from the next.
const DOMAIN: &str = "trainyard-mathfi signature 1";

const BODY_BYTES: usize = 1 + 16 + 8 + 8 + 16;

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::Token => 1,
            Self::Upload => 2,
            Self::Result => 3,
        }
    }
}

impl Claims {
    fn to_bytes(self) -> [u8; BODY_BYTES] {
        let mut bytes = [0; BODY_BYTES];
        bytes[0] = self.purpose.byte();
        bytes[1..17].copy_from_slice(self.id.as_bytes());
        bytes[17..25].copy_from_slice(&self.stamp.to_be_bytes());
        bytes[25..33].copy_from_slice(&self.until.as_millis().to_be_bytes());
        bytes[33..].copy_from_slice(self.nonce.as_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8; BODY_BYTES]) -> Option<Self> {
        let all = [Purpose::Token, Purpose::Upload, Purpose::Result];
        let (first, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (stamp, rest) = rest.split_first_chunk()?;
        let (until, rest) = rest.split_first_chunk()?;
        let (nonce, _) = rest.split_first_chunk()?;
        Some(Self {
            purpose: all.into_iter().find(|purpose| purpose.byte() == *first)?,
            id: Uuid::from_bytes(*id),
            stamp: u64::from_be_bytes(*stamp),
            until: Timestamp::from_millis(i64::from_be_bytes(*until)),
            nonce: Uuid::from_bytes(*nonce),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of base64, without padding, with the 32 bytes of the signature.
    const TEXT_BYTES: usize = ((BODY_BYTES + 32) * 8).div_ceil(6);

    fn signer(key: &str) -> Signer {
        Signer::new(&Secret::new(key).unwrap())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn purpose() -> impl Strategy<Value = Purpose> {
        prop::sample::select(vec![Purpose::Token, Purpose::Upload, Purpose::Result])
    }

    fn claims() -> impl Strategy<Value = Claims> {
        let fields = (purpose(), any::<u128>(), any::<u64>(), -1_000_000_i64..i64::MAX, any::<u128>());
        fields.prop_map(|(purpose, id, stamp, until, nonce)| Claims {
            purpose,
            id: Uuid::from_u128(id),
            stamp,
            until: at(until),
            nonce: Uuid::from_u128(nonce),
        })
    }

    proptest! {
        #[test]
        fn what_is_signed_is_good_until_its_moment_and_not_at_it(claims in claims()) {
            let signer = signer("key");
            let signed = signer.sign(&claims);
            let check = |millis| signer.verify(claims.purpose, &signed, at(millis));
            let until = claims.until.as_millis();
            prop_assert_eq!(check(until - 1), Some(claims));
            prop_assert_eq!(check(i64::MIN), Some(claims));
            prop_assert_eq!(check(until), None);
            prop_assert_eq!(check(i64::MAX), None);
        }

        #[test]
        fn any_altered_character_is_refused(claims in claims(), place in 0..TEXT_BYTES, byte in 0_u8..128) {
            let signer = signer("key");
            let mut signed = signer.sign(&claims).into_bytes();
            prop_assume!(signed[place] != byte);
            signed[place] = byte;
            let altered = String::from_utf8(signed).unwrap();
            prop_assert_eq!(signer.verify(claims.purpose, &altered, at(i64::MIN)), None);
        }

        #[test]
        fn purposes_and_keys_do_not_mix(claims in claims(), other in purpose()) {
            let signed = signer("key").sign(&claims);
            let verified = signer("key").verify(other, &signed, at(i64::MIN));
            prop_assert_eq!(verified.is_some(), other == claims.purpose);
            prop_assert_eq!(signer("kez").verify(claims.purpose, &signed, at(i64::MIN)), None);
        }

        #[test]
        fn any_text_is_refused(text in ".{0,200}", cut in 0..TEXT_BYTES, claims in claims()) {
            let signer = signer("key");
            prop_assert_eq!(signer.verify(Purpose::Token, &text, at(i64::MIN)), None);
            let signed = signer.sign(&claims);
            prop_assert_eq!(signer.verify(claims.purpose, &signed[..cut], at(i64::MIN)), None);
            let longer = format!("{signed}A");
            prop_assert_eq!(signer.verify(claims.purpose, &longer, at(i64::MIN)), None);
        }
    }

    /// What was handed out is good for as long as it says. The text was made by another implementation of HMAC.
    #[test]
    fn the_bytes_stay_as_they_are() {
        let number = |first: u8| {
            let mut next = first..;
            Uuid::from_bytes(std::array::from_fn(|_| next.next().unwrap()))
        };
        let claims = Claims {
            purpose: Purpose::Upload,
            id: number(0),
            stamp: 7,
            until: at(1_761_294_936_789),
            nonce: number(16),
        };
        let signed = "AgABAgMEBQYHCAkKCwwNDg8AAAAAAAAABwAAAZoVW-rVEBESExQVFhcYGRobHB0eH0ZSjCUNJ_X2-IySvj-8i6Ep36urKfqEZQSPs1pQsIA6";
        assert_eq!(signer("000102030405060708090a0b0c0d0e0f").sign(&claims), signed);
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let claims =
            Claims { purpose: Purpose::Token, id: Uuid::nil(), stamp: 7, until: at(9), nonce: Uuid::nil() };
        assert_eq!(
            format!("{:?} {claims:?}", signer("key")),
            "Signer(Signer(..)) Claims { purpose: Token, .. }"
        );
    }
}
