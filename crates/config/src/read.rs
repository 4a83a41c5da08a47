//! Walks TOML along the table of keys and collects everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Config;
use crate::place::{Lines, Place, Problem, printable};
use crate::relation::RELATIONS;
use crate::role;
use crate::section::{Key, join, keys};
use crate::source;
use crate::suggest::suggest;

/// A configuration in the making.
pub(crate) struct Reader {
    config: Config,
    problems: Vec<Problem>,
    /// Where keys were set; for messages about keys that contradict each other.
    places: BTreeMap<String, Place>,
    /// Paths of keys and tables whose value was refused.
    refused: BTreeSet<String>,
    /// Where the addresses of the listed sources stand.
    source_places: Vec<Place>,
}

impl Reader {
    /// Starts from `config`.
    pub(crate) fn new(config: Config) -> Self {
        let source_places = vec![Place::Default; config.sources.listed.len()];
        Self {
            config,
            problems: Vec::new(),
            places: BTreeMap::new(),
            refused: BTreeSet::new(),
            source_places,
        }
    }

    /// A configuration file. What is readable in a broken one is checked as well.
    pub(crate) fn read_text(&mut self, text: &str) {
        let origin = Origin::File {
            text,
            lines: Lines::new(text),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut broken = BTreeSet::new();
        for error in errors {
            let place = origin.place(&error.span().unwrap_or(0..0));
            let message = format!("not TOML: {}", error.message());
            let problem = Problem {
                place,
                key: String::new(),
                message,
            };
            // One slip makes the parser stumble several times; the first says what it is.
            if broken.insert(problem.line()) {
                self.problems.push(problem);
            }
        }
        let good = self.problems.len();
        self.read_table("", table.get_ref(), &origin);
        self.drop_followups(good, &broken);
    }

    /// An assignment of the command line, `key=value`.
    pub(crate) fn read_assignment(&mut self, assignment: &str) {
        let sides = assignment
            .split_once('=')
            .map(|(path, value)| (path.trim(), value.trim()));
        let Some((path, value)) = sides.filter(|(path, _)| !path.is_empty()) else {
            let place = Place::Set(assignment.to_owned());
            let message = "write key=value, like flow.flows_max=1000".to_owned();
            self.problems.push(Problem {
                place,
                key: String::new(),
                message,
            });
            return;
        };
        let list = find(path).is_some_and(|key| key.list);
        let toml = as_toml(value, list);
        let origin = Origin::Set {
            text: &toml,
            assignment,
        };
        match DeValue::parse(&toml) {
            Ok(value) => self.read_value(path, &(0..0), &value, &origin),
            Err(error) => {
                let message = format!("not a TOML value: {}", error.message());
                self.refuse(path, origin.place(&(0..0)), message);
            }
        }
    }

    /// The configuration, if nothing is wrong with it.
    pub(crate) fn finish(mut self) -> Result<Config, Vec<Problem>> {
        for relation in RELATIONS {
            let usable = relation.keys.iter().all(|key| !self.is_refused(key));
            if let (true, Some(message)) = (usable, (relation.broken)(&self.config)) {
                let (key, place) = self.guilty(relation.keys);
                self.problems.push(Problem {
                    place,
                    key,
                    message,
                });
            }
        }
        let conflicts = source::conflicts(&self.config.sources.listed, &self.source_places);
        self.problems.extend(conflicts);
        let unknown = role::unknown(&self.config, &self.source_places);
        self.problems.extend(unknown);
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            Err(self.problems)
        }
    }

    /// The key to blame for a contradiction: the first that somebody set, assignments first.
    fn guilty(&self, paths: &[&str]) -> (String, Place) {
        let set = paths
            .iter()
            .filter_map(|path| Some((*path, self.places.get(*path)?)));
        set.min_by_key(|(_, place)| !matches!(place, Place::Set(_)))
            .map(|(path, place)| (path.to_owned(), place.clone()))
            .or_else(|| {
                paths
                    .first()
                    .map(|path| ((*path).to_owned(), Place::Default))
            })
            .unwrap_or_else(|| (String::new(), Place::Default))
    }

    fn is_refused(&self, path: &str) -> bool {
        self.refused.iter().any(|refused| is_within(path, refused))
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &Origin<'_>) {
        for (name, value) in table {
            let path = join(prefix, name.get_ref());
            self.read_value(&path, &name.span(), value, origin);
        }
    }

    fn read_value(
        &mut self,
        path: &str,
        name: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
        origin: &Origin<'_>,
    ) {
        if value.span().is_empty() && !self.problems.is_empty() {
            // The parser's stand-in for a value it could not read, and has reported.
            self.refused.insert(path.to_owned());
        } else if path == source::LIST {
            self.read_sources(value, origin);
        } else if path == role::LIST {
            self.read_roles(value, origin);
        } else if let Some(key) = find(path) {
            self.read_key(key, path, value, origin);
        } else if !is_section(path) {
            self.refuse(path, origin.place(name), unknown(path));
        } else if let Some(table) = value.get_ref().as_table() {
            self.read_table(path, table, origin);
        } else {
            let message = format!("found {}; allowed: a table of keys", found(value, origin));
            self.refuse(path, origin.place(&value.span()), message);
        }
    }

