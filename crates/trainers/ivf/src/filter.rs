use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::{
    FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX, FILTER_OPERANDS_MAX, FILTER_REGEX_BYTES_MAX,
    FILTER_REGEX_COMPILED_BYTES_MAX, FILTER_REGEXES_MAX,
};

/// A condition on the metadata of an item, in the words of MongoDB.
///
/// | member | true when |
/// |---|---|
/// | `"path": value` | equal, as `$eq` |
/// | `$eq`, `$ne` | equal, not equal; `1` equals `1.0`; an array also equals each of its elements; `null` equals nothing being there |
/// | `$in`, `$nin` | equal to one, to none of an array; how many it has costs nothing per item, arrays and objects among them apart |
/// | `$gt`, `$gte`, `$lt`, `$lte` | both numbers or both strings, and ordered so |
/// | `$exists` | something is there (`true`), nothing is (`false`) |
/// | `$regex` | a string that matches somewhere (syntax of the `regex` crate) |
/// | `$contains` | an array with this element, or a string with this part |
/// | `$not` | the condition it holds is false |
/// | `$and`, `$or`, `$nor` | all, one, none of an array of filters |
///
/// Members of one object must all be true; an empty object is always true. A path goes into objects with dots,
/// into arrays with a number, and through all elements of an array otherwise.
///
/// What a filter costs is bounded: beyond [`FILTER_DEPTH_MAX`], [`FILTER_CONDITIONS_MAX`],
/// [`FILTER_OPERANDS_MAX`], [`FILTER_REGEXES_MAX`], [`FILTER_REGEX_BYTES_MAX`] or
/// [`FILTER_REGEX_COMPILED_BYTES_MAX`] it is refused.
///
/// ```
/// use serde_json::json;
/// use trainyard_ivf::Filter;
///
/// let filter = Filter::parse(&json!({ "owner.name": "ada", "year": { "$gte": 1840, "$lt": 1850 } }))?;
/// let metadata = json!({ "owner": { "name": "ada" }, "year": 1843 });
/// assert!(filter.matches(metadata.as_object().expect("an object")));
/// # Ok::<(), trainyard_ivf::FilterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filter(Vec<Condition>);

/// Why a filter makes no sense.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A filter is an object.
    #[error("a filter must be an object, got {got}")]
    NotAnObject {
        /// What it was.
        got: Value,
    },
    /// No such operator, or not in this place.
    #[error("unknown filter operator {name} in this place")]
    UnknownOperator {
        /// The operator.
        name: String,
    },
    /// The operand of an operator is of the wrong type.
    #[error("{operator} needs {expected}, got {got}")]
    WrongOperand {
        /// The operator.
        operator: String,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: Value,
    },
    /// Not a regular expression, or one larger than [`FILTER_REGEX_COMPILED_BYTES_MAX`].
    #[error("$regex does not compile")]
    Regex {
        /// What is wrong with it.
        source: regex::Error,
    },
    /// Filters within filters have a limit.
    #[error("a filter may be nested at most {FILTER_DEPTH_MAX} deep")]
    TooDeep,
    /// More conditions than [`FILTER_CONDITIONS_MAX`].
    #[error(
        "a filter may have at most {FILTER_CONDITIONS_MAX} conditions (tests, filters within it, and arrays \
         and objects in $in and $nin)"
    )]
    TooManyConditions,
    /// More operands than [`FILTER_OPERANDS_MAX`].
    #[error("all $in and $nin of a filter may have at most {FILTER_OPERANDS_MAX} operands together")]
    TooManyOperands,
    /// More regular expressions than [`FILTER_REGEXES_MAX`].
    #[error("a filter may have at most {FILTER_REGEXES_MAX} $regex")]
    TooManyRegexes,
    /// A pattern is longer than [`FILTER_REGEX_BYTES_MAX`].
    #[error("a $regex may have at most {FILTER_REGEX_BYTES_MAX} bytes, got {bytes}")]
    RegexTooLong {
        /// Its length.
        bytes: usize,
    },
}

