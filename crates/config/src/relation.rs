//! What keys must be true of together.

use crate::Config;

/// A condition over several keys.
pub(crate) struct Relation {
    /// The keys involved; the condition is not judged while one of them has no valid value.
    pub(crate) keys: &'static [&'static str],
    /// What is wrong and how to mend it, if the condition does not hold.
    pub(crate) broken: fn(&Config) -> Option<String>,
}

/// Flows that one worker needs at least: eviction looks at this many.
const WORKER_FLOWS_MIN: u64 = 8;

/// Bytes that a worker's head log, or tail log, needs at least: two of the largest packets.
const LOG_MIN: u64 = 128 << 10;

const RING_KEYS: &[&str] = &[
    "rings.memory",
    "workers.count",
    "rings.private",
    "rings.head",
    "rings.tail",
    "rings.private_share",
    "rings.head_share",
    "rings.enabled",
];

/// Every condition.
pub(crate) const RELATIONS: &[Relation] = &[
    Relation {
        keys: &["decapsulation.geneve_ports", "decapsulation.vxlan_ports"],
        broken: ports,
    },
    Relation {
        keys: &["flow.flows_max", "workers.count"],
        broken: flows,
    },
    Relation {
        keys: &["rings.private", "rings.head", "rings.tail", "rings.enabled"],
        broken: private,
    },
    Relation {
        keys: RING_KEYS,
        broken: memory,
    },
    Relation {
        keys: &["api.listen", "api.exposed", "api.tokens"],
        broken: exposed,
    },
    Relation {
        keys: &["api.tls_certificate", "api.tls_key", "api.listen"],
        broken: encrypted,
    },
];

fn ports(config: &Config) -> Option<String> {
    let (vxlan, geneve) = (
        &config.decapsulation.vxlan_ports,
        &config.decapsulation.geneve_ports,
    );
    if vxlan.is_empty() && geneve.is_empty() {
        return Some("no port for VXLAN and none for GENEVE; nothing could be opened".to_owned());
    }
    let both = geneve.iter().find(|port| vxlan.contains(port))?;
    Some(format!(
        "port {both} is in decapsulation.vxlan_ports as well; it can carry only one"
    ))
}

fn flows(config: &Config) -> Option<String> {
    let needed = u64::from(config.workers.get()) * WORKER_FLOWS_MIN;
    let message = || {
        let (flows, workers) = (config.flow.flows_max, config.workers);
        format!("{flows} flows are too few for {workers} workers; at least {needed} are needed")
    };
    (config.flow.flows_max < needed).then(message)
}

fn private(config: &Config) -> Option<String> {
    let rings = &config.rings;
    let needed = rings.head.get() + rings.tail.get();
    let message = || {
        let (private, head, tail) = (rings.private, rings.head, rings.tail);
        format!("rings.private ({private}) must hold rings.head ({head}) and rings.tail ({tail})")
    };
    (rings.enabled && rings.private.get() < needed).then(message)
}

/// Each worker's part of the memory must hold the logs, and a private ring if there are any.
fn memory(config: &Config) -> Option<String> {
    let rings = &config.rings;
    if !rings.enabled {
        return None;
    }
    let total = rings.memory.get() / u64::from(config.workers.get());
    let pool = part(total, rings.private_share);
    let head = part(total - pool, rings.head_share);
    let tail = total - pool - head;
    let stores = [
        ("the head log", head, LOG_MIN.max(rings.head.get() * 2)),
        ("the tail log", tail, LOG_MIN.max(rings.tail.get() * 2)),
        (
            "private rings",
            pool,
            if pool == 0 { 0 } else { rings.private.get() },
        ),
    ];
    let (store, size, needed) = stores.into_iter().find(|(_, size, needed)| size < needed)?;
    let (memory, workers) = (rings.memory, config.workers);
    Some(format!(
        "rings.memory ({memory}) for {workers} workers leaves {size} bytes for {store} of each; \
         {needed} are needed: raise rings.memory, or lower rings.head, rings.tail, rings.private \
         or workers.count"
    ))
}

/// `share` of `bytes`, in 65,536ths: the same on every platform.
fn part(bytes: u64, share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is between 0 and 1, so the number is between 0 and 65,536"
    )]
    let parts = (share.clamp(0.0, 1.0) * 65_536.0) as u128;
    u64::try_from((u128::from(bytes) * parts) >> 16).unwrap_or(bytes)
}

/// A certificate has a key, and somebody who asks for it.
fn encrypted(config: &Config) -> Option<String> {
    let api = &config.api;
    match (api.tls_certificate.is_empty(), api.tls_key.is_empty()) {
        (true, true) => None,
        (false, false) if api.listen.is_none() => {
            Some("without api.listen nobody asks over TLS".to_owned())
        }
        (false, false) => None,
        (true, false) => Some("api.tls_key is of no use without api.tls_certificate".to_owned()),
        (false, true) => Some("api.tls_certificate needs its api.tls_key".to_owned()),
    }
}

/// What is shown to everybody is shown on purpose.
fn exposed(config: &Config) -> Option<String> {
    let address = config.api.listen.filter(|it| !it.ip().is_loopback())?;
    let api = &config.api;
    let message = || {
        format!(
            "{address} can be reached from other machines; use 127.0.0.1, or set \
             api.exposed = true and name a file of tokens with api.tokens"
        )
    };
    (!api.exposed || api.tokens.is_empty()).then(message)
}
