//! When a retrain rule may fire, in the words of its documentation.

use trainyard_core::{Admission, Decision, Outcome, RetrainRule, Switch, Template, Timestamp, Trigger};

#[derive(Debug)]
pub(super) struct RuleBook {
    pub(super) rule: RetrainRule,
    pub(super) admission: Admission,
    seen: Option<u64>,
    fired_at: Option<Timestamp>,
    failures: u32,
    failed_at: Option<Timestamp>,
}

impl RuleBook {
    /// A rule in the place of another one keeps what that remembered.
    pub(super) fn set(former: Option<Self>, rule: RetrainRule, template: &Template) -> Self {
        let admission = template.admission;
        match former {
            Some(former) => Self { rule, admission, ..former },
            None => Self { rule, admission, seen: None, fired_at: None, failures: 0, failed_at: None },
        }
    }

    pub(super) fn remember(&mut self, outcome: &Outcome, watermark: Option<u64>, at: Timestamp) {
        if outcome.is_completed() {
            self.seen = self.seen.max(watermark);
            (self.failures, self.failed_at) = (0, None);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = Some(at);
        }
    }

    /// It fires. `waiting_for` is the most that a run which is not over yet has seen.
    pub(super) fn fire(
        &mut self,
        at: Timestamp,
        decision: &Decision,
        unfinished: usize,
        waiting_for: Option<u64>,
    ) -> Result<(), String> {
        let RetrainRule { trigger, cooldown, max_interval, backoff, switch } = self.rule;
        let total = decision.observation.total;
        if switch == Switch::Off {
            return Err("it is switched off".into());
        }
        if let Some(fired) = self.fired_at.filter(|fired| at < fired.after(cooldown)) {
            return Err(format!("it fired at {fired:?}, its cooldown is {cooldown:?}, and it is {at:?}"));
        }
        if let Some(failed) = self.failed_at {
            let mut wait = backoff.first();
            for _ in 1..self.failures.min(64) {
                wait = wait.saturating_mul(2).min(backoff.cap());
            }
            let ready = failed.after(wait.min(backoff.cap()));
            if at < ready {
                return Err(format!(
                    "run {} failed at {failed:?}, and {ready:?} is not yet there",
                    self.failures
                ));
            }
        }
        let is_trailing = self.admission == Admission::Trail;
        if unfinished > 0 && !is_trailing {
            return Err(format!("{unfinished} jobs of its subject are not over"));
        }
        let seen = if is_trailing { self.seen.max(waiting_for) } else { self.seen };
        if seen.is_some_and(|seen| total <= seen) {
            return Err(format!("a run has seen {seen:?}, and there are {total}"));
        }
        let is_old = match (max_interval, self.fired_at) {
            (Some(interval), Some(fired)) => at >= fired.after(interval),
            (Some(_) | None, _) => false,
        };
        if !is_old && !suffices(trigger, total, decision.observation.lists, seen.unwrap_or(0)) {
            return Err(format!(
                "{:?} is not enough for {trigger:?}, of which {seen:?} was seen",
                decision.observation
            ));
        }
        self.fired_at = Some(at);
        Ok(())
    }
}

fn suffices(trigger: Trigger, total: u64, lists: Option<u64>, seen: u64) -> bool {
    match (trigger, lists) {
        (Trigger::PerList { first, .. }, None) => total >= first,
        (Trigger::PerList { threshold, .. }, Some(lists)) => {
            u128::from(total) > u128::from(lists) * u128::from(threshold)
        }
        (Trigger::OptimalLists { above } | Trigger::Floor { above }, None) => total > above,
        (Trigger::OptimalLists { .. }, Some(lists)) => {
            // The square root, rounded to a power of two.
            let mut suiting = 1_u64;
            while suiting < 65_536 && u128::from(total) >= u128::from(suiting) * u128::from(suiting) * 2 {
                suiting *= 2;
            }
            suiting > lists
        }
        (Trigger::Floor { .. }, Some(_)) => false,
        (Trigger::Fresh { at_least }, _) => total.saturating_sub(seen) >= at_least.max(1),
    }
}
