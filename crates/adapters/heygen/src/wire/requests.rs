//! JSON bodies. What is wrong with one is told by the member's name, and nothing that was sent is echoed.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::host::{AssetId, GroupId};
use crate::settings::Limits;
use crate::wire::hex;

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewGroup {
    pub(crate) name: String,
    pub(crate) image: AssetId,
}

/// Looks to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewLooks {
    /// `None` when it is no id of ours, so that there is no such group.
    pub(crate) group: Option<GroupId>,
    pub(crate) name: String,
    /// At least one.
    pub(crate) images: Vec<AssetId>,
}

/// A training to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewTraining {
    /// `None` when it is no id of ours, so that there is no such group.
    pub(crate) group: Option<GroupId>,
}

/// Something that is read from the members of an object. Members that are not known are passed over.
pub(crate) trait Body: Sized + Send + 'static {
    fn of(members: &Map<String, Value>, limits: &Limits) -> Result<Self, Fault>;

    /// Reads a body.
    fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Fault> {
        // The parser's own words may quote what was sent.
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            return Err(Fault::bad("The request body is not valid JSON"));
        };
        let Value::Object(members) = value else {
            return Err(Fault::bad("The request body must be a JSON object"));
        };
        Self::of(&members, limits)
    }
}

impl Body for NewGroup {
    fn of(members: &Map<String, Value>, limits: &Limits) -> Result<Self, Fault> {
        let name = name(members, limits)?;
        let key = text(members, "image_key")?;
        generation(members)?;
        Ok(Self { name, image: image("image_key", key)? })
    }
}

impl Body for NewLooks {
    fn of(members: &Map<String, Value>, limits: &Limits) -> Result<Self, Fault> {
        let group = group(members)?;
        let keys = required(members, "image_keys")?.as_array();
        let keys = keys.ok_or_else(|| Fault::invalid("image_keys", "must be an array of strings"))?;
        if keys.is_empty() {
            return Err(Fault::invalid("image_keys", "at least one is required"));
        }
        if keys.len() > limits.image_keys {
            return Err(Fault::invalid("image_keys", &format!("at most {} are allowed", limits.image_keys)));
        }
        let images = keys.iter().enumerate().map(|(place, key)| {
            let member = key_at(place);
            image(&member, key.as_str().ok_or_else(|| Fault::invalid(&member, "must be a string"))?)
        });
        let images = images.collect::<Result<_, _>>()?;
        let name = name(members, limits)?;
        generation(members)?;
        Ok(Self { group, name, images })
    }
}

impl Body for NewTraining {
    fn of(members: &Map<String, Value>, _: &Limits) -> Result<Self, Fault> {
        Ok(Self { group: group(members)? })
    }
}

/// What one of several image keys is called.
pub(crate) fn key_at(place: usize) -> String {
    format!("image_keys[{place}]")
}

/// An image key as it is handed out.
pub(crate) fn image_key(id: AssetId) -> String {
    format!("image/{id}/original")
}

/// An image key as it is handed out, or with the end of a file name.
fn image_of(key: &str) -> Option<AssetId> {
    let (id, file) = key.strip_prefix("image/")?.split_once('/')?;
    let known = ["original", "original.jpg", "original.jpeg", "original.png"];
    known.contains(&file).then(|| hex(id).map(AssetId::new)).flatten()
}

fn image(member: &str, key: &str) -> Result<AssetId, Fault> {
    image_of(key).ok_or_else(|| Fault::invalid(member, "there is no such image"))
}

fn group(members: &Map<String, Value>) -> Result<Option<GroupId>, Fault> {
    Ok(hex(text(members, "group_id")?).map(GroupId::new))
}

fn name(members: &Map<String, Value>, limits: &Limits) -> Result<String, Fault> {
    let name = text(members, "name")?;
    if name.trim().is_empty() || name.chars().count() > limits.name_chars {
        return Err(Fault::invalid("name", &format!("must have 1 to {} characters", limits.name_chars)));
    }
    if name.chars().any(char::is_control) {
        return Err(Fault::invalid("name", "must have no control characters"));
    }
    Ok(name.to_owned())
}

/// Nothing is generated here, so the id of a generation says nothing. Clients send it along all the same.
fn generation(members: &Map<String, Value>) -> Result<(), Fault> {
    match members.get("generation_id") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Fault::invalid("generation_id", "must be a string"))
        }
    }
}

