//! One event, as a line.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use vxscope_units::Timestamp;

/// The field that is the message.
const MESSAGE: &str = "message";

/// What is known of an event.
#[derive(Debug)]
pub(crate) struct Line {
    at: Timestamp,
    level: Level,
    target: String,
    message: String,
    fields: Map<String, Value>,
    /// Lines of the same place before it that were not written.
    left_out: u64,
}

impl Line {
    pub(crate) fn new(at: Timestamp, event: &Event<'_>, left_out: u64) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            at,
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Map::new(),
            left_out,
        };
        event.record(&mut line);
        line
    }

    pub(crate) fn json(&self) -> String {
        let mut object = json!({
            "timestamp": self.at.to_string(),
            "level": self.level.as_str(),
            "target": self.target,
            "message": self.message,
            "fields": self.fields,
        });
        if self.left_out > 0 {
            object["left_out"] = self.left_out.into();
        }
        object.to_string()
    }

    /// Nothing in it moves a terminal's cursor or begins a line of its own.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} {:5} {}:", self.at, self.level.as_str(), self.target);
        if !self.message.is_empty() {
            let _ = write!(text, " {}", escaped(&self.message));
        }
        for (name, value) in &self.fields {
            let _ = match value {
                Value::String(value) => write!(text, " {name}={}", escaped(value)),
                value => write!(text, " {name}={value}"),
            };
        }
        if self.left_out > 0 {
            let _ = write!(text, " ({} like it were left out)", self.left_out);
        }
        text
    }

    fn record(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            (MESSAGE, Value::String(text)) => self.message = text,
            (MESSAGE, value) => self.message = value.to_string(),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, format!("{value:?}").into());
    }
}

/// Control characters as Rust writes them.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => out.extend(letter.escape_default()),
            false => out.push(letter),
        }
    }
    out
}

/// How urgent, for a journal.
pub(crate) const fn priority(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
    use tracing_subscriber::registry;

    use super::*;

    #[test]
    fn an_event_is_one_line_of_text_or_one_object_whatever_is_in_it() {
        let name = "a\n\u{1b}[31mb\"";
        let line = seen(|| {
            tracing::warn!(target: "here", name, count = 3_u64, share = 0.5, is_so = true, error = ?Some(1), "it's so:\n{name}");
        });
        assert_eq!(
            line.text(),
            "1970-01-01T00:00:01.000000+0000 WARN  here: it's so:\\na\\n\\u{1b}[31mb\" count=3 \
             error=Some(1) is_so=true name=a\\n\\u{1b}[31mb\" share=0.5 (2 like it were left out)"
        );
        let text = line.json();
        assert_eq!(text.lines().count(), 1);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            object,
            json!({
                "timestamp": "1970-01-01T00:00:01.000000+0000", "level": "WARN", "target": "here",
                "message": format!("it's so:\n{name}"), "left_out": 2,
                "fields": {"name": name, "count": 3, "share": 0.5, "is_so": true, "error": "Some(1)"},
            })
        );
    }

    #[test]
    fn what_was_not_said_is_not_there() {
        let line = seen(|| tracing::error!(target: "here", why = "x"));
        assert!(
            line.text()
                .ends_with("ERROR here: why=x (2 like it were left out)")
        );
        assert_eq!(priority(&line.level), "<3>");
    }

    /// What an event becomes.
    fn seen(act: impl FnOnce()) -> Line {
        #[derive(Clone, Default)]
        struct Last(Arc<Mutex<Option<Line>>>);
        impl<S: tracing::Subscriber> Layer<S> for Last {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                let line = Line::new(Timestamp::new(1, 0), event, 2);
                *self.0.lock().unwrap() = Some(line);
            }
        }
        let last = Last::default();
        tracing::subscriber::with_default(registry().with(last.clone()), act);
        last.0.lock().unwrap().take().expect("an event")
    }
}
