//! A naive model of one contest that is alone in its yard: what a patient person with a pencil would write down.
//! Scores are hundredths, times milliseconds.

use std::collections::BTreeSet;

use trainyard_core::Outcome;

pub const TARGET: u8 = 90;
pub const GRACE: i64 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Won,
    TimedOut,
    Stalled,
    Cancelled,
    Failed,
    Superseded,
}

impl From<&Outcome> for End {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Completed { .. } => Self::Won,
            Outcome::TimedOut(_) => Self::TimedOut,
            Outcome::Stalled => Self::Stalled,
            Outcome::Cancelled { .. } => Self::Cancelled,
            Outcome::Failed { .. } => Self::Failed,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Pending,
    Running,
    Ended(End, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    Waiting { held: bool },
    Running { since: i64 },
    Over(End, i64),
}

#[derive(Debug, Clone)]
pub struct Part {
    pub at: At,
    /// The newest lease it ran under; 0 before the first.
    pub lease: u64,
    /// The newest step it has told of; what it says about older ones it has said before.
    pub step: u64,
    pub values: Vec<u8>,
    pub mark: Option<u8>,
    pub mark_since: i64,
    pub checkpoint: Option<u64>,
}

/// What the model says a command should be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Taken,
    Fenced,
    TargetReached,
    Over,
    NotWaiting,
    NotHeld,
}

/// The contest by hand.
#[derive(Debug, Clone)]
pub struct Arena {
    pub now: i64,
    pub parent: Parent,
    pub parts: Vec<Part>,
    pub live: BTreeSet<usize>,
    pub drain_until: i64,
    pub last_lease: u64,
    pub ran: i64,
    pub crashes: u8,
    pub heard: i64,
    pub time: Option<i64>,
    pub stall: Option<(u8, i64)>,
}

impl Arena {
    pub fn new(count: usize, time: Option<i64>, stall: Option<(u8, i64)>) -> Self {
        let part = Part {
            at: At::Pending,
            lease: 0,
            step: 0,
            values: vec![],
            mark: None,
            mark_since: 0,
            checkpoint: None,
        };
        let mut arena = Self {
            now: 0,
            parent: Parent::Waiting { held: false },
            parts: vec![part; count],
            live: BTreeSet::new(),
            drain_until: 0,
            last_lease: 0,
            ran: 0,
            crashes: 0,
            heard: 0,
            time,
            stall,
        };
        arena.start();
        arena
    }

    fn start(&mut self) {
        if self.parent != (Parent::Waiting { held: false }) {
            return;
        }
        self.parent = Parent::Running { since: self.now };
        self.heard = self.now;
        self.last_lease += 1;
        for (n, part) in self.parts.iter_mut().enumerate().filter(|(_, part)| part.at == At::Pending) {
            self.last_lease += 1;
            part.lease = self.last_lease;
            part.at = At::Running;
            part.mark_since = self.now;
            self.live.insert(n);
        }
    }

    pub fn is_in(&self, n: usize) -> bool {
        matches!(self.parent, Parent::Running { .. }) && self.parts[n].at == At::Running
    }

    fn show(&mut self, n: usize, value: u8) {
        self.heard = self.now;
        let (now, stall) = (self.now, self.stall);
        let part = &mut self.parts[n];
        part.values.push(value);
        if let Some((gain, _)) = stall {
            match part.mark {
                None => part.mark = Some(value),
                Some(mark) if value >= mark + gain => (part.mark, part.mark_since) = (Some(value), now),
                Some(_) => {}
            }
        }
    }

    pub fn report(&mut self, n: usize, step: u64, value: Option<u8>) -> Reply {
        if !self.is_in(n) {
            return Reply::Fenced;
        }
        if value.is_some_and(|value| value >= TARGET) {
            return Reply::TargetReached;
        }
        self.heard = self.now;
        if step >= self.parts[n].step {
            self.parts[n].step = step;
            value.into_iter().for_each(|value| self.show(n, value));
        }
        Reply::Taken
    }

    pub fn checkpoint(&mut self, n: usize, step: u64) -> Reply {
        if !self.is_in(n) {
            return Reply::Fenced;
        }
        self.heard = self.now;
        if self.parts[n].checkpoint.replace(step).is_none_or(|last| step > last) {
            self.crashes = 0;
        }
        Reply::Taken
    }

    /// `end` is `None` for a run that was told to stop; a value counts for a run that completed, whatever its step.
    pub fn finish(&mut self, n: usize, end: Option<End>, last: Option<(u64, u8)>) -> Reply {
        if !self.live.contains(&n) {
            return Reply::Fenced;
        }
        if !self.is_in(n) {
            self.leave(n);
            return Reply::Taken;
        }
        match end {
            None => {
                self.parts[n].at = At::Pending;
                self.leave(n);
            }
            Some(End::Won) => {
                if let Some((step, value)) = last {
                    self.parts[n].step = self.parts[n].step.max(step);
                    self.show(n, value);
                }
                if last.is_some_and(|(_, value)| value >= TARGET) {
                    self.parts[n].at = At::Ended(End::Won, self.now);
                    self.live.remove(&n);
                    self.over(End::Won);
                } else {
                    self.put_out(n, End::Stalled, true);
                }
            }
            Some(end) => self.put_out(n, end, true),
        }
        Reply::Taken
    }

