//! ICMP types as ports, as Community ID v1 maps them.

use crate::view::protocol;

/// The pair of ports of an ICMP message and whether it is one-way.
///
/// A type with an answering type maps to (type, answering type), so that question and answer
/// are each other's reverse; any other maps to (type, code) and is never reversed.
pub(crate) fn ports(protocol: u8, icmp_type: u8, icmp_code: u8) -> (u16, u16, bool) {
    let answer = match protocol {
        protocol::ICMP => answer_v4(icmp_type),
        _ => answer_v6(icmp_type),
    };
    match answer {
        Some(answer) => (icmp_type.into(), answer.into(), false),
        None => (icmp_type.into(), icmp_code.into(), true),
    }
}

/// RFC 792, 950 and 1256: echo, timestamp, information, address mask, router discovery.
const fn answer_v4(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// RFC 4443, 4861, 2710, 4620 and 3810: echo, router and neighbour discovery, listener query,
/// node information, home agent discovery.
const fn answer_v6(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::ports;
    use crate::view::protocol::{ICMP, ICMPV6};

    #[test]
    fn question_and_answer_are_each_others_reverse() {
        for protocol in [ICMP, ICMPV6] {
            let mut pairs = 0;
            for icmp_type in 0..=u8::MAX {
                let (source, destination, one_way) = ports(protocol, icmp_type, 7);
                if one_way {
                    continue;
                }
                let answer = u8::try_from(destination).unwrap();
                assert_eq!(ports(protocol, answer, 0), (destination, source, false));
                pairs += 1;
            }
            assert_eq!(pairs, if protocol == ICMP { 10 } else { 12 });
        }
    }

    #[test]
    fn errors_are_one_way_with_their_code() {
        assert_eq!(ports(ICMP, 3, 13), (3, 13, true));
        assert_eq!(ports(ICMP, 11, 0), (11, 0, true));
        assert_eq!(ports(ICMPV6, 1, 4), (1, 4, true));
        assert_eq!(
            ports(ICMPV6, 8, 0),
            (8, 0, true),
            "IPv4's echo means nothing in IPv6"
        );
    }
}
