//! Where people are: coordinates and postal addresses.

use std::ops::Range;
use std::sync::LazyLock;

use super::redactions::Mark;
use super::rule::{Found, Rule};

/// Coordinates. Two plain numbers are coordinates from four decimals on, which is about ten metres; with a word or a
/// sign that says so from two on.
pub(super) static GEO: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |pattern, judge| Rule::judged(Mark::Geo, pattern, judge);
    vec![
        Rule::all(
            Mark::Geo,
            r"(?i)(?-u:\b)geo:-?[0-9]{1,3}(?:\.[0-9]+)?,-?[0-9]{1,3}(?:\.[0-9]+)?(?:,-?[0-9]+(?:\.[0-9]+)?)?",
        ),
        rule(
            r#"(?i)(?-u:\b)(?:(?:coords?|coordinates?|gps|geo|lat(?:itude)?[ ,/_-]{0,2}(?:lng|lon|long|longitude))["'\\]{0,4}\s*[:=]?|(?:location|position|center|centre|ll|q)["'\\]{0,4}\s*[:=])\s*["'\\\[({]{0,4}(?P<pair>-?[0-9]{1,3}\.[0-9]{2,}\s*[,;/ ]\s*-?[0-9]{1,3}\.[0-9]{2,})"#,
            |found| found.group("pair").filter(|part| is_on_earth(found.part(part))),
        ),
        rule(
            r#"(?i)(?-u:\b)(?:(?:lat|lon|lng|long)["'\\]{0,4}\s*[:=]|(?:latitude|longitude|breitengrad|längengrad)["'\\]{0,4}\s*(?:[:=]|is|of)?)\s*["'\\]{0,4}(?P<one>-?[0-9]{1,3}\.[0-9]{2,})"#,
            // a latency has a unit
            |found| {
                found.group("one").filter(|part| {
                    !found.after(part).is_some_and(|near| near.is_alphabetic() && !"NSEWO".contains(near))
                })
            },
        ),
        rule(
            r"(?:(?i:POINT ?\()(?P<point>-?[0-9]{1,3}\.[0-9]{2,} -?[0-9]{1,3}\.[0-9]{2,})|!3d(?P<map>-?[0-9]{1,3}\.[0-9]{2,}!4d-?[0-9]{1,3}\.[0-9]{2,}))",
            |found| found.group("point").or_else(|| found.group("map")),
        ),
        // whatever hangs on a pair belongs to it, so that a list of numbers is no pair
        rule(r"[+-]?[0-9]{1,3}\.[0-9]{4,}(?:\s*[,;]\s*[+-]?[0-9]+\.[0-9]+)+", |found| {
            let part = found.whole();
            let is_whole = !found.before(&part).is_some_and(|near| near.is_alphanumeric() || near == '.');
            (is_whole && is_pair(found.part(&part))).then_some(part)
        }),
        Rule::all(
            Mark::Geo,
            r#"[0-9]{1,3}(?:\.[0-9]+)?\s?°\s?(?:[0-9]{1,2}(?:\.[0-9]+)?\s?['′’]\s?)?(?:[0-9]{1,2}(?:\.[0-9]+)?\s?(?:\\?["″”]|'')\s?)?[NSEWO](?-u:\b)"#,
        ),
        Rule::all(
            Mark::Geo,
            r"(?-u:\b)[NS]\s?[0-9]{1,2}\.[0-9]{4,}°?[\s,;]+[EWO]\s?[0-9]{1,3}\.[0-9]{4,}(?-u:\b)",
        ),
        // codes of half a street corner, as maps give them
        rule(r"[23456789CFGHJMPQRVWX]{8}\+[23456789CFGHJMPQRVWX]{2,3}", |found| {
            let part = found.whole();
            let has = |kind: fn(char) -> bool| found.part(&part).contains(kind);
            (found.stands_alone(&part) && has(char::is_alphabetic) && has(char::is_numeric)).then_some(part)
        }),
        Rule::all(
            Mark::Geo,
            r"(?-u:\b)[0-9]{1,2}\.[0-9]{2,}\s?[NS][\s,;]+[0-9]{1,3}\.[0-9]{2,}\s?[EWO](?-u:\b)",
        ),
    ]
});

fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-')));
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// Whether two numbers are a latitude and a longitude, in either order.
fn is_on_earth(text: &str) -> bool {
    matches!(numbers(text)[..], [a, b] if a.abs() <= 180.0 && b.abs() <= 180.0 && a.abs().min(b.abs()) <= 90.0)
}

/// Whether two numbers, or three with a height, are a place. Shares and weights are all below 1.
fn is_pair(text: &str) -> bool {
    let numbers = numbers(text);
    let decimals = text
        .split([',', ';'])
        .take(2)
        .all(|part| part.trim().split_once('.').is_some_and(|(_, decimals)| decimals.len() >= 4));
    match numbers[..] {
        [a, b] | [a, b, _] => {
            let is_on_earth = a.abs().min(b.abs()) <= 90.0 && a.abs().max(b.abs()) <= 180.0;
            decimals && is_on_earth && a.abs().max(b.abs()) >= 1.0
        }
        _ => false,
    }
}

/// Postal addresses with a number: in English, German, Dutch, French and Spanish. A town alone is none.
pub(super) static ADDRESSES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |pattern, judge| Rule::judged(Mark::Address, pattern, judge);
    vec![
        rule(
            concat!(
                r"(?-u:\b)(?P<number>[0-9]{1,5})[A-Za-z]?(?:-[0-9]{1,4})?,?\s+",
                r"(?P<names>(?:(?:\p{Lu}[\p{L}'’.-]*|[0-9]{1,3}(?:st|nd|rd|th|ST|ND|RD|TH))\s+){1,4})",
                r"(?:(?:[Ss]treet|STREET|[Aa]venue|AVENUE|[Rr]oad|ROAD|[Bb]oulevard|BOULEVARD|[Ll]ane|LANE|Drive|DRIVE",
                r"|Court|COURT|Place|PLACE|Square|SQUARE|Terrace|TERRACE|Highway|HIGHWAY|Parkway|PARKWAY",
                r"|Crescent|CRESCENT|Close|CLOSE|Way|WAY)(?-u:\b)",
                r"|(?:St|ST|Ave|AVE|Rd|RD|Blvd|BLVD|Ln|LN|Dr|DR|Ct|CT|Pl|PL|Sq|SQ|Hwy|HWY|Pkwy|PKWY)(?-u:\b)\.?)",
                r"(?:,?\s+(?i:apt|apartment|suite|ste|unit|floor|flat|#)\.?\s*#?[A-Za-z0-9-]+)?",
                r"(?P<tail>,?\s+(?:\p{Lu}[\p{L}'’.-]*,?\s+){0,3}(?:[A-Z]{2},?\s+)?",
                r"(?:[0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][A-Z0-9]?\s?[0-9][A-Z]{2})(?-u:\b))?",
            ),
            |found| is_street(found).then(|| found.whole()),
        ),
        // in lower case only where the sentence ends with it
        rule(
            concat!(
                r"(?-u:\b)[0-9]{1,5}[a-z]?,?\s(?P<names>[a-z]{3,}(?:\s[a-z]{3,})?)\s",
                r"(?:street|avenue|road|boulevard|terrace|crescent)(?P<next>[,.;!?\r\n]|\sin\s|$)",
            ),
            |found| {
                let is_name = |name: &str| !NO_NAMES.contains(&name);
                let names = found.group("names")?;
                let end = found.group("next")?.start;
                found.part(&names).split(' ').all(is_name).then(|| found.whole().start..end)
            },
        ),
        rule(
            concat!(
                r"(?-u:\b)(?:\p{Lu}[\p{L}.-]*(?:straße|strasse|str\.|platz|allee|gasse|damm|ufer|weg)",
                r"|(?i:\p{L}[\p{L}.-]*(?:straße|strasse|str\.))|\p{Lu}\p{Ll}{2,}str",
                r"|(?:\p{Lu}[\p{L}.]*[- ]){1,3}(?:Straße|Strasse|STRASSE|Str\.)",
                r"|(?:\p{Lu}\p{Ll}{2,}er|Alte|Alter|Neue|Neuer|Lange|Langer|Kleine|Große|Hohe|Hoher|Obere|Untere)\s",
                r"(?:Allee|Platz|Weg|Gasse|Ufer|Damm|Ring)",
                r"|Straße des 17\. Juni|Postfach|\p{Lu}\p{Ll}+(?:straat|laan|gracht|plein))",
                r"\s+[0-9]{1,4}(?: ?[a-z])?(?-u:\b)(?:[ \d]{0,8}(?-u:\b))?",
                r"(?P<tail>,?\s+(?:D-|A-|CH-)?[0-9]{4,5}\s+\p{Lu}[\p{L}-]+)?",
            ),
            |found| {
                let text = found.part(&found.whole());
                let first = text.split(' ').next().unwrap_or(text);
                (!NO_STREETS_DE.contains(&first)).then(|| found.whole())
            },
        ),
        // what is called in no way that tells, before a town
        Rule::all(
            Mark::Address,
            concat!(
                r"(?-u:\b)(?:(?:Am|Im|Zum|Zur)|(?:An|Auf|Bei|Hinter|In|Unter|Vor) (?:der|dem|den))",
                r"(?:\s\p{Lu}[\p{L}-]*){1,3}\s[0-9]{1,4}[a-z]?,\s",
                r"(?:D-|A-|CH-)?[0-9]{5}\s\p{Lu}[\p{L}-]+",
            ),
        ),
        Rule::all(
            Mark::Address,
            concat!(
                r"(?-u:\b)[0-9]{1,4}(?:\s?(?:bis|ter))?,?\s+(?:",
                r"(?i:rue|avenue|boulevard|bd|place|quai|allée|chemin|impasse)\s+",
                r"(?:(?:de|du|des|la|le|les|l['’]|d['’]|DE|DU|DES|LA|LE|LES|L['’]|D['’])\s?){0,3}",
                r"\p{Lu}[\p{L}'’-]*(?:\s\p{Lu}[\p{L}'’-]*){0,3}",
                r"|(?:rue|avenue|boulevard|quai|impasse)\s(?:des?|du)\s(?:la\s|l['’])?[\p{L}-]{3,})",
                r"(?:,?\s+[0-9]{5}\s+\p{Lu}[\p{L}-]+)?",
            ),
        ),
        Rule::all(
            Mark::Address,
            concat!(
                r"(?-u:\b)(?i:calle|avenida|avda\.?|plaza|paseo)\s+(?:(?:de|del|la|las|los)\s+){0,3}",
                r"\p{Lu}[\p{L}'’-]*(?:\s\p{Lu}[\p{L}'’-]*){0,3},?\s+(?:n[º°]\s?)?[0-9]{1,4}(?-u:\b)",
                r"(?:,?\s+[0-9]{5}\s+\p{Lu}[\p{L}-]+)?",
            ),
        ),
        Rule::all(Mark::Address, r"(?i)(?-u:\b)P\.?\s?O\.?\s?Box\s+[0-9]+"),
    ]
});

