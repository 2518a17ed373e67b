//! What is a secret since it is said to be one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::rule::Found;

/// Names of what is secret, as they end.
const NAMES: &str = "password|passwd|passphrase|passcode|pwd|passwort|kennwort|mot de passe|contraseña\
                     |(?-u:\\b|_)pass|(?-u:\\b|_)pw|secret|api[_ -]?key|access[_ -]?key|account[_-]?key|secret[_ -]?key\
                     |secret_key_base|private[_ -]?key|auth[_-]?key|encryption[_-]?key|signing[_-]?key\
                     |(?-u:\\b|[_-])sig(?:nature)?|[a-z]*[_-]?token|credentials?|mnemonic|seed[_ -]?phrase";

/// Those of them that people choose themselves.
const PASSWORDS: [&str; 9] =
    ["password", "passwd", "passphrase", "passcode", "pwd", "passwort", "kennwort", "passe", "contraseña"];

/// A name, a sign and a value: quoted in any way, or up to the next gap.
pub(super) fn assignment() -> String {
    let value = concat!(
        r#"(?P<value>\\{1,3}"(?P<escaped>(?:[^"\\\r\n]|\\[^"\\\r\n])+)|"(?P<double>(?:[^"\\\r\n]|\\.)+)"#,
        r#"|'(?P<single>[^'\r\n]+)|`(?P<back>[^`\r\n]+)|(?P<bare>[^\s"'`<>,;\\(){}\[\]]+))"#,
    );
    let sign = concat!(
        r"(?P<sign>[*_]{0,3}\s*(?:=>|->|→|:=|==?|:)[*_]{0,3}\s*|\s+-\s+",
        r"|(?:\s+(?:for|of|to|at|on)(?:\s+[^\s=:]{1,40}){1,4}?)?\s+(?:is|was|ist|est|es)\s*:?\s+|\x20)",
    );
    format!(r#"(?i)(?P<name>{NAMES})[0-9]?["'\\]{{0,4}}{sign}{value}"#)
}

/// The name as a tag, and what stands in it.
pub(super) fn in_tags() -> String {
    format!(r"(?i)<[\w.:-]*(?:{NAMES})>(?P<part>[^<>\s][^<>\r\n]{{3,}})</")
}

/// Words in a row that open something, with the word that says so; and a password with gaps, as databases are told it.
pub(super) const PHRASES: &str = concat!(
    r#"(?im)(?:(?:seed|recovery|backup|secret)[_ -]?(?:phrase|words)|mnemonic)["'*\\]{0,4}\s*(?:[:=]|is)[\s"'*\\]{0,4}"#,
    r"(?P<words>[a-z]{3,8}(?:[ ,]+[a-z]{3,8}){11,23})",
    r"|pass(?:phrase|word)[*_]{0,3}\s*[:=][*_ ]{0,4}(?P<line>[a-z0-9]+(?:[ -][a-z0-9]+){2,7})[ \t]*\r?$",
    r#"|;\s*(?:password|pwd)\s*=\s*(?P<field>[^\s;"'][^;\r\n"']*\s[^;\r\n"']+);"#,
);

pub(super) fn phrase(found: &Found<'_>) -> Option<Range<usize>> {
    let line = || found.group("line").filter(|part| !is_prose(found.part(part)));
    found.group("words").or_else(|| found.group("field")).or_else(line)
}

pub(super) fn assigned(found: &Found<'_>) -> Option<Range<usize>> {
    let name = found.part(&found.group("name")?).to_lowercase();
    let sign = found.part(&found.group("sign")?);
    let quoted = ["escaped", "double", "single", "back"].into_iter().find_map(|name| found.group(name));
    if let Some(part) = quoted {
        let value = found.part(&part);
        let is_sure = !sign.trim().is_empty() || is_mixed(value);
        return (is_sure && is_secret(&name, value)).then_some(part);
    }
    let mut part = found.group("bare")?;
    let is_code = found.after(&part).is_some_and(|next| "([{".contains(next));
    let trimmed = found.part(&part).trim_end_matches(['.', ',', '!', '?', ':', '*', '|', '&']);
    let has_and = trimmed.find('&').filter(|_| sign == "="); // the next field of a query
    part.end = part.start + has_and.unwrap_or(trimmed.len());
    let value = found.part(&part);
    let (is_password, chars) = (is_password(&name), value.chars().count());
    let is_sure = match sign.trim() {
        "" => is_mixed(value) && chars >= if is_password { 6 } else { 16 },
        _ if sign == "=" => !is_name(value) && chars >= 6,
        _ if is_password && chars < 6 => is_alphanumeric(value) && has_digit(value),
        _ if has_digit(value) || value.contains(['!', '@', '#', '$', '%', '^', '*', '+', '~', '?']) => {
            chars >= 6
        }
        _ => {
            is_password
                && chars >= 6
                && is_word(value)
                && !is_name(value)
                && ends_line(found.text(), part.end)
        }
    };
    let is_test = name.ends_with("pass") && sign != "="; // one that has passed
    (!is_code && is_sure && !is_test && is_secret(&name, value)).then_some(part)
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_alphanumeric(text: &str) -> bool {
    text.chars().all(char::is_alphanumeric)
}

/// Whether it has letters and digits as no word has them, and is no method of which people speak.
fn is_mixed(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_method = METHODS.iter().any(|method| lower.starts_with(method));
    has_digit(text) && text.contains(char::is_alphabetic) && !text.contains(['/', '(']) && !is_method
}

const METHODS: [&str; 12] =
    ["sha", "md5", "base64", "oauth", "utf", "argon", "pbkdf", "bcrypt", "rfc", "http", "v1", "v2"];

fn is_word(text: &str) -> bool {
    text.chars().all(char::is_alphabetic) && !text.chars().skip(1).any(char::is_uppercase)
}

fn ends_line(text: &str, at: usize) -> bool {
    let rest = text[at..].trim_start_matches([' ', '\t', '\r', '.']);
    rest.is_empty() || rest.starts_with('\n')
}

fn is_password(name: &str) -> bool {
    PASSWORDS.iter().any(|end| name.ends_with(end))
}

/// Whether a value of something that is called so, in lower case, is a secret, and no description or stand-in of one.
fn is_secret(name: &str, value: &str) -> bool {
    let is_phrase = ["phrase", "mnemonic"].iter().any(|end| name.ends_with(end));
    if value.chars().count() < 4 || is_placeholder(value) || value.starts_with("http") {
        return false;
    }
    if value.contains(char::is_whitespace) {
        return is_phrase || is_password(name) && !is_prose(value);
    }
    // there are tokens that are traded, and tokens that are counted
    let is_public =
        name.ends_with("token") && (value.starts_with("0x") || !has_digit(value) || value.len() < 8);
    let is_count = name.ends_with("token") && !value.contains(char::is_alphabetic);
    let is_path = name.ends_with("pwd") && value.starts_with('/');
    let is_short = (name.ends_with("pass") || name.ends_with("pw")) && !is_mixed(value);
    let is_of_function =
        (name.ends_with("sig") || name.ends_with("signature")) && (value.len() < 20 || !is_mixed(value));
    !is_public && !is_count && !is_path && !is_short && !is_of_function
}

/// Whether somebody talks about a password instead of telling it.
fn is_prose(value: &str) -> bool {
    let words: Vec<String> = value
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.len() > 8 || words.iter().any(|word| PROSE.contains(&word.as_str()))
}

const PROSE: [&str; 46] = [
    "a",
    "an",
    "and",
    "any",
    "are",
    "at",
    "be",
    "been",
    "by",
    "characters",
    "chars",
    "do",
    "enter",
    "field",
    "for",
    "forgot",
    "from",
    "has",
    "in",
    "incorrect",
    "invalid",
    "is",
    "least",
    "must",
    "new",
    "not",
    "of",
    "only",
    "optional",
    "or",
    "password",
    "please",
    "required",
    "reset",
    "should",
    "that",
    "the",
    "to",
    "token",
    "too",
    "user",
    "was",
    "with",
    "wrong",
    "you",
    "your",
];

/// What stands in examples, templates and code instead of a secret.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    let first = lower.chars().next();
    let is_filler = lower.chars().count() > 1 && lower.chars().all(|c| Some(c) == first);
    let begins = [
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
    ];
    let is_template = begins.iter().any(|begin| lower.starts_with(begin));
    is_filler || is_template || PLACEHOLDERS.contains(&lower.trim_end_matches(['.', '!', '?']))
}

const PLACEHOLDERS: [&str; 40] = [
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
    "incorrect",
    "invalid",
    "missing",
    "unknown",
    "wrong",
    "correct",
    "expired",
    "changed",
    "unchanged",
    "forgotten",
    "accepted",
    "rejected",
    "protected",
    "enabled",
    "disabled",
    "encrypted",
    "hashed",
    "plaintext",
    "varchar",
    "boolean",
    "integer",
    "matches",
    "strong",
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
    let name = KEY.captures(key).and_then(|found| found.name("name"));
    name.is_some_and(|name| is_secret(&name.as_str().to_lowercase(), value))
}

/// Whether a variable of that name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(&format!("(?i)(?:{NAMES}|_key|_pass|_auth|_dsn)s?$"))
            .expect("it is a constant, and tests compile it")
    });
    NAME.is_match(name)
}
