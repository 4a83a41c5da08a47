//! The kinds of values a key may have: how each is read, printed and described.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;

use toml::de::DeValue;
use vxscope_units::ByteSize;

/// A type that a key may have.
pub(crate) trait Field: Sized {
    /// What narrows the type for one key.
    type Limits;
    /// Whether the value is a list, which an assignment may write without brackets.
    const LIST: bool = false;

    /// The value, or `None` if it has another type or breaks the limits.
    fn read(value: &DeValue<'_>, limits: &Self::Limits) -> Option<Self>;
    /// The value as TOML that `read` takes back.
    fn print(&self) -> String;
    /// What `read` takes, for people.
    fn allowed(limits: &Self::Limits) -> String;
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {
        $(impl Field for $type {
            type Limits = RangeInclusive<u64>;

            fn read(value: &DeValue<'_>, limits: &Self::Limits) -> Option<Self> {
                whole(value).filter(|number| limits.contains(number))?.try_into().ok()
            }

            fn print(&self) -> String {
                self.to_string()
            }

            fn allowed(limits: &Self::Limits) -> String {
                format!("a whole number from {} to {}", limits.start(), limits.end())
            }
        })+
    };
}

whole_numbers!(u8, u16, u32, u64);

impl Field for NonZeroU16 {
    type Limits = RangeInclusive<u64>;

    fn read(value: &DeValue<'_>, limits: &Self::Limits) -> Option<Self> {
        u16::read(value, limits).and_then(Self::new)
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn allowed(limits: &Self::Limits) -> String {
        u16::allowed(limits)
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A share of something, from 0 to 1.
impl Field for f64 {
    type Limits = RangeInclusive<Self>;

    fn read(value: &DeValue<'_>, limits: &Self::Limits) -> Option<Self> {
        let text = match value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return None,
        };
        text.parse().ok().filter(|share| limits.contains(share))
    }

    fn print(&self) -> String {
        format!("{self:?}")
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("a number from {:?} to {:?}", limits.start(), limits.end())
    }
}

impl Field for bool {
    type Limits = ();

    fn read(value: &DeValue<'_>, (): &Self::Limits) -> Option<Self> {
        value.as_bool()
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn allowed((): &Self::Limits) -> String {
        "true or false".to_owned()
    }
}

/// A whole number means bytes.
impl Field for ByteSize {
    type Limits = RangeInclusive<Self>;

    fn read(value: &DeValue<'_>, limits: &Self::Limits) -> Option<Self> {
        let size = match value {
            DeValue::String(text) => text.parse().ok(),
            other => whole(other).map(Self::bytes),
        };
        size.filter(|size| limits.contains(size))
    }

    fn print(&self) -> String {
        format!("\"{self}\"")
    }

    fn allowed(limits: &Self::Limits) -> String {
        format!("a size from \"{}\" to \"{}\"", limits.start(), limits.end())
    }
}

/// UDP ports, all different; the limit is how many.
impl Field for Vec<u16> {
    type Limits = usize;
    const LIST: bool = true;

    fn read(value: &DeValue<'_>, count_max: &Self::Limits) -> Option<Self> {
        let ports = distinct(value, |item| u16::read(item, &(1..=65_535)))?;
        (ports.len() <= *count_max).then_some(ports)
    }

    fn print(&self) -> String {
        print_list(self.iter().map(u16::to_string))
    }

    fn allowed(count_max: &Self::Limits) -> String {
        format!("a list of at most {count_max} different ports from 1 to 65535, like [4789]")
    }
}

/// A name or a path, on one line; the limit is its length in bytes.
impl Field for String {
    type Limits = usize;

    fn read(value: &DeValue<'_>, bytes_max: &Self::Limits) -> Option<Self> {
        let text = value.as_str()?;
        // What would have to be escaped where it is printed.
        let is_plain = !text.contains(|it: char| it.is_control() || it == '"' || it == '\\');
        (is_plain && text.len() <= *bytes_max).then(|| text.to_owned())
    }

    fn print(&self) -> String {
        format!("\"{self}\"")
    }

    fn allowed(bytes_max: &Self::Limits) -> String {
        format!("at most {bytes_max} bytes of text without quotes and backslashes")
    }
}

/// An address and a port, or nothing.
impl Field for Option<SocketAddr> {
    type Limits = ();

    fn read(value: &DeValue<'_>, (): &Self::Limits) -> Option<Self> {
        match value.as_str()? {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }

    fn print(&self) -> String {
        self.map_or_else(|| "\"\"".to_owned(), |address| format!("\"{address}\""))
    }

    fn allowed((): &Self::Limits) -> String {
        "\"ADDRESS:PORT\", like \"127.0.0.1:9477\", or \"\"".to_owned()
    }
}

/// A closed set of words, as a key's value or in a list.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every choice, in the order in which they are shown.
    const ALL: &'static [Self];

    /// The word in the configuration.
    fn name(self) -> &'static str;

    /// The choice with this word.
    #[must_use]
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|choice| choice.name() == name)
    }
}

/// Defines a closed set of words with [`Choice`] and the word as `Display`.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $crate::field::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::field::Choice::name(*self))
            }
        }
    };
}
pub(crate) use choice;

impl<T: Choice> Field for T {
    type Limits = ();

    fn read(value: &DeValue<'_>, (): &Self::Limits) -> Option<Self> {
        Self::from_name(value.as_str()?)
    }

    fn print(&self) -> String {
        format!("\"{}\"", self.name())
    }

    fn allowed((): &Self::Limits) -> String {
        words::<Self>(" or ")
    }
}

fn words<T: Choice>(between: &str) -> String {
    let words: Vec<String> = T::ALL.iter().map(T::print).collect();
    words.join(between)
}

/// The items of a list if all are readable and no two are equal. Work is
/// bounded: there are at most 65,535 different items of any type.
pub(crate) fn distinct<T: PartialEq>(
    value: &DeValue<'_>,
    read: impl Fn(&DeValue<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let array = value.as_array()?;
    let mut items = Vec::new();
    for value in array.iter() {
        let item = read(value.get_ref())?;
        if items.contains(&item) {
            return None;
        }
        items.push(item);
    }
    Some(items)
}

pub(crate) fn print_list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!("[{}]", items.join(", "))
}
