//! What people are called: handles.

use std::ops::Range;
use std::sync::LazyLock;

use super::redactions::Mark;
use super::rule::{Found, Rule};

/// Handles such as `@ana.lee`, the `<@123456>` of chats, `u/ana`, and what follows a host where people have pages. What is written like one in code is none: decorators,
/// annotations, tags in comments, rules of style sheets, scopes of packages.
pub(super) static HANDLES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        Rule::all(Mark::Handle, r"<@[!&]?[0-9]{5,20}>|<@[UW][A-Z0-9]{6,20}(?:\|[^<>\s]{1,80})?>"),
        Rule::judged(
            Mark::Handle,
            concat!(
                r"(?i)(?-u:\b)(?:(?:t|telegram)\.me|(?:twitter|x|instagram|tiktok)\.com|linkedin\.com/in|reddit\.com/u(?:ser)?)",
                r"/@?(?P<name>[a-z0-9_][a-z0-9_.-]*[a-z0-9_])",
            ),
            |found| {
                let name = found.group("name")?;
                let is_page = PAGES.contains(&found.part(&name).to_lowercase().as_str());
                let before = &found.text()[..found.whole().start];
                let is_host = before.ends_with("www.") || !before.ends_with(['.', '-', '_', '@']);
                (is_host && !is_page && name.len() >= HANDLE_BYTES_MIN).then_some(name)
            },
        ),
        Rule::judged(Mark::Handle, r"(?:^|[\s(])/?(?P<name>u/[A-Za-z0-9_-]{3,20})(?-u:\b)", |found| {
            let name = found.group("name")?;
            (found.after(&name) != Some('/')).then_some(name)
        }),
        Rule::judged(Mark::Handle, r"@(?P<name>[\p{L}_][\p{L}\p{N}_]+(?:[.-][\p{L}\p{N}_]+)*)", |found| {
            let part = found.whole();
            let name = found.part(&found.group("name")?);
            let hangs =
                found.before(&part).is_some_and(|near| near.is_alphanumeric() || "_@\\".contains(near));
            (!hangs && !is_code(found, &part, name)).then_some(part)
        }),
    ]
});

const HANDLE_BYTES_MIN: usize = 3;

/// What is behind such a host and nobody.
const PAGES: [&str; 20] = [
    "joinchat",
    "share",
    "addstickers",
    "proxy",
    "home",
    "search",
    "explore",
    "hashtag",
    "intent",
    "settings",
    "login",
    "reel",
    "reels",
    "stories",
    "compose",
    "tos",
    "about",
    "privacy",
    "help",
    "terms",
];

fn is_code(found: &Found<'_>, part: &Range<usize>, name: &str) -> bool {
    let mut rest = found.text()[part.end..].chars();
    let is_called = match rest.next() {
        Some('(' | '{') => true,
        Some('/') => rest.next().is_some_and(char::is_alphanumeric),
        Some('=') => found.before(part) == Some('['),
        Some(_) | None => false,
    };
    let first = name.split(['.', '-']).next().unwrap_or(name);
    is_called
        || CODE.contains(&name)
        || CODE_FIRST.contains(&first) && first != name
        || is_decorator(found.text(), part)
}

/// Whether it has a line for itself, and what can be decorated follows.
fn is_decorator(text: &str, part: &Range<usize>) -> bool {
    let after = text[part.end..].trim_start_matches([' ', '\t', '\r']);
    // in this order: a line with a thousand handles is not read a thousand times
    let Some(next) = after.strip_prefix('\n') else { return false };
    let before = text[..part.start].rsplit('\n').next().unwrap_or("");
    if !before.trim().is_empty() {
        return false;
    }
    let next = next.trim_start();
    next.starts_with('@') && next[1..].starts_with(char::is_alphabetic) && is_followed_by_code(next)
        || DECORATED
            .iter()
            .any(|word| next.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '('])))
}

/// Whether the first line that begins with no `@` is code.
fn is_followed_by_code(text: &str) -> bool {
    let line = text.lines().take(DECORATORS_MAX).map(str::trim_start).find(|line| !line.starts_with('@'));
    line.is_some_and(|line| {
        DECORATED.iter().any(|word| line.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '('])))
    })
}

const DECORATORS_MAX: usize = 8;

const DECORATED: [&str; 16] = [
    "def",
    "class",
    "async",
    "fn",
    "pub",
    "export",
    "public",
    "private",
    "protected",
    "function",
    "abstract",
    "interface",
    "static",
    "final",
    "const",
    "val",
];

/// What is said to everybody, and what stands in code without anything else that tells.
const CODE: [&str; 66] = [
    "everyone",
    "here",
    "channel",
    "all",
    "media",
    "import",
    "keyframes",
    "charset",
    "supports",
    "layer",
    "apply",
    "tailwind",
    "include",
    "mixin",
    "extend",
    "use",
    "font-face",
    "page",
    "param",
    "params",
    "returns",
    "return",
    "throws",
    "see",
    "since",
    "author",
    "example",
    "type",
    "typedef",
    "todo",
    "property",
    "staticmethod",
    "classmethod",
    "dataclass",
    "abstractmethod",
    "cached_property",
    "override",
    "Override",
    "Test",
    "Autowired",
    "Deprecated",
    "deprecated",
    "Nullable",
    "NonNull",
    "Inject",
    "Component",
    "Entity",
    "Bean",
    "Injectable",
    "Input",
    "Output",
    "Column",
    "Id",
    "Service",
    "Controller",
    "Transactional",
    "Before",
    "After",
    "Data",
    "Builder",
    "Singleton",
    "decorator",
    "state",
    "click",
    "ts-ignore",
    "ts-expect-error",
];

/// What is followed by a dot in decorators.
const CODE_FIRST: [&str; 12] = [
    "app",
    "pytest",
    "functools",
    "router",
    "property",
    "click",
    "unittest",
    "mock",
    "pydantic",
    "api",
    "bot",
    "font",
];
