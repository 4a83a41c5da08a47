//! `vxscope extract` and `vxscope pin`: packets of the past out of a running sensor, and packets
//! to come kept for later.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use serde_json::{Value, json};
use vxscope_api::{Client, ClientError, Selection};
use vxscope_export::OutputDir;

use crate::arguments::{ExtractArguments, PinArguments, PinCommand, WhoseArguments};
use crate::failure::Failure;
use crate::print;
use crate::report::align;

/// Which flows, as typed: `flow=ID`, `community-id=1:…`, `tcp=A:PORT,B:PORT`, `hosts=A,B`,
/// `address=A`, `source=A`.
#[derive(Clone, Debug)]
pub(crate) struct Which(Selection);

const FORMS: &str = "flow=ID, community-id=1:…, tcp=ADDR:PORT,ADDR:PORT (udp, sctp), \
    hosts=ADDR,ADDR, icmp=ADDR,ADDR; for pins also address=ADDR and source=ADDR with --vni";

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, value) = text.split_once('=').unwrap_or((text, ""));
        let mut selection = Selection::default();
        match kind {
            "flow" => selection.flow_id = Some(parse(value, "a flow id")?),
            "community-id" => selection.community_id = Some(value.to_owned()),
            "address" => selection.address = Some(parse(value, "an address")?),
            "source" => selection.outer_ip = Some(parse(value, "an address")?),
            "hosts" | "icmp" | "ipv6-icmp" => {
                let (one, other) = pair(value)?;
                selection.proto = (kind != "hosts").then(|| kind.to_owned());
                selection.src_ip = Some(parse::<IpAddr>(one, "an address")?);
                selection.dest_ip = Some(parse::<IpAddr>(other, "an address")?);
            }
            "tcp" | "udp" | "sctp" => {
                let (one, other) = pair(value)?;
                let one: SocketAddr = parse(one, "an address with a port")?;
                let other: SocketAddr = parse(other, "an address with a port")?;
                selection.proto = Some(kind.to_owned());
                (selection.src_ip, selection.src_port) = (Some(one.ip()), Some(one.port()));
                (selection.dest_ip, selection.dest_port) = (Some(other.ip()), Some(other.port()));
            }
            _ => return Err(format!("\"{text}\" names no flow; write one of {FORMS}")),
        }
        Ok(Self(selection))
    }
}

fn pair(value: &str) -> Result<(&str, &str), String> {
    value
        .split_once(',')
        .ok_or_else(|| format!("\"{value}\": two ends are needed, with a comma between them"))
}

fn parse<T: FromStr>(value: &str, what: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("\"{value}\" is not {what}"))
}

/// The words for the sensor.
fn selection(which: &Which, whose: &WhoseArguments) -> Value {
    let Which(mut selection) = which.clone();
    selection.vni = whose.vni;
    selection.outer_ip = selection.outer_ip.or(whose.outer_ip);
    serde_json::to_value(&selection).unwrap_or_default()
}

/// Gets the packets of flows and writes them to files.
pub(crate) fn run(arguments: &ExtractArguments) -> Result<(), Failure> {
    let request = json!({
        "extract": selection(&arguments.which, &arguments.whose),
        "format": arguments.format,
        "reason": arguments.reason,
    });
    let mut client = Client::connect(&arguments.ask.socket).map_err(failed)?;
    let (head, captures) = client.extract(&request.to_string()).map_err(failed)?;
    let flows = head["flows"].as_array().cloned().unwrap_or_default();
    if arguments.out == Path::new("-") {
        return to_standard_output(&captures);
    }
    let dir = OutputDir::create(&arguments.out).map_err(unwritten)?;
    for (flow, capture) in flows.iter().zip(&captures) {
        let name = flow["file"].as_str().unwrap_or_default();
        // A name from elsewhere is no path.
        if name.is_empty() || name.contains('/') {
            return Err(Failure::Failed(format!("{name}: is no name of a file")));
        }
        let mut file = dir.create_file(name).map_err(unwritten)?;
        file.write(capture).map_err(unwritten)?;
        file.finish().map_err(unwritten)?;
    }
    if arguments.ask.json {
        return print(&format!("{head}\n"));
    }
    print(&text(&head, &flows, &arguments.out))
}

fn to_standard_output(captures: &[Vec<u8>]) -> Result<(), Failure> {
    let [capture] = captures else {
        return Err(Failure::Failed(format!(
            "{} flows were found, and standard output takes one; say whose with --vni and \
             --outer-ip, or write files with --out DIR",
            captures.len()
        )));
    };
    match io::stdout().lock().write_all(capture) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!(
            "standard output: cannot be written: {error}"
        ))),
        _ => Ok(()),
    }
}

