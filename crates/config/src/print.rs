//! A configuration as TOML: bare, or with every key explained.

use std::fmt;
use std::fmt::Write as _;

use crate::Config;
use crate::role;
use crate::section::{Key, keys};
use crate::source;

impl Config {
    /// All keys as TOML; [`Config::parse`] gives the same configuration back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        self.print(|_| String::new()) + &role::print(self) + &source::print(self)
    }

    /// The default configuration with the meaning and the limits of every key as comments.
    #[must_use]
    pub fn reference() -> String {
        let head =
            "# vxscope: every key with its default. Only what differs needs to be written.\n";
        let keys = Self::default().print(explain);
        format!("{head}{keys}{}{}", role::EXPLAINED, source::EXPLAINED)
    }

    /// The keys in which another configuration differs, the listed sources left out.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let differ = keys().filter(|key| (key.print)(self) != (key.print)(other));
        let mut differ: Vec<String> = differ.map(Key::path).collect();
        if self.signals.roles != other.signals.roles {
            differ.push("[[role]]".to_owned());
        }
        differ
    }

    fn print(&self, before: impl Fn(&Key) -> String) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in keys() {
            if key.section != section {
                section = key.section;
                let _ = write!(text, "\n[{section}]\n");
            }
            let _ = writeln!(text, "{}{} = {}", before(key), key.name, (key.print)(self));
        }
        text
    }
}

/// The comment above a key: its documentation, then what is allowed.
fn explain(key: &Key) -> String {
    let mut comment = "\n".to_owned();
    for line in key.doc {
        let _ = writeln!(comment, "#{line}");
    }
    let _ = writeln!(comment, "# Allowed: {}.", (key.allowed)());
    comment
}

/// The configuration as TOML.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}