    fn put_out(&mut self, n: usize, end: End, stopped: bool) {
        self.parts[n].at = At::Ended(end, self.now);
        let ends: Option<Vec<End>> = self
            .parts
            .iter()
            .map(|part| match part.at {
                At::Ended(end, _) => Some(end),
                At::Pending | At::Running => None,
            })
            .collect();
        match ends {
            Some(ends) => {
                if stopped {
                    self.live.remove(&n);
                }
                let order = [End::Won, End::TimedOut, End::Stalled, End::Cancelled];
                let verdict = order.into_iter().find(|end| ends.contains(end)).unwrap_or(End::Failed);
                self.over(verdict);
            }
            None if stopped => self.leave(n),
            None => {}
        }
    }

    /// A thread has gone; with the last one an unfinished contest goes back into line, and starts at once.
    fn leave(&mut self, n: usize) {
        self.live.remove(&n);
        if self.live.is_empty() && matches!(self.parent, Parent::Running { .. }) {
            self.interrupt(self.now, true);
            self.start();
        }
    }

    /// Back into line; held after the third time in a row that nobody asked for.
    fn interrupt(&mut self, ended: i64, counts: bool) {
        if let Parent::Running { since } = self.parent {
            self.crashes += u8::from(counts);
            let held = counts && self.crashes == 3;
            if held {
                self.crashes = 0;
            }
            self.ran += (ended - since).max(0);
            self.parent = Parent::Waiting { held };
            self.live.clear();
            for part in self.parts.iter_mut().filter(|part| part.at == At::Running) {
                part.at = At::Pending;
            }
        }
    }

    fn over(&mut self, end: End) {
        self.parent = Parent::Over(end, self.now);
        let rest = if end == End::Won { End::Superseded } else { end };
        for part in &mut self.parts {
            if matches!(part.at, At::Pending | At::Running) {
                part.at = At::Ended(rest, self.now);
            }
        }
        self.drain_until = self.now + GRACE;
    }

    pub fn cancel(&mut self) -> Reply {
        if let Parent::Over(..) = self.parent {
            return Reply::Over;
        }
        self.over(End::Cancelled);
        Reply::Taken
    }

    pub fn hold(&mut self) -> Reply {
        match &mut self.parent {
            Parent::Waiting { held } => {
                *held = true;
                self.crashes = 0;
                Reply::Taken
            }
            Parent::Running { .. } | Parent::Over(..) => Reply::NotWaiting,
        }
    }

    pub fn unhold(&mut self) -> Reply {
        match self.parent {
            Parent::Waiting { held: true } => {
                self.parent = Parent::Waiting { held: false };
                self.start();
                Reply::Taken
            }
            Parent::Waiting { held: false } => Reply::NotHeld,
            Parent::Running { .. } | Parent::Over(..) => Reply::NotWaiting,
        }
    }

    /// The process died, and another one has opened the journal.
    pub fn crash(&mut self) {
        self.gone(self.heard, true);
    }

    /// The process was shut down, and another one has opened the journal.
    pub fn restart(&mut self) {
        self.gone(self.now, false);
    }

    fn gone(&mut self, ended: i64, counts: bool) {
        self.live.clear();
        self.interrupt(ended, counts);
        self.start();
        self.heard = self.now;
    }

    /// What is due first, time limits before stalls before threads that are given up.
    fn due(&self) -> Option<(i64, u8, u64)> {
        let mut due = Vec::new();
        match self.parent {
            Parent::Running { since } => {
                due.extend(self.time.map(|limit| (since + (limit - self.ran).max(0), 0, 0)));
                if let Some((_, within)) = self.stall {
                    let running = self.parts.iter().filter(|part| part.at == At::Running);
                    due.extend(running.map(|part| (part.mark_since + within, 1, part.lease)));
                }
                for part in self.live.iter().map(|n| &self.parts[*n]) {
                    if let At::Ended(_, at) = part.at {
                        due.push((at + GRACE, 2, part.lease));
                    }
                }
            }
            Parent::Over(..) if !self.live.is_empty() => due.push((self.drain_until, 2, 0)),
            Parent::Over(..) | Parent::Waiting { .. } => {}
        }
        due.into_iter().min()
    }

    pub fn next_deadline(&self) -> Option<i64> {
        self.due().map(|(at, ..)| at)
    }

    pub fn tick(&mut self, now: i64) {
        self.now = now;
        while let Some((_, what, lease)) = self.due().filter(|(at, ..)| *at <= now) {
            match what {
                0 => self.over(End::TimedOut),
                1 => {
                    let n = self.parts.iter().position(|part| part.at == At::Running && part.lease == lease);
                    self.put_out(n.expect("it is the lease of somebody"), End::Stalled, false);
                }
                _ if lease > 0 => {
                    let n = self.live.iter().copied().find(|n| self.parts[*n].lease == lease);
                    self.leave(n.expect("it is the lease of somebody"));
                }
                _ => self.live.clear(),
            }
        }
    }
}
