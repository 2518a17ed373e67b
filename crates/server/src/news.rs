//! What can happen to a training, as a line.

use std::fmt;

use trainyard_core::{Outcome, Progress, Score};

/// Something that happened to a training, or to what is done for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    name: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// Of an index: it goes on.
    Stands(Progress),
    /// Of an index: it is trained.
    Trained { lists: String },
    /// Of an index: there was nothing to do.
    NothingToDo,
    /// Of an index: it ended otherwise.
    Ended(Outcome),
    /// Of a contest: somebody has shown something.
    Contest(Vec<Standing>),
    /// Of a contest: somebody has won.
    Won { code: String, performance: Option<Score> },
    /// Of a contest: nobody has.
    Unwon(Outcome),
    /// Of a dataset: its data is ready, or is not.
    Data(Outcome),
    /// Of a prediction: it is made, or is not.
    Prediction(Outcome),
    /// Of a group of photos: it is trained.
    Portrait { quality: Option<Score> },
    /// Of a photo: it can be trained on, or cannot.
    Look(Outcome),
    /// Of an agent: it is trained.
    Agent,
    /// Of any: it was cut short.
    GoesOnLater(String),
}

/// Where a candidate of a contest stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) code: String,
    pub(crate) performance: Option<Score>,
    pub(crate) ended: Option<Outcome>,
}

impl News {
    pub(crate) fn new(name: impl Into<String>, what: What) -> Self {
        Self { name: name.into(), what }
    }

    /// Whether there will be more of it soon.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self.what {
            What::Stands(_) | What::Contest(_) => true,
            What::Trained { .. }
            | What::NothingToDo
            | What::Ended(_)
            | What::Won { .. }
            | What::Unwon(_)
            | What::Data(_)
            | What::Prediction(_)
            | What::Portrait { .. }
            | What::Look(_)
            | What::Agent
            | What::GoesOnLater(_) => false,
        }
    }

    /// Whether both are about the same phase of the same training.
    pub(crate) fn is_about_same(&self, other: &Self) -> bool {
        if let (What::Contest(one), What::Contest(two)) = (&self.what, &other.what) {
            let out = |standings: &[Standing]| standings.iter().filter(|one| one.ended.is_some()).count();
            return self.name == other.name && out(one) == out(two);
        }
        if let (What::Stands(one), What::Stands(two)) = (&self.what, &other.what) {
            return self.name == other.name && one.phase == two.phase;
        }
        false
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.what {
            What::Stands(progress) => {
                write!(f, "training {name:?}")?;
                if let Some(phase) = &progress.phase {
                    write!(f, ": {phase}")?;
                }
                if progress.total > 0 {
                    write!(f, " {} of at most {}", progress.step, progress.total)?;
                }
                progress.loss.map_or(Ok(()), |loss| write!(f, ", loss {:.6e}", loss.get()))
            }
            What::Trained { lists } => write!(f, "trained {name:?}: {lists} lists"),
            What::NothingToDo => write!(f, "nothing to train in {name:?}"),
            What::Ended(outcome) => write!(f, "training {name:?} ended: {outcome}"),
            What::Contest(standings) => {
                write!(f, "contest {name:?}:")?;
                standings.iter().enumerate().try_for_each(|(place, standing)| {
                    write!(f, "{} {standing}", if place == 0 { "" } else { "," })
                })
            }
            What::Won { code, performance } => {
                write!(f, "contest {name:?} won by {code}")?;
                performance.map_or(Ok(()), |performance| write!(f, " with {:.4}", performance.get()))
            }
            What::Unwon(outcome) => write!(f, "contest {name:?} ended without a winner: {outcome}"),
            What::Data(Outcome::Completed { .. }) => write!(f, "the data of {name:?} is ready"),
            What::Data(outcome) => write!(f, "the data of {name:?} is not ready: {outcome}"),
            What::Prediction(Outcome::Completed { .. }) => write!(f, "prediction {name} is made"),
            What::Prediction(outcome) => write!(f, "prediction {name} is not made: {outcome}"),
            What::Portrait { quality } => {
                write!(f, "trained {name:?}")?;
                quality.map_or(Ok(()), |quality| write!(f, ": quality {:.3}", quality.get()))
            }
            What::Look(Outcome::Completed { .. }) => write!(f, "the photo {name:?} can be trained on"),
            What::Look(outcome) => write!(f, "the photo {name:?} cannot be trained on: {outcome}"),
            What::Agent => write!(f, "trained an agent on {name:?}"),
            What::GoesOnLater(reason) => write!(f, "training {name:?} goes on later: {reason}"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, performance, ended } = self;
        f.write_str(code)?;
        if let Some(performance) = performance {
            write!(f, " {:.4}", performance.get())?;
        }
        match ended {
            None if performance.is_none() => f.write_str(" -"),
            None => Ok(()),
            Some(Outcome::Completed { .. }) => f.write_str(" (won)"),
            Some(Outcome::Failed { .. }) => f.write_str(" (failed)"),
            Some(outcome) => write!(f, " ({outcome})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use trainyard_core::Reason;

    use super::*;

    #[test]
    fn a_contest_is_a_line() {
        let score = |value| Some(Score::new(value).unwrap());
        let standing =
            |code: &str, performance, ended| Standing { code: code.to_owned(), performance, ended };
        let failed = Outcome::Failed { reason: Reason::new("out of memory") };
        let standings = vec![
            standing("BSEV01", score(0.91), None),
            standing("BFIF01", score(0.7), Some(Outcome::Stalled)),
            standing("BSIX01", None, Some(failed)),
            standing("BSEV02", None, None),
        ];
        let later = standings[..2].to_vec();
        let news = News::new("iris", What::Contest(standings));
        assert_eq!(
            news.to_string(),
            "contest \"iris\": BSEV01 0.9100, BFIF01 0.7000 (stalled), BSIX01 (failed), BSEV02 -"
        );
        assert!(news.is_passing() && news.is_about_same(&news.clone()));
        assert!(!news.is_about_same(&News::new("iris", What::Contest(later))), "somebody is out");
        assert!(!news.is_about_same(&News::new("other", news.what.clone())));
        let won = News::new("iris", What::Won { code: "BSEV02".to_owned(), performance: score(0.95) });
        assert_eq!(won.to_string(), "contest \"iris\" won by BSEV02 with 0.9500");
        assert!(!won.is_passing());
    }
}
