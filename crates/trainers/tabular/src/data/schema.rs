//! What the columns of a table are.

use serde::{Deserialize, Serialize};

/// What the columns of a table are: an id, the features, and the class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub(crate) id: String,
    pub(crate) features: Vec<Feature>,
    pub(crate) class: String,
    pub(crate) classes: Vec<String>,
}

impl Schema {
    /// What the column of ids is called. Ids are never learned from.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The columns that are learned from, at least 1, in the order of the file.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// What the column of classes is called.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The classes, 2 to 256, as they are spelled in the file; class `i` of the learners is the one at `i`. In the
    /// order of their bytes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The columns of a file to predict for: all but the class.
    pub(crate) fn asked(&self) -> impl ExactSizeIterator<Item = &str> {
        let names: Vec<&str> =
            std::iter::once(&*self.id).chain(self.features.iter().map(|feature| &*feature.name)).collect();
        names.into_iter()
    }

    /// Whether it is as [`prepare`](crate::prepare) makes them; for what comes out of a file.
    pub(crate) fn is_sound(&self) -> bool {
        let ordered = |texts: &[String]| texts.windows(2).all(|pair| pair[0] < pair[1]);
        let dictionaries = self.features.iter().all(|feature| match &feature.fields {
            Fields::Numbers => true,
            Fields::Texts(texts) => texts.len() <= DICTIONARY_MAX && ordered(texts),
        });
        let classes = (2..=CLASSES_MAX).contains(&self.classes.len()) && ordered(&self.classes);
        !self.features.is_empty() && dictionaries && classes
    }
}

/// A column that is learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    pub(crate) name: String,
    pub(crate) fields: Fields,
}

impl Feature {
    /// What it is called; no other column is called the same.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// What is in a column. Any field may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fields {
    /// Numbers: every field that is not missing is one. A column without any field is of this kind.
    Numbers,
    /// Texts. These are its dictionary: the most frequent ones, at most 1,000, in the order of their bytes. All
    /// others are taken for one and the same.
    Texts(Vec<String>),
}

/// How many classes a table may have.
pub(crate) const CLASSES_MAX: usize = 256;
/// How many texts a dictionary may have.
pub(crate) const DICTIONARY_MAX: usize = 1_000;
