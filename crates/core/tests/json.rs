//! What a user reads can be written as JSON.
#![cfg(feature = "serde")]

use std::time::Duration;

use trainyard_core::*;

#[test]
fn words_and_numbers_are_plain_in_json() {
    let json = |value: serde_json::Result<String>| value.expect("it can be written");
    assert_eq!(json(serde_json::to_string(&Reason::new("disk \"full\""))), r#""disk \"full\"""#);
    let kind = Kind::new("index").expect("a name");
    assert_eq!(json(serde_json::to_string(&kind)), r#""index""#);
    assert_eq!(json(serde_json::to_string(&Timestamp::from_millis(-5))), "-5");
    let progress = Progress::step(3, 4).with_message("on its way").with_loss(0.5).expect("a number");
    let expected =
        r#"{"step":3,"total":4,"phase":null,"message":"on its way","loss":0.5,"performance":null}"#;
    assert_eq!(json(serde_json::to_string(&progress)), expected);
    let outcome = Outcome::Failed { reason: Reason::new("broke") };
    assert_eq!(json(serde_json::to_string(&outcome)), r#"{"Failed":{"reason":"broke"}}"#);
    let left = Unmet::Cooldown { left: Duration::from_millis(1_500) };
    assert_eq!(json(serde_json::to_string(&left)), r#"{"Cooldown":{"left":{"secs":1,"nanos":500000000}}}"#);
}
