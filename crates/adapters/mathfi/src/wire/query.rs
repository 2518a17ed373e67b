//! What stands behind the `?` of a URL.

use crate::fault::Fault;
use crate::wire::answers::DatasetStatus;

/// Which datasets are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub(crate) offset: u64,
    /// At least 1.
    pub(crate) limit: u64,
    pub(crate) state: Option<DatasetStatus>,
    pub(crate) with_model_only: bool,
}

impl ListQuery {
    pub(crate) fn read(query: Option<&str>) -> Result<Self, Fault> {
        let query = query.unwrap_or_default();
        let number = |name: &str, min: u64| {
            let text = parameter(query, name).ok_or_else(|| Fault::bad(format!("{name} is required")))?;
            let number = text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
            number
                .filter(|number| *number >= min && !text.starts_with('+'))
                .ok_or_else(|| Fault::bad(format!("{name} must be a whole number of {min} or more")))
        };
        let state = match parameter(query, "state").as_deref() {
            None => None,
            Some("PENDING") => Some(DatasetStatus::Pending),
            Some("PROCESSING") => Some(DatasetStatus::Processing),
            Some("COMPLETED") => Some(DatasetStatus::Completed),
            Some("FAILED") => Some(DatasetStatus::Failed),
            Some(_) => return Err(Fault::bad("state must be one of PENDING, PROCESSING, COMPLETED, FAILED")),
        };
        let with_model_only = match parameter(query, "withModelOnly").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Fault::bad("withModelOnly must be true or false")),
        };
        Ok(Self { offset: number("offset", 0)?, limit: number("limit", 1)?, state, with_model_only })
    }
}

/// The first parameter of this name, decoded as forms are.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

/// A malformed escape stays as it is, and bytes that are not UTF-8 become U+FFFD.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail.split_first_chunk::<2>().filter(|_| *first == b'%').and_then(|(pair, after)| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
            Some((byte, after))
        });
        match (escaped, first) {
            (Some((byte, after)), _) => {
                bytes.push(byte);
                rest = after;
            }
            (None, b'+') => bytes.push(b' '),
            (None, other) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_is_asked_for() {
        let read = |query| ListQuery::read(Some(query));
        let plain = ListQuery { offset: 0, limit: 10, state: None, with_model_only: false };
        assert_eq!(read("offset=0&limit=10"), Ok(plain));
        assert_eq!(read("limit=10&offset=0&other=1&withModelOnly=false"), Ok(plain));
        let full = ListQuery { state: Some(DatasetStatus::Failed), with_model_only: true, ..plain };
        assert_eq!(read("offset=0&limit=%310&state=FAILED&withModelOnly=true"), Ok(full));
        let most = i64::MAX.to_string();
        assert_eq!(read(&format!("offset={most}&limit=1")).unwrap().offset, i64::MAX.unsigned_abs());
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        for (query, words) in [
            ("", "offset is required"),
            ("offset=0", "limit is required"),
            ("offset=-1&limit=1", "offset must be a whole number of 0 or more"),
            ("offset=+1&limit=1", "offset must be a whole number of 0 or more"),
            ("offset=0&limit=0", "limit must be a whole number of 1 or more"),
            ("offset=0&limit=1.5", "limit must be a whole number of 1 or more"),
            ("offset=0&limit=9223372036854775808", "limit must be a whole number of 1 or more"),
            ("offset=0&limit=1&state=pending", "state must be one of PENDING, PROCESSING, COMPLETED, FAILED"),
            ("offset=0&limit=1&withModelOnly=1", "withModelOnly must be true or false"),
        ] {
            assert_eq!(ListQuery::read(Some(query)), Err(Fault::bad(words)), "{query}");
        }
        assert_eq!(ListQuery::read(None), Err(Fault::bad("offset is required")));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in ".{0,20}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(parameter(&format!("a=b&{encoded}x={encoded}"), &format!("{text}x")), Some(text));
        }

        #[test]
        fn any_query_is_read_or_refused(query in ".{0,60}") {
            drop(ListQuery::read(Some(&query)));
        }
    }
}
