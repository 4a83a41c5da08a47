//! Rust source with its comments, strings and characters blanked, so that a word found in what is
//! left is a word of the program.

/// Blanks everything that is not code; lines stay where they are.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word);
        let length = blank_length(rest, after_word);
        let (taken, next) = rest.split_at(length.unwrap_or_else(|| first.len_utf8()));
        if length.is_some() {
            code.extend(
                taken
                    .chars()
                    .map(|one| if one == '\n' { '\n' } else { ' ' }),
            );
        } else {
            code.push_str(taken);
        }
        rest = next;
    }
    code
}

/// The line numbers, from 1, on which a word stands in the code.
pub(crate) fn lines_with_word(source: &str, word: &str) -> Vec<usize> {
    code_only(source)
        .lines()
        .enumerate()
        .filter(|(_, line)| line.split(|one| !is_word(one)).any(|found| found == word))
        .map(|(index, _)| index + 1)
        .collect()
}

fn is_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_'
}

/// How many bytes at the front are a comment or a literal, or `None` if code stands there.
fn blank_length(text: &str, after_word: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment_length(text));
    }
    if text.starts_with('"') {
        return Some(quoted_length(text, '"'));
    }
    if text.starts_with('\'') {
        return character_length(text);
    }
    if after_word {
        return None;
    }
    let prefix = ["br", "cr", "r"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    raw_string_length(text.get(prefix.len()..)?).map(|length| prefix.len() + length)
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if one == quote => return at + one.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character literal, or `None` for a lifetime or a label.
fn character_length(text: &str) -> Option<usize> {
    let mut inside = text.chars().skip(1);
    match (inside.next()?, inside.next()?) {
        ('\\', _) => Some(quoted_length(text, '\'')),
        (one, '\'') => Some(2 + one.len_utf8()),
        _ => None,
    }
}

/// `#…#"…"#…#` after the prefix, or `None` if no string opens there (a raw identifier).
fn raw_string_length(text: &str) -> Option<usize> {
    let hashes = text.bytes().take_while(|byte| *byte == b'#').count();
    let body = text.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        body.find(&end)
            .map_or(text.len(), |at| hashes + 1 + at + end.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_program_are_found() {
        check("fn a() { unsafe { b() } }", &[1]);
        check("\n\nunsafe impl Send for X {}", &[3]);
        check("let x = 'a'; unsafe {}", &[1]);
        check("fn f<'a>(x: &'a str) { unsafe {} }", &[1]);
        check("let x = '\\''; unsafe {}", &[1]);
        check("let x = '\"'; unsafe {} // '\"'", &[1]);
        check("let x = \"a\\\"\"; unsafe {}", &[1]);
        check("let r = \"\"; r#unsafe();", &[1]);
        check("/* /* */ */ unsafe {}", &[1]);
    }

    #[test]
    fn comments_and_literals_are_not_the_program() {
        check("// unsafe", &[]);
        check("//! unsafe\n/// unsafe\nfn a() {}", &[]);
        check("/* a /* unsafe */ unsafe */", &[]);
        check("let x = \"unsafe \\\" unsafe\";", &[]);
        check("let x = r#\"unsafe \" unsafe\"#;", &[]);
        check("let x = br\"unsafe\\\";", &[]);
        check("let x = b\"unsafe\";", &[]);
        check("let unsafe_code = 1; deny(unsafe_code)", &[]);
    }

    #[test]
    fn lines_and_lengths_stay() {
        let source = "a /* x\ny */ b\n\"p\nq\" c é 'é'";
        let code = code_only(source);
        assert_eq!(code, "a     \n     b\n  \n   c é    ");
        assert_eq!(code.lines().count(), source.lines().count());
    }

    fn check(source: &str, expected: &[usize]) {
        assert_eq!(lines_with_word(source, "unsafe"), expected, "{source}");
    }
}