    fn read_key(
        &mut self,
        key: &Key,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        origin: &Origin<'_>,
    ) {
        let place = origin.place(&value.span());
        if (key.read)(&mut self.config, value.get_ref()) {
            self.places.insert(path.to_owned(), place);
        } else {
            let allowed = (key.allowed)();
            let message = format!("found {}; allowed: {allowed}", found(value, origin));
            self.refuse(path, place, message);
        }
    }

    /// A list replaces the one before it, as any value does.
    fn read_sources(&mut self, value: &Spanned<DeValue<'_>>, origin: &Origin<'_>) {
        let text = source::Text {
            place: &|span| origin.place(span),
            found: &|value| found(value, origin),
        };
        let listed = source::read(value, &text);
        self.problems.extend(listed.problems);
        self.config.sources.listed = listed.bindings;
        self.source_places = listed.places;
    }

    fn read_roles(&mut self, value: &Spanned<DeValue<'_>>, origin: &Origin<'_>) {
        let text = source::Text {
            place: &|span| origin.place(span),
            found: &|value| found(value, origin),
        };
        let (roles, problems) = role::read(value, &text);
        self.problems.extend(problems);
        self.config.signals.roles = roles;
    }

    fn refuse(&mut self, path: &str, place: Place, message: String) {
        self.refused.insert(path.to_owned());
        self.problems.push(Problem {
            place,
            key: path.to_owned(),
            message,
        });
    }

    /// Forgets problems after the first `good` that stand on a line that is not TOML anyway.
    fn drop_followups(&mut self, good: usize, broken: &BTreeSet<Option<usize>>) {
        let mut index = 0;
        self.problems.retain(|problem| {
            index += 1;
            index <= good || !broken.contains(&problem.line())
        });
    }
}

/// Where the TOML comes from.
enum Origin<'a> {
    File { text: &'a str, lines: Lines<'a> },
    Set { text: &'a str, assignment: &'a str },
}

impl Origin<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        match self {
            Self::File { lines, .. } => lines.place(span.start),
            Self::Set { assignment, .. } => Place::Set((*assignment).to_owned()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::File { text, .. } | Self::Set { text, .. } => text,
        }
    }
}

fn find(path: &str) -> Option<&'static Key> {
    keys().find(|key| key.path() == path)
}

fn is_section(path: &str) -> bool {
    keys().any(|key| is_within(&key.path(), path))
}

/// Whether `path` is `table` or lies in it.
fn is_within(path: &str, table: &str) -> bool {
    path.strip_prefix(table)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unknown(path: &str) -> String {
    if let Some(known) = suggest(path) {
        return format!("unknown key; did you mean {known}?");
    }
    let section = path.rsplit_once('.').map_or("", |(section, _)| section);
    let mut names: Vec<String> = Vec::new();
    for path in keys().map(Key::path) {
        let rest = if section.is_empty() {
            Some(path.as_str())
        } else {
            within(&path, section)
        };
        let Some(name) = rest.and_then(|rest| rest.split('.').next()) else {
            continue;
        };
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    if section.is_empty() {
        names.extend([role::LIST.to_owned(), source::LIST.to_owned()]);
    }
    if names.is_empty() {
        return "unknown key".to_owned();
    }
    format!("unknown key; known here: {}", names.join(", "))
}

fn within<'a>(path: &'a str, section: &str) -> Option<&'a str> {
    path.strip_prefix(section)?.strip_prefix('.')
}

/// A value as it was written, with its type where that is not plain to see.
fn found(value: &Spanned<DeValue<'_>>, origin: &Origin<'_>) -> String {
    let written = origin
        .text()
        .get(value.span())
        .map(str::trim)
        .unwrap_or_default();
    match value.get_ref() {
        DeValue::Table(_) => "a table".to_owned(),
        DeValue::Datetime(_) => format!("{} (a date)", printable(written)),
        _ => printable(written),
    }
}

/// The right side of an assignment as TOML: a word needs no quotes, a list no brackets.
fn as_toml(value: &str, list: bool) -> String {
    if list && !value.starts_with('[') {
        let items = value.split(',').filter(|item| !item.trim().is_empty());
        let items: Vec<String> = items.map(|item| as_toml(item.trim(), false)).collect();
        return format!("[{}]", items.join(", "));
    }
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ' | ':' | '/');
    if DeValue::parse(value).is_err() && value.chars().all(word) {
        return format!("\"{value}\"");
    }
    value.to_owned()
}
