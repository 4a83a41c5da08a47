//! Why a datagram is not mirrored traffic we can open.

vxscope_units::reasons! {
    /// Why nothing was decapsulated from a datagram or a file's record.
    pub enum Reject {
        /// Not UDP to one of our tunnel ports; in a capture: a record that is not for us.
        NotMirror = "not_mirror",
        /// A link type this sensor does not read.
        LinkType = "link_type",
        /// The link, IP or UDP header around the tunnel is cut off.
        OuterTruncated = "outer_truncated",
        /// The IP or UDP header around the tunnel contradicts itself.
        OuterMalformed = "outer_malformed",
        /// A fragment of an outer IP packet; AWS truncates and never fragments.
        OuterFragment = "outer_fragment",
        /// The outer UDP checksum is wrong. Only a packet ring shows these: the kernel keeps them
        /// from UDP sockets, and counts them as dropped.
        OuterChecksum = "outer_checksum",
        /// Fewer bytes than a VXLAN header (RFC 7348 §5).
        VxlanTruncated = "vxlan_truncated",
        /// The I flag is unset, so the VNI means nothing (RFC 7348 §5).
        VxlanNoVni = "vxlan_no_vni",
        /// Fewer bytes than the GENEVE header and its options (RFC 8926 §3.4).
        GeneveTruncated = "geneve_truncated",
        /// A GENEVE version other than 0 (RFC 8926 §3.4).
        GeneveVersion = "geneve_version",
        /// A critical option that we do not know (RFC 8926 §3.5), or a control packet.
        GeneveCritical = "geneve_critical",
        /// GENEVE that carries neither Ethernet nor VXLAN in UDP.
        GeneveProtocol = "geneve_protocol",
        /// Fewer bytes than an inner Ethernet header.
        InnerTruncated = "inner_truncated",
        /// More nested tunnels than the configured depth opens.
        DepthExceeded = "depth_exceeded",
        /// Received, but the sensor had to end before it came to it.
        Deadline = "deadline",
        /// The mirror source is not in the bind table, and the sensor keeps no account of it.
        /// Decided by who sent it, not by the bytes: nothing in this crate returns it.
        UnknownSource = "unknown_source",
        /// The mirror source is not in the bind table, and is counted in the quarantine. Decided
        /// by who sent it, as well.
        Quarantined = "quarantined",
    }
}
