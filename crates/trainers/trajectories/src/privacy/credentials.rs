//! What opens doors: keys, tokens, passwords.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::redactions::Mark;
use super::rule::{Found, Rule};

/// Credentials, from those whose shape is known to whatever is assigned to a name that says so.
pub(super) static CREDENTIALS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let all = |label, pattern| Rule::all(Mark::Credential(label), pattern);
    let judged = |label, pattern, judge| Rule::judged(Mark::Credential(label), pattern, judge);
    vec![
        all(
            "private-key",
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)",
        ),
        all("anthropic", r"sk-ant-[A-Za-z0-9_-]{8,}"),
        judged("openai", r"sk-[A-Za-z0-9_-]{20,}", |found| {
            let part = found.whole();
            let text = found.part(&part);
            let is_random = text.split(['-', '_']).any(|run| run.len() >= 12) && has_digit(text);
            (is_random && !found.before(&part).is_some_and(char::is_alphanumeric)).then_some(part)
        }),
        all("github", r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"),
        all("gitlab", r"glpat-[A-Za-z0-9_-]{16,}"),
        all("aws", r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16,}"),
        all("google", r"AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,}"),
        all(
            "slack",
            r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        ),
        all("stripe", r"(?:sk|rk|pk|whsec)_(?:live_|test_)[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{16,}"),
        all("hugging-face", r"hf_[A-Za-z0-9]{30,}"),
        all("npm", r"npm_[A-Za-z0-9]{30,}"),
        judged("telegram", r"[0-9]{8,10}:[A-Za-z0-9_-]{33,40}", alone),
        judged("discord", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}", alone),
        all("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
        judged("bearer", r"(?i)(?-u:\b)bearer\s+(?P<value>[A-Za-z0-9._~+/=-]{16,})", |found| {
            found.group("value").filter(|part| has_digit(found.part(part)) || part.len() >= 32)
        }),
        judged(
            "basic",
            r"(?i)(?-u:\b)(?P<header>authorization\W{1,6})?basic\s+(?P<value>[A-Za-z0-9+/]{8,}={0,2})",
            |found| {
                let is_sure =
                    |part: &Range<usize>| found.group("header").is_some() || found.part(part).ends_with('=');
                found.group("value").filter(is_sure)
            },
        ),
        judged("url", r#"://(?P<user>[^\s/:@"'<>\\?#]*:(?P<password>[^\s/@"'<>\\]+)@)"#, |found| {
            let is_real = !is_placeholder(found.part(&found.group("password")?));
            found.group("user").filter(|_| is_real)
        }),
        judged("password", &assignment(), assigned),
    ]
});

fn alone(found: &Found<'_>) -> Option<Range<usize>> {
    Some(found.whole()).filter(|part| found.stands_alone(part))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Names of what is secret, as they end.
const NAMES: &str = "password|passwd|passphrase|passcode|pwd|secret|api[_ -]?key|access[_-]?key|secret[_-]?key\
                     |secret_key_base|private[_-]?key|auth[_-]?key|encryption[_-]?key|signing[_-]?key\
                     |[a-z]*[_-]?token|credentials?|mnemonic|seed[_ -]?phrase";

/// A name, a sign and a value: quoted in any way, or up to the next gap.
fn assignment() -> String {
    let value = concat!(
        r#"(?:\\{0,3}"(?P<double>(?:[^"\\\r\n]|\\[^"\\\r\n])+)|'(?P<single>[^'\r\n]+)|`(?P<back>[^`\r\n]+)"#,
        r#"|(?P<bare>[^\s"'`<>,;\\(){}\[\]]+))"#,
    );
    format!(
        r#"(?i)(?P<name>{NAMES})[0-9]?["'\\]{{0,4}}(?P<sign>\s*(?:=>|:=|==?|:)\s*|(?:\s+(?:for|of|to|at|on)(?:\s+[^\s=:]+){{1,4}}?)?\s+(?:is|was)\s*:?\s+){value}"#
    )
}

fn assigned(found: &Found<'_>) -> Option<Range<usize>> {
    let name = found.part(&found.group("name")?);
    let sign = found.part(&found.group("sign")?);
    let quoted = ["double", "single", "back"].into_iter().find_map(|name| found.group(name));
    if let Some(part) = quoted {
        return is_secret(name, found.part(&part)).then_some(part);
    }
    let mut part = found.group("bare")?;
    let is_code = found.after(&part).is_some_and(|next| "([{".contains(next));
    let trimmed = found.part(&part).trim_end_matches(['.', ',', '!', '?', ':', '*', '|', '&']);
    let has_and = trimmed.find('&').filter(|_| sign == "="); // the next field of a query
    part.end = part.start + has_and.unwrap_or(trimmed.len());
    let value = found.part(&part);
    let is_sure = if sign == "=" {
        !is_name(value)
    } else {
        has_digit(value) || value.contains(['!', '@', '#', '$', '%', '^', '*', '+', '~', '?'])
    };
    (!is_code && is_sure && value.chars().count() >= 6 && is_secret(name, value)).then_some(part)
}

/// Whether a value of something that is called so is a secret, and no description or stand-in of one.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let is_phrase = ["phrase", "mnemonic"].iter().any(|end| name.ends_with(end));
    if value.chars().count() < 4 || is_placeholder(value) || value.starts_with("http") {
        return false;
    }
    if value.contains(char::is_whitespace) {
        return is_phrase;
    }
    // there are tokens that are traded, and tokens that are counted
    let is_public =
        name.ends_with("token") && (value.starts_with("0x") || !has_digit(value) || value.len() < 8);
    let is_count = name.ends_with("token") && !value.contains(char::is_alphabetic);
    let is_path = name.ends_with("pwd") && value.starts_with('/');
    !is_public && !is_count && !is_path
}

/// What stands in examples, templates and code instead of a secret.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    let first = lower.chars().next();
    let is_filler = lower.chars().all(|c| Some(c) == first);
    let is_template = [
        "$",
        "{{",
        "<",
        "%",
        "process.env",
        "os.environ",
        "env.",
        "self.",
        "this.",
        "config.",
        "your",
        "str(",
    ]
    .iter()
    .any(|begin| lower.starts_with(begin));
    is_filler || is_template || PLACEHOLDERS.contains(&lower.trim_end_matches(['.', '!', '?']))
}

const PLACEHOLDERS: [&str; 17] = [
    "string",
    "text",
    "null",
    "none",
    "undefined",
    "true",
    "false",
    "password",
    "required",
    "optional",
    "redacted",
    "placeholder",
    "secret",
    "token",
    "example",
    "hidden",
    "number",
];

/// Whether it is a variable that is called like a secret itself.
fn is_name(value: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!("(?i)^[a-z_.]*(?:{NAMES})[a-z_.]*$"))
            .expect("it is a constant, and tests compile it")
    });
    NAME.is_match(value)
}

/// Whether what has that key in an object is a secret by that.
pub(super) fn is_secret_by_key(key: &str, value: &str) -> bool {
    static KEY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!("(?i)(?P<name>{NAMES})$")).expect("it is a constant, and tests compile it")
    });
    KEY.captures(key).and_then(|found| found.name("name")).is_some_and(|name| is_secret(name.as_str(), value))
}

/// Whether a variable of that name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!("(?i)(?:{NAMES}|_key|_pass|_auth|_dsn)s?$"))
            .expect("it is a constant, and tests compile it")
    });
    NAME.is_match(name)
}
