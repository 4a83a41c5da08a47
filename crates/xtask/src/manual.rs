//! Man pages and completions, made from what the program says of itself: `--help` of every command.

use crate::Result;
use crate::workspace::text_of;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// One page.
pub(crate) struct Page {
    /// File name: `vxscope-run.1`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A page for the program and one for each of its commands.
pub(crate) fn pages(program: &Path) -> Result<Vec<Page>> {
    let top = help(program, &[])?;
    let mut pages = vec![page("vxscope", &top)];
    for command in commands(&top) {
        let text = help(program, &[&command])?;
        pages.push(page(&format!("vxscope-{command}"), &text));
    }
    Ok(pages)
}

/// Bash completion: commands, and the options of each.
pub(crate) fn bash(program: &Path) -> Result<String> {
    let names = commands(&help(program, &[])?);
    let mut text = String::from(
        "# Completion of vxscope for bash; made from its --help.\n_vxscope() {\n    \
         local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n    case \"${COMP_WORDS[1]}\" in\n",
    );
    for name in &names {
        let options = options(&help(program, &[name])?).join(" ");
        let _ = writeln!(text, "    {name}) words=\"{options}\" ;;");
    }
    let _ = write!(
        text,
        "    *) words=\"{} help --help --version\" ;;\n    esac\n    \
         if [[ $COMP_CWORD -eq 1 ]]; then words=\"{} help --help --version\"; fi\n    \
         COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n    \
         [[ ${{#COMPREPLY[@]}} -gt 0 ]] || compopt -o default\n}}\ncomplete -F _vxscope vxscope\n",
        names.join(" "),
        names.join(" ")
    );
    Ok(text)
}

/// Fish completion: commands with what they do, and the options of each.
pub(crate) fn fish(program: &Path) -> Result<String> {
    let top = help(program, &[])?;
    let mut text = String::from(
        "# Completion of vxscope for fish; made from its --help.\n\
         complete -c vxscope -n __fish_use_subcommand -f\n",
    );
    for name in commands(&top) {
        let help = help(program, &[&name])?;
        let about = quoted(help.lines().next().unwrap_or_default());
        let _ = writeln!(
            text,
            "complete -c vxscope -n __fish_use_subcommand -a {name} -d '{about}'"
        );
        for option in options(&help) {
            let option = option.trim_start_matches('-');
            let _ = writeln!(
                text,
                "complete -c vxscope -n '__fish_seen_subcommand_from {name}' -l {option}"
            );
        }
    }
    Ok(text)
}

/// Zsh completion: the same.
pub(crate) fn zsh(program: &Path) -> Result<String> {
    let top = help(program, &[])?;
    let (mut described, mut cases) = (String::new(), String::new());
    for name in commands(&top) {
        let help = help(program, &[&name])?;
        let about = quoted(help.lines().next().unwrap_or_default());
        let _ = writeln!(described, "    '{name}:{about}'");
        let options = options(&help).join(" ");
        let _ = writeln!(cases, "    {name}) compadd -- {options}; _files ;;");
    }
    Ok(format!(
        "#compdef vxscope\n# Completion of vxscope for zsh; made from its --help.\n\
         local -a commands=(\n{described})\n\
         if (( CURRENT == 2 )); then\n  _describe command commands\n  return\nfi\n\
         case $words[2] in\n{cases}esac\n"
    ))
}

/// For single quotes of either shell; a colon would end a name.
fn quoted(text: &str) -> String {
    text.replace(['\'', '\\'], "").replace(':', ",")
}

fn help(program: &Path, command: &[&str]) -> Result<String> {
    text_of(Command::new(program).args(command).arg("--help"))
}

/// The names under `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

/// Every `--option`.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.starts_with('-'));
    let options = lines.filter_map(|line| {
        let option = line
            .split([' ', ',', '=', '['])
            .find(|it| it.starts_with("--"))?;
        Some(option.to_owned())
    });
    options.collect()
}

fn page(name: &str, help: &str) -> Page {
    let about = help.lines().next().unwrap_or_default();
    let mut text = format!(
        ".TH {} 1 \"\" \"vxscope\" \"User Commands\"\n.SH NAME\n{name} \\- {}\n",
        name.to_uppercase(),
        escape(about)
    );
    for line in help.lines().skip(1) {
        let is_head = line.ends_with(':') && !line.starts_with(' ');
        match line.strip_prefix("Usage: ") {
            Some(usage) => {
                let _ = writeln!(text, ".SH SYNOPSIS\n.nf\n{}\n.fi", escape(usage));
            }
            None if is_head => {
                let head = line.trim_end_matches(':').to_uppercase();
                let _ = writeln!(text, ".SH {}", escape(&head));
            }
            None if line.trim_start().starts_with('-') => {
                let _ = writeln!(text, ".TP\n.B {}", escape(line.trim()));
            }
            None if line.is_empty() => {}
            None => {
                let _ = writeln!(text, "{}\n.br", escape(line.trim()));
            }
        }
    }
    text.push_str(".SH SEE ALSO\n/usr/share/doc/vxscope/GUIDE.md\n");
    Page {
        name: format!("{name}.1"),
        text,
    }
}

/// No character of ours is a command of troff's.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "Does it\n\nUsage: vxscope [OPTIONS] <COMMAND>\n\nCommands:\n  run   Runs\n  \
                        top   Shows\n  help  Helps\n\nOptions:\n  -h, --help       Print help\n      \
                        --set <KEY=VALUE>\n          .strange line\n";

    #[test]
    fn help_is_understood() {
        assert_eq!(commands(HELP), ["run", "top"]);
        assert_eq!(options(HELP), ["--help", "--set"]);
    }

    #[test]
    fn a_page_has_its_sections_and_no_stray_commands() {
        let page = page("vxscope-run", HELP);
        assert_eq!(page.name, "vxscope-run.1");
        for part in [
            ".SH NAME\nvxscope-run \\- Does it",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
        ] {
            assert!(page.text.contains(part), "{}", page.text);
        }
        assert!(page.text.contains("\\&.strange line"), "{}", page.text);
    }
}
