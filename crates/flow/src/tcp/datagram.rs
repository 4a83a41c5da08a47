//! UDP and other protocols: what Zeek says of flows without connections.

use vxscope_wire::protocol;

use super::history::History;
use super::state::ConnState;

/// Zeek's `conn_state` of a flow that is not TCP, from how many packets each end sent.
#[must_use]
pub fn datagram_conn_state(
    protocol: u8,
    originator_packets: u64,
    responder_packets: u64,
) -> ConnState {
    if protocol != protocol::UDP {
        return ConnState::Oth;
    }
    match (originator_packets > 0, responder_packets > 0) {
        (true, true) => ConnState::Sf,
        (true, false) => ConnState::S0,
        (false, true) => ConnState::Shr,
        (false, false) => ConnState::Oth,
    }
}

/// Zeek's `history` of a flow that is not TCP: `D` and `d` in the order in which UDP's two ends
/// first spoke, with or without payload; empty for other protocols. `reversed`: the flow's first
/// packet came from the responder (see [`opens_reversed`](super::opens_reversed)).
#[must_use]
pub fn datagram_history(
    protocol: u8,
    reversed: bool,
    originator_packets: u64,
    responder_packets: u64,
) -> History {
    let mut history = History::default();
    if protocol != protocol::UDP {
        return history;
    }
    let mut push = |letter, packets| {
        if packets > 0 {
            history.push(letter);
        }
    };
    push(b'^', u64::from(reversed));
    if reversed {
        push(b'd', responder_packets);
        push(b'D', originator_packets);
    } else {
        push(b'D', originator_packets);
        push(b'd', responder_packets);
    }
    history
}
