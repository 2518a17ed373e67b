//! The words of both APIs.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{Api, Completion, Request, Role};
use crate::tokens::tokens;

/// The body of a question.
pub(super) fn question(api: Api, model: &str, request: &Request) -> Value {
    let mut messages = Vec::with_capacity(request.messages.len() + 1);
    if !request.system.is_empty() {
        messages.push(json!({ "role": "system", "content": request.system }));
    }
    for message in &request.messages {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        messages.push(json!({ "role": role, "content": message.text }));
    }
    let Request { temperature, max_tokens, seed, .. } = request;
    match api {
        Api::OpenAi => json!({
            "model": model, "messages": messages, "stream": false,
            "temperature": temperature, "max_tokens": max_tokens, "seed": seed,
        }),
        Api::Ollama => json!({
            "model": model, "messages": messages, "stream": false,
            "options": { "temperature": temperature, "num_predict": max_tokens, "seed": seed },
        }),
    }
}

/// What an answer says, or what is wrong with it. Counts that are missing, 0 (as of a question that the server had at
/// hand) or beyond all reason are estimated, so that a budget holds whatever a server says.
pub(super) fn answer(api: Api, request: &Request, body: &[u8]) -> Result<Completion, &'static str> {
    let (text, prompt, completion) = match api {
        Api::OpenAi => {
            let answer: OpenAiAnswer = read(body)?;
            let choice = answer.choices.into_iter().next().ok_or("an answer without a choice")?;
            let usage = answer.usage.unwrap_or_default();
            (choice.message.content, usage.prompt_tokens, usage.completion_tokens)
        }
        Api::Ollama => {
            let answer: OllamaAnswer = read(body)?;
            (answer.message.content, answer.prompt_eval_count, answer.eval_count)
        }
    };
    // A model that only calls tools says nothing.
    let text = text.unwrap_or_default();
    let asked =
        || request.messages.iter().fold(tokens(&request.system), |sum, said| sum + tokens(&said.text));
    let counted = |said: Option<u64>, estimate: &dyn Fn() -> u64| {
        let said = said.filter(|count| (1..=TOKENS_MAX).contains(count));
        u32::try_from(said.unwrap_or_else(estimate)).unwrap_or(u32::MAX)
    };
    let prompt_tokens = counted(prompt, &asked);
    let completion_tokens = counted(completion, &|| tokens(&text));
    Ok(Completion { text, prompt_tokens, completion_tokens })
}

/// What an error says, if it is of one of the usual shapes.
pub(super) fn complaint(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error").unwrap_or(&body);
    let text = error.as_str().or_else(|| error.get("message")?.as_str())?;
    Some(text.to_owned())
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, &'static str> {
    match serde_json::from_slice(body) {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_data() => Err("json without an answer in it"),
        Err(_) => Err("something that is no json"),
    }
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    message: Said,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

/// No call takes more.
const TOKENS_MAX: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    fn request() -> Request {
        let mut request = Request::new("be brief", "and you?");
        let said = |role, text: &str| Message { role, text: text.into() };
        request.messages.insert(0, said(Role::Assistant, "well"));
        request.messages.insert(0, said(Role::User, "how are you?"));
        Request { temperature: 0.5, max_tokens: 9, seed: 3, ..request }
    }

    #[test]
    fn a_question_is_asked_in_the_words_of_its_api() {
        let messages = json!([
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "how are you?" },
            { "role": "assistant", "content": "well" },
            { "role": "user", "content": "and you?" },
        ]);
        assert_eq!(
            question(Api::OpenAi, "m", &request()),
            json!({ "model": "m", "messages": messages, "stream": false, "temperature": 0.5, "max_tokens": 9,
                "seed": 3 })
        );
        assert_eq!(
            question(Api::Ollama, "m", &request()),
            json!({ "model": "m", "messages": messages, "stream": false,
                "options": { "temperature": 0.5, "num_predict": 9, "seed": 3 } })
        );
        let bare = question(Api::Ollama, "m", &Request::new("", "hello"));
        assert_eq!(bare["messages"], json!([{ "role": "user", "content": "hello" }]));
    }

    #[test]
    fn answers_of_both_are_read() {
        let openai = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},
            "finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":1,"total_tokens":13}}"#;
        let ollama = br#"{"model":"m","message":{"role":"assistant","content":"fine"},"done":true,
            "prompt_eval_count":12,"eval_count":1}"#;
        for (api, body) in [(Api::OpenAi, &openai[..]), (Api::Ollama, ollama)] {
            let said = Completion { text: "fine".into(), prompt_tokens: 12, completion_tokens: 1 };
            assert_eq!(answer(api, &request(), body), Ok(said));
        }
        let silent = br#"{"choices":[{"message":{"content":null,"tool_calls":[]}}]}"#;
        assert_eq!(answer(Api::OpenAi, &request(), silent).unwrap().text, "");
    }

    #[test]
    fn what_is_not_counted_is_estimated() {
        for count in ["", r#", "eval_count": 99999999999999"#, r#", "eval_count": 0, "prompt_eval_count": 0"#]
        {
            let body = format!(r#"{{"message":{{"content":"one two, three"}}{count}}}"#);
            let said = answer(Api::Ollama, &request(), body.as_bytes()).unwrap();
            assert_eq!((said.prompt_tokens, said.completion_tokens), (8, 3));
        }
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for (body, wrong) in [
            ("", "something that is no json"),
            ("<html>", "something that is no json"),
            (r#"{"choices":[{"mess"#, "something that is no json"),
            ("[]", "json without an answer in it"),
            (r#"{"choices":[{"message":{"content":7}}]}"#, "json without an answer in it"),
            (r#"{"choices":[]}"#, "an answer without a choice"),
        ] {
            assert_eq!(answer(Api::OpenAi, &request(), body.as_bytes()), Err(wrong), "{body}");
        }
        assert_eq!(
            complaint(br#"{"error":{"message":"no such model","code":404}}"#).unwrap(),
            "no such model"
        );
        assert_eq!(complaint(br#"{"error":"no such model"}"#).unwrap(), "no such model");
        assert_eq!(complaint(b"{}"), None);
    }
}