#[derive(Debug, Clone)]
enum Condition {
    Field(String, Vec<Test>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Nor(Vec<Filter>),
    Not(Filter),
}

#[derive(Debug, Clone)]
enum Test {
    Equal(Value),
    NotEqual(Value),
    In(Arc<Operands>),
    NotIn(Arc<Operands>),
    Exists(bool),
    Ordered(&'static [Ordering], Value),
    Regex(Regex),
    Contains(Value),
    Not(Vec<Test>),
}

/// Values to look another one up in, by the equality of [`same`].
#[derive(Debug, Default)]
struct Operands {
    null: bool,
    no: bool,
    yes: bool,
    texts: HashSet<String>,
    whole: HashSet<i128>,
    /// The whole ones once more, as a number that is not whole sees them.
    whole_rounded: HashSet<u64>,
    others: HashSet<u64>,
    /// Arrays and objects.
    nested: Vec<Value>,
}

impl Filter {
    /// Understands a filter.
    ///
    /// # Errors
    /// [`FilterError`], for everything that is not in the table above.
    pub fn parse(filter: &Value) -> Result<Self, FilterError> {
        parse_filter(filter, 0, &mut Budget::default())
    }

    /// Whether these metadata fulfil it.
    #[must_use]
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        self.0.iter().all(|condition| condition.holds(metadata))
    }
}

impl Condition {
    fn holds(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(metadata)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(metadata)),
            Self::Nor(filters) => !filters.iter().any(|filter| filter.matches(metadata)),
            Self::Not(filter) => !filter.matches(metadata),
            Self::Field(path, tests) => {
                let mut found = Vec::new();
                walk_object(metadata, path, &mut found);
                tests.iter().all(|test| test.passes(&found))
            }
        }
    }
}

impl Test {
    fn passes(&self, found: &[&Value]) -> bool {
        let equal = |wanted: &Value| {
            (wanted.is_null() && found.is_empty()) || with_elements(found).any(|value| same(value, wanted))
        };
        match self {
            Self::Equal(wanted) => equal(wanted),
            Self::NotEqual(wanted) => !equal(wanted),
            Self::In(wanted) => wanted.any(found),
            Self::NotIn(wanted) => !wanted.any(found),
            Self::Exists(wanted) => found.is_empty() != *wanted,
            Self::Ordered(allowed, bound) => with_elements(found)
                .any(|value| order(value, bound).is_some_and(|order| allowed.contains(&order))),
            Self::Regex(regex) => {
                with_elements(found).filter_map(Value::as_str).any(|text| regex.is_match(text))
            }
            Self::Contains(wanted) => found.iter().any(|value| contains(value, wanted)),
            Self::Not(tests) => !tests.iter().all(|test| test.passes(found)),
        }
    }
}

impl Operands {
    fn insert(&mut self, value: &Value) {
        match value {
            Value::Null => self.null = true,
            Value::Bool(false) => self.no = true,
            Value::Bool(true) => self.yes = true,
            Value::String(text) => drop(self.texts.insert(text.clone())),
            Value::Number(number) => match number.as_i128() {
                Some(whole) => {
                    self.whole.insert(whole);
                    self.whole_rounded.extend(rounded(number));
                }
                None => self.others.extend(rounded(number)),
            },
            Value::Array(_) | Value::Object(_) => self.nested.push(value.clone()),
        }
    }

    fn any(&self, found: &[&Value]) -> bool {
        (self.null && found.is_empty()) || with_elements(found).any(|value| self.contains(value))
    }

    fn contains(&self, value: &Value) -> bool {
        match value {
            Value::Null => self.null,
            Value::Bool(false) => self.no,
            Value::Bool(true) => self.yes,
            Value::String(text) => self.texts.contains(text),
            Value::Number(number) => {
                let rounded_in = |set: &HashSet<u64>| rounded(number).is_some_and(|bits| set.contains(&bits));
                rounded_in(&self.others)
                    || match number.as_i128() {
                        Some(whole) => self.whole.contains(&whole),
                        None => rounded_in(&self.whole_rounded),
                    }
            }
            Value::Array(_) | Value::Object(_) => self.nested.iter().any(|wanted| same(value, wanted)),
        }
    }
}

/// A number as `f64`, in bits that are the same for equal ones.
fn rounded(number: &Number) -> Option<u64> {
    // adding 0 makes the negative zero the positive one
    number.as_f64().map(|x| (x + 0.0).to_bits())
}

