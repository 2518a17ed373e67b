//! Trajectories as agents send them, what is refused, and what is written again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use trainyard_trajectories::{Limits, LlmCall, Problem, ProviderAccess, Status, Step, Trajectory};

fn read(value: &Value) -> Result<Trajectory, String> {
    Trajectory::from_json(value.to_string().as_bytes(), &Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn either_spelling_says_the_same() {
    let camel = json!({
        "trajectoryId": "t", "agentId": "a", "archetype": "helper", "source": "discord", "status": "ERROR",
        "startTime": 1_718_000_000_000_u64, "endTime": 1_718_000_010_000.75, "createdAt": "2024-06-10T06:13:20Z",
        "totalReward": 3, "aiJudgeReward": 0.5, "aiJudgeReasoning": "fine", "episodeLength": 2,
        "metadata": {"x": [1]},
        "llmCalls": [{
            "callId": "c", "stepId": "s", "model": "m", "systemPrompt": "S", "userPrompt": "U", "response": "R",
            "temperature": 0.7, "maxTokens": 100, "purpose": "reply", "actionType": "REPLY", "latencyMs": 12.5,
            "promptTokens": 7, "completionTokens": 8, "timestamp": 1_718_000_000_001_u64,
            "metadata": {"callKind": "x"},
        }],
        "providerAccesses": [{
            "id": "p", "stepId": "s", "providerName": "facts", "purpose": "recall", "data": {"n": 1}, "query": "q",
            "timestamp": 1_718_000_000_002_u64,
        }],
    });
    let snake = json!({
        "trajectory_id": "t", "agent_id": "a", "archetype": "helper", "source": "discord", "status": "error",
        "start_time": "2024-06-10T06:13:20Z", "end_time": "2024-06-10T08:13:30.000+02:00",
        "created_at": 1_718_000_000_000_u64,
        "total_reward": 3.0, "ai_judge_reward": 0.5, "ai_judge_reasoning": "fine", "episode_length": 2.0,
        "metadata": {"x": [1]},
        "llm_calls": [{
            "id": "c", "step_id": "s", "model": "m", "system_prompt": "S", "user_prompt": "U", "response": "R",
            "temperature": 0.7, "max_tokens": 100, "purpose": "reply", "action_type": "REPLY", "latency_ms": 12,
            "prompt_tokens": 7, "completion_tokens": 8, "timestamp": 1_718_000_000_001_u64,
            "metadata": {"callKind": "x"},
        }],
        "provider_accesses": [{
            "id": "p", "step_id": "s", "provider_name": "facts", "purpose": "recall", "data": {"n": 1},
            "query": "q", "timestamp": 1_718_000_000_002_u64,
        }],
    });
    let trajectory = read(&camel).unwrap();
    assert_eq!(trajectory, read(&snake).unwrap());
    assert_eq!(trajectory, read(&json!({"trajectory": camel})).unwrap());
    assert_eq!(trajectory.status, Status::Error);
    assert_eq!(
        (trajectory.end_ms, trajectory.created_ms),
        (Some(1_718_000_010_000), Some(1_718_000_000_000))
    );
    assert_eq!((trajectory.calls[0].kind(), trajectory.calls[0].latency_ms), (Some("x"), Some(12)));
    assert_eq!(trajectory.accesses[0].data, json!({"n": 1}));
}

#[test]
fn calls_are_found_at_the_top_and_under_steps() {
    let call = |response: &str| json!({"response": response});
    let steps = json!([
        {"stepId": "s1", "llmCalls": [call("one"), call("two")], "mood": {"is": "kept"}},
        {"id": "s2", "llm_calls": [call("three")], "providerAccesses": [{"providerName": "p"}]},
        {"note": "nothing here"},
    ]);
    let responses = |value: Value| -> Vec<String> {
        read(&value).unwrap().calls.into_iter().map(|call| call.response).collect()
    };
    let under = json!({"id": "t", "steps": steps});
    assert_eq!(responses(under.clone()), ["one", "two", "three"]);
    assert_eq!(responses(json!({"id": "t", "stepsJson": steps.to_string()})), ["one", "two", "three"]);
    assert_eq!(responses(json!({"id": "t", "steps_json": steps})), ["one", "two", "three"]);
    assert_eq!(responses(json!({"id": "t", "llmCalls": [], "steps": steps})), ["one", "two", "three"]);
    assert_eq!(responses(json!({"id": "t", "llmCalls": [call("top")], "steps": steps})), ["top"]);

    let trajectory = read(&under).unwrap();
    assert_eq!(trajectory.calls[2].step_id.as_deref(), Some("s2"));
    assert_eq!(trajectory.accesses[0].step_id.as_deref(), Some("s2"));
    assert_eq!(serde_json::from_str::<Value>(&trajectory.steps_json()).unwrap(), steps, "as they were sent");
    assert_eq!(trajectory.to_json()["llmCalls"], Value::Null, "nothing is written twice");
}

#[test]
fn steps_are_shown_with_the_calls_in_them() {
    let trajectory = read(&json!({
        "id": "t",
        "steps": [{"stepId": "s1", "mood": "kept"}],
        "llmCalls": [
            {"callId": "a", "stepId": "s1", "response": "one"},
            {"callId": "b", "response": "two"},
            {"callId": "c", "stepId": "s9", "response": "three"},
            {"callId": "d", "stepId": "s1", "response": "four"},
        ],
    }));
    let shown: Value = serde_json::from_str(&trajectory.unwrap().steps_json()).unwrap();
    let responses = |step: usize| -> Vec<&str> {
        shown[step]["llmCalls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["response"].as_str().unwrap())
            .collect()
    };
    assert_eq!(shown[0]["mood"], "kept");
    assert_eq!((responses(0), responses(1), responses(2)), (vec!["one", "four"], vec!["two"], vec!["three"]));
    assert_eq!(shown.as_array().unwrap().len(), 3);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let long = "x".repeat(300_000);
    for (value, told) in [
        (json!({}), "id: is missing"),
        (json!([]), "is a list, and must be an object"),
        (json!({"id": ""}), "id: must be 1 to 128 bytes without control characters"),
        (json!({"id": "x".repeat(129)}), "id: must be 1 to 128 bytes without control characters"),
        (json!({"trajectoryId": "a\tb"}), "trajectoryId: must be 1 to 128 bytes without control characters"),
        (json!({"id": "t", "status": "lost"}), "status: is none of active, completed, error and timeout"),
        (
            json!({"id": "t", "startTime": "yesterday"}),
            "startTime: is neither milliseconds since 1970 nor a time such as 2026-01-31T12:00:00Z",
        ),
        (
            json!({"id": "t", "end_time": -1}),
            "end_time: is neither milliseconds since 1970 nor a time such as 2026-01-31T12:00:00Z",
        ),
        (
            json!({"id": "t", "endTime": "1969-12-31T23:59:59Z"}),
            "endTime: is neither milliseconds since 1970 nor a time such as 2026-01-31T12:00:00Z",
        ),
        (json!({"id": "t", "startTime": true}), "startTime: is a truth value, and must be a time"),
        (json!({"id": "t", "totalReward": "high"}), "totalReward: is a text, and must be a number"),
        (
            json!({"id": "t", "episodeLength": 1e300}),
            "episodeLength: must be a number from 0 to 9007199254740991",
        ),
        (json!({"id": "t", "source": "a\nb"}), "source: has a control character in it"),
        (json!({"id": "t", "source": "x".repeat(257)}), "source: takes 257 bytes, and may take 256"),
        (json!({"id": "t", "metadata": []}), "metadata: is a list, and must be an object"),
        (json!({"id": "t", "steps": {}}), "steps: is an object, and must be a list"),
        (json!({"id": "t", "steps": [{}, 5]}), "steps[1]: is a number, and must be an object"),
        (
            json!({"id": "t", "stepsJson": "[{]"}),
            "stepsJson: is no json: key must be a string at line 1 column 3",
        ),
        (json!({"id": "t", "stepsJson": "[5]"}), "stepsJson[0]: is a number, and must be an object"),
        (json!({"id": "t", "stepsJson": "5"}), "stepsJson: is a number, and must be a list"),
        (
            json!({"id": "t", "steps": [{}, {"llmCalls": [{}, {"response": []}]}]}),
            "steps[1].llmCalls[1].response: is a list, and must be a text",
        ),
        (
            json!({"id": "t", "llmCalls": [{"userPrompt": long}]}),
            "llmCalls[0].userPrompt: takes 300000 bytes, and may take 262144",
        ),
        (
            json!({"id": "t", "providerAccesses": [{"timestamp": 1e17}]}),
            "providerAccesses[0].timestamp: is neither milliseconds since 1970 nor a time such as \
             2026-01-31T12:00:00Z",
        ),
    ] {
        let refused = read(&value).unwrap_err();
        assert_eq!(refused, told);
    }
    let refused = Trajectory::from_json(b"{\"id\": \"t\", ", &Limits::default()).unwrap_err();
    assert_eq!(refused.to_string(), "is no json: EOF while parsing a value at line 1 column 12");
}

#[test]
fn every_bound_holds() {
    let limits = Limits { steps: 2, calls: 3, accesses: 1, bytes: 500, ..Limits::default() };
    let refused = |value: Value| {
        let read = Trajectory::from_json(value.to_string().as_bytes(), &limits);
        read.map_err(|refusal| refusal.to_string()).err()
    };
    assert_eq!(refused(json!({"id": "t", "steps": [{}, {}]})), None);
    assert_eq!(
        refused(json!({"id": "t", "steps": [{}, {}, {}]})).unwrap(),
        "steps: has 3 entries, and may have 2"
    );
    let two = json!({"llmCalls": [{}, {}]});
    assert_eq!(
        refused(json!({"id": "t", "steps": [two, two]})).unwrap(),
        "steps[1].llmCalls: has 2 entries, and may have 1"
    );
    assert_eq!(
        refused(json!({"id": "t", "providerAccesses": [{}, {}]})).unwrap(),
        "providerAccesses: has 2 entries, and may have 1"
    );
    let text = json!({"id": "t", "metadata": {"x": "y".repeat(500)}}).to_string();
    let refusal = Trajectory::from_json(text.as_bytes(), &limits).unwrap_err();
    assert_eq!(*refusal.problem(), Problem::TooLong { bytes: text.len(), max: 500 });

    let nested = |depth: usize| format!("{{\"id\":\"t\",\"metadata\":{{\"x\":{}}}}}", deep(depth));
    let read = |depth| Trajectory::from_json(nested(depth).as_bytes(), &Limits::default());
    let deepest = read(63).unwrap();
    assert_eq!(deepest, self::read(&deepest.to_json()).unwrap());
    assert_eq!(*read(64).unwrap_err().problem(), Problem::TooDeep { max: 64 });
    read(100_000).unwrap_err();
    let text = json!({"id": "t", "stepsJson": format!("[{{\"x\":{}}}]", deep(70))}).to_string();
    let refusal = Trajectory::from_json(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "stepsJson: is nested more than 64 deep");
    // As deep as any limits allow, what is in a text can still be read outside of it.
    let deep_limits = Limits { depth: usize::MAX, ..Limits::default() };
    let text = json!({"id": "t", "stepsJson": format!("[{{\"x\":{}}}]", deep(98))}).to_string();
    let deepest = Trajectory::from_json(text.as_bytes(), &deep_limits).unwrap();
    let written = deepest.to_json().to_string();
    serde_json::from_str::<Value>(&written).unwrap();
}

fn deep(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn nothing_of_a_conversation_is_shown_to_those_who_debug() {
    let trajectory = read(&json!({
        "id": "t", "metadata": {"x": "hush"}, "steps": [{"y": "hush"}], "aiJudgeReasoning": "hush",
        "llmCalls": [{"systemPrompt": "hush", "userPrompt": "hush", "response": "hush"}],
        "providerAccesses": [{"data": "hush", "query": "hush"}],
    }));
    let shown = format!("{:?}", trajectory.unwrap());
    assert!(!shown.contains("hush") && shown.contains("response_bytes: 4"), "{shown}");
    let refused = read(&json!({"id": "t", "status": "hush"})).unwrap_err();
    assert!(!refused.contains("hush"));
}

#[test]
fn whom_it_is_about_is_found_anywhere() {
    let trajectory = read(&json!({
        "id": "t", "agentId": "agent", "metadata": {"room": {"entityId": "one"}},
        "steps": [{"observed": [{"user_id": "two"}, {"userId": 3}]}],
        "llmCalls": [{"metadata": {"entity_id": "four"}}],
        "providerAccesses": [{"data": {"userId": "five"}}],
    }));
    assert!(trajectory.unwrap().entities().into_iter().eq(["agent", "five", "four", "one", "two"]));
}

/// Texts with what JSON and lines have to escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,12}", "\\PC{0,12}", "[\"\\\\\n\r\t\u{0}\u{2028}{}\\[\\]]{0,12}"]
}

fn name() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-zA-Z_ é]{1,9}")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("json has no other numbers", |x| x.is_finite().then(|| Value::from(x))),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn map() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-z]{1,5}", value(), 0..3).prop_map(|map| map.into_iter().collect())
}

