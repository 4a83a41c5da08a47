//! What ships beside the program: alert rules, dashboards, units, held to what the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::sensor::{Sensor, free_tcp_port};
use crate::{folder, skip};

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");

#[test]
fn alert_rules_fire_when_they_should() {
    let rules = format!("{PACKAGING}/prometheus");
    let promtool = |arguments: &[&str]| {
        let mut promtool = Command::new("promtool");
        promtool.args(arguments).current_dir(&rules).output()
    };
    let Ok(checked) = promtool(&["check", "rules", "vxscope.rules.yml"]) else {
        return skip("there is no promtool");
    };
    for output in [
        checked,
        promtool(&["test", "rules", "vxscope.rules.test.yml"]).unwrap(),
    ] {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

/// A rule or a chart about a metric that is not there never fires, and nobody notices.
#[test]
fn rules_and_dashboards_know_only_metrics_that_there_are() {
    let dir = folder();
    let address = format!("127.0.0.1:{}", free_tcp_port());
    let options = ["--api", &address, "--set", "policy.mode=shadow"];
    let sensor = Sensor::start(dir.path(), &options);
    let there: BTreeSet<String> = crate::sensor::until("metrics of the mirrors", || {
        let metrics = crate::api::get(&address, "/metrics");
        let names = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        let names: BTreeSet<String> = names
            .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
            .collect();
        names.contains("vxscope_mirrors").then_some(names)
    });
    sensor.stop();
    for file in ["prometheus/vxscope.rules.yml", "grafana/vxscope.json"] {
        let text = std::fs::read_to_string(Path::new(PACKAGING).join(file)).unwrap();
        let mut known = 0;
        for name in metrics_in(&text) {
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(&name);
            assert!(there.contains(name), "{file}: {name}");
            known += 1;
        }
        assert!(known > 10, "{file}");
    }
}

fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let names = words.filter(|word| word.starts_with("vxscope_"));
    names.map(str::to_owned).collect()
}

#[test]
fn units_are_understood_and_confined() {
    let units = format!("{PACKAGING}/systemd");
    let analyze = |arguments: &[&str]| {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(arguments).current_dir(&units).output()
    };
    let names = [
        "vxscope.service",
        "vxscope-controller.service",
        "vxscope-tune.service",
        "vxscope-reap.service",
        "vxscope-reap.timer",
    ];
    let Ok(verified) = analyze(&[&["verify"], &names[..]].concat()) else {
        return skip("there is no systemd-analyze");
    };
    // The programs and pages are not installed here; nothing else may be wrong.
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let is_known = |line: &&str| {
        line.contains("is not executable") || line.contains("Command 'man ") || line.is_empty()
    };
    let wrong: Vec<&str> = said.lines().filter(|line| !is_known(line)).collect();
    let of_ours = wrong.iter().filter(|line| line.contains("vxscope")).count();
    assert_eq!(of_ours, 0, "{said}");
    for name in [names[0], names[1], names[3]] {
        // Exposure in tenths: 3.0 is what systemd calls well confined.
        let judged = analyze(&["security", "--offline=true", "--threshold=30", name]).unwrap();
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{said}");
    }
    let unit = std::fs::read_to_string(format!("{units}/vxscope.service")).unwrap();
    assert!(unit.contains("IPAddressDeny=169.254.169.254/32 fd00:ec2::254/128"));
}

/// What processes give up, they give up by system calls, which their units have to leave them.
#[test]
fn units_let_the_processes_give_up_what_they_give_up() {
    let Ok(listed) = Command::new("systemd-analyze")
        .arg("syscall-filter")
        .output()
    else {
        return skip("there is no systemd-analyze");
    };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut groups = BTreeMap::<&str, Vec<&str>>::new();
    let mut group = "";
    for line in listed.lines() {
        match line.strip_prefix("    ") {
            None => group = line,
            Some(name) if !name.starts_with('#') => groups.entry(group).or_default().push(name),
            Some(_) => {}
        }
    }
    let of_both = [
        "prctl",
        "prlimit64",
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ];
    let of_the_sensor = ["capget", "capset", "sendmsg", "recvmmsg"];
    let table: [(&str, &[&str]); 2] = [
        ("vxscope.service", &of_the_sensor),
        ("vxscope-controller.service", &["execve", "connect"]),
    ];
    for (name, own) in table {
        let unit = std::fs::read_to_string(format!("{PACKAGING}/systemd/{name}")).unwrap();
        let allowed = allowed(&unit, &groups);
        for needed in of_both.iter().chain(own) {
            assert!(allowed.contains(needed), "{name}: {needed}");
        }
        for refused in ["ptrace", "mount", "bpf", "kexec_load", "init_module"] {
            assert!(!allowed.contains(refused), "{name}: {refused}");
        }
    }
}

/// The calls that a unit leaves its process.
fn allowed<'a>(unit: &'a str, groups: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut allowed = BTreeSet::new();
    let lines = unit
        .lines()
        .filter_map(|it| it.strip_prefix("SystemCallFilter="));
    for line in std::iter::once("@default").chain(lines) {
        let (is_refused, names) = match line.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, line),
        };
        for name in names.split(' ').flat_map(|it| calls_of(it, groups)) {
            match is_refused {
                true => allowed.remove(name),
                false => allowed.insert(name),
            };
        }
    }
    allowed
}

