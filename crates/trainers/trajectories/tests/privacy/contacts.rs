//! How somebody is reached.

use super::{check, check_kept, filter, filtered};
use trainyard_trajectories::{PrivacyFilter, Redactions};

#[test]
fn addresses_of_mail_go_and_hosts_stay() {
    const EMAIL: &str = "[REDACTED_EMAIL]";
    for text in [
        "ana@example.org",
        "Ana.Lee+news@mail.example.co.uk",
        "o_b-c%d@xn--bcher-kva.example",
        "ana (at) example (dot) org",
        "ana[at]example.org",
        "ana%40example.org",
        "мария@пример.рф",
        "ana{at}example.org",
        "ana AT example DOT org",
        "ana＠example．org",
        "ana&#64;example.org",
        "ana\\u0040example.org",
        "ana@<wbr>example.org",
        "ana@exam\u{200b}ple.org",
    ] {
        check(&[
            (text, EMAIL),
            (&format!("<{text}>, and"), &format!("<{EMAIL}>, and")),
            (&format!("mailto:{text}."), &format!("mailto:{EMAIL}.")),
        ]);
    }
    // A host without a dot, a repository, a version, a picture: nobody is written to there.
    check_kept(&[
        "ssh root@localhost",
        "deploy@web1:/srv",
        "git clone git@github.com:acme/app.git",
        "npm i react@18.2.0",
        "lodash@^4.17.21",
        "icon@2x.png",
        "image@sha256:0123abcd",
        "a @ b.com",
        "look at example dot product",
        "look (at) this",
    ]);
}

#[test]
fn phone_numbers_go_and_other_numbers_stay() {
    const PHONE: &str = "[REDACTED_PHONE]";
    for text in [
        "+1 202 555 0123",
        "+12025550123",
        "+1 (202) 555-0123",
        "+49 30 901820",
        "+49 (0)30/901820-33",
        "+44 20 7946 0958",
        "(202) 555-0123",
        "202-555-0123",
        "202.555.0123",
        "415 555 0123",
        "1-202-555-0123",
        "030 9018200",
        "0171/1234567",
        "020 7946 0958",
        "01 23 45 67 89",
        "0049 30 901820",
        "01711234567",
        "00491711234567",
        "+1–202–555–0123",
        "+1\u{200b}202\u{200b}555\u{200b}0123",
        "＋１２０２５５５０１２３",
        "+١٢٠٢٥٥٥٠١٢٣",
    ] {
        check(&[
            (text, PHONE),
            (&format!("at {text}, please"), &format!("at {PHONE}, please")),
            (&format!("\"{text}\""), &format!("\"{PHONE}\"")),
            (&format!("tel:{text}"), &format!("tel:{PHONE}")),
        ]);
    }
    check(&[
        ("call me at 5550123", "call me at [REDACTED_PHONE]"),
        ("my number is 2025550123", "my number is [REDACTED_PHONE]"),
        ("Tél : 123456789", "Tél : [REDACTED_PHONE]"),
        ("Phone: 2025550123.", "Phone: [REDACTED_PHONE]."),
        ("+1 202 555 0123 2024-01-05", "[REDACTED_PHONE] 2024-01-05"),
    ]);
    check_kept(&[
        "1.2.3.4",
        "192.168.100.200",
        "v10.15.7",
        "2024-01-05",
        "05-12-2024",
        "2024-01-05T10:00:00+02:00",
        "2024-01-05T10:00:00.123456+0200",
        "123e4567-e89b-12d3-a456-426614174000",
        "1718000000000",
        "4111 1111 1111 1112",
        "012345678",
        "0123456789",
        "0123456789abcdef",
        "$1,299.99",
        "12,345,678.90",
        "order 20240105123",
        "1 234 567",
        "x+12345678901",
        "@@ -123,7 +123,9 @@",
        "100 200 3000",
        "0.1234567",
        "text 2024-01-05",
        "call 192.168.1.100",
        "3 + 4 = 7",
        "+1.5 +2.5",
        "00000000-0000-0000-0000-000000000000",
        "ISBN 978-3-16-148410-0",
        "0xdeadbeef00112233",
    ]);
}

#[test]
fn handles_become_names_that_say_nothing() {
    let name = |platform: &str, text: &str| filter().text(platform, text, &mut Redactions::default());
    let ana = name("chat", "@ana");
    assert!(ana.starts_with("<entity:") && ana.len() == 25, "{ana}");
    assert_eq!(name("chat", "hi @Ana, and @ana."), format!("hi {ana}, and {ana}."));
    assert_ne!(name("discord", "@ana"), ana, "who is who on two platforms is not told");
    assert_ne!(PrivacyFilter::new("pepper").text("chat", "@ana", &mut Redactions::default()), ana);
    for text in [
        "@ana.lee",
        "@ana_lee-9",
        "(@ana)",
        "@мария",
        "<@123456789012345678>",
        "<@!12345>",
        "x/@ana",
        "@ana/@bo",
        "＠ana",
        "https://t.me/ana_lee",
        "https://www.x.com/ana/status/1",
        "see u/ana_lee",
        "<@U012AB3CD|ana>",
    ] {
        let (got, found) = filtered(text);
        assert!(got.contains("<entity:") && !got.contains("ana") && found.handles > 0, "{text}: {got}");
    }
    check_kept(&[
        "@app.route(\"/x\")",
        "@decorator\ndef f():",
        "@cached\n@logged\nasync def f():",
        "@dataclass",
        "@Override",
        "@media (max-width: 5em)",
        "@font-face {",
        "@types/node",
        "@param x the input",
        "@everyone",
        "//div[@id='x']",
        "node_modules/@babel/core",
        "@article{key,",
        "root@localhost",
        "3 @ 5",
        "a@b",
        "@5pm",
        "@pytest.fixture",
        "https://x.com/search?q=1",
        "box.com/files",
        "src/u/mod.rs",
        "@retry(times=3)",
        "\\@ana",
    ]);
}
