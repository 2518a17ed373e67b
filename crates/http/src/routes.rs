use std::collections::BTreeMap;

use http::Method;

/// A table of `(method, pattern) → endpoint`, looked up once per request.
///
/// A pattern is a path with `{name}` for one segment, or part of one, and `{*name}` for all the rest; a
/// literal segment wins over a parameter. `HEAD` is a method like any other: it is not answered by `GET` unless the
/// service says so.
///
/// ```
/// use trainyard_http::{Found, Method, Routes};
///
/// # fn main() -> Result<(), trainyard_http::RouteError> {
/// let routes = Routes::new()
///     .with(Method::GET, "/v1/indexes/{name}", "describe")?
///     .with(Method::DELETE, "/v1/indexes/{name}", "delete")?;
/// let Found::Endpoint { endpoint, params } = routes.find(&Method::GET, "/v1/indexes/a%20b") else {
///     panic!("the route is there");
/// };
/// assert_eq!((*endpoint, params.get("name")), ("describe", Some("a b")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Routes<E> {
    router: matchit::Router<usize>,
    index: BTreeMap<String, usize>,
    entries: Vec<Entry<E>>,
}

#[derive(Debug, Clone)]
struct Entry<E> {
    methods: Vec<Method>,
    endpoints: Vec<E>,
}

/// What [`Routes::find`] found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Found<'r, E> {
    /// An endpoint, with what the path's parameters are in this request.
    Endpoint {
        /// The value put in with the route.
        endpoint: &'r E,
        /// The parameters, percent-decoded.
        params: Params<'r>,
    },
    /// The path is known, but not with this method: a `405`.
    WrongMethod {
        /// The methods this path has, in the order they were put in.
        allow: &'r [Method],
    },
    /// No pattern matches: a `404`.
    NotFound,
}

/// The parameters of one path, percent-decoded, in the order of the pattern.
///
/// A malformed escape stays as it is, and bytes that are not UTF-8 become U+FFFD: a client sees "no such
/// index" rather than a parser's complaint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params<'r>(Vec<(&'r str, String)>);

/// Why a route was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The same method and pattern stand in the table already.
    #[error("{method} {pattern} is in the table already")]
    Duplicate {
        /// The method.
        method: Method,
        /// The pattern.
        pattern: String,
    },
    /// Another pattern matches the same paths.
    #[error("{pattern} matches the same paths as {with}")]
    Conflict {
        /// The pattern that was refused.
        pattern: String,
        /// The one in the table.
        with: String,
    },
    /// The pattern does not begin with `/` or its braces make no sense.
    #[error("{pattern} is not a route pattern")]
    Malformed {
        /// The pattern that was refused.
        pattern: String,
    },
}

impl<E> Routes<E> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Routes<E> {
        Routes { router: matchit::Router::new(), index: BTreeMap::new(), entries: Vec::new() }
    }

    /// Adds a route.
    ///
    /// # Errors
    ///
    /// [`RouteError`] when the route is there already, matches the same paths as another, or is malformed.
    pub fn with(mut self, method: Method, pattern: &str, endpoint: E) -> Result<Routes<E>, RouteError> {
        let index = match self.index.get(pattern) {
            Some(&index) => index,
            None => self.insert_pattern(pattern)?,
        };
        let entry = &mut self.entries[index];
        if entry.methods.contains(&method) {
            return Err(RouteError::Duplicate { method, pattern: pattern.to_owned() });
        }
        entry.methods.push(method);
        entry.endpoints.push(endpoint);
        Ok(self)
    }

    /// Looks `path` up: raw, as in a request line, without a query.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, E> {
        let Ok(matched) = self.router.at(path) else {
            return Found::NotFound;
        };
        let entry = &self.entries[*matched.value];
        match entry.methods.iter().position(|known| known == method) {
            Some(position) => Found::Endpoint {
                endpoint: &entry.endpoints[position],
                params: Params(
                    matched.params.iter().map(|(name, raw)| (name, percent_decode(raw))).collect(),
                ),
            },
            None => Found::WrongMethod { allow: &entry.methods },
        }
    }

    fn insert_pattern(&mut self, pattern: &str) -> Result<usize, RouteError> {
        let malformed = || RouteError::Malformed { pattern: pattern.to_owned() };
        if !pattern.starts_with('/') {
            return Err(malformed());
        }
        let index = self.entries.len();
        if let Err(error) = self.router.insert(pattern, index) {
            return Err(match error {
                matchit::InsertError::Conflict { with } => {
                    RouteError::Conflict { pattern: pattern.to_owned(), with }
                }
                matchit::InsertError::InvalidParamSegment
                | matchit::InsertError::InvalidParam
                | matchit::InsertError::InvalidCatchAll
                | _ => malformed(),
            });
        }
        self.index.insert(pattern.to_owned(), index);
        self.entries.push(Entry { methods: Vec::new(), endpoints: Vec::new() });
        Ok(index)
    }
}

