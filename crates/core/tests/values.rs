//! Small values: what they hold, what they keep out, and what they show.
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use support::desk::{contest, resource, secs};
use support::score;
use trainyard_core::*;

fn number(value: f64) -> Score {
    Score::new(value).unwrap()
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn parameters_are_not_shown() {
    let parameters = Parameters::new(b"token=hunter2".to_vec()).unwrap();
    assert_eq!(format!("{parameters:?}"), "Parameters(13 bytes)");
}

#[test]
fn values_are_shown_as_people_write_them() {
    assert_eq!(number(0.75).to_string(), "0.75");
    assert_eq!(format!("{:?}", number(0.75)), "Score(0.75)");
    assert_eq!(format!("{:?}", Timestamp::from_millis(-5)), "-5ms");
    assert_eq!(format!("{:?}", Reason::new("a \"word\"")), r#""a \"word\"""#);
    assert_eq!(format!("{:?}", Glance::<u8>::new()), "Glance { .. }");
    let node = Resources::slots(4).with(resource("gpu"), 2);
    assert_eq!(format!("{node:?}"), r#"{"slot": 4, "gpu": 2}"#);
}

#[test]
fn priorities_are_cut_to_their_bounds() {
    let bounds = [Priority::MIN, Priority::default(), Priority::MAX].map(Priority::get);
    assert_eq!(bounds, [-100, 0, 100]);
    let cut = [i8::MIN, -101, -100, 7, 100, 101, i8::MAX].map(|value| Priority::new(value).get());
    assert_eq!(cut, [-100, -100, -100, 7, 100, 100, 100]);
}

#[test]
fn what_is_equal_hashes_alike_and_what_differs_hashes_apart() {
    assert_eq!(hash(number(0.0)), hash(number(-0.0)));
    assert_ne!(hash(number(0.5)), hash(number(0.25)));
    let gains =
        [Gain::Performance(number(0.5)), Gain::Performance(number(0.25)), Gain::Steps(1), Gain::Steps(2)];
    for (n, gain) in gains.iter().enumerate() {
        assert_eq!(hash(gain), hash(gains[n]));
        for other in &gains[n + 1..] {
            assert_ne!(hash(gain), hash(other), "{gain:?}, {other:?}");
        }
    }
}

#[test]
fn a_tiny_gain_has_a_tinier_slack() {
    let [nothing, half, gain] = [0.0, 0.5e-9, 1e-9].map(number);
    assert!(!half.gains(gain, nothing));
    assert!(gain.gains(gain, nothing));
    // A thousandth of it may lack, and no more.
    assert!(number(0.9995e-9).gains(gain, nothing));
    assert!(!number(0.9985e-9).gains(gain, nothing));
}

#[test]
fn an_amount_takes_the_place_of_another_and_nothing_is_no_amount() {
    let node = Resources::slots(1).with(resource("gpu"), 2).with(resource("disk"), 7);
    let other = node.clone().with(resource("gpu"), 3);
    assert_eq!((other.amount("gpu"), other.amount("disk"), other.amount("slot")), (3, 7, 1));
    let names = |resources: &Resources| resources.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&other), ["slot", "disk", "gpu"]);
    assert_eq!(other.with(resource("gpu"), 0), Resources::slots(1).with(resource("disk"), 7));
    assert_eq!(names(&Resources::slots(1).with(resource("gpu"), 0)), ["slot"]);
    assert_eq!(node.with(resource("slot"), 9).amount("slot"), 9);
}

#[test]
fn there_are_only_so_many_names_of_resources() {
    let full = (0..Resources::NAMES_MAX)
        .fold(Resources::slots(1), |sum, n| sum.with(resource(&format!("r{n:02}")), 1));
    assert_eq!(full.iter().count(), 1 + Resources::NAMES_MAX);
    assert_eq!(full.clone().with(resource("one-more"), 1), full);
    assert_eq!(full.with(resource("r00"), 5).amount("r00"), 5, "those that are there can be changed");
}

#[test]
fn what_was_trained_holds_what_it_is_told() {
    let [loss, recall] = ["loss", "recall"].map(|name| Metric::new(name).unwrap());
    let artifact = Reference::new("model.bin");
    let trained = Trained::artifact(artifact.clone());
    assert_eq!(trained, Trained { artifact: Some(artifact.clone()), metrics: Metrics::new() });
    let trained = trained.with_metric(loss.clone(), score(10)).with_metric(recall.clone(), score(90));
    let metrics = Metrics::from([(loss, score(10)), (recall, score(90))]);
    assert_eq!(trained, Trained { artifact: Some(artifact), metrics });
}

#[test]
fn progress_holds_what_it_is_told() {
    let progress = Progress::step(3, 4)
        .with_phase("epoch")
        .with_message("two to go")
        .with_loss(0.5)
        .and_then(|progress| progress.with_performance(0.25))
        .unwrap();
    let expected = Progress {
        step: 3,
        total: 4,
        phase: Some(Reason::new("epoch")),
        message: Some(Reason::new("two to go")),
        loss: Some(number(0.5)),
        performance: Some(number(0.25)),
    };
    assert_eq!(progress, expected);
    assert_eq!(progress.fraction(), Some(0.75));
    assert_eq!(Progress::step(9, 4).fraction(), Some(1.0), "more than there was to do is all of it");
    assert_eq!(Progress::step(9, 4).time_left(secs(1)), None);
    for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Progress::default().with_loss(none), Err(NotFinite));
        assert_eq!(Progress::default().with_performance(none), Err(NotFinite));
    }
}

