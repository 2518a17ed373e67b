use serde::{Deserialize, Serialize};

/// How big a model is, number by number; a [`Shape`] is one that holds together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Layers one above the other, 1 to 64.
    pub layers: usize,
    /// Numbers that stand for one token, 2 to 4,096; as many in each head, and those an even count.
    pub width: usize,
    /// Heads of attention, 1 to 64.
    pub heads: usize,
    /// Heads of keys and values, each shared by as many heads as any other.
    pub key_heads: usize,
    /// Numbers within the gated part of a layer, 1 to 16,384.
    pub hidden: usize,
    /// Tokens that are seen at once, 8 to 4,096.
    pub context: usize,
    /// Tokens that there are, 2 to 65,536.
    pub vocabulary: usize,
    /// Whether the numbers by which a token is read are those by which it is written.
    pub head: Head,
    /// The base of the waves that tell places apart, 1 to 10⁹; 10,000 in most models.
    pub wave_base: f64,
    /// What is added to a mean square before it divides, 10⁻¹² to 10⁻¹.
    pub norm_least: f64,
}

/// By which numbers a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Head {
    /// Those by which it is read.
    Tied,
    /// Numbers of their own.
    Own,
}

/// The sizes of a decoder as llama has it: they fit together, and none is beyond its bounds.
///
/// ```
/// use trainyard_finetune::Shape;
///
/// assert_eq!(Shape::SMALL.weights(), 107_840);
/// let mut sizes = *Shape::SMALL.sizes();
/// sizes.heads = 5;
/// assert_eq!(Shape::new(sizes).unwrap_err().to_string(), "a width of 64 cannot be shared by 5 heads");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Sizes", into = "Sizes")]
pub struct Shape(Sizes);

impl Shape {
    /// Two layers of 64 numbers, and 256 bytes seen at once: learns something within seconds.
    pub const SMALL: Self = Self(Sizes {
        layers: 2,
        width: 64,
        heads: 4,
        key_heads: 2,
        hidden: 172,
        context: 256,
        vocabulary: crate::tokens::COUNT,
        head: Head::Tied,
        wave_base: 10_000.0,
        norm_least: 1e-5,
    });

    /// These sizes.
    ///
    /// # Errors
    /// [`NoShape`] when one is out of its bounds, or they do not fit together.
    pub fn new(sizes: Sizes) -> Result<Self, NoShape> {
        let Sizes {
            layers,
            width,
            heads,
            key_heads,
            hidden,
            context,
            vocabulary,
            head: _,
            wave_base,
            norm_least,
        } = sizes;
        for (what, value, least, most) in [
            ("layers", layers, 1, 64),
            ("width", width, 2, 4_096),
            ("heads", heads, 1, 64),
            ("key heads", key_heads, 1, 64),
            ("hidden width", hidden, 1, 16_384),
            ("context", context, 8, 4_096),
            ("vocabulary", vocabulary, 2, 65_536),
        ] {
            if !(least..=most).contains(&value) {
                return Err(NoShape::OutOfBounds { what, value, least, most });
            }
        }
        if !width.is_multiple_of(2 * heads) {
            return Err(NoShape::Width { width, heads });
        }
        if !heads.is_multiple_of(key_heads) {
            return Err(NoShape::KeyHeads { heads, key_heads });
        }
        if !(1.0..=1e9).contains(&wave_base) || !(1e-12..=0.1).contains(&norm_least) {
            return Err(NoShape::Constants);
        }
        Ok(Self(sizes))
    }

    /// Number by number.
    #[must_use]
    pub const fn sizes(&self) -> &Sizes {
        &self.0
    }

    /// How many weights such a model has.
    #[must_use]
    pub const fn weights(&self) -> u64 {
        let Sizes { layers, width, hidden, vocabulary, head, .. } = self.0;
        let keys = self.key_width();
        let layer = 2 * width * width + 2 * width * keys + 3 * width * hidden + 2 * width;
        let tables = match head {
            Head::Tied => 1,
            Head::Own => 2,
        };
        (layers * layer + tables * vocabulary * width + width) as u64
    }

    /// The memory that such a model takes, in bytes: its weights, and the waves that tell places apart.
    pub(crate) const fn bytes(&self) -> u64 {
        4 * (self.weights() + (self.0.context * self.head_width()) as u64)
    }

    /// All that sets it apart from another one, number by number.
    pub(crate) fn digits(&self) -> [u64; 10] {
        let Sizes {
            layers,
            width,
            heads,
            key_heads,
            hidden,
            context,
            vocabulary,
            head,
            wave_base,
            norm_least,
        } = self.0;
        let counts = [layers, width, heads, key_heads, hidden, context, vocabulary].map(|count| count as u64);
        let [a, b, c, d, e, f, g] = counts;
        [a, b, c, d, e, f, g, u64::from(head == Head::Tied), wave_base.to_bits(), norm_least.to_bits()]
    }

    /// Numbers in a head.
    pub(crate) const fn head_width(&self) -> usize {
        self.0.width / self.0.heads
    }

    /// Numbers in all keys of a token.
    pub(crate) const fn key_width(&self) -> usize {
        self.head_width() * self.0.key_heads
    }
}

impl TryFrom<Sizes> for Shape {
    type Error = NoShape;

    fn try_from(sizes: Sizes) -> Result<Self, NoShape> {
        Self::new(sizes)
    }
}

impl From<Shape> for Sizes {
    fn from(shape: Shape) -> Self {
        shape.0
    }
}

/// Why sizes make no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoShape {
    /// One is too small or too large.
    #[error("{what}: {value} is not within {least} to {most}")]
    OutOfBounds {
        /// Which.
        what: &'static str,
        /// What it is.
        value: usize,
        /// The least it may be.
        least: usize,
        /// The most it may be.
        most: usize,
    },
    /// Heads would not be equal, or not of an even width.
    #[error("a width of {width} cannot be shared by {heads} heads")]
    Width {
        /// The width.
        width: usize,
        /// The heads.
        heads: usize,
    },
    /// Keys could not be shared equally.
    #[error("{key_heads} key heads cannot be shared by {heads} heads")]
    KeyHeads {
        /// The heads.
        heads: usize,
        /// Those of keys and values.
        key_heads: usize,
    },
    /// The base of the waves or the least mean square is out of its bounds.
    #[error("the wave base or the least mean square is out of bounds")]
    Constants,
}
