//! Flow records by format, beside a loop that writes ready bytes of the same length.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use vxscope_benches::{Cpu, Table};
use vxscope_export::stream::Haste;
use vxscope_export::{
    CONN_JSON, ConnLog, Entry, EveLog, EveOptions, Ipfix, LineLog, NETFLOW_EVE, OCSF, OutputDir,
    Rotation, VPC_FLOW_LOGS, WayOut,
};
use vxscope_flow::tcp::{ConnState, History, TcpPhase};
use vxscope_flow::{CloseReason, Crossing, FlowRecord, TcpRecord, Traffic};
use vxscope_units::{MirrorSource, Timestamp, Vni};

use crate::{What, compare, nobody, other, repeat};

/// Records that are handed over together.
const RECORDS: usize = 1_024;

const WHOLE: Rotation = Rotation {
    bytes_max: None,
    nanos_max: None,
    haste: Haste::Finite,
};

pub(crate) fn measure(table: &mut Table, folder: &Path) -> io::Result<()> {
    let records = records();
    let what = What {
        each: "records".to_owned(),
        count: records.len(),
    };
    let dir = OutputDir::create(folder).map_err(other)?;
    let mut eve = || {
        let log = EveLog::create(&dir, EveOptions { strict: false }, WHOLE).map_err(other)?;
        through(log, &records)
    };
    let mut conn_log = || {
        let log = ConnLog::create(&dir, WHOLE, false).map_err(other)?;
        through(log, &records)
    };
    let lines = |format| {
        let (dir, records) = (&dir, &records);
        move || {
            let log = LineLog::create(dir, format, WHOLE).map_err(other)?;
            through(log, records)
        }
    };
    let (mut conn_json, mut netflow) = (lines(CONN_JSON), lines(NETFLOW_EVE));
    let (mut vpc, mut ocsf) = (lines(VPC_FLOW_LOGS), lines(OCSF));
    let plain = |name: &'static str| {
        let (from, to) = (folder.join(name), folder.join("plain"));
        move || {
            // What the format's own run left: as many bytes in as many pieces.
            let ready = std::fs::read(&from)?;
            let piece = ready.len().div_ceil(crate::TIMES).max(1);
            let mut file = File::create(&to)?;
            let mut pieces = ready.chunks(piece);
            repeat(|| pieces.next().map_or(Ok(()), |piece| file.write_all(piece)))
        }
    };
    let rows: [(&str, &'static str, &mut vxscope_benches::Work<'_>); 6] = [
        ("eve", "eve.json", &mut eve),
        ("netflow-eve", "netflow.json", &mut netflow),
        ("conn-log", "conn.log", &mut conn_log),
        ("conn-json", "conn.json", &mut conn_json),
        ("vpc-flow-logs", "vpc-flow-logs.log", &mut vpc),
        ("ocsf", "ocsf.json", &mut ocsf),
    ];
    for (name, file, work) in rows {
        // Once before, for the ready bytes.
        work()?;
        let ready = format!("ready bytes of {name}");
        compare(table, &what, &[&ready, name], &mut [&mut plain(file), work])?;
    }
    ipfix(table, &what, &records)
}

/// The messages that are ready, and IPFIX; nobody reads them.
fn ipfix(table: &mut Table, what: &What, records: &[Entry]) -> io::Result<()> {
    let collector = UdpSocket::bind("127.0.0.1:0")?;
    let target = collector.local_addr()?;
    let open = || Ipfix::open(&target.to_string(), 1, nobody).map_err(other);
    open()?.records(records);
    collector.set_nonblocking(true)?;
    let (mut messages, mut bytes) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(length) = collector.recv(&mut bytes) {
        messages.extend(bytes.get(..length).map(<[u8]>::to_vec));
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(target)?;
    let mut plain = || {
        repeat(|| {
            for message in &messages {
                // A collector that is full is no matter here.
                let _ = socket.send(message);
            }
            Ok(())
        })
    };
    let mut way = || through(open()?, records);
    compare(
        table,
        what,
        &["send ready messages", "ipfix"],
        &mut [&mut plain, &mut way],
    )
}

fn through(mut way: impl WayOut, records: &[Entry]) -> io::Result<Cpu> {
    let took = repeat(|| {
        way.records(records);
        Ok(())
    })?;
    finished(took, || drop(Box::new(way).finish()))
}

/// With what it takes to close.
fn finished(took: Cpu, close: impl FnOnce()) -> io::Result<Cpu> {
    let before = Cpu::of_thread()?;
    close();
    Ok(took.and(Cpu::of_thread()?.since(before)))
}

/// TCP conversations of four sources.
fn records() -> Vec<Entry> {
    let mut history = History::default();
    b"ShADadFf".iter().for_each(|letter| history.push(*letter));
    let community_id = "1:wCb3OG7yAFWelaUydu0D+125CLM=".parse().ok();
    let community_id = community_id.into_iter();
    let one = community_id.map(|community_id| FlowRecord {
        flow_id: 123_456_789_012,
        source: MirrorSource {
            address: [192, 0, 2, 1].into(),
            vni: Vni::ZERO,
        },
        originator: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        responder: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        originator_port: 40_000,
        responder_port: 443,
        protocol: 6,
        icmp: None,
        icmp_response: None,
        vlan: [0, 0],
        vlan_count: 0,
        start: Timestamp::new(1_000, 250_000_999),
        end: Timestamp::new(1_002, 750_000_000),
        closed: Timestamp::new(1_003, 0),
        forward: traffic(11, 1_400),
        reverse: traffic(14, 9_500),
        tcp: Some(TcpRecord {
            originator_flags: 0x1b,
            responder_flags: 0x53,
            phase: TcpPhase::Closed,
            missed_bytes: 0,
        }),
        conn_state: ConnState::Sf,
        history,
        community_id,
        reason: CloseReason::Fin,
        crossing: Crossing::Ingress,
        closed_at: 9,
        late_packets: 0,
        mark: None,
        identity: None,
    });
    let one: Vec<FlowRecord> = one.collect();
    let many = one.iter().cycle().zip(0_u32..).take(RECORDS);
    many.map(|(record, number)| FlowRecord {
        flow_id: record.flow_id + u64::from(number) * 7_919,
        source: MirrorSource {
            vni: Vni::try_new(number % 4).unwrap_or_default(),
            ..record.source
        },
        originator_port: record.originator_port + u16::try_from(number).unwrap_or_default(),
        ..record.clone()
    })
    .map(Entry::Flow)
    .collect()
}

const fn traffic(packets: u64, bytes: u64) -> Traffic {
    Traffic {
        packets,
        bytes,
        ip_bytes: bytes - packets * 14,
        payload_bytes: bytes - packets * 54,
    }
}
