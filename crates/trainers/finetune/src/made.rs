//! Small talk made by rule, for a model to learn its letters from.

use trainyard_trainkit::Chance;

/// What a system, a user and an agent say, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// What the agent was told to be.
    pub system: String,
    /// What was asked.
    pub user: String,
    /// What was answered.
    pub answer: String,
}

/// The n-th talk of a seed: short sentences about who has or wants what, where, and when.
///
/// ```
/// use trainyard_finetune::made::talk;
///
/// let talk = talk(7, 0);
/// assert!(talk.user.ends_with('?') && talk.answer.ends_with('.'));
/// assert_eq!(talk, trainyard_finetune::made::talk(7, 0));
/// ```
#[must_use]
pub fn talk(seed: u64, n: u64) -> Talk {
    let mut chance = Chance::new(seed, n);
    let mut one = |of: &[&'static str]| of[chance.below(of.len())];
    let (who, other, thing, place) = (one(NAMES), one(NAMES), one(THINGS), one(PLACES));
    let (colour, when, manner, kind) =
        (one(COLOURS), one(TIMES), one(MANNERS), one(&["has", "where", "when", "send"]));
    let system = format!("You are {who}, {manner}. Answer in one sentence.");
    let (user, answer) = match kind {
        "has" => (
            format!("{other} asks: do you have the {colour} {thing}?"),
            format!("Yes, {other}, the {colour} {thing} is with me."),
        ),
        "where" => (
            format!("Where did you put the {thing}?"),
            format!("The {thing} is in the {place}, next to the {colour} one."),
        ),
        "when" => (
            format!("When does {other} come to the {place}?"),
            format!("{other} comes to the {place} {when}."),
        ),
        _ => (
            format!("Can you send the {thing} to {other} {when}?"),
            format!("I will send the {thing} to {other} {when}."),
        ),
    };
    Talk { system, user, answer }
}

const NAMES: &[&str] =
    &["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ida", "Jon", "Kim", "Leo"];
const THINGS: &[&str] = &[
    "letter", "report", "key", "ticket", "picture", "wallet", "message", "list", "plan", "token", "note",
    "file",
];
const PLACES: &[&str] =
    &["office", "garden", "kitchen", "station", "harbour", "library", "market", "channel"];
const COLOURS: &[&str] = &["red", "blue", "green", "white", "black", "yellow", "small", "old", "new"];
const TIMES: &[&str] =
    &["today", "tomorrow", "on Monday", "at noon", "this evening", "next week", "in an hour"];
const MANNERS: &[&str] =
    &["a helpful agent", "a friendly guide", "a careful clerk", "a busy trader", "a calm friend"];
