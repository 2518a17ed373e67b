//! What opens doors: keys, tokens, passwords.

use std::ops::Range;
use std::sync::LazyLock;

use super::assigned::{self, is_placeholder};
use super::redactions::Mark;
use super::rule::{Found, Rule};

/// Credentials, from those whose shape is known to whatever is assigned to a name that says so.
pub(super) static CREDENTIALS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let all = |label, pattern| Rule::all(Mark::Credential(label), pattern);
    let judged = |label, pattern, judge| Rule::judged(Mark::Credential(label), pattern, judge);
    vec![
        all(
            "private-key",
            concat!(
                r"(?si)-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\z)",
                r"|Private-Lines: ?[0-9]+\s+(?:[A-Z0-9+/]{16,}={0,2}\s*)+|AGE-SECRET-KEY-1[A-Z0-9]{50,}",
            ),
        ),
        all("anthropic", r"sk-ant-[A-Za-z0-9_-]{8,}"),
        judged("openai", r"sk-[A-Za-z0-9_-]{20,}", |found| {
            let part = found.whole();
            let text = found.part(&part);
            let is_random = text.split(['-', '_']).any(|run| run.len() >= 12) && has_digit(text);
            (is_random && !found.before(&part).is_some_and(char::is_alphanumeric)).then_some(part)
        }),
        all("github", r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"),
        all(
            "gitlab",
            r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|oas)-[A-Za-z0-9_.-]{16,}|GLPAT-[A-Z0-9_-]{16,}",
        ),
        all("aws", r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16,}"),
        all("google", r"AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,}"),
        all(
            "slack",
            r"(?:xoxe\.)?xox[a-z]-[A-Za-z0-9%-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        ),
        all(
            "stripe",
            r"(?:sk|rk|pk|whsec)_(?:org_)?(?:live_|test_)[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{16,}",
        ),
        judged("hugging-face", r"(?:hf|api_org)_[A-Za-z0-9]{20,}", |found| {
            let part = found.whole();
            let is_random = part.len() >= 33 || has_digit(found.part(&part));
            (is_random && !found.before(&part).is_some_and(char::is_alphanumeric)).then_some(part)
        }),
        all("npm", r"npm_[A-Za-z0-9]{30,}"),
        judged("provider", PROVIDERS, |found| {
            let part = found.whole();
            let is_random = |run: &str| run.len() >= 16 && has_digit(run);
            let is_glued = found.before(&part).is_some_and(|near| near.is_alphanumeric() || near == '_');
            (!is_glued && found.part(&part).split(['_', '-', '.']).any(is_random)).then_some(part)
        }),
        all("webhook", r"(?:discord|discordapp)\.com/api/webhooks/[0-9]{5,20}/[A-Za-z0-9_-]{20,}"),
        judged("telegram", r"[0-9]{8,10}:[A-Za-z0-9_-]{33,40}", alone),
        judged("discord", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}", alone),
        all("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
        judged("bearer", r"(?i)(?-u:\b)bearer:?\s+(?P<part>[A-Za-z0-9._~+/=-]{16,})", |found| {
            found.group("part").filter(|part| has_digit(found.part(part)) || part.len() >= 32)
        }),
        judged("basic", r"(?i)(?-u:\b)basic\s+(?P<part>[A-Za-z0-9+/]{8,}=+)", |found| found.group("part")),
        judged(
            "authorization",
            concat!(
                r#"(?i)(?-u:\b)authorization["'\\]{0,4}\s*[:=]\s*["'\\]{0,4}"#,
                r"(?:(?P<basic>basic)\s+|(?:bearer|token|api-?key|digest|negotiate|key)\s+)?(?P<part>[A-Za-z0-9._~+/=:-]{4,})",
            ),
            |found| {
                let is_sure = |part: &Range<usize>| {
                    found.group("basic").is_some() || part.len() >= 8 && has_digit(found.part(part))
                };
                found.group("part").filter(is_sure)
            },
        ),
        judged(
            "cookie",
            r#"(?i)(?-u:\b)(?:set-)?cookie["'\\]{0,4}\s*:\s*["'\\]{0,4}(?P<part>[\w.-]{1,64}=[^\r\n"'\\]{6,})"#,
            |found| found.group("part"),
        ),
        judged(
            "password",
            concat!(
                r#"(?-u:\b)(?:curl[^\n]{0,200}?\s(?:-u|--user)[ =]?["']?[^\s:"']{1,64}:|sshpass -p ?["']?)"#,
                r#"(?P<part>[^\s"'<>\\$]+)"#,
            ),
            |found| found.group("part").filter(|part| !is_placeholder(found.part(part))),
        ),
        judged("pin", PINS, |found| found.group("part")),
        judged("card", r"[2-6][0-9]{3}(?P<value>(?:[ -]?[0-9]){10,12})", |found| {
            let is_such = |text: &str| is_card(&digits(text));
            first_whole(found, 14, is_such)
        }),
        judged("iban", r"[A-Z]{2}[0-9]{2}(?P<value>(?: ?[A-Z0-9]){11,30})", |found| {
            first_whole(found, 15, is_account)
        }),
        judged("url", r#"://(?P<user>[^\s/:@"'<>\\?#]*:(?P<password>[^\s/"'<>\\]+)@)"#, |found| {
            let is_real = !is_placeholder(found.part(&found.group("password")?));
            found.group("user").filter(|_| is_real)
        }),
        judged("password", assigned::PHRASES, assigned::phrase),
        judged("password", &assigned::in_tags(), |found| {
            found.group("part").filter(|part| !is_placeholder(found.part(part)))
        }),
        judged("password", &assigned::assignment(), assigned::assigned),
    ]
});

