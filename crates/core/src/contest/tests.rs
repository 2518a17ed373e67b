use proptest::prelude::*;

use super::*;

fn score(value: f64) -> Score {
    Score::new(value).unwrap()
}

fn scores(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Score>> {
    prop::collection::vec((0_u8..=20).prop_map(|value| score(f64::from(value) / 20.0)), count)
}

fn contest(candidates: u128, median: Option<MedianRule>) -> Contest {
    let candidates = (1..=candidates).map(|n| Entrant {
        id: CandidateId::from_u128(n),
        label: Label::new(format!("algorithm {n}")).unwrap(),
        parameters: Parameters::default(),
    });
    Contest::new(&ContestPlan { target: score(0.9), candidates: candidates.collect(), median })
}

fn started(candidates: u128, median: Option<MedianRule>) -> (Contest, Vec<Lease>) {
    let mut contest = contest(candidates, median);
    let live = contest.start(None, Timestamp::from_millis(0), Lease::new(10));
    (contest, live)
}

/// One of each outcome, in the order in which they decide about the whole.
fn outcomes() -> [Outcome; 6] {
    [
        Outcome::Completed { model: None },
        Outcome::TimedOut(TimedOut::Running),
        Outcome::Stalled,
        Outcome::Cancelled { reason: Reason::new("enough") },
        Outcome::Failed { reason: Reason::new("broke") },
        Outcome::Superseded,
    ]
}

proptest! {
    #[test]
    fn the_rule_is_that_more_than_half_of_the_others_are_above(
        reports in 0_u64..6, reports_min in 0_u32..4, others_min in 0_u32..4, best in 0_u8..=20, others in scores(0..8),
    ) {
        let best = score(f64::from(best) / 20.0);
        let rule = MedianRule { reports_min, others_min };
        let enough = reports >= u64::from(reports_min) && others.len() >= others_min as usize && !others.is_empty();
        let above = others.iter().filter(|other| **other > best).count();
        prop_assert_eq!(rule.stops(reports, best, &others), enough && above > others.len() / 2);
    }

    #[test]
    fn whoever_is_better_is_not_stopped_sooner(best in 0_u8..=20, more in 0_u8..=20, others in scores(0..8)) {
        let rule = MedianRule { reports_min: 0, others_min: 1 };
        let [worse, better] = [best, best.saturating_add(more)].map(|value| score(f64::from(value) / 20.0));
        prop_assert!(rule.stops(1, worse, &others) || !rule.stops(1, better, &others));
        prop_assert_eq!(rule.stops(1, worse, &others), rule.stops(1, worse, &others.iter().rev().copied().collect::<Vec<_>>()));
    }

    /// Reports in any order; after each one the rule is compared with means that are summed up anew.
    #[test]
    fn falling_behind_is_measured_at_the_same_report(
        count in 2_u128..6,
        reports in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..=85), 0..60),
        reports_min in 0_u32..4,
        others_min in 0_u32..4,
        ended in any::<prop::sample::Index>(),
    ) {
        let rule = MedianRule { reports_min, others_min };
        let (mut contest, live) = started(count, Some(rule));
        let mut naive: Vec<Vec<f64>> = vec![Vec::new(); live.len()];
        for (n, (who, value)) in reports.iter().enumerate() {
            if n == 20 {
                // Who is out still counts for the others.
                contest.end(live[ended.index(live.len())], Outcome::Stalled, Timestamp::from_millis(5));
            }
            let who = who.index(live.len());
            let value = f64::from(*value) / 100.0;
            let is_in = contest.by_lease(live[who]).is_some();
            contest.report(live[who], None, Timestamp::from_millis(1), 1, Some(score(value)));
            if !is_in {
                continue;
            }
            naive[who].push(value);
            let seen = naive[who].len();
            let best = naive[who].iter().copied().fold(f64::MIN, f64::max);
            let others: Vec<f64> = naive
                .iter()
                .enumerate()
                .filter(|(other, values)| *other != who && values.len() >= seen)
                .map(|(_, values)| values[..seen].iter().sum::<f64>() / f64::from(u32::try_from(seen).unwrap()))
                .collect();
            if others.iter().any(|mean| (mean - best).abs() < 1e-9) {
                continue; // two ways to sum may differ in the last bit
            }
            let above = others.iter().filter(|mean| **mean > best).count();
            let enough = seen >= reports_min as usize && others.len() >= others_min.max(1) as usize;
            prop_assert_eq!(contest.falls_behind(live[who]), enough && above > others.len() / 2);
        }
    }

    #[test]
    fn the_best_never_falls_behind(
        count in 1_u128..6,
        reports in prop::collection::vec((any::<prop::sample::Index>(), any::<f64>()), 0..60),
    ) {
        let (mut contest, live) = started(count, Some(MedianRule { reports_min: 0, others_min: 0 }));
        for (who, value) in reports {
            let Ok(value) = Score::new(value) else { continue };
            contest.report(live[who.index(live.len())], None, Timestamp::from_millis(1), 1, Some(value));
            let best = contest.candidates.iter().max_by_key(|candidate| candidate.standing.window.best()).unwrap();
            prop_assert!(!contest.falls_behind(best.lease().unwrap()), "{:?}", contest);
        }
    }

    #[test]
    fn an_interruption_keeps_what_was_shown(
        values in prop::collection::vec(0_u8..=85, 0..12), at in 1_i64..100_000, later in 0_i64..100_000,
    ) {
        let rule = StallRule { gain: crate::Gain::Performance(score(0.02)), within: std::time::Duration::from_secs(9) };
        let mut contest = contest(2, Some(MedianRule { reports_min: 99, others_min: 99 }));
        let first = contest.start(Some(&rule), Timestamp::from_millis(0), Lease::new(10));
        for value in &values {
            contest.report(first[0], Some(&rule), Timestamp::from_millis(at), 3, Some(score(f64::from(*value) / 100.0)));
        }
        contest.end(first[1], Outcome::Stalled, Timestamp::from_millis(at));
        let before = contest.clone();
        contest.interrupt(None);
        prop_assert_eq!(&contest.candidates[0].phase, &CandidatePhase::Pending);
        prop_assert_eq!(&contest.candidates[0].standing, &before.candidates[0].standing);
        let now = Timestamp::from_millis(at + later);
        let second = contest.start(Some(&rule), now, Lease::new(20));
        prop_assert_eq!(second, vec![Lease::new(21)]);
        prop_assert_eq!(&contest.candidates[1], &before.candidates[1], "who is out is not started");
        let (mark, old) = (contest.candidates[0].standing.mark.unwrap(), before.candidates[0].standing.mark.unwrap());
        prop_assert_eq!((mark.performance, mark.step, mark.since), (old.performance, old.step, now));
        prop_assert_eq!(&contest.candidates[0].standing.window, &before.candidates[0].standing.window);
        prop_assert_eq!(&contest.candidates[0].means, &before.candidates[0].means);
    }
}

