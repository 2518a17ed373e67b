use super::*;
use proptest::prelude::*;

fn edgy() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0_u64..40,
        9_990_u64..10_010,
        (0_u32..64).prop_map(|bit| 1 << bit),
        (0_u32..64).prop_map(|bit| (1 << bit) - 1),
        Just(u64::MAX),
    ]
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        (edgy(), edgy()).prop_map(|(threshold, first)| Trigger::PerList { threshold, first }),
        edgy().prop_map(|above| Trigger::OptimalLists { above }),
        edgy().prop_map(|above| Trigger::Floor { above }),
        edgy().prop_map(|at_least| Trigger::Fresh { at_least }),
    ]
}

fn millis() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 0_u64..10_000, any::<u64>()].prop_map(Duration::from_millis)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![0_i64..20_000, any::<i64>()].prop_map(Timestamp::from_millis)
}

prop_compose! {
    fn rule()(
        trigger in trigger(),
        cooldown in millis(),
        max_interval in prop::option::of(millis()),
        first in millis(),
        cap in millis(),
        on in any::<bool>(),
    ) -> RetrainRule {
        let switch = if on { Switch::On } else { Switch::Off };
        RetrainRule { trigger, cooldown, max_interval, backoff: Backoff::new(first, cap), switch }
    }
}

prop_compose! {
    fn history()(
        watermark in prop::option::of(edgy()),
        fired_at in prop::option::of(moment()),
        failed in prop::option::of((1_u32..80, moment())),
    ) -> History {
        History { watermark, fired_at, failures: failed.map_or(0, |f| f.0), failed_at: failed.map(|f| f.1) }
    }
}

prop_compose! {
    fn observation()(total in edgy(), lists in prop::option::of(edgy())) -> Observation {
        Observation { total, lists }
    }
}

fn big<N: Into<i128>>(number: N) -> i128 {
    number.into()
}

/// The rules once more, as plainly as they can be said, in integers that cannot overflow.
fn naive(rule: &RetrainRule, now: Timestamp, history: &History, seen: Observation) -> bool {
    let total = big(seen.total);
    let wait = |span: Duration| i128::try_from(span.as_millis()).unwrap();
    let wall = big(now.as_millis());
    let ends = |start: Timestamp, span: Duration| (big(start.as_millis()) + wait(span)).min(big(i64::MAX));
    let trigger = match (rule.trigger, seen.lists) {
        (Trigger::PerList { first, .. }, None) => total >= big(first),
        (Trigger::PerList { threshold, .. }, Some(lists)) => {
            total > big(lists).saturating_mul(big(threshold))
        }
        (Trigger::OptimalLists { above } | Trigger::Floor { above }, None) => total > big(above),
        (Trigger::OptimalLists { .. }, Some(lists)) => {
            let bits = format!("{:b}", seen.total).trim_start_matches('0').len();
            big(2_u64.pow(u32::try_from(bits / 2).unwrap())).min(65_536) > big(lists)
        }
        (Trigger::Floor { .. }, Some(_)) => false,
        (Trigger::Fresh { at_least }, _) => {
            total - history.watermark.map_or(0, big::<u64>) >= big(at_least).max(1)
        }
    };
    let grown = history.watermark.is_none_or(|mark| total > big(mark));
    let old = match (rule.max_interval, history.fired_at) {
        (Some(interval), Some(fired)) => wall >= ends(fired, interval) && total > 0,
        _ => false,
    };
    let cool = history.fired_at.is_none_or(|fired| wall >= ends(fired, rule.cooldown));
    let mut pause = if history.failures == 0 { 0 } else { wait(rule.backoff.first()) };
    for _ in 1..history.failures {
        pause = (pause * 2).min(wait(rule.backoff.cap()));
    }
    pause = pause.min(wait(rule.backoff.cap()));
    let recovered =
        history.failed_at.is_none_or(|failed| wall >= (big(failed.as_millis()) + pause).min(big(i64::MAX)));
    rule.switch == Switch::On && (trigger || old) && grown && cool && recovered
}