impl<E> Default for Routes<E> {
    fn default() -> Self {
        Routes::new()
    }
}

impl Params<'_> {
    /// The parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// All parameters as `(name, value)`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

fn percent_decode(raw: &str) -> String {
    if !raw.contains('%') {
        return raw.to_owned();
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex_value(*high) << 4 | hex_value(*low));
                rest = after;
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(routes: &Routes<u32>, method: Method, path: &str, expected: &str) {
        let got = match routes.find(&method, path) {
            Found::Endpoint { endpoint, params } => {
                let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{endpoint} {}", params.join(" "))
            }
            Found::WrongMethod { allow } => format!("{allow:?}"),
            Found::NotFound => "-".to_owned(),
        };
        assert_eq!(got.trim_end(), expected, "{method} {path}");
    }

    #[test]
    fn methods_patterns_and_parameters() {
        let routes = Routes::new()
            .with(Method::GET, "/a", 1)
            .and_then(|routes| routes.with(Method::POST, "/a", 2))
            .and_then(|routes| routes.with(Method::GET, "/a/{id}", 3))
            .and_then(|routes| routes.with(Method::GET, "/a/list", 4))
            .and_then(|routes| routes.with(Method::GET, "/files/{*path}", 5))
            .unwrap();
        check(&routes, Method::GET, "/a", "1");
        check(&routes, Method::POST, "/a", "2");
        check(&routes, Method::PUT, "/a", "[GET, POST]");
        check(&routes, Method::HEAD, "/a", "[GET, POST]");
        check(&routes, Method::GET, "/a/7", "3 id=7");
        check(&routes, Method::GET, "/a/list", "4");
        check(&routes, Method::GET, "/a/", "-");
        check(&routes, Method::GET, "/a/7/8", "-");
        check(&routes, Method::GET, "/files/x/y", "5 path=x/y");
        check(&routes, Method::GET, "/a/x%2Fy%20%c3%A4", "3 id=x/y ä");
        check(&routes, Method::GET, "/a/100%", "3 id=100%");
        check(&routes, Method::GET, "/a/%zz%4", "3 id=%zz%4");
        check(&routes, Method::GET, "/a/%ff", "3 id=\u{fffd}");
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let routes = || Routes::new().with(Method::GET, "/a/{id}", 1).unwrap();
        let refusal = |pattern: &str| routes().with(Method::GET, pattern, 2).unwrap_err().to_string();
        assert_eq!(refusal("/a/{id}"), "GET /a/{id} is in the table already");
        assert_eq!(refusal("/a/{name}"), "/a/{name} matches the same paths as /a/{id}");
        assert_eq!(refusal("/b/{"), "/b/{ is not a route pattern");
        assert_eq!(refusal("b"), "b is not a route pattern");
    }

    /// Segments of one pattern: a literal or (`None`) a parameter.
    fn pattern() -> impl Strategy<Value = Vec<Option<char>>> {
        prop::collection::vec(prop::option::of(prop::char::range('a', 'c')), 1..4)
    }

    fn text_of(pattern: &[Option<char>]) -> String {
        let segment =
            |segment: &Option<char>| segment.map_or("/{p}".to_owned(), |literal| format!("/{literal}"));
        // Parameters of one pattern need names of their own.
        let mut text: String = pattern.iter().map(segment).collect();
        for number in 0..pattern.len() {
            text = text.replacen("{p}", &format!("{{p{number}}}"), 1);
        }
        text
    }

    proptest! {
        #[test]
        fn a_found_pattern_matches_and_a_miss_has_no_pattern(
            patterns in prop::collection::vec(pattern(), 0..8),
            path in prop::collection::vec(prop::char::range('a', 'd'), 1..4),
        ) {
            let mut routes = Routes::new();
            let mut taken = Vec::new();
            for pattern in patterns {
                if let Ok(with) = routes.clone().with(Method::GET, &text_of(&pattern), taken.len()) {
                    routes = with;
                    taken.push(pattern);
                }
            }
            let matches = |pattern: &Vec<Option<char>>| {
                pattern.len() == path.len()
                    && pattern.iter().zip(&path).all(|(want, got)| want.is_none_or(|want| want == *got))
            };
            let text: String = path.iter().flat_map(|segment| ['/', *segment]).collect();
            match routes.find(&Method::GET, &text) {
                Found::Endpoint { endpoint, .. } => prop_assert!(matches(&taken[*endpoint])),
                Found::NotFound => prop_assert!(!taken.iter().any(matches)),
                Found::WrongMethod { .. } => prop_assert!(false, "only GET was put in"),
            }
        }
    }
}
