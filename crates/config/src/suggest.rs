//! What somebody who wrote an unknown key probably meant.

use crate::section::keys;

/// Longer keys are nobody's slip of the pen.
const LENGTH_MAX: usize = 64;

/// The known path closest to `path`: the same name in another section, else a few letters away.
pub(crate) fn suggest(path: &str) -> Option<String> {
    if path.len() > LENGTH_MAX {
        return None;
    }
    let paths: Vec<String> = keys().map(|key| key.path()).collect();
    let moved = paths.iter().find(|known| last(known) == last(path));
    let near = || {
        let by_path = paths.iter().map(|known| (distance(known, path), known));
        let by_name = paths
            .iter()
            .map(|known| (distance(last(known), last(path)) + 1, known));
        by_path
            .chain(by_name)
            .min()
            .filter(|(distance, known)| *distance <= slip_max(known))
    };
    moved.or_else(|| near().map(|(_, known)| known)).cloned()
}

/// Two letters, or a third of a longer name.
fn slip_max(known: &str) -> usize {
    (last(known).len() / 3).max(2)
}

fn distance(known: &str, written: &str) -> usize {
    strsim::damerau_levenshtein(known, &written.to_ascii_lowercase())
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn finds_the_slip_and_the_wrong_section() {
        check("flow.flow_max", Some("flow.flows_max"));
        check("flow.flwos_max", Some("flow.flows_max"));
        check("flow.flows-max", Some("flow.flows_max"));
        check("Flow.Flows_Max", Some("flow.flows_max"));
        check("flows_max", Some("flow.flows_max"));
        check("rings.vxlan_ports", Some("decapsulation.vxlan_ports"));
        check(
            "flow.timeouts.tcp.establised",
            Some("flow.timeouts.tcp.established"),
        );
        check("sead", Some("seed"));
        check("export.eve.strickt", Some("export.eve.strict"));
    }

    #[test]
    fn is_silent_where_nothing_is_near() {
        check("colour", None);
        check("", None);
        check(&"flows_max".repeat(1_000), None);
    }

    fn check(written: &str, meant: Option<&str>) {
        assert_eq!(suggest(written).as_deref(), meant, "{written}");
    }
}
