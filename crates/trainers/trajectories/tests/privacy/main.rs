//! What the filter takes out, and what it lets be.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod contacts;
mod credentials;
mod places;

use crate::credentials::SECRETS;
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
