//! Sockets on loopback, and what becomes of every datagram sent to them.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{BATCH_DATAGRAMS, DatagramBatch, SLOT_BYTES, UdpSocket};
use crate::{Instruction, WAIT_SOCKETS_MAX, Waker, settle, wait_readable};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const BOTH: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

#[test]
fn datagrams_come_in_order_with_sender_and_stamp() {
    for (listen, from) in [(V4, V4), (V6, V6), (BOTH, V4), (BOTH, V6)] {
        let socket = open(listen);
        let sender = sender(from, &socket);
        let before = now_ns();
        for number in 0..5_u8 {
            sender.send(&[number; 100][..usize::from(number)]).unwrap();
        }
        // The stamp is that of the arrival, whenever it is read.
        let after = now_ns();
        thread::sleep(Duration::from_millis(20));
        let mut batch = DatagramBatch::new();
        assert_eq!(socket.receive(&mut batch).unwrap(), 5);
        for (number, datagram) in (0_u8..).zip(batch.iter()) {
            assert_eq!(datagram.payload, &[number; 100][..usize::from(number)]);
            assert_eq!(datagram.original_len, number.into());
            assert_eq!(datagram.source, from);
            assert!((before..=after).contains(&datagram.stamp_ns));
        }
        assert_eq!(socket.receive(&mut batch).unwrap(), 0);
        assert_eq!(batch.iter().count(), 0);
    }
}

#[test]
fn a_socket_that_is_not_asked_does_not_stamp() {
    let socket = UdpSocket::new(V4).unwrap();
    socket.bind(SocketAddr::new(V4, 0)).unwrap();
    sender(V4, &socket).send(b"one").unwrap();
    let mut batch = DatagramBatch::new();
    socket.receive(&mut batch).unwrap();
    assert_eq!(batch.iter().next().unwrap().stamp_ns, 0);
}

#[test]
fn what_is_longer_than_a_slot_is_cut_and_says_so() {
    let socket = open(V4);
    let sender = sender(V4, &socket);
    let bytes: Vec<u8> = (0..=250).cycle().take(20_000).collect();
    for length in [SLOT_BYTES, SLOT_BYTES + 1, bytes.len(), 3] {
        sender.send(&bytes[..length]).unwrap();
    }
    let mut batch = DatagramBatch::new();
    assert_eq!(socket.receive(&mut batch).unwrap(), 4);
    let lengths: Vec<_> = batch
        .iter()
        .map(|it| (it.payload.len(), it.original_len as usize))
        .collect();
    let cut = SLOT_BYTES;
    assert_eq!(lengths, [(cut, cut), (cut, cut + 1), (cut, 20_000), (3, 3)]);
    assert!(batch.iter().all(|it| bytes.starts_with(it.payload)));
}

#[test]
fn what_does_not_fit_into_a_batch_waits_for_the_next() {
    let socket = open(V4);
    let sender = sender(V4, &socket);
    let count = BATCH_DATAGRAMS + 7;
    for number in 0..count {
        sender.send(&number.to_ne_bytes()).unwrap();
    }
    let mut batch = DatagramBatch::new();
    let mut numbers = Vec::new();
    for expected in [BATCH_DATAGRAMS, 7, 0] {
        assert_eq!(socket.receive(&mut batch).unwrap(), expected);
        assert_eq!(batch.len(), expected);
        numbers.extend(batch.iter().map(|it| it.payload.to_vec()));
    }
    let sent: Vec<_> = (0..count)
        .map(|number| number.to_ne_bytes().to_vec())
        .collect();
    assert_eq!(numbers, sent);
}

#[test]
fn drops_are_exact_at_the_end_of_a_burst() {
    let socket = open(V4);
    socket.reserve(20_000).unwrap();
    let sender = sender(V4, &socket);
    let mut received = 0;
    for burst in 1..=5 {
        for _ in 0..500 {
            sender.send(&[0; 200]).unwrap();
        }
        received += drain(&socket);
        let dropped = socket.dropped().unwrap();
        assert!(dropped > 0);
        assert_eq!(received + dropped, burst * 500);
    }
}

#[test]
fn a_shut_socket_keeps_what_is_queued_and_counts_the_rest() {
    let socket = open(V4);
    let sender = sender(V4, &socket);
    let send = |count| (0..count).for_each(|_| assert_eq!(sender.send(b"x").unwrap(), 1));
    send(3);
    socket.shut().unwrap();
    send(4);
    assert_eq!((drain(&socket), socket.dropped().unwrap()), (3, 4));
    socket.reopen().unwrap();
    send(5);
    assert_eq!((drain(&socket), socket.dropped().unwrap()), (5, 4));
    // Once more changes nothing.
    socket.reopen().unwrap();
}

#[test]
fn nothing_arrives_after_a_shut_socket_has_settled() {
    for _ in 0..20 {
        let socket = open(V4);
        let stop = AtomicBool::new(false);
        let (received, sent) = thread::scope(|scope| {
            let sender = sender(V4, &socket);
            let stop = &stop;
            let fire = scope.spawn(move || {
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    sender.send(&[0; 100]).unwrap();
                    sent += 1;
                }
                sent
            });
            let mut received = 0;
            while received < 200 {
                received += drain(&socket);
            }
            socket.shut().unwrap();
            settle();
            received += drain(&socket);
            // Still under fire: all that came since is refused.
            assert_eq!(drain(&socket), 0);
            stop.store(true, Ordering::Relaxed);
            (received, fire.join().unwrap())
        });
        assert_eq!(drain(&socket), 0);
        assert_eq!(sent, received + socket.dropped().unwrap());
    }
}

