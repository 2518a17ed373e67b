//! What is private by the key that it is under.

use serde_json::{Map, Value};

use super::assigned;
use super::redactions::Mark;

/// Whether an object says where something is.
pub(super) fn is_place(map: &Map<String, Value>) -> bool {
    let has = |keys: &[&str]| map.keys().any(|key| is_one_of(key, keys));
    has(&LATITUDES) && has(&LONGITUDES)
}

/// What a text or a number is when it stands under that key.
pub(super) fn private_by_key(key: &str, value: &str, is_text: bool, is_place: bool) -> Option<Mark> {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let has_letter = value.contains(char::is_alphabetic);
    if is_place
        && (is_one_of(key, &LATITUDES) || is_one_of(key, &LONGITUDES))
        && value.trim().parse::<f64>().is_ok()
    {
        return Some(Mark::Geo);
    }
    if assigned::is_secret_by_key(key, value) {
        return Some(Mark::Credential(super::KNOWN));
    }
    if is_one_of(key, &PHONES) && (7..=15).contains(&digits) && !has_letter {
        return Some(Mark::Phone);
    }
    if is_text && is_one_of(key, &STREETS) && digits > 0 && has_letter {
        return Some(Mark::Address);
    }
    let is_name = value.len() >= 3 && !value.contains(char::is_whitespace) && has_letter;
    (is_text && is_one_of(key, &HANDLES) && is_name).then_some(Mark::Handle)
}

fn is_one_of(key: &str, keys: &[&str]) -> bool {
    let mut plain =
        key.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ')).map(|byte| byte.to_ascii_lowercase());
    let plain = String::from_utf8(plain.by_ref().collect()).unwrap_or_default();
    keys.contains(&plain.as_str())
}

const LATITUDES: [&str; 2] = ["lat", "latitude"];
const LONGITUDES: [&str; 4] = ["lng", "lon", "long", "longitude"];
const PHONES: [&str; 9] =
    ["phone", "phonenumber", "telephone", "tel", "mobile", "mobilenumber", "cell", "fax", "whatsapp"];
const STREETS: [&str; 6] =
    ["street", "streetaddress", "postaladdress", "addressline1", "shippingaddress", "billingaddress"];
const HANDLES: [&str; 4] = ["username", "screenname", "handle", "userhandle"];
