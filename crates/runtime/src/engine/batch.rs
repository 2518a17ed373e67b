//! What is asked in one turn, and by whom.

use trainyard_core::Command;

use crate::call::Reply;

/// The commands of a turn, and whom to answer. Each reply takes as many answers as it was pushed with commands.
#[derive(Default)]
pub(crate) struct Batch {
    pub(super) commands: Vec<Command>,
    pub(super) replies: Vec<Reply>,
}

impl Batch {
    pub(crate) fn push(&mut self, command: Command, reply: Reply) {
        debug_assert_eq!(reply.commands(), 1);
        self.commands.push(command);
        self.replies.push(reply);
    }

    pub(super) fn push_all(&mut self, commands: Vec<Command>, reply: Reply) {
        debug_assert_eq!(reply.commands(), commands.len());
        self.commands.extend(commands);
        self.replies.push(reply);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}