#[test]
fn the_whole_is_decided_by_a_total_rule() {
    let all = outcomes();
    for picks in (0..all.len().pow(3)).map(|n| [n % 6, n / 6 % 6, n / 36]) {
        let (mut contest, live) = started(3, None);
        for (n, pick) in picks.iter().enumerate() {
            assert_eq!(contest.verdict(), None, "while somebody is in");
            contest.end(live[n], all[*pick].clone(), Timestamp::from_millis(1));
        }
        let strongest = *picks.iter().min().unwrap();
        let verdict = contest.verdict().unwrap();
        if let Outcome::Failed { reason } = verdict {
            assert!(strongest >= 4, "{picks:?}");
            assert_eq!(reason.as_str().matches("algorithm").count(), 3, "every cause is named: {reason}");
        } else {
            assert_eq!(verdict, all[strongest], "{picks:?}");
        }
        assert_eq!(contest.champion().is_some(), strongest == 0);
    }
}

#[test]
fn who_is_out_stays_as_it_is() {
    for outcome in outcomes() {
        let (mut contest, live) = started(2, None);
        contest.end(live[0], outcome, Timestamp::from_millis(1));
        let before = contest.candidates[0].clone();
        contest.end(live[0], Outcome::Stalled, Timestamp::from_millis(2));
        contest.report(live[0], None, Timestamp::from_millis(2), 9, Some(score(0.5)));
        contest.interrupt(Some(live[0]));
        contest.interrupt(None);
        contest.finish(&Outcome::Completed { model: None }, Timestamp::from_millis(3));
        assert_eq!(contest.candidates[0], before);
        let superseded =
            CandidatePhase::Ended { outcome: Outcome::Superseded, at: Timestamp::from_millis(3) };
        assert_eq!(contest.candidates[1].phase, superseded);
    }
}

#[test]
fn the_end_of_the_whole_is_that_of_everybody_left() {
    for outcome in outcomes() {
        let (mut contest, _) = started(2, None);
        contest.finish(&outcome, Timestamp::from_millis(3));
        let part = if outcome.is_completed() { Outcome::Superseded } else { outcome };
        assert!(contest.candidates.iter().all(|candidate| candidate.outcome() == Some(&part)));
    }
}