/// The calls of a group, or the one of this name.
fn calls_of<'a>(name: &'a str, groups: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<&'a str> {
    groups.get(name).map_or_else(
        || vec![name],
        |members| members.iter().flat_map(|it| calls_of(it, groups)).collect(),
    )
}

/// Terraform is in no package that may be installed: where it is not, braces and names are all
/// that is looked at, and it is said. `tests/terraform/plan.py` has it judge the module.
#[test]
fn templates_are_what_their_checkers_take() {
    let sensor = Path::new(PACKAGING).join("cloudformation/sensor.yaml");
    if let Some(complaints) = vxscope_standin::complaints(&sensor) {
        assert_eq!(complaints, "");
    }
    let format = Command::new("terraform")
        .args(["fmt", "-check", "-diff", "terraform"])
        .current_dir(PACKAGING)
        .output();
    match format {
        Ok(run) => {
            let said = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success(), "terraform: {said}");
        }
        Err(_) => println!("could not run: there is no terraform"),
    }
    let read = |name: &str| std::fs::read_to_string(Path::new(PACKAGING).join(name)).unwrap();
    let text = ["main", "variables", "outputs"].map(|it| read(&format!("terraform/{it}.tf")));
    let text = text.concat();
    let count = |part: &str| text.matches(part).count();
    assert_eq!(count("{"), count("}"));
    let used = text.split("var.").skip(1);
    let used = used.map(|it| {
        it.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
    });
    let used: BTreeSet<&str> = used.flatten().collect();
    let given = text.split("variable \"").skip(1);
    let given: BTreeSet<&str> = given.filter_map(|it| it.split('"').next()).collect();
    assert_eq!(used, given);
    // The parameters that the start of an instance asks for are those that it is given.
    let start = read("terraform/cloud-init.yaml.tftpl");
    for name in ["package_url", "services", "balanced"] {
        assert!(start.contains(name) && text.contains(&format!("{name} = ")));
    }
    let unit = "systemd/vxscope-reap.timer";
    assert!(text.contains("vxscope-reap.timer") && !read(unit).is_empty());
}

/// Its images are other people's, and it builds the sensor anew, so it is not built here: what it
/// says of ours is looked at.
#[test]
fn the_container_file_copies_what_there_is_and_starts_what_the_program_takes() {
    let text = std::fs::read_to_string(format!("{PACKAGING}/Containerfile")).unwrap();
    let root = Path::new(PACKAGING).join("../../..");
    let known = [
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ];
    let lines = text
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    let lines: Vec<(&str, &str)> = lines.filter_map(|it| it.split_once(' ')).collect();
    for (instruction, rest) in &lines {
        assert!(known.contains(instruction), "{instruction}");
        if *instruction == "COPY" && !rest.starts_with("--from=") {
            let from = rest.split(' ').next().unwrap();
            assert!(root.join(from).exists(), "{from}");
        }
    }
    let words = |name: &str| -> Vec<String> {
        let found = lines.iter().find(|(it, _)| *it == name).unwrap().1;
        serde_json::from_str(&found[found.find('[').unwrap()..]).unwrap()
    };
    assert_eq!(words("ENTRYPOINT"), ["/usr/bin/vxscope"]);
    for command in [words("CMD"), words("HEALTHCHECK")[1..].to_vec()] {
        let (name, options) = command.split_first().unwrap();
        let help = crate::vxscope(Path::new("."), &[name, "--help"]).ok();
        for option in options.iter().filter(|it| it.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")), "{option}: {help}");
        }
    }
    let shipped = format!("{PACKAGING}/vxscope.toml");
    let checked = ["check-config", &shipped];
    crate::vxscope(Path::new("."), &checked).ok();
}

/// On a tree of our own, which has an old kernel's settings.
#[test]
fn tuning_raises_what_is_too_low_and_can_undo() {
    let dir = folder();
    let proc = dir.path().join("proc/net/core");
    std::fs::create_dir_all(&proc).unwrap();
    let (low, high) = (proc.join("rmem_max"), proc.join("netdev_budget"));
    std::fs::write(&low, "212992\n").unwrap();
    std::fs::write(&high, "99999\n").unwrap();
    let tune = |command: &str| {
        let run = Command::new(format!("{PACKAGING}/vxscope-tune"))
            .arg(command)
            .env("VXSCOPE_TUNE_PROC", dir.path().join("proc"))
            .env("VXSCOPE_TUNE_STATE", dir.path().join("state"))
            .output()
            .expect("a shell");
        assert_eq!(run.status.success(), command != "help");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let read = |path: &Path| std::fs::read_to_string(path).unwrap().trim().to_owned();
    assert!(tune("explain").contains("net.core.rmem_max = 1073741824\n    lets"));
    for _ in 0..2 {
        tune("apply");
        assert_eq!(
            (read(&low), read(&high)),
            ("1073741824".into(), "99999".into())
        );
    }
    tune("undo");
    assert_eq!((read(&low), read(&high)), ("212992".into(), "99999".into()));
    assert!(tune("undo").contains("nothing to undo"));
    tune("help");
}