fn amount() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..=8_640_000_000_000_000_u64)
}

prop_compose! {
    fn call()(
        names in prop::array::uniform5(name()), texts in prop::array::uniform3(text()),
        amounts in prop::array::uniform5(amount()), temperature in prop::option::of(-1e9..1e9_f64), metadata in map(),
    ) -> LlmCall {
        let [system, user, response] = texts;
        let mut call = LlmCall::new(system, user, response);
        [call.id, call.step_id, call.model, call.purpose, call.action_type] = names;
        [call.max_tokens, call.latency_ms, call.prompt_tokens, call.completion_tokens, call.timestamp_ms] = amounts;
        (call.temperature, call.metadata) = (temperature, metadata);
        call
    }
}

prop_compose! {
    fn access()(names in prop::array::uniform4(name()), data in value(), query in value(), at in amount())
        -> ProviderAccess
    {
        let mut access = ProviderAccess::default();
        [access.id, access.step_id, access.provider_name, access.purpose] = names;
        (access.data, access.query, access.timestamp_ms) = (data, query, at);
        access
    }
}

prop_compose! {
    fn step()(
        fields in map(), id in name(), calls in prop::collection::vec(call(), 0..3),
        accesses in prop::collection::vec(access(), 0..2),
    ) -> Step {
        let mut fields = fields;
        if let Some(id) = id {
            fields.insert("stepId".to_owned(), json!(id));
        }
        if !calls.is_empty() {
            fields.insert("llmCalls".to_owned(), calls.iter().map(LlmCall::to_json).collect());
        }
        if !accesses.is_empty() {
            fields.insert("provider_accesses".to_owned(), accesses.iter().map(ProviderAccess::to_json).collect());
        }
        Step::new(fields)
    }
}