fn text(head: &Value, flows: &[Value], out: &Path) -> String {
    let heads = [
        "flow", "proto", "ends", "source", "vni", "state", "packets", "seen", "first", "last",
    ];
    let mut table = vec![heads.map(str::to_owned)];
    for flow in flows {
        let tuple = &flow["tuple"];
        let state = match (flow["open"].as_bool(), flow["complete"].as_bool()) {
            (Some(true), Some(true)) => "open, complete so far",
            (_, Some(true)) => "complete",
            (Some(true), _) => "open, INCOMPLETE",
            _ => "INCOMPLETE",
        };
        table.push([
            plain(&flow["flow_id"]),
            plain(&tuple["proto"]),
            format!(
                "{} > {}",
                end(&tuple["src_ip"], &tuple["src_port"]),
                end(&tuple["dest_ip"], &tuple["dest_port"])
            ),
            plain(&flow["outer_ip"]),
            plain(&flow["vni"]),
            state.to_owned(),
            plain(&flow["packets_found"]),
            plain(&flow["packets_seen"]),
            plain(&flow["first"]),
            plain(&flow["last"]),
        ]);
    }
    let mut text = align(&table);
    for flow in flows {
        let name = flow["file"].as_str().unwrap_or_default();
        let _ = writeln!(text, "{}", out.join(name).display());
    }
    if head["limited"].as_bool() == Some(true) {
        text.push_str("There was more: narrow it down, or raise look_back.extraction.\n");
    }
    if let Some(micros) = head["micros"].as_u64() {
        let _ = writeln!(
            text,
            "Found and copied in {}.{:03} ms.",
            micros / 1_000,
            micros % 1_000
        );
    }
    text
}

/// Keeps packets, lists what is kept, ends that.
pub(crate) fn pin(arguments: &PinArguments) -> Result<(), Failure> {
    let mut client = Client::connect(&arguments.ask.socket).map_err(failed)?;
    let request = match &arguments.command {
        PinCommand::Add(add) => json!({
            "pin": selection(&add.which, &add.whose),
            "seconds": add.seconds,
            "reason": add.reason,
        }),
        PinCommand::List => json!({"get": "pins"}),
        PinCommand::Remove { pin } => json!({"unpin": pin}),
    };
    let answer: Value = client.ask(&request.to_string()).map_err(failed)?;
    if arguments.ask.json {
        return print(&format!("{answer}\n"));
    }
    print(&match &arguments.command {
        PinCommand::Add(_) => pinned(&answer),
        PinCommand::List => pins(&answer),
        PinCommand::Remove { pin } => format!("pin {pin}: ends, and its file gets its name\n"),
    })
}

fn pinned(answer: &Value) -> String {
    let (pin, seconds) = (plain(&answer["pin"]), plain(&answer["seconds"]));
    let before = &answer["before"];
    let before = match before.is_object() {
        false => "nothing is there from before".to_owned(),
        true => format!(
            "from before: {} packets of {} flows, {}: {}",
            plain(&before["packets"]),
            plain(&before["flows"]),
            match before["complete"].as_bool() {
                Some(true) => "complete",
                _ => "INCOMPLETE",
            },
            plain(&before["file"])
        ),
    };
    format!("pin {pin}, for {seconds} s; {before}\n")
}

fn pins(answer: &Value) -> String {
    let pins = answer["pins"].as_array().cloned().unwrap_or_default();
    if pins.is_empty() {
        return "nothing is pinned\n".to_owned();
    }
    let heads = [
        "pin", "state", "s left", "packets", "shed", "what", "reason", "file",
    ];
    let mut table = vec![heads.map(str::to_owned)];
    for pin in &pins {
        table.push([
            plain(&pin["id"]),
            plain(&pin["state"]),
            plain(&pin["seconds_left"]),
            plain(&pin["packets"]),
            plain(&pin["shed"]),
            plain(&pin["asked"]),
            plain(&pin["reason"]),
            plain(&pin["file"]),
        ]);
    }
    align(&table)
}

fn end(address: &Value, port: &Value) -> String {
    let address = plain(address);
    match port.as_u64() {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address,
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn failed(error: ClientError) -> Failure {
    Failure::Failed(error.to_string())
}

fn unwritten(error: vxscope_export::ExportError) -> Failure {
    Failure::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_named_as_they_are_typed() {
        check("flow=17", r#"{"flow_id":17}"#);
        check("community-id=1:x", r#"{"community_id":"1:x"}"#);
        check(
            "tcp=10.0.0.1:1000,[::1]:80",
            r#"{"dest_ip":"::1","dest_port":80,"proto":"tcp","src_ip":"10.0.0.1","src_port":1000}"#,
        );
        check(
            "icmp=10.0.0.1,10.0.0.2",
            r#"{"dest_ip":"10.0.0.2","proto":"icmp","src_ip":"10.0.0.1"}"#,
        );
        check("hosts=::1,::2", r#"{"dest_ip":"::2","src_ip":"::1"}"#);
        check("address=::1", r#"{"address":"::1"}"#);
        check("source=10.0.0.1", r#"{"outer_ip":"10.0.0.1"}"#);
    }

    #[test]
    fn what_names_no_flow_is_told_so() {
        for (text, part) in [
            ("17", "names no flow"),
            ("flow=x", "is not a flow id"),
            ("tcp=10.0.0.1:1", "two ends"),
            ("udp=10.0.0.1,10.0.0.2", "with a port"),
            ("hosts=a,b", "is not an address"),
        ] {
            let message = Which::from_str(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    fn check(text: &str, expected: &str) {
        let Which(selection) = text.parse().unwrap();
        let value = serde_json::to_value(&selection).unwrap();
        assert_eq!(
            value,
            serde_json::from_str::<Value>(expected).unwrap(),
            "{text}"
        );
    }
}
