//! Sequences of segments, and what Zeek's connection log would say of them.

mod end;
mod handshake;
mod letters;
mod random;
mod role;
mod stream;

use vxscope_wire::{TcpSegment, flag};

use super::{Side, Tcp};

/// Sender (`>` originator, `<` responder), flags, sequence number, acknowledgement, payload.
/// Flags: the first letters, `0` for a zero window.
type Step = (char, &'static str, u32, u32, u32);

/// A handshake; the originator's stream starts at 101, the responder's at 501.
const OPEN: [Step; 3] = [
    ('>', "S", 100, 0, 0),
    ('<', "SA", 500, 101, 0),
    ('>', "A", 101, 501, 0),
];

fn opened(rest: &[Step]) -> Vec<Step> {
    OPEN.iter().chain(rest).copied().collect()
}

fn segment((_, flags, sequence, acknowledgement, _): Step) -> TcpSegment {
    let bit = |letter| match letter {
        'F' => flag::FIN,
        'S' => flag::SYN,
        'R' => flag::RST,
        'P' => flag::PSH,
        'A' => flag::ACK,
        _ => 0,
    };
    TcpSegment {
        sequence,
        acknowledgement,
        window: if flags.contains('0') { 0 } else { 8_192 },
        flags: flags.chars().map(bit).fold(0, |all, one| all | one),
    }
}

fn observe(tcp: &mut Tcp, step: Step) {
    let side = if step.0 == '>' {
        Side::Originator
    } else {
        Side::Responder
    };
    tcp.observe(side, &segment(step), step.4);
}

fn run(reversed: bool, steps: &[Step]) -> Tcp {
    let mut tcp = Tcp::new(reversed);
    for step in steps {
        observe(&mut tcp, *step);
    }
    tcp
}

fn check(steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    check_run(false, steps, state, history, sizes)
}

fn check_reversed(steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    check_run(true, steps, state, history, sizes)
}

/// `sizes`: payload of the originator and of the responder, missed bytes.
fn check_run(reversed: bool, steps: &[Step], state: &str, history: &str, sizes: [u64; 3]) -> Tcp {
    let tcp = run(reversed, steps);
    assert_eq!(tcp.history().as_str(), history, "{steps:?}");
    assert_eq!(tcp.conn_state().name(), state, "{steps:?}");
    let measured = [
        tcp.payload_bytes(Side::Originator),
        tcp.payload_bytes(Side::Responder),
        tcp.missed_bytes(),
    ];
    assert_eq!(measured, sizes, "{steps:?}");
    assert_eq!(tcp.is_reversed(), reversed);
    tcp
}
