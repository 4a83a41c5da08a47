//! Records of captures: every tunnel, link type and reason to refuse.

use vxscope_testkit::property::decapsulate_input;
use vxscope_testkit::{Frame, Geneve, Vxlan};
use vxscope_units::LinkType;

use super::Seed;

pub(crate) fn seeds() -> Vec<Seed> {
    [tunnels(), nested(), links(), refused()].concat()
}

fn inner() -> Vec<u8> {
    Frame::udp("10.0.0.5:4000", "10.0.0.9:53")
        .payload(b"frame")
        .bytes()
}

fn vxlan() -> Vxlan {
    Vxlan::new("192.0.2.1", 0x12_3456)
}

fn ethernet(depth: u8, record: &[u8]) -> Vec<u8> {
    decapsulate_input(LinkType::Ethernet, depth, record)
}

fn tunnels() -> Vec<Seed> {
    let geneve = || Geneve::new("192.0.2.1", 4_242);
    let gwlb = |inside: &[u8]| Geneve::gwlb("192.0.2.1").wrap(inside);
    let v6 = Vxlan::new("fd00::1", 7);
    let known = geneve().flags(0x40).option(0x0108, 0x81, &[1; 8]);
    vec![
        ("vxlan", ethernet(0, &vxlan().wrap(&inner()))),
        ("vxlan-v6", ethernet(0, &v6.wrap(&inner()))),
        (
            "vxlan-reserved-bits",
            ethernet(0, &vxlan().flags(0x8c).wrap(&inner())),
        ),
        ("vxlan-datagram", ethernet(0, &vxlan().datagram(&inner()))),
        ("geneve", ethernet(0, &geneve().wrap(&inner()))),
        ("geneve-datagram", ethernet(0, &geneve().datagram(&inner()))),
        ("geneve-known-option", ethernet(0, &known.wrap(&inner()))),
        ("gwlb", ethernet(0, &gwlb(&vxlan().ip_packet(&inner())))),
        ("gwlb-v6", {
            let outer = Geneve::gwlb("192.0.2.1").protocol(0x86dd);
            ethernet(0, &outer.wrap(&v6.ip_packet(&inner())))
        }),
    ]
}

fn nested() -> Vec<Seed> {
    let outer = |frame: &[u8]| Vxlan::new("192.0.2.2", 9).wrap(frame);
    let thrice = outer(&outer(&vxlan().wrap(&inner())));
    let deep = (0..6).fold(inner(), |frame, _| outer(&frame));
    let geneve_inside = Geneve::new("192.0.2.3", 3).wrap(&vxlan().wrap(&inner()));
    let load_balancer = |inside: &[u8]| {
        let ip = &Geneve::new("192.0.2.4", 4).wrap(inside)[14..];
        Geneve::gwlb("192.0.2.5").wrap(ip)
    };
    vec![
        ("nested-closed", ethernet(0, &thrice)),
        ("nested-opened", ethernet(2, &thrice)),
        ("nested-too-deep", ethernet(5, &deep)),
        ("nested-geneve", ethernet(2, &outer(&geneve_inside))),
        (
            "geneve-in-geneve-closed",
            ethernet(0, &load_balancer(&inner())),
        ),
        (
            "geneve-in-geneve-opened",
            ethernet(1, &load_balancer(&inner())),
        ),
    ]
}

fn links() -> Vec<Seed> {
    let packet = vxlan().ip_packet(&inner());
    let packet6 = Vxlan::new("fd00::1", 7).ip_packet(&inner());
    let before =
        |link, header: &[u8], packet: &[u8]| decapsulate_input(link, 0, &[header, packet].concat());
    let sll = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    let sll2 = [
        0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0,
    ];
    let mut tagged = vxlan().wrap(&inner());
    tagged.splice(12..12, [0x88, 0xa8, 0, 9, 0x81, 0, 0, 5]);
    vec![
        ("link-raw", before(LinkType::RawIp, &[], &packet6)),
        ("link-raw4", before(LinkType::RawIp4, &[], &packet)),
        ("link-raw6", before(LinkType::RawIp6, &[], &packet6)),
        ("link-sll", before(LinkType::LinuxSll, &sll, &packet)),
        ("link-sll2", before(LinkType::LinuxSll2, &sll2, &packet6)),
        ("link-null", before(LinkType::Null, &[2, 0, 0, 0], &packet)),
        (
            "link-loop",
            before(LinkType::Loop, &[0, 0, 0, 24], &packet6),
        ),
        (
            "link-ppp",
            before(LinkType::Ppp, &[0xff, 3, 0, 0x21], &packet),
        ),
        (
            "link-ppp-hdlc",
            before(LinkType::PppHdlc, &[0xff, 3, 0x57], &packet6),
        ),
        (
            "link-cisco",
            before(LinkType::CiscoHdlc, &[0x0f, 0, 8, 0], &packet),
        ),
        ("link-unread", before(LinkType::Other(147), &[], &packet)),
        ("link-tags", ethernet(0, &tagged)),
    ]
}

fn refused() -> Vec<Seed> {
    let datagram = vxlan().datagram(&inner());
    let fragments = Frame::udp("192.0.2.1:65000", "10.255.0.1:4789")
        .payload(&datagram)
        .fragments(24);
    let geneve = || Geneve::new("192.0.2.1", 4_242);
    let mut lying = vxlan().wrap(&inner());
    lying[38..40].copy_from_slice(&[0, 5]);
    vec![
        ("refused-first-fragment", ethernet(0, &fragments[0])),
        ("refused-later-fragment", ethernet(0, &fragments[1])),
        (
            "refused-no-vni",
            ethernet(0, &vxlan().flags(0).wrap(&inner())),
        ),
        ("refused-short-frame", ethernet(0, &vxlan().wrap(&[0; 13]))),
        ("refused-udp-length", ethernet(0, &lying)),
        (
            "refused-version",
            ethernet(0, &geneve().version(1).wrap(&inner())),
        ),
        (
            "refused-control",
            ethernet(0, &geneve().flags(0x80).wrap(&inner())),
        ),
        (
            "refused-critical",
            ethernet(
                0,
                &geneve()
                    .flags(0x40)
                    .option(0x0100, 0x80, &[])
                    .wrap(&inner()),
            ),
        ),
        ("refused-port", ethernet(0, &inner())),
        (
            "refused-protocol",
            ethernet(0, &Frame::tcp("10.0.0.1:1", "10.0.0.2:4789").bytes()),
        ),
    ]
}
