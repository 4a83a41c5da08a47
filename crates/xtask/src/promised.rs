//! Tests that the documentation names one by one must exist: `crate path::to::test` in tables of
//! the threat model and of `docs/FAULTS.md`.

use std::path::Path;

use crate::Result;
use crate::workspace::Workspace;

/// The pages whose tables name tests.
const PAGES: [&str; 2] = ["docs/ARCHITECTURE.md", "docs/FAULTS.md"];

/// One line for each test that is named and not there.
pub(crate) fn missing(workspace: &Workspace, files: &[impl AsRef<Path>]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for page in PAGES.iter().filter(|page| workspace.path(page).is_file()) {
        let text = std::fs::read_to_string(workspace.path(page))?;
        let named = named(&text);
        if named.is_empty() {
            missing.push(format!("{page}: names no tests"));
        }
        for (line, package, test) in named {
            if !is_there(workspace, files, &package, &test)? {
                missing.push(format!("{page}:{line}: {package} has no test {test}"));
            }
        }
    }
    Ok(missing)
}

/// Line, package and path of each test that the tables name.
fn named(markdown: &str) -> Vec<(usize, String, String)> {
    let rows = markdown.lines().enumerate();
    let rows = rows.filter(|(_, line)| line.starts_with('|'));
    let spans =
        rows.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |s| (at, s)));
    spans
        .filter_map(|(at, span)| {
            let (package, test) = span.split_once(' ')?;
            let is_package = package.starts_with("vxscope") && !test.contains(' ');
            is_package.then(|| (at + 1, package.to_owned(), test.to_owned()))
        })
        .collect()
}

/// Whether some file of the package has a test of that name, in a module of the name before it.
fn is_there(
    workspace: &Workspace,
    files: &[impl AsRef<Path>],
    package: &str,
    test: &str,
) -> Result<bool> {
    let folder = match package.strip_prefix("vxscope-") {
        Some(name) => Path::new("crates").join(name),
        None => Path::new("crates/vxscope").to_owned(),
    };
    let mut path = test.rsplit("::");
    let name = path.next().unwrap_or_default();
    let module = path.find(|module| *module != "tests");
    for file in files.iter().map(AsRef::as_ref) {
        let is_source = file.starts_with(&folder) && file.extension().is_some_and(|it| it == "rs");
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        let parent = file.parent().and_then(|it| it.file_name()?.to_str());
        let fits = module.is_none_or(|module| stem == Some(module) || parent == Some(module));
        if is_source && fits {
            let source = std::fs::read_to_string(workspace.root().join(file))?;
            if has_test(&source, name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a function of this name stands below `#[test]`, with attributes between them at most.
fn has_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        match line {
            "#[test]" => is_test = true,
            _ if is_test && line.starts_with(&head) => return true,
            _ if line.starts_with("fn ") => is_test = false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_named_and_not_there_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write(
            "docs/FAULTS.md",
            "`vxscope-a not_in_a_table`\n| x | `vxscope-a t::one`, `vxscope-a t::helper` |\n\
             | y | `vxscope-b one`, `vxscope-a u::one`, `a word` |\n",
        );
        write(
            "crates/a/src/t.rs",
            "#[test]\n#[ignore]\nfn one() {}\nfn helper() {}\n",
        );
        let files = ["crates/a/src/t.rs", "docs/FAULTS.md"];
        let found = missing(&Workspace::at(folder.path()), &files).expect("files are read");
        assert_eq!(
            found,
            [
                "docs/FAULTS.md:2: vxscope-a has no test t::helper",
                "docs/FAULTS.md:3: vxscope-b has no test one",
                "docs/FAULTS.md:3: vxscope-a has no test u::one",
            ]
        );
    }
}