#[test]
fn a_program_chooses_by_the_order_of_binding() {
    let first = open(V4);
    first.share_port().unwrap();
    let address = first.local_address().unwrap();
    let mut group = vec![first];
    for _ in 1..4 {
        let socket = UdpSocket::new(V4).unwrap();
        socket.share_port().unwrap();
        socket.bind(address).unwrap();
        group.push(socket);
    }
    let sender = sender(V4, &group[0]);
    // Any socket of the group may be told, and the last program holds.
    for index in [2, 0, 3, 1] {
        group[3].steer(&constant(index)).unwrap();
        for _ in 0..10 {
            sender.send(b"x").unwrap();
        }
        for (at, socket) in (0..).zip(&group) {
            assert_eq!(drain(socket), if at == index { 10 } else { 0 });
        }
    }
}

#[test]
fn a_program_the_kernel_does_not_know_is_refused() {
    let socket = open(V4);
    socket.share_port().unwrap();
    let mut unknown = constant(0);
    unknown[0].code = 0xffff;
    let error = socket.steer(&unknown).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(socket.steer(&[]).is_err());
}

#[test]
fn the_first_of_a_group_joins_nobody() {
    let ours = open(V4);
    ours.share_port().unwrap();
    let address = ours.local_address().unwrap();
    let other = UdpSocket::new(V4).unwrap();
    assert_eq!(
        other.bind(address).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
}

#[test]
fn a_queue_is_as_large_as_asked_or_as_the_host_allows() {
    let socket = UdpSocket::new(V4).unwrap();
    assert_eq!(socket.reserve(100_000).unwrap(), 100_000);
    let text = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let limit = 2 * text.trim().parse::<usize>().unwrap();
    let granted = socket.reserve(limit + 100_000).unwrap();
    assert!([limit, limit + 100_000].contains(&granted), "{granted}");
    // More than the kernel's number holds is as much as it holds.
    assert!(socket.reserve(usize::MAX).unwrap() >= granted);
}

#[test]
fn a_missing_interface_is_an_error() {
    let socket = UdpSocket::new(V4).unwrap();
    assert!(socket.bind_device("lo").is_ok());
    let other = UdpSocket::new(V4).unwrap();
    let error = other.bind_device("no-such-device").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn waiting_ends_with_a_datagram_or_with_its_limit() {
    let sockets = [open(V4), open(V4)];
    let (limit, waker) = (Duration::from_millis(20), Waker::new().unwrap());
    assert!(!wait_readable(&sockets, &waker, limit).unwrap());
    sender(V4, &sockets[1]).send(b"x").unwrap();
    assert!(wait_readable(&sockets, &waker, Duration::from_secs(10)).unwrap());
    let many = [&sockets[0]; WAIT_SOCKETS_MAX + 1];
    let error = wait_readable(many, &waker, limit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_wake_ends_one_wait_whenever_it_came() {
    let (socket, waker) = (open(V4), Waker::new().unwrap());
    let long = Duration::from_secs(1_000);
    // Before the wait, twice: still one.
    waker.wake();
    waker.wake();
    assert!(!wait_readable([&socket], &waker, long).unwrap());
    let limit = Duration::from_millis(1);
    assert!(!wait_readable([&socket], &waker, limit).unwrap());
    // While it waits, as far as that can be arranged.
    let other = waker.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(20));
            other.wake();
        });
        assert!(!wait_readable([&socket], &waker, long).unwrap());
    });
    // A datagram is seen beside a wake.
    waker.wake();
    sender(V4, &socket).send(b"x").unwrap();
    assert!(wait_readable([&socket], &waker, long).unwrap());
}

fn open(address: IpAddr) -> UdpSocket {
    let socket = UdpSocket::new(address).unwrap();
    socket.stamp().unwrap();
    socket.bind(SocketAddr::new(address, 0)).unwrap();
    socket
}

/// A socket at the loopback address of this family that sends to `socket`.
fn sender(from: IpAddr, socket: &UdpSocket) -> Sender {
    let sender = Sender::bind(SocketAddr::new(from, 0)).unwrap();
    let port = socket.local_address().unwrap().port();
    sender.connect(SocketAddr::new(from, port)).unwrap();
    sender
}

fn drain(socket: &UdpSocket) -> u32 {
    let mut batch = DatagramBatch::new();
    let mut count = 0;
    while socket.receive(&mut batch).unwrap() > 0 {
        count += u32::try_from(batch.len()).unwrap();
    }
    count
}

/// A program that always gives this index.
fn constant(k: u32) -> [Instruction; 1] {
    [Instruction {
        code: 0x06,
        jt: 0,
        jf: 0,
        k,
    }]
}

#[expect(
    clippy::disallowed_methods,
    reason = "stamps are compared with the clock"
)]
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}
