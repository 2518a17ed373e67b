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

/// Hundredths, at the newest step.
fn report(contest: &mut Contest, lease: Lease, value: u8) {
    let taken =
        contest.report(lease, None, Timestamp::from_millis(1), 1, Some(score(f64::from(value) / 100.0)));
    assert!(taken);
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

    /// With any rule: nobody who has done at least as well as everybody else is stopped, whatever the means say.
    #[test]
    fn nobody_at_the_top_falls_behind(
        count in 1_u128..6,
        reports in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..=85), 0..60),
        (reports_min, others_min) in (0_u32..4, 0_u32..4),
    ) {
        let (mut contest, live) = started(count, Some(MedianRule { reports_min, others_min }));
        for (who, value) in reports {
            report(&mut contest, live[who.index(live.len())], value);
            let top = contest.candidates.iter().map(|candidate| candidate.standing.window.best()).max().unwrap();
            for candidate in contest.candidates.iter().filter(|one| one.standing.window.best() == top) {
                prop_assert!(!contest.falls_behind(candidate.lease().unwrap()), "{:?}", contest);
            }
        }
    }

    /// The last one hopelessly bad: it is stopped from the report on at which there are enough others to compare
    /// with and enough of its own, and not before.
    #[test]
    fn nobody_is_stopped_beside_too_few(
        others in prop::collection::vec(0_usize..6, 0..6), own in 1_usize..6, (reports_min, others_min) in (0_u32..6, 0_u32..6),
    ) {
        let (mut contest, live) = started(others.len() as u128 + 1, Some(MedianRule { reports_min, others_min }));
        for (lease, reports) in live.iter().zip(&others) {
            (0..*reports).for_each(|_| report(&mut contest, *lease, 80));
        }
        let last = *live.last().unwrap();
        (0..own).for_each(|_| report(&mut contest, last, 1));
        let as_far = others.iter().filter(|reports| **reports >= own).count();
        let enough = own >= reports_min as usize && as_far >= others_min as usize && as_far > 0;
        prop_assert_eq!(contest.falls_behind(last), enough);
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter(
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        reports in prop::collection::vec((0_usize..5, 0_u8..=85), 0..60),
        (reports_min, others_min) in (0_u32..4, 0_u32..4),
    ) {
        let rule = Some(MedianRule { reports_min, others_min });
        let ((mut plain, leases), (mut mixed, places)) = (started(5, rule), started(5, rule));
        for (who, value) in reports {
            report(&mut plain, leases[who], value);
            report(&mut mixed, places[order[who]], value);
            for who in 0..5 {
                prop_assert_eq!(plain.falls_behind(leases[who]), mixed.falls_behind(places[order[who]]), "{}", who);
            }
        }
    }

    /// Off unless it is asked for.
    #[test]
    fn without_a_rule_nobody_falls_behind(
        reports in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..=85), 0..60),
    ) {
        let (mut contest, live) = started(4, None);
        for (who, value) in reports {
            report(&mut contest, live[who.index(live.len())], value);
            prop_assert!(!live.iter().any(|lease| contest.falls_behind(*lease)));
        }
        prop_assert!(contest.candidates.iter().all(|candidate| candidate.means.is_empty()), "nor is anything kept for it");
    }

    /// Steps only grow in what is kept: the n-th mean is that of the n-th report that was taken.
    #[test]
    fn a_report_about_an_older_step_is_no_report(
        reports in prop::collection::vec((0_u64..9, 0_u8..=85), 0..40),
    ) {
        let (mut contest, live) = started(2, Some(MedianRule { reports_min: 1, others_min: 1 }));
        let (mut newest, mut naive) = (0, Vec::new());
        for (step, value) in reports {
            let value = f64::from(value) / 100.0;
            let taken = contest.report(live[0], None, Timestamp::from_millis(1), step, Some(score(value)));
            prop_assert_eq!(taken, step >= newest);
            if taken {
                newest = step;
                naive.push(value);
            }
            let candidate = &contest.candidates[0];
            prop_assert_eq!(candidate.means.len(), naive.len());
            prop_assert_eq!(candidate.standing.window.reports(), naive.len() as u64);
            prop_assert_eq!(candidate.standing.step, newest);
            if let Some(mean) = candidate.means.last() {
                let count = f64::from(u32::try_from(naive.len()).unwrap());
                prop_assert!((mean.get() - naive.iter().sum::<f64>() / count).abs() < 1e-9);
            }
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
