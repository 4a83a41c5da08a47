//! Roles: what they may say, and what they say when they may not.

use vxscope_config::Config;

#[test]
fn a_role_has_a_name_and_what_it_never_serves() {
    let config = Config::parse(
        r#"
        [[source]]
        address = "10.0.0.0/24"
        role = "printer"
        [[source]]
        address = "10.0.1.0/24"
        role = "windows"
        [[role]]
        name = "printer"
        never = ["tcp/22", "udp/161"]
        [[role]]
        name = "linux"
        never = []
        "#,
    );
    let config = config.unwrap();
    let [printer, linux] = &config.signals.roles[..] else {
        panic!("two roles: {:?}", config.signals)
    };
    assert_eq!((printer.never.len(), linux.never.len()), (2, 0));
    assert_eq!(printer.never[1].to_string(), "udp/161");
    assert_eq!(config.sources.listed[0].role.as_deref(), Some("printer"));
    assert_eq!(Config::parse(&config.to_toml()), Ok(config));
}

#[test]
fn what_is_wrong_with_roles_is_said_where_it_stands() {
    check(
        "[[source]]\naddress = '10.0.0.1'\nrole = 'toaster'",
        &["line 2: source.role: no role is called toaster; there are linux, windows, web-server"],
    );
    check(
        "[[role]]\nname = 'Printer'\nnever = ['tcp/0']\n[[role]]\nname = 'a'\nports = 1",
        &[
            "line 2: role.name: found 'Printer'; allowed: 1 to 64 lower-case letters, digits and hyphens",
            "line 3: role.never: found ['tcp/0']; allowed: ports, like [\"tcp/3389\", \"udp/161\"]",
            "line 6: role.ports: unknown key; known here: name, never",
        ],
    );
    check(
        "[[role]]\nname = 'a'\nnever = []\n[[role]]\nname = 'a'\nnever = []\n[[role]]\nname = 'b'",
        &[
            "line 4: role.name: a is there already; keep one of them",
            "line 7: role: a role needs a name and what it never serves",
        ],
    );
    check(
        "role = 1",
        &["line 1: role: found 1; allowed: one [[role]] table for each role"],
    );
    check(
        "role = [1]",
        &["line 1: role: found 1; allowed: one [[role]] table for each role"],
    );
}

#[test]
fn there_may_be_only_so_many_roles() {
    let text = |count: usize| -> String {
        let roles = (0..count).map(|n| format!("[[role]]\nname = 'r{n}'\nnever = []\n"));
        roles.collect()
    };
    assert!(Config::parse(&text(253)).is_ok());
    let problems = Config::parse(&text(254)).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .to_string()
            .ends_with("role: more than 256 roles"),
        "{problems:?}"
    );
}

fn check(text: &str, expected: &[&str]) {
    let problems = Config::parse(text).expect_err("problems");
    let found: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}
