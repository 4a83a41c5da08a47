//! Which files there are, and which columns their rows have.

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Eve,
    Netflow,
    Conn,
    VpcFlowLogs,
    Ocsf,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Float,
    /// Microseconds since 1970, UTC.
    Time,
}

/// One column: its name, where the line has its value, its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) kind: Type,
}

const fn column(name: &'static str, path: &'static str, kind: Type) -> Column {
    Column { name, path, kind }
}

use Type::{Float, Int, Text, Time};

/// Every table ends with it: JSON of what has no column, or a line that is not what it should be.
pub(crate) const REST: &str = "rest";

const EVE: &[Column] = &[
    column("timestamp", "timestamp", Time),
    column("event_type", "event_type", Text),
    column("flow_id", "flow_id", Int),
    column("in_iface", "in_iface", Text),
    column("vni", "vni", Int),
    column("src_ip", "src_ip", Text),
    column("src_port", "src_port", Int),
    column("dest_ip", "dest_ip", Text),
    column("dest_port", "dest_port", Int),
    column("proto", "proto", Text),
    column("community_id", "community_id", Text),
    column("pkts_toserver", "flow/pkts_toserver", Int),
    column("pkts_toclient", "flow/pkts_toclient", Int),
    column("bytes_toserver", "flow/bytes_toserver", Int),
    column("bytes_toclient", "flow/bytes_toclient", Int),
    column("start", "flow/start", Time),
    column("end", "flow/end", Time),
    column("age", "flow/age", Int),
    column("state", "flow/state", Text),
    column("reason", "flow/reason", Text),
    column("tcp_flags", "tcp/tcp_flags", Text),
    column("tcp_state", "tcp/state", Text),
];

const NETFLOW: &[Column] = &[
    column("timestamp", "timestamp", Time),
    column("event_type", "event_type", Text),
    column("flow_id", "flow_id", Int),
    column("in_iface", "in_iface", Text),
    column("vni", "vni", Int),
    column("src_ip", "src_ip", Text),
    column("src_port", "src_port", Int),
    column("dest_ip", "dest_ip", Text),
    column("dest_port", "dest_port", Int),
    column("proto", "proto", Text),
    column("community_id", "community_id", Text),
    column("pkts", "netflow/pkts", Int),
    column("bytes", "netflow/bytes", Int),
    column("start", "netflow/start", Time),
    column("end", "netflow/end", Time),
    column("age", "netflow/age", Int),
    column("tcp_flags", "tcp/tcp_flags", Text),
];

const CONN: &[Column] = &[
    column("ts", "ts", Time),
    column("uid", "uid", Text),
    column("id_orig_h", "id.orig_h", Text),
    column("id_orig_p", "id.orig_p", Int),
    column("id_resp_h", "id.resp_h", Text),
    column("id_resp_p", "id.resp_p", Int),
    column("proto", "proto", Text),
    column("service", "service", Text),
    column("duration", "duration", Float),
    column("orig_bytes", "orig_bytes", Int),
    column("resp_bytes", "resp_bytes", Int),
    column("conn_state", "conn_state", Text),
    column("missed_bytes", "missed_bytes", Int),
    column("history", "history", Text),
    column("orig_pkts", "orig_pkts", Int),
    column("orig_ip_bytes", "orig_ip_bytes", Int),
    column("resp_pkts", "resp_pkts", Int),
    column("resp_ip_bytes", "resp_ip_bytes", Int),
    column("vni", "vni", Int),
    column("community_id", "community_id", Text),
];

const VPC_FLOW_LOGS: &[Column] = &[
    column("start", "start", Time),
    column("end", "end", Time),
    column("version", "version", Int),
    column("account_id", "account-id", Text),
    column("interface_id", "interface-id", Text),
    column("srcaddr", "srcaddr", Text),
    column("dstaddr", "dstaddr", Text),
    column("srcport", "srcport", Int),
    column("dstport", "dstport", Int),
    column("protocol", "protocol", Int),
    column("packets", "packets", Int),
    column("bytes", "bytes", Int),
    column("action", "action", Text),
    column("log_status", "log-status", Text),
];

const OCSF: &[Column] = &[
    column("time", "time", Time),
    column("class_uid", "class_uid", Int),
    column("activity_id", "activity_id", Int),
    column("type_uid", "type_uid", Int),
    column("severity_id", "severity_id", Int),
    column("src_ip", "src_endpoint/ip", Text),
    column("src_port", "src_endpoint/port", Int),
    column("dst_ip", "dst_endpoint/ip", Text),
    column("dst_port", "dst_endpoint/port", Int),
    column("protocol_num", "connection_info/protocol_num", Int),
    column("community_uid", "connection_info/community_uid", Text),
    column("packets", "traffic/packets", Int),
    column("bytes", "traffic/bytes", Int),
    column("start_time", "start_time", Time),
    column("end_time", "end_time", Time),
];

impl Kind {
    /// By the beginning of a visible name: `eve.json`, `eve-1.json`, `crashed-1-eve.json`.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let name = match name.strip_prefix("crashed-") {
            Some(rest) => rest.split_once('-')?.1,
            None => name,
        };
        let kinds = [
            ("eve", ".json", Self::Eve),
            ("netflow", ".json", Self::Netflow),
            ("conn", ".json", Self::Conn),
            ("vpc-flow-logs", ".log", Self::VpcFlowLogs),
            ("ocsf", ".json", Self::Ocsf),
        ];
        let found = kinds.into_iter().find(|(stem, ending, _)| {
            let middle = name
                .strip_prefix(stem)
                .and_then(|it| it.strip_suffix(ending));
            middle.is_some_and(|middle| middle.is_empty() || middle.starts_with(['-', '.']))
        });
        found.map(|(_, _, kind)| kind)
    }

    /// The name of its table, which is the name of a folder.
    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Eve => "eve",
            Self::Netflow => "netflow",
            Self::Conn => "conn",
            Self::VpcFlowLogs => "vpc_flow_logs",
            Self::Ocsf => "ocsf",
        }
    }

    /// Its columns without [`REST`]; the first is the time that its day is taken from.
    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Eve => EVE,
            Self::Netflow => NETFLOW,
            Self::Conn => CONN,
            Self::VpcFlowLogs => VPC_FLOW_LOGS,
            Self::Ocsf => OCSF,
        }
    }

    /// The schema as Parquet writes it down.
    pub(crate) fn schema(self) -> String {
        let mut text = format!("message {} {{\n", self.table());
        for column in self.columns() {
            let kind = match column.kind {
                Text => format!("BYTE_ARRAY {} (STRING)", column.name),
                Int => format!("INT64 {}", column.name),
                Float => format!("DOUBLE {}", column.name),
                Time => format!("INT64 {} (TIMESTAMP(MICROS,true))", column.name),
            };
            text.push_str(&format!("OPTIONAL {kind};\n"));
        }
        text.push_str(&format!("OPTIONAL BYTE_ARRAY {REST} (STRING);\n}}\n"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_holds() {
        for (name, kind) in [
            ("eve.json", Some(Kind::Eve)),
            ("eve-20261121.json", Some(Kind::Eve)),
            ("crashed-3-conn.json", Some(Kind::Conn)),
            ("vpc-flow-logs.log", Some(Kind::VpcFlowLogs)),
            ("ocsf.1.json", Some(Kind::Ocsf)),
            (".eve.json.tmp", None),
            ("events.json", None),
            ("summary.json", None),
            ("conn.log", None),
        ] {
            assert_eq!(Kind::of_file(name), kind, "{name}");
        }
    }
}
