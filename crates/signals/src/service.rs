//! What a served port is for: IANA's registry as far as it matters here, and what is used without
//! it.

use vxscope_report::Category;
use vxscope_wire::protocol::{TCP, UDP};

/// What is known of a served port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// What it is for.
    pub category: Category,
    /// Somebody logs in there to manage a machine.
    pub login: bool,
    /// It shows passwords.
    pub cleartext: bool,
    /// Nobody can look into a long transfer: it is encrypted, or nobody knows what it is.
    pub opaque: bool,
    /// It is never answered.
    pub one_way: bool,
}

const PLAIN: u8 = 0;
const LOGIN: u8 = 1;
const CLEAR: u8 = 2;
const OPAQUE: u8 = 4;
const ONE_WAY: u8 = 8;

/// Ports from here on are given to clients for a while by most systems (Linux: 32768–60999, IANA:
/// from 49152). One that the table does not name is no service: it counts as port 0.
const DYNAMIC_PORT: u16 = 32_768;

/// What is served at a port. Any port may be asked for.
#[must_use]
pub fn served(protocol: u8, port: u16) -> Service {
    let (category, marks) = known(protocol, port).unwrap_or((Other, OPAQUE));
    Service {
        category,
        login: marks & LOGIN != 0,
        cleartext: marks & CLEAR != 0,
        opaque: marks & OPAQUE != 0,
        one_way: marks & ONE_WAY != 0,
    }
}

/// The port that stands for a service: 0 for ports that are nobody's for long, and for protocols
/// without ports.
#[must_use]
pub fn service_port(protocol: u8, port: u16) -> u16 {
    let has_ports = matches!(protocol, TCP | UDP | vxscope_wire::protocol::SCTP);
    if !has_ports || port >= DYNAMIC_PORT && known(protocol, port).is_none() {
        return 0;
    }
    port
}

fn known(protocol: u8, port: u16) -> Option<(Category, u8)> {
    let table: &[(u16, u16, Category, u8)] = match protocol {
        TCP => TCP_PORTS,
        UDP => UDP_PORTS,
        _ => return None,
    };
    let after = table.partition_point(|(first, ..)| *first <= port);
    let (_, last, category, marks) = *table.get(after.checked_sub(1)?)?;
    (port <= last).then_some((category, marks))
}

use Category::{Database, Directory, Dns, File, Management, Other, Web};

/// First port, last port, what for, marks; ascending.
const TCP_PORTS: &[(u16, u16, Category, u8)] = &[
    (20, 20, File, PLAIN),
    (21, 21, File, CLEAR),
    (22, 22, Management, LOGIN | OPAQUE),
    (23, 23, Management, LOGIN | CLEAR),
    (25, 25, Other, PLAIN),
    (49, 49, Directory, PLAIN),
    (53, 53, Dns, PLAIN),
    (80, 80, Web, PLAIN),
    (88, 88, Directory, PLAIN),
    (110, 110, Other, CLEAR),
    (111, 111, File, PLAIN),
    (135, 135, Management, PLAIN),
    (137, 139, File, PLAIN),
    (143, 143, Other, CLEAR),
    (389, 389, Directory, CLEAR),
    (443, 443, Web, OPAQUE),
    (445, 445, File, PLAIN),
    (464, 464, Directory, PLAIN),
    (512, 514, Management, LOGIN | CLEAR),
    (548, 548, File, PLAIN),
    (636, 636, Directory, OPAQUE),
    (853, 853, Dns, OPAQUE),
    (873, 873, File, PLAIN),
    (989, 990, File, OPAQUE),
    (1_433, 1_434, Database, PLAIN),
    (1_521, 1_522, Database, PLAIN),
    (1_812, 1_813, Directory, PLAIN),
    (2_049, 2_049, File, PLAIN),
    (2_379, 2_380, Database, PLAIN),
    (3_000, 3_000, Web, PLAIN),
    (3_128, 3_128, Web, PLAIN),
    (3_260, 3_260, File, PLAIN),
    (3_268, 3_269, Directory, PLAIN),
    (3_306, 3_306, Database, PLAIN),
    (3_389, 3_389, Management, LOGIN | OPAQUE),
    (5_432, 5_433, Database, PLAIN),
    (5_439, 5_439, Database, PLAIN),
    (5_800, 5_800, Management, LOGIN),
    (5_900, 5_910, Management, LOGIN),
    (5_984, 5_984, Database, PLAIN),
    (5_985, 5_985, Management, LOGIN),
    (5_986, 5_986, Management, LOGIN | OPAQUE),
    (6_379, 6_379, Database, PLAIN),
    (8_000, 8_000, Web, PLAIN),
    (8_008, 8_008, Web, PLAIN),
    (8_080, 8_081, Web, PLAIN),
    (8_086, 8_086, Database, PLAIN),
    (8_443, 8_443, Web, OPAQUE),
    (8_888, 8_888, Web, PLAIN),
    (9_042, 9_042, Database, PLAIN),
    (9_092, 9_092, Database, PLAIN),
    (9_200, 9_200, Database, PLAIN),
    (9_300, 9_300, Database, PLAIN),
    (11_211, 11_211, Database, PLAIN),
    (27_017, 27_019, Database, PLAIN),
];

