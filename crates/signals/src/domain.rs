//! The registered domain of a name: what somebody had to register, by a small rule.
//!
//! The Public Suffix List has ten thousand entries and changes weekly. Two kinds of them matter
//! here: second-level registries of countries (`co.uk`), which follow a pattern, and services that
//! give names to anybody (`duckdns.org`), of which the common ones are listed. A name under a
//! suffix that the rule does not know counts as its provider's: a domain may then be missed as
//! new, never told twice.

/// Labels of a registered domain, at most.
pub(crate) const REGISTERED_MAX: usize = 3;

/// Labels that countries use as second level, where names are registered at the third.
const SECOND_LEVEL: &[&str] = &[
    "ac", "asn", "co", "com", "ed", "edu", "gc", "go", "gob", "gouv", "gov", "gub", "gv", "id",
    "ind", "int", "ltd", "me", "mil", "mod", "ne", "net", "nhs", "nic", "nom", "or", "org", "plc",
    "police", "sch", "web",
];

/// Services under whose names anybody gets one.
const GIVEN_AWAY: &[&[&str]] = &[
    &["amazonaws", "com"],
    &["appspot", "com"],
    &["azurewebsites", "net"],
    &["blogspot", "com"],
    &["cloudapp", "net"],
    &["cloudfront", "net"],
    &["ddns", "net"],
    &["duckdns", "org"],
    &["dyndns", "org"],
    &["fly", "dev"],
    &["github", "io"],
    &["gitlab", "io"],
    &["herokuapp", "com"],
    &["hopto", "org"],
    &["loca", "lt"],
    &["netlify", "app"],
    &["ngrok", "io"],
    &["ngrok-free", "app"],
    &["onrender", "com"],
    &["pages", "dev"],
    &["repl", "co"],
    &["sytes", "net"],
    &["trycloudflare", "com"],
    &["vercel", "app"],
    &["web", "app"],
    &["workers", "dev"],
    &["zapto", "org"],
];

/// The labels of the registered domain at the end of a name's labels; all of them if there are too
/// few.
pub(crate) fn registered<'a, 'b>(labels: &'a [&'b [u8]]) -> &'a [&'b [u8]] {
    let keep = match labels {
        [.., second, top] => {
            let is_country = top.len() == 2;
            let registers = SECOND_LEVEL.iter().any(|known| is(second, known));
            let gives_away = GIVEN_AWAY
                .iter()
                .any(|suffix| matches!(suffix, [a, b] if is(second, a) && is(top, b)));
            if is_country && registers || gives_away {
                REGISTERED_MAX
            } else {
                2
            }
        }
        _ => 1,
    };
    labels
        .get(labels.len().saturating_sub(keep)..)
        .unwrap_or_default()
}

fn is(label: &[u8], known: &str) -> bool {
    label.eq_ignore_ascii_case(known.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::registered;

    #[test]
    fn names_belong_to_what_was_registered() {
        for (name, expected) in [
            ("www.example.com", "example.com"),
            ("a.b.c.example.com", "example.com"),
            ("example.com", "example.com"),
            ("com", "com"),
            ("localhost", "localhost"),
            ("www.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("www.example.com.br", "example.com.br"),
            ("www.example.de", "example.de"),
            ("www.co.com", "co.com"),
            ("evil.DuckDNS.org", "evil.DuckDNS.org"),
            ("x.evil.duckdns.org", "evil.duckdns.org"),
            ("a.b.workers.dev", "b.workers.dev"),
            ("ip-10-0-0-1.ec2.internal", "ec2.internal"),
            ("4.3.2.1.in-addr.arpa", "in-addr.arpa"),
            ("", ""),
        ] {
            let labels: Vec<_> = name.split('.').map(str::as_bytes).collect();
            let found = registered(&labels).join(&b'.');
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{name}");
        }
    }
}
