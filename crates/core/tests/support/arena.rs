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
    /// It has reached the target and is done, and another has reached it before.
    HandedOver,
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
    /// The step of the newest value, and whether the present run has shown it.
    pub shown: Option<(u64, bool)>,
    /// The newest lease under which it has reached the target; 0 before the first.
    pub reached_in: u64,
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
    /// Who has reached the target and is not out, in that order.
    pub order: Vec<usize>,
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
            shown: None,
            reached_in: 0,
            mark: None,
            mark_since: 0,
            checkpoint: None,
        };
        let mut arena = Self {
            now: 0,
            parent: Parent::Waiting { held: false },
            parts: vec![part; count],
            order: vec![],
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
            part.shown = part.shown.map(|(step, _)| (step, false));
            self.live.insert(n);
        }
    }

    pub fn is_in(&self, n: usize) -> bool {
        matches!(self.parent, Parent::Running { .. }) && self.parts[n].at == At::Running
    }

    /// A run tells of a step, and perhaps of a value there.
    fn tell(&mut self, n: usize, step: u64, value: Option<u8>) {
        self.heard = self.now;
        let part = &mut self.parts[n];
        let said_before = value.is_some() && part.shown == Some((step, false));
        if step < part.step || said_before {
            part.mark_since = self.now; // it catches up
            return;
        }
        part.step = step;
        value.into_iter().for_each(|value| self.show(n, value));
    }

    /// It is at the target, at whatever step.
    fn reach(&mut self, n: usize, step: u64, value: u8) {
        self.heard = self.now;
        if !self.is_known(n, step, value) {
            self.parts[n].step = self.parts[n].step.max(step);
            self.show(n, value);
        }
        self.parts[n].reached_in = self.parts[n].lease;
        if !self.order.contains(&n) {
            self.order.push(n);
        }
    }

    fn is_known(&self, n: usize, step: u64, value: u8) -> bool {
        step <= self.parts[n].step && self.parts[n].values.last() == Some(&value)
    }

    fn has_reached(&self, n: usize) -> bool {
        self.parts[n].reached_in == self.parts[n].lease
    }

    fn show(&mut self, n: usize, value: u8) {
        let (now, stall) = (self.now, self.stall);
        let part = &mut self.parts[n];
        part.values.push(value);
        part.shown = Some((part.step, true));
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
        match value.filter(|value| *value >= TARGET) {
            Some(_) if self.has_reached(n) => return Reply::TargetReached,
            Some(value) => self.reach(n, step, value),
            None => self.tell(n, step, value),
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

    /// `end` is `None` for a run that was told to stop; a value at the target counts for a run that completed, whatever
    /// its step.
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
                    if value < TARGET {
                        self.tell(n, step.max(self.parts[n].step), Some(value));
                    } else if !(self.has_reached(n) && self.is_known(n, step, value)) {
                        self.reach(n, step, value);
                    }
                }
                if !self.has_reached(n) {
                    self.put_out(n, End::Stalled, true);
                } else if self.order[0] == n {
                    self.live.remove(&n);
                    self.win(n);
                } else {
                    self.parts[n].at = At::HandedOver;
                    self.leave(n);
                }
            }
            Some(end) => self.put_out(n, end, true),
        }
        Reply::Taken
    }

    fn win(&mut self, n: usize) {
        self.parts[n].at = At::Ended(End::Won, self.now);
        self.over(End::Won);
    }

    fn put_out(&mut self, n: usize, end: End, stopped: bool) {
        self.parts[n].at = At::Ended(end, self.now);
        self.order.retain(|other| *other != n);
        if let Some(first) = self.order.first().copied().filter(|n| self.parts[*n].at == At::HandedOver) {
            if stopped {
                self.live.remove(&n);
            }
            self.win(first);
            return;
        }
        let ends: Option<Vec<End>> = self
            .parts
            .iter()
            .map(|part| match part.at {
                At::Ended(end, _) => Some(end),
                At::Pending | At::Running | At::HandedOver => None,
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
            if matches!(part.at, At::Pending | At::Running | At::HandedOver) {
                part.at = At::Ended(rest, self.now);
            }
        }
        self.order.clear();
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
                let late: Vec<usize> = self.without_the_target();
                let more = if late.is_empty() && !self.order.is_empty() { GRACE } else { 0 };
                due.extend(self.time.map(|limit| (since + (limit - self.ran).max(0) + more, 0, 0)));
                if let Some((_, within)) = self.stall {
                    let late = late.iter().map(|n| &self.parts[*n]);
                    due.extend(late.map(|part| (part.mark_since + within, 1, part.lease)));
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

    fn without_the_target(&self) -> Vec<usize> {
        let running = (0..self.parts.len()).filter(|n| self.parts[*n].at == At::Running);
        running.filter(|n| !self.order.contains(n)).collect()
    }

    /// The time is over; who has reached the target has its grace more.
    fn time_is_over(&mut self) {
        let late = self.without_the_target();
        if self.order.is_empty() {
            self.over(End::TimedOut);
        } else if !late.is_empty() {
            late.into_iter().for_each(|n| self.parts[n].at = At::Ended(End::TimedOut, self.now));
        } else {
            match self.order.iter().copied().find(|n| self.parts[*n].at == At::HandedOver) {
                Some(first) => self.win(first),
                None => self.over(End::TimedOut),
            }
        }
    }

    pub fn next_deadline(&self) -> Option<i64> {
        self.due().map(|(at, ..)| at)
    }

    pub fn tick(&mut self, now: i64) {
        self.now = now;
        while let Some((_, what, lease)) = self.due().filter(|(at, ..)| *at <= now) {
            match what {
                0 => self.time_is_over(),
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