/// Everything that is at a path; a member whose name is the whole path counts too.
fn walk_object<'v>(object: &'v Map<String, Value>, path: &str, found: &mut Vec<&'v Value>) {
    if let Some(value) = object.get(path) {
        found.push(value);
    } else if let Some((first, rest)) = path.split_once('.') {
        object.get(first).into_iter().for_each(|inner| walk(inner, rest, found));
    }
}

fn walk<'v>(value: &'v Value, path: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(object) => walk_object(object, path, found),
        Value::Array(elements) => {
            let (first, rest) =
                path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
            match (first.parse::<usize>(), rest) {
                (Ok(at), None) => found.extend(elements.get(at)),
                (Ok(at), Some(rest)) => {
                    elements.get(at).into_iter().for_each(|inner| walk(inner, rest, found))
                }
                (Err(_), _) => elements.iter().for_each(|inner| walk(inner, path, found)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn with_elements<'v>(found: &[&'v Value]) -> impl Iterator<Item = &'v Value> {
    found.iter().flat_map(|&value| std::iter::once(value).chain(value.as_array().into_iter().flatten()))
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(elements), _) => elements.iter().any(|element| same(element, wanted)),
        (Value::String(text), Value::String(part)) => text.contains(part),
        _ => false,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whole numbers exactly, all others as `f64`.
fn order_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// What a filter has used up while it is being understood.
#[derive(Debug, Default)]
struct Budget {
    conditions: usize,
    operands: usize,
    regexes: usize,
}

impl Budget {
    fn condition(&mut self) -> Result<(), FilterError> {
        spend(&mut self.conditions, 1, FILTER_CONDITIONS_MAX, FilterError::TooManyConditions)
    }

    fn operands(&mut self, count: usize) -> Result<(), FilterError> {
        spend(&mut self.operands, count, FILTER_OPERANDS_MAX, FilterError::TooManyOperands)
    }

    fn regex(&mut self) -> Result<(), FilterError> {
        spend(&mut self.regexes, 1, FILTER_REGEXES_MAX, FilterError::TooManyRegexes)
    }
}

fn spend(used: &mut usize, count: usize, max: usize, error: FilterError) -> Result<(), FilterError> {
    *used = used.saturating_add(count);
    if *used > max { Err(error) } else { Ok(()) }
}

fn parse_filter(filter: &Value, depth: usize, budget: &mut Budget) -> Result<Filter, FilterError> {
    if depth > FILTER_DEPTH_MAX {
        return Err(FilterError::TooDeep);
    }
    if depth > 0 {
        budget.condition()?;
    }
    let object = filter.as_object().ok_or_else(|| FilterError::NotAnObject { got: filter.clone() })?;
    let mut condition = |(name, operand): (&String, &Value)| {
        Ok(match name.as_str() {
            "$and" => Condition::And(parse_filters(name, operand, depth, budget)?),
            "$or" => Condition::Or(parse_filters(name, operand, depth, budget)?),
            "$nor" => Condition::Nor(parse_filters(name, operand, depth, budget)?),
            "$not" => Condition::Not(parse_filter(operand, depth + 1, budget)?),
            operator if operator.starts_with('$') => {
                return Err(FilterError::UnknownOperator { name: name.clone() });
            }
            _ => Condition::Field(name.clone(), parse_tests(operand, depth + 1, budget)?),
        })
    };
    object.iter().map(&mut condition).collect::<Result<_, _>>().map(Filter)
}

fn parse_filters(
    operator: &str,
    operand: &Value,
    depth: usize,
    budget: &mut Budget,
) -> Result<Vec<Filter>, FilterError> {
    match operand.as_array() {
        Some(filters) if !filters.is_empty() => {
            filters.iter().map(|filter| parse_filter(filter, depth + 1, budget)).collect()
        }
        _ => Err(wrong(operator, "an array of at least one filter", operand)),
    }
}

