//! News as people see them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::{News, Watch};

/// Where news are written.
///
/// On a terminal the line of a training that goes on is written over and over; elsewhere it is a line now and then.
#[derive(Debug)]
pub struct Terminal<W> {
    out: W,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Whether the line that the cursor is in may be written over.
    Screen { is_open: bool },
    /// The last line about something passing, and when it was written.
    Log { passing: Option<(News, Instant)> },
}

impl<W: Write> Terminal<W> {
    /// A terminal, with a cursor that can go back.
    pub fn screen(out: W) -> Self {
        Self { out, kind: Kind::Screen { is_open: false } }
    }

    /// A file or a pipe.
    pub fn log(out: W) -> Self {
        Self { out, kind: Kind::Log { passing: None } }
    }

    /// Writes all news until there are none any more.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn show(&mut self, watch: Watch) -> io::Result<()> {
        for news in watch {
            self.tell(&news)?;
        }
        match self.kind {
            Kind::Screen { is_open: true } => writeln!(self.out),
            Kind::Screen { is_open: false } | Kind::Log { .. } => Ok(()),
        }
    }

    fn tell(&mut self, news: &News) -> io::Result<()> {
        match &mut self.kind {
            Kind::Screen { is_open } => {
                write!(self.out, "\r\x1b[K{news}")?;
                *is_open = news.is_passing();
                if !*is_open {
                    writeln!(self.out)?;
                }
            }
            Kind::Log { passing } => {
                let now = Instant::now();
                let is_told = |(last, at): &(News, Instant)| {
                    last.is_about_same(news) && now.duration_since(*at) < PASSING_EVERY
                };
                if passing.as_ref().is_some_and(is_told) {
                    return Ok(());
                }
                *passing = news.is_passing().then(|| (news.clone(), now));
                writeln!(self.out, "{news}")?;
            }
        }
        self.out.flush()
    }
}

const PASSING_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use trainyard_core::Progress;

    use super::*;
    use crate::news::What;

    fn news() -> [News; 4] {
        let news = |what| News::new("a", what);
        let step =
            |step| What::Stands(Progress::step(step, 100).with_phase("kmeans").with_loss(12.5).unwrap());
        [
            news(What::Stands(Progress::default().with_phase("seeding"))),
            news(step(1)),
            news(step(2)),
            news(What::Trained { lists: "128".to_owned() }),
        ]
    }

    fn written(mut terminal: Terminal<Vec<u8>>) -> String {
        news().iter().for_each(|news| terminal.tell(news).unwrap());
        String::from_utf8(terminal.out).unwrap()
    }

    #[test]
    fn a_screen_shows_one_line_that_changes() {
        assert_eq!(
            written(Terminal::screen(Vec::new())),
            "\r\x1b[Ktraining \"a\": seeding\
             \r\x1b[Ktraining \"a\": kmeans 1 of at most 100, loss 1.250000e1\
             \r\x1b[Ktraining \"a\": kmeans 2 of at most 100, loss 1.250000e1\
             \r\x1b[Ktrained \"a\": 128 lists\n"
        );
    }

    #[test]
    fn a_log_has_the_first_line_of_every_phase_and_the_last() {
        let log = written(Terminal::log(Vec::new()));
        assert_eq!(
            log,
            "training \"a\": seeding\n\
             training \"a\": kmeans 1 of at most 100, loss 1.250000e1\n\
             trained \"a\": 128 lists\n"
        );
    }
}
