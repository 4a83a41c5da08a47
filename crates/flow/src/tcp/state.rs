//! The vocabulary of connection outcomes.

vxscope_units::reasons! {
    /// Zeek's `conn_state` (base/protocols/conn/main.zeek).
    pub enum ConnState {
        /// SYN seen, no answer.
        S0 = "S0",
        /// Established, not closed.
        S1 = "S1",
        /// Established, the originator closed, no answer from the responder.
        S2 = "S2",
        /// Established, the responder closed, no answer from the originator.
        S3 = "S3",
        /// Normal open and close.
        Sf = "SF",
        /// The attempt was rejected.
        Rej = "REJ",
        /// Established, the originator aborted.
        Rsto = "RSTO",
        /// The responder aborted.
        Rstr = "RSTR",
        /// The originator sent SYN then RST, no SYN-ACK seen.
        Rstos0 = "RSTOS0",
        /// The responder sent SYN-ACK then RST, no SYN seen.
        Rstrh = "RSTRH",
        /// The originator sent SYN then FIN, no SYN-ACK seen.
        Sh = "SH",
        /// The responder sent SYN-ACK then FIN, no SYN seen.
        Shr = "SHR",
        /// Midstream traffic.
        Oth = "OTH",
    }
}

vxscope_units::reasons! {
    /// How far a TCP connection came, in the words of Suricata's EVE `tcp.state`.
    pub enum TcpPhase {
        /// Nothing but midstream packets or none.
        None = "none",
        /// SYN seen.
        SynSent = "syn_sent",
        /// SYN and SYN-ACK seen.
        SynRecv = "syn_recv",
        /// The handshake completed, or data flows.
        Established = "established",
        /// The originator sent FIN.
        FinWait1 = "fin_wait1",
        /// The originator sent FIN and it was acknowledged.
        FinWait2 = "fin_wait2",
        /// The responder sent FIN first and waits for the originator's.
        CloseWait = "close_wait",
        /// Both sent FIN, the last acknowledgement is outstanding.
        LastAck = "last_ack",
        /// Both sent FIN and both were acknowledged.
        TimeWait = "time_wait",
        /// Reset, or closed for good.
        Closed = "closed",
    }
}