/// Whether it is a number in a street, and neither a list of the best ways nor a year on Wall Street.
fn is_street(found: &Found<'_>) -> bool {
    let part = |name| found.group(name).map_or("", |part: Range<usize>| found.part(&part));
    if part("names").split_whitespace().all(|name| NO_STREETS.contains(&name)) {
        return false;
    }
    let is_year = part("number").parse().is_ok_and(|number: u32| (1900..2100).contains(&number));
    let before = found.text()[..found.whole().start].trim_end();
    let before = before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or("").to_lowercase();
    !(is_year && part("tail").is_empty() && YEARS_FOLLOW.contains(&before.as_str()))
}

const NO_STREETS: [&str; 16] = [
    "The", "A", "An", "This", "That", "Our", "Your", "My", "One", "Best", "Better", "Easy", "Simple", "New",
    "No", "Any",
];
const NO_NAMES: [&str; 44] = [
    "the", "and", "for", "down", "per", "way", "lane", "along", "across", "from", "this", "that", "their",
    "our", "your", "his", "her", "each", "mile", "miles", "minute", "minutes", "block", "blocks", "hour",
    "hours", "metre", "metres", "meter", "meters", "new", "more", "other", "percent", "off", "people", "day",
    "days", "week", "weeks", "month", "months", "year", "years",
];
const NO_STREETS_DE: [&str; 15] = [
    "Die", "Diese", "Dieser", "Der", "Unser", "Euer", "Ihrer", "Jeder", "Erster", "Zweiter", "Dritter",
    "Vierter", "Letzter", "Substr", "Teststr",
];
const YEARS_FOLLOW: [&str; 9] = ["in", "since", "by", "of", "during", "the", "from", "until", "till"];
