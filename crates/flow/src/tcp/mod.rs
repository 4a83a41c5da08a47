//! TCP as one sensor sees it: endpoint states, sequence tracking, Zeek's `history` and `conn_state`.
//!
//! The observer keeps what Zeek's connection log is made of in 128 bytes, without a reassembler:
//! where each end's stream starts and how far it came, how far it is complete, and up to two pieces
//! that arrived ahead of a hole. A hole counts as missed once the peer acknowledges past it.
//!
//! The meaning of states and letters follows Zeek (`TCPSessionAdapter`, `TCP_Endpoint`,
//! `TCP_Reassembler`, `base/protocols/conn/main.zeek`). Known differences are listed at [`Tcp`].

mod ahead;
mod datagram;
mod endpoint;
mod history;
mod machine;
mod outcome;
mod role;
mod state;
#[cfg(test)]
mod tests;

pub use datagram::{datagram_conn_state, datagram_history};
pub use history::{HISTORY_MAX, History};
pub use outcome::Close;
pub use role::{Side, likely_server_port, opens_reversed};
pub use state::{ConnState, TcpPhase};

use endpoint::{Details, Endpoint, Front, seen};
use vxscope_wire::{TcpSegment, flag};

/// A TCP connection as its segments show it, whichever of them were seen.
///
/// Feed it every segment in the order of arrival; nothing here is an error, everything is bounded.
/// It answers at any time, also in the middle of a connection.
///
/// Where it differs from Zeek on purpose:
///
/// * Lengths come from the IP header. Zeek takes a truncated payload as a gap; here it is not one,
///   because mirrors truncate by design.
/// * Checksums are not verified, so there is no letter `c`, and a segment that Zeek would discard
///   for its checksum counts.
/// * A SYN that arrives after its SYN-ACK establishes the connection, whatever the ports.
/// * A SYN-ACK with another sequence number moves the stream's start only until the peer went on;
///   in Zeek a stale one moves it at any time, and the rest of the stream becomes a gap.
/// * More than two separate pieces ahead of a hole are merged, so that the holes between the last
///   two are forgotten: `missed_bytes` may be too small, never too large.
/// * A FIN up to 1 MiB before the stream's start does not make the stream 4 GiB long.
/// * [`HISTORY_MAX`] letters; counted letters (`g`, `t`, `w`) stop at the one for 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tcp {
    /// The originator's, the responder's; as [`Side::index`] says.
    fronts: [Front; 2],
    missed_bytes: u64,
    history: History,
    details: [Details; 2],
}

const _: () = assert!(size_of::<Tcp>() == 128, "two cache lines per TCP flow");

impl Tcp {
    /// A connection of which nothing was seen yet. `reversed`: its first packet came from the
    /// responder (see [`opens_reversed`]); the history then starts with `^`.
    #[must_use]
    pub fn new(reversed: bool) -> Self {
        let mut tcp = Self::default();
        if reversed {
            tcp.history.push(b'^');
        }
        tcp
    }

    /// Takes in one segment that `side` sent. `payload_len` is the payload by the IP and TCP
    /// headers, whether or not all of it was captured.
    ///
    /// Says whether more than the stream's position may have changed; if not, phase and outcome
    /// are what they were.
    #[inline]
    pub fn observe(&mut self, side: Side, segment: &TcpSegment, payload_len: u32) -> bool {
        let [originator, responder] = &mut self.fronts;
        let (sender, peer) = match side {
            Side::Originator => (originator, &*responder),
            Side::Responder => (responder, &*originator),
        };
        // Nearly every segment of a long connection is like this.
        let is_plain = sender.goes_on_in_order(peer, segment, payload_len);
        if !is_plain {
            self.observe_any(side, segment, payload_len);
        }
        !is_plain
    }

    /// Whether a segment probably takes the short way of [`Self::observe`], by its flags and by what
    /// both ends have sent already.
    #[inline(always)]
    pub(crate) fn probably_goes_on(&self, segment: &TcpSegment) -> bool {
        const CONTROL: u8 = flag::SYN | flag::FIN | flag::RST | flag::ACK;
        let [originator, responder] = &self.fronts;
        segment.flags & CONTROL == flag::ACK && originator.went_on() && responder.went_on()
    }

    #[inline(never)]
    fn observe_any(&mut self, side: Side, segment: &TcpSegment, payload_len: u32) {
        let (mut sender, mut peer) = (self.end(side), self.end(side.other()));
        self.take_in(side, &mut sender, &mut peer, segment, payload_len);
        self.put(side, sender);
        self.put(side.other(), peer);
    }

    fn end(&self, side: Side) -> Endpoint {
        let (front, details) = (self.fronts[side.index()], self.details[side.index()]);
        Endpoint { front, details }
    }

    fn put(&mut self, side: Side, end: Endpoint) {
        self.fronts[side.index()] = end.front;
        self.details[side.index()] = end.details;
    }

