//! Datagrams of any bytes: the kernel's program sends each to the worker that the sensor expects.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use vxscope_wire::bpf::Program;
use vxscope_wire::steer::Steering;
use vxscope_wire::{Options, Tunnel, decapsulate_datagram, parse_frame};

/// Numbers of workers: none to share with, primes, and as many as can be.
const WORKERS: [u16; 6] = [1, 2, 3, 7, 64, u16::MAX];
/// Who a datagram came from; steering must not look at it.
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// The input with which [`steering`] steers this payload.
#[must_use]
pub fn steering_input(tunnel: Tunnel, payload: &[u8]) -> Vec<u8> {
    let choice = match tunnel {
        Tunnel::Vxlan => 8,
        Tunnel::Geneve => 9,
    };
    [&[choice, 0xde, 0xad], payload].concat()
}

/// The first byte chooses the tunnel and the number of workers, the next two are half of the
/// seed, the rest is a UDP payload.
///
/// # Panics
/// If the program that the kernel runs and the steering function name different workers for a
/// payload that opens, or the program names a worker that there is not.
pub fn steering(data: &[u8]) {
    let Some(([choice, high, low], payload)) = data.split_first_chunk() else {
        return;
    };
    let tunnel = match choice % 2 {
        0 => Tunnel::Vxlan,
        _ => Tunnel::Geneve,
    };
    let workers = WORKERS[usize::from(choice / 2) % WORKERS.len()];
    let workers = NonZeroU16::new(workers).expect("none of them is zero");
    let seed = u32::from_be_bytes([*high, *low, 0xbe, 0xef]);
    let chosen = Program::steering(seed, workers, tunnel).run(payload);
    assert!(
        chosen < u32::from(workers.get()),
        "worker {chosen} of {workers}"
    );
    if let Ok(opened) = decapsulate_datagram(tunnel, SENDER, payload, &Options::default()) {
        let view = parse_frame(opened.frame, opened.original_len);
        let steering = Steering::new(seed, workers);
        let expected = steering.arrival(&view, opened.frame, opened.source.vni);
        assert_eq!(chosen as usize, expected, "{view:?}");
    }
}
