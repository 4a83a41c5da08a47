//! What the clients do. Both tenants do each thing at the same time and from the same ports, so
//! that their conversations are equal in all but the mirror source.

use super::tenant::{CLIENT, SERVER, SERVER_V6, SILENT, Tenant};
use super::topology::Network;
use crate::Result;
use std::process::{Child, Output, Stdio};

/// No command of a client runs longer, in seconds.
const COMMAND_SECONDS_MAX: &str = "20";

/// One kind of command, run a number of times by each tenant.
struct Plan {
    name: &'static str,
    /// How often tenant a and tenant b run it.
    runs: [u32; 2],
    /// The exit code that shows it went as meant; a refused connection is meant, for instance.
    exit: i32,
    /// The line of its output worth keeping holds this.
    keep: &'static str,
    /// The command with `{n}` for the number of the run, from 1, and `{port}` for its own port.
    command: String,
}

/// What became of one plan in one tenant.
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// The index of the tenant.
    pub(super) tenant: usize,
    /// Each command with the line of its output that says how it went.
    pub(super) runs: Vec<(String, String)>,
}

/// Runs all plans one after another; a command that ends otherwise than meant is an error.
pub(super) fn run_all(tenants: &[Tenant; 2], network: &Network) -> Result<Vec<Phase>> {
    let mut phases = Vec::new();
    for (index, plan) in plans().iter().enumerate() {
        println!(
            "{:16} {} and {} runs",
            plan.name, plan.runs[0], plan.runs[1]
        );
        let first_port = 40_000 + 100 * u32::try_from(index)?;
        let mut runs = [Vec::new(), Vec::new()];
        for number in 1..=plan.runs[0].max(plan.runs[1]) {
            let words = plan.words(number, first_port + number);
            let mut children = Vec::new();
            for tenant in 0..tenants.len() {
                if number <= plan.runs[tenant] {
                    children.push((tenant, start(network, tenant, &words)?));
                }
            }
            for (tenant, child) in children {
                let line = plan.result(&words, &child.wait_with_output()?)?;
                runs[tenant].push((words.join(" "), line));
            }
        }
        for (tenant, runs) in runs.into_iter().enumerate() {
            phases.push(Phase {
                name: plan.name,
                tenant,
                runs,
            });
        }
    }
    Ok(phases)
}

fn start(network: &Network, tenant: usize, words: &[String]) -> Result<Child> {
    let mut command = network.tenants[tenant].client.command("timeout");
    command
        .arg(COMMAND_SECONDS_MAX)
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .map_err(|error| format!("{}: {error}", words.join(" ")).into())
}

impl Plan {
    fn words(&self, number: u32, port: u32) -> Vec<String> {
        self.command
            .split_whitespace()
            .map(|word| {
                let word = word.replace("{n}", &number.to_string());
                // A blank inside a word, for curl's formats.
                word.replace("{port}", &port.to_string())
                    .replace("{_}", " ")
            })
            .collect()
    }

    fn result(&self, words: &[String], output: &Output) -> Result<String> {
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(self.exit) {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "`{}` ended with {} instead of {}: {text}{complaint}",
                words.join(" "),
                output.status,
                self.exit
            )
            .into());
        }
        let line = text
            .lines()
            .rfind(|line| line.contains(self.keep))
            .unwrap_or_default();
        Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

fn plan(name: &'static str, runs: [u32; 2], command: String) -> Plan {
    Plan {
        name,
        runs,
        exit: 0,
        keep: "",
        command,
    }
}

/// Everything the clients do, in order.
fn plans() -> Vec<Plan> {
    [web(), names(), other_servers(), echoes(), failures()]
        .into_iter()
        .flatten()
        .collect()
}

fn web() -> Vec<Plan> {
    let curl = "curl --silent --max-time 5 --output /dev/null --local-port {port} \
                --write-out %{http_code}{_}%{size_download}\\n";
    let v4 = |path: &str| format!("{curl} http://{SERVER}{path}");
    vec![
        plan("http", [8, 5], v4("/?run={n}")),
        plan("http-large", [1, 2], v4("/large.bin")),
        plan("http-missing", [2, 1], v4("/missing")),
        plan("http-keepalive", [1, 1], v4("/?run=[1-3]")),
        plan(
            "http-post",
            [1, 1],
            format!("{} --data field={{n}}", v4("/form")),
        ),
        plan(
            "http-v6",
            [2, 3],
            format!("{curl} --globoff http://[{SERVER_V6}]/"),
        ),
    ]
}

