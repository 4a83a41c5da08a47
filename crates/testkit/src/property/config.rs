//! Configurations of any text: taken and printed back, or refused with a place to look at.

use vxscope_config::{Config, Problem};
use vxscope_engine::Plan;

/// The bytes are a configuration file, broken UTF-8 replaced; each of its first lines is an
/// assignment of the command line as well.
///
/// # Panics
/// If a configuration that was taken does not read back equal from its own print or makes no
/// plan, a refusal names no line of the text or is not printable on one line, or a refused
/// assignment changes something.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Config::parse(&text) {
        Ok(config) => sound(&config),
        Err(problems) => {
            printable(&problems);
            let lines = text.split('\n').count();
            let of_text = |problem: &Problem| problem.line().is_some_and(|line| line <= lines);
            assert!(problems.iter().all(of_text), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.line() != Some(0)));
        }
    }
    assignments(&text);
}

/// Most assignments that are tried of one text.
const ASSIGNMENTS_MAX: usize = 8;

fn assignments(text: &str) {
    let lines: Vec<String> = text
        .split('\n')
        .take(ASSIGNMENTS_MAX)
        .map(ToOwned::to_owned)
        .collect();
    let mut config = Config::default();
    for line in &lines {
        let before = config.clone();
        match config.apply_set(line) {
            Ok(()) => sound(&config),
            Err(problems) => {
                printable(&problems);
                assert_eq!(config, before);
            }
        }
    }
    match Config::parse_with("", &lines) {
        Ok(config) => sound(&config),
        Err(problems) => printable(&problems),
    }
}

fn sound(config: &Config) {
    let printed = config.to_toml();
    assert_eq!(Config::parse(&printed).as_ref(), Ok(config), "{printed}");
    assert_eq!(config.check(), Ok(()));
    let plan = Plan::try_new(config).expect("a configuration without problems makes a plan");
    assert!(plan.ring_bytes() <= config.rings.memory.get(), "{plan:?}");
    let tables = u64::from(plan.workers.get()) * plan.limits.flows_max as u64;
    assert!(tables >= config.flow.flows_max, "{plan:?}");
    assert!(!plan.to_string().is_empty());
}

/// Each problem is a line of its own for people, and they stand in the order of their places.
fn printable(problems: &[Problem]) {
    assert!(!problems.is_empty());
    assert!(problems.is_sorted_by_key(|problem| &problem.place));
    for problem in problems {
        let printed = problem.to_string();
        assert!(!printed.contains(char::is_control), "{printed:?}");
        assert!(!problem.message.is_empty());
    }
}
