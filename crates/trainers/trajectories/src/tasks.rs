//! What calls are for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{LlmCall, Trajectory};

/// What a call to a model is for, as far as prompts are improved for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    /// Whether to answer at all.
    ShouldRespond,
    /// Which parts of what is known belong to a request.
    ContextRouting,
    /// What to do next.
    ActionPlanner,
    /// What to say.
    Response,
    /// What is to be seen or heard.
    MediaDescription,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ShouldRespond,
        Self::ContextRouting,
        Self::ActionPlanner,
        Self::Response,
        Self::MediaDescription,
    ];

    /// How agents call it; also a part of file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ShouldRespond => "should_respond",
            Self::ContextRouting => "context_routing",
            Self::ActionPlanner => "action_planner",
            Self::Response => "response",
            Self::MediaDescription => "media_description",
        }
    }

    /// What a purpose or a kind of call says when it is for this task.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Self::ShouldRespond => &["should_respond", "response_handler", "shouldrespond"],
            Self::ContextRouting => &[],
            Self::ActionPlanner => &["action_planner", "planner", "runtime_use_model"],
            Self::Response => &["response", "reply"],
            Self::MediaDescription => &["media_description", "image_description", "describe_"],
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Task {
    type Err = UnknownTask;

    fn from_str(text: &str) -> Result<Self, UnknownTask> {
        Self::ALL.into_iter().find(|task| task.as_str() == text).ok_or(UnknownTask)
    }
}

/// No task is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of should_respond, context_routing, action_planner, response and media_description")]
pub struct UnknownTask;

impl LlmCall {
    /// What it says it is for, by its purpose and its kind; a call may be for several tasks, or for none.
    ///
    /// ```
    /// use trainyard_trajectories::{LlmCall, Task};
    ///
    /// let mut call = LlmCall::new("You decide.", "Hello?", "RESPOND");
    /// call.purpose = Some("RESPONSE_HANDLER".to_owned());
    /// assert!(call.tasks().into_iter().eq([Task::ShouldRespond, Task::Response]));
    /// ```
    #[must_use]
    pub fn tasks(&self) -> BTreeSet<Task> {
        let said = [self.purpose.as_deref(), self.kind()].map(|text| text.unwrap_or("").to_lowercase());
        let is_marked =
            |task: &Task| task.marks().iter().any(|mark| said.iter().any(|said| said.contains(mark)));
        let mut tasks: BTreeSet<Task> = Task::ALL.into_iter().filter(is_marked).collect();
        if self.response.contains(Task::ContextRouting.as_str()) {
            tasks.insert(Task::ContextRouting);
        }
        tasks
    }
}

impl Trajectory {
    /// What its calls are for, each task once. When no call says so, but there are steps or calls, it is a response.
    #[must_use]
    pub fn tasks(&self) -> BTreeSet<Task> {
        let mut tasks: BTreeSet<Task> = self.calls.iter().flat_map(LlmCall::tasks).collect();
        if tasks.is_empty() && !(self.steps.is_empty() && self.calls.is_empty()) {
            tasks.insert(Task::Response);
        }
        tasks
    }

    /// The calls that can be learned from for a task, in order: those that say so, or all when no call says anything.
    pub fn calls_for(&self, task: Task) -> impl Iterator<Item = &LlmCall> {
        self.numbered_calls_for(task).map(|(_, call)| call)
    }

    /// The same, each with its number among all calls, from 0.
    pub(crate) fn numbered_calls_for(&self, task: Task) -> impl Iterator<Item = (usize, &LlmCall)> {
        let nobody_says = self.calls.iter().all(|call| call.tasks().is_empty());
        let is_for = move |call: &LlmCall| {
            if nobody_says { task == Task::Response } else { call.tasks().contains(&task) }
        };
        self.calls.iter().enumerate().filter(move |(_, call)| call.is_usable() && is_for(call))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Step;

    fn call(purpose: &str, kind: &str, response: &str) -> LlmCall {
        let mut call = LlmCall::new("You are an agent.", "What is next?", response);
        call.purpose = Some(purpose.to_owned());
        call.metadata.insert("callKind".to_owned(), json!(kind));
        call
    }

    fn check(purpose: &str, kind: &str, response: &str, tasks: &[Task]) {
        let found: Vec<Task> = call(purpose, kind, response).tasks().into_iter().collect();
        assert_eq!(found, tasks, "{purpose:?}, {kind:?}, {response:?}");
    }

    #[test]
    fn purpose_and_kind_say_what_a_call_is_for() {
        use Task::{ActionPlanner, ContextRouting, MediaDescription, Response, ShouldRespond};
        check("should_respond", "", "", &[ShouldRespond]);
        check("", "messageShouldRespond", "", &[ShouldRespond]);
        check("Response_Handler", "", "", &[ShouldRespond, Response]);
        check("ACTION_PLANNER", "", "", &[ActionPlanner]);
        check("my planner 2", "", "", &[ActionPlanner]);
        check("other", "runtime_use_model", "", &[ActionPlanner]);
        check("image_description", "", "", &[MediaDescription]);
        check("DESCRIBE_AUDIO", "", "", &[MediaDescription]);
        check("reply", "", "", &[Response]);
        check("response", "media_description", "", &[Response, MediaDescription]);
        check("should_respond", "", "{\"context_routing\": {}}", &[ShouldRespond, ContextRouting]);
        check("evaluation", "", "context_routing: wallet", &[ContextRouting]);
        check("evaluation", "", "nothing of it", &[]);
        // the purpose alone does not make it one: its answer has to route
        check("context_routing", "", "wallet", &[]);
        // the end of one name and the beginning of the other are no name
        check("should_", "respond", "", &[]);
        check("", "", "", &[]);
    }

    #[test]
    fn a_trajectory_counts_once_for_each_task() {
        let mut trajectory = Trajectory::new("t".parse().unwrap());
        assert!(trajectory.tasks().is_empty(), "nothing was done");
        trajectory.steps.push(Step::new(serde_json::Map::new()));
        assert!(trajectory.tasks().into_iter().eq([Task::Response]), "a step is an answer if nothing else");
        trajectory.calls = vec![call("planner", "", "long enough"); 3];
        trajectory.calls.push(call("evaluation", "", "long enough"));
        assert!(trajectory.tasks().into_iter().eq([Task::ActionPlanner]));
        assert_eq!(trajectory.calls_for(Task::ActionPlanner).count(), 3);
        assert_eq!(trajectory.calls_for(Task::Response).count(), 0);
        trajectory.calls = vec![call("evaluation", "", "long enough"), call("x", "", "short")];
        assert_eq!(trajectory.calls_for(Task::Response).count(), 1);
    }

    #[test]
    fn tasks_are_found_by_their_names() {
        for task in Task::ALL {
            assert_eq!(task.to_string().parse(), Ok(task));
        }
        assert_eq!("Response".parse::<Task>(), Err(UnknownTask));
    }
}