fn names() -> Vec<Plan> {
    let dig = format!("dig +short +time=2 +tries=1 -b {CLIENT}#{{port}} @{SERVER}");
    vec![
        plan("dns-a", [6, 4], format!("{dig} www.lab.example A")),
        plan(
            "dns-nxdomain",
            [2, 1],
            format!("{dig} nobody-{{n}}.lab.example A"),
        ),
        plan("dns-tcp", [1, 1], format!("{dig} +tcp lab.example TXT")),
        plan(
            "dns-v6",
            [2, 2],
            format!("dig +short +time=2 +tries=1 @{SERVER_V6} www.lab.example AAAA"),
        ),
    ]
}

fn other_servers() -> Vec<Plan> {
    let iperf3 = format!("iperf3 --client {SERVER} --cport {{port}} --format k");
    let kept = |plan: Plan| Plan {
        keep: "sender",
        ..plan
    };
    vec![
        plan(
            "redis-set",
            [4, 2],
            format!("redis-cli -h {SERVER} set key:{{n}} value-{{n}}"),
        ),
        plan(
            "redis-get",
            [2, 2],
            format!("redis-cli -h {SERVER} get key:{{n}}"),
        ),
        plan(
            "ssh",
            [1, 2],
            format!("ssh-keyscan -T 5 -t ed25519 {SERVER}"),
        ),
        kept(plan("iperf3-up", [1, 1], format!("{iperf3} --bytes 120K"))),
        kept(plan(
            "iperf3-down",
            [1, 0],
            format!("{iperf3} --bytes 80K --reverse"),
        )),
        kept(plan(
            "iperf3-udp",
            [0, 1],
            format!("{iperf3} --udp --length 1200 --bitrate 2M --bytes 30K"),
        )),
    ]
}

fn echoes() -> Vec<Plan> {
    let ping = "ping -q -i 0.2 -c";
    let kept = |plan: Plan| Plan {
        keep: "received",
        ..plan
    };
    vec![
        kept(plan("ping", [1, 1], format!("{ping} 5 -e 7 {SERVER}"))),
        kept(plan(
            "ping-v6",
            [1, 1],
            format!("{ping} 3 -e 8 {SERVER_V6}"),
        )),
        kept(plan(
            "ping-fragments",
            [1, 1],
            format!("{ping} 3 -e 9 -s 3000 {SERVER}"),
        )),
        kept(plan(
            "ping-v6-fragments",
            [1, 1],
            format!("{ping} 2 -e 10 -s 3000 {SERVER_V6}"),
        )),
    ]
}

/// What does not work: refused, unreachable and unanswered connections, and a scan.
fn failures() -> Vec<Plan> {
    let curl = "curl --silent --output /dev/null --local-port {port} --connect-timeout 1.5";
    let nmap = format!("nmap -n -Pn --max-retries 1 --send-ip -g {{port}} {SERVER}");
    let fails = |exit, plan: Plan| Plan { exit, ..plan };
    vec![
        fails(
            7,
            plan("tcp-refused", [2, 1], format!("{curl} http://{SERVER}:81/")),
        ),
        fails(
            28,
            plan("tcp-unanswered", [1, 1], format!("{curl} http://{SILENT}/")),
        ),
        fails(
            9,
            plan(
                "udp-refused",
                [1, 1],
                format!("dig +time=1 +tries=1 -b {CLIENT}#{{port}} -p 54 @{SERVER} a."),
            ),
        ),
        Plan {
            keep: "scanned",
            ..plan("scan-syn", [1, 0], format!("{nmap} -sS -p 1-120"))
        },
        Plan {
            keep: "scanned",
            ..plan("scan-udp", [0, 1], format!("{nmap} -sU -p 50-57"))
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ports_and_blanks_are_filled_in() {
        let plan = plan(
            "x",
            [1, 1],
            "curl --local-port {port} %{http_code}{_}%{size} /{n}".to_owned(),
        );
        let words = plan.words(3, 40_003);
        assert_eq!(
            words,
            [
                "curl",
                "--local-port",
                "40003",
                "%{http_code} %{size}",
                "/3"
            ]
        );
    }

    #[test]
    fn every_plan_is_run_by_somebody_and_named_once() {
        let plans = plans();
        let mut names: Vec<&str> = plans.iter().map(|plan| plan.name).collect();
        assert!(plans.iter().all(|plan| plan.runs.iter().sum::<u32>() > 0));
        assert!(
            plans
                .iter()
                .all(|plan| plan.runs.iter().all(|runs| *runs < 100))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), plans.len());
    }
}