fn required<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Fault> {
    members.get(name).ok_or_else(|| Fault::invalid(name, "field required"))
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Fault> {
    required(members, name)?.as_str().ok_or_else(|| Fault::invalid(name, "must be a string"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const ID: &str = "0000000000000000000000000000000a";

    fn key(file: &str) -> String {
        format!("image/{ID}/{file}")
    }

    #[track_caller]
    fn refused<B: Body>(body: &Value, words: &str) {
        let told = B::read(body.to_string().as_bytes(), &Limits::default());
        assert_eq!(told.err(), Some(Fault::bad(words)), "{body}");
    }

    #[test]
    fn an_image_key_is_one_of_ours() {
        let id = AssetId::new(Uuid::from_u128(10));
        assert_eq!(image_key(id), key("original"));
        for file in ["original", "original.jpg", "original.jpeg", "original.png"] {
            assert_eq!(image_of(&key(file)), Some(id));
        }
        let others = [
            String::new(),
            ID.to_owned(),
            key(""),
            key("original.gif"),
            key("original/"),
            key("Original"),
            key("original "),
            format!("/{}", key("original")),
            "image//original".to_owned(),
            "image/x/original".to_owned(),
            "image/../original".to_owned(),
            "image/00000000-0000-0000-0000-00000000000a/original".to_owned(),
            format!("image/{ID}0/original"),
            "\0".to_owned(),
        ];
        for other in others {
            assert_eq!(image_of(&other), None, "{other}");
        }
    }

    #[test]
    fn a_group_wants_a_name_and_an_image() {
        let read = |body: Value| NewGroup::read(body.to_string().as_bytes(), &Limits::default());
        let group = NewGroup { name: "Ann".to_owned(), image: AssetId::new(Uuid::from_u128(10)) };
        let body = json!({ "name": "Ann", "image_key": key("original") });
        assert_eq!(read(body.clone()), Ok(group.clone()));
        for generation in [Value::Null, json!(""), json!("abc")] {
            let mut more = body.clone();
            more["generation_id"] = generation;
            more["else"] = json!([1]);
            assert_eq!(read(more), Ok(group.clone()));
        }
        let longest = "é".repeat(255);
        let named = |name: Value| json!({ "name": name, "image_key": key("original.jpg") });
        assert_eq!(read(named(json!(longest))).unwrap().name, longest);
        for name in ["".to_owned(), " ".to_owned(), "é".repeat(256)] {
            refused::<NewGroup>(&named(json!(name)), "name is invalid: must have 1 to 255 characters");
        }
        for name in ["a\nb", "a\u{0}", "\u{7f}x", "\u{85}x"] {
            refused::<NewGroup>(&named(json!(name)), "name is invalid: must have no control characters");
        }
        for name in [Value::Null, json!(7), json!([]), json!({})] {
            refused::<NewGroup>(&named(name), "name is invalid: must be a string");
        }
        refused::<NewGroup>(&json!({ "image_key": key("original") }), "name is invalid: field required");
        refused::<NewGroup>(&json!({ "name": "Ann" }), "image_key is invalid: field required");
        let wrong = json!({ "name": "Ann", "image_key": ID });
        refused::<NewGroup>(&wrong, "image_key is invalid: there is no such image");
        let wrong = json!({ "name": "Ann", "image_key": key("original"), "generation_id": 7 });
        refused::<NewGroup>(&wrong, "generation_id is invalid: must be a string");
    }

    #[test]
    fn looks_want_one_to_four_images() {
        let body = |keys: Value| json!({ "group_id": ID, "name": "Ann", "image_keys": keys });
        let read = |keys: Value| NewLooks::read(body(keys).to_string().as_bytes(), &Limits::default());
        let one = key("original");
        assert_eq!(read(json!([one])).unwrap().images.len(), 1);
        assert_eq!(read(json!([one, one, one, one])).unwrap().images.len(), 4, "also the same again");
        let check = |keys: Value, words: &str| refused::<NewLooks>(&body(keys), words);
        check(json!([one, one, one, one, one]), "image_keys is invalid: at most 4 are allowed");
        check(json!([]), "image_keys is invalid: at least one is required");
        check(json!(one), "image_keys is invalid: must be an array of strings");
        check(Value::Null, "image_keys is invalid: must be an array of strings");
        check(json!([one, 7]), "image_keys[1] is invalid: must be a string");
        check(json!([one, one, "x"]), "image_keys[2] is invalid: there is no such image");
        refused::<NewLooks>(&json!({}), "group_id is invalid: field required");
        refused::<NewLooks>(
            &json!({ "group_id": ID, "name": "Ann" }),
            "image_keys is invalid: field required",
        );
        refused::<NewLooks>(
            &json!({ "group_id": ID, "image_keys": [one] }),
            "name is invalid: field required",
        );
    }

    #[test]
    fn a_training_wants_a_group() {
        let read = |id: &str| {
            NewTraining::read(json!({ "group_id": id }).to_string().as_bytes(), &Limits::default()).unwrap()
        };
        assert_eq!(read(ID).group, Some(GroupId::new(Uuid::from_u128(10))));
        for other in ["", "x", "../..", "0000000a-0000-0000-0000-000000000000", &"a".repeat(9_999)] {
            assert_eq!(read(other).group, None);
        }
        refused::<NewTraining>(&json!({}), "group_id is invalid: field required");
        refused::<NewTraining>(&json!({ "group_id": null }), "group_id is invalid: must be a string");
        refused::<NewTraining>(&json!(["a"]), "The request body must be a JSON object");
        for body in ["", "{", "nope", "\u{feff}{}", &"[".repeat(30_000)] {
            let told = NewTraining::read(body.as_bytes(), &Limits::default());
            assert_eq!(told, Err(Fault::bad("The request body is not valid JSON")));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let limits = Limits::default();
            drop(NewGroup::read(&bytes, &limits));
            drop(NewLooks::read(&bytes, &limits));
            prop_assert!(NewTraining::read(&bytes, &limits).is_err());
        }

        #[test]
        fn no_key_but_ours_is_one(key in "(image|IMAGE)?/?[0-9a-f]{30,34}/original(\\.(jpg|png|gif))?") {
            if let Some(id) = image_of(&key) {
                prop_assert!(key.starts_with(&image_key(id)));
            }
        }
    }
}
