//! Links in the documentation that point at files of the repository.

/// The targets of the links of a Markdown text that name a file, without their fragments.
pub(crate) fn file_targets(markdown: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            targets.extend(inline_targets(line));
            targets.extend(reference_target(line));
        }
    }
    targets.retain(|target| names_a_file(target));
    targets.iter_mut().for_each(|target| {
        if let Some(at) = target.find('#') {
            target.truncate(at);
        }
    });
    targets
}

/// `[text](target)` and `![text](target "title")`, outside code spans.
fn inline_targets(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    outside
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter_map(|inside| inside.split_whitespace().next())
        .map(|target| target.trim_matches(['<', '>']).to_owned())
        .collect()
}

/// `[name]: target` at the start of a line.
fn reference_target(line: &str) -> Option<String> {
    let (_, rest) = line.strip_prefix('[')?.split_once("]:")?;
    rest.split_whitespace().next().map(ToOwned::to_owned)
}

fn names_a_file(target: &str) -> bool {
    !target.is_empty()
        && !target.starts_with('#')
        && !target.contains("://")
        && !target.starts_with("mailto:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_addresses_are_not() {
        check(
            "see [a](docs/A.md) and [b](../b.rs#L3)",
            &["docs/A.md", "../b.rs"],
        );
        check("![picture](p.svg \"title\")", &["p.svg"]);
        check(
            "[page](https://example.org/x) [part](#part) [m](mailto:a@example.org)",
            &[],
        );
        check("[ref]: docs/R.md", &["docs/R.md"]);
    }

    #[test]
    fn code_holds_no_links() {
        check("```\n[a](b.md)\n```\n[c](d.md)", &["d.md"]);
        check("`x[0](y)` and [c](d.md)", &["d.md"]);
    }

    fn check(markdown: &str, expected: &[&str]) {
        assert_eq!(file_targets(markdown), expected, "{markdown}");
    }
}