prop_compose! {
    fn trajectory()(
        id in "[!-~]{1,128}", names in prop::array::uniform3(name()), times in prop::array::uniform4(amount()),
        rewards in prop::array::uniform2(prop::option::of(-1e300..1e300_f64)), status in 0..4_usize,
        reasoning in text(), metadata in map(), steps in prop::collection::vec(step(), 0..4),
        calls in prop::collection::vec(call(), 0..4), accesses in prop::collection::vec(access(), 0..3),
    ) -> Trajectory {
        let mut trajectory = Trajectory::new(id.parse().unwrap());
        [trajectory.agent_id, trajectory.archetype, trajectory.source] = names;
        [trajectory.start_ms, trajectory.end_ms, trajectory.created_ms, trajectory.episode_length] = times;
        [trajectory.total_reward, trajectory.ai_judge_reward] = rewards;
        trajectory.status = Status::ALL[status];
        trajectory.ai_judge_reasoning = Some(reasoning).filter(|text| !text.is_empty());
        (trajectory.metadata, trajectory.steps) = (metadata, steps);
        (trajectory.calls, trajectory.accesses) = (calls, accesses);
        trajectory
    }
}

proptest! {
    #[test]
    fn what_was_read_is_written_so_that_the_same_is_read(made in trajectory()) {
        // a list that is empty is filled from the steps, so only what was read is what will be read
        let read = Trajectory::from_json(made.to_json().to_string().as_bytes(), &Limits::default()).unwrap();
        if !made.calls.is_empty() && !made.accesses.is_empty() {
            prop_assert_eq!(&read, &made);
        }
        let again = Trajectory::from_json(read.to_json().to_string().as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&again, &read);
        prop_assert_eq!(again.to_json(), read.to_json());
        let steps: Value = serde_json::from_str(&read.steps_json()).unwrap();
        let shown = steps.to_string();
        for call in &read.calls {
            prop_assert!(shown.contains(&Value::from(call.response.as_str()).to_string()) || read.steps.iter()
                .any(|step| step.fields().contains_key("llmCalls")));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), value in value()) {
        let _ = Trajectory::from_json(&bytes, &Limits::default());
        let _ = Trajectory::from_json(value.to_string().as_bytes(), &Limits::default());
        for key in ["id", "status", "startTime", "steps", "stepsJson", "llmCalls", "providerAccesses", "metadata"] {
            let mut object = json!({"id": "t"});
            object[key] = value.clone();
            let _ = Trajectory::from_json(object.to_string().as_bytes(), &Limits::default());
        }
    }
}
