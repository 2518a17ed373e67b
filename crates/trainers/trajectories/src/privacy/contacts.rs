//! How people are reached: e-mail addresses and phone numbers.

use std::ops::Range;
use std::sync::LazyLock;

use super::redactions::Mark;
use super::rule::{Found, Rule};

/// E-mail addresses, also with `%40`, `(at)`, `[dot]`, and in words before an end such as `com`. A host without a dot makes none (`root@localhost`), nor does
/// the address of a repository (`git@host:path`) or the file of an icon (`icon@2x.png`).
pub(super) static EMAILS: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let in_words = concat!(
        r"(?i)(?-u:\b)[\p{L}\p{N}._+-]+\sat\s[\p{L}\p{N}-]+\s(?:dot\s[\p{L}\p{N}-]+\s){0,2}",
        r"dot\s(?:com|org|net|edu|gov|example|de|fr|uk|us|ch|at|es|it|nl|eu|io|co|dev|ai|app|me|info)(?-u:\b)",
    );
    let written = Rule::judged(
        Mark::Email,
        concat!(
            r"(?i)(?P<local>[\p{L}\p{N}._%+-]+)(?:@|%40|\s?[\[({]\s?at\s?[\])}]\s?)(?P<host>[\p{L}\p{N}-]+",
            r"(?:(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)[\p{L}\p{N}-]+)*(?:\.|\s?[\[({]\s?dot\s?[\])}]\s?)\p{L}{2,})",
        ),
        |found| {
            let part = found.whole();
            let (local, host) = (found.group("local")?, found.group("host")?);
            let (local, host) = (found.part(&local), found.part(&host).to_lowercase());
            let is_repository = local == "git" && found.after(&part) == Some(':');
            let is_icon = host.starts_with(|c: char| c.is_ascii_digit())
                && PICTURES.iter().any(|end| host.ends_with(end))
                && host.split_once('x').is_some_and(|(scale, _)| scale.bytes().all(|c| c.is_ascii_digit()));
            (!is_repository && !is_icon).then_some(part)
        },
    );
    vec![written, Rule::all(Mark::Email, in_words)]
});

const PICTURES: [&str; 6] = [".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"];

/// Phone numbers: with a plus, in the American and the French way, with a leading zero and a gap or ten digits, and
/// whatever follows a word such as "phone". Digits without any of that are a number like others.
pub(super) static PHONES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |pattern, judge| Rule::judged(Mark::Phone, pattern, judge);
    vec![
        rule(r"\+[1-9]", |found| {
            let part = found.whole();
            let is_free = !found.before(&part).is_some_and(char::is_alphanumeric);
            let end = number_end(found.text(), part.start, 9).filter(|_| is_free)?;
            Some(part.start..end)
        }),
        rule(r"(?-u:\b)00[1-9][0-9]{0,2}[ ./-]", |found| {
            let part = found.whole();
            let is_free =
                !found.before(&part).is_some_and(|near| near.is_alphanumeric() || "-.,_".contains(near));
            let end = number_end(found.text(), part.start, 11).filter(|_| is_free)?;
            Some(part.start..end)
        }),
        rule(
            concat!(
                r"(?i)(?-u:\b)(?:tel|telephone|phone|mobile|cell|call|text|whatsapp|signal|sms|fax|handy|mobil|telefon|ring",
                r"|(?:telefon|handy|mobil|ruf)nummer|tél(?:éphone)?|portable|teléfono|phone[ _]?number|reach\s(?:me|us|him|her|them)",
                r"|(?:my|his|her|their|our|your|contact|callback)\snumber)",
                r"(?:\s(?:me|us|him|her|them|number|no\.?|nr\.?|at|on|is|it's)){0,4}",
                r#"["'\\]{0,4}\s*[:=.]?\s*["'\\]{0,4}(?P<number>[(]?[0-9])"#,
            ),
            |found| {
                let start = found.group("number")?.start;
                let part = start..number_end(found.text(), start, 7)?;
                let is_other = is_date(found.part(&part)) || is_host(found.part(&part));
                (!is_other && !found.after(&part).is_some_and(char::is_alphanumeric)).then_some(part)
            },
        ),
        rule(r"(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[0-9]{3}[ .-][0-9]{4}", |found| {
            let part = found.whole();
            // with nothing but spaces it could be a row of numbers, were it not for the way they are given out
            let exchange = found.part(&part).rsplit([' ', '.', '-', ')']).nth(1);
            let has_signs = found.part(&part).contains(['(', '.', '-']);
            let is_given_out = has_signs || exchange.is_some_and(|text| text.starts_with(|c| c >= '2'));
            (is_given_out && is_free(found, &part)).then_some(part)
        }),
        // without a gap, who begins a number of ten digits with a zero wants to be called
        rule(r"(?:0[1-9][0-9]{8,9}|00[1-9][0-9]{9,12})", |found| {
            let part = found.whole();
            (found.part(&part) != ALL_DIGITS && is_free(found, &part)).then_some(part)
        }),
        rule(r"0[1-9](?:[ .-][0-9]{2}){4}", |found| Some(found.whole()).filter(|part| is_free(found, part))),
        rule(r"\(?0[1-9][0-9]{1,3}\)?[ /-]{1,3}[0-9]{2,4}[0-9 -]*[0-9]", |found| {
            let part = found.whole();
            let digits = found.part(&part).bytes().filter(u8::is_ascii_digit).count();
            ((9..=12).contains(&digits) && is_free(found, &part)).then_some(part)
        }),
    ]
});

