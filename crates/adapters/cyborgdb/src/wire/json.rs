//! A body as it was sent: members in their order, numbers packed.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::wire::malformed::malformed;

/// One JSON value. Keeps the order of members, which error bodies echo, and holds a list of numbers in
/// 8 bytes each (more while the list grows), so that a body of vectors takes about as much memory as its text; of
/// one-digit numbers four times as much.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// Above what `Int` can hold.
    Big(u64),
    Float(f64),
    Text(Box<str>),
    /// Never empty. An integer among them is below 2^53 in size.
    Numbers {
        values: Box<[f64]>,
        /// Whether the whole ones among them were written as floats; else as integers.
        floats: bool,
    },
    List(Box<[Json]>),
    Object(Members),
}

/// The members of an object, in the order they came.
pub(crate) type Members = Box<[(Box<str>, Json)]>;

/// Why bytes are not a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// They break the grammar of JSON.
    Malformed {
        /// At which character.
        at: usize,
        /// How, in the words of the original's parser.
        error: &'static str,
    },
    /// They are not UTF-8, or nested deeper than anybody needs.
    Unreadable,
    /// More values than allowed.
    TooMany,
}

impl Json {
    /// Reads a body of at most `values_max` values; packed numbers do not count.
    pub(crate) fn parse(text: &[u8], values_max: usize) -> Result<Self, NotJson> {
        let Ok(words) = std::str::from_utf8(text) else {
            return Err(NotJson::Unreadable);
        };
        let left = Cell::new(Some(values_max));
        let mut source = serde_json::Deserializer::from_slice(text);
        let parsed = Seed(&left).deserialize(&mut source).and_then(|json| source.end().map(|()| json));
        parsed.map_err(|error| if left.get().is_none() { NotJson::TooMany } else { malformed(words, &error) })
    }

    /// The number at a place of [`Json::Numbers`], as a value of its own.
    pub(crate) fn of_number(value: f64, floats: bool) -> Self {
        match whole(value) {
            Some(int) if !floats => Self::Int(int),
            Some(_) | None => Self::Float(value),
        }
    }

    /// The same for those who work with `serde_json`. A member that is there twice counts once, the last.
    pub(crate) fn to_value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(flag) => (*flag).into(),
            Self::Int(int) => (*int).into(),
            Self::Big(int) => (*int).into(),
            Self::Float(float) => (*float).into(),
            Self::Text(text) => (&**text).into(),
            Self::Numbers { values, floats } => {
                values.iter().map(|value| Self::of_number(*value, *floats).to_value()).collect()
            }
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => serde_json::Value::Object(to_map(members)),
        }
    }
}

pub(crate) fn to_map(members: &Members) -> serde_json::Map<String, serde_json::Value> {
    members.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect()
}

/// A float that is an integer of less than 2^53.
#[expect(clippy::cast_possible_truncation, reason = "the bound is checked")]
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < EXACT_MAX).then_some(value as i64)
}

/// 2^53: below it every integer is a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Big(int) => serializer.serialize_u64(*int),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Numbers { values, floats } => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&Self::of_number(*value, *floats))?;
                }
                list.end()
            }
            Self::List(items) => items.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads a value while values are left; `None` once there were too many.
#[derive(Clone, Copy)]
struct Seed<'b>(&'b Cell<Option<usize>>);

impl Seed<'_> {
    fn spend<E: de::Error>(self) -> Result<(), E> {
        let left = self.0.get().and_then(|left| left.checked_sub(1));
        self.0.set(left);
        left.map(|_| ()).ok_or_else(|| E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, int: i64) -> Result<Json, E> {
        Ok(Json::Int(int))
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<Json, E> {
        Ok(i64::try_from(int).map_or(Json::Big(int), Json::Int))
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Json, E> {
        Ok(Json::Float(float))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text.into_boxed_str()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut numbers = Vec::new();
        // Packed, 1 and 1.0 look alike: a list that has both kinds is not packed any further.
        let (mut floats, mut ints) = (false, false);
        let odd = loop {
            match items.next_element_seed(self)? {
                Some(Json::Float(float)) if !(ints && whole(float).is_some()) => {
                    floats |= whole(float).is_some();
                    numbers.push(float);
                }
                #[expect(clippy::cast_precision_loss, reason = "integers of less than 2^53 are exact")]
                Some(Json::Int(int)) if !floats && int.unsigned_abs() < 1 << 53 => {
                    ints = true;
                    numbers.push(int as f64);
                }
                other => break other,
            }
        };
        match odd {
            None if !numbers.is_empty() => Ok(Json::Numbers { values: numbers.into(), floats }),
            None => self.spend().map(|()| Json::List(Box::default())),
            Some(odd) => {
                let mut list = Vec::new();
                for number in numbers {
                    self.spend()?;
                    list.push(Json::of_number(number, floats));
                }
                self.spend()?;
                list.push(odd);
                while let Some(item) = items.next_element_seed(self)? {
                    self.spend()?;
                    list.push(item);
                }
                Ok(Json::List(list.into()))
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            self.spend()?;
            list.push((name, members.next_value_seed(self)?));
        }
        Ok(Json::Object(list.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_bounds() {
        let deep = "[".repeat(200_000);
        assert_eq!(Json::parse(deep.as_bytes(), 1 << 20), Err(NotJson::Unreadable));
        assert_eq!(Json::parse(b"\"\xff\"", 9), Err(NotJson::Unreadable));
        assert_eq!(Json::parse(b"[[],[],[]]", 5), Err(NotJson::TooMany));
        assert!(Json::parse(b"[[],[],[]]", 6).is_ok());
        let numbers = format!("[{}1]", "1,".repeat(5_000));
        assert!(Json::parse(numbers.as_bytes(), 0).is_ok(), "packed numbers are free");
    }

    #[test]
    fn order_and_numbers_stay_as_they_were() {
        for text in [
            r#"{"b":1,"a":[1,2],"c":[1.0,2.0],"d":[0.5,2],"g":[2,0.5,2.0,3],"h":[-0.0,1],"e":[1,"x",null,true],"f":18446744073709551615}"#,
            r#"{"ä":"é\n","":{},"x":[],"n":-9223372036854775808,"l":[9007199254740993]}"#,
        ] {
            let json = Json::parse(text.as_bytes(), 100).unwrap();
            assert_eq!(serde_json::to_string(&json).unwrap(), text);
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1e9_f64..1e9).prop_map(Into::into),
            (-3_i8..4).prop_map(|whole| f64::from(whole).into()),
            (-3_i8..4).prop_map(Into::into),
            ".{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,3}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads(value in value()) {
            let text = serde_json::to_string(&value).unwrap();
            let model: serde_json::Value = serde_json::from_str(&text).unwrap();
            let json = Json::parse(text.as_bytes(), 1_000).unwrap();
            prop_assert_eq!(json.to_value(), model);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let ours = Json::parse(&bytes, 1_000);
            prop_assert_eq!(ours.is_ok(), serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            if let Err(NotJson::Malformed { at, .. }) = ours {
                prop_assert!(at <= bytes.len());
            }
        }
    }
}
