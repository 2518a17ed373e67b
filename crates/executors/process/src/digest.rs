//! Everything that a process has said, in one value.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Event, MARK, MODEL, Place, Taken, Told, What};
use crate::formats::{Reader, Reading};
use crate::lines::plain;
use crate::verdict::{Finish, Heard};
use crate::{Seen, telemetry};

/// What was said so far. It changes nothing outside: what follows from it is for whoever holds it.
#[derive(Debug)]
pub(crate) struct Digest {
    reader: Reader,
    taken: Taken,
    seen: Seen,
    has_news: bool,
    /// The best performance since somebody last asked, and its step.
    peak: Option<(Option<u64>, f64)>,
    checkpoint: Option<(u64, Place)>,
    artifacts: BTreeMap<String, Place>,
    last_artifact: Option<String>,
    metrics: BTreeMap<String, f64>,
    heard: Heard,
    last_lines: VecDeque<String>,
    malformed: u64,
}

impl Digest {
    pub(crate) fn new(reader: Reader) -> Self {
        Self {
            reader,
            taken: Taken::default(),
            seen: Seen::default(),
            has_news: false,
            peak: None,
            checkpoint: None,
            artifacts: BTreeMap::new(),
            last_artifact: None,
            metrics: BTreeMap::new(),
            heard: Heard::Nothing,
            last_lines: VecDeque::new(),
            malformed: 0,
        }
    }

    /// Takes in a line that was printed. Gives what is to be shown of it.
    pub(crate) fn printed(&mut self, bytes: &[u8], was_cut: bool) -> Option<String> {
        if let Some(event) = bytes.strip_prefix(MARK) {
            return self.event(event, was_cut);
        }
        let line = plain(bytes);
        if let Some(reading) = self.reader.line(&line) {
            self.read(reading);
        }
        self.show(line)
    }

    /// Takes in what was printed and then written over.
    pub(crate) fn redrawn(&mut self, bytes: &[u8]) {
        if let Some(reading) = self.reader.redrawn(&plain(bytes)) {
            self.read(reading);
        }
    }

    /// Takes in a line of the events' file. Gives what is to be shown of it.
    pub(crate) fn event(&mut self, bytes: &[u8], was_cut: bool) -> Option<String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        if was_cut {
            self.refuse(&"it is too long");
            return None;
        }
        match Event::parse(bytes) {
            Ok(event) if self.taken.take(event.seq) => self.take(event.what),
            Ok(_) => None,
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    /// Where it stands, if that is news.
    pub(crate) fn news(&mut self) -> Option<&Seen> {
        std::mem::take(&mut self.has_news).then_some(&self.seen)
    }

    /// The best performance of those that were not asked for, unless the newest is as good: of several within a moment
    /// only the newest is told, but none that may have reached a target is left out.
    pub(crate) fn peak(&mut self) -> Option<(u64, f64)> {
        let (step, performance) = self.peak.take()?;
        self.seen.performance.is_some_and(|newest| newest < performance).then_some((step?, performance))
    }

    /// The newest checkpoint that was not taken yet.
    pub(crate) fn checkpoint(&mut self) -> Option<(u64, Place)> {
        self.checkpoint.take()
    }

    /// What it hands over: the artifact that is named `model`, else the last.
    pub(crate) fn artifact(&self) -> Option<&Place> {
        let last = self.last_artifact.as_ref().and_then(|name| self.artifacts.get(name));
        self.artifacts.get(MODEL).or(last)
    }

    /// What it has measured, with the last losses unless it has said others at the end.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let losses = [("loss", self.seen.loss), ("val_loss", self.seen.val_loss)];
        let losses = losses.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        losses.chain(self.metrics.clone()).collect()
    }

    /// Where a known program says that its result is.
    pub(crate) fn saved(&self) -> Option<&str> {
        self.seen.saved.as_deref()
    }

    pub(crate) const fn heard(&self) -> &Heard {
        &self.heard
    }

    /// How many lines were meant to be events and are none.
    pub(crate) const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The last lines, to end the reason of a failure with.
    pub(crate) fn tail(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        let mut bytes = 0;
        for line in self.last_lines.iter().rev() {
            bytes += line.len() + 1;
            if bytes > TAIL_BYTES && !lines.is_empty() {
                break;
            }
            lines.push(&line[line.ceil_char_boundary(line.len().saturating_sub(TAIL_BYTES))..]);
        }
        lines.reverse();
        if lines.is_empty() { String::new() } else { format!("; its last lines:\n{}", lines.join("\n")) }
    }

    fn take(&mut self, what: What) -> Option<String> {
        if self.heard == Heard::Nothing {
            self.heard = Heard::Something;
        }
        match what {
            What::Started | What::Unknown => {}
            What::Progress(told) => self.progress(told),
            What::Log(message) => return self.show(message),
            What::Checkpoint { step, file } => self.checkpoint = Some((step, file)),
            What::Artifact { name, file } => {
                if self.artifacts.len() < ARTIFACTS_MAX || self.artifacts.contains_key(&name) {
                    self.artifacts.insert(name.clone(), file);
                    self.last_artifact = Some(name);
                } else {
                    self.refuse(&"there are too many artifacts");
                }
            }
            What::Finished { outcome, metrics, message } => {
                self.metrics = metrics;
                self.heard = Heard::Finished(Finish { outcome, message });
            }
        }
        None
    }

