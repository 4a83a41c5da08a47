//! What became of a connection: Zeek's `conn_state`, Suricata's `tcp.state`, who ended it.

use super::Tcp;
use super::endpoint::{Front, State, seen};
use super::role::Side;
use super::state::{ConnState, TcpPhase};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// Both ends sent FIN, or the only end that was ever seen did.
    Fin,
    /// An end sent RST.
    Rst,
}

impl Tcp {
    /// How the connection ended; `None` while an end that was seen may still send. Zeek's rule for
    /// a connection that it may forget after a short while.
    #[must_use]
    pub fn closed_by(&self) -> Option<Close> {
        let [originator, responder] = &self.fronts;
        match (originator.state(), responder.state()) {
            (State::Reset, _) | (_, State::Reset) => Some(Close::Rst),
            (State::Closed, State::Closed | State::Inactive) | (State::Inactive, State::Closed) => {
                Some(Close::Fin)
            }
            _ => None,
        }
    }

    /// How far the handshake and the close came.
    #[must_use]
    pub fn phase(&self) -> TcpPhase {
        let [originator, responder] = &self.fronts;
        let fin_acknowledged = |end: &Front| end.has(seen::FIN_ACKNOWLEDGED);
        match (originator.state(), responder.state()) {
            (State::Reset, _) | (_, State::Reset) => TcpPhase::Closed,
            (State::Closed, State::Closed) => {
                if fin_acknowledged(originator) && fin_acknowledged(responder) {
                    TcpPhase::TimeWait
                } else {
                    TcpPhase::LastAck
                }
            }
            (State::Closed, _) if fin_acknowledged(originator) => TcpPhase::FinWait2,
            (State::Closed, _) => TcpPhase::FinWait1,
            (_, State::Closed) => TcpPhase::CloseWait,
            (State::SynSent, _) => TcpPhase::SynSent,
            (State::Partial, State::Partial) => TcpPhase::Established,
            (State::Established | State::Partial, State::Established | State::Partial)
                if originator.has(seen::ACK | seen::DATA) =>
            {
                TcpPhase::Established
            }
            (State::SynAckSent, _) | (_, State::Established) => TcpPhase::SynRecv,
            _ => TcpPhase::None,
        }
    }

    /// Zeek's `conn_state` (`base/protocols/conn/main.zeek`).
    #[must_use]
    pub fn conn_state(&self) -> ConnState {
        let [originator, responder] = &self.fronts;
        match (originator.state(), responder.state()) {
            (_, State::Reset) => self.reset_by_responder(),
            (State::Reset, _) if !responder.never_opened() => ConnState::Rsto,
            (State::Reset, _) if self.was_half_open() => ConnState::Rstos0,
            (State::Reset, _) => ConnState::Oth,
            (State::Closed, State::Closed) => ConnState::Sf,
            (State::Closed, _) if responder.never_opened() => ConnState::Sh,
            (State::Closed, _) => ConnState::S2,
            (_, State::Closed) if originator.never_opened() => ConnState::Shr,
            (_, State::Closed) => ConnState::S3,
            (State::SynSent, State::Inactive) => ConnState::S0,
            (State::Established, State::Established) => ConnState::S1,
            _ => ConnState::Oth,
        }
    }

    fn reset_by_responder(&self) -> ConnState {
        let sizes = (
            self.payload_bytes(Side::Originator),
            self.payload_bytes(Side::Responder),
        );
        match self.fronts[0].state() {
            State::SynSent | State::SynAckSent => ConnState::Rej,
            State::Reset if sizes == (0, 0) => ConnState::Rej,
            State::Inactive | State::Partial => ConnState::Rstrh,
            _ => ConnState::Rstr,
        }
    }

    /// The originator sent SYN, then RST, and nothing else that Zeek has a letter for in between.
    fn was_half_open(&self) -> bool {
        let history = self.history();
        let letters = history.as_str().trim_start_matches('^');
        letters
            .strip_prefix('S')
            .and_then(|rest| rest.split_once('R'))
            .is_some_and(|(between, _)| !between.contains(['H', 'A', 'F', 'G', 'I', 'Q']))
    }
}
