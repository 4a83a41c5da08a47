//! What the tests share: captures, runs, and the outputs read back.

pub(crate) mod capture;
pub(crate) mod corpus;
pub(crate) mod flow;
pub(crate) mod output;
pub(crate) mod program;
pub(crate) mod run;
pub(crate) mod watchdog;

/// Fails unless what differs is what is listed, each with its reason: a difference that is not
/// listed fails, and so does one that is listed and gone.
pub(crate) fn listed(differing: &[(String, String)], list: &[(&str, &str)]) {
    let mut complaints = Vec::new();
    for (name, difference) in differing {
        match list.iter().find(|(listed, _)| listed == name) {
            Some((_, reason)) => println!("differs as listed: {name}: {reason} [{difference}]"),
            None => complaints.push(format!("{name}: {difference}")),
        }
    }
    for (name, _) in list {
        if !differing.iter().any(|(differing, _)| differing == name) {
            complaints.push(format!("{name} is listed as different and agrees"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
