//! The first command of the README, so that CI runs what a newcomer types.

use crate::Result;

/// What a newcomer types first, as arguments of the sensor.
///
/// Taken from the first line in a fenced block that starts the sensor, be it through
/// `cargo run … --` or by its name; words are split at blanks, quotes are not understood.
pub(crate) fn first_command(readme: &str) -> Result<Vec<String>> {
    let joined = readme.replace("\\\n", " ");
    let mut fenced = false;
    for line in joined.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced && let Some(arguments) = sensor_arguments(line) {
            return if arguments
                .iter()
                .any(|word| word.contains(['"', '\'', '|', '>', '$']))
            {
                Err(format!("the README's first command is more than plain words: {line}").into())
            } else {
                Ok(arguments)
            };
        }
    }
    Err("README.md holds no fenced command that starts vxscope".into())
}

fn sensor_arguments(line: &str) -> Option<Vec<String>> {
    let command = line.trim().trim_start_matches("$ ");
    let command = command.split(" #").next().unwrap_or_default();
    let mut words = command.split_whitespace();
    let program = words.next()?;
    let rest: Vec<String> = words.map(ToOwned::to_owned).collect();
    if program == "vxscope" || program.ends_with("/vxscope") {
        return Some(rest);
    }
    if program != "cargo" || rest.first()? != "run" {
        return None;
    }
    let at = rest.iter().position(|word| word == "--")?;
    Some(rest.into_iter().skip(at + 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fenced_command_of_the_sensor_is_taken() {
        let replay = ["replay", "pcaps/a.pcap", "--out", "out"];
        check(
            "```sh\ncargo run --release -- replay pcaps/a.pcap --out out\n```\n",
            Some(&replay),
        );
        check(
            "```\n$ vxscope replay pcaps/a.pcap --out out # words\n```",
            Some(&replay),
        );
        check(
            "```\ngit clone x\n./vxscope replay \\\n pcaps/a.pcap --out out\n```",
            Some(&replay),
        );
    }

    #[test]
    fn prose_and_other_commands_are_passed_over() {
        check("vxscope demo\n", None);
        check(
            "```\ncargo xtask ci\ncargo run --package other\n```\nvxscope demo\n",
            None,
        );
    }

    #[test]
    fn a_pipeline_is_refused_and_not_half_run() {
        check("```\nvxscope replay - --out out < a.pcap | cat\n```", None);
    }

    fn check(readme: &str, expected: Option<&[&str]>) {
        match (first_command(readme), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected),
            (Err(_), None) => {}
            (found, _) => panic!("{readme}: {found:?}, expected {expected:?}"),
        }
    }
}
