//! From the words of who asks to what is looked for.

use vxscope_api::Selection;
use vxscope_flow::{CommunityId, Which};
use vxscope_units::Vni;
use vxscope_wire::protocol;

use super::retrieve::Query;

const HOW: &str = "name a flow by flow_id, by community_id, or by src_ip, dest_ip and proto with \
    src_port and dest_port, each as in eve.json";

/// What is looked for.
///
/// # Errors
/// What is missing, wrong, or too much, for people.
pub(super) fn query(selection: &Selection) -> Result<Query, String> {
    let vni = selection
        .vni
        .map(|vni| Vni::try_new(vni).ok_or_else(|| format!("vni {vni}: has 24 bits at most")));
    Ok(Query {
        which: which(selection)?,
        vni: vni.transpose()?,
        address: selection.outer_ip,
    })
}

fn which(selection: &Selection) -> Result<Which, String> {
    let Selection {
        flow_id,
        community_id,
        proto,
        src_ip,
        src_port,
        dest_ip,
        dest_port,
        address,
        vni: _,
        outer_ip: _,
    } = selection;
    let number = proto.as_deref().map(number).transpose()?;
    let ends = (*src_ip, *dest_ip);
    let no_tuple = ends == (None, None) && src_port.is_none() && dest_port.is_none();
    match (flow_id, community_id, address, no_tuple) {
        (Some(id), None, None, true) => Ok(Which::Flow(*id)),
        (None, Some(id), None, true) => id.parse().map(Which::Community).map_err(|_| {
            format!(
                "\"{id}\" is no Community ID v1; it looks like {}",
                CommunityId::EXAMPLE
            )
        }),
        (None, None, Some(address), true) => Ok(Which::Address(*address)),
        (None, None, None, true) => Ok(Which::Any),
        (None, None, None, false) => {
            let (Some(one), Some(other)) = ends else {
                return Err(format!("both src_ip and dest_ip are needed; {HOW}"));
            };
            match (src_port, dest_port, number) {
                (None, None, _) => Ok(Which::Pair([one, other], number)),
                (Some(from), Some(to), Some(number)) => {
                    Which::ends(number, (one, *from), (other, *to))
                        .ok_or_else(|| format!("{one} and {other} are of two address families"))
                }
                (Some(_), Some(_), None) => Err(format!("proto is needed with ports; {HOW}")),
                _ => Err(format!("both src_port and dest_port are needed; {HOW}")),
            }
        }
        _ => Err(format!("one name is enough; {HOW}")),
    }
}

/// A protocol by its number or as eve.json calls it.
fn number(name: &str) -> Result<u8, String> {
    let known = [
        ("tcp", protocol::TCP),
        ("udp", protocol::UDP),
        ("icmp", protocol::ICMP),
        ("ipv6-icmp", protocol::ICMPV6),
        ("icmp6", protocol::ICMPV6),
        ("sctp", protocol::SCTP),
    ];
    let found = known.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
    match found {
        Some((_, number)) => Ok(*number),
        None => name
            .parse()
            .map_err(|_| format!("proto \"{name}\": tcp, udp, icmp, ipv6-icmp, sctp or a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_flow_is_understood() {
        let tuple = Which::ends(
            6,
            ("10.0.0.1".parse().unwrap(), 1000),
            ("10.0.0.2".parse().unwrap(), 80),
        );
        check(r#"{"flow_id":7}"#, Ok(Which::Flow(7)));
        check(
            r#"{"vni":3,"proto":"TCP","src_ip":"10.0.0.1","src_port":1000,"dest_ip":"10.0.0.2","dest_port":80}"#,
            Ok(tuple.unwrap()),
        );
        check(
            r#"{"src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"ICMP"}"#,
            Ok(Which::Pair(
                ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
                Some(1),
            )),
        );
        check(
            r#"{"address":"::1"}"#,
            Ok(Which::Address("::1".parse().unwrap())),
        );
        check(r#"{"outer_ip":"10.0.0.1","vni":3}"#, Ok(Which::Any));
    }

    #[test]
    fn what_is_wrong_is_told() {
        check(
            r#"{"flow_id":7,"community_id":"1:x"}"#,
            Err("one name is enough"),
        );
        check(r#"{"community_id":"1:x"}"#, Err("is no Community ID"));
        check(r#"{"src_ip":"10.0.0.1"}"#, Err("both src_ip and dest_ip"));
        check(
            r#"{"src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":1}"#,
            Err("both src_port and dest_port"),
        );
        check(
            r#"{"src_ip":"10.0.0.1","dest_ip":"10.0.0.2","src_port":1,"dest_port":2}"#,
            Err("proto is needed"),
        );
        check(
            r#"{"src_ip":"10.0.0.1","dest_ip":"::1","src_port":1,"dest_port":2,"proto":"udp"}"#,
            Err("two address families"),
        );
        check(r#"{"vni":16777216}"#, Err("24 bits"));
        check(r#"{"proto":"gopher"}"#, Err("or a number"));
    }

    fn check(text: &str, expected: Result<Which, &str>) {
        let selection: Selection = serde_json::from_str(text).unwrap();
        match (query(&selection), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.which, expected, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}
