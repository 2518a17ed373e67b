//! A shorter list of facts that rebuilds the same yard.

use std::sync::Arc;

use crate::{Event, Fact, Restored};

use super::Yard;

impl Yard {
    /// Facts that, applied to an empty yard, rebuild this one. There are as many as there are things in the books,
    /// however long the log was.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Fact> {
        let counters = Restored::Counters { order: self.next_order, lease: self.last_lease };
        let queues = self
            .queues
            .iter()
            .map(|(name, queue)| Restored::Queue { name: name.clone(), queue: queue.clone() });
        let nodes = self.nodes.iter().map(|(id, node)| Restored::Node { id: *id, node: node.clone() });
        let rules = self
            .rules
            .iter()
            .map(|(subject, rule)| Restored::Rule { subject: subject.clone(), rule: rule.clone() });
        let models = self.registries.values().flat_map(|registry| {
            registry.models.iter().map(|id| Restored::Model {
                model: Arc::clone(&self.models[id]),
                active: registry.active == Some(*id),
            })
        });
        let jobs = self.jobs.values().map(|job| Restored::Job((**job).clone()));
        let restored =
            std::iter::once(counters).chain(queues).chain(nodes).chain(rules).chain(models).chain(jobs);
        let restored = restored.map(|restored| Event::Restored(Box::new(restored)));
        std::iter::once(Event::Configured(self.settings))
            .chain(restored)
            .map(|event| Fact { at: self.now, event })
            .collect()
    }
}