/// Keys of those who sell something over the net, by the way they begin.
const PROVIDERS: &str = concat!(
    r"(?:gsk_|xai-|r8_|fw_|pplx-|tvly-|nvapi-|dop_v1_|doo_v1_|dckr_pat_|shp(?:at|ca|pa|ss)_|PMAK-|lin_api_|ntn_|secret_",
    r"|pypi-|sq0[a-z]{3}-|key-|rpa_|vercel_|phc_|sntrys_|glsa_|hvs\.|SG\.)[A-Za-z0-9_.-]{20,}",
);

/// Short numbers that open something, with the word that says so.
const PINS: &str = concat!(
    r#"(?i)(?-u:\b)(?:pin(?:[ -]?code)?|cvv2?|cvc2?|otp|one[ -]time code|verification code)["'*\\]{0,4}"#,
    r#"\s*(?:[:=]|is|ist|was)\s*["'*\\]{0,4}(?P<part>[0-9]{3,8})(?-u:\b)"#,
);

fn alone(found: &Found<'_>) -> Option<Range<usize>> {
    Some(found.whole()).filter(|part| found.stands_alone(part))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The longest beginning of a match that stands for itself and is what it has to be; what is behind it may look as if it
/// belonged to it.
fn first_whole(found: &Found<'_>, bytes_min: usize, is_such: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let whole = found.whole();
    let hangs = |near: char| near.is_alphanumeric() || matches!(near, '_' | '-' | '.');
    if found.before(&whole).is_some_and(hangs) {
        return None;
    }
    let ends = (whole.start + bytes_min..=whole.end).rev();
    let mut parts = ends.map(|end| whole.start..end).filter(|part| {
        let goes_on =
            found.after(part).is_some_and(|near| near.is_alphanumeric() || matches!(near, '_' | '-'));
        !goes_on && found.part(part).ends_with(|c: char| c.is_ascii_alphanumeric())
    });
    parts.find(|part| is_such(found.part(part)))
}

fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect()
}

/// Whether those are the digits of a card: by whom it is from, how many there are, and the last one, which follows from
/// the others (Luhn).
fn is_card(digits: &[u8]) -> bool {
    let begin = |count: usize| digits[..count].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let is_known = match digits.len() {
        14 => matches!(begin(3), 300..=305 | 360..=369 | 380..=389),
        15 => matches!(begin(2), 34 | 37),
        16 => {
            matches!(begin(4), 2221..=2720 | 3528..=3589 | 4000..=4999 | 5100..=5599 | 6011 | 6200..=6299 | 6440..=6599)
        }
        _ => false,
    };
    let doubled = |(nth, digit): (usize, &u8)| match (nth % 2, *digit) {
        (0, digit) => u32::from(digit),
        (_, digit) => u32::from(digit) * 2 - if digit > 4 { 9 } else { 0 },
    };
    is_known && digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Whether it is the number of an account (IBAN): by its length and its remainder.
fn is_account(text: &str) -> bool {
    let plain: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let turned = plain[4..].iter().chain(&plain[..4]);
    let remainder = turned.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    remainder == 1 && (15..=34).contains(&plain.len())
}