    fn take_in(
        &mut self,
        side: Side,
        sender: &mut Endpoint,
        peer: &mut Endpoint,
        segment: &TcpSegment,
        payload_len: u32,
    ) {
        let history = &mut self.history;
        let has = |bit| segment.flags & bit != 0;

        let late_syn = machine::is_late_syn(side, &sender.front, &peer.front, segment);
        sender.open(segment, span(segment, payload_len), peer);
        let (sender_reach, peer_reach) = (sender.front.reach(), peer.front.reach());
        let position = sender.position(segment.sequence);
        let is_stale = has(flag::SYN) && segment.sequence != sender.front.start();

        if let Some(letter) = control_letter(sender, segment, payload_len) {
            history.push(side.write(letter));
        }
        if segment.window == 0 && !has(flag::RST) && sender.announces_zero_window(peer) {
            history.push(side.write(b'W'));
        }
        sender.front.flags |= segment.flags;
        if has(flag::FIN) {
            sender.details.fin = segment.sequence.wrapping_add(span(segment, payload_len));
        }

        let acknowledged = has(flag::ACK).then(|| peer.acknowledged(segment)).flatten();
        if !is_stale && sender.advance(segment, span(segment, payload_len), payload_len) {
            history.push(side.write(b'T'));
        }
        let fronts = (&mut sender.front, &mut peer.front);
        machine::step(side, fronts, segment.flags, payload_len, late_syn);

        // After the step, so that a hole that shows only when the connection ends is not counted:
        // sequence numbers of a RST are not to be trusted.
        if let Some(acknowledged) = acknowledged {
            let counts = sender.front.is_clean() && peer.front.is_clean();
            let gaps = peer.complete_to(acknowledged);
            if counts {
                self.missed_bytes = self.missed_bytes.saturating_add(gaps.bytes);
                for _ in 0..gaps.count {
                    if peer.counts_gap() {
                        history.push(side.other().write(b'G'));
                    }
                }
            }
        }
        if payload_len > 0 && !has(flag::RST) && !is_stale && position.is_some() {
            let first = segment.sequence.wrapping_add(u32::from(has(flag::SYN)));
            sender.receive(first, payload_len);
        }
        sender.note_wrap(sender_reach);
        peer.note_wrap(peer_reach);
    }

    /// Whether `segment` starts a new conversation on this connection's addresses and ports.
    ///
    /// Zeek's rule: a SYN without ACK does, if the connection is closed from at least one side
    /// (FIN or RST) or the SYN's sequence number differs from the one the originator started with.
    /// A SYN-ACK does only while nothing of the originator was seen, compared with the responder's
    /// start.
    #[must_use]
    pub fn is_reuse(&self, segment: &TcpSegment) -> bool {
        if segment.flags & flag::SYN == 0 {
            return false;
        }
        let [originator, responder] = &self.fronts;
        let opener = if segment.flags & flag::ACK == 0 {
            originator
        } else if originator.is_inactive() {
            responder
        } else {
            return false;
        };
        originator.has_ended() || responder.has_ended() || segment.sequence != opener.start()
    }

    /// Zeek's letters so far.
    #[must_use]
    pub fn history(&self) -> History {
        self.history
    }

    /// Whether the first packet came from the responder.
    #[must_use]
    pub fn is_reversed(&self) -> bool {
        self.history.as_str().starts_with('^')
    }

    /// Payload bytes that `side` sent by sequence numbers and the peer's acknowledgements
    /// (`orig_bytes` and `resp_bytes` in Zeek). Bytes nobody captured count, retransmitted ones
    /// count once. Without a SYN, counting starts at the first sequence number `side` sent; if it
    /// was never seen to send, this is 0.
    #[must_use]
    pub fn payload_bytes(&self, side: Side) -> u64 {
        self.end(side).size(&self.fronts[side.other().index()])
    }

    /// OR of all flags that `side` sent.
    #[must_use]
    pub fn flags(&self, side: Side) -> u8 {
        self.fronts[side.index()].flags
    }

    /// Bytes of both directions that were acknowledged but never seen, while the connection was
    /// established or closing in order.
    #[must_use]
    pub fn missed_bytes(&self) -> u64 {
        self.missed_bytes
    }
}

/// Sequence numbers a segment takes up. The payload of a RST is not part of the stream.
fn span(segment: &TcpSegment, payload_len: u32) -> u32 {
    let has = |bit| u32::from(segment.flags & bit != 0);
    let payload = if has(flag::RST) == 1 { 0 } else { payload_len };
    payload
        .wrapping_add(has(flag::SYN))
        .wrapping_add(has(flag::FIN))
}

/// The letter for a segment's control bits, if its kind is new or its sequence number is.
fn control_letter(sender: &mut Endpoint, segment: &TcpSegment, payload_len: u32) -> Option<u8> {
    let is_ack = segment.flags & flag::ACK != 0;
    match segment.flags & (flag::SYN | flag::FIN | flag::RST) {
        0 if payload_len > 0 => sender.front.first(seen::DATA).then_some(b'D'),
        0 => (is_ack && sender.front.first(seen::ACK)).then_some(b'A'),
        flag::SYN => {
            let other_start = sender.front.has_ended() && segment.sequence != sender.front.start();
            let letter = if is_ack { b'H' } else { b'S' };
            (sender.front.first(seen::SYN) || other_start).then_some(letter)
        }
        flag::FIN => {
            let end = segment.sequence.wrapping_add(span(segment, payload_len));
            let other_end = end != sender.details.fin;
            (sender.front.first(seen::FIN) || other_end).then_some(b'F')
        }
        flag::RST => {
            let relative = segment.sequence.wrapping_sub(sender.front.start());
            let other_place = std::mem::replace(&mut sender.details.reset, relative) != relative;
            (sender.front.first(seen::RST) || other_place).then_some(b'R')
        }
        bits if bits & flag::FIN != 0 && bits & flag::RST != 0 => {
            sender.front.first(seen::FIN_RST).then_some(b'I')
        }
        _ => sender.front.first(seen::MIXED).then_some(b'Q'),
    }
}