#[test]
fn a_window_that_was_stored_is_the_same_again() {
    let values: Vec<_> = (1..=7).map(score).collect();
    let mut window = PerformanceWindow::default();
    values.iter().for_each(|value| window.push(*value));
    let restored = PerformanceWindow::restore(window.recent().to_vec(), window.reports(), window.best());
    assert_eq!(restored, window);
    assert_eq!(PerformanceWindow::restore(values, 7, window.best()), window, "the newest count");
}

#[test]
fn a_wait_after_any_number_of_failures_is_soon_known() {
    let cap = Duration::from_secs(3_600);
    assert_eq!(Backoff::new(Duration::from_secs(1), cap).wait(u32::MAX), cap);
    assert_eq!(Backoff::new(Duration::ZERO, cap).wait(u32::MAX), Duration::ZERO);
}

#[test]
fn only_so_many_reports_are_counted_for_the_median() {
    let rule = MedianRule { reports_min: 1, others_min: 1 };
    let mut contest = Contest::new(&contest(2, Some(rule)));
    let live = contest.start(None, Timestamp::default(), Lease::new(1));
    for step in 0..=MedianRule::REPORTS_MAX as u64 {
        assert!(contest.report(live[0], None, Timestamp::default(), step, Some(score(50))));
    }
    let candidate = contest.by_lease(live[0]).unwrap();
    assert_eq!(candidate.means.len(), MedianRule::REPORTS_MAX);
    assert_eq!(candidate.standing.window.reports(), 1 + MedianRule::REPORTS_MAX as u64);
}

#[test]
fn what_a_candidate_reaches_with_is_counted_for_the_median_once_and_only_then() {
    let rule = MedianRule { reports_min: 1, others_min: 1 };
    for (median, counted) in [(Some(rule), 1), (None, 0)] {
        let mut contest = Contest::new(&contest(2, median));
        let live = contest.start(None, Timestamp::default(), Lease::new(1));
        for _ in 0..2 {
            assert!(contest.reach(live[0], None, Timestamp::default(), 4, score(95)));
            assert_eq!(contest.by_lease(live[0]).unwrap().means.len(), counted);
        }
    }
}

#[test]
fn decisions_say_the_same_when_verdict_and_reasons_are() {
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 10 }).with_cooldown(secs(60));
    let fired = History { fired_at: Some(Timestamp::default()), ..History::default() };
    let decide = |seconds: i64, history: &History, total| {
        let now = Timestamp::from_millis(seconds * 1_000);
        rule.decide(now, history, Observation { total, lists: None }, None)
    };
    let train = decide(60, &fired, 10);
    let aged = RetrainRule { max_interval: Some(secs(60)), ..rule };
    let by_age =
        aged.decide(Timestamp::from_millis(60_000), &fired, Observation { total: 1, lists: None }, None);
    let [count, cooldown, both] = [decide(60, &fired, 9), decide(1, &fired, 10), decide(1, &fired, 9)];
    let all = [train, by_age, count, cooldown, both];
    for (n, one) in all.iter().enumerate() {
        for (m, other) in all.iter().enumerate() {
            assert_eq!(one.says_the_same(other), n == m, "{one} / {other}");
        }
    }
    assert!(decide(2, &fired, 3).says_the_same(&decide(1, &fired, 9)), "whatever the numbers");
}

#[test]
fn age_brings_nothing_back_that_has_not_grown() {
    let rule = RetrainRule::new(Trigger::Fresh { at_least: 10 }).with_max_interval(secs(60));
    let history = History { watermark: Some(5), fired_at: Some(Timestamp::default()), ..History::default() };
    let reconsider_at = |total| {
        let decision =
            rule.decide(Timestamp::from_millis(1), &history, Observation { total, lists: None }, None);
        decision.reconsider_at()
    };
    assert_eq!(reconsider_at(6), Some(Timestamp::from_millis(60_000)));
    assert_eq!(reconsider_at(5), None);
    assert_eq!(reconsider_at(4), None);
}

#[test]
fn lists_are_the_root_rounded_to_a_power_of_two() {
    for (vectors, lists) in [
        (0, 1),
        (1, 1),
        (2, 2),
        (7, 2),
        (8, 4),
        (31, 4),
        (32, 8),
        (10_000, 128),
        ((1 << 31) - 1, 32_768),
        (1 << 31, LISTS_MAX),
        (1 << 33, LISTS_MAX),
        (u64::MAX, LISTS_MAX),
    ] {
        assert_eq!(optimal_lists(vectors), lists, "{vectors}");
    }
}

#[test]
fn the_most_lists_need_a_total_that_is_known() {
    let rule = RetrainRule::new(Trigger::OptimalLists { above: 0 });
    let needed = |lists| rule.needed(Timestamp::default(), &History::default(), Some(lists));
    assert_eq!(needed(LISTS_MAX - 1), Some(1 << 31));
    assert_eq!(needed(LISTS_MAX / 2), Some(1 << 31));
    assert_eq!(needed(LISTS_MAX / 2 - 1), Some(1 << 29));
    assert_eq!(needed(LISTS_MAX), None);
    assert_eq!(needed(u64::MAX), None);
    assert_eq!(needed(0), Some(0));
}