/// As [`TCP_PORTS`].
const UDP_PORTS: &[(u16, u16, Category, u8)] = &[
    (53, 53, Dns, PLAIN),
    (69, 69, File, PLAIN),
    (88, 88, Directory, PLAIN),
    (111, 111, File, PLAIN),
    (137, 138, File, PLAIN),
    (161, 161, Management, PLAIN),
    (162, 162, Management, ONE_WAY),
    (389, 389, Directory, PLAIN),
    (443, 443, Web, OPAQUE),
    (464, 464, Directory, PLAIN),
    (514, 514, Other, ONE_WAY),
    (623, 623, Management, LOGIN),
    (853, 853, Dns, OPAQUE),
    (1_434, 1_434, Database, PLAIN),
    (1_645, 1_646, Directory, PLAIN),
    (1_812, 1_813, Directory, PLAIN),
    (2_049, 2_049, File, PLAIN),
    (2_055, 2_055, Other, ONE_WAY),
    (3_389, 3_389, Management, OPAQUE),
    (4_739, 4_739, Other, ONE_WAY),
    (4_789, 4_789, Other, ONE_WAY),
    (5_353, 5_353, Dns, ONE_WAY),
    (5_355, 5_355, Dns, PLAIN),
    (6_081, 6_081, Other, ONE_WAY),
    (6_343, 6_343, Other, ONE_WAY),
    (8_125, 8_125, Other, ONE_WAY),
    (51_820, 51_820, Other, OPAQUE),
];

#[cfg(test)]
mod tests {
    use vxscope_report::Category;
    use vxscope_wire::protocol::{ICMP, SCTP, TCP, UDP};

    use super::{TCP_PORTS, UDP_PORTS, served, service_port};

    #[test]
    fn every_kind_of_service_has_its_category() {
        for (protocol, port, category) in [
            (UDP, 53, Category::Dns),
            (TCP, 53, Category::Dns),
            (UDP, 5_353, Category::Dns),
            (TCP, 22, Category::Management),
            (TCP, 3_389, Category::Management),
            (TCP, 5_905, Category::Management),
            (UDP, 161, Category::Management),
            (TCP, 389, Category::Directory),
            (TCP, 88, Category::Directory),
            (UDP, 1_812, Category::Directory),
            (TCP, 80, Category::Web),
            (UDP, 443, Category::Web),
            (TCP, 5_432, Category::Database),
            (TCP, 27_018, Category::Database),
            (TCP, 445, Category::File),
            (TCP, 21, Category::File),
            (TCP, 138, Category::File),
            (UDP, 22, Category::Other),
            (TCP, 1, Category::Other),
            (TCP, 24, Category::Other),
            (TCP, 65_535, Category::Other),
            (UDP, 0, Category::Other),
            (SCTP, 80, Category::Other),
            (ICMP, 8, Category::Other),
        ] {
            assert_eq!(
                served(protocol, port).category,
                category,
                "{protocol} {port}"
            );
        }
    }

    #[test]
    fn logins_passwords_and_secrets_are_marked() {
        let marks = |port| {
            let service = served(TCP, port);
            (service.login, service.cleartext, service.opaque)
        };
        assert_eq!(marks(22), (true, false, true));
        assert_eq!(marks(23), (true, true, false));
        for port in [21, 110, 143, 389] {
            assert_eq!(marks(port), (false, true, false), "{port}");
        }
        assert_eq!(marks(443), (false, false, true));
        assert_eq!(marks(80), (false, false, false));
        assert_eq!(
            marks(9_999),
            (false, false, true),
            "nobody knows what it is"
        );
        assert!(served(UDP, 514).one_way && !served(UDP, 53).one_way);
    }

    #[test]
    fn ports_that_are_nobodys_for_long_are_one() {
        assert_eq!(service_port(TCP, 22), 22);
        assert_eq!(service_port(TCP, 32_767), 32_767);
        assert_eq!(service_port(TCP, 32_768), 0);
        assert_eq!(service_port(UDP, 51_820), 51_820, "WireGuard");
        assert_eq!(service_port(ICMP, 8), 0);
    }

    #[test]
    fn the_tables_ascend_without_overlap() {
        for table in [TCP_PORTS, UDP_PORTS] {
            assert!(table.iter().all(|(first, last, ..)| first <= last));
            for pair in table.windows(2) {
                assert!(pair[0].1 < pair[1].0, "{pair:?}");
            }
        }
    }
}
