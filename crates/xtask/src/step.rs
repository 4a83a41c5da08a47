//! Named steps that run one after another, are timed, and end in a table.

use crate::Result;
use std::time::{Duration, Instant};

/// How one step ended; a failure is the error of its function.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did what it says; the note is shown in the table if it is not empty.
    Passed(String),
    /// It could not run here, and that is no fault; the note says why.
    Skipped(String),
}

impl Outcome {
    pub(crate) fn passed() -> Self {
        Self::Passed(String::new())
    }
}

/// One step of a run over a context `C` that later steps read.
pub(crate) struct Step<C> {
    name: &'static str,
    action: fn(&mut C) -> Result<Outcome>,
}

/// A step with its name.
pub(crate) const fn step<C>(name: &'static str, action: fn(&mut C) -> Result<Outcome>) -> Step<C> {
    Step { name, action }
}

struct Row {
    name: &'static str,
    result: &'static str,
    elapsed: Option<Duration>,
    note: String,
}

/// Runs the steps in order up to the first failure, prints the table, and fails with its name.
pub(crate) fn run_all<C>(steps: &[Step<C>], context: &mut C) -> Result<()> {
    let mut rows = Vec::with_capacity(steps.len());
    let mut failed: Option<&'static str> = None;
    for step in steps {
        if failed.is_some() {
            rows.push(Row {
                name: step.name,
                result: "not run",
                elapsed: None,
                note: String::new(),
            });
            continue;
        }
        println!("\n==> {}", step.name);
        let (outcome, elapsed) = timed(|| (step.action)(context));
        let (result, note) = match outcome {
            Ok(Outcome::Passed(note)) => ("ok", note),
            Ok(Outcome::Skipped(note)) => {
                println!("skipped: {note}");
                ("skipped", note)
            }
            Err(error) => {
                println!("FAILED {}: {error}", step.name);
                failed = Some(step.name);
                ("FAILED", first_line(&error.to_string()))
            }
        };
        rows.push(Row {
            name: step.name,
            result,
            elapsed: Some(elapsed),
            note,
        });
    }
    println!("\n{}", table(&rows));
    match failed {
        None => Ok(()),
        Some(name) => Err(format!("step `{name}` failed").into()),
    }
}

/// Runs a function and says how long it took.
#[expect(
    clippy::disallowed_methods,
    reason = "a developer tool measures its own steps"
)]
pub(crate) fn timed<T>(action: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = action();
    (value, start.elapsed())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut total = Duration::ZERO;
    for row in rows {
        let seconds = row.elapsed.map_or_else(|| "-".to_owned(), seconds);
        total += row.elapsed.unwrap_or_default();
        let line = format!(
            "{:width$}  {:8} {seconds:>9}  {}",
            row.name, row.result, row.note
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!(
        "{:width$}  {:8} {:>9}",
        "total",
        "",
        seconds(total)
    ));
    text
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_the_run_and_is_named() {
        let steps = [
            step("first", |seen: &mut Vec<u8>| {
                seen.push(1);
                Ok(Outcome::passed())
            }),
            step("second", |_| Err("broken\nin two lines".into())),
            step("third", |seen| {
                seen.push(3);
                Ok(Outcome::passed())
            }),
        ];
        let mut seen = Vec::new();
        let error = run_all(&steps, &mut seen).expect_err("the second step fails");
        assert!(error.to_string().contains("second"), "{error}");
        assert_eq!(seen, [1]);
    }

    #[test]
    fn a_skip_is_not_a_failure() {
        let steps = [step("first", |_| {
            Ok(Outcome::Skipped("no root".to_owned()))
        })];
        run_all(&steps, &mut ()).expect("a skip lets the run pass");
    }

    #[test]
    fn the_table_aligns_names_and_adds_the_times() {
        let row = |name, elapsed| Row {
            name,
            result: "ok",
            elapsed,
            note: String::new(),
        };
        let rows = [
            row("fmt", Some(Duration::from_millis(1500))),
            row("a longer name", Some(Duration::from_millis(500))),
            row("later", None),
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "fmt            ok           1.5 s");
        assert_eq!(lines[2], "later          ok               -");
        assert_eq!(lines[3], "total                       2.0 s");
    }
}
