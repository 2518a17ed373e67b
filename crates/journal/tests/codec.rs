//! What goes into bytes comes out again, and nothing else does.

use std::sync::Arc;

use proptest::prelude::*;
use trainyard_core::{
    Class, Decision, Event, Fact, JobId, Kind, Lease, Parameters, QueueName, Score, Subject, Submission,
    Timestamp, Unmet, Verdict,
};
use trainyard_journal::codec::{self, DecodeError};
use trainyard_journal::render;
use trainyard_testkit::arbitrary::{self, one_of_each};

proptest! {
    #[test]
    fn any_facts_come_back(facts in arbitrary::facts(24)) {
        let bytes = codec::encode(&facts).unwrap();
        prop_assert_eq!(codec::decode(&bytes).unwrap(), facts);
    }

    #[test]
    fn any_facts_come_back_in_parts(facts in arbitrary::facts(24), bytes in 0_usize..2_000) {
        let parts: Vec<_> = codec::encode_parts(&facts, bytes).map(Result::unwrap).collect();
        let decoded: Vec<Fact> = parts.iter().flat_map(|part| codec::decode(part).unwrap()).collect();
        prop_assert_eq!(decoded, facts);
    }

    #[test]
    fn a_changed_byte_is_found(facts in arbitrary::facts(4), at in any::<prop::sample::Index>(), change in 1..=u8::MAX) {
        let mut bytes = codec::encode(&facts).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(codec::decode(&bytes).is_err());
    }

    #[test]
    fn a_cut_record_is_found(facts in arbitrary::facts(4), at in any::<prop::sample::Index>()) {
        let bytes = codec::encode(&facts).unwrap();
        prop_assert!(codec::decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn bytes_of_any_sort_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = codec::decode(&bytes);
        let _ = codec::decode(&sealed(codec::VERSION, &bytes));
    }

    #[test]
    fn a_forged_record_is_harmless(facts in arbitrary::facts(4), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut body = codec::encode(&facts).unwrap().split_off(6);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(facts) = codec::decode(&sealed(codec::VERSION, &body)) {
            let again = codec::encode(&facts).unwrap();
            prop_assert_eq!(codec::decode(&again).unwrap(), facts, "what is read can be written");
        }
    }

    #[test]
    fn the_facts_of_a_record_are_an_array(at in arbitrary::timestamp(), mut facts in arbitrary::facts(4)) {
        if let Some(first) = facts.first_mut() {
            first.at = at;
        }
        let text = render::to_json_array(at, &facts);
        let array: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(array.len(), facts.len());
        for (shown, fact) in array.iter().zip(&facts) {
            let other = (fact.at != at).then(|| render::to_rfc3339(fact.at));
            prop_assert_eq!(shown.get("at").and_then(|at| at.as_str()), other.as_deref());
            prop_assert_eq!(shown.len(), 1 + usize::from(other.is_some()));
        }
    }

    #[test]
    fn any_fact_has_one_line(fact in arbitrary::fact()) {
        let line = render::to_json(&fact);
        prop_assert!(!line.contains('\n'));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }
}

#[test]
fn an_unknown_version_is_named() {
    let mut body = codec::encode(&one_of_each()).unwrap().split_off(6);
    body.push(0);
    let error = codec::decode(&sealed(2, &body)).unwrap_err();
    assert_eq!(error.unknown_version(), Some(2));
    assert_eq!(error.to_string(), "version 2 is unknown, the newest known one is 1");
}

#[test]
fn defects_are_named() {
    let text = |bytes: &[u8]| codec::decode(bytes).unwrap_err().to_string();
    assert_eq!(text(&[]), "the record ends too early");
    assert_eq!(text(&[1, 0, 0, 0, 0, 0, 0, 0]), "the checksum does not match");
    assert_eq!(text(&sealed(1, &[0])), "the record ends too early");
    assert_eq!(text(&sealed(1, &[0, 0, 9])), "1 bytes follow the last fact");
    assert_eq!(
        text(&sealed(1, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        "4294967295 facts are more than 1048576"
    );
    assert!(text(&sealed(1, &[0, 1, 0, 200, 1])).starts_with("the record is malformed"));
}

#[test]
fn what_the_core_does_not_take_is_refused() {
    let at = Timestamp::from_millis(0);
    let fact = |event| [Fact { at, event }];

    let retired = fact(Event::Retired { subject: Subject::new("index/one").unwrap() });
    assert_eq!(
        forged(&retired, b"index/one", b"index\none").unwrap_err().to_string(),
        "the record holds an invalid value: a subject cannot hold the control character at byte 5",
    );

    let performance = Some(Score::new(0.625).unwrap());
    let reported =
        fact(Event::Reported { job: JobId::from_u128(1), lease: Lease::new(1), step: 1, performance });
    assert_eq!(
        forged(&reported, &0.625_f64.to_le_bytes(), &f64::NAN.to_le_bytes()).unwrap_err().to_string(),
        "the record holds an invalid value: a score must be a finite number",
    );

    let length = Parameters::BYTES_MAX + 1;
    let mut body = vec![0, 1, 0, 9];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&[0x81, 0x80, 0x40]);
    body.resize(body.len() + length, 7);
    body.push(0);
    assert_eq!(
        codec::decode(&sealed(1, &body)).unwrap_err().to_string(),
        "the record holds an invalid value: parameters of 1048577 bytes are longer than 1048576 bytes",
    );
}

#[test]
fn a_list_that_could_not_be_read_is_not_written() {
    let decided = |unmet: usize| {
        let Some(Event::Decided { subject, decision, next_job }) = one_of_each()
            .into_iter()
            .map(|fact| fact.event)
            .find(|event| matches!(event, Event::Decided { .. }))
        else {
            panic!("the list has a decision")
        };
        let verdict = Verdict::Wait(vec![Unmet::Off; unmet]);
        let decision = Arc::new(Decision { verdict, ..(*decision).clone() });
        [Fact { at: Timestamp::from_millis(0), event: Event::Decided { subject, decision, next_job } }]
    };
    assert_eq!(codec::decode(&codec::encode(&decided(16)).unwrap()).unwrap(), decided(16));
    assert!(codec::encode(&decided(17)).is_err());
}

#[test]
fn a_claimed_length_gets_no_memory() {
    // A decision that claims 2^32 reasons, and 500,000,000 jobs that are gone.
    for body in [&[0, 1, 0, 29, 0x80, 0xca, 0xb5, 0xee, 0x01][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert_eq!(codec::decode(&sealed(1, body)).unwrap_err().to_string(), "the record ends too early");
    }
}

#[test]
fn jobs_of_one_class_share_it() {
    let class =
        |kind: &str| Arc::new(Class::new(Kind::new(kind).unwrap(), QueueName::new("default").unwrap()));
    let facts: Vec<Fact> = ["ivf", "ivf", "tabular", "ivf"]
        .into_iter()
        .map(|kind| {
            let submission =
                Submission::new(JobId::from_u128(1), Subject::new("index/1").unwrap(), class(kind));
            Fact {
                at: Timestamp::from_millis(0),
                event: Event::Submitted { submission: Arc::new(submission) },
            }
        })
        .collect();
    let bytes = codec::encode(&facts).unwrap();
    assert_eq!(bytes.windows(3).filter(|window| window == b"ivf").count(), 1, "it is written once");
    let classes: Vec<Arc<Class>> = codec::decode(&bytes)
        .unwrap()
        .into_iter()
        .filter_map(|fact| {
            let Event::Submitted { submission } = fact.event else { return None };
            Some(Arc::clone(&submission.class))
        })
        .collect();
    assert!(Arc::ptr_eq(&classes[0], &classes[1]) && Arc::ptr_eq(&classes[1], &classes[3]));
    assert_eq!(classes[2].kind.as_str(), "tabular");
}

#[test]
fn moments_are_spelled_out() {
    let text = |millis| render::to_rfc3339(Timestamp::from_millis(millis));
    assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
    assert_eq!(text(951_782_400_042), "2000-02-29T00:00:00.042Z");
    assert_eq!(text(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    assert_eq!(text(253_402_300_800_000), "253402300800000ms");
    assert_eq!(text(-62_167_219_200_001), "-62167219200001ms");
    assert_eq!(text(i64::MAX), "9223372036854775807ms");
}

#[test]
fn parameters_are_not_shown() {
    let parameters = Parameters::new(*b"secret").unwrap();
    let event = Event::Updated { job: JobId::from_u128(1), parameters, watermark: None };
    let line = render::to_json(&Fact { at: Timestamp::from_millis(0), event });
    assert!(line.contains(r#""parameters":"6 bytes""#), "{line}");
}

/// A record with a right checksum, whatever its body.
fn sealed(version: u16, body: &[u8]) -> Vec<u8> {
    let version = version.to_le_bytes();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version);
    hasher.update(body);
    [&version, &hasher.finalize().to_le_bytes()[..], body].concat()
}

/// Facts as bytes in which something was replaced.
fn forged(facts: &[Fact], old: &[u8], new: &[u8]) -> Result<Vec<Fact>, DecodeError> {
    let mut body = codec::encode(facts).expect("it works").split_off(6);
    let at = body.windows(old.len()).position(|window| window == old).expect("it is in there");
    body[at..at + old.len()].copy_from_slice(new);
    codec::decode(&sealed(codec::VERSION, &body))
}
