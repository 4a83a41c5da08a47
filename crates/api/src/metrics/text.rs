//! Families and samples as lines of text.

use std::fmt::{Display, Write};

use bytes::Bytes;

/// What the lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus, text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Text under way. All names get the prefix `vxscope_`, counters the suffix `_total`.
pub(super) struct Text {
    out: String,
    format: Format,
    /// Name of the samples of the family under way.
    name: String,
}

impl Text {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            out: String::new(),
            format,
            name: String::new(),
        }
    }

    /// A family of counters or gauges; its samples follow.
    pub(super) fn family(&mut self, name: &str, help: &str, is_counter: bool) {
        let kind = if is_counter { "counter" } else { "gauge" };
        let suffix = if is_counter { "_total" } else { "" };
        self.name = format!("vxscope_{name}{suffix}");
        // The older format names a family as its samples.
        let family = match self.format {
            Format::Prometheus => self.name.clone(),
            Format::OpenMetrics => format!("vxscope_{name}"),
        };
        self.head(&family, help, kind);
    }

    /// A family with one sample and no labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, true);
        self.sample(&[], value);
    }

    /// A family with one sample and no labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, false);
        self.sample(&[], value);
    }

    /// A sample of the family under way.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let name = std::mem::take(&mut self.name);
        self.line(&name, labels, value);
        self.name = name;
    }

    /// A family of one histogram: how many did not exceed each bound, how many there are, and
    /// their sum.
    pub(super) fn histogram<'a>(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl Iterator<Item = (&'a str, u64)>,
        (count, sum): (u64, f64),
    ) {
        let family = format!("vxscope_{name}");
        self.head(&family, help, "histogram");
        let bucket = format!("{family}_bucket");
        for (bound, below) in buckets {
            self.line(&bucket, &[("le", bound)], below);
        }
        self.line(&bucket, &[("le", "+Inf")], count);
        self.line(&format!("{family}_count"), &[], count);
        self.line(&format!("{family}_sum"), &[], sum);
    }

    fn head(&mut self, family: &str, help: &str, kind: &str) {
        let _ = write!(self.out, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.out.push_str(name);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.out.push(if number == 0 { '{' } else { ',' });
            let _ = write!(self.out, "{label}=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// Takes over what was written before.
    pub(super) fn append(&mut self, written: &[u8]) {
        self.out.push_str(&String::from_utf8_lossy(written));
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.out.into()
    }

    /// Nothing follows.
    pub(super) fn finish(mut self) -> Bytes {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.into_bytes()
    }
}

fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_differ_in_the_names_of_counters_and_the_end() {
        check(
            Format::Prometheus,
            "# HELP vxscope_a_total All.\n# TYPE vxscope_a_total counter\n\
             vxscope_a_total{b=\"c\",d=\"e\"} 3\n",
        );
        check(
            Format::OpenMetrics,
            "# HELP vxscope_a All.\n# TYPE vxscope_a counter\n\
             vxscope_a_total{b=\"c\",d=\"e\"} 3\n# EOF\n",
        );
    }

    #[test]
    fn no_label_breaks_out_of_its_quotes() {
        let mut text = Text::new(Format::Prometheus);
        text.family("a", "All.", false);
        text.sample(&[("b", "\\ \"\n")], 1);
        let text = text.finish();
        assert!(
            text.ends_with(b"vxscope_a{b=\"\\\\ \\\"\\n\"} 1\n"),
            "{text:?}"
        );
    }

    fn check(format: Format, expected: &str) {
        let mut text = Text::new(format);
        text.family("a", "All.", true);
        text.sample(&[("b", "c"), ("d", "e")], 3);
        assert_eq!(text.finish(), expected);
    }
}
