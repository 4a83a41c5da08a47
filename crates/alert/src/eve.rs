//! Suricata's `eve.json`: the records of `event_type` `alert`.

use std::net::IpAddr;

use serde::Deserialize;
use vxscope_units::time::read_iso;

use crate::{Alert, Line, Malformed, NAME_BYTES_MAX, file_name, protocol, tidy};

/// What is read of a record; the rest, which may be large, is skipped.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    src_ip: Option<Text<'a>>,
    src_port: Option<u16>,
    #[serde(borrow)]
    dest_ip: Option<Text<'a>>,
    dest_port: Option<u16>,
    #[serde(borrow)]
    proto: Option<Text<'a>>,
    community_id: Option<String>,
    vlan: Option<Vlan>,
    alert: Option<Rule>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

#[derive(Default, Deserialize)]
struct Rule {
    signature_id: Option<u64>,
    signature: Option<String>,
    severity: Option<u64>,
}

/// One number in old versions, a list in others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vlan {
    One(u16),
    Several(Vec<u16>),
}

/// Reads one line of `eve.json`.
///
/// # Errors
/// Why the line says nothing.
pub fn read(line: &[u8]) -> Result<Line, Malformed> {
    let record: Record<'_> = serde_json::from_slice(line).map_err(|_| Malformed::Syntax)?;
    match record.event_type.as_deref() {
        Some("alert") => {}
        Some(_) => return Ok(Line::Other),
        None => return Err(Malformed::Syntax),
    }
    let rule = record.alert.unwrap_or_default();
    let time = record.timestamp.as_deref().and_then(read_iso);
    let ends = (address(record.src_ip), address(record.dest_ip));
    let (Some(source), Some(destination)) = ends else {
        return Err(Malformed::Addresses);
    };
    let id = rule.signature_id.map(|id| id.to_string());
    Ok(Line::Alert(Box::new(Alert {
        time: time.ok_or(Malformed::Time)?,
        id: file_name(&id.unwrap_or_default()),
        name: tidy(
            rule.signature.as_deref().unwrap_or_default(),
            NAME_BYTES_MAX,
        ),
        severe: rule.severity == Some(1),
        source: (source, record.src_port),
        destination: (destination, record.dest_port),
        protocol: record.proto.as_deref().and_then(protocol),
        community_id: record.community_id,
        vlan: match record.vlan {
            None => Vec::new(),
            Some(Vlan::One(id)) => vec![id],
            Some(Vlan::Several(ids)) => ids.into_iter().take(4).collect(),
        },
    })))
}

fn address(text: Option<Text<'_>>) -> Option<IpAddr> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vxscope_units::Timestamp;

    use super::*;

    /// A record as Suricata 7 writes it, with what it adds for an HTTP alert.
    const ALERT: &str = r#"{"timestamp":"2026-11-21T03:15:07.123456+0100","flow_id":1674053912345678,"in_iface":"cap0","event_type":"alert","vlan":[3,77],"src_ip":"10.0.0.2","src_port":80,"dest_ip":"10.0.0.1","dest_port":40112,"proto":"TCP","ip_v":4,"pkt_src":"wire/pcap","community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM=","tx_id":0,"alert":{"action":"allowed","gid":1,"signature_id":2100498,"rev":7,"signature":"GPL ATTACK_RESPONSE id check returned root","category":"Potentially Bad Traffic","severity":1,"metadata":{"created_at":["2010_09_23"]}},"http":{"hostname":"testmynids.org","url":"/uid/index.html","http_user_agent":"curl/7.88.1","status":200,"length":39},"app_proto":"http","direction":"to_client","flow":{"pkts_toserver":5,"pkts_toclient":4,"bytes_toserver":418,"bytes_toclient":615,"start":"2026-11-21T03:15:06.900000+0100","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":40112,"dest_port":80},"payload_printable":"uid=0(root) gid=0(root)\n"}"#;

    #[test]
    fn an_alert_is_what_suricata_says() {
        let Ok(Line::Alert(alert)) = read(ALERT.as_bytes()) else {
            panic!("an alert")
        };
        assert_eq!(
            *alert,
            Alert {
                time: Timestamp::new(1_795_227_307, 123_456_000),
                id: "2100498".to_owned(),
                name: "GPL ATTACK_RESPONSE id check returned root".to_owned(),
                severe: true,
                source: ("10.0.0.2".parse().unwrap(), Some(80)),
                destination: ("10.0.0.1".parse().unwrap(), Some(40112)),
                protocol: Some(6),
                community_id: Some("1:wCb3OG7yAFWelaUydu0D+125CLM=".to_owned()),
                vlan: vec![3, 77],
            }
        );
    }

    #[test]
    fn other_records_are_no_alerts_and_other_lines_say_why() {
        check(
            r#"{"event_type":"flow","src_ip":7,"dest_ip":"x"}"#,
            Err(Malformed::Syntax),
        );
        check(r#"{"event_type":"flow","timestamp":"x"}"#, Ok(()));
        check(r#"{"event_type":"stats","stats":{"uptime":8}}"#, Ok(()));
        check("", Err(Malformed::Syntax));
        check("{}", Err(Malformed::Syntax));
        check("[1]", Err(Malformed::Syntax));
        check("\u{0}\u{0}", Err(Malformed::Syntax));
        check(r#"{"event_type":"alert"}"#, Err(Malformed::Addresses));
        let no_time = ALERT.replace("2026-11-21T", "yesterday ");
        check(&no_time, Err(Malformed::Time));
        let wrong_port = ALERT.replace("\"src_port\":80", "\"src_port\":80000");
        check(&wrong_port, Err(Malformed::Syntax));
        check(&"[".repeat(100_000), Err(Malformed::Syntax));
    }

    #[test]
    fn a_name_is_one_line_and_an_id_is_a_name_of_a_file() {
        let hostile = ALERT
            .replace("GPL ATTACK", "..\\n/etc/\\u0000passwd")
            .replace("2100498", "7");
        let Ok(Line::Alert(alert)) = read(hostile.as_bytes()) else {
            panic!("an alert")
        };
        assert!(!alert.name.contains(char::is_control), "{}", alert.name);
        assert_eq!(file_name("../../etc/passwd"), "etc-passwd");
        assert_eq!(file_name("///"), "unnamed");
        assert_eq!(file_name(&"é".repeat(99)), "unnamed");
        assert_eq!(file_name("Scan::Port_Scan"), "Scan--Port-Scan");
    }

    proptest! {
        #[test]
        fn no_bytes_can_do_more_than_be_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_cut_and_no_flip_of_an_alert_can_either(cut in 0..ALERT.len(), at in 0..ALERT.len(), byte: u8) {
            let mut line = ALERT.as_bytes().to_vec();
            line[at] = byte;
            let _ = read(&line);
            let _ = read(&line[..cut]);
        }
    }

    fn check(line: &str, expected: Result<(), Malformed>) {
        let found = read(line.as_bytes());
        match (&found, expected) {
            (Ok(Line::Other), Ok(())) => {}
            (Err(found), Err(expected)) => assert_eq!(*found, expected, "{line}"),
            _ => panic!("{line}: {found:?}"),
        }
    }
}