fn fires(rule: &RetrainRule, now: Timestamp, history: &History, seen: Observation) -> bool {
    matches!(rule.decide(now, history, seen, None).verdict, Verdict::Train(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn equal_to_the_naive_model(rule in rule(), now in moment(), history in history(), seen in observation()) {
        prop_assert_eq!(fires(&rule, now, &history, seen), naive(&rule, now, &history, seen));
    }

    #[test]
    fn monotone_in_the_total(rule in rule(), now in moment(), history in history(), seen in observation(), more in edgy()) {
        if fires(&rule, now, &history, seen) {
            let more = Observation { total: seen.total.saturating_add(more), ..seen };
            prop_assert!(fires(&rule, now, &history, more));
        }
    }

    #[test]
    fn what_is_missing_is_exact(trigger in trigger(), now in moment(), history in history(), seen in observation()) {
        let rule = RetrainRule::new(trigger);
        let history = History { fired_at: None, failures: 0, failed_at: None, ..history };
        let Verdict::Wait(unmet) = rule.decide(now, &history, seen, None).verdict else { return Ok(()) };
        let [Unmet::Count { more }] = unmet[..] else { return Err(TestCaseError::fail("only the count can be unmet")) };
        let enough = more.and_then(|more| u64::try_from(u128::from(seen.total) + more).ok());
        match enough {
            Some(total) => {
                let exactly = Observation { total, ..seen };
                let one_less = Observation { total: total - 1, ..seen };
                prop_assert!(fires(&rule, now, &history, exactly));
                prop_assert!(!fires(&rule, now, &history, one_less));
            }
            None => {
                let most = Observation { total: u64::MAX, ..seen };
                prop_assert!(!fires(&rule, now, &history, most));
            }
        }
    }

    #[test]
    fn a_run_at_a_total_silences_the_rule_at_that_total(rule in rule(), now in moment(), history in history(), seen in observation()) {
        let after = History { watermark: Some(seen.total), ..history };
        prop_assert!(!fires(&rule, now, &after, seen));
    }

    #[test]
    fn an_unfinished_job_is_never_joined_by_another(rule in rule(), now in moment(), history in history(), seen in observation()) {
        let job = JobId::from_u128(7);
        let verdict = rule.decide(now, &history, seen, Some(job)).verdict;
        let Verdict::Wait(unmet) = verdict else { return Err(TestCaseError::fail("fired beside an unfinished job")) };
        let told = unmet.contains(&Unmet::Unfinished { job });
        prop_assert!(told);
    }

    #[test]
    fn automatic_lists_quiet_the_rule_that_asked_for_them(total in 10_000_u64..50_000_000) {
        for trigger in [Trigger::PerList { threshold: 10_000, first: 10_000 }, Trigger::OptimalLists { above: 9_999 }] {
            let trained = Observation { total, lists: Some(optimal_lists(total)) };
            prop_assert!(!fires(&RetrainRule::new(trigger), Timestamp::default(), &History::default(), trained));
        }
    }
}

#[test]
fn the_table_of_both_rules_at_the_edge() {
    let documented = RetrainRule::new(Trigger::PerList { threshold: 10_000, first: 10_000 });
    let service = RetrainRule::new(Trigger::OptimalLists { above: 10_000 });
    let at = |rule: &RetrainRule, total, lists| {
        fires(rule, Timestamp::default(), &History::default(), Observation { total, lists })
    };
    for (total, lists, by_document, by_service) in [
        (9_999, None, false, false),
        (10_000, None, true, false),
        (10_001, None, true, true),
        (9_999, Some(1), false, true),
        (10_000, Some(1), false, true),
        (10_001, Some(1), true, true),
        (10_001, Some(128), false, false),
        (32_767, Some(128), false, false),
        (32_768, Some(128), false, true),
        (1_280_000, Some(128), false, true),
        (1_280_001, Some(128), true, true),
    ] {
        assert_eq!(at(&documented, total, lists), by_document, "documented, {total} in {lists:?}");
        assert_eq!(at(&service, total, lists), by_service, "service, {total} in {lists:?}");
    }
}

#[test]
fn a_decision_reads_like_a_sentence() {
    let rule = RetrainRule::new(Trigger::PerList { threshold: 10_000, first: 10_000 })
        .with_cooldown(Duration::from_secs(60));
    let history = History { fired_at: Some(Timestamp::default()), ..History::default() };
    let seen = Observation { total: 8_766, lists: None };
    assert_eq!(
        rule.decide(Timestamp::from_millis(15_000), &history, seen, None).to_string(),
        "wait: 1234 more needed, 45s of cooldown left [first training at 10000, have 8766]"
    );
    let seen = Observation { total: 80_001, lists: Some(8) };
    assert_eq!(
        rule.decide(Timestamp::from_millis(60_000), &history, seen, None).to_string(),
        "train (grown enough) [80001 > 8 x 10000]"
    );
}
