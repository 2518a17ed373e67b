//! The language model that is asked, and how one is reached.

mod endpoint;
mod error;
mod http;
mod patience;
mod wire;

use serde::{Deserialize, Serialize};

pub use self::endpoint::{Api, ApiKey, BadEndpoint, Endpoint};
pub use self::error::ModelError;
pub use self::http::HttpModel;
pub use self::patience::Patience;

/// Something that answers in words. [`HttpModel`] is one; a program may bring its own.
pub trait LanguageModel: Send + Sync {
    /// Which model it is. Answers that were paid for are found again by it: whatever may answer otherwise has another
    /// name.
    fn name(&self) -> &str;

    /// Answers one request. It may take its time; meanwhile it asks now and then whether to stop, and then returns soon.
    ///
    /// # Errors
    /// [`ModelError`] when there is no answer, after whatever retries it makes.
    fn complete(&self, request: &Request, stop: &dyn Fn() -> bool) -> Result<Completion, ModelError>;
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The system prompt.
    pub system: String,
    /// What was said, oldest first.
    pub messages: Vec<Message>,
    /// 0 for the likeliest answer; more for more variety.
    pub temperature: f64,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// Which of several answers to the same question. It is passed on to the model, and tells answers that were paid
    /// for apart, so a model that does not heed it may answer otherwise for each number, too.
    pub seed: u32,
}

impl Request {
    /// One question of a user under a system prompt: the likeliest answer, of 512 tokens at most.
    pub fn new(system: impl Into<String>, user: impl Into<String>) -> Self {
        let messages = vec![Message { role: Role::User, text: user.into() }];
        Self { system: system.into(), messages, temperature: 0.0, max_tokens: 512, seed: 0 }
    }
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// By whom.
    pub role: Role,
    /// What.
    pub text: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

/// What a model has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The words.
    pub text: String,
    /// What the question took; estimated where the model does not say.
    pub prompt_tokens: u32,
    /// What the answer took; estimated where the model does not say.
    pub completion_tokens: u32,
}

impl Completion {
    /// What both took.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        u64::from(self.prompt_tokens) + u64::from(self.completion_tokens)
    }
}
