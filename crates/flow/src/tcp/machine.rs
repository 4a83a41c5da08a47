//! Zeek's state machine of a TCP connection: one step for each segment.

use vxscope_wire::{TcpSegment, flag};

use super::endpoint::{Front, State};
use super::role::Side;

/// Whether `segment` is the SYN that the peer's SYN-ACK, seen before, answers: the two travelled
/// different ways to the sensor. To be asked before the sender is opened.
pub(super) fn is_late_syn(side: Side, sender: &Front, peer: &Front, segment: &TcpSegment) -> bool {
    let control = flag::SYN | flag::ACK | flag::FIN | flag::RST;
    segment.flags & control == flag::SYN
        && segment.sequence == sender.start()
        && sender.is_inactive()
        && match side {
            Side::Originator => peer.state() == State::Established,
            Side::Responder => peer.state() == State::SynAckSent,
        }
}

/// Moves both ends on by a segment of `sender`.
pub(super) fn step(
    side: Side,
    (sender, peer): (&mut Front, &mut Front),
    flags: u8,
    payload_len: u32,
    late_syn: bool,
) {
    match sender.state() {
        State::Inactive if late_syn => {
            peer.set_state(State::Established);
            sender.set_state(State::Established);
        }
        State::Inactive => begin(side, sender, peer, flags, payload_len),
        State::SynSent | State::SynAckSent => finish_attempt(sender, flags),
        State::Partial | State::Established => go_on(sender, peer, flags),
        // After both FINs a RST changes nothing any more.
        State::Closed => {
            if flags & flag::RST != 0 && peer.state() != State::Closed {
                sender.set_state(State::Reset);
            }
        }
        State::Reset => {}
    }
}

/// The first segment of this end.
fn begin(side: Side, sender: &mut Front, peer: &mut Front, flags: u8, payload_len: u32) {
    if flags & flag::SYN != 0 {
        match side {
            Side::Originator if flags & flag::ACK != 0 => sender.set_state(State::SynAckSent),
            Side::Originator => sender.set_state(State::SynSent),
            Side::Responder => {
                if peer.state() == State::SynSent {
                    peer.set_state(State::Established);
                }
                sender.set_state(State::Established);
            }
        }
    }
    if flags & flag::FIN != 0 {
        sender.set_state(State::Closed);
    }
    if flags & flag::RST != 0 {
        sender.set_state(State::Reset);
    }
    if !sender.is_inactive() {
        return;
    }
    // Some stacks acknowledge a SYN before they answer it.
    let early_ack = side == Side::Responder && payload_len == 0 && peer.state() == State::SynSent;
    if early_ack {
        return;
    }
    // SYN-ACK, then an ACK: only the SYN was missed.
    let answers = flags & flag::ACK != 0 && peer.state() == State::Established;
    sender.set_state(if answers {
        State::Established
    } else {
        State::Partial
    });
}

/// A further segment of an end that sent SYN and has no answer yet.
fn finish_attempt(sender: &mut Front, flags: u8) {
    if flags & flag::FIN != 0 {
        sender.set_state(State::Closed);
    }
    if flags & flag::RST != 0 {
        sender.set_state(State::Reset);
    }
}

/// A further segment of an end in the middle of its stream.
fn go_on(sender: &mut Front, peer: &mut Front, flags: u8) {
    let is_syn = flags & (flag::SYN | flag::ACK) == flag::SYN;
    if is_syn && sender.state() == State::Partial && peer.is_inactive() {
        sender.set_state(State::SynSent);
    }
    if flags & flag::RST != 0 {
        sender.set_state(State::Reset);
    } else if flags & flag::FIN != 0 {
        sender.set_state(State::Closed);
        if peer.reset_after_close() {
            // FIN, then RST from the peer, and now our FIN: a normal end after all.
            peer.set_state(State::Closed);
        }
    }
}
