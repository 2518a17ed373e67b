//! What the filter takes out, and what it lets be.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use trainyard_trajectories::{Limits, PrivacyFilter, Redactions, Trajectory};

fn filter() -> PrivacyFilter {
    PrivacyFilter::new("salt").with_secret("horse-of-iron-77")
}

fn filtered(text: &str) -> (String, Redactions) {
    let mut found = Redactions::default();
    (filter().text("chat", text, &mut found), found)
}

/// Every text becomes what stands beside it.
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, expected)| {
            let (got, _) = filtered(text);
            (got != *expected).then(|| format!("{text:?}\n became {got:?}\n and not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No text is changed.
fn check_kept(texts: &[&str]) {
    let same: Vec<(&str, &str)> = texts.iter().map(|text| (*text, *text)).collect();
    check(&same);
}

#[test]
fn coordinates_go_in_any_spelling() {
    const GEO: &str = "[REDACTED_GEO]";
    for text in [
        "52.5200, 13.4050",
        "52.520008,13.404954",
        "-33.8688, 151.2093",
        "52.5200; 13.4050",
        "37.7749,-122.4194, 16.0",
        "geo:52.52,13.40",
        "40°26′46″ N",
        "40° 26' 46\" N",
        "79°58'56\\\"W",
        "52.52° N",
        "52.52 N, 13.40 E",
        "48.85°O",
        "N52.5200 E13.4050",
        "9F4MGC22+22",
    ] {
        check(&[
            (text, GEO),
            (&format!("We met at {text}."), &format!("We met at {GEO}.")),
            (&format!("({text})"), &format!("({GEO})")),
        ]);
    }
    check(&[
        ("lat: 52.52", "lat: [REDACTED_GEO]"),
        (
            "{\"latitude\": 52.520, \"lng\": \"13.405\"}",
            "{\"latitude\": [REDACTED_GEO], \"lng\": \"[REDACTED_GEO]\"}",
        ),
        (
            "{\\\"lat\\\": 52.520, \\\"lon\\\":13.405}",
            "{\\\"lat\\\": [REDACTED_GEO], \\\"lon\\\":[REDACTED_GEO]}",
        ),
        ("POINT (13.40 52.52)", "POINT ([REDACTED_GEO])"),
        ("!3d52.5200!4d13.4050", "!3d[REDACTED_GEO]"),
        ("coords: 52.52, 13.40", "coords: [REDACTED_GEO]"),
        ("GPS 52.52 13.40", "GPS [REDACTED_GEO]"),
        ("https://maps.example/?q=52.52,13.40&z=3", "https://maps.example/?q=[REDACTED_GEO]&z=3"),
        ("https://maps.example/@52.5200,13.4050,15z", "https://maps.example/@[REDACTED_GEO],15z"),
        ("latitude of 52.52", "latitude of [REDACTED_GEO]"),
        ("[[52.5200,13.4050],[52.5300,13.4060]]", "[[[REDACTED_GEO]],[[REDACTED_GEO]]]"),
    ]);
    check_kept(&[
        "loss 0.1234, 0.5678",
        "[0.1234, -2.5678, 3.9012, 4.3456]",
        "1.234, 5.678",
        "12.50, 99.95",
        "lat: 12.50ms",
        "p95 latency: 13.4050",
        "20°C",
        "turn by 45° West",
        "10 N, 20 E",
        "S 12.50, W 3.20",
        "22222222+22",
        "version 1.2.3",
        "at 512.5000, 13.4050",
        "x=0.5000, y=0.7500",
        "long: 5",
        "as long 12.50",
    ]);
}

/// Strings that look like secrets and open nothing.
const SECRETS: [(&str, &str); 42] = [
    ("gldt-Zk3vQ9yT1mB7xW5nR2cL", "gitlab"),
    ("xoxd-Zk3vQ9yT1mB7%2FxW5nR2cL", "slack"),
    ("sk_org_live_Zk3vQ9yT1mB7xW5nR2cL", "stripe"),
    ("hf_Zk3vQ9yT1mB7xW5nR2cL", "hugging-face"),
    ("gsk_Zk3vQ9yT1mB7xW5nR2cL8dF4", "provider"),
    ("SG.Zk3vQ9yT1mB7xW5nR2cL8d.F4hJ6pS0aGZk3vQ9yT1mB7xW5nR2cL", "provider"),
    ("pypi-AgEIcHlwaS5vcmcCJGZk3vQ9yT1mB7xW5n", "provider"),
    ("shpat_abcdef0123456789abcdef0123456789", "provider"),
    ("discord.com/api/webhooks/123456789012/Zk3vQ9yT1mB7xW5nR2cL8dF4", "webhook"),
    ("-----begin rsa private key-----\nMIIEZk3vQ9yT1mB7\n-----end rsa private key-----", "private-key"),
    ("4111 1111 1111 1111", "card"),
    ("5555-5555-5555-4444", "card"),
    ("378282246310005", "card"),
    ("DE89 3704 0044 0532 0130 00", "iban"),
    ("GB29NWBK60161331926819", "iban"),
    ("CH93 0076 2011 6238 5295 7", "iban"),
    ("FR1420041010050500013M02606", "iban"),
    ("sk-ant-api03-Zk3vQ9yT1mB7xW5nR2cL8dF4", "anthropic"),
    ("sk-proj-Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6", "openai"),
    ("sk-Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6", "openai"),
    ("ghp_Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6pS0aG", "github"),
    ("github_pat_11ZK3VQ9Y_T1mB7xW5nR2cL8dF4hJ6", "github"),
    ("gho_Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6pS0aG", "github"),
    ("glpat-Zk3vQ9yT1mB7xW5nR2cL", "gitlab"),
    ("AKIAQ7T3ZVN5W2XEXAMP", "aws"),
    ("ASIAQ7T3ZVN5W2XEXAMP", "aws"),
    ("AIzaSyZk3vQ9yT1mB7xW5nR2cL8dF4hJ6pS0aG1", "google"),
    ("ya29.a0AfZk3vQ9yT1mB7xW5nR2cL8dF4", "google"),
    ("xoxb-123456789012-Zk3vQ9yT1mB7", "slack"),
    ("hooks.slack.com/services/T0ZK3VQ9Y/B0T1MB7XW/5nR2cL8dF4hJ6pS0aG", "slack"),
    ("sk_live_Zk3vQ9yT1mB7xW5nR2cL", "stripe"),
    ("hf_Zk3vQyTmBxWnRcLdFhJpSaGeUiOkVbNm12", "hugging-face"),
    ("npm_Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6pS0aG1", "npm"),
    ("7012345678:AAEZk3vQ9yT1mB7xW5nR2cL8dF4hJ6pS0aGe", "telegram"),
    ("MTAxMjM0NTY3ODkwMTIzNDU2.GZk3vQ.9yT1mB7xW5nR2cL8dF4hJ6pS0aGeUi", "discord"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "jwt"),
    ("horse-of-iron-77", "secret"),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEZk3vQ9yT1mB7\nxW5nR2cL8dF4hJ6p\n-----END RSA PRIVATE KEY-----",
        "private-key",
    ),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEA\\n-----END OPENSSH PRIVATE KEY-----",
        "private-key",
    ),
    ("-----BEGIN PRIVATE KEY-----\nMIIEZk3vQ9yT1mB7 and it is cut here", "private-key"),
    ("xapp-1-A0ZK3VQ9Y-1234567890-abc", "slack"),
    ("whsec_Zk3vQ9yT1mB7xW5nR2cL", "stripe"),
];

#[test]
fn credentials_go_by_their_shape() {
    for (secret, label) in SECRETS {
        let mark = format!("<REDACTED:{label}>");
        check(&[(secret, &mark), (&format!("use \"{secret}"), &format!("use \"{mark}"))]);
        assert_eq!(filtered(secret).1.credentials, 1, "{secret}");
    }
}

#[test]
fn what_is_assigned_to_a_secret_name_goes() {
    check(&[
        ("password=hunter2!", "password=<REDACTED:password>!"),
        ("password=hunter", "password=<REDACTED:password>"),
        ("PASSWORD = 'hunter22'", "PASSWORD = '<REDACTED:password>'"),
        ("password: hunter22, please", "password: <REDACTED:password>, please"),
        (
            "my password for the old shop is hunter22, ok",
            "my password for the old shop is <REDACTED:password>, ok",
        ),
        ("My password is hunter22.", "My password is <REDACTED:password>."),
        ("\"password\": \"hunter\"", "\"password\": \"<REDACTED:password>\""),
        ("{\\\"api_key\\\":\\\"abc123def\\\"}", "{\\\"api_key\\\":\\\"<REDACTED:password>\\\"}"),
        ("DB_PASSWORD=swordfish", "DB_PASSWORD=<REDACTED:password>"),
        (
            "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG",
            "export AWS_SECRET_ACCESS_KEY=<REDACTED:password>",
        ),
        ("apiKey: `abc123def`", "apiKey: `<REDACTED:password>`"),
        ("client_secret => abc123def", "client_secret => <REDACTED:password>"),
        ("?token=abc123def&page=2", "?token=<REDACTED:password>&page=2"),
        ("x-api-key: abc123def", "x-api-key: <REDACTED:password>"),
        ("seed phrase: \"alpha beta gamma delta\"", "seed phrase: \"<REDACTED:password>\""),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer <REDACTED:bearer>"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic <REDACTED:authorization>"),
        ("password: \"two words\"", "password: \"<REDACTED:password>\""),
        ("{\\\"password\\\":\\\"two words\\\"}", "{\\\"password\\\":\\\"<REDACTED:password>\\\"}"),
        ("password=\"ab\\\"cd99\"", "password=\"<REDACTED:password>\""),
        ("password: swordfish\nand", "password: <REDACTED:password>\nand"),
        ("Pwd: swordfish", "Pwd: <REDACTED:password>"),
        ("**Passwort:** Sommer7", "**Passwort:** <REDACTED:password>"),
        ("passphrase: correct horse battery staple", "passphrase: <REDACTED:password>"),
        ("--password swordfish99 -v", "--password <REDACTED:password> -v"),
        ("password - swordfish99", "password - <REDACTED:password>"),
        ("credentials:\n  password: swordfish", "credentials:\n  password: <REDACTED:password>"),
        ("the secret is password: swordfish", "the secret is password: <REDACTED:password>"),
        ("<password>swordfish</password>", "<password><REDACTED:password></password>"),
        ("User Id=sa;Password=My Pass 1;Database=x", "User Id=sa;Password=<REDACTED:password>;Database=x"),
        ("AccountKey=Zk3vQ9yT1mB7xW5nR2cL==", "AccountKey=<REDACTED:password>"),
        ("DB_PASS=hunter22", "DB_PASS=<REDACTED:password>"),
        ("?sig=abcdef0123456789abcdef&se=1", "?sig=<REDACTED:password>&se=1"),
        ("private key: 0x4c0883a69102937d", "private key: <REDACTED:password>"),
        ("curl -u ana:hunter22 https://x.example", "curl -u ana:<REDACTED:password> https://x.example"),
        ("2026 4111 1111 1111 1111 12/29", "2026 <REDACTED:card> 12/29"),
        ("378282246310005 0", "<REDACTED:card> 0"),
        ("XX12 DE89 3704 0044 0532 0130 00 AND SO ON", "XX12 <REDACTED:iban> AND SO ON"),
        ("the PIN is 4711", "the PIN is <REDACTED:pin>"),
        ("CVV: 123", "CVV: <REDACTED:pin>"),
        ("Authorization: Basic YTpi", "Authorization: Basic <REDACTED:authorization>"),
        ("Authorization: Token abcdef0123456789", "Authorization: Token <REDACTED:authorization>"),
        ("Cookie: sid=abcdef012345; theme=dark", "Cookie: <REDACTED:cookie>"),
        ("postgres://app:p@db/x", "postgres://<REDACTED:url>db/x"),
        ("postgres://app:s3cret@db:5432/x", "postgres://<REDACTED:url>db:5432/x"),
        ("https://ana:pa55@example.org/", "https://<REDACTED:url>example.org/"),
    ]);
    check_kept(&[
        "Password: must have 8 characters or more",
        "password is required.",
        "passwords: see below",
        "the password for the shop is required",
        "the token for build 7 is 2024-01-05",
        "max_tokens=512000",
        "tokens: 100000",
        "promptTokens: 812345",
        "token: USDC",
        "token: 0x1f9840a85d5af5bf1d1762f925bdaddc4201f984",
        "password = get_password()",
        "connect(password=password)",
        "api_key = os.environ['API_KEY']",
        "apiKey: process.env.API_KEY_2",
        "password: string;",
        "password: ${DB_PASSWORD}",
        "API_KEY=<your-key>",
        "token=token",
        "password=user.password",
        "PASSWORD=********",
        "The password reset link was sent to the user.",
        "password sha256, then password v2",
        "password: String!",
        "password: SecretStr",
        "Password: incorrect",
        "\"password\": \"The password is too short\"",
        "password - must be 8 characters",
        "PASS: tests/test_api1.py",
        "The signature: int foo1(int)",
        "GPIO pin = 27",
        "Cookie: two eggs",
        "Authorization: required",
        "key-value-store-with-long-name2",
        "secret_santa_list_of_people_2025",
        "order 4111111111111112",
        "commit 4111111111111111abcdef",
        "1718000000000 and 1718000000000000",
        "ABCD1234EFGH5678IJKL",
        "DE88 ABCD EFGH IJKL MNOP 12",
        "2001:db8::8a2e:370:7334",
        "00:1A:2B:3C:4D:5E",
        "a bearer of responsibilities",
        "secretary: Maria2000",
        "the secret is out",
        "basic understanding of it",
        "sk-learn-contrib and more of it",
        "task-0123-abcdefgh-ijklmnop",
        "password: \"Please enter your password\"",
        "api_key=YOUR_API_KEY_123",
        "pwd: /home/user1",
        "http://localhost:8080/@x/y",
        "http://user@host/",
        "AKIA",
        "eyJ",
        "ghp_short",
    ]);
}

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
fn postal_addresses_go() {
    const ADDRESS: &str = "[REDACTED_ADDRESS]";
    for text in [
        "221B Baker Street",
        "1600 Pennsylvania Ave NW 20500",
        "350 Fifth Avenue, Suite 3300, New York, NY 10118",
        "742 Evergreen Terrace",
        "12 N. Main St., Springfield, IL 62704-1234",
        "10 Downing Street, London SW1A 2AA",
        "5 42nd St",
        "12 baker street",
        "Hauptstraße 5",
        "hauptstraße 5",
        "HAUPTSTRASSE 5",
        "Hauptstr 5",
        "Hauptstra\\u00dfe 5",
        "Karl-Marx-Straße 5",
        "Karl Marx Straße 5, 04109 Leipzig",
        "Berliner Allee 12",
        "Unter den Linden 77, 10117 Berlin",
        "Kerkstraat 12",
        "5 rue des lilas",
        "8 bd Voltaire",
        "Lindenallee 12a, 10115 Berlin",
        "12 bis rue de la Paix, 75002 Paris",
        "Calle Mayor 12, 28013 Madrid",
        "P.O. Box 1234",
        "PO Box 77",
    ] {
        let (got, found) = filtered(&format!("It goes to {text}; thanks"));
        let rest =
            got.strip_prefix("It goes to [REDACTED_ADDRESS]").unwrap_or_else(|| panic!("{text}: {got}"));
        assert!(["; thanks", " NW 20500; thanks"].contains(&rest), "{text}: {got}");
        assert_eq!(found.addresses, 1, "{text}");
    }
    check(&[
        ("1987 Main Street, Dover, DE 19901", ADDRESS),
        ("12 Main Street. Then", "[REDACTED_ADDRESS]. Then"),
        ("Lindenweg 12\nand", "[REDACTED_ADDRESS]\nand"),
    ]);
    check_kept(&[
        "In 2024 Wall Street fell",
        "Chapter 3 The Way",
        "5 people on the street",
        "a 2 way street",
        "Top 10 Best Way",
        "Monitoring 5",
        "String 10",
        "Stelle 5",
        "the 3 roads",
        "1 place for all",
        "5 minutes down the road.",
        "a 3 lane road.",
        "1 place du marché",
        "Die Straße 5 Mal",
        "Erster Platz 3",
        "Windows 10, 12345 Files",
        "In March 2024, 10000 People",
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

#[test]
fn escapes_hide_nothing_and_stay() {
    let ana = filter().text("chat", "@ana", &mut Redactions::default());
    check(&[
        ("hi\\nana@example.org\\nbye", "hi\\n[REDACTED_EMAIL]\\nbye"),
        ("hi\\n@ana said", &format!("hi\\n{ana} said")),
        ("hi\\\\n+12025550123", "hi\\\\n[REDACTED_PHONE]"),
        ("hi\\t12 Main Street", "hi\\t[REDACTED_ADDRESS]"),
        ("hi\\n52.5200, 13.4050", "hi\\n[REDACTED_GEO]"),
        ("hi\\nsk-Zk3vQ9yT1mB7xW5nR2cL8dF4hJ6", "hi\\n<REDACTED:openai>"),
        ("\\u003c@ana\\u003e", &format!("\\u003c{ana}\\u003e")),
        ("sk-ant-api03-Zk3vQ9<b>yT1mB7x</b>W5nR2cL", "<REDACTED:anthropic>"),
        ("&quot;password&quot;:&quot;hunter22&quot;", "&quot;password&quot;:&quot;<REDACTED:password>&quot;"),
        // a quoted password may hold what looks like an escape
        ("password: \"ab\\ncd99ef\"", "password: \"<REDACTED:password>\""),
    ]);
    check_kept(&[
        "C:\\new\\table\\readme.txt",
        "a < b && c > d &amp; e",
        "<b>bold</b>",
        "テスト（１２３）です。",
    ]);
}

#[test]
fn ordinary_text_survives() {
    check_kept(&[
        "Release 2.14.0-rc.1 of 2026-01-31 costs $1,299.00 (was €1.499,00), 15% less.",
        "At 10:15:30Z, 12 of 345 jobs of build 7f3a9c2e had ended with exit code 137.",
        "for (let i = 0; i < 10; i++) { console.log(`${i}: ${items[i].name}`); }",
        "SELECT id, name FROM users WHERE created_at > '2026-01-31 12:00:00' LIMIT 100;",
        "fn main() -> Result<(), Box<dyn Error>> { let x: u64 = 18_446_744_073; Ok(()) }",
        "{\"action\": \"SEARCH\", \"query\": \"weather in Oslo\", \"limit\": 5, \"score\": 0.9731}",
        "See https://docs.example.org/guide/v2/#section-4.2 and /usr/local/bin/tool --max-tokens=512.",
        "The 3rd chapter, pp. 120-134, says: \"the way is the goal\".",
        "日本語のテキストと絵文字 🎉 も残る",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "",
    ]);
}

#[test]
fn texts_are_found_however_deep_and_in_keys() {
    let mut value = json!({
        "ana@example.org": [{"x": ["call +1 202 555 0123", 5, null, true]}], "bo@example.org": 1,
        "login": {
            "passcode": 4711, "user_token": "ab12cd34ef", "token": "USDC", "maxTokens": 100,
            "newPassword": "Please enter your password", "username": "ana",
            "password": "sword fish",
        },
        "place": {"lat": 52.52, "lng": "13.405"}, "lat": 5,
        "to": {"street": "baker st. 221b", "phone": 2_025_550_123_u64, "phoneNumber": "2025550123", "phones": 2},
    });
    let mut found = Redactions::default();
    filter().value("chat", &mut value, &mut found);
    let ana = filter().text("chat", "@ana", &mut Redactions::default());
    let expected = json!({
        "[REDACTED_EMAIL]": [{"x": ["call [REDACTED_PHONE]", 5, null, true]}], "[REDACTED_EMAIL] 2": 1,
        "login": {
            "passcode": "<REDACTED:secret>", "user_token": "<REDACTED:secret>",
            "token": "USDC", "maxTokens": 100, "newPassword": "Please enter your password", "username": ana,
            "password": "<REDACTED:secret>",
        },
        "place": {"lat": "[REDACTED_GEO]", "lng": "[REDACTED_GEO]"}, "lat": 5,
        "to": {"street": "[REDACTED_ADDRESS]", "phone": "[REDACTED_PHONE]", "phoneNumber": "[REDACTED_PHONE]", "phones": 2},
    });
    assert_eq!(value, expected);
    assert_eq!((found.geo, found.credentials, found.emails, found.addresses), (2, 3, 2, 1));
    assert_eq!((found.phones, found.handles), (3, 1));
    let mut again = Redactions::default();
    filter().value("chat", &mut value, &mut again);
    assert_eq!((value, again.total()), (expected, 0));
}

#[test]
fn nothing_of_a_trajectory_is_passed_over() {
    const MAIL: &str = "ana@example.org";
    let fields =
        ["callId", "stepId", "model", "systemPrompt", "userPrompt", "response", "purpose", "actionType"];
    let mut call: Value =
        fields.iter().map(|key| ((*key).to_owned(), json!(MAIL))).collect::<serde_json::Map<_, _>>().into();
    call["metadata"] = json!({"deep": [MAIL]});
    let access = json!({"id": MAIL, "stepId": MAIL, "providerName": MAIL, "purpose": MAIL, "data": {"x": MAIL}, "query": MAIL});
    let sent = json!({
        "id": MAIL, "agentId": MAIL, "archetype": MAIL, "source": MAIL, "aiJudgeReasoning": MAIL,
        "metadata": {"x": MAIL}, "llmCalls": [call], "providerAccesses": [access], "steps": [{"y": [MAIL]}],
    });
    let read = |sent: &Value| Trajectory::from_json(sent.to_string().as_bytes(), &Limits::default()).unwrap();
    let (trajectory, found) = filter().trajectory(&read(&sent));
    let written = trajectory.to_json().to_string();
    assert!(!written.contains("example"), "{written}");
    assert_eq!(found.emails, sent.to_string().matches(MAIL).count() as u64);

    // What stands in the steps and is told again as calls is counted once.
    let sent = json!({"id": "t", "steps": [{"stepId": "s", "llmCalls": [{"response": MAIL}]}]});
    let (trajectory, found) = filter().trajectory(&read(&sent));
    assert_eq!((found.emails, trajectory.calls[0].response.as_str()), (1, "[REDACTED_EMAIL]"));
    assert!(!trajectory.steps_json().contains("example"));
}

#[test]
fn what_is_private_as_a_whole_is_told() {
    let read =
        |value: Value| Trajectory::from_json(value.to_string().as_bytes(), &Limits::default()).unwrap();
    let about_ana = read(json!({"id": "t", "steps": [{"entityId": "ana"}]}));
    let filter = filter();
    assert!(!filter.forbids(&about_ana));
    assert!(filter.clone().with_private_entity("ana").forbids(&about_ana));
    assert!(filter.clone().with_private_entity("bot").forbids(&read(json!({"id": "t", "agentId": "bot"}))));
    assert!(filter.forbids(&read(json!({"id": "t", "metadata": {"private": true}}))));
    assert!(!filter.forbids(&read(json!({"id": "t", "metadata": {"private": false}}))));
}

#[test]
fn known_secrets_go_in_any_wrapping_and_are_not_shown() {
    let filter = PrivacyFilter::new("pepper-of-the-house")
        .with_secret("a\"b\\c\nd e")
        .with_secret("short")
        .with_secret("ääääääää");
    let clean = |text: &str| filter.text("chat", text, &mut Redactions::default());
    assert_eq!(clean("<a\"b\\c\nd e>"), "<<REDACTED:secret>>");
    let wrapped = json!({"x": "a\"b\\c\nd e"}).to_string();
    assert_eq!(clean(&wrapped), "{\"x\":\"<REDACTED:secret>\"}");
    assert_eq!(clean("in short: xxääääääääxx"), "in short: xx<REDACTED:secret>xx");
    let shown = format!("{filter:?}");
    assert!(!shown.contains("pepper") && !shown.contains("ä"), "{shown}");
}

#[test]
fn variables_are_secret_by_their_names() {
    let clean = |name: &str| {
        let filter = PrivacyFilter::new("salt").with_secrets_of([(name, "moss and fir")]);
        filter.text("chat", "moss and fir", &mut Redactions::default()) != "moss and fir"
    };
    for name in [
        "DB_PASSWORD",
        "API_KEY",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "app_credentials",
    ] {
        assert!(clean(name), "{name}");
    }
    for name in ["PATH", "HOME", "LANG", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "KEYBOARD", "MONKEY"] {
        assert!(!clean(name), "{name}");
    }
}

#[test]
fn hostile_texts_take_little_time_and_room() {
    // each is a worst case for some pattern: all must end, and be no longer than promised
    for unit in [
        "a",
        "@ab ",
        "+1",
        "a@",
        "12.34567,",
        "password=",
        "-----BEGIN PRIVATE KEY-----",
        "1 A ",
        "0171 ",
        "eyJa.",
        "://a:",
        "%40",
        "A ",
        "lat: ",
        "@x\n",
        "token:",
        "token: ",
        "password for ",
        "password='",
        "\\n",
        "<b>",
        "＠",
        "4111 ",
        "DE89 ",
        "curl -u ",
        "Cookie: a=",
        "Authorization: ",
        " u/abc",
        "1 abc road",
        "x.com/",
        "abandon ",
    ] {
        let text = unit.repeat((64 << 10) / unit.len());
        let (got, _) = filtered(&text);
        assert!(got.len() <= 9 * text.len(), "{unit:?}");
        assert_eq!(filtered(&got).1.total(), 0, "{unit:?}");
    }
}

/// Texts in which much looks private, and little is.
fn surroundings() -> impl Strategy<Value = String> {
    let crumbs = prop::sample::select(vec![
        "@",
        ".",
        "+1",
        "+49 30 9018",
        "lat: ",
        "52.5200,",
        "13.40",
        "°N",
        "ana@example.org",
        "@ana",
        "sk-",
        "://u:p@h",
        "password=",
        "token: ",
        "\"",
        "'",
        "\\",
        "`",
        "=",
        ":",
        ": ",
        "[REDACTED_GEO]",
        "<REDACTED:",
        "<entity:",
        ">",
        "]",
        "555",
        "-",
        " ",
        "\n",
        "Street",
        "12 Main ",
        "(",
        ")",
        "Bearer ",
        "é",
        "🎉",
        "\u{0}",
        "0171 ",
        "is ",
        "%40",
        "BEGIN",
    ]);
    prop_oneof![
        prop::collection::vec(crumbs, 0..14).prop_map(|crumbs| crumbs.concat()),
        "\\PC{0,40}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn filtering_twice_changes_nothing_more(text in surroundings()) {
        let (once, _) = filtered(&text);
        let (twice, found) = filtered(&once);
        prop_assert_eq!(&twice, &once);
        prop_assert_eq!(found.total(), 0);
        prop_assert!(once.len() <= 9 * text.len(), "{} became {}", text.len(), once.len());
    }

    #[test]
    fn a_secret_survives_nowhere(before in surroundings(), after in surroundings(), nth in 0..SECRETS.len()) {
        let (secret, _) = SECRETS[nth];
        // glued to a word it may be a part of something else, and then it is no secret
        let (got, found) = filtered(&format!("{before} {secret} {after}"));
        let core = secret.split(['\n', '.', '/']).max_by_key(|part| part.len()).unwrap();
        prop_assert!(!got.contains(core), "{}", got);
        prop_assert!(found.total() > 0);
    }

    #[test]
    fn an_address_or_a_number_survives_nowhere(before in surroundings(), after in surroundings()) {
        for private in ["ana.lee@mail.example.org", "+1 202 555 0123", "221B Baker Street", "52.520008, 13.404954"] {
            let (got, _) = filtered(&format!("{before} is {private} and {after}"));
            let rest = got.replace(&before, "").replace(&after, "");
            prop_assert!(!rest.contains(private), "{}", got);
        }
    }

    #[test]
    fn values_are_filtered_as_their_texts_are(text in surroundings()) {
        let mut value = json!({"a": [text], "b": {"c": text}});
        filter().value("chat", &mut value, &mut Redactions::default());
        let (expected, _) = filtered(&text);
        prop_assert_eq!(value, json!({"a": [expected], "b": {"c": expected}}));
    }
}
