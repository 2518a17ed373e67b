//! Which calls can be learned from.

use crate::{LlmCall, Trajectory};

impl LlmCall {
    /// Whether it can be learned from: without the white space around them, the system prompt, the user prompt and the
    /// response have 8 characters or more each.
    ///
    /// ```
    /// use trainyard_trajectories::LlmCall;
    ///
    /// assert!(LlmCall::new("You help.", "What is it?", "It is a sieve.").is_usable());
    /// assert!(!LlmCall::new("You help.", "What is it?", "  A sieve.  ").with_response(" sieve ").is_usable());
    /// ```
    #[must_use]
    pub fn is_usable(&self) -> bool {
        [&self.system_prompt, &self.user_prompt, &self.response]
            .into_iter()
            .all(|text| text.trim().chars().nth(CHARS_MIN - 1).is_some())
    }

    /// The same call with another answer.
    #[must_use]
    pub fn with_response(self, response: impl Into<String>) -> Self {
        Self { response: response.into(), ..self }
    }
}

impl Trajectory {
    /// The calls that can be learned from, in order. Each is an example.
    pub fn usable_calls(&self) -> impl Iterator<Item = &LlmCall> {
        self.calls.iter().filter(|call| call.is_usable())
    }
}

const CHARS_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_characters_are_enough_in_any_script() {
        let eight = "ёёёёёёёё";
        let call = LlmCall::new(eight, eight, eight);
        assert!(call.is_usable());
        let seven = " \u{3000}ёёёёёёё\n";
        assert!(!call.clone().with_response(seven).is_usable());
        assert!(!LlmCall { system_prompt: seven.to_owned(), ..call.clone() }.is_usable());
        assert!(!LlmCall { user_prompt: String::new(), ..call }.is_usable());
    }
}