    fn progress(&mut self, told: Told) {
        let Told { step, total, phase, message, metrics } = told;
        let metric = |name: &str, before: Option<f64>| metrics.get(name).copied().or(before);
        let seen = std::mem::take(&mut self.seen);
        self.seen = Seen {
            loss: metric("loss", seen.loss),
            val_loss: metric("val_loss", seen.val_loss),
            performance: metric("performance", seen.performance),
            step: step.or(seen.step),
            total: total.or(seen.total),
            phase: phase.or(seen.phase),
            message: message.or(seen.message),
            fraction: seen.fraction,
            saved: seen.saved,
        };
        if let Some(performance) = metrics.get("performance")
            && self.peak.is_none_or(|(_, best)| best < *performance)
        {
            self.peak = Some((self.seen.step, *performance));
        }
        self.has_news = true;
    }

    fn read(&mut self, reading: Reading) {
        let seen = std::mem::take(&mut self.seen);
        self.seen = Seen {
            step: reading.step.or(seen.step),
            total: reading.total.or(seen.total),
            fraction: reading.fraction.or(seen.fraction),
            phase: reading.phase.map(str::to_owned).or(seen.phase),
            loss: reading.loss.or(seen.loss),
            val_loss: reading.val_loss.or(seen.val_loss),
            saved: reading.saved.or(seen.saved),
            message: seen.message,
            performance: seen.performance,
        };
        self.has_news = true;
    }

    fn show(&mut self, line: String) -> Option<String> {
        if self.last_lines.len() == LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line.clone());
        Some(line)
    }

    fn refuse(&mut self, why: &dyn std::fmt::Display) {
        self.malformed += 1;
        if self.malformed <= LOGGED_MAX {
            telemetry::line_refused(self.malformed, why);
        }
    }
}

/// How many artifacts one run may name.
const ARTIFACTS_MAX: usize = 64;
/// How many lines may be in the reason of a failure.
const LINES: usize = 20;
/// How many bytes of lines, so that they fit into one.
const TAIL_BYTES: usize = 700;
/// How many refused lines of one run are logged; all are counted.
const LOGGED_MAX: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Format;
    use proptest::prelude::*;

    fn digest() -> Digest {
        Digest::new(Reader::new([Format::Mlx, Format::Transformers]))
    }

    #[test]
    fn an_event_that_comes_by_both_ways_counts_once() {
        let mut digest = digest();
        let line = br#"{"seq":1,"kind":"log","message":"hello"}"#;
        assert_eq!(digest.event(line, false).as_deref(), Some("hello"));
        assert_eq!(digest.printed(&[MARK, line].concat(), false), None);
        assert_eq!(digest.heard(), &Heard::Something);
    }

    #[test]
    fn lines_that_are_no_events_are_counted_and_do_no_harm() {
        let mut digest = digest();
        for line in [&b"{"[..], b"\xff\xfe", br#"{"kind":"artifact"}"#] {
            assert_eq!(digest.event(line, false), None);
        }
        assert_eq!(digest.event(b"{}", true), None);
        assert_eq!(digest.event(b"", false), None);
        assert_eq!((digest.malformed(), digest.heard()), (4, &Heard::Nothing));
        digest.event(br#"{"kind":"progress","step":1,"total":2}"#, false);
        assert_eq!(digest.news().map(|seen| (seen.step, seen.total)), Some((Some(1), Some(2))));
        assert_eq!(digest.news(), None);
    }

    #[test]
    fn a_stock_command_line_needs_no_events() {
        let mut digest = digest();
        digest.printed(b"Iter 10: Train loss 2.345, Learning Rate 1.000e-05", false);
        let seen = digest.news().unwrap();
        assert_eq!((seen.step, seen.loss), (Some(10), Some(2.345)));
        assert_eq!(digest.heard(), &Heard::Nothing, "so its exit code speaks for it");
        assert_eq!(digest.metrics(), BTreeMap::from([("loss".to_owned(), 2.345)]));
    }

    #[test]
    fn the_best_of_a_moment_is_not_lost() {
        let mut digest = digest();
        for (step, performance) in [(1, 0.2), (2, 0.9), (3, 0.4)] {
            let line =
                format!(r#"{{"kind":"progress","step":{step},"metrics":{{"performance":{performance}}}}}"#);
            digest.event(line.as_bytes(), false);
        }
        assert_eq!(digest.peak(), Some((2, 0.9)));
        assert_eq!(digest.peak(), None);
        digest.event(br#"{"kind":"progress","step":4,"metrics":{"performance":0.5}}"#, false);
        assert_eq!(digest.peak(), None, "it is the newest");
    }

    #[test]
    fn the_artifact_named_model_becomes_the_model() {
        let mut digest = digest();
        let uri = |digest: &Digest| digest.artifact().map(|place| place.uri.clone());
        for (line, uris) in [
            (r#"{"kind":"artifact","name":"plot","uri":"p"}"#, "p"),
            (r#"{"kind":"artifact","name":"table","uri":"t"}"#, "t"),
            (r#"{"kind":"artifact","uri":"m"}"#, "m"),
            (r#"{"kind":"artifact","name":"plot","uri":"q"}"#, "m"),
        ] {
            digest.event(line.as_bytes(), false);
            assert_eq!(uri(&digest).as_deref(), Some(uris));
        }
    }

    #[test]
    fn the_tail_fits_into_a_reason() {
        let mut digest = digest();
        assert_eq!(digest.tail(), "");
        (0..40).for_each(|n| drop(digest.printed(format!("line {n}").as_bytes(), false)));
        assert!(digest.tail().starts_with("; its last lines:\nline 20\n"));
        digest.printed("é".repeat(2_000).as_bytes(), false);
        assert!(digest.tail().len() < TAIL_BYTES + 30);
    }

    proptest! {
        #[test]
        fn nothing_that_is_printed_breaks_it(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            marked in any::<bool>(),
        ) {
            let mut digest = digest();
            for line in &lines {
                let line = if marked { [MARK, line].concat() } else { line.clone() };
                let _ = digest.printed(&line, false);
            }
            prop_assert!(digest.last_lines.len() <= LINES);
        }
    }
}