/// Whether it is no part of a longer number, word, version or amount.
fn is_free(found: &Found<'_>, part: &Range<usize>) -> bool {
    let is_near = |near: char| near.is_alphanumeric() || matches!(near, '_' | '-' | '.' | ',' | '/' | ':');
    let mut rest = found.text()[part.end..].chars();
    let goes_on = match rest.next() {
        None => false,
        Some('-' | '.' | ',' | ':' | '/') => rest.next().is_some_and(|c| c.is_ascii_digit()),
        Some(near) => near.is_alphanumeric() || near == '_',
    };
    let label = found.before(part) == Some(':'); // of `tel:`, or of a key without a gap
    !goes_on && (label || !found.before(part).is_some_and(is_near))
}

/// Where a number of `min` to 15 digits ends that begins there: groups of digits with one or two signs between them.
fn number_end(text: &str, start: usize, min: usize) -> Option<usize> {
    let (mut digits, mut group, mut ones) = (0, 0, 0);
    let (mut end, mut gap) = (None, 0);
    for (at, c) in text[start..].char_indices().chain([(text.len() - start, '\n')]) {
        if c.is_ascii_digit() {
            (group, gap) = (group + 1, 0);
            continue;
        }
        if group > 0 {
            // a group that is too much belongs to something else, and so does a date
            let is_date = digits >= min && text.get(start + at - group..start + at + 6).is_some_and(is_date);
            if digits + group > DIGITS_MAX || is_date {
                break;
            }
            digits += group;
            ones += usize::from(group == 1);
            end = Some(start + at);
            group = 0;
        }
        gap += 1;
        if !(matches!(c, ' ' | '(' | ')' | '.' | '-' | '/' | '\u{a0}' | '\u{2011}') || (c == '+' && at == 0))
            || gap > 3
        {
            break;
        }
    }
    // a series of single digits is counted, not dialled
    end.filter(|_| digits >= min && ones < 4)
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split([' ', '.', '-', '/']).collect();
    matches!(parts[..], [year, month, day, ..] if year.len() == 4 && month.len() == 2 && day.len() == 2)
        || matches!(parts[..], [day, month, year, ..] if day.len() == 2 && month.len() == 2 && year.len() == 4)
}

fn is_host(text: &str) -> bool {
    text.split('.').filter(|part| part.parse::<u8>().is_ok()).count() == 4
}

/// What code counts with.
const ALL_DIGITS: &str = "0123456789";
const DIGITS_MAX: usize = 15;
