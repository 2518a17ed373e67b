//! Parts of requests that are almost right, for property tests of an edge.

use proptest::prelude::*;

/// Paths that start and go on as known ones do, in any order, with segments among them that mean something to a file
/// system or to whoever decodes them; and with a query of this form, or none.
pub fn path(
    starts: &[&'static str],
    segments: &[&'static str],
    query: &'static str,
) -> impl Strategy<Value = String> + use<> {
    let known: Vec<&str> = segments.iter().chain(&["..", "%2e%2e", "%00", "%ff", "%", ""]).copied().collect();
    let known = prop::sample::select(known).prop_map(str::to_owned);
    let segment = prop_oneof![8 => known, 1 => "[a-z0-9%._~-]{0,12}"];
    let (starts, query) = (prop::sample::select(starts.to_vec()), prop::option::of(query));
    (starts, prop::collection::vec(segment, 0..4), query).prop_map(|(start, segments, query)| {
        let rest: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{start}{rest}{query}")
    })
}

/// Headers that mean something to a server, or have one of these names; with one of these values, or any that is
/// printable.
pub fn header(
    names: &[&'static str],
    values: &[&'static str],
) -> impl Strategy<Value = (&'static str, String)> + use<> {
    let common =
        ["content-type", "content-encoding", "content-length", "transfer-encoding", "authorization", "host"];
    let names = prop::sample::select(common.iter().chain(names).copied().collect::<Vec<_>>());
    let common = ["application/json", "gzip", "identity", "99999999999", "evil.example"];
    let values = prop::sample::select(common.iter().chain(values).copied().collect::<Vec<_>>());
    (names, prop_oneof![values.prop_map(str::to_owned), "[ -~]{0,30}"])
}