fn parse_tests(operand: &Value, depth: usize, budget: &mut Budget) -> Result<Vec<Test>, FilterError> {
    if depth > FILTER_DEPTH_MAX {
        return Err(FilterError::TooDeep);
    }
    match operand.as_object() {
        Some(operators) if operators.keys().any(|name| name.starts_with('$')) => {
            operators.iter().map(|(name, operand)| parse_test(name, operand, depth, budget)).collect()
        }
        _ => {
            budget.condition()?;
            Ok(vec![Test::Equal(operand.clone())])
        }
    }
}

fn parse_test(
    operator: &str,
    operand: &Value,
    depth: usize,
    budget: &mut Budget,
) -> Result<Test, FilterError> {
    use Ordering::{Equal, Greater, Less};
    budget.condition()?;
    let ordered = |allowed| match operand {
        Value::Number(_) | Value::String(_) => Ok(Test::Ordered(allowed, operand.clone())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(wrong(operator, "a number or a string", operand))
        }
    };
    match operator {
        "$eq" => Ok(Test::Equal(operand.clone())),
        "$ne" => Ok(Test::NotEqual(operand.clone())),
        "$in" => parse_operands(operator, operand, budget).map(Test::In),
        "$nin" => parse_operands(operator, operand, budget).map(Test::NotIn),
        "$exists" => {
            operand.as_bool().map(Test::Exists).ok_or_else(|| wrong(operator, "true or false", operand))
        }
        "$gt" => ordered(&[Greater]),
        "$gte" => ordered(&[Greater, Equal]),
        "$lt" => ordered(&[Less]),
        "$lte" => ordered(&[Less, Equal]),
        "$regex" => {
            let pattern = operand.as_str().ok_or_else(|| wrong(operator, "a string", operand))?;
            budget.regex()?;
            if pattern.len() > FILTER_REGEX_BYTES_MAX {
                return Err(FilterError::RegexTooLong { bytes: pattern.len() });
            }
            let compiled = RegexBuilder::new(pattern).size_limit(FILTER_REGEX_COMPILED_BYTES_MAX).build();
            compiled.map(Test::Regex).map_err(|source| FilterError::Regex { source })
        }
        "$contains" => Ok(Test::Contains(operand.clone())),
        "$not" if operand.is_object() => parse_tests(operand, depth + 1, budget).map(Test::Not),
        "$not" => Err(wrong(operator, "an object of operators", operand)),
        _ => Err(FilterError::UnknownOperator { name: operator.to_owned() }),
    }
}

fn parse_operands(
    operator: &str,
    operand: &Value,
    budget: &mut Budget,
) -> Result<Arc<Operands>, FilterError> {
    let values = operand.as_array().ok_or_else(|| wrong(operator, "an array", operand))?;
    budget.operands(values.len())?;
    let mut operands = Operands::default();
    for value in values {
        if value.is_array() || value.is_object() {
            budget.condition()?;
        }
        operands.insert(value);
    }
    Ok(Arc::new(operands))
}

