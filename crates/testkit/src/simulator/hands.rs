//! What works on the nodes, and what it does.

use trainyard_core::{Advice, Checkpoint, Command, Failure, ModelId, Reason, Reference, Run, RunEnd, Score};

use super::calendar::Happening;
use super::checker::Breach;
use super::faults::Fault;
use super::node::Hand;
use super::trainer::{Act, Deed, Scene, Steady, TrainerModel};
use super::world::World;

impl World {
    pub(super) fn begin(&mut self, node: usize, run: Run, hand: Hand) {
        self.nodes[node].hands.insert(run, hand);
        self.act_next(node, run);
    }

    /// Asks what a run does next, and puts it into the calendar.
    pub(super) fn act_next(&mut self, node: usize, run: Run) {
        if let Some(act) = self.ask(node, run, |trainer, scene| Some(trainer.next(scene))) {
            self.put_act(node, run, act);
        }
    }

    /// A run is told to stop.
    pub(super) fn tell_to_stop(&mut self, node: usize, run: Run) {
        match self.ask(node, run, |trainer, scene| trainer.told_to_stop(scene)) {
            Some(act) => self.put_act(node, run, act),
            None => self.report.faults.add(Fault::IgnoredStop),
        }
    }

    fn put_act(&mut self, node: usize, run: Run, act: Act) {
        let Some(hand) = self.nodes[node].hands.get_mut(&run) else { return };
        hand.token += 1;
        hand.deed = Some(act.deed);
        let token = hand.token;
        self.calendar.put(self.now.after(act.after), Happening::Act { node, run, token });
    }

    fn ask(
        &mut self,
        node: usize,
        run: Run,
        asked: impl FnOnce(&mut dyn TrainerModel, &mut Scene<'_>) -> Option<Act>,
    ) -> Option<Act> {
        let other = self.trainers.pick(self.runs.newest()).copied();
        let hand = self.nodes[node].hands.get_mut(&run)?;
        let mut scene = Scene {
            now: self.now,
            run,
            kind: &hand.kind,
            subject: &hand.subject,
            parameters: &hand.parameters,
            watermark: hand.watermark,
            attempt: hand.attempt,
            candidate: hand.candidate,
            step: hand.step,
            acts: hand.acts,
            is_told_to_stop: hand.is_told,
            memory: &mut hand.memory,
            other,
            chance: &mut self.trainers,
        };
        // Once everything is to end, everybody does as they should, whatever they did before.
        if self.calm_since.is_some() {
            return asked(&mut Steady::default(), &mut scene);
        }
        asked(&mut *self.trainer, &mut scene)
    }

    /// A run has done what it was about to.
    pub(super) fn act(&mut self, node: usize, run: Run, token: u64) -> Result<bool, Breach> {
        let Some(hand) = self.nodes[node].hands.get_mut(&run) else { return Ok(false) };
        if hand.token != token || !hand.is_attached {
            return Ok(false);
        }
        let Some(deed) = hand.deed.take() else { return Ok(false) };
        hand.acts = hand.acts.saturating_add(1);
        match deed {
            Deed::Report { step, performance } => {
                hand.step = step;
                match performance.map(Score::new).transpose() {
                    Ok(performance) => self.call(node, Command::Report { run, step, performance }, false),
                    Err(_) => self.report.faults.add(Fault::NotANumber),
                }
            }
            Deed::Checkpoint { step } => {
                let checkpoint = Checkpoint { reference: Reference::new("there"), step };
                self.call(node, Command::Checkpoint { run, checkpoint }, false);
            }
            Deed::Finish(end) => {
                let model = ModelId::from_u128(self.id());
                self.end(node, run, end.told(model));
                return Ok(true);
            }
            Deed::Panic => {
                self.report.faults.add(Fault::Panic);
                let failure = Failure { reason: Reason::new("panicked"), advice: Advice::Retry };
                self.end(node, run, RunEnd::Failed(failure));
                return Ok(true);
            }
            Deed::Hang => {
                self.report.faults.add(Fault::Hang);
                // One whose slot was given away is never heard of again.
                if self.nodes[node].hands.get(&run).is_some_and(|hand| hand.is_given_up) {
                    self.nodes[node].hands.remove(&run);
                }
                return Ok(true);
            }
            Deed::Say(command) => {
                self.report.faults.add(Fault::Lie);
                self.call(node, command, false);
            }
            Deed::KillNode => {
                self.report.faults.add(Fault::KilledNode);
                self.kill(node)?;
                return Ok(true);
            }
        }
        self.act_next(node, run);
        Ok(true)
    }

    fn end(&mut self, node: usize, run: Run, end: RunEnd) {
        self.nodes[node].hands.remove(&run);
        self.call(node, Command::Finish { run, end }, false);
    }
}