fn wrong(operator: &str, expected: &'static str, got: &Value) -> FilterError {
    FilterError::WrongOperand { operator: operator.to_owned(), expected, got: got.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> Value {
        json!({
            "name": "ada", "year": 1843, "score": 0.5, "big": u64::MAX, "alive": false, "nothing": null,
            "tags": ["maths", "poetry"], "owner": { "name": "byron", "deep": { "x": 1 } },
            "parts": [{ "n": 1 }, { "n": 2 }], "a.b": 7,
        })
    }

    #[test]
    fn filters() {
        let table = [
            (json!({}), true),
            (json!({ "name": "ada" }), true),
            (json!({ "name": "bob" }), false),
            (json!({ "year": 1843.0 }), true),
            (json!({ "name": "ada", "year": 1 }), false),
            (json!({ "name": { "$eq": "ada" } }), true),
            (json!({ "name": { "$ne": "ada" } }), false),
            (json!({ "missing": { "$ne": "ada" } }), true),
            (json!({ "missing": null }), true),
            (json!({ "nothing": null }), true),
            (json!({ "name": null }), false),
            (json!({ "name": { "$in": ["bob", "ada"] } }), true),
            (json!({ "name": { "$in": [] } }), false),
            (json!({ "name": { "$nin": ["bob"] } }), true),
            (json!({ "tags": { "$nin": ["maths"] } }), false),
            (json!({ "tags": "poetry" }), true),
            (json!({ "tags": ["maths", "poetry"] }), true),
            (json!({ "tags": ["poetry", "maths"] }), false),
            (json!({ "tags.0": "maths" }), true),
            (json!({ "tags.2": { "$exists": true } }), false),
            (json!({ "nothing": { "$exists": true } }), true),
            (json!({ "missing": { "$exists": false } }), true),
            (json!({ "year": { "$gt": 1843 } }), false),
            (json!({ "year": { "$gte": 1843, "$lt": 1844 } }), true),
            (json!({ "year": { "$lte": 1842.9 } }), false),
            (json!({ "year": { "$gt": "1" } }), false),
            (json!({ "big": { "$gt": u64::MAX - 1 } }), true),
            (json!({ "big": u64::MAX - 1 }), false),
            (json!({ "name": { "$gt": "aca" } }), true),
            (json!({ "missing": { "$lt": 5 } }), false),
            (json!({ "name": { "$regex": "^a.a$" } }), true),
            (json!({ "tags": { "$regex": "^poe" } }), true),
            (json!({ "year": { "$regex": "1" } }), false),
            (json!({ "name": { "$contains": "da" } }), true),
            (json!({ "tags": { "$contains": "maths" } }), true),
            (json!({ "tags": { "$contains": "mat" } }), false),
            (json!({ "owner.name": "byron" }), true),
            (json!({ "owner.deep.x": { "$lte": 1 } }), true),
            (json!({ "owner": { "name": "byron" } }), false),
            (json!({ "owner.deep": { "x": 1.0 } }), true),
            (json!({ "parts.n": 2 }), true),
            (json!({ "parts.1.n": 1 }), false),
            (json!({ "a.b": 7 }), true),
            (json!({ "year": { "$not": { "$gt": 1900 } } }), true),
            (json!({ "$and": [{ "name": "ada" }, { "year": 1843 }] }), true),
            (json!({ "$or": [{ "name": "bob" }, { "year": 1843 }] }), true),
            (json!({ "$nor": [{ "name": "bob" }, { "year": 1 }] }), true),
            (json!({ "$not": { "name": "ada" } }), false),
        ];
        for (filter, expected) in table {
            let parsed = Filter::parse(&filter).unwrap();
            assert_eq!(parsed.matches(metadata().as_object().unwrap()), expected, "{filter}");
        }
    }

    #[test]
    fn nonsense_is_a_clear_error() {
        let table = [
            (json!([]), "a filter must be an object, got []"),
            (json!({ "$near": 1 }), "unknown filter operator $near in this place"),
            (json!({ "x": { "$near": 1 } }), "unknown filter operator $near in this place"),
            (json!({ "x": { "$gt": 1, "y": 1 } }), "unknown filter operator y in this place"),
            (json!({ "$gt": 1 }), "unknown filter operator $gt in this place"),
            (json!({ "$and": [] }), "$and needs an array of at least one filter, got []"),
            (json!({ "$or": {} }), "$or needs an array of at least one filter, got {}"),
            (json!({ "x": { "$in": 1 } }), "$in needs an array, got 1"),
            (json!({ "x": { "$gt": [] } }), "$gt needs a number or a string, got []"),
            (json!({ "x": { "$exists": 1 } }), "$exists needs true or false, got 1"),
            (json!({ "x": { "$regex": 1 } }), "$regex needs a string, got 1"),
            (json!({ "x": { "$regex": "(" } }), "$regex does not compile"),
            (json!({ "x": { "$regex": "(\\w{1000}){1000}" } }), "$regex does not compile"),
            (json!({ "x": { "$not": 1 } }), "$not needs an object of operators, got 1"),
        ];
        for (filter, expected) in table {
            assert_eq!(Filter::parse(&filter).unwrap_err().to_string(), expected, "{filter}");
        }
        let deep = (0..100).fold(json!({}), |inner, _| json!({ "$not": inner }));
        assert_eq!(Filter::parse(&deep).unwrap_err(), FilterError::TooDeep);
    }

    #[test]
    fn in_is_eq_with_any_of_its_operands() {
        let values = [
            json!(null),
            json!(false),
            json!(true),
            json!(0),
            json!(0.0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(0.5),
            json!(-1),
            json!((1_u64 << 53) + 1),
            json!(1_u64 << 53),
            json!(2.0_f64.powi(53)),
            json!(u64::MAX),
            json!(u64::MAX - 1),
            json!(2.0_f64.powi(64)),
            json!(i64::MIN),
            json!("1"),
            json!(""),
            json!([]),
            json!([1, "a"]),
            json!([1.0, "a"]),
            json!([[1.0, "a"], null]),
            json!({ "x": 1 }),
            json!({ "x": 1.0, "y": [] }),
        ];
        let there = values.iter().map(|value| json!({ "v": value }));
        let rows: Vec<Value> = there.chain([json!({})]).collect();
        for operands in values.iter().flat_map(|a| values.iter().map(move |b| [a, b])) {
            let eq = |value: &Value| Filter::parse(&json!({ "v": { "$eq": value } })).unwrap();
            let equal = operands.map(eq);
            let one_of = Filter::parse(&json!({ "v": { "$in": operands } })).unwrap();
            let none_of = Filter::parse(&json!({ "v": { "$nin": operands } })).unwrap();
            for row in &rows {
                let row = row.as_object().unwrap();
                let expected = equal.iter().any(|filter| filter.matches(row));
                assert_eq!(one_of.matches(row), expected, "{row:?} in {operands:?}");
                assert_eq!(none_of.matches(row), !expected, "{row:?} not in {operands:?}");
            }
        }
    }

    #[test]
    fn a_large_in_is_looked_up_and_not_gone_through() {
        let operands: Vec<Value> = (0..FILTER_OPERANDS_MAX)
            .map(|i| if i % 2 == 0 { json!(i) } else { json!(i.to_string()) })
            .collect();
        let filter = Filter::parse(&json!({ "v": { "$in": operands } })).unwrap();
        // one by one these would be 2 × 10¹⁰ comparisons
        let passing = (0..200_000).filter(|i| filter.matches(json!({ "v": i }).as_object().unwrap())).count();
        assert_eq!(passing, FILTER_OPERANDS_MAX / 2);
    }

    #[test]
    fn every_bound_is_a_clear_error() {
        let check = |filter: &dyn Fn(usize) -> Value, max: usize, expected: &str| {
            Filter::parse(&filter(max)).unwrap();
            assert_eq!(Filter::parse(&filter(max + 1)).unwrap_err().to_string(), expected);
        };
        let too_many = "a filter may have at most 1000 conditions (tests, filters within it, and arrays and \
                        objects in $in and $nin)";
        let object = |count: usize, value: Value| {
            Value::Object((0..count).map(|i| (i.to_string(), value.clone())).collect())
        };
        check(&|count| object(count, json!(1)), 1_000, too_many);
        check(&|count| object(count, json!({ "$gt": 1, "$lt": 2 })), 500, too_many);
        check(&|count| json!({ "$or": vec![json!({}); count] }), 1_000, too_many);
        check(&|count| json!({ "$and": vec![json!({ "v": 1 }); count] }), 500, too_many);
        check(&|count| json!({ "v": { "$in": vec![json!([]); count] } }), 999, too_many);
        let operands = "all $in and $nin of a filter may have at most 100000 operands together";
        check(&|count| json!({ "v": { "$nin": vec![1; count] } }), 100_000, operands);
        let halves = |count| json!({ "v": { "$nin": vec![1; 50_000], "$in": vec![1; count] } });
        check(&halves, 50_000, operands);
        let regexes = "a filter may have at most 16 $regex";
        check(&|count| object(count, json!({ "$regex": "a" })), 16, regexes);
        let long = "a $regex may have at most 1024 bytes, got 1025";
        check(&|bytes| json!({ "v": { "$regex": "a".repeat(bytes) } }), 1_024, long);
        let deep = |depth| (0..depth).fold(json!({}), |inner, _| json!({ "$not": inner }));
        check(&deep, 64, "a filter may be nested at most 64 deep");
        let large = Filter::parse(&json!({ "v": { "$regex": "\\w{200}" } })).unwrap_err();
        assert!(
            matches!(large, FilterError::Regex { source: regex::Error::CompiledTooBig(262_144) }),
            "{large:?}"
        );
    }
}
